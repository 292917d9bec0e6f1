// topk, bottomk, limitk and limit_ratio: series after series, all steps of one at a time, so that
// memory is read in its order. topk and bottomk keep a heap a step, its worst member at the root.
#include <assert.h>
#include <math.h>
#include <stdlib.h>

#include "engine/base/number.h"
#include "engine/promql/gently.h"
#include "engine/promql/grouped.h"
#include "engine/promql/note.h"

enum { INSERTION_MAX = 64 };

struct candidate {
    double key; // the least is best; NaN is worst
    size_t series;
};

struct chosen { // at one step, of the group at work
    struct candidate *heap;
    size_t n, max;
};

struct choice {
    struct query *q;
    const struct promql_expr *e;
    const struct grouped *g;
    struct step_column *columns; // of each series of the argument, only what was chosen
    struct chosen *at;           // of each step
    size_t *order;               // at one step: series in the order of their values
    size_t order_count;
};

static bool is_worse(const struct candidate *a, const struct candidate *b)
{
    if (isnan(a->key) || isnan(b->key))
        return isnan(a->key) && !isnan(b->key);
    return a->key > b->key;
}

static void swap_candidates(struct candidate *a, struct candidate *b)
{
    const struct candidate swap = *a;
    *a = *b;
    *b = swap;
}

// Up and down as Go's container/heap moves them: among equals it decides who has to go.
static void sift_up(struct candidate *heap, size_t at)
{
    while (at > 0 && is_worse(&heap[at], &heap[(at - 1) / 2])) {
        swap_candidates(&heap[at], &heap[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
}

static void sift_down(struct candidate *heap, size_t n)
{
    for (size_t at = 0, child = 1; child < n; child = 2 * at + 1) {
        if (child + 1 < n && is_worse(&heap[child + 1], &heap[child]))
            child++;
        if (!is_worse(&heap[child], &heap[at]))
            return;
        swap_candidates(&heap[at], &heap[child]);
        at = child;
    }
}

// A later series takes the place of the worst only when it is better.
static void offer(struct chosen *c, struct candidate candidate)
{
    if (c->n < c->max) {
        c->heap[c->n] = candidate;
        sift_up(c->heap, c->n++);
    } else if (c->n && is_worse(&c->heap[0], &candidate)) {
        c->heap[0] = candidate;
        sift_down(c->heap, c->n);
    }
}

// Best first; equal ones stay in the heap's order.
static void sort_heap(struct candidate *heap, size_t n)
{
    for (size_t i = 1; i < n; i++)
        for (size_t at = i; at > 0 && is_worse(&heap[at - 1], &heap[at]); at--)
            swap_candidates(&heap[at - 1], &heap[at]);
}

static int compare_candidates(const void *left, const void *right, const void *arg)
{
    (void)arg;
    return is_worse(left, right) - is_worse(right, left);
}

// ---- parameters: they are judged over all steps, before any of them is looked at

// False: nothing can be chosen at any step. Parameters that no int64 holds are an error then too.
static err check_counts(struct query *q, const struct grouped *g, bool *out_any)
{
    const struct params_range r = params_range(g->param, g->steps);
    *out_any = !(r.greatest < 1);
    if (!*out_any)
        return ERR_OK;
    if (r.has_nan)
        return err_set(q->e, ERR_INVALID, "Parameter value is NaN");
    const bool underflows = r.least <= -9223372036854775808.0;
    if (!underflows && r.greatest < 9223372036854775808.0)
        return ERR_OK;
    char text[NUMBER_TEXT_MAX];
    const size_t n = number_format_g(underflows ? r.least : r.greatest, text);
    return err_set(q->e, ERR_INVALID, "Scalar value %.*s %s int64", (int)n, text,
                   underflows ? "underflows" : "overflows");
}

static void note_ratio(struct query *q, const struct promql_expr *e, double ratio, int capped)
{
    char text[NUMBER_TEXT_MAX];
    const size_t n = number_format_g(ratio, text);
    query_note(q, true, expr_bare(e->aggregate.param),
               "ratio value should be between -1 and 1, got %.*s, capping to %d", (int)n, text,
               capped);
}

static err check_ratios(struct query *q, const struct promql_expr *e, const struct grouped *g,
                        bool *out_any)
{
    const struct params_range r = params_range(g->param, g->steps);
    *out_any = !(r.least == 0 && r.greatest == 0);
    if (*out_any && r.has_nan)
        return err_set(q->e, ERR_INVALID, "Ratio value is NaN");
    if (r.greatest > 1)
        note_ratio(q, e, r.greatest, 1);
    if (r.least < -1)
        note_ratio(q, e, r.least, -1);
    return ERR_OK;
}

// How many of n: param is not NaN and an int64 holds it.
static size_t param_count(double param, size_t n)
{
    return param < 1 ? 0 : param >= (double)n ? n : (size_t)param;
}

// ---- one group

static err begin_group(struct choice *c, const struct group *group, struct arena *scratch)
{
    const bool ranks = c->e->aggregate.op == PROMQL_TOPK || c->e->aggregate.op == PROMQL_BOTTOMK;
    for (size_t k = 0; k < c->g->steps; k++) {
        gently_step(k);
        struct chosen *at = &c->at[k];
        *at = (struct chosen){0};
        at->max = param_count(c->g->param[k], group->n);
        if (!ranks)
            continue;
        at->heap = arena_try(scratch, at->max, sizeof *at->heap, _Alignof(struct candidate));
        if (!at->heap)
            return query_too_many_samples(c->q->e);
    }
    return ERR_OK;
}

static void offer_series(struct choice *c, size_t series)
{
    const enum promql_aggregate op = c->e->aggregate.op;
    const struct step_column *from = &c->g->in.series[series].column;
    for (size_t k = steps_next(from->present, c->g->steps, 0); k < c->g->steps;
         k = steps_next(from->present, c->g->steps, k + 1)) {
        gently_step(k);
        if (op != PROMQL_LIMITK) {
            const double v = from->v[k];
            offer(&c->at[k], (struct candidate){op == PROMQL_TOPK ? -v : v, series});
        } else if (c->at[k].n < c->at[k].max) {
            c->at[k].n++;
            steps_set(c->columns[series].present, k);
        }
    }
}

static err end_group(struct choice *c)
{
    for (size_t k = 0; k < c->g->steps; k++) {
        gently_step(k);
        struct chosen *at = &c->at[k];
        if (c->g->steps == 1 && at->n <= INSERTION_MAX)
            sort_heap(at->heap, at->n);
        else if (c->g->steps == 1)
            TRY(gently_sort(at->heap, at->n, sizeof *at->heap, NULL, c->q->a, c->q->e,
                            compare_candidates));
        for (size_t i = 0; i < at->n; i++) {
            gently_at(i);
            steps_set(c->columns[at->heap[i].series].present, k);
            if (c->g->steps == 1)
                c->order[c->order_count++] = at->heap[i].series;
        }
    }
    return ERR_OK;
}

static err choose_in_group(struct choice *c, const struct group *group)
{
    struct arena scratch;
    arena_init_beside(&scratch, c->q->a);
    err code = begin_group(c, group, &scratch);
    for (size_t m = 0; m < group->n && !code; m++) {
        code = query_breathe(c->q->a, c->q->e);
        offer_series(c, group->members[m]);
    }
    if (!code && c->e->aggregate.op != PROMQL_LIMITK)
        code = end_group(c);
    gently_deinit(&scratch);
    return code;
}

// ---- limit_ratio: decided by a hash of the labels alone

static void put_sized(struct buf *out, struct str text)
{
    if (text.n < 255) {
        buf_put_char(out, (char)text.n);
    } else {
        const char size[] = {(char)255, (char)text.n, (char)(text.n >> 8), (char)(text.n >> 16)};
        buf_put(out, size, sizeof size);
    }
    buf_put_str(out, text);
}

// Where the labels stand between 0 and 1: XXH64 of them as Prometheus holds them (stringlabels).
static double place_of(struct str labels, struct buf *scratch)
{
    struct label label;
    buf_reset(scratch);
    for (struct labels_iter i = labels_iter(labels); labels_next(&i, &label);) {
        put_sized(scratch, label.name);
        put_sized(scratch, label.value);
    }
    // Go's float64(math.MaxUint64) is 2^64.
    return (double)hash_xx64(scratch->p, scratch->n) / 18446744073709551616.0;
}

static void choose_by_ratio(struct choice *c)
{
    struct buf scratch = {0};
    for (size_t i = 0; i < c->g->in.n; i++) {
        gently_at(i);
        fiber_work(16 + c->g->steps);
        const struct vec_series *s = &c->g->in.series[i];
        const double place = place_of(s->labels, &scratch);
        for (size_t k = 0; k < c->g->steps; k++) {
            gently_step(k);
            const double ratio = fmax(-1, fmin(1, c->g->param[k]));
            if (steps_has(s->column.present, k) &&
                (ratio >= 0 ? place < ratio : place >= 1 + ratio))
                steps_set(c->columns[i].present, k);
        }
    }
    buf_deinit(&scratch);
}

err aggregation_choose(struct query *q, const struct promql_expr *e, struct grouped *g,
                       struct vec *out)
{
    bool any;
    if (e->aggregate.op == PROMQL_LIMIT_RATIO)
        TRY(check_ratios(q, e, g, &any));
    else
        TRY(check_counts(q, g, &any));
    if (!any)
        return ERR_OK;
    struct choice c = {
        .q = q,
        .e = e,
        .g = g,
        .columns = gently_array(q->a, g->in.n, struct step_column),
        .at = gently_array(q->a, g->steps, struct chosen),
        .order = gently_array(q->a, g->in.n, size_t),
    };
    if (!c.columns || !c.at || !c.order)
        return query_too_many_samples(q->e);
    for (size_t i = 0; i < g->in.n; i++) {
        gently_at(i);
        c.columns[i].v = g->in.series[i].column.v;
        fiber_work(16 + steps_words(g->steps));
        c.columns[i].present = arena_array(q->a, steps_words(g->steps), uint64_t);
        if (!c.columns[i].present)
            return query_too_many_samples(q->e);
    }
    if (e->aggregate.op == PROMQL_LIMIT_RATIO)
        choose_by_ratio(&c);
    for (size_t i = 0; i < g->map.n && e->aggregate.op != PROMQL_LIMIT_RATIO; i++)
        TRY(choose_in_group(&c, &g->groups[i]));
    const bool in_order = c.order_count > 0;
    for (size_t i = 0; i < (in_order ? c.order_count : g->in.n); i++) {
        const size_t s = in_order ? c.order[i] : i;
        TRY(query_breathe_at(i, q->a, q->e));
        const struct vec_series *from = &g->in.series[s];
        TRY(vec_add(q, out, from->labels, from->drop_name, c.columns[s]));
    }
    return ERR_OK;
}
