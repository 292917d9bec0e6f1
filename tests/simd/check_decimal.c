#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "engine/base/bits.h"
#include "engine/base/util.h"
#include "simd/simd.h"
#include "tests/simd/check.h"

enum { ITEMS_MAX = 40, BENCH_ITEMS = 480, ROUNDS = 50 };

static const int64_t integer_edges[] = {0,
                                        1,
                                        -1,
                                        INT64_MAX,
                                        INT64_MIN,
                                        1ll << 53,
                                        (1ll << 53) + 1,
                                        -(1ll << 53) - 1,
                                        1ll << 51,
                                        (1ll << 62) + 1,
                                        (1ll << 54) + 2,
                                        (1ll << 54) + 6,
                                        0xffffffff,
                                        0x100000000,
                                        0xffffffffffff};
static const double scales[] = {1, 10, 100, 1e3, 1e9, 1e17, 1e22, 0.1, 1e-9};

static int64_t random_integer(void)
{
    const uint64_t r = check_random();
    if (r % 8 == 0)
        return integer_edges[(r >> 8) % countof(integer_edges)];
    return (int64_t)check_random() >> (r >> 8) % 64;
}

static void check_convert(decimal_div_fn *now, const char *name)
{
    decimal_div_fn *ref = (decimal_div_fn *)check_func((any_fn *)now, name);
    if (!ref)
        return;
    for (size_t n = 0; n <= ITEMS_MAX; n++)
        for (unsigned round = 0; round < ROUNDS; round++) {
            int64_t *m = (int64_t *)(void *)check_bytes(n * sizeof *m);
            double *out = (double *)(void *)check_bytes(n * sizeof *out);
            double want[ITEMS_MAX];
            for (size_t i = 0; i < n; i++)
                m[i] = random_integer();
            const double scale = scales[check_random() % countof(scales)];
            ref(m, n, scale, want);
            now(m, n, scale, round % 2 ? (double *)(void *)m : out);
            const bool same = !memcmp(round % 2 ? (void *)m : (void *)out, want, n * sizeof *out);
            check_release();
            if (!same) {
                check_fail("n %zu, scale %g", n, scale);
                return;
            }
        }
    int64_t m[BENCH_ITEMS];
    double out[BENCH_ITEMS];
    for (int64_t i = 0; i < BENCH_ITEMS; i++)
        m[i] = i * 12345;
    for (struct check_timer t = check_timed(BENCH_ITEMS); check_more(&t);)
        now(m, BENCH_ITEMS, 100, out);
}

static double random_value(double scale)
{
    static const uint64_t edges[] = {0x8000000000000000, 0x7ff0000000000000, 0xfff0000000000000,
                                     0x7ff0000000000002, 0x7ff8000000000001, 1,
                                     0x4320000000000000, 0xc320000000000000, 0x4330000000000001};
    const uint64_t r = check_random();
    if (r % 32 == 0)
        return double_from_bits(edges[(r >> 8) % countof(edges)]);
    if (r % 32 == 1)
        return double_from_bits(check_random());
    return (double)((int64_t)check_random() >> (13 + (r >> 8) % 50)) / scale;
}

static void check_split(void)
{
    decimal_split_fn *ref =
        (decimal_split_fn *)check_func((any_fn *)simd.decimal_split, "decimal_split");
    if (!ref)
        return;
    for (size_t n = 0; n <= ITEMS_MAX; n++)
        for (unsigned round = 0; round < ROUNDS; round++) {
            double *v = (double *)(void *)check_bytes(n * sizeof *v);
            int64_t *m = (int64_t *)(void *)check_bytes(n * sizeof *m);
            int64_t want[ITEMS_MAX];
            const double scale = scales[check_random() % 7];
            for (size_t i = 0; i < n; i++)
                v[i] = random_value(scale);
            const size_t want_n = ref(v, n, scale, want),
                         got_n = simd.decimal_split(v, n, scale, m);
            bool good = want_n == got_n && !memcmp(m, want, got_n * sizeof *m);
            for (size_t i = 0; i < want_n && good; i++)
                good = bits_from_double((double)want[i] / scale) == bits_from_double(v[i]);
            if (good && want_n < n && isfinite(v[want_n]) && v[want_n] != 0 &&
                fabs(v[want_n] * scale) < 0x1p50) {
                const double back = nearbyint(v[want_n] * scale) / scale;
                good = bits_from_double(back) != bits_from_double(v[want_n]);
            }
            check_release();
            if (!good) {
                check_fail("n %zu, scale %g: got %zu, want %zu", n, scale, got_n, want_n);
                return;
            }
        }
    double v[BENCH_ITEMS];
    int64_t m[BENCH_ITEMS];
    for (size_t i = 0; i < BENCH_ITEMS; i++)
        v[i] = (double)(i * 12345) / 100;
    for (struct check_timer t = check_timed(BENCH_ITEMS); check_more(&t);)
        (void)simd.decimal_split(v, BENCH_ITEMS, 100, m);
}

void check_decimal(void)
{
    check_convert(simd.decimal_div, "decimal_div");
    check_convert(simd.decimal_mul, "decimal_mul");
    check_split();
}
