#include "engine/tsdb/head_steady.h"

#include <assert.h>
#include <string.h>

#include "engine/base/mem.h"
#include "engine/tsdb/head_stage.h"

enum { AHEAD = 8 };

static struct head_series *series_of(const struct head *h, const struct cohort *c, uint32_t rank)
{
    const struct steady *steady = c->steady;
    return head_series_at(h, c->members[steady->members ? steady->members[rank] : rank]);
}

void head_steady_settle(struct head *h, struct cohort *c)
{
    for (uint32_t i = 0; i < c->steady->n; i++) {
        struct head_series *s = series_of(h, c, i);
        series_values_close(&s->values, cohort_end(c));
        s->last_t = c->newest_t;
    }
    cohort_drop_steady(c);
}

bool head_steady_stage(struct head *h, const struct tsdb_commit *c, struct wal_row *out,
                       uint64_t *bits, uint32_t *changed)
{
    if (!c->row || !*c->row || c->kind != TSDB_COMMIT || c->histograms || c->starts ||
        h->has_starts || !c->n)
        return false;
    const int64_t t_ms = c->samples[0].t_ms;
    const struct head_series *s = head_resolve(h, c->samples[0].ref);
    if (!s || s->cohort == COHORT_NONE)
        return false;
    const struct cohort *cohort = h->cohorts[s->cohort];
    const struct steady *steady = cohort->steady;
    if (!steady || steady->name != *c->row || steady->n != c->n || t_ms <= cohort->newest_t ||
        !head_has_slot(h, c, cohort, s->partition, t_ms))
        return false;
    if (steady->ranks) {
        for (size_t i = 0; i < c->n; i++)
            bits[steady->ranks[i]] = c->samples[i].bits;
    } else {
        for (size_t i = 0; i < c->n; i++)
            bits[i] = c->samples[i].bits;
    }
    bool ascends = true;
    for (size_t i = 0; i < c->changed_n; i++) {
        assert(c->changed[i] < c->n);
        changed[i] = steady->ranks ? steady->ranks[c->changed[i]] : c->changed[i];
        ascends &= i == 0 || changed[i] > changed[i - 1];
    }
    *out = (struct wal_row){.cohort = cohort->id,
                            .t_ms = t_ms,
                            .members = steady->members,
                            .bits = bits,
                            .changed = ascends ? changed : NULL,
                            .changed_n = (uint32_t)c->changed_n,
                            .n = steady->n};
    return true;
}

void head_steady_apply(struct head *h, const struct tsdb_commit *c, const struct wal_row *row,
                       uint64_t seq)
{
    struct cohort *cohort = h->cohorts[row->cohort];
    const uint32_t slot = cohort_open(cohort, row->t_ms, seq, head_floor(h));
    const uint16_t partition = series_of(h, cohort, 0)->partition;
    for (size_t i = 0; i < c->changed_n; i++) {
        if (i + AHEAD < c->changed_n) {
            const struct tsdb_sample *ahead = &c->samples[c->changed[i + AHEAD]];
            __builtin_prefetch(head_series_at(h, (uint32_t)ahead->ref), 1);
        }
        if (i + AHEAD / 2 < c->changed_n) {
            const struct tsdb_sample *ahead = &c->samples[c->changed[i + AHEAD / 2]];
            __builtin_prefetch(head_series_at(h, (uint32_t)ahead->ref)->values.blocks, 1);
        }
        const struct tsdb_sample *x = &c->samples[c->changed[i]];
        struct head_series *s = head_resolve(h, x->ref);
        assert(s && s->cohort == cohort->id && series_values_is_open(&s->values));
        if (s->values.last_bits == x->bits)
            continue;
        series_values_close(&s->values, slot);
        h->blocks += series_values_append(&s->values, slot, x->bits);
        series_values_open(&s->values);
    }
    if (row->t_ms > h->newest_t[partition])
        h->newest_t[partition] = row->t_ms;
    if (row->t_ms > h->newest)
        h->newest = row->t_ms;
}

// Where each sample stands in the row; NULL: they stand in its order.
static uint32_t *rank(const struct head *h, const struct tsdb_commit *c, const struct wal_row *row,
                      size_t members)
{
    size_t same = 0;
    while (same < c->n &&
           head_series_at(h, (uint32_t)c->samples[same].ref)->member == row->members[same])
        same++;
    if (same == c->n)
        return NULL;
    uint32_t *ranks = mem_alloc_array(c->n, sizeof *ranks);
    uint32_t *places = mem_alloc_array(members, sizeof *places);
    for (uint32_t i = 0; i < row->n; i++)
        places[row->members[i]] = i;
    for (size_t i = 0; i < c->n; i++)
        ranks[i] = places[head_series_at(h, (uint32_t)c->samples[i].ref)->member];
    mem_free(places);
    return ranks;
}

void head_steady_begin(struct head *h, const struct tsdb_commit *c, const struct wal_row *row)
{
    struct cohort *cohort = h->cohorts[row->cohort];
    const uint32_t end = cohort_end(cohort);
    *c->row = 0;
    if (h->has_starts || row->n > HEAD_STEADY_MAX || row->n != c->n ||
        row->t_ms != cohort->newest_t)
        return;
    assert(!cohort->steady);
    struct steady *steady = mem_alloc(sizeof *steady);
    *steady = (struct steady){.name = ++h->steady_rows, .n = row->n};
    steady->ranks = rank(h, c, row, cohort->members_n);
    if (row->n != cohort->members_n) {
        steady->members = mem_alloc_array(row->n, sizeof *steady->members);
        memcpy(steady->members, row->members, row->n * sizeof *steady->members);
    }
    cohort->steady = steady;
    for (uint32_t i = 0; i < row->n; i++) {
        struct series_values *v = &series_of(h, cohort, i)->values;
        assert(v->run_end == end);
        series_values_open(v);
    }
    *c->row = steady->name;
}
