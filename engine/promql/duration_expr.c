#include <assert.h>
#include <math.h>

#include "engine/promql/eval.h"

static err bad(struct query *q, const struct promql_expr *e, const char *what)
{
    size_t line = 1, column = 1;
    for (size_t i = 0; i < e->start && i < q->text.n; i++) {
        column = q->text.p[i] == '\n' ? 1 : column + 1;
        line += q->text.p[i] == '\n';
    }
    return err_set(q->e, ERR_INVALID, "%zu:%zu: %s", line, column, what);
}

// Seconds.
static err seconds_of(struct query *q, const struct promql_expr *e, double *out)
{
    if (e->kind == PROMQL_NUMBER) {
        *out = e->number.value;
        return ERR_OK;
    }
    assert(e->kind == PROMQL_DURATION);
    const struct query_options *o = q->options;
    double lhs = 0, rhs = 0;
    if (e->duration.op == PROMQL_STEP) {
        *out = (double)o->step_ms / 1000;
        return ERR_OK;
    }
    if (e->duration.op == PROMQL_RANGE) {
        *out = (double)(o->end_ms - o->start_ms) / 1000;
        return ERR_OK;
    }
    if (e->duration.lhs)
        TRY(seconds_of(q, e->duration.lhs, &lhs));
    if (e->duration.rhs)
        TRY(seconds_of(q, e->duration.rhs, &rhs));
    switch ((int)e->duration.op) {
    case PROMQL_ADD:
        *out = e->duration.lhs ? lhs + rhs : rhs;
        return ERR_OK;
    case PROMQL_SUB:
        *out = e->duration.lhs ? lhs - rhs : -rhs;
        return ERR_OK;
    case PROMQL_MUL:
        *out = lhs * rhs;
        return ERR_OK;
    case PROMQL_DIV:
        if (rhs == 0)
            return bad(q, e, "division by zero");
        *out = lhs / rhs;
        return ERR_OK;
    case PROMQL_MOD:
        if (rhs == 0)
            return bad(q, e, "modulo by zero");
        *out = fmod(lhs, rhs);
        return ERR_OK;
    case PROMQL_POW:
        *out = pow(lhs, rhs);
        return ERR_OK;
    case PROMQL_MIN_OF:
        *out = fmin(lhs, rhs);
        return ERR_OK;
    case PROMQL_MAX_OF:
        *out = fmax(lhs, rhs);
        return ERR_OK;
    default:
        return bad(q, e, "unexpected duration expression");
    }
}

err duration_of(struct query *q, const struct promql_expr *e, bool or_less, int64_t *out_ms)
{
    double seconds = 0;
    TRY(seconds_of(q, e, &seconds));
    if (!or_less && seconds <= 0)
        return bad(q, e, "duration must be greater than 0");
    if (!(fabs(seconds) * 1e9 < 9223372036854775808.0)) // also NaN
        return bad(q, e, "duration out of range");
    *out_ms = (int64_t)(seconds * 1000);
    if (!or_less && *out_ms == 0)
        return bad(q, e, "duration must be greater than 0");
    return ERR_OK;
}
