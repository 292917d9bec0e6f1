#include "engine/promql/parser.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

#include "engine/base/mem.h"
#include "engine/promql/function_table.h"
#include "engine/promql/parser_state.h"

static_assert((int)TOKEN_TOPK - (int)TOKEN_AVG == (int)PROMQL_TOPK, "the same order");

struct binary_operator binary_operator(enum token_kind kind)
{
    static const struct binary_operator table[] = {
        [TOKEN_OR] = {1, PROMQL_OR},
        [TOKEN_AND] = {2, PROMQL_AND},
        [TOKEN_UNLESS] = {2, PROMQL_UNLESS},
        [TOKEN_EQLC] = {3, PROMQL_EQ},
        [TOKEN_NEQ] = {3, PROMQL_NE},
        [TOKEN_LSS] = {3, PROMQL_LT},
        [TOKEN_LTE] = {3, PROMQL_LE},
        [TOKEN_GTR] = {3, PROMQL_GT},
        [TOKEN_GTE] = {3, PROMQL_GE},
        [TOKEN_TRIM_UPPER] = {3, PROMQL_TRIM_UPPER},
        [TOKEN_TRIM_LOWER] = {3, PROMQL_TRIM_LOWER},
        [TOKEN_ADD] = {4, PROMQL_ADD},
        [TOKEN_SUB] = {4, PROMQL_SUB},
        [TOKEN_MUL] = {PRECEDENCE_UNARY, PROMQL_MUL},
        [TOKEN_DIV] = {PRECEDENCE_UNARY, PROMQL_DIV},
        [TOKEN_MOD] = {PRECEDENCE_UNARY, PROMQL_MOD},
        [TOKEN_ATAN2] = {PRECEDENCE_UNARY, PROMQL_ATAN2},
        [TOKEN_POW] = {PRECEDENCE_POW, PROMQL_POW},
        [TOKEN_STEP] = {0, PROMQL_ADD},
    };
    return table[kind];
}

bool frame_is_done(const struct frame *f, int precedence)
{
    if (f->kind == FRAME_UNARY)
        return PRECEDENCE_UNARY >= precedence;
    if (f->kind != FRAME_BINARY)
        return false;
    const int own = binary_operator(f->token.kind).precedence;
    return own > precedence || (own == precedence && own != PRECEDENCE_POW);
}

// "line:column: parse error: " goes before what is in e; columns count bytes.
static void add_position(struct parser *p, uint32_t pos)
{
    const struct str text = p->lexer.text;
    struct str *whole = p->options->whole_error;
    if (text.n == 0) {
        err_prefix(p->e, "unknown position: parse error");
        return;
    }
    assert(pos <= text.n);
    unsigned line = 1;
    ptrdiff_t last = -1;
    for (uint32_t i = 0; i < pos; i++)
        if (text.p[i] == '\n') {
            line++;
            last = i;
        }
    err_prefix(p->e, "%u:%td: parse error", line, (ptrdiff_t)pos - last);
    if (whole && whole->n)
        *whole = arena_printf(p->arena, "%u:%td: parse error: %.*s", line, (ptrdiff_t)pos - last,
                              STR_ARG(*whole));
}

err parser_fail(struct parser *p, uint32_t pos, const char *format, ...)
{
    enum { WHOLE_MAX = 64 * 1024 };
    struct errmsg text;
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    const int n = vsnprintf(text.text, sizeof text.text, format, args);
    va_end(args);
    if (p->options->whole_error && n >= (int)sizeof text.text) {
        const size_t size = n < WHOLE_MAX ? (size_t)n + 1 : WHOLE_MAX;
        char *whole = arena_alloc(p->arena, size, 1);
        vsnprintf(whole, size, format, again);
        *p->options->whole_error = str_make(whole, size - 1);
    }
    va_end(again);
    err_format(p->e, "%s", text.text);
    add_position(p, pos);
    return ERR_INVALID;
}

err parser_peek(struct parser *p, enum token_kind *out)
{
    if (!p->has_token) {
        p->token = lexer_next(&p->lexer);
        if (p->token.kind == TOKEN_ERROR) {
            add_position(p, p->token.pos);
            return ERR_INVALID;
        }
        p->has_token = true;
    }
    *out = p->token.kind;
    return ERR_OK;
}

struct token parser_take(struct parser *p)
{
    assert(p->has_token);
    p->has_token = p->token.kind == TOKEN_EOF; // it stays
    p->taken_end = p->token.pos + p->token.size;
    return p->token;
}

struct str parser_text(const struct parser *p, struct token t)
{
    return lexer_text(&p->lexer, t);
}

err parser_unexpected(struct parser *p, const char *context, const char *expected)
{
    struct buf name = {0};
    token_describe(p->token, parser_text(p, p->token), &name);
    const err code =
        parser_fail(p, p->token.pos, "unexpected %.*s%s%s%s%s", STR_ARG(buf_str(&name)),
                    *context ? " in " : "", context, *expected ? ", expected " : "", expected);
    buf_deinit(&name);
    return code;
}

err parser_no_memory(struct parser *p)
{
    return err_set(p->e, ERR_LIMIT, "query is too large to parse within its memory limit");
}

err parser_node(struct parser *p, enum promql_kind kind, enum promql_type type, uint32_t start,
                uint32_t end, struct promql_expr **out)
{
    struct promql_expr *e = arena_array(p->arena, 1, struct promql_expr);
    if (!e)
        return parser_no_memory(p);
    *e = (struct promql_expr){.kind = kind, .type = type, .start = start, .end = end, .size = 1};
    *out = e;
    return ERR_OK;
}

err parser_push(struct parser *p, enum frame_kind kind, struct token t, struct frame **out)
{
    if (p->frames_count == p->frames_capacity) {
        const uint32_t capacity = p->frames_capacity ? 2 * p->frames_capacity : 8;
        struct frame *frames = arena_array(p->arena, capacity, struct frame);
        if (!frames)
            return parser_no_memory(p);
        if (p->frames_count)
            memcpy(frames, p->frames, p->frames_count * sizeof *frames);
        p->frames = frames;
        p->frames_capacity = capacity;
    }
    *out = &p->frames[p->frames_count++];
    **out = (struct frame){.kind = kind, .token = t};
    return ERR_OK;
}

// Where an expression breaks off, yacc goes back to the innermost aggregation, if there is one.
static err unexpected_in_expression(struct parser *p)
{
    for (uint32_t i = 0; i < p->frames_count; i++)
        if (p->frames[i].kind == FRAME_AGGREGATE)
            return parser_unexpected(p, "aggregation", "");
    return parser_unexpected(p, "", "");
}

static err finish_unary(struct parser *p, const struct frame *f, struct promql_expr **e)
{
    struct promql_expr *operand = *e;
    const bool negative = f->token.kind == TOKEN_SUB;
    if (operand->kind == PROMQL_NUMBER) { // the sign is part of the number
        if (negative)
            operand->number.value *= -1;
        operand->start = f->token.pos;
        return ERR_OK;
    }
    TRY(parser_node(p, PROMQL_UNARY, operand->type, f->token.pos, operand->end, e));
    (*e)->unary.op = negative ? PROMQL_SUB : PROMQL_ADD;
    (*e)->unary.expr = operand;
    promql_set_size(*e);
    return ERR_OK;
}

static err finish_binary(struct parser *p, const struct frame *f, struct promql_expr **e)
{
    struct promql_expr *rhs = *e;
    const bool scalar = f->lhs->type == PROMQL_TYPE_SCALAR && rhs->type == PROMQL_TYPE_SCALAR;
    if (!p->options->binop_fill_modifiers &&
        (f->matching->has_fill_left || f->matching->has_fill_right))
        return parser_fail(p, f->lhs->start,
                           "binop fill modifiers are experimental and not enabled");
    TRY(parser_node(p, PROMQL_BINARY, scalar ? PROMQL_TYPE_SCALAR : PROMQL_TYPE_VECTOR,
                    f->lhs->start, rhs->end, e));
    (*e)->binary.op = f->op;
    (*e)->binary.return_bool = f->return_bool;
    (*e)->binary.lhs = f->lhs;
    (*e)->binary.rhs = rhs;
    (*e)->binary.matching = f->matching;
    promql_set_size(*e);
    return ERR_OK;
}

// Finishes the operators on top of the stack that bind closer than one of this precedence.
static err reduce(struct parser *p, int precedence, struct promql_expr **e)
{
    while (p->frames_count) {
        const struct frame *f = &p->frames[p->frames_count - 1];
        if (!frame_is_done(f, precedence))
            break;
        TRY(f->kind == FRAME_UNARY ? finish_unary(p, f, e) : finish_binary(p, f, e));
        p->frames_count--;
    }
    return ERR_OK;
}

static err add_arg(struct parser *p, struct frame *f, struct promql_expr *e)
{
    if (f->args_count == f->args_capacity) {
        const uint32_t capacity = f->args_capacity ? 2 * f->args_capacity : 4;
        struct promql_expr **args = arena_array(p->arena, capacity, struct promql_expr *);
        if (!args)
            return parser_no_memory(p);
        if (f->args_count)
            memcpy(args, f->args, f->args_count * sizeof *args);
        f->args = args;
        f->args_capacity = capacity;
    }
    f->args[f->args_count++] = e;
    return ERR_OK;
}

static err finish_call(struct parser *p, const struct frame *f, uint32_t end,
                       struct promql_expr **out)
{
    const struct str name = parser_text(p, f->token);
    const struct promql_function *function = promql_function_find(name);
    if (!function)
        return parser_fail(p, f->token.pos, "unknown function with name \"%.*s\"", STR_ARG(name));
    if (function->experimental && !p->options->experimental_functions)
        return parser_fail(p, f->token.pos, "function \"%.*s\" is not enabled", STR_ARG(name));
    TRY(parser_node(p, PROMQL_CALL, (enum promql_type)function->result, f->token.pos, end, out));
    (*out)->call.function = function;
    (*out)->call.args = f->args;
    (*out)->call.args_count = f->args_count;
    promql_set_size(*out);
    return ERR_OK;
}

static err finish_aggregate(struct parser *p, struct frame *f, uint32_t end,
                            struct promql_expr **out)
{
    const enum promql_aggregate op = (enum promql_aggregate)((int)f->token.kind - (int)TOKEN_AVG);
    const uint32_t start = f->token.pos;
    if (!f->grouped) {
        enum token_kind kind;
        TRY(parser_peek(p, &kind));
        if (kind == TOKEN_BY || kind == TOKEN_WITHOUT) {
            f->without = kind == TOKEN_WITHOUT;
            parser_take(p);
            TRY(parse_grouping(p, &f->grouping, &f->grouping_count));
            end = p->taken_end;
        }
    }
    if (!f->args_count)
        return parser_fail(p, start, "no arguments for aggregate expression provided");
    if ((op == PROMQL_LIMITK || op == PROMQL_LIMIT_RATIO) && !p->options->experimental_functions)
        return parser_fail(p, start,
                           "%s() is experimental and must be enabled with "
                           "--enable-feature=promql-experimental-functions",
                           promql_aggregate_text(op));
    const uint32_t wanted = promql_aggregate_has_param(op) ? 2 : 1;
    if (f->args_count != wanted)
        return parser_fail(p, start,
                           "wrong number of arguments for aggregate expression provided, "
                           "expected %u, got %u",
                           wanted, f->args_count);
    TRY(parser_node(p, PROMQL_AGGREGATE, PROMQL_TYPE_VECTOR, start, end, out));
    (*out)->aggregate.op = op;
    (*out)->aggregate.without = f->without;
    (*out)->aggregate.grouping = f->grouping;
    (*out)->aggregate.grouping_count = f->grouping_count;
    (*out)->aggregate.param = wanted == 2 ? f->args[0] : NULL;
    (*out)->aggregate.expr = f->args[wanted - 1];
    promql_set_size(*out);
    return ERR_OK;
}

// The frame on top is a call or an aggregation, and its closing parenthesis is next.
static err close_call(struct parser *p, struct promql_expr **out)
{
    const struct token paren = parser_take(p);
    struct frame f = p->frames[--p->frames_count];
    const uint32_t end = paren.pos + paren.size;
    return f.kind == FRAME_CALL ? finish_call(p, &f, end, out) : finish_aggregate(p, &f, end, out);
}

// Behind a name that an opening parenthesis follows. *out stays NULL when arguments follow.
static err open_call(struct parser *p, enum frame_kind kind, struct token name,
                     struct promql_expr **out)
{
    enum token_kind next;
    struct frame *f;
    TRY(parser_push(p, kind, name, &f));
    parser_take(p);
    TRY(parser_peek(p, &next));
    return next == TOKEN_RIGHT_PAREN ? close_call(p, out) : ERR_OK;
}

// An aggregation's name was taken; next is a parenthesis, by or without.
static err open_aggregate(struct parser *p, struct token name, struct promql_expr **out)
{
    enum token_kind kind;
    struct frame *f;
    TRY(parser_push(p, FRAME_AGGREGATE, name, &f));
    TRY(parser_peek(p, &kind));
    if (kind != TOKEN_LEFT_PAREN) {
        f->grouped = true;
        f->without = kind == TOKEN_WITHOUT;
        parser_take(p);
        TRY(parse_grouping(p, &f->grouping, &f->grouping_count));
        TRY(parser_peek(p, &kind));
        if (kind != TOKEN_LEFT_PAREN)
            return unexpected_in_expression(p);
    }
    parser_take(p);
    TRY(parser_peek(p, &kind));
    return kind == TOKEN_RIGHT_PAREN ? close_call(p, out) : ERR_OK;
}

// A name: of a function, an aggregation or a metric, which the next token decides.
static err parse_name(struct parser *p, struct promql_expr **out)
{
    const struct token name = parser_take(p);
    enum token_kind next;
    TRY(parser_peek(p, &next));
    const bool is_function = name.kind == TOKEN_IDENTIFIER || name.kind >= TOKEN_END;
    if (is_function && next == TOKEN_LEFT_PAREN)
        return open_call(p, FRAME_CALL, name, out);
    const bool is_aggregate = name.kind >= TOKEN_AVG && name.kind <= TOKEN_TOPK;
    if (is_aggregate && (next == TOKEN_LEFT_PAREN || next == TOKEN_BY || next == TOKEN_WITHOUT))
        return open_aggregate(p, name, out);
    return parse_selector(p, &name, out);
}

bool token_starts_operand(enum token_kind kind)
{
    return kind == TOKEN_NUMBER || kind == TOKEN_DURATION || kind == TOKEN_STRING ||
           kind == TOKEN_LEFT_PAREN || kind == TOKEN_LEFT_BRACE || kind == TOKEN_ADD ||
           kind == TOKEN_SUB || token_is_metric_name(kind);
}

// An operand, or a part before one that was pushed (*out is NULL then).
static err parse_operand(struct parser *p, struct promql_expr **out)
{
    enum token_kind kind;
    struct frame *f;
    *out = NULL;
    TRY(parser_peek(p, &kind));
    if (token_is_metric_name(kind))
        return parse_name(p, out);
    if (kind == TOKEN_LEFT_BRACE)
        return parse_selector(p, NULL, out);
    if (kind == TOKEN_NUMBER || kind == TOKEN_DURATION)
        return parse_number_literal(p, out);
    if (kind == TOKEN_STRING) {
        const struct token t = p->token;
        TRY(parser_node(p, PROMQL_STRING, PROMQL_TYPE_STRING, t.pos, t.pos + t.size, out));
        return parse_string(p, &(*out)->string);
    }
    if (kind == TOKEN_LEFT_PAREN)
        return parser_push(p, FRAME_PAREN, parser_take(p), &f);
    if (kind == TOKEN_ADD || kind == TOKEN_SUB)
        return parser_push(p, FRAME_UNARY, parser_take(p), &f);
    return unexpected_in_expression(p);
}

// The expression in hand is complete: closes what was opened around it, or asks for the next
// argument (*e becomes NULL).
static err parse_closing(struct parser *p, enum token_kind kind, struct promql_expr **e)
{
    struct frame *f = &p->frames[p->frames_count - 1];
    if (f->kind == FRAME_PAREN && kind == TOKEN_RIGHT_PAREN) {
        const struct token paren = parser_take(p);
        struct promql_expr *inner = *e;
        TRY(parser_node(p, PROMQL_PAREN, inner->type, f->token.pos, paren.pos + paren.size, e));
        (*e)->paren = inner;
        p->frames_count--;
        promql_set_size(*e);
        return ERR_OK;
    }
    if (f->kind == FRAME_PAREN || (kind != TOKEN_RIGHT_PAREN && kind != TOKEN_COMMA))
        return unexpected_in_expression(p);
    TRY(add_arg(p, f, *e));
    if (kind == TOKEN_RIGHT_PAREN)
        return close_call(p, e);
    const struct token comma = parser_take(p);
    *e = NULL;
    TRY(parser_peek(p, &kind));
    if (!token_starts_operand(kind))
        return parser_fail(p, comma.pos, "trailing commas not allowed in function call args");
    return ERR_OK;
}

// One step behind an operand: a modifier, an operator (*e becomes NULL), a parenthesis, or the end.
static err parse_behind(struct parser *p, struct promql_expr **e, bool *out_done)
{
    enum token_kind kind;
    TRY(parser_peek(p, &kind));
    if (kind == TOKEN_LEFT_BRACKET)
        return parse_range(p, *e, e);
    if (kind == TOKEN_OFFSET)
        return parse_offset(p, *e);
    if (kind == TOKEN_AT)
        return parse_at(p, *e);
    if (kind == TOKEN_ANCHORED || kind == TOKEN_SMOOTHED)
        return parse_extended(p, *e, kind == TOKEN_ANCHORED);
    const struct binary_operator binary = binary_operator(kind);
    TRY(reduce(p, binary.precedence, e));
    if (binary.precedence) {
        struct frame *f;
        TRY(parser_push(p, FRAME_BINARY, parser_take(p), &f));
        f->lhs = *e;
        f->op = binary.op;
        *e = NULL;
        return parse_binary_modifiers(p, f);
    }
    if (p->frames_count)
        return parse_closing(p, kind, e);
    *out_done = true;
    return ERR_OK;
}

static err parse_expression(struct parser *p, struct promql_expr **out)
{
    struct promql_expr *e = NULL;
    bool done = false;
    while (!done)
        TRY(e ? parse_behind(p, &e, &done) : parse_operand(p, &e));
    *out = e;
    return ERR_OK;
}

static err parse_whole(struct parser *p)
{
    enum token_kind kind;
    TRY(parser_peek(p, &kind));
    if (kind == TOKEN_EOF)
        return parser_fail(p, 0, "no expression found in input");
    TRY(parse_expression(p, &p->query.expr));
    TRY(parser_peek(p, &kind));
    if (kind != TOKEN_EOF)
        return parser_unexpected(p, "", "");
    return parser_check(p, p->query.expr);
}

static err parse_whole_selector(struct parser *p)
{
    enum token_kind kind;
    TRY(parser_peek(p, &kind));
    struct token name = {0};
    if (token_is_metric_name(kind)) {
        name = parser_take(p);
        TRY(parser_peek(p, &kind));
    } else if (kind != TOKEN_LEFT_BRACE) {
        return parser_unexpected(p, "", "");
    }
    TRY(parse_selector(p, name.size ? &name : NULL, &p->query.expr));
    TRY(parser_peek(p, &kind));
    return kind == TOKEN_EOF ? ERR_OK : parser_unexpected(p, "", "");
}

static err parse_with(err (*parse)(struct parser *p), struct str text,
                      const struct promql_options *options, struct arena *a,
                      struct promql_query *out, struct errmsg *e)
{
    if (text.n > PROMQL_TEXT_MAX)
        return err_set(e, ERR_LIMIT, "query of %zu bytes is longer than %d", text.n,
                       PROMQL_TEXT_MAX);
    struct parser p = {.options = options, .arena = a, .e = e};
    lexer_init(&p.lexer, text, e);
    const err code = parse(&p);
    if (code) {
        promql_parse_done(&p.query);
        return code;
    }
    *out = p.query;
    return ERR_OK;
}

err promql_parse(struct str text, const struct promql_options *options, struct arena *a,
                 struct promql_query *out, struct errmsg *e)
{
    return parse_with(parse_whole, text, options, a, out, e);
}

err promql_parse_selector(struct str text, const struct promql_options *options, struct arena *a,
                          struct promql_query *out, struct errmsg *e)
{
    return parse_with(parse_whole_selector, text, options, a, out, e);
}

void promql_parse_done(struct promql_query *query)
{
    for (size_t i = 0; i < query->regexes_count; i++)
        regex_destroy(query->regexes[i]);
    mem_free(query->regexes);
    *query = (struct promql_query){0};
}
