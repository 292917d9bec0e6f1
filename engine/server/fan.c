#include "engine/server/fan.h"

#include <stdlib.h>

#include "engine/base/mem.h"
#include "engine/model/labels.h"
#include "engine/shard/shard.h"

enum { PART_BYTES_MAX = 1 << 30 };

struct part { // of one shard; its memory is made and freed there
    const struct fan_question *q;
    struct arena arena;
    struct str *items;
    size_t n;
    err code;
    struct errmsg e;
};

static int compare_bytes(const void *a, const void *b)
{
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

static int compare_labels(const void *a, const void *b)
{
    return labels_cmp(*(const struct str *)a, *(const struct str *)b);
}

// Sorts and drops what is there twice; how many are left.
static size_t sort_unique(struct str *items, size_t n, enum fan_kind kind)
{
    if (!n)
        return 0;
    qsort(items, n, sizeof *items, kind == FAN_SERIES ? compare_labels : compare_bytes);
    size_t kept = 1;
    for (size_t i = 1; i < n; i++)
        if (!str_eq(items[i], items[kept - 1]))
            items[kept++] = items[i];
    return kept;
}

static err series_of(struct part *p, const struct fan_selector *s, struct str **out, size_t *out_n)
{
    const struct fan_question *q = p->q;
    struct storage_set set = {0};
    TRY(q->storage.ops->select(q->storage.self, s->ms, s->n, q->mint, q->maxt, 0, &p->arena, &set,
                               &p->e));
    struct str *items = arena_try(&p->arena, set.n, sizeof *items, _Alignof(struct str));
    err code = items ? ERR_OK : err_set(&p->e, ERR_LIMIT, "too many series match");
    for (size_t i = 0; !code && i < set.n; i++)
        items[i] = arena_str(&p->arena, set.series[i].labels);
    *out = items;
    *out_n = set.n;
    q->storage.ops->release(q->storage.self, &set);
    return code;
}

static err ask_one(struct part *p, const struct fan_selector *s, struct str **out, size_t *out_n)
{
    const struct fan_question *q = p->q;
    const struct storage_ops *ops = q->storage.ops;
    if (q->kind == FAN_SERIES)
        return series_of(p, s, out, out_n);
    if (q->kind == FAN_NAMES)
        return ops->label_names(q->storage.self, s->ms, s->n, q->mint, q->maxt, &p->arena, out,
                                out_n, &p->e);
    return ops->label_values(q->storage.self, q->name, s->ms, s->n, q->mint, q->maxt, &p->arena,
                             out, out_n, &p->e);
}

static void ask_shard(void *arg) // on each shard
{
    static const struct fan_selector everything = {0};
    struct part *p = arg;
    const size_t count = p->q->selectors_count ? p->q->selectors_count : 1;
    arena_init(&p->arena, PART_BYTES_MAX);
    for (size_t i = 0; i < count && !p->code; i++) {
        struct str *items;
        size_t n = 0;
        p->code = ask_one(p, p->q->selectors_count ? &p->q->selectors[i] : &everything, &items, &n);
        if (p->code || !n)
            continue;
        struct str *both = arena_try(&p->arena, p->n + n, sizeof *both, _Alignof(struct str));
        if (!both) {
            p->code = err_set(&p->e, ERR_LIMIT, "too many series match");
            continue;
        }
        if (p->n)
            memcpy(both, p->items, p->n * sizeof *both);
        memcpy(both + p->n, items, n * sizeof *both);
        p->items = both;
        p->n += n;
        fiber_yield_if_due();
    }
    p->n = sort_unique(p->items, p->n, p->q->kind);
    if (p->q->limit && p->n > p->q->limit + 1)
        p->n = p->q->limit + 1;
}

static void free_part(void *arg) // on each shard
{
    struct part *p = arg;
    arena_deinit(&p->arena);
}

static err gather(const struct part *parts, unsigned count, const struct fan_question *q,
                  struct arena *a, struct str **out, size_t *out_n, struct errmsg *e)
{
    size_t total = 0;
    for (unsigned i = 0; i < count; i++) {
        if (parts[i].code)
            return err_set(e, parts[i].code, "%s", parts[i].e.text);
        total += parts[i].n;
    }
    struct str *items = arena_try(a, total, sizeof *items, _Alignof(struct str));
    if (!items)
        return err_set(e, ERR_LIMIT, "too many series match: narrow the selector or give a limit");
    size_t n = 0;
    for (unsigned i = 0; i < count; i++)
        for (size_t k = 0; k < parts[i].n; k++) {
            char *copy = arena_try(a, parts[i].items[k].n, 1, 1);
            if (!copy)
                return err_set(e, ERR_LIMIT, "too many series match: narrow the selector");
            memcpy(copy, parts[i].items[k].p, parts[i].items[k].n);
            items[n++] = str_make(copy, parts[i].items[k].n);
        }
    *out = items;
    *out_n = sort_unique(items, n, q->kind);
    return ERR_OK;
}

err fan_ask(const struct fan_question *q, struct arena *a, struct str **out, size_t *out_n,
            struct errmsg *e)
{
    const unsigned count = shards_count(shard_all());
    struct part *parts = mem_alloc_array(count, sizeof *parts);
    for (unsigned i = 0; i < count; i++)
        parts[i] = (struct part){.q = q};
    shard_call_all(LOOP_QUERY, ask_shard, parts, sizeof *parts, NULL);
    const err code = gather(parts, count, q, a, out, out_n, e);
    fiber_shield_begin();
    shard_call_all(LOOP_QUERY, free_part, parts, sizeof *parts, NULL);
    fiber_shield_end();
    mem_free(parts);
    return code;
}
