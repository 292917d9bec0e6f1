// Rows that come again: the same series of a cohort, one time after the other, most of them with
// the value they had.
//
// Whose commits are such a row says so (struct tsdb_commit, row). While nothing else is written to
// the cohort, the runs of the row's series are open: they end where the cohort does, and last_t is
// the cohort's newest time, so that only series with another value are touched. Whatever else is
// done with a series settles its cohort first; reading needs no settling.
#ifndef ENGINE_TSDB_HEAD_STEADY_H
#define ENGINE_TSDB_HEAD_STEADY_H

#include "engine/tsdb/head.h"

enum { HEAD_STEADY_MAX = 2047 }; // members: settling takes a few ns for each

void head_steady_settle(struct head *h, struct cohort *c);
// After it a series' run and last_t are as they are for every other.
static inline void head_settle(struct head *h, uint32_t cohort)
{
    if (cohort != COHORT_NONE && h->cohorts[cohort]->steady)
        head_steady_settle(h, h->cohorts[cohort]);
}
static inline int64_t head_last_t(const struct head *h, const struct head_series *s)
{
    return series_values_is_open(&s->values) ? h->cohorts[s->cohort]->newest_t : s->last_t;
}

// head_row.c: whether the cohort takes a row of that time, which is new to it.
bool head_has_slot(const struct head *h, const struct tsdb_commit *c, const struct cohort *to,
                   unsigned partition, int64_t t_ms);
// The row of a commit that is the cohort's steady one again; false: it is not. Its memory is the
// caller's: c->n bits, c->changed_n ranks.
bool head_steady_stage(struct head *h, const struct tsdb_commit *c, struct wal_row *out,
                       uint64_t *bits, uint32_t *changed);
void head_steady_apply(struct head *h, const struct tsdb_commit *c, const struct wal_row *row,
                       uint64_t seq);
// A row was applied, of the series of c in some order: the next one may come so. Sets c->row.
void head_steady_begin(struct head *h, const struct tsdb_commit *c, const struct wal_row *row);

#endif
