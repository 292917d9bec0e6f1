// Classes and escapes. The text of a class is rewritten as RE2 reads it: characters by number, what
// has a name in both by its name, Unicode's classes by their runes.
#include "engine/base/regex_syntax.h"
#include "engine/base/utf8.h"
#include "engine/base/util.h"

enum { RUNE_MAX = 0x10ffff };

static bool fail(struct regex_class_result *r, const char *wrong, struct str where)
{
    *r = (struct regex_class_result){wrong, where};
    return false;
}

// What of from is in front of rest, which is its end.
static struct str before(struct str from, struct str rest)
{
    return str_until(from, from.n - rest.n);
}

bool regex_rune_parse(struct str *rest, uint32_t *out, struct regex_class_result *r)
{
    if (rest->n == 0) { // as Go decodes nothing
        *out = UTF8_BAD;
        return true;
    }
    const size_t n = utf8_decode(*rest, out);
    if (*out == UTF8_BAD && n == 1)
        return fail(r, "invalid UTF-8", *rest);
    *rest = str_from(*rest, n);
    return true;
}

bool regex_text_is_valid(struct str s, struct regex_class_result *r)
{
    uint32_t rune;
    while (s.n)
        if (!regex_rune_parse(&s, &rune, r))
            return false;
    return true;
}

// ---- escapes

static int hex_of(uint32_t c)
{
    if (c >= '0' && c <= '9')
        return (int)c - '0';
    if (c >= 'a' && c <= 'f')
        return (int)c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? (int)c - 'A' + 10 : -1;
}

static bool is_octal_next(struct str t)
{
    return t.n && t.p[0] >= '0' && t.p[0] <= '7';
}

static bool is_word_rune(uint32_t c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

// Behind \x. What is no number leaves *is_bad, and *t where Go stopped.
static bool parse_hex(struct str *t, uint32_t *out, bool *is_bad, struct regex_class_result *r)
{
    uint32_t c, low;
    *is_bad = true;
    if (t->n == 0)
        return true;
    if (!regex_rune_parse(t, &c, r))
        return false;
    if (c != '{') {
        if (!regex_rune_parse(t, &low, r))
            return false;
        *is_bad = hex_of(c) < 0 || hex_of(low) < 0;
        *out = *is_bad ? 0 : (uint32_t)(hex_of(c) * 16 + hex_of(low));
        return true;
    }
    uint32_t number = 0;
    for (size_t digits = 0; t->n; digits++) {
        if (!regex_rune_parse(t, &c, r))
            return false;
        if (c == '}') {
            *is_bad = digits == 0;
            *out = number;
            return true;
        }
        if (hex_of(c) < 0)
            return true;
        number = number * 16 + (uint32_t)hex_of(c);
        if (number > RUNE_MAX)
            return true;
    }
    return true;
}

static bool escape_of(uint32_t c, uint32_t *out)
{
    static const struct {
        char name, rune;
    } table[] = {{'a', 7}, {'f', '\f'}, {'n', '\n'}, {'r', '\r'}, {'t', '\t'}, {'v', '\v'}};
    for (size_t i = 0; i < countof(table); i++)
        if (c == (uint32_t)table[i].name) {
            *out = (uint32_t)table[i].rune;
            return true;
        }
    *out = c;
    return c < 0x80 && !is_word_rune(c);
}

bool regex_escape_parse(struct str *rest, uint32_t *out, struct regex_class_result *r)
{
    struct str t = str_from(*rest, 1);
    uint32_t c;
    bool is_bad = false;
    if (t.n == 0)
        return fail(r, "trailing backslash at end of expression", t);
    if (!regex_rune_parse(&t, &c, r))
        return false;
    if (c == '0' || (c >= '1' && c <= '7' && is_octal_next(t))) {
        *out = c - '0';
        for (int i = 1; i < 3 && is_octal_next(t); i++, t = str_from(t, 1))
            *out = *out * 8 + (uint32_t)(t.p[0] - '0');
    } else if (c == 'x') {
        if (!parse_hex(&t, out, &is_bad, r))
            return false;
    } else {
        is_bad = !escape_of(c, out);
    }
    if (is_bad)
        return fail(r, "invalid escape sequence", before(*rest, t));
    *rest = t;
    return true;
}

// ---- what a class holds

static void add_ascii(struct regex_node *node, uint32_t low, uint32_t high)
{
    for (uint32_t c = low; c <= high && c < 128; c++)
        node->ascii[c / 64] |= (uint64_t)1 << (c % 64);
    node->is_ascii &= high < 128;
}

static void put_range(uint32_t low, uint32_t high, struct buf *text)
{
    buf_printf(text, "\\x{%x}", (unsigned)low);
    if (high != low)
        buf_printf(text, "-\\x{%x}", (unsigned)high);
}

// The other forms of what lies in [low, high], of the letters from from on.
static bool put_forms(uint32_t from, uint32_t count, uint32_t to, uint32_t low, uint32_t high,
                      struct buf *text)
{
    const uint32_t first = low > from ? low : from;
    const uint32_t last = high < from + count - 1 ? high : from + count - 1;
    if (first <= last)
        put_range(first - from + to, last - from + to, text);
    return first <= last;
}

bool regex_newer_forms_put(uint32_t low, uint32_t high, struct buf *text)
{
    static const struct {
        uint32_t a, b, count;
    } pairs[] = {
        {0x19b, 0xa7dc, 1},     {0x264, 0xa7cb, 1},  {0x390, 0x1fd3, 1},  {0x3b0, 0x1fe3, 1},
        {0x1c89, 0x1c8a, 1},    {0xa7cc, 0xa7cd, 1}, {0xa7ce, 0xa7cf, 1}, {0xa7d2, 0xa7d3, 1},
        {0xa7d4, 0xa7d5, 1},    {0xa7da, 0xa7db, 1}, {0xfb05, 0xfb06, 1}, {0x10d50, 0x10d70, 22},
        {0x16ea0, 0x16ebb, 25},
    };
    bool any = false;
    for (size_t i = 0; i < countof(pairs); i++) {
        any |= put_forms(pairs[i].a, pairs[i].count, pairs[i].b, low, high, text);
        any |= put_forms(pairs[i].b, pairs[i].count, pairs[i].a, low, high, text);
    }
    return any;
}

static void add_range(struct regex_node *node, struct buf *text, uint32_t low, uint32_t high)
{
    add_ascii(node, low, high);
    put_range(low, high, text);
    if (node->fold)
        regex_newer_forms_put(low, high, text);
}

static void add_named(struct regex_node *node, struct buf *text, struct str name)
{
    static const struct {
        struct str name;
        struct regex_range ranges[4];
    } table[] = {
        {STR("\\d"), {{'0', '9'}}},
        {STR("\\w"), {{'0', '9'}, {'A', 'Z'}, {'a', 'z'}, {'_', '_'}}},
        {STR("\\s"), {{'\t', '\n'}, {'\f', '\r'}, {' ', ' '}}},
        {STR("[:digit:]"), {{'0', '9'}}},
        {STR("[:lower:]"), {{'a', 'z'}}},
        {STR("[:upper:]"), {{'A', 'Z'}}},
        {STR("[:alpha:]"), {{'a', 'z'}, {'A', 'Z'}}},
        {STR("[:alnum:]"), {{'0', '9'}, {'A', 'Z'}, {'a', 'z'}}},
    };
    buf_put_str(text, name);
    bool is_known = false;
    for (size_t i = 0; i < countof(table) && !is_known; i++) {
        is_known = str_eq(name, table[i].name);
        for (size_t k = 0; is_known && k < 4 && table[i].ranges[k].high; k++)
            add_ascii(node, table[i].ranges[k].low, table[i].ranges[k].high);
    }
    node->is_ascii &= is_known;
}

// [:alpha:] at the start of *rest; false without an error: not one.
static bool parse_posix(struct str *rest, struct regex_node *node, struct buf *text,
                        struct regex_class_result *r)
{
    static const char *const names[] = {"alnum", "alpha", "ascii", "blank", "cntrl",
                                        "digit", "graph", "lower", "print", "punct",
                                        "space", "upper", "word",  "xdigit"};
    if (rest->n <= 2 || rest->p[0] != '[' || rest->p[1] != ':')
        return false;
    const char *end = memmem(rest->p + 2, rest->n - 2, ":]", 2);
    if (!end)
        return false;
    const struct str whole = str_until(*rest, (size_t)(end - rest->p) + 2);
    struct str name = str_make(rest->p + 2, whole.n - 4);
    if (name.n && name.p[0] == '^')
        name = str_from(name, 1);
    for (size_t i = 0; i < countof(names); i++)
        if (str_eq(name, str_from_c(names[i]))) {
            add_named(node, text, whole);
            *rest = str_from(*rest, whole.n);
            return true;
        }
    return fail(r, "invalid character class range", whole);
}

// \pL, \p{Greek} at the start of *rest; false without an error: not one.
static bool parse_unicode(struct str *rest, struct regex_node *node, struct buf *text,
                          struct regex_class_result *r)
{
    const struct str s = *rest;
    if (s.n < 2 || s.p[0] != '\\' || (s.p[1] != 'p' && s.p[1] != 'P'))
        return false;
    bool negated = s.p[1] == 'P';
    struct str t = str_from(s, 2), name;
    uint32_t c;
    if (!regex_rune_parse(&t, &c, r))
        return false;
    if (c != '{') {
        name = str_from(before(s, t), 2);
    } else {
        const ptrdiff_t end = str_find(s, '}', 0);
        if (end < 0)
            return regex_text_is_valid(s, r) && fail(r, "invalid character class range", s);
        t = str_from(s, (size_t)end + 1);
        name = str_make(s.p + 3, (size_t)end - 3);
        if (!regex_text_is_valid(name, r))
            return false;
    }
    if (name.n && name.p[0] == '^') {
        negated = !negated;
        name = str_from(name, 1);
    }
    if (!regex_unicode_put(name, negated, node->fold, text))
        return fail(r, "invalid character class range", before(s, t));
    node->is_ascii = false;
    *rest = t;
    return true;
}

static bool parse_perl(struct str *rest, struct regex_node *node, struct buf *text)
{
    if (rest->n < 2 || rest->p[0] != '\\' || !memchr("dDsSwW", rest->p[1], 6))
        return false;
    add_named(node, text, str_until(*rest, 2));
    *rest = str_from(*rest, 2);
    return true;
}

static bool parse_char(struct str *rest, struct str whole, uint32_t *out,
                       struct regex_class_result *r)
{
    if (rest->n == 0)
        return fail(r, "missing closing ]", whole);
    return rest->p[0] == '\\' ? regex_escape_parse(rest, out, r) : regex_rune_parse(rest, out, r);
}

static bool parse_range(struct str *rest, struct str whole, struct regex_node *node,
                        struct buf *text, struct regex_class_result *r)
{
    const struct str from = *rest;
    uint32_t low, high;
    if (!parse_char(rest, whole, &low, r))
        return false;
    high = low;
    if (rest->n >= 2 && rest->p[0] == '-' && rest->p[1] != ']') {
        *rest = str_from(*rest, 1);
        if (!parse_char(rest, whole, &high, r))
            return false;
        if (high < low)
            return fail(r, "invalid character class range", before(from, *rest));
    }
    add_range(node, text, low, high);
    return true;
}

static void start(struct regex_node *node, bool fold, struct buf *text)
{
    *node = (struct regex_node){
        .op = REGEX_CLASS, .fold = fold, .is_ascii = true, .at = (uint32_t)text->n};
    buf_put_char(text, '[');
}

// Where the case does not matter, both are in; two letters have a third form beyond ASCII.
static void finish(struct regex_node *node, struct buf *text)
{
    buf_put_char(text, ']');
    node->n = (uint32_t)(text->n - node->at);
    const uint64_t letters = (((uint64_t)1 << 26) - 1) << 1;
    if (!node->fold)
        return;
    const uint64_t any = (node->ascii[1] | node->ascii[1] >> 32) & letters;
    node->ascii[1] |= any | any << 32;
    if (node->ascii[1] >> ('k' - 64) & 1 || node->ascii[1] >> ('s' - 64) & 1)
        node->is_ascii = false;
}

bool regex_class_parse(struct str *rest, bool fold, struct regex_node *out, struct buf *text,
                       struct regex_class_result *r)
{
    const struct str whole = *rest;
    struct str t = str_from(whole, 1);
    *r = (struct regex_class_result){0};
    start(out, fold, text);
    bool is_negated = false;
    if (t.n && t.p[0] == '^') {
        buf_put_char(text, '^');
        is_negated = true;
        t = str_from(t, 1);
    }
    for (bool first = true; t.n == 0 || t.p[0] != ']' || first; first = false) {
        if (parse_posix(&t, out, text, r) || parse_unicode(&t, out, text, r) ||
            parse_perl(&t, out, text))
            continue;
        if (r->wrong || !parse_range(&t, whole, out, text, r))
            return false;
    }
    *rest = str_from(t, 1);
    out->is_ascii &= !is_negated;
    finish(out, text);
    return true;
}

bool regex_class_escape_parse(struct str *rest, bool fold, struct regex_node *out, struct buf *text,
                              struct regex_class_result *r)
{
    *r = (struct regex_class_result){0};
    const size_t n = text->n;
    start(out, fold, text);
    if (parse_unicode(rest, out, text, r) || parse_perl(rest, out, text)) {
        finish(out, text);
        return true;
    }
    text->n = n;
    return false;
}
