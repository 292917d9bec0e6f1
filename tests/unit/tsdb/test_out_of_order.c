// storage.tsdb.out_of_order_time_window: the rules of tsdb/head_append.go (appendable), at their
// edges.
#include <criterion/criterion.h>

#include "engine/base/arena.h"
#include "engine/base/bits.h"
#include "engine/base/util.h"
#include "engine/model/labels.h"
#include "engine/model/value.h"
#include "engine/tsdb/tsdb.h"

enum { MINUTE_MS = 60000, HOUR_MS = 3600000, NEWEST_MS = 100 * HOUR_MS };

static uint64_t series_of(struct tsdb *db, char name)
{
    struct labels_builder b = {0};
    struct arena a;
    arena_init(&a, 0);
    labels_builder_set(&b, LABEL_NAME, (struct str){&name, 1});
    const struct str labels = labels_builder_finish(&b, &a);
    const uint64_t ref = tsdb_series(db, labels, labels_hash(labels, tsdb_hash_seed(db)), 1);
    labels_builder_deinit(&b);
    arena_deinit(&a);
    return ref;
}

struct step {
    char series;
    int64_t before_ms; // the database's newest sample
    uint64_t bits;
    enum tsdb_outcome outcome;
};

// bounds_ms: how old a sample may be that is newer than its series' newest; 0: any age.
static void run(int64_t window_ms, int64_t bounds_ms, enum tsdb_commit_kind kind,
                const struct step *steps, size_t n)
{
    const struct tsdb_options options = {.path = NULL};
    struct tsdb *db;
    cr_assert_eq(tsdb_open(&options, &db, NULL), ERR_OK);
    tsdb_set_out_of_order(db, window_ms);
    for (size_t i = 0; i < n; i++) {
        const struct tsdb_sample sample = {series_of(db, steps[i].series),
                                           NEWEST_MS - steps[i].before_ms, steps[i].bits};
        uint8_t outcome = TSDB_OUTCOME_COUNT;
        struct tsdb_commit c = {.samples = &sample,
                                .n = 1,
                                .kind = kind,
                                .markers_in_order = true,
                                .outcomes = &outcome,
                                .max_t_ms = NEWEST_MS + 10 * MINUTE_MS,
                                .window_ms = bounds_ms};
        cr_assert_eq(tsdb_commit(db, &c, NULL), ERR_OK);
        cr_assert_eq(outcome, steps[i].outcome, "window %lld, step %zu: %d", (long long)window_ms,
                     i, outcome);
    }
    cr_assert_eq(tsdb_close(db, NULL), ERR_OK);
}

Test(out_of_order, without_a_window)
{
    static const struct step steps[] = {
        {'a', 0, 1, TSDB_APPENDED},
        {'a', 1, 1, TSDB_OUT_OF_ORDER},
        {'b', HOUR_MS, 1, TSDB_APPENDED},
        {'c', HOUR_MS + 1, 1, TSDB_OUT_OF_BOUNDS},
        {'c', -10 * MINUTE_MS - 1, 1, TSDB_IN_FUTURE},
    };
    run(0, HOUR_MS, TSDB_COMMIT, steps, countof(steps));
    run(0, HOUR_MS, TSDB_COMMIT_STRICT, steps, countof(steps));
}

Test(out_of_order, a_window_shorter_than_the_bounds)
{
    static const struct step steps[] = {
        {'a', 0, 1, TSDB_APPENDED},
        {'a', 0, 1, TSDB_SAME},
        {'a', 0, 2, TSDB_DUPLICATE},
        {'a', 30 * MINUTE_MS, 1, TSDB_LATE_KEPT},
        {'a', 30 * MINUTE_MS + 1, 1, TSDB_TOO_OLD},
        {'b', 40 * MINUTE_MS, 1, TSDB_APPENDED}, // in order: the bounds count
        {'b', 40 * MINUTE_MS + 1, 1, TSDB_TOO_OLD},
        {'c', HOUR_MS, 1, TSDB_APPENDED},
        {'d', HOUR_MS + 1, 1, TSDB_TOO_OLD},
        {'d', -10 * MINUTE_MS - 1, 1, TSDB_IN_FUTURE},
    };
    run(30 * MINUTE_MS, HOUR_MS, TSDB_COMMIT, steps, countof(steps));
    run(30 * MINUTE_MS, HOUR_MS, TSDB_COMMIT_STRICT, steps, countof(steps));
}

Test(out_of_order, a_window_longer_than_the_bounds)
{
    static const struct step steps[] = {
        {'a', 0, 1, TSDB_APPENDED},
        {'b', 3 * HOUR_MS, 1, TSDB_APPENDED},
        {'b', 3 * HOUR_MS + 1, 1, TSDB_TOO_OLD},
        {'a', 3 * HOUR_MS, 1, TSDB_LATE_KEPT},
        {'a', 2 * HOUR_MS, 1, TSDB_LATE_KEPT},
    };
    run(3 * HOUR_MS, HOUR_MS, TSDB_COMMIT, steps, countof(steps));
    run(3 * HOUR_MS, HOUR_MS, TSDB_COMMIT_STRICT, steps, countof(steps));
}

// A target that ends writes markers; where another one went on with its series they are not kept.
Test(out_of_order, markers_are_never_late)
{
    static const struct step steps[] = {
        {'a', 0, 1, TSDB_APPENDED},
        {'a', 1, VALUE_STALE_BITS, TSDB_OUT_OF_ORDER},
        {'a', 1, 2, TSDB_LATE_KEPT},
    };
    run(HOUR_MS, HOUR_MS, TSDB_COMMIT, steps, countof(steps));
}
