#include <assert.h>

#include "engine/promql/eval.h"
#include "engine/promql/gently.h"

static err take_vec(struct query *q, struct vec *v, bool in_order)
{
    bool dropped = false;
    for (size_t i = 0; i < v->n; i++)
        if (v->series[i].drop_name) {
            v->series[i].labels = label_set_drop_metadata(v->series[i].labels, q->a);
            dropped = true;
            TRY(query_breathe_at(i, q->a, q->e));
        }
    if (dropped)
        TRY(vec_merge_equal(q, v, q->steps.n));
    if (!in_order)
        TRY(vec_sort_by_labels(q, v));
    struct query_series *series =
        arena_try(q->a, v->n, sizeof *series, _Alignof(struct query_series));
    if (!series)
        return query_too_many_samples(q->e);
    for (size_t i = 0; i < v->n; i++) {
        series[i] = (struct query_series){v->series[i].labels, v->series[i].column, NULL};
        gently_at(i);
    }
    q->out->series = series;
    q->out->series_count = v->n;
    return ERR_OK;
}

static err result_scalar(struct query *q, struct plan_node *root)
{
    double *scalar;
    scalar = node_scalar(root);
    if (!q->out->is_range) {
        q->out->kind = QUERY_SCALAR;
        q->out->scalar = scalar[0];
        return ERR_OK;
    }
    struct vec v = {0};
    struct step_column column;
    TRY(vec_add_new(q, &v, (struct str){0}, false, q->steps.n, &column));
    memcpy(column.v, scalar, q->steps.n * sizeof *scalar);
    steps_set_all(column.present, q->steps.n);
    q->out->kind = QUERY_MATRIX;
    return take_vec(q, &v, false);
}

// Of an instant query over a subquery: the inner expression at its steps.
static err result_subquery(struct query *q, struct plan_node *root)
{
    q->out->kind = QUERY_MATRIX;
    struct vec v = {0};
    if (root->apart)
        return eval_subquery_alone(q, root);
    if (!root->is_empty) {
        v = node_vec(root->args[0]);
        q->steps = root->args[0]->steps;
        if (root->args[0]->spread)
            q->steps.n = root->args[0]->spread;
    }
    q->out->steps = q->steps;
    return take_vec(q, &v, false);
}

static err result(struct query *q, struct plan_node *root)
{
    const struct promql_expr *e = root->expr;
    switch (e->type) {
    case PROMQL_TYPE_SCALAR:
        return result_scalar(q, root);
    case PROMQL_TYPE_STRING:
        q->out->kind = QUERY_STRING;
        q->out->string = e->string;
        return ERR_OK;
    case PROMQL_TYPE_MATRIX:
        if (e->kind == PROMQL_SUBQUERY)
            return result_subquery(q, root);
        q->out->kind = QUERY_MATRIX;
        return gather_raw(q, root);
    case PROMQL_TYPE_VECTOR:
    case PROMQL_TYPE_NONE:
        break;
    }
    struct vec v;
    v = node_vec(root);
    q->out->kind = q->out->is_range ? QUERY_MATRIX : QUERY_VECTOR;
    return take_vec(q, &v, !q->out->is_range && expr_has_order(e));
}

static err exec(struct query *q, const struct promql_expr *expr)
{
    struct plan_node *root;
    TRY(promql_check(q->options, expr, q->a, q->e));
    if (q->options->has_zero_step)
        return query_zero_step(q->e);
    if (q->options->end_ms < q->options->start_ms) { // there is no step at all
        q->out->kind = QUERY_MATRIX;
        return ERR_OK;
    }
    TRY(plan_make(q, expr, &root));
    const err code = gather_all(q);
    if (code)
        return eval_judged(q, code);
    TRY(eval_all(q));
    return result(q, root);
}

err promql_exec(const struct query_source *source, const struct query_options *options,
                const struct promql_expr *expr, struct str text, struct arena *a,
                struct query_result *out, struct errmsg *e)
{
    assert(options->lookback_ms >= 0 && options->subquery_step_ms > 0);
    assert(options->step_ms > 0 || options->start_ms == options->end_ms);
    assert(options->step_ms >= 0);
    *out = (struct query_result){.is_range = options->step_ms > 0};
    struct errmsg own = {0};
    struct query_options near = *options;
    near.start_ms = near_time(near.start_ms);
    near.end_ms = near_time(near.end_ms);
    struct query q = {.source = source, .options = &near, .text = text, .a = a, .out = out};
    q.e = e ? e : &own;
    q.steps = (struct steps){near.start_ms, out->is_range ? options->step_ms : 1, 1};
    if (near.end_ms > near.start_ms) {
        const uint64_t span = (uint64_t)near.end_ms - (uint64_t)near.start_ms;
        const uint64_t n = span / (uint64_t)options->step_ms + 1;
        if (n > STEPS_MAX)
            return query_too_many_samples(q.e);
        q.steps.n = (size_t)n;
    }
    out->steps = q.steps;
    const err code = exec(&q, expr);
    if (code)
        query_done(source, out);
    return code;
}

bool query_points_next(const struct query_result *r, const struct query_series *s,
                       struct query_points *p, int64_t *out_t_ms, double *out_v)
{
    if (s->raw) {
        if (p->at >= s->raw->n)
            return false;
        *out_t_ms = s->raw->t[p->at];
        *out_v = s->raw->v[p->at++];
        return true;
    }
    p->at = steps_next(s->column.present, r->steps.n, p->at);
    if (p->at >= r->steps.n)
        return false;
    *out_t_ms = steps_time(&r->steps, p->at);
    *out_v = s->column.v[p->at++];
    return true;
}
