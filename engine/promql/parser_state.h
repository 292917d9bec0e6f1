// What the parser's files share; not for others.
//
// The grammar is an operator grammar: one loop with a stack of unfinished nodes (frames) instead of
// recursion, so input decides nothing about the C stack. A token is read only when the grammar
// needs to see it: Prometheus prints the first error, and whether that is the lexer's or ours
// depends on who looked first.
#ifndef ENGINE_PROMQL_PARSER_STATE_H
#define ENGINE_PROMQL_PARSER_STATE_H

#include "engine/promql/lexer.h"
#include "engine/promql/parser.h"

enum frame_kind {
    FRAME_BINARY, // lhs op, the right side is awaited
    FRAME_UNARY,  // a sign
    FRAME_PAREN,
    FRAME_CALL,
    FRAME_AGGREGATE,
    FRAME_BOUND, // min_of( or max_of( of a duration; lhs NULL: before the comma
};

struct frame {
    enum frame_kind kind;
    struct token token; // operator, sign, parenthesis, name
    enum promql_op op;
    bool return_bool, grouped, without;
    struct promql_expr *lhs;
    struct promql_matching *matching;
    struct promql_expr **args;
    struct str *grouping;
    uint32_t args_count, args_capacity;
    size_t grouping_count;
};

struct parser {
    struct lexer lexer;
    struct token token; // the next one, if has_token
    bool has_token;
    uint32_t taken_end; // behind the last token that was taken
    const struct promql_options *options;
    struct arena *arena;
    struct errmsg *e;
    struct frame *frames;
    uint32_t frames_count, frames_capacity;
    struct promql_query query;
};

// Binary operators of the expression grammar; precedence 0: none.
struct binary_operator {
    int precedence;
    enum promql_op op;
};
enum { PRECEDENCE_UNARY = 5, PRECEDENCE_POW = 6 };
struct binary_operator binary_operator(enum token_kind kind);
// Whether a frame on top is finished when an operator of this precedence comes.
bool frame_is_done(const struct frame *f, int precedence);

bool token_starts_operand(enum token_kind kind);

// Looks at the next token; ERR_INVALID: the lexer's error is in e, with its position.
err parser_peek(struct parser *p, enum token_kind *out);
struct token parser_take(struct parser *p); // the token seen last
struct str parser_text(const struct parser *p, struct token t);
err parser_fail(struct parser *p, uint32_t pos, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
// "unexpected <token> in context, expected ...", of the token seen last; both may be "".
err parser_unexpected(struct parser *p, const char *context, const char *expected);
err parser_no_memory(struct parser *p); // the arena's limit

err parser_node(struct parser *p, enum promql_kind kind, enum promql_type type, uint32_t start,
                uint32_t end, struct promql_expr **out);
err parser_push(struct parser *p, enum frame_kind kind, struct token t, struct frame **out);

// Literals and labels (parser_literal.c).
err parse_number(struct parser *p, double *out); // NUMBER or DURATION, seen
err parse_number_literal(struct parser *p, struct promql_expr **out);
err parse_string(struct parser *p, struct str *out);                       // STRING, seen
err parse_grouping(struct parser *p, struct str **out, size_t *out_count); // with parentheses
// Selectors (parser_selector.c): name is the token in front, or NULL; the next token was seen.
err parse_selector(struct parser *p, const struct token *name, struct promql_expr **out);
// The regular expression of m, whose text stands at pos.
err parser_compile(struct parser *p, uint32_t pos, struct matcher *m);
bool token_is_metric_name(enum token_kind kind);
// What stands behind an operand (parser_modifier.c).
err parse_range(struct parser *p, struct promql_expr *e, struct promql_expr **out);
err parse_offset(struct parser *p, struct promql_expr *e);
err parse_at(struct parser *p, struct promql_expr *e);
err parse_extended(struct parser *p, struct promql_expr *e, bool anchored);
err parse_binary_modifiers(struct parser *p, struct frame *f);
// Durations (parser_duration.c): a NUMBER or DURATION node.
err parse_duration(struct parser *p, const char *context, const char *expected,
                   struct promql_expr **out);
err parse_offset_duration(struct parser *p, struct promql_expr **out);
// Types and the rest of what Prometheus's checkAST refuses (parser_check.c).
err parser_check(struct parser *p, struct promql_expr *root);

#endif
