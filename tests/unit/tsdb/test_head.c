// The head in memory against a naive map: every shape of traffic, every outcome and every bit of
// every answer, also of queries that began before later commits.
#include <criterion/criterion.h>

#include "tests/lib/map_world.h"

static const int64_t START_MS = 1700000000000;

static void run(struct map_world *w, const struct traffic *t)
{
    const size_t step = t->n / 6 + 1;
    for (size_t i = 0; i < t->n; i += step) {
        const size_t end = i + step < t->n ? i + step : t->n;
        map_world_apply_during_query(w, t->batches + i, t->batches + end);
        map_world_check(w, 12);
        cr_assert(!w->found->text[0], "%s", w->found->text);
    }
}

Test(head, answers_as_the_map)
{
    uint64_t counts[TSDB_OUTCOME_COUNT] = {0};
    size_t columns = 0, histograms = 0, starts = 0;
    for (size_t shape = 0; shape < TRAFFIC_SHAPE_COUNT; shape++) {
        for (uint64_t seed = 1; seed <= 4; seed++) {
            const struct tsdb_options options = {.path = NULL};
            struct findings found = {0};
            struct map_world w;
            struct traffic t;
            struct tsdb *db;
            cr_assert_eq(tsdb_open(&options, &db, NULL), ERR_OK);
            map_world_init(&w, db, traffic_shape_name((enum traffic_shape)shape), seed, &found);
            w.start_ms = START_MS;
            w.forms = seed > 2;
            traffic_init(&t, (enum traffic_shape)shape, seed, START_MS, 60);
            run(&w, &t);
            traffic_deinit(&t);
            for (size_t i = 0; i < TSDB_OUTCOME_COUNT; i++)
                counts[i] += w.counts[i];
            columns += w.columns;
            histograms += w.histograms;
            starts += w.starts;
            map_world_deinit(&w);
            cr_assert_eq(tsdb_close(db, NULL), ERR_OK);
        }
    }
    for (size_t i = 0; i < TSDB_OUT_OF_BOUNDS; i++)
        cr_assert_gt(counts[i], 20, "outcome %zu: %llu times", i, (unsigned long long)counts[i]);
    cr_assert_gt(columns, 10000, "%zu columns", columns);
    cr_assert_gt(histograms, 10000, "%zu histograms", histograms);
    cr_assert_gt(starts, 10000, "%zu start timestamps", starts);
}
