#include <math.h>

#include "engine/promql/parser_state.h"

#define RANGE_EXPECTED "number, duration, step(), or range()"

// As Go rounds seconds to nanoseconds, and the engine cuts those to milliseconds.
static int64_t ns_from_seconds(double seconds)
{
    const double ns = round(seconds * 1e9);
    if (ns >= 0x1p63)
        return INT64_MAX;
    return ns < -0x1p63 ? INT64_MIN : (int64_t)ns;
}

// A range or a step: above 0 where that is known now.
static err check_positive(struct parser *p, const struct promql_expr *d)
{
    if (d->kind == PROMQL_NUMBER && !(d->number.value > 0))
        return parser_fail(p, d->start, "duration must be greater than 0");
    return ERR_OK;
}

static void set_duration(const struct promql_expr *d, int64_t *out_ms, int64_t *out_ns,
                         struct promql_expr **out)
{
    if (d->kind != PROMQL_NUMBER) {
        *out = (struct promql_expr *)d;
        return;
    }
    *out_ns = ns_from_seconds(d->number.value);
    *out_ms = *out_ns / 1000000;
}

static err finish_matrix(struct parser *p, struct promql_expr *e, uint32_t bracket,
                         struct promql_expr *range, struct promql_expr **out)
{
    const struct token close = parser_take(p);
    if (e->kind != PROMQL_VECTOR)
        return parser_fail(p, bracket, "ranges only allowed for vector selectors");
    if (e->vector.shift.offset_ns)
        return parser_fail(p, bracket, "no offset modifiers allowed before range");
    if (e->vector.shift.at == PROMQL_AT_TIME)
        return parser_fail(p, bracket, "no @ modifiers allowed before range");
    TRY(parser_node(p, PROMQL_MATRIX, PROMQL_TYPE_MATRIX, e->start, close.pos + close.size, out));
    (*out)->matrix.vector = e;
    set_duration(range, &(*out)->matrix.range_ms, &(*out)->matrix.range_ns,
                 &(*out)->matrix.range_expr);
    promql_set_size(*out);
    return ERR_OK;
}

static err finish_subquery(struct parser *p, struct promql_expr *e, struct promql_expr *range,
                           struct promql_expr **out)
{
    enum token_kind kind;
    struct promql_expr *step = NULL;
    parser_take(p); // the colon
    TRY(parser_peek(p, &kind));
    if (kind != TOKEN_RIGHT_BRACKET) {
        TRY(parse_duration(p, "subquery selector", "number, duration, step(), range(), or \"]\"",
                           &step));
        TRY(parser_peek(p, &kind));
        TRY(check_positive(p, step));
        if (kind != TOKEN_RIGHT_BRACKET)
            return parser_unexpected(p, "subquery selector", "\"]\"");
    }
    const struct token close = parser_take(p);
    TRY(parser_node(p, PROMQL_SUBQUERY, PROMQL_TYPE_MATRIX, e->start, close.pos + close.size, out));
    (*out)->subquery.expr = e;
    set_duration(range, &(*out)->subquery.range_ms, &(*out)->subquery.range_ns,
                 &(*out)->subquery.range_expr);
    if (step)
        set_duration(step, &(*out)->subquery.step_ms, &(*out)->subquery.step_ns,
                     &(*out)->subquery.step_expr);
    promql_set_size(*out);
    return ERR_OK;
}

err parse_range(struct parser *p, struct promql_expr *e, struct promql_expr **out)
{
    enum token_kind kind;
    struct promql_expr *range;
    const struct token bracket = parser_take(p);
    TRY(parse_duration(p, "subquery or range selector", RANGE_EXPECTED, &range));
    TRY(parser_peek(p, &kind));
    TRY(check_positive(p, range));
    if (kind == TOKEN_COLON)
        return finish_subquery(p, e, range, out);
    if (kind != TOKEN_RIGHT_BRACKET)
        return parser_unexpected(p, "subquery or range", "\":\" or \"]\"");
    return finish_matrix(p, e, bracket.pos, range, out);
}

// Where offset and @ of e are kept; NULL: it cannot have them.
static struct promql_shift *shift_of(struct promql_expr *e)
{
    if (e->kind == PROMQL_VECTOR)
        return &e->vector.shift;
    if (e->kind == PROMQL_MATRIX)
        return &e->matrix.vector->vector.shift;
    return e->kind == PROMQL_SUBQUERY ? &e->subquery.shift : NULL;
}

err parse_offset(struct parser *p, struct promql_expr *e)
{
    struct promql_expr *d;
    parser_take(p);
    TRY(parse_offset_duration(p, &d));
    struct promql_shift *shift = shift_of(e);
    if (!shift)
        return parser_fail(p, e->start,
                           "offset modifier must be preceded by an instant vector selector or "
                           "range vector selector or a subquery");
    if (shift->offset_ns || shift->offset_expr)
        return parser_fail(p, e->start, "offset may not be set multiple times");
    int64_t ms;
    set_duration(d, &ms, &shift->offset_ns, &shift->offset_expr);
    e->end = p->taken_end;
    return ERR_OK;
}

static err set_at(struct parser *p, struct promql_expr *e, enum promql_at at, int64_t at_ms,
                  uint32_t end)
{
    struct promql_shift *shift = shift_of(e);
    if (!shift)
        return parser_fail(p, e->start,
                           "@ modifier must be preceded by an instant vector selector or range "
                           "vector selector or a subquery");
    if (shift->at != PROMQL_AT_NONE)
        return parser_fail(p, e->start, "@ <timestamp> may not be set multiple times");
    shift->at = at;
    shift->at_ms = at_ms;
    e->end = end;
    return ERR_OK;
}

// Seconds to milliseconds, halves away from zero; what does not fit is what amd64 makes of it.
static int64_t timestamp_ms(double seconds)
{
    const double ms = round(seconds * 1000);
    return ms >= -0x1p63 && ms < 0x1p63 ? (int64_t)ms : INT64_MIN;
}

err parse_at(struct parser *p, struct promql_expr *e)
{
    enum token_kind kind;
    double seconds, sign = 1;
    parser_take(p);
    TRY(parser_peek(p, &kind));
    if (kind == TOKEN_START || kind == TOKEN_END) {
        const enum promql_at at = kind == TOKEN_START ? PROMQL_AT_START : PROMQL_AT_END;
        parser_take(p);
        TRY(parser_peek(p, &kind));
        if (kind != TOKEN_LEFT_PAREN)
            return parser_unexpected(p, "@", "timestamp");
        parser_take(p);
        TRY(parser_peek(p, &kind));
        if (kind != TOKEN_RIGHT_PAREN)
            return parser_unexpected(p, "@", "timestamp");
        const struct token paren = parser_take(p);
        return set_at(p, e, at, 0, paren.pos + paren.size);
    }
    if (kind == TOKEN_ADD || kind == TOKEN_SUB) {
        sign = kind == TOKEN_SUB ? -1 : 1;
        parser_take(p);
        TRY(parser_peek(p, &kind));
    }
    if (kind != TOKEN_NUMBER && kind != TOKEN_DURATION)
        return parser_unexpected(p, "@", "timestamp");
    const uint32_t end = p->token.pos + p->token.size;
    TRY(parse_number(p, &seconds));
    seconds *= sign;
    if (isnan(seconds))
        return parser_fail(p, e->start, "timestamp out of bounds for @ modifier: NaN");
    if (isinf(seconds))
        return parser_fail(p, e->start, "timestamp out of bounds for @ modifier: %cInf",
                           seconds < 0 ? '-' : '+');
    if (seconds >= 0x1p63 || seconds <= -0x1p63)
        return parser_fail(p, e->start, "timestamp out of bounds for @ modifier: %f", seconds);
    return set_at(p, e, PROMQL_AT_TIME, timestamp_ms(seconds), end);
}

err parse_extended(struct parser *p, struct promql_expr *e, bool anchored)
{
    const char *name = anchored ? "anchored" : "smoothed";
    parser_take(p);
    if (!p->options->extended_range_selectors)
        return parser_fail(p, e->start, "%s modifier is experimental and not enabled", name);
    if (e->kind == PROMQL_SUBQUERY)
        return parser_fail(p, e->start, "%s modifier is not supported for subqueries", name);
    if (e->kind != PROMQL_VECTOR && e->kind != PROMQL_MATRIX)
        return parser_fail(p, e->start, "%s modifier not implemented", name);
    struct promql_expr *vector = e->kind == PROMQL_MATRIX ? e->matrix.vector : e;
    if (anchored)
        vector->vector.anchored = true;
    else
        vector->vector.smoothed = true;
    if (vector->vector.anchored && vector->vector.smoothed)
        return parser_fail(p, e->start, "anchored and smoothed modifiers cannot be used together");
    return ERR_OK;
}

// (number), behind fill and its kin.
static err parse_fill_value(struct parser *p, double *out)
{
    enum token_kind kind;
    bool negative = false;
    parser_take(p);
    TRY(parser_peek(p, &kind));
    if (kind != TOKEN_LEFT_PAREN)
        return parser_unexpected(p, "", "");
    parser_take(p);
    TRY(parser_peek(p, &kind));
    if (kind == TOKEN_ADD || kind == TOKEN_SUB) {
        negative = kind == TOKEN_SUB;
        parser_take(p);
        TRY(parser_peek(p, &kind));
    }
    if (kind != TOKEN_NUMBER && kind != TOKEN_DURATION)
        return parser_unexpected(p, "", "");
    TRY(parse_number(p, out));
    if (negative)
        *out *= -1;
    TRY(parser_peek(p, &kind));
    if (kind != TOKEN_RIGHT_PAREN)
        return parser_unexpected(p, "", "");
    parser_take(p);
    return ERR_OK;
}

// fill(x), or fill_left(x) and fill_right(x) in any order, each once.
static err parse_fill(struct parser *p, struct promql_matching *m)
{
    enum token_kind kind;
    TRY(parser_peek(p, &kind));
    if (kind == TOKEN_FILL) {
        TRY(parse_fill_value(p, &m->fill_left));
        m->fill_right = m->fill_left;
        m->has_fill_left = m->has_fill_right = true;
        return ERR_OK;
    }
    while ((kind == TOKEN_FILL_LEFT && !m->has_fill_left) ||
           (kind == TOKEN_FILL_RIGHT && !m->has_fill_right)) {
        const bool left = kind == TOKEN_FILL_LEFT;
        TRY(parse_fill_value(p, left ? &m->fill_left : &m->fill_right));
        if (left)
            m->has_fill_left = true;
        else
            m->has_fill_right = true;
        TRY(parser_peek(p, &kind));
    }
    return ERR_OK;
}

err parse_binary_modifiers(struct parser *p, struct frame *f)
{
    enum token_kind kind;
    struct promql_matching *m = arena_array(p->arena, 1, struct promql_matching);
    if (!m)
        return parser_no_memory(p);
    f->matching = m;
    TRY(parser_peek(p, &kind));
    if (kind == TOKEN_BOOL) {
        f->return_bool = true;
        parser_take(p);
        TRY(parser_peek(p, &kind));
    }
    if (kind == TOKEN_ON || kind == TOKEN_IGNORING) {
        m->on = kind == TOKEN_ON;
        parser_take(p);
        TRY(parse_grouping(p, &m->labels, &m->labels_count));
        TRY(parser_peek(p, &kind));
        if (kind == TOKEN_GROUP_LEFT || kind == TOKEN_GROUP_RIGHT) {
            m->card = kind == TOKEN_GROUP_LEFT ? PROMQL_MANY_TO_ONE : PROMQL_ONE_TO_MANY;
            parser_take(p);
            TRY(parser_peek(p, &kind));
            const bool is_behind = token_starts_operand(kind) || kind == TOKEN_FILL ||
                                   kind == TOKEN_FILL_LEFT || kind == TOKEN_FILL_RIGHT;
            if (kind == TOKEN_LEFT_PAREN || !is_behind)
                TRY(parse_grouping(p, &m->include, &m->include_count));
        }
    }
    return parse_fill(p, m);
}
