// A cohort: one time column and the series that write to it together.
//
// Slots are numbered from the cohort's beginning and only ever added at the end: their times and
// the commits that opened them ascend. A later commit may fill a slot for series that lack it; what
// such a commit filled is remembered until every query sees that commit.
#ifndef ENGINE_TSDB_COHORT_H
#define ENGINE_TSDB_COHORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { COHORT_NONE = UINT32_MAX, SLOT_NONE = UINT32_MAX, MEMBER_GONE = UINT32_MAX };

struct cohort_fill {
    uint64_t seq;
    uint32_t slot, member;
};

struct steady { // head_steady.h: a row that comes again and again
    uint64_t name;
    uint32_t n;
    uint32_t *ranks;   // by sample of its commits: the place in the row; NULL: the sample's own
    uint32_t *members; // by place, ascending; NULL: 0..n-1
};

struct cohort {
    uint32_t id, family, next_sibling;
    uint32_t base;    // number of the first slot still known
    uint32_t closed;  // slots below it take no more values: a spill has begun with them
    uint32_t spilled; // slots below it are written to files
    uint32_t n;       // slots known
    uint32_t times_capacity;
    uint32_t seqs_n, seqs_capacity; // of the newest slots; older ones everybody sees
    uint32_t first_row, last_row;   // of the commit being staged, + 1; 0: none (head_row.c)
    int64_t newest_t;               // of any slot there ever was; INT64_MIN: none
    int64_t *times;
    uint64_t *seqs;
    uint32_t *members; // series, MEMBER_GONE where one has left
    size_t members_n, members_capacity, live;
    struct steady *steady;     // NULL: none
    struct cohort_fill *fills; // by seq
    size_t fills_n, fills_capacity;
};

static inline uint32_t cohort_end(const struct cohort *c) // one behind the newest slot
{
    return c->base + c->n;
}

static inline int64_t cohort_time(const struct cohort *c, uint32_t slot)
{
    return c->times[slot - c->base];
}

void cohort_deinit(struct cohort *c);
void cohort_drop_steady(struct cohort *c);
uint32_t cohort_join(struct cohort *c, uint32_t series); // the member's index
void cohort_leave(struct cohort *c, uint32_t member);
// The slot of a time, SLOT_NONE: there is none (also when it has been released).
uint32_t cohort_find(const struct cohort *c, int64_t t_ms);
// The first slot whose time is above t_ms; cohort_end() when there is none.
uint32_t cohort_after(const struct cohort *c, int64_t t_ms);
// Opens a slot, newer than all. floor: every query sees the commits up to it.
uint32_t cohort_open(struct cohort *c, int64_t t_ms, uint64_t seq, uint64_t floor);
uint64_t cohort_seq(const struct cohort *c, uint32_t slot); // 0: everybody sees it
void cohort_fill(struct cohort *c, uint32_t slot, uint32_t member, uint64_t seq, uint64_t floor);
// The commit that gave the member its value in a slot; 0: everybody sees it.
uint64_t cohort_value_seq(const struct cohort *c, uint32_t slot, uint32_t member);
// One behind the newest slot that a query of this sequence sees.
uint32_t cohort_visible_end(const struct cohort *c, uint64_t seq);
void cohort_release(struct cohort *c, uint32_t slot); // forgets the slots below

#endif
