#include "io/fiber_memory.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "engine/base/mem.h"
#include "io/fiber.h"

enum { PIECE = 32 << 10 }; // its pages may all have to come from a host

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

static void breathe(size_t n)
{
    fiber_work(n / 16);
}

void fiber_copy(void *to, const void *from, size_t size)
{
    for (size_t at = 0, n; at < size; at += n) {
        n = least(size - at, PIECE);
        memcpy((char *)to + at, (const char *)from + at, n);
        breathe(n);
    }
}

void fiber_fill(void *to, int byte, size_t size)
{
    for (size_t at = 0, n; at < size; at += n) {
        n = least(size - at, PIECE);
        memset((char *)to + at, byte, n);
        breathe(n);
    }
}

void *fiber_grow(void *p, size_t *capacity, size_t need, size_t size)
{
    if (need <= *capacity || *capacity < PIECE / size)
        return mem_grow(p, capacity, need, size);
    size_t next = 0;
    void *all = mem_grow(NULL, &next, need < *capacity * 3 / 2 ? *capacity * 3 / 2 : need, size);
    fiber_copy(all, p, *capacity * size);
    mem_free(p);
    *capacity = next;
    return all;
}

void *fiber_arena_mem_grow(struct arena *a, void *p, size_t *capacity, size_t need, size_t size)
{
    if ((p && need <= *capacity) || *capacity < PIECE / size)
        return arena_mem_grow(a, p, capacity, need, size);
    size_t next = 0;
    void *all =
        arena_mem_grow(a, NULL, &next, need < *capacity * 3 / 2 ? *capacity * 3 / 2 : need, size);
    if (!all)
        return NULL;
    fiber_copy(all, p, *capacity * size);
    arena_mem_free(a, p, *capacity, size);
    *capacity = next;
    return all;
}

void *fiber_arena_zeroed(struct arena *a, size_t count, size_t size, size_t align)
{
    void *p = arena_try(a, count, size, align);
    if (p)
        fiber_fill(p, 0, count * size); // which did not overflow
    return p;
}

char *fiber_buf_reserve(struct buf *b, size_t more)
{
    assert(more <= SIZE_MAX / 2);
    if (b->capacity - b->n < more && b->capacity >= PIECE)
        b->p = fiber_grow(b->p, &b->capacity, b->n + more, 1);
    return buf_reserve(b, more);
}
