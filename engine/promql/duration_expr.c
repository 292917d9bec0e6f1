// Duration expressions: ranges, steps and offsets that are computed. Their errors name the bytes
// [start, end) of the expression, as Prometheus does, not line and column.
#include <assert.h>
#include <math.h>

#include "engine/promql/eval.h"
#include "engine/promql/gently.h"

static err bad(struct errmsg *e, const struct promql_expr *at, const char *what)
{
    return err_set(e, ERR_INVALID, "%u:%u: %s", at->start, at->end, what);
}

static double extreme_of(double a, double b, bool greater)
{
    if (isnan(a) || isnan(b))
        return NAN;
    return greater == (a > b) ? a : b;
}

// Seconds, of e alone; lhs and rhs are its children's, 0 where it has none.
static err apply(const struct query_options *o, const struct promql_expr *e, double lhs, double rhs,
                 double *out, struct errmsg *error)
{
    if (e->kind == PROMQL_NUMBER) {
        *out = e->number.value;
        return ERR_OK;
    }
    assert(e->kind == PROMQL_DURATION);
    switch ((int)e->duration.op) {
    case PROMQL_STEP:
        *out = (double)o->step_ms / 1000;
        return ERR_OK;
    case PROMQL_RANGE:
        *out = (double)(o->end_ms - o->start_ms) / 1000;
        return ERR_OK;
    case PROMQL_ADD:
        *out = lhs + rhs;
        return ERR_OK;
    case PROMQL_SUB:
        *out = e->duration.lhs ? lhs - rhs : -rhs;
        return ERR_OK;
    case PROMQL_MUL:
        *out = lhs * rhs;
        return ERR_OK;
    case PROMQL_DIV:
        *out = lhs / rhs;
        return rhs == 0 ? bad(error, e, "division by zero") : ERR_OK;
    case PROMQL_MOD:
        *out = fmod(lhs, rhs);
        return rhs == 0 ? bad(error, e, "modulo by zero") : ERR_OK;
    case PROMQL_POW:
        *out = pow(lhs, rhs);
        return ERR_OK;
    case PROMQL_MIN_OF:
    case PROMQL_MAX_OF:
        *out = extreme_of(lhs, rhs, e->duration.op == PROMQL_MAX_OF);
        return ERR_OK;
    default:
        return bad(error, e, "unexpected duration expression");
    }
}

// The error of the operation that is leftmost, and innermost, is the one that counts: it is met
// last, and what holds it is not computed.
static err seconds_of(const struct query_options *o, const struct promql_expr *root,
                      struct arena *a, double *out, struct errmsg *e)
{
    const struct promql_expr **all = promql_list_gently(root, a, gently);
    double *seconds = arena_array(a, root->size, double);
    bool *failed = arena_array(a, root->size, bool);
    if (!all || !seconds || !failed)
        return err_set(e, ERR_LIMIT, "duration expression is too large");
    for (size_t i = root->size; i-- > 0;) {
        const bool is_sign = all[i]->kind == PROMQL_DURATION && !all[i]->duration.lhs;
        double operands[2] = {0};
        size_t operand = is_sign;
        for (size_t at = i + 1; at < i + all[i]->size; at += all[at]->size) {
            operands[operand++] = seconds[at];
            failed[i] |= failed[at];
        }
        if (!failed[i])
            failed[i] = apply(o, all[i], operands[0], operands[1], &seconds[i], e) != ERR_OK;
    }
    *out = seconds[0];
    return failed[0] ? ERR_INVALID : ERR_OK;
}

err duration_of(const struct query_options *o, const struct promql_expr *d, bool or_less,
                struct arena *a, int64_t *out_ms, struct errmsg *e)
{
    double seconds = 0;
    TRY(seconds_of(o, d, a, &seconds, e));
    if (!or_less && seconds <= 0)
        return bad(e, d, "duration must be greater than 0");
    if (!(fabs(seconds) * 1e9 < 9223372036854775808.0)) // also NaN
        return bad(e, d, "duration is out of range");
    *out_ms = (int64_t)(seconds * 1000); // whole milliseconds, cut
    return ERR_OK;
}

static err check_node(const struct query_options *o, const struct promql_expr *e, struct arena *a,
                      struct errmsg *error)
{
    const struct promql_expr *offset = NULL, *step = NULL, *range = NULL;
    int64_t ignored;
    if (e->kind == PROMQL_VECTOR)
        offset = e->vector.shift.offset_expr;
    if (e->kind == PROMQL_MATRIX)
        range = e->matrix.range_expr;
    if (e->kind == PROMQL_SUBQUERY) {
        offset = e->subquery.shift.offset_expr;
        step = e->subquery.step_expr;
        range = e->subquery.range_expr;
    }
    if (offset)
        TRY(duration_of(o, offset, true, a, &ignored, error));
    if (step)
        TRY(duration_of(o, step, false, a, &ignored, error));
    return range ? duration_of(o, range, false, a, &ignored, error) : ERR_OK;
}

err promql_check(const struct query_options *options, const struct promql_expr *expr,
                 struct arena *a, struct errmsg *e)
{
    const bool has_steps = expr->type == PROMQL_TYPE_SCALAR || expr->type == PROMQL_TYPE_VECTOR;
    if (options->step_ms > 0 && !has_steps)
        return err_set(e, ERR_INVALID,
                       "invalid expression type \"%s\" for range query, must be Scalar or "
                       "instant Vector",
                       promql_type_text(expr->type));
    const struct promql_expr **all = promql_list_gently(expr, a, gently);
    if (!all)
        return err_set(e, ERR_LIMIT, "query is too large");
    for (size_t i = 0; i < expr->size; i++) {
        gently_at(i);
        TRY(check_node(options, all[i], a, e));
    }
    return ERR_OK;
}
