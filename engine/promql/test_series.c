#include "engine/promql/test_series.h"

#include "engine/base/mem.h"
#include "engine/base/number.h"
#include "engine/model/labels.h"
#include "engine/model/value.h"
#include "engine/promql/parser.h"

// ---- labels

static bool is_space(char c)
{
    return c == ' ' || c == '\t';
}

static bool is_name(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == ':' || c == '.';
}

static void skip_spaces(struct str *s)
{
    while (s->n && is_space(s->p[0]))
        *s = str_from(*s, 1);
}

static bool take(struct str *s, char c)
{
    skip_spaces(s);
    if (!s->n || s->p[0] != c)
        return false;
    *s = str_from(*s, 1);
    return true;
}

static bool take_name(struct str *s, struct str *out)
{
    skip_spaces(s);
    size_t n = 0;
    while (n < s->n && is_name(s->p[n]))
        n++;
    *out = str_until(*s, n);
    *s = str_from(*s, n);
    return n > 0;
}

// Its escapes are those of strings in queries.
static bool unquote(struct str quoted, struct arena *a, struct str *out)
{
    const struct promql_options options = {0};
    struct promql_query q;
    if (promql_parse(quoted, &options, a, &q, NULL))
        return false;
    const bool is_string = q.expr->kind == PROMQL_STRING;
    if (is_string)
        *out = arena_str(a, q.expr->string);
    promql_parse_done(&q);
    return is_string;
}

static bool take_quoted(struct str *s, struct arena *a, struct str *out)
{
    skip_spaces(s);
    if (!s->n || (s->p[0] != '"' && s->p[0] != '\'' && s->p[0] != '`'))
        return false;
    const char quote = s->p[0];
    size_t at = 1;
    for (; at < s->n && s->p[at] != quote; at++)
        if (s->p[at] == '\\' && quote != '`')
            at++;
    if (at >= s->n)
        return false;
    const struct str whole = str_until(*s, at + 1);
    *s = str_from(*s, at + 1);
    return unquote(whole, a, out);
}

static bool take_labels(struct str *s, struct arena *a, struct labels_builder *b)
{
    while (!take(s, '}')) {
        struct str name, value;
        const bool quoted = take_quoted(s, a, &name);
        if (!quoted && !take_name(s, &name))
            return false;
        if (take(s, '=')) {
            if (!take_quoted(s, a, &value))
                return false;
            labels_builder_set(b, name, value);
        } else if (quoted) {
            labels_builder_set(b, LABEL_NAME, name);
        } else {
            return false;
        }
        if (!take(s, ',') && !(s->n && s->p[0] == '}'))
            return false;
    }
    return true;
}

static bool take_metric(struct str *s, struct arena *a, struct str *out)
{
    struct labels_builder b = {0};
    struct str name;
    bool ok = take_name(s, &name);
    if (ok)
        labels_builder_set(&b, LABEL_NAME, name);
    skip_spaces(s);
    if (!str_has_prefix(*s, STR("{{")) && take(s, '{'))
        ok = take_labels(s, a, &b);
    if (ok)
        *out = labels_builder_finish(&b, a);
    labels_builder_deinit(&b);
    return ok;
}

// ---- values

struct values {
    struct arena *a;
    struct test_value *all;
    size_t n, capacity;
};

static bool add_value(struct values *v, struct test_value value)
{
    if (v->n == TEST_VALUES_MAX)
        return false;
    if (v->n == v->capacity) {
        const size_t capacity = v->capacity ? v->capacity * 2 : 64;
        struct test_value *all = arena_array(v->a, capacity, struct test_value);
        if (v->n)
            memcpy(all, v->all, v->n * sizeof *all);
        v->all = all;
        v->capacity = capacity;
    }
    v->all[v->n++] = value;
    return true;
}

// How much of s is a number: digits, point, exponent, Inf, NaN, with a sign in front.
static size_t number_size(struct str s)
{
    size_t at = s.n && (s.p[0] == '-' || s.p[0] == '+') ? 1 : 0;
    static const struct str words[] = {{"infinity", 8}, {"inf", 3}, {"nan", 3}};
    for (size_t w = 0; w < sizeof words / sizeof words[0]; w++)
        if (s.n - at >= words[w].n &&
            str_eq_nocase(str_until(str_from(s, at), words[w].n), words[w]))
            return at + words[w].n;
    for (; at < s.n; at++) {
        const char c = s.p[at];
        const bool sign =
            (c == '-' || c == '+') && at > 0 && (s.p[at - 1] == 'e' || s.p[at - 1] == 'E');
        if (!(c >= '0' && c <= '9') && c != '.' && c != 'e' && c != 'E' && !sign)
            break;
    }
    return at;
}

static bool take_number(struct str *s, double *out)
{
    const size_t n = number_size(*s);
    const struct str text = str_until(*s, n);
    const err code = number_parse(text.n && text.p[0] == '+' ? str_from(text, 1) : text, out);
    if (code != ERR_OK && code != ERR_LIMIT)
        return false;
    if (*out != *out)
        *out = double_from_bits(VALUE_NORMAL_NAN_BITS);
    *s = str_from(*s, n);
    return true;
}

// xN behind a value; 0 when there is none.
static bool take_times(struct str *s, uint64_t *out)
{
    *out = 0;
    if (!s->n || s->p[0] != 'x')
        return true;
    size_t n = 1;
    while (n < s->n && s->p[n] >= '0' && s->p[n] <= '9')
        n++;
    const bool ok =
        number_parse_u64(str_from(str_until(*s, n), 1), out) == ERR_OK && *out <= TEST_VALUES_MAX;
    *s = str_from(*s, n);
    return ok;
}

static bool take_histogram(struct str *s)
{
    if (s->n < 2 || s->p[0] != '{' || s->p[1] != '{')
        return false;
    size_t at = 2;
    while (at + 1 < s->n && !(s->p[at] == '}' && s->p[at + 1] == '}'))
        at++;
    if (at + 1 >= s->n)
        return false;
    *s = str_from(*s, at + 2);
    return true;
}

static bool take_histograms(struct str *s, struct values *out)
{
    uint64_t times;
    if (!take_histogram(s))
        return false;
    if (s->n && (s->p[0] == '+' || s->p[0] == '-')) {
        *s = str_from(*s, 1);
        if (!take_histogram(s))
            return false;
    }
    if (!take_times(s, &times))
        return false;
    bool ok = true;
    for (uint64_t i = 0; i <= times && ok; i++)
        ok = add_value(out, (struct test_value){TEST_VALUE_HISTOGRAM, 0});
    return ok;
}

static bool take_floats(struct str *s, struct values *out)
{
    double v, step = 0;
    uint64_t times;
    if (!take_number(s, &v))
        return false;
    if (s->n && (s->p[0] == '+' || s->p[0] == '-')) {
        const bool minus = s->p[0] == '-';
        *s = str_from(*s, 1);
        if (!take_number(s, &step) || !s->n || s->p[0] != 'x')
            return false;
        step = minus ? -step : step;
    }
    if (!take_times(s, &times))
        return false;
    bool ok = true;
    for (uint64_t i = 0; i <= times && ok; i++, v += step)
        ok = add_value(out, (struct test_value){TEST_VALUE_FLOAT, v});
    return ok;
}

static bool take_item(struct str *s, struct values *out)
{
    uint64_t times;
    if (s->p[0] == '_') {
        *s = str_from(*s, 1);
        if (!take_times(s, &times))
            return false;
        bool ok = true;
        for (uint64_t i = 0; i < (times ? times : 1) && ok; i++)
            ok = add_value(out, (struct test_value){TEST_VALUE_NONE, 0});
        return ok;
    }
    if (str_has_prefix(*s, STR("stale"))) {
        *s = str_from(*s, 5);
        return add_value(out,
                         (struct test_value){TEST_VALUE_FLOAT, double_from_bits(VALUE_STALE_BITS)});
    }
    return s->p[0] == '{' ? take_histograms(s, out) : take_floats(s, out);
}

err test_series_parse(struct str line, struct arena *a, struct test_series *out, struct errmsg *e)
{
    struct str s = line;
    struct test_series series = {0};
    if (!take_metric(&s, a, &series.labels))
        return err_set(e, ERR_INVALID, "not a series: %.*s", STR_ARG(line));
    if (str_has_prefix(s, STR("@st"))) {
        series.is_start_timestamps = true;
        *out = series;
        return ERR_OK;
    }
    struct values values = {.a = a};
    for (skip_spaces(&s); s.n; skip_spaces(&s))
        if (!take_item(&s, &values) || (s.n && !is_space(s.p[0])))
            return err_set(e, ERR_INVALID, "not a value: %.*s", STR_ARG(s));
    series.values = values.all;
    series.n = values.n;
    *out = series;
    return ERR_OK;
}
