#include "tests/fuzz/exposition_properties.h"

#include <stdio.h>

#include "engine/base/bits.h"
#include "engine/base/number.h"
#include "engine/base/util.h"
#include "protocol/exposition_diff.h"
#include "protocol/exposition_parse.h"
#include "simd/simd.h"
#include "tests/fuzz/fuzz.h"

typedef err next_fn(struct exposition *x, enum exposition_event *out, struct errmsg *e);

static err next_by_lexer(struct exposition *x, enum exposition_event *out, struct errmsg *e)
{
    x->line = x->lex.at;
    x->value = 0;
    x->has_exemplar = false;
    return x->format == EXPOSITION_TEXT ? exposition_next_text(x, out, e)
                                        : exposition_next_openmetrics(x, out, e);
}

static void put_slice(struct buf *out, struct str s)
{
    buf_printf(out, "<%zu:", s.n);
    buf_put_str(out, s);
    buf_put_char(out, '>');
}

static void put_labels(struct exposition_labels *i, struct buf *out)
{
    struct str name, value;
    while (exposition_labels_next(i, &name, &value)) {
        put_slice(out, name);
        put_slice(out, value);
    }
}

static void put_sample(const struct exposition_sample *s, struct buf *out)
{
    buf_put_le64(out, s->bits);
    buf_put_le64(out, s->has_time ? (uint64_t)s->time_ms : 0);
    buf_put_char(out, s->has_time ? 't' : '-');
}

static void put_event(const struct exposition *x, enum exposition_event event, struct buf *out)
{
    struct buf scratch = {0};
    buf_printf(out, "event %d at %zu value %zu next %zu type %d ", (int)event, x->line, x->value,
               x->lex.at, (int)x->type);
    if (event == EXPOSITION_TYPE || event == EXPOSITION_HELP || event == EXPOSITION_UNIT)
        put_slice(out, x->name);
    if (event == EXPOSITION_HELP)
        put_slice(out, exposition_help(x, &scratch));
    if (event == EXPOSITION_UNIT || event == EXPOSITION_COMMENT)
        put_slice(out, x->text);
    if (event == EXPOSITION_SERIES) {
        struct exposition_labels i;
        put_slice(out, x->series);
        exposition_labels_init(&i, x, &scratch);
        put_labels(&i, out);
        put_sample(&x->sample, out);
        if (x->has_exemplar) {
            exposition_exemplar_init(&i, x, &scratch);
            put_labels(&i, out);
            put_sample(&x->exemplar, out);
        }
    }
    buf_deinit(&scratch);
}

// All that a body says, as bytes to compare.
static struct buf transcript(enum exposition_format format, struct str body, next_fn *next)
{
    struct buf out = {0};
    struct exposition x;
    struct errmsg e;
    enum exposition_event event = EXPOSITION_COMMENT;
    exposition_init(&x, format, body);
    while (event != EXPOSITION_END) {
        if (next(&x, &event, &e) != ERR_OK) {
            buf_printf(&out, "error %s", e.text);
            break;
        }
        put_event(&x, event, &out);
    }
    return out;
}

static void put_escaped(struct buf *out, struct str s)
{
    buf_put_char(out, '"');
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '\\' || s.p[i] == '"')
            buf_put_char(out, '\\');
        if (s.p[i] == '\n')
            buf_put_str(out, STR("\\n"));
        else
            buf_put_char(out, s.p[i]);
    }
    buf_put_char(out, '"');
}

// {"name","label"="value"} 1.5 99
static struct buf print_sample(const struct exposition *x)
{
    struct buf out = {0}, scratch = {0};
    struct exposition_labels i;
    struct str name, value;
    exposition_labels_init(&i, x, &scratch);
    buf_put_char(&out, '{');
    fuzz_must(exposition_labels_next(&i, &name, &value));
    put_escaped(&out, value);
    while (exposition_labels_next(&i, &name, &value)) {
        buf_put_char(&out, ',');
        put_escaped(&out, name);
        buf_put_char(&out, '=');
        put_escaped(&out, value);
    }
    buf_put_str(&out, STR("} "));
    buf_put_double_g(&out, double_from_bits(x->sample.bits));
    if (x->sample.has_time && x->format == EXPOSITION_TEXT) {
        buf_put_char(&out, ' ');
        buf_put_i64(&out, x->sample.time_ms);
    }
    buf_put_char(&out, '\n');
    buf_deinit(&scratch);
    return out;
}

static void check_printed(const struct exposition *x)
{
    struct buf line = print_sample(x), a = {0}, b = {0}, scratch = {0};
    struct exposition y;
    enum exposition_event event;
    exposition_init(&y, x->format, buf_str(&line));
    y.type = x->type;
    fuzz_must(exposition_next(&y, &event, NULL) == ERR_OK && event == EXPOSITION_SERIES);
    struct exposition_labels i;
    exposition_labels_init(&i, x, &scratch);
    put_labels(&i, &a);
    exposition_labels_init(&i, &y, &scratch);
    put_labels(&i, &b);
    fuzz_must(str_eq(buf_str(&a), buf_str(&b)));
    fuzz_must(x->sample.bits == y.sample.bits);
    if (x->format == EXPOSITION_TEXT)
        fuzz_must(x->sample.has_time == y.sample.has_time &&
                  (!y.sample.has_time || x->sample.time_ms == y.sample.time_ms));
    buf_deinit(&line);
    buf_deinit(&a);
    buf_deinit(&b);
    buf_deinit(&scratch);
}

void exposition_check(enum exposition_format format, struct str body)
{
    static const uint32_t masks[] = {SIMD_C, SIMD_SSE42, SIMD_ALL};
    struct buf want = transcript(format, body, next_by_lexer);
    for (size_t i = 0; i < countof(masks); i++) {
        simd_init(masks[i]);
        struct buf got = transcript(format, body, exposition_next);
        fuzz_must(str_eq(buf_str(&want), buf_str(&got)));
        buf_deinit(&got);
    }
    buf_deinit(&want);
    struct exposition x;
    enum exposition_event event;
    exposition_init(&x, format, body);
    while (exposition_next(&x, &event, NULL) == ERR_OK && event != EXPOSITION_END)
        if (event == EXPOSITION_SERIES)
            check_printed(&x);
}

struct reading {
    struct exposition_lines lines;
    struct exposition_sample *samples; // by line
    enum exposition_type type;         // of the last TYPE line
    bool ok;
};

static struct reading read_alone(enum exposition_format format, struct str body)
{
    struct reading r = {0};
    size_t lines = 1;
    for (size_t i = 0; i < body.n; i++)
        lines += body.p[i] == '\n';
    // In OpenMetrics an unfinished line may count as a sample before the next call refuses it.
    r.samples = calloc(lines + 1, sizeof r.samples[0]);
    fuzz_must(r.samples != NULL);
    struct exposition x;
    enum exposition_event event;
    exposition_init(&x, format, body);
    while ((r.ok = exposition_next(&x, &event, NULL) == ERR_OK) && event != EXPOSITION_END) {
        fuzz_must(r.lines.n <= lines);
        if (event == EXPOSITION_SERIES)
            r.samples[r.lines.n] = x.sample;
        exposition_lines_push(&r.lines, &x);
    }
    r.type = x.type;
    return r;
}

static bool sample_eq(const struct exposition_sample *a, const struct exposition_sample *b)
{
    return a->bits == b->bits && a->has_time == b->has_time &&
           (!a->has_time || a->time_ms == b->time_ms);
}

void exposition_check_beside(enum exposition_format format, struct str old_body, struct str body)
{
    enum { MAX = 3 };
    struct reading old = read_alone(format, old_body), now = read_alone(format, body);
    struct exposition_diff d = {.body = old_body, .lines = &old.lines};
    struct exposition_lines lines = {0};
    struct exposition x;
    exposition_init(&x, format, body);
    bool ok = true;
    for (enum exposition_event event = EXPOSITION_COMMENT; ok && event != EXPOSITION_END;) {
        struct exposition_change changes[MAX];
        const size_t from = d.at, into = lines.n;
        const size_t n = exposition_diff_run(&d, &x, &lines, changes, MAX);
        for (size_t i = from, c = 0; i < d.at; i++) {
            const bool is_changed = c < n && changes[c].line == i;
            const size_t k = into + (i - from);
            fuzz_must(k < now.lines.n);
            fuzz_must(
                sample_eq(is_changed ? &changes[c].sample : &old.samples[i], &now.samples[k]));
            fuzz_must(lines.items[k].type == now.lines.items[k].type);
            c += is_changed;
        }
        if (d.is_cut)
            continue;
        ok = exposition_next(&x, &event, NULL) == ERR_OK;
        if (ok && event != EXPOSITION_END) {
            exposition_lines_push(&lines, &x);
            d.at += d.at < old.lines.n;
        }
    }
    fuzz_must(ok == now.ok && lines.n == now.lines.n && x.type == now.type);
    for (size_t i = 0; i < lines.n; i++)
        fuzz_must(lines.items[i].start == now.lines.items[i].start &&
                  lines.items[i].value == now.lines.items[i].value);
    exposition_lines_deinit(&lines);
    exposition_lines_deinit(&old.lines);
    exposition_lines_deinit(&now.lines);
    free(old.samples);
    free(now.samples);
}
