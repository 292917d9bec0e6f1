#include "engine/server/fan.h"

#include "engine/base/mem.h"
#include "engine/model/labels.h"
#include "engine/shard/shard.h"
#include "io/fiber_sort.h"

enum { PART_BYTES_MAX = 1 << 30 };

static const char too_many[] = "too many series match: narrow the selector";

struct fan_part { // of one shard; its memory is made and freed there
    const struct fan_question *q;
    struct arena arena;
    struct str *items;
    size_t n;
    size_t at; // of the merge
    err code;
    struct errmsg e;
};

static int compare_bytes(const void *a, const void *b, const void *arg)
{
    (void)arg;
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

static int compare_labels(const void *a, const void *b, const void *arg)
{
    (void)arg;
    return labels_cmp(*(const struct str *)a, *(const struct str *)b);
}

// Sorts and drops what is there twice; how many are left.
static size_t sort_unique(struct str *items, size_t n, enum fan_kind kind) // Suspends.
{
    if (!n)
        return 0;
    fiber_sort(items, n, sizeof *items, NULL, kind == FAN_SERIES ? compare_labels : compare_bytes);
    size_t kept = 1;
    for (size_t i = 1; i < n; i++) {
        if (!str_eq(items[i], items[kept - 1]))
            items[kept++] = items[i];
        if (i % 1024 == 0)
            fiber_yield_if_due();
    }
    return kept;
}

// Leaves out what has no sample in the range. Suspends.
static err keep_present(struct fan_part *p, struct storage_set *set)
{
    const struct fan_question *q = p->q;
    const struct storage_ops *ops = q->storage.ops;
    if (!ops->present || !set->n || (q->mint == INT64_MIN && q->maxt == INT64_MAX))
        return ERR_OK;
    bool *present = mem_alloc_array(set->n, sizeof *present);
    const err code = ops->present(q->storage.self, set, set->series, set->n, q->mint, q->maxt,
                                  p->arena.limit_bytes, present, &p->e);
    size_t kept = 0;
    for (size_t i = 0; i < set->n && !code; i++)
        if (present[i])
            set->series[kept++] = set->series[i];
    set->n = kept;
    mem_free(present);
    return code;
}

static err series_of(struct fan_part *p, const struct fan_selector *s, struct str **out,
                     size_t *out_n)
{
    const struct fan_question *q = p->q;
    struct storage_set set = {0};
    TRY(q->storage.ops->select(q->storage.self, s->ms, s->n, q->mint, q->maxt, NULL, &p->arena,
                               &set, &p->e));
    err code = keep_present(p, &set);
    struct str *items = arena_try(&p->arena, set.n, sizeof *items, _Alignof(struct str));
    if (!code && !items)
        code = err_set(&p->e, ERR_LIMIT, too_many);
    for (size_t i = 0; !code && i < set.n; i++)
        items[i] = set.series[i].labels; // in our arena: the set may go
    *out = items;
    *out_n = set.n;
    q->storage.ops->release(q->storage.self, &set);
    return code;
}

static err ask_one(struct fan_part *p, const struct fan_selector *s, struct str **out,
                   size_t *out_n)
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

static err add_answers(struct fan_part *p, struct str *items, size_t n)
{
    if (!p->n) {
        p->items = items;
        p->n = n;
        return ERR_OK;
    }
    struct str *both = arena_try(&p->arena, p->n + n, sizeof *both, _Alignof(struct str));
    if (!both)
        return err_set(&p->e, ERR_LIMIT, too_many);
    memcpy(both, p->items, p->n * sizeof *both);
    memcpy(both + p->n, items, n * sizeof *both);
    // What selectors have in common is kept once, so that many of them cost no more than one.
    p->n = sort_unique(both, p->n + n, p->q->kind);
    p->items = both;
    return ERR_OK;
}

static void ask_shard(void *arg) // on each shard
{
    static const struct fan_selector everything = {0};
    struct fan_part *p = arg;
    const struct fan_question *q = p->q;
    const size_t count = q->selectors_count ? q->selectors_count : 1;
    arena_init(&p->arena, q->bytes_max ? q->bytes_max : PART_BYTES_MAX);
    for (size_t i = 0; i < count && !p->code; i++) {
        struct str *items;
        size_t n = 0;
        p->code = ask_one(p, q->selectors_count ? &q->selectors[i] : &everything, &items, &n);
        if (!p->code && n)
            p->code = add_answers(p, items, n);
        fiber_yield_if_due();
    }
    // Names and values come sorted, each once; series in an order of the storage's own.
    if (!p->code && (count > 1 || q->kind == FAN_SERIES))
        p->n = sort_unique(p->items, p->n, q->kind);
    if (q->limit && p->n > q->limit + 1)
        p->n = q->limit + 1;
}

static void free_part(void *arg) // on each shard
{
    struct fan_part *p = arg;
    arena_deinit(&p->arena);
}

err fan_open(const struct fan_question *q, struct fan *out, struct errmsg *e)
{
    const unsigned count = shards_count(shard_all());
    struct fan f = {
        .parts = mem_zalloc(count * sizeof *f.parts), .parts_count = count, .kind = q->kind};
    for (unsigned i = 0; i < count; i++)
        f.parts[i].q = q;
    shard_call_all(LOOP_QUERY, ask_shard, f.parts, sizeof *f.parts, NULL);
    err code = ERR_OK;
    for (unsigned i = 0; i < count && !code; i++) {
        code = f.parts[i].code;
        if (code && e)
            *e = f.parts[i].e;
    }
    if (code)
        fan_done(&f);
    else
        *out = f;
    return code;
}

bool fan_next(struct fan *f, struct str *out)
{
    fiber_compare_fn *const compare = f->kind == FAN_SERIES ? compare_labels : compare_bytes;
    for (;;) {
        struct fan_part *next = NULL;
        for (unsigned i = 0; i < f->parts_count; i++) {
            struct fan_part *p = &f->parts[i];
            if (p->at < p->n &&
                (!next || compare(&p->items[p->at], &next->items[next->at], NULL) < 0))
                next = p;
        }
        if (!next)
            return false;
        *out = next->items[next->at++];
        if (f->last.p && str_eq(*out, f->last))
            continue; // another shard has it too
        f->last = *out;
        return true;
    }
}

void fan_done(struct fan *f)
{
    fiber_shield_begin();
    shard_call_all(LOOP_QUERY, free_part, f->parts, sizeof *f->parts, NULL);
    fiber_shield_end();
    mem_free(f->parts);
}

err fan_ask(const struct fan_question *q, struct arena *a, struct str **out, size_t *out_n,
            struct errmsg *e)
{
    struct fan f;
    TRY(fan_open(q, &f, e));
    size_t most = 0, n = 0;
    for (unsigned i = 0; i < f.parts_count; i++)
        most += f.parts[i].n;
    struct str *items = arena_try(a, most, sizeof *items, _Alignof(struct str)), item;
    err code = items ? ERR_OK : err_set(e, ERR_LIMIT, too_many);
    while (!code && fan_next(&f, &item)) {
        char *copy = arena_try(a, item.n, 1, 1);
        if (!copy) {
            code = err_set(e, ERR_LIMIT, too_many);
        } else {
            memcpy(copy, item.p, item.n);
            items[n++] = str_make(copy, item.n);
            fiber_yield_if_due();
        }
    }
    fan_done(&f);
    *out = items;
    *out_n = n;
    return code;
}
