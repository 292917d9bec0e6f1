#include "tools/promtool/go_duration.h"

#include "engine/base/util.h"

static const struct {
    struct str name;
    uint64_t ns;
} units[] = {
    {{"ns", 2}, 1},
    {{"us", 2}, 1000},
    {{"\xc2\xb5s", 3}, 1000},
    {{"\xce\xbcs", 3}, 1000},
    {{"ms", 2}, 1000000},
    {{"s", 1}, 1000000000},
    {{"m", 1}, 60000000000},
    {{"h", 1}, 3600000000000},
    {{"d", 1}, 86400000000000},
    {{"w", 1}, 604800000000000},
};
static const uint64_t NS_MAX = (uint64_t)1 << 63; // of the negative

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

// Digits with at most one point, in front of s: their whole part, and the fraction in parts of
// *out_scale; how many bytes. 0: no digit, or too many of them.
static size_t take_number(struct str s, uint64_t *out, double *out_fraction, double *out_scale)
{
    size_t n = 0, digits = 0;
    *out = 0;
    *out_fraction = 0;
    *out_scale = 1;
    for (; n < s.n && is_digit(s.p[n]); n++, digits++)
        if (__builtin_mul_overflow(*out, 10, out) ||
            __builtin_add_overflow(*out, (uint64_t)(s.p[n] - '0'), out) || *out > NS_MAX)
            return 0;
    if (n == s.n || s.p[n] != '.')
        return n;
    uint64_t fraction = 0;
    for (n++; n < s.n && is_digit(s.p[n]); n++, digits++) {
        if (fraction > (NS_MAX - 1) / 10) // more digits say nothing
            continue;
        fraction = fraction * 10 + (uint64_t)(s.p[n] - '0');
        *out_scale *= 10;
    }
    *out_fraction = (double)fraction;
    return digits ? n : 0;
}

static err invalid(struct str text, struct errmsg *e)
{
    return err_set(e, ERR_INVALID, "time: invalid duration \"%.*s\"", STR_ARG(text));
}

// A number and its unit in front of *s, which is cut.
static err take_part(struct str *s, struct str text, uint64_t *out_ns, struct errmsg *e)
{
    uint64_t whole;
    double fraction, scale;
    const size_t n = take_number(*s, &whole, &fraction, &scale);
    if (!n)
        return invalid(text, e);
    *s = str_from(*s, n);
    size_t unit_n = 0, unit = 0;
    while (unit_n < s->n && !is_digit(s->p[unit_n]) && s->p[unit_n] != '.')
        unit_n++;
    if (!unit_n)
        return err_set(e, ERR_INVALID, "time: missing unit in duration \"%.*s\"", STR_ARG(text));
    while (unit < countof(units) && !str_eq(units[unit].name, str_until(*s, unit_n)))
        unit++;
    if (unit == countof(units))
        return err_set(e, ERR_INVALID, "time: unknown unit \"%.*s\" in duration \"%.*s\"",
                       (int)unit_n, s->p, STR_ARG(text));
    *s = str_from(*s, unit_n);
    if (whole > NS_MAX / units[unit].ns)
        return invalid(text, e);
    *out_ns = whole * units[unit].ns + (uint64_t)(fraction * ((double)units[unit].ns / scale));
    return *out_ns > NS_MAX ? invalid(text, e) : ERR_OK;
}

err go_duration_parse(struct str text, int64_t *out_ns, struct errmsg *e)
{
    struct str s = text;
    const bool negative = s.n && s.p[0] == '-';
    if (s.n && (s.p[0] == '-' || s.p[0] == '+'))
        s = str_from(s, 1);
    if (!s.n)
        return invalid(text, e);
    uint64_t total = 0;
    const bool is_zero = str_eq(s, STR("0"));
    while (s.n && !is_zero) {
        uint64_t part;
        TRY(take_part(&s, text, &part, e));
        total += part;
        if (total > NS_MAX)
            return invalid(text, e);
    }
    if (total > NS_MAX - !negative)
        return invalid(text, e);
    *out_ns = (int64_t)(negative ? -total : total);
    return ERR_OK;
}

void go_duration_format(int64_t ms, struct buf *out)
{
    enum { MS_PER_S = 1000, S_PER_MINUTE = 60, MINUTES_PER_HOUR = 60 };
    uint64_t left = (uint64_t)ms;
    if (ms < 0) {
        buf_put_char(out, '-');
        left = 0 - left;
    }
    const unsigned fraction = (unsigned)(left % MS_PER_S);
    if (left < MS_PER_S) {
        buf_printf(out, left ? "%ums" : "%us", fraction);
        return;
    }
    const uint64_t seconds = left / MS_PER_S, minutes = seconds / S_PER_MINUTE;
    if (minutes >= MINUTES_PER_HOUR)
        buf_printf(out, "%lluh", (unsigned long long)(minutes / MINUTES_PER_HOUR));
    if (minutes)
        buf_printf(out, "%llum", (unsigned long long)(minutes % MINUTES_PER_HOUR));
    buf_printf(out, "%llu", (unsigned long long)(seconds % S_PER_MINUTE));
    if (fraction) {
        buf_printf(out, ".%03u", fraction);
        while (out->p[out->n - 1] == '0')
            out->n--;
    }
    buf_put_char(out, 's');
}
