// A commit that could not be kept leaves no trace: a head that had to take back bad commits answers
// as one that never saw them.
#include <criterion/criterion.h>

#include "engine/base/mem.h"
#include "engine/base/rng.h"
#include "engine/model/labels.h"
#include "engine/tsdb/head_query.h"
#include "engine/tsdb/head_spill.h"
#include "tests/lib/traffic.h"

static const int64_t START_MS = 1700000000000;

static uint64_t find_or_make(struct head *h, struct str labels, uint64_t source)
{
    const struct hash128 hash = labels_hash(labels, h->seed);
    const uint64_t ref = head_find(h, hash);
    return ref ? ref : head_make(h, labels, hash, source);
}

static void commit(struct head *h, const struct traffic_batch *b, uint64_t change,
                   struct tsdb_sample *samples, uint8_t *outcomes)
{
    for (size_t i = 0; i < b->n; i++) {
        const struct traffic_sample *s = &b->samples[i];
        samples[i] =
            (struct tsdb_sample){find_or_make(h, s->labels, b->source), s->t_ms, s->bits ^ change};
    }
    struct tsdb_commit c = {.samples = samples,
                            .n = b->n,
                            .outcomes = outcomes,
                            .late_ms = b->late_ms,
                            .max_t_ms = INT64_MAX};
    uint64_t seq;
    cr_assert_eq(head_commit(h, &c, NULL, NULL, &seq, NULL), ERR_OK);
    if (change)
        head_undo(h, samples, outcomes, b->n);
    else
        head_publish(h, seq);
}

static struct column read(struct head *h, struct str labels, struct arena *a)
{
    struct head_reader reader;
    struct column column;
    const uint64_t ref = find_or_make(h, labels, 0);
    cr_assert_eq(head_reader_init(&reader, h, h->visible, INT64_MIN, INT64_MAX, 1, a, NULL),
                 ERR_OK);
    cr_assert_eq(head_reader_read(&reader, ref, &column, NULL), ERR_OK);
    return column;
}

static void compare(struct head *a, struct head *b, const struct traffic *t)
{
    struct arena arena;
    arena_init(&arena, 0);
    for (size_t i = 0; i < t->n; i += 7) {
        for (size_t k = 0; k < t->batches[i].n; k++) {
            const struct str labels = t->batches[i].samples[k].labels;
            const struct column x = read(a, labels, &arena), y = read(b, labels, &arena);
            cr_assert_eq(x.n, y.n);
            cr_assert(!x.n || !memcmp(x.t, y.t, x.n * sizeof *x.t));
            cr_assert(!x.n || !memcmp(x.v, y.v, x.n * sizeof *x.v));
        }
        arena_reset(&arena);
    }
    arena_deinit(&arena);
}

Test(head_undo, leaves_no_trace)
{
    struct placement placement;
    struct rng rng;
    rng_init(&rng, 4);
    cr_assert_eq(placement_init(&placement, PLACEMENT_DEFAULT, 3, NULL), ERR_OK);
    for (size_t shape = 0; shape < TRAFFIC_SHAPE_COUNT; shape++) {
        struct head a, b;
        struct traffic t;
        size_t capacity = 0;
        struct tsdb_sample *samples = NULL;
        head_init(&a, &placement, 0);
        head_init(&b, &placement, 0);
        traffic_init(&t, (enum traffic_shape)shape, shape + 10, START_MS, 30);
        for (size_t i = 0; i < t.n; i++) {
            const struct traffic_batch *batch = &t.batches[i];
            samples = mem_grow(samples, &capacity, batch->n, sizeof *samples);
            uint8_t *one = mem_alloc(batch->n), *two = mem_alloc(batch->n);
            if (rng_below(&rng, 2))
                commit(&a, batch, 1, samples, one);
            commit(&a, batch, 0, samples, one);
            commit(&b, batch, 0, samples, two);
            cr_assert(!memcmp(one, two, batch->n), "%s, batch %zu",
                      traffic_shape_name((enum traffic_shape)shape), i);
            mem_free(one);
            mem_free(two);
        }
        compare(&a, &b, &t);
        traffic_deinit(&t);
        mem_free(samples);
        head_deinit(&a);
        head_deinit(&b);
    }
}
