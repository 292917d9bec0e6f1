// Inside of the evaluator: values, the plan, and one run of it.
#ifndef ENGINE_PROMQL_PLAN_H
#define ENGINE_PROMQL_PLAN_H

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

// A fragment: equal ones are run once.
struct plan_leaf {
    struct fragment *fragment;
    size_t uses; // by nodes that have not taken its value yet
    bool is_gathered;
    struct vec vec;
    struct query_part *parts; // its results, parts_count
};

struct plan_node {
    const struct promql_expr *expr; // without parentheses around it
    size_t place;                   // in the list of all expressions (promql_list())
    struct steps steps;             // at which it is evaluated
    int64_t end_ms;                 // at or behind the last step: where Prometheus's steps end
    size_t spread; // it does not depend on the step: evaluated at one, repeated this often
    struct fragment *fragment; // what of it runs on the shards: a selector and what is above
    struct plan_leaf *leaf;    // the fragment's
    struct plan_node **args;   // of calls, aggregations (expr, param), operators; NULL: see above
    size_t args_count;
    struct window_times windows;     // of a subquery below a range function
    struct plan_work *apart;         // of its expression, where it is evaluated in parts
    const struct plan_node *informs; // of info series: the call of info()
    bool is_empty;                   // a subquery without a single step
    bool in_subquery;                // its steps are not the query's
    bool absorbed;                   // into the fragment of the aggregation above: has no value
    uint64_t weight;                 // how often what it reads counts: once for each repetition
    uint64_t held;                   // samples that its evaluation left behind (samples.h)
    uint64_t *counts;                // of the points of vec, at each step; NULL: there are none
    struct vec vec; // its value, once it was evaluated, at all steps it is wanted at;
    double *scalar; // whoever uses it may change it, unless expr is a number
};

// An expression that has no node yet.
struct plan_work {
    const struct promql_expr *expr;
    size_t place;
    struct steps steps;
    int64_t end_ms;
    uint64_t weight;
    bool in_subquery;
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
    struct plan_node **leaf_nodes; // those with a fragment, in the order of the text
    size_t leaf_nodes_count, leaf_nodes_capacity;
    struct plan_leaf *leaves; // their fragments, without repetition
    size_t leaves_count, parts_count;
    uint64_t samples;       // held, as Prometheus counts
    struct label_map notes; // their words, in out->notes
    size_t notes_capacity;
    bool lacks_room;          // for a note: the query ends
    unsigned depth;           // of a part of a subquery: how many are around it
    bool is_whole;            // all of a subquery whose steps no column has: it may be empty
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

// The time of an @, or one that nothing is at where Prometheus's difference to the query's start,
// in nanoseconds, overflows.
int64_t plan_at_time(const struct query *q, int64_t at_ms);
err plan_make(struct query *q, const struct promql_expr *expr, struct plan_node **out);
// Of a part of a subquery's steps; q has is_constant.
err plan_make_part(struct query *q, struct plan_work first);
const struct promql_expr *expr_bare(const struct promql_expr *e); // without parentheses
// Functions of the time of evaluation, also where their argument has an @.
bool function_is_of_time(enum promql_function_id id);
// The place of e's child.
size_t expr_child_place(const struct promql_expr *e, size_t place, size_t index);
bool matchers_fix_name(const struct matcher *ms, size_t n);

// For what plans its own arguments: the node of node's child, which comes to *out; nodes and leaves
// of one's own. What is added first is evaluated last, but behind all that is below node.
void plan_child(struct query *q, struct plan_node *node, size_t index, struct plan_node **out);
void plan_add_node(struct query *q, struct plan_node *node);
void plan_add_leaf(struct query *q, struct plan_node *node); // node has a fragment
err plan_share_leaves(struct query *q);                      // share.c: fills q->leaves
err plan_info(struct query *q, struct plan_node *node);      // info.c
// call.c: whether an absent() has to know if storage holds anything; with leaves.
void plan_absent(struct query *q, const struct plan_node *node);

#endif
