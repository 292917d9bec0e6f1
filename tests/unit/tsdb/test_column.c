#include "engine/tsdb/column.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "engine/base/bits.h"
#include "engine/base/rng.h"
#include "engine/base/util.h"
#include "engine/model/value.h"
#include "engine/tsdb/column_fit.h"
#include "simd/simd.h"

static uint8_t *encoded; // of its exact size, for the sanitizer
static size_t encoded_size;

static uint64_t pick_seed(void)
{
    const char *text = getenv("SEED");
    return text ? strtoull(text, NULL, 0) : 20261122;
}

static void back_values(const uint64_t *bits, size_t n, const char *what, uint64_t seed)
{
    uint8_t buffer[COLUMN_BYTES_MAX];
    double out[COLUMN_MAX];
    encoded_size = column_encode_values(bits, n, buffer);
    cr_assert(encoded_size >= 2 && encoded_size <= 8 * n + 32, "%s: %zu bytes of %zu", what,
              encoded_size, n);
    free(encoded);
    encoded = malloc(encoded_size);
    memcpy(encoded, buffer, encoded_size);
    cr_assert(column_decode_values(encoded, encoded_size, n, out), "%s: n %zu, seed %" PRIu64, what,
              n, seed);
    for (size_t i = 0; i < n; i++) {
        uint64_t got;
        memcpy(&got, out + i, sizeof got);
        cr_assert_eq(got, bits[i],
                     "%s: n %zu, at %zu: got %" PRIx64 ", want %" PRIx64 ", seed %" PRIu64, what, n,
                     i, got, bits[i], seed);
    }
}

static void back_times(const int64_t *t, size_t n, const char *what, uint64_t seed)
{
    uint8_t buffer[COLUMN_BYTES_MAX];
    int64_t out[COLUMN_MAX];
    encoded_size = column_encode_times(t, n, buffer);
    cr_assert(encoded_size <= 8 * n + 32);
    free(encoded);
    encoded = malloc(encoded_size);
    memcpy(encoded, buffer, encoded_size);
    cr_assert(column_decode_times(encoded, encoded_size, n, out), "%s: n %zu, seed %" PRIu64, what,
              n, seed);
    for (size_t i = 0; i < n; i++)
        cr_assert_eq(out[i], t[i],
                     "%s: n %zu, at %zu: got %" PRId64 ", want %" PRId64 ", seed %" PRIu64, what, n,
                     i, out[i], t[i], seed);
}

// ---- shapes of columns

typedef void shape_fn(struct rng *r, uint64_t *bits, size_t n);

static void shape_constant(struct rng *r, uint64_t *bits, size_t n)
{
    static const uint64_t constants[] = {0,
                                         0x8000000000000000,
                                         VALUE_STALE_BITS,
                                         VALUE_NORMAL_NAN_BITS,
                                         0x7ff0000000000000,
                                         1,
                                         0xfff0000000000000,
                                         0x3ff0000000000000,
                                         UINT64_MAX};
    const uint64_t c = rng_below(r, 2) ? constants[rng_below(r, countof(constants))]
                                       : bits_from_double((double)rng_below(r, 1u << 30) / 1000);
    for (size_t i = 0; i < n; i++)
        bits[i] = c;
}

static void shape_any_bits(struct rng *r, uint64_t *bits, size_t n)
{
    for (size_t i = 0; i < n; i++)
        bits[i] = rng_u64(r);
}

static void shape_double(struct rng *r, uint64_t *bits, size_t n)
{
    double v = rng_double(r) * 1e6;
    for (size_t i = 0; i < n; i++)
        bits[i] = bits_from_double(v += rng_double(r) - 0.4);
}

static void shape_counter(struct rng *r, uint64_t *bits, size_t n)
{
    uint64_t v = rng_u64(r) >> (16 + rng_below(r, 40));
    const uint64_t step = 1 + (rng_u64(r) >> (32 + rng_below(r, 32))),
                   unit = rng_below(r, 2) ? 1 : 1024;
    for (size_t i = 0; i < n; i++) {
        if (rng_below(r, 300) == 0)
            v = 0; // a reset
        bits[i] = bits_from_double((double)(v * unit));
        v += rng_below(r, step);
    }
}

static void shape_decimal(struct rng *r, uint64_t *bits, size_t n)
{
    static const double powers[] = {1, 10, 100, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9};
    const double p = powers[rng_below(r, countof(powers))];
    int64_t m = (int64_t)(rng_u64(r) >> (14 + rng_below(r, 40)));
    for (size_t i = 0; i < n; i++) {
        m += (int64_t)rng_below(r, 2000) - 900;
        bits[i] = bits_from_double((double)m / p);
    }
}

static void shape_product(struct rng *r, uint64_t *bits, size_t n)
{
    const bool twice = rng_below(r, 2);
    uint64_t m = rng_below(r, 1u << 30);
    for (size_t i = 0; i < n; i++) {
        m += rng_below(r, 700);
        bits[i] = bits_from_double(twice ? (double)m / 1000 / 1000 : (double)m * 0.001);
    }
}

static void shape_steps(struct rng *r, uint64_t *bits, size_t n)
{
    double v = 3;
    for (size_t i = 0; i < n; i++) {
        if (rng_below(r, 40) == 0)
            v = (double)rng_below(r, 1000) - 500;
        bits[i] = bits_from_double(v);
    }
}

static void shape_specials(struct rng *r, uint64_t *bits, size_t n)
{
    static const uint64_t specials[] = {
        0x8000000000000000, VALUE_STALE_BITS,   VALUE_NORMAL_NAN_BITS, 0x7ff0000000000000,
        0xfff0000000000000, 0x7ff00000deadbeef, 0x7fe1ccf385ebc8a0,    1};
    shape_decimal(r, bits, n);
    const uint64_t often = 1 + rng_below(r, 60);
    for (size_t i = 0; i < n; i++)
        if (rng_below(r, often) == 0) {
            const uint64_t special = specials[rng_below(r, countof(specials))];
            for (uint64_t run = 1 + rng_below(r, 4); run && i < n; run--, i++)
                bits[i] = special;
        }
}

static void shape_outliers(struct rng *r, uint64_t *bits, size_t n)
{
    shape_counter(r, bits, n);
    for (size_t i = 0; i < n; i++)
        if (rng_below(r, 30) == 0)
            bits[i] = rng_below(r, 4) ? bits_from_double((double)(int64_t)(rng_u64(r) >> 20))
                                      : rng_u64(r);
}

static void shape_near_limit(struct rng *r, uint64_t *bits, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const double v = 0x1p51 + (double)rng_below(r, 16) - 8;
        bits[i] = bits_from_double(rng_below(r, 2) ? v : -v);
    }
}

// An even pace with the noise of the moment.
static void shape_noisy_line(struct rng *r, uint64_t *bits, size_t n)
{
    const double pace = rng_double(r) * 1e9, base = rng_double(r) * 1e15;
    const uint64_t noise = 1 + rng_below(r, 1u << 30);
    for (size_t i = 0; i < n; i++)
        bits[i] = bits_from_double(floor(base + pace * (double)i) + (double)rng_below(r, noise));
}

// Doubles of any size with few digits in binary.
static void shape_erratic(struct rng *r, uint64_t *bits, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        bits[i] = (0x3ff0000000000000 + (rng_below(r, 100) << 52)) | (rng_u64(r) >> 40) << 28;
        if (rng_below(r, 4) == 0 && i)
            bits[i] = bits[i - 1];
        if (rng_below(r, 200) == 0)
            bits[i] = VALUE_STALE_BITS;
    }
}

static const struct {
    const char *name;
    shape_fn *fill;
} shapes[] = {
    {"constant", shape_constant}, {"any bits", shape_any_bits},     {"double", shape_double},
    {"counter", shape_counter},   {"decimal", shape_decimal},       {"product", shape_product},
    {"steps", shape_steps},       {"specials", shape_specials},     {"outliers", shape_outliers},
    {"limit", shape_near_limit},  {"noisy line", shape_noisy_line}, {"erratic", shape_erratic},
};

Test(column, values_come_back)
{
    simd_init(SIMD_ALL);
    const uint64_t seed = pick_seed();
    struct rng r;
    rng_init(&r, seed);
    uint64_t bits[COLUMN_MAX];
    size_t values = 0, forms[COLUMN_FORM_COUNT] = {0};
    for (unsigned round = 0; round < 300; round++)
        for (size_t s = 0; s < countof(shapes); s++) {
            const size_t n = round < 20   ? round + 1
                             : round < 40 ? COLUMN_MAX - round + 20
                                          : 1 + rng_below(&r, COLUMN_MAX);
            shapes[s].fill(&r, bits, n);
            back_values(bits, n, shapes[s].name, seed);
            forms[encoded[0] & COLUMN_HEAD_FORM]++;
            values += n;
        }
    cr_assert(values > 500000);
    for (size_t i = 0; i < COLUMN_FORM_COUNT; i++)
        cr_assert(forms[i] || i == COLUMN_LINE, "form %zu was never the best", i);
}

Test(column, times_come_back)
{
    simd_init(SIMD_ALL);
    const uint64_t seed = pick_seed();
    struct rng r;
    rng_init(&r, seed);
    int64_t t[COLUMN_MAX];
    for (unsigned round = 0; round < 2000; round++) {
        const size_t n = 1 + rng_below(&r, COLUMN_MAX);
        const uint64_t jitter = rng_below(&r, 3) * rng_below(&r, 50) + 1;
        int64_t at = (int64_t)(rng_u64(&r) >> rng_below(&r, 64));
        for (size_t i = 0; i < n; i++) {
            at = (int64_t)((uint64_t)at + 15000);
            if (rng_below(&r, 100) == 0)
                at = (int64_t)((uint64_t)at + 15000 * rng_below(&r, 100));
            t[i] = (int64_t)((uint64_t)at + rng_below(&r, jitter));
            if (round % 10 == 0)
                t[i] = (int64_t)rng_u64(&r);
        }
        back_times(t, n, "times", seed);
    }
}

// Columns told beside others of every shape, related or not.
Test(column, values_come_back_beside_others)
{
    simd_init(SIMD_ALL);
    const uint64_t seed = pick_seed();
    struct rng r;
    rng_init(&r, seed);
    uint64_t bits[COLUMN_MAX], others[COLUMN_MAX];
    uint8_t alone[COLUMN_BYTES_MAX], beside[COLUMN_BYTES_MAX], other[COLUMN_BYTES_MAX];
    double out[COLUMN_MAX + COLUMN_PAD];
    size_t told = 0;
    for (unsigned round = 0; round < 4000; round++) {
        const size_t n = 1 + rng_below(&r, COLUMN_MAX), shape = rng_below(&r, countof(shapes));
        shapes[shape].fill(&r, others, n);
        memcpy(bits, others, n * sizeof *bits);
        if (round % 4 == 0)
            shapes[rng_below(&r, countof(shapes))].fill(&r, bits, n);
        for (size_t i = 0; i < n; i++)
            if (round % 4 == 1)
                bits[i] = bits_from_double(double_from_bits(others[i]) * 512 + 99);
            else if (round % 4 == 2 && rng_below(&r, 100) == 0)
                bits[i] = rng_below(&r, 2) ? VALUE_STALE_BITS : rng_u64(&r);
        const size_t size = column_encode_values(bits, n, alone);
        const size_t other_size = column_encode_values(others, n, other);
        const size_t limit = round % 8 < 4 ? COLUMN_BYTES_MAX : size;
        const size_t got = column_encode_beside(bits, n, other, other_size, limit, beside);
        cr_assert(got <= limit);
        if (!got)
            continue;
        told++;
        uint8_t *exact = malloc(got);
        memcpy(exact, beside, got);
        cr_assert(column_decode_beside(exact, got, n, other, other_size, out));
        for (size_t i = 0; i < n; i++) {
            uint64_t back;
            memcpy(&back, &out[i], sizeof back);
            cr_assert_eq(back, bits[i], "%s: n %zu, at %zu, seed %" PRIu64, shapes[shape].name, n,
                         i, seed);
        }
        for (size_t cut = 0; cut < got; cut++)
            (void)column_decode_beside(exact, cut, n, other, other_size, out);
        for (size_t cut = 0; cut < other_size; cut++)
            (void)column_decode_beside(exact, got, n, other, cut, out);
        free(exact);
    }
    cr_assert(told > 1500, "%zu", told);
}

// What moves alike has one stream, and is told in a few bytes beside the other.
Test(column, beside_what_moves_alike)
{
    uint64_t bits[480], others[480];
    uint8_t alone[COLUMN_BYTES_MAX], beside[COLUMN_BYTES_MAX], other[COLUMN_BYTES_MAX];
    struct rng r;
    rng_init(&r, 5);
    double v = 100;
    for (size_t i = 0; i < countof(bits); i++, v += (double)rng_below(&r, 3000)) {
        others[i] = bits_from_double(v);
        bits[i] = bits_from_double(v * 4096 + 7);
    }
    const size_t size = column_encode_values(bits, countof(bits), alone);
    const size_t other_size = column_encode_values(others, countof(bits), other);
    const size_t from = column_stream(alone, size), other_from = column_stream(other, other_size);
    cr_assert(from > 0 && other_from > 0 && size - from == other_size - other_from);
    cr_assert_eq(memcmp(alone + from, other + other_from, size - from), 0);
    cr_assert_leq(column_encode_beside(bits, countof(bits), other, other_size, size, beside), 12);
    for (size_t i = 0; i < countof(bits); i++)
        bits[i] = bits_from_double(double_from_bits(others[i]) + (double)rng_below(&r, 4));
    cr_assert_leq(column_encode_beside(bits, countof(bits), other, other_size, size, beside),
                  480 * 2 / 8 + 12);
}

// Sizes that the shapes must not exceed: what makes the codec worth having.
Test(column, sizes)
{
    uint64_t bits[480];
    uint8_t out[COLUMN_BYTES_MAX];
    int64_t t[480];
    for (int64_t i = 0; i < 480; i++)
        t[i] = 1700000000000 + i * 15000;
    cr_assert_leq(column_encode_times(t, 480, out), 12, "equal steps");
    t[100] += 1;
    cr_assert_leq(column_encode_times(t, 480, out), 20, "one off");
    for (size_t i = 0; i < 480; i++)
        bits[i] = bits_from_double(42);
    cr_assert_eq(column_encode_values(bits, 480, out), 2, "a constant");
    for (size_t i = 0; i < 480; i++)
        bits[i] = bits_from_double(i < 200 ? 1 : 0);
    cr_assert_leq(column_encode_values(bits, 480, out), 10, "one change");
    uint64_t noise = 1;
    bits[479] = VALUE_STALE_BITS;
    cr_assert_leq(column_encode_values(bits, 480, out), 16, "one change, stale at the end");
    uint64_t m = 123456789;
    for (size_t i = 0; i < 480; i++, m += 1 + i * 7 % 16)
        bits[i] = bits_from_double((double)m / 100);
    cr_assert_leq(column_encode_values(bits, 480, out), 480 * 4 / 8 + 10, "4 bits a step");
    for (size_t i = 0; i < 480; i++, m += 1 + i * 7 % 16)
        bits[i] = bits_from_double((double)m * 0.001);
    cr_assert_leq(column_encode_values(bits, 480, out), 480 * 4 / 8 + 10, "multiplied");
    for (size_t i = 0; i < 480; i++, m += 4096 * (1 + i * 7 % 16))
        bits[i] = bits_from_double((double)(m / 4096 * 4096));
    cr_assert_leq(column_encode_values(bits, 480, out), 480 * 4 / 8 + 12, "pages");
    for (size_t i = 0; i < 480; i++, noise = noise * 0x9e3779b97f4a7c15 + 1)
        bits[i] = bits_from_double((double)(1000 * m + i * 123456789 / 4 + (noise >> 44)));
    cr_assert_leq(column_encode_values(bits, 480, out), 480 * 21 / 8 + 20, "20 bits of noise");
}

Test(column, hostile_bytes)
{
    const uint64_t seed = pick_seed();
    struct rng r;
    rng_init(&r, seed);
    uint64_t bits[COLUMN_MAX];
    double v[COLUMN_MAX];
    int64_t t[COLUMN_MAX];
    for (unsigned round = 0; round < 20000; round++) {
        const size_t n = 1 + rng_below(&r, COLUMN_MAX);
        if (round % 4) {
            shapes[rng_below(&r, countof(shapes))].fill(&r, bits, n);
            uint8_t buffer[COLUMN_BYTES_MAX];
            size_t size = column_encode_values(bits, n, buffer);
            if (rng_below(&r, 2))
                size = rng_below(&r, size); // cut short: never valid
            else
                buffer[rng_below(&r, size < 20 ? size : 20)] ^= (uint8_t)(1 << rng_below(&r, 8));
            uint8_t *exact = malloc(size + !size);
            memcpy(exact, buffer, size);
            (void)column_decode_values(exact, size, n, v);
            (void)column_decode_times(exact, size, n, t);
            free(exact);
        } else {
            const size_t size = rng_below(&r, 60);
            uint8_t *exact = malloc(size + !size);
            for (size_t i = 0; i < size; i++)
                exact[i] = (uint8_t)rng_u64(&r);
            (void)column_decode_values(exact, size, n, v);
            (void)column_decode_times(exact, size, n, t);
            free(exact);
        }
    }
}

Test(column, truncation_is_noticed)
{
    struct rng r;
    rng_init(&r, pick_seed());
    uint64_t bits[100];
    double v[104];
    for (size_t s = 1; s < countof(shapes); s++) {
        shapes[s].fill(&r, bits, countof(bits));
        back_values(bits, countof(bits), shapes[s].name, 0);
        for (size_t size = 0; size < encoded_size; size++)
            cr_assert(!column_decode_values(encoded, size, countof(bits), v),
                      "%s cut to %zu of %zu", shapes[s].name, size, encoded_size);
    }
}
