#include "tools/promtool/go_duration.h"

#include "engine/base/number.h"
#include "engine/base/util.h"

static const struct {
    struct str name;
    double ns;
} units[] = {
    {{"ns", 2}, 1},     {{"us", 2}, 1e3},    {{"\xc2\xb5s", 3}, 1e3}, {{"\xce\xbcs", 3}, 1e3},
    {{"ms", 2}, 1e6},   {{"s", 1}, 1e9},     {{"m", 1}, 60e9},        {{"h", 1}, 3600e9},
    {{"d", 1}, 864e11}, {{"w", 1}, 6048e11},
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

// The bytes of the number in front, digits with at most one point; 0: none.
static size_t number_size(struct str s)
{
    size_t n = 0, digits = 0, points = 0;
    for (; n < s.n && (is_digit(s.p[n]) || (s.p[n] == '.' && !points)); n++) {
        digits += is_digit(s.p[n]);
        points += s.p[n] == '.';
    }
    return digits ? n : 0;
}

err go_duration_parse(struct str text, int64_t *out_ns, struct errmsg *e)
{
    struct str s = text;
    const bool negative = s.n && s.p[0] == '-';
    if (s.n && (s.p[0] == '-' || s.p[0] == '+'))
        s = str_from(s, 1);
    if (!s.n)
        return err_set(e, ERR_INVALID, "time: invalid duration \"%.*s\"", STR_ARG(text));
    if (str_eq(s, STR("0"))) {
        *out_ns = 0;
        return ERR_OK;
    }
    double total = 0;
    while (s.n) {
        const size_t n = number_size(s);
        double value;
        if (!n || number_parse_decimal(str_until(s, n), &value) != ERR_OK)
            return err_set(e, ERR_INVALID, "time: invalid duration \"%.*s\"", STR_ARG(text));
        s = str_from(s, n);
        size_t unit_n = 0;
        while (unit_n < s.n && !is_digit(s.p[unit_n]) && s.p[unit_n] != '.')
            unit_n++;
        if (!unit_n)
            return err_set(e, ERR_INVALID, "time: missing unit in duration \"%.*s\"",
                           STR_ARG(text));
        size_t unit = 0;
        while (unit < countof(units) && !str_eq(units[unit].name, str_until(s, unit_n)))
            unit++;
        if (unit == countof(units))
            return err_set(e, ERR_INVALID, "time: unknown unit \"%.*s\" in duration \"%.*s\"",
                           (int)unit_n, s.p, STR_ARG(text));
        total += value * units[unit].ns;
        s = str_from(s, unit_n);
    }
    if (!(total < 0x1p63))
        return err_set(e, ERR_INVALID, "time: invalid duration \"%.*s\"", STR_ARG(text));
    *out_ns = negative ? -(int64_t)total : (int64_t)total;
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
