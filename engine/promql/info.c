// info(): series get labels of info series, which have the same instance and job. Of info series
// that agree in these and in their name, the one whose sample is newest counts at each step.
#include <assert.h>
#include <math.h>

#include "engine/base/util.h"
#include "engine/promql/eval.h"
#include "engine/promql/gently.h"

enum { IDENTIFYING = 2, NO_SERIES = UINT32_MAX };

static const struct str identifying_names[IDENTIFYING] = {{"instance", 8}, {"job", 3}};
static const struct label_names identifying = {identifying_names, IDENTIFYING};

// ---- the plan: the info series are looked up as of the time at which the argument looks

static err add_shift(struct query *q, const struct promql_shift *shift, struct window_times *times)
{
    int64_t offset_ms = shift->offset_ns / 1000000;
    if (shift->offset_expr)
        TRY(duration_of(q->options, shift->offset_expr, true, q->a, &offset_ms, q->e));
    if (shift->at != PROMQL_AT_NONE) {
        const int64_t at_ms =
            shift->at == PROMQL_AT_START
                ? q->options->start_ms
                : plan_at_time(q, shift->at == PROMQL_AT_END ? q->options->end_ms : shift->at_ms);
        times->at = (struct steps){at_ms, 0, times->at.n};
        times->offset_ms = 0;
    }
    times->offset_ms = near_time(times->offset_ms + offset_ms);
    return ERR_OK;
}

// As the first selector of expr and the subqueries around it shift it.
static err info_times(struct query *q, const struct promql_expr *expr, struct window_times *times)
{
    const struct promql_expr **all = promql_list_gently(expr, q->a, gently);
    if (!all)
        return query_too_many_samples(q->e);
    size_t first = 0;
    while (first < expr->size && all[first]->kind != PROMQL_VECTOR)
        first++;
    if (first == expr->size)
        return ERR_OK;
    for (size_t i = 0; i < first; i++)
        if (all[i]->kind == PROMQL_SUBQUERY && first < i + all[i]->size)
            TRY(add_shift(q, &all[i]->subquery.shift, times));
    return add_shift(q, &all[first]->vector.shift, times);
}

// The selector's matchers and what is added to them.
static err info_matchers(struct query *q, const struct promql_expr *selector, struct fragment *f)
{
    const size_t n = selector ? selector->vector.matchers_count : 0;
    struct matcher *all = arena_array(q->a, n + 1, struct matcher);
    if (!all)
        return query_too_many_samples(q->e);
    if (n)
        memcpy(all, selector->vector.matchers, n * sizeof *all);
    f->matchers = all;
    f->matchers_count = n;
    if (!selector)
        all[f->matchers_count++] =
            (struct matcher){MATCHER_EQ, LABEL_NAME, STR("target_info"), NULL};
    else if (selector->vector.also)
        all[f->matchers_count++] = *selector->vector.also;
    return ERR_OK;
}

err plan_info(struct query *q, struct plan_node *node)
{
    const struct promql_expr *call = node->expr;
    const struct promql_expr *selector = call->call.args_count > 1 ? call->call.args[1] : NULL;
    struct plan_node *info = arena_new(q->a, struct plan_node);
    struct promql_expr *expr = arena_new(q->a, struct promql_expr);
    *expr = (struct promql_expr){.kind = PROMQL_VECTOR, .type = PROMQL_TYPE_VECTOR, .size = 1};
    struct fragment *f = arena_new(q->a, struct fragment);
    *f = (struct fragment){
        .kind = FRAGMENT_TIMESTAMP,
        .times = {.asked = node->steps, .at = node->steps, .range_ms = q->options->lookback_ms},
        .samples_max = q->options->samples_max,
        .budget = q->a->budget,
    };
    TRY(info_matchers(q, selector, f));
    TRY(info_times(q, call->call.args[0], &f->times));
    *info = (struct plan_node){
        .expr = expr, .steps = node->steps, .weight = node->weight, .fragment = f, .informs = node};
    node->args_count = 2;
    node->args = arena_zalloc(q->a, 2 * sizeof(struct plan_node *), _Alignof(struct plan_node *));
    node->args[1] = info;
    plan_add_node(q, info);
    plan_add_leaf(q, info);
    plan_child(q, node, 0, &node->args[0]);
    return ERR_OK;
}

// ---- evaluation

struct info_key { // info series of one name, instance and job
    size_t *members;
    size_t n;
    uint32_t *newest; // at each step; NO_SERIES: none
};

struct info_call {
    struct query *q;
    const struct plan_node *node;
    const struct matcher *matchers; // of the info series
    size_t matchers_count;
    struct vec base, info;
    struct label_map names; // of info metrics
    struct label_map map;   // of keys
    struct info_key *keys;  // map.n
    uint64_t *any_base;     // steps at which the argument has anything
    struct label_map made;  // labels of results
    struct vec *out;
};

static bool name_is_info(const struct info_call *c, struct str name)
{
    for (size_t i = 0; i < c->matchers_count; i++)
        if (str_eq(c->matchers[i].name, LABEL_NAME) && !matcher_matches(&c->matchers[i], name))
            return false;
    return true;
}

static bool is_ignored(const struct info_call *c, const struct vec_series *s)
{
    return name_is_info(c, labels_value(s->labels, LABEL_NAME));
}

// The labels that identify, behind the name of the info metric.
static struct str key_of(struct info_call *c, struct str name, struct str labels)
{
    const struct str own = label_set_keep(labels, identifying, c->q->a);
    char *key = arena_alloc(c->q->a, name.n + 1 + own.n, 1);
    if (name.n)
        memcpy(key, name.p, name.n);
    key[name.n] = '\0';
    if (own.n)
        memcpy(key + name.n + 1, own.p, own.n);
    return str_make(key, name.n + 1 + own.n);
}

// Keeps the info series whose identifying labels are among those of the argument's series.
static err keep_asked(struct info_call *c)
{
    struct label_map values[IDENTIFYING] = {{.a = c->q->a}, {.a = c->q->a}};
    for (size_t i = 0; i < c->base.n; i++) {
        TRY(query_breathe_at(i, c->q->a, c->q->e));
        bool is_new;
        size_t at;
        struct str value;
        for (size_t l = 0; l < IDENTIFYING && !is_ignored(c, &c->base.series[i]); l++)
            if (labels_get(c->base.series[i].labels, identifying_names[l], &value))
                if (!label_map_add(&values[l], value, false, &at, &is_new))
                    return query_too_many_samples(c->q->e);
    }
    size_t n = 0;
    for (size_t i = 0; i < c->info.n && values[0].n + values[1].n; i++) {
        TRY(query_breathe_at(i, c->q->a, c->q->e));
        bool ok = true;
        size_t at;
        for (size_t l = 0; l < IDENTIFYING; l++)
            ok = ok && (!values[l].n ||
                        label_map_find(&values[l],
                                       labels_value(c->info.series[i].labels, identifying_names[l]),
                                       &at));
        if (ok)
            c->info.series[n++] = c->info.series[i];
    }
    c->info.n = n;
    return ERR_OK;
}

static struct info_call info_call(struct query *q, const struct plan_node *node, struct vec info)
{
    const struct fragment *f = node->args[1]->fragment;
    return (struct info_call){
        .q = q,
        .node = node,
        .matchers = f->matchers,
        .matchers_count = f->matchers_count,
        .base = node_vec(node->args[0]),
        .info = info,
        .names.a = q->a,
        .map.a = q->a,
        .made.a = q->a,
    };
}

err info_keep_asked(struct query *q, const struct plan_node *node, struct vec *info)
{
    struct info_call c = info_call(q, node, *info);
    TRY(keep_asked(&c));
    *info = c.info;
    return ERR_OK;
}

static err group_info(struct info_call *c)
{
    size_t *key_of_series = arena_array(c->q->a, c->info.n, size_t);
    size_t *members = arena_array(c->q->a, c->info.n, size_t);
    c->keys = arena_array(c->q->a, c->info.n, struct info_key);
    if (!key_of_series || !members || !c->keys)
        return query_too_many_samples(c->q->e);
    for (size_t i = 0; i < c->info.n; i++) {
        TRY(query_breathe_at(i, c->q->a, c->q->e));
        bool is_new;
        const struct str labels = c->info.series[i].labels;
        const struct str name = labels_value(labels, LABEL_NAME);
        size_t at;
        if (!label_map_add(&c->names, name, false, &at, &is_new) ||
            !label_map_add(&c->map, key_of(c, name, labels), false, &key_of_series[i], &is_new))
            return query_too_many_samples(c->q->e);
        c->keys[key_of_series[i]].n++;
    }
    for (size_t k = 0; k < c->map.n; k++) {
        c->keys[k].members = members;
        members += c->keys[k].n;
        c->keys[k].n = 0;
    }
    for (size_t i = 0; i < c->info.n; i++) {
        struct info_key *key = &c->keys[key_of_series[i]];
        key->members[key->n++] = i;
    }
    return ERR_OK;
}

static err say_duplicate(struct info_call *c, size_t a, size_t b, size_t k)
{
    struct buf texts[2] = {0};
    const struct vec_series *existing = &c->info.series[a], *new = &c->info.series[b];
    labels_format(existing->labels, &texts[0]);
    labels_format(new->labels, &texts[1]);
    const struct str whole = arena_printf(
        c->q->a, "found duplicate series for info metric: existing %.*s @ %lld, new %.*s @ %lld",
        STR_ARG(buf_str(&texts[0])), (long long)llround(existing->column.v[k] * 1000),
        STR_ARG(buf_str(&texts[1])), (long long)llround(new->column.v[k] * 1000));
    if (whole.n >= sizeof c->q->e->text)
        c->q->out->error = whole;
    err_format(c->q->e, "%.*s", STR_ARG(whole));
    buf_deinit(&texts[0]);
    buf_deinit(&texts[1]);
    return ERR_INVALID;
}

static err find_newest(struct info_call *c, struct info_key *key)
{
    const size_t steps = c->node->steps.n;
    key->newest = arena_try(c->q->a, steps, sizeof *key->newest, _Alignof(uint32_t));
    if (!key->newest)
        return query_too_many_samples(c->q->e);
    for (size_t k = 0; k < steps; k++) {
        uint32_t newest = NO_SERIES;
        fiber_work(16 + key->n);
        for (size_t m = 0; m < key->n && steps_has(c->any_base, k); m++) {
            const size_t i = key->members[m];
            const struct step_column *column = &c->info.series[i].column;
            if (!steps_has(column->present, k))
                continue;
            const double before =
                newest == NO_SERIES ? -INFINITY : c->info.series[newest].column.v[k];
            if (column->v[k] == before)
                return say_duplicate(c, newest, i, k);
            if (column->v[k] > before)
                newest = (uint32_t)i;
        }
        key->newest[k] = newest;
    }
    return query_breathe(c->q->a, c->q->e);
}

// Whether the label of info series is asked for.
static bool is_wanted(const struct info_call *c, struct str name)
{
    bool all = true;
    for (size_t i = 0; i < c->matchers_count; i++) {
        if (str_eq(c->matchers[i].name, LABEL_NAME))
            continue;
        if (str_eq(c->matchers[i].name, name))
            return true;
        all = false;
    }
    return all && !str_eq(name, LABEL_NAME);
}

static bool may_have_none(const struct info_call *c)
{
    for (size_t i = 0; i < c->matchers_count; i++)
        if (!str_eq(c->matchers[i].name, LABEL_NAME) && !matcher_matches_empty(&c->matchers[i]))
            return false;
    return true;
}

static err add_labels(struct info_call *c, struct str base, struct str info,
                      struct labels_builder *added)
{
    struct label label;
    struct str own;
    for (struct labels_iter i = labels_iter(info); labels_next(&i, &label);) {
        if (!is_wanted(c, label.name))
            continue;
        const struct str before = labels_builder_get(added, label.name);
        if (before.n && !str_eq(before, label.value))
            return err_set(c->q->e, ERR_INVALID, "conflicting label: %.*s", STR_ARG(label.name));
        if (!labels_get(base, label.name, &own))
            labels_builder_set(added, label.name, label.value);
    }
    return ERR_OK;
}

// base's labels with those of the info series that the keys have at step k. False: it has none of
// those that it must have.
static err enrich(struct info_call *c, struct str base, const size_t *keys, size_t keys_count,
                  size_t k, struct str *out, bool *out_any)
{
    struct labels_builder added = {0}, b = {0};
    bool matched = false;
    err code = ERR_OK;
    for (size_t i = 0; i < keys_count && !code; i++) {
        const uint32_t newest = c->keys[keys[i]].newest[k];
        if (newest == NO_SERIES)
            continue;
        matched = true;
        code = add_labels(c, base, c->info.series[newest].labels, &added);
    }
    *out_any = matched || may_have_none(c);
    labels_builder_load(&b, base);
    for (size_t i = 0; i < added.n; i++)
        labels_builder_set(&b, added.items[i].name, added.items[i].value);
    *out = labels_builder_finish(&b, c->q->a);
    labels_builder_deinit(&b);
    labels_builder_deinit(&added);
    return code;
}

static err put(struct info_call *c, struct str labels, const struct vec_series *from, size_t k)
{
    bool is_new;
    size_t at;
    if (!label_map_add(&c->made, labels, false, &at, &is_new))
        return query_too_many_samples(c->q->e);
    struct step_column column;
    if (is_new)
        TRY(vec_add_new(c->q, c->out, labels, from->drop_name, c->node->steps.n, &column));
    column = c->out->series[at].column;
    if (steps_has(column.present, k))
        return err_set(c->q->e, ERR_INVALID,
                       "vector cannot contain metrics with the same labelset");
    column.v[k] = from->column.v[k];
    steps_set(column.present, k);
    return ERR_OK;
}

static bool same_info(const struct info_call *c, const size_t *keys, size_t n, size_t a, size_t b)
{
    for (size_t i = 0; i < n; i++)
        if (c->keys[keys[i]].newest[a] != c->keys[keys[i]].newest[b])
            return false;
    return true;
}

// Series after series; labels are made anew where another info series counts than a step before.
static err enrich_series(struct info_call *c, const struct vec_series *s, size_t *keys)
{
    size_t n = 0;
    for (size_t i = 0; i < c->names.n && !is_ignored(c, s); i++)
        if (label_map_find(&c->map, key_of(c, c->names.keys[i], s->labels), &keys[n]))
            n++;
    struct str labels = s->labels;
    bool any = true;
    size_t before = SIZE_MAX;
    const size_t steps = c->node->steps.n;
    for (size_t k = steps_next(s->column.present, steps, 0); k < steps;
         k = steps_next(s->column.present, steps, k + 1)) {
        TRY(query_breathe_at(k, c->q->a, c->q->e));
        if (!is_ignored(c, s) && (before == SIZE_MAX || !same_info(c, keys, n, before, k)))
            TRY(enrich(c, s->labels, keys, n, k, &labels, &any));
        before = k;
        if (any)
            TRY(put(c, labels, s, k));
    }
    return query_breathe(c->q->a, c->q->e);
}

err eval_info(struct query *q, const struct plan_node *node, struct vec *out)
{
    struct info_call c = info_call(q, node, node_vec(node->args[1]));
    c.out = out;
    const size_t words = steps_words(node->steps.n);
    c.any_base = arena_array(q->a, words, uint64_t);
    if (!c.any_base)
        return query_too_many_samples(q->e);
    for (size_t i = 0; i < c.base.n; i++)
        for (size_t w = 0; w < words; w++)
            c.any_base[w] |= c.base.series[i].column.present[w];
    TRY(group_info(&c));
    for (size_t i = 0; i < c.map.n; i++)
        TRY(find_newest(&c, &c.keys[i]));
    size_t *keys = arena_array(q->a, c.names.n + 1, size_t);
    if (!keys)
        return query_too_many_samples(q->e);
    for (size_t i = 0; i < c.base.n; i++)
        TRY(enrich_series(&c, &c.base.series[i], keys));
    return ERR_OK;
}
