#include "engine/promql/printer.h"

#include <assert.h>
#include <stdlib.h>

#include "engine/base/duration.h"
#include "engine/base/mem.h"
#include "engine/base/number.h"
#include "engine/base/quote.h"
#include "engine/model/labels.h"
#include "engine/promql/function_table.h"

enum { LINE_MAX_BYTES = 100, INDENT = 2 };

static void put_number(double d, struct buf *out)
{
    char text[NUMBER_TEXT_MAX];
    buf_put(out, text, number_format_f(d, text));
}

// A literal written as a duration. Go goes by way of whole nanoseconds, cut, and so do we.
static void put_seconds(double seconds, struct buf *out)
{
    double ns = seconds * 1e9;
    if (ns < 0) {
        buf_put_char(out, '-');
        ns = -ns;
    }
    duration_format(ns < 0x1p63 ? (int64_t)ns / 1000000 : INT64_MAX / 1000000, out);
}

static void put_names(const struct str *names, size_t count, struct buf *out)
{
    buf_put_char(out, '(');
    for (size_t i = 0; i < count; i++) {
        if (i)
            buf_put_str(out, STR(", "));
        if (label_name_is_legacy(names[i]))
            buf_put_str(out, names[i]);
        else
            buf_put_quoted(out, names[i]);
    }
    buf_put_char(out, ')');
}

static void put_aggregate_head(const struct promql_expr *e, struct buf *out)
{
    buf_put_str(out, str_from_c(promql_aggregate_text(e->aggregate.op)));
    if (!e->aggregate.without && !e->aggregate.grouping_count)
        return;
    buf_put_str(out, e->aggregate.without ? STR(" without ") : STR(" by "));
    put_names(e->aggregate.grouping, e->aggregate.grouping_count, out);
    buf_put_char(out, ' ');
}

static void put_fill(const char *name, double value, struct buf *out)
{
    buf_printf(out, " %s (", name);
    buf_put_double_g(out, value);
    buf_put_char(out, ')');
}

// The operator with its modifiers.
static void put_operator(const struct promql_expr *e, struct buf *out)
{
    const struct promql_matching *m = e->binary.matching;
    buf_put_str(out, str_from_c(promql_op_text(e->binary.op)));
    if (e->binary.return_bool)
        buf_put_str(out, STR(" bool"));
    if (!m)
        return;
    const bool grouped = m->card == PROMQL_MANY_TO_ONE || m->card == PROMQL_ONE_TO_MANY;
    if (m->labels_count || m->on || grouped) {
        buf_put_str(out, m->on ? STR(" on ") : STR(" ignoring "));
        put_names(m->labels, m->labels_count, out);
    }
    if (grouped) {
        buf_put_str(out,
                    m->card == PROMQL_MANY_TO_ONE ? STR(" group_left ") : STR(" group_right "));
        put_names(m->include, m->include_count, out);
    }
    if (m->has_fill_left && m->has_fill_right && m->fill_left == m->fill_right) {
        put_fill("fill", m->fill_left, out);
        return;
    }
    if (m->has_fill_left)
        put_fill("fill_left", m->fill_left, out);
    if (m->has_fill_right)
        put_fill("fill_right", m->fill_right, out);
}

static void put_duration(const struct promql_expr *e, struct buf *out)
{
    if (e->kind == PROMQL_NUMBER) {
        promql_print(e, out);
        return;
    }
    const enum promql_op op = e->duration.op;
    if (e->duration.wrapped)
        buf_put_char(out, '(');
    if (op >= PROMQL_STEP) {
        buf_put_str(out, str_from_c(promql_op_text(op)));
        buf_put_char(out, '(');
        if (e->duration.lhs) {
            put_duration(e->duration.lhs, out);
            buf_put_str(out, STR(", "));
            put_duration(e->duration.rhs, out);
        }
        buf_put_char(out, ')');
    } else if (e->duration.lhs) {
        put_duration(e->duration.lhs, out);
        buf_printf(out, " %s ", promql_op_text(op));
        put_duration(e->duration.rhs, out);
    } else {
        if (op == PROMQL_SUB)
            buf_put_char(out, '-');
        put_duration(e->duration.rhs, out);
    }
    if (e->duration.wrapped)
        buf_put_char(out, ')');
}

static void put_at(const struct promql_shift *shift, struct buf *out)
{
    if (shift->at == PROMQL_AT_TIME)
        buf_printf(out, " @ %.3f", (double)shift->at_ms / 1000.0);
    else if (shift->at == PROMQL_AT_START)
        buf_put_str(out, STR(" @ start()"));
    else if (shift->at == PROMQL_AT_END)
        buf_put_str(out, STR(" @ end()"));
}

static void put_offset(const struct promql_shift *shift, struct buf *out)
{
    if (shift->offset_expr) {
        buf_put_str(out, STR(" offset "));
        put_duration(shift->offset_expr, out);
    } else if (shift->original_offset_ms) {
        buf_put_str(out, STR(" offset "));
        duration_format(shift->original_offset_ms, out);
    }
}

static void put_extended(const struct promql_expr *vector, struct buf *out)
{
    if (vector->vector.anchored)
        buf_put_str(out, STR(" anchored"));
    else if (vector->vector.smoothed)
        buf_put_str(out, STR(" smoothed"));
}

static void put_length(int64_t ms, const struct promql_expr *e, struct buf *out)
{
    if (e)
        put_duration(e, out);
    else
        duration_format(ms, out);
}

static int compare_texts(const void *a, const void *b)
{
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

// The name and the matchers, sorted by their text.
static void put_selector(const struct promql_expr *e, struct buf *out)
{
    const size_t count = e->vector.matchers_count;
    size_t *ends = mem_alloc_array(count + 1, sizeof *ends);
    struct buf text = {0};
    size_t n = 0;
    for (size_t i = 0; i < count; i++) {
        const struct matcher *m = &e->vector.matchers[i];
        if (m->kind == MATCHER_EQ && m->value.n && str_eq(m->name, LABEL_NAME) &&
            str_eq(m->value, e->vector.name))
            continue;
        matcher_format(m, &text);
        ends[n++] = text.n;
    }
    buf_put_str(out, e->vector.name);
    if (n) {
        struct str *parts = mem_alloc_array(n, sizeof *parts);
        for (size_t i = 0; i < n; i++) {
            const size_t from = i ? ends[i - 1] : 0;
            parts[i] = str_make(text.p + from, ends[i] - from);
        }
        qsort(parts, n, sizeof *parts, compare_texts);
        for (size_t i = 0; i < n; i++) {
            buf_put_char(out, i ? ',' : '{');
            buf_put_str(out, parts[i]);
        }
        buf_put_char(out, '}');
        mem_free(parts);
    }
    buf_deinit(&text);
    mem_free(ends);
}

static void put_subquery_tail(const struct promql_expr *e, struct buf *out)
{
    buf_put_char(out, '[');
    put_length(e->subquery.range_ms, e->subquery.range_expr, out);
    buf_put_char(out, ':');
    if (e->subquery.step_expr || e->subquery.step_ms)
        put_length(e->subquery.step_ms, e->subquery.step_expr, out);
    buf_put_char(out, ']');
    put_at(&e->subquery.shift, out);
    put_offset(&e->subquery.shift, out);
}

static void put_matrix(const struct promql_expr *e, struct buf *out)
{
    const struct promql_expr *vector = e->matrix.vector;
    put_selector(vector, out);
    buf_put_char(out, '[');
    put_length(e->matrix.range_ms, e->matrix.range_expr, out);
    buf_put_char(out, ']');
    put_extended(vector, out);
    put_at(&vector->vector.shift, out);
    put_offset(&vector->vector.shift, out);
}

static void put_aggregate(const struct promql_expr *e, struct buf *out)
{
    put_aggregate_head(e, out);
    buf_put_char(out, '(');
    if (e->aggregate.param) {
        promql_print(e->aggregate.param, out);
        buf_put_str(out, STR(", "));
    }
    promql_print(e->aggregate.expr, out);
    buf_put_char(out, ')');
}

static void put_call(const struct promql_expr *e, struct buf *out)
{
    buf_put_str(out, e->call.function->name);
    buf_put_char(out, '(');
    for (size_t i = 0; i < e->call.args_count; i++) {
        if (i)
            buf_put_str(out, STR(", "));
        promql_print(e->call.args[i], out);
    }
    buf_put_char(out, ')');
}

void promql_print(const struct promql_expr *e, struct buf *out)
{
    switch (e->kind) {
    case PROMQL_AGGREGATE:
        put_aggregate(e, out);
        break;
    case PROMQL_BINARY:
        promql_print(e->binary.lhs, out);
        buf_put_char(out, ' ');
        put_operator(e, out);
        buf_put_char(out, ' ');
        promql_print(e->binary.rhs, out);
        break;
    case PROMQL_CALL:
        put_call(e, out);
        break;
    case PROMQL_MATRIX:
        put_matrix(e, out);
        break;
    case PROMQL_NUMBER:
        if (e->number.is_duration)
            put_seconds(e->number.value, out);
        else
            put_number(e->number.value, out);
        break;
    case PROMQL_PAREN:
        buf_put_char(out, '(');
        promql_print(e->paren, out);
        buf_put_char(out, ')');
        break;
    case PROMQL_STRING:
        buf_put_quoted(out, e->string);
        break;
    case PROMQL_SUBQUERY:
        promql_print(e->subquery.expr, out);
        put_subquery_tail(e, out);
        break;
    case PROMQL_UNARY:
        buf_put_str(out, str_from_c(promql_op_text(e->unary.op)));
        promql_print(e->unary.expr, out);
        break;
    case PROMQL_VECTOR:
        put_selector(e, out);
        put_at(&e->vector.shift, out);
        put_extended(e, out);
        put_offset(&e->vector.shift, out);
        break;
    case PROMQL_DURATION:
        put_duration(e, out);
        break;
    }
}

static void put_indent(unsigned level, struct buf *out)
{
    for (unsigned i = 0; i < level * INDENT; i++)
        buf_put_char(out, ' ');
}

static void put_pretty(const struct promql_expr *e, unsigned level, struct buf *out);

// Children on lines of their own, one level in, and the closing parenthesis below.
static void put_block(const struct promql_expr *const *children, size_t count, unsigned level,
                      struct buf *out)
{
    for (size_t i = 0; i < count; i++) {
        buf_put_str(out, i ? STR(",\n") : STR("(\n"));
        put_pretty(children[i], level + 1, out);
    }
    buf_put_char(out, '\n');
    put_indent(level, out);
    buf_put_char(out, ')');
}

static void put_pretty_unary(const struct promql_expr *e, unsigned level, struct buf *out)
{
    struct buf inner = {0};
    put_indent(level, out);
    buf_put_str(out, str_from_c(promql_op_text(e->unary.op)));
    put_pretty(e->unary.expr, level, &inner);
    buf_put_str(out, str_trim(buf_str(&inner)));
    buf_deinit(&inner);
}

// e is too long for a line.
static void put_split(const struct promql_expr *e, unsigned level, struct buf *out)
{
    if (e->kind == PROMQL_BINARY) {
        put_pretty(e->binary.lhs, level + 1, out);
        buf_put_char(out, '\n');
        put_indent(level, out);
        put_operator(e, out);
        buf_put_char(out, '\n');
        put_pretty(e->binary.rhs, level + 1, out);
        return;
    }
    if (e->kind == PROMQL_SUBQUERY) {
        put_pretty(e->subquery.expr, level, out);
        put_subquery_tail(e, out);
        return;
    }
    put_indent(level, out);
    if (e->kind == PROMQL_AGGREGATE) {
        const struct promql_expr *children[] = {e->aggregate.param, e->aggregate.expr};
        put_aggregate_head(e, out);
        put_block(e->aggregate.param ? children : children + 1, e->aggregate.param ? 2 : 1, level,
                  out);
    } else if (e->kind == PROMQL_CALL) {
        buf_put_str(out, e->call.function->name);
        put_block((const struct promql_expr *const *)e->call.args, e->call.args_count, level, out);
    } else {
        assert(e->kind == PROMQL_PAREN);
        put_block((const struct promql_expr *[]){e->paren}, 1, level, out);
    }
}

static void put_pretty(const struct promql_expr *e, unsigned level, struct buf *out)
{
    const bool splits = e->kind == PROMQL_AGGREGATE || e->kind == PROMQL_BINARY ||
                        e->kind == PROMQL_CALL || e->kind == PROMQL_PAREN ||
                        e->kind == PROMQL_SUBQUERY;
    if (e->kind == PROMQL_UNARY) {
        put_pretty_unary(e, level, out);
        return;
    }
    const size_t from = out->n;
    if (e->kind != PROMQL_SUBQUERY) // as Prometheus has it
        put_indent(level, out);
    const size_t text = out->n;
    promql_print(e, out);
    if (splits && out->n - text > LINE_MAX_BYTES) {
        out->n = from;
        put_split(e, level, out);
    }
}

void promql_print_pretty(const struct promql_expr *e, struct buf *out)
{
    put_pretty(e, 0, out);
}
