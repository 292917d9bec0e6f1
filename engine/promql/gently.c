#include "engine/promql/gently.h"

#include <assert.h>

#include "engine/promql/fragment.h"
#include "io/fiber.h"
#include "io/fiber_memory.h"

void gently(void)
{
    if (fiber_self())
        fiber_yield_if_due();
}

void *gently_zeroed(struct arena *a, size_t count, size_t size, size_t align)
{
    void *p = arena_try(a, count, size, align);
    if (p)
        fiber_fill(p, 0, count * size); // which did not overflow
    return p;
}

void *gently_zeroed_always(struct arena *a, size_t size, size_t align)
{
    void *p = arena_alloc(a, size, align);
    fiber_fill(p, 0, size);
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
        fiber_copy(all, p, n * size);
    *capacity = more;
    return all;
}

void gently_deinit(struct arena *a)
{
    while (arena_drop_block(a))
        gently();
    arena_deinit(a);
}

err gently_sort(void *items, size_t n, size_t size, const void *arg, const struct arena *a,
                struct errmsg *e, fiber_compare_fn *compare)
{
    struct arena room;
    arena_init_beside(&room, a);
    err code = fiber_sort_within(&room, items, n, size, arg, compare);
    gently_deinit(&room);
    if (code == ERR_LIMIT)
        return query_too_many_samples(e);
    return code == ERR_OK ? ERR_OK : query_breathe(a, e); // in the words of queries
}
