// The head against a naive map: every shape of traffic, every outcome and every bit of every
// answer.
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/base/bits.h"
#include "engine/base/mem.h"
#include "engine/base/rng.h"
#include "engine/base/util.h"
#include "engine/model/labels.h"
#include "engine/tsdb/tsdb.h"
#include "tests/lib/sample_map.h"
#include "tests/lib/traffic.h"

static const int64_t START_MS = 1700000000000;

struct world {
    struct tsdb *db;
    struct sample_map map;
    struct arena arena;
    struct rng rng;
    struct tsdb_sample *samples;
    uint8_t *outcomes;
    size_t samples_capacity, outcomes_capacity;
    const char *shape;
    uint64_t seed;
    uint64_t counts[TSDB_OUTCOME_COUNT];
    size_t columns; // that were compared and not empty
};

static struct tsdb *open_memory(void)
{
    struct tsdb *db = NULL;
    struct errmsg e;
    const struct tsdb_options options = {.path = NULL};
    cr_assert_eq(tsdb_open(&options, &db, &e), ERR_OK);
    return db;
}

static uint64_t ref_of(struct tsdb *db, struct str labels, uint64_t source)
{
    return tsdb_series(db, labels, labels_hash(labels, tsdb_hash_seed(db)), source);
}

static void apply(struct world *w, const struct traffic_batch *b)
{
    w->samples = mem_grow(w->samples, &w->samples_capacity, b->n, sizeof *w->samples);
    w->outcomes = mem_grow(w->outcomes, &w->outcomes_capacity, b->n, 1);
    for (size_t i = 0; i < b->n; i++) {
        const struct traffic_sample *s = &b->samples[i];
        const uint64_t ref = ref_of(w->db, s->labels, b->source);
        cr_assert_neq(ref, 0);
        w->samples[i] = (struct tsdb_sample){ref, s->t_ms, s->bits};
    }
    struct tsdb_commit c = {.samples = w->samples,
                            .n = b->n,
                            .outcomes = w->outcomes,
                            .late_ms = b->late_ms,
                            .max_t_ms = INT64_MAX};
    cr_assert_eq(tsdb_commit(w->db, &c, NULL), ERR_OK);
    for (size_t i = 0; i < TSDB_OUTCOME_COUNT; i++)
        w->counts[i] += c.counts[i];
    w->map.seq++;
    for (size_t i = 0; i < b->n; i++) {
        const struct traffic_sample *s = &b->samples[i];
        const enum tsdb_outcome want =
            sample_map_add(&w->map, s->labels, s->t_ms, s->bits, b->late_ms, INT64_MAX);
        cr_assert_eq(w->outcomes[i], want, "%s, seed %llu: sample %zu: outcome %d, wanted %d",
                     w->shape, (unsigned long long)w->seed, i, w->outcomes[i], want);
    }
}

// Sorted as storage.h says.
static const struct tsdb *sort_db;
static int compare_series(const void *a, const void *b)
{
    const struct map_series *x = *(struct map_series *const *)a,
                            *y = *(struct map_series *const *)b;
    const uint32_t px = tsdb_partition(sort_db, x->labels), py = tsdb_partition(sort_db, y->labels);
    if (px != py)
        return px < py ? -1 : 1;
    const int order =
        str_cmp(labels_value(x->labels, LABEL_NAME), labels_value(y->labels, LABEL_NAME));
    return order ? order : labels_cmp(x->labels, y->labels);
}

static size_t wanted_series(struct world *w, const struct matcher *ms, size_t n, int64_t mint,
                            int64_t maxt, uint64_t seq, struct map_series **out)
{
    size_t found = 0;
    for (size_t i = 0; i < w->map.n; i++) {
        struct map_series *s = &w->map.series[i];
        bool in_range = false;
        for (size_t k = 0; k < s->n; k++) {
            const struct map_sample *x = &s->samples[k];
            in_range |= x->t_ms > mint && x->t_ms <= maxt && x->seq <= seq;
        }
        if (in_range && matchers_match(ms, n, s->labels))
            out[found++] = s;
    }
    sort_db = w->db;
    qsort(out, found, sizeof *out, compare_series);
    return found;
}

static void check_column(struct world *w, const struct map_series *want, const struct column *got,
                         int64_t mint, int64_t maxt, uint64_t seq)
{
    size_t at = 0;
    for (size_t i = 0; i < want->n; i++) {
        const struct map_sample *s = &want->samples[i];
        if (s->t_ms <= mint || s->t_ms > maxt || s->seq > seq)
            continue;
        cr_assert_lt(at, got->n, "%s, seed %llu: %zu samples, more wanted", w->shape,
                     (unsigned long long)w->seed, got->n);
        cr_assert(got->t[at] == s->t_ms && bits_from_double(got->v[at]) == s->bits,
                  "%s, seed %llu: sample %zu: (%lld, %llx), wanted (%lld, %llx)", w->shape,
                  (unsigned long long)w->seed, at, (long long)got->t[at],
                  (unsigned long long)bits_from_double(got->v[at]), (long long)s->t_ms,
                  (unsigned long long)s->bits);
        at++;
    }
    cr_assert_eq(at, got->n, "%s, seed %llu: %zu samples, wanted %zu", w->shape,
                 (unsigned long long)w->seed, got->n, at);
}

static void check_set(struct world *w, const struct storage_set *set, const struct matcher *ms,
                      size_t ms_n, int64_t mint, int64_t maxt, uint64_t seq)
{
    const struct storage storage = tsdb_storage(w->db);
    struct column *columns = mem_alloc_array(set->n + 1, sizeof *columns);
    struct map_series **want = mem_alloc_array(w->map.n + 1, sizeof *want);
    cr_assert_eq(storage.ops->read(storage.self, set, set->series, set->n, mint, maxt, &w->arena,
                                   columns, NULL),
                 ERR_OK);
    const size_t n = wanted_series(w, ms, ms_n, mint, maxt, seq, want);
    size_t at = 0;
    for (size_t i = 0; i < set->n; i++) {
        if (!columns[i].n)
            continue; // may have samples, says select
        cr_assert_lt(at, n, "%s, seed %llu: series more than %zu", w->shape,
                     (unsigned long long)w->seed, n);
        cr_assert(str_eq(set->series[i].labels, want[at]->labels), "%s, seed %llu: series %zu",
                  w->shape, (unsigned long long)w->seed, at);
        cr_assert_eq(set->series[i].partition, tsdb_partition(w->db, want[at]->labels));
        check_column(w, want[at], &columns[i], mint, maxt, seq);
        w->columns++;
        at++;
    }
    cr_assert_eq(at, n, "%s, seed %llu: %zu series, wanted %zu", w->shape,
                 (unsigned long long)w->seed, at, n);
    mem_free(columns);
    mem_free(want);
}

enum { MATCHERS_MAX = 3 };

struct query {
    struct matcher ms[MATCHERS_MAX];
    size_t n;
    int64_t mint, maxt;
};

static void random_query(struct world *w, struct query *q)
{
    static const struct {
        struct str name, value;
    } texts[] = {{STR("__name__"), STR("metric-3")},
                 {STR("__name__"), STR("metric-1.*")},
                 {STR("job"), STR("node")},
                 {STR("job"), STR("node|app|pods")},
                 {STR("cpu"), STR("")},
                 {STR("cpu"), STR("cpu-1|cpu-2")},
                 {STR("pod"), STR("pod-[0-2]|")},
                 {STR("pod"), STR("pod-1")},
                 {STR("nothing"), STR("")},
                 {STR("nothing"), STR("x")},
                 {STR("Zone"), STR(".+")},
                 {STR("cluster"), STR("cluster-1")},
                 {STR("instance"), STR(".*9100-.*")},
                 {STR("Zone"), STR("z-(1|2)")}};
    q->n = rng_below(&w->rng, MATCHERS_MAX + 1);
    for (size_t i = 0; i < q->n; i++) {
        const size_t k = rng_below(&w->rng, countof(texts));
        q->ms[i] = (struct matcher){.kind = (enum matcher_kind)rng_below(&w->rng, 4),
                                    .name = texts[k].name,
                                    .value = texts[k].value};
        if (q->ms[i].kind >= MATCHER_RE) {
            struct regex *regex;
            cr_assert_eq(regex_create(texts[k].value, REGEX_ANCHORED, &regex, NULL), ERR_OK);
            q->ms[i].regex = regex;
        }
    }
    q->mint = START_MS - 1000 + (int64_t)rng_below(&w->rng, 1500000);
    q->maxt = q->mint + (int64_t)rng_below(&w->rng, 2000000);
    if (rng_below(&w->rng, 3) == 0) {
        q->mint = INT64_MIN;
        q->maxt = INT64_MAX;
    }
}

static void query_deinit(struct query *q)
{
    for (size_t i = 0; i < q->n; i++)
        regex_destroy((struct regex *)(uintptr_t)q->ms[i].regex);
}

static void select_all(struct world *w, const struct query *q, struct storage_set *out)
{
    const struct storage storage = tsdb_storage(w->db);
    cr_assert_eq(
        storage.ops->select(storage.self, q->ms, q->n, q->mint, q->maxt, 0, &w->arena, out, NULL),
        ERR_OK);
}

static void check_queries(struct world *w, size_t count)
{
    const struct storage storage = tsdb_storage(w->db);
    for (size_t i = 0; i < count; i++) {
        struct query q;
        struct storage_set set;
        random_query(w, &q);
        select_all(w, &q, &set);
        check_set(w, &set, q.ms, q.n, q.mint, q.maxt, UINT64_MAX);
        storage.ops->release(storage.self, &set);
        query_deinit(&q);
        arena_reset(&w->arena);
    }
}

static void world_init(struct world *w, const char *shape, uint64_t seed)
{
    *w = (struct world){.db = open_memory(), .shape = shape, .seed = seed};
    arena_init(&w->arena, 0);
    rng_init(&w->rng, seed);
}

static void world_deinit(struct world *w)
{
    cr_assert_eq(tsdb_close(w->db, NULL), ERR_OK);
    sample_map_deinit(&w->map);
    arena_deinit(&w->arena);
    mem_free(w->samples);
    mem_free(w->outcomes);
}

// A query that began before later commits sees none of them.
static void run_with_old_query(struct world *w, const struct traffic *t, size_t from, size_t to)
{
    const struct storage storage = tsdb_storage(w->db);
    struct query q = {.mint = INT64_MIN, .maxt = INT64_MAX};
    struct arena mine;
    struct storage_set set;
    arena_init(&mine, 0);
    cr_assert_eq(storage.ops->select(storage.self, NULL, 0, q.mint, q.maxt, 0, &mine, &set, NULL),
                 ERR_OK);
    const uint64_t seq = w->map.seq;
    for (size_t i = from; i < to; i++)
        apply(w, &t->batches[i]);
    check_set(w, &set, NULL, 0, q.mint, q.maxt, seq);
    storage.ops->release(storage.self, &set);
    arena_deinit(&mine);
}

Test(head, answers_as_the_map)
{
    uint64_t counts[TSDB_OUTCOME_COUNT] = {0};
    size_t columns = 0;
    for (size_t shape = 0; shape < TRAFFIC_SHAPE_COUNT; shape++) {
        for (uint64_t seed = 1; seed <= 2; seed++) {
            struct world w;
            struct traffic t;
            world_init(&w, traffic_shape_name((enum traffic_shape)shape), seed);
            traffic_init(&t, (enum traffic_shape)shape, seed, START_MS, 60);
            const size_t step = t.n / 6 + 1;
            for (size_t i = 0; i < t.n; i += step) {
                run_with_old_query(&w, &t, i, i + step < t.n ? i + step : t.n);
                check_queries(&w, 12);
            }
            traffic_deinit(&t);
            for (size_t i = 0; i < TSDB_OUTCOME_COUNT; i++)
                counts[i] += w.counts[i];
            columns += w.columns;
            world_deinit(&w);
        }
    }
    for (size_t i = 0; i < TSDB_OUT_OF_BOUNDS; i++)
        cr_assert_gt(counts[i], 20, "outcome %zu: %llu times", i, (unsigned long long)counts[i]);
    cr_assert_gt(columns, 10000, "%zu columns", columns);
}
