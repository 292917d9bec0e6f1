// Classic histograms: cumulative counts of observations up to upper bounds.
#ifndef ENGINE_PROMQL_BUCKET_H
#define ENGINE_PROMQL_BUCKET_H

#include <stdbool.h>
#include <stddef.h>

struct bucket {
    double upper, count; // count: of all observations up to upper
};

// Where counts that fell from one bucket to the next had to be raised.
struct bucket_fix {
    bool was_forced;
    double lowest, highest; // bounds of raised buckets
    double most;            // that a count was raised by
};

// Buckets of the same bound become one, which has the sum of their counts. How many are left; they
// are sorted by upper.
size_t buckets_merge(struct bucket *buckets, size_t n);

// Of n > 0 buckets sorted by upper, bounds different: what q of the observations are not above, or
// an estimate that interpolates within a bucket. NaN: no observation, no bucket +Inf or no other.
// Counts are made to ascend: silently where they differ by less than a rounding error.
double bucket_quantile(double q, struct bucket *buckets, size_t n, struct bucket_fix *out_fix);
// The part of the observations that is above lower and not above upper.
double bucket_fraction(double lower, double upper, const struct bucket *buckets, size_t n);

#endif
