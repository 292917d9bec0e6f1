#include "engine/promql/eval.h"

#include <assert.h>

#include "engine/base/bits.h"
#include "engine/base/number.h"
#include "engine/base/util.h"
#include "engine/promql/gently.h"
#include "engine/promql/note.h"
#include "engine/promql/samples.h"
#include "io/fiber_memory.h"

// ---- what was evaluated at one step, at all of them

static err spread_vec(struct query *q, struct vec *v, size_t steps)
{
    for (size_t i = 0; i < v->n; i++) {
        TRY(query_breathe_at(i, q->a, q->e));
        struct step_column all;
        if (step_column_make(q->a, steps, &all))
            return query_too_many_samples(q->e);
        step_column_fill(&all, steps, v->series[i].column.v[0]);
        v->series[i].column = all;
    }
    return ERR_OK;
}

static err make_scalar(struct query *q, size_t steps, double **out)
{
    *out = gently_array(q->a, steps, double);
    return *out ? ERR_OK : query_too_many_samples(q->e);
}

// ---- range functions

// Of steps at which there is something to take the quantile of.
static err note_quantiles(struct query *q, const struct plan_node *node, const double *param,
                          const struct vec *v)
{
    const size_t words = steps_words(node->steps.n);
    uint64_t *any = arena_array(q->a, words, uint64_t);
    if (!any)
        return query_too_many_samples(q->e);
    for (size_t i = 0; i < v->n; i++) {
        TRY(query_breathe_at(i, q->a, q->e));
        fiber_work(words);
        for (size_t w = 0; w < words; w++)
            any[w] |= v->series[i].column.present[w];
    }
    query_note_quantiles(q, param_position(q, node, 0), param, any, node->steps.n);
    return ERR_OK;
}

// The function's scalars, for each step one behind the other.
static err params_of(struct query *q, const struct plan_node *node, const double **out)
{
    const size_t steps = node->steps.n;
    *out = node->args[1] ? node_scalar(node->args[1]) : NULL;
    if (!node->args[2])
        return ERR_OK;
    double *both;
    TRY(make_scalar(q, 2 * steps, &both));
    for (size_t k = 0; k < steps; k++) {
        gently_step(k);
        both[2 * k] = node_scalar(node->args[1])[k];
        both[2 * k + 1] = node_scalar(node->args[2])[k];
    }
    *out = both;
    return ERR_OK;
}

// Factors out of bounds are an error where there is anything to smooth.
static err check_smoothing(struct query *q, const struct plan_node *node, const double *param,
                           const struct vec *v)
{
    for (size_t k = 0; k < node->steps.n; k++) {
        const double *factors = &param[2 * k];
        const bool bad_smoothing = factors[0] <= 0 || factors[0] >= 1;
        if (!bad_smoothing && !(factors[1] <= 0 || factors[1] >= 1))
            continue;
        for (size_t i = 0; i < v->n; i++)
            if (steps_has(v->series[i].column.present, k))
                return bad_smoothing
                           ? err_set(q->e, ERR_INVALID,
                                     "invalid smoothing factor. Expected: 0 < sf < 1, got: %f",
                                     factors[0])
                           : err_set(q->e, ERR_INVALID,
                                     "invalid trend factor. Expected: 0 < tf < 1, got: %f",
                                     factors[1]);
    }
    return ERR_OK;
}

static err check_params(struct query *q, const struct plan_node *node, const double *param,
                        const struct vec *v)
{
    const enum promql_function_id id = node->expr->call.function->id;
    if (id == PROMQL_FN_QUANTILE_OVER_TIME)
        return note_quantiles(q, node, param, v);
    if (id == PROMQL_FN_DOUBLE_EXPONENTIAL_SMOOTHING)
        return check_smoothing(q, node, param, v);
    return ERR_OK;
}

// Of node's own fragment, also when the aggregation above moved into it.
static err eval_range_fragment(struct query *q, struct plan_node *node, struct vec *out)
{
    const double *param;
    TRY(params_of(q, node, &param));
    node->fragment->param = param;
    TRY(gather_vec(q, node, out));
    return check_params(q, node, param, out);
}

static err eval_range_function(struct query *q, struct plan_node *node, struct vec *out)
{
    const enum promql_function_id id = node->expr->call.function->id;
    if (node->fragment) {
        TRY(eval_range_fragment(q, node, out));
    } else {
        const struct range_function *f = range_function_find(
            id == PROMQL_FN_ABSENT_OVER_TIME ? PROMQL_FN_PRESENT_OVER_TIME : id);
        const double *param;
        TRY(params_of(q, node, &param));
        TRY(eval_over_subquery(q, node, f, param, out));
        TRY(check_params(q, node, param, out));
    }
    if (id == PROMQL_FN_ABSENT_OVER_TIME)
        return eval_absent(q, node, expr_bare(node->expr->call.args[0]), out);
    return ERR_OK;
}

// ---- nodes

static err eval_unary(struct query *q, const struct plan_node *node, struct vec *out)
{
    *out = node_vec(node->args[0]);
    if (node->expr->unary.op == PROMQL_ADD)
        return ERR_OK;
    for (size_t i = 0; i < out->n; i++) {
        TRY(query_breathe_at(i, q->a, q->e));
        fiber_work(16 + node->steps.n);
        double *v = out->series[i].column.v;
        for (struct slice s = {0}; slice_next(&s, node->steps.n);)
            for (size_t k = s.from; k < s.end; k++)
                v[k] = -v[k];
    }
    TRY(vec_drop_names(q, out));
    return q->options->delayed_name_removal ? ERR_OK : vec_merge_equal(q, out, node->steps.n);
}

static err eval_absorbed(struct query *q, struct plan_node *below, struct vec *out)
{
    if (below->expr->kind == PROMQL_CALL && call_has_range(below->expr))
        return eval_range_fragment(q, below, out);
    return gather_vec(q, below, out);
}

static err eval_node(struct query *q, struct plan_node *node, struct vec *out)
{
    switch (node->expr->kind) {
    case PROMQL_VECTOR:
        TRY(gather_vec(q, node, out));
        if (!node->informs)
            return ERR_OK;
        TRY(info_keep_asked(q, node->informs, out));
        return samples_count_info(q, node);
    case PROMQL_AGGREGATE:
        if (node->args[0]->absorbed)
            return eval_absorbed(q, node->args[0], out);
        return eval_aggregation(q, node, out);
    case PROMQL_BINARY:
        return eval_binary(q, node, out);
    case PROMQL_UNARY:
        return eval_unary(q, node, out);
    case PROMQL_CALL:
        if (call_has_range(node->expr))
            return eval_range_function(q, node, out);
        if (node->fragment)
            return gather_vec(q, node, out);
        return eval_call(q, node, out);
    case PROMQL_MATRIX:
    case PROMQL_NUMBER:
    case PROMQL_PAREN:
    case PROMQL_STRING:
    case PROMQL_SUBQUERY:
    case PROMQL_DURATION:
        break;
    }
    assert(false);
    return ERR_INVALID;
}

static void fill(double *to, size_t steps, double value)
{
    for (struct slice s = {0}; slice_next(&s, steps);)
        for (size_t k = s.from; k < s.end; k++)
            to[k] = value;
}

// Equal numbers at as many steps are one array, which nobody changes.
static err number_array(struct query *q, double value, size_t steps, double **out)
{
    const uint64_t key[] = {bits_from_double(value), steps};
    bool is_new;
    q->numbers.a = q->a;
    size_t at;
    if (!label_map_add(&q->numbers, str_make((const char *)key, sizeof key), true, &at, &is_new))
        return query_too_many_samples(q->e);
    if (at == q->numbers_capacity) {
        const size_t capacity = at * 2 + 8;
        double **all = arena_alloc(q->a, capacity * sizeof(double *), _Alignof(double *));
        if (at)
            fiber_copy(all, q->number_arrays, at * sizeof(double *));
        q->number_arrays = all;
        q->numbers_capacity = capacity;
    }
    if (is_new) {
        TRY(make_scalar(q, steps, &q->number_arrays[at]));
        fill(q->number_arrays[at], steps, value);
    }
    *out = q->number_arrays[at];
    return ERR_OK;
}

// The array of an operand, to be overwritten with the result.
static err own_scalar(struct query *q, const struct plan_node *operand, size_t steps, double **out)
{
    const double *from = node_scalar(operand);
    *out = node_scalar(operand);
    if (operand->expr->kind != PROMQL_NUMBER)
        return ERR_OK;
    TRY(make_scalar(q, steps, out));
    fiber_copy(*out, from, steps * sizeof *from);
    return ERR_OK;
}

static err eval_scalar_node(struct query *q, const struct plan_node *node, double **out)
{
    const struct promql_expr *e = node->expr;
    const size_t steps = node->steps.n;
    if (e->kind == PROMQL_NUMBER)
        return number_array(q, e->number.value, steps, out);
    if (e->kind == PROMQL_UNARY) {
        TRY(own_scalar(q, node->args[0], steps, out));
        for (struct slice s = {0}; e->unary.op == PROMQL_SUB && slice_next(&s, steps);)
            for (size_t k = s.from; k < s.end; k++)
                (*out)[k] = -(*out)[k];
        return ERR_OK;
    }
    if (e->kind == PROMQL_BINARY) {
        TRY(own_scalar(q, node->args[0], steps, out));
        eval_scalar_binary(node, *out);
        return ERR_OK;
    }
    assert(e->kind == PROMQL_CALL);
    return eval_scalar_call(q, node, out);
}

static err spread_scalar(struct query *q, double **scalar, size_t steps)
{
    const double value = (*scalar)[0];
    TRY(make_scalar(q, steps, scalar));
    fill(*scalar, steps, value);
    return ERR_OK;
}

static err eval_scalar(struct query *q, struct plan_node *node)
{
    TRY(eval_scalar_node(q, node, &node->scalar));
    TRY(samples_count_node(q, node));
    if (!node->spread)
        return ERR_OK;
    TRY(samples_count_spread(q, node));
    return spread_scalar(q, &node->scalar, node->spread);
}

// At more steps than a column has: what comes of nothing.
static err eval_of_nothing(struct query *q, struct plan_node *node)
{
    const struct promql_expr *e = node->expr;
    const enum promql_function_id id =
        e->kind == PROMQL_CALL ? e->call.function->id : PROMQL_FN_TIME;
    bool any = node->args_count == 0 && !node->fragment;
    for (size_t i = 0; i < node->args_count; i++)
        any |= node->args[i] && (node->args[i]->scalar || node->args[i]->vec.n);
    if (any || id == PROMQL_FN_ABSENT || id == PROMQL_FN_ABSENT_OVER_TIME)
        return query_too_many_samples(q->e);
    if (node->fragment)
        return gather_vec(q, node, &node->vec);
    if (e->kind == PROMQL_AGGREGATE && node->args[0]->absorbed)
        return gather_vec(q, node->args[0], &node->vec);
    return ERR_OK;
}

static err eval_one(struct query *q, struct plan_node *node)
{
    const enum promql_type type = node->expr->type;
    if (node->absorbed || type == PROMQL_TYPE_STRING)
        return ERR_OK;
    TRY(query_breathe(q->a, q->e));
    if (type == PROMQL_TYPE_SCALAR)
        return node->steps.n > STEPS_MAX ? query_too_many_samples(q->e) : eval_scalar(q, node);
    if (type != PROMQL_TYPE_VECTOR)
        return ERR_OK; // samples, only at the root
    TRY(check_label_texts(q, node->expr));
    if (node->steps.n > STEPS_MAX)
        return eval_of_nothing(q, node);
    TRY(eval_node(q, node, &node->vec));
    if (q->lacks_room || arena_is_over(q->a))
        return query_too_many_samples(q->e);
    TRY(samples_count_node(q, node));
    if (!node->spread)
        return ERR_OK;
    TRY(samples_count_spread(q, node));
    return spread_vec(q, &node->vec, node->spread);
}

// What Prometheus judges before it evaluates the arguments is the error, rather than theirs.
static err judged_before(struct query *q, size_t failed, err code)
{
    const size_t place = q->nodes[failed]->place;
    if (code != ERR_INVALID)
        return code;
    for (size_t i = 0; i < failed; i++) {
        const struct plan_node *above = q->nodes[i];
        gently_at(i);
        if (above->place <= place && place < above->place + above->expr->size)
            TRY(check_label_texts(q, above->expr));
    }
    return code;
}

err eval_judged(struct query *q, err code)
{
    for (size_t i = q->nodes_count; i-- > 0 && code == ERR_INVALID;) {
        gently_at(i);
        TRY(check_label_texts(q, q->nodes[i]->expr));
    }
    return code;
}

err eval_all(struct query *q)
{
    for (size_t i = q->nodes_count; i-- > 0;) {
        const err code = eval_one(q, q->nodes[i]);
        if (code)
            return judged_before(q, i, code);
    }
    return ERR_OK;
}

struct str eval_string(const struct plan_node *node)
{
    assert(node->expr->kind == PROMQL_STRING);
    return node->expr->string;
}
