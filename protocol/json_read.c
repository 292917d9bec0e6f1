#include "protocol/json_read.h"

#include "engine/base/quote.h"
#include "engine/base/utf8.h"

// The text is walked once. What breaks the syntax ends the walk; a value of another type than
// wanted is noted and reported when the syntax was found to be right, as Go does.
struct reader {
    struct str text;
    size_t at;
    unsigned depth;
    struct arena *arena;
    struct json_pair *pairs;
    size_t n, capacity;
    struct errmsg *e;
    struct errmsg wrong_type; // the first; empty: none
};

static void skip_space(struct reader *r)
{
    while (r->at < r->text.n && strchr(" \t\r\n", r->text.p[r->at]) && r->text.p[r->at])
        r->at++;
}

// invalid character 'x' <where>, or the end of the text.
static err refuse(struct reader *r, const char *where)
{
    if (r->at == r->text.n)
        return err_set(r->e, ERR_INVALID, "unexpected end of JSON input");
    const unsigned char c = (unsigned char)r->text.p[r->at];
    char rune[UTF8_MAX];
    struct buf quoted = {0};
    if (c == '\'')
        buf_put_str(&quoted, STR("\\'"));
    else if (c == '"')
        buf_put_str(&quoted, STR("\""));
    else
        buf_put_quoted(&quoted, str_make(rune, utf8_encode(rune, c)));
    const bool in_quotes = c != '\'' && c != '"';
    const struct str shown = in_quotes ? str_make(quoted.p + 1, quoted.n - 2) : buf_str(&quoted);
    err_format(r->e, "invalid character '%.*s' %s", STR_ARG(shown), where);
    buf_deinit(&quoted);
    return ERR_INVALID;
}

static bool next_is(const struct reader *r, char c)
{
    return r->at < r->text.n && r->text.p[r->at] == c;
}

static err read_hex(struct reader *r, uint32_t *out)
{
    *out = 0;
    for (int i = 0; i < 4; i++, r->at++) {
        const char c = r->at < r->text.n ? r->text.p[r->at] : '\0';
        const uint32_t digit = c >= '0' && c <= '9'   ? (uint32_t)(c - '0')
                               : c >= 'a' && c <= 'f' ? (uint32_t)(c - 'a' + 10)
                               : c >= 'A' && c <= 'F' ? (uint32_t)(c - 'A' + 10)
                                                      : 16;
        if (digit == 16)
            return refuse(r, "in \\u hexadecimal character escape");
        *out = *out << 4 | digit;
    }
    return ERR_OK;
}

// Behind the backslash.
static err read_escape(struct reader *r, struct buf *out)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    const char c = r->at < r->text.n ? r->text.p[r->at] : '\0';
    const char *known = c ? strchr(from, c) : NULL;
    if (known) {
        r->at++;
        buf_put_char(out, to[known - from]);
        return ERR_OK;
    }
    if (c != 'u')
        return refuse(r, "in string escape code");
    r->at++;
    uint32_t rune, low;
    TRY(read_hex(r, &rune));
    if (rune >= 0xd800 && rune < 0xdc00 && r->at + 1 < r->text.n && r->text.p[r->at] == '\\' &&
        r->text.p[r->at + 1] == 'u') {
        const size_t back = r->at;
        r->at += 2;
        TRY(read_hex(r, &low));
        if (low >= 0xdc00 && low < 0xe000)
            rune = 0x10000 + ((rune - 0xd800) << 10) + (low - 0xdc00);
        else
            r->at = back; // two runes; the first of them is bad
    }
    out->n += utf8_encode(buf_reserve(out, UTF8_MAX), rune);
    return ERR_OK;
}

// At the opening quote.
static err read_string(struct reader *r, struct str *out)
{
    struct buf text = {0};
    err code = ERR_OK;
    r->at++;
    while (!code && !next_is(r, '"')) {
        uint32_t rune;
        if (r->at == r->text.n || (unsigned char)r->text.p[r->at] < 0x20) {
            code = refuse(r, "in string literal");
        } else if (r->text.p[r->at] == '\\') {
            r->at++;
            code = read_escape(r, &text);
        } else {
            r->at += utf8_decode(str_from(r->text, r->at), &rune);
            text.n += utf8_encode(buf_reserve(&text, UTF8_MAX), rune);
        }
    }
    r->at++;
    if (!code)
        *out = arena_str(r->arena, buf_str(&text));
    buf_deinit(&text);
    return code;
}

static bool is_digit(const struct reader *r)
{
    return r->at < r->text.n && r->text.p[r->at] >= '0' && r->text.p[r->at] <= '9';
}

static err skip_digits(struct reader *r, const char *where)
{
    if (!is_digit(r))
        return refuse(r, where);
    while (is_digit(r))
        r->at++;
    return ERR_OK;
}

static err skip_number(struct reader *r)
{
    if (next_is(r, '-'))
        r->at++;
    if (next_is(r, '0'))
        r->at++;
    else
        TRY(skip_digits(r, "in numeric literal"));
    if (next_is(r, '.')) {
        r->at++;
        TRY(skip_digits(r, "after decimal point in numeric literal"));
    }
    if (next_is(r, 'e') || next_is(r, 'E')) {
        r->at++;
        if (next_is(r, '+') || next_is(r, '-'))
            r->at++;
        TRY(skip_digits(r, "in exponent of numeric literal"));
    }
    return ERR_OK;
}

static err skip_word(struct reader *r, const char *word)
{
    for (const char *p = word; *p; p++, r->at++)
        if (!next_is(r, *p)) {
            char where[48];
            const struct str w = str_from_c(word);
            memcpy(where, "in literal ", 11);
            memcpy(where + 11, w.p, w.n);
            memcpy(where + 11 + w.n, " (expecting '?')", 17);
            where[11 + w.n + 13] = *p;
            return refuse(r, where);
        }
    return ERR_OK;
}

static void note_type(struct reader *r, const char *got, const char *wanted)
{
    if (!r->wrong_type.text[0])
        err_format(&r->wrong_type, "json: cannot unmarshal %s into Go value of type %s", got,
                   wanted);
}

static err skip_value(struct reader *r, const char *wanted);

static err skip_array(struct reader *r)
{
    r->at++;
    skip_space(r);
    if (next_is(r, ']')) {
        r->at++;
        return ERR_OK;
    }
    for (;;) {
        TRY(skip_value(r, NULL));
        skip_space(r);
        if (!next_is(r, ',') && !next_is(r, ']'))
            return refuse(r, "after array element");
        if (r->text.p[r->at++] == ']')
            return ERR_OK;
    }
}

static void add_pair(struct reader *r, struct str name, struct str value)
{
    if (r->n == r->capacity) {
        struct json_pair *more =
            arena_alloc(r->arena, 2 * (r->n + 4) * sizeof *more, _Alignof(struct json_pair));
        if (r->n)
            memcpy(more, r->pairs, r->n * sizeof *more);
        r->pairs = more;
        r->capacity = 2 * (r->n + 4);
    }
    r->pairs[r->n++] = (struct json_pair){name, value};
}

// At the opening brace. Pairs of the outermost object are kept.
static err read_object(struct reader *r, bool keep)
{
    r->at++;
    skip_space(r);
    if (next_is(r, '}')) {
        r->at++;
        return ERR_OK;
    }
    for (;;) {
        struct str name, value = {0};
        skip_space(r);
        if (!next_is(r, '"'))
            return refuse(r, "looking for beginning of object key string");
        TRY(read_string(r, &name));
        skip_space(r);
        if (!next_is(r, ':'))
            return refuse(r, "after object key");
        r->at++;
        skip_space(r);
        if (keep && next_is(r, '"'))
            TRY(read_string(r, &value));
        else
            TRY(skip_value(r, keep ? "string" : NULL));
        if (keep)
            add_pair(r, name, value);
        skip_space(r);
        if (!next_is(r, ',') && !next_is(r, '}'))
            return refuse(r, "after object key:value pair");
        if (r->text.p[r->at++] == '}')
            return ERR_OK;
    }
}

// A value that is not kept; wanted: the type that should stand here, NULL: any.
static err skip_value(struct reader *r, const char *wanted)
{
    struct str ignored;
    err code;
    skip_space(r);
    const char c = r->at < r->text.n ? r->text.p[r->at] : '\0';
    const char *type = c == '{'                             ? "object"
                       : c == '['                           ? "array"
                       : c == '"'                           ? "string"
                       : c == 't' || c == 'f'               ? "bool"
                       : (c >= '0' && c <= '9') || c == '-' ? "number"
                                                            : "null";
    if (++r->depth > JSON_READ_DEPTH_MAX)
        return err_set(r->e, ERR_LIMIT, "exceeded max depth");
    if (c == '{')
        code = read_object(r, false);
    else if (c == '[')
        code = skip_array(r);
    else if (c == '"')
        code = read_string(r, &ignored);
    else if (c == 't' || c == 'f' || c == 'n')
        code = skip_word(r, c == 't' ? "true" : c == 'f' ? "false" : "null");
    else if (type[0] == 'n' && type[2] == 'm')
        code = skip_number(r);
    else
        code = refuse(r, "looking for beginning of value");
    r->depth--;
    if (!code && wanted && c != 'n')
        note_type(r, type, wanted);
    return code;
}

err json_read_strings(struct str text, struct arena *a, struct json_pair **out, size_t *out_n,
                      struct errmsg *e)
{
    struct reader r = {.text = text, .arena = a, .e = e};
    skip_space(&r);
    if (next_is(&r, '{'))
        TRY(read_object(&r, true));
    else
        TRY(skip_value(&r, "map[string]string"));
    skip_space(&r);
    if (r.at < text.n)
        return refuse(&r, "after top-level value");
    if (r.wrong_type.text[0])
        return err_set(e, ERR_INVALID, "%s", r.wrong_type.text);
    *out = r.pairs;
    *out_n = r.n;
    return ERR_OK;
}
