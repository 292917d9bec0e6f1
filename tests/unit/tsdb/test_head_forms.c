// Native histograms and start timestamps under the rules of acceptance; the wanted answers are
// Prometheus's (tsdb/head_append.go judges a sample by its time, kind and value).
#include <criterion/criterion.h>

#include "engine/base/bits.h"
#include "engine/model/histogram.h"
#include "engine/model/labels.h"
#include "engine/model/value.h"
#include "engine/tsdb/tsdb.h"

enum { LATE_MS = 60000 };

struct world {
    struct tsdb *db;
    uint64_t ref;
    struct str labels;
    struct arena a;
};

static void begin(struct world *w)
{
    const struct tsdb_options options = {.path = NULL};
    struct labels_builder b = {0};
    arena_init(&w->a, 0);
    cr_assert_eq(tsdb_open(&options, &w->db, NULL), ERR_OK);
    labels_builder_set(&b, LABEL_NAME, STR("requests"));
    w->labels = labels_builder_finish(&b, &w->a);
    labels_builder_deinit(&b);
    w->ref = tsdb_series(w->db, w->labels, labels_hash(w->labels, tsdb_hash_seed(w->db)), 1);
}

static void end(struct world *w)
{
    cr_assert_eq(tsdb_close(w->db, NULL), ERR_OK);
    arena_deinit(&w->a);
}

static struct str packed(struct world *w, uint64_t count, enum histogram_hint hint, double sum)
{
    static const struct histogram_span span = {1, 2};
    const uint64_t counts[] = {count, 0};
    const struct histogram h = {
        .schema = 3, .hint = hint, .count = count, .sum = sum, .positive = {&span, counts, 1, 2}};
    struct buf out = {0};
    cr_assert_eq(histogram_pack(&h, &out, NULL), ERR_OK);
    const struct str made = arena_str(&w->a, buf_str(&out));
    buf_deinit(&out);
    return made;
}

struct step {
    int64_t t_ms;
    double v;
    uint64_t count; // 0: a float
    enum histogram_hint hint;
    int64_t start_ms;
    enum tsdb_outcome outcome;
};

static struct tsdb_commit commit_of(const struct step *s, struct tsdb_sample *sample,
                                    struct str *histogram, struct world *w)
{
    *sample = (struct tsdb_sample){w->ref, s->t_ms, bits_from_double(s->v)};
    *histogram = s->count ? packed(w, s->count, s->hint, s->v) : (struct str){0};
    return (struct tsdb_commit){.samples = sample,
                                .n = 1,
                                .histograms = histogram,
                                .starts = &s->start_ms,
                                .late_ms = LATE_MS,
                                .max_t_ms = INT64_MAX};
}

static struct column all(struct world *w)
{
    const struct storage s = tsdb_storage(w->db);
    const struct matcher named = {.kind = MATCHER_NE, .name = LABEL_NAME};
    struct storage_set set;
    struct column c = {0};
    cr_assert_eq(s.ops->select(s.self, &named, 1, INT64_MIN, INT64_MAX, NULL, &w->a, &set, NULL),
                 ERR_OK);
    cr_assert_eq(set.n, 1);
    cr_assert_eq(s.ops->read(s.self, &set, set.series, 1, INT64_MIN, INT64_MAX, &w->a, &c, NULL),
                 ERR_OK);
    s.ops->release(s.self, &set);
    return c;
}

static const struct step steps[] = {
    {1000, 1, 0, 0, 500, TSDB_APPENDED},
    {1000, 1, 0, 0, 600, TSDB_SAME}, // the start timestamp makes no other
    {1000, 1, 5, 0, 0, TSDB_DUPLICATE},
    {2000, 2, 5, HISTOGRAM_HINT_NO_RESET, 500, TSDB_APPENDED},
    {2000, 2, 5, HISTOGRAM_HINT_RESET, 0, TSDB_SAME}, // nor does the hint
    {2000, 2, 6, HISTOGRAM_HINT_NO_RESET, 0, TSDB_DUPLICATE},
    {2000, 3, 5, HISTOGRAM_HINT_NO_RESET, 0, TSDB_DUPLICATE},
    {2000, 2, 0, 0, 0, TSDB_DUPLICATE},
    {4000, 2, 9, 0, 2500, TSDB_APPENDED},
    {3000, 2, 8, 0, 700, TSDB_LATE_KEPT},
    {3500, 7, 0, 0, 0, TSDB_LATE_KEPT},
    {3000, 2, 8, 0, 0, TSDB_SAME},
    {3000, 2, 0, 0, 0, TSDB_DUPLICATE},
    {5000, 4, 0, 0, 2500, TSDB_APPENDED},
};

Test(head_forms, acceptance)
{
    struct world w;
    begin(&w);
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        struct tsdb_sample sample;
        struct str histogram;
        uint8_t outcome;
        struct tsdb_commit c = commit_of(&steps[i], &sample, &histogram, &w);
        c.outcomes = &outcome;
        cr_assert_eq(tsdb_commit(w.db, &c, NULL), ERR_OK);
        cr_assert_eq(outcome, steps[i].outcome, "step %zu: %d", i, outcome);
    }
    static const size_t kept[] = {0, 3, 9, 10, 8, 13}; // by time
    const struct column c = all(&w);
    cr_assert_eq(c.n, 6);
    for (size_t i = 0; i < c.n; i++) {
        const struct step *s = &steps[kept[i]];
        cr_assert_eq(c.t[i], s->t_ms);
        cr_assert_eq(c.starts[i], s->start_ms, "%zu: %lld", i, (long long)c.starts[i]);
        if (s->count)
            cr_assert(str_eq(c.histograms[i], packed(&w, s->count, s->hint, s->v)));
        else
            cr_assert_null(c.histograms[i].p);
        cr_assert_eq(bits_from_double(c.v[i]),
                     s->count ? VALUE_STALE_BITS : bits_from_double(s->v));
    }
    end(&w);
}

// Prometheus names the value that is there, or says that it is a histogram.
Test(head_forms, what_a_strict_commit_met)
{
    static const struct step first[] = {{1000, 1.5, 0, 0, 0, 0}, {1000, 1.5, 3, 0, 0, 0}};
    for (size_t i = 0; i < 2; i++) {
        struct world w;
        struct tsdb_sample sample;
        struct str histogram;
        begin(&w);
        struct tsdb_commit c = commit_of(&first[i], &sample, &histogram, &w);
        cr_assert_eq(tsdb_commit(w.db, &c, NULL), ERR_OK);
        c = commit_of(&first[1 - i], &sample, &histogram, &w);
        c.kind = TSDB_COMMIT_STRICT;
        cr_assert_eq(tsdb_commit(w.db, &c, NULL), ERR_OK);
        cr_assert_eq(c.counts[TSDB_DUPLICATE], 1);
        cr_assert_eq(c.refused_at, 0);
        cr_assert_eq(c.kept_histogram, i == 1);
        cr_assert(i == 1 || c.kept_bits == bits_from_double(1.5));
        end(&w);
    }
}

// A sender that no longer gives start timestamps, in rows of floats alone, is not lent the old one.
Test(head_forms, start_timestamps_end)
{
    struct world w;
    begin(&w);
    for (int64_t i = 0; i < 6; i++) {
        const struct tsdb_sample sample = {w.ref, 1000 * i, bits_from_double((double)i)};
        const int64_t start = 77;
        struct tsdb_commit c = {
            .samples = &sample, .n = 1, .starts = i < 3 ? &start : NULL, .max_t_ms = INT64_MAX};
        cr_assert_eq(tsdb_commit(w.db, &c, NULL), ERR_OK);
    }
    const struct column c = all(&w);
    for (size_t i = 0; i < 6; i++)
        cr_assert_eq(c.starts[i], i < 3 ? 77 : 0);
    end(&w);
}

// A stale histogram is one whose sum is the marker; it comes back as that.
Test(head_forms, stale_histogram)
{
    struct world w;
    begin(&w);
    struct buf out = {0};
    const struct histogram h = {.sum = double_from_bits(VALUE_STALE_BITS)};
    cr_assert_eq(histogram_pack(&h, &out, NULL), ERR_OK);
    const struct str stale = buf_str(&out);
    const struct tsdb_sample sample = {w.ref, 1000, 0};
    struct tsdb_commit c = {
        .samples = &sample, .n = 1, .histograms = &stale, .max_t_ms = INT64_MAX};
    cr_assert_eq(tsdb_commit(w.db, &c, NULL), ERR_OK);
    const struct column got = all(&w);
    cr_assert_eq(got.n, 1);
    cr_assert(histogram_is_stale(got.histograms[0]));
    cr_assert(str_eq(got.histograms[0], stale));
    buf_deinit(&out);
    end(&w);
}
