#include "engine/base/duration.h"

#include "engine/base/number.h"

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

// Digits and a unit below the given one, off the front of *rest.
static err take_part(struct str *rest, size_t *unit, int64_t *sum)
{
    size_t at = 0;
    while (at < rest->n && rest->p[at] >= '0' && rest->p[at] <= '9')
        at++;
    const struct str digits = str_until(*rest, at);
    const size_t start = at;
    while (at < rest->n && rest->p[at] >= 'a' && rest->p[at] <= 'z')
        at++;
    const struct str name = str_make(rest->p + start, at - start);
    *rest = str_from(*rest, at);
    for (size_t i = *unit; i < DURATIONS; i++) {
        if (!str_eq(name, str_from_c(durations[i].name)))
            continue;
        int64_t number, part;
        const err code = number_parse_i64(digits, &number);
        if (code == ERR_INVALID)
            return ERR_INVALID;
        if (code == ERR_LIMIT || __builtin_mul_overflow(number, durations[i].factor, &part) ||
            __builtin_add_overflow(*sum, part, sum))
            return ERR_LIMIT;
        *unit = i + 1;
        return ERR_OK;
    }
    return ERR_INVALID;
}

err duration_parse(struct str s, int64_t *out_ms, struct errmsg *e)
{
    if (str_eq(s, STR("0"))) {
        *out_ms = 0;
        return ERR_OK;
    }
    if (!s.n)
        return err_set(e, ERR_INVALID, "empty duration string");
    int64_t sum = 0;
    size_t unit = 0;
    bool too_large = false;
    for (struct str rest = s; rest.n;) {
        const err code = take_part(&rest, &unit, &sum);
        if (code == ERR_INVALID)
            return err_set(e, ERR_INVALID, "not a valid duration string: \"%.*s\"", STR_ARG(s));
        too_large |= code == ERR_LIMIT;
        if (code == ERR_LIMIT)
            sum = 0;
    }
    // Go keeps durations as nanoseconds in 64 bits.
    if (too_large || sum > INT64_MAX / 1000000)
        return err_set(e, ERR_INVALID, "duration out of range");
    *out_ms = sum;
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

err size_parse(struct str s, int64_t *out_bytes, struct errmsg *e)
{
    size_t at = 0;
    while (at < s.n && ((s.p[at] >= '0' && s.p[at] <= '9') || s.p[at] == '.'))
        at++;
    const struct str unit = str_from(s, at);
    double number;
    if (str_eq(s, STR("0"))) {
        *out_bytes = 0;
        return ERR_OK;
    }
    if (!at || number_parse_decimal(str_until(s, at), &number) != ERR_OK)
        return err_set(e, ERR_INVALID, "units: invalid %.*s", STR_ARG(s));
    double factor = 1;
    bool known = str_eq(unit, STR("B"));
    for (size_t i = 0; !known && i < sizeof size_letters - 1; i++) {
        factor *= 1024;
        known =
            (unit.n == 2 && unit.p[0] == size_letters[i] && unit.p[1] == 'B') ||
            (unit.n == 3 && unit.p[0] == size_letters[i] && unit.p[1] == 'i' && unit.p[2] == 'B');
    }
    if (!known)
        return err_set(e, ERR_INVALID, "units: unknown unit %.*s in %.*s", STR_ARG(unit),
                       STR_ARG(s));
    if (number * factor >= 0x1p63)
        return err_set(e, ERR_INVALID, "units: overflow in %.*s", STR_ARG(s));
    *out_bytes = (int64_t)(number * factor);
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
