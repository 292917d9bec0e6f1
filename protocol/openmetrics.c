// OpenMetrics 1.0.0 and 0.0.1.
//
//     # TYPE http_requests counter
//     # UNIT request_seconds seconds
//     http_requests_total{code="200"} 17 1700000000.123 # {trace_id="abc"} 0.5 1700000000.1
//     # EOF
//
// Exactly one blank between the parts, no other comments, no empty lines; times are seconds; what
// stands behind " # " is an exemplar; nothing may follow "# EOF".
#include <math.h>

#include "engine/base/bits.h"
#include "engine/base/quote.h"
#include "engine/base/utf8.h"
#include "protocol/exposition_parse.h"

static err fail_without_eof(struct errmsg *e)
{
    return err_set(e, ERR_INVALID, "data does not end with # EOF");
}

static err check_unit(const struct exposition *x, struct errmsg *e)
{
    const struct str unit = x->text, name = x->name;
    const bool fits = unit.n == 0 || (name.n > unit.n && str_has_suffix(name, unit) &&
                                      name.p[name.n - unit.n - 1] == '_');
    if (fits)
        return ERR_OK;
    struct buf text = {0};
    buf_put_str(&text, STR("unit "));
    buf_put_quoted(&text, unit);
    buf_put_str(&text, STR(" not a suffix of metric "));
    buf_put_quoted(&text, name);
    err_format(e, "%.*s", STR_ARG(buf_str(&text)));
    buf_deinit(&text);
    return ERR_INVALID;
}

static err parse_metadata(struct exposition *x, enum lex_token kind, struct errmsg *e)
{
    enum lex_token token = lex_openmetrics(&x->lex);
    if (token != LEX_METRIC_NAME) {
        const char *const what = kind == LEX_HELP   ? "expected metric name after HELP"
                                 : kind == LEX_TYPE ? "expected metric name after TYPE"
                                                    : "expected metric name after UNIT";
        return exposition_fail_token(x, what, token, e);
    }
    exposition_set_name(x);
    token = lex_openmetrics(&x->lex);
    if (token != LEX_TEXT) {
        err_format(e, "expected text in %s", lex_token_name(kind));
        return ERR_INVALID;
    }
    x->text = exposition_token(x); // with the blank before and the newline behind
    x->text = str_make(x->text.p + 1, x->text.n - 2);
    if (kind == LEX_TYPE)
        return exposition_find_type(x->format, x->text, &x->type)
                   ? ERR_OK
                   : exposition_fail_quoted("invalid metric type ", x->text, "", e);
    if (kind == LEX_UNIT)
        return check_unit(x, e);
    if (!utf8_is_valid(x->text))
        return exposition_fail_quoted("help text ", x->text, " is not a valid utf8 string", e);
    return ERR_OK;
}

// Of a value or timestamp token, which brings its blank.
static err parse_word(struct exposition *x, double *out, struct errmsg *e)
{
    return exposition_parse_float(x, str_from(exposition_token(x), 1), out, e);
}

static err parse_time(struct exposition *x, const char *what, struct exposition_sample *out,
                      struct errmsg *e)
{
    double seconds;
    TRY(parse_word(x, &seconds, e));
    if (isnan(seconds) || isinf(seconds)) {
        err_format(e, "invalid %s %s", what,
                   isnan(seconds) ? "NaN"
                   : seconds > 0  ? "+Inf"
                                  : "-Inf");
        return ERR_INVALID;
    }
    // What is too large for an integer becomes the least one, as on Prometheus's amd64.
    const double ms = seconds * 1000;
    out->time_ms = ms >= -0x1p63 && ms < 0x1p63 ? (int64_t)ms : INT64_MIN;
    out->has_time = true;
    return ERR_OK;
}

static err parse_exemplar(struct exposition *x, struct errmsg *e)
{
    const size_t labels = x->lex.at - 1;
    TRY(exposition_parse_labels(x, true, e));
    x->exemplar_labels = str_make(x->lex.p + labels, x->lex.at - labels);
    enum lex_token token = lex_openmetrics(&x->lex);
    if (token != LEX_VALUE)
        return exposition_fail_token(x, "expected value after exemplar labels", token, e);
    double value;
    TRY(parse_word(x, &value, e));
    x->exemplar = (struct exposition_sample){.bits = bits_from_double(value)};
    x->has_exemplar = true;
    token = lex_openmetrics(&x->lex);
    if (token == LEX_EOF)
        return fail_without_eof(e);
    if (token == LEX_LINEBREAK)
        return ERR_OK;
    if (token != LEX_TIMESTAMP)
        return exposition_fail_token(x, "expected timestamp or comment", token, e);
    TRY(parse_time(x, "exemplar timestamp", &x->exemplar, e));
    token = lex_openmetrics(&x->lex);
    if (token != LEX_LINEBREAK)
        return exposition_fail_token(x, "expected next entry after exemplar timestamp", token, e);
    return ERR_OK;
}

// From the value on.
static err parse_tail(struct exposition *x, enum lex_token token, struct errmsg *e)
{
    if (!x->name.p)
        return exposition_fail_while(x, STR("metric name not set"), e);
    if (token != LEX_VALUE)
        return exposition_fail_token(x, "expected value after metric", token, e);
    x->value = x->lex.start + 1;
    double value;
    TRY(parse_word(x, &value, e));
    x->sample = (struct exposition_sample){.bits = bits_from_double(value)};
    token = lex_openmetrics(&x->lex);
    if (token == LEX_EOF)
        return fail_without_eof(e);
    if (token == LEX_COMMENT)
        return parse_exemplar(x, e);
    if (token != LEX_TIMESTAMP) // not a newline: the next call stumbles over it, as Prometheus does
        return ERR_OK;
    TRY(parse_time(x, "timestamp", &x->sample, e));
    token = lex_openmetrics(&x->lex);
    if (token == LEX_COMMENT)
        return parse_exemplar(x, e);
    if (token != LEX_LINEBREAK)
        return exposition_fail_token(x, "expected next entry after timestamp", token, e);
    return ERR_OK;
}

static err parse_series(struct exposition *x, enum lex_token token, struct errmsg *e)
{
    const char *const first = x->lex.p + x->line;
    x->name = token == LEX_METRIC_NAME ? exposition_token(x) : (struct str){0};
    x->series = x->name;
    if (token == LEX_METRIC_NAME)
        token = lex_openmetrics(&x->lex);
    if (token == LEX_BRACE_OPEN) {
        TRY(exposition_parse_labels(x, false, e));
        x->series = str_make(first, x->lex.at - x->line);
        token = lex_openmetrics(&x->lex);
    }
    return parse_tail(x, token, e);
}

err exposition_next_openmetrics(struct exposition *x, enum exposition_event *out, struct errmsg *e)
{
    const enum lex_token token = lex_openmetrics(&x->lex);
    switch (token) {
    case LEX_EOF_WORD:
        if (lex_openmetrics(&x->lex) != LEX_EOF)
            return err_set(e, ERR_INVALID, "unexpected data after # EOF");
        *out = EXPOSITION_END;
        return ERR_OK;
    case LEX_EOF:
        return fail_without_eof(e);
    case LEX_HELP:
    case LEX_TYPE:
    case LEX_UNIT:
        *out = token == LEX_HELP   ? EXPOSITION_HELP
               : token == LEX_TYPE ? EXPOSITION_TYPE
                                   : EXPOSITION_UNIT;
        return parse_metadata(x, token, e);
    case LEX_METRIC_NAME:
    case LEX_BRACE_OPEN:
        *out = EXPOSITION_SERIES;
        return parse_series(x, token, e);
    case LEX_INVALID:
    case LEX_LINEBREAK:
    case LEX_WHITESPACE:
    case LEX_TEXT:
    case LEX_COMMENT:
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
