#include "engine/promql/test_refusal.h"

#include "engine/base/mem.h"

void test_refusals_init(struct test_refusals *r)
{
    *r = (struct test_refusals){0};
    arena_init(&r->arena, 0);
}

void test_refusals_deinit(struct test_refusals *r)
{
    mem_free(r->samples);
    arena_deinit(&r->arena);
}

void test_refusals_clear(struct test_refusals *r)
{
    r->n = 0;
    arena_reset(&r->arena);
}

void test_refusals_add(struct test_refusals *r, struct str labels, int64_t t_ms, const char *what)
{
    const struct str last = r->n ? r->samples[r->n - 1].labels : (struct str){0};
    r->samples = mem_grow(r->samples, &r->capacity, r->n + 1, sizeof *r->samples);
    r->samples[r->n++] = (struct test_refused_sample){
        .labels = str_eq(last, labels) ? last : arena_str(&r->arena, labels),
        .t_ms = t_ms,
        .what = what,
    };
}

// What a selector over (mint, maxt] would need; NULL: nothing.
static const char *refusal(const struct test_refusals *r, const struct matcher *ms, size_t ms_count,
                           int64_t mint, int64_t maxt)
{
    const char *looked_at = NULL;
    bool matches = false;
    for (size_t i = 0; i < r->n; i++) {
        const struct test_refused_sample *x = &r->samples[i];
        if (x->t_ms <= mint || x->t_ms > maxt)
            continue;
        if (x->labels.p != looked_at)
            matches = matchers_match(ms, ms_count, x->labels);
        looked_at = x->labels.p;
        if (matches)
            return x->what;
    }
    return NULL;
}

static err refusing_select(void *self, const struct matcher *ms, size_t ms_count, int64_t mint,
                           int64_t maxt, const struct storage_want *want, struct arena *a,
                           struct storage_set *out, struct errmsg *e)
{
    const struct test_refusing *r = self;
    const char *what = refusal(r->refusals, ms, ms_count, mint, maxt);
    if (what)
        return err_set(e, ERR_INVALID, "unsupported: %s", what);
    return r->inner->ops->select(r->inner->self, ms, ms_count, mint, maxt, want, a, out, e);
}

static err refusing_read(void *self, const struct storage_set *set,
                         const struct storage_series *series, size_t n, int64_t mint, int64_t maxt,
                         struct arena *a, struct column *out, struct errmsg *e)
{
    const struct test_refusing *r = self;
    return r->inner->ops->read(r->inner->self, set, series, n, mint, maxt, a, out, e);
}

static void refusing_release(void *self, struct storage_set *set)
{
    const struct test_refusing *r = self;
    r->inner->ops->release(r->inner->self, set);
}

static err refusing_label_names(void *self, const struct matcher *ms, size_t ms_count, int64_t mint,
                                int64_t maxt, struct least *out, struct errmsg *e)
{
    const struct test_refusing *r = self;
    return r->inner->ops->label_names(r->inner->self, ms, ms_count, mint, maxt, out, e);
}

static const struct storage_ops refusing_ops = {
    .select = refusing_select,
    .read = refusing_read,
    .release = refusing_release,
    .label_names = refusing_label_names,
};

struct storage test_refusing_storage(struct test_refusing *self)
{
    return (struct storage){&refusing_ops, self};
}
