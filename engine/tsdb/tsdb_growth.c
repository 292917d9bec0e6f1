#include "engine/tsdb/tsdb_growth.h"

#include "engine/model/labels.h"
#include "engine/tsdb/tsdb_part.h"
#include "io/clock.h"
#include "io/fiber.h"
#include "io/fiber_sort.h"

enum { TALLY_CHUNK = 1024, BREATH = 32 };

struct gathering {
    struct part *part;
    struct arena *arena;
    struct tsdb_growth *out;
    uint32_t job, instance; // names; LABEL_NONE: no series has it
    uint64_t *targets;      // of each series, the pairs of these two
};

static err over(struct errmsg *e)
{
    return err_set(e, ERR_LIMIT, "the query needs more memory than it may use");
}

static err tally_count(struct tally *t, struct arena *a, uint32_t id, struct errmsg *e)
{
    uint32_t **chunk = &t->chunks[id / TALLY_CHUNK];
    if (!*chunk && !(*chunk = arena_array(a, TALLY_CHUNK, uint32_t)))
        return over(e);
    (*chunk)[id % TALLY_CHUNK]++;
    return ERR_OK;
}

// Those that are still there. A number that was given to a later series stands in several lists.
static void collect(const struct part *p, int64_t from_ms, int64_t now_ms, roaring_bitmap_t *out)
{
    size_t steps = 0;
    for (int64_t t_ms = from_ms; t_ms <= now_ms; t_ms += ARRIVALS_LIST_MS) {
        const struct id_list *list; // asked for again: it may go meanwhile
        for (size_t k = 0; (list = arrivals_at(&p->arrivals, t_ms)) && k < list->n; k++) {
            const uint32_t id = *id_list_at(list, k);
            if (head_series_at(&p->head, id)->generation & 1)
                roaring_bitmap_add(out, id);
            if (++steps % BREATH == 0)
                fiber_yield_if_due();
        }
    }
}

static err count_set(struct gathering *g, uint32_t id, struct errmsg *e)
{
    const struct label_set *s = label_store_set_at(&g->part->head.labels, id);
    for (uint32_t i = 0; i < s->n; i++)
        TRY(tally_count(&g->out->pairs, g->arena, s->pairs[i], e));
    return ERR_OK;
}

static uint32_t pair_of(const struct gathering *g, const struct head_series *s, uint32_t name)
{
    return name == LABEL_NONE
               ? LABEL_NONE
               : label_store_pair_of(&g->part->head.labels, s->tuple, s->local, name);
}

static err count_series(struct gathering *g, const roaring_bitmap_t *series, struct errmsg *e)
{
    roaring_uint32_iterator_t i;
    for (roaring_init_iterator(series, &i); i.has_value; roaring_advance_uint32_iterator(&i)) {
        const struct head_series *s = head_series_at(&g->part->head, i.current_value);
        TRY(count_set(g, s->tuple, e));
        TRY(count_set(g, s->local, e));
        g->targets[g->out->series++] =
            (uint64_t)pair_of(g, s, g->instance) << 32 | pair_of(g, s, g->job);
        if (g->out->series % BREATH == 0)
            fiber_yield_if_due();
    }
    return ERR_OK;
}

// ---- targets

static int compare_keys(const void *a, const void *b, const void *arg)
{
    const uint64_t *x = a, *y = b;
    (void)arg;
    return (*x > *y) - (*x < *y);
}

static int compare_targets(const void *a, const void *b, const void *arg)
{
    const struct tsdb_target_growth *x = a, *y = b;
    (void)arg;
    return str_cmp(x->labels, y->labels);
}

static void put_pair(const struct label_store *l, uint32_t pair, struct labels_builder *out)
{
    if (pair == LABEL_NONE)
        return;
    const struct label_pair *p = label_pair_at(l, pair);
    labels_builder_push(out, l->names[p->name].text, label_pair_value(p));
}

static err name_target(struct gathering *g, uint64_t key, uint64_t series, struct errmsg *e)
{
    struct labels_builder b = {0};
    struct buf text = {0};
    put_pair(&g->part->head.labels, (uint32_t)(key >> 32), &b);
    put_pair(&g->part->head.labels, (uint32_t)key, &b);
    labels_builder_format(&b, &text);
    char *own = arena_try(g->arena, text.n, 1, 1);
    if (own) {
        memcpy(own, text.p, text.n);
        g->out->targets[g->out->targets_n++] =
            (struct tsdb_target_growth){str_make(own, text.n), series};
    }
    buf_deinit(&text);
    labels_builder_deinit(&b);
    return own ? ERR_OK : over(e);
}

static err name_targets(struct gathering *g, struct errmsg *e)
{
    const size_t n = g->out->series;
    size_t differ = 0;
    TRY(fiber_sort_within(g->arena, g->targets, n, sizeof *g->targets, NULL, compare_keys));
    for (size_t i = 0; i < n; i++)
        differ += !i || g->targets[i] != g->targets[i - 1];
    g->out->targets = arena_array(g->arena, differ, struct tsdb_target_growth);
    if (differ && !g->out->targets)
        return over(e);
    for (size_t i = 0, end; i < n; i = end) {
        for (end = i + 1; end < n && g->targets[end] == g->targets[i];)
            end++;
        TRY(name_target(g, g->targets[i], end - i, e));
        fiber_yield_if_due();
    }
    return fiber_sort_within(g->arena, g->out->targets, differ, sizeof *g->out->targets, NULL,
                             compare_targets);
}

static err gather(struct gathering *g, const roaring_bitmap_t *series, struct errmsg *e)
{
    const struct label_store *l = &g->part->head.labels;
    struct tally *pairs = &g->out->pairs;
    const size_t n = roaring_bitmap_get_cardinality(series);
    g->job = label_store_find_name(l, STR("job"));
    g->instance = label_store_find_name(l, STR("instance"));
    pairs->chunks_n = l->pairs_n / TALLY_CHUNK + 1; // those that come later are of other series
    pairs->chunks = arena_array(g->arena, pairs->chunks_n, uint32_t *);
    g->targets = arena_try(g->arena, n + 1, sizeof *g->targets, _Alignof(uint64_t));
    if (!pairs->chunks || !g->targets)
        return over(e);
    TRY(count_series(g, series, e));
    const err code = name_targets(g, e);
    return code == ERR_LIMIT ? over(e) : code;
}

err tsdb_growth_begin(struct tsdb *db, int64_t span_ms, struct arena *a, struct tsdb_growth *out,
                      int64_t *out_ms, struct errmsg *e)
{
    struct gathering g = {.part = tsdb_part(db), .arena = a, .out = out};
    const int64_t now_ms = clock_mono_ns() / 1000000;
    const int64_t from_ms = (now_ms - span_ms) / ARRIVALS_LIST_MS * ARRIVALS_LIST_MS;
    roaring_bitmap_t *series = roaring_bitmap_create();
    *out_ms = now_ms - from_ms;
    g.part->head.selects++;
    out->is_held = true;
    collect(g.part, from_ms, now_ms, series);
    const err code = gather(&g, series, e);
    roaring_bitmap_free(series);
    return code;
}

void tsdb_growth_end(struct tsdb *db, struct tsdb_growth *g)
{
    if (g->is_held)
        tsdb_part(db)->head.selects--;
    g->is_held = false;
}
