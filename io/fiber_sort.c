// Runs of a few items are made by insertion and merged from one array into another and back. What
// moves is a number an item; the items follow at the end, each to its place, cycle by cycle. Items
// that are as large as a number are moved themselves.
#include "io/fiber_sort.h"

#include <assert.h>
#include <string.h>

#include "engine/base/mem.h"
#include "io/fiber.h"

enum { RUN = 8, BREATH = 64, COPIED = 16384 };

struct sorting {
    const char *items; // NULL: they are the numbers
    size_t size;
    const void *arg;
    fiber_compare_fn *compare;
    struct arena *arena; // NULL: no limits
};

static err breathe(const struct sorting *s)
{
    if (!fiber_self())
        return ERR_OK;
    fiber_yield_if_due();
    return s->arena ? fiber_status() : ERR_OK;
}

static inline bool is_before(const struct sorting *s, const uint32_t *a, const uint32_t *b)
{
    return (s->items ? s->compare(s->items + *a * s->size, s->items + *b * s->size, s->arg)
                     : s->compare(a, b, s->arg)) < 0;
}

static err copy(const struct sorting *s, uint32_t *to, const uint32_t *from, size_t n)
{
    for (size_t at = 0; at < n; at += COPIED) {
        if (at > 0)
            TRY(breathe(s));
        memcpy(to + at, from + at, (n - at < COPIED ? n - at : COPIED) * sizeof *to);
    }
    return ERR_OK;
}

static void insert(const struct sorting *s, uint32_t *run, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        const uint32_t x = run[i];
        size_t at = i;
        for (; at > 0 && is_before(s, &x, &run[at - 1]); at--)
            run[at] = run[at - 1];
        run[at] = x;
    }
}

static err make_runs(const struct sorting *s, uint32_t *numbers, size_t n)
{
    for (size_t at = 0; at < n; at += RUN) {
        insert(s, numbers + at, n - at < RUN ? n - at : RUN);
        if (at % BREATH == BREATH - RUN)
            TRY(breathe(s));
    }
    return ERR_OK;
}

static err merge_two(const struct sorting *s, const uint32_t *from, size_t middle, size_t n,
                     uint32_t *to)
{
    for (size_t at = 0, a = 0, b = middle; at < n; at++) {
        if (at % BREATH == BREATH - 1)
            TRY(breathe(s));
        const bool second = a == middle || (b < n && is_before(s, &from[b], &from[a]));
        to[at] = second ? from[b++] : from[a++];
    }
    return ERR_OK;
}

// From runs of width to runs of twice that.
static err merge_all(const struct sorting *s, const uint32_t *from, size_t n, size_t width,
                     uint32_t *to)
{
    for (size_t at = 0, all, since = 0; at < n; at += all) {
        all = n - at < 2 * width ? n - at : 2 * width;
        if (all <= width || !is_before(s, &from[at + width], &from[at + width - 1]))
            TRY(copy(s, to + at, from + at, all)); // in order already
        else
            TRY(merge_two(s, from + at, width, all, to + at));
        if ((since += all) >= BREATH) {
            TRY(breathe(s));
            since = 0;
        }
    }
    return ERR_OK;
}

// In numbers or, with the sorted ones in *out, in other.
static err sort_numbers(const struct sorting *s, uint32_t *numbers, uint32_t *other, size_t n,
                        uint32_t **out)
{
    TRY(make_runs(s, numbers, n));
    for (size_t width = RUN; width < n; width *= 2) {
        TRY(merge_all(s, numbers, n, width, other));
        uint32_t *const swapped = numbers;
        numbers = other;
        other = swapped;
    }
    *out = numbers;
    return ERR_OK;
}

// To place i comes the item order[i], which then is i. To its end, whatever happens.
static void permute(const struct sorting *s, char *items, uint32_t *order, size_t n, char *first)
{
    const size_t size = s->size;
    for (size_t i = 0, steps = 0; i < n; i++) {
        memcpy(first, items + i * size, size);
        size_t at = i;
        for (size_t next; (next = order[at]) != i; at = next) {
            memcpy(items + at * size, items + next * size, size);
            order[at] = (uint32_t)at;
            if (++steps % BREATH == 0)
                (void)!breathe(s);
        }
        memcpy(items + at * size, first, size);
        order[at] = (uint32_t)at;
        if (++steps % BREATH == 0)
            (void)!breathe(s);
    }
}

// room: for two numbers an item, and one item.
static err sort_items(struct sorting *s, char *items, size_t n, uint32_t *room)
{
    uint32_t *order;
    s->items = items;
    for (size_t i = 0; i < n; i++) {
        room[i] = (uint32_t)i;
        if (i % COPIED == COPIED - 1)
            (void)!breathe(s);
    }
    TRY(sort_numbers(s, room, room + n, n, &order));
    permute(s, items, order, n, (char *)(room + 2 * n));
    return ERR_OK;
}

static err sort(struct sorting *s, void *items, size_t n)
{
    const size_t bytes = 2 * n * sizeof(uint32_t) + s->size;
    uint32_t *room =
        s->arena ? arena_try(s->arena, bytes, 1, _Alignof(uint32_t)) : mem_alloc(bytes);
    if (!room)
        return ERR_LIMIT;
    uint32_t *sorted = items;
    err code;
    if (s->size == sizeof *sorted && (uintptr_t)items % _Alignof(uint32_t) == 0) {
        code = sort_numbers(s, items, room, n, &sorted);
        if (code == ERR_OK && sorted != items)
            code = copy(s, items, sorted, n);
    } else {
        code = sort_items(s, items, n, room);
    }
    if (!s->arena)
        mem_free(room);
    return code;
}

void fiber_sort(void *items, size_t n, size_t size, const void *arg, fiber_compare_fn *compare)
{
    struct sorting s = {.size = size, .arg = arg, .compare = compare};
    assert(n <= UINT32_MAX);
    if (n > 1)
        (void)!sort(&s, items, n);
}

err fiber_sort_within(struct arena *a, void *items, size_t n, size_t size, const void *arg,
                      fiber_compare_fn *compare)
{
    struct sorting s = {.size = size, .arg = arg, .compare = compare, .arena = a};
    assert(n <= UINT32_MAX);
    return n > 1 ? sort(&s, items, n) : ERR_OK;
}
