// PromQL's tokens. One pass over the bytes, no allocation; a token is a slice of the query.
#ifndef ENGINE_PROMQL_LEXER_H
#define ENGINE_PROMQL_LEXER_H

#include <stdint.h>

#include "engine/base/buf.h"
#include "engine/base/err.h"

enum token_kind {
    TOKEN_EOF,
    TOKEN_ERROR,
    TOKEN_COLON,
    TOKEN_COMMA,
    TOKEN_DURATION,
    TOKEN_EQL, // =
    TOKEN_IDENTIFIER,
    TOKEN_LEFT_BRACE,
    TOKEN_LEFT_BRACKET,
    TOKEN_LEFT_PAREN,
    TOKEN_METRIC_IDENTIFIER, // has a colon
    TOKEN_NUMBER,
    TOKEN_RIGHT_BRACE,
    TOKEN_RIGHT_BRACKET,
    TOKEN_RIGHT_PAREN,
    TOKEN_STRING, // with its quotes
    TOKEN_ADD,    // operators: ADD to UNLESS
    TOKEN_AT,
    TOKEN_ATAN2,
    TOKEN_AND,
    TOKEN_DIV,
    TOKEN_EQLC, // ==
    TOKEN_EQL_REGEX,
    TOKEN_GTE,
    TOKEN_GTR,
    TOKEN_LSS,
    TOKEN_LTE,
    TOKEN_MOD,
    TOKEN_MUL,
    TOKEN_NEQ,
    TOKEN_NEQ_REGEX,
    TOKEN_OR,
    TOKEN_POW,
    TOKEN_SUB,
    TOKEN_TRIM_LOWER,
    TOKEN_TRIM_UPPER,
    TOKEN_UNLESS,
    TOKEN_AVG, // aggregations: AVG to TOPK, in the order of enum promql_aggregate
    TOKEN_BOTTOMK,
    TOKEN_COUNT,
    TOKEN_COUNT_VALUES,
    TOKEN_GROUP,
    TOKEN_LIMIT_RATIO,
    TOKEN_LIMITK,
    TOKEN_MAX,
    TOKEN_MIN,
    TOKEN_QUANTILE,
    TOKEN_STDDEV,
    TOKEN_STDVAR,
    TOKEN_SUM,
    TOKEN_TOPK,
    TOKEN_ANCHORED, // keywords: ANCHORED to WITHOUT
    TOKEN_BOOL,
    TOKEN_BY,
    TOKEN_FILL,
    TOKEN_FILL_LEFT,
    TOKEN_FILL_RIGHT,
    TOKEN_GROUP_LEFT,
    TOKEN_GROUP_RIGHT,
    TOKEN_IGNORING,
    TOKEN_OFFSET,
    TOKEN_ON,
    TOKEN_SMOOTHED,
    TOKEN_WITHOUT,
    TOKEN_END, // words with a meaning before a parenthesis: END to STEP
    TOKEN_MAX_OF,
    TOKEN_MIN_OF,
    TOKEN_RANGE,
    TOKEN_START,
    TOKEN_STEP,
};

struct token {
    enum token_kind kind;
    uint32_t pos, size; // bytes of the query
};

struct lexer {
    struct str text;
    uint32_t at;    // next byte to read
    uint32_t start; // of the token being read; where an error is
    int paren_depth;
    bool brace_open, bracket_open;
    bool got_colon, got_duration; // since the bracket was opened; since the first one
    bool in_duration;             // behind [ until the first number
    struct errmsg *e;             // of TOKEN_ERROR: the message without position
};

// text.n fits 32 bits.
void lexer_init(struct lexer *l, struct str text, struct errmsg *e);
// The next token; comments and spaces are skipped. Nothing follows EOF and ERROR.
struct token lexer_next(struct lexer *l);

static inline struct str lexer_text(const struct lexer *l, struct token t)
{
    return str_make(l->text.p + t.pos, t.size);
}

// How messages name a token: identifier "up", <op:+>, end of input.
void token_describe(struct token t, struct str text, struct buf *out);

#endif
