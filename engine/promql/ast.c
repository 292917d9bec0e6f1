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

void promql_set_size(struct promql_expr *e)
{
    uint32_t size = 1;
    const struct promql_expr *child;
    for (size_t i = 0; (child = promql_child(e, i)); i++)
        size += child->size;
    e->size = size;
}

const struct promql_expr **promql_list_gently(const struct promql_expr *root, struct arena *a,
                                              void (*pause)(void))
{
    const struct promql_expr **all =
        arena_try(a, root->size, sizeof(const struct promql_expr *), _Alignof(void *));
    if (!all)
        return NULL;
    // Children are written where they belong as soon as their parent is met.
    all[0] = root;
    for (size_t i = 0; i < root->size; i++) {
        const struct promql_expr *child;
        size_t at = i + 1;
        for (size_t c = 0; (child = promql_child(all[i], c)); c++) {
            all[at] = child;
            at += child->size;
        }
        assert(at == i + all[i]->size);
        if (pause && i % 512 == 511)
            pause();
    }
    return all;
}

const struct promql_expr **promql_list(const struct promql_expr *root, struct arena *a)
{
    return promql_list_gently(root, a, NULL);
}
