#include "engine/tsdb/exemplars.h"

#include <assert.h>
#include <string.h>

#include "engine/base/bits.h"
#include "engine/base/hash.h"
#include "engine/base/mem.h"

static const uint32_t NONE = UINT32_MAX;

struct exemplar_slot {
    char *labels;
    uint32_t labels_n, series; // NONE: empty
    uint32_t next;             // of the series
    bool untimed;
    int64_t t_ms;
    uint64_t bits, seq;
};

struct exemplar_series {
    char *labels;
    size_t labels_n;
    uint32_t oldest, newest;
};

static struct str series_labels(const struct exemplars *x, uint32_t id)
{
    return str_make(x->series[id].labels, x->series[id].labels_n);
}

static uint64_t hash_of(const struct exemplars *x, struct str labels)
{
    return hash64(labels.p, labels.n, x->seed);
}

static char *copy_of(struct str s)
{
    char *p = mem_alloc(s.n);
    if (s.n)
        memcpy(p, s.p, s.n);
    return p;
}

// The oldest of the ring is the oldest of its series.
static void drop(struct exemplars *x, uint32_t at)
{
    struct exemplar_slot *slot = &x->slots[at];
    struct exemplar_series *s = &x->series[slot->series];
    assert(s->oldest == at);
    s->oldest = slot->next;
    if (s->oldest == NONE) {
        id_table_remove(&x->by_labels, hash_of(x, series_labels(x, slot->series)), slot->series);
        mem_free(s->labels);
        s->labels = NULL;
        x->free = mem_grow(x->free, &x->free_capacity, x->free_n + 1, sizeof *x->free);
        x->free[x->free_n++] = slot->series;
    }
    mem_free(slot->labels);
    *slot = (struct exemplar_slot){.series = NONE};
    x->n--;
}

void exemplars_deinit(struct exemplars *x)
{
    for (uint32_t i = 0; i < x->max; i++)
        mem_free(x->slots[i].labels);
    for (size_t i = 0; i < x->series_n; i++)
        mem_free(x->series[i].labels);
    mem_free(x->slots);
    mem_free(x->series);
    mem_free(x->free);
    id_table_deinit(&x->by_labels);
    *x = (struct exemplars){.seed = x->seed};
}

void exemplars_set_max(struct exemplars *x, uint32_t max)
{
    if (max == x->max)
        return;
    struct exemplar_slot *slots = mem_alloc_array(max, sizeof *slots);
    const uint32_t oldest = x->n < x->max ? 0 : x->at;
    uint32_t gone = 0;
    for (; x->n > max; gone++)
        drop(x, (oldest + gone) % x->max);
    // Slot k of those that stay is k in the new ring, so what names one moves by the same.
    const uint32_t from = x->max ? (oldest + gone) % x->max : 0;
    for (uint32_t i = 0; i < x->n; i++) {
        slots[i] = x->slots[(from + i) % x->max];
        if (slots[i].next != NONE)
            slots[i].next = (slots[i].next + x->max - from) % x->max;
    }
    for (uint32_t i = x->n; i < max; i++)
        slots[i] = (struct exemplar_slot){.series = NONE};
    for (size_t i = 0; i < x->series_n; i++) {
        if (!x->series[i].labels)
            continue;
        x->series[i].oldest = (x->series[i].oldest + x->max - from) % x->max;
        x->series[i].newest = (x->series[i].newest + x->max - from) % x->max;
    }
    mem_free(x->slots);
    x->slots = slots;
    x->max = max;
    x->at = max ? x->n % max : 0;
}

static uint32_t find(const struct exemplars *x, struct str labels)
{
    struct id_probe probe = id_table_probe(&x->by_labels, hash_of(x, labels));
    uint32_t id;
    while ((id = id_table_next(&x->by_labels, &probe)) != ID_TABLE_NONE)
        if (str_eq(series_labels(x, id), labels))
            return id;
    return NONE;
}

static uint32_t make(struct exemplars *x, struct str labels)
{
    uint32_t id;
    if (x->free_n) {
        id = x->free[--x->free_n];
    } else {
        x->series = mem_grow(x->series, &x->series_capacity, x->series_n + 1, sizeof *x->series);
        id = (uint32_t)x->series_n++;
    }
    x->series[id] = (struct exemplar_series){copy_of(labels), labels.n, NONE, NONE};
    id_table_insert(&x->by_labels, hash_of(x, labels), id);
    return id;
}

// Several may have one time, as those of a histogram's buckets do: then value and labels decide
// which is the later one.
static int compare(const struct tsdb_exemplar *e, const struct exemplar_slot *last)
{
    const double value = double_from_bits(e->bits), before = double_from_bits(last->bits);
    const struct str labels = str_make(last->labels, last->labels_n);
    const bool is_timed = !e->untimed || !last->untimed;
    if (e->t_ms != last->t_ms && (is_timed || value != before || !str_eq(e->labels, labels)))
        return e->t_ms < last->t_ms ? -1 : 1;
    if (value < before)
        return -1;
    if (e->bits != last->bits && value != before) // also what is no number, and has no order
        return 1;
    return str_cmp(e->labels, labels);
}

enum tsdb_exemplar_outcome exemplars_judge(const struct exemplars *x, const struct tsdb_exemplar *e)
{
    if (x->max == 0 || x->is_off)
        return TSDB_EXEMPLAR_OFF;
    const uint32_t id = find(x, e->series);
    if (id == NONE)
        return TSDB_EXEMPLAR_KEPT;
    const int order = compare(e, &x->slots[x->series[id].newest]);
    return order > 0   ? TSDB_EXEMPLAR_KEPT
           : order < 0 ? TSDB_EXEMPLAR_OUT_OF_ORDER
                       : TSDB_EXEMPLAR_SAME;
}

enum tsdb_exemplar_outcome exemplars_add(struct exemplars *x, const struct tsdb_exemplar *e)
{
    const enum tsdb_exemplar_outcome outcome = exemplars_judge(x, e);
    if (outcome != TSDB_EXEMPLAR_KEPT)
        return outcome;
    const uint32_t at = x->at;
    if (x->slots[at].series != NONE)
        drop(x, at);
    uint32_t id = find(x, e->series);
    if (id == NONE)
        id = make(x, e->series);
    struct exemplar_series *s = &x->series[id];
    x->slots[at] = (struct exemplar_slot){.labels = copy_of(e->labels),
                                          .labels_n = (uint32_t)e->labels.n,
                                          .series = id,
                                          .next = NONE,
                                          .untimed = e->untimed,
                                          .t_ms = e->t_ms,
                                          .bits = e->bits,
                                          .seq = ++x->seq};
    if (s->oldest == NONE)
        s->oldest = at;
    else
        x->slots[s->newest].next = at;
    s->newest = at;
    x->at = (at + 1) % x->max;
    x->n++;
    return TSDB_EXEMPLAR_KEPT;
}

size_t exemplars_walk(const struct exemplars *x, size_t from, size_t n, uint64_t seq,
                      exemplar_fn *see, void *arg)
{
    const size_t end = n < x->series_n - from ? from + n : x->series_n;
    for (size_t i = from; i < end; i++) {
        if (!x->series[i].labels)
            continue;
        for (uint32_t at = x->series[i].oldest; at != NONE; at = x->slots[at].next) {
            const struct exemplar_slot *slot = &x->slots[at];
            const struct tsdb_exemplar e = {series_labels(x, (uint32_t)i),
                                            str_make(slot->labels, slot->labels_n), slot->t_ms,
                                            slot->bits, slot->untimed};
            if (slot->seq > seq)
                see(arg, &e);
        }
    }
    return end < x->series_n ? end : 0;
}
