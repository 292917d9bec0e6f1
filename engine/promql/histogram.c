// histogram_quantile() and its kin over classic histograms: series that differ in the label le
// alone are the buckets of one. Which they are, and in which order, is decided once for all steps.
#include <assert.h>
#include <math.h>
#include <stdio.h>

#include "engine/base/calendar.h"
#include "engine/base/number.h"
#include "engine/base/quote.h"
#include "engine/promql/bucket.h"
#include "engine/promql/gently.h"
#include "engine/promql/note.h"

static const struct str LABEL_BUCKET = {"le", 2};

struct bucket_series {
    double upper;
    size_t index, histogram;
};

struct classic { // a histogram
    struct str labels;
    size_t first, n; // of its buckets
};

struct classics {
    struct vec in;
    struct bucket_series *buckets; // histogram after histogram, each sorted by upper
    size_t buckets_count;
    struct classic *all;
    size_t n;
    struct bucket *scratch; // room for the largest
};

// ---- which series are buckets of what

static void note_bad_bucket(struct query *q, const struct promql_expr *at, struct str labels)
{
    struct buf words = {0};
    buf_printf(&words, "bucket label \"le\" is missing or has a malformed value of ");
    buf_put_quoted(&words, labels_value(labels, LABEL_BUCKET));
    note_put_name(&words, labels_value(labels, LABEL_NAME));
    query_note_detailed(q, true, at, buf_str(&words), (struct str){0});
    buf_deinit(&words);
}

static int compare_buckets(const void *left, const void *right, const void *arg)
{
    const struct bucket_series *a = left, *b = right;
    (void)arg;
    if (a->histogram != b->histogram)
        return a->histogram < b->histogram ? -1 : 1;
    if (a->upper < b->upper || a->upper > b->upper)
        return a->upper < b->upper ? -1 : 1;
    return (a->index > b->index) - (a->index < b->index);
}

static err list_histograms(struct query *q, struct classics *c, const struct label_map *map)
{
    size_t largest = 0;
    c->n = map->n;
    c->all = arena_array(q->a, c->n, struct classic);
    if (!c->all)
        return query_too_many_samples(q->e);
    TRY(gently_sort(c->buckets, c->buckets_count, sizeof *c->buckets, NULL, q->a, q->e,
                    compare_buckets));
    for (size_t i = 0; i < c->buckets_count; i++) {
        struct classic *h = &c->all[c->buckets[i].histogram];
        if (h->n++ == 0)
            *h = (struct classic){map->keys[c->buckets[i].histogram], i, 1};
        largest = h->n > largest ? h->n : largest;
    }
    c->scratch = arena_array(q->a, largest, struct bucket);
    return c->scratch ? ERR_OK : query_too_many_samples(q->e);
}

// The histograms among the series of the argument, which stands at at.
static err classics_make(struct query *q, struct vec in, const struct promql_expr *at,
                         struct classics *out)
{
    const struct label_names le = {&LABEL_BUCKET, 1};
    struct label_map map = {.a = q->a};
    *out = (struct classics){.in = in};
    out->buckets = arena_array(q->a, in.n, struct bucket_series);
    if (!out->buckets)
        return query_too_many_samples(q->e);
    for (size_t i = 0; i < in.n; i++) {
        TRY(query_breathe_at(i, q->a, q->e));
        const struct str labels = in.series[i].labels;
        double upper;
        if (number_parse(labels_value(labels, LABEL_BUCKET), &upper) != ERR_OK) {
            note_bad_bucket(q, at, labels);
            continue;
        }
        bool is_new;
        size_t h;
        if (!label_map_add(&map, label_set_drop(labels, le, q->a), false, &h, &is_new))
            return query_too_many_samples(q->e);
        out->buckets[out->buckets_count++] = (struct bucket_series){upper, i, h};
    }
    return list_histograms(q, out, &map);
}

// The buckets of h that have a count at step k, in scratch; how many.
static size_t buckets_at(const struct classics *c, const struct classic *h, size_t k)
{
    size_t n = 0;
    for (size_t i = h->first; i < h->first + h->n; i++) {
        const struct step_column *column = &c->in.series[c->buckets[i].index].column;
        if (steps_has(column->present, k))
            c->scratch[n++] = (struct bucket){c->buckets[i].upper, column->v[k]};
    }
    return buckets_merge(c->scratch, n);
}

// ---- what had to be fixed, over all steps, by metric name

struct fixes {
    struct label_map names;
    struct fix {
        struct bucket_fix sum;
        size_t count;
        int64_t from_ms, to_ms;
    } * all; // names.capacity
    size_t capacity;
};

static err add_fix(struct query *q, struct fixes *fixes, struct str name, struct bucket_fix fix,
                   int64_t t_ms)
{
    bool is_new;
    fixes->names.a = q->a;
    size_t at;
    if (!label_map_add(&fixes->names, name, false, &at, &is_new))
        return query_too_many_samples(q->e);
    if (at == fixes->capacity) {
        struct fix *all =
            arena_zalloc(q->a, (at * 2 + 4) * sizeof(struct fix), _Alignof(struct fix));
        for (size_t i = 0; i < at; i++)
            all[i] = fixes->all[i];
        fixes->all = all;
        fixes->capacity = at * 2 + 4;
    }
    struct fix *to = &fixes->all[at];
    if (is_new)
        *to = (struct fix){fix, 0, t_ms, t_ms};
    to->count++;
    to->sum.lowest = fmin(to->sum.lowest, fix.lowest);
    to->sum.highest = fmax(to->sum.highest, fix.highest);
    to->sum.most = fmax(to->sum.most, fix.most);
    to->from_ms = t_ms < to->from_ms ? t_ms : to->from_ms;
    to->to_ms = t_ms > to->to_ms ? t_ms : to->to_ms;
    return ERR_OK;
}

static void put_time(struct buf *out, int64_t ms)
{
    char text[CALENDAR_TEXT_MAX];
    buf_put(out, text, calendar_format(ms / 1000 * 1000, text));
}

static void note_fixes(struct query *q, const struct fixes *fixes, const struct promql_expr *at)
{
    struct buf words = {0}, detail = {0};
    for (size_t i = 0; i < fixes->names.n; i++) {
        const struct fix *fix = &fixes->all[i];
        buf_reset(&words);
        buf_printf(&words, "input to histogram_quantile needed to be fixed for monotonicity (see "
                           "https://prometheus.io/docs/prometheus/latest/querying/functions/"
                           "#histogram_quantile)");
        note_put_name(&words, fixes->names.keys[i]);
        buf_reset(&detail);
        buf_printf(&detail, ", from buckets ");
        buf_put_double_g(&detail, fix->sum.lowest);
        buf_printf(&detail, " to ");
        buf_put_double_g(&detail, fix->sum.highest);
        buf_printf(&detail, ", with a max diff of %.2g, over %zu samples from ", fix->sum.most,
                   fix->count);
        put_time(&detail, fix->from_ms);
        buf_printf(&detail, " to ");
        put_time(&detail, fix->to_ms);
        query_note_detailed(q, false, at, buf_str(&words), buf_str(&detail));
    }
    buf_deinit(&words);
    buf_deinit(&detail);
}

// ---- the functions

// One function at work, over all histograms and steps.
struct histogram_call {
    struct query *q;
    const struct plan_node *node;
    struct classics c;
    struct fixes fixes;
    struct label_map labels; // of the results
    uint64_t *fixed;         // steps at which an earlier quantile fixed the buckets, for good
    struct vec *out;
};

// The result of h, with label = value if there is a label.
static err result_of(struct histogram_call *call, struct str labels, struct str label,
                     struct str value, struct step_column *out)
{
    struct query *q = call->q;
    if (label.n) {
        struct labels_builder b = {0};
        labels_builder_load(&b, labels);
        labels_builder_set(&b, label, value);
        labels = labels_builder_finish(&b, q->a);
        labels_builder_deinit(&b);
    }
    bool is_new;
    size_t at;
    if (!label_map_add(&call->labels, labels, false, &at, &is_new))
        return query_too_many_samples(q->e);
    if (is_new)
        TRY(vec_add_new(q, call->out, labels, false, call->node->steps.n, out));
    *out = call->out->series[at].column;
    return ERR_OK;
}

// Of the n buckets in scratch, at step k.
static err quantile_at(struct histogram_call *call, const struct classic *h, double quantile,
                       size_t k, size_t n, const struct step_column *column)
{
    struct bucket_fix fix;
    if (steps_has(column->present, k))
        return err_set(call->q->e, ERR_INVALID,
                       "vector cannot contain metrics with the same labelset");
    column->v[k] = bucket_quantile(quantile, call->c.scratch, n, &fix);
    steps_set(column->present, k);
    if (!fix.was_forced || steps_has(call->fixed, k))
        return ERR_OK;
    struct str name = {0};
    if (call->q->options->delayed_name_removal)
        name = labels_value(h->labels, LABEL_NAME);
    return add_fix(call->q, &call->fixes, name, fix, steps_time(&call->node->steps, k));
}

// As OpenMetrics writes floats.
static size_t format_quantile(double v, char out[static NUMBER_TEXT_MAX + 2])
{
    size_t n = number_format_g(v, out);
    if (isfinite(v) && !memchr(out, '.', n) && !memchr(out, 'e', n)) {
        out[n++] = '.';
        out[n++] = '0';
    }
    return n;
}

static err quantiles_of(struct histogram_call *call, const struct classic *h,
                        const double *quantiles, struct str label)
{
    struct step_column column = {0};
    double column_of = 0; // the quantile whose column that is
    for (size_t k = 0; k < call->node->steps.n; k++) {
        TRY(query_breathe_at(k, call->q->a, call->q->e));
        const size_t n = buckets_at(&call->c, h, k);
        fiber_work(16 + n);
        if (n == 0)
            continue;
        if (!column.v || (label.n && memcmp(&quantiles[k], &column_of, sizeof column_of) != 0)) {
            char text[NUMBER_TEXT_MAX + 2];
            const size_t size = format_quantile(quantiles[k], text);
            TRY(result_of(call, h->labels, label, str_make(text, size), &column));
            column_of = quantiles[k];
        }
        TRY(quantile_at(call, h, quantiles[k], k, n, &column));
    }
    return ERR_OK;
}

static void note_bad_quantiles(struct query *q, const struct plan_node *node, size_t arg)
{
    query_note_quantiles(q, param_position(q, node, arg), node_scalar(node->args[arg]), NULL,
                         node->steps.n);
}

static err histogram_call_begin(struct query *q, const struct plan_node *node, size_t vector_arg,
                                struct vec *out, struct histogram_call *call)
{
    *call = (struct histogram_call){.q = q, .node = node, .out = out};
    call->labels.a = q->a;
    call->fixed = arena_array(q->a, steps_words(node->steps.n), uint64_t);
    if (!call->fixed)
        return query_too_many_samples(q->e);
    return classics_make(q, node_vec(node->args[vector_arg]), param_position(q, node, vector_arg),
                         &call->c);
}

static err histogram_call_end(struct histogram_call *call, size_t vector_arg)
{
    struct query *q = call->q;
    note_fixes(q, &call->fixes, param_position(q, call->node, vector_arg));
    TRY(vec_drop_names(q, call->out));
    if (q->options->delayed_name_removal)
        return ERR_OK;
    return vec_merge_equal(q, call->out, call->node->steps.n);
}

static err histogram_quantile(struct query *q, const struct plan_node *node, struct vec *out)
{
    struct histogram_call call;
    note_bad_quantiles(q, node, 0);
    TRY(histogram_call_begin(q, node, 1, out, &call));
    for (size_t i = 0; i < call.c.n; i++)
        TRY(quantiles_of(&call, &call.c.all[i], node_scalar(node->args[0]), (struct str){0}));
    return histogram_call_end(&call, 1);
}

static err histogram_quantiles(struct query *q, const struct plan_node *node, struct vec *out)
{
    struct histogram_call call;
    for (size_t arg = 2; arg < node->args_count; arg++)
        note_bad_quantiles(q, node, arg);
    TRY(histogram_call_begin(q, node, 0, out, &call));
    const struct str label = eval_string(node->args[1]);
    for (size_t arg = 2; arg < node->args_count; arg++) {
        const double *quantiles = node_scalar(node->args[arg]);
        for (size_t i = 0; i < call.c.n; i++)
            TRY(quantiles_of(&call, &call.c.all[i], quantiles, label));
        for (struct slice s = {0}; slice_next(&s, node->steps.n);)
            for (size_t k = s.from; k < s.end; k++)
                if (quantiles[k] >= 0 && quantiles[k] <= 1)
                    steps_set(call.fixed, k);
    }
    return histogram_call_end(&call, 0);
}

static err histogram_fraction(struct query *q, const struct plan_node *node, struct vec *out)
{
    struct histogram_call call;
    TRY(histogram_call_begin(q, node, 2, out, &call));
    const double *lower = node_scalar(node->args[0]), *upper = node_scalar(node->args[1]);
    for (size_t i = 0; i < call.c.n; i++) {
        const struct classic *h = &call.c.all[i];
        struct step_column column;
        TRY(result_of(&call, h->labels, (struct str){0}, (struct str){0}, &column));
        for (size_t k = 0; k < node->steps.n; k++) {
            TRY(query_breathe_at(k, q->a, q->e));
            const size_t n = buckets_at(&call.c, h, k);
            fiber_work(16 + n);
            if (n == 0)
                continue;
            column.v[k] = bucket_fraction(lower[k], upper[k], call.c.scratch, n);
            steps_set(column.present, k);
        }
    }
    vec_drop_empty(out, node->steps.n);
    return histogram_call_end(&call, 2);
}

err eval_histogram(struct query *q, const struct plan_node *node, struct vec *out)
{
    switch ((int)node->expr->call.function->id) {
    case PROMQL_FN_HISTOGRAM_FRACTION:
        return histogram_fraction(q, node, out);
    case PROMQL_FN_HISTOGRAM_QUANTILE:
        return histogram_quantile(q, node, out);
    case PROMQL_FN_HISTOGRAM_QUANTILES:
        return histogram_quantiles(q, node, out);
    default: // of native histograms alone: floats give nothing
        return ERR_OK;
    }
}
