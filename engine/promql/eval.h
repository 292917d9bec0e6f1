// Inside of the evaluator: the functions that turn a plan's nodes into values.
#ifndef ENGINE_PROMQL_EVAL_H
#define ENGINE_PROMQL_EVAL_H

#include "engine/promql/plan.h"

// duration_expr.c: the milliseconds of a range, step (or_less false) or offset.
err duration_of(const struct query_options *o, const struct promql_expr *d, bool or_less,
                struct arena *a, int64_t *out_ms, struct errmsg *e);

// gather.c: fragments and their results.
err gather_all(struct query *q); // runs every fragment that waits for no parameter
err gather_vec(struct query *q, struct plan_node *node, struct vec *out);
err gather_raw(struct query *q, struct plan_node *node);

// eval.c: every node, children first; then what a node's value is.
err eval_all(struct query *q);
// The error of a query whose samples could not be had: what is wrong with its texts comes first.
err eval_judged(struct query *q, err code);
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
err vec_copy(struct query *q, const struct vec *v, size_t steps, struct vec *out);
void vec_drop_empty(struct vec *v, size_t steps);
// Names dropped from all series, or marked to be dropped.
err vec_drop_names(struct query *q, struct vec *v);
// Series of equal labels become one, unless they have a value at the same step. Of their marks the
// one that comes first in time stays.
err vec_merge_equal(struct query *q, struct vec *v, size_t steps);
err vec_no_equal(struct query *q, const struct vec *v); // an error where there are any
err vec_sort_by_labels(struct query *q, struct vec *v);

// subquery.c: a range function over a subquery; a subquery of many steps that is the whole query.
err eval_over_subquery(struct query *q, struct plan_node *node, const struct range_function *f,
                       const double *param, struct vec *out);
err eval_subquery_alone(struct query *q, struct plan_node *root);

// binary.c, aggregation.c, call.c
err eval_binary(struct query *q, const struct plan_node *node, struct vec *out);
void eval_scalar_binary(const struct plan_node *node, double *l); // l: left side, then result
err eval_aggregation(struct query *q, const struct plan_node *node, struct vec *out);
err eval_call(struct query *q, const struct plan_node *node, struct vec *out);
err eval_scalar_call(struct query *q, const struct plan_node *node, double **out);
bool call_has_range(const struct promql_expr *e);                    // a range function's
bool call_is_of_labels(const struct promql_expr *e);                 // label_replace, label_join
err check_label_texts(struct query *q, const struct promql_expr *e); // label_*'s, count_values's
bool call_is_of_date(enum promql_function_id id);                    // date.c: minute() and its kin
double date_part(enum promql_function_id id, double seconds);
err eval_label_join(struct query *q, const struct plan_node *node, struct vec *out); // relabel.c
err eval_label_replace(struct query *q, const struct plan_node *node, struct vec *out);
// What absent() makes of *v: at steps where no series is, one with the labels that of, if it is a
// selector, asks for.
err eval_absent(struct query *q, const struct plan_node *node, const struct promql_expr *of,
                struct vec *v);
// Where Prometheus says the argument of a call is.
const struct promql_expr *param_position(const struct query *q, const struct plan_node *call,
                                         size_t index);

// histogram.c: functions of histograms.
err eval_histogram(struct query *q, const struct plan_node *node, struct vec *out);

// info.c: info(), over its argument and the info series.
err eval_info(struct query *q, const struct plan_node *node, struct vec *out);
// Of the info series *info of that call those that its argument's series ask for.
err info_keep_asked(struct query *q, const struct plan_node *node, struct vec *info);

// sort.c
// At one step the series have an order of their own: sort()'s, topk()'s, and what keeps it.
bool expr_has_order(const struct promql_expr *e);
err eval_sort(struct query *q, const struct plan_node *node, struct vec *out);

#endif
