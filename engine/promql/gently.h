// Work on many series in pieces that give way to others in between, where it runs on a fiber: a
// million series are megabytes to clear, copy and sort, and a turn has half a millisecond.
//
// What may be cancelled asks query_breathe() (fragment.h) instead.
#ifndef ENGINE_PROMQL_GENTLY_H
#define ENGINE_PROMQL_GENTLY_H

#include "engine/base/arena.h"
#include "engine/base/err.h"
#include "io/fiber.h"
#include "io/fiber_sort.h"

void gently(void); // Suspends.
// In a loop over i whose rounds are short. Suspends.
static inline void gently_at(size_t i)
{
    if (i % 4 == 3)
        fiber_work(64);
}

// In a loop over steps, or samples: what is left over is for who calls it. Suspends.
static inline void gently_step(size_t k)
{
    if (k % 1024 == 1023)
        gently();
}

// Steps in slices, of whole words of presence, between which it gives way:
//     for (struct slice s = {0}; slice_next(&s, n);)
//         for (size_t k = s.from; k < s.end; k++)
struct slice {
    size_t from, end;
};
enum { SLICE_STEPS = 1024 };
static inline bool slice_next(struct slice *s, size_t n) // Suspends.
{
    s->from = s->end;
    s->end = n - s->from < SLICE_STEPS ? n : s->from + SLICE_STEPS;
    fiber_work(2 * (s->end - s->from));
    return s->from < s->end;
}

// Zeroed memory; NULL: the arena's limit. Suspends.
void *gently_zeroed(struct arena *a, size_t count, size_t size, size_t align);
#define gently_array(a, count, type) \
    ((type *)gently_zeroed((a), (count), sizeof(type), _Alignof(type)))
// p with n items of size, in an array of twice the capacity, at least 16; NULL: the arena's limit,
// and *capacity is as before. What is behind the n items is not set. Suspends.
void *gently_grown(struct arena *a, const void *p, size_t n, size_t *capacity, size_t size);
// Zeroed memory whatever the limit: for tables that the query's text bounds. Suspends.
void *gently_zeroed_always(struct arena *a, size_t size, size_t align);
void gently_deinit(struct arena *a); // arena_deinit(). Suspends.

// fiber_sort_within(), with room beside a; an error is query_breathe()'s. Suspends.
err gently_sort(void *items, size_t n, size_t size, const void *arg, const struct arena *a,
                struct errmsg *e, fiber_compare_fn *compare);

#endif
