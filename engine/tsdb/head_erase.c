// A series' values are written anew without those that go: readers copy what they read, so none
// looks at what is freed.
#include "engine/tsdb/head_erase.h"

#include "engine/base/mem.h"
#include "engine/tsdb/head_query.h"
#include "engine/tsdb/head_steady.h"

struct erasing {
    const struct head_erasure *what;
    uint32_t *slots; // of one series
    uint64_t *bits;
    size_t slots_capacity, bits_capacity;
};

static bool erase_late(const struct head_erasure *what, struct late *late)
{
    bool any = false;
    for (uint32_t i = late ? late->n : 0; i-- > 0;) {
        const struct late_sample *x = &late->items[i];
        if (x->t_ms < what->min_t_ms || x->t_ms > what->max_t_ms || x->seq > what->seq)
            continue;
        late_remove(late, i);
        any = true;
    }
    return any;
}

// Whether the slot lies in [from, to), and its value is not of a later commit.
static bool goes(const struct erasing *g, const struct cohort *c, uint32_t member, uint32_t slot,
                 uint32_t from, uint32_t to)
{
    return slot >= from && slot < to && cohort_value_seq(c, slot, member) <= g->what->seq;
}

static bool erase_slots(struct erasing *g, struct head *h, struct head_series *s)
{
    const struct cohort *c = h->cohorts[s->cohort];
    const int64_t mint = g->what->min_t_ms;
    const uint32_t from = mint == INT64_MIN ? c->base : cohort_after(c, mint - 1);
    const uint32_t to = cohort_after(c, g->what->max_t_ms);
    if (from >= to)
        return false;
    g->slots = mem_grow(g->slots, &g->slots_capacity, c->n, sizeof *g->slots);
    g->bits = mem_grow(g->bits, &g->bits_capacity, c->n, sizeof *g->bits);
    const size_t n = series_values_decode(&s->values, c->base, cohort_end(c), g->slots, g->bits);
    size_t kept = 0;
    while (kept < n && !goes(g, c, s->member, g->slots[kept], from, to))
        kept++;
    if (kept == n)
        return false;
    const uint32_t end = s->values.run_end;
    const uint64_t newest_bits = s->values.last_bits;
    h->blocks -= series_values_release(&s->values, UINT32_MAX);
    s->values = (struct series_values){0};
    for (size_t i = 0; i < n; i++)
        if (!goes(g, c, s->member, g->slots[i], from, to))
            h->blocks += series_values_append(&s->values, g->slots[i], g->bits[i]);
    if (s->values.run_end != end)
        h->blocks += series_values_append_gone(&s->values, end - 1, newest_bits);
    return true;
}

static bool erase_series(struct head *h, const struct head_series *series, uint32_t id, void *arg)
{
    struct erasing *g = arg;
    struct head_series *s = head_series_at(h, id);
    if (series->partition < g->what->partition_begin || series->partition >= g->what->partition_end)
        return true;
    head_settle(h, s->cohort);
    bool any = erase_late(g->what, s->late);
    if (s->cohort != COHORT_NONE)
        any |= erase_slots(g, h, s);
    s->erased |= any;
    h->releases += any; // what files were asked meanwhile is worth nothing
    return true;
}

err head_erase(struct head *h, const struct head_erasure *what, const struct arena *limits,
               struct errmsg *e)
{
    struct erasing g = {.what = what};
    const int64_t mint = what->min_t_ms == INT64_MIN ? INT64_MIN : what->min_t_ms - 1;
    h->releases++;
    h->selects++;
    const err code =
        head_each(h, what->ms, what->ms_count, mint, what->max_t_ms, limits, e, erase_series, &g);
    h->selects--;
    mem_free(g.slots);
    mem_free(g.bits);
    return code;
}

bool head_erased_has(const struct head *h, const struct head_series *s, int64_t mint, int64_t maxt)
{
    if (mint >= maxt)
        return false;
    if (s->late && late_after(s->late, mint) < late_after(s->late, maxt))
        return true;
    if (s->cohort == COHORT_NONE)
        return false;
    const struct cohort *c = h->cohorts[s->cohort];
    struct series_values v = s->values;
    if (series_values_is_open(&v))
        series_values_close(&v, cohort_end(c));
    uint64_t bits;
    const uint32_t to = cohort_after(c, maxt);
    for (uint32_t slot = cohort_after(c, mint); slot < to; slot++)
        if (series_values_at(&v, slot, &bits))
            return true;
    return false;
}
