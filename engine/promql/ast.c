#include "engine/promql/ast.h"

static struct promql_expr *one_of(struct promql_expr *const *children, size_t count, size_t index)
{
    for (size_t i = 0; i < count; i++) {
        if (!children[i])
            continue;
        if (index-- == 0)
            return children[i];
    }
    return NULL;
}

struct promql_expr *promql_child(const struct promql_expr *e, size_t index)
{
    switch (e->kind) {
    case PROMQL_AGGREGATE:
        return one_of((struct promql_expr *[]){e->aggregate.param, e->aggregate.expr}, 2, index);
    case PROMQL_BINARY:
        return one_of((struct promql_expr *[]){e->binary.lhs, e->binary.rhs}, 2, index);
    case PROMQL_CALL:
        return index < e->call.args_count ? e->call.args[index] : NULL;
    case PROMQL_MATRIX:
        return index == 0 ? e->matrix.vector : NULL;
    case PROMQL_PAREN:
        return index == 0 ? e->paren : NULL;
    case PROMQL_SUBQUERY:
        return index == 0 ? e->subquery.expr : NULL;
    case PROMQL_UNARY:
        return index == 0 ? e->unary.expr : NULL;
    case PROMQL_DURATION:
        return one_of((struct promql_expr *[]){e->duration.lhs, e->duration.rhs}, 2, index);
    case PROMQL_NUMBER:
    case PROMQL_STRING:
    case PROMQL_VECTOR:
        break;
    }
    return NULL;
}
