// Inside of aggregations: the series of a vector by group.
#ifndef ENGINE_PROMQL_GROUPED_H
#define ENGINE_PROMQL_GROUPED_H

#include "engine/promql/eval.h"

struct group {
    size_t *members; // series of the argument, in its order
    size_t n;
    bool drop_name;
};

struct grouped {
    struct vec in;
    struct label_map map; // labels of the groups
    struct group *groups; // map.n
    double *param;        // for each step, or NULL
    size_t steps;
};

// Of a parameter over all steps; with a NaN among them least and greatest are NaN.
struct params_range {
    double least, greatest;
    bool has_nan;
};
struct params_range params_range(const double *params, size_t n);

// topk, bottomk, limitk, limit_ratio: a choice among the series.
err aggregation_choose(struct query *q, const struct promql_expr *e, struct grouped *g,
                       struct vec *out);

#endif
