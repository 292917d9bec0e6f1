#include "engine/promql/printer.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

#include "engine/base/duration.h"
#include "engine/base/mem.h"
#include "engine/base/number.h"
#include "engine/base/quote.h"
#include "engine/model/labels.h"
#include "engine/promql/function_table.h"
#include "engine/promql/printer_walk.h"

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

void printer_put_aggregate_head(const struct promql_expr *e, struct buf *out)
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

void printer_put_operator(const struct promql_expr *e, struct buf *out)
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

static void put_at(const struct promql_shift *shift, struct buf *out)
{
    if (shift->at == PROMQL_AT_TIME)
        buf_printf(out, " @ %.3f", (double)shift->at_ms / 1000.0);
    else if (shift->at == PROMQL_AT_START)
        buf_put_str(out, STR(" @ start()"));
    else if (shift->at == PROMQL_AT_END)
        buf_put_str(out, STR(" @ end()"));
}

static bool is_unwrapped(const struct promql_expr *d)
{
    return d->kind == PROMQL_DURATION && !d->duration.wrapped && d->duration.op < PROMQL_STEP;
}

// Behind offset an operator belongs to the duration only if that begins with a parenthesis or two
// signs. Prometheus prints --5m + 1 as 5m + 1, which it reads otherwise: we add parentheses.
static bool offset_needs_parens(const struct promql_expr *d)
{
    size_t signs = 0;
    bool has_operator = false;
    while (is_unwrapped(d)) {
        has_operator |= d->duration.lhs != NULL;
        signs += d->duration.lhs == NULL;
        d = d->duration.lhs ? d->duration.lhs : d->duration.rhs;
    }
    if (d->kind == PROMQL_NUMBER)
        return has_operator && signs + (bool)signbit(d->number.value) < 2;
    return has_operator && signs < 2 && !(signs == 0 && d->duration.wrapped);
}

static void put_offset_end(const struct promql_shift *shift, struct buf *out)
{
    if (shift->offset_expr && offset_needs_parens(shift->offset_expr))
        buf_put_char(out, ')');
}

static void put_offset(const struct promql_shift *shift, struct buf *out)
{
    if (shift->offset_expr) { // it is the child behind
        buf_put_str(out,
                    offset_needs_parens(shift->offset_expr) ? STR(" offset (") : STR(" offset "));
    } else if (shift->offset_ns) {
        const bool is_near = shift->offset_ns > -1000000 && shift->offset_ns < 0;
        buf_put_str(out, is_near ? STR(" offset -") : STR(" offset "));
        duration_format(shift->offset_ns / 1000000, out);
    }
}

static void put_extended(const struct promql_expr *vector, struct buf *out)
{
    if (vector->vector.anchored)
        buf_put_str(out, STR(" anchored"));
    else if (vector->vector.smoothed)
        buf_put_str(out, STR(" smoothed"));
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

// ---- kinds of nodes, by slots

static bool matrix_slot(const struct promql_expr *e, size_t slot, struct buf *out,
                        const struct promql_expr **out_child)
{
    const struct promql_expr *vector = e->matrix.vector;
    if (slot == 0) {
        put_selector(vector, out);
        buf_put_char(out, '[');
        *out_child = e->matrix.range_expr;
        return true;
    }
    if (slot > 1) {
        put_offset_end(&vector->vector.shift, out);
        return false;
    }
    if (!e->matrix.range_expr)
        duration_format(e->matrix.range_ms, out);
    buf_put_char(out, ']');
    put_extended(vector, out);
    put_at(&vector->vector.shift, out);
    put_offset(&vector->vector.shift, out);
    *out_child = vector->vector.shift.offset_expr;
    return true;
}

static bool vector_slot(const struct promql_expr *e, size_t slot, struct buf *out,
                        const struct promql_expr **out_child)
{
    if (slot > 0) {
        put_offset_end(&e->vector.shift, out);
        return false;
    }
    put_selector(e, out);
    put_at(&e->vector.shift, out);
    put_extended(e, out);
    put_offset(&e->vector.shift, out);
    *out_child = e->vector.shift.offset_expr;
    return true;
}

static bool subquery_slot(const struct promql_expr *e, size_t slot, struct buf *out,
                          const struct promql_expr **out_child)
{
    switch (slot) {
    case 0:
        *out_child = e->subquery.expr;
        return true;
    case 1:
        buf_put_char(out, '[');
        *out_child = e->subquery.range_expr;
        return true;
    case 2:
        if (!e->subquery.range_expr)
            duration_format(e->subquery.range_ms, out);
        buf_put_char(out, ':');
        *out_child = e->subquery.step_expr;
        return true;
    case 3:
        if (!e->subquery.step_expr && e->subquery.step_ns)
            duration_format(e->subquery.step_ms, out);
        buf_put_char(out, ']');
        put_at(&e->subquery.shift, out);
        put_offset(&e->subquery.shift, out);
        *out_child = e->subquery.shift.offset_expr;
        return true;
    default:
        put_offset_end(&e->subquery.shift, out);
        return false;
    }
}

static bool duration_slot(const struct promql_expr *e, size_t slot, struct buf *out,
                          const struct promql_expr **out_child)
{
    const enum promql_op op = e->duration.op;
    const bool is_call = op >= PROMQL_STEP;
    if (slot == 0) {
        if (e->duration.wrapped)
            buf_put_char(out, '(');
        if (is_call)
            buf_printf(out, "%s(", promql_op_text(op));
        else if (!e->duration.lhs && op == PROMQL_SUB)
            buf_put_char(out, '-');
        *out_child = e->duration.lhs;
        return true;
    }
    if (slot == 1) {
        if (e->duration.lhs && is_call)
            buf_put_str(out, STR(", "));
        else if (e->duration.lhs)
            buf_printf(out, " %s ", promql_op_text(op));
        *out_child = e->duration.rhs;
        return true;
    }
    if (slot > 2)
        return false;
    if (is_call)
        buf_put_char(out, ')');
    if (e->duration.wrapped)
        buf_put_char(out, ')');
    return true;
}

// Of what stands in parentheses with commas: the slot behind the last child closes.
static bool list_slot(const struct promql_expr *e, size_t slot, struct buf *out,
                      const struct promql_expr **out_child)
{
    *out_child = slot ? promql_child(e, slot - 1) : NULL; // the one before this slot
    if (slot && !*out_child)
        return false;
    *out_child = promql_child(e, slot);
    if (slot == 0)
        buf_put_char(out, '(');
    else if (*out_child)
        buf_put_str(out, STR(", "));
    if (!*out_child)
        buf_put_char(out, ')');
    return true;
}

static void put_literal(const struct promql_expr *e, struct buf *out)
{
    if (e->kind == PROMQL_STRING)
        buf_put_quoted(out, e->string);
    else if (e->number.is_duration)
        put_seconds(e->number.value, out);
    else
        put_number(e->number.value, out);
}

static bool line_slot(const struct promql_expr *e, size_t slot, struct buf *out,
                      const struct promql_expr **out_child)
{
    switch (e->kind) {
    case PROMQL_AGGREGATE:
        if (slot == 0)
            printer_put_aggregate_head(e, out);
        return list_slot(e, slot, out, out_child);
    case PROMQL_BINARY:
        if (slot == 1) {
            buf_put_char(out, ' ');
            printer_put_operator(e, out);
            buf_put_char(out, ' ');
        }
        *out_child = slot == 0 ? e->binary.lhs : e->binary.rhs;
        return slot < 2;
    case PROMQL_CALL:
        if (slot == 0)
            buf_put_str(out, e->call.function->name);
        return list_slot(e, slot, out, out_child);
    case PROMQL_MATRIX:
        return matrix_slot(e, slot, out, out_child);
    case PROMQL_PAREN:
        return list_slot(e, slot, out, out_child);
    case PROMQL_NUMBER:
    case PROMQL_STRING:
        if (slot == 0)
            put_literal(e, out);
        return false;
    case PROMQL_SUBQUERY:
        return subquery_slot(e, slot, out, out_child);
    case PROMQL_UNARY:
        if (slot == 0)
            buf_put_str(out, str_from_c(promql_op_text(e->unary.op)));
        *out_child = e->unary.expr;
        return slot == 0;
    case PROMQL_VECTOR:
        return vector_slot(e, slot, out, out_child);
    case PROMQL_DURATION:
        return duration_slot(e, slot, out, out_child);
    }
    return false;
}

const struct printer_slots printer_line = {line_slot};

// ---- the walk

void printer_walk(const struct printer_slots *slots, const struct promql_expr *e, size_t first,
                  size_t limit, struct buf *out)
{
    struct place {
        const struct promql_expr *e;
        size_t slot;
    } *stack = NULL;
    size_t n = 0, capacity = 0;
    const size_t from = out->n;
    stack = mem_grow(stack, &capacity, 1, sizeof *stack);
    stack[n++] = (struct place){e, first};
    while (n && out->n - from <= limit) {
        struct place *top = &stack[n - 1];
        const struct promql_expr *child = NULL;
        if (!slots->put(top->e, top->slot++, out, &child)) {
            n--;
        } else if (child) {
            stack = mem_grow(stack, &capacity, n + 1, sizeof *stack);
            stack[n++] = (struct place){child, 0};
        }
    }
    mem_free(stack);
}

void promql_print(const struct promql_expr *e, struct buf *out)
{
    printer_walk(&printer_line, e, 0, SIZE_MAX, out);
}
