// The labels of a series that was parsed before, cut by the same lexer.
#include <assert.h>
#include <math.h>

#include "engine/base/number.h"
#include "protocol/exposition.h"

struct str exposition_canonical_float(struct str s, char out[static EXPOSITION_FLOAT_MAX])
{
    char text[NUMBER_TEXT_MAX];
    double d;
    if (number_parse(s, &d) != ERR_OK)
        return s;
    size_t n = number_format_g(d == 0 ? 0 : d, text); // -0 is 0.0 too
    bool has_mark = !isfinite(d);
    for (size_t i = 0; i < n; i++)
        has_mark = has_mark || text[i] == '.' || text[i] == 'e';
    assert(n + 2 <= EXPOSITION_FLOAT_MAX);
    memcpy(out, text, n);
    if (!has_mark) {
        memcpy(out + n, ".0", 2);
        n += 2;
    }
    return str_make(out, n);
}

// \\ \n and, but in a HELP text of the text format, \" become what they mean; any other backslash
// stands for itself. Room was reserved.
static struct str unescape(struct str s, bool has_quotes, struct buf *scratch)
{
    if (s.n == 0 || !memchr(s.p, '\\', s.n))
        return s;
    assert(scratch->capacity - scratch->n >= s.n);
    char *const out = scratch->p + scratch->n;
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) {
        const char next = s.p[i] == '\\' && i + 1 < s.n ? s.p[i + 1] : '\0';
        const bool is_escape = next == '\\' || next == 'n' || (next == '"' && has_quotes);
        out[n++] = !is_escape ? s.p[i] : next == 'n' ? '\n' : next;
        i += is_escape;
    }
    scratch->n += n;
    return str_make(out, n);
}

struct str exposition_help(const struct exposition *x, struct buf *scratch)
{
    buf_reset(scratch);
    buf_reserve(scratch, x->text.n);
    return unescape(x->text, x->format == EXPOSITION_OPENMETRICS, scratch);
}

// A label takes at least six bytes of the line and no more in scratch than itself or a float.
static void reserve(struct buf *scratch, size_t line)
{
    enum { LABEL_MIN = 6 };
    buf_reset(scratch);
    buf_reserve(scratch, line + (line / LABEL_MIN + 1) * EXPOSITION_FLOAT_MAX);
}

void exposition_labels_init(struct exposition_labels *i, const struct exposition *x,
                            struct buf *scratch)
{
    reserve(scratch, x->series.n);
    *i = (struct exposition_labels){.at = x->series.p,
                                    .end = x->series.p + x->series.n,
                                    .name = x->name,
                                    .has_name = true,
                                    .type = x->type,
                                    .scratch = scratch};
    if (x->name.p == x->series.p)
        i->at += x->name.n;
    while (i->at < i->end && *i->at != '{')
        i->at++;
    i->at += i->at < i->end;
}

void exposition_exemplar_init(struct exposition_labels *i, const struct exposition *x,
                              struct buf *scratch)
{
    assert(x->has_exemplar);
    *i = (struct exposition_labels){.at = x->exemplar_labels.p + 1,
                                    .end = x->exemplar_labels.p + x->exemplar_labels.n,
                                    .is_exemplar = true,
                                    .scratch = scratch};
}

// name="value" as almost all lines have it; false, and nothing is taken, for the rest.
static bool take_plain(struct exposition_labels *i, struct str *out_name, struct str *out_value)
{
    const char *p = i->at, *const end = i->end;
    while (p < end && lex_is(*p, LEX_LABEL))
        p++;
    *out_name = str_make(i->at, (size_t)(p - i->at));
    if (p == i->at || end - p < 3 || p[0] != '=' || p[1] != '"')
        return false;
    const char *const value = p += 2;
    while (p < end && *p != '"' && *p != '\\' && *p != '\0')
        p++;
    *out_value = str_make(value, (size_t)(p - value));
    if (end - p < 2 || *p != '"' || (p[1] != ',' && p[1] != '}'))
        return false;
    i->at = p + 1 + (p[1] == ',');
    return true;
}

static struct str strip_quotes(struct str s)
{
    return s.n >= 2 && s.p[0] == '"' ? str_make(s.p + 1, s.n - 2) : s;
}

// The next label by the lexer; the text format's takes all that either format writes. False at the
// end.
static bool take_any(struct exposition_labels *i, struct str *out_name, struct str *out_value)
{
    const size_t n = (size_t)(i->end - i->at);
    struct lex l = {.p = i->at, .n = n, .size = n, .state = LEX_IN_LABELS};
    for (;;) {
        enum lex_token token = lex_text(&l);
        if (token == LEX_COMMA)
            continue;
        if (token != LEX_LABEL_NAME && token != LEX_QUOTED)
            return false;
        *out_name = strip_quotes(str_make(l.p + l.start, l.at - l.start));
        token = lex_text(&l);
        if (token != LEX_EQUAL) {
            if (token == LEX_COMMA)
                continue; // that was the metric's name
            return false;
        }
        if (lex_text(&l) != LEX_LABEL_VALUE)
            return false;
        *out_value = strip_quotes(str_make(l.p + l.start, l.at - l.start));
        i->at += l.at;
        return true;
    }
}

bool exposition_labels_next(struct exposition_labels *i, struct str *out_name,
                            struct str *out_value)
{
    if (i->has_name) {
        i->has_name = false;
        *out_name = STR("__name__");
        *out_value = unescape(i->name, true, i->scratch);
        return true;
    }
    if (!take_plain(i, out_name, out_value) && !take_any(i, out_name, out_value))
        return false;
    if (i->is_exemplar)
        return true;
    *out_name = unescape(*out_name, true, i->scratch);
    *out_value = unescape(*out_value, true, i->scratch);
    const bool is_float = (i->type == EXPOSITION_SUMMARY && str_eq(*out_name, STR("quantile"))) ||
                          (i->type == EXPOSITION_HISTOGRAM && str_eq(*out_name, STR("le")));
    if (is_float) {
        char *const room = i->scratch->p + i->scratch->n;
        assert(i->scratch->capacity - i->scratch->n >= EXPOSITION_FLOAT_MAX);
        const struct str value = *out_value;
        *out_value = exposition_canonical_float(value, room);
        i->scratch->n += out_value->p == room ? out_value->n : 0;
    }
    return true;
}
