#include "engine/promql/bucket.h"

#include <assert.h>
#include <float.h>
#include <math.h>

#include "engine/model/value.h"

static double nothing(void)
{
    return double_from_bits(VALUE_NORMAL_NAN_BITS);
}

size_t buckets_merge(struct bucket *buckets, size_t n)
{
    size_t kept = 0;
    for (size_t i = 1; i < n; i++)
        if (buckets[i].upper == buckets[kept].upper)
            buckets[kept].count += buckets[i].count;
        else
            buckets[++kept] = buckets[i];
    return n ? kept + 1 : 0;
}

// ---- counts that ascend

// Apart by no more than computing with floats may have made of equal ones.
static bool is_rounding(double a, double b)
{
    const double tolerance = 1e-12;
    if (value_is_stale(a) || value_is_stale(b))
        return value_is_stale(a) && value_is_stale(b);
    if (isnan(a) && isnan(b))
        return true;
    const double sum = fabs(a) + fabs(b), difference = fabs(a - b);
    if (a == 0 || b == 0 || sum < DBL_MIN)
        return difference < tolerance * DBL_MIN;
    return difference / fmin(sum, DBL_MAX) < tolerance;
}

static struct bucket_fix make_ascend(struct bucket *buckets, size_t n)
{
    struct bucket_fix fix = {.lowest = INFINITY, .highest = -INFINITY};
    double before = buckets[0].count;
    for (size_t i = 1; i < n; i++) {
        struct bucket *b = &buckets[i];
        if (b->count == before)
            continue;
        if (is_rounding(before, b->count)) {
            b->count = before;
        } else if (b->count < before) {
            fix.was_forced = true;
            fix.lowest = fmin(fix.lowest, b->upper);
            fix.highest = fmax(fix.highest, b->upper);
            fix.most = fmax(fix.most, before - b->count);
            b->count = before;
        } else {
            before = b->count;
        }
    }
    return fix;
}

// ---- quantiles

// The first bucket but the last whose count reaches rank; n - 1: none. Halving as Go's sort.Search,
// which decides where NaN among the counts leads.
static size_t find_rank(const struct bucket *buckets, size_t n, double rank)
{
    size_t from = 0, to = n - 1;
    while (from < to) {
        const size_t middle = from + (to - from) / 2;
        if (buckets[middle].count >= rank)
            to = middle;
        else
            from = middle + 1;
    }
    return from;
}

double bucket_quantile(double q, struct bucket *buckets, size_t n, struct bucket_fix *out_fix)
{
    assert(n > 0);
    *out_fix = (struct bucket_fix){0};
    if (isnan(q))
        return nothing();
    if (q < 0 || q > 1)
        return q < 0 ? -INFINITY : INFINITY;
    if (buckets[n - 1].upper != INFINITY)
        return nothing();
    const struct bucket_fix fix = make_ascend(buckets, n);
    if (n < 2 || buckets[n - 1].count == 0)
        return nothing();
    *out_fix = fix;
    double rank = q * buckets[n - 1].count;
    const size_t at = find_rank(buckets, n, rank);
    if (at == n - 1)
        return buckets[n - 2].upper;
    if (at == 0 && buckets[0].upper <= 0)
        return buckets[0].upper;
    double lower = 0, count = buckets[at].count;
    if (at > 0) {
        lower = buckets[at - 1].upper;
        count -= buckets[at - 1].count;
        rank -= buckets[at - 1].count;
    }
    return lower + (buckets[at].upper - lower) * (rank / count);
}

// ---- fractions

// How many observations are not above v; false: v is above every bucket with an upper bound. A
// first bucket of positive bounds starts at 0; one that starts at -Inf counts as a whole where v
// is inside.
static bool rank_of(double v, const struct bucket *buckets, size_t n, double *out)
{
    double lower = buckets[0].upper <= 0 ? -INFINITY : 0, below = 0;
    for (size_t i = 0; i < n; i++) {
        const struct bucket *b = &buckets[i];
        if (lower >= v) {
            *out = below;
            return true;
        }
        if (lower < v && b->upper > v) {
            const double part = (b->count - below) * (v - lower) / (b->upper - lower);
            *out = lower == -INFINITY ? b->count : below + part;
            return true;
        }
        below = b->count;
        lower = b->upper;
    }
    return false;
}

double bucket_fraction(double lower, double upper, const struct bucket *buckets, size_t n)
{
    assert(n > 0);
    if (buckets[n - 1].upper != INFINITY)
        return nothing();
    const double count = buckets[n - 1].count;
    if (count == 0 || isnan(lower) || isnan(upper))
        return nothing();
    if (lower >= upper)
        return 0;
    double lower_rank, upper_rank;
    if (!rank_of(lower, buckets, n, &lower_rank) || lower_rank > count)
        lower_rank = count;
    if (!rank_of(upper, buckets, n, &upper_rank) || upper_rank > count)
        upper_rank = count;
    return (upper_rank - lower_rank) / count;
}
