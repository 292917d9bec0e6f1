// Aggregations over vectors that are already here, and those that need all values of a group at a
// time: topk, bottomk, quantile, count_values, limitk, limit_ratio.
#include <assert.h>
#include <math.h>
#include <stdlib.h>

#include "engine/base/number.h"
#include "engine/base/quote.h"
#include "engine/promql/eval.h"

struct group {
    size_t *members; // series of the argument
    size_t n;
    bool drop_name;
};

struct grouped {
    struct vec in;
    struct label_map map;
    struct group *groups;
    double *param; // by step, or NULL
    size_t steps;
};

static struct str group_labels(struct query *q, const struct promql_expr *e, struct str labels)
{
    const struct label_names names = {e->aggregate.grouping, e->aggregate.grouping_count};
    if (!e->aggregate.without)
        return label_set_keep(labels, names, q->a);
    return label_set_drop(labels, label_names_with(names, LABEL_NAME, q->a), q->a);
}

static err group_series(struct query *q, const struct promql_expr *e, struct grouped *g)
{
    size_t *group_of = arena_array(q->a, g->in.n, size_t);
    size_t *members = arena_array(q->a, g->in.n, size_t);
    g->groups = arena_array(q->a, g->in.n, struct group);
    if (!group_of || !members || !g->groups)
        return query_too_many_samples(q->e);
    for (size_t i = 0; i < g->in.n; i++) {
        bool is_new;
        const struct str key = group_labels(q, e, g->in.series[i].labels);
        group_of[i] = label_map_add(&g->map, key, false, &is_new);
        g->groups[group_of[i]].n++;
        g->groups[group_of[i]].drop_name |= g->in.series[i].drop_name;
    }
    for (size_t i = 0, at = 0; i < g->map.n; i++) {
        g->groups[i].members = members + at;
        at += g->groups[i].n;
        g->groups[i].n = 0;
    }
    for (size_t i = 0; i < g->in.n; i++) {
        struct group *group = &g->groups[group_of[i]];
        group->members[group->n++] = i;
    }
    return ERR_OK;
}

// ---- what can be merged, in the order of the series

static err simple(struct query *q, const struct promql_expr *e, struct grouped *g, struct vec *out)
{
    const enum promql_aggregate op = e->aggregate.op;
    for (size_t i = 0; i < g->map.n; i++) {
        struct aggregate_state state;
        if (aggregate_state_make(op, g->steps, q->a, &state))
            return query_too_many_samples(q->e);
        for (size_t m = 0; m < g->groups[i].n; m++) {
            TRY(query_breathe(q->e));
            const struct step_column *c = &g->in.series[g->groups[i].members[m]].column;
            aggregate_add(op, &state, g->steps, c->v, c->present);
        }
        struct step_column column;
        aggregate_finish(op, &state, g->steps, &column);
        TRY(vec_add(q, out, g->map.keys[i], g->groups[i].drop_name, column));
    }
    return ERR_OK;
}

// ---- quantile

static err quantiles(struct query *q, struct grouped *g, struct vec *out)
{
    double *values = arena_array(q->a, g->in.n, double);
    if (!values)
        return query_too_many_samples(q->e);
    for (size_t i = 0; i < g->map.n; i++) {
        const struct group *group = &g->groups[i];
        struct step_column column;
        TRY(vec_add_new(q, out, g->map.keys[i], group->drop_name, g->steps, &column));
        for (size_t k = 0; k < g->steps; k++) {
            TRY(query_breathe(q->e));
            size_t n = 0;
            for (size_t m = 0; m < group->n; m++) {
                const struct step_column *c = &g->in.series[group->members[m]].column;
                if (steps_has(c->present, k))
                    values[n++] = c->v[k];
            }
            if (n == 0)
                continue;
            column.v[k] = quantile_of(g->param[k], values, n);
            steps_set(column.present, k);
        }
    }
    return ERR_OK;
}

static void note_quantile(struct query *q, const struct promql_expr *e, const struct grouped *g)
{
    for (size_t k = 0; k < g->steps; k++)
        if (!(g->param[k] >= 0 && g->param[k] <= 1)) {
            char text[NUMBER_TEXT_MAX];
            const size_t n = number_format_g(g->param[k], text);
            query_note(q, true, e->aggregate.param,
                       "quantile value should be between 0 and 1, got %.*s", (int)n, text);
        }
}

// ---- topk, bottomk, limitk, limit_ratio: a choice among the series

struct candidate {
    double v;
    size_t series;
    bool bottom;
};

// NaN comes last; equal values stay in the order of the series.
static int compare_candidates(const void *left, const void *right)
{
    const struct candidate *a = left, *b = right;
    if (isnan(a->v) || isnan(b->v)) {
        if (isnan(a->v) != isnan(b->v))
            return isnan(a->v) - isnan(b->v);
    } else if (a->v != b->v) {
        const int order = a->v < b->v ? -1 : 1;
        return a->bottom ? order : -order;
    }
    return (a->series > b->series) - (a->series < b->series);
}

// How many of n at step k; false: an error is set.
static err param_count(struct query *q, const struct grouped *g, size_t k, size_t n, size_t *out)
{
    const double param = g->param[k];
    if (isnan(param))
        return err_set(q->e, ERR_INVALID, "Parameter value is NaN");
    if (!(param > -9223372036854775808.0 && param < 9223372036854775808.0)) {
        char text[NUMBER_TEXT_MAX];
        const size_t size = number_format_g(param, text);
        return err_set(q->e, ERR_INVALID, "Scalar value %.*s %s int64", (int)size, text,
                       param > 0 ? "overflows" : "underflows");
    }
    *out = param < 1 ? 0 : param >= (double)n ? n : (size_t)param;
    return ERR_OK;
}

static size_t candidates_of(const struct grouped *g, const struct group *group, size_t k,
                            bool bottom, struct candidate *out)
{
    size_t n = 0;
    for (size_t m = 0; m < group->n; m++) {
        const struct step_column *c = &g->in.series[group->members[m]].column;
        if (steps_has(c->present, k))
            out[n++] = (struct candidate){c->v[k], group->members[m], bottom};
    }
    return n;
}

static bool ratio_takes(double ratio, struct str labels)
{
    // Go's float64(math.MaxUint64) is 2^64.
    const double offset = (double)labels_hash_prometheus(labels) / 18446744073709551616.0;
    return ratio >= 0 ? offset < ratio : offset >= 1 + ratio;
}

static double ratio_of(struct query *q, const struct promql_expr *e, double ratio)
{
    const double capped = ratio < -1 ? -1 : ratio > 1 ? 1 : ratio;
    if (capped != ratio) {
        char text[NUMBER_TEXT_MAX];
        const size_t n = number_format_g(ratio, text);
        query_note(q, true, e->aggregate.param,
                   "ratio value should be between -1 and 1, got %.*s, capping to %d", (int)n, text,
                   (int)capped);
    }
    return capped;
}

struct choice {
    struct step_column *columns; // of each series of the argument, only what was chosen
    struct candidate *candidates;
    size_t *order; // of an instant query's topk: series in the order of their values
    size_t order_count;
};

static err choose_step(struct query *q, const struct promql_expr *e, const struct grouped *g,
                       const struct group *group, size_t k, struct choice *c)
{
    const enum promql_aggregate op = e->aggregate.op;
    size_t n = candidates_of(g, group, k, op == PROMQL_BOTTOMK, c->candidates);
    const double ratio = op == PROMQL_LIMIT_RATIO ? ratio_of(q, e, g->param[k]) : 0;
    size_t taken = n;
    if (op != PROMQL_LIMIT_RATIO)
        TRY(param_count(q, g, k, n, &taken));
    if (op == PROMQL_TOPK || op == PROMQL_BOTTOMK)
        qsort(c->candidates, n, sizeof *c->candidates, compare_candidates);
    for (size_t i = 0; i < taken; i++) {
        const size_t s = c->candidates[i].series;
        if (op == PROMQL_LIMIT_RATIO && !ratio_takes(ratio, g->in.series[s].labels))
            continue;
        steps_set(c->columns[s].present, k);
        c->order[c->order_count++] = s;
    }
    return ERR_OK;
}

static err choose(struct query *q, const struct promql_expr *e, struct grouped *g, struct vec *out)
{
    struct choice c = {
        .columns = arena_array(q->a, g->in.n, struct step_column),
        .candidates = arena_array(q->a, g->in.n, struct candidate),
        .order = arena_array(q->a, g->in.n, size_t),
    };
    if (!c.columns || !c.candidates || !c.order)
        return query_too_many_samples(q->e);
    for (size_t i = 0; i < g->in.n; i++) {
        c.columns[i].v = g->in.series[i].column.v;
        c.columns[i].present = arena_array(q->a, steps_words(g->steps), uint64_t);
        if (!c.columns[i].present)
            return query_too_many_samples(q->e);
    }
    for (size_t k = 0; k < g->steps; k++) {
        c.order_count = 0;
        for (size_t i = 0; i < g->map.n; i++) {
            TRY(query_breathe(q->e));
            TRY(choose_step(q, e, g, &g->groups[i], k, &c));
        }
    }
    const bool by_value = g->steps == 1;
    for (size_t i = 0; i < (by_value ? c.order_count : g->in.n); i++) {
        const size_t s = by_value ? c.order[i] : i;
        const struct vec_series *from = &g->in.series[s];
        TRY(vec_add(q, out, from->labels, from->drop_name, c.columns[s]));
    }
    return ERR_OK;
}

// NaN and sizes of k are errors also where there is nothing to choose from.
static err check_params(struct query *q, const struct promql_expr *e, const struct grouped *g)
{
    size_t ignored;
    for (size_t k = 0; k < g->steps; k++) {
        if (e->aggregate.op != PROMQL_LIMIT_RATIO)
            TRY(param_count(q, g, k, 0, &ignored));
        else if (isnan(g->param[k]))
            return err_set(q->e, ERR_INVALID, "Ratio value is NaN");
    }
    return ERR_OK;
}

// ---- count_values

static err count_value(struct query *q, struct grouped *g, struct labels_builder *b,
                       struct label_map *map, struct str name, size_t group, double v, size_t k,
                       struct vec *out)
{
    char text[NUMBER_TEXT_MAX];
    const size_t n = number_format_f(v, text);
    labels_builder_reset(b);
    labels_builder_load(b, g->map.keys[group]);
    labels_builder_set(b, name, str_make(text, n));
    struct buf key = {0};
    labels_builder_encode(b, &key);
    bool is_new;
    const size_t at = label_map_add(map, buf_str(&key), true, &is_new);
    buf_deinit(&key);
    if (is_new) {
        struct step_column c;
        TRY(vec_add_new(q, out, map->keys[at], g->groups[group].drop_name, g->steps, &c));
    }
    struct step_column *c = &out->series[at].column;
    c->v[k]++;
    steps_set(c->present, k);
    return ERR_OK;
}

static err count_all_values(struct query *q, struct grouped *g, struct labels_builder *b,
                            struct str name, struct vec *out)
{
    struct label_map map = {.a = q->a};
    for (size_t i = 0; i < g->map.n; i++)
        for (size_t m = 0; m < g->groups[i].n; m++) {
            TRY(query_breathe(q->e));
            const struct step_column *c = &g->in.series[g->groups[i].members[m]].column;
            for (size_t k = steps_next(c->present, g->steps, 0); k < g->steps;
                 k = steps_next(c->present, g->steps, k + 1))
                TRY(count_value(q, g, b, &map, name, i, c->v[k], k, out));
        }
    return ERR_OK;
}

static err count_values(struct query *q, struct grouped *g, struct str name, struct vec *out)
{
    if (!name_is_utf8(name)) {
        struct buf quoted = {0};
        buf_put_quoted(&quoted, name);
        err_format(q->e, "invalid label name %.*s", STR_ARG(buf_str(&quoted)));
        buf_deinit(&quoted);
        return ERR_INVALID;
    }
    struct labels_builder b = {0};
    const err code = count_all_values(q, g, &b, name, out);
    labels_builder_deinit(&b);
    return code;
}

err eval_aggregation(struct query *q, const struct plan_node *node, struct vec *out)
{
    const struct promql_expr *e = node->expr;
    struct grouped g = {.map.a = q->a, .steps = node->steps.n};
    if (e->aggregate.param && e->aggregate.op != PROMQL_COUNT_VALUES)
        g.param = node_scalar(node->args[1]);
    g.in = node_vec(node->args[0]);
    TRY(group_series(q, e, &g));
    switch (e->aggregate.op) {
    case PROMQL_QUANTILE:
        note_quantile(q, e, &g);
        TRY(quantiles(q, &g, out));
        break;
    case PROMQL_TOPK:
    case PROMQL_BOTTOMK:
    case PROMQL_LIMITK:
    case PROMQL_LIMIT_RATIO:
        TRY(check_params(q, e, &g));
        TRY(choose(q, e, &g, out));
        break;
    case PROMQL_COUNT_VALUES:
        TRY(count_values(q, &g, eval_string(node->args[1]), out));
        break;
    case PROMQL_AVG:
    case PROMQL_COUNT:
    case PROMQL_GROUP:
    case PROMQL_MAX:
    case PROMQL_MIN:
    case PROMQL_STDDEV:
    case PROMQL_STDVAR:
    case PROMQL_SUM:
        TRY(simple(q, e, &g, out));
        break;
    }
    vec_drop_empty(out, g.steps);
    return ERR_OK;
}
