#include "engine/promql/parser_state.h"

// What the expression at hand is part of, for messages.
struct context {
    const char *where, *expected;
    uint32_t frames; // below: not ours
};

// Beyond 64 bits of nanoseconds. Not a number too, of which Prometheus makes an offset of -292
// years.
static bool is_out_of_range(double seconds)
{
    return !(seconds <= 0x1p63 / 1e9 && seconds >= -0x1p63 / 1e9);
}

static err check_enabled(struct parser *p, const struct promql_expr *d)
{
    if (p->options->no_duration_expressions)
        return parser_fail(p, d->start, "experimental duration expression is not enabled");
    return ERR_OK;
}

static err make_node(struct parser *p, enum promql_op op, uint32_t start, uint32_t end,
                     struct promql_expr *lhs, struct promql_expr *rhs, struct promql_expr **out)
{
    TRY(parser_node(p, PROMQL_DURATION, PROMQL_TYPE_SCALAR, start, end, out));
    (*out)->duration.op = op;
    (*out)->duration.lhs = lhs;
    (*out)->duration.rhs = rhs;
    promql_set_size(*out);
    return ERR_OK;
}

static err unexpected(struct parser *p, const struct context *c)
{
    return parser_unexpected(p, c->where, c->expected);
}

// A sign before d. Numbers take it up; what has parentheses keeps a node.
static err apply_sign(struct parser *p, struct token sign, struct promql_expr *d,
                      struct promql_expr **out)
{
    const bool negative = sign.kind == TOKEN_SUB;
    if (d->kind == PROMQL_NUMBER) {
        if (negative)
            d->number.value *= -1;
        if (is_out_of_range(d->number.value))
            return parser_fail(p, sign.pos, "duration out of range");
        d->start = sign.pos;
        *out = d;
        return ERR_OK;
    }
    if (negative)
        return make_node(p, PROMQL_SUB, sign.pos, d->end, NULL, d, out);
    *out = d;
    return ERR_OK;
}

// Parentheses around d. A number has no place to note them, so it gets a + to carry them.
static err wrap(struct parser *p, uint32_t start, uint32_t end, struct promql_expr *d,
                struct promql_expr **out)
{
    *out = d;
    if (d->kind == PROMQL_NUMBER)
        TRY(make_node(p, PROMQL_ADD, start, end, NULL, d, out));
    (*out)->duration.wrapped = true;
    return ERR_OK;
}

// step() or range(), whose name is next.
static err parse_call(struct parser *p, const struct context *c, struct promql_expr **out)
{
    enum token_kind kind;
    const struct token name = parser_take(p);
    TRY(parser_peek(p, &kind));
    if (kind != TOKEN_LEFT_PAREN)
        return unexpected(p, c);
    parser_take(p);
    TRY(parser_peek(p, &kind));
    if (kind != TOKEN_RIGHT_PAREN)
        return unexpected(p, c);
    const struct token paren = parser_take(p);
    TRY(make_node(p, name.kind == TOKEN_STEP ? PROMQL_STEP : PROMQL_RANGE, name.pos,
                  paren.pos + paren.size, NULL, NULL, out));
    return check_enabled(p, *out);
}

// Notes min_of( or max_of(, whose name is next.
static err open_bound(struct parser *p, const struct context *c)
{
    enum token_kind kind;
    struct frame *f;
    const struct token name = parser_take(p);
    TRY(parser_peek(p, &kind));
    if (kind != TOKEN_LEFT_PAREN)
        return unexpected(p, c);
    parser_take(p);
    return parser_push(p, FRAME_BOUND, name, &f);
}

// A literal or a call, or a part before one that was pushed (*out is NULL then).
static err parse_primary(struct parser *p, const struct context *c, struct promql_expr **out)
{
    enum token_kind kind;
    struct frame *f;
    *out = NULL;
    TRY(parser_peek(p, &kind));
    if (kind == TOKEN_NUMBER || kind == TOKEN_DURATION) {
        TRY(parse_number_literal(p, out));
        if (is_out_of_range((*out)->number.value))
            return parser_fail(p, (*out)->start, "duration out of range");
        return ERR_OK;
    }
    if (kind == TOKEN_STEP || kind == TOKEN_RANGE)
        return parse_call(p, c, out);
    if (kind == TOKEN_MIN_OF || kind == TOKEN_MAX_OF)
        return open_bound(p, c);
    if (kind == TOKEN_LEFT_PAREN)
        return parser_push(p, FRAME_PAREN, parser_take(p), &f);
    if (kind == TOKEN_ADD || kind == TOKEN_SUB)
        return parser_push(p, FRAME_UNARY, parser_take(p), &f);
    return unexpected(p, c);
}

static err finish_binary(struct parser *p, const struct frame *f, struct promql_expr **d)
{
    struct promql_expr *rhs = *d;
    TRY(check_enabled(p, f->lhs));
    const bool divides = f->op == PROMQL_DIV || f->op == PROMQL_MOD;
    if (divides && rhs->kind == PROMQL_NUMBER && rhs->number.value == 0)
        return parser_fail(p, f->token.pos, "%s by zero",
                           f->op == PROMQL_DIV ? "division" : "modulo");
    return make_node(p, f->op, f->lhs->start, rhs->end, f->lhs, rhs, d);
}

static err reduce(struct parser *p, const struct context *c, int precedence, struct promql_expr **d)
{
    while (p->frames_count > c->frames) {
        const struct frame *f = &p->frames[p->frames_count - 1];
        if (!frame_is_done(f, precedence))
            break;
        TRY(f->kind == FRAME_UNARY ? apply_sign(p, f->token, *d, d) : finish_binary(p, f, d));
        p->frames_count--;
    }
    return ERR_OK;
}

// The expression in hand is complete, and a parenthesis is open around it.
static err parse_closing(struct parser *p, const struct context *c, enum token_kind kind,
                         struct promql_expr **d)
{
    struct frame *f = &p->frames[p->frames_count - 1];
    if (f->kind == FRAME_BOUND && !f->lhs) {
        if (kind != TOKEN_COMMA)
            return unexpected(p, c);
        parser_take(p);
        f->lhs = *d;
        *d = NULL;
        return ERR_OK;
    }
    if (kind != TOKEN_RIGHT_PAREN)
        return unexpected(p, c);
    const struct token paren = parser_take(p);
    const uint32_t end = paren.pos + paren.size;
    p->frames_count--;
    if (f->kind == FRAME_PAREN) {
        TRY(check_enabled(p, *d));
        return wrap(p, f->token.pos, end, *d, d);
    }
    TRY(make_node(p, f->token.kind == TOKEN_MIN_OF ? PROMQL_MIN_OF : PROMQL_MAX_OF, f->token.pos,
                  end, f->lhs, *d, d));
    return check_enabled(p, *d);
}

static bool is_arithmetic(enum promql_op op)
{
    return op <= PROMQL_POW;
}

// Until nothing of ours is open. one_operand: and no operator may follow then.
static err parse_until(struct parser *p, const struct context *c, bool one_operand,
                       struct promql_expr **out)
{
    struct promql_expr *d = NULL;
    for (;;) {
        if (!d) {
            TRY(parse_primary(p, c, &d));
            continue;
        }
        if (one_operand && p->frames_count == c->frames)
            break;
        enum token_kind kind;
        TRY(parser_peek(p, &kind));
        struct binary_operator binary = binary_operator(kind);
        if (!is_arithmetic(binary.op))
            binary.precedence = 0;
        TRY(reduce(p, c, binary.precedence, &d));
        if (binary.precedence) {
            struct frame *f;
            TRY(parser_push(p, FRAME_BINARY, parser_take(p), &f));
            f->lhs = d;
            f->op = binary.op;
            d = NULL;
        } else if (p->frames_count > c->frames) {
            TRY(parse_closing(p, c, kind, &d));
        } else {
            break;
        }
    }
    *out = d;
    return ERR_OK;
}

err parse_duration(struct parser *p, const char *context, const char *expected,
                   struct promql_expr **out)
{
    const struct context c = {context, expected, p->frames_count};
    return parse_until(p, &c, false, out);
}

// Behind offset a literal or call ends the duration, signed or not: `a offset 5m + 3` adds 3 to a.
// Only an expression that begins with a parenthesis or two signs goes on over operators.
err parse_offset_duration(struct parser *p, struct promql_expr **out)
{
    const struct context c = {"offset", "number, duration, step(), or range()", p->frames_count};
    enum token_kind kind;
    TRY(parser_peek(p, &kind));
    if (kind != TOKEN_ADD && kind != TOKEN_SUB)
        return parse_until(p, &c, kind != TOKEN_LEFT_PAREN, out);
    const struct token sign = parser_take(p);
    TRY(parser_peek(p, &kind));
    if (kind == TOKEN_ADD || kind == TOKEN_SUB) {
        struct frame *f;
        TRY(parser_push(p, FRAME_UNARY, sign, &f));
        return parse_until(p, &c, false, out);
    }
    if (kind == TOKEN_NUMBER || kind == TOKEN_DURATION)
        TRY(parse_number_literal(p, out));
    else
        TRY(parse_until(p, &c, true, out));
    return apply_sign(p, sign, *out, out);
}
