// A template sent for a step holds that step's values and times, read by the receiver's decoder.
#include <criterion/criterion.h>
#include <stdio.h>
#include <zstd.h>

#include "engine/base/bits.h"
#include "engine/base/mem.h"
#include "engine/base/util.h"
#include "engine/model/labels.h"
#include "protocol/remote_write.h"
#include "protocol/snappy_block.h"
#include "tools/loadgen/load_capture.h"
#include "tools/loadgen/write_template.h"

enum { SERIES_MAX = 8000 };

struct made {
    struct write_builder *builder;
    struct load_motion motions[SERIES_MAX];
    struct str labels[SERIES_MAX]; // in the arena
    uint32_t targets[SERIES_MAX];
    size_t n;
    struct arena arena;
};

static void keep(void *arg, uint32_t target, struct str labels, const struct load_motion *motion)
{
    struct made *const m = arg;
    m->labels[m->n] = arena_str(&m->arena, labels);
    m->targets[m->n] = target;
    m->motions[m->n++] = *motion;
    write_builder_add(m->builder, target, labels, motion);
}

static unsigned generation(void *arg, uint32_t target, int64_t t_ms)
{
    (void)arg;
    return ((unsigned)(t_ms / 1000 % 1000) + target) & 0xffff;
}

// The labels as sent, with the generation's digits in their place, encoded.
static void put_expected(const struct made *m, size_t i, int64_t t_ms, struct buf *out)
{
    char digits[8];
    snprintf(digits, sizeof digits, "%04x", generation(NULL, m->targets[i], t_ms));
    size_t digit = 0;
    for (size_t k = 0; k < m->labels[i].n; k++) {
        const bool is_digit = m->labels[i].p[k] == LOAD_GENERATION_BYTE && i < m->n;
        // A size of one byte may be that byte, too: digits stand in fours.
        const bool whole =
            is_digit &&
            (digit || (k + 3 < m->labels[i].n && !memcmp(m->labels[i].p + k, "\1\1\1\1", 4)));
        buf_put_char(out, whole ? digits[digit] : m->labels[i].p[k]);
        digit = whole ? (digit + 1) % 4 : 0;
    }
}

static void check_series(const struct made *m, size_t i, const struct remote_write_series *s,
                         const struct write_options *o, uint64_t step, int64_t t_ms)
{
    struct labels_builder b = {0};
    struct buf encoded = {0}, expected = {0};
    struct str name, value;
    struct remote_write_labels labels = remote_write_labels(s);
    while (remote_write_labels_next(&labels, &name, &value))
        labels_builder_push(&b, name, value);
    labels_builder_encode(&b, &encoded);
    put_expected(m, i, t_ms, &expected);
    cr_assert(str_eq(buf_str(&encoded), buf_str(&expected)), "series %zu", i);
    struct remote_write_samples samples = remote_write_samples(s);
    struct remote_write_sample sample;
    uint32_t k = 0;
    for (; remote_write_samples_next(&samples, &sample); k++) {
        const double wanted = load_value(&m->motions[i], step * o->samples + k);
        cr_assert_eq(sample.bits, bits_from_double(wanted), "series %zu", i);
        cr_assert_eq(sample.time_ms, t_ms + k * o->step_ms);
    }
    cr_assert_eq(k, o->samples);
    labels_builder_deinit(&b);
    buf_deinit(&encoded);
    buf_deinit(&expected);
}

static void check_message(const struct made *m, const struct write_template *t,
                          const struct write_options *o, uint64_t step, int64_t t_ms)
{
    struct buf text = {0};
    struct errmsg e;
    const struct str body = str_from(buf_str(&t->bytes), t->head_n);
    if (o->is_zstd)
        text.n = ZSTD_decompress(buf_reserve(&text, t->text_n), t->text_n, body.p, body.n);
    else
        cr_assert_eq(snappy_block_decompress(body, 64 << 20, &text, &e), ERR_OK);
    cr_assert_eq(text.n, t->text_n);
    struct remote_write w;
    struct remote_write_series s;
    bool more = true;
    size_t i = 0;
    remote_write_init(&w, buf_str(&text));
    for (;; i++) {
        cr_assert_eq(remote_write_next(&w, &s, &more, &e), ERR_OK, "%s", e.text);
        if (!more)
            break;
        if (i < m->n) {
            check_series(m, i, &s, o, step, t_ms);
            continue;
        }
        struct remote_write_samples samples = remote_write_samples(&s);
        struct remote_write_sample sample;
        for (uint32_t k = 0; remote_write_samples_next(&samples, &sample); k++)
            cr_assert_eq(sample.bits, bits_from_double((double)(step * o->samples + k + 1)));
    }
    cr_assert_eq(i, m->n + 1);
    buf_deinit(&text);
}

static void check_shape(const struct load_shape *shape, uint32_t samples, bool is_zstd)
{
    const struct write_options o = {.version = 1,
                                    .is_zstd = is_zstd,
                                    .samples = samples,
                                    .step_ms = 250,
                                    .target = STR("/api/v1/write"),
                                    .host = STR("Host: x\r\n"),
                                    .keeps_series = true};
    struct made *const m = mem_zalloc(sizeof *m);
    struct buf labels = {0};
    struct write_template t;
    arena_init(&m->arena, 0);
    m->builder = write_builder_create(&o);
    load_shape_target(shape, 3, keep, m);
    load_shape_target(shape, 4, keep, m);
    load_shape_sequence(shape, 7, &labels);
    write_builder_add_sequence(m->builder, buf_str(&labels));
    write_builder_finish(m->builder, &t);
    cr_assert_eq(t.series_n, m->n + 1);
    cr_assert_eq(m->n, 2 * load_shape_series(shape));
    const uint64_t steps[] = {0, 5, 1, 1000000};
    for (size_t i = 0; i < countof(steps); i++) {
        const int64_t t_ms = 1782900000000 + (int64_t)steps[i] * 1000;
        const struct write_moment moment = {steps[i], t_ms, generation, NULL};
        write_template_patch(&t, &o, &moment);
        check_message(m, &t, &o, steps[i], t_ms);
        struct buf live = {0};
        write_template_encode(&t, m->builder, &moment, &live);
        struct write_template again = t;
        again.bytes = live;
        const ptrdiff_t body = (ptrdiff_t)(strstr(live.p, "\r\n\r\n") + 4 - live.p);
        again.head_n = (size_t)body;
        check_message(m, &again, &o, steps[i], t_ms);
        buf_deinit(&live);
    }
    write_template_deinit(&t);
    write_builder_destroy(m->builder);
    arena_deinit(&m->arena);
    buf_deinit(&labels);
    mem_free(m);
}

Test(write_template, holds_what_it_is_sent_for)
{
    for (int exporter = 0; exporter < LOAD_EXPORTERS; exporter++) {
        for (int i = 0; i < 4; i++) {
            const struct load_shape shape = {.exporter = (enum load_exporter)exporter,
                                             .is_operator = i & 1,
                                             .has_generations = i & 2,
                                             .run = STR("r")};
            check_shape(&shape, i == 3 ? 7 : 1, i & 1);
        }
    }
}

Test(write_template, values_move_as_they_should)
{
    const struct load_motion counter = {
        .base = 5, .step = 2.5, .divisor = 1, .seed = 9, .kind = LOAD_COUNTER};
    const struct load_motion gauge = {
        .base = 100, .step = 10, .divisor = 1, .seed = 9, .kind = LOAD_GAUGE};
    double last = 0;
    for (uint64_t step = 0; step < 100000; step++) {
        const double value = load_value(&counter, step);
        cr_assert(value >= last && value >= floor(5 + 2.5 * (double)step));
        last = value;
        const double g = load_value(&gauge, step);
        cr_assert(g >= 94 && g <= 105);
    }
    // Bursts stand still between, levels hold; a counter that is reset begins near 0.
    const struct load_motion bursts = {
        .base = 5, .step = 2.5, .divisor = 1, .seed = 9, .kind = LOAD_BURSTS};
    const struct load_motion levels = {
        .base = 100, .step = 10, .divisor = 1, .seed = 9, .kind = LOAD_LEVELS};
    const struct load_motion reset = {.base = 1000,
                                      .step = 1,
                                      .divisor = 1,
                                      .seed = 9,
                                      .period = 300,
                                      .phase = 100,
                                      .kind = LOAD_COUNTER};
    size_t jumps = 0, changes = 0, resets = 0;
    for (uint64_t step = 1; step < 16000; step++) {
        cr_assert(load_value(&bursts, step) >= load_value(&bursts, step - 1));
        jumps += load_value(&bursts, step) != load_value(&bursts, step - 1);
        changes += load_value(&levels, step) != load_value(&levels, step - 1);
        const bool is_reset = load_value(&reset, step) < load_value(&reset, step - 1);
        cr_assert_eq(is_reset, (step + 100) % 300 == 0);
        cr_assert(!is_reset || load_value(&reset, step) < 2);
        resets += is_reset;
    }
    cr_assert_eq(jumps, 999);
    cr_assert(changes > 700 && changes <= 1000);
    cr_assert_eq(resets, 53);
}

// Of a series that is not there the receiver's decoder sees nothing, but a stale marker at first.
static void check_presence(const struct load_capture *c, const struct made *m, struct str message,
                           uint64_t step, size_t told_n)
{
    struct buf text = {0};
    struct remote_write w;
    struct remote_write_series s;
    struct errmsg e;
    bool more = true;
    size_t i = 0, n = 0, lost = 0;
    const struct str body =
        str_from(message, (size_t)(strstr(message.p, "\r\n\r\n") + 4 - message.p));
    cr_assert_eq(snappy_block_decompress(body, 64 << 20, &text, &e), ERR_OK);
    remote_write_init(&w, buf_str(&text));
    for (; remote_write_next(&w, &s, &more, &e) == ERR_OK && more; i++, n++) {
        while (i < c->n && !load_is_there(&m->motions[i], step) &&
               !(step && load_is_there(&m->motions[i], step - 1)))
            i++;
        struct remote_write_samples samples = remote_write_samples(&s);
        struct remote_write_sample sample;
        cr_assert(remote_write_samples_next(&samples, &sample));
        if (i >= c->n)
            continue; // the sequence
        cr_assert_eq(sample.bits, bits_from_double(load_value(&m->motions[i], step)));
        lost += sample.bits == VALUE_STALE_BITS;
        cr_assert_eq(sample.bits == VALUE_STALE_BITS, !load_is_there(&m->motions[i], step));
    }
    cr_assert(!more);
    cr_assert_eq(n, told_n);
    cr_assert(step || !lost);
    buf_deinit(&text);
}

Test(write_template, captured_series_come_and_go)
{
    static const char scrapes[] = "a 1\nb 2\n# EOF\na 2\nc 3\n# EOF\na 3\nc 4\n# EOF\nb 2\n";
    const struct write_options o = {.version = 1,
                                    .samples = 1,
                                    .step_ms = 1000,
                                    .target = STR("/w"),
                                    .host = STR("Host: x\r\n"),
                                    .keeps_series = true};
    struct load_capture *c = NULL;
    cr_assert_eq(load_capture_parse(str_from_c(scrapes), &c, NULL), ERR_OK);
    const struct load_shape shape = {.capture = c, .run = STR("r")};
    for (uint32_t target = 0; target < 5; target++) {
        struct made *const m = mem_zalloc(sizeof *m);
        struct write_template t;
        struct buf labels = {0};
        arena_init(&m->arena, 0);
        m->builder = write_builder_create(&o);
        load_shape_target(&shape, target, keep, m);
        load_shape_sequence(&shape, 7, &labels);
        write_builder_add_sequence(m->builder, buf_str(&labels));
        write_builder_finish(m->builder, &t);
        for (uint64_t step = 0; step < 9; step++) {
            const struct write_moment moment = {step, 1782900000000, generation, NULL};
            struct buf live = {0};
            size_t told_n = write_template_patch(&t, &o, &moment);
            check_presence(c, m, buf_str(&t.bytes), step, told_n);
            cr_assert_eq(write_template_encode(&t, m->builder, &moment, &live), told_n);
            check_presence(c, m, buf_str(&live), step, told_n);
            buf_deinit(&live);
        }
        write_template_deinit(&t);
        write_builder_destroy(m->builder);
        arena_deinit(&m->arena);
        buf_deinit(&labels);
        mem_free(m);
    }
    load_capture_destroy(c);
}

// Enough of protobuf for 2.0: symbols, and of each series the first reference and its samples.
static uint64_t varint(const char **at)
{
    uint64_t value = 0;
    for (int shift = 0;; shift += 7) {
        const unsigned char c = (unsigned char)*(*at)++;
        value |= (uint64_t)(c & 0x7f) << shift;
        if (c < 0x80)
            return value;
    }
}

Test(write_template, second_version)
{
    const struct load_shape shape = {
        .exporter = LOAD_NODE, .has_generations = true, .run = STR("r")};
    const struct write_options o = {.version = 2,
                                    .keeps_series = true,
                                    .samples = 1,
                                    .step_ms = 250,
                                    .target = STR("/w"),
                                    .host = STR("Host: x\r\n")};
    const struct write_moment moment = {42, 1782900000000, generation, NULL};
    struct made *const m = mem_zalloc(sizeof *m);
    struct write_template t;
    struct buf text = {0}, live = {0}, again = {0};
    arena_init(&m->arena, 0);
    m->builder = write_builder_create(&o);
    load_shape_target(&shape, 3, keep, m);
    write_builder_finish(m->builder, &t);
    write_template_patch(&t, &o, &moment);
    cr_assert_eq(
        snappy_block_decompress(str_from(buf_str(&t.bytes), t.head_n), 64 << 20, &text, NULL),
        ERR_OK);
    write_template_encode(&t, m->builder, &moment, &live);
    const size_t body = (size_t)(strstr(live.p, "\r\n\r\n") + 4 - live.p);
    cr_assert_eq(snappy_block_decompress(str_from(buf_str(&live), body), 64 << 20, &again, NULL),
                 ERR_OK);
    cr_assert(str_eq(buf_str(&again), buf_str(&text)), "encoded live it is the same message");
    const char *at = text.p, *const end = text.p + text.n;
    struct str symbols[4096];
    size_t symbols_n = 0, series = 0;
    while (at < end) {
        const char tag = *at++;
        const uint64_t n = varint(&at);
        if (tag == 0x22)
            symbols[symbols_n++] = str_make(at, (size_t)n);
        if (tag == 0x2a) {
            const char *p = at;
            cr_assert_eq(*p++, 0x0a);
            const uint64_t refs_n = varint(&p);
            const char *refs = p;
            const uint64_t name = varint(&refs), value = varint(&refs);
            cr_assert(name < symbols_n && value < symbols_n);
            struct str wanted;
            cr_assert(labels_get(m->labels[series], LABEL_NAME, &wanted));
            cr_assert(str_eq(symbols[name], LABEL_NAME) && str_eq(symbols[value], wanted));
            p += refs_n;
            cr_assert_eq(memcmp(p, "\x12\x10\x09", 3), 0);
            cr_assert_eq(load_le64(p + 3), bits_from_double(load_value(&m->motions[series], 42)));
            p += 12;
            cr_assert_eq(varint(&p), 1782900000000);
            series++;
        }
        at += n;
    }
    cr_assert_eq(series, m->n);
    cr_assert_eq(symbols[0].n, 0);
    bool has_generation = false;
    for (size_t i = 0; i < symbols_n; i++) // 1782900000 % 1000 + 3 is 3
        has_generation |= str_contains(symbols[i], STR("-0003:9100"));
    cr_assert(has_generation);
    write_template_deinit(&t);
    write_builder_destroy(m->builder);
    arena_deinit(&m->arena);
    buf_deinit(&text);
    buf_deinit(&live);
    buf_deinit(&again);
    mem_free(m);
}
