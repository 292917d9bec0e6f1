#include <math.h>

#include "engine/base/number.h"
#include "engine/promql/function_table.h"
#include "engine/promql/printer.h"
#include "engine/promql/printer_walk.h"
#include "protocol/json_write.h"

// An object a node, as the API's parse_query answers. The keys of an object are sorted, because Go
// writes maps so. Nesting is the tree's, deeper than struct json goes, hence the bare buffer. Text
// is put slot by slot (printer_walk.h): up to the key of a child, or to the end.

static void put_text(const char *text, struct buf *out)
{
    buf_put_str(out, str_from_c(text));
}

// A key with what stands before it: "," or "{".
static void put_key(char before, const char *key, struct buf *out)
{
    buf_printf(out, "%c\"%s\":", before, key);
}

static void put_string(char before, const char *key, struct str value, struct buf *out)
{
    put_key(before, key, out);
    json_quote(value, true, out);
}

static void put_i64(char before, const char *key, int64_t value, struct buf *out)
{
    put_key(before, key, out);
    buf_put_i64(out, value);
}

static void put_bool(char before, const char *key, bool value, struct buf *out)
{
    put_key(before, key, out);
    put_text(value ? "true" : "false", out);
}

// The key of a child, which the walk prints behind it.
static void put_child(char before, const char *key, const struct promql_expr *e, struct buf *out,
                      const struct promql_expr **out_child)
{
    put_key(before, key, out);
    if (!e)
        put_text("null", out);
    *out_child = e;
}

static void put_strings(char before, const char *key, const struct str *items, size_t count,
                        struct buf *out)
{
    put_key(before, key, out);
    buf_put_char(out, '[');
    for (size_t i = 0; i < count; i++) {
        if (i)
            buf_put_char(out, ',');
        json_quote(items[i], true, out);
    }
    buf_put_char(out, ']');
}

static void put_type(const char *type, struct buf *out)
{
    put_string(',', "type", str_from_c(type), out);
}

static void put_fill(char before, const char *key, bool has, double value, struct buf *out)
{
    struct json j;
    put_key(before, key, out);
    json_init(&j, out);
    if (has && isfinite(value))
        json_double(&j, value);
    else
        json_null_value(&j);
}

static void put_matching(const struct promql_matching *m, struct buf *out)
{
    static const char *const cards[] = {
        [PROMQL_ONE_TO_ONE] = "one-to-one",
        [PROMQL_MANY_TO_ONE] = "many-to-one",
        [PROMQL_ONE_TO_MANY] = "one-to-many",
        [PROMQL_MANY_TO_MANY] = "many-to-many",
    };
    put_key(',', "matching", out);
    if (!m) {
        put_text("null", out);
        return;
    }
    put_string('{', "card", str_from_c(cards[m->card]), out);
    put_key(',', "fillValues", out);
    put_fill('{', "lhs", m->has_fill_left, m->fill_left, out);
    put_fill(',', "rhs", m->has_fill_right, m->fill_right, out);
    buf_put_char(out, '}');
    put_strings(',', "include", m->include, m->include_count, out);
    put_strings(',', "labels", m->labels, m->labels_count, out);
    put_bool(',', "on", m->on, out);
    buf_put_char(out, '}');
}

static void put_call_end(const struct promql_expr *e, struct buf *out)
{
    const struct promql_function *f = e->call.function;
    buf_put_char(out, ']');
    put_key(',', "func", out);
    put_key('{', "argTypes", out);
    buf_put_char(out, '[');
    for (size_t i = 0; i < f->args_count; i++)
        buf_printf(out, "%s\"%s\"", i ? "," : "", promql_type_name((enum promql_type)f->args[i]));
    buf_put_char(out, ']');
    put_string(',', "name", f->name, out);
    put_string(',', "returnType", str_from_c(promql_type_name((enum promql_type)f->result)), out);
    put_i64(',', "variadic", f->variadic, out);
    buf_put_char(out, '}');
    put_type("call", out);
    buf_put_char(out, '}');
}

static bool call_slot(const struct promql_expr *e, size_t slot, struct buf *out,
                      const struct promql_expr **out_child)
{
    const size_t n = e->call.args_count;
    if (slot == 0) {
        put_key('{', "args", out);
        buf_put_char(out, '[');
    }
    if (slot > 0 && slot < n)
        buf_put_char(out, ',');
    if (slot == n)
        put_call_end(e, out);
    *out_child = slot < n ? e->call.args[slot] : NULL;
    return slot < n;
}

static void put_at(const struct promql_shift *shift, struct buf *out)
{
    put_key(',', "startOrEnd", out);
    if (shift->at == PROMQL_AT_START || shift->at == PROMQL_AT_END)
        put_text(shift->at == PROMQL_AT_START ? "\"start\"" : "\"end\"", out);
    else
        put_text("null", out);
}

static void put_timestamp(const struct promql_shift *shift, struct buf *out)
{
    put_key(',', "timestamp", out);
    if (shift->at == PROMQL_AT_TIME)
        buf_put_i64(out, shift->at_ms);
    else
        put_text("null", out);
}

static void put_selector_begin(const struct promql_expr *vector, struct buf *out,
                               const struct promql_expr **out_child)
{
    const struct promql_shift *shift = &vector->vector.shift;
    put_bool('{', "anchored", vector->vector.anchored, out);
    put_key(',', "matchers", out);
    buf_put_char(out, '[');
    for (size_t i = 0; i < vector->vector.matchers_count; i++) {
        const struct matcher *m = &vector->vector.matchers[i];
        if (i)
            buf_put_char(out, ',');
        put_string('{', "name", m->name, out);
        put_string(',', "type", str_from_c(matcher_kind_text(m->kind)), out);
        put_string(',', "value", m->value, out);
        buf_put_char(out, '}');
    }
    buf_put_char(out, ']');
    put_string(',', "name", vector->vector.name, out);
    put_i64(',', "offset", shift->offset_ns / 1000000, out);
    put_child(',', "offsetExpr", shift->offset_expr, out, out_child);
}

// A selector, with the range of matrix or, when that is NULL, without.
static bool selector_slot(const struct promql_expr *vector, const struct promql_expr *matrix,
                          size_t slot, struct buf *out, const struct promql_expr **out_child)
{
    if (slot == 0) {
        put_selector_begin(vector, out, out_child);
        return true;
    }
    if (slot == 1 && matrix) {
        put_i64(',', "range", matrix->matrix.range_ms, out);
        put_child(',', "rangeExpr", matrix->matrix.range_expr, out, out_child);
        return true;
    }
    put_bool(',', "smoothed", vector->vector.smoothed, out);
    put_at(&vector->vector.shift, out);
    put_timestamp(&vector->vector.shift, out);
    put_type(matrix ? "matrixSelector" : "vectorSelector", out);
    buf_put_char(out, '}');
    return false;
}

static bool subquery_slot(const struct promql_expr *e, size_t slot, struct buf *out,
                          const struct promql_expr **out_child)
{
    switch (slot) {
    case 0:
        put_child('{', "expr", e->subquery.expr, out, out_child);
        return true;
    case 1:
        put_i64(',', "offset", e->subquery.shift.offset_ns / 1000000, out);
        put_child(',', "offsetExpr", e->subquery.shift.offset_expr, out, out_child);
        return true;
    case 2:
        put_i64(',', "range", e->subquery.range_ms, out);
        put_child(',', "rangeExpr", e->subquery.range_expr, out, out_child);
        return true;
    case 3:
        put_at(&e->subquery.shift, out);
        put_i64(',', "step", e->subquery.step_ms, out);
        put_child(',', "stepExpr", e->subquery.step_expr, out, out_child);
        return true;
    default:
        put_timestamp(&e->subquery.shift, out);
        put_type("subquery", out);
        buf_put_char(out, '}');
        return false;
    }
}

static bool aggregate_slot(const struct promql_expr *e, size_t slot, struct buf *out,
                           const struct promql_expr **out_child)
{
    if (slot == 0) {
        put_child('{', "expr", e->aggregate.expr, out, out_child);
        return true;
    }
    if (slot == 1) {
        put_strings(',', "grouping", e->aggregate.grouping, e->aggregate.grouping_count, out);
        put_string(',', "op", str_from_c(promql_aggregate_text(e->aggregate.op)), out);
        put_child(',', "param", e->aggregate.param, out, out_child);
        return true;
    }
    put_type("aggregation", out);
    put_bool(',', "without", e->aggregate.without, out);
    buf_put_char(out, '}');
    return false;
}

static bool binary_slot(const struct promql_expr *e, size_t slot, struct buf *out,
                        const struct promql_expr **out_child)
{
    if (slot == 0) {
        put_bool('{', "bool", e->binary.return_bool, out);
        put_child(',', "lhs", e->binary.lhs, out, out_child);
        return true;
    }
    if (slot == 1) {
        put_matching(e->binary.matching, out);
        put_string(',', "op", str_from_c(promql_op_text(e->binary.op)), out);
        put_child(',', "rhs", e->binary.rhs, out, out_child);
        return true;
    }
    put_type("binaryExpr", out);
    buf_put_char(out, '}');
    return false;
}

static bool duration_slot(const struct promql_expr *e, size_t slot, struct buf *out,
                          const struct promql_expr **out_child)
{
    if (slot == 0) {
        put_child('{', "lhs", e->duration.lhs, out, out_child);
        return true;
    }
    if (slot == 1) {
        put_string(',', "op", str_from_c(promql_op_text(e->duration.op)), out);
        put_child(',', "rhs", e->duration.rhs, out, out_child);
        return true;
    }
    put_type("durationExpr", out);
    put_bool(',', "wrapped", e->duration.wrapped, out);
    buf_put_char(out, '}');
    return false;
}

// Of a parenthesis or a sign.
static bool operand_slot(const struct promql_expr *e, size_t slot, struct buf *out,
                         const struct promql_expr **out_child)
{
    const bool is_unary = e->kind == PROMQL_UNARY;
    if (slot == 0) {
        put_child('{', "expr", is_unary ? e->unary.expr : e->paren, out, out_child);
        return true;
    }
    if (is_unary)
        put_string(',', "op", str_from_c(promql_op_text(e->unary.op)), out);
    put_type(is_unary ? "unaryExpr" : "parenExpr", out);
    buf_put_char(out, '}');
    return false;
}

static void put_literal(const struct promql_expr *e, struct buf *out)
{
    char text[NUMBER_TEXT_MAX];
    struct str value = e->string;
    if (e->kind == PROMQL_NUMBER)
        value = str_make(text, number_format_f(e->number.value, text));
    put_text(e->kind == PROMQL_NUMBER ? "{\"type\":\"numberLiteral\""
                                      : "{\"type\":\"stringLiteral\"",
             out);
    put_string(',', "val", value, out);
    buf_put_char(out, '}');
}

static bool json_slot(const struct promql_expr *e, size_t slot, struct buf *out,
                      const struct promql_expr **out_child)
{
    switch (e->kind) {
    case PROMQL_AGGREGATE:
        return aggregate_slot(e, slot, out, out_child);
    case PROMQL_BINARY:
        return binary_slot(e, slot, out, out_child);
    case PROMQL_CALL:
        return call_slot(e, slot, out, out_child);
    case PROMQL_MATRIX:
        return selector_slot(e->matrix.vector, e, slot, out, out_child);
    case PROMQL_NUMBER:
    case PROMQL_STRING:
        put_literal(e, out);
        return false;
    case PROMQL_PAREN:
    case PROMQL_UNARY:
        return operand_slot(e, slot, out, out_child);
    case PROMQL_SUBQUERY:
        return subquery_slot(e, slot, out, out_child);
    case PROMQL_VECTOR:
        return selector_slot(e, NULL, slot, out, out_child);
    case PROMQL_DURATION:
        return duration_slot(e, slot, out, out_child);
    }
    return false;
}

void promql_print_json(const struct promql_expr *e, struct buf *out)
{
    static const struct printer_slots json = {json_slot};
    printer_walk(&json, e, 0, SIZE_MAX, out);
}
