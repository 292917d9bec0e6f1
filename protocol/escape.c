#include "protocol/escape.h"

#include "engine/base/utf8.h"
#include "engine/base/util.h"

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

static bool is_legal_rune(uint32_t rune, bool first)
{
    return (rune >= 'a' && rune <= 'z') || (rune >= 'A' && rune <= 'Z') || rune == '_' ||
           rune == ':' || (!first && rune >= '0' && rune <= '9');
}

bool escape_is_legal(struct str name)
{
    for (size_t i = 0; i < name.n; i++)
        if (!is_legal_rune((unsigned char)name.p[i], i == 0))
            return false;
    return name.n > 0;
}

static void escape_rune(uint32_t rune, bool legal, enum escape_scheme scheme, struct buf *out)
{
    if (rune == '_' && scheme != ESCAPE_UNDERSCORES)
        buf_put_str(out, STR("__"));
    else if (rune == '.' && scheme == ESCAPE_DOTS)
        buf_put_str(out, STR("_dot_"));
    else if (legal)
        buf_put_char(out, (char)rune);
    else if (scheme == ESCAPE_VALUES)
        buf_printf(out, "_%x_", rune);
    else
        buf_put_str(out, scheme == ESCAPE_DOTS ? STR("__") : STR("_"));
}

void escape_name(struct str name, enum escape_scheme scheme, struct buf *out)
{
    if (scheme == ESCAPE_NONE || (scheme != ESCAPE_DOTS && escape_is_legal(name))) {
        buf_put_str(out, name);
        return;
    }
    if (scheme == ESCAPE_VALUES && name.n)
        buf_put_str(out, STR("U__"));
    for (size_t at = 0; at < name.n;) {
        uint32_t rune;
        const size_t size = utf8_decode(str_from(name, at), &rune);
        escape_rune(rune, is_legal_rune(rune, at == 0), scheme, out);
        at += size;
    }
}

static const char *const scheme_texts[] = {[ESCAPE_UNDERSCORES] = "underscores",
                                           [ESCAPE_DOTS] = "dots",
                                           [ESCAPE_VALUES] = "values",
                                           [ESCAPE_NONE] = "allow-utf-8"};

const char *escape_scheme_text(enum escape_scheme scheme)
{
    return scheme_texts[scheme];
}

bool escape_scheme_parse(struct str text, enum escape_scheme *out)
{
    for (size_t i = 0; i < countof(scheme_texts); i++)
        if (str_eq(text, str_from_c(scheme_texts[i]))) {
            *out = (enum escape_scheme)i;
            return true;
        }
    return false;
}
