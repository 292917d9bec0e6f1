#include "engine/promql/plan.h"
#include "engine/promql/gently.h"

#include <assert.h>
#include <stddef.h>

#include "engine/base/util.h"
#include "engine/promql/note.h"
#include "io/fiber_memory.h"

enum {
    WHOLE_STEPS_MAX = 1 << 18, // of a subquery: more are evaluated in parts
    PARTS_DEPTH_MAX = 2,       // of such subqueries in each other: each takes of the stack
};

const struct promql_expr *expr_bare(const struct promql_expr *e)
{
    while (e->kind == PROMQL_PAREN)
        e = e->paren;
    return e;
}

// A matcher asks for one metric name, so that dropping names cannot make two series equal.
bool matchers_fix_name(const struct matcher *ms, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (ms[i].kind == MATCHER_EQ && str_eq(ms[i].name, LABEL_NAME) && ms[i].value.n)
            return true;
    return false;
}

// ---- what does not depend on the step

bool function_is_of_time(enum promql_function_id id)
{
    switch ((int)id) {
    case PROMQL_FN_PREDICT_LINEAR:
    case PROMQL_FN_TIME:
    case PROMQL_FN_TIMESTAMP:
        return true;
    default:
        return call_is_of_date(id);
    }
}

static bool may_be_constant(const struct promql_expr *e) // as far as e itself goes
{
    switch (e->kind) {
    case PROMQL_VECTOR:
        return e->vector.shift.at != PROMQL_AT_NONE;
    case PROMQL_CALL:
        return !function_is_of_time(e->call.function->id);
    case PROMQL_SUBQUERY: // whatever is in it
        return e->subquery.shift.at != PROMQL_AT_NONE;
    case PROMQL_MATRIX:
    case PROMQL_NUMBER:
    case PROMQL_STRING:
    case PROMQL_AGGREGATE:
    case PROMQL_BINARY:
    case PROMQL_PAREN:
    case PROMQL_UNARY:
    case PROMQL_DURATION:
        break;
    }
    return true;
}

// Which expressions do not depend on the step, children before parents.
static err find_constants(struct query *q, const struct promql_expr *root)
{
    const struct promql_expr **all = promql_list_gently(root, q->a, gently);
    q->is_constant = gently_array(q->a, root->size, bool);
    if (!all || !q->is_constant)
        return query_too_many_samples(q->e);
    for (size_t i = root->size; i-- > 0;) {
        TRY(query_breathe_at(i, q->a, q->e));
        bool constant = may_be_constant(all[i]);
        if (all[i]->kind != PROMQL_SUBQUERY)
            for (size_t at = i + 1; at < i + all[i]->size && constant; at += all[at]->size)
                constant = q->is_constant[at];
        q->is_constant[i] = constant;
    }
    return ERR_OK;
}

size_t expr_child_place(const struct promql_expr *e, size_t place, size_t index)
{
    place++;
    for (size_t i = 0; i < index; i++)
        place += promql_child(e, i)->size;
    return place;
}

// Of a list with n items of size an array of twice the capacity, whatever the limits: the query's
// text bounds it.
static void *grown(struct query *q, const void *p, size_t n, size_t *capacity, size_t size)
{
    *capacity = *capacity ? *capacity * 2 : 16;
    void *all = arena_alloc(q->a, *capacity * size, _Alignof(max_align_t));
    if (n)
        fiber_copy(all, p, n * size);
    return all;
}

// ---- selectors

int64_t plan_at_time(const struct query *q, int64_t at_ms)
{
    int64_t apart;
    if (__builtin_sub_overflow(q->options->start_ms, at_ms, &apart) ||
        __builtin_mul_overflow(apart, 1000000, &apart))
        return near_time(INT64_MIN);
    return near_time(at_ms);
}

static err leaf_times(struct query *q, const struct promql_shift *shift, const struct steps *steps,
                      struct window_times *out)
{
    int64_t offset_ms = shift->offset_ns / 1000000;
    if (shift->offset_expr)
        TRY(duration_of(q->options, shift->offset_expr, true, q->a, &offset_ms, q->e));
    out->offset_ms = offset_ms;
    out->asked = out->at = *steps;
    switch (shift->at) {
    case PROMQL_AT_NONE:
        return ERR_OK;
    case PROMQL_AT_TIME:
        out->at = (struct steps){plan_at_time(q, shift->at_ms), 0, steps->n};
        break;
    case PROMQL_AT_START:
        out->at = (struct steps){q->options->start_ms, 0, steps->n};
        break;
    case PROMQL_AT_END:
        out->at = (struct steps){plan_at_time(q, q->options->end_ms), 0, steps->n};
        break;
    }
    return ERR_OK;
}

void plan_add_leaf(struct query *q, struct plan_node *node)
{
    if (q->leaf_nodes_count == q->leaf_nodes_capacity) {
        q->leaf_nodes = grown(q, q->leaf_nodes, q->leaf_nodes_count, &q->leaf_nodes_capacity,
                              sizeof *q->leaf_nodes);
    }
    q->leaf_nodes[q->leaf_nodes_count++] = node;
}

static err plan_selector(struct query *q, struct plan_node *node,
                         const struct promql_expr *selector, enum fragment_kind kind,
                         int64_t range_ms)
{
    struct fragment *f = arena_new(q->a, struct fragment);
    *f = (struct fragment){
        .kind = kind,
        .matchers = selector->vector.matchers,
        .matchers_count = selector->vector.matchers_count,
        .delayed_name_removal = q->options->delayed_name_removal,
        .samples_max = q->options->samples_max,
        .budget = q->a->budget,
    };
    TRY(leaf_times(q, &selector->vector.shift, &node->steps, &f->times));
    f->times.range_ms = range_ms;
    if ((kind == FRAGMENT_FUNCTION || kind == FRAGMENT_RAW) &&
        (selector->vector.anchored || selector->vector.smoothed)) {
        f->times.before_ms = q->options->lookback_ms;
        f->times.behind_ms = selector->vector.smoothed ? q->options->lookback_ms : 0;
    }
    node->fragment = f;
    plan_add_leaf(q, node);
    return ERR_OK;
}

// The newest sample within the lookback. A lookback below a millisecond is of samples at a step's
// very time; but Prometheus reads from behind the time where the query, or @, begins.
static err plan_newest(struct query *q, struct plan_node *node)
{
    const struct promql_expr *e = node->expr;
    TRY(plan_selector(q, node, e, FRAGMENT_NEWEST, q->options->lookback_ms));
    if (q->options->lookback_ms == 0 && e->vector.shift.at == PROMQL_AT_NONE) {
        node->fragment->times.range_ms = 1;
        node->fragment->skips_first = !node->in_subquery;
    }
    return ERR_OK;
}

static err matrix_range(struct query *q, const struct promql_expr *matrix, int64_t *out_ms)
{
    *out_ms = matrix->matrix.range_ms;
    if (matrix->matrix.range_expr)
        return duration_of(q->options, matrix->matrix.range_expr, false, q->a, out_ms, q->e);
    return ERR_OK;
}

// ---- what is still to be planned: a list, because the depth of a tree is not for a fiber's stack

static void plan_later(struct query *q, struct plan_work work)
{
    if (q->work_count == q->work_capacity) {
        q->work = grown(q, q->work, q->work_count, &q->work_capacity, sizeof *q->work);
    }
    for (; work.expr->kind == PROMQL_PAREN; work.expr = work.expr->paren)
        work.place++;
    q->work[q->work_count++] = work;
}

void plan_child(struct query *q, struct plan_node *node, size_t index, struct plan_node **out)
{
    const size_t place = expr_child_place(node->expr, node->place, index);
    plan_later(q, (struct plan_work){promql_child(node->expr, index), place, node->steps,
                                     node->end_ms, node->weight, node->in_subquery, out});
}

// ---- subqueries

// The steps at which the inner expression is evaluated: multiples of the subquery's step that some
// window of the outer steps holds, and those up to the end of the outer steps, behind the last one:
// Prometheus evaluates it there, too, which its errors and annotations show.
// weight: of what the inner expression reads. A function over the subquery counts that itself.
static err plan_subquery(struct query *q, struct plan_node *node, const struct promql_expr *e,
                         size_t place, uint64_t weight)
{
    int64_t range_ms = e->subquery.range_ms, step_ms = e->subquery.step_ms;
    if (e->subquery.range_expr)
        TRY(duration_of(q->options, e->subquery.range_expr, false, q->a, &range_ms, q->e));
    if (e->subquery.step_expr)
        TRY(duration_of(q->options, e->subquery.step_expr, false, q->a, &step_ms, q->e));
    else if (step_ms == 0 && e->subquery.step_ns)
        return query_zero_step(q->e);
    if (step_ms == 0)
        step_ms = q->options->subquery_step_ms;
    TRY(leaf_times(q, &e->subquery.shift, &node->steps, &node->windows));
    node->windows.range_ms = range_ms;
    const int64_t after = node->windows.at.start_ms - node->windows.offset_ms - range_ms;
    const int64_t behind_ms = node->windows.at.step_ms ? node->end_ms - steps_end(&node->steps) : 0;
    const int64_t end = steps_end(&node->windows.at) - node->windows.offset_ms + behind_ms;
    struct steps inner = {.start_ms = step_ms * (after / step_ms), .step_ms = step_ms};
    if (inner.start_ms <= after)
        inner.start_ms += step_ms;
    node->is_empty = inner.start_ms > end;
    if (node->is_empty) // what is never evaluated has no errors and no notes
        return ERR_OK;
    inner.n = (size_t)((end - inner.start_ms) / step_ms) + 1;
    const struct plan_work work = {e->subquery.expr, place + 1, inner,         end,
                                   weight,           true,      &node->args[0]};
    if (inner.n <= WHOLE_STEPS_MAX || q->is_whole || q->depth == PARTS_DEPTH_MAX) {
        plan_later(q, work);
        return ERR_OK;
    }
    node->apart = arena_new(q->a, struct plan_work);
    *node->apart = work;
    node->args[0] = arena_new(q->a, struct plan_node); // what it holds is counted
    node->args[0]->expr = e->subquery.expr;
    node->args[0]->steps = inner;
    return ERR_OK;
}

// ---- calls and aggregations

// In place of *f, for windows that reach beyond their range.
static err extended_function(struct query *q, const struct promql_expr *call,
                             const struct promql_expr *selector, const struct range_function **f)
{
    const bool smoothed = selector->vector.smoothed;
    if (!smoothed && !selector->vector.anchored)
        return ERR_OK;
    *f = range_function_extended(call->call.function->id, smoothed);
    if (*f)
        return ERR_OK;
    return err_set(q->e, ERR_INVALID, "%s modifier can only be used with: %s - not with %.*s",
                   smoothed ? "smoothed" : "anchored",
                   smoothed ? "delta, increase, rate" : "changes, delta, increase, rate, resets",
                   STR_ARG(call->call.function->name));
}

static err plan_range_function(struct query *q, struct plan_node *node,
                               const struct range_function *f)
{
    const struct promql_expr *e = node->expr, *arg = e->call.args[f->matrix_arg];
    size_t place = expr_child_place(e, node->place, (size_t)f->matrix_arg);
    for (; arg->kind == PROMQL_PAREN; arg = arg->paren)
        place++;
    node->args_count = 3; // the subquery's expression, the parameters
    node->args = arena_zalloc(q->a, 3 * sizeof(struct plan_node *), _Alignof(struct plan_node *));
    if (arg->kind == PROMQL_SUBQUERY) // first, as everything that is planned first
        TRY(plan_subquery(q, node, arg, place, 0));
    for (size_t i = 0; i < (size_t)f->params; i++)
        plan_child(q, node, (size_t)f->param_arg + i, &node->args[1 + i]);
    if (arg->kind == PROMQL_SUBQUERY)
        return ERR_OK;
    assert(arg->kind == PROMQL_MATRIX);
    int64_t range_ms;
    TRY(matrix_range(q, arg, &range_ms));
    TRY(extended_function(q, e, arg->matrix.vector, &f));
    TRY(plan_selector(q, node, arg->matrix.vector, FRAGMENT_FUNCTION, range_ms));
    if (!arg->matrix.range_expr)
        node->fragment->times.range_ns = arg->matrix.range_ns;
    node->fragment->function = f;
    node->fragment->drops_name =
        !f->keeps_name && e->call.function->id != PROMQL_FN_ABSENT_OVER_TIME;
    node->fragment->wants_counters = f->counts;
    return ERR_OK;
}

static err plan_children(struct query *q, struct plan_node *node)
{
    size_t n = 0;
    while (promql_child(node->expr, n))
        n++;
    node->args_count = n;
    node->args = arena_zalloc(q->a, n * sizeof(struct plan_node *), _Alignof(struct plan_node *));
    size_t place = node->place + 1;
    for (size_t i = 0; i < n; i++) {
        const struct promql_expr *child = promql_child(node->expr, i);
        plan_later(q, (struct plan_work){child, place, node->steps, node->end_ms, node->weight,
                                         node->in_subquery, &node->args[i]});
        place += child->size;
    }
    return ERR_OK;
}

// With @, Prometheus looks for the newest sample before that time itself, whatever the offset,
// among those that the selector with its offset reads.
static void forget_offset(struct window_times *times, const struct promql_expr *selector)
{
    if (selector->vector.shift.at == PROMQL_AT_NONE)
        return;
    const int64_t offset_ms = times->offset_ms;
    const int64_t apart_ms = offset_ms < 0 ? -offset_ms : offset_ms;
    times->range_ms = times->range_ms > apart_ms ? times->range_ms - apart_ms : 0;
    times->offset_ms = offset_ms < 0 ? 0 : offset_ms;
}

static err plan_call(struct query *q, struct plan_node *node)
{
    const struct promql_expr *e = node->expr;
    const enum promql_function_id id = e->call.function->id;
    const struct range_function *f =
        range_function_find(id == PROMQL_FN_ABSENT_OVER_TIME ? PROMQL_FN_PRESENT_OVER_TIME : id);
    if (f)
        return plan_range_function(q, node, f);
    if (id == PROMQL_FN_INFO)
        return plan_info(q, node);
    for (size_t i = 0; i < e->call.args_count; i++)
        if (e->call.args[i]->type == PROMQL_TYPE_MATRIX)
            return query_unsupported_function(q, e);
    if (id == PROMQL_FN_TIMESTAMP && expr_bare(e->call.args[0])->kind == PROMQL_VECTOR) {
        TRY(plan_selector(q, node, expr_bare(e->call.args[0]), FRAGMENT_TIMESTAMP,
                          q->options->lookback_ms));
        forget_offset(&node->fragment->times, expr_bare(e->call.args[0]));
        node->fragment->drops_name = true;
        return ERR_OK;
    }
    return plan_children(q, node);
}

static void plan_aggregation(struct query *q, struct plan_node *node)
{
    const struct promql_expr *e = node->expr;
    node->args_count = 2;
    node->args = arena_zalloc(q->a, 2 * sizeof(struct plan_node *), _Alignof(struct plan_node *));
    if (e->aggregate.param)
        plan_child(q, node, 0, &node->args[1]);
    plan_child(q, node, e->aggregate.param ? 1 : 0, &node->args[0]);
}

// An aggregation moves into the fragment below it, where partial results can be merged, and where
// dropping names cannot make two series equal, which would be an error.
static void absorb_aggregation(struct query *q, struct plan_node *node)
{
    const struct promql_expr *e = node->expr;
    if (e->kind != PROMQL_AGGREGATE || !aggregate_is_mergeable(e->aggregate.op))
        return;
    struct plan_node *below = node->args[0];
    struct fragment *f = below->fragment;
    if (!f || (below->expr->kind == PROMQL_CALL &&
               below->expr->call.function->id == PROMQL_FN_ABSENT_OVER_TIME))
        return;
    const bool may_clash = f->drops_name && !f->delayed_name_removal;
    if (may_clash && !matchers_fix_name(f->matchers, f->matchers_count))
        return;
    assert(!below->spread && !f->aggregates);
    if (f->kind == FRAGMENT_TIMESTAMP)
        return; // its points are counted step by step
    below->absorbed = true;
    f->aggregates = true;
    f->op = e->aggregate.op;
    f->without = e->aggregate.without;
    f->grouping =
        label_names_with((struct label_names){e->aggregate.grouping, e->aggregate.grouping_count},
                         f->without ? LABEL_NAME : (struct str){0}, q->a);
}

void plan_add_node(struct query *q, struct plan_node *node)
{
    if (q->nodes_count == q->nodes_capacity) {
        q->nodes = grown(q, q->nodes, q->nodes_count, &q->nodes_capacity, sizeof *q->nodes);
    }
    q->nodes[q->nodes_count++] = node;
}

// The operators that cut histograms.
static bool is_scalar_trim(const struct promql_expr *e)
{
    return e->type == PROMQL_TYPE_SCALAR &&
           (e->binary.op == PROMQL_TRIM_LOWER || e->binary.op == PROMQL_TRIM_UPPER);
}

static err plan_node(struct query *q, struct plan_node *node)
{
    const struct steps *steps = &node->steps;
    const enum promql_kind kind = node->expr->kind;
    if (kind == PROMQL_NUMBER || kind == PROMQL_STRING)
        return ERR_OK;
    if (steps->n > 1 && q->is_constant[node->place]) {
        node->spread = steps->n;
        node->steps.n = 1;
        node->end_ms = node->steps.start_ms;
        node->weight *= node->spread;
    }
    switch (kind) {
    case PROMQL_VECTOR:
        if (!node->expr->vector.smoothed)
            return plan_newest(q, node);
        TRY(plan_selector(q, node, node->expr, FRAGMENT_FUNCTION, 0));
        node->fragment->function = &range_smoothed_value;
        return ERR_OK;
    case PROMQL_MATRIX: {
        int64_t range_ms;
        TRY(matrix_range(q, node->expr, &range_ms));
        return plan_selector(q, node, node->expr->matrix.vector, FRAGMENT_RAW, range_ms);
    }
    case PROMQL_SUBQUERY:
        node->args_count = 1;
        node->args = arena_zalloc(q->a, sizeof(struct plan_node *), _Alignof(struct plan_node *));
        return plan_subquery(q, node, node->expr, node->place, node->weight);
    case PROMQL_CALL:
        return plan_call(q, node);
    case PROMQL_AGGREGATE:
        plan_aggregation(q, node);
        return ERR_OK;
    case PROMQL_BINARY:
        if (is_scalar_trim(node->expr))
            return err_set(q->e, ERR_INVALID, "operator \"%s\" not allowed for Scalar operations",
                           promql_op_text(node->expr->binary.op));
        return plan_children(q, node);
    case PROMQL_UNARY:
        return plan_children(q, node);
    case PROMQL_NUMBER:
    case PROMQL_STRING:
    case PROMQL_PAREN:
    case PROMQL_DURATION:
        break;
    }
    assert(false);
    return ERR_INVALID;
}

err plan_make_part(struct query *q, struct plan_work first)
{
    plan_later(q, first);
    while (q->work_count) {
        TRY(query_breathe_at(q->nodes_count, q->a, q->e));
        const struct plan_work work = q->work[--q->work_count];
        struct plan_node *node = arena_new(q->a, struct plan_node);
        node->expr = work.expr;
        node->place = work.place;
        node->steps = work.steps;
        node->end_ms = work.end_ms;
        node->weight = work.weight;
        node->in_subquery = work.in_subquery;
        *work.out = node;
        plan_add_node(q, node);
        TRY(plan_node(q, node));
    }
    for (size_t i = 0; i < q->nodes_count; i++) {
        TRY(query_breathe_at(i, q->a, q->e));
        absorb_aggregation(q, q->nodes[i]);
    }
    TRY(plan_share_leaves(q));
    for (size_t i = 0; i < q->nodes_count; i++) {
        gently_at(i);
        plan_absent(q, q->nodes[i]);
    }
    return ERR_OK;
}

err plan_make(struct query *q, const struct promql_expr *expr, struct plan_node **out)
{
    TRY(find_constants(q, expr));
    return plan_make_part(q,
                          (struct plan_work){expr, 0, q->steps, q->options->end_ms, 1, false, out});
}
