#include "engine/base/regex.h"

#include <assert.h>

#include "engine/base/mem.h"
#include "engine/base/regex_shim.h"
#include "engine/base/utf8.h"
#include "engine/base/util.h"

enum { LITERALS_MAX = 256 };

struct regex {
    struct re2_shim *re;
    enum regex_mode mode;
    char *pattern; // as given
    size_t pattern_n;
    char *text; // of the literals and the prefix, unescaped
    struct str literals[LITERALS_MAX];
    size_t literals_count;
    struct str prefix;
};

// By RE2's numbers of errors: what Go's regexp/syntax says.
static const char *const messages[] = {
    [1] = "regexp/syntax: internal error",
    [2] = "invalid escape sequence",
    [3] = "invalid character class",
    [4] = "invalid character class range",
    [5] = "missing closing ]",
    [6] = "missing closing )",
    [7] = "unexpected )",
    [8] = "trailing backslash at end of expression",
    [9] = "missing argument to repetition operator",
    [10] = "invalid repeat count",
    [11] = "invalid nested repetition operator",
    [12] = "invalid or unsupported Perl syntax",
    [13] = "invalid UTF-8",
    [14] = "invalid named capture",
    [15] = "expression too large",
};

static bool is_meta(char c)
{
    return memchr("\\.+*?()|[]{}^$", c, 14) != NULL;
}

// Rewrites what Go has and this RE2 has not: (?<name> becomes (?P<name>. ERR_INVALID: \C, which Go
// has not.
static err translate(struct str p, struct buf *out, struct errmsg *e)
{
    bool in_class = false;
    for (size_t i = 0; i < p.n; i++) {
        if (p.p[i] == '\\' && i + 1 < p.n) {
            if (p.p[i + 1] == 'C')
                return err_set(e, ERR_INVALID,
                               "error parsing regexp: invalid escape sequence: `\\C`");
            buf_put(out, p.p + i++, 2);
            continue;
        }
        if (p.p[i] == '[')
            in_class = true;
        else if (p.p[i] == ']')
            in_class = false;
        buf_put_char(out, p.p[i]);
        if (!in_class && p.p[i] == '(' && i + 3 < p.n && p.p[i + 1] == '?' && p.p[i + 2] == '<' &&
            p.p[i + 3] != '=' && p.p[i + 3] != '!') {
            buf_put_str(out, STR("?P"));
            i++; // the ?
        }
    }
    return ERR_OK;
}

// The literal character at s.p[*at], escaped or not, into *out; false: an operator stands there.
static bool take_literal(struct str s, size_t *at, char *out)
{
    char c = s.p[*at];
    size_t used = 1;
    if (c == '\\') {
        if (*at + 1 >= s.n || !is_meta(s.p[*at + 1]))
            return false;
        c = s.p[*at + 1];
        used = 2;
    } else if (is_meta(c)) {
        return false;
    }
    *at += used;
    *out = c;
    return true;
}

// "a|b\.c": alternatives of literal text and nothing else.
static void find_literals(struct regex *r, struct str p)
{
    size_t count = 0, n = 0, start = 0;
    for (size_t at = 0;;) {
        if (at == p.n || p.p[at] == '|') {
            if (count == LITERALS_MAX)
                return;
            r->literals[count++] = str_make(r->text + start, n - start);
            start = n;
            if (at == p.n)
                break;
            at++;
        } else if (!take_literal(p, &at, &r->text[n++])) {
            return;
        }
    }
    r->literals_count = count;
}

static void find_prefix(struct regex *r, struct str p)
{
    size_t n = 0, at = 0, before = 0;
    if (str_find(p, '|', 0) != STR_NONE)
        return; // an alternative may begin otherwise; groups that hold it are not looked into
    while (at < p.n) {
        before = n;
        if (!take_literal(p, &at, &r->text[n]))
            break;
        n++;
    }
    // A repetition binds to the last character, which may be several bytes.
    if (at < p.n && memchr("*?{", p.p[at], 3)) {
        n = before ? n - 1 : 0;
        while (n && ((unsigned char)r->text[n] & 0xc0) == 0x80)
            n--;
    }
    r->prefix = str_make(r->text, n);
}

err regex_create(struct str pattern, enum regex_mode mode, struct regex **out, struct errmsg *e)
{
    if (pattern.n > REGEX_PATTERN_MAX)
        return err_set(e, ERR_INVALID, "error parsing regexp: expression too large");
    struct buf text = {0};
    if (mode == REGEX_ANCHORED)
        buf_put_str(&text, STR("^(?s:"));
    err code = translate(pattern, &text, e);
    if (code) {
        buf_deinit(&text);
        return code;
    }
    if (mode == REGEX_ANCHORED)
        buf_put_str(&text, STR(")$"));
    struct re2_shim_error error = {0};
    struct re2_shim *re = re2_shim_create(text.p ? text.p : "", text.n, false, &error);
    if (!re) {
        const size_t known =
            error.code > 0 && (size_t)error.code < countof(messages) ? (size_t)error.code : 1;
        // Of an unbalanced parenthesis Go names the whole expression.
        const bool whole = known == 6 || known == 7 || known == 15;
        const struct str arg = whole ? buf_str(&text) : str_from_c(error.arg);
        if (known == 8 || !arg.n)
            code = err_set(e, ERR_INVALID, "error parsing regexp: %s: ``", messages[known]);
        else
            code = err_set(e, ERR_INVALID, "error parsing regexp: %s: `%.*s`", messages[known],
                           STR_ARG(arg));
        buf_deinit(&text);
        return code;
    }
    buf_deinit(&text);
    struct regex *r = mem_zalloc(sizeof *r);
    *r = (struct regex){.re = re, .mode = mode, .pattern_n = pattern.n};
    r->pattern = mem_alloc(pattern.n + 1);
    r->text = mem_alloc(pattern.n + 1);
    if (pattern.n)
        memcpy(r->pattern, pattern.p, pattern.n);
    if (mode == REGEX_ANCHORED) {
        find_literals(r, pattern);
        if (!r->literals_count)
            find_prefix(r, pattern);
    }
    *out = r;
    return ERR_OK;
}

void regex_destroy(struct regex *r)
{
    if (!r)
        return;
    re2_shim_destroy(r->re);
    mem_free(r->pattern);
    mem_free(r->text);
    mem_free(r);
}

struct str regex_pattern(const struct regex *r)
{
    return str_make(r->pattern, r->pattern_n);
}

bool regex_matches(const struct regex *r, struct str text)
{
    if (r->literals_count) {
        for (size_t i = 0; i < r->literals_count; i++)
            if (str_eq(r->literals[i], text))
                return true;
        return false;
    }
    if (!str_has_prefix(text, r->prefix))
        return false;
    return re2_shim_match(r->re, text.p, text.n, r->mode == REGEX_ANCHORED, NULL, 0);
}

bool regex_match_groups(const struct regex *r, struct str text, struct str *groups, size_t n)
{
    struct re2_shim_span spans[REGEX_GROUPS_MAX + 1];
    const size_t want = n < countof(spans) ? n : countof(spans);
    if (!re2_shim_match(r->re, text.p, text.n, r->mode == REGEX_ANCHORED, spans, want))
        return false;
    for (size_t i = 0; i < want; i++)
        groups[i] = str_make(spans[i].p, spans[i].n);
    return true;
}

size_t regex_groups_count(const struct regex *r)
{
    return re2_shim_groups_count(r->re);
}

static bool is_name_byte(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

// The name behind a $ at t.p[*at]; false: not one, the $ is text. Moves *at behind it.
static bool take_name(struct str t, size_t *at, struct str *out)
{
    size_t from = *at;
    const bool braced = from < t.n && t.p[from] == '{';
    from += braced;
    size_t end = from;
    while (end < t.n && is_name_byte(t.p[end]))
        end++;
    if (end == from || (braced && (end == t.n || t.p[end] != '}')))
        return false;
    *out = str_make(t.p + from, end - from);
    *at = end + braced;
    return true;
}

// The group of a name: a number, or what a named group says; -1: none, which expands to nothing.
static int group_of(const struct regex *r, struct str name)
{
    int number = 0;
    for (size_t i = 0; i < name.n; i++) {
        if (name.p[i] < '0' || name.p[i] > '9' || number >= 100000000)
            return re2_shim_group_index(r->re, name.p, name.n);
        number = number * 10 + (name.p[i] - '0');
    }
    return name.p[0] == '0' && name.n > 1 ? -1 : number;
}

void regex_expand(const struct regex *r, struct str template, const struct str *groups,
                  size_t groups_count, struct buf *out)
{
    for (size_t at = 0; at < template.n;) {
        const char c = template.p[at++];
        if (c != '$') {
            buf_put_char(out, c);
            continue;
        }
        if (at < template.n && template.p[at] == '$') {
            buf_put_char(out, '$');
            at++;
            continue;
        }
        struct str name;
        if (!take_name(template, &at, &name)) {
            buf_put_char(out, '$');
            continue;
        }
        const int group = group_of(r, name);
        if (group >= 0 && (size_t)group < groups_count)
            buf_put_str(out, groups[group]);
    }
}

size_t regex_literals(const struct regex *r, struct str *out, size_t max)
{
    if (!r->literals_count || r->literals_count > max)
        return 0;
    memcpy(out, r->literals, r->literals_count * sizeof *out);
    return r->literals_count;
}

struct str regex_prefix(const struct regex *r)
{
    return r->prefix;
}
