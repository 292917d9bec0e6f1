#include "engine/tsdb/head_spill.h"

#include <assert.h>
#include <stdlib.h>

#include "engine/base/mem.h"
#include "engine/model/labels.h"
#include "engine/model/value.h"
#include "engine/tsdb/block_symbols.h"
#include "engine/tsdb/head_cohorts.h"
#include "io/fiber.h"
#include "io/fiber_memory.h"

enum { BREATH = 256 };

static int64_t range_start(int64_t t_ms, int64_t range_ms)
{
    const int64_t into = t_ms % range_ms < 0 ? t_ms % range_ms + range_ms : t_ms % range_ms;
    return t_ms < INT64_MIN + into ? INT64_MIN : t_ms - into;
}

// Of more ranges than there is room for, the newest are kept.
static void add_range(struct head_spill *s, int64_t t_ms, int64_t range_ms)
{
    const int64_t start = range_start(t_ms, range_ms);
    size_t at = 0;
    while (at < s->ranges && s->starts[at] < start)
        at++;
    if (at < s->ranges && s->starts[at] == start)
        return;
    if (s->ranges == SPILL_RANGES_MAX) {
        if (at == 0)
            return;
        memmove(s->starts, s->starts + 1, (at - 1) * sizeof s->starts[0]);
        at--;
    } else {
        memmove(s->starts + at + 1, s->starts + at, (s->ranges - at) * sizeof s->starts[0]);
        s->ranges++;
    }
    s->starts[at] = start;
}

static bool is_unwritten(const struct head_spill *s, const struct late_sample *late)
{
    return late->seq > s->head->spilled_seq && late->seq <= s->seq;
}

static void breathe(const struct head *h, size_t i)
{
    if (h->may_yield && i % BREATH == BREATH - 1)
        fiber_yield_if_due();
}

// The ranges of the slots to write: from one that has a slot to the next.
static void add_slots(struct head_spill *s, const struct cohort *c, int64_t range_ms)
{
    uint32_t slot = c->spilled > c->base ? c->spilled : c->base;
    while (slot < c->closed) {
        const int64_t t_ms = cohort_time(c, slot);
        int64_t end;
        add_range(s, t_ms, range_ms);
        if (__builtin_add_overflow(range_start(t_ms, range_ms), range_ms, &end))
            return;
        slot = cohort_after(c, end - 1);
    }
}

void head_spill_begin(struct head_spill *s, struct head *h)
{
    *s = (struct head_spill){.head = h, .seq = h->seq};
    arena_init(&s->arena, 0);
    assert(h->spilling_seq == h->spilled_seq);
    h->spilling_seq = h->seq;
    for (size_t i = 0; i < h->cohorts_n; i++) {
        breathe(h, i);
        if (h->cohorts[i])
            h->cohorts[i]->closed = cohort_end(h->cohorts[i]);
    }
}

void head_spill_find_ranges(struct head_spill *s, int64_t range_ms)
{
    struct head *h = s->head;
    for (size_t i = 0; i < h->cohorts_n; i++) {
        breathe(h, i); // what comes meanwhile is of later commits
        if (h->cohorts[i])
            add_slots(s, h->cohorts[i], range_ms);
    }
    for (uint32_t id = 0; id < h->series_n; id++) {
        breathe(h, id);
        const struct late *late = head_series_at(h, id)->late;
        for (uint32_t i = 0; late && i < late->n; i++) {
            if (is_unwritten(s, &late->items[i]))
                add_range(s, late->items[i].t_ms, range_ms);
        }
    }
}

struct held_place {
    const struct held *histogram;
    size_t at; // among the samples
};

// Goes behind what is there, or between: late samples do not come often.
static void add_sample(struct head_spill *s, const struct late_sample *x)
{
    s->t = mem_grow(s->t, &s->t_capacity, s->n + 1, sizeof *s->t);
    s->bits = mem_grow(s->bits, &s->bits_capacity, s->n + 1, sizeof *s->bits);
    size_t at = s->n++;
    for (; at > 0 && s->t[at - 1] > x->t_ms; at--) {
        s->t[at] = s->t[at - 1];
        s->bits[at] = s->bits[at - 1];
    }
    s->t[at] = x->t_ms;
    s->bits[at] = x->is_histogram ? VALUE_STALE_BITS : x->bits;
    for (size_t i = s->held_n; i-- > 0 && s->held[i].at >= at;)
        s->held[i].at++;
    if (!x->is_histogram)
        return;
    s->held = mem_grow(s->held, &s->held_capacity, s->held_n + 1, sizeof *s->held);
    s->held[s->held_n++] = (struct held_place){x->histogram, at}; // they come by time
}

static struct column spilled_column(struct head_spill *s, const struct late *late)
{
    struct column c = {.t = s->t, .v = (const double *)s->bits, .n = s->n};
    arena_reset(&s->arena);
    if (s->held_n) {
        struct str *histograms = arena_array(&s->arena, s->n, struct str);
        struct buf *packed = &s->head->packed;
        for (size_t i = 0; i < s->held_n; i++) {
            buf_reset(packed);
            held_pack(s->held[i].histogram, packed);
            histograms[s->held[i].at] = arena_str(&s->arena, buf_str(packed));
        }
        c.histograms = histograms;
    }
    if (late_has_starts(late) && s->n) {
        int64_t *starts = arena_array(&s->arena, s->n, int64_t);
        for (size_t i = 0; i < s->n; i++)
            starts[i] = late_start_at(late, s->t[i]);
        c.starts = starts;
    }
    return c;
}

struct column head_spill_read(struct head_spill *s, uint32_t id, size_t range)
{
    const struct head *h = s->head;
    const struct head_series *series = head_series_at(h, id);
    const int64_t low = range == 0 ? INT64_MIN : s->starts[range];
    const int64_t high = range + 1 < s->ranges ? s->starts[range + 1] - 1 : INT64_MAX;
    s->n = s->held_n = 0;
    if (!(series->generation & 1) || series->cohort == COHORT_NONE)
        return (struct column){0};
    const struct cohort *c = h->cohorts[series->cohort];
    uint32_t from = low == INT64_MIN ? c->base : cohort_after(c, low - 1);
    uint32_t to = cohort_after(c, high);
    from = from > c->spilled ? from : c->spilled;
    to = to < c->closed ? to : c->closed;
    if (from < to) {
        const size_t most = to - from;
        s->slots = mem_grow(s->slots, &s->slots_capacity, most, sizeof *s->slots);
        s->bits = mem_grow(s->bits, &s->bits_capacity, most, sizeof *s->bits);
        s->t = mem_grow(s->t, &s->t_capacity, most, sizeof *s->t);
        s->n = series_values_decode(&series->values, from, to, s->slots, s->bits);
        for (size_t i = 0; i < s->n; i++)
            s->t[i] = cohort_time(c, s->slots[i]);
    }
    for (uint32_t i = 0; series->late && i < series->late->n; i++) {
        const struct late_sample *late = &series->late->items[i];
        if (late->t_ms >= low && late->t_ms <= high && is_unwritten(s, late))
            add_sample(s, late);
    }
    return spilled_column(s, series->late);
}

void head_spill_end(struct head_spill *s, bool written)
{
    struct head *h = s->head;
    for (size_t i = 0; written && i < h->cohorts_n; i++) {
        breathe(h, i); // who leaves a cohort now must know what of it is written
        if (h->cohorts[i])
            h->cohorts[i]->spilled = h->cohorts[i]->closed;
    }
    h->spilled_seq = written ? s->seq : h->spilled_seq;
    h->spilling_seq = h->spilled_seq;
    mem_free(s->t);
    mem_free(s->bits);
    mem_free(s->slots);
    mem_free(s->held);
    arena_deinit(&s->arena);
    *s = (struct head_spill){0};
}

void head_metrics(const struct head *h, uint32_t **out, size_t *out_n)
{
    const uint32_t name = label_store_find_name(&h->labels, LABEL_NAME);
    const size_t n = name == LABEL_NONE ? 0 : h->labels.names[name].pairs.n;
    uint32_t *order = *out = mem_alloc_array(n + 1, sizeof **out);
    *order++ = LABEL_NONE;
    *out_n = n + 1;
    if (!n)
        return;
    struct pair_walk walk;
    pair_walk_begin(&walk, &h->labels, name, STR(""), STR(""));
    for (size_t i = 0; i < n; i++)
        order[i] = pair_walk_next(&walk);
}

static size_t add_set_series(const struct head *h, uint32_t set, size_t n, uint32_t **ids,
                             size_t *capacity)
{
    uint32_t id = label_store_set_at(&h->labels, set)->first;
    for (; id != LABEL_NONE; id = head_series_at(h, id)->next_in_local) {
        *ids = h->may_yield ? fiber_grow(*ids, capacity, n + 1, sizeof **ids)
                            : mem_grow(*ids, capacity, n + 1, sizeof **ids);
        (*ids)[n++] = id;
        breathe(h, n);
    }
    return n;
}

static bool has_name(const struct head *h, const struct label_set *set, uint32_t name)
{
    for (uint32_t i = 0; i < set->n; i++) {
        if (label_pair_at(&h->labels, set->pairs[i])->name == name)
            return true;
    }
    return false;
}

size_t head_metric_series(const struct head *h, uint32_t pair, uint32_t **ids, size_t *capacity)
{
    size_t n = 0;
    if (pair != LABEL_NONE) { // the metric name is never factored: all its sets are local ones
        roaring_bitmap_t *sets = roaring_bitmap_create();
        posting_union(&label_pair_at(&h->labels, pair)->in, sets);
        roaring_uint32_iterator_t i;
        for (roaring_init_iterator(sets, &i); i.has_value; roaring_advance_uint32_iterator(&i))
            n = add_set_series(h, i.current_value, n, ids, capacity);
        roaring_bitmap_free(sets);
        return n;
    }
    const uint32_t name = label_store_find_name(&h->labels, LABEL_NAME);
    for (uint32_t set = 0; set < h->labels.sets_n[0]; set++) {
        const struct label_set *s = label_store_set_at(&h->labels, set);
        if (s && !has_name(h, s, name))
            n = add_set_series(h, set, n, ids, capacity);
    }
    return n;
}
