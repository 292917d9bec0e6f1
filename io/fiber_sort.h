// Sorting of many items in pieces that give way to other fibers: a stable merge sort.
//
// Beside the items it takes 8 bytes an item, whatever their size. Nobody may touch the items
// meanwhile. Outside of fibers it just sorts.
#ifndef IO_FIBER_SORT_H
#define IO_FIBER_SORT_H

#include "engine/base/arena.h"
#include "engine/base/err.h"

typedef int fiber_compare_fn(const void *a, const void *b, const void *arg);

// Sorts n items of size bytes, n less than 2^32; equal ones stay in their order. Asked is only
// whether compare() is below 0. Suspends.
void fiber_sort(void *items, size_t n, size_t size, const void *arg, fiber_compare_fn *compare);
// The same for who has limits, its memory from the arena: an error is ERR_LIMIT or
// fiber_status()'s, and the items are then worth nothing. Suspends.
err fiber_sort_within(struct arena *a, void *items, size_t n, size_t size, const void *arg,
                      fiber_compare_fn *compare);

#endif
