// Range functions over subqueries, and subqueries that are the query.
//
// A subquery's inner expression is evaluated at all of its steps at once, unless these are very
// many (plan_subquery()): a year at every second, of which storage holds a day. Those are evaluated
// in parts, one after the other, of which only the points stay. Prometheus holds them in the same
// way, so what it can answer meets no other limit here.
#include "engine/promql/eval.h"

#include <assert.h>

#include "engine/promql/gently.h"
#include "engine/promql/note.h"
#include "engine/promql/samples.h"
#include "io/fiber_memory.h"

enum {
    PART_STEPS = 1 << 16,      // a multiple of 64
    LONG_PART_STEPS = 1 << 20, // where there are more steps than STEPS_MAX
};

// ---- evaluated in parts

// Points of one series in one part.
struct piece {
    struct piece *next;
    size_t at, n;     // the first's step, unless there are times
    const int64_t *t; // NULL: at each step from at on
    const double *v;
};

struct part_series {
    struct str labels;
    bool drop_name;
    size_t n; // points of all pieces
    struct piece *first, *last;
};

struct parts {
    struct label_map map; // of series, by labels
    struct part_series *series;
    size_t capacity;
    struct steps grid;
    uint64_t held, peak; // samples, as Prometheus counts
};

static err series_of(struct query *q, struct parts *p, const struct vec_series *from,
                     struct part_series **out)
{
    size_t at;
    bool is_new;
    p->map.a = q->a;
    if (!label_map_add(&p->map, from->labels, true, &at, &is_new))
        return query_too_many_samples(q->e);
    if (at == p->capacity) {
        struct part_series *all =
            gently_grown(q->a, p->series, at, &p->capacity, sizeof *p->series);
        if (!all)
            return query_too_many_samples(q->e);
        p->series = all;
    }
    if (is_new)
        p->series[at] =
            (struct part_series){.labels = p->map.keys[at], .drop_name = from->drop_name};
    *out = &p->series[at];
    return ERR_OK;
}

// The points of a column over the n steps from at on.
static err keep_points(struct query *q, struct parts *p, const struct vec_series *from, size_t at,
                       size_t n)
{
    const uint64_t *present = from->column.present;
    const size_t count = steps_count(present, n);
    struct part_series *s = NULL;
    if (count == 0)
        return ERR_OK;
    TRY(series_of(q, p, from, &s));
    struct piece *piece = arena_try(q->a, 1, sizeof *piece, _Alignof(struct piece));
    double *v = arena_try(q->a, count, sizeof *v, _Alignof(double));
    int64_t *t = count < n ? arena_try(q->a, count, sizeof *t, _Alignof(int64_t)) : NULL;
    if (!piece || !v || (count < n && !t))
        return query_too_many_samples(q->e);
    *piece = (struct piece){NULL, at, count, t, v};
    if (!t)
        fiber_copy(v, from->column.v, n * sizeof *v);
    size_t filled = 0;
    for (struct slice i = {0}; t && slice_next(&i, n);)
        for (size_t k = steps_next(present, i.end, i.from); k < i.end;
             k = steps_next(present, i.end, k + 1)) {
            t[filled] = steps_time(&p->grid, at + k);
            v[filled++] = from->column.v[k];
        }
    *(s->last ? &s->last->next : &s->first) = piece;
    s->last = piece;
    s->n += count;
    return ERR_OK;
}

static err keep_part(struct query *q, struct parts *p, const struct query *sub,
                     const struct plan_node *root, size_t at, size_t n)
{
    query_notes_take(q, sub);
    q->out->stats.samples += sub->out->stats.samples;
    q->out->stats.samples_read += sub->out->stats.samples_read;
    p->held += root->held;
    p->peak += sub->out->stats.samples_peak;
    TRY(samples_hold_parts(q, p->peak));
    if (p->held > STEPS_MAX && !q->options->samples_max)
        return query_too_many_samples(q->e);
    for (size_t i = 0; i < root->vec.n; i++) {
        TRY(query_breathe_at(i, q->a, q->e));
        TRY(keep_points(q, p, &root->vec.series[i], at, n));
    }
    return ERR_OK;
}

static err run_plan(struct query *sub, struct plan_work work, struct plan_node **out)
{
    work.out = out;
    TRY(plan_make_part(sub, work));
    const err code = gather_all(sub);
    return code ? eval_judged(sub, code) : eval_all(sub);
}

// Evaluates the n steps of the inner expression from at on; its arrays go when its points are kept.
static err run_part(struct query *q, const struct plan_work *inner, struct parts *p, size_t at,
                    size_t n, bool is_whole)
{
    struct arena room;
    struct query_result result = {0};
    struct plan_node *root;
    struct plan_work work = *inner;
    const bool is_last = at + n == p->grid.n;
    TRY(query_breathe(q->a, q->e));
    work.steps = (struct steps){steps_time(&p->grid, at), p->grid.step_ms, n};
    work.end_ms = is_last ? inner->end_ms : steps_time(&p->grid, at + n) - 1;
    arena_init_beside(&room, q->a);
    struct query sub = {
        .source = q->source,
        .options = q->options,
        .text = q->text,
        .a = &room,
        .e = q->e,
        .out = &result,
        .steps = work.steps,
        .is_constant = q->is_constant,
        .depth = q->depth + 1,
        .is_whole = is_whole,
    };
    err code = run_plan(&sub, work, &root);
    if (!code)
        code = keep_part(q, p, &sub, root, at, n);
    query_done(q->source, &result);
    gently_deinit(&room);
    return code;
}

// More steps than columns have are first looked at as one: mostly nothing is there at all.
static err run_parts(struct query *q, const struct plan_work *inner, struct parts *p)
{
    const size_t n = p->grid.n;
    if (n > STEPS_MAX) {
        const err code = run_part(q, inner, p, 0, n, true);
        if (code != ERR_LIMIT)
            return code;
    }
    const size_t most = n > STEPS_MAX ? LONG_PART_STEPS : PART_STEPS;
    for (size_t at = 0; at < n; at += most)
        TRY(run_part(q, inner, p, at, n - at < most ? n - at : most, false));
    return ERR_OK;
}

// All points of a series, one behind the other.
static err join_pieces(const struct query *q, const struct parts *p, const struct part_series *s,
                       struct arena *a, struct column *out)
{
    int64_t *t = arena_try(a, s->n, sizeof *t, _Alignof(int64_t));
    double *v = arena_try(a, s->n, sizeof *v, _Alignof(double));
    size_t at = 0;
    if (!t || !v)
        return query_too_many_samples(q->e);
    for (const struct piece *piece = s->first; piece; piece = piece->next) {
        TRY(query_breathe(q->a, q->e));
        fiber_copy(v + at, piece->v, piece->n * sizeof *v);
        if (piece->t)
            fiber_copy(t + at, piece->t, piece->n * sizeof *t);
        for (struct slice i = {0}; !piece->t && slice_next(&i, piece->n);)
            for (size_t k = i.from; k < i.end; k++)
                t[at + k] = steps_time(&p->grid, piece->at + k);
        at += piece->n;
    }
    *out = (struct column){.t = t, .v = v, .n = s->n};
    return ERR_OK;
}

// ---- functions

// One of a function's runs, over the samples of a series.
struct over {
    struct plan_node *node;
    const struct range_function *f;
    const double *param;
};

static err add_made(struct query *q, const struct over *o, struct str labels, bool drop_name,
                    const struct windows *w, const double *v, struct vec *out)
{
    struct step_column made;
    const size_t steps = o->node->steps.n;
    TRY(vec_add_new(q, out, labels, drop_name, steps, &made));
    TRY(range_run(o->f, w, v, o->param, q->a, &made, q->e));
    return samples_count_series(q, o->node, w, steps_count(made.present, steps));
}

static err over_series(struct query *q, const struct over *o, const struct parts *p,
                       const struct part_series *s, struct vec *out)
{
    struct arena room;
    struct column c = {0};
    struct windows w = {0};
    arena_init_beside(&room, q->a);
    err code = join_pieces(q, p, s, &room, &c);
    if (!code && windows_make(&o->node->windows, c.t, c.n, o->f->extrapolation, &room, &w))
        code = query_too_many_samples(q->e);
    if (!code)
        code = add_made(q, o, s->labels, s->drop_name, &w, c.v, out);
    gently_deinit(&room);
    return code;
}

static err over_parts(struct query *q, const struct over *o, struct vec *out)
{
    struct plan_node *below = o->node->args[0];
    struct parts p = {.grid = below->steps};
    TRY(run_parts(q, o->node->apart, &p));
    samples_take_parts(q, below, p.held);
    for (size_t i = 0; i < p.map.n; i++)
        TRY(over_series(q, o, &p, &p.series[i], out));
    return ERR_OK;
}

// The values of one series of the inner expression as samples. A full series uses the inner steps'
// own times, so that its windows serve all full ones.
static err samples_of(struct query *q, const struct steps *inner, const int64_t *times,
                      const struct step_column *column, struct column *out)
{
    const size_t n = steps_count(column->present, inner->n);
    if (n == inner->n) {
        *out = (struct column){.t = times, .v = column->v, .n = n};
        return ERR_OK;
    }
    int64_t *t = arena_try(q->a, n, sizeof *t, _Alignof(int64_t));
    double *v = arena_try(q->a, n, sizeof *v, _Alignof(double));
    if (!t || !v)
        return query_too_many_samples(q->e);
    size_t at = 0;
    for (struct slice s = {0}; slice_next(&s, inner->n);)
        for (size_t k = steps_next(column->present, s.end, s.from); k < s.end;
             k = steps_next(column->present, s.end, k + 1)) {
            t[at] = steps_time(inner, k);
            v[at++] = column->v[k];
        }
    *out = (struct column){.t = t, .v = v, .n = n};
    return ERR_OK;
}

static err over_whole(struct query *q, const struct over *o, struct vec *out)
{
    const struct plan_node *node = o->node;
    struct steps grid = node->args[0]->steps;
    if (node->args[0]->spread)
        grid.n = node->args[0]->spread;
    const struct vec in = node_vec(node->args[0]);
    if (!in.n)
        return ERR_OK;
    int64_t *times = arena_try(q->a, grid.n, sizeof *times, _Alignof(int64_t));
    if (!times)
        return query_too_many_samples(q->e);
    for (struct slice s = {0}; slice_next(&s, grid.n);)
        for (size_t k = s.from; k < s.end; k++)
            times[k] = steps_time(&grid, k);
    struct windows full = {0};
    for (size_t i = 0; i < in.n; i++) {
        TRY(query_breathe(q->a, q->e));
        struct column c = {0};
        TRY(samples_of(q, &grid, times, &in.series[i].column, &c));
        struct windows own, *w = c.t == times ? &full : &own;
        if ((w == &own || !full.n) &&
            windows_make(&node->windows, c.t, c.n, o->f->extrapolation, q->a, w))
            return query_too_many_samples(q->e);
        TRY(add_made(q, o, in.series[i].labels, in.series[i].drop_name, w, c.v, out));
    }
    return ERR_OK;
}

err eval_over_subquery(struct query *q, struct plan_node *node, const struct range_function *f,
                       const double *param, struct vec *out)
{
    const struct over o = {node, f, param};
    if (node->is_empty)
        return ERR_OK;
    TRY(node->apart ? over_parts(q, &o, out) : over_whole(q, &o, out));
    vec_drop_empty(out, node->steps.n);
    if (f->keeps_name || node->expr->call.function->id == PROMQL_FN_ABSENT_OVER_TIME)
        return ERR_OK;
    for (size_t i = 0; i < out->n && f->counts; i++) {
        const struct str name = labels_value(out->series[i].labels, LABEL_NAME);
        if (name_is_odd_counter(name)) // Prometheus has no position of a subquery
            query_note_odd_counter(q, NULL, name);
    }
    TRY(vec_drop_names(q, out));
    return q->options->delayed_name_removal ? ERR_OK : vec_no_equal(q, out);
}

// ---- the query itself

err eval_subquery_alone(struct query *q, struct plan_node *root)
{
    struct parts p = {.grid = root->args[0]->steps};
    TRY(run_parts(q, root->apart, &p));
    samples_take_parts(q, root->args[0], p.held);
    struct query_series *series = gently_array(q->a, p.map.n, struct query_series);
    struct column *columns = gently_array(q->a, p.map.n, struct column);
    struct label_index *order = gently_array(q->a, p.map.n, struct label_index);
    if (!series || !columns || !order)
        return query_too_many_samples(q->e);
    for (size_t i = 0; i < p.map.n; i++) {
        struct part_series *s = &p.series[i];
        TRY(query_breathe_at(i, q->a, q->e));
        TRY(join_pieces(q, &p, s, q->a, &columns[i]));
        if (s->drop_name)
            s->labels = label_set_drop_metadata(s->labels, q->a);
        order[i] = (struct label_index){s->labels, i};
    }
    TRY(label_index_sort(order, p.map.n, q->a, q->e));
    for (size_t i = 0; i < p.map.n; i++) {
        series[i] =
            (struct query_series){.labels = order[i].labels, .raw = &columns[order[i].index]};
        gently_at(i);
    }
    q->out->series = series;
    q->out->series_count = p.map.n;
    return ERR_OK;
}
