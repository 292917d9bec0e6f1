#include "tests/unit/tsdb/block_world.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/base/bits.h"
#include "engine/base/util.h"
#include "engine/model/labels.h"
#include "engine/model/value.h"
#include "tests/lib/forms.h"

uint32_t block_world_partition(struct str labels)
{
    const struct str job = labels_value(labels, STR("job")),
                     at = labels_value(labels, STR("instance"));
    return (uint32_t)(hash64(job.p, job.n, hash64(at.p, at.n, 7)) % 16);
}

// ---- labels

struct pairs {
    struct str name, value;
};

static void add(struct block_world *w, const struct pairs *tuple, size_t tuple_n,
                const struct pairs *local, size_t local_n)
{
    struct block_sample_series *s = &w->series[w->n++];
    struct labels_builder all = {0}, part = {0};
    for (size_t i = 0; i < tuple_n; i++) {
        labels_builder_set(&all, tuple[i].name, tuple[i].value);
        labels_builder_set(&part, tuple[i].name, tuple[i].value);
    }
    s->tuple = labels_builder_finish(&part, &w->a);
    labels_builder_reset(&part);
    for (size_t i = 0; i < local_n; i++) {
        labels_builder_set(&all, local[i].name, local[i].value);
        labels_builder_set(&part, local[i].name, local[i].value);
    }
    s->local = labels_builder_finish(&part, &w->a);
    s->labels = labels_builder_finish(&all, &w->a);
    labels_builder_deinit(&all);
    labels_builder_deinit(&part);
}

// Targets of one exporter: the same local sets under each instance.
static void add_targets(struct block_world *w)
{
    static const char *const metrics[] = {"node_cpu_seconds_total", "node_load1", "up",
                                          "node_memory_bytes", "node_disk_io"};
    for (unsigned target = 0; target < 30; target++) {
        const struct pairs tuple[] = {
            {STR("job"), STR("node")},
            {STR("instance"), arena_printf(&w->a, "10.0.0.%u:9100", target)},
            {STR("pod"), arena_printf(&w->a, "node-%u", target)},
            {STR("cluster"), arena_printf(&w->a, "c%u", target % 3)}};
        for (unsigned m = 0; m < countof(metrics); m++)
            for (unsigned cpu = 0; cpu < (m == 0 ? 4 : 1); cpu++) {
                const struct pairs local[] = {{LABEL_NAME, str_from_c(metrics[m])},
                                              {STR("cpu"), arena_printf(&w->a, "%u", cpu)},
                                              {STR("mode"), cpu % 2 ? STR("idle") : STR("user")}};
                add(w, tuple, countof(tuple), local, m == 0 ? 3 : 1);
            }
    }
}

// One target that tells of others: the label pod stands in local sets here.
static void add_states(struct block_world *w)
{
    const struct pairs tuple[] = {{STR("job"), STR("states")}, {STR("instance"), STR("ksm:80")}};
    for (unsigned pod = 0; pod < 60; pod++) {
        const struct pairs local[] = {
            {LABEL_NAME, pod % 2 ? STR("kube_pod_info") : STR("up")},
            {STR("pod"), arena_printf(&w->a, "node-%u", pod)},
            {STR("uid"), arena_printf(&w->a, "%u-a-long-uid-of-a-pod", pod * 7919)}};
        add(w, tuple, countof(tuple), local, countof(local));
    }
}

// Classic histograms, whose columns are told beside each other.
static void add_buckets(struct block_world *w)
{
    static const char *const bounds[] = {"+Inf", "0.1", "0.5", "1", "10"};
    for (unsigned target = 0; target < 12; target++)
        for (unsigned i = 0; i <= countof(bounds); i++) {
            const struct pairs tuple[] = {{STR("job"), STR("api")},
                                          {STR("instance"), arena_printf(&w->a, "api-%u", target)}};
            const struct pairs local[] = {
                {LABEL_NAME,
                 i < countof(bounds) ? STR("http_seconds_bucket") : STR("http_seconds_count")},
                {STR("le"), i < countof(bounds) ? str_from_c(bounds[i]) : STR("")}};
            add(w, tuple, 2, local, i < countof(bounds) ? 2 : 1);
        }
}

static void add_odd_ones(struct block_world *w)
{
    char *long_value = arena_alloc(&w->a, 70000, 1);
    memset(long_value, 'x', 70000);
    const struct pairs local[] = {{LABEL_NAME, STR("http.requests \xc3\xa4")},
                                  {STR("le"), STR("+Inf")},
                                  {STR("path"), str_make(long_value, 70000)}};
    add(w, NULL, 0, local, 3); // nothing is shared
    add(w, NULL, 0, local, 2);
    add(w, NULL, 0, local, 1);
    add(w, NULL, 0, local + 1, 1); // no name
    const struct pairs shared[] = {{STR("Zone"), STR("eu")}, {STR("job"), STR("rules")}};
    const struct pairs rule[] = {{LABEL_NAME, STR("job:up:sum")}};
    add(w, shared, 2, rule, 1);
    add(w, shared, 1, rule, 1);
}

static int by_name(const void *a, const void *b)
{
    const struct block_sample_series *x = a, *y = b;
    return str_cmp(labels_value(x->local, LABEL_NAME), labels_value(y->local, LABEL_NAME));
}

void block_world_init(struct block_world *w, uint64_t seed)
{
    *w = (struct block_world){.dir = "/tmp/ferula-block-XXXXXX"};
    arena_init(&w->a, 0);
    rng_init(&w->r, seed);
    w->oracle = oracle_create(block_world_partition);
    w->series = calloc(2000, sizeof *w->series);
    add_targets(w);
    add_states(w);
    add_buckets(w);
    add_odd_ones(w);
    qsort(w->series, w->n, sizeof *w->series, by_name);
    if (!mkdtemp(w->dir))
        abort();
}

void block_world_deinit(struct block_world *w)
{
    char command[128];
    snprintf(command, sizeof command, "rm -r %s", w->dir);
    if (system(command))
        abort();
    oracle_destroy(w->oracle);
    free(w->series);
    arena_deinit(&w->a);
}

// ---- samples

// The share of observations that a series of add_buckets() has counted; 0: it is another.
static double share_of(const struct block_sample_series *s)
{
    const struct str name = labels_value(s->labels, LABEL_NAME),
                     le = labels_value(s->labels, STR("le"));
    if (str_eq(name, STR("http_seconds_count")))
        return 1;
    if (!str_eq(name, STR("http_seconds_bucket")))
        return 0;
    return str_eq(le, STR("0.1"))   ? 0.7
           : str_eq(le, STR("0.5")) ? 0.93
           : str_eq(le, STR("1"))   ? 0.96
                                    : 1;
}

static void count_observations(struct block_sample_series *s, double share)
{
    const struct str at = labels_value(s->labels, STR("instance"));
    struct rng r;
    double all = 0;
    rng_init(&r, hash64(at.p, at.n, (uint64_t)s->t[0]));
    for (size_t i = 0; i < s->n; i++) {
        all += (double)rng_below(&r, 5000);
        s->bits[i] = bits_from_double(floor(all * share));
    }
}

void block_world_fill(struct block_world *w, int64_t from, int64_t span, int64_t step)
{
    const size_t max = (size_t)(span / step);
    int64_t *shared = arena_alloc(&w->a, max * sizeof *shared, 8);
    for (size_t i = 0; i < max; i++)
        shared[i] = from + 1 + (int64_t)i * step;
    for (size_t s = 0; s < w->n; s++) {
        struct block_sample_series *one = &w->series[s];
        const uint64_t shape = rng_below(&w->r, 8);
        one->n = 0;
        if (shape == 0)
            continue;
        one->t = arena_alloc(&w->a, max * sizeof *one->t, 8);
        one->bits = arena_alloc(&w->a, max * sizeof *one->bits, 8);
        double v = (double)rng_below(&w->r, 1000);
        for (size_t i = 0; i < max; i++) {
            if (shape == 1 && rng_below(&w->r, 5) == 0)
                continue;
            v += shape == 2 ? 0 : shape == 3 ? 0.25 : rng_double(&w->r);
            one->t[one->n] = shared[i];
            if (shape == 4)
                one->t[one->n] += (int64_t)rng_below(&w->r, (uint64_t)step);
            one->bits[one->n++] = rng_below(&w->r, 50) ? bits_from_double(v) : VALUE_STALE_BITS;
        }
        if (share_of(one) > 0)
            count_observations(one, share_of(one));
    }
}

static bool has_time(const struct column *c, int64_t t)
{
    for (size_t i = 0; i < c->n; i++)
        if (c->t[i] == t)
            return true;
    return false;
}

void block_world_remember(struct block_world *w, bool keep)
{
    for (size_t s = 0; s < w->n; s++)
        for (size_t i = 0; i < w->series[s].n; i++) {
            const struct block_sample_series *one = &w->series[s];
            const struct column known = oracle_samples(w->oracle, one->labels);
            double v;
            memcpy(&v, &one->bits[i], sizeof v);
            if (!keep || !has_time(&known, one->t[i]))
                oracle_append(w->oracle, one->labels, one->t[i], v);
        }
}

void block_world_forget(struct block_world *w, int64_t t)
{
    struct oracle *left = oracle_create(block_world_partition);
    for (size_t s = 0; s < w->n; s++) {
        const struct column c = oracle_samples(w->oracle, w->series[s].labels);
        for (size_t i = 0; i < c.n; i++)
            if (c.t[i] > t)
                oracle_append(left, w->series[s].labels, c.t[i], c.v[i]);
    }
    oracle_destroy(w->oracle);
    w->oracle = left;
}

void block_world_divide(struct block_world *w, unsigned how)
{
    for (size_t s = 0; s < w->n && how; s++) {
        struct labels_builder tuple = {0}, local = {0};
        struct label label;
        size_t i = 0;
        for (struct labels_iter it = labels_iter(w->series[s].labels); labels_next(&it, &label);
             i++)
            if (how == 1 || i % how == 0 || str_eq(label.name, LABEL_NAME))
                labels_builder_set(&local, label.name, label.value);
            else
                labels_builder_set(&tuple, label.name, label.value);
        w->series[s].tuple = labels_builder_finish(&tuple, &w->a);
        w->series[s].local = labels_builder_finish(&local, &w->a);
        labels_builder_deinit(&tuple);
        labels_builder_deinit(&local);
    }
}

void block_world_path(const struct block_world *w, const char *name, char out[128])
{
    snprintf(out, 128, "%s/%s", w->dir, name);
}

err block_world_write(struct block_world *w, const char *name, struct block_summary *out,
                      struct errmsg *e)
{
    char path[128];
    struct block_writer *writer;
    block_world_path(w, name, path);
    TRY(block_writer_create(path, 0, 0, &writer, e));
    err code = ERR_OK;
    struct arena a;
    arena_init(&a, 0);
    for (size_t i = 0; i < w->n && code == ERR_OK; i++) {
        const struct block_sample_series *s = &w->series[i];
        const struct block_key key = {block_world_partition(s->labels), s->tuple, s->local};
        arena_reset(&a);
        const struct column samples =
            w->forms ? form_column(s->t, s->bits, s->n, &a)
                     : (struct column){.t = s->t, .v = (const double *)s->bits, .n = s->n};
        if (s->n)
            code = block_writer_add(writer, &key, &samples, e);
    }
    arena_deinit(&a);
    if (code == ERR_OK)
        code = block_writer_finish(writer, out, e);
    block_writer_destroy(writer);
    return code;
}

// ---- comparing

struct question {
    struct {
        enum matcher_kind kind;
        const char *name, *value;
    } ms[3];
    size_t n;
};

static const struct question questions[] = {
    {{{0}}, 0},
    {{{MATCHER_EQ, "__name__", "up"}}, 1},
    {{{MATCHER_EQ, "__name__", "node_cpu_seconds_total"}, {MATCHER_EQ, "cpu", "2"}}, 2},
    {{{MATCHER_EQ, "job", "node"}, {MATCHER_NE, "cluster", "c1"}}, 2},
    {{{MATCHER_EQ, "instance", "10.0.0.7:9100"}}, 1},
    {{{MATCHER_EQ, "pod", "node-7"}}, 1}, // in tuples of one job, in sets of the other
    {{{MATCHER_RE, "pod", "node-1.*"}, {MATCHER_NE, "mode", "idle"}}, 2},
    {{{MATCHER_RE, "pod", "node-(3|5|nothing)"}, {MATCHER_EQ, "__name__", "up"}}, 2},
    {{{MATCHER_NE, "pod", "node-7"}}, 1},
    {{{MATCHER_NRE, "pod", "node-.*"}}, 1},
    {{{MATCHER_EQ, "pod", ""}}, 1},
    {{{MATCHER_NE, "pod", ""}}, 1},
    {{{MATCHER_RE, "pod", ""}}, 1},
    {{{MATCHER_RE, "pod", ".*"}}, 1},
    {{{MATCHER_RE, "pod", ".+"}, {MATCHER_RE, "cpu", "|0"}}, 2},
    {{{MATCHER_NRE, "pod", "|node-1"}}, 1},
    {{{MATCHER_EQ, "absent", ""}}, 1},
    {{{MATCHER_EQ, "absent", "x"}}, 1},
    {{{MATCHER_NE, "absent", "x"}, {MATCHER_EQ, "job", "rules"}}, 2},
    {{{MATCHER_RE, "__name__", "node_.*"}, {MATCHER_RE, "mode", "idle|user"}}, 2},
    {{{MATCHER_EQ, "__name__", ""}}, 1},
    {{{MATCHER_EQ, "__name__", "http.requests \xc3\xa4"}, {MATCHER_NE, "path", ""}}, 2},
    {{{MATCHER_EQ, "Zone", "eu"}}, 1},
    {{{MATCHER_NRE, "__name__", "node.*|kube.*"}, {MATCHER_NE, "job", ""}}, 2},
};

static bool fail(struct block_world *w, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static bool fail(struct block_world *w, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(w->why, sizeof w->why, format, args);
    va_end(args);
    return false;
}

static size_t make_matchers(const struct question *q, struct matcher *ms)
{
    for (size_t i = 0; i < q->n; i++) {
        struct regex *regex = NULL;
        const enum matcher_kind kind = q->ms[i].kind;
        const struct str value = str_from_c(q->ms[i].value);
        if ((kind == MATCHER_RE || kind == MATCHER_NRE) &&
            regex_create(value, REGEX_ANCHORED, &regex, NULL) != ERR_OK)
            abort();
        ms[i] = (struct matcher){kind, str_from_c(q->ms[i].name), value, regex};
    }
    return q->n;
}

static void free_matchers(struct matcher *ms, size_t n)
{
    for (size_t i = 0; i < n; i++)
        regex_destroy((struct regex *)(uintptr_t)ms[i].regex);
}

struct asking {
    struct block_world *w;
    struct block_file *f;
    const struct matcher *ms;
    size_t n, question;
    struct block_range range;
    int64_t mint, maxt;
    struct arena a;
    struct errmsg e;
};

static bool same_column(const struct column *x, const struct column *y)
{
    if (x->n != y->n)
        return false;
    for (size_t i = 0; i < x->n; i++)
        if (x->t[i] != y->t[i] || memcmp(&x->v[i], &y->v[i], sizeof *x->v) != 0)
            return false;
    return true;
}

// What the oracle has, without series that have no sample in the range.
static bool compare_series(struct asking *k)
{
    struct oracle_view view = {k->w->oracle, k->range.begin, k->range.end};
    struct storage s = oracle_storage(&view);
    struct storage_set set;
    struct block_series *got;
    size_t got_n, at = 0;
    if (s.ops->select(s.self, k->ms, k->n, k->mint, k->maxt, NULL, &k->a, &set, &k->e) != ERR_OK ||
        block_file_select(k->f, k->ms, k->n, k->range, 0, &k->a, &got, &got_n, &k->e) != ERR_OK)
        return fail(k->w, "question %zu: %s", k->question, k->e.text);
    struct column *want_c = arena_array(&k->a, set.n, struct column);
    struct column *got_c = arena_array(&k->a, got_n, struct column);
    uint32_t *ids = arena_array(&k->a, got_n, uint32_t);
    for (size_t i = 0; i < got_n; i++)
        ids[i] = got[i].id;
    if (s.ops->read(s.self, &set, set.series, set.n, k->mint, k->maxt, &k->a, want_c, &k->e) ||
        block_file_read(k->f, ids, got_n, k->mint, k->maxt, &k->a, got_c, &k->e) != ERR_OK)
        return fail(k->w, "question %zu: %s", k->question, k->e.text);
    for (size_t i = 0; i < set.n; i++) {
        if (want_c[i].n == 0)
            continue;
        while (at < got_n && got_c[at].n == 0)
            at++;
        if (at == got_n)
            return fail(k->w, "question %zu: series missing, of %zu", k->question, set.n);
        if (!str_eq(got[at].labels, set.series[i].labels) ||
            got[at].partition != set.series[i].partition)
            return fail(k->w, "question %zu: series %zu: other labels or order", k->question, i);
        if (k->w->forms && !form_undo(&got_c[at], k->range.end == 16, &k->a))
            return fail(k->w, "question %zu: series %zu: another form", k->question, i);
        if (!same_column(&got_c[at], &want_c[i]))
            return fail(k->w, "question %zu: series %zu: %zu samples, want %zu, or others",
                        k->question, i, got_c[at].n, want_c[i].n);
        at++;
    }
    while (at < got_n && got_c[at].n == 0)
        at++;
    s.ops->release(s.self, &set);
    return at == got_n || fail(k->w, "question %zu: too many series", k->question);
}

static bool same_texts(struct least *x, struct least *y)
{
    bool same = !least_finish(x, NULL) && !least_finish(y, NULL) && x->n == y->n;
    for (size_t i = 0; i < x->n && same; i++)
        same = str_eq(x->items[i], y->items[i]);
    return same;
}

// Names (name p NULL) or values: all, few, those behind one that is there or not.
static bool compare_texts_of(struct asking *k, struct str name)
{
    static const size_t maxes[] = {0, 1, 3};
    static const struct str afters[] = {{0}, {"job", 3}, {"p", 1}};
    struct oracle_view view = {k->w->oracle, k->range.begin, k->range.end};
    const struct storage s = oracle_storage(&view);
    bool same = true;
    for (size_t i = 0; i < countof(maxes) * countof(afters) && same; i++) {
        struct least want, got;
        least_init(&want, &k->a, maxes[i % countof(maxes)], false);
        least_init(&got, &k->a, maxes[i % countof(maxes)], false);
        want.after = got.after = afters[i / countof(maxes)];
        const err asked =
            name.p
                ? s.ops->label_values(s.self, name, k->ms, k->n, INT64_MIN, INT64_MAX, &want, &k->e)
                : s.ops->label_names(s.self, k->ms, k->n, INT64_MIN, INT64_MAX, &want, &k->e);
        const err code =
            name.p ? block_file_label_values(k->f, name, k->ms, k->n, k->range, &got, &k->e)
                   : block_file_label_names(k->f, k->ms, k->n, k->range, &got, &k->e);
        if (asked || code)
            same = fail(k->w, "question %zu: %s", k->question, k->e.text);
        else if (!same_texts(&want, &got))
            same = fail(k->w, "question %zu: %zu values of '%.*s', want %zu", k->question, got.n,
                        STR_ARG(name), want.n);
        least_deinit(&want);
        least_deinit(&got);
    }
    return same;
}

static err take_some(void *arg, const struct block_series *series, size_t n, struct errmsg *e)
{
    for (size_t i = 0; i < n; i++)
        TRY(least_add(arg, series[i].labels, e));
    return ERR_OK;
}

static bool compare_listed(struct asking *k)
{
    struct oracle_view view = {k->w->oracle, k->range.begin, k->range.end};
    const struct storage s = oracle_storage(&view);
    bool same = true;
    for (size_t max = 0; max < 6 && same; max += 5) {
        struct least want, got;
        least_init(&want, &k->a, max, true);
        least_init(&got, &k->a, max, true);
        if (s.ops->series_labels(s.self, k->ms, k->n, INT64_MIN, INT64_MAX, &want, &k->e) ||
            block_file_each(k->f, k->ms, k->n, k->range, &k->a, &got, &k->e, take_some))
            same = fail(k->w, "question %zu: %s", k->question, k->e.text);
        else if (!same_texts(&want, &got))
            same = fail(k->w, "question %zu: %zu series, want %zu", k->question, got.n, want.n);
        least_deinit(&want);
        least_deinit(&got);
    }
    return same;
}

static bool compare_texts(struct asking *k)
{
    static const char *const names[] = {"pod", "__name__", "job", "nothing", "mode", "path"};
    bool same = compare_listed(k) && compare_texts_of(k, (struct str){0});
    for (size_t i = 0; i < countof(names) && same; i++)
        same = compare_texts_of(k, str_from_c(names[i]));
    return same;
}

bool block_world_compare(struct block_world *w, struct block_file *f)
{
    static const struct block_range ranges[] = {{0, 16}, {3, 9}, {5, 5}, {0, UINT32_MAX}};
    const struct block_summary *summary = block_file_summary(f);
    const int64_t middle = summary->min_t + (summary->max_t - summary->min_t) / 2;
    const int64_t edges[][2] = {{INT64_MIN, INT64_MAX},
                                {summary->min_t, middle},
                                {middle, summary->max_t - 1},
                                {middle, middle + 1},
                                {summary->max_t, INT64_MAX}};
    // Which series match has nothing to do with the forms of their samples.
    for (size_t i = 0; i < (w->forms ? 1 : countof(questions)); i++) {
        struct matcher ms[3];
        const size_t n = make_matchers(&questions[i], ms);
        bool good = true;
        for (size_t r = 0; r < countof(ranges) * countof(edges) && good; r++) {
            const int64_t *edge = edges[r / countof(ranges)];
            struct asking k = {.w = w,
                               .f = f,
                               .ms = ms,
                               .n = n,
                               .question = i,
                               .range = ranges[r % countof(ranges)],
                               .mint = edge[0],
                               .maxt = edge[1]};
            arena_init(&k.a, 0);
            good = compare_series(&k) && (r >= countof(ranges) || compare_texts(&k));
            arena_deinit(&k.a);
        }
        free_matchers(ms, n);
        if (!good)
            return false;
    }
    return true;
}
