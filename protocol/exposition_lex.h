// Tokens of the text formats, as Prometheus's two lexers cut them, down to their oddities.
//
// Internal to the exposition parser: the slow path, that decides every line the fast path does not
// know, and words the errors. Oddities that are kept: no way back after a dead end (the position of
// an error is where the automaton stopped), NUL bytes are stepped over inside values, help texts
// and comments and end the text elsewhere.
#ifndef PROTOCOL_EXPOSITION_LEX_H
#define PROTOCOL_EXPOSITION_LEX_H

#include <stdint.h>

#include "engine/base/str.h"

enum lex_token {
    LEX_INVALID,
    LEX_EOF,
    LEX_LINEBREAK,
    LEX_WHITESPACE,
    LEX_HELP,
    LEX_TYPE,
    LEX_UNIT,
    LEX_EOF_WORD,
    LEX_TEXT,
    LEX_COMMENT,
    LEX_METRIC_NAME,
    LEX_QUOTED,
    LEX_BRACE_OPEN,
    LEX_BRACE_CLOSE,
    LEX_LABEL_NAME,
    LEX_LABEL_VALUE,
    LEX_COMMA,
    LEX_EQUAL,
    LEX_TIMESTAMP,
    LEX_VALUE,
};

enum lex_state {
    LEX_AT_START, // of a line
    LEX_IN_COMMENT,
    LEX_AT_META_NAME,
    LEX_AT_META_TEXT,
    LEX_IN_LABELS,
    LEX_AT_LABEL_VALUE,
    LEX_AT_VALUE,
    LEX_AT_TIMESTAMP,
    LEX_IN_EXEMPLAR,
    LEX_AT_EXEMPLAR_VALUE,
    LEX_AT_EXEMPLAR_TIMESTAMP,
};

struct lex {
    const char *p;
    size_t n;     // bytes of the body
    size_t size;  // n, and 1 more for the newline that the text format puts behind every body
    size_t at;    // next byte
    size_t start; // of the current token
    enum lex_state state;
};

// The next token: [start, at) are its bytes.
enum lex_token lex_text(struct lex *l); // LEX_WHITESPACE is never returned
enum lex_token lex_openmetrics(struct lex *l);
// As error texts name it: "MNAME".
const char *lex_token_name(enum lex_token token);

// Classes of bytes.
enum {
    LEX_NAME_START = 1,  // [a-zA-Z_:]
    LEX_NAME = 2,        // and digits
    LEX_LABEL_START = 4, // without the colon
    LEX_LABEL = 8,
    LEX_DIGIT = 16,
};
extern const uint8_t lex_class[256];

static inline bool lex_is(char c, unsigned classes)
{
    return (lex_class[(uint8_t)c] & classes) != 0;
}

#endif
