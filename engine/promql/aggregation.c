// Aggregations over vectors that are already here, quantile and count_values.
#include <math.h>

#include "engine/base/number.h"
#include "engine/base/quote.h"
#include "engine/promql/gently.h"
#include "engine/promql/grouped.h"
#include "engine/promql/note.h"

static struct str group_labels(struct query *q, const struct promql_expr *e, struct str labels)
{
    const struct label_names names = {e->aggregate.grouping, e->aggregate.grouping_count};
    if (!e->aggregate.without)
        return label_set_keep(labels, names, q->a);
    return label_set_drop(labels, label_names_with(names, LABEL_NAME, q->a), q->a);
}

static err group_series(struct query *q, const struct promql_expr *e, struct grouped *g)
{
    size_t *group_of = gently_array(q->a, g->in.n, size_t);
    size_t *members = gently_array(q->a, g->in.n, size_t);
    g->groups = gently_array(q->a, g->in.n, struct group);
    if (!group_of || !members || !g->groups)
        return query_too_many_samples(q->e);
    for (size_t i = 0; i < g->in.n; i++) {
        TRY(query_breathe_at(i, q->a, q->e));
        bool is_new;
        const struct str key = group_labels(q, e, g->in.series[i].labels);
        if (!label_map_add(&g->map, key, false, &group_of[i], &is_new))
            return query_too_many_samples(q->e);
        g->groups[group_of[i]].n++;
        g->groups[group_of[i]].drop_name |= g->in.series[i].drop_name;
    }
    for (size_t i = 0, at = 0; i < g->map.n; i++) {
        gently_at(i);
        g->groups[i].members = members + at;
        at += g->groups[i].n;
        g->groups[i].n = 0;
    }
    for (size_t i = 0; i < g->in.n; i++) {
        struct group *group = &g->groups[group_of[i]];
        gently_at(i);
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
            TRY(query_breathe(q->a, q->e));
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

// Values of one group at steps [from, from + count), step after step in values; series after
// series, so that memory is read in its order.
enum { QUANTILE_STEPS = 8 };

static void transpose(const struct grouped *g, const struct group *group, size_t from, size_t count,
                      double *values, size_t n[static QUANTILE_STEPS])
{
    memset(n, 0, QUANTILE_STEPS * sizeof *n);
    for (size_t m = 0; m < group->n; m++) {
        const struct step_column *c = &g->in.series[group->members[m]].column;
        gently_at(m);
        for (size_t k = 0; k < count; k++)
            if (steps_has(c->present, from + k))
                values[k * group->n + n[k]++] = c->v[from + k];
    }
}

static err quantiles(struct query *q, struct grouped *g, struct vec *out)
{
    double *values = arena_try(q->a, g->in.n, QUANTILE_STEPS * sizeof *values, _Alignof(double));
    if (!values)
        return query_too_many_samples(q->e);
    for (size_t i = 0; i < g->map.n; i++) {
        const struct group *group = &g->groups[i];
        struct step_column column;
        TRY(vec_add_new(q, out, g->map.keys[i], group->drop_name, g->steps, &column));
        for (size_t from = 0; from < g->steps; from += QUANTILE_STEPS) {
            TRY(query_breathe(q->a, q->e));
            size_t n[QUANTILE_STEPS];
            const size_t left = g->steps - from;
            const size_t count = left < QUANTILE_STEPS ? left : QUANTILE_STEPS;
            transpose(g, group, from, count, values, n);
            for (size_t k = 0; k < count; k++) {
                if (n[k] == 0)
                    continue;
                double *of_step = values + k * group->n;
                column.v[from + k] = quantile_of(g->param[from + k], of_step, n[k]);
                steps_set(column.present, from + k);
            }
        }
    }
    return ERR_OK;
}

struct params_range params_range(const double *params, size_t n)
{
    struct params_range r = {INFINITY, -INFINITY, false};
    for (size_t k = 0; k < n; k++) {
        gently_step(k);
        r.has_nan |= isnan(params[k]);
        r.least = params[k] < r.least ? params[k] : r.least;
        r.greatest = params[k] > r.greatest ? params[k] : r.greatest;
    }
    if (r.has_nan)
        r.least = r.greatest = NAN;
    return r;
}

// The extremes of all steps alone.
static void note_quantiles(struct query *q, const struct promql_expr *e, const struct grouped *g)
{
    const struct params_range r = params_range(g->param, g->steps);
    const struct promql_expr *at = expr_bare(e->aggregate.param);
    query_note_quantiles(q, at, &r.greatest, NULL, r.greatest < 0 ? 0 : 1);
    query_note_quantiles(q, at, &r.least, NULL, r.least > 1 ? 0 : 1);
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
    if (name.n) // otherwise the grouping takes the label away again
        labels_builder_set(b, name, str_make(text, n));
    struct buf key = {0};
    labels_builder_encode(b, &key);
    bool is_new;
    size_t at;
    const bool has_room = label_map_add(map, buf_str(&key), true, &at, &is_new);
    buf_deinit(&key);
    if (!has_room)
        return query_too_many_samples(q->e);
    if (is_new) {
        struct step_column c;
        TRY(vec_add_new(q, out, map->keys[at], false, g->steps, &c));
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
            TRY(query_breathe(q->a, q->e));
            const struct step_column *c = &g->in.series[g->groups[i].members[m]].column;
            for (size_t k = steps_next(c->present, g->steps, 0); k < g->steps;
                 k = steps_next(c->present, g->steps, k + 1)) {
                TRY(query_breathe_at(k, q->a, q->e));
                TRY(count_value(q, g, b, &map, name, i, c->v[k], k, out));
            }
        }
    return ERR_OK;
}

// The label is set before the groups are made: one that without() names goes again.
static bool is_grouped_away(const struct promql_expr *e, struct str name)
{
    if (!e->aggregate.without)
        return false;
    for (size_t i = 0; i < e->aggregate.grouping_count; i++)
        if (str_eq(e->aggregate.grouping[i], name))
            return true;
    return str_eq(name, LABEL_NAME);
}

static err count_values(struct query *q, const struct promql_expr *e, struct grouped *g,
                        struct str name, struct vec *out)
{
    struct labels_builder b = {0};
    if (is_grouped_away(e, name))
        name = (struct str){0};
    const err code = count_all_values(q, g, &b, name, out);
    labels_builder_deinit(&b);
    return code;
}

static bool aggregation_is_choice(enum promql_aggregate op)
{
    return op == PROMQL_TOPK || op == PROMQL_BOTTOMK || op == PROMQL_LIMITK;
}

err eval_aggregation(struct query *q, const struct plan_node *node, struct vec *out)
{
    const struct promql_expr *e = node->expr;
    struct grouped g = {.map.a = q->a, .steps = node->steps.n};
    if (e->aggregate.param && e->aggregate.op != PROMQL_COUNT_VALUES)
        g.param = node_scalar(node->args[1]);
    g.in = node_vec(node->args[0]);
    // Of equals the first is chosen: by labels, where nothing else orders them.
    const bool has_order = !q->options->step_ms && expr_has_order(e->aggregate.expr);
    if (aggregation_is_choice(e->aggregate.op) && !has_order)
        TRY(vec_sort_by_labels(q, &g.in));
    TRY(group_series(q, e, &g));
    switch (e->aggregate.op) {
    case PROMQL_QUANTILE:
        note_quantiles(q, e, &g);
        TRY(quantiles(q, &g, out));
        break;
    case PROMQL_TOPK:
    case PROMQL_BOTTOMK:
    case PROMQL_LIMITK:
    case PROMQL_LIMIT_RATIO:
        TRY(aggregation_choose(q, e, &g, out));
        break;
    case PROMQL_COUNT_VALUES:
        TRY(count_values(q, e, &g, eval_string(node->args[1]), out));
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
