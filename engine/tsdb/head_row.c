// The common commit: rows. Every cohort in it has one time, newer than all it had before (or opened
// by an earlier piece of a large commit), and every series has a cohort and comes once. Then each
// sample is accepted, nothing has to be looked up or remembered for the rules of acceptance, and a
// row is members and values side by side.
//
// Whatever else a commit may hold, histograms too, is for head_stage.c: nothing is changed before
// that is known.
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/mem.h"
#include "engine/tsdb/head.h"
#include "engine/tsdb/head_stage.h"

enum { AHEAD = 12 };

struct head_rows {
    struct wal_row *rows;
    uint32_t *members, *series; // by row
    uint64_t *bits, *keys;
    int64_t *starts; // filled where the commit has them
    size_t rows_n, rows_capacity, capacity;
};

struct head_rows *head_rows_create(void)
{
    return mem_zalloc(sizeof(struct head_rows));
}

void head_rows_destroy(struct head_rows *r)
{
    if (!r)
        return;
    mem_free(r->rows);
    mem_free(r->members);
    mem_free(r->series);
    mem_free(r->bits);
    mem_free(r->keys);
    mem_free(r->starts);
    mem_free(r);
}

static void reserve(struct head_rows *r, size_t n)
{
    if (n <= r->capacity)
        return;
    r->capacity = n + n / 2;
    mem_free(r->members);
    mem_free(r->series);
    mem_free(r->bits);
    mem_free(r->keys);
    mem_free(r->starts);
    r->members = mem_alloc_array(r->capacity, sizeof *r->members);
    r->series = mem_alloc_array(r->capacity, sizeof *r->series);
    r->bits = mem_alloc_array(r->capacity, sizeof *r->bits);
    r->keys = mem_alloc_array(r->capacity, sizeof *r->keys);
    r->starts = mem_alloc_array(r->capacity, sizeof *r->starts);
}

static int compare_keys(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

// Puts the row's samples, which came in another order, into that of members; false: one is twice.
static bool sort_row(struct head_rows *r, const struct tsdb_sample *samples, size_t start, size_t n)
{
    for (size_t i = 0; i < n; i++)
        r->keys[i] = (uint64_t)r->members[start + i] << 32 | i;
    qsort(r->keys, n, sizeof *r->keys, compare_keys);
    for (size_t i = 0; i < n; i++) {
        const struct tsdb_sample *x = &samples[(uint32_t)r->keys[i]];
        const uint32_t member = (uint32_t)(r->keys[i] >> 32);
        if (i && member == r->members[start + i - 1])
            return false;
        r->members[start + i] = member;
        r->series[start + i] = (uint32_t)x->ref;
        r->bits[start + i] = x->bits;
    }
    return true;
}

// Whether the newest slot is of this time, opened by an earlier piece of this commit.
static bool continues(const struct head *h, const struct cohort *to, int64_t t_ms)
{
    return h->pieces_from != HEAD_NO_PIECES && to->newest_t == t_ms && to->n &&
           to->closed < cohort_end(to) &&
           head_is_of_commit(h, cohort_seq(to, cohort_end(to) - 1), h->seq + 1);
}

static bool has_slot(const struct head *h, const struct tsdb_commit *c, const struct cohort *to,
                     unsigned partition, int64_t t_ms)
{
    const int64_t newest = h->newest_t[partition];
    int64_t oldest;
    if ((to->newest_t >= t_ms && !continues(h, to, t_ms)) || t_ms > c->max_t_ms ||
        (c->window_ms > 0 && t_ms < c->min_t_ms))
        return false;
    return h->retention_ms <= 0 || newest == INT64_MIN ||
           __builtin_sub_overflow(newest, h->retention_ms, &oldest) || t_ms >= oldest;
}

// One row from the samples at the front; how many, 0: they are no row.
static size_t stage_row(struct head *h, const struct tsdb_commit *c, size_t start)
{
    struct head_rows *r = h->rows;
    const struct head_series *first = head_resolve(h, c->samples[start].ref);
    const int64_t t_ms = c->samples[start].t_ms;
    if (!first || first->cohort == COHORT_NONE)
        return 0;
    struct cohort *cohort = h->cohorts[first->cohort];
    if (cohort->in_commit || !has_slot(h, c, cohort, first->partition, t_ms))
        return 0;
    bool sorted = true;
    size_t end = start;
    for (int64_t previous = -1; end < c->n; end++) {
        const struct tsdb_sample *x = &c->samples[end];
        if (end + AHEAD < c->n && (uint32_t)x[AHEAD].ref < h->series_n)
            __builtin_prefetch(head_series_at(h, (uint32_t)x[AHEAD].ref), 1);
        const struct head_series *s = head_resolve(h, x->ref);
        if (!s || s->cohort != cohort->id || x->t_ms != t_ms)
            break;
        if (s->last_t >= t_ms)
            return 0;
        sorted &= s->member > previous;
        previous = s->member;
        r->members[end] = s->member;
        r->series[end] = (uint32_t)x->ref;
        r->bits[end] = x->bits;
    }
    const size_t n = end - start;
    if (!sorted && !sort_row(r, c->samples + start, start, n))
        return 0;
    for (size_t i = 0; c->starts && i < n; i++)
        r->starts[start + i] = c->starts[start + (sorted ? i : (uint32_t)r->keys[i])];
    cohort->in_commit = true;
    r->rows = mem_grow(r->rows, &r->rows_capacity, r->rows_n + 1, sizeof *r->rows);
    r->rows[r->rows_n++] = (struct wal_row){.cohort = cohort->id,
                                            .t_ms = t_ms,
                                            .members = r->members + start,
                                            .bits = r->bits + start,
                                            .starts = c->starts ? r->starts + start : NULL,
                                            .n = (uint32_t)n};
    return n;
}

const struct wal_row *head_rows_stage(struct head *h, const struct tsdb_commit *c, size_t *out_n)
{
    struct head_rows *r = h->rows;
    size_t at = 0;
    r->rows_n = 0;
    if (c->histograms)
        return NULL;
    reserve(r, c->n);
    for (size_t n; at < c->n; at += n) {
        n = stage_row(h, c, at);
        if (!n)
            break;
    }
    for (size_t i = 0; i < r->rows_n; i++)
        h->cohorts[r->rows[i].cohort]->in_commit = false;
    *out_n = r->rows_n;
    return c->n && at == c->n ? r->rows : NULL;
}

static void apply_row(struct head *h, const struct wal_row *row, const uint32_t *series,
                      uint64_t seq, uint64_t floor)
{
    struct cohort *c = h->cohorts[row->cohort];
    const uint32_t slot =
        c->newest_t == row->t_ms ? cohort_end(c) - 1 : cohort_open(c, row->t_ms, seq, floor);
    const unsigned partition = head_series_at(h, series[0])->partition;
    for (uint32_t i = 0; i < row->n; i++) {
        struct head_series *s = head_series_at(h, series[i]);
        if (i + AHEAD < row->n) // its newest block is what the append touches next
            __builtin_prefetch(head_series_at(h, series[i + AHEAD])->values.blocks, 1);
        s->last_t = row->t_ms;
        if (!series_values_extend(&s->values, slot, row->bits[i]))
            h->blocks += series_values_append(&s->values, slot, row->bits[i]);
    }
    if (row->t_ms > h->newest_t[partition])
        h->newest_t[partition] = row->t_ms;
    if (row->t_ms > h->newest)
        h->newest = row->t_ms;
}

// Where no series of the head ever had a start timestamp, nothing is looked at.
static void apply_starts(struct head *h, const struct wal_row *row, const uint32_t *series)
{
    h->has_starts |= row->starts != NULL;
    if (!h->has_starts)
        return;
    for (uint32_t i = 0; i < row->n; i++) {
        struct head_series *s = head_series_at(h, series[i]);
        if (row->starts || late_has_starts(s->late))
            late_set_start(&s->late, row->t_ms, row->starts ? row->starts[i] : 0, true);
    }
}

void head_rows_apply(struct head *h, uint64_t seq)
{
    const struct head_rows *r = h->rows;
    const uint64_t floor = head_floor(h);
    for (size_t i = 0; i < r->rows_n; i++) {
        const uint32_t *series = r->series + (r->rows[i].members - r->members);
        apply_row(h, &r->rows[i], series, seq, floor);
        apply_starts(h, &r->rows[i], series);
    }
}
