// Tombstones beside a table of what is hidden, and their bytes, good and damaged.
#include <criterion/criterion.h>
#include <string.h>

#include "engine/base/rng.h"
#include "engine/tsdb/tombstones.h"

enum { SERIES = 40, TIMES = 60, ADDITIONS = 12 };

static const int64_t FIRST_T = 1000;

struct world {
    struct rng rng;
    struct tombstones *t;
    bool hidden[SERIES][TIMES];
};

static void hide_some(struct world *w)
{
    roaring_bitmap_t *ids = roaring_bitmap_create();
    const uint64_t share = 1 + rng_below(&w->rng, 8);
    struct hidden range = {FIRST_T + (int64_t)rng_below(&w->rng, TIMES), 0};
    range.maxt = range.mint + (int64_t)rng_below(&w->rng, 20);
    if (rng_below(&w->rng, 10) == 0)
        range.mint = INT64_MIN;
    if (rng_below(&w->rng, 10) == 0)
        range.maxt = INT64_MAX;
    for (uint32_t s = 0; s < SERIES; s++) {
        if (rng_below(&w->rng, share))
            continue;
        roaring_bitmap_add(ids, s);
        for (int64_t k = 0; k < TIMES; k++)
            w->hidden[s][k] |= FIRST_T + k >= range.mint && FIRST_T + k <= range.maxt;
    }
    struct tombstones *more = tombstones_add(w->t, ids, range);
    tombstones_unref(w->t);
    w->t = more;
    roaring_bitmap_free(ids);
}

static void check_series(const struct world *w, uint32_t s)
{
    struct arena a;
    int64_t t[TIMES];
    double v[TIMES];
    arena_init(&a, 0);
    for (size_t k = 0; k < TIMES; k++) {
        t[k] = FIRST_T + (int64_t)k;
        v[k] = (double)k;
    }
    struct column c = {.t = t, .v = v, .n = TIMES};
    cr_assert(tombstones_apply(w->t, s, &a, &c));
    size_t n = 0;
    for (size_t k = 0; k < TIMES; k++) {
        if (w->hidden[s][k])
            continue;
        cr_assert_lt(n, c.n, "series %u lost time %zu", s, k);
        cr_assert_eq(c.t[n], t[k], "series %u", s);
        cr_assert_eq(c.v[n], v[k]);
        n++;
    }
    cr_assert_eq(c.n, n, "series %u shows %zu of %zu", s, c.n, n);
    cr_assert_eq(tombstones_hide(w->t, s, (struct hidden){FIRST_T, FIRST_T + TIMES - 1}), n == 0);
    arena_deinit(&a);
}

static void check_all(const struct world *w)
{
    for (uint32_t s = 0; s < SERIES; s++)
        check_series(w, s);
}

Test(tombstones, hide_what_was_said_and_read_back)
{
    for (uint64_t seed = 0; seed < 200; seed++) {
        struct world w = {0};
        rng_init(&w.rng, seed);
        for (int i = 0; i < ADDITIONS; i++) {
            struct buf bytes = {0}, again = {0};
            hide_some(&w);
            check_all(&w);
            tombstones_put(w.t, &bytes);
            tombstones_unref(w.t);
            w.t = tombstones_parse(buf_str(&bytes), SERIES);
            cr_assert_not_null(w.t, "seed %llu", (unsigned long long)seed);
            check_all(&w);
            tombstones_put(w.t, &again);
            cr_assert(str_eq(buf_str(&bytes), buf_str(&again)));
            buf_deinit(&bytes);
            buf_deinit(&again);
        }
        tombstones_unref(w.t);
    }
}

// Whatever the bytes are: refused, or as good as any.
static void parse_hostile(const struct world *w, const char *bytes, size_t n)
{
    struct world found = *w;
    found.t = tombstones_parse(str_make(bytes, n), SERIES);
    if (!found.t)
        return;
    struct buf again = {0};
    tombstones_put(found.t, &again);
    struct tombstones *same = tombstones_parse(buf_str(&again), SERIES);
    cr_assert_not_null(same);
    cr_assert_eq(tombstones_series(same), tombstones_series(found.t));
    cr_assert_leq(tombstones_series(same), SERIES);
    tombstones_unref(same);
    tombstones_unref(found.t);
    buf_deinit(&again);
}

Test(tombstones, damaged_bytes_do_no_harm)
{
    for (uint64_t seed = 0; seed < 60; seed++) {
        struct world w = {0};
        struct buf bytes = {0};
        rng_init(&w.rng, seed);
        for (int i = 0; i < ADDITIONS; i++)
            hide_some(&w);
        tombstones_put(w.t, &bytes);
        for (size_t n = 0; n < bytes.n; n++) { // cut
            char *exact = malloc(n ? n : 1);   // so that a look behind it is seen
            memcpy(exact, bytes.p, n);
            cr_assert_null(tombstones_parse(str_make(exact, n), SERIES), "%zu bytes", n);
            free(exact);
        }
        for (size_t i = 0; i < bytes.n; i++) {
            const char was = bytes.p[i];
            bytes.p[i] = (char)rng_below(&w.rng, 256);
            parse_hostile(&w, bytes.p, bytes.n);
            bytes.p[i] = was;
        }
        tombstones_unref(w.t);
        buf_deinit(&bytes);
    }
    cr_assert_null(tombstones_parse((struct str){0}, SERIES));
}
