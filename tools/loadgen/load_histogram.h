// The histograms of virtual targets: what each bucket holds at a step. Native ones have these
// buckets, of schema 3; classic ones show the same with le.
#ifndef TOOLS_LOADGEN_LOAD_HISTOGRAM_H
#define TOOLS_LOADGEN_LOAD_HISTOGRAM_H

#include "tools/loadgen/load_motion.h"

enum {
    LOAD_BUCKETS_N = 8,
    LOAD_BUCKETS_SCHEMA = 3,
    LOAD_BUCKETS_OFFSET = -24, // of the first; its upper bound is 2^(-24/8)
};

static inline double load_bucket_bound(int bucket)
{
    return exp2((LOAD_BUCKETS_OFFSET + bucket) / 8.0);
}

// m->step is how many observations come in a step. Each bucket grows by its share, and never back.
static inline uint64_t load_bucket(const struct load_motion *m, int bucket, uint64_t step)
{
    static const double shares[LOAD_BUCKETS_N] = {1 / 48.0,  3 / 48.0, 8 / 48.0, 14 / 48.0,
                                                  12 / 48.0, 6 / 48.0, 3 / 48.0, 1 / 48.0};
    struct load_motion of = *m;
    of.seed += (uint32_t)bucket;
    of.step *= shares[bucket];
    return (uint64_t)load_value(&of, step);
}

// Of n observations in a bucket.
static inline double load_bucket_sum(int bucket, uint64_t n)
{
    return (double)n * exp2((LOAD_BUCKETS_OFFSET + bucket - 0.5) / 8);
}

#endif
