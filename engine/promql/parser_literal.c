#include <assert.h>

#include "engine/base/duration.h"
#include "engine/base/number.h"
#include "engine/base/quote.h"
#include "engine/base/utf8.h"
#include "engine/model/labels.h"
#include "engine/promql/parser_state.h"

// Go's strconv.ParseInt(s, 0, 64) for what the lexer lets through: 0x1f, 017, 1_000. False: not an
// integer of 64 bits, and the number is read as a float.
static bool parse_integer(struct str s, double *out)
{
    unsigned base = 10;
    size_t at = 0;
    if (s.n > 1 && s.p[0] == '0') {
        base = (s.p[1] | 0x20) == 'x' ? 16 : 8;
        at = base == 16 ? 2 : 1;
    }
    // An underscore stands between digits, or behind the base.
    bool digit_before = at > 0;
    if (at == s.n)
        return false;
    uint64_t value = 0;
    for (; at < s.n; at++) {
        const int c = s.p[at];
        if (c == '_') {
            if (!digit_before)
                return false;
            digit_before = false;
            continue;
        }
        unsigned digit = base;
        if (c >= '0' && c <= '9')
            digit = (unsigned)(c - '0');
        else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
            digit = (unsigned)((c | 0x20) - 'a' + 10);
        if (digit >= base || __builtin_mul_overflow(value, (uint64_t)base, &value) ||
            __builtin_add_overflow(value, (uint64_t)digit, &value) || value > INT64_MAX)
            return false;
        digit_before = true;
    }
    *out = (double)(int64_t)value;
    return digit_before;
}

err parse_number(struct parser *p, double *out)
{
    const struct token t = parser_take(p);
    const struct str text = parser_text(p, t);
    if (t.kind == TOKEN_DURATION) {
        int64_t ms;
        struct errmsg reason;
        if (duration_parse(text, &ms, &reason) != ERR_OK)
            return parser_fail(p, t.pos, "%s", reason.text);
        *out = (double)(ms / 1000) + (double)(ms % 1000 * 1000000) / 1e9;
        return ERR_OK;
    }
    if (parse_integer(text, out))
        return ERR_OK;
    const err code = number_parse(text, out);
    if (code == ERR_OK)
        return ERR_OK;
    return parser_fail(p, t.pos, "error parsing number: strconv.ParseFloat: parsing \"%.*s\": %s",
                       STR_ARG(text), code == ERR_LIMIT ? "value out of range" : "invalid syntax");
}

err parse_number_literal(struct parser *p, struct promql_expr **out)
{
    const struct token t = p->token;
    TRY(parser_node(p, PROMQL_NUMBER, PROMQL_TYPE_SCALAR, t.pos, t.pos + t.size, out));
    (*out)->number.is_duration = t.kind == TOKEN_DURATION;
    return parse_number(p, &(*out)->number.value);
}

// The escape at s.p[*at], behind the backslash; the lexer saw that it is whole. Bytes written.
static size_t unescape(struct str s, size_t *at, char *out)
{
    const char kind = s.p[(*at)++];
    static const char plain[] = "abfnrtv", meant[] = "\a\b\f\n\r\t\v";
    const char *found = memchr(plain, kind, sizeof plain - 1);
    if (found) {
        *out = meant[found - plain];
        return 1;
    }
    size_t digits = kind == 'x' ? 2 : kind == 'u' ? 4 : kind == 'U' ? 8 : 0;
    unsigned shift = 4;
    if (kind >= '0' && kind <= '7') {
        digits = 3;
        shift = 3;
        (*at)--;
    }
    if (!digits) {
        *out = kind; // a backslash or a quote
        return 1;
    }
    uint32_t value = 0;
    for (; digits; digits--) {
        const int c = s.p[(*at)++];
        value = value << shift | (uint32_t)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
    }
    if (kind == 'u' || kind == 'U')
        return utf8_encode(out, value);
    *out = (char)value;
    return 1;
}

err parse_string(struct parser *p, struct str *out)
{
    struct str s = parser_text(p, parser_take(p));
    assert(s.n >= 2);
    const bool raw = s.p[0] == '`';
    s = str_make(s.p + 1, s.n - 2);
    if (raw || str_find(s, '\\', 0) == STR_NONE) {
        *out = s;
        return ERR_OK;
    }
    char *text = arena_try(p->arena, s.n, 1, 1); // an escape is longer than what it means
    if (!text)
        return parser_no_memory(p);
    size_t n = 0;
    for (size_t at = 0; at < s.n;) {
        if (s.p[at] == '\\') {
            at++;
            n += unescape(s, &at, text + n);
        } else {
            text[n++] = s.p[at++];
        }
    }
    assert(n < s.n);
    *out = str_make(text, n);
    return ERR_OK;
}

// As Prometheus's grammar lists them: without is not among them.
static bool is_label(enum token_kind kind)
{
    if (kind == TOKEN_WITHOUT)
        return false;
    return kind == TOKEN_IDENTIFIER || kind == TOKEN_METRIC_IDENTIFIER || kind == TOKEN_AND ||
           kind == TOKEN_OR || kind == TOKEN_UNLESS || kind == TOKEN_ATAN2 || kind >= TOKEN_AVG;
}

static err parse_label(struct parser *p, struct str *out)
{
    enum token_kind kind;
    TRY(parser_peek(p, &kind));
    const struct token t = p->token;
    if (is_label(kind)) {
        *out = parser_text(p, parser_take(p));
        return ERR_OK;
    }
    if (kind != TOKEN_STRING)
        return parser_unexpected(p, "grouping opts", "label");
    TRY(parse_string(p, out));
    if (name_is_utf8(*out))
        return ERR_OK;
    struct buf quoted = {0};
    buf_put_quoted(&quoted, *out);
    const err code =
        parser_fail(p, t.pos, "invalid label name for grouping: %.*s", STR_ARG(buf_str(&quoted)));
    buf_deinit(&quoted);
    return code;
}

err parse_grouping(struct parser *p, struct str **out, size_t *out_count)
{
    enum token_kind kind;
    size_t capacity = 0;
    *out = NULL;
    *out_count = 0;
    TRY(parser_peek(p, &kind));
    if (kind != TOKEN_LEFT_PAREN)
        return parser_unexpected(p, "grouping opts", "\"(\"");
    parser_take(p);
    TRY(parser_peek(p, &kind));
    while (kind != TOKEN_RIGHT_PAREN) {
        if (*out_count == capacity) {
            capacity = capacity ? 2 * capacity : 4;
            struct str *labels = arena_array(p->arena, capacity, struct str);
            if (!labels)
                return parser_no_memory(p);
            if (*out_count)
                memcpy(labels, *out, *out_count * sizeof *labels);
            *out = labels;
        }
        TRY(parse_label(p, &(*out)[*out_count]));
        ++*out_count;
        TRY(parser_peek(p, &kind));
        if (kind == TOKEN_COMMA) {
            parser_take(p);
            TRY(parser_peek(p, &kind));
        } else if (kind != TOKEN_RIGHT_PAREN) {
            return parser_unexpected(p, "grouping opts", "\",\" or \")\"");
        }
    }
    parser_take(p);
    return ERR_OK;
}
