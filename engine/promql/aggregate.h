// Aggregations whose partial results can be merged: sum, avg, min, max, count, group, stddev,
// stdvar; for all steps at once.
//
// Partial results are made per partition and merged along a fixed tree over partition numbers, so
// that the bits do not depend on how many shards there are. Within a partition values come in the
// order of the series.
#ifndef ENGINE_PROMQL_AGGREGATE_H
#define ENGINE_PROMQL_AGGREGATE_H

#include "engine/promql/operator.h"
#include "engine/promql/steps.h"

struct aggregate_state { // of one group; arrays of n, some NULL as the operation needs
    double *sum;         // or the mean, the least, the greatest
    double *c;           // compensation of sum; of stddev: the sum of squared distances
    double *count;
    uint64_t *present;
    uint64_t *is_mean; // of avg: steps whose sum would have overflowed hold a mean instead
};

bool aggregate_is_mergeable(enum promql_aggregate op);

err aggregate_state_make(enum promql_aggregate op, size_t n, struct arena *a,
                         struct aggregate_state *out);
void aggregate_state_clear(struct aggregate_state *s, size_t n); // as it was made
void aggregate_add(enum promql_aggregate op, struct aggregate_state *s, size_t n, const double *v,
                   const uint64_t *present);
void aggregate_merge(enum promql_aggregate op, struct aggregate_state *into, size_t n,
                     const struct aggregate_state *from);
// The results; they take the state's memory, which is no longer a state.
void aggregate_finish(enum promql_aggregate op, struct aggregate_state *s, size_t n,
                      struct step_column *out);

// Partial results of one group by partition, ascending, merged along the tree into parts[0]. Each
// level of the tree splits by one bit of the partition number, from the highest down.
struct aggregate_part {
    uint32_t partition;
    struct aggregate_state state;
};
void aggregate_merge_tree(enum promql_aggregate op, struct aggregate_part *parts, size_t count,
                          size_t n);

#endif
