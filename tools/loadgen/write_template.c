// The messages, before compression (tag bytes in hexadecimal):
//
//   1.0  0a size { 0a size { 0a name 12 value } ...  12 10 { 09 value8 10 time6 } ... } ...
//   2.0  22 symbol ...  2a size { 0a size refs  12 10 { 09 value8 10 time6 } ...  2a 02 08 type }
//   ...
//
// A native histogram has 22 size { ... } (1.0) or 1a size { ... } (2.0) instead of a sample:
//
//   08 count6  19 sum8  20 schema  29 threshold8  30 00  5a 04 { 08 offset 10 length }
//   62 size { delta5 ... }  78 time6
//
// Its count and deltas are varints with more bytes than they need, so that their size stays.
// A series that is not there, of a capture in which it comes and goes, keeps its bytes: its tag is
// that of a field nobody knows, 7a, which decoders skip.
// A time is a varint of six bytes from 1971 to 2109, so all samples have one size. The first time
// of each kind is a hole, later ones are the same as it; values that move are holes.
#include "tools/loadgen/write_template.h"

#include <assert.h>
#include <stdio.h>
#include <zstd.h>

#include "engine/base/bits.h"
#include "engine/base/hash.h"
#include "engine/base/mem.h"
#include "engine/base/util.h"
#include "engine/model/labels.h"
#include "protocol/snappy_block.h"
#include "tools/loadgen/holey_snappy.h"
#include "tools/loadgen/holey_zstd.h"
#include "tools/loadgen/load_histogram.h"

enum {
    VALUE_BYTES = 8,
    TIME_BYTES = 6,
    SAMPLE_BYTES = 1 + VALUE_BYTES + 1 + TIME_BYTES,
    SERIES_TAG_1 = 0x0a,
    SERIES_TAG_2 = 0x2a,
    UNKNOWN_TAG = 0x7a,
    SYMBOL_TAG = 0x22,
    SYMBOLS_BITS = 16,
    ZSTD_LEVEL = 1, // as vmagent
};

enum {
    COUNT_BYTES = 6,
    DELTA_BYTES = 5,
    HISTOGRAM_TAG_1 = 0x22,
    HISTOGRAM_TAG_2 = 0x1a,
};

enum place_kind {
    PLACE_COUNT,
    PLACE_SUM,
    PLACE_DELTAS,
    PLACE_VALUE,
    PLACE_TIME,
    PLACE_SEQUENCE,
    PLACE_GENERATION,
    PLACE_TAG
};

struct place { // what a hole is
    enum place_kind kind;
    uint32_t of;               // PLACE_VALUE: sample; PLACE_TIME: sample; PLACE_GENERATION: target
    struct load_motion motion; // of PLACE_VALUE, PLACE_COUNT and PLACE_TAG
};

struct write_builder {
    struct write_options options;
    const struct write_moment *moment; // made for this one, without holes; NULL: for all of them
    struct buf series, symbols, labels, refs; // labels, refs: scratch of a series
    struct buf kept_labels;                   // of options.keeps_series
    struct write_kept *kept;
    size_t kept_capacity;
    struct hole *holes; // of series, by place
    struct place *places;
    size_t holes_n, holes_capacity, places_capacity, series_n;
    uint32_t first_time[WRITE_SAMPLES_MAX]; // the hole of each sample's time; HOLE_NONE: not yet
    uint32_t target, generation;            // the hole of that target's generation, or HOLE_NONE
    // Symbols of 2.0 by hash; an entry is its number, 0 is the empty one that begins the table.
    uint32_t *symbol_slots;
    struct hash128 *symbol_hashes;
    uint32_t symbols_n;
    size_t symbols_capacity;
    struct hole *symbol_holes;
    uint32_t *symbol_targets;
    size_t symbol_holes_n, symbol_holes_capacity, symbol_targets_capacity;
};

static void reset(struct write_builder *b)
{
    buf_reset(&b->series);
    buf_reset(&b->symbols);
    b->holes_n = b->series_n = b->symbol_holes_n = 0;
    for (size_t i = 0; i < WRITE_SAMPLES_MAX; i++)
        b->first_time[i] = HOLE_NONE;
    b->target = UINT32_MAX;
    b->generation = HOLE_NONE;
    b->symbols_n = 1;
    if (b->options.version == 1)
        return;
    memset(b->symbol_slots, 0, sizeof(uint32_t) << SYMBOLS_BITS);
    buf_put_char(&b->symbols, SYMBOL_TAG);
    buf_put_char(&b->symbols, 0);
}

struct write_builder *write_builder_create(const struct write_options *options)
{
    assert(options->samples && options->samples <= WRITE_SAMPLES_MAX);
    struct write_builder *const b = mem_zalloc(sizeof *b);
    b->options = *options;
    if (options->version == 2)
        b->symbol_slots = mem_alloc(sizeof(uint32_t) << SYMBOLS_BITS);
    reset(b);
    return b;
}

void write_builder_destroy(struct write_builder *b)
{
    if (!b)
        return;
    buf_deinit(&b->series);
    buf_deinit(&b->symbols);
    buf_deinit(&b->labels);
    buf_deinit(&b->refs);
    buf_deinit(&b->kept_labels);
    mem_free(b->kept);
    mem_free(b->holes);
    mem_free(b->places);
    mem_free(b->symbol_slots);
    mem_free(b->symbol_hashes);
    mem_free(b->symbol_holes);
    mem_free(b->symbol_targets);
    mem_free(b);
}

void write_template_deinit(struct write_template *t)
{
    buf_deinit(&t->bytes);
    mem_free(t->patches);
    mem_free(t->presences);
    mem_free(t->histograms);
    mem_free(t->times);
    mem_free(t->sequences);
    mem_free(t->generations);
    buf_deinit(&t->kept_labels);
    mem_free(t->kept);
}

size_t write_builder_series(const struct write_builder *b)
{
    return b->series_n;
}

// at: in b->series.
static uint32_t add_hole(struct write_builder *b, size_t at, uint32_t n, uint32_t same_as,
                         struct place place)
{
    if (b->moment)
        return HOLE_NONE;
    b->holes = mem_grow(b->holes, &b->holes_capacity, b->holes_n + 1, sizeof *b->holes);
    b->places = mem_grow(b->places, &b->places_capacity, b->holes_n + 1, sizeof *b->places);
    b->holes[b->holes_n] = (struct hole){.at = (uint32_t)at, .n = n, .same_as = same_as};
    b->places[b->holes_n] = place;
    return (uint32_t)b->holes_n++;
}

// ---- labels

static void put_text(struct buf *out, char tag, struct str text)
{
    buf_put_char(out, tag);
    buf_put_varint(out, text.n);
    buf_put_str(out, text);
}

static size_t text_size(struct str text) // of put_text()
{
    size_t n = 2 + text.n;
    for (size_t rest = text.n >> 7; rest; rest >>= 7)
        n++;
    return n;
}

static void put_labels_1(struct str labels, struct buf *out)
{
    struct label l;
    for (struct labels_iter i = labels_iter(labels); labels_next(&i, &l);) {
        buf_put_char(out, 0x0a);
        buf_put_varint(out, text_size(l.name) + text_size(l.value));
        put_text(out, 0x0a, l.name);
        put_text(out, 0x12, l.value);
    }
}

static void put_generation(char *p, unsigned generation)
{
    static const char digits[] = "0123456789abcdef";
    for (int i = LOAD_GENERATION_DIGITS; i-- > 0; generation >>= 4)
        p[i] = digits[generation & 15];
}

static void put_generation_now(const struct write_builder *b, uint32_t target, char *p)
{
    put_generation(p, b->moment->generation_of(b->moment->arg, target, b->moment->t_ms));
}

// The first generation in text from from on, or STR_NONE. Sizes may be that byte, too, but not one
// behind the other.
static ptrdiff_t generation_at(struct str text, size_t from)
{
    ptrdiff_t at = str_find(text, LOAD_GENERATION_BYTE, from);
    while (at != STR_NONE) {
        size_t n = 1;
        while (n < LOAD_GENERATION_DIGITS && (size_t)at + n < text.n &&
               text.p[(size_t)at + n] == LOAD_GENERATION_BYTE)
            n++;
        if (n == LOAD_GENERATION_DIGITS)
            return at;
        at = str_find(text, LOAD_GENERATION_BYTE, (size_t)at + n);
    }
    return STR_NONE;
}

static void add_symbol(struct write_builder *b, struct str text, struct hash128 hash)
{
    b->symbol_hashes = mem_grow(b->symbol_hashes, &b->symbols_capacity, b->symbols_n + 1,
                                sizeof *b->symbol_hashes);
    b->symbol_hashes[b->symbols_n++] = hash;
    buf_put_char(&b->symbols, SYMBOL_TAG);
    buf_put_varint(&b->symbols, text.n);
    const ptrdiff_t generation = generation_at(text, 0);
    if (generation != STR_NONE && !b->moment) {
        b->symbol_holes = mem_grow(b->symbol_holes, &b->symbol_holes_capacity,
                                   b->symbol_holes_n + 1, sizeof *b->symbol_holes);
        b->symbol_targets = mem_grow(b->symbol_targets, &b->symbol_targets_capacity,
                                     b->symbol_holes_n + 1, sizeof *b->symbol_targets);
        b->symbol_targets[b->symbol_holes_n] = b->target;
        b->symbol_holes[b->symbol_holes_n++] =
            (struct hole){.at = (uint32_t)(b->symbols.n + (size_t)generation),
                          .n = LOAD_GENERATION_DIGITS,
                          .same_as = HOLE_NONE};
    }
    buf_put_str(&b->symbols, text);
    if (generation != STR_NONE && b->moment)
        put_generation_now(b, b->target, b->symbols.p + b->symbols.n - text.n + generation);
}

static uint32_t symbol_of(struct write_builder *b, struct str text)
{
    if (!text.n)
        return 0;
    const struct hash128 hash = hash128(text.p, text.n, 0);
    uint32_t *slot = &b->symbol_slots[hash.lo & ((1U << SYMBOLS_BITS) - 1)];
    uint32_t *const end = b->symbol_slots + (1U << SYMBOLS_BITS);
    for (; *slot; slot = slot + 1 == end ? b->symbol_slots : slot + 1)
        if (hash128_eq(b->symbol_hashes[*slot], hash))
            return *slot;
    assert(b->symbols_n < (1U << SYMBOLS_BITS) / 4 * 3);
    *slot = b->symbols_n;
    add_symbol(b, text, hash);
    return *slot;
}

static void put_labels_2(struct write_builder *b, struct str labels, struct buf *out)
{
    struct label l;
    buf_reset(&b->refs);
    for (struct labels_iter i = labels_iter(labels); labels_next(&i, &l);) {
        buf_put_varint(&b->refs, symbol_of(b, l.name));
        buf_put_varint(&b->refs, symbol_of(b, l.value));
    }
    put_text(out, 0x0a, buf_str(&b->refs));
}

// ---- series

static void put_time(uint8_t *p, int64_t t_ms)
{
    assert(t_ms >> 35 && !(t_ms >> 42));
    for (int i = 0; i < TIME_BYTES; i++)
        p[i] = (uint8_t)((uint64_t)t_ms >> 7 * i | (i < TIME_BYTES - 1 ? 0x80 : 0));
}

// Generations in the labels of 1.0, which begin at from in b->series.
static void find_generations(struct write_builder *b, size_t from, uint32_t target)
{
    const struct str labels = str_from(buf_str(&b->series), from);
    ptrdiff_t at = generation_at(labels, 0);
    while (at != STR_NONE) {
        if (b->moment)
            put_generation_now(b, target, b->series.p + from + at);
        const uint32_t same = b->target == target ? b->generation : HOLE_NONE;
        const uint32_t hole = add_hole(b, from + (size_t)at, LOAD_GENERATION_DIGITS, same,
                                       (struct place){.kind = PLACE_GENERATION, .of = target});
        if (same == HOLE_NONE)
            b->generation = hole;
        b->target = target;
        at = generation_at(labels, (size_t)at + LOAD_GENERATION_DIGITS);
    }
}

// Of a sample's time; the first of each kind is a hole, later ones are the same.
static void add_time(struct write_builder *b, size_t at, uint32_t sample)
{
    put_time((uint8_t *)b->series.p + at,
             b->moment ? b->moment->t_ms + (int64_t)sample * b->options.step_ms : (int64_t)1 << 40);
    const uint32_t time = add_hole(b, at, TIME_BYTES, b->first_time[sample],
                                   (struct place){.kind = PLACE_TIME, .of = sample});
    if (b->first_time[sample] == HOLE_NONE)
        b->first_time[sample] = time;
}

static uint64_t first_step(const struct write_builder *b)
{
    return b->moment ? b->moment->step * b->options.samples : 0;
}

// The samples of a series; its values move as motion says, or count (NULL).
static void put_samples(struct write_builder *b, const struct load_motion *motion)
{
    const uint64_t first = first_step(b);
    for (uint32_t k = 0; k < b->options.samples; k++) {
        const double value = motion ? load_value(motion, first + k) : (double)(first + k + 1);
        uint8_t sample[2 + SAMPLE_BYTES] = {0x12, SAMPLE_BYTES, 0x09};
        store_le64(sample + 3, bits_from_double(value));
        sample[3 + VALUE_BYTES] = 0x10;
        const size_t at = b->series.n;
        buf_put(&b->series, sample, sizeof sample);
        if (!motion)
            add_hole(b, at + 3, VALUE_BYTES, HOLE_NONE,
                     (struct place){.kind = PLACE_SEQUENCE, .of = k});
        else if (motion->kind != LOAD_CONSTANT)
            add_hole(b, at + 3, VALUE_BYTES, HOLE_NONE,
                     (struct place){.kind = PLACE_VALUE, .of = k, .motion = *motion});
        add_time(b, at + 4 + VALUE_BYTES, k);
    }
}

static void put_padded(uint8_t *p, int n, uint64_t value)
{
    for (int i = 0; i < n; i++)
        p[i] = (uint8_t)(value >> 7 * i | (i < n - 1 ? 0x80 : 0));
    assert(!(value >> 7 * n));
}

static void put_observations(const struct load_motion *m, uint64_t step, uint8_t *count,
                             uint8_t *sum, uint8_t *deltas)
{
    uint64_t total = 0;
    int64_t before = 0;
    double all = 0;
    for (int i = 0; i < LOAD_BUCKETS_N; i++) {
        const uint64_t n = load_bucket(m, i, step);
        const int64_t delta = (int64_t)n - before;
        put_padded(deltas + (ptrdiff_t)i * DELTA_BYTES, DELTA_BYTES,
                   (uint64_t)delta << 1 ^ (uint64_t)(delta >> 63));
        total += n;
        all += load_bucket_sum(i, n);
        before = (int64_t)n;
    }
    put_padded(count, COUNT_BYTES, total);
    store_le64(sum, bits_from_double(all));
}

enum { // where the parts of a histogram are in its message
    AT_COUNT = 1,
    AT_SUM = AT_COUNT + COUNT_BYTES + 1,
    AT_SCHEMA = AT_SUM + VALUE_BYTES,
    AT_THRESHOLD = AT_SCHEMA + 3,
    AT_ZEROS = AT_THRESHOLD + VALUE_BYTES,
    AT_SPAN = AT_ZEROS + 2,
    AT_DELTAS = AT_SPAN + 6 + 2,
    AT_TIME = AT_DELTAS + LOAD_BUCKETS_N * DELTA_BYTES + 1,
    HISTOGRAM_BYTES = AT_TIME + TIME_BYTES,
};

static void put_histograms(struct write_builder *b, const struct load_motion *motion)
{
    static_assert(HISTOGRAM_BYTES < 128, "its size is one byte");
    for (uint32_t k = 0; k < b->options.samples; k++) {
        uint8_t all[2 + HISTOGRAM_BYTES] = {
            (uint8_t)(b->options.version == 2 ? HISTOGRAM_TAG_2 : HISTOGRAM_TAG_1),
            HISTOGRAM_BYTES};
        uint8_t *const p = all + 2;
        p[0] = 0x08;
        p[AT_SUM - 1] = 0x19;
        p[AT_SCHEMA] = 0x20;
        p[AT_SCHEMA + 1] = LOAD_BUCKETS_SCHEMA << 1;
        p[AT_THRESHOLD - 1] = 0x29;
        store_le64(p + AT_THRESHOLD, bits_from_double(0x1p-128));
        p[AT_ZEROS] = 0x30;
        const uint8_t span[] = {0x5a, 4,
                                0x08, (uint8_t)(-LOAD_BUCKETS_OFFSET * 2 - 1),
                                0x10, LOAD_BUCKETS_N,
                                0x62, LOAD_BUCKETS_N * DELTA_BYTES};
        memcpy(p + AT_SPAN, span, sizeof span);
        p[AT_TIME - 1] = 0x78;
        put_observations(motion, first_step(b) + k, p + AT_COUNT, p + AT_SUM, p + AT_DELTAS);
        const size_t at = b->series.n + 2;
        buf_put(&b->series, all, sizeof all);
        const struct place place = {.of = k, .motion = *motion};
        const struct {
            size_t at;
            uint32_t n;
            enum place_kind kind;
        } parts[] = {{AT_COUNT, COUNT_BYTES, PLACE_COUNT},
                     {AT_SUM, VALUE_BYTES, PLACE_SUM},
                     {AT_DELTAS, LOAD_BUCKETS_N * DELTA_BYTES, PLACE_DELTAS}};
        for (size_t i = 0; i < countof(parts); i++) {
            struct place one = place;
            one.kind = parts[i].kind;
            add_hole(b, at + parts[i].at, parts[i].n, HOLE_NONE, one);
        }
        add_time(b, at + AT_TIME, k);
    }
}

static void keep(struct write_builder *b, uint32_t target, struct str labels,
                 const struct load_motion *motion, bool is_histogram)
{
    struct write_kept one = {.labels_at = b->kept_labels.n,
                             .labels_n = labels.n,
                             .key = target,
                             .is_histogram = is_histogram,
                             .is_sequence = !motion};
    if (motion)
        one.motion = *motion;
    b->kept = mem_grow(b->kept, &b->kept_capacity, b->series_n + 1, sizeof *b->kept);
    b->kept[b->series_n] = one;
    buf_put_str(&b->kept_labels, labels);
}

// motion NULL: the sequence.
static void add(struct write_builder *b, uint32_t target, struct str labels,
                const struct load_motion *motion, bool is_histogram)
{
    if (b->options.keeps_series && !b->moment)
        keep(b, target, labels, motion, is_histogram);
    const bool v2 = b->options.version == 2;
    const size_t samples_n =
        b->options.samples * (size_t)(2 + (is_histogram ? HISTOGRAM_BYTES : SAMPLE_BYTES));
    buf_reset(&b->labels);
    if (v2) {
        b->target = target;
        put_labels_2(b, labels, &b->labels);
    } else {
        put_labels_1(labels, &b->labels);
    }
    const bool is_counter = motion && (motion->kind == LOAD_COUNTER || motion->kind == LOAD_BURSTS);
    const char type = is_histogram ? 3 : is_counter ? 1 : 2;
    const char metadata[] = {0x2a, 2, 0x08, type};
    if (motion && motion->kind == LOAD_CAPTURED && motion->column->has_gaps)
        add_hole(b, b->series.n, 1, HOLE_NONE,
                 (struct place){.kind = PLACE_TAG, .motion = *motion});
    buf_put_char(&b->series, v2 ? SERIES_TAG_2 : SERIES_TAG_1);
    buf_put_varint(&b->series, b->labels.n + samples_n + (v2 ? sizeof metadata : 0));
    const size_t from = b->series.n;
    buf_put_str(&b->series, buf_str(&b->labels));
    if (!v2)
        find_generations(b, from, target);
    if (is_histogram)
        put_histograms(b, motion);
    else
        put_samples(b, motion);
    if (v2)
        buf_put(&b->series, metadata, sizeof metadata);
    b->series_n++;
}

void write_builder_add(struct write_builder *b, uint32_t key, struct str labels,
                       const struct load_motion *motion)
{
    add(b, key, labels, motion, false);
}

void write_builder_add_histogram(struct write_builder *b, uint32_t key, struct str labels,
                                 const struct load_motion *motion)
{
    add(b, key, labels, motion, true);
}

void write_builder_add_sequence(struct write_builder *b, struct str labels)
{
    add(b, UINT32_MAX - 1, labels, NULL, false);
}

// ---- the template

void write_put_head(const struct write_options *o, size_t body_n, struct buf *out)
{
    const bool v2 = o->version == 2;
    buf_printf(out,
               "POST %.*s HTTP/1.1\r\n%.*sUser-Agent: ferula-loadgen\r\n"
               "Content-Type: application/x-protobuf%s\r\nContent-Encoding: %s\r\n"
               "X-Prometheus-Remote-Write-Version: %s\r\nContent-Length: %zu\r\n\r\n",
               STR_ARG(o->target), STR_ARG(o->host),
               v2 ? ";proto=io.prometheus.write.v2.Request" : "", o->is_zstd ? "zstd" : "snappy",
               v2 ? "2.0.0" : "0.1.0", body_n);
}

// All holes of the message, which begins with the symbols of 2.0.
static struct hole *join_holes(const struct write_builder *b, size_t symbols_n, size_t *out_n)
{
    const size_t first = b->symbol_holes_n;
    struct hole *const all = mem_alloc_array(first + b->holes_n + 1, sizeof *all);
    for (size_t i = 0; i < first; i++)
        all[i] = b->symbol_holes[i];
    for (size_t i = 0; i < b->holes_n; i++) {
        all[first + i] = b->holes[i];
        all[first + i].at += (uint32_t)symbols_n;
        if (all[first + i].same_as != HOLE_NONE)
            all[first + i].same_as += (uint32_t)first;
    }
    *out_n = first + b->holes_n;
    return all;
}

// A histogram's parts come in this order.
static void take_part(struct write_template *t, const struct place *place, uint32_t at)
{
    if (place->kind == PLACE_COUNT) {
        t->histograms = mem_grow(t->histograms, &t->histograms_capacity, t->histograms_n + 1,
                                 sizeof *t->histograms);
        t->histograms[t->histograms_n++] =
            (struct write_histogram){.motion = place->motion, .count_at = at, .sample = place->of};
    } else if (place->kind == PLACE_SUM) {
        t->histograms[t->histograms_n - 1].sum_at = at;
    } else {
        t->histograms[t->histograms_n - 1].deltas_at = at;
    }
}

static void take_presence(struct write_template *t, const struct place *place, uint32_t at)
{
    t->presences =
        mem_grow(t->presences, &t->presences_capacity, t->presences_n + 1, sizeof *t->presences);
    t->presences[t->presences_n++] =
        (struct write_presence){.motion = place->motion, .at = at, .tag = (uint8_t)t->bytes.p[at]};
}

static void take_place(struct write_template *t, const struct place *place, uint32_t at)
{
    if (place->kind == PLACE_TAG) {
        take_presence(t, place, at);
        return;
    }
    if (place->kind == PLACE_VALUE) {
        t->patches =
            mem_grow(t->patches, &t->patches_capacity, t->patches_n + 1, sizeof *t->patches);
        t->patches[t->patches_n++] = (struct write_patch){place->motion, at, place->of};
        return;
    }
    if (place->kind <= PLACE_DELTAS) {
        take_part(t, place, at);
        return;
    }
    const struct write_place found = {at, place->of};
    if (place->kind == PLACE_TIME)
        t->times[t->times_n++] = found;
    else if (place->kind == PLACE_SEQUENCE)
        t->sequences[t->sequences_n++] = found;
    else
        t->generations[t->generations_n++] = found;
}

static size_t count_places(const struct hole *holes, size_t n)
{
    size_t count = 0;
    for (size_t i = 0; i < n; i++)
        count += holes[i].out_at != HOLE_NONE;
    return count;
}

void write_builder_finish(struct write_builder *b, struct write_template *out)
{
    struct buf text = {0}, body = {0};
    if (b->options.version == 2)
        buf_put_str(&text, buf_str(&b->symbols));
    size_t n;
    struct hole *const holes = join_holes(b, text.n, &n);
    buf_put_str(&text, buf_str(&b->series));
    if (b->options.is_zstd)
        holey_zstd_compress(buf_str(&text), holes, n, &body);
    else
        holey_snappy_compress(buf_str(&text), holes, n, &body);
    struct write_template t = {.series_n = b->series_n, .text_n = text.n};
    write_put_head(&b->options, body.n, &t.bytes);
    t.head_n = t.bytes.n;
    buf_put_str(&t.bytes, buf_str(&body));
    const size_t places_n = count_places(holes, n) + 1;
    t.times = mem_alloc_array(places_n, sizeof *t.times);
    t.sequences = mem_alloc_array(places_n, sizeof *t.sequences);
    t.generations = mem_alloc_array(places_n, sizeof *t.generations);
    for (size_t i = 0; i < n; i++) {
        if (holes[i].out_at == HOLE_NONE)
            continue;
        const uint32_t at = (uint32_t)t.head_n + holes[i].out_at;
        if (i < b->symbol_holes_n)
            t.generations[t.generations_n++] = (struct write_place){at, b->symbol_targets[i]};
        else
            take_place(&t, &b->places[i - b->symbol_holes_n], at);
    }
    mem_free(holes);
    buf_deinit(&text);
    buf_deinit(&body);
    t.kept_labels = b->kept_labels;
    t.kept = b->kept;
    b->kept_labels = (struct buf){0};
    b->kept = NULL;
    b->kept_capacity = 0;
    *out = t;
    reset(b);
}

// ---- sending

// Also where it went just now: that is told by a stale marker.
static bool is_told(const struct load_motion *m, uint64_t first, uint32_t samples)
{
    bool is_there = first && load_is_there(m, first - 1);
    for (uint32_t k = 0; k < samples && !is_there; k++)
        is_there = load_is_there(m, first + k);
    return is_there;
}

size_t write_template_patch(struct write_template *t, const struct write_options *options,
                            const struct write_moment *moment)
{
    uint8_t *const bytes = (uint8_t *)t->bytes.p;
    const uint64_t first = moment->step * options->samples;
    size_t told_n = t->series_n;
    for (size_t i = 0; i < t->presences_n; i++) {
        const struct write_presence *const p = &t->presences[i];
        const bool told = is_told(&p->motion, first, options->samples);
        bytes[p->at] = told ? p->tag : UNKNOWN_TAG;
        told_n -= !told;
    }
    for (size_t i = 0; i < t->patches_n; i++) {
        const struct write_patch *const p = &t->patches[i];
        store_le64(bytes + p->at, bits_from_double(load_value(&p->motion, first + p->sample)));
    }
    for (size_t i = 0; i < t->histograms_n; i++) {
        const struct write_histogram *const h = &t->histograms[i];
        put_observations(&h->motion, first + h->sample, bytes + h->count_at, bytes + h->sum_at,
                         bytes + h->deltas_at);
    }
    for (size_t i = 0; i < t->times_n; i++)
        put_time(bytes + t->times[i].at, moment->t_ms + (int64_t)t->times[i].of * options->step_ms);
    for (size_t i = 0; i < t->sequences_n; i++)
        store_le64(bytes + t->sequences[i].at,
                   bits_from_double((double)(first + t->sequences[i].of + 1)));
    for (size_t i = 0; i < t->generations_n; i++)
        put_generation(t->bytes.p + t->generations[i].at,
                       moment->generation_of(moment->arg, t->generations[i].of, moment->t_ms));
    return told_n;
}

void write_compress(const struct write_options *options, struct str text, struct buf *out)
{
    if (!options->is_zstd) {
        snappy_block_compress(text, out);
        return;
    }
    const size_t max = ZSTD_compressBound(text.n);
    const size_t n = ZSTD_compress(buf_reserve(out, max), max, text.p, text.n, ZSTD_LEVEL);
    assert(!ZSTD_isError(n));
    out->n += n;
}

size_t write_template_encode(const struct write_template *t, struct write_builder *b,
                             const struct write_moment *moment, struct buf *out)
{
    struct buf body = {0};
    size_t told_n = 0;
    assert(t->kept && !b->series_n);
    b->moment = moment;
    for (size_t i = 0; i < t->series_n; i++) {
        const struct write_kept *const k = &t->kept[i];
        if (!k->is_sequence && !is_told(&k->motion, first_step(b), b->options.samples))
            continue;
        told_n++;
        add(b, k->key, str_make(t->kept_labels.p + k->labels_at, k->labels_n),
            k->is_sequence ? NULL : &k->motion, k->is_histogram);
    }
    b->moment = NULL;
    buf_put_str(&b->symbols, buf_str(&b->series));
    write_compress(&b->options, buf_str(&b->symbols), &body);
    write_put_head(&b->options, body.n, out);
    buf_put_str(out, buf_str(&body));
    buf_deinit(&body);
    reset(b);
    return told_n;
}
