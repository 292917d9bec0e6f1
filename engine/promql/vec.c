#include <assert.h>

#include "engine/promql/eval.h"
#include "engine/promql/gently.h"
#include "io/fiber_memory.h"

static struct vec_series *add(struct query *q, struct vec *v)
{
    if (v->n == v->capacity) {
        struct vec_series *all = gently_grown(q->a, v->series, v->n, &v->capacity, sizeof *all);
        if (!all)
            return NULL;
        v->series = all;
    }
    return &v->series[v->n++];
}

err vec_add(struct query *q, struct vec *v, struct str labels, bool drop_name,
            struct step_column column)
{
    struct vec_series *s = add(q, v);
    if (!s)
        return query_too_many_samples(q->e);
    *s = (struct vec_series){labels, drop_name, column};
    return ERR_OK;
}

err vec_add_new(struct query *q, struct vec *v, struct str labels, bool drop_name, size_t steps,
                struct step_column *out)
{
    if (step_column_make(q->a, steps, out))
        return query_too_many_samples(q->e);
    return vec_add(q, v, labels, drop_name, *out);
}

err vec_copy(struct query *q, const struct vec *v, size_t steps, struct vec *out)
{
    struct vec_series *series = arena_try(q->a, v->n, sizeof *series, _Alignof(struct vec_series));
    if (!series)
        return query_too_many_samples(q->e);
    for (size_t i = 0; i < v->n; i++) {
        TRY(query_breathe_at(i, q->a, q->e));
        series[i] = v->series[i];
        if (step_column_make(q->a, steps, &series[i].column))
            return query_too_many_samples(q->e);
        fiber_work(16 + steps);
        fiber_copy(series[i].column.v, v->series[i].column.v, steps * sizeof(double));
        fiber_copy(series[i].column.present, v->series[i].column.present,
                   steps_words(steps) * sizeof(uint64_t));
    }
    *out = (struct vec){series, v->n, v->n};
    return ERR_OK;
}

void vec_drop_empty(struct vec *v, size_t steps)
{
    size_t n = 0;
    for (size_t i = 0; i < v->n; i++) {
        if (steps_any(v->series[i].column.present, steps))
            v->series[n++] = v->series[i];
        fiber_work(16 + steps_words(steps) / 4);
    }
    v->n = n;
}

err vec_drop_names(struct query *q, struct vec *v)
{
    for (size_t i = 0; i < v->n; i++) {
        TRY(query_breathe_at(i, q->a, q->e));
        if (q->options->delayed_name_removal)
            v->series[i].drop_name = true;
        else
            v->series[i].labels = label_set_drop_metadata(v->series[i].labels, q->a);
    }
    return ERR_OK;
}

static err say_equal(struct query *q)
{
    return err_set(q->e, ERR_INVALID, "vector cannot contain metrics with the same labelset");
}

err vec_no_equal(struct query *q, const struct vec *v)
{
    struct label_map map = {.a = q->a};
    for (size_t i = 0; i < v->n; i++) {
        TRY(query_breathe_at(i, q->a, q->e));
        bool is_new;
        size_t at;
        if (!label_map_add(&map, v->series[i].labels, false, &at, &is_new))
            return query_too_many_samples(q->e);
        if (!is_new)
            return say_equal(q);
    }
    return ERR_OK;
}

// False: both have a value at one step.
static bool merge_column(struct step_column *into, const struct step_column *from, size_t steps)
{
    fiber_work(steps_words(steps));
    for (size_t w = 0; w < steps_words(steps); w++)
        if (into->present[w] & from->present[w])
            return false;
    for (struct slice s = {0}; slice_next(&s, steps);)
        for (size_t k = steps_next(from->present, s.end, s.from); k < s.end;
             k = steps_next(from->present, s.end, k + 1)) {
            into->v[k] = from->v[k];
            steps_set(into->present, k);
        }
    return true;
}

err vec_merge_equal(struct query *q, struct vec *v, size_t steps)
{
    struct label_map map = {.a = q->a};
    size_t n = 0;
    for (size_t i = 0; i < v->n; i++) {
        TRY(query_breathe_at(i, q->a, q->e));
        bool is_new;
        size_t at;
        if (!label_map_add(&map, v->series[i].labels, false, &at, &is_new))
            return query_too_many_samples(q->e);
        if (is_new) {
            assert(at == n);
            v->series[n++] = v->series[i];
        } else {
            struct vec_series *into = &v->series[at];
            if (steps_next(v->series[i].column.present, steps, 0) <
                steps_next(into->column.present, steps, 0))
                into->drop_name = v->series[i].drop_name;
            if (!merge_column(&into->column, &v->series[i].column, steps))
                return say_equal(q);
        }
    }
    v->n = n;
    return ERR_OK;
}

err vec_sort_by_labels(struct query *q, struct vec *v)
{
    struct label_index *order = arena_try(q->a, v->n, sizeof *order, _Alignof(struct label_index));
    struct vec_series *sorted = arena_try(q->a, v->n, sizeof *sorted, _Alignof(struct vec_series));
    if (!order || !sorted)
        return query_too_many_samples(q->e);
    for (size_t i = 0; i < v->n; i++) {
        order[i] = (struct label_index){v->series[i].labels, i};
        gently_at(i);
    }
    TRY(label_index_sort(order, v->n, q->a, q->e));
    for (size_t i = 0; i < v->n; i++) {
        sorted[i] = v->series[order[i].index];
        gently_at(i);
    }
    v->series = sorted;
    v->capacity = v->n;
    return ERR_OK;
}
