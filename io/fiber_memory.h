// Large memory in small pieces: between them the fiber gives way when it is due. Outside of fibers
// they go on to the end.
//
// The memory is the running fiber's alone: others that run meanwhile do not look at it.
#ifndef IO_FIBER_MEMORY_H
#define IO_FIBER_MEMORY_H

#include <stddef.h>

#include "engine/base/buf.h"

void fiber_copy(void *to, const void *from, size_t size); // memcpy(). Suspends.
void fiber_fill(void *to, int byte, size_t size);         // memset(). Suspends.
// mem_grow(), and buf_reserve(). Suspend.
void *fiber_grow(void *p, size_t *capacity, size_t need, size_t size)
    __attribute__((returns_nonnull));
char *fiber_buf_reserve(struct buf *b, size_t more) __attribute__((returns_nonnull));

#endif
