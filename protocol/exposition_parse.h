// What the grammars of the two text formats share. Internal to the exposition parser.
#ifndef PROTOCOL_EXPOSITION_PARSE_H
#define PROTOCOL_EXPOSITION_PARSE_H

#include "protocol/exposition.h"

// One event by the lexer alone, for any line.
err exposition_next_text(struct exposition *x, enum exposition_event *out, struct errmsg *e);
err exposition_next_openmetrics(struct exposition *x, enum exposition_event *out, struct errmsg *e);

// At the start of a line with at least a byte: where the fast paths may look. The newline that the
// text format adds to a body lies behind its bytes.
static inline bool exposition_is_at_line(const struct exposition *x)
{
    return x->lex.state == LEX_AT_START && x->lex.at < x->lex.n;
}

// A name needs no blank before a value that cannot belong to it (a-1): with another value there may
// be another name (a1). Behind these bytes a value begins in any case.
static inline bool exposition_precedes_value(char c)
{
    return c == ' ' || c == '\t' || c == '}';
}

// OpenMetrics's lexer takes NUL bytes behind a HELP, TYPE or UNIT line for a part of it.
static inline bool exposition_swallows_nul(const struct exposition *x, const char *behind)
{
    return x->format == EXPOSITION_OPENMETRICS && behind < x->lex.p + x->lex.n && *behind == '\0';
}

// The plain tail of a line, [p, end) from the value on: a number, perhaps a timestamp, a newline.
// The byte behind it, or NULL and out is as before: the lexer has to look.
const char *exposition_take_tail(const char *p, const char *end, enum exposition_format format,
                                 struct exposition_sample *out);
// The type that a TYPE line names with this word, if the format has it.
bool exposition_find_type(enum exposition_format format, struct str word,
                          enum exposition_type *out);
// The bytes of the current token.
struct str exposition_token(const struct exposition *x);
// Remembers the metric name of a HELP, TYPE or UNIT line, without quotes.
void exposition_set_name(struct exposition *x);
// The labels of the current series from behind its brace on. An exemplar has no metric name.
err exposition_parse_labels(struct exposition *x, bool is_exemplar, struct errmsg *e);
// A float as both formats allow it, NaN normalised.
err exposition_parse_float(struct exposition *x, struct str s, double *out, struct errmsg *e);

// "WHAT, got "token" ("KIND") while parsing: "line so far"".
err exposition_fail_token(const struct exposition *x, const char *what, enum lex_token token,
                          struct errmsg *e);
// "WHAT while parsing: "line up to the cursor"".
err exposition_fail_while(const struct exposition *x, struct str what, struct errmsg *e);
// WHAT, then the text in quotes, then BEHIND.
err exposition_fail_quoted(const char *what, struct str quoted, const char *behind,
                           struct errmsg *e);

#endif
