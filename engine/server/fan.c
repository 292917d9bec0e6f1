#include "engine/server/fan.h"

#include "engine/base/mem.h"
#include "engine/shard/shard.h"
#include "io/fiber.h"

enum { BYTES_MAX = 1 << 30 };

struct fan_part { // of one shard; its memory is made and freed there
    const struct fan_question *q;
    struct arena_budget *budget;
    struct arena arena;
    struct least least;
    size_t at; // of the merge
    err code;
    struct errmsg e;
};

static err ask_one(struct fan_part *p, const struct fan_selector *s) // Suspends.
{
    const struct fan_question *q = p->q;
    const struct storage_ops *ops = q->storage.ops;
    void *self = q->storage.self;
    if (q->kind == FAN_SERIES)
        return ops->series_labels(self, s->ms, s->n, q->mint, q->maxt, &p->least, &p->e);
    if (q->kind == FAN_NAMES)
        return ops->label_names(self, s->ms, s->n, q->mint, q->maxt, &p->least, &p->e);
    return ops->label_values(self, q->name, s->ms, s->n, q->mint, q->maxt, &p->least, &p->e);
}

static void ask_shard(void *arg) // on each shard
{
    static const struct fan_selector everything = {0};
    struct fan_part *p = arg;
    const struct fan_question *q = p->q;
    const size_t count = q->selectors_count ? q->selectors_count : 1;
    arena_init_within(&p->arena, p->budget);
    least_init(&p->least, &p->arena, q->limit && q->limit < SIZE_MAX ? (size_t)q->limit + 1 : 0,
               q->kind == FAN_SERIES);
    p->least.after = q->after;
    for (size_t i = 0; i < count && !p->code; i++) {
        p->code = ask_one(p, q->selectors_count ? &q->selectors[i] : &everything);
        fiber_yield_if_due();
    }
    if (!p->code)
        p->code = least_finish(&p->least, &p->e);
}

static void free_part(void *arg) // on each shard
{
    struct fan_part *p = arg;
    least_deinit(&p->least);
    arena_deinit(&p->arena);
}

static err too_much(const struct fan *f, struct errmsg *e)
{
    if (f->budget->all_is_used)
        return err_set(e, ERR_LIMIT,
                       "refused: memory is short (--storage.memory-limit); ask for less, or again "
                       "later");
    return err_set(e, ERR_LIMIT,
                   "what matches needs more than the %zu bytes that --query.max-bytes allows: "
                   "narrow the selectors, or ask for less with the parameter limit",
                   f->budget->limit_bytes);
}

err fan_open(const struct fan_question *q, struct fan *out, struct errmsg *e)
{
    const unsigned count = shards_count(shard_all());
    struct fan f = {.budget = mem_zalloc(sizeof *f.budget),
                    .parts = mem_zalloc(count * sizeof *f.parts),
                    .parts_count = count};
    f.budget->all = q->all;
    f.budget->limit_bytes = q->bytes_max ? q->bytes_max : BYTES_MAX;
    for (unsigned i = 0; i < count; i++) {
        f.parts[i].q = q;
        f.parts[i].budget = f.budget;
    }
    shard_call_all(LOOP_QUERY, ask_shard, f.parts, sizeof *f.parts, NULL);
    err code = ERR_OK;
    for (unsigned i = 0; i < count && !code; i++) {
        code = f.parts[i].code;
        if (code && e)
            *e = f.parts[i].e;
    }
    if (code == ERR_LIMIT)
        code = too_much(&f, e);
    if (code)
        fan_done(&f);
    else
        *out = f;
    return code;
}

bool fan_next(struct fan *f, struct str *out)
{
    for (;;) {
        struct fan_part *next = NULL;
        for (unsigned i = 0; i < f->parts_count; i++) {
            struct fan_part *p = &f->parts[i];
            if (p->at < p->least.n && (!next || least_compare(&p->least, p->least.items[p->at],
                                                              next->least.items[next->at]) < 0))
                next = p;
        }
        if (!next)
            return false;
        *out = next->least.items[next->at++];
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
    mem_free(f->budget);
}

err fan_ask(const struct fan_question *q, struct arena *a, struct str **out, size_t *out_n,
            struct errmsg *e)
{
    struct fan f;
    TRY(fan_open(q, &f, e));
    size_t most = 0, n = 0;
    for (unsigned i = 0; i < f.parts_count; i++)
        most += f.parts[i].least.n;
    struct str *items = arena_try(a, most, sizeof *items, _Alignof(struct str)), item;
    err code = items ? ERR_OK : too_much(&f, e);
    while (!code && fan_next(&f, &item)) {
        char *copy = arena_try(a, item.n, 1, 1);
        if (!copy) {
            code = too_much(&f, e);
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
