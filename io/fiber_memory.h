// Large memory in small pieces: between them the fiber gives way when it is due. Outside of fibers
// they go on to the end.
//
// The memory is the running fiber's alone: others that run meanwhile do not look at it.
#ifndef IO_FIBER_MEMORY_H
#define IO_FIBER_MEMORY_H

#include <stddef.h>

#include "engine/base/arena.h"
#include "engine/base/buf.h"

void fiber_copy(void *to, const void *from, size_t size); // memcpy(). Suspends.
void fiber_fill(void *to, int byte, size_t size);         // memset(). Suspends.
// mem_grow(), and buf_reserve(). Suspend.
void *fiber_grow(void *p, size_t *capacity, size_t need, size_t size)
    __attribute__((returns_nonnull));
// The same within the arena's limits: arena_mem_grow(), and arena_array(). NULL: they forbid it.
// Suspend.
void *fiber_arena_mem_grow(struct arena *a, void *p, size_t *capacity, size_t need, size_t size);
void *fiber_arena_zeroed(struct arena *a, size_t count, size_t size, size_t align);
char *fiber_buf_reserve(struct buf *b, size_t more) __attribute__((returns_nonnull));

#endif
