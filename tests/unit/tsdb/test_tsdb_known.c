// What memory has released and files know: a sample that is there already is answered as such, and
// shown as it was first kept.
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/base/bits.h"
#include "engine/base/util.h"
#include "engine/model/labels.h"
#include "tests/lib/dump.h"
#include "tests/lib/in_shards.h"

static const int64_t START_MS = 1700000100000;
enum { MINUTE_MS = 60000 };

struct world {
    char folder[64];
    struct findings found;
    struct tsdb *db;
    int64_t others; // samples of the other series
};

static uint64_t series(struct world *w, const char *name)
{
    struct arena a;
    struct labels_builder b = {0};
    arena_init(&a, 0);
    labels_builder_set(&b, LABEL_NAME, str_from_c(name));
    labels_builder_set(&b, STR("job"), STR("x"));
    labels_builder_set(&b, STR("instance"), STR("y"));
    const struct str labels = labels_builder_finish(&b, &a);
    const uint64_t ref = tsdb_series(w->db, labels, labels_hash(labels, tsdb_hash_seed(w->db)), 1);
    labels_builder_deinit(&b);
    arena_deinit(&a);
    return ref;
}

static enum tsdb_outcome add(struct world *w, const char *name, int64_t after_ms, double v,
                             int64_t late_ms)
{
    const struct tsdb_sample sample = {series(w, name), START_MS + after_ms, bits_from_double(v)};
    uint8_t outcome = TSDB_OUTCOME_COUNT;
    struct errmsg e = {0};
    struct tsdb_commit c = {.samples = &sample,
                            .n = 1,
                            .outcomes = &outcome,
                            .late_ms = late_ms,
                            .max_t_ms = INT64_MAX};
    want(&w->found, tsdb_commit(w->db, &c, &e) == ERR_OK, "%s", e.text);
    return (enum tsdb_outcome)outcome;
}

// Time goes on for other series until memory holds only the newest minutes.
static void let_forget(struct world *w)
{
    struct tsdb_stats stats = {.min_time_ms = INT64_MIN};
    const int64_t from_ms = START_MS + 20 * MINUTE_MS;
    for (int i = 0; i < 30000 && stats.min_time_ms < from_ms; i++) {
        want(&w->found, add(w, "other", 30 * MINUTE_MS + w->others++, 0, 0) == TSDB_APPENDED);
        (void)!fiber_sleep_ns(10000000);
        tsdb_stats(w->db, &stats);
    }
    want(&w->found, stats.min_time_ms >= from_ms, "nothing was released");
}

static void run(void *arg)
{
    // In this order, each against what is there then.
    static const struct {
        const char *name;
        int64_t after_ms;
        double v;
        int64_t late_ms;
        enum tsdb_outcome wanted;
    } rows[] = {
        {"lags", 0, 1, 5 * MINUTE_MS, TSDB_SAME},
        {"lags", 0, 2, 5 * MINUTE_MS, TSDB_DUPLICATE},
        {"lags", 0, 2, MINUTE_MS, TSDB_TOO_OLD},
        {"lags", 0, 2, 0, TSDB_OUT_OF_ORDER},
        {"lags", 2 * MINUTE_MS, 3, 5 * MINUTE_MS, TSDB_SAME}, // its newest: memory knows it
        {"lags", 2 * MINUTE_MS, 4, 5 * MINUTE_MS, TSDB_DUPLICATE},
        {"lags", 1, 5, 5 * MINUTE_MS, TSDB_LATE_KEPT}, // nobody has one
        {"lags", 1, 6, 5 * MINUTE_MS, TSDB_DUPLICATE},
        {"lags", 1, 5, 5 * MINUTE_MS, TSDB_SAME},
        {"lags", MINUTE_MS, 9, 5 * MINUTE_MS, TSDB_DUPLICATE}, // was late itself
        {"lags", MINUTE_MS, 7, 5 * MINUTE_MS, TSDB_SAME},
        {"lags", 3 * MINUTE_MS, 8, 5 * MINUTE_MS, TSDB_APPENDED},
    };
    struct world *w = arg;
    struct errmsg e = {0};
    struct buf dump = {0};
    const struct tsdb_options options = {
        .path = w->folder, .wal_sync = TSDB_WAL_SYNC_NONE, .spill_ms = 1};
    want(&w->found, tsdb_open(&options, &w->db, &e) == ERR_OK, "%s", e.text);
    if (!w->db)
        return;
    want(&w->found, add(w, "lags", 0, 1, 0) == TSDB_APPENDED);
    want(&w->found, add(w, "lags", 2 * MINUTE_MS, 3, 0) == TSDB_APPENDED);
    want(&w->found, add(w, "lags", MINUTE_MS, 7, 5 * MINUTE_MS) == TSDB_LATE_KEPT);
    let_forget(w);
    for (int round = 0; round < 2; round++) { // in the second everything is there
        for (size_t i = 0; i < countof(rows); i++) {
            const enum tsdb_outcome wanted = rows[i].wanted;
            const enum tsdb_outcome got =
                add(w, rows[i].name, rows[i].after_ms, rows[i].v, rows[i].late_ms);
            const bool is_new = wanted == TSDB_LATE_KEPT || wanted == TSDB_APPENDED;
            want(&w->found, got == (round && is_new ? TSDB_SAME : wanted),
                 "round %d, row %zu: %d, not %d", round, i, got, wanted);
        }
        let_forget(w);
    }
    dump_samples(w->db, false, &dump);
    const struct str got = dump_line(&dump, "lags{instance=\"y\", job=\"x\"}");
    want(&w->found, str_eq(got, STR("1 5 7 3 8")), "'%.*s'", STR_ARG(got));
    buf_deinit(&dump);
    want(&w->found, tsdb_close(w->db, &e) == ERR_OK, "%s", e.text);
}

Test(tsdb_known, a_second_value_is_a_duplicate_also_when_memory_forgot_the_first)
{
    struct world w = {.folder = "/tmp/ferula-known-XXXXXX"};
    char command[128];
    cr_assert(mkdtemp(w.folder) != NULL);
    in_shards(1, SHARD_BACKEND_AUTO, run, &w, &w.found);
    snprintf(command, sizeof command, "rm -rf %s", w.folder);
    cr_assert_eq(system(command), 0);
    cr_assert(!w.found.text[0], "%s", w.found.text);
}

// A line of shell; $f is the folder, $c a copy of its log.
static void shell(struct world *w, const char *line)
{
    char command[256];
    snprintf(command, sizeof command, "f=%s; c=$f-copy; %s", w->folder, line);
    want(&w->found, system(command) == 0, "%s", line);
}

static void open_ready(struct world *w)
{
    struct errmsg e = {0};
    const struct tsdb_options options = {.path = w->folder, .wal_sync = TSDB_WAL_SYNC_ALWAYS};
    want(&w->found, tsdb_open(&options, &w->db, &e) == ERR_OK, "%s", e.text);
    while (w->db && !tsdb_is_ready(w->db))
        (void)!fiber_sleep_ns(1000000);
}

static void close_it(struct world *w)
{
    struct errmsg e = {0};
    want(&w->found, tsdb_close(w->db, &e) == ERR_OK, "%s", e.text);
}

// Three lives: the log of the first comes back in the third, as if it could not be removed.
static void run_lives(void *arg)
{
    struct world *w = arg;
    static const struct {
        int64_t after_ms;
        double v;
        int64_t late_ms;
        enum tsdb_outcome wanted;
    } rows[] = {
        {2 * MINUTE_MS, 4, 0, TSDB_DUPLICATE}, {2 * MINUTE_MS, 3, 0, TSDB_SAME},
        {MINUTE_MS, 9, 0, TSDB_OUT_OF_ORDER},  {1, 5, MINUTE_MS, TSDB_TOO_OLD},
        {0, 1, 5 * MINUTE_MS, TSDB_SAME},      {3 * MINUTE_MS, 8, 0, TSDB_APPENDED},
    };
    open_ready(w);
    want(&w->found, add(w, "lags", 0, 1, 0) == TSDB_APPENDED);
    shell(w, "cp -r $f/wal $c");
    close_it(w);
    open_ready(w);
    want(&w->found, add(w, "lags", 2 * MINUTE_MS, 3, 0) == TSDB_APPENDED);
    want(&w->found, add(w, "other", 30 * MINUTE_MS, 3, 0) == TSDB_APPENDED);
    close_it(w);
    shell(w, "cp $c/*.wal $f/wal/; rm -rf $c");
    open_ready(w);
    struct tsdb_stats stats;
    tsdb_stats(w->db, &stats);
    want(&w->found, stats.series == 1, "the log was not read again");
    for (size_t i = 0; i < countof(rows); i++) {
        const enum tsdb_outcome got = add(w, "lags", rows[i].after_ms, rows[i].v, rows[i].late_ms);
        want(&w->found, got == rows[i].wanted, "row %zu: %d, not %d", i, got, rows[i].wanted);
    }
    struct buf dump = {0};
    dump_samples(w->db, false, &dump);
    const struct str got = dump_line(&dump, "lags{instance=\"y\", job=\"x\"}");
    want(&w->found, str_eq(got, STR("1 3 8")), "'%.*s'", STR_ARG(got));
    buf_deinit(&dump);
    close_it(w);
}

Test(tsdb_known, an_old_log_that_is_read_again_hides_no_newer_sample)
{
    struct world w = {.folder = "/tmp/ferula-known-XXXXXX"};
    cr_assert(mkdtemp(w.folder) != NULL);
    in_shards(1, SHARD_BACKEND_AUTO, run_lives, &w, &w.found);
    shell(&w, "rm -rf $f");
    cr_assert(!w.found.text[0], "%s", w.found.text);
}
