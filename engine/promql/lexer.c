#include "engine/promql/lexer.h"

#include <assert.h>

#include "engine/base/quote.h"
#include "engine/base/utf8.h"
#include "engine/base/util.h"

enum { RUNE_EOF = -1 };

struct keyword {
    const char *text;
    enum token_kind kind;
};

// By length, so that a word is compared with few.
static const struct keyword keywords[] = {
    {"by", TOKEN_BY},
    {"on", TOKEN_ON},
    {"or", TOKEN_OR},
    {"and", TOKEN_AND},
    {"avg", TOKEN_AVG},
    {"end", TOKEN_END},
    {"inf", TOKEN_NUMBER},
    {"max", TOKEN_MAX},
    {"min", TOKEN_MIN},
    {"nan", TOKEN_NUMBER},
    {"sum", TOKEN_SUM},
    {"bool", TOKEN_BOOL},
    {"fill", TOKEN_FILL},
    {"step", TOKEN_STEP},
    {"topk", TOKEN_TOPK},
    {"atan2", TOKEN_ATAN2},
    {"count", TOKEN_COUNT},
    {"group", TOKEN_GROUP},
    {"range", TOKEN_RANGE},
    {"start", TOKEN_START},
    {"limitk", TOKEN_LIMITK},
    {"max_of", TOKEN_MAX_OF},
    {"min_of", TOKEN_MIN_OF},
    {"offset", TOKEN_OFFSET},
    {"stddev", TOKEN_STDDEV},
    {"stdvar", TOKEN_STDVAR},
    {"unless", TOKEN_UNLESS},
    {"bottomk", TOKEN_BOTTOMK},
    {"without", TOKEN_WITHOUT},
    {"anchored", TOKEN_ANCHORED},
    {"ignoring", TOKEN_IGNORING},
    {"quantile", TOKEN_QUANTILE},
    {"smoothed", TOKEN_SMOOTHED},
    {"fill_left", TOKEN_FILL_LEFT},
    {"fill_right", TOKEN_FILL_RIGHT},
    {"group_left", TOKEN_GROUP_LEFT},
    {"group_right", TOKEN_GROUP_RIGHT},
    {"limit_ratio", TOKEN_LIMIT_RATIO},
    {"count_values", TOKEN_COUNT_VALUES},
};
enum { KEYWORD_MAX = 12 };
// Index of the first keyword of each length.
static const uint8_t keyword_from[KEYWORD_MAX + 2] = {0,  0,  0,  3,  11, 15, 20,
                                                      27, 29, 33, 34, 36, 38, 39};
static_assert(countof(keywords) == 39, "keyword_from counts them");

static bool is_alpha(int c)
{
    return c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_digit(int c)
{
    return c >= '0' && c <= '9';
}

static bool is_space(int c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static int peek(const struct lexer *l)
{
    return l->at < l->text.n ? (unsigned char)l->text.p[l->at] : RUNE_EOF;
}

// Takes the next byte if it is one of set.
static bool accept(struct lexer *l, const char *set)
{
    const int c = peek(l);
    if (c <= 0 || !strchr(set, c))
        return false;
    l->at++;
    return true;
}

static bool is_next(const struct lexer *l, const char *set)
{
    const int c = peek(l);
    return c > 0 && strchr(set, c);
}

// The rune at index at, or RUNE_EOF.
static int32_t rune_at(const struct lexer *l, uint32_t at)
{
    uint32_t rune;
    if (at >= l->text.n)
        return RUNE_EOF;
    utf8_decode(str_from(l->text, at), &rune);
    return (int32_t)rune;
}

static struct token emit(struct lexer *l, enum token_kind kind)
{
    const struct token t = {kind, l->start, l->at - l->start};
    l->start = l->at;
    return t;
}

static struct token failed(struct lexer *l)
{
    return (struct token){TOKEN_ERROR, l->start, 0};
}

static struct token fail(struct lexer *l, const char *message)
{
    err_format(l->e, "%s", message);
    return failed(l);
}

// The message with the text quoted behind it.
static struct token fail_text(struct lexer *l, const char *message, struct str text)
{
    struct buf quoted = {0};
    buf_put_quoted(&quoted, text);
    err_format(l->e, "%s%.*s", message, STR_ARG(buf_str(&quoted)));
    buf_deinit(&quoted);
    return failed(l);
}

// As Go's %q of a rune: 'x', '\n', '\u200b'. True: it stands for itself.
static bool quote_rune(int32_t rune, struct buf *out)
{
    char text[UTF8_MAX];
    const size_t n = utf8_encode(text, rune < 0 ? UTF8_BAD : (uint32_t)rune);
    if (rune == '"' || rune == '\'') {
        buf_put_str(out, rune == '"' ? STR("'\"'") : STR("'\\''"));
        return true;
    }
    const size_t from = out->n;
    buf_put_quoted(out, str_make(text, n));
    out->p[from] = '\'';
    out->p[out->n - 1] = '\'';
    return out->n - from == n + 2 || rune == '\\';
}

static struct token fail_rune(struct lexer *l, const char *message, int32_t rune)
{
    struct buf quoted = {0};
    quote_rune(rune, &quoted);
    err_format(l->e, "%s%.*s", message, STR_ARG(buf_str(&quoted)));
    buf_deinit(&quoted);
    return failed(l);
}

// As Go's %#U: U+0064 'd', and U+200B alone.
static struct token fail_code_point(struct lexer *l, const char *before, int32_t rune,
                                    const char *after)
{
    struct buf quoted = {0};
    char text[UTF8_MAX];
    const uint32_t shown = rune < 0 ? UTF8_BAD : (uint32_t)rune;
    const bool printable = quote_rune(rune, &quoted);
    buf_deinit(&quoted);
    if (printable)
        err_format(l->e, "%sU+%04X '%.*s'%s", before, shown, (int)utf8_encode(text, shown), text,
                   after);
    else
        err_format(l->e, "%sU+%04X%s", before, shown, after);
    return failed(l);
}

// One escape of a quoted string, behind its backslash. False: *out is the error.
static bool skip_escape(struct lexer *l, int quote, struct token *out)
{
    const int32_t kind = rune_at(l, l->at);
    int digits;
    uint32_t base = 16, limit = 0x10ffff;
    if (kind == quote || (kind > 0 && kind < 0x80 && strchr("abfnrtv\\", kind))) {
        l->at++;
        return true;
    }
    if (kind >= '0' && kind <= '7') {
        digits = 3;
        base = 8;
        limit = 255;
    } else if (kind == 'x') {
        digits = 2;
        limit = 255;
    } else if (kind == 'u' || kind == 'U') {
        digits = kind == 'u' ? 4 : 8;
    } else {
        *out = kind == RUNE_EOF ? fail(l, "escape sequence not terminated")
                                : fail_code_point(l, "unknown escape sequence ", kind, "");
        return false;
    }
    if (base == 16)
        l->at++;
    uint32_t value = 0;
    for (; digits > 0; digits--, l->at++) {
        const int32_t c = rune_at(l, l->at);
        uint32_t digit = 16;
        if (is_digit(c))
            digit = (uint32_t)(c - '0');
        else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
            digit = (uint32_t)((c | 0x20) - 'a' + 10);
        if (digit >= base) {
            *out = c == RUNE_EOF
                       ? fail(l, "escape sequence not terminated")
                       : fail_code_point(l, "illegal character ", c, " in escape sequence");
            return false;
        }
        value = value * base + digit; // 8 hexadecimal digits fit
    }
    if (value > limit || (value >= 0xd800 && value < 0xe000)) {
        *out = fail(l, "escape sequence is an invalid Unicode code point");
        return false;
    }
    return true;
}

// A quoted string whose first quote is taken.
static struct token lex_string(struct lexer *l, int quote)
{
    const bool raw = quote == '`';
    for (;;) {
        const int c = peek(l);
        if (c == RUNE_EOF || (c == '\n' && !raw)) {
            // A raw string may go over lines; where a line ends is part of the other's error.
            return fail(l, raw ? "unterminated raw string" : "unterminated quoted string");
        }
        if (c >= 0x80) {
            uint32_t rune;
            const size_t n = utf8_decode(str_from(l->text, l->at), &rune);
            if (rune == UTF8_BAD)
                return fail(l, "invalid UTF-8 rune");
            l->at += (uint32_t)n;
            continue;
        }
        l->at++;
        if (c == quote)
            return emit(l, TOKEN_STRING);
        struct token failure;
        if (c == '\\' && !raw && !skip_escape(l, quote, &failure))
            return failure;
    }
}

// Whether what stands here reads as a number; what it is worth is the parser's question. Leaves at
// behind what was looked at either way.
static bool skip_number(struct lexer *l)
{
    const uint32_t from = l->at;
    const char *digits = "0123456789";
    bool dot = false, exponent = false, hex = false;
    if (accept(l, "0") && accept(l, "xX")) {
        accept(l, "_");
        digits = "0123456789abcdefABCDEF";
        hex = true;
    }
    accept(l, ".");
    accept(l, digits);
    while (is_next(l, digits) || is_next(l, "._eE")) {
        if (is_next(l, ".") && dot) {
            l->at++;
            return false;
        }
        if (is_next(l, "eE") && exponent) {
            l->at++;
            return false;
        }
        if (accept(l, ".")) {
            dot = true;
            if (accept(l, "_.") || hex)
                return false;
        } else if (accept(l, "eE")) {
            exponent = true;
            accept(l, "+-");
            if (accept(l, "._eE") || peek(l) == RUNE_EOF)
                return false;
        } else if (accept(l, "_")) {
            if (accept(l, "._eE") || peek(l) == RUNE_EOF)
                return false;
        } else {
            while (accept(l, digits))
                continue;
        }
    }
    const int c = peek(l);
    return l->at != from && !is_alpha(c) && !is_digit(c);
}

// The unit behind a number, and more numbers with units.
static bool skip_duration(struct lexer *l)
{
    if (!accept(l, "smhdwy"))
        return false;
    accept(l, "s"); // ms; other pairs are found out when the duration is read
    while (accept(l, "0123456789")) {
        while (accept(l, "0123456789"))
            continue;
        if (!accept(l, "smhdw"))
            return false;
        accept(l, "s");
    }
    const int c = peek(l);
    if (!is_alpha(c) && !is_digit(c))
        return true;
    l->at++; // the message shows it
    return false;
}

static struct token lex_number(struct lexer *l)
{
    l->in_duration = false;
    if (skip_number(l))
        return emit(l, TOKEN_NUMBER);
    if (skip_duration(l))
        return emit(l, TOKEN_DURATION);
    return fail_text(
        l, "bad number or duration syntax: ", str_make(l->text.p + l->start, l->at - l->start));
}

// TOKEN_IDENTIFIER: no keyword.
static enum token_kind keyword_find(struct str word)
{
    if (word.n > KEYWORD_MAX)
        return TOKEN_IDENTIFIER;
    for (size_t i = keyword_from[word.n]; i < keyword_from[word.n + 1]; i++) {
        assert(strlen(keywords[i].text) == word.n);
        if (str_eq_nocase(word, str_make(keywords[i].text, word.n)))
            return keywords[i].kind;
    }
    return TOKEN_IDENTIFIER;
}

static bool is_before_paren(const struct lexer *l)
{
    uint32_t at = l->at;
    while (at < l->text.n && is_space(l->text.p[at]))
        at++;
    return at < l->text.n && l->text.p[at] == '(';
}

static struct token lex_word(struct lexer *l)
{
    bool colon = false;
    for (int c = peek(l); is_alpha(c) || is_digit(c) || c == ':'; c = peek(l)) {
        colon |= c == ':';
        l->at++;
    }
    if (colon)
        return emit(l, TOKEN_METRIC_IDENTIFIER);
    enum token_kind kind = keyword_find(str_make(l->text.p + l->start, l->at - l->start));
    // Metrics of these names were there before the modifiers.
    if ((kind == TOKEN_FILL || kind == TOKEN_FILL_LEFT || kind == TOKEN_FILL_RIGHT) &&
        !is_before_paren(l))
        kind = TOKEN_IDENTIFIER;
    return emit(l, kind);
}

// step, range, min_of or max_of inside brackets; false: another word.
static bool lex_duration_word(struct lexer *l, struct token *out)
{
    while (is_alpha(peek(l)))
        l->at++;
    const enum token_kind kind = keyword_find(str_make(l->text.p + l->start, l->at - l->start));
    if (kind != TOKEN_STEP && kind != TOKEN_RANGE && kind != TOKEN_MIN_OF && kind != TOKEN_MAX_OF)
        return false;
    l->got_duration = true;
    *out = emit(l, kind);
    return true;
}

// Sign, operator or punctuation of one byte that means the same everywhere; TOKEN_ERROR: none.
static enum token_kind single(int c)
{
    switch (c) {
    case ',':
        return TOKEN_COMMA;
    case '*':
        return TOKEN_MUL;
    case '/':
        return TOKEN_DIV;
    case '%':
        return TOKEN_MOD;
    case '+':
        return TOKEN_ADD;
    case '-':
        return TOKEN_SUB;
    case '^':
        return TOKEN_POW;
    default:
        return TOKEN_ERROR;
    }
}

static struct token lex_paren(struct lexer *l, int c)
{
    l->paren_depth += c == '(' ? 1 : -1;
    const struct token t = emit(l, c == '(' ? TOKEN_LEFT_PAREN : TOKEN_RIGHT_PAREN);
    if (l->paren_depth < 0)
        return fail_rune(l, "unexpected right parenthesis ", c);
    return t;
}

// Behind [ up to the first number.
static struct token lex_in_duration(struct lexer *l)
{
    const int c = peek(l);
    if (c == RUNE_EOF)
        return fail(l, "unexpected end of input in duration expression");
    if (is_digit(c) || (c == '.' && is_digit(rune_at(l, l->at + 1)))) {
        l->got_duration = true;
        return lex_number(l);
    }
    const int32_t rune = rune_at(l, l->at);
    struct token word;
    if (c == '(' || c == ')') {
        l->at++;
        return lex_paren(l, c);
    }
    if (c == ']') {
        l->at++;
        l->bracket_open = l->got_colon = l->in_duration = false;
        return emit(l, TOKEN_RIGHT_BRACKET);
    }
    if (c == ':') {
        l->at++;
        const struct token t = emit(l, TOKEN_COLON);
        if (!l->got_duration)
            return fail(l, "unexpected colon before duration in duration expression");
        if (l->got_colon)
            return fail(l, "unexpected repeated colon in duration expression");
        l->got_colon = true;
        return t;
    }
    if (single(c) != TOKEN_ERROR) {
        l->at++;
        return emit(l, single(c));
    }
    if (strchr("sSmMrR", c) && lex_duration_word(l, &word))
        return word;
    return fail_rune(l, "unexpected character in duration expression: ", rune);
}

// Inside braces, where keywords are names.
static struct token lex_in_braces(struct lexer *l)
{
    const int c = peek(l);
    const int32_t rune = rune_at(l, l->at);
    if (c == RUNE_EOF)
        return fail(l, "unexpected end of input inside braces");
    if (is_alpha(c)) {
        while (is_alpha(peek(l)) || is_digit(peek(l)))
            l->at++;
        return emit(l, TOKEN_IDENTIFIER);
    }
    l->at++;
    switch (c) {
    case ',':
        return emit(l, TOKEN_COMMA);
    case '"':
    case '\'':
    case '`':
        return lex_string(l, c);
    case '=':
        return emit(l, accept(l, "~") ? TOKEN_EQL_REGEX : TOKEN_EQL);
    case '!':
        if (accept(l, "~"))
            return emit(l, TOKEN_NEQ_REGEX);
        if (accept(l, "="))
            return emit(l, TOKEN_NEQ);
        return fail_rune(l, "unexpected character after '!' inside braces: ", rune_at(l, l->at));
    case '{':
        return fail_rune(l, "unexpected left brace ", rune);
    case '}':
        l->brace_open = false;
        return emit(l, TOKEN_RIGHT_BRACE);
    default:
        return fail_rune(l, "unexpected character inside braces: ", rune);
    }
}

// = ! < > and what they begin; c is taken.
static struct token lex_comparison(struct lexer *l, int c)
{
    switch (c) {
    case '=':
        if (is_next(l, "~"))
            return fail_rune(l, "unexpected character after '=': ", '~');
        return emit(l, accept(l, "=") ? TOKEN_EQLC : TOKEN_EQL);
    case '!':
        if (!accept(l, "="))
            return fail_rune(l, "unexpected character after '!': ", rune_at(l, l->at));
        return emit(l, TOKEN_NEQ);
    case '<':
        if (accept(l, "/"))
            return emit(l, TOKEN_TRIM_UPPER);
        return emit(l, accept(l, "=") ? TOKEN_LTE : TOKEN_LSS);
    default:
        if (accept(l, "/"))
            return emit(l, TOKEN_TRIM_LOWER);
        return emit(l, accept(l, "=") ? TOKEN_GTE : TOKEN_GTR);
    }
}

static struct token lex_bracket(struct lexer *l, int c)
{
    if (c == '[') {
        if (l->bracket_open)
            return fail_rune(l, "unexpected left bracket ", c);
        l->got_colon = false;
        l->bracket_open = l->in_duration = true;
        return emit(l, TOKEN_LEFT_BRACKET);
    }
    if (!l->bracket_open)
        return fail_rune(l, "unexpected right bracket ", c);
    l->bracket_open = false;
    return emit(l, TOKEN_RIGHT_BRACKET);
}

// A letter or a colon; in brackets only what durations are made of.
static struct token lex_letter(struct lexer *l, int c)
{
    if (!l->bracket_open)
        return lex_word(l);
    struct token word;
    if (c == ':') {
        if (l->got_colon)
            return fail_rune(l, "unexpected colon ", c);
        l->got_colon = true;
        l->at++;
        return emit(l, TOKEN_COLON);
    }
    if (strchr("sSmMrR", c) && lex_duration_word(l, &word))
        return word;
    err_format(l->e, "unexpected character: '%c', expected ':'", c);
    return failed(l);
}

static struct token lex_statement(struct lexer *l)
{
    const int c = peek(l);
    if (c == RUNE_EOF) {
        if (l->paren_depth)
            return fail(l, "unclosed left parenthesis");
        if (l->bracket_open)
            return fail(l, "unclosed left bracket");
        return emit(l, TOKEN_EOF);
    }
    if (is_alpha(c) || c == ':')
        return lex_letter(l, c);
    if (is_digit(c) || (c == '.' && is_digit(rune_at(l, l->at + 1))))
        return lex_number(l);
    const int32_t rune = rune_at(l, l->at);
    l->at++;
    if (single(c) != TOKEN_ERROR)
        return emit(l, single(c));
    switch (c) {
    case '(':
    case ')':
        return lex_paren(l, c);
    case '{':
        l->brace_open = true;
        return emit(l, TOKEN_LEFT_BRACE);
    case '[':
    case ']':
        return lex_bracket(l, c);
    case '=':
    case '!':
    case '<':
    case '>':
        return lex_comparison(l, c);
    case '"':
    case '\'':
    case '`':
        return lex_string(l, c);
    case '@':
        return emit(l, TOKEN_AT);
    default:
        return fail_rune(l, "unexpected character: ", rune);
    }
}

void lexer_init(struct lexer *l, struct str text, struct errmsg *e)
{
    assert(text.n < UINT32_MAX);
    *l = (struct lexer){.text = text, .e = e};
}

struct token lexer_next(struct lexer *l)
{
    for (;;) {
        const int c = peek(l);
        if (is_space(c)) {
            l->at++;
        } else if (c == '#' && !l->in_duration) {
            while (l->at < l->text.n && l->text.p[l->at] != '\n' && l->text.p[l->at] != '\r')
                l->at++;
        } else {
            break;
        }
    }
    l->start = l->at;
    if (l->in_duration)
        return lex_in_duration(l);
    return l->brace_open ? lex_in_braces(l) : lex_statement(l);
}

// "text", or its first ten runes and dots.
static void describe_cut(struct str text, struct buf *out)
{
    size_t n = 0;
    uint32_t rune;
    for (int i = 0; i < 10 && n < text.n; i++)
        n += utf8_decode(str_from(text, n), &rune);
    const bool is_cut = text.n > 10;
    buf_put_quoted(out, is_cut ? str_until(text, n) : text);
    if (is_cut)
        buf_put_str(out, STR("..."));
}

void token_describe(struct token t, struct str text, struct buf *out)
{
    if (t.kind == TOKEN_EOF) {
        buf_put_str(out, STR("end of input"));
    } else if (t.kind >= TOKEN_ADD && t.kind <= TOKEN_UNLESS) {
        buf_printf(out, "<op:%.*s>", STR_ARG(text));
    } else if (t.kind >= TOKEN_AVG && t.kind <= TOKEN_TOPK) {
        buf_printf(out, "<aggr:%.*s>", STR_ARG(text));
    } else if (t.kind >= TOKEN_ANCHORED && t.kind <= TOKEN_WITHOUT) {
        buf_printf(out, "<%.*s>", STR_ARG(text));
    } else if (t.kind == TOKEN_IDENTIFIER || t.kind == TOKEN_METRIC_IDENTIFIER) {
        buf_put_str(out,
                    t.kind == TOKEN_IDENTIFIER ? STR("identifier ") : STR("metric identifier "));
        buf_put_quoted(out, text);
    } else {
        if (t.kind == TOKEN_STRING)
            buf_put_str(out, STR("string "));
        else if (t.kind == TOKEN_NUMBER)
            buf_put_str(out, STR("number "));
        else if (t.kind == TOKEN_DURATION)
            buf_put_str(out, STR("duration "));
        describe_cut(text, out);
    }
}
