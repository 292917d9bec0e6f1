// sort() and its kin: an order for the series of an instant query.
#include <math.h>

#include "engine/base/number.h"
#include "engine/promql/gently.h"
#include "engine/promql/note.h"

static int compare_values(const void *left, const void *right, const void *arg)
{
    (void)arg;
    const double a = ((const struct vec_series *)left)->column.v[0];
    const double b = ((const struct vec_series *)right)->column.v[0];
    if (isnan(a) || isnan(b))
        return isnan(a) - isnan(b);
    return (a > b) - (a < b);
}

static int compare_values_down(const void *left, const void *right, const void *arg)
{
    (void)arg;
    const double a = ((const struct vec_series *)left)->column.v[0];
    const double b = ((const struct vec_series *)right)->column.v[0];
    if (isnan(a) || isnan(b))
        return isnan(a) - isnan(b);
    return (a < b) - (a > b);
}

// ---- natural order: digits as numbers, the rest as bytes

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static struct str take_chunk(struct str *s)
{
    size_t n = 1;
    while (n < s->n && is_digit(s->p[n]) == is_digit(s->p[0]))
        n++;
    const struct str chunk = str_until(*s, n);
    *s = str_from(*s, n);
    return chunk;
}

static int compare_chunks(struct str a, struct str b)
{
    int64_t x, y;
    if (is_digit(a.p[0]) && is_digit(b.p[0]) && number_parse_i64(a, &x) == ERR_OK &&
        number_parse_i64(b, &y) == ERR_OK)
        return (x > y) - (x < y);
    return str_cmp(a, b);
}

static int compare_naturally(struct str a, struct str b)
{
    while (a.n && b.n) {
        const int order = compare_chunks(take_chunk(&a), take_chunk(&b));
        if (order)
            return order;
    }
    return (a.n > 0) - (b.n > 0);
}

struct by_labels {
    const struct plan_node *node;
    bool down;
};

static int compare_by_labels(const void *left, const void *right, const void *arg)
{
    const struct vec_series *a = left, *b = right;
    const struct by_labels *by = arg;
    for (size_t i = 1; i < by->node->args_count; i++) {
        const struct str name = eval_string(by->node->args[i]);
        const struct str x = labels_value(a->labels, name), y = labels_value(b->labels, name);
        const int order = str_eq(x, y) ? 0 : compare_naturally(x, y);
        if (order)
            return by->down ? -order : order;
    }
    const int order = labels_cmp(a->labels, b->labels);
    return by->down ? -order : order;
}

// The argument whose series a call takes one after the other, each to one of its own; NULL: none.
static const struct promql_expr *ordered_arg(const struct promql_expr *call)
{
    switch ((int)call->call.function->id) {
    case PROMQL_FN_ABSENT:
    case PROMQL_FN_HISTOGRAM_FRACTION:
    case PROMQL_FN_HISTOGRAM_QUANTILE:
    case PROMQL_FN_HISTOGRAM_QUANTILES:
    case PROMQL_FN_INFO:
    case PROMQL_FN_VECTOR:
        return NULL;
    default:
        if (!call->call.args_count || call->call.args[0]->type != PROMQL_TYPE_VECTOR)
            return NULL;
        return call->call.args[0];
    }
}

bool expr_has_order(const struct promql_expr *e)
{
    for (size_t i = 0; e; i++) {
        gently_at(i);
        if (e->kind == PROMQL_PAREN) {
            e = e->paren;
        } else if (e->kind == PROMQL_AGGREGATE) {
            if (e->aggregate.op == PROMQL_TOPK || e->aggregate.op == PROMQL_BOTTOMK)
                return true;
            const bool chooses =
                e->aggregate.op == PROMQL_LIMITK || e->aggregate.op == PROMQL_LIMIT_RATIO;
            e = chooses && !e->aggregate.grouping_count ? e->aggregate.expr : NULL;
        } else if (e->kind == PROMQL_UNARY) {
            e = e->unary.expr;
        } else if (e->kind == PROMQL_BINARY) {
            const bool is_left_scalar = e->binary.lhs->type == PROMQL_TYPE_SCALAR;
            if (!is_left_scalar && e->binary.rhs->type != PROMQL_TYPE_SCALAR &&
                !promql_op_is_set(e->binary.op))
                return false;
            e = is_left_scalar ? e->binary.rhs : e->binary.lhs;
        } else if (e->kind == PROMQL_CALL) {
            const enum promql_function_id id = e->call.function->id;
            if (id == PROMQL_FN_SORT || id == PROMQL_FN_SORT_DESC ||
                id == PROMQL_FN_SORT_BY_LABEL || id == PROMQL_FN_SORT_BY_LABEL_DESC)
                return true;
            e = ordered_arg(e);
        } else {
            return false;
        }
    }
    return false;
}

err eval_sort(struct query *q, const struct plan_node *node, struct vec *out)
{
    const enum promql_function_id id = node->expr->call.function->id;
    *out = node_vec(node->args[0]);
    if (q->options->step_ms) {
        query_note(q, true, node->expr,
                   "sort is ineffective for range queries since results are always ordered by "
                   "labels");
        return ERR_OK;
    }
    struct by_labels by = {node, id == PROMQL_FN_SORT_BY_LABEL_DESC};
    return gently_sort(out->series, out->n, sizeof *out->series, &by, q->a, q->e,
                       id == PROMQL_FN_SORT        ? compare_values
                       : id == PROMQL_FN_SORT_DESC ? compare_values_down
                                                   : compare_by_labels);
}
