#include <assert.h>

#include "engine/base/mem.h"
#include "engine/base/quote.h"
#include "engine/model/labels.h"
#include "engine/promql/function_table.h"
#include "engine/promql/parser_state.h"

// Types and contents, which Prometheus looks at once the syntax is right: depth first, a node
// before its children where it counts them, behind each child for its type, and at the end.

static err fail_type(struct parser *p, const struct promql_expr *e, enum promql_type want,
                     const char *context)
{
    return parser_fail(p, e->start, "expected type %s in %s, got %s", promql_type_text(want),
                       context, promql_type_text(e->type));
}

static bool is_operand(const struct promql_expr *e)
{
    return e->type == PROMQL_TYPE_SCALAR || e->type == PROMQL_TYPE_VECTOR;
}

// Which metrics info() takes labels from, unless its selector names any: target_info, or, where it
// only says which ones not to take, all that end in _info.
static err add_info_name(struct parser *p, struct promql_expr *selector)
{
    bool any = false;
    for (size_t i = 0; i < selector->vector.matchers_count; i++) {
        const struct matcher *m = &selector->vector.matchers[i];
        if (!str_eq(m->name, LABEL_NAME))
            continue;
        any = true;
        if (m->kind == MATCHER_EQ || m->kind == MATCHER_RE)
            return ERR_OK;
    }
    struct matcher *also = arena_array(p->arena, 1, struct matcher);
    if (!also)
        return parser_no_memory(p);
    selector->vector.also = also;
    *also = (struct matcher){MATCHER_EQ, LABEL_NAME, STR("target_info"), NULL};
    if (!any)
        return ERR_OK;
    *also = (struct matcher){MATCHER_RE, LABEL_NAME, STR(".+_info"), NULL};
    return parser_compile(p, selector->start, also);
}

static err check_info(struct parser *p, const struct promql_expr *call)
{
    struct promql_expr *selector = call->call.args[1];
    if (selector->type != PROMQL_TYPE_VECTOR)
        return parser_fail(p, call->start, "expected type %s in call to function \"info\", got %s",
                           promql_type_text(PROMQL_TYPE_VECTOR), promql_type_text(selector->type));
    if (selector->kind != PROMQL_VECTOR)
        return parser_fail(p, selector->start, "expected label selectors only");
    if (selector->vector.name.n)
        return parser_fail(p, selector->start,
                           "expected label selectors only, got vector selector instead");
    selector->vector.may_be_empty = true;
    return add_info_name(p, selector);
}

static err check_call(struct parser *p, const struct promql_expr *e)
{
    const struct promql_function *f = e->call.function;
    const int count = (int)e->call.args_count, declared = f->args_count;
    const struct str name = f->name;
    if (!f->variadic) {
        if (count != declared)
            return parser_fail(p, e->start, "expected %d argument(s) in call to \"%.*s\", got %d",
                               declared, STR_ARG(name), count);
    } else if (count < declared - 1) {
        return parser_fail(p, e->start,
                           "expected at least %d argument(s) in call to \"%.*s\", got %d",
                           declared - 1, STR_ARG(name), count);
    } else if (f->variadic > 0 && count > declared - 1 + f->variadic) {
        return parser_fail(p, e->start,
                           "expected at most %d argument(s) in call to \"%.*s\", got %d",
                           declared - 1 + f->variadic, STR_ARG(name), count);
    }
    return f->id == PROMQL_FN_INFO && count > 1 ? check_info(p, e) : ERR_OK;
}

static err check_arg(struct parser *p, const struct promql_expr *e, size_t index)
{
    const struct promql_function *f = e->call.function;
    const size_t declared = index < f->args_count ? index : f->args_count - 1u;
    const enum promql_type want = (enum promql_type)f->args[declared];
    const struct promql_expr *arg = e->call.args[index];
    if (arg->type == want)
        return ERR_OK;
    return parser_fail(p, arg->start, "expected type %s in call to function \"%.*s\", got %s",
                       promql_type_text(want), STR_ARG(f->name), promql_type_text(arg->type));
}

static err check_aggregate(struct parser *p, const struct promql_expr *e, size_t index)
{
    if (index == 0)
        return e->aggregate.expr->type == PROMQL_TYPE_VECTOR
                   ? ERR_OK
                   : fail_type(p, e->aggregate.expr, PROMQL_TYPE_VECTOR, "aggregation expression");
    const enum promql_type want =
        e->aggregate.op == PROMQL_COUNT_VALUES ? PROMQL_TYPE_STRING : PROMQL_TYPE_SCALAR;
    return e->aggregate.param->type == want
               ? ERR_OK
               : fail_type(p, e->aggregate.param, want, "aggregation parameter");
}

static err check_labels(struct parser *p, const struct promql_matching *m, uint32_t pos)
{
    for (size_t i = 0; m->on && i < m->labels_count; i++)
        for (size_t j = 0; j < m->include_count; j++) {
            if (!str_eq(m->labels[i], m->include[j]))
                continue;
            struct buf quoted = {0};
            buf_put_quoted(&quoted, m->labels[i]);
            const err code =
                parser_fail(p, pos, "label %.*s must not occur in ON and GROUP clause at once",
                            STR_ARG(buf_str(&quoted)));
            buf_deinit(&quoted);
            return code;
        }
    return ERR_OK;
}

static err check_matching(struct parser *p, struct promql_expr *e)
{
    struct promql_matching *m = e->binary.matching;
    const bool is_set = promql_op_is_set(e->binary.op);
    const bool vectors =
        e->binary.lhs->type == PROMQL_TYPE_VECTOR && e->binary.rhs->type == PROMQL_TYPE_VECTOR;
    const bool fills = m->has_fill_left || m->has_fill_right;
    if (!vectors) {
        if (m->labels_count)
            return parser_fail(p, e->start, "vector matching only allowed between instant vectors");
        if (fills)
            return parser_fail(p, e->start,
                               "filling in missing series only allowed between instant vectors");
        e->binary.matching = NULL;
    } else if (is_set && m->card != PROMQL_MANY_TO_MANY) {
        return parser_fail(p, e->start, "no grouping allowed for \"%s\" operation",
                           promql_op_text(e->binary.op));
    } else if (is_set && fills) {
        return parser_fail(p, e->start, "filling in missing series not allowed for set operators");
    }
    if (!vectors && is_set)
        return parser_fail(p, e->start,
                           "set operator \"%s\" not allowed in binary scalar expression",
                           promql_op_text(e->binary.op));
    return ERR_OK;
}

static err check_binary(struct parser *p, struct promql_expr *e)
{
    const struct promql_expr *lhs = e->binary.lhs, *rhs = e->binary.rhs;
    const bool compares = promql_op_is_comparison(e->binary.op);
    struct promql_matching *m = e->binary.matching;
    uint32_t at = lhs->end;
    while (at < rhs->start && memchr(" \t\n\r", p->lexer.text.p[at], 4))
        at++;
    if (e->binary.return_bool && !compares)
        return parser_fail(p, at, "bool modifier can only be used on comparison operators");
    if (compares && !e->binary.return_bool && rhs->type == PROMQL_TYPE_SCALAR &&
        lhs->type == PROMQL_TYPE_SCALAR)
        return parser_fail(p, at, "comparisons between scalars must use BOOL modifier");
    if (promql_op_is_set(e->binary.op) && m->card == PROMQL_ONE_TO_ONE)
        m->card = PROMQL_MANY_TO_MANY;
    TRY(check_labels(p, m, at));
    if (!is_operand(lhs) || !is_operand(rhs))
        return parser_fail(p, is_operand(lhs) ? rhs->start : lhs->start,
                           "binary expression must contain only scalar and instant vector types");
    return check_matching(p, e);
}

static err check_vector(struct parser *p, const struct promql_expr *e)
{
    const struct matcher *m = e->vector.matchers;
    const size_t count = e->vector.matchers_count;
    if (!e->vector.name.n) {
        for (size_t i = 0; i < count; i++)
            if (!matcher_matches_empty(&m[i]))
                return ERR_OK;
        if (e->vector.may_be_empty)
            return ERR_OK;
        return parser_fail(p, e->start,
                           "vector selector must contain at least one non-empty matcher");
    }
    for (size_t i = 0; i + 1 < count; i++) {
        if (!str_eq(m[i].name, LABEL_NAME))
            continue;
        struct buf quoted = {0};
        buf_put_quoted(&quoted, m[i].value);
        const err code =
            parser_fail(p, e->start, "metric name must not be set twice: \"%.*s\" or %.*s",
                        STR_ARG(e->vector.name), STR_ARG(buf_str(&quoted)));
        buf_deinit(&quoted);
        return code;
    }
    return ERR_OK;
}

// The order of checking: an aggregation's parameter comes behind its expression.
static struct promql_expr *child_of(const struct promql_expr *e, size_t index)
{
    if (e->kind != PROMQL_AGGREGATE)
        return promql_child(e, index);
    return index == 0 ? e->aggregate.expr : index == 1 ? e->aggregate.param : NULL;
}

static err check_behind_child(struct parser *p, const struct promql_expr *e, size_t index)
{
    if (e->kind == PROMQL_CALL)
        return check_arg(p, e, index);
    return e->kind == PROMQL_AGGREGATE ? check_aggregate(p, e, index) : ERR_OK;
}

static err check_at_end(struct parser *p, struct promql_expr *e)
{
    switch (e->kind) {
    case PROMQL_BINARY:
        return check_binary(p, e);
    case PROMQL_UNARY:
        if (!is_operand(e->unary.expr))
            return parser_fail(p, e->start,
                               "unary expression only allowed on expressions of type scalar or "
                               "instant vector, got \"%s\"",
                               promql_type_text(e->unary.expr->type));
        return ERR_OK;
    case PROMQL_SUBQUERY:
        if (e->subquery.expr->type != PROMQL_TYPE_VECTOR)
            return parser_fail(p, e->start,
                               "subquery is only allowed on instant vector, got %s instead",
                               promql_type_name(e->subquery.expr->type));
        return ERR_OK;
    case PROMQL_VECTOR:
        return check_vector(p, e);
    case PROMQL_AGGREGATE:
    case PROMQL_CALL:
    case PROMQL_MATRIX:
    case PROMQL_NUMBER:
    case PROMQL_PAREN:
    case PROMQL_STRING:
    case PROMQL_DURATION:
        break;
    }
    return ERR_OK;
}

struct check_place {
    struct promql_expr *e;
    size_t next; // child
};

static err check_tree(struct parser *p, struct promql_expr *root, struct check_place **places)
{
    size_t count = 0, capacity = 0;
    struct promql_expr *entered = root;
    for (;;) {
        if (entered) {
            *places = mem_grow(*places, &capacity, count + 1, sizeof **places);
            (*places)[count++] = (struct check_place){entered, 0};
            if (entered->kind == PROMQL_CALL)
                TRY(check_call(p, entered));
        }
        struct check_place *top = &(*places)[count - 1];
        entered = child_of(top->e, top->next);
        if (entered) {
            top->next++;
            continue;
        }
        TRY(check_at_end(p, top->e));
        if (--count == 0)
            return ERR_OK;
        top = &(*places)[count - 1];
        TRY(check_behind_child(p, top->e, top->next - 1));
    }
}

err parser_check(struct parser *p, struct promql_expr *root)
{
    struct check_place *places = NULL;
    const err code = check_tree(p, root, &places);
    mem_free(places);
    return code;
}
