#include "engine/tsdb/head_cohorts.h"

#include <assert.h>
#include <string.h>

#include "engine/base/mem.h"
#include "engine/tsdb/head_steady.h"

// What grows with a cohort, here and in the log, is copied when it grows: that takes no longer than
// a turn may.
enum { SIBLINGS_SEARCHED = 64, MEMBERS_SPARSE = 1024, MEMBERS_MAX = 32768 };
static_assert(MEMBERS_MAX <= (int)WAL_MEMBERS_MAX, "the log can name them");

static uint64_t family_hash(uint64_t key, uint64_t source)
{
    const uint64_t both[2] = {key, source};
    return hash64(both, sizeof both, 0);
}

uint32_t head_family(struct head *h, uint64_t key, uint64_t source, uint32_t partition)
{
    const uint64_t hash = family_hash(key, source);
    struct id_probe probe = id_table_probe(&h->family_ids, hash);
    uint32_t at;
    while ((at = id_table_next(&h->family_ids, &probe)) != ID_TABLE_NONE) {
        struct family *f = head_family_at(h, at);
        if (f->key == key && f->source == source) {
            f->users++;
            return at;
        }
    }
    if (h->free_families.n) {
        at = id_list_pop(&h->free_families);
    } else {
        at = (uint32_t)h->families_n++;
        const size_t chunk = at / HEAD_CHUNK;
        if (at % HEAD_CHUNK == 0) {
            h->families =
                mem_grow(h->families, &h->families_capacity, chunk + 1, sizeof *h->families);
            h->families[chunk] = mem_alloc_array(HEAD_CHUNK, sizeof **h->families);
        }
    }
    *head_family_at(h, at) = (struct family){.key = key,
                                             .source = source,
                                             .partition = partition,
                                             .first = COHORT_NONE,
                                             .joined = COHORT_NONE,
                                             .users = 1};
    id_table_insert(&h->family_ids, hash, at);
    return at;
}

void head_family_unref(struct head *h, uint32_t at)
{
    struct family *f = head_family_at(h, at);
    assert(f->users > 0);
    if (--f->users > 0)
        return;
    assert(f->first == COHORT_NONE);
    id_table_remove(&h->family_ids, family_hash(f->key, f->source), at);
    id_list_push(&h->free_families, at);
}

static struct cohort *make_cohort(struct head *h, uint32_t family)
{
    uint32_t id;
    if (h->free_cohorts.n) {
        id = id_list_pop(&h->free_cohorts);
    } else {
        h->cohorts =
            mem_grow(h->cohorts, &h->cohorts_capacity, h->cohorts_n + 1, sizeof *h->cohorts);
        id = (uint32_t)h->cohorts_n++;
    }
    assert(id < WAL_COHORTS_MAX);
    struct family *f = head_family_at(h, family);
    struct cohort *c = mem_alloc(sizeof *c);
    *c = (struct cohort){
        .id = id, .family = family, .next_sibling = f->first, .newest_t = INT64_MIN};
    f->first = id;
    f->users++;
    h->cohorts[id] = c;
    h->stats.cohorts++;
    return c;
}

void head_free_cohort(struct head *h, struct cohort *c)
{
    assert(c->live == 0 && !c->steady);
    struct family *f = head_family_at(h, c->family);
    uint32_t *link = &f->first;
    while (*link != c->id)
        link = &h->cohorts[*link]->next_sibling;
    *link = c->next_sibling;
    if (f->joined == c->id)
        f->joined = COHORT_NONE;
    head_family_unref(h, c->family);
    h->cohorts[c->id] = NULL;
    id_list_push(&h->free_cohorts, c->id);
    cohort_deinit(c);
    mem_free(c);
    h->stats.cohorts--;
}

static bool has_time(const struct head *h, const struct cohort *c, int64_t t_ms,
                     head_is_staged_fn *is_staged)
{
    if (c->members_n == MEMBERS_MAX ||
        (c->members_n > MEMBERS_SPARSE && c->live < c->members_n / 2))
        return false; // full, or mostly of series that have left: it may die out
    const uint32_t slot = cohort_find(c, t_ms);
    return (slot != SLOT_NONE && slot >= c->closed) || (is_staged && is_staged(h, c->id, t_ms));
}

struct cohort *head_choose_cohort(struct head *h, uint32_t family, int64_t t_ms,
                                  head_is_staged_fn *is_staged)
{
    struct family *f = head_family_at(h, family);
    if (f->joined != COHORT_NONE && has_time(h, h->cohorts[f->joined], t_ms, is_staged))
        return h->cohorts[f->joined];
    size_t searched = 0;
    for (uint32_t id = f->first; id != COHORT_NONE && searched < SIBLINGS_SEARCHED;
         id = h->cohorts[id]->next_sibling, searched++) {
        if (has_time(h, h->cohorts[id], t_ms, is_staged)) {
            f->joined = id;
            return h->cohorts[id];
        }
    }
    struct cohort *c = make_cohort(h, family);
    f->joined = c->id;
    return c;
}

void head_join(struct head *h, uint32_t id, struct cohort *c)
{
    struct head_series *s = head_series_at(h, id);
    assert(s->cohort == COHORT_NONE);
    head_settle(h, c->id);
    head_family_unref(h, s->member); // the cohort is a user too: the family stays
    s->cohort = c->id;
    s->member = cohort_join(c, id);
}

// The values in slots, moved beside them with the commits that wrote them.
void head_detach(struct head *h, uint32_t id)
{
    struct head_series *s = head_series_at(h, id);
    struct cohort *c = h->cohorts[s->cohort];
    head_settle(h, c->id);
    const size_t n = cohort_end(c) - c->base;
    uint32_t *slots = mem_alloc_array(n, sizeof *slots);
    uint64_t *bits = mem_alloc_array(n, sizeof *bits);
    const size_t found = series_values_decode(&s->values, c->base, cohort_end(c), slots, bits);
    for (size_t i = 0; i < found; i++) {
        // What is not written yet must stay so: at least the first sequence that no spill covers.
        const uint64_t known = cohort_value_seq(c, slots[i], s->member);
        const uint64_t least = slots[i] < c->spilled  ? 0
                               : slots[i] < c->closed ? h->spilled_seq + 1
                                                      : h->spilling_seq + 1;
        late_insert(&s->late,
                    (struct late_sample){.t_ms = cohort_time(c, slots[i]),
                                         .bits = bits[i],
                                         .seq = (known > least ? known : least) & INT64_MAX});
    }
    mem_free(slots);
    mem_free(bits);
    h->blocks -= series_values_release(&s->values, UINT32_MAX);
    const uint64_t last_bits = s->values.last_bits;
    s->values = (struct series_values){.last_bits = last_bits};
    cohort_leave(c, s->member);
    head_family_at(h, c->family)->users++;
    s->member = c->family;
    s->cohort = COHORT_NONE;
    s->misses = 0;
}
