#include "engine/promql/gently.h"

#include <assert.h>

#include "engine/promql/fragment.h"
#include "io/fiber.h"

enum { PIECE = 128 << 10 };

void gently(void)
{
    if (fiber_self())
        fiber_yield_if_due();
}

void gently_copy(void *to, const void *from, size_t size)
{
    for (size_t at = 0; at < size; at += PIECE) {
        const size_t n = size - at < PIECE ? size - at : PIECE;
        memcpy((char *)to + at, (const char *)from + at, n);
        if (n == PIECE)
            gently();
    }
}

static void clear(char *p, size_t size)
{
    for (size_t at = 0; at < size; at += PIECE) {
        const size_t n = size - at < PIECE ? size - at : PIECE;
        memset(p + at, 0, n);
        if (n == PIECE)
            gently();
    }
}

void *gently_zeroed(struct arena *a, size_t count, size_t size, size_t align)
{
    void *p = arena_try(a, count, size, align);
    if (p)
        clear(p, count * size); // which did not overflow
    return p;
}

void *gently_zeroed_always(struct arena *a, size_t size, size_t align)
{
    void *p = arena_alloc(a, size, align);
    clear(p, size);
    return p;
}

void *gently_grown(struct arena *a, const void *p, size_t n, size_t *capacity, size_t size)
{
    assert(n <= *capacity);
    const size_t more = *capacity ? *capacity * 2 : 16;
    void *all = arena_try(a, more, size, _Alignof(max_align_t));
    if (!all)
        return NULL;
    if (n)
        gently_copy(all, p, n * size);
    *capacity = more;
    return all;
}

void gently_deinit(struct arena *a)
{
    while (arena_drop_block(a))
        gently();
    arena_deinit(a);
}

// ---- sorting: a merge sort of the items' numbers, from the bottom; then the items are moved

struct sort {
    const char *items;
    size_t size;
    const void *arg;
    gently_compare_fn *compare;
    const struct arena *a;
};

static int compare_at(const struct sort *s, uint32_t a, uint32_t b)
{
    return s->compare(s->items + a * s->size, s->items + b * s->size, s->arg);
}

static err merge_runs(const struct sort *s, const uint32_t *from, size_t middle, size_t n,
                      uint32_t *to, struct errmsg *e)
{
    for (size_t at = 0, a = 0, b = middle; at < n; at++) {
        if (at % 256 == 255)
            TRY(query_breathe(s->a, e));
        const bool first = a < middle && (b == n || compare_at(s, from[a], from[b]) <= 0);
        to[at] = first ? from[a++] : from[b++];
    }
    return ERR_OK;
}

static err merge_pass(const struct sort *s, const uint32_t *from, size_t n, size_t width,
                      uint32_t *to, struct errmsg *e)
{
    size_t since = 0;
    for (size_t at = 0, all; at < n; at += all) {
        all = n - at < 2 * width ? n - at : 2 * width;
        const size_t middle = all < width ? all : width;
        if (middle == all || compare_at(s, from[at + middle - 1], from[at + middle]) <= 0)
            gently_copy(to + at, from + at, all * sizeof *to); // in order already
        else
            TRY(merge_runs(s, from + at, middle, all, to + at, e));
        if ((since += all) >= 256) {
            TRY(query_breathe(s->a, e));
            since = 0;
        }
    }
    return ERR_OK;
}

// Moves the items to where order has them.
static void permute(char *items, const uint32_t *order, size_t n, size_t size, char *copy)
{
    gently_copy(copy, items, n * size);
    for (size_t i = 0; i < n; i++) {
        memcpy(items + i * size, copy + order[i] * size, size);
        gently_at(i);
    }
}

err gently_sort(void *items, size_t n, size_t size, const void *arg, const struct arena *a,
                struct errmsg *e, gently_compare_fn *compare)
{
    assert(n < UINT32_MAX);
    const struct sort s = {items, size, arg, compare, a};
    struct arena scratch;
    arena_init_beside(&scratch, a);
    uint32_t *from = arena_try(&scratch, n, sizeof *from, _Alignof(uint32_t));
    uint32_t *to = arena_try(&scratch, n, sizeof *to, _Alignof(uint32_t));
    char *copy = arena_try(&scratch, n, size, 1);
    err code = from && to && copy ? ERR_OK : query_too_many_samples(e);
    for (size_t i = 0; i < n && !code; i++) {
        from[i] = (uint32_t)i;
        gently_at(i);
    }
    for (size_t width = 1; width < n && !code; width *= 2) {
        code = merge_pass(&s, from, n, width, to, e);
        uint32_t *swap = from;
        from = to;
        to = swap;
    }
    if (!code)
        permute(items, from, n, size, copy);
    gently_deinit(&scratch);
    return code;
}
