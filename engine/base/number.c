#include "engine/base/number.h"

#include <math.h>

#include "engine/base/number_shim.h"

struct digits {
    bool negative;
    char text[17];
    size_t n;
    int point; // the number is 0.text * 10^point
};

// NaN and the infinities; bytes written, 0 for finite numbers.
static size_t put_special(double d, char *out)
{
    const char *text = isnan(d) ? "NaN" : !isinf(d) ? "" : d > 0 ? "+Inf" : "-Inf";
    const size_t n = strlen(text);
    memcpy(out, text, n);
    return n;
}

static struct digits get_digits(double d)
{
    struct digits g = {.negative = signbit(d) != 0, .text = "0", .n = 1, .point = 1};
    if (d != 0)
        g.n = number_shim_digits(d, g.text, &g.point);
    return g;
}

static size_t put_f(const struct digits *g, char *out)
{
    size_t n = 0;
    if (g->negative)
        out[n++] = '-';
    if (g->point <= 0)
        out[n++] = '0';
    for (int i = 0; i < g->point; i++)
        out[n++] = (size_t)i < g->n ? g->text[i] : '0';
    if (g->point >= (int)g->n)
        return n;
    out[n++] = '.';
    for (int i = g->point; i < 0; i++)
        out[n++] = '0';
    for (size_t i = g->point > 0 ? (size_t)g->point : 0; i < g->n; i++)
        out[n++] = g->text[i];
    return n;
}

static size_t put_e(const struct digits *g, char *out)
{
    size_t n = 0;
    if (g->negative)
        out[n++] = '-';
    out[n++] = g->text[0];
    if (g->n > 1) {
        out[n++] = '.';
        memcpy(out + n, g->text + 1, g->n - 1);
        n += g->n - 1;
    }
    const bool is_zero = g->n == 1 && g->text[0] == '0';
    const int exponent = is_zero ? 0 : g->point - 1;
    const unsigned size = (unsigned)(exponent < 0 ? -exponent : exponent);
    out[n++] = 'e';
    out[n++] = exponent < 0 ? '-' : '+';
    if (size >= 100)
        out[n++] = (char)('0' + size / 100);
    out[n++] = (char)('0' + size / 10 % 10);
    out[n++] = (char)('0' + size % 10);
    return n;
}

size_t number_format_f(double d, char out[static NUMBER_TEXT_MAX])
{
    const size_t special = put_special(d, out);
    if (special)
        return special;
    const struct digits g = get_digits(d);
    return put_f(&g, out);
}

size_t number_format_e(double d, char out[static NUMBER_TEXT_MAX])
{
    const size_t special = put_special(d, out);
    if (special)
        return special;
    const struct digits g = get_digits(d);
    return put_e(&g, out);
}

size_t number_format_g(double d, char out[static NUMBER_TEXT_MAX])
{
    enum { E_FROM = 6, E_BELOW = -4 }; // strconv decides as if the precision were 6
    const size_t special = put_special(d, out);
    if (special)
        return special;
    const struct digits g = get_digits(d);
    const int exponent = g.point - 1;
    return exponent < E_BELOW || exponent >= E_FROM ? put_e(&g, out) : put_f(&g, out);
}

size_t number_format_api(double d, char out[static NUMBER_TEXT_MAX])
{
    const double size = fabs(d);
    return size != 0 && (size < 1e-6 || size >= 1e21) ? number_format_e(d, out)
                                                      : number_format_f(d, out);
}

void buf_put_double_g(struct buf *b, double d)
{
    b->n += number_format_g(d, buf_reserve(b, NUMBER_TEXT_MAX));
}

static bool is_digit(char c, bool hex)
{
    const char l = (char)(c | 0x20);
    return (c >= '0' && c <= '9') || (hex && l >= 'a' && l <= 'f');
}

// Digits, a point, an exponent that hexadecimal must have: what Go's grammar wants, underscores
// out.
static bool is_float(struct str s, bool hex)
{
    size_t at = 0, digits = 0;
    for (; at < s.n && is_digit(s.p[at], hex); at++)
        digits++;
    if (at < s.n && s.p[at] == '.')
        for (at++; at < s.n && is_digit(s.p[at], hex); at++)
            digits++;
    if (!digits)
        return false;
    if (at == s.n)
        return !hex;
    if ((s.p[at] | 0x20) != (hex ? 'p' : 'e'))
        return false;
    at++;
    if (at < s.n && (s.p[at] == '+' || s.p[at] == '-'))
        at++;
    const size_t start = at;
    while (at < s.n && is_digit(s.p[at], false))
        at++;
    return at > start && at == s.n;
}

static err parse_digits(struct str s, bool hex, bool negative, double *out)
{
    if (!is_float(s, hex))
        return ERR_INVALID;
    // from_chars wants a digit before the point.
    double d;
    enum number_shim_result result = number_shim_parse(s.p, s.n, hex, &d);
    if (result == NUMBER_SHIM_BAD)
        return ERR_INVALID;
    *out = negative ? -d : d;
    return result == NUMBER_SHIM_RANGE ? ERR_LIMIT : ERR_OK;
}

static bool parse_named(struct str s, bool has_sign, bool negative, double *out)
{
    if (!has_sign && str_eq_nocase(s, STR("nan"))) {
        *out = NAN;
        return true;
    }
    if (!str_eq_nocase(s, STR("inf")) && !str_eq_nocase(s, STR("infinity")))
        return false;
    *out = negative ? -INFINITY : INFINITY;
    return true;
}

static struct str take_sign(struct str s, bool *out_has, bool *out_negative)
{
    *out_has = s.n > 0 && (s.p[0] == '+' || s.p[0] == '-');
    *out_negative = *out_has && s.p[0] == '-';
    return *out_has ? str_from(s, 1) : s;
}

err number_parse_decimal(struct str s, double *out)
{
    bool has_sign, negative;
    s = take_sign(s, &has_sign, &negative);
    if (parse_named(s, has_sign, negative, out))
        return ERR_OK;
    return parse_digits(s, false, negative, out);
}

// Copies without underscores; false when one does not stand between digits (or behind the prefix).
static bool drop_underscores(struct str s, bool hex, char *out, size_t *out_n)
{
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] != '_') {
            out[n++] = s.p[i];
            continue;
        }
        const bool before = i == 0 ? hex : is_digit(s.p[i - 1], hex);
        if (!before || i + 1 == s.n || !is_digit(s.p[i + 1], hex))
            return false;
    }
    *out_n = n;
    return true;
}

err number_parse(struct str s, double *out)
{
    bool has_sign, negative;
    s = take_sign(s, &has_sign, &negative);
    if (parse_named(s, has_sign, negative, out))
        return ERR_OK;
    const bool hex = s.n > 2 && s.p[0] == '0' && (s.p[1] | 0x20) == 'x';
    if (hex)
        s = str_from(s, 2);
    char text[1024];
    if (s.n > sizeof text)
        return parse_digits(s, hex, negative, out);
    size_t n;
    if (!drop_underscores(s, hex, text, &n))
        return ERR_INVALID;
    return parse_digits(str_make(text, n), hex, negative, out);
}

err number_parse_u64(struct str s, uint64_t *out)
{
    uint64_t v = 0;
    for (size_t i = 0; i < s.n; i++) {
        if (!is_digit(s.p[i], false))
            return ERR_INVALID;
        if (__builtin_mul_overflow(v, 10u, &v) ||
            __builtin_add_overflow(v, (uint64_t)(s.p[i] - '0'), &v))
            return ERR_LIMIT;
    }
    if (!s.n)
        return ERR_INVALID;
    *out = v;
    return ERR_OK;
}

err number_parse_i64(struct str s, int64_t *out)
{
    bool has_sign, negative;
    uint64_t v;
    TRY(number_parse_u64(take_sign(s, &has_sign, &negative), &v));
    const uint64_t max = (uint64_t)INT64_MAX + negative;
    if (v > max)
        return ERR_LIMIT;
    *out = negative ? (int64_t)(0 - v) : (int64_t)v;
    return ERR_OK;
}
