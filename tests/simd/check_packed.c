#include <inttypes.h>
#include <string.h>

#include "engine/base/util.h"
#include "simd/simd.h"
#include "tests/simd/check.h"

enum { FIELDS_MAX = 80, BENCH_FIELDS = 480 };

static void fill(uint64_t *fields, size_t n, unsigned width, unsigned round)
{
    const uint64_t mask = width == 64 ? UINT64_MAX : ((uint64_t)1 << width) - 1;
    for (size_t i = 0; i < n; i++)
        fields[i] = (round == 0 ? UINT64_MAX : round == 1 ? 0 : check_random()) & mask;
}

// The reference itself against the definition, bit by bit.
static void by_definition(const uint8_t *p, const uint64_t *fields, size_t n, unsigned width)
{
    for (size_t i = 0; i < n; i++)
        for (unsigned b = 0; b < width; b++) {
            const size_t bit = i * width + b;
            if (((p[bit / 8] >> (bit % 8)) & 1) != ((fields[i] >> b) & 1)) {
                check_fail("store: width %u, field %zu, bit %u", width, i, b);
                return;
            }
        }
}

static bool compare(packed_line_fn *ref, packed_line_fn *now, bool is_sum, size_t n, unsigned width)
{
    uint64_t fields[FIELDS_MAX];
    static const int64_t edges[] = {0, 1, -1, INT64_MAX, INT64_MIN, 15000};
    const size_t size = packed_size(n, width);
    uint8_t *p = check_bytes(size);
    int64_t *out = (int64_t *)(void *)check_bytes(n * sizeof *out);
    bool same = true;
    for (unsigned round = 0; round < 6 && same; round++) {
        fill(fields, n, width, round);
        packed_store(fields, n, width, p);
        by_definition(p, fields, n, width);
        const int64_t base = edges[check_random() % countof(edges)];
        const int64_t step = edges[check_random() % countof(edges)];
        int64_t want[FIELDS_MAX];
        ref(p, n, width, base, step, want);
        now(p, n, width, base, step, out);
        uint64_t value = (uint64_t)base;
        for (size_t i = 0; i < n && same; i++) {
            if (is_sum)
                value += (uint64_t)step + fields[i];
            else
                value = (uint64_t)base + i * (uint64_t)step + fields[i];
            same = out[i] == want[i] && (uint64_t)want[i] == value;
            if (!same)
                check_fail("n %zu, width %u, at %zu: got %" PRId64 ", want %" PRId64
                           ", by definition %" PRId64,
                           n, width, i, out[i], want[i], (int64_t)value);
        }
    }
    check_release();
    return same;
}

static void check_one(packed_line_fn *now, const char *name, bool is_sum)
{
    packed_line_fn *ref = (packed_line_fn *)check_func((any_fn *)now, name);
    if (!ref)
        return;
    for (unsigned width = 0; width <= 64; width++)
        for (size_t n = 0; n <= FIELDS_MAX; n++)
            if (!compare(ref, now, is_sum, n, width))
                return;
    uint8_t *p = check_bytes(packed_size(BENCH_FIELDS, 11));
    int64_t out[BENCH_FIELDS];
    memset(p, 0x5a, packed_size(BENCH_FIELDS, 11));
    for (struct check_timer t = check_timed(BENCH_FIELDS); check_more(&t);)
        now(p, BENCH_FIELDS, 11, 1000, 3, out);
    check_release();
}

static bool same_quotients(packed_sum_div_fn *ref, packed_sum_div_fn *now, size_t n, unsigned width)
{
    static const double divisors[] = {1, 10, 1000, 1e9, 1e22};
    uint64_t fields[FIELDS_MAX];
    int64_t sums[FIELDS_MAX];
    double want[FIELDS_MAX];
    uint8_t *p = check_bytes(packed_size(n, width));
    double *out = (double *)(void *)check_bytes(n * sizeof *out);
    for (unsigned round = 0; round < 10; round++) {
        const int64_t step = (int64_t)(check_random() >> 24) - (1 << 30);
        const int64_t base = (int64_t)check_random() >> (14 + round * 4);
        fill(fields, n, width, round);
        packed_store(fields, n, width, p);
        packed_sum_c(p, n, width, base, step, sums);
        ref(p, n, width, base, step, divisors[round % countof(divisors)], want);
        now(p, n, width, base, step, divisors[round % countof(divisors)], out);
        for (size_t i = 0; i < n; i++)
            if (want[i] != (double)sums[i] / divisors[round % countof(divisors)] ||
                memcmp(&want[i], &out[i], sizeof *out) != 0) {
                check_fail("n %zu, width %u, at %zu: got %a, want %a", n, width, i, out[i],
                           want[i]);
                return false;
            }
    }
    check_release();
    return true;
}

static void check_sum_div(void)
{
    packed_sum_div_fn *ref =
        (packed_sum_div_fn *)check_func((any_fn *)simd.packed_sum_div, "packed_sum_div");
    if (!ref)
        return;
    for (unsigned width = 0; width <= 40; width++)
        for (size_t n = 0; n <= FIELDS_MAX; n++)
            if (!same_quotients(ref, simd.packed_sum_div, n, width))
                return;
    uint8_t *p = check_bytes(packed_size(BENCH_FIELDS, 11));
    double out[BENCH_FIELDS];
    memset(p, 0x5a, packed_size(BENCH_FIELDS, 11));
    for (struct check_timer t = check_timed(BENCH_FIELDS); check_more(&t);)
        simd.packed_sum_div(p, BENCH_FIELDS, 11, 1000, 3, 1000, out);
    check_release();
}

static void check_range(void)
{
    packed_range_fn *ref =
        (packed_range_fn *)check_func((any_fn *)simd.packed_range, "packed_range");
    if (!ref)
        return;
    for (size_t n = 1; n <= FIELDS_MAX; n++)
        for (unsigned round = 0; round < 20; round++) {
            int64_t *v = (int64_t *)(void *)check_bytes(n * sizeof *v), low, high, want_low = 0,
                    want_high = 0;
            for (size_t i = 0; i < n; i++)
                v[i] = (int64_t)check_random() >> round * 3;
            ref(v, n, &want_low, &want_high);
            simd.packed_range(v, n, &low, &high);
            bool low_there = false, high_there = false, outside = false;
            for (size_t i = 0; i < n; i++) {
                low_there |= v[i] == low;
                high_there |= v[i] == high;
                outside |= v[i] < low || v[i] > high;
            }
            check_release();
            if (low != want_low || high != want_high || !low_there || !high_there || outside) {
                check_fail("n %zu: %" PRId64 " to %" PRId64 ", want %" PRId64 " to %" PRId64, n,
                           low, high, want_low, want_high);
                return;
            }
        }
    int64_t v[BENCH_FIELDS], low, high;
    for (size_t i = 0; i < BENCH_FIELDS; i++)
        v[i] = (int64_t)check_random();
    for (struct check_timer t = check_timed(BENCH_FIELDS); check_more(&t);)
        simd.packed_range(v, BENCH_FIELDS, &low, &high);
}

void check_packed(void)
{
    check_range();
    check_sum_div();
    check_one(simd.packed_line, "packed_line", false);
    check_one(simd.packed_sum, "packed_sum", true);
}
