// The text over several lines. What is still to be printed stands in a list, last first.
#include <assert.h>

#include "engine/base/mem.h"
#include "engine/promql/function_table.h"
#include "engine/promql/printer.h"
#include "engine/promql/printer_walk.h"

enum { LINE_MAX_BYTES = 100, INDENT = 2 };

struct item {
    enum {
        ITEM_EXPR,     // e at level
        ITEM_TEXT,     // text, on the line at hand
        ITEM_INDENTED, // text, at the start of a line of level
        ITEM_OPERATOR, // e's
        ITEM_TAIL,     // of a subquery: all behind its expression
    } kind;
    size_t level;
    const struct promql_expr *e;
    const char *text;
};

struct pretty {
    struct buf *out;
    struct item *items;
    size_t n, capacity;
    bool behind_sign; // no indentation before what comes next
};

static void push(struct pretty *p, struct item item)
{
    p->items = mem_grow(p->items, &p->capacity, p->n + 1, sizeof *p->items);
    p->items[p->n++] = item;
}

static void put_indent(struct pretty *p, size_t level)
{
    const size_t n = p->behind_sign ? 0 : level * INDENT;
    memset(buf_reserve(p->out, n), ' ', n);
    p->out->n += n;
    p->behind_sign = false;
}

// Children on lines of their own, one level in, and the closing parenthesis below.
static void push_block(struct pretty *p, const struct promql_expr *e, size_t level)
{
    size_t n = 0;
    while (promql_child(e, n))
        n++;
    push(p, (struct item){ITEM_INDENTED, level, NULL, ")"});
    push(p, (struct item){ITEM_TEXT, 0, NULL, "\n"});
    while (n-- > 0) {
        push(p, (struct item){ITEM_EXPR, level + 1, promql_child(e, n), NULL});
        push(p, (struct item){ITEM_TEXT, 0, NULL, n ? ",\n" : "(\n"});
    }
}

// e is too long for a line.
static void split(struct pretty *p, const struct promql_expr *e, size_t level)
{
    if (e->kind == PROMQL_BINARY) {
        push(p, (struct item){ITEM_EXPR, level + 1, e->binary.rhs, NULL});
        push(p, (struct item){ITEM_TEXT, 0, NULL, "\n"});
        push(p, (struct item){ITEM_OPERATOR, level, e, NULL});
        push(p, (struct item){ITEM_TEXT, 0, NULL, "\n"});
        push(p, (struct item){ITEM_EXPR, level + 1, e->binary.lhs, NULL});
        return;
    }
    if (e->kind == PROMQL_SUBQUERY) {
        push(p, (struct item){ITEM_TAIL, 0, e, NULL});
        push(p, (struct item){ITEM_EXPR, level, e->subquery.expr, NULL});
        return;
    }
    put_indent(p, level);
    if (e->kind == PROMQL_AGGREGATE)
        printer_put_aggregate_head(e, p->out);
    else if (e->kind == PROMQL_CALL)
        buf_put_str(p->out, e->call.function->name);
    else
        assert(e->kind == PROMQL_PAREN);
    push_block(p, e, level);
}

static void put_expr(struct pretty *p, const struct promql_expr *e, size_t level)
{
    const bool splits = e->kind == PROMQL_AGGREGATE || e->kind == PROMQL_BINARY ||
                        e->kind == PROMQL_CALL || e->kind == PROMQL_PAREN ||
                        e->kind == PROMQL_SUBQUERY;
    if (e->kind == PROMQL_UNARY) {
        put_indent(p, level);
        buf_put_str(p->out, str_from_c(promql_op_text(e->unary.op)));
        p->behind_sign = true;
        push(p, (struct item){ITEM_EXPR, level, e->unary.expr, NULL});
        return;
    }
    if (splits && e->size > LINE_MAX_BYTES) { // each node is a byte at least
        split(p, e, level);
        return;
    }
    const size_t from = p->out->n;
    const bool behind_sign = p->behind_sign;
    if (e->kind != PROMQL_SUBQUERY) // as Prometheus has it
        put_indent(p, level);
    const size_t text = p->out->n;
    printer_walk(&printer_line, e, 0, splits ? LINE_MAX_BYTES : SIZE_MAX, p->out);
    if (splits && p->out->n - text > LINE_MAX_BYTES) {
        p->out->n = from;
        p->behind_sign = behind_sign;
        split(p, e, level);
    } else {
        p->behind_sign = false;
    }
}

static void put_item(struct pretty *p, struct item item)
{
    switch (item.kind) {
    case ITEM_EXPR:
        put_expr(p, item.e, item.level);
        break;
    case ITEM_TEXT:
        buf_put_str(p->out, str_from_c(item.text));
        break;
    case ITEM_INDENTED:
        put_indent(p, item.level);
        buf_put_str(p->out, str_from_c(item.text));
        break;
    case ITEM_OPERATOR:
        put_indent(p, item.level);
        printer_put_operator(item.e, p->out);
        break;
    case ITEM_TAIL:
        printer_walk(&printer_line, item.e, 1, SIZE_MAX, p->out);
        break;
    }
}

err promql_print_pretty(const struct promql_expr *e, struct buf *out)
{
    struct pretty p = {.out = out};
    const size_t from = out->n;
    push(&p, (struct item){ITEM_EXPR, 0, e, NULL});
    while (p.n && out->n - from <= PROMQL_PRETTY_MAX)
        put_item(&p, p.items[--p.n]);
    mem_free(p.items);
    if (out->n - from <= PROMQL_PRETTY_MAX)
        return ERR_OK;
    out->n = from;
    return ERR_LIMIT;
}
