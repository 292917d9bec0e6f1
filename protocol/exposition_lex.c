#include "protocol/exposition_lex.h"

enum {
    CLASS_LETTER = LEX_NAME_START | LEX_NAME | LEX_LABEL_START | LEX_LABEL,
    CLASS_DIGIT = LEX_NAME | LEX_LABEL | LEX_DIGIT,
};

const uint8_t lex_class[256] = {
    ['a' ... 'z'] = CLASS_LETTER, ['A' ... 'Z'] = CLASS_LETTER,      ['_'] = CLASS_LETTER,
    ['0' ... '9'] = CLASS_DIGIT,  [':'] = LEX_NAME_START | LEX_NAME,
};

static const char *const names[] = {
    [LEX_INVALID] = "INVALID",     [LEX_EOF] = "EOF",
    [LEX_LINEBREAK] = "LINEBREAK", [LEX_WHITESPACE] = "WHITESPACE",
    [LEX_HELP] = "HELP",           [LEX_TYPE] = "TYPE",
    [LEX_UNIT] = "UNIT",           [LEX_EOF_WORD] = "EOFWORD",
    [LEX_TEXT] = "TEXT",           [LEX_COMMENT] = "COMMENT",
    [LEX_METRIC_NAME] = "MNAME",   [LEX_QUOTED] = "QSTRING",
    [LEX_BRACE_OPEN] = "BOPEN",    [LEX_BRACE_CLOSE] = "BCLOSE",
    [LEX_LABEL_NAME] = "LNAME",    [LEX_LABEL_VALUE] = "LVALUE",
    [LEX_COMMA] = "COMMA",         [LEX_EQUAL] = "EQUAL",
    [LEX_TIMESTAMP] = "TIMESTAMP", [LEX_VALUE] = "VALUE",
};

const char *lex_token_name(enum lex_token token)
{
    return names[token];
}

// The byte at the cursor; 0 behind the end, where no rule goes on (as at a NUL byte).
static char current(const struct lex *l)
{
    return l->at < l->n ? l->p[l->at] : l->at < l->size ? '\n' : '\0';
}

static char step(struct lex *l)
{
    l->at++;
    const bool skips_nul = l->state == LEX_AT_LABEL_VALUE || l->state == LEX_AT_META_TEXT ||
                           l->state == LEX_IN_COMMENT;
    while (skips_nul && l->at < l->n && l->p[l->at] == '\0')
        l->at++;
    return current(l);
}

static enum lex_token accept(struct lex *l, enum lex_state state, enum lex_token token)
{
    l->state = state;
    return token;
}

static enum lex_token accept_byte(struct lex *l, enum lex_state state, enum lex_token token)
{
    step(l);
    return accept(l, state, token);
}

static enum lex_token accept_class(struct lex *l, unsigned classes, enum lex_state state,
                                   enum lex_token token)
{
    while (lex_is(current(l), classes))
        step(l);
    return accept(l, state, token);
}

// "..." with \x for any x but a newline.
static enum lex_token accept_quoted(struct lex *l, bool allow_newline, enum lex_state state,
                                    enum lex_token token)
{
    for (char c = step(l); c != '"'; c = step(l)) {
        if (c == '\\') {
            c = step(l);
            if (c == '\n')
                return LEX_INVALID;
        }
        if (c == '\0' || (c == '\n' && !allow_newline))
            return LEX_INVALID;
    }
    return accept_byte(l, state, token);
}

static bool match_word(struct lex *l, const char *word)
{
    for (char c = current(l); *word; word++, c = step(l))
        if (c != *word)
            return false;
    return true;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static enum lex_token finish_comment(struct lex *l)
{
    for (char c = current(l); c != '\0'; c = step(l))
        if (c == '\n')
            return accept(l, LEX_AT_START, LEX_COMMENT);
    return LEX_EOF;
}

// Behind "# ": HELP or TYPE with a blank, everything else is a comment.
static enum lex_token text_comment(struct lex *l)
{
    const bool is_help = current(l) == 'H';
    if (!match_word(l, is_help ? "HELP" : "TYPE") || !is_blank(current(l)))
        return finish_comment(l);
    while (is_blank(current(l)))
        step(l);
    return accept(l, LEX_AT_META_NAME, is_help ? LEX_HELP : LEX_TYPE);
}

static enum lex_token text_start(struct lex *l)
{
    const char c = current(l);
    if (c == '\0')
        return accept_byte(l, LEX_AT_START, LEX_EOF);
    if (c == '\n')
        return accept_byte(l, LEX_AT_START, LEX_LINEBREAK);
    if (c == '{')
        return accept_byte(l, LEX_IN_LABELS, LEX_BRACE_OPEN);
    if (lex_is(c, LEX_NAME_START))
        return accept_class(l, LEX_NAME, LEX_AT_VALUE, LEX_METRIC_NAME);
    if (c != '#')
        return LEX_INVALID;
    if (!is_blank(step(l)))
        return finish_comment(l);
    while (is_blank(current(l)))
        step(l);
    l->state = LEX_IN_COMMENT;
    return text_comment(l);
}

// All of the line, except that nothing but blanks is whitespace, with an empty text behind.
static enum lex_token text_meta(struct lex *l)
{
    bool only_blanks = true;
    for (char c = current(l); c != '\n' && c != '\0'; c = step(l))
        only_blanks = only_blanks && is_blank(c);
    return only_blanks && l->at > l->start ? LEX_WHITESPACE : accept(l, LEX_AT_START, LEX_TEXT);
}

static enum lex_token labels(struct lex *l)
{
    switch (current(l)) {
    case '"':
        return accept_quoted(l, true, LEX_IN_LABELS, LEX_QUOTED);
    case '}':
        return accept_byte(l, LEX_AT_VALUE, LEX_BRACE_CLOSE);
    case '=':
        return accept_byte(l, LEX_AT_LABEL_VALUE, LEX_EQUAL);
    case ',':
        return accept_byte(l, LEX_IN_LABELS, LEX_COMMA);
    default:
        if (!lex_is(current(l), LEX_LABEL_START))
            return LEX_INVALID;
        return accept_class(l, LEX_LABEL, LEX_IN_LABELS, LEX_LABEL_NAME);
    }
}

static enum lex_token text_value(struct lex *l)
{
    char c = current(l);
    if (c == '{')
        return accept_byte(l, LEX_IN_LABELS, LEX_BRACE_OPEN);
    while (c != '{' && !is_blank(c) && c != '\n' && c != '\0')
        c = step(l);
    return l->at > l->start ? accept(l, LEX_AT_TIMESTAMP, LEX_VALUE) : LEX_INVALID;
}

static enum lex_token text_timestamp(struct lex *l)
{
    if (current(l) == '\n')
        return accept_byte(l, LEX_AT_START, LEX_LINEBREAK);
    if (!lex_is(current(l), LEX_DIGIT))
        return LEX_INVALID;
    return accept_class(l, LEX_DIGIT, LEX_AT_TIMESTAMP, LEX_TIMESTAMP);
}

static enum lex_token meta_name(struct lex *l)
{
    if (current(l) == '"')
        return accept_quoted(l, true, LEX_AT_META_TEXT, LEX_METRIC_NAME);
    if (!lex_is(current(l), LEX_NAME_START))
        return LEX_INVALID;
    return accept_class(l, LEX_NAME, LEX_AT_META_TEXT, LEX_METRIC_NAME);
}

static enum lex_token text_token(struct lex *l)
{
    if (l->at >= l->size)
        return LEX_EOF;
    l->start = l->at;
    if (is_blank(current(l)) && l->state != LEX_AT_META_TEXT) {
        while (is_blank(current(l)))
            step(l);
        return LEX_WHITESPACE;
    }
    switch (l->state) {
    case LEX_AT_START:
        return text_start(l);
    case LEX_AT_META_NAME:
        return meta_name(l);
    case LEX_AT_META_TEXT:
        return text_meta(l);
    case LEX_IN_LABELS:
        return labels(l);
    case LEX_AT_LABEL_VALUE:
        return current(l) != '"' ? LEX_INVALID
                                 : accept_quoted(l, true, LEX_IN_LABELS, LEX_LABEL_VALUE);
    case LEX_AT_VALUE:
        return text_value(l);
    case LEX_AT_TIMESTAMP:
        return text_timestamp(l);
    case LEX_IN_COMMENT:
    case LEX_IN_EXEMPLAR:
    case LEX_AT_EXEMPLAR_VALUE:
    case LEX_AT_EXEMPLAR_TIMESTAMP:
        break; // the text format has no such state between tokens
    }
    return LEX_INVALID;
}

enum lex_token lex_text(struct lex *l)
{
    enum lex_token token;
    do
        token = text_token(l);
    while (token == LEX_WHITESPACE);
    return token;
}

static enum lex_token openmetrics_comment(struct lex *l)
{
    static const struct {
        char first;
        char word[6];
        enum lex_state state;
        enum lex_token token;
    } words[] = {
        {'H', "HELP ", LEX_AT_META_NAME, LEX_HELP},
        {'T', "TYPE ", LEX_AT_META_NAME, LEX_TYPE},
        {'U', "UNIT ", LEX_AT_META_NAME, LEX_UNIT},
        {'E', "EOF", LEX_AT_START, LEX_EOF_WORD},
    };
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (current(l) != words[i].first)
            continue;
        if (!match_word(l, words[i].word))
            return LEX_INVALID;
        if (words[i].token == LEX_EOF_WORD && current(l) == '\n')
            step(l);
        return accept(l, words[i].state, words[i].token);
    }
    return LEX_INVALID;
}

static enum lex_token openmetrics_start(struct lex *l)
{
    const char c = current(l);
    if (c == '{')
        return accept_byte(l, LEX_IN_LABELS, LEX_BRACE_OPEN);
    if (lex_is(c, LEX_NAME_START))
        return accept_class(l, LEX_NAME, LEX_AT_VALUE, LEX_METRIC_NAME);
    if (c != '#' || step(l) != ' ')
        return LEX_INVALID;
    step(l);
    l->state = LEX_IN_COMMENT;
    return openmetrics_comment(l);
}

static enum lex_token openmetrics_meta(struct lex *l)
{
    if (current(l) != ' ')
        return LEX_INVALID;
    char c = step(l);
    while (c != '\n' && c != '\0')
        c = step(l);
    return c == '\n' ? accept_byte(l, LEX_AT_START, LEX_TEXT) : LEX_INVALID;
}

// A blank and at least one byte that is neither blank nor newline.
static enum lex_token openmetrics_word(struct lex *l, enum lex_state state, enum lex_token token)
{
    if (current(l) != ' ')
        return LEX_INVALID;
    char c = step(l);
    const size_t first = l->at;
    while (c != ' ' && c != '\n' && c != '\0')
        c = step(l);
    return l->at > first ? accept(l, state, token) : LEX_INVALID;
}

static enum lex_token openmetrics_timestamp(struct lex *l)
{
    if (current(l) == '\n')
        return accept_byte(l, LEX_AT_START, LEX_LINEBREAK);
    const enum lex_token token = openmetrics_word(l, LEX_AT_TIMESTAMP, LEX_TIMESTAMP);
    const bool is_hash =
        token == LEX_TIMESTAMP && l->at == l->start + 2 && l->p[l->start + 1] == '#';
    if (!is_hash || current(l) != ' ')
        return token;
    if (step(l) != '{') // " # " leads to an exemplar only
        return LEX_INVALID;
    return accept_byte(l, LEX_IN_EXEMPLAR, LEX_COMMENT);
}

static enum lex_token openmetrics_exemplar(struct lex *l)
{
    switch (current(l)) {
    case '"':
        return accept_quoted(l, false, LEX_IN_EXEMPLAR, LEX_QUOTED);
    case '}':
        return accept_byte(l, LEX_AT_EXEMPLAR_VALUE, LEX_BRACE_CLOSE);
    case '=':
        return accept_byte(l, LEX_AT_EXEMPLAR_VALUE, LEX_EQUAL);
    case ',':
        return accept_byte(l, LEX_IN_EXEMPLAR, LEX_COMMA);
    default:
        if (!lex_is(current(l), LEX_LABEL_START))
            return LEX_INVALID;
        return accept_class(l, LEX_LABEL, LEX_IN_EXEMPLAR, LEX_LABEL_NAME);
    }
}

enum lex_token lex_openmetrics(struct lex *l)
{
    if (l->at >= l->size)
        return LEX_EOF;
    l->start = l->at;
    switch (l->state) {
    case LEX_AT_START:
        return openmetrics_start(l);
    case LEX_AT_META_NAME:
        return meta_name(l);
    case LEX_AT_META_TEXT:
        return openmetrics_meta(l);
    case LEX_IN_LABELS:
        return labels(l);
    case LEX_AT_LABEL_VALUE:
        return current(l) != '"' ? LEX_INVALID
                                 : accept_quoted(l, false, LEX_IN_LABELS, LEX_LABEL_VALUE);
    case LEX_AT_VALUE:
        return current(l) == '{' ? accept_byte(l, LEX_IN_LABELS, LEX_BRACE_OPEN)
                                 : openmetrics_word(l, LEX_AT_TIMESTAMP, LEX_VALUE);
    case LEX_AT_TIMESTAMP:
        return openmetrics_timestamp(l);
    case LEX_IN_EXEMPLAR:
        return openmetrics_exemplar(l);
    case LEX_AT_EXEMPLAR_VALUE:
        return current(l) == '"' ? accept_quoted(l, false, LEX_IN_EXEMPLAR, LEX_LABEL_VALUE)
                                 : openmetrics_word(l, LEX_AT_EXEMPLAR_TIMESTAMP, LEX_VALUE);
    case LEX_AT_EXEMPLAR_TIMESTAMP:
        return current(l) == '\n' ? accept_byte(l, LEX_AT_START, LEX_LINEBREAK)
                                  : openmetrics_word(l, LEX_AT_EXEMPLAR_TIMESTAMP, LEX_TIMESTAMP);
    case LEX_IN_COMMENT:
        break; // never left between tokens
    }
    return LEX_INVALID;
}
