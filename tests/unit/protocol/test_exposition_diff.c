// Reading a body beside the previous one gives what reading it alone gives.
#include "protocol/exposition_diff.h"

#include <criterion/criterion.h>
#include <inttypes.h>

#include "engine/base/rng.h"
#include "engine/base/util.h"
#include "simd/simd.h"
#include "tests/lib/capture.h"

// A body as read alone: a sample for each line, and the lines.
struct reading {
    struct str body;
    struct exposition_lines lines;
    struct exposition_sample *samples; // by line
    struct str *series;                // by line; p is NULL: no sample
    bool ok;
};

static struct reading read_alone(enum exposition_format format, struct str body)
{
    struct reading r = {.body = body};
    size_t lines = 1;
    for (size_t i = 0; i < body.n; i++)
        lines += body.p[i] == '\n';
    r.samples = calloc(lines, sizeof r.samples[0]);
    r.series = calloc(lines, sizeof r.series[0]);
    struct exposition x;
    exposition_init(&x, format, body);
    enum exposition_event event;
    while ((r.ok = exposition_next(&x, &event, NULL) == ERR_OK) && event != EXPOSITION_END) {
        if (event == EXPOSITION_SERIES) {
            r.samples[r.lines.n] = x.sample;
            r.series[r.lines.n] = x.series;
        }
        exposition_lines_push(&r.lines, &x);
    }
    return r;
}

static void forget(struct reading *r)
{
    exposition_lines_deinit(&r->lines);
    free(r->samples);
    free(r->series);
}

static bool sample_eq(struct exposition_sample a, struct exposition_sample b)
{
    return a.bits == b.bits && a.has_time == b.has_time && (!a.has_time || a.time_ms == b.time_ms);
}

// Reads now beside old and compares with now read alone. How many lines went through the lexer.
static size_t check(enum exposition_format format, struct str old_body, struct str body)
{
    struct reading old = read_alone(format, old_body), now = read_alone(format, body);
    struct exposition_diff d = {.body = old_body, .lines = &old.lines};
    struct exposition_lines lines = {0};
    struct exposition x;
    exposition_init(&x, format, body);
    size_t strays = 0;
    bool ok = true;
    for (enum exposition_event event = EXPOSITION_COMMENT; ok && event != EXPOSITION_END;) {
        enum { MAX = 7 };
        struct exposition_change changes[MAX];
        const size_t from = d.at, into = lines.n;
        const size_t n = exposition_diff_run(&d, &x, &lines, changes, MAX);
        for (size_t i = from, c = 0; i < d.at; i++) {
            const bool changed = c < n && changes[c].line == i;
            const struct exposition_sample sample = changed ? changes[c++].sample : old.samples[i];
            const size_t k = into + (i - from);
            cr_assert(str_eq(now.series[k], old.series[i]),
                      "line %zu of\n%.*s\nbehind\n%.*s (%zu %zu)", k, STR_ARG(body),
                      STR_ARG(old_body), body.n, old_body.n);
            cr_assert(sample_eq(sample, now.samples[k]), "line %zu of\n%.*s", k, STR_ARG(body));
        }
        if (d.is_cut)
            continue;
        ok = exposition_next(&x, &event, NULL) == ERR_OK;
        if (ok && event != EXPOSITION_END) {
            strays++;
            if (event == EXPOSITION_SERIES) {
                cr_assert(sample_eq(x.sample, now.samples[lines.n]));
                cr_assert(str_eq(x.series, now.series[lines.n]));
            }
            exposition_lines_push(&lines, &x);
            d.at += d.at < old.lines.n; // a guess of where to go on; any is right
        }
    }
    cr_assert_eq(ok, now.ok);
    cr_assert_eq(lines.n, now.lines.n);
    cr_assert_geq(lines.end, now.lines.end);
    for (size_t i = now.lines.end; i < lines.end; i++)
        cr_assert(body.p[i] == '\n' || body.p[i] == ' ' || body.p[i] == '\t');
    for (size_t i = 0; i < lines.n; i++) {
        const struct exposition_line *a = &lines.items[i], *b = &now.lines.items[i];
        cr_assert(a->start == b->start && a->value == b->value && a->type == b->type,
                  "line %zu of\n%.*s", i, STR_ARG(body));
    }
    exposition_lines_deinit(&lines);
    forget(&old);
    forget(&now);
    return strays;
}

#define TEXT(literal)                \
    {                                \
        literal, sizeof(literal) - 1 \
    }
static const struct str texts[] = {
    TEXT("# HELP a x\n# TYPE a gauge\na 1\na{b=\"c\"} 2\n\n# note\nb 3 4\nc NaN\n"),
    TEXT("# HELP a x\n# TYPE a gauge\na 1\na{b=\"c\"} 25\n\n# note\nb 3 5\nc 1\n"),
    TEXT("# HELP a x\n# TYPE a gauge\na 100\na{b=\"d\"} 2\na{b=\"c\"} 2\n\nb 3 4\nc NaN\n"),
    TEXT("a 1\na{b=\"c\"} 2\nb 3 4\nc NaN"),
    TEXT("a 1\na{b=\"c\"} 2\nb 3 4\nc NaN 55"),
    TEXT("a 1\na{b=\"c\"} 2\nb 3 44\nc NaN5\n"),
    TEXT("a 1 \n a 2\nb +3\n"),
    TEXT(""),
};

Test(exposition_diff, every_pair)
{
    for (size_t i = 0; i < countof(texts); i++)
        for (size_t k = 0; k < countof(texts); k++)
            check(EXPOSITION_TEXT, texts[i], texts[k]);
    cr_assert_eq(check(EXPOSITION_TEXT, texts[0], texts[0]), 0);
    cr_assert_eq(check(EXPOSITION_OPENMETRICS, STR("# TYPE a gauge\na 1\nb 2 3.5\n# EOF\n"),
                       STR("# TYPE a gauge\na 12\nb 2 4.5\n# EOF\n")),
                 0);
    cr_assert_eq(check(EXPOSITION_OPENMETRICS, STR("a 1 # {x=\"y\"} 1\nb 2\n# EOF\n"),
                       STR("a 2 # {x=\"y\"} 1\nb 3\n# EOF")),
                 1);
}

// Bytes changed, lost and doubled anywhere, under each set of kernels.
Test(exposition_diff, damage)
{
    static const uint32_t masks[] = {SIMD_C, SIMD_SSE42, SIMD_ALL};
    for (size_t m = 0; m < countof(masks); m++) {
        simd_init(masks[m]);
        struct rng rng;
        rng_init(&rng, 7 + m);
        for (int round = 0; round < 20000; round++) {
            char text[256];
            const struct str from = texts[rng_u64(&rng) % countof(texts)];
            size_t n = from.n;
            memcpy(text, from.p, n);
            for (uint64_t edits = rng_u64(&rng) % 4; n > 1 && edits-- > 0;) {
                const size_t at = rng_u64(&rng) % n, size = rng_u64(&rng) % (n - at);
                if (rng_u64(&rng) % 2)
                    text[at] = "\n 1#{}\"a"[rng_u64(&rng) % 8];
                else
                    memmove(text + at, text + at + size % 9, n - at - size % 9), n -= size % 9;
            }
            check(EXPOSITION_TEXT, from, str_make(text, n));
            check(EXPOSITION_TEXT, str_make(text, n), from);
        }
    }
}

// Real scrapes read completely, alone and beside each other, and nearly nothing is left to the
// lexer.
Test(exposition_diff, recording)
{
    struct capture c;
    if (!capture_load(&c))
        cr_skip("no recording");
    simd_init(SIMD_ALL);
    size_t strays = 0;
    for (size_t i = 1; i < c.n; i++) {
        struct reading r = read_alone(EXPOSITION_TEXT, c.bodies[i]);
        size_t samples = 0;
        for (size_t k = 0; k < r.lines.n; k++)
            samples += r.series[k].p != NULL;
        cr_assert(r.ok && samples > 500, "%zu samples", samples);
        forget(&r);
        strays += check(EXPOSITION_TEXT, c.bodies[i - 1], c.bodies[i]);
    }
    cr_assert_lt(strays, c.n);
    capture_deinit(&c);
}
