#include "protocol/escape.h"

#include "engine/base/utf8.h"

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    const char l = (char)(c | 0x20);
    return l >= 'a' && l <= 'f' ? l - 'a' + 10 : -1;
}

// The rune of "<hex>_" at s.p[*at], of at most five digits, as Prometheus has it; false: not one.
static bool take_rune(struct str s, size_t *at, uint32_t *out)
{
    uint32_t rune = 0;
    for (size_t digits = 0; *at < s.n && digits < 6; (*at)++, digits++) {
        if (s.p[*at] == '_') {
            (*at)++;
            *out = rune;
            return digits > 0 && rune <= 0x10ffff && (rune < 0xd800 || rune > 0xdfff);
        }
        const int digit = hex_value(s.p[*at]);
        if (digit < 0)
            return false;
        rune = rune << 4 | (unsigned)digit;
    }
    return false;
}

struct str escape_undo_values(struct str name, struct arena *a)
{
    if (!str_has_prefix(name, STR("U__")))
        return name;
    char *p = arena_alloc(a, name.n * UTF8_MAX, 1);
    size_t n = 0;
    for (size_t at = 3; at < name.n;) {
        if (name.p[at] != '_') {
            p[n++] = name.p[at++];
            continue;
        }
        uint32_t rune;
        if (++at < name.n && name.p[at] == '_') {
            p[n++] = '_';
            at++;
        } else if (take_rune(name, &at, &rune)) {
            n += utf8_encode(p + n, rune);
        } else {
            return name;
        }
    }
    return str_make(p, n);
}
