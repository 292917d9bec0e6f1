// Hours of traffic in seconds: memory, files and series stay bounded, old data goes.
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/base/bits.h"
#include "engine/base/mem.h"
#include "engine/model/labels.h"
#include "tests/lib/in_shards.h"
#include "tests/lib/map_world.h"

enum {
    HOURS = 10,
    ROWS_AN_HOUR = 240,
    STEP_MS = 15000,
    STEADY = 200,
    PODS = 20,
    POD_ROWS = 120,
    FILES = 16,
    EARLY = 4 // hours
};
static const int64_t START_MS = 1700000100000;
static const int64_t HOUR_MS = 3600000, KEPT_MS = 400000;

struct hours {
    char folder[64];
    struct findings found;
    size_t live[HOURS];
    struct tsdb_stats stats[HOURS];
};

static uint64_t series(struct tsdb *db, struct arena *a, const char *job, size_t instance, size_t i)
{
    struct labels_builder b = {0};
    labels_builder_set(&b, LABEL_NAME, arena_printf(a, "metric_%zu", i));
    labels_builder_set(&b, STR("job"), str_from_c(job));
    labels_builder_set(&b, STR("instance"), arena_printf(a, "%zu", instance));
    labels_builder_set(&b, STR("pod"), arena_printf(a, "pod-%zu", instance));
    const struct str labels = labels_builder_finish(&b, a);
    labels_builder_deinit(&b);
    return tsdb_series(db, labels, labels_hash(labels, tsdb_hash_seed(db)), instance);
}

// Some series that stay, and pods of five that live for half an hour.
static void append_row(struct hours *h, struct tsdb *db, size_t row)
{
    struct tsdb_sample samples[STEADY + PODS * 5];
    struct arena a;
    struct errmsg e = {""};
    const int64_t t_ms = START_MS + (int64_t)row * STEP_MS;
    size_t n = 0;
    arena_init(&a, 0);
    for (size_t i = 0; i < STEADY; i++)
        samples[n++] = (struct tsdb_sample){series(db, &a, "steady", 0, i), t_ms,
                                            bits_from_double((double)(i % 3 ? i : i * row))};
    for (size_t pod = 0; pod < PODS; pod++) {
        const size_t born = (row + pod * POD_ROWS / PODS) / POD_ROWS;
        for (size_t i = 0; i < 5; i++)
            samples[n++] = (struct tsdb_sample){series(db, &a, "pods", 1000 + born * PODS + pod, i),
                                                t_ms, bits_from_double((double)row)};
    }
    struct tsdb_commit c = {.samples = samples, .n = n, .max_t_ms = INT64_MAX};
    want(&h->found, tsdb_commit(db, &c, &e) == ERR_OK, "%s", e.text);
    want(&h->found, c.counts[TSDB_APPENDED] == n, "row %zu", row);
    arena_deinit(&a);
}

// What the first hours took, and a tenth; it swings with the merging of two-hour ranges.
static size_t allowed(const struct hours *h, size_t hour)
{
    size_t early = 0;
    for (size_t i = 0; i < EARLY; i++)
        early = h->live[i] > early ? h->live[i] : early;
    return hour < EARLY ? SIZE_MAX : early + early / 10;
}

// Waits until what can be written, released and merged is.
static void settle(struct hours *h, struct tsdb *db, size_t hour)
{
    struct tsdb_stats *stats = &h->stats[hour];
    for (size_t tries = 0; tries < 500; tries++) {
        (void)!fiber_sleep_ns(10000000);
        tsdb_stats(db, stats);
        if (stats->min_time_ms > stats->max_time_ms - KEPT_MS && stats->files < FILES && tries > 3)
            break;
    }
    want(&h->found, stats->min_time_ms > stats->max_time_ms - KEPT_MS, "hour %zu", hour);
    h->live[hour] = mem_live_bytes();
    for (size_t tries = 0; tries < 20 || (tries < 500 && h->live[hour] > allowed(h, hour));
         tries++) { // the least: a merge may be under way
        (void)!fiber_sleep_ns(10000000);
        const size_t live = mem_live_bytes();
        h->live[hour] = live < h->live[hour] ? live : h->live[hour];
    }
}

static void run(void *arg)
{
    struct hours *h = arg;
    const struct tsdb_options options = {
        .path = h->folder,
        .wal_sync = TSDB_WAL_SYNC_NONE,
        .spill_ms = 1,
        .retention = {.time_ms = 5 * HOUR_MS},
    };
    struct tsdb *db;
    struct errmsg e = {""};
    want(&h->found, tsdb_open(&options, &db, &e) == ERR_OK, "%s", e.text);
    if (h->found.text[0])
        return;
    for (size_t row = 0; row < HOURS * ROWS_AN_HOUR && !h->found.text[0]; row++) {
        append_row(h, db, row);
        if (row % 40 == 39)
            (void)!fiber_sleep_ns(6000000);
        if (row % ROWS_AN_HOUR == ROWS_AN_HOUR - 1) {
            settle(h, db, row / ROWS_AN_HOUR);
        }
    }
    want(&h->found, tsdb_close(db, &e) == ERR_OK, "%s", e.text);
}

Test(tsdb_hours, nothing_grows)
{
    struct hours h = {.folder = "/tmp/ferula-hours-XXXXXX"};
    char command[128];
    cr_assert(mkdtemp(h.folder) != NULL);
    in_shards(1, SHARD_BACKEND_AUTO, run, &h, &h.found);
    snprintf(command, sizeof command, "rm -rf %s", h.folder);
    cr_assert_eq(system(command), 0);
    cr_assert(!h.found.text[0], "%s", h.found.text);
    const struct tsdb_stats *third = &h.stats[2], *last = &h.stats[HOURS - 1];
    for (size_t i = EARLY; i < HOURS; i++)
        cr_assert_leq(h.live[i], allowed(&h, i), "hour %zu: %zu bytes", i, h.live[i]);
    cr_assert_leq(last->series, third->series + third->series / 10);
    cr_assert_gt(last->series_removed, 5 * PODS * 10);
    cr_assert_lt(last->files, FILES, "%llu files", (unsigned long long)last->files);
    cr_assert_gt(last->retention_deletions, 0);
    cr_assert_gt(last->lowest_time_ms, START_MS + 2 * HOUR_MS);
    cr_assert_lt(last->min_time_ms, last->max_time_ms - KEPT_MS / 2);
}
