#include "engine/promql/aggregate.h"

#include <assert.h>
#include <math.h>

#include "engine/base/util.h"
#include "engine/promql/gently.h"
#include "engine/promql/kahan.h"
#include "io/fiber_memory.h"

bool aggregate_is_mergeable(enum promql_aggregate op)
{
    switch (op) {
    case PROMQL_SUM:
    case PROMQL_AVG:
    case PROMQL_MIN:
    case PROMQL_MAX:
    case PROMQL_COUNT:
    case PROMQL_GROUP:
    case PROMQL_STDDEV:
    case PROMQL_STDVAR:
        return true;
    case PROMQL_BOTTOMK:
    case PROMQL_COUNT_VALUES:
    case PROMQL_LIMIT_RATIO:
    case PROMQL_LIMITK:
    case PROMQL_QUANTILE:
    case PROMQL_TOPK:
        break;
    }
    return false;
}

err aggregate_state_make(enum promql_aggregate op, size_t n, struct arena *a,
                         struct aggregate_state *out)
{
    const bool spread = op == PROMQL_STDDEV || op == PROMQL_STDVAR;
    struct aggregate_state s = {
        .sum = gently_array(a, n, double),
        .present = gently_array(a, steps_words(n), uint64_t),
    };
    bool ok = s.sum && s.present;
    if (op == PROMQL_SUM || op == PROMQL_AVG || spread) {
        s.c = gently_array(a, n, double);
        ok = ok && s.c;
    }
    if (op == PROMQL_AVG || op == PROMQL_COUNT || spread) {
        s.count = gently_array(a, n, double);
        ok = ok && s.count;
    }
    if (op == PROMQL_AVG) {
        s.is_mean = gently_array(a, steps_words(n), uint64_t);
        ok = ok && s.is_mean;
    }
    if (!ok)
        return ERR_LIMIT;
    *out = s;
    return ERR_OK;
}

void aggregate_state_clear(struct aggregate_state *s, size_t n)
{
    double *const arrays[] = {s->sum, s->c, s->count};
    for (size_t i = 0; i < countof(arrays); i++)
        if (arrays[i])
            fiber_fill(arrays[i], 0, n * sizeof *arrays[i]);
    memset(s->present, 0, steps_words(n) * sizeof *s->present);
    if (s->is_mean)
        memset(s->is_mean, 0, steps_words(n) * sizeof *s->is_mean);
}

// ---- one value

static void avg_add(struct aggregate_state *s, size_t k, double v)
{
    const double count = ++s->count[k];
    if (count == 1) {
        s->sum[k] = v;
        return;
    }
    if (!steps_has(s->is_mean, k)) {
        double sum = s->sum[k], c = s->c[k];
        kahan_add(v, &sum, &c);
        if (!isinf(sum)) {
            s->sum[k] = sum;
            s->c[k] = c;
            return;
        }
        steps_set(s->is_mean, k);
        s->sum[k] /= count - 1;
        s->c[k] /= count - 1;
    }
    if (isinf(s->sum[k])) {
        const bool same_sign = isinf(v) && (s->sum[k] > 0) == (v > 0);
        if (same_sign || isfinite(v))
            return; // the mean stays infinite; subtracting infinities would give NaN
    }
    const double q = (count - 1) / count;
    double mean = q * s->sum[k], c = q * s->c[k];
    kahan_add(v / count, &mean, &c);
    s->sum[k] = mean;
    s->c[k] = c;
}

static void spread_add(struct aggregate_state *s, size_t k, double v)
{
    const double count = ++s->count[k];
    if (count == 1) {
        s->sum[k] = v;
        s->c[k] = isfinite(v) ? 0 : NAN;
        return;
    }
    const double d = v - s->sum[k];
    s->sum[k] += d / count;
    s->c[k] += d * (v - s->sum[k]);
}

static void add_one(enum promql_aggregate op, struct aggregate_state *s, size_t k, double v)
{
    const bool first = !steps_has(s->present, k);
    switch (op) {
    case PROMQL_SUM:
        if (first)
            s->sum[k] = v;
        else
            kahan_add(v, &s->sum[k], &s->c[k]);
        break;
    case PROMQL_AVG:
        avg_add(s, k, v);
        break;
    case PROMQL_MIN:
        if (first || s->sum[k] > v || isnan(s->sum[k]))
            s->sum[k] = v;
        break;
    case PROMQL_MAX:
        if (first || s->sum[k] < v || isnan(s->sum[k]))
            s->sum[k] = v;
        break;
    case PROMQL_COUNT:
        s->count[k]++;
        break;
    case PROMQL_STDDEV:
    case PROMQL_STDVAR:
        spread_add(s, k, v);
        break;
    case PROMQL_GROUP:
    case PROMQL_BOTTOMK:
    case PROMQL_COUNT_VALUES:
    case PROMQL_LIMIT_RATIO:
    case PROMQL_LIMITK:
    case PROMQL_QUANTILE:
    case PROMQL_TOPK:
        break;
    }
    steps_set(s->present, k);
}

// ---- many values: at most 64 steps that all have one and had one before

static void sum_run(double *restrict sum, double *restrict c, const double *restrict v, size_t n)
{
    for (size_t k = 0; k < n; k++)
        kahan_add(v[k], &sum[k], &c[k]);
}

// False, and nothing was added: some sum would overflow.
static bool avg_run(struct aggregate_state *s, size_t at, const double *v, size_t n)
{
    double sum[64], c[64];
    int overflows = 0;
    assert(n <= 64);
    memcpy(sum, s->sum + at, n * sizeof *sum);
    memcpy(c, s->c + at, n * sizeof *c);
    sum_run(sum, c, v, n);
    for (size_t k = 0; k < n; k++)
        overflows |= isinf(sum[k]) != 0;
    if (overflows || s->is_mean[at / 64])
        return false;
    memcpy(s->sum + at, sum, n * sizeof *sum);
    memcpy(s->c + at, c, n * sizeof *c);
    for (size_t k = 0; k < n; k++)
        s->count[at + k]++;
    return true;
}

static void min_run(double *restrict min, const double *restrict v, size_t n)
{
    for (size_t k = 0; k < n; k++)
        min[k] = min[k] > v[k] || isnan(min[k]) ? v[k] : min[k];
}

static void max_run(double *restrict max, const double *restrict v, size_t n)
{
    for (size_t k = 0; k < n; k++)
        max[k] = max[k] < v[k] || isnan(max[k]) ? v[k] : max[k];
}

// False: the operation has no such loop.
static bool add_run(enum promql_aggregate op, struct aggregate_state *s, size_t at, const double *v,
                    size_t n)
{
    switch (op) {
    case PROMQL_SUM:
        sum_run(s->sum + at, s->c + at, v, n);
        return true;
    case PROMQL_MIN:
        min_run(s->sum + at, v, n);
        return true;
    case PROMQL_MAX:
        max_run(s->sum + at, v, n);
        return true;
    case PROMQL_COUNT:
        for (size_t k = 0; k < n; k++)
            s->count[at + k]++;
        return true;
    case PROMQL_AVG:
        return avg_run(s, at, v, n);
    case PROMQL_GROUP:
        return true;
    case PROMQL_STDDEV:
    case PROMQL_STDVAR:
    case PROMQL_BOTTOMK:
    case PROMQL_COUNT_VALUES:
    case PROMQL_LIMIT_RATIO:
    case PROMQL_LIMITK:
    case PROMQL_QUANTILE:
    case PROMQL_TOPK:
        break;
    }
    return false;
}

void aggregate_add(enum promql_aggregate op, struct aggregate_state *s, size_t n, const double *v,
                   const uint64_t *present)
{
    for (size_t w = 0; w < steps_words(n); w++) {
        const uint64_t full = steps_mask(n, w);
        const size_t at = w * 64, width = n - at < 64 ? n - at : 64;
        fiber_work(2 * width);
        if (present[w] == full && s->present[w] == full && add_run(op, s, at, v + at, width))
            continue;
        for (uint64_t left = present[w]; left; left &= left - 1) {
            const size_t k = at + (size_t)__builtin_ctzll(left);
            add_one(op, s, k, v[k]);
        }
    }
}

// ---- merging

// The steps of both as means, then their weighted mean.
static void avg_merge(struct aggregate_state *s, const struct aggregate_state *from, size_t k)
{
    const double na = s->count[k], nb = from->count[k], count = na + nb;
    const bool a_is_mean = steps_has(s->is_mean, k), b_is_mean = steps_has(from->is_mean, k);
    s->count[k] = count;
    if (!a_is_mean && !b_is_mean) {
        double sum = s->sum[k], c = s->c[k];
        kahan_add(from->sum[k], &sum, &c);
        if (!isinf(sum) || isinf(s->sum[k]) || isinf(from->sum[k])) {
            s->sum[k] = sum;
            s->c[k] = isinf(sum) ? 0 : c + from->c[k];
            return;
        }
    }
    const double a = a_is_mean ? s->sum[k] : s->sum[k] / na;
    const double a_c = a_is_mean ? s->c[k] : s->c[k] / na;
    const double b = b_is_mean ? from->sum[k] : from->sum[k] / nb;
    const double b_c = b_is_mean ? from->c[k] : from->c[k] / nb;
    double mean = a * (na / count), c = a_c * (na / count);
    kahan_add(b * (nb / count), &mean, &c);
    s->sum[k] = mean;
    s->c[k] = isinf(mean) ? 0 : c + b_c * (nb / count);
    steps_set(s->is_mean, k);
}

static void spread_merge(struct aggregate_state *s, const struct aggregate_state *from, size_t k)
{
    const double na = s->count[k], nb = from->count[k], count = na + nb;
    const double d = from->sum[k] - s->sum[k];
    s->sum[k] += d * (nb / count);
    s->c[k] += from->c[k] + d * d * (na * nb / count);
    s->count[k] = count;
}

static void take_one(struct aggregate_state *s, const struct aggregate_state *from, size_t k)
{
    s->sum[k] = from->sum[k];
    if (s->c)
        s->c[k] = from->c[k];
    if (s->count)
        s->count[k] = from->count[k];
    if (s->is_mean && steps_has(from->is_mean, k))
        steps_set(s->is_mean, k);
    steps_set(s->present, k);
}

static void merge_one(enum promql_aggregate op, struct aggregate_state *s,
                      const struct aggregate_state *from, size_t k)
{
    switch (op) {
    case PROMQL_SUM:
        kahan_add(from->sum[k], &s->sum[k], &s->c[k]);
        s->c[k] = isinf(s->sum[k]) ? 0 : s->c[k] + from->c[k];
        break;
    case PROMQL_AVG:
        avg_merge(s, from, k);
        break;
    case PROMQL_MIN:
    case PROMQL_MAX:
        add_one(op, s, k, from->sum[k]);
        break;
    case PROMQL_COUNT:
        s->count[k] += from->count[k];
        break;
    case PROMQL_STDDEV:
    case PROMQL_STDVAR:
        spread_merge(s, from, k);
        break;
    case PROMQL_GROUP:
    case PROMQL_BOTTOMK:
    case PROMQL_COUNT_VALUES:
    case PROMQL_LIMIT_RATIO:
    case PROMQL_LIMITK:
    case PROMQL_QUANTILE:
    case PROMQL_TOPK:
        break;
    }
}

void aggregate_merge(enum promql_aggregate op, struct aggregate_state *into, size_t n,
                     const struct aggregate_state *from)
{
    for (struct slice s = {0}; slice_next(&s, n);)
        for (size_t k = steps_next(from->present, s.end, s.from); k < s.end;
             k = steps_next(from->present, s.end, k + 1))
            if (steps_has(into->present, k))
                merge_one(op, into, from, k);
            else
                take_one(into, from, k);
}

// Merges parts whose numbers agree above bit; at most 32 levels deep.
static void merge_below(enum promql_aggregate op, struct aggregate_part *parts, size_t count,
                        unsigned bits, size_t n)
{
    if (count < 2)
        return;
    assert(bits > 0); // two parts of one partition
    const uint32_t bit = (uint32_t)1 << (bits - 1);
    size_t low = 0;
    while (low < count && !(parts[low].partition & bit))
        low++;
    merge_below(op, parts, low, bits - 1, n);
    merge_below(op, parts + low, count - low, bits - 1, n);
    if (low > 0 && low < count)
        aggregate_merge(op, &parts[0].state, n, &parts[low].state);
}

void aggregate_merge_tree(enum promql_aggregate op, struct aggregate_part *parts, size_t count,
                          size_t n)
{
    merge_below(op, parts, count, 32, n);
}

// ---- results

static void finish_slice(enum promql_aggregate op, struct aggregate_state *s, size_t from,
                         size_t end)
{
    switch (op) {
    case PROMQL_SUM:
        for (size_t k = from; k < end; k++)
            s->sum[k] += s->c[k];
        break;
    case PROMQL_AVG:
        for (size_t k = from; k < end; k++)
            s->sum[k] = steps_has(s->is_mean, k) ? s->sum[k] + s->c[k]
                                                 : s->sum[k] / s->count[k] + s->c[k] / s->count[k];
        break;
    case PROMQL_GROUP:
        for (size_t k = from; k < end; k++)
            s->sum[k] = 1;
        break;
    case PROMQL_STDVAR:
        for (size_t k = from; k < end; k++)
            s->sum[k] = s->c[k] / s->count[k];
        break;
    case PROMQL_STDDEV:
        for (size_t k = from; k < end; k++)
            s->sum[k] = sqrt(s->c[k] / s->count[k]);
        break;
    case PROMQL_COUNT:
    case PROMQL_MIN:
    case PROMQL_MAX:
    case PROMQL_BOTTOMK:
    case PROMQL_COUNT_VALUES:
    case PROMQL_LIMIT_RATIO:
    case PROMQL_LIMITK:
    case PROMQL_QUANTILE:
    case PROMQL_TOPK:
        break;
    }
}

void aggregate_finish(enum promql_aggregate op, struct aggregate_state *s, size_t n,
                      struct step_column *out)
{
    *out = (struct step_column){op == PROMQL_COUNT ? s->count : s->sum, s->present};
    for (struct slice slice = {0}; slice_next(&slice, n);)
        finish_slice(op, s, slice.from, slice.end);
}
