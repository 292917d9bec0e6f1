#include <assert.h>
#include <stdlib.h>

#include "engine/base/mem.h"
#include "engine/tsdb/head_cohorts.h"
#include "engine/tsdb/head_spill.h"
#include "engine/tsdb/head_steady.h"
#include "io/fiber.h"

enum {
    BREATH = 128, // members of a cohort between two questions whether a yield is due
    COHORTS_BREATH = 16,
    UNDO_BREATH = 16,
    SWEEP_STEPS = 8192, // of lists that a batch of leaving series may cost
};

// Who waited meanwhile must not rely on what memory had.
static void give_way(struct head *h)
{
    h->releases++;
    if (h->may_yield)
        fiber_yield_if_due();
}

// A large commit judges by what memory had when it began.
static void wait_for_pieces(const struct head *h)
{
    while (h->pieces_from != HEAD_NO_PIECES)
        fiber_yield();
}

static void release_cohort(struct head *h, struct cohort *c, int64_t keep_t)
{
    h->releases++;
    uint32_t slot = keep_t == INT64_MIN ? c->base : cohort_after(c, keep_t - 1);
    slot = slot < c->spilled ? slot : c->spilled;
    const int64_t slots_t = slot < cohort_end(c) ? cohort_time(c, slot) : INT64_MAX;
    for (size_t i = 0; i < c->members_n; i++) { // who joins meanwhile has nothing to release
        if (i % BREATH == BREATH - 1) {
            give_way(h);
            wait_for_pieces(h);
        }
        if (c->members[i] == MEMBER_GONE)
            continue;
        head_settle(h, c->id); // again, where a commit came meanwhile
        struct head_series *s = head_series_at(h, c->members[i]);
        if (slot > c->base)
            h->blocks -= series_values_release(&s->values, slot);
        // What is written and old goes; the newest sample stays: it decides what is accepted.
        late_release(&s->late, keep_t, h->spilled_seq, s->last_t, slots_t);
    }
    cohort_release(c, slot);
    if (c->fills_n && c->fills[c->fills_n - 1].seq <= head_floor(h)) {
        mem_free(c->fills);
        c->fills = NULL;
        c->fills_n = c->fills_capacity = 0;
    }
}

void head_release(struct head *h, int64_t keep_t)
{
    for (size_t at = 0; at < h->cohorts_n; at++) {
        if (h->cohorts[at])
            release_cohort(h, h->cohorts[at], keep_t);
        if (at % COHORTS_BREATH == COHORTS_BREATH - 1) {
            give_way(h);
            wait_for_pieces(h);
        }
    }
}

static bool may_leave(const struct head *h, struct head_series *s, int64_t before_t)
{
    if (!(s->generation & 1))
        return false;
    if (s->last_t == INT64_MIN) { // its first sample was refused, or is yet to come
        if (s->misses == UINT8_MAX)
            return true;
        s->misses = UINT8_MAX;
        return false;
    }
    if (head_last_t(h, s) >= before_t || !series_values_is_empty(&s->values))
        return false;
    return !s->late || !s->late->n || (s->late->n == 1 && s->late->items[0].seq <= h->spilled_seq);
}

// Takes the dead out of the list of one set.
static void sweep_set(struct head *h, uint32_t id)
{
    struct label_set *set = label_store_set_at(&h->labels, id);
    const bool tuple = (id & LABEL_SET_TUPLE) != 0;
    if (!set)
        return; // swept for another of its series
    uint32_t *link = &set->first;
    while (*link != LABEL_NONE) {
        struct head_series *s = head_series_at(h, *link);
        uint32_t *next = tuple ? &s->next_in_tuple : &s->next_in_local;
        if (s->dead) {
            *link = *next;
            set->series--;
        } else {
            link = next;
        }
    }
    if (set->series == 0)
        label_store_drop_set(&h->labels, id);
}

static void remove_series(struct head *h, uint32_t id)
{
    struct head_series *s = head_series_at(h, id);
    if (s->cohort == COHORT_NONE) {
        head_family_unref(h, s->member);
    } else {
        struct cohort *c = h->cohorts[s->cohort];
        cohort_leave(c, s->member);
        if (c->live == 0) {
            if (h->forget)
                h->forget(h->forget_arg, c->id);
            head_free_cohort(h, c);
        }
    }
    id_table_remove(&h->series_ids, s->hash.lo, id);
    late_destroy(s->late);
    *s = (struct head_series){.generation = s->generation + 1};
    id_list_push(&h->free_series, id);
    h->stats.series_removed++;
}

static int compare_ids(const void *a, const void *b)
{
    const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

uint32_t head_collect(struct head *h, int64_t before_t, uint32_t from, uint32_t n)
{
    assert(h->selects == 0);
    uint32_t *dead = mem_alloc_array(n, sizeof *dead);
    uint32_t *sets = mem_alloc_array(n, 2 * sizeof *sets);
    size_t dead_n = 0, sets_n = 0, steps = 0;
    uint32_t at = from;
    for (; at < h->series_n && at - from < n && steps < SWEEP_STEPS; at++) {
        struct head_series *s = head_series_at(h, at);
        if (!may_leave(h, s, before_t))
            continue;
        s->dead = true;
        dead[dead_n++] = at;
        steps += label_store_set_at(&h->labels, s->tuple)->series +
                 label_store_set_at(&h->labels, s->local)->series;
        sets[sets_n++] = s->tuple;
        sets[sets_n++] = s->local;
    }
    if (sets_n)
        qsort(sets, sets_n, sizeof *sets, compare_ids);
    for (size_t i = 0; i < sets_n; i++) {
        if (i == 0 || sets[i] != sets[i - 1])
            sweep_set(h, sets[i]);
    }
    for (size_t i = 0; i < dead_n; i++)
        remove_series(h, dead[i]);
    mem_free(dead);
    mem_free(sets);
    return at < h->series_n ? at : 0;
}

static void remove_slot(struct head *h, struct head_series *s, const struct cohort *c,
                        uint32_t slot)
{
    const size_t most = cohort_end(c) - c->base;
    uint32_t *slots = mem_alloc_array(most, sizeof *slots);
    uint64_t *bits = mem_alloc_array(most, sizeof *bits);
    const size_t n = series_values_decode(&s->values, c->base, cohort_end(c), slots, bits);
    h->blocks -= series_values_release(&s->values, UINT32_MAX);
    s->values = (struct series_values){0};
    for (size_t i = 0; i < n; i++) {
        if (slots[i] != slot)
            h->blocks += series_values_append(&s->values, slots[i], bits[i]);
    }
    mem_free(slots);
    mem_free(bits);
}

static void remove_sample(struct head *h, struct head_series *s, int64_t t_ms)
{
    const struct late_sample *found = late_find(s->late, t_ms);
    const struct cohort *c = s->cohort == COHORT_NONE ? NULL : h->cohorts[s->cohort];
    uint64_t bits;
    if (found) {
        late_remove(s->late, (uint32_t)(found - s->late->items));
    } else if (c) {
        const uint32_t slot = cohort_find(c, t_ms);
        if (slot == SLOT_NONE || !series_values_at(&s->values, slot, &bits))
            return;
        remove_slot(h, s, c, slot);
    }
    if (s->last_t != t_ms)
        return;
    // What came before may have left the memory: then only what is older is refused, and files are
    // asked.
    s->in_doubt = true;
    int64_t newest = t_ms - 1;
    bool known = false;
    if (s->late && s->late->n) {
        newest = s->late->items[s->late->n - 1].t_ms;
        known = true;
    }
    if (c && s->values.run_end > c->base) {
        const int64_t t = cohort_time(c, s->values.run_end - 1);
        newest = !known || t > newest ? t : newest;
    }
    s->last_t = newest;
}

void head_undo(struct head *h, const struct tsdb_sample *samples, const uint8_t *outcomes, size_t n)
{
    for (size_t i = n; i-- > 0;) {
        struct head_series *s = head_resolve(h, samples[i].ref);
        if (s)
            head_settle(h, s->cohort);
        if (s && (outcomes[i] == TSDB_APPENDED || outcomes[i] == TSDB_LATE_KEPT))
            remove_sample(h, s, samples[i].t_ms);
        if (i % UNDO_BREATH == 0)
            give_way(h);
    }
}
