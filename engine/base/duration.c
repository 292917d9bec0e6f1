#include "engine/base/duration.h"

#include "engine/base/number.h"
#include "engine/base/quote.h"

struct unit {
    const char *name;
    int64_t factor;
    bool exact_only; // printed only when nothing is left over
};

static const struct unit durations[] = {
    {"y", 365LL * 24 * 3600 * 1000, true},
    {"w", 7LL * 24 * 3600 * 1000, true},
    {"d", 24LL * 3600 * 1000, false},
    {"h", 3600LL * 1000, false},
    {"m", 60LL * 1000, false},
    {"s", 1000, false},
    {"ms", 1, false},
};
enum { DURATIONS = sizeof durations / sizeof durations[0] };

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static err fail_quoted(struct errmsg *e, const char *before, struct str what, const char *between,
                       struct str whole)
{
    struct buf text = {0};
    if (what.n)
        buf_put_quoted(&text, what);
    buf_put_str(&text, str_from_c(between));
    buf_put_quoted(&text, whole);
    const err code = err_set(e, ERR_INVALID, "%s%.*s", before, STR_ARG(buf_str(&text)));
    buf_deinit(&text);
    return code;
}

static err fail_invalid(struct errmsg *e, struct str whole)
{
    return fail_quoted(e, "not a valid duration string: ", STR(""), "", whole);
}

// Digits and a unit that is smaller than the last one, off the front of *rest; nanoseconds are
// added to *sum, as Go keeps durations.
static err take_part(struct str whole, struct str *rest, size_t *unit, uint64_t *sum,
                     struct errmsg *e)
{
    size_t at = 0, i = 0;
    uint64_t number, part;
    while (at < rest->n && is_digit(rest->p[at]))
        at++;
    const size_t start = at;
    if (!at || number_parse_u64(str_until(*rest, at), &number) != ERR_OK)
        return fail_invalid(e, whole);
    while (at < rest->n && !is_digit(rest->p[at]))
        at++;
    const struct str name = str_make(rest->p + start, at - start);
    *rest = str_from(*rest, at);
    if (!name.n)
        return fail_invalid(e, whole);
    while (i < DURATIONS && !str_eq(name, str_from_c(durations[i].name)))
        i++;
    if (i == DURATIONS)
        return fail_quoted(e, "unknown unit ", name, " in duration ", whole);
    if (i < *unit)
        return fail_invalid(e, whole);
    *unit = i + 1;
    if (__builtin_mul_overflow(number, (uint64_t)durations[i].factor * 1000000, &part) ||
        __builtin_add_overflow(*sum, part, sum) || *sum > INT64_MAX)
        return err_set(e, ERR_INVALID, "duration out of range");
    return ERR_OK;
}

err duration_parse(struct str s, int64_t *out_ms, struct errmsg *e)
{
    if (str_eq(s, STR("0"))) {
        *out_ms = 0;
        return ERR_OK;
    }
    if (!s.n)
        return err_set(e, ERR_INVALID, "empty duration string");
    uint64_t sum = 0;
    size_t unit = 0;
    for (struct str rest = s; rest.n;)
        TRY(take_part(s, &rest, &unit, &sum, e));
    *out_ms = (int64_t)(sum / 1000000);
    return ERR_OK;
}

void duration_format(int64_t ms, struct buf *out)
{
    if (ms == 0) {
        buf_put_str(out, STR("0s"));
        return;
    }
    if (ms < 0)
        buf_put_char(out, '-');
    uint64_t left = ms < 0 ? 0 - (uint64_t)ms : (uint64_t)ms;
    for (size_t i = 0; i < DURATIONS; i++) {
        const uint64_t factor = (uint64_t)durations[i].factor;
        if (left < factor || (durations[i].exact_only && left % factor))
            continue;
        buf_put_u64(out, left / factor);
        buf_put_str(out, str_from_c(durations[i].name));
        left %= factor;
    }
}

static const char size_letters[] = "KMGTPE";

// The factor of a unit; 0: unknown.
static double size_factor(struct str unit)
{
    if (str_eq(unit, STR("B")))
        return 1;
    double factor = 1;
    for (size_t i = 0; i < sizeof size_letters - 1; i++) {
        factor *= 1024;
        if ((unit.n == 2 && unit.p[0] == size_letters[i] && unit.p[1] == 'B') ||
            (unit.n == 3 && unit.p[0] == size_letters[i] && unit.p[1] == 'i' && unit.p[2] == 'B'))
            return factor;
    }
    return 0;
}

// A number and its unit, off the front of *rest. all is the whole text.
static err take_size(struct str all, struct str *rest, double *sum, struct errmsg *e)
{
    size_t at = 0, points = 0, digits = 0;
    for (; at < rest->n && (is_digit(rest->p[at]) || (rest->p[at] == '.' && !points)); at++) {
        points += rest->p[at] == '.';
        digits += rest->p[at] != '.';
    }
    double number;
    if (!digits || number_parse_decimal(str_until(*rest, at), &number) != ERR_OK)
        return err_set(e, ERR_INVALID, "units: invalid %.*s", STR_ARG(all));
    const size_t start = at;
    while (at < rest->n && !is_digit(rest->p[at]) && rest->p[at] != '.')
        at++;
    const struct str unit = str_make(rest->p + start, at - start);
    const double factor = size_factor(unit);
    if (factor == 0)
        return err_set(e, ERR_INVALID, "units: unknown unit %.*s in %.*s", STR_ARG(unit),
                       STR_ARG(all));
    *sum += number * factor;
    *rest = str_from(*rest, at);
    return ERR_OK;
}

err size_parse(struct str s, int64_t *out_bytes, struct errmsg *e)
{
    struct str rest = s;
    const bool negative = s.n && s.p[0] == '-';
    if (s.n && (s.p[0] == '-' || s.p[0] == '+'))
        rest = str_from(s, 1);
    if (!rest.n)
        return err_set(e, ERR_INVALID, "units: invalid %.*s", STR_ARG(s));
    double sum = 0;
    if (str_eq(rest, STR("0")))
        rest.n = 0;
    while (rest.n)
        TRY(take_size(s, &rest, &sum, e));
    if (sum >= 0x1p63)
        return err_set(e, ERR_INVALID, "units: overflow parsing unit");
    *out_bytes = negative ? -(int64_t)sum : (int64_t)sum;
    return ERR_OK;
}

void size_format(int64_t bytes, struct buf *out)
{
    if (bytes <= 0) {
        buf_put_i64(out, bytes);
        buf_put_char(out, 'B');
        return;
    }
    // Like Prometheus's base-2 sizes: the parts from the largest unit down, "1GiB512MiB".
    uint64_t left = (uint64_t)bytes;
    for (size_t i = sizeof size_letters - 1; i > 0; i--) {
        const uint64_t factor = 1ull << (10 * i);
        if (left < factor)
            continue;
        buf_put_u64(out, left / factor);
        buf_put_char(out, size_letters[i - 1]);
        buf_put_str(out, STR("iB"));
        left %= factor;
    }
    if (left) {
        buf_put_u64(out, left);
        buf_put_char(out, 'B');
    }
}
