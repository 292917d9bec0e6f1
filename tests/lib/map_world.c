#include "tests/lib/map_world.h"

#include <stdlib.h>

#include "engine/base/bits.h"
#include "engine/base/mem.h"
#include "engine/base/util.h"
#include "engine/model/labels.h"
#include "tests/lib/forms.h"

enum { MATCHERS_MAX = 3 };

struct query {
    struct matcher ms[MATCHERS_MAX];
    size_t n;
    int64_t mint, maxt;
};

struct part_answer { // of one shard
    struct map_world *w;
    const struct query *q;
    struct storage_set set;
    struct column *columns;
    struct arena arena;
    bool is_formed; // what was read has the forms that it should
    size_t histograms, starts;
    err result;
    struct errmsg e;
};

struct part_batch {
    struct map_world *w;
    const struct traffic_batch *batch;
    size_t *places; // of its samples in the batch
    size_t n;
    uint8_t *outcomes; // of the whole batch
    uint64_t counts[TSDB_OUTCOME_COUNT];
    err result;
    struct errmsg e;
};

void map_world_init(struct map_world *w, struct tsdb *db, const char *name, uint64_t seed,
                    struct findings *found)
{
    *w = (struct map_world){.db = db, .name = name, .seed = seed, .found = found};
    rng_init(&w->rng, seed);
}

void map_world_deinit(struct map_world *w)
{
    sample_map_deinit(&w->map);
    sent_rows_deinit(&w->rows);
}

static unsigned parts_of(const struct map_world *w)
{
    return w->shards ? shards_count(w->shards) : 1;
}

static void at_part(struct map_world *w, unsigned part, fiber_fn *fn, void *arg)
{
    if (!w->shards || shard_index(shard_self()) == part)
        fn(arg);
    else
        shard_call(shards_at(w->shards, part), LOOP_RECEIVE, fn, arg);
}

static void commit_part(void *arg)
{
    struct part_batch *p = arg;
    struct tsdb *db = p->w->db;
    struct tsdb_sample *samples = mem_alloc_array(p->n, sizeof *samples);
    uint8_t *outcomes = mem_alloc(p->n);
    for (size_t i = 0; i < p->n; i++) {
        const struct traffic_sample *s = &p->batch->samples[p->places[i]];
        const uint64_t ref = tsdb_series(db, s->labels, labels_hash(s->labels, tsdb_hash_seed(db)),
                                         p->batch->source);
        samples[i] = (struct tsdb_sample){ref, s->t_ms, s->bits};
    }
    struct tsdb_commit c = {.samples = samples,
                            .n = p->n,
                            .outcomes = outcomes,
                            .late_ms = p->batch->late_ms,
                            .max_t_ms = INT64_MAX};
    struct arena forms;
    arena_init(&forms, 0);
    if (p->w->forms)
        form_commit(&c, &forms);
    if (!p->w->shards)
        sent_rows_say(&p->w->rows, p->batch->source, &c);
    p->result = tsdb_commit(db, &c, &p->e);
    if (!p->w->shards)
        sent_rows_note(&p->w->rows);
    arena_deinit(&forms);
    for (size_t i = 0; i < p->n; i++)
        p->outcomes[p->places[i]] = outcomes[i];
    memcpy(p->counts, c.counts, sizeof p->counts);
    mem_free(samples);
    mem_free(outcomes);
}

static void apply_part(struct map_world *w, unsigned part, const struct traffic_batch *b,
                       uint8_t *outcomes)
{
    struct part_batch p = {.w = w, .batch = b, .outcomes = outcomes};
    p.places = mem_alloc_array(b->n, sizeof *p.places);
    for (size_t i = 0; i < b->n; i++) {
        if (tsdb_owner(w->db, tsdb_partition(w->db, b->samples[i].labels)) == part)
            p.places[p.n++] = i;
    }
    if (p.n) {
        at_part(w, part, commit_part, &p);
        want(w->found, p.result == ERR_OK, "%s, seed %llu: commit: %s", w->name,
             (unsigned long long)w->seed, p.e.text);
        for (size_t i = 0; i < TSDB_OUTCOME_COUNT; i++)
            w->counts[i] += p.counts[i];
    }
    mem_free(p.places);
}

void map_world_apply(struct map_world *w, const struct traffic_batch *b)
{
    uint8_t *outcomes = mem_zalloc(b->n);
    for (unsigned part = 0; part < parts_of(w); part++)
        apply_part(w, part, b, outcomes);
    w->map.seq++;
    for (size_t i = 0; i < b->n; i++) {
        const struct traffic_sample *s = &b->samples[i];
        const enum tsdb_outcome wanted =
            sample_map_add(&w->map, s->labels, s->t_ms, s->bits, b->late_ms, INT64_MAX);
        want(w->found, w->any_outcome || outcomes[i] == wanted,
             "%s, seed %llu: sample %zu: outcome %d, wanted %d", w->name,
             (unsigned long long)w->seed, i, outcomes[i], wanted);
    }
    mem_free(outcomes);
}

struct ordered { // a series of the map
    struct map_series *series;
    uint32_t partition;
};

static int compare_series(const void *a, const void *b)
{
    const struct ordered *x = a, *y = b;
    if (x->partition != y->partition)
        return x->partition < y->partition ? -1 : 1;
    const int order = str_cmp(labels_value(x->series->labels, LABEL_NAME),
                              labels_value(y->series->labels, LABEL_NAME));
    return order ? order : labels_cmp(x->series->labels, y->series->labels);
}

static bool is_wanted(const struct map_sample *s, const struct query *q, uint64_t seq)
{
    return s->t_ms > q->mint && s->t_ms <= q->maxt && s->seq <= seq;
}

static size_t wanted_series(struct map_world *w, const struct query *q, uint64_t seq,
                            struct ordered *out)
{
    size_t found = 0;
    for (size_t i = 0; i < w->map.n; i++) {
        struct map_series *s = &w->map.series[i];
        bool in_range = false;
        for (size_t k = 0; k < s->n && !in_range; k++)
            in_range = is_wanted(&s->samples[k], q, seq);
        if (in_range && matchers_match(q->ms, q->n, s->labels))
            out[found++] = (struct ordered){s, tsdb_partition(w->db, s->labels)};
    }
    if (found)
        qsort(out, found, sizeof *out, compare_series);
    return found;
}

static void check_column(struct map_world *w, const struct map_series *s, const struct column *got,
                         const struct query *q, uint64_t seq)
{
    size_t at = 0;
    for (size_t i = 0; i < s->n && !w->found->text[0]; i++) {
        const struct map_sample *x = &s->samples[i];
        if (!is_wanted(x, q, seq))
            continue;
        want(w->found, at < got->n, "%s, seed %llu: %zu samples, more wanted (first missing %lld)",
             w->name, (unsigned long long)w->seed, got->n, (long long)x->t_ms);
        if (at >= got->n)
            return;
        want(w->found, got->t[at] == x->t_ms && bits_from_double(got->v[at]) == x->bits,
             "%s, seed %llu: sample %zu: (%lld, %llx), wanted (%lld, %llx)", w->name,
             (unsigned long long)w->seed, at, (long long)got->t[at],
             (unsigned long long)bits_from_double(got->v[at]), (long long)x->t_ms,
             (unsigned long long)x->bits);
        at++;
    }
    want(w->found, at == got->n, "%s, seed %llu: %zu samples, wanted %zu", w->name,
         (unsigned long long)w->seed, got->n, at);
    w->columns++;
}

static void select_part(void *arg)
{
    struct part_answer *a = arg;
    const struct storage s = tsdb_storage(a->w->db);
    arena_init(&a->arena, 0);
    a->result = s.ops->select(s.self, a->q->ms, a->q->n, a->q->mint, a->q->maxt, NULL, &a->arena,
                              &a->set, &a->e);
}

static void read_part(void *arg)
{
    struct part_answer *a = arg;
    const struct storage s = tsdb_storage(a->w->db);
    if (a->result != ERR_OK)
        return;
    a->columns = mem_zalloc((a->set.n + 1) * sizeof *a->columns);
    a->result = s.ops->read(s.self, &a->set, a->set.series, a->set.n, a->q->mint, a->q->maxt,
                            &a->arena, a->columns, &a->e);
    for (size_t i = 0; a->w->forms && a->result == ERR_OK && i < a->set.n; i++) {
        struct column *c = &a->columns[i];
        for (size_t k = 0; k < c->n; k++) {
            a->histograms += c->histograms && c->histograms[k].p;
            a->starts += c->starts && c->starts[k];
        }
        a->is_formed &= form_undo(c, true, &a->arena);
    }
}

static void release_part(void *arg)
{
    struct part_answer *a = arg;
    const struct storage s = tsdb_storage(a->w->db);
    s.ops->release(s.self, &a->set);
    mem_free(a->columns);
    arena_deinit(&a->arena);
}

static void begin_query(struct map_world *w, const struct query *q, struct part_answer *answers)
{
    for (unsigned i = 0; i < parts_of(w); i++) {
        answers[i] = (struct part_answer){.w = w, .q = q, .is_formed = true};
        at_part(w, i, select_part, &answers[i]);
        want(w->found, answers[i].result == ERR_OK, "select: %s", answers[i].e.text);
    }
}

// Parts' partitions ascend: their answers one after the other are in order.
static void end_query(struct map_world *w, const struct query *q, uint64_t seq,
                      struct part_answer *answers)
{
    struct ordered *wanted = mem_alloc_array(w->map.n + 1, sizeof *wanted);
    const size_t n = wanted_series(w, q, seq, wanted);
    size_t at = 0;
    for (unsigned part = 0; part < parts_of(w); part++) {
        struct part_answer *a = &answers[part];
        at_part(w, part, read_part, a);
        want(w->found, a->result == ERR_OK, "read: %s", a->e.text);
        w->histograms += a->histograms;
        w->starts += a->starts;
        want(w->found, a->is_formed, "%s, seed %llu: a sample in another form", w->name,
             (unsigned long long)w->seed);
        for (size_t i = 0; a->result == ERR_OK && i < a->set.n && !w->found->text[0]; i++) {
            if (!a->columns[i].n)
                continue; // may have samples, says select
            want(w->found,
                 at < n && str_eq(a->set.series[i].labels, wanted[at].series->labels) &&
                     a->set.series[i].partition == wanted[at].partition,
                 "%s, seed %llu: series %zu of %zu is another", w->name,
                 (unsigned long long)w->seed, at, n);
            if (!w->found->text[0])
                check_column(w, wanted[at].series, &a->columns[i], q, seq);
            at++;
        }
        at_part(w, part, release_part, a);
    }
    want(w->found, at == n, "%s, seed %llu: %zu series, wanted %zu", w->name,
         (unsigned long long)w->seed, at, n);
    mem_free(wanted);
}

static void random_query(struct map_world *w, struct query *q)
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
        struct regex *regex = NULL;
        if (q->ms[i].kind >= MATCHER_RE)
            want(w->found, regex_create(texts[k].value, REGEX_ANCHORED, &regex, NULL) == ERR_OK);
        q->ms[i].regex = regex;
    }
    q->mint = w->start_ms - 1000 + (int64_t)rng_below(&w->rng, 1500000);
    q->maxt = q->mint + (int64_t)rng_below(&w->rng, 2000000);
    if (rng_below(&w->rng, 3) == 0) {
        q->mint = INT64_MIN;
        q->maxt = INT64_MAX;
    }
}

static void run_query(struct map_world *w, const struct query *q)
{
    struct part_answer *answers = mem_alloc_array(parts_of(w), sizeof *answers);
    const uint64_t seq = w->map.seq;
    begin_query(w, q, answers);
    end_query(w, q, seq, answers);
    mem_free(answers);
}

void map_world_check(struct map_world *w, size_t count)
{
    for (size_t i = 0; i < count && !w->found->text[0]; i++) {
        struct query q;
        random_query(w, &q);
        run_query(w, &q);
        for (size_t k = 0; k < q.n; k++)
            regex_destroy((struct regex *)(uintptr_t)q.ms[k].regex);
    }
}

void map_world_check_all(struct map_world *w)
{
    run_query(w, &(struct query){.mint = INT64_MIN, .maxt = INT64_MAX});
}

void map_world_apply_during_query(struct map_world *w, const struct traffic_batch *begin,
                                  const struct traffic_batch *end)
{
    const struct query q = {.mint = INT64_MIN, .maxt = INT64_MAX};
    struct part_answer *answers = mem_alloc_array(parts_of(w), sizeof *answers);
    const uint64_t seq = w->map.seq;
    begin_query(w, &q, answers);
    for (const struct traffic_batch *b = begin; b < end && !w->found->text[0]; b++)
        map_world_apply(w, b);
    end_query(w, &q, seq, answers);
    mem_free(answers);
}
