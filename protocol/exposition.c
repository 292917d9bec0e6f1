#include "protocol/exposition.h"

#include <math.h>

#include "engine/base/number.h"
#include "engine/base/quote.h"
#include "engine/base/utf8.h"
#include "protocol/exposition_parse.h"
#include "protocol/fast_number.h"
#include "simd/simd.h"

static const uint64_t NAN_BITS = 0x7ff8000000000001u;

static const char *const type_names[EXPOSITION_TYPES] = {
    [EXPOSITION_UNKNOWN] = "unknown",
    [EXPOSITION_COUNTER] = "counter",
    [EXPOSITION_GAUGE] = "gauge",
    [EXPOSITION_HISTOGRAM] = "histogram",
    [EXPOSITION_GAUGE_HISTOGRAM] = "gaugehistogram",
    [EXPOSITION_SUMMARY] = "summary",
    [EXPOSITION_INFO] = "info",
    [EXPOSITION_STATESET] = "stateset",
};

const char *exposition_type_name(enum exposition_type type)
{
    return type_names[type];
}

bool exposition_find_type(enum exposition_format format, struct str word, enum exposition_type *out)
{
    const bool is_text = format == EXPOSITION_TEXT;
    for (enum exposition_type type = 0; type < EXPOSITION_TYPES; type++) {
        const bool is_known = !is_text || type == EXPOSITION_COUNTER || type == EXPOSITION_GAUGE ||
                              type == EXPOSITION_HISTOGRAM || type == EXPOSITION_SUMMARY;
        if (is_known && str_eq(word, str_from_c(type_names[type]))) {
            *out = type;
            return true;
        }
    }
    *out = EXPOSITION_UNKNOWN;
    return is_text && str_eq(word, STR("untyped"));
}

void exposition_init(struct exposition *x, enum exposition_format format, struct str body)
{
    *x = (struct exposition){
        .lex = {.p = body.n ? body.p : "",
                .n = body.n,
                .size = body.n + (format == EXPOSITION_TEXT)},
        .format = format,
    };
}

// A value that the fast way does not know: more digits, NaN, the infinities. Behind it or NULL.
static const char *take_rare_value(const char *p, const char *end, double *out)
{
    const char *const first = p;
    while (p < end && *p != ' ' && *p != '\t' && *p != '{' && *p != '\n' && *p != '\0')
        p++;
    double d;
    if (number_parse_decimal(str_make(first, (size_t)(p - first)), &d) != ERR_OK)
        return NULL;
    *out = isnan(d) ? double_from_bits(NAN_BITS) : d;
    return p;
}

const char *exposition_take_tail(const char *p, const char *end, enum exposition_format format,
                                 struct exposition_sample *out)
{
    enum { TIME_DIGITS_MAX = 18 };
    double value, seconds;
    struct exposition_sample sample = {0};
    const char *const rare = p;
    if (!(p = fast_number_parse(p, end, &value)))
        p = take_rare_value(rare, end, &value);
    if (!p || p == end)
        return NULL;
    sample.bits = bits_from_double(value);
    if (*p == ' ') {
        const char *const first = ++p;
        if (format == EXPOSITION_TEXT) {
            uint64_t ms = 0;
            p = fast_number_digits(p, end, &ms);
            if (p == first || p - first > TIME_DIGITS_MAX)
                return NULL;
            sample.time_ms = (int64_t)ms;
        } else {
            if (!(p = fast_number_parse(p, end, &seconds)) || fabs(seconds) > 1e15)
                return NULL;
            sample.time_ms = (int64_t)(seconds * 1000);
        }
        sample.has_time = true;
    }
    if (p == end || *p != '\n')
        return NULL;
    *out = sample;
    return p + 1;
}

// Behind the closing quote, or NULL where the lexer has to look.
static const char *take_quoted(const char *p, const char *end)
{
    const char *const first = p;
    bool is_ascii = true;
    for (;;) {
        p += simd.scan_plain(p, (size_t)(end - p));
        if (p == end)
            return NULL;
        if (*p == '"')
            break;
        if (*p == '\\' && end - p > 1 && p[1] >= ' ')
            p += 2;
        else if ((unsigned char)*p < 0x80)
            return NULL;
        else
            p++, is_ascii = false;
    }
    if (!is_ascii && !utf8_is_valid(str_make(first, (size_t)(p - first))))
        return NULL;
    return p + 1;
}

// name="value",... from behind the brace on; behind the closing one, or NULL.
static const char *take_labels(const char *p, const char *end, enum exposition_format format)
{
    while (p < end && *p != '}') {
        if (!lex_is(*p, LEX_LABEL_START))
            return NULL;
        while (p < end && lex_is(*p, LEX_LABEL))
            p++;
        if (end - p < 2 || p[0] != '=' || p[1] != '"' || !(p = take_quoted(p + 2, end)) || p == end)
            return NULL;
        if (*p == '}')
            break;
        if (*p != ',')
            return NULL;
        p++;
        if (format == EXPOSITION_TEXT && p < end && *p == ' ')
            p++;
    }
    return p < end ? p + 1 : NULL;
}

// A sample's line of the usual form, in one pass; false, and nothing is changed, for any other.
static bool take_series(struct exposition *x)
{
    const char *const first = x->lex.p + x->lex.at, *const end = x->lex.p + x->lex.n;
    const char *p = first;
    if (!lex_is(*p, LEX_NAME_START))
        return false;
    while (p < end && lex_is(*p, LEX_NAME))
        p++;
    const char *const name_end = p;
    if (p < end && *p == '{' && !(p = take_labels(p + 1, end, x->format)))
        return false;
    const char *const series_end = p;
    if (p == end || *p++ != ' ')
        return false;
    const char *const value = p;
    if (!(p = exposition_take_tail(p, end, x->format, &x->sample)))
        return false;
    x->line = x->lex.at;
    x->series = str_make(first, (size_t)(series_end - first));
    x->name = str_make(first, (size_t)(name_end - first));
    x->value = (size_t)(value - x->lex.p);
    x->has_exemplar = false;
    x->lex.at = (size_t)(p - x->lex.p);
    return true;
}

// "# HELP name text" and "# TYPE name word" in their usual form; false for all else.
static bool take_metadata(struct exposition *x, enum exposition_event *out)
{
    enum { WORD = 7 };
    const char *const first = x->lex.p + x->lex.at, *const end = x->lex.p + x->lex.n;
    const struct str rest = str_make(first, (size_t)(end - first));
    const bool is_help = str_has_prefix(rest, STR("# HELP "));
    if ((!is_help && !str_has_prefix(rest, STR("# TYPE "))) || rest.n == WORD)
        return false;
    const char *p = first + WORD;
    if (!lex_is(*p, LEX_NAME_START))
        return false;
    while (p < end && lex_is(*p, LEX_NAME))
        p++;
    const struct str name = str_make(first + WORD, (size_t)(p - first) - WORD);
    if (end - p < 2 || p[0] != ' ' || p[1] == ' ' || p[1] == '\t') // blanks alone are no text
        return false;
    p++;
    const struct str text = str_make(p, simd.scan_line(p, (size_t)(end - p)));
    p += text.n;
    if (p == end || *p != '\n' || exposition_swallows_nul(x, p + 1))
        return false;
    enum exposition_type type = x->type;
    if (is_help ? !utf8_is_valid(text) : !exposition_find_type(x->format, text, &type))
        return false;
    x->line = x->lex.at;
    x->value = 0;
    x->name = name;
    x->text = text;
    x->type = type;
    x->has_exemplar = false;
    x->lex.at = (size_t)(p + 1 - x->lex.p);
    *out = is_help ? EXPOSITION_HELP : EXPOSITION_TYPE;
    return true;
}

static err next(struct exposition *x, enum exposition_event *out, struct errmsg *e)
{
    if (exposition_is_at_line(x) && take_series(x)) {
        *out = EXPOSITION_SERIES;
        return ERR_OK;
    }
    if (exposition_is_at_line(x) && take_metadata(x, out))
        return ERR_OK;
    x->line = x->lex.at;
    x->value = 0;
    x->has_exemplar = false;
    return x->format == EXPOSITION_TEXT ? exposition_next_text(x, out, e)
                                        : exposition_next_openmetrics(x, out, e);
}

err exposition_next(struct exposition *x, enum exposition_event *out, struct errmsg *e)
{
    TRY(next(x, out, e));
    x->event = *out;
    return ERR_OK;
}

bool exposition_take(struct exposition *x, struct str prefix, struct exposition_sample *out)
{
    if (!exposition_is_at_line(x) || prefix.n == 0 ||
        !exposition_precedes_value(prefix.p[prefix.n - 1]))
        return false;
    const struct str rest = str_make(x->lex.p + x->lex.at, x->lex.n - x->lex.at);
    if (!str_has_prefix(rest, prefix))
        return false;
    const char *const p = exposition_take_tail(rest.p + prefix.n, rest.p + rest.n, x->format, out);
    if (!p)
        return false;
    x->lex.at = (size_t)(p - x->lex.p);
    return true;
}

struct str exposition_token(const struct exposition *x)
{
    return str_make(x->lex.p + x->lex.start, x->lex.at - x->lex.start);
}

void exposition_set_name(struct exposition *x)
{
    struct str name = exposition_token(x);
    if (name.p[0] == '"' && name.p[name.n - 1] == '"')
        name = str_make(name.p + 1, name.n - 2);
    x->name = name;
}

err exposition_parse_float(struct exposition *x, struct str s, double *out, struct errmsg *e)
{
    static const char *const reasons[] = {
        [ERR_INVALID] = ": invalid syntax", [ERR_LIMIT] = ": value out of range"};
    // Hexadecimal and underscores, which strconv would take, are refused as they always were.
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] == 'p' || s.p[i] == 'P' || s.p[i] == '_')
            return exposition_fail_while(x, STR("unsupported character in float"), e);
    double d;
    const err code = number_parse_decimal(s, &d);
    if (code == ERR_OK) {
        *out = isnan(d) ? double_from_bits(NAN_BITS) : d;
        return ERR_OK;
    }
    struct buf what = {0};
    buf_put_str(&what, STR("strconv.ParseFloat: parsing "));
    buf_put_quoted(&what, s);
    buf_put_str(&what, str_from_c(reasons[code]));
    (void)exposition_fail_while(x, buf_str(&what), e);
    buf_deinit(&what);
    return ERR_INVALID;
}

// [from, to) of the body in quotes; to may lie behind the newline that the format adds.
static void put_quoted(const struct exposition *x, size_t from, size_t to, struct buf *out)
{
    enum { BYTES_MAX = 2 * sizeof((struct errmsg *)0)->text }; // more has no place in a message
    struct buf bytes = {0};
    const size_t end = to < x->lex.n ? to : x->lex.n;
    const size_t n = end - from < BYTES_MAX ? end - from : BYTES_MAX;
    buf_put(&bytes, x->lex.p + from, n);
    if (to > x->lex.n && x->lex.size > x->lex.n)
        buf_put_char(&bytes, '\n');
    buf_put_quoted(out, buf_str(&bytes));
    buf_deinit(&bytes);
}

err exposition_fail_token(const struct exposition *x, const char *what, enum lex_token token,
                          struct errmsg *e)
{
    const size_t behind = x->lex.at + 1 < x->lex.size ? x->lex.at + 1 : x->lex.size;
    struct buf text = {0};
    buf_printf(&text, "%s, got ", what);
    put_quoted(x, x->lex.start, behind, &text);
    buf_printf(&text, " (\"%s\") while parsing: ", lex_token_name(token));
    put_quoted(x, x->line, behind, &text);
    err_format(e, "%.*s", STR_ARG(buf_str(&text)));
    buf_deinit(&text);
    return ERR_INVALID;
}

err exposition_fail_while(const struct exposition *x, struct str what, struct errmsg *e)
{
    struct buf text = {0};
    buf_put_str(&text, what);
    buf_put_str(&text, STR(" while parsing: "));
    put_quoted(x, x->line, x->lex.at, &text);
    err_format(e, "%.*s", STR_ARG(buf_str(&text)));
    buf_deinit(&text);
    return ERR_INVALID;
}

err exposition_fail_quoted(const char *what, struct str quoted, const char *behind,
                           struct errmsg *e)
{
    struct buf text = {0};
    buf_put_quoted(&text, quoted);
    err_format(e, "%s%.*s%s", what, STR_ARG(buf_str(&text)), behind);
    buf_deinit(&text);
    return ERR_INVALID;
}

static enum lex_token next_token(struct exposition *x)
{
    return x->format == EXPOSITION_TEXT ? lex_text(&x->lex) : lex_openmetrics(&x->lex);
}

// A label from behind its name on.
static err parse_label_value(struct exposition *x, enum lex_token token, struct errmsg *e)
{
    if (token != LEX_EQUAL)
        return exposition_fail_token(x, "expected equal", token, e);
    token = next_token(x);
    if (token != LEX_LABEL_VALUE)
        return exposition_fail_token(x, "expected label value", token, e);
    if (!utf8_is_valid(exposition_token(x)))
        return exposition_fail_quoted("invalid UTF-8 label value: ", exposition_token(x), "", e);
    return ERR_OK;
}

err exposition_parse_labels(struct exposition *x, bool is_exemplar, struct errmsg *e)
{
    for (enum lex_token token = next_token(x); token != LEX_BRACE_CLOSE;) {
        if (token != LEX_LABEL_NAME && token != LEX_QUOTED)
            return exposition_fail_token(x, "expected label name", token, e);
        const bool is_quoted = token == LEX_QUOTED;
        const struct str name = exposition_token(x);
        token = next_token(x);
        // A quoted text without a value is the name of the metric.
        if ((is_quoted || (x->name.p && !is_exemplar)) &&
            (token == LEX_COMMA || token == LEX_BRACE_CLOSE)) {
            if (is_exemplar)
                return exposition_fail_token(x, "expected label name", token, e);
            if (x->name.p)
                return exposition_fail_while(x, STR("metric name already set"), e);
            x->name = str_make(name.p + 1, name.n - 2);
            if (token == LEX_COMMA)
                token = next_token(x);
            continue;
        }
        TRY(parse_label_value(x, token, e));
        token = next_token(x);
        if (token == LEX_COMMA)
            token = next_token(x);
        else if (token != LEX_BRACE_CLOSE && x->format == EXPOSITION_OPENMETRICS)
            return exposition_fail_token(x, "expected comma or brace close", token, e);
    }
    return ERR_OK;
}
