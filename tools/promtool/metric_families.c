// The format by lines:
//
//   # HELP name text        # TYPE name type        # anything
//   name value [ms]         name{label="value",...} value [ms]
//   {"name",label="value",...} value [ms]
//
// Of a summary s the lines s_sum and s_count belong to it, of a histogram those and h_bucket. A
// last line without a newline is an error.
#include "tools/promtool/metric_families.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/base/buf.h"
#include "engine/base/mem.h"
#include "engine/base/number.h"
#include "engine/base/quote.h"
#include "engine/base/utf8.h"
#include "engine/model/labels.h"

const struct str metric_type_names[METRIC_TYPES] = {
    {"counter", 7}, {"gauge", 5},     {"summary", 7},
    {"untyped", 7}, {"histogram", 9}, {"gauge_histogram", 15},
};

// Hashes to numbers, open addressing.
struct ids {
    struct id {
        struct hash128 hash;
        size_t number; // from 1; 0: free
    } * slots;
    size_t n, size; // size is a power of two
};

struct parser {
    struct metric_families *out;
    struct errmsg *e;
    const char *at, *end;
    int c; // the byte at hand; -1: the end was passed
    int line;
    bool failed;
    struct buf token;
    struct ids families, series; // series: histograms and summaries by family and labels

    size_t family; // of the line, from 1; 0: none yet
    bool is_sum_or_count;
    bool in_braces; // the name stands among the labels
    struct line_label {
        struct str name, value;
    } * labels;
    size_t labels_n, labels_capacity;
    double part; // the value of le or quantile; NaN: none
};

void metric_families_deinit(struct metric_families *f)
{
    for (size_t i = 0; i < f->n; i++)
        mem_free(f->items[i].metrics);
    mem_free(f->items);
    arena_deinit(&f->arena);
}

// ---- numbers of things

static struct id *ids_slot(const struct ids *t, struct hash128 hash)
{
    size_t i = hash.lo & (t->size - 1);
    while (t->slots[i].number && !hash128_eq(t->slots[i].hash, hash))
        i = (i + 1) & (t->size - 1);
    return &t->slots[i];
}

// The number kept for hash, 0 when there is none; the caller may then set it.
static size_t *ids_at(struct ids *t, struct hash128 hash)
{
    if (t->n * 2 >= t->size) {
        struct ids bigger = {.n = t->n, .size = t->size ? t->size * 2 : 64};
        bigger.slots = mem_zalloc(bigger.size * sizeof *bigger.slots);
        for (size_t i = 0; i < t->size; i++)
            if (t->slots[i].number)
                *ids_slot(&bigger, t->slots[i].hash) = t->slots[i];
        mem_free(t->slots);
        *t = bigger;
    }
    struct id *const slot = ids_slot(t, hash);
    t->n += !slot->number; // counted once it is set, which the caller does
    slot->hash = hash;
    return &slot->number;
}

static size_t ids_get(const struct ids *t, struct hash128 hash)
{
    return t->size ? ids_slot(t, hash)->number : 0;
}

// ---- bytes

static bool fail(struct parser *p, const char *format, ...) __attribute__((format(printf, 2, 3)));
static bool fail(struct parser *p, const char *format, ...)
{
    struct errmsg why;
    va_list args;
    va_start(args, format);
    vsnprintf(why.text, sizeof why.text, format, args);
    va_end(args);
    if (!p->failed)
        err_format(p->e, "text format parsing error in line %d: %s", p->line, why.text);
    p->failed = true;
    return false;
}

static bool fail_end(struct parser *p)
{
    return fail(p, "unexpected end of input stream");
}

// fail with text in quotes behind what.
static bool fail_quoted(struct parser *p, const char *what, struct str text, const char *behind)
{
    struct buf quoted = {0};
    buf_put_quoted(&quoted, text);
    fail(p, "%s%.*s%s", what, STR_ARG(buf_str(&quoted)), behind);
    buf_deinit(&quoted);
    return false;
}

// fail with the byte at hand as Go's %q shows it: 'x', '\n'.
static bool fail_byte(struct parser *p, const char *what)
{
    char rune[UTF8_MAX];
    struct buf quoted = {0};
    if (p->c == '\'')
        buf_put_str(&quoted, STR("\"\\'\""));
    else if (p->c == '"')
        buf_put_str(&quoted, STR("\"\"\""));
    else
        buf_put_quoted(&quoted, str_make(rune, utf8_encode(rune, (uint32_t)p->c)));
    fail(p, "%s'%.*s'", what, (int)quoted.n - 2, quoted.p + 1);
    buf_deinit(&quoted);
    return false;
}

static void next(struct parser *p)
{
    p->c = p->at == p->end ? -1 : (unsigned char)*p->at++;
}

static bool is_blank(int c)
{
    return c == ' ' || c == '\t';
}

static void skip_blanks(struct parser *p) // from the next byte on
{
    do
        next(p);
    while (is_blank(p->c));
}

static struct str token(const struct parser *p)
{
    return buf_str(&p->token);
}

static void token_until_space(struct parser *p)
{
    buf_reset(&p->token);
    for (; p->c >= 0 && !is_blank(p->c) && p->c != '\n'; next(p))
        buf_put_char(&p->token, (char)p->c);
}

static bool fail_escape(struct parser *p)
{
    char rune[UTF8_MAX];
    const size_t n = utf8_encode(rune, (uint32_t)p->c);
    return fail(p, "invalid escape sequence '\\%.*s'", (int)n, rune);
}

// From the byte at hand to the line's end, backslashes left out or, with escapes, undone.
static bool token_until_newline(struct parser *p, bool escapes)
{
    bool escaped = false;
    buf_reset(&p->token);
    for (; p->c >= 0; next(p)) {
        if (escaped) {
            if (p->c != '\\' && p->c != 'n' && p->c != '"')
                return fail_escape(p);
            buf_put_char(&p->token, p->c == 'n' ? '\n' : (char)p->c);
            escaped = false;
        } else if (p->c == '\n') {
            return true;
        } else if (p->c == '\\') {
            escaped = escapes;
        } else {
            buf_put_char(&p->token, (char)p->c);
        }
    }
    return fail_end(p);
}

static bool is_name_byte(int c, bool first, bool colon)
{
    const int lower = c | 0x20;
    return (c >= 0 && lower >= 'a' && lower <= 'z') || c == '_' || c == '"' ||
           (colon && c == ':') || (!first && c >= '0' && c <= '9');
}

// A name from the byte at hand on, in quotes or not; empty when none begins there. what: "metric"
// or "label", of which the first may hold colons.
static bool token_name(struct parser *p, const char *what)
{
    const bool colon = what[0] == 'm';
    bool quoted = false, escaped = false;
    buf_reset(&p->token);
    if (!is_name_byte(p->c, true, colon))
        return true;
    do {
        if (escaped) {
            if (p->c != '\\' && p->c != 'n' && p->c != '"')
                return fail_escape(p);
            if (p->c == '"')
                buf_put_char(&p->token, '\\');
            buf_put_char(&p->token, p->c == 'n' ? '\n' : (char)p->c);
            escaped = false;
        } else if (p->c == '"' && quoted) {
            next(p);
            break;
        } else if (p->c == '"') {
            quoted = true;
        } else if (p->c == '\n') {
            const char *const begin = colon ? "metric name " : "label name ";
            return fail_quoted(p, begin, token(p), " contains unescaped new-line");
        } else if (p->c == '\\') {
            escaped = true;
        } else {
            buf_put_char(&p->token, (char)p->c);
        }
        next(p);
    } while (p->c >= 0 && (quoted || is_name_byte(p->c, false, colon)));
    return p->c >= 0 || fail_end(p);
}

// A label's value behind its opening quote; p->c is then the closing one.
static bool token_value(struct parser *p)
{
    bool escaped = false;
    buf_reset(&p->token);
    for (next(p); p->c >= 0; next(p)) {
        if (escaped) {
            if (p->c != '\\' && p->c != 'n' && p->c != '"')
                return fail_escape(p);
            buf_put_char(&p->token, p->c == 'n' ? '\n' : (char)p->c);
            escaped = false;
        } else if (p->c == '"') {
            return utf8_is_valid(token(p)) || fail_quoted(p, "invalid label value ", token(p), "");
        } else if (p->c == '\n') {
            return fail_quoted(p, "label value ", token(p), " contains unescaped new-line");
        } else if (p->c == '\\') {
            escaped = true;
        } else {
            buf_put_char(&p->token, (char)p->c);
        }
    }
    return fail_end(p);
}

static bool parse_float(struct str text, double *out)
{
    for (size_t i = 0; i < text.n; i++)
        if (text.p[i] == 'p' || text.p[i] == 'P' || text.p[i] == '_')
            return false;
    return number_parse(text, out) == ERR_OK;
}

// ---- families

static struct metric_family *current(struct parser *p) // NULL: no line has named one yet
{
    return p->family ? &p->out->items[p->family - 1] : NULL;
}

static bool has_type(struct parser *p, enum metric_type type)
{
    const struct metric_family *const f = current(p);
    return f && f->has_type && f->type == type;
}

static struct hash128 hash_str(struct str s)
{
    return hash128(s.p, s.n, 0);
}

// name without a suffix that has something in front of it.
static bool without(struct str name, struct str suffix, struct str *out)
{
    if (name.n <= suffix.n || !str_has_suffix(name, suffix))
        return false;
    *out = str_until(name, name.n - suffix.n);
    return true;
}

// The family that lines of the token's name belong to; made if need be.
static bool find_family(struct parser *p)
{
    const struct str name = token(p);
    struct str base = name;
    p->is_sum_or_count = false;
    p->family = ids_get(&p->families, hash_str(name));
    if (p->family)
        return true;
    const bool sum_or_count =
        without(name, STR("_count"), &base) || without(name, STR("_sum"), &base);
    if (sum_or_count || without(name, STR("_bucket"), &base)) {
        p->family = ids_get(&p->families, hash_str(base));
        p->is_sum_or_count = sum_or_count;
        if (has_type(p, METRIC_HISTOGRAM) || (sum_or_count && has_type(p, METRIC_SUMMARY)))
            return true;
    }
    if (!metric_name_is_legacy(name))
        return fail_quoted(p, "invalid metric name ", name, "");
    struct metric_families *const all = p->out;
    all->items = mem_grow(all->items, &all->capacity, all->n + 1, sizeof *all->items);
    all->items[all->n++] = (struct metric_family){.name = arena_str(&all->arena, name)};
    *ids_at(&p->families, hash_str(name)) = p->family = all->n;
    p->is_sum_or_count = false;
    return true;
}

// The same for a sample, which makes the family's type untyped if no line gave one.
static bool find_sample_family(struct parser *p)
{
    if (!find_family(p))
        return false;
    struct metric_family *const f = current(p);
    if (!f->has_type) {
        f->has_type = true;
        f->type = METRIC_UNTYPED;
    }
    return true;
}

// ---- a sample's line

static int cmp_labels(const void *a, const void *b)
{
    return str_cmp(((const struct line_label *)a)->name, ((const struct line_label *)b)->name);
}

static struct hash128 hash_labels(struct parser *p, size_t family)
{
    struct buf bytes = {0};
    buf_put_varint(&bytes, family);
    for (size_t i = 0; i < p->labels_n; i++) {
        const struct str both[] = {p->labels[i].name, p->labels[i].value};
        for (size_t k = 0; k < 2; k++) {
            buf_put_varint(&bytes, both[k].n);
            buf_put_str(&bytes, both[k]);
        }
    }
    const struct hash128 hash = hash128(bytes.p, bytes.n, 0);
    buf_deinit(&bytes);
    return hash;
}

static struct family_metric *add_metric(struct parser *p)
{
    struct metric_family *const f = current(p);
    f->metrics = mem_grow(f->metrics, &f->capacity, f->n + 1, sizeof *f->metrics);
    struct family_metric *const m = &f->metrics[f->n++];
    *m = (struct family_metric){.labels_hash = hash_labels(p, 0), .labels_n = p->labels_n};
    if (p->labels_n)
        m->label_names = arena_array(&p->out->arena, p->labels_n, struct str);
    for (size_t i = 0; i < p->labels_n; i++)
        m->label_names[i] = p->labels[i].name;
    return m;
}

// The metric of the line: of histograms and summaries one for all lines with the same labels.
static struct family_metric *find_metric(struct parser *p)
{
    if (!has_type(p, METRIC_HISTOGRAM) && !has_type(p, METRIC_SUMMARY))
        return add_metric(p);
    struct line_label *const kept = mem_alloc_array(p->labels_n + 1, sizeof *kept);
    if (p->labels_n) {
        memcpy(kept, p->labels, p->labels_n * sizeof *kept);
        qsort(p->labels, p->labels_n, sizeof *p->labels, cmp_labels);
    }
    size_t *const number = ids_at(&p->series, hash_labels(p, p->family));
    if (p->labels_n)
        memcpy(p->labels, kept, p->labels_n * sizeof *kept);
    mem_free(kept);
    if (*number)
        return &current(p)->metrics[*number - 1];
    struct family_metric *const m = add_metric(p);
    *number = current(p)->n;
    return m;
}

static bool read_timestamp(struct parser *p)
{
    int64_t ms;
    skip_blanks(p);
    token_until_space(p);
    if (p->c < 0)
        return fail_end(p);
    if (number_parse_i64(token(p), &ms) != ERR_OK)
        return fail_quoted(p, "expected integer as timestamp, got ", token(p), "");
    if (!token_until_newline(p, false))
        return false;
    return !p->token.n || fail_quoted(p, "spurious string after timestamp: ", token(p), "");
}

static bool read_value(struct parser *p)
{
    double value;
    struct family_metric *const m = find_metric(p);
    token_until_space(p);
    if (p->c < 0)
        return fail_end(p);
    if (!parse_float(token(p), &value))
        return fail_quoted(p, "expected float as value, got ", token(p), "");
    m->parts += !p->is_sum_or_count && !isnan(p->part);
    return p->c == '\n' || read_timestamp(p);
}

static const char *part_label(struct parser *p) // NULL: none of its labels is special
{
    if (has_type(p, METRIC_SUMMARY))
        return "quantile";
    return has_type(p, METRIC_HISTOGRAM) ? "le" : NULL;
}

// A label whose name is the token, up to the byte behind its value.
static bool read_label(struct parser *p)
{
    const struct str family = current(p) ? current(p)->name : STR("");
    const struct str name = arena_str(&p->out->arena, token(p));
    const char *const special = part_label(p);
    const bool is_part = special && str_eq(name, str_from_c(special));
    if (!label_name_is_legacy(name))
        return fail_quoted(p, "invalid label name ", name, "");
    if (str_eq(name, STR("__name__")))
        return fail(p, "label name \"__name__\" is reserved");
    for (size_t i = 0; !is_part && i < p->labels_n; i++)
        if (str_eq(p->labels[i].name, name))
            return fail_quoted(p, "duplicate label names for metric ", family, "");
    skip_blanks(p);
    if (p->c < 0)
        return fail_end(p);
    if (p->c != '"')
        return fail_byte(p, "expected '\"' at start of label value, found ");
    if (!token_value(p))
        return false;
    if (is_part && !parse_float(token(p), &p->part)) {
        char what[64];
        snprintf(what, sizeof what, "expected float as value for '%s' label, got ", special);
        return fail_quoted(p, what, token(p), "");
    }
    if (!is_part) {
        p->labels = mem_grow(p->labels, &p->labels_capacity, p->labels_n + 1, sizeof *p->labels);
        p->labels[p->labels_n++] = (struct line_label){name, arena_str(&p->out->arena, token(p))};
    }
    skip_blanks(p);
    if (p->c < 0)
        return fail_end(p);
    if (p->c != ',' && p->c != '}')
        return fail_quoted(p, "unexpected end of label value ", token(p), "");
    return true;
}

// A word among the labels: a label, or the metric's own name; up to the , or } behind it.
static bool read_word(struct parser *p)
{
    if (!token_name(p, "label"))
        return false;
    if (!p->token.n)
        return fail_quoted(p, "invalid label name for metric ",
                           current(p) ? current(p)->name : STR(""), "");
    if (is_blank(p->c))
        skip_blanks(p);
    if (p->c < 0)
        return fail_end(p);
    if (p->c == '=')
        return read_label(p);
    if (!p->in_braces)
        return fail_byte(p, "expected '=' after label name, found ");
    if (p->c != ',' && p->c != '}')
        return fail_byte(p, "unexpected end of metric value ");
    return find_sample_family(p);
}

// From the opening brace to the value.
static bool read_labels(struct parser *p)
{
    do {
        skip_blanks(p);
        if (p->c < 0)
            return fail_end(p);
        if (p->c != '}' && !read_word(p))
            return false;
    } while (p->c == ',');
    if (!p->family)
        return fail(p, "invalid metric name");
    skip_blanks(p);
    return p->c < 0 ? fail_end(p) : true;
}

static bool read_sample(struct parser *p)
{
    p->labels_n = 0;
    p->part = NAN;
    p->in_braces = p->c == '{';
    if (p->in_braces) {
        p->family = 0;
    } else {
        if (!token_name(p, "metric"))
            return false;
        if (!p->token.n)
            return fail(p, "invalid metric name");
        if (!find_sample_family(p))
            return false;
        if (is_blank(p->c))
            skip_blanks(p);
        if (p->c < 0)
            return fail_end(p);
    }
    return (p->c != '{' || read_labels(p)) && read_value(p);
}

// ---- a comment's line

static bool read_help(struct parser *p)
{
    struct metric_family *const f = current(p);
    if (f->has_help)
        return fail_quoted(p, "second HELP line for metric name ", f->name, "");
    if (!token_until_newline(p, true))
        return false;
    f->has_help = true;
    return true;
}

static bool read_type(struct parser *p)
{
    struct metric_family *const f = current(p);
    if (f->has_type)
        return fail_quoted(p, "second TYPE line for metric name ", f->name,
                           ", or TYPE reported after samples");
    if (!token_until_newline(p, false))
        return false;
    for (int type = 0; type < METRIC_TYPES; type++) {
        if (!str_eq_nocase(token(p), metric_type_names[type]))
            continue;
        f->has_type = true;
        f->type = (enum metric_type)type;
        return true;
    }
    return fail_quoted(p, "unknown metric type ", token(p), "");
}

static bool skip_line(struct parser *p)
{
    while (p->c >= 0 && p->c != '\n')
        next(p);
    return p->c >= 0 || fail_end(p);
}

static bool read_comment(struct parser *p)
{
    skip_blanks(p);
    token_until_space(p);
    const bool is_help = str_eq(token(p), STR("HELP"));
    if (p->c < 0 || p->c == '\n' || !(is_help || str_eq(token(p), STR("TYPE"))))
        return skip_line(p);
    skip_blanks(p);
    if (p->c < 0)
        return fail_end(p);
    if (!token_name(p, "metric"))
        return false;
    if (p->c == '\n')
        return true;
    if (!is_blank(p->c))
        return fail(p, "invalid metric name in comment");
    if (!find_family(p))
        return false;
    skip_blanks(p);
    if (p->c < 0)
        return fail_end(p);
    if (p->c == '\n')
        return true;
    return is_help ? read_help(p) : read_type(p);
}

static bool read_line(struct parser *p) // p->c is its first byte that is no blank
{
    if (p->c == '\n')
        return true;
    return p->c == '#' ? read_comment(p) : read_sample(p);
}

err metric_families_parse(struct str text, struct metric_families *out, struct errmsg *e)
{
    struct parser p = {.out = out, .e = e, .at = text.p, .end = text.n ? text.p + text.n : text.p};
    arena_init(&out->arena, 0);
    for (;;) {
        p.line++;
        skip_blanks(&p);
        if (p.c < 0 || !read_line(&p))
            break;
    }
    buf_deinit(&p.token);
    mem_free(p.families.slots);
    mem_free(p.series.slots);
    mem_free(p.labels);
    return p.failed ? ERR_INVALID : ERR_OK;
}
