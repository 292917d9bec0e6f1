// Windows, range functions and aggregations against plain loops written from their definitions.
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>

#include "engine/base/bits.h"
#include "engine/base/rng.h"
#include "engine/base/util.h"
#include "engine/promql/aggregate.h"
#include "engine/promql/range_function.h"

static bool same(double a, double b)
{
    return bits_from_double(a) == bits_from_double(b) || (isnan(a) && isnan(b));
}

// ---- rate and its like: the definition, one window at a time

static bool plain_change(const int64_t *t, const double *v, size_t n, int64_t start, int64_t end,
                         bool counter, bool per_second, double *out)
{
    size_t from = 0, to = n;
    while (from < n && t[from] <= start)
        from++;
    while (to > from && t[to - 1] > end)
        to--;
    if (to - from < 2)
        return false;
    double change = v[to - 1] - v[from];
    for (size_t i = from + 1; counter && i < to; i++)
        if (v[i] < v[i - 1])
            change += v[i - 1];
    double to_start = (double)(t[from] - start) / 1000, to_end = (double)(end - t[to - 1]) / 1000;
    const double sampled = (double)(t[to - 1] - t[from]) / 1000;
    const double gap = sampled / (double)(to - from - 1), threshold = gap * 1.1;
    if (to_start >= threshold)
        to_start = gap / 2;
    if (counter && change > 0 && v[from] >= 0) {
        const double to_zero = sampled * (v[from] / change);
        if (to_zero < to_start)
            to_start = to_zero;
    }
    if (to_end >= threshold)
        to_end = gap / 2;
    double factor = (sampled + to_start + to_end) / sampled;
    if (per_second)
        factor /= (double)((end - start) / 1000) + (double)((end - start) % 1000) * 1e6 / 1e9;
    *out = change * factor;
    return true;
}

static size_t make_column(struct rng *rng, int64_t *t, double *v, size_t max)
{
    const size_t n = rng_below(rng, max);
    int64_t at = (int64_t)rng_below(rng, 30000);
    double value = rng_below(rng, 3) ? rng_double(rng) * 1000 : 0;
    const double scale = pow(10, (double)rng_below(rng, 40) - 20);
    for (size_t i = 0; i < n; i++) {
        t[i] = at;
        at += 1 + (int64_t)rng_below(rng, rng_below(rng, 10) ? 20000 : 200000);
        value = rng_below(rng, 25) ? value + (double)rng_below(rng, 50) : (double)rng_below(rng, 5);
        v[i] = value * scale;
        if (rng_below(rng, 200) == 0)
            v[i] = rng_below(rng, 2) ? NAN : -v[i];
    }
    return n;
}

Test(promql_kernels, extrapolation_equals_its_definition)
{
    enum { MAX = 300, STEPS = 70 };
    static const struct {
        enum promql_function_id id;
        bool counter, per_second;
    } kinds[] = {{PROMQL_FN_RATE, true, true},
                 {PROMQL_FN_INCREASE, true, false},
                 {PROMQL_FN_DELTA, false, false}};
    struct rng rng;
    const uint64_t seed = 11;
    rng_init(&rng, seed);
    static int64_t t[MAX];
    static double v[MAX];
    for (int round = 0; round < 3000; round++) {
        const size_t n = make_column(&rng, t, v, MAX);
        const int kind = round % 3;
        const struct range_function *f = range_function_find(kinds[kind].id);
        const struct window_times times = {
            .at = {(int64_t)rng_below(&rng, 1000000), (int64_t)rng_below(&rng, 60000), STEPS},
            .offset_ms = (int64_t)rng_below(&rng, 100000) - 50000,
            .range_ms = 1 + (int64_t)rng_below(&rng, 600000),
        };
        struct arena a;
        arena_init(&a, 0);
        struct windows w;
        struct step_column out;
        cr_assert_eq(windows_make(&times, t, n, f->extrapolation, &a, &w), ERR_OK);
        cr_assert_eq(step_column_make(&a, STEPS, &out), ERR_OK);
        f->run(&w, v, NULL, out.v, out.present);
        for (size_t k = 0; k < STEPS; k++) {
            const int64_t end = steps_time(&times.at, k) - times.offset_ms;
            double want = 0;
            const bool has = plain_change(t, v, n, end - times.range_ms, end, kinds[kind].counter,
                                          kinds[kind].per_second, &want);
            cr_assert_eq(has, steps_has(out.present, k), "seed %lu, round %d, step %zu", seed,
                         round, k);
            cr_assert(!has || same(want, out.v[k]), "seed %lu, round %d, step %zu: %a, %a", seed,
                      round, k, want, out.v[k]);
        }
        arena_deinit(&a);
    }
}

// ---- quantiles

static int by_value(const void *left, const void *right)
{
    const double a = *(const double *)left, b = *(const double *)right;
    if (isnan(a) || isnan(b))
        return isnan(b) - isnan(a);
    return (a > b) - (a < b);
}

Test(promql_kernels, quantile_equals_sorting)
{
    enum { MAX = 40 };
    struct rng rng;
    const uint64_t seed = 5;
    rng_init(&rng, seed);
    for (int round = 0; round < 20000; round++) {
        double values[MAX], sorted[MAX];
        const size_t n = 1 + rng_below(&rng, MAX);
        const uint64_t spread = 1 + rng_below(&rng, 30);
        for (size_t i = 0; i < n; i++) {
            values[i] = (double)rng_below(&rng, spread) - 10;
            const uint64_t odd = rng_below(&rng, 20);
            values[i] = odd == 0 ? NAN : odd == 1 ? INFINITY : odd == 2 ? -INFINITY : values[i];
            sorted[i] = values[i];
        }
        qsort(sorted, n, sizeof *sorted, by_value);
        const double q = (double)rng_below(&rng, 11) / 10;
        const double rank = q * (double)(n - 1), weight = rank - floor(rank);
        const size_t low = (size_t)floor(rank), high = low + 1 < n ? low + 1 : n - 1;
        const double want = sorted[low] * (1 - weight) + sorted[high] * weight;
        const double got = quantile_of(q, values, n);
        cr_assert(same(want, got), "seed %lu, round %d: %g, %g", seed, round, want, got);
    }
    double one[] = {1};
    cr_assert(isnan(quantile_of(NAN, one, 1)));
    cr_assert(quantile_of(-1, one, 1) == -INFINITY && quantile_of(2, one, 1) == INFINITY);
}

// ---- aggregations

// Full words take loops of their own: each step's bits equal those of the steps done alone.
Test(promql_kernels, all_steps_at_once_equal_each_alone)
{
    enum { STEPS = 150, SERIES = 30 };
    static const enum promql_aggregate ops[] = {PROMQL_SUM,    PROMQL_AVG,   PROMQL_MIN,
                                                PROMQL_MAX,    PROMQL_COUNT, PROMQL_GROUP,
                                                PROMQL_STDDEV, PROMQL_STDVAR};
    struct rng rng;
    const uint64_t seed = 9;
    rng_init(&rng, seed);
    static double v[SERIES][STEPS];
    for (size_t round = 0; round < 20 * countof(ops); round++) {
        const enum promql_aggregate op = ops[round % countof(ops)];
        const bool huge = rng_below(&rng, 2);
        for (size_t s = 0; s < SERIES; s++)
            for (size_t k = 0; k < STEPS; k++) {
                v[s][k] = (rng_double(&rng) - 0.5) * pow(10, (double)rng_below(&rng, 20));
                if (huge && rng_below(&rng, 4) == 0)
                    v[s][k] = rng_below(&rng, 2) ? 1.5e308 : -1.5e308;
                if (rng_below(&rng, 300) == 0)
                    v[s][k] = rng_below(&rng, 2) ? INFINITY : NAN;
            }
        struct arena a;
        arena_init(&a, 0);
        struct aggregate_state all;
        struct step_column got, want;
        cr_assert_eq(aggregate_state_make(op, STEPS, &a, &all), ERR_OK);
        uint64_t present[(STEPS + 63) / 64];
        steps_set_all(present, STEPS);
        for (size_t s = 0; s < SERIES; s++)
            aggregate_add(op, &all, STEPS, v[s], present);
        aggregate_finish(op, &all, STEPS, &got);
        for (size_t k = 0; k < STEPS; k++) {
            struct aggregate_state one;
            const uint64_t bit[1] = {1};
            cr_assert_eq(aggregate_state_make(op, 1, &a, &one), ERR_OK);
            for (size_t s = 0; s < SERIES; s++)
                aggregate_add(op, &one, 1, &v[s][k], bit);
            aggregate_finish(op, &one, 1, &want);
            cr_assert(same(want.v[0], got.v[k]), "seed %lu, round %zu, step %zu: %a, %a", seed,
                      round, k, want.v[0], got.v[k]);
        }
        arena_deinit(&a);
    }
}

static double merged(enum promql_aggregate op, const double *v, size_t n)
{
    struct arena a;
    arena_init(&a, 0);
    struct aggregate_part parts[8];
    const uint64_t bit[1] = {1};
    cr_assert(n <= countof(parts));
    for (size_t i = 0; i < n; i++) {
        parts[i].partition = (uint32_t)(i * 37);
        cr_assert_eq(aggregate_state_make(op, 1, &a, &parts[i].state), ERR_OK);
        aggregate_add(op, &parts[i].state, 1, &v[i], bit);
    }
    aggregate_merge_tree(op, parts, n, 1);
    struct step_column out;
    aggregate_finish(op, &parts[0].state, 1, &out);
    const double result = out.v[0];
    arena_deinit(&a);
    return result;
}

Test(promql_kernels, merging_partitions_of_one_value)
{
    const double numbers[] = {2, 8, 1e100, -1e100}, inf[] = {1, INFINITY, 3};
    const double big[] = {9.9e307, 9.9e307, -9.9e307, -9.9e307},
                 spread[] = {2, 4, 4, 4, 5, 5, 7, 9};
    const double both[] = {INFINITY, -INFINITY}, nan_first[] = {NAN, 4, 3};
    cr_expect(merged(PROMQL_SUM, numbers, 4) == 10);
    cr_expect(merged(PROMQL_AVG, numbers, 4) == 2.5);
    cr_expect(merged(PROMQL_SUM, inf, 3) == INFINITY);
    cr_expect(merged(PROMQL_AVG, inf, 3) == INFINITY);
    cr_expect(merged(PROMQL_STDDEV, spread, 8) == 2);
    cr_expect(merged(PROMQL_STDVAR, spread, 8) == 4);
    cr_expect(isnan(merged(PROMQL_STDVAR, inf, 3)));
    cr_expect(isnan(merged(PROMQL_AVG, both, 2)) && isnan(merged(PROMQL_SUM, both, 2)));
    cr_expect(merged(PROMQL_AVG, big, 4) == 0);
    cr_expect(fabs(merged(PROMQL_AVG, big, 2) - 9.9e307) < 1e294);
    cr_expect(merged(PROMQL_MIN, nan_first, 3) == 3 && merged(PROMQL_MAX, nan_first, 3) == 4);
    cr_expect(merged(PROMQL_COUNT, spread, 8) == 8 && merged(PROMQL_GROUP, spread, 8) == 1);
}
