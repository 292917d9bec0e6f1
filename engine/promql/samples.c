#include "engine/promql/samples.h"
#include "engine/promql/gently.h"

#include <assert.h>
#include <stdlib.h>

// ---- the count

static err set_held(struct query *q, uint64_t samples)
{
    const uint64_t max = q->options->samples_max;
    if (samples > q->out->stats.samples_peak)
        q->out->stats.samples_peak = samples;
    return max && samples > max ? query_too_many_samples(q->e) : ERR_OK;
}

static err hold(struct query *q, uint64_t samples)
{
    q->samples += samples;
    return set_held(q, q->samples);
}

// ---- numbers of points by step

static void count_column(const struct step_column *c, size_t steps, uint64_t *full,
                         uint64_t *counts)
{
    for (size_t w = 0; w < steps_words(steps); w++) {
        if (c->present[w] == steps_mask(steps, w)) {
            full[w]++;
            continue;
        }
        for (uint64_t left = c->present[w]; left; left &= left - 1)
            counts[w * 64 + (size_t)__builtin_ctzll(left)]++;
    }
}

// Of node's vector at all steps it has.
static err count_steps(struct query *q, struct plan_node *node)
{
    const size_t steps = node->steps.n, words = steps_words(steps);
    if (!node->vec.n)
        return ERR_OK;
    uint64_t *full = gently_array(q->a, words, uint64_t);
    node->counts = gently_array(q->a, steps, uint64_t);
    if (!full || !node->counts)
        return query_too_many_samples(q->e);
    for (size_t i = 0; i < node->vec.n; i++) {
        TRY(query_breathe_at(i, q->a, q->e));
        fiber_work(16 + steps);
        count_column(&node->vec.series[i].column, steps, full, node->counts);
    }
    for (struct slice s = {0}; slice_next(&s, steps);)
        for (size_t k = s.from; k < s.end; k++)
            node->counts[k] += full[k / 64];
    return ERR_OK;
}

static bool has_points(const struct plan_node *node)
{
    return node->expr->type == PROMQL_TYPE_SCALAR || node->counts;
}

static uint64_t points_at(const struct plan_node *node, size_t k)
{
    if (node->expr->type == PROMQL_TYPE_SCALAR)
        return 1;
    return node->counts ? node->counts[k] : 0;
}

static uint64_t points(const struct plan_node *node)
{
    uint64_t sum = 0;
    if (!has_points(node))
        return 0;
    for (struct slice s = {0}; slice_next(&s, node->steps.n);)
        for (size_t k = s.from; k < s.end; k++)
            sum += points_at(node, k);
    return sum;
}

// ---- what evaluates step by step

// At each step the arguments' points are held once more, then the result's for good; at the end
// what the arguments held is given back.
static err count_by_steps(struct query *q, struct plan_node *node)
{
    uint64_t before = q->samples;
    bool any = has_points(node);
    for (size_t i = 0; i < node->args_count; i++) {
        before -= node->args[i] ? node->args[i]->held : 0;
        any |= node->args[i] && has_points(node->args[i]);
    }
    for (size_t k = 0; any && k < node->steps.n; k++) {
        gently_step(k);
        uint64_t now = points_at(node, k);
        for (size_t i = 0; i < node->args_count; i++)
            now += node->args[i] ? points_at(node->args[i], k) : 0;
        TRY(set_held(q, q->samples + now));
        q->samples += points_at(node, k);
    }
    node->held = points(node);
    q->samples = before + node->held;
    return ERR_OK;
}

// The timestamps of a selector's samples: found and made at each step.
static err count_timestamps(struct query *q, struct plan_node *node)
{
    for (size_t k = 0; node->counts && k < node->steps.n; k++) {
        gently_step(k);
        TRY(set_held(q, q->samples + 2 * points_at(node, k)));
        q->samples += points_at(node, k);
    }
    node->held = points(node);
    return ERR_OK;
}

// ---- selectors and functions over ranges, series by series

static int compare_loads(const void *left, const void *right)
{
    const struct fragment_load *a = left, *b = right;
    return (a->partition > b->partition) - (a->partition < b->partition);
}

err samples_count_info(struct query *q, struct plan_node *node)
{
    for (size_t i = 0; i < node->vec.n; i++) {
        fiber_work(16 + steps_words(node->steps.n));
        const size_t made = steps_count(node->vec.series[i].column.present, node->steps.n);
        q->out->stats.samples += made * node->weight;
        q->out->stats.samples_read += made;
        TRY(hold(q, made));
        node->held += made;
    }
    return ERR_OK;
}

err samples_count_fragment(struct query *q, struct plan_node *node)
{
    if (node->informs)
        return ERR_OK; // samples_count_info()
    const struct query_part *parts = node->leaf->parts;
    size_t n = 0;
    for (size_t p = 0; p < q->parts_count; p++)
        n += parts[p].result.loads_count;
    struct fragment_load *all = arena_array(q->a, n, struct fragment_load);
    if (!all)
        return query_too_many_samples(q->e);
    n = 0;
    for (size_t p = 0; p < q->parts_count; p++) {
        const struct fragment_result *r = &parts[p].result;
        for (size_t i = 0; i < r->loads_count; i++)
            all[n++] = r->loads[i];
        q->out->stats.samples += r->samples * node->weight;
        q->out->stats.samples_read += r->samples_read;
    }
    if (node->expr->kind == PROMQL_CALL && node->fragment->kind == FRAGMENT_TIMESTAMP)
        return ERR_OK; // by steps, once the vector is there
    if (n)
        qsort(all, n, sizeof *all, compare_loads);
    for (size_t i = 0; i < n; i++) {
        TRY(set_held(q, q->samples + all[i].peak));
        q->samples += all[i].made;
        node->held += all[i].made;
    }
    return ERR_OK;
}

err samples_count_series(struct query *q, struct plan_node *node, const struct windows *w,
                         size_t made)
{
    q->out->stats.samples += w->samples * node->weight;
    q->out->stats.samples_read += w->samples_new;
    TRY(set_held(q, q->samples + windows_load(w, made)));
    q->samples += made;
    node->held += made;
    return ERR_OK;
}

// Prometheus evaluates the parts as one: what each held at most adds up.
err samples_hold_parts(struct query *q, uint64_t peak)
{
    return set_held(q, q->samples + peak);
}

void samples_take_parts(struct query *q, struct plan_node *below, uint64_t held)
{
    below->held = held;
    q->samples += held;
}

// ---- nodes

// Behind a function over a range: scalars that were its arguments stay, a subquery's points go.
static void leave_range(struct query *q, struct plan_node *node)
{
    for (size_t i = 1; i < node->args_count; i++)
        if (node->args[i])
            node->held += node->args[i]->held;
    if (node->args[0] && !node->is_empty)
        q->samples -= node->args[0]->held;
}

static err count_vector_node(struct query *q, struct plan_node *node)
{
    TRY(count_steps(q, node));
    if (node->expr->kind == PROMQL_CALL && call_has_range(node->expr)) {
        leave_range(q, node);
        return ERR_OK;
    }
    if (node->fragment) // info series are times too, but count as values
        return node->expr->kind == PROMQL_CALL ? count_timestamps(q, node) : ERR_OK;
    if (node->expr->kind == PROMQL_UNARY ||
        (node->expr->kind == PROMQL_CALL && call_is_of_labels(node->expr))) {
        node->held = node->args[0]->held;
        return ERR_OK;
    }
    if (node->expr->kind != PROMQL_AGGREGATE || node->expr->aggregate.op == PROMQL_COUNT_VALUES)
        return count_by_steps(q, node);
    if (node->args[0]->absorbed && node->args[0]->expr->kind == PROMQL_CALL &&
        call_has_range(node->args[0]->expr))
        leave_range(q, node->args[0]);
    for (size_t i = 0; i < 2; i++)
        q->samples -= node->args[i] ? node->args[i]->held : 0;
    node->held = points(node);
    q->samples += node->held;
    if (q->samples > q->out->stats.samples_peak)
        q->out->stats.samples_peak = q->samples;
    return ERR_OK;
}

err samples_count_node(struct query *q, struct plan_node *node)
{
    if (node->expr->type != PROMQL_TYPE_SCALAR)
        return count_vector_node(q, node);
    if (node->expr->kind != PROMQL_UNARY)
        return count_by_steps(q, node);
    node->held = node->args[0]->held;
    return ERR_OK;
}

err samples_count_spread(struct query *q, struct plan_node *node)
{
    const uint64_t series = points_at(node, 0);
    if (series && node->spread > STEPS_MAX)
        return query_too_many_samples(q->e);
    const uint64_t more = series * (node->spread - 1);
    node->held += more;
    if (node->counts) {
        node->counts = gently_array(q->a, node->spread, uint64_t);
        if (!node->counts)
            return query_too_many_samples(q->e);
        for (struct slice s = {0}; slice_next(&s, node->spread);)
            for (size_t k = s.from; k < s.end; k++)
                node->counts[k] = series;
    }
    return hold(q, more);
}
