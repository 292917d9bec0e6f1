// A sort that gives way: the order and stability of a merge sort, whatever the number and the size
// of the items; with limits it ends in time.
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/hash.h"
#include "engine/base/util.h"
#include "io/clock.h"
#include "io/fiber_sort.h"
#include "tests/lib/findings.h"
#include "tests/lib/in_loop.h"

enum input { RANDOM, FEW_KEYS, ASCENDING, DESCENDING, SAW, ENDS_LOW, INPUTS };

struct large {
    uint32_t key, place;
    char filling[52];
};

struct sorts {
    struct findings found;
    uint32_t keys[100000]; // by number, what numbers are sorted by
    bool sorting;
    unsigned turns; // of another fiber, while the sort ran
    uint64_t compared;
};

static uint32_t key_of(enum input input, size_t i, size_t n)
{
    const uint32_t random = (uint32_t)hash64(&i, sizeof i, n);
    switch (input) {
    case FEW_KEYS:
        return random % 3;
    case ASCENDING:
        return (uint32_t)i;
    case DESCENDING:
        return (uint32_t)(n - i);
    case SAW:
        return (uint32_t)i % 100;
    case ENDS_LOW:
        return i + 1 == n ? 0 : (uint32_t)i + 1;
    case RANDOM:
    case INPUTS:
        break;
    }
    return random;
}

static int compare_large(const void *a, const void *b, const void *arg)
{
    const struct large *x = a, *y = b;
    (void)arg;
    return (x->key > y->key) - (x->key < y->key);
}

static int compare_numbers(const void *a, const void *b, const void *arg)
{
    const uint32_t *keys = arg, x = keys[*(const uint32_t *)a], y = keys[*(const uint32_t *)b];
    return (x > y) - (x < y);
}

static void sort_large(struct sorts *s, enum input input, size_t n)
{
    struct large *items = calloc(n + 1, sizeof *items);
    for (size_t i = 0; i < n; i++) {
        items[i] = (struct large){.key = key_of(input, i, n), .place = (uint32_t)i};
        memset(items[i].filling, (int)i, sizeof items[i].filling);
    }
    fiber_sort(items, n, sizeof *items, NULL, compare_large);
    bool *seen = calloc(n + 1, sizeof *seen);
    for (size_t i = 0; i < n; i++) {
        const struct large *x = &items[i], *before = i ? x - 1 : x;
        want(&s->found, x->place < n && !seen[x->place], "%d, %zu of %zu: lost", input, i, n);
        want(&s->found,
             x->key == key_of(input, x->place, n) && x->filling[51] == (char)x->place &&
                 x->filling[0] == (char)x->place,
             "%d, %zu of %zu: mixed", input, i, n);
        want(&s->found,
             !i || before->key < x->key || (before->key == x->key && before->place < x->place),
             "%d, %zu of %zu: order", input, i, n);
        seen[x->place % n] = true;
    }
    free(seen);
    free(items);
}

static void sort_numbers(struct sorts *s, enum input input, size_t n)
{
    uint32_t *items = calloc(n + 1, sizeof *items);
    for (size_t i = 0; i < n; i++) {
        items[i] = (uint32_t)i;
        s->keys[i] = key_of(input, i, n);
    }
    fiber_sort(items, n, sizeof *items, s->keys, compare_numbers);
    for (size_t i = 1; i < n; i++) {
        const uint32_t x = s->keys[items[i - 1]], y = s->keys[items[i]];
        want(&s->found, x < y || (x == y && items[i - 1] < items[i]), "%d, %zu of %zu: numbers",
             input, i, n); // ascending by (key, number): so each is there once
    }
    free(items);
}

static void sort_all(void *arg)
{
    static const size_t sizes[] = {0, 1, 2, 3, 7, 8, 9, 16, 17, 255, 256, 257, 1000, 4097, 40000};
    struct sorts *s = arg;
    for (enum input input = RANDOM; input < INPUTS; input++) {
        for (size_t i = 0; i < countof(sizes); i++) {
            sort_large(s, input, sizes[i]);
            sort_numbers(s, input, sizes[i]);
        }
    }
}

Test(fiber_sort, orders_outside_of_fibers)
{
    static struct sorts s;
    sort_all(&s);
    cr_assert_str_eq(s.found.text, "", "%s", s.found.text);
}

Test(fiber_sort, orders_on_a_fiber)
{
    static struct sorts s;
    in_loop(IN_LOOP_POLL, sort_all, &s);
    cr_assert_str_eq(s.found.text, "", "%s", s.found.text);
}

// ---- giving way, and ending

static int compare_slowly(const void *a, const void *b, const void *arg)
{
    struct sorts *s = (struct sorts *)(uintptr_t)arg;
    if (++s->compared % 64 == 0) { // a turn's time passes every few hundred
        const int64_t end_ns = clock_mono_ns() + 100000;
        while (clock_mono_ns() < end_ns)
            continue;
    }
    return compare_numbers(a, b, s->keys);
}

static void count_turns(void *arg)
{
    struct sorts *s = arg;
    while (s->sorting) {
        s->turns++;
        fiber_yield();
    }
}

static void sort_among_others(void *arg)
{
    enum { N = 4000 };
    static uint32_t items[N];
    struct sorts *s = arg;
    for (uint32_t i = 0; i < N; i++) {
        items[i] = i;
        s->keys[i] = key_of(RANDOM, i, N);
    }
    s->sorting = true;
    want(&s->found, fiber_start(LOOP_QUERY, count_turns, s, NULL) == ERR_OK);
    fiber_sort(items, N, sizeof *items, s, compare_slowly);
    s->sorting = false;
    want(&s->found, s->turns > 10, "%u turns of others", s->turns);
    for (size_t i = 1; i < N; i++)
        want(&s->found, s->keys[items[i - 1]] <= s->keys[items[i]], "order");
}

Test(fiber_sort, gives_way)
{
    static struct sorts s;
    in_loop(IN_LOOP_POLL, sort_among_others, &s);
    cr_assert_str_eq(s.found.text, "", "%s", s.found.text);
}

static void sort_within(void *arg)
{
    enum { N = 5000 };
    struct sorts *s = arg;
    uint32_t *items = malloc(N * sizeof *items);
    struct arena none, small;
    arena_init(&none, 0);
    arena_init(&small, 1000);
    for (int round = 0; round < 4; round++) {
        for (uint32_t i = 0; i < N; i++) {
            items[i] = i;
            s->keys[i] = key_of(RANDOM, i, N);
        }
        s->compared = 0;
        struct arena *const a = round == 1 ? &small : &none;
        if (round >= 2)
            fiber_set_deadline(clock_mono_ns());
        if (round == 3)
            fiber_shield_begin();
        const err got = fiber_sort_within(a, items, N, sizeof *items, s, compare_slowly);
        if (round == 3)
            fiber_shield_end();
        static const err wanted[] = {ERR_OK, ERR_LIMIT, ERR_TIMEOUT, ERR_OK};
        want(&s->found, got == wanted[round], "round %d: %s", round, err_name(got));
        want(&s->found, got == ERR_OK || s->compared < 5000, "round %d: in time", round);
        for (size_t i = 1; i < N && got == ERR_OK; i++)
            want(&s->found, s->keys[items[i - 1]] <= s->keys[items[i]], "order");
        fiber_set_deadline(INT64_MAX);
    }
    arena_deinit(&none);
    arena_deinit(&small);
    free(items);
}

Test(fiber_sort, ends_at_its_limits)
{
    static struct sorts s;
    in_loop(IN_LOOP_POLL, sort_within, &s);
    cr_assert_str_eq(s.found.text, "", "%s", s.found.text);
}
