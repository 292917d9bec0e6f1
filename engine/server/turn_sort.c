#include "engine/server/turn_sort.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/mem.h"
#include "io/fiber.h"

enum { RUN = 256, BREATHE_EVERY = 128 };

// Two sorted neighbours of from, [low, middle) and [middle, high), become one in to.
static void merge(const char *from, char *to, const size_t bounds[3], size_t size,
                  turn_sort_fn *compare)
{
    size_t a = bounds[0], b = bounds[1], at = bounds[0];
    for (; a < bounds[1] && b < bounds[2]; at++) {
        const char *x = from + a * size, *y = from + b * size;
        const int takes_b = compare(x, y) > 0;
        memcpy(to + at * size, takes_b ? y : x, size);
        b += (size_t)takes_b;
        a += (size_t)!takes_b;
        if (at % BREATHE_EVERY == 0)
            fiber_yield_if_due();
    }
    memcpy(to + at * size, from + a * size, (bounds[1] - a) * size);
    at += bounds[1] - a;
    memcpy(to + at * size, from + b * size, (bounds[2] - b) * size);
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

void turn_sort(void *items, size_t n, size_t size, turn_sort_fn *compare)
{
    if (n < 2)
        return;
    char *at = items;
    for (size_t i = 0; i < n; i += RUN) {
        qsort(at + i * size, least(RUN, n - i), size, compare); // glibc's is a merge sort: stable
        fiber_yield_if_due();
    }
    if (n <= RUN)
        return;
    char *other = mem_alloc_array(n, size), *from = at, *to = other;
    for (size_t run = RUN; run < n; run *= 2) {
        for (size_t i = 0; i < n; i += 2 * run) {
            const size_t bounds[3] = {i, least(i + run, n), least(i + 2 * run, n)};
            merge(from, to, bounds, size, compare);
        }
        char *const swapped = from;
        from = to;
        to = swapped;
    }
    if (from != at)
        memcpy(at, from, n * size);
    mem_free(other);
}
