// Inside of the evaluator: the plan, values, and the functions that turn one into the other.
#ifndef ENGINE_PROMQL_EVAL_H
#define ENGINE_PROMQL_EVAL_H

#include "engine/promql/fragment.h"
#include "engine/promql/query.h"

// ---- values

struct vec_series {
    struct str labels;
    bool drop_name; // delayed: the name goes when the query ends
    struct step_column column;
};

struct vec { // an instant vector at each of its steps; series without any value do not stand here
    struct vec_series *series;
    size_t n, capacity;
};

// ---- the plan, and the values of its nodes

struct plan_node {
    const struct promql_expr *expr; // without parentheses around it
    size_t place;                   // in the list of all expressions (promql_list())
    struct steps steps;             // at which it is evaluated
    size_t spread; // it does not depend on the step: evaluated at one, repeated this often
    struct fragment *fragment; // what of it runs on the shards: a selector and what is above
    struct plan_node **args;   // of calls, aggregations (expr, param), operators; NULL: see above
    size_t args_count;
    struct window_times windows; // of a subquery below a range function
    bool is_empty;               // a subquery without a single step
    bool absorbed;               // into the fragment of the aggregation above: has no value
    struct vec vec;              // its value, once it was evaluated, at all steps it is wanted at;
    double *scalar;              // whoever uses it may change it, unless expr is a number
};

// An expression that has no node yet.
struct plan_work {
    const struct promql_expr *expr;
    size_t place;
    struct steps steps;
    struct plan_node **out;
};

// One run of a plan.
struct query {
    const struct query_source *source;
    const struct query_options *options;
    struct str text;
    struct arena *a;
    struct errmsg *e;
    struct query_result *out;
    struct steps steps;       // of the query as a whole
    struct plan_node **nodes; // each before those below it
    size_t nodes_count, nodes_capacity;
    bool *is_constant; // of each expression, by place: it does not depend on the step
    struct plan_work *work;
    size_t work_count, work_capacity;
    struct plan_node **leaves;  // with a fragment, in the order of the text
    struct query_part *results; // of leaves, parts_count each
    size_t leaves_count, leaves_capacity, parts_count;
    uint64_t samples;       // in memory, in vectors
    struct label_map notes; // their words, in out->notes
    size_t notes_capacity;
    struct label_map numbers; // value and steps of the arrays
    double **number_arrays;
    size_t numbers_capacity;
};

// What one part of the source answered to one fragment.
struct query_part {
    struct fragment_result result;
    bool is_done; // has run
};

// Times at the ends of int64 would overflow with an offset; nothing is there.
static inline int64_t near_time(int64_t t_ms)
{
    const int64_t most = (int64_t)1 << 60;
    return t_ms > most ? most : t_ms < -most ? -most : t_ms;
}

// plan.c
err plan_make(struct query *q, const struct promql_expr *expr, struct plan_node **out);
const struct promql_expr *expr_bare(const struct promql_expr *e); // without parentheses
// Functions of the time of evaluation, also where their argument has an @.
bool function_is_of_time(enum promql_function_id id);
// The place of e's child.
size_t expr_child_place(const struct promql_expr *e, size_t place, size_t index);
bool matchers_fix_name(const struct matcher *ms, size_t n);

// duration_expr.c: the milliseconds of a range, step (or_less false) or offset.
err duration_of(const struct query_options *o, const struct promql_expr *d, bool or_less,
                struct arena *a, int64_t *out_ms, struct errmsg *e);

// gather.c: fragments and their results.
err gather_all(struct query *q); // runs every fragment that waits for no parameter
err gather_vec(struct query *q, const struct plan_node *node, struct vec *out);
err gather_raw(struct query *q, const struct plan_node *node);

// eval.c: every node, children first; then what a node's value is.
err eval_all(struct query *q);
static inline struct vec node_vec(const struct plan_node *node)
{
    return node->vec;
}
static inline double *node_scalar(const struct plan_node *node)
{
    return node->scalar;
}
struct str eval_string(const struct plan_node *node);

// vec.c
err vec_add(struct query *q, struct vec *v, struct str labels, bool drop_name,
            struct step_column column);
err vec_add_new(struct query *q, struct vec *v, struct str labels, bool drop_name, size_t steps,
                struct step_column *out); // with a column of its own, all absent
void vec_drop_empty(struct vec *v, size_t steps);
// Names dropped from all series, or marked to be dropped.
void vec_drop_names(struct query *q, struct vec *v);
// Series of equal labels become one, unless they have a value at the same step. Of their marks the
// one that comes first in time stays.
err vec_merge_equal(struct query *q, struct vec *v, size_t steps);
err vec_no_equal(struct query *q, const struct vec *v); // an error where there are any
err vec_sort_by_labels(struct query *q, struct vec *v);

// binary.c, aggregation.c, call.c
err eval_binary(struct query *q, const struct plan_node *node, struct vec *out);
void eval_scalar_binary(const struct plan_node *node, double *l); // l: left side, then result
err eval_aggregation(struct query *q, const struct plan_node *node, struct vec *out);
err eval_call(struct query *q, const struct plan_node *node, struct vec *out);
err eval_scalar_call(struct query *q, const struct plan_node *node, double **out);
bool call_has_range(const struct promql_expr *e); // a range function's
err call_check_labels(struct query *q, const struct promql_expr *e); // of label_*: their texts
// What absent() makes of *v: at steps where no series is, one with the labels that of, if it is a
// selector, asks for.
err eval_absent(struct query *q, const struct plan_node *node, const struct promql_expr *of,
                struct vec *v);
// Where Prometheus says the argument of a call is.
const struct promql_expr *param_position(const struct query *q, const struct plan_node *call,
                                         size_t index);

// histogram.c: functions of histograms.
err eval_histogram(struct query *q, const struct plan_node *node, struct vec *out);

// sort.c
err eval_sort(struct query *q, const struct plan_node *node, struct vec *out);

#endif
