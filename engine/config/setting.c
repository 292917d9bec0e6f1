#include "engine/config/setting.h"

#include <assert.h>

#include "engine/base/duration.h"
#include "engine/base/number.h"

static err check_bounds(const struct setting *row, struct str text, int64_t value, struct errmsg *e)
{
    const int64_t max = row->max || row->min ? row->max : INT64_MAX;
    if (value < row->min || value > max)
        return err_set(e, ERR_INVALID, "flag '%s': %.*s is not within %lld..%lld", row->name,
                       STR_ARG(text), (long long)row->min, (long long)max);
    return ERR_OK;
}

static err set_number(const struct setting *row, struct str text, struct errmsg *e)
{
    double d; // as kingpin reads integers: "5e7" is one
    const err code = number_parse_decimal(text, &d);
    if (code)
        return err_set(e, ERR_INVALID, "strconv.ParseFloat: parsing \"%.*s\": %s", STR_ARG(text),
                       code == ERR_LIMIT ? "value out of range" : "invalid syntax");
    if (!(d > -0x1p53 && d < 0x1p53))
        return err_set(e, ERR_INVALID, "flag '%s': %.*s is out of range", row->name, STR_ARG(text));
    TRY(check_bounds(row, text, (int64_t)d, e));
    *row->number = (int64_t)d;
    return ERR_OK;
}

static err set_fraction(const struct setting *row, struct str text, struct errmsg *e)
{
    double d;
    const err code = number_parse(text, &d);
    if (code)
        return err_set(e, ERR_INVALID, "strconv.ParseFloat: parsing \"%.*s\": %s", STR_ARG(text),
                       code == ERR_LIMIT ? "value out of range" : "invalid syntax");
    *row->fraction = d;
    return ERR_OK;
}

static err set_text(const struct setting *row, struct str text, struct errmsg *e)
{
    bool known = !row->choices;
    struct buf all = {0};
    for (size_t i = 0; row->choices && row->choices[i]; i++) {
        known |= str_eq(text, str_from_c(row->choices[i]));
        buf_printf(&all, "%s%s", i ? "," : "", row->choices[i]);
    }
    err code = ERR_OK;
    if (known)
        *row->text = text;
    else if (row->choice_name)
        code = err_set(e, ERR_INVALID, "unrecognized %s %.*s", row->choice_name, STR_ARG(text));
    else
        code = err_set(e, ERR_INVALID, "enum value must be one of %.*s, got '%.*s'",
                       STR_ARG(buf_str(&all)), STR_ARG(text));
    buf_deinit(&all);
    return code;
}

static err set_flag(const struct setting *row, struct str text, struct errmsg *e)
{
    if (!str_eq(text, STR("true")) && !str_eq(text, STR("false")))
        return err_set(e, ERR_INVALID, "strconv.ParseBool: parsing \"%.*s\": invalid syntax",
                       STR_ARG(text));
    *row->flag = text.n == 4;
    return ERR_OK;
}

static err set(const struct setting *row, struct str text, struct errmsg *e)
{
    int64_t value;
    if (row->text)
        return set_text(row, text, e);
    if (row->flag)
        return set_flag(row, text, e);
    if (row->number)
        return set_number(row, text, e);
    if (row->fraction)
        return set_fraction(row, text, e);
    if (row->duration_ms) {
        TRY(duration_parse(text, &value, e));
        TRY(check_bounds(row, text, value, e));
        *row->duration_ms = value;
    } else if (row->size_bytes) {
        TRY(size_parse(text, &value, e));
        TRY(check_bounds(row, text, value, e));
        *row->size_bytes = value;
    } else {
        assert(row->list);
        if (row->list->n == SETTING_LIST_MAX)
            return err_set(e, ERR_LIMIT, "flag '%s' is given more than %d times", row->name,
                           SETTING_LIST_MAX);
        row->list->items[row->list->n++] = text;
    }
    return ERR_OK;
}

static err set_default(const struct setting *row, struct errmsg *e)
{
    if (row->list)
        row->list->n = 0;
    if (!row->default_text) {
        if (row->text)
            *row->text = STR("");
        if (row->flag)
            *row->flag = false;
        int64_t *const integers[] = {row->number, row->duration_ms, row->size_bytes};
        for (size_t i = 0; i < 3; i++)
            if (integers[i])
                *integers[i] = 0;
        if (row->fraction)
            *row->fraction = 0;
        return ERR_OK;
    }
    struct str rest = str_from_c(row->default_text), part;
    if (!row->list)
        return set(row, rest, e);
    while (str_split(&rest, ',', &part))
        TRY(set(row, part, e));
    return ERR_OK;
}

static const struct setting *find(const struct setting *rows, size_t n, struct str name)
{
    for (size_t i = 0; i < n; i++)
        if (str_eq(str_from_c(rows[i].name), name))
            return &rows[i];
    return NULL;
}

const struct setting *settings_find(const struct settings *s, struct str name)
{
    return find(s->rows, s->n, name);
}

// The words of a command line, one flag or argument at a time.
struct words {
    const char *const *argv;
    int left;         // words from argv[0] on
    const char *rest; // behind "-x" in "-xyz": more short flags; NULL: none
    bool plain;       // "--" was seen: flags no more
};

struct given {
    const struct setting *row;
    struct str value;
};

static bool is_flag(const char *word)
{
    return word[0] == '-' && word[1];
}

// The value of a flag that needs one: attached, or the next word.
static err take_value(struct words *w, const char *name, int name_n, struct str *out,
                      struct errmsg *e)
{
    if (!w->left || (is_flag(w->argv[0]) && !w->plain))
        return err_set(e, ERR_INVALID, "expected argument for flag '%.*s'", name_n, name);
    *out = str_from_c(w->argv[0]);
    w->argv++;
    w->left--;
    return ERR_OK;
}

static err take_short(const struct settings *s, struct words *w, struct given *out,
                      struct errmsg *e)
{
    const char flag[] = {'-', *w->rest, '\0'};
    out->row = NULL;
    for (size_t i = 0; i < s->n; i++)
        if (s->rows[i].short_name == *w->rest)
            out->row = &s->rows[i];
    if (!out->row)
        return err_set(e, ERR_INVALID, "unknown short flag '%s'", flag);
    const char *const behind = w->rest + 1;
    w->rest = *behind ? behind : NULL;
    if (out->row->flag) {
        out->value = STR("true");
        return ERR_OK;
    }
    if (w->rest) {
        out->value = str_from_c(w->rest);
        w->rest = NULL;
        return ERR_OK;
    }
    return take_value(w, flag, 2, &out->value, e);
}

static err take_long(const struct settings *s, struct words *w, const char *word, struct given *out,
                     struct errmsg *e)
{
    const struct str all = str_from_c(word);
    const ptrdiff_t equals = str_find(all, '=', 0);
    const struct str name =
        equals == STR_NONE ? str_from(all, 2) : str_make(word + 2, (size_t)equals - 2);
    out->row = name.n ? settings_find(s, name) : NULL;
    const struct str no = STR("no-");
    if (!out->row && str_has_prefix(name, no)) {
        out->row = settings_find(s, str_from(name, no.n));
        out->value = STR("false");
        if (out->row && !out->row->flag)
            out->row = NULL;
    } else {
        out->value = STR("true");
    }
    if (!out->row)
        return err_set(e, ERR_INVALID, "unknown long flag '--%.*s'", STR_ARG(name));
    if (out->row->flag) {
        if (equals != STR_NONE)
            return err_set(e, ERR_INVALID, "unexpected %s", word + equals + 1);
        return ERR_OK;
    }
    if (equals != STR_NONE) {
        out->value = str_from(all, (size_t)equals + 1);
        return ERR_OK;
    }
    return take_value(w, word, (int)all.n, &out->value, e);
}

static err take(const struct settings *s, struct words *w, struct given *out, struct errmsg *e)
{
    if (w->rest)
        return take_short(s, w, out, e);
    const char *const word = w->argv[0];
    w->argv++;
    w->left--;
    if (!w->plain && is_flag(word)) {
        if (word[1] != '-') {
            w->rest = word + 1;
            return take_short(s, w, out, e);
        }
        if (word[2])
            return take_long(s, w, word, out, e);
        w->plain = true;
        out->row = NULL;
        return ERR_OK;
    }
    out->value = str_from_c(word);
    out->row = settings_find(s, STR(""));
    return out->row ? ERR_OK : err_set(e, ERR_INVALID, "unexpected %s", word);
}

// Walks the words. The structure of the whole line is checked before any value is read, so an
// unknown flag is named even where a value in front of it is wrong.
static err walk(struct settings *s, int argc, const char *const *argv, bool with_values,
                struct errmsg *e)
{
    struct words w = {.argv = argv + 1, .left = argc > 0 ? argc - 1 : 0};
    for (unsigned nth = 1; w.left || w.rest; nth++) {
        struct given g = {0};
        TRY(take(s, &w, &g, e));
        if (!g.row)
            continue;
        unsigned *const seen = &s->given[g.row - s->rows];
        if (!with_values) {
            if (*seen && !g.row->list)
                return err_set(e, ERR_INVALID, "flag '%s' cannot be repeated", g.row->name);
        } else {
            if (!*seen && g.row->list)
                g.row->list->n = 0; // what is given replaces the default
            TRY(set(g.row, g.value, e));
        }
        *seen = *seen ? *seen : nth;
    }
    return ERR_OK;
}

err settings_parse(struct settings *s, const struct setting *rows, size_t n, int argc,
                   const char *const *argv, struct errmsg *e)
{
    assert(n <= SETTINGS_MAX);
    *s = (struct settings){.rows = rows, .n = n};
    for (size_t i = 0; i < n; i++)
        TRY(set_default(&rows[i], e));
    s->is_malformed = true;
    TRY(walk(s, argc, argv, false, e));
    s->is_malformed = false;
    for (size_t i = 0; i < n; i++)
        if ((rows[i].traits & SETTING_REQUIRED) && !s->given[i])
            return err_set(e, ERR_INVALID, "required flag(s) '--%s' not provided", rows[i].name);
    memset(s->given, 0, sizeof s->given);
    return walk(s, argc, argv, true, e);
}

bool settings_is_given(const struct settings *s, struct str name)
{
    const struct setting *row = settings_find(s, name);
    return row && s->given[row - s->rows];
}

bool settings_given_with(const struct settings *s, unsigned trait, struct buf *out)
{
    unsigned told = 0; // up to this place on the line
    buf_put_char(out, '[');
    for (;;) {
        size_t next = s->n;
        for (size_t i = 0; i < s->n; i++)
            if ((s->rows[i].traits & trait) && s->given[i] > told &&
                (next == s->n || s->given[i] < s->given[next]))
                next = i;
        if (next == s->n)
            break;
        buf_printf(out, "%s\"--%s\"", told ? " " : "", s->rows[next].name);
        told = s->given[next];
    }
    buf_put_char(out, ']');
    return told > 0;
}

void settings_warn(const struct settings *s, const struct logger *lg)
{
    for (size_t i = 0; i < s->n; i++)
        if (s->given[i] && (s->rows[i].traits & SETTING_IGNORED))
            log_warn(lg, "this flag is accepted but has no effect here",
                     log_cstr("flag", s->rows[i].name));
}

void setting_format(const struct setting *row, struct buf *out)
{
    if (row->text)
        buf_put_str(out, *row->text);
    if (row->flag)
        buf_put_str(out, *row->flag ? STR("true") : STR("false"));
    if (row->number)
        buf_put_i64(out, *row->number);
    if (row->fraction)
        buf_put_double_g(out, *row->fraction);
    if (row->duration_ms)
        duration_format(*row->duration_ms, out);
    if (row->size_bytes)
        size_format(*row->size_bytes, out);
    for (size_t i = 0; row->list && i < row->list->n; i++) {
        if (i)
            buf_put_char(out, ',');
        buf_put_str(out, row->list->items[i]);
    }
}
