// Fingerprints of series by references: as fast as they are made, they are those of the labels.
#include "engine/remote/symbols.h"

#include <criterion/criterion.h>
#include <string.h>

#include "engine/base/arena.h"
#include "engine/base/buf.h"
#include "engine/base/mem.h"
#include "engine/base/rng.h"
#include "simd/simd.h"

enum { SYMBOLS = 400, LABELS_MAX = 20, ROUNDS = 200, SERIES = 200 };

// A table of symbols that are all different.
static void make_symbols(struct symbols *s, struct arena *a, const struct fingerprint_key *key)
{
    *s = (struct symbols){.texts = mem_alloc_array(SYMBOLS, sizeof *s->texts),
                          .prints = mem_alloc_array(SYMBOLS, sizeof *s->prints),
                          .n = SYMBOLS,
                          .capacity = SYMBOLS,
                          .name = SYMBOLS_NO_NAME};
    for (unsigned i = 0; i < SYMBOLS; i++) {
        s->texts[i] = arena_printf(a, "symbol %u", i);
        s->prints[i] = simd.fingerprint(s->texts[i].p, s->texts[i].n, key);
    }
}

static uint32_t draw(struct rng *rng) // of one byte and of two
{
    return (uint32_t)rng_below(rng, rng_below(rng, 2) ? 128 : SYMBOLS);
}

// The labels of the next series: those of the last, but for some.
static void change(struct rng *rng, uint32_t *refs, size_t *labels)
{
    const size_t kind = rng_below(rng, 8);
    if (kind == 0 || *labels == 0) {
        *labels = 1 + rng_below(rng, LABELS_MAX);
        for (size_t i = 0; i < 2 * *labels; i++)
            refs[i] = draw(rng);
    } else if (kind == 1 && *labels < LABELS_MAX) { // one more, somewhere
        const size_t at = 2 * rng_below(rng, *labels + 1);
        memmove(refs + at + 2, refs + at, (2 * *labels - at) * sizeof *refs);
        refs[at] = draw(rng);
        refs[at + 1] = draw(rng);
        ++*labels;
    } else {
        for (size_t n = rng_below(rng, 4); n > 0; n--)
            refs[rng_below(rng, 2 * *labels)] = draw(rng);
    }
}

static struct str encode(const uint32_t *refs, size_t labels, struct arena *a, struct str *out_raw)
{
    struct buf raw = {0}, field = {0};
    for (size_t i = 0; i < 2 * labels; i++)
        buf_put_varint(&raw, refs[i]);
    buf_put_varint(&field, 1 << 3 | 2);
    buf_put_varint(&field, raw.n);
    buf_put_str(&field, buf_str(&raw));
    *out_raw = arena_str(a, buf_str(&raw));
    const struct str copy = arena_str(a, buf_str(&field));
    buf_deinit(&raw);
    buf_deinit(&field);
    return copy;
}

// By definition: the sum over the labels, whatever their order.
static struct hash128 sum_of(const struct symbols *s, const uint32_t *refs, size_t labels)
{
    struct hash128 sum = {0, 0};
    for (size_t i = labels; i-- > 0;) {
        const struct hash128 name = s->prints[refs[2 * i]], value = s->prints[refs[2 * i + 1]];
        sum.lo += (name.hi | 1) * value.lo;
        sum.hi += (name.lo | 1) * value.hi;
    }
    return sum;
}

Test(symbols, prints_are_those_of_the_labels)
{
    struct fingerprint_key key;
    fingerprint_key_init(&key, 7);
    for (uint64_t seed = 0; seed < ROUNDS; seed++) {
        struct rng rng;
        struct arena a;
        struct symbols s;
        uint32_t refs[2 * LABELS_MAX];
        size_t labels = 0;
        rng_init(&rng, seed);
        arena_init(&a, 0);
        make_symbols(&s, &a, &key);
        for (int i = 0; i < SERIES; i++) {
            struct hash128 by_any, by_usual;
            struct str raw;
            change(&rng, refs, &labels);
            const struct hash128 want = sum_of(&s, refs, labels);
            const struct str field = encode(refs, labels, &a, &raw);
            cr_assert(symbols_print(&s, field, &by_any));
            cr_assert(hash128_eq(by_any, want), "seed %d, series %d", (int)seed, i);
            cr_assert(symbols_usual_print(&s, (const uint8_t *)raw.p, raw.n, &by_usual));
            cr_assert(hash128_eq(by_usual, want), "seed %d, series %d", (int)seed, i);
        }
        symbols_deinit(&s);
        arena_deinit(&a);
    }
}

Test(symbols, what_is_not_usual)
{
    static const struct {
        const char *bytes;
        size_t n;
        bool is_usual, is_good; // good: in any form
    } rows[] = {
        {"", 0, true, true},
        {"\1\2", 2, true, true},
        {"\1", 1, false, false},
        {"\1\2\3", 3, false, false},
        {"\1\x82", 2, false, false},
        {"\1\x8f\3", 3, true, true}, // 399, the last
        {"\1\x90\3", 3, false, false},
        {"\x90\3\1", 3, false, false},    // 400
        {"\1\x82\x80\0", 4, false, true}, // 2 in three bytes
        {"\1\2\3\4\5\6\7\x08\x09\x0a", 10, true, true},
        {"\1\2\3\4\5\6\7\x08\x09\x8a", 10, false, false},
        {"\1\2\3\4\5\6\7\x08\x90\3\x0a", 11, false, false},
    };
    struct fingerprint_key key;
    struct arena a;
    struct symbols s;
    fingerprint_key_init(&key, 7);
    arena_init(&a, 0);
    make_symbols(&s, &a, &key);
    for (size_t i = 0; i < 2 * sizeof rows / sizeof rows[0]; i++) { // behind each other, twice
        const size_t at = i % (sizeof rows / sizeof rows[0]);
        struct hash128 ignored;
        struct buf field = {0};
        const struct str raw = arena_str(&a, str_make(rows[at].bytes, rows[at].n)); // stays there
        cr_assert_eq(symbols_usual_print(&s, (const uint8_t *)raw.p, raw.n, &ignored),
                     rows[at].is_usual, "row %zu", at);
        buf_put_varint(&field, 1 << 3 | 2);
        buf_put_varint(&field, raw.n);
        buf_put_str(&field, raw);
        const struct str region = buf_str(&field);
        if (rows[at].n == 0 ||
            (rows[at].bytes[rows[at].n - 1] & 0x80) == 0) // else it is no message
            cr_assert_eq(symbols_print(&s, region, &ignored), rows[at].is_good, "row %zu", at);
        buf_deinit(&field);
    }
    symbols_deinit(&s);
    arena_deinit(&a);
}
