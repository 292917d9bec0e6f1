#include "engine/tsdb/cohort.h"

#include <assert.h>
#include <string.h>

#include "engine/base/mem.h"
#include "engine/base/util.h"

void cohort_drop_steady(struct cohort *c)
{
    if (!c->steady)
        return;
    mem_free(c->steady->ranks);
    mem_free(c->steady->members);
    mem_free(c->steady);
    c->steady = NULL;
}

void cohort_deinit(struct cohort *c)
{
    cohort_drop_steady(c);
    mem_free(c->times);
    mem_free(c->seqs);
    mem_free(c->members);
    mem_free(c->fills);
    *c = (struct cohort){0};
}

uint32_t cohort_join(struct cohort *c, uint32_t series)
{
    c->members = mem_grow(c->members, &c->members_capacity, c->members_n + 1, sizeof *c->members);
    c->members[c->members_n] = series;
    c->live++;
    assert(c->members_n < MEMBER_GONE);
    return (uint32_t)c->members_n++;
}

void cohort_leave(struct cohort *c, uint32_t member)
{
    assert(member < c->members_n && c->members[member] != MEMBER_GONE && c->live > 0);
    c->members[member] = MEMBER_GONE;
    c->live--;
}

uint32_t cohort_after(const struct cohort *c, int64_t t_ms)
{
    if (c->n && c->times[c->n - 1] <= t_ms)
        return c->base + c->n;
    return c->base + (uint32_t)times_above(c->times, c->n, t_ms);
}

uint32_t cohort_find(const struct cohort *c, int64_t t_ms)
{
    const uint32_t after = cohort_after(c, t_ms);
    return after > c->base && cohort_time(c, after - 1) == t_ms ? after - 1 : SLOT_NONE;
}

static uint32_t grow_by_half(uint32_t capacity)
{
    return capacity < 4 ? 4 : capacity + capacity / 2;
}

// Forgets which commits opened slots that everybody sees.
static void trim_seqs(struct cohort *c, uint64_t floor)
{
    uint32_t old = 0;
    while (old < c->seqs_n && c->seqs[old] <= floor)
        old++;
    if (!old)
        return;
    c->seqs_n -= old;
    memmove(c->seqs, c->seqs + old, c->seqs_n * sizeof *c->seqs);
}

uint32_t cohort_open(struct cohort *c, int64_t t_ms, uint64_t seq, uint64_t floor)
{
    assert(c->newest_t < t_ms || c->newest_t == INT64_MIN);
    assert(cohort_end(c) < SLOT_NONE - 1);
    if (c->n == c->times_capacity) {
        c->times_capacity = grow_by_half(c->times_capacity);
        c->times = mem_realloc(c->times, c->times_capacity * sizeof *c->times);
    }
    if (c->seqs_n == c->seqs_capacity)
        trim_seqs(c, floor);
    if (c->seqs_n == c->seqs_capacity) {
        c->seqs_capacity = grow_by_half(c->seqs_capacity);
        c->seqs = mem_realloc(c->seqs, c->seqs_capacity * sizeof *c->seqs);
    }
    c->seqs[c->seqs_n++] = seq;
    c->times[c->n++] = t_ms;
    c->newest_t = t_ms;
    return cohort_end(c) - 1;
}

uint64_t cohort_seq(const struct cohort *c, uint32_t slot)
{
    const uint32_t known = cohort_end(c) - c->seqs_n;
    return slot < known ? 0 : c->seqs[slot - known];
}

void cohort_fill(struct cohort *c, uint32_t slot, uint32_t member, uint64_t seq, uint64_t floor)
{
    if (c->fills_n == c->fills_capacity) {
        size_t old = 0;
        while (old < c->fills_n && c->fills[old].seq <= floor)
            old++;
        c->fills_n -= old;
        if (c->fills_n)
            memmove(c->fills, c->fills + old, c->fills_n * sizeof *c->fills);
    }
    c->fills = mem_grow(c->fills, &c->fills_capacity, c->fills_n + 1, sizeof *c->fills);
    c->fills[c->fills_n++] = (struct cohort_fill){seq, slot, member};
}

uint64_t cohort_value_seq(const struct cohort *c, uint32_t slot, uint32_t member)
{
    for (size_t i = c->fills_n; i-- > 0;) {
        if (c->fills[i].slot == slot && c->fills[i].member == member)
            return c->fills[i].seq;
    }
    return cohort_seq(c, slot);
}

uint32_t cohort_visible_end(const struct cohort *c, uint64_t seq)
{
    uint32_t hidden = 0;
    while (hidden < c->seqs_n && c->seqs[c->seqs_n - 1 - hidden] > seq)
        hidden++;
    return cohort_end(c) - hidden;
}

void cohort_release(struct cohort *c, uint32_t slot)
{
    if (slot <= c->base)
        return;
    const uint32_t gone = slot - c->base < c->n ? slot - c->base : c->n;
    c->n -= gone;
    c->base += gone;
    if (c->n)
        memmove(c->times, c->times + gone, c->n * sizeof *c->times);
    if (c->seqs_n > c->n) {
        const uint32_t extra = c->seqs_n - c->n;
        c->seqs_n = c->n;
        memmove(c->seqs, c->seqs + extra, c->n * sizeof *c->seqs);
    }
    if (c->times_capacity > 16 && c->n < c->times_capacity / 4) {
        c->times_capacity = c->n < 4 ? 4 : c->n * 2;
        c->times = mem_realloc(c->times, c->times_capacity * sizeof *c->times);
    }
}
