// Sorting of many items on a fiber: as qsort(), stable, and it gives way to others meanwhile.
#ifndef ENGINE_SERVER_TURN_SORT_H
#define ENGINE_SERVER_TURN_SORT_H

#include <stddef.h>

typedef int turn_sort_fn(const void *a, const void *b);

// The items must not be touched by others meanwhile. Suspends.
void turn_sort(void *items, size_t n, size_t size, turn_sort_fn *compare);

#endif
