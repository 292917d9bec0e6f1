#include "tests/lib/oracle.h"

#include <assert.h>
#include <stdlib.h>

#include "engine/base/mem.h"
#include "engine/model/labels.h"

struct series {
    struct str labels; // own copy
    uint32_t partition;
    int64_t *t;
    double *v;
    size_t n, t_capacity, v_capacity;
};

struct oracle {
    oracle_partition_fn *partition;
    struct series **all; // by partition, metric name, labels
    size_t n, capacity;
};

static uint32_t partition_of_target(struct str labels)
{
    struct buf key = {0};
    buf_put_str(&key, labels_value(labels, STR("job")));
    buf_put_char(&key, 0);
    buf_put_str(&key, labels_value(labels, STR("instance")));
    const uint32_t partition = (uint32_t)(hash64(key.p, key.n, 0) % 256);
    buf_deinit(&key);
    return partition;
}

struct oracle *oracle_create(oracle_partition_fn *partition)
{
    struct oracle *o = mem_zalloc(sizeof *o);
    o->partition = partition ? partition : partition_of_target;
    return o;
}

void oracle_clear(struct oracle *o)
{
    for (size_t i = 0; i < o->n; i++) {
        struct series *s = o->all[i];
        mem_free((char *)s->labels.p);
        mem_free(s->t);
        mem_free(s->v);
        mem_free(s);
    }
    o->n = 0;
}

void oracle_destroy(struct oracle *o)
{
    if (!o)
        return;
    oracle_clear(o);
    mem_free(o->all);
    mem_free(o);
}

static int compare(uint32_t partition, struct str labels, const struct series *s)
{
    if (partition != s->partition)
        return partition < s->partition ? -1 : 1;
    const int names =
        str_cmp(labels_value(labels, LABEL_NAME), labels_value(s->labels, LABEL_NAME));
    return names ? names : labels_cmp(labels, s->labels);
}

// The series, or where it would stand.
static size_t position(const struct oracle *o, uint32_t partition, struct str labels, bool *found)
{
    size_t from = 0, to = o->n;
    while (from < to) {
        const size_t middle = from + (to - from) / 2;
        const int order = compare(partition, labels, o->all[middle]);
        if (order == 0) {
            *found = true;
            return middle;
        }
        if (order < 0)
            to = middle;
        else
            from = middle + 1;
    }
    *found = false;
    return from;
}

static struct series *series_of(struct oracle *o, struct str labels)
{
    const uint32_t partition = o->partition(labels);
    bool found;
    const size_t at = position(o, partition, labels, &found);
    if (found)
        return o->all[at];
    struct series *s = mem_zalloc(sizeof *s);
    char *copy = mem_alloc(labels.n);
    if (labels.n)
        memcpy(copy, labels.p, labels.n);
    s->labels = str_make(copy, labels.n);
    s->partition = partition;
    o->all = mem_grow(o->all, &o->capacity, o->n + 1, sizeof *o->all);
    memmove(o->all + at + 1, o->all + at, (o->n - at) * sizeof *o->all);
    o->all[at] = s;
    o->n++;
    return s;
}

void oracle_append(struct oracle *o, struct str labels, int64_t t_ms, double v)
{
    struct series *s = series_of(o, labels);
    size_t at = s->n;
    while (at > 0 && s->t[at - 1] > t_ms)
        at--;
    if (at > 0 && s->t[at - 1] == t_ms) {
        s->v[at - 1] = v;
        return;
    }
    s->t = mem_grow(s->t, &s->t_capacity, s->n + 1, sizeof *s->t);
    s->v = mem_grow(s->v, &s->v_capacity, s->n + 1, sizeof *s->v);
    memmove(s->t + at + 1, s->t + at, (s->n - at) * sizeof *s->t);
    memmove(s->v + at + 1, s->v + at, (s->n - at) * sizeof *s->v);
    s->t[at] = t_ms;
    s->v[at] = v;
    s->n++;
}

size_t oracle_series_count(const struct oracle *o)
{
    return o->n;
}

struct column oracle_samples(const struct oracle *o, struct str labels)
{
    bool found;
    const size_t at = position(o, o->partition(labels), labels, &found);
    if (!found)
        return (struct column){0};
    return (struct column){.t = o->all[at]->t, .v = o->all[at]->v, .n = o->all[at]->n};
}

// ---- storage

static bool is_in(int64_t t, int64_t mint, int64_t maxt)
{
    return t > mint && t <= maxt;
}

static bool has_sample(const struct series *s, int64_t mint, int64_t maxt)
{
    for (size_t i = 0; i < s->n; i++)
        if (is_in(s->t[i], mint, maxt))
            return true;
    return false;
}

static bool is_wanted(const struct oracle_view *view, const struct series *s,
                      const struct matcher *ms, size_t ms_count)
{
    return s->partition >= view->from && s->partition < view->to &&
           matchers_match(ms, ms_count, s->labels);
}

// Not more than what is asked for: who asks for too little finds out.
static struct str only_wanted(const struct storage_want *want, struct str labels, struct arena *a)
{
    char *p = arena_alloc(a, labels.n, 1);
    size_t n = 0;
    struct label label;
    struct labels_iter i = labels_iter(labels);
    for (const char *at = i.at; labels_next(&i, &label); at = i.at)
        for (size_t k = 0; k < want->names_n; k++)
            if (str_eq(want->names[k], label.name)) {
                memcpy(p + n, at, (size_t)(i.at - at));
                n += (size_t)(i.at - at);
                break;
            }
    return str_make(p, n);
}

static err oracle_select(void *self, const struct matcher *ms, size_t ms_count, int64_t mint,
                         int64_t maxt, const struct storage_want *want, struct arena *a,
                         struct storage_set *out, struct errmsg *e)
{
    const struct oracle_view *view = self;
    const struct oracle *o = view->oracle;
    struct storage_series *series =
        arena_alloc(a, (o->n + 1) * sizeof *series, _Alignof(struct storage_series));
    size_t n = 0;
    for (size_t i = 0; i < o->n; i++) {
        const struct series *s = o->all[i];
        if (!is_wanted(view, s, ms, ms_count))
            continue;
        if (!has_sample(s, mint, maxt))
            continue;
        if (want && want->max && n == want->max)
            return err_set(e, ERR_LIMIT, "more than %zu series", want->max);
        const struct str labels =
            want && want->some_labels ? only_wanted(want, s->labels, a) : arena_str(a, s->labels);
        series[n++] = (struct storage_series){labels, s->partition, i};
    }
    *out = (struct storage_set){series, n, NULL};
    return ERR_OK;
}

static err oracle_read(void *self, const struct storage_set *set,
                       const struct storage_series *series, size_t n, int64_t mint, int64_t maxt,
                       struct arena *a, struct column *out, struct errmsg *e)
{
    (void)set;
    (void)e;
    const struct oracle_view *view = self;
    for (size_t i = 0; i < n; i++) {
        assert(series[i].handle < view->oracle->n);
        const struct series *s = view->oracle->all[series[i].handle];
        int64_t *t = arena_alloc(a, s->n * sizeof *t, _Alignof(int64_t));
        double *v = arena_alloc(a, s->n * sizeof *v, _Alignof(double));
        size_t count = 0;
        for (size_t k = 0; k < s->n; k++)
            if (is_in(s->t[k], mint, maxt)) {
                t[count] = s->t[k];
                v[count++] = s->v[k];
            }
        out[i] = (struct column){.t = t, .v = v, .n = count};
    }
    return ERR_OK;
}

static void oracle_release(void *self, struct storage_set *set)
{
    (void)self;
    (void)set;
}

static err oracle_texts(const struct oracle_view *view, struct str name, const struct matcher *ms,
                        size_t ms_count, int64_t mint, int64_t maxt, struct least *out,
                        struct errmsg *e)
{
    const struct oracle *o = view->oracle;
    for (size_t i = 0; i < o->n; i++) {
        const struct series *s = o->all[i];
        if (!is_wanted(view, s, ms, ms_count) || !has_sample(s, mint, maxt))
            continue;
        struct label label;
        for (struct labels_iter l = labels_iter(s->labels); labels_next(&l, &label);)
            if (!name.p)
                TRY(least_add(out, label.name, e));
            else if (str_eq(name, label.name))
                TRY(least_add(out, label.value, e));
    }
    return ERR_OK;
}

static err oracle_label_names(void *self, const struct matcher *ms, size_t ms_count, int64_t mint,
                              int64_t maxt, struct least *out, struct errmsg *e)
{
    return oracle_texts(self, (struct str){0}, ms, ms_count, mint, maxt, out, e);
}

static err oracle_label_values(void *self, struct str name, const struct matcher *ms,
                               size_t ms_count, int64_t mint, int64_t maxt, struct least *out,
                               struct errmsg *e)
{
    return oracle_texts(self, name, ms, ms_count, mint, maxt, out, e);
}

static err oracle_series_labels(void *self, const struct matcher *ms, size_t ms_count, int64_t mint,
                                int64_t maxt, struct least *out, struct errmsg *e)
{
    const struct oracle_view *view = self;
    for (size_t i = 0; i < view->oracle->n; i++) {
        const struct series *s = view->oracle->all[i];
        if (is_wanted(view, s, ms, ms_count) && has_sample(s, mint, maxt))
            TRY(least_add(out, s->labels, e));
    }
    return ERR_OK;
}

struct storage oracle_storage(struct oracle_view *view)
{
    static const struct storage_ops ops = {
        .select = oracle_select,
        .read = oracle_read,
        .release = oracle_release,
        .label_names = oracle_label_names,
        .label_values = oracle_label_values,
        .series_labels = oracle_series_labels,
    };
    return (struct storage){&ops, view};
}
