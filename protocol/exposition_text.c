// The text format 0.0.4, and 1.0.0 with names in quotes.
//
//     # HELP http_requests_total Requests so far.
//     # TYPE http_requests_total counter
//     http_requests_total{code="200",path="a\"b"} 17 1700000000000
//     {"http.requests",code="200"} 17
//
// Blanks are free between the parts of a line, a comma may end the labels, and none is needed
// between them. Other comments mean nothing.
#include "engine/base/bits.h"
#include "engine/base/number.h"
#include "engine/base/utf8.h"
#include "protocol/exposition_parse.h"

static err parse_metadata(struct exposition *x, enum lex_token kind, struct errmsg *e)
{
    const bool is_help = kind == LEX_HELP;
    enum lex_token token = lex_text(&x->lex);
    if (token != LEX_METRIC_NAME)
        return exposition_fail_token(
            x, is_help ? "expected metric name after HELP" : "expected metric name after TYPE",
            token, e);
    exposition_set_name(x);
    token = lex_text(&x->lex);
    if (token != LEX_TEXT) {
        err_format(e, "expected text in %s, got %s", lex_token_name(kind), lex_token_name(token));
        return ERR_INVALID;
    }
    x->text = exposition_token(x);
    x->text = x->text.n > 1 ? str_from(x->text, 1) : str_make(x->text.p, 0);
    if (!is_help && !exposition_find_type(x->format, x->text, &x->type))
        return exposition_fail_quoted("invalid metric type ", x->text, "", e);
    if (is_help && !utf8_is_valid(x->text))
        return exposition_fail_quoted("help text ", x->text, " is not a valid utf8 string", e);
    token = lex_text(&x->lex);
    if (token != LEX_LINEBREAK)
        return exposition_fail_token(x, "linebreak expected after metadata", token, e);
    return ERR_OK;
}

static err parse_timestamp(struct exposition *x, struct errmsg *e)
{
    x->sample.has_time = true;
    if (number_parse_i64(exposition_token(x), &x->sample.time_ms) != ERR_OK) {
        struct buf what = {0};
        buf_printf(&what, "strconv.ParseInt: parsing \"%.*s\": value out of range",
                   STR_ARG(exposition_token(x))); // digits, nothing to escape
        (void)exposition_fail_while(x, buf_str(&what), e);
        buf_deinit(&what);
        return ERR_INVALID;
    }
    const enum lex_token token = lex_text(&x->lex);
    if (token != LEX_LINEBREAK)
        return exposition_fail_token(x, "expected next entry after timestamp", token, e);
    return ERR_OK;
}

// From the value on.
static err parse_tail(struct exposition *x, enum lex_token token, struct errmsg *e)
{
    if (!x->name.p)
        return exposition_fail_while(x, STR("metric name not set"), e);
    if (token != LEX_VALUE)
        return exposition_fail_token(x, "expected value after metric", token, e);
    x->value = x->lex.start;
    double value;
    TRY(exposition_parse_float(x, exposition_token(x), &value, e));
    x->sample = (struct exposition_sample){.bits = bits_from_double(value)};
    token = lex_text(&x->lex);
    if (token == LEX_TIMESTAMP)
        return parse_timestamp(x, e);
    if (token != LEX_LINEBREAK)
        return exposition_fail_token(x, "expected timestamp or new record", token, e);
    return ERR_OK;
}

static err parse_series(struct exposition *x, enum lex_token token, struct errmsg *e)
{
    const char *const first = x->lex.p + x->line;
    // The name starts where the line does: blanks before it belong to it, as in Prometheus.
    x->name = token == LEX_METRIC_NAME ? str_make(first, x->lex.at - x->line) : (struct str){0};
    x->series = x->name;
    if (token == LEX_METRIC_NAME)
        token = lex_text(&x->lex);
    if (token == LEX_BRACE_OPEN) {
        TRY(exposition_parse_labels(x, false, e));
        x->series = str_make(first, x->lex.at - x->line);
        token = lex_text(&x->lex);
    }
    return parse_tail(x, token, e);
}

err exposition_next_text(struct exposition *x, enum exposition_event *out, struct errmsg *e)
{
    enum lex_token token = lex_text(&x->lex);
    for (; token == LEX_LINEBREAK; token = lex_text(&x->lex))
        x->line = x->lex.at;
    switch (token) {
    case LEX_EOF:
        *out = EXPOSITION_END;
        return ERR_OK;
    case LEX_HELP:
    case LEX_TYPE:
        *out = token == LEX_HELP ? EXPOSITION_HELP : EXPOSITION_TYPE;
        return parse_metadata(x, token, e);
    case LEX_COMMENT:
        *out = EXPOSITION_COMMENT;
        x->text = exposition_token(x);
        return lex_text(&x->lex) == LEX_LINEBREAK ? ERR_OK : ERR_INVALID; // a comment ends at one
    case LEX_METRIC_NAME:
    case LEX_BRACE_OPEN:
        *out = EXPOSITION_SERIES;
        return parse_series(x, token, e);
    case LEX_INVALID:
    case LEX_LINEBREAK:
    case LEX_WHITESPACE:
    case LEX_UNIT:
    case LEX_EOF_WORD:
    case LEX_TEXT:
    case LEX_QUOTED:
    case LEX_BRACE_CLOSE:
    case LEX_LABEL_NAME:
    case LEX_LABEL_VALUE:
    case LEX_COMMA:
    case LEX_EQUAL:
    case LEX_TIMESTAMP:
    case LEX_VALUE:
        break;
    }
    return exposition_fail_token(x, "expected a valid start token", token, e);
}
