// How many bytes and nanoseconds a sample costs in the write-ahead log.
//
// bench_wal [capture] [every]: a sequence of scrape bodies (f64 time, u32 size, body), of which one
// in every is taken and its time stretched to 15 s; without a capture, a few made-up bodies. Each
// question is a JSON line. The bodies are parsed before anything is measured.
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "engine/base/bits.h"
#include "engine/base/hash.h"
#include "engine/base/mem.h"
#include "engine/base/rng.h"
#include "engine/model/labels.h"
#include "engine/tsdb/wal_decode.h"
#include "engine/tsdb/wal_encode.h"
#include "protocol/exposition.h"
#include "simd/simd.h"

enum { SLOTS = 1 << 14, SERIES_MAX = 4096, STEP_MS = 15000, SHARES = 8 };

struct scrape {
    uint32_t *members;
    uint64_t *bits;
    uint32_t n;
};

struct bench {
    struct scrape *scrapes;
    size_t count, capacity, samples;
    uint32_t slots[SLOTS]; // series + 1 by hash of its text
    uint64_t hashes[SERIES_MAX];
    struct str labels[SERIES_MAX];
    uint32_t series;
    struct arena arena;
};

static double now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void describe(struct bench *b, struct exposition *x)
{
    struct labels_builder builder = {0};
    struct buf scratch = {0};
    struct exposition_labels labels;
    struct label l;
    exposition_labels_init(&labels, x, &scratch);
    while (exposition_labels_next(&labels, &l.name, &l.value))
        labels_builder_set(&builder, l.name, l.value);
    labels_builder_set(&builder, STR("job"), STR("node"));
    labels_builder_set(&builder, STR("instance"), STR("localhost:9100"));
    b->labels[b->series] = labels_builder_finish(&builder, &b->arena);
    labels_builder_deinit(&builder);
    buf_deinit(&scratch);
}

static uint32_t series_of(struct bench *b, struct exposition *x)
{
    const uint64_t hash = hash64(x->series.p, x->series.n, 0);
    size_t at = hash % SLOTS;
    while (b->slots[at] && b->hashes[b->slots[at] - 1] != hash)
        at = (at + 1) % SLOTS;
    if (b->slots[at])
        return b->slots[at] - 1;
    if (b->series == SERIES_MAX)
        exit(1);
    b->hashes[b->series] = hash;
    describe(b, x);
    b->slots[at] = ++b->series;
    return b->series - 1;
}

static int by_member(const void *a, const void *b)
{
    const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

// Members ascending: series that appear later have higher numbers, so a body is nearly sorted.
static void add_body(struct bench *b, struct str body)
{
    static uint32_t order[SERIES_MAX];
    static uint64_t values[SERIES_MAX];
    struct exposition x;
    enum exposition_event event;
    uint32_t n = 0;
    exposition_init(&x, EXPOSITION_TEXT, body);
    while (exposition_next(&x, &event, NULL) == ERR_OK && event != EXPOSITION_END) {
        if (event != EXPOSITION_SERIES)
            continue;
        const uint32_t s = series_of(b, &x);
        values[s] = x.sample.bits;
        order[n++] = s;
    }
    qsort(order, n, sizeof *order, by_member);
    struct scrape s = {mem_alloc_array(n, 4), mem_alloc_array(n, 8), n};
    for (uint32_t i = 0; i < n; i++) {
        s.members[i] = order[i];
        s.bits[i] = values[order[i]];
    }
    b->scrapes = mem_grow(b->scrapes, &b->capacity, b->count + 1, sizeof *b->scrapes);
    b->scrapes[b->count++] = s;
    b->samples += n;
}

static bool load_capture(struct bench *b, const char *path, unsigned every)
{
    FILE *f = fopen(path, "rb");
    if (!f)
        return false;
    struct buf body = {0};
    uint8_t head[12];
    for (size_t i = 0; fread(head, sizeof head, 1, f) == 1; i++) {
        const uint32_t n = load_le32(head + 8);
        buf_reset(&body);
        if (fread(buf_reserve(&body, n), 1, n, f) != n)
            break;
        body.n = n;
        if (i % every == 0)
            add_body(b, buf_str(&body));
    }
    buf_deinit(&body);
    fclose(f);
    return true;
}

static void make_up(struct bench *b)
{
    struct rng r;
    rng_init(&r, 1);
    for (uint64_t i = 0; i < 40; i++) {
        struct buf body = {0};
        for (uint64_t k = 0; k < 100; k++)
            buf_printf(&body, "metric_%llu{cpu=\"%llu\"} %llu\n", (unsigned long long)k / 4,
                       (unsigned long long)k % 4,
                       (unsigned long long)(k % 3 ? k : i * 1000 + rng_below(&r, 900)));
        add_body(b, buf_str(&body));
        buf_deinit(&body);
    }
}

static void source_cohort(void *arg, uint32_t cohort, struct wal_cohort_info *out)
{
    (void)arg;
    *out = (struct wal_cohort_info){cohort, cohort};
}

static struct str source_member(void *arg, uint32_t cohort, uint32_t member)
{
    (void)cohort;
    return ((struct bench *)arg)->labels[member];
}

static err on_define(void *arg, const struct wal_cohort_info *info, uint32_t cohort,
                     struct str labels, uint64_t *out_handle, struct errmsg *e)
{
    (void)arg, (void)info, (void)cohort, (void)labels, (void)e;
    *out_handle = 1;
    return ERR_OK;
}

static err on_row(void *arg, const struct wal_replay_row *row, struct errmsg *e)
{
    (void)e;
    *(uint64_t *)arg += row->n;
    return ERR_OK;
}

// A scrape as rows: whole, or scattered by series over senders that each send their part.
static size_t rows_of(const struct bench *b, size_t at, unsigned shares, struct wal_row *rows,
                      uint32_t *members, uint64_t *bits)
{
    const struct scrape *s = &b->scrapes[at];
    const int64_t t_ms = 1700000000000 + (int64_t)at * STEP_MS;
    if (shares == 1) {
        rows[0] = (struct wal_row){.t_ms = t_ms, .members = s->members, .bits = s->bits, .n = s->n};
        return 1;
    }
    uint32_t n = 0;
    for (unsigned k = 0; k < shares; k++) {
        const uint32_t from = n;
        for (uint32_t i = 0; i < s->n; i++) {
            if (b->hashes[s->members[i]] % shares != k)
                continue;
            members[n] = s->members[i];
            bits[n++] = s->bits[i];
        }
        rows[k] = (struct wal_row){
            .t_ms = t_ms, .members = members + from, .bits = bits + from, .n = n - from};
    }
    return shares;
}

static const struct wal_segment SEGMENT = {.number = 1, .first_seq = 1, .salt = 99};

// together: how many scrapes' rows share a write. The bytes of the segment are appended to out.
static double encode_all(const struct bench *b, struct wal_encoder *enc, unsigned shares,
                         unsigned together, struct buf *out)
{
    static uint32_t members[SERIES_MAX];
    static uint64_t bits[SERIES_MAX];
    struct wal_row rows[SHARES];
    struct buf part = {0};
    double ns = 0;
    wal_encoder_begin(enc, &SEGMENT, WAL_SEGMENT_HEADER_BYTES);
    for (size_t i = 0; i < b->count; i++) {
        const size_t n = rows_of(b, i, shares, rows, members, bits);
        const bool write = i % together == together - 1 || i + 1 == b->count;
        for (size_t k = 0; k < n; k++) { // each sender's request is a commit of its own
            const double t = now_ns();
            wal_encode(enc, &rows[k], 1);
            if (write)
                wal_encoder_take(enc, &part);
            ns += now_ns() - t;
            buf_put_str(out, buf_str(&part));
            buf_reset(&part);
        }
    }
    buf_deinit(&part);
    return ns;
}

static double decode_all(const struct bench *b, const struct buf *in)
{
    const struct wal_replay_ops ops = {.define = on_define, .row = on_row};
    uint64_t decoded = 0;
    struct wal_decoder *d = wal_decoder_create(&ops, &decoded, 0, 1);
    const double t = now_ns();
    for (size_t at = 0; at < in->n;) {
        const uint8_t *p = (const uint8_t *)in->p + at;
        struct wal_frame f;
        uint32_t bad;
        if (!wal_frame_load(&SEGMENT, WAL_SEGMENT_HEADER_BYTES + at, p, in->n - at, &f) ||
            wal_decoder_frame(d, &f, p + WAL_FRAME_HEADER_BYTES, &bad, NULL) != ERR_OK || bad)
            exit(1);
        at += WAL_FRAME_HEADER_BYTES + f.size;
    }
    const double ns = now_ns() - t;
    wal_decoder_destroy(d);
    if (decoded != b->samples)
        exit(1);
    return ns;
}

static void measure(struct bench *b, const char *name, unsigned shares, unsigned together)
{
    const struct wal_source source = {source_cohort, source_member, b};
    struct wal_encoder *enc = wal_encoder_create(&source);
    struct buf all = {0};
    const double encode_ns = encode_all(b, enc, shares, together, &all);
    const double decode_ns = decode_all(b, &all);
    const double samples = (double)b->samples;
    const struct wal_encoder_stats *s = wal_encoder_stats(enc);
    printf("{\"bench\":\"wal\",\"case\":\"%s\",\"scrapes\":%zu,\"series\":%u,\"samples\":%zu,"
           "\"bytes_per_sample\":%.3f,\"bytes_per_sample_without_definitions\":%.3f,"
           "\"definition_bytes_per_series\":%.1f,\"encode_ns_per_sample\":%.2f,"
           "\"replay_ns_per_sample\":%.2f,\"state_bytes_per_series\":%.1f}\n",
           name, b->count, b->series, b->samples, (double)all.n / samples,
           (double)(all.n - s->definition_bytes) / samples,
           (double)s->definition_bytes / (double)s->definitions, encode_ns / samples,
           decode_ns / samples, (double)s->state_bytes / b->series);
    wal_encoder_destroy(enc);
    buf_deinit(&all);
}

int main(int argc, char **argv)
{
    static struct bench b;
    arena_init(&b.arena, 0);
    simd_init(SIMD_ALL);
    const unsigned every = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 1;
    if (argc > 1 && !load_capture(&b, argv[1], every ? every : 1)) {
        perror(argv[1]);
        return 1;
    }
    if (b.count == 0)
        make_up(&b);
    measure(&b, "whole scrapes", 1, 1);
    measure(&b, "whole scrapes, 8 in a write", 1, 8);
    measure(&b, "scattered over 8 senders", SHARES, 1);
    for (size_t i = 0; i < b.count; i++) {
        mem_free(b.scrapes[i].members);
        mem_free(b.scrapes[i].bits);
    }
    mem_free(b.scrapes);
    arena_deinit(&b.arena);
    return 0;
}
