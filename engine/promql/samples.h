// How many samples a query holds and reads, as Prometheus counts them: for the limit
// query.max-samples and the statistics of an answer.
//
// Prometheus evaluates a tree depth first and keeps a count of the points in memory. We hold other
// things at other times, so the count is kept beside the evaluation, node after node in the same
// order, from the numbers of points at each step.
#ifndef ENGINE_PROMQL_SAMPLES_H
#define ENGINE_PROMQL_SAMPLES_H

#include "engine/promql/eval.h"

// Counts what a node's evaluation held, read and left behind. Its vec, scalar and those of its
// arguments are complete. ERR_LIMIT: more than samples_max at a time.
err samples_count_fragment(struct query *q, struct plan_node *node);
// Of a node that informs: what it gathered was cut to what it was asked for.
err samples_count_info(struct query *q, struct plan_node *node);
// A function over a subquery: what it held per series of the inner expression.
err samples_count_series(struct query *q, struct plan_node *node, const struct windows *w,
                         size_t made);
// The parts of a subquery so far held as many at most; of all, held were left behind, below.
err samples_hold_parts(struct query *q, uint64_t peak);
void samples_take_parts(struct query *q, struct plan_node *below, uint64_t held);
err samples_count_node(struct query *q, struct plan_node *node);
// A node's value at one step was repeated at all.
err samples_count_spread(struct query *q, struct plan_node *node);

#endif
