// The common commit: rows. Every sample is newer than all that its series has, committed or in this
// commit before it; every series has a cohort; and every time is that of a slot of its cohort that
// takes more values, or newer than all of them, in order. Then each sample is accepted, nothing has
// to be looked up or remembered for the rules of acceptance, and a row is members and values side
// by side.
//
// In which order samples come does not matter: targets may be mixed, series shuffled, a series may
// come several times with ascending times. Whatever else a commit may hold, histograms too, is for
// head_stage.c: nothing is changed before that is known.
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/mem.h"
#include "engine/tsdb/head.h"
#include "engine/tsdb/head_stage.h"
#include "engine/tsdb/head_steady.h"

enum {
    AHEAD = 12,
    STEPS_MAX = 64,
    WIDE = 64, // a cohort of so many members for each of a row is not gone through
};

struct row_plan {
    int64_t t_ms;
    uint32_t cohort, n, start;
    uint32_t next; // row of the same cohort, + 1; 0: none
    int64_t last_member;
    bool unsorted;
};

struct row_cell { // of a sample
    uint32_t row, member;
};

struct head_rows {
    struct wal_row *rows;
    struct row_plan *plans;
    struct row_cell *cells;
    uint32_t *members; // by row
    struct head_series **series;
    uint64_t *bits;
    int64_t *starts;  // filled where the commit has them
    uint32_t *places; // by member, while a row is sorted
    uint64_t *marks;  // likewise, a bit a member
    uint64_t *keys;   // likewise, of small rows of large cohorts
    struct tsdb_sample *sorted;
    size_t rows_n, rows_capacity, plans_capacity, capacity, places_capacity, marks_capacity;
    bool mixed;    // rows do not come one behind the other
    size_t staged; // samples whose series are marked
};

struct head_rows *head_rows_create(void)
{
    return mem_zalloc(sizeof(struct head_rows));
}

static void free_arrays(struct head_rows *r)
{
    mem_free(r->cells);
    mem_free(r->members);
    mem_free(r->series);
    mem_free(r->bits);
    mem_free(r->starts);
    mem_free(r->keys);
    mem_free(r->sorted);
}

void head_rows_destroy(struct head_rows *r)
{
    if (!r)
        return;
    free_arrays(r);
    mem_free(r->rows);
    mem_free(r->plans);
    mem_free(r->places);
    mem_free(r->marks);
    mem_free(r);
}

static void reserve(struct head_rows *r, size_t n)
{
    if (n <= r->capacity)
        return;
    r->capacity = n + n / 2;
    free_arrays(r);
    r->cells = mem_alloc_array(r->capacity, sizeof *r->cells);
    r->members = mem_alloc_array(r->capacity, sizeof *r->members);
    r->series = mem_alloc_array(r->capacity, sizeof *r->series);
    r->bits = mem_alloc_array(r->capacity, sizeof *r->bits);
    r->starts = mem_alloc_array(r->capacity, sizeof *r->starts);
    r->keys = mem_alloc_array(r->capacity, sizeof *r->keys);
    r->sorted = mem_alloc_array(r->capacity, sizeof *r->sorted);
}

// Whether the newest slot takes more values.
static bool is_open(const struct cohort *c)
{
    return c->n > 0 && c->closed < cohort_end(c);
}

// The same of an older one: a sender that catches up sends several times of a part of its series,
// then the same times of the next part.
static bool has_older_slot(const struct cohort *c, int64_t t_ms)
{
    const uint32_t slot = cohort_find(c, t_ms);
    return slot != SLOT_NONE && slot >= c->closed;
}

static bool is_in_bounds(const struct head *h, const struct tsdb_commit *c, unsigned partition,
                         int64_t t_ms)
{
    const int64_t newest = h->newest_t[partition];
    int64_t oldest;
    if (t_ms == INT64_MIN || t_ms > c->max_t_ms || (c->window_ms > 0 && t_ms < c->min_t_ms))
        return false;
    return h->retention_ms <= 0 || newest == INT64_MIN ||
           __builtin_sub_overflow(newest, h->retention_ms, &oldest) || t_ms >= oldest;
}

bool head_has_slot(const struct head *h, const struct tsdb_commit *c, const struct cohort *to,
                   unsigned partition, int64_t t_ms)
{
    if (to->newest_t > t_ms || (to->newest_t == t_ms && !is_open(to)))
        return false;
    return is_in_bounds(h, c, partition, t_ms);
}

// A row behind those that the cohort has in this commit; false: its time does not follow.
static bool add_row(struct head *h, const struct tsdb_commit *c, struct cohort *cohort,
                    unsigned partition, int64_t t_ms)
{
    struct head_rows *r = h->rows;
    struct row_plan *last = cohort->last_row ? &r->plans[cohort->last_row - 1] : NULL;
    if (t_ms < cohort->newest_t) {
        if ((last && t_ms <= last->t_ms) || !has_older_slot(cohort, t_ms) ||
            !is_in_bounds(h, c, partition, t_ms))
            return false;
    } else if (last ? t_ms <= last->t_ms : !head_has_slot(h, c, cohort, partition, t_ms)) {
        return false;
    }
    if (t_ms > c->max_t_ms)
        return false;
    const uint32_t number = (uint32_t)++r->rows_n;
    if (last)
        last->next = number;
    else
        cohort->first_row = number;
    cohort->last_row = number;
    r->plans = mem_grow(r->plans, &r->plans_capacity, r->rows_n, sizeof *r->plans);
    r->plans[number - 1] = (struct row_plan){.t_ms = t_ms, .cohort = cohort->id, .last_member = -1};
    return true;
}

static bool is_row(const struct head_rows *r, size_t row, uint32_t cohort, int64_t t_ms)
{
    return row < r->rows_n && r->plans[row].cohort == cohort && r->plans[row].t_ms == t_ms;
}

// The row of a series at a time, made if need be, when it is not that of the sample before; false:
// this commit is not rows. Series that come with several times have them in equal rows.
static bool find_row(struct head *h, const struct tsdb_commit *c, const struct head_series *s,
                     int64_t t_ms, uint32_t *row)
{
    struct head_rows *r = h->rows;
    struct cohort *cohort = h->cohorts[s->cohort];
    if (is_row(r, *row + 1, s->cohort, t_ms)) {
        ++*row;
        return true;
    }
    if (!cohort->last_row || t_ms > r->plans[cohort->last_row - 1].t_ms) {
        *row = (uint32_t)r->rows_n;
        return add_row(h, c, cohort, s->partition, t_ms);
    }
    uint32_t at = cohort->first_row;
    for (int i = 0; at && i < STEPS_MAX; i++, at = r->plans[at - 1].next) {
        if (r->plans[at - 1].t_ms == t_ms) {
            *row = at - 1;
            return true;
        }
    }
    return false;
}

static void forget_rows(struct head *h)
{
    struct head_rows *r = h->rows;
    for (size_t i = 0; i < r->rows_n; i++) {
        struct cohort *cohort = h->cohorts[r->plans[i].cohort];
        cohort->first_row = cohort->last_row = 0;
    }
}

// ---- whole rows

// Takes the samples of one cohort and time at the beginning of samples while their members ascend;
// how many. As a rule the series lie one behind the other in memory.
static size_t take_ascending(const struct head *h, const struct tsdb_sample *samples, size_t n,
                             const struct row_plan *plan)
{
    const struct head_rows *r = h->rows;
    uint32_t *const members = r->members + plan->start;
    struct head_series **const series = r->series + plan->start;
    uint64_t *const bits = r->bits + plan->start;
    const uint32_t cohort = plan->cohort;
    const int64_t t_ms = plan->t_ms;
    uint32_t next = 0; // the lowest member that may follow
    for (size_t i = 0; i < n; i++) {
        const struct tsdb_sample *x = &samples[i];
        struct head_series *s = head_resolve(h, x->ref);
        if (x->t_ms != t_ms || !s || s->cohort != cohort || s->member < next || s->last_t >= t_ms)
            return i;
        __builtin_prefetch(s + AHEAD, 1);
        __builtin_prefetch((const char *)(s + AHEAD + 1) - 1, 1); // it may lie on two lines
        members[i] = s->member;
        series[i] = s;
        bits[i] = x->bits;
        next = s->member + 1;
    }
    return n;
}

// The same in any order: by marks and places of their members. 0: one comes twice, or the row is so
// small that the cohort is not worth to be gone through.
static size_t take_shuffled(struct head *h, const struct tsdb_sample *samples, size_t n,
                            const struct row_plan *plan)
{
    struct head_rows *r = h->rows;
    const size_t members = h->cohorts[plan->cohort]->members_n, words = (members + 63) / 64;
    size_t i = 0;
    if (members > WIDE * n)
        return 0;
    r->places = mem_grow(r->places, &r->places_capacity, members, sizeof *r->places);
    r->marks = mem_grow(r->marks, &r->marks_capacity, words, sizeof *r->marks);
    memset(r->marks, 0, words * sizeof *r->marks);
    for (; i < n; i++) {
        const struct tsdb_sample *x = &samples[i];
        if (i + AHEAD < n && (uint32_t)x[AHEAD].ref < h->series_n)
            __builtin_prefetch(head_series_at(h, (uint32_t)x[AHEAD].ref), 1);
        const struct head_series *s = head_resolve(h, x->ref);
        if (x->t_ms != plan->t_ms || !s || s->cohort != plan->cohort)
            break;
        const uint64_t mark = 1ull << (s->member % 64);
        if (s->last_t >= x->t_ms || r->marks[s->member / 64] & mark)
            return 0;
        r->marks[s->member / 64] |= mark;
        r->places[s->member] = (uint32_t)i;
    }
    return i;
}

// Gathers what take_shuffled() took, by member.
static void gather(struct head *h, const struct tsdb_sample *samples, const int64_t *starts,
                   const struct row_plan *plan, size_t members)
{
    const struct head_rows *r = h->rows;
    size_t at = plan->start;
    for (size_t word = 0; word < (members + 63) / 64; word++) {
        for (uint64_t left = r->marks[word]; left; left &= left - 1, at++) {
            const size_t member = 64 * word + (size_t)__builtin_ctzll(left);
            const uint32_t place = r->places[member];
            r->members[at] = (uint32_t)member;
            r->series[at] = head_series_at(h, (uint32_t)samples[place].ref);
            r->bits[at] = samples[place].bits;
            if (starts)
                r->starts[at] = starts[place];
        }
    }
    assert(at == plan->start + plan->n);
}

// One row at the beginning of samples, the commit's from at on; false: it is none.
static bool plan_whole_row(struct head *h, const struct tsdb_commit *c, size_t at)
{
    struct head_rows *r = h->rows;
    const struct tsdb_sample *samples = c->samples + at;
    const int64_t *const starts = c->starts ? c->starts + at : NULL;
    const size_t n = c->n - at;
    const struct head_series *s = head_resolve(h, samples->ref);
    if (!s || s->cohort == COHORT_NONE)
        return false;
    head_settle(h, s->cohort);
    struct cohort *cohort = h->cohorts[s->cohort];
    if (cohort->last_row || !add_row(h, c, cohort, s->partition, samples->t_ms))
        return false;
    struct row_plan *plan = &r->plans[r->rows_n - 1];
    plan->start = (uint32_t)at;
    plan->n = (uint32_t)take_ascending(h, samples, n, plan);
    if (plan->n < n && (s = head_resolve(h, samples[plan->n].ref)) && s->cohort == plan->cohort) {
        plan->n = (uint32_t)take_shuffled(h, samples, n, plan);
        gather(h, samples, starts, plan, plan->n ? cohort->members_n : 0);
    } else if (starts) {
        memcpy(r->starts + at, starts, plan->n * sizeof *starts);
    }
    return plan->n > 0;
}

// Rows one behind the other, each of another cohort: what scrapes and most senders bring. No series
// comes twice, so nothing is remembered of any while it is looked at.
static bool plan_whole_rows(struct head *h, const struct tsdb_commit *c)
{
    const struct head_rows *r = h->rows;
    for (size_t at = 0; at < c->n; at += r->plans[r->rows_n - 1].n)
        if (!plan_whole_row(h, c, at))
            return false;
    return true;
}

// ---- rows of any kind

// Series and cohorts as before the commit was staged.
static void unmark(struct head *h, const struct tsdb_commit *c)
{
    struct head_rows *r = h->rows;
    for (size_t i = 0; i < r->staged; i++)
        head_series_at(h, (uint32_t)c->samples[i].ref)->staged = 0;
    r->staged = 0;
}

// Puts each sample to its row; false: one of them is no part of a row.
static bool plan_rows(struct head *h, const struct tsdb_commit *c)
{
    struct head_rows *r = h->rows;
    uint32_t row = UINT32_MAX - 1, newest_row = 0;
    r->mixed = false;
    for (size_t i = 0; i < c->n; i++) {
        const struct tsdb_sample *x = &c->samples[i];
        if (i + AHEAD < c->n && (uint32_t)x[AHEAD].ref < h->series_n) {
            const struct head_series *ahead = head_series_at(h, (uint32_t)x[AHEAD].ref);
            __builtin_prefetch(ahead, 1);
            __builtin_prefetch((const char *)(ahead + 1) - 1, 1); // it may lie on two lines
        }
        struct head_series *s = head_resolve(h, x->ref);
        if (!s || s->cohort == COHORT_NONE)
            return false;
        if (series_values_is_open(&s->values))
            head_settle(h, s->cohort);
        if (x->t_ms <= (s->staged ? c->samples[s->staged - 1].t_ms : s->last_t))
            return false;
        if (!is_row(r, row, s->cohort, x->t_ms) && !find_row(h, c, s, x->t_ms, &row))
            return false;
        struct row_plan *plan = &r->plans[row];
        plan->n++;
        plan->unsorted |= s->member < plan->last_member;
        plan->last_member = s->member;
        r->mixed |= row < newest_row;
        newest_row = row;
        r->cells[i] = (struct row_cell){row, s->member};
        r->members[i] = s->member; // where they stay unless rows are mixed
        r->series[i] = s;
        r->bits[i] = x->bits;
        s->staged = (uint32_t)i + 1;
        r->staged = i + 1;
    }
    return true;
}

static void find_starts(struct head_rows *r)
{
    uint32_t start = 0;
    for (size_t i = 0; i < r->rows_n; i++) {
        r->plans[i].start = start;
        start += r->plans[i].n;
    }
}

// Samples of mixed rows to where their rows are.
static void scatter(const struct head *h, const struct tsdb_commit *c)
{
    struct head_rows *r = h->rows;
    for (size_t i = 0; i < r->rows_n; i++)
        r->plans[i].n = 0;
    for (size_t i = 0; i < c->n; i++) {
        struct row_plan *plan = &r->plans[r->cells[i].row];
        const uint32_t at = plan->start + plan->n++;
        r->members[at] = r->cells[i].member;
        r->series[at] = head_series_at(h, (uint32_t)c->samples[i].ref);
        r->bits[at] = c->samples[i].bits;
        if (c->starts)
            r->starts[at] = c->starts[i];
    }
}

static int compare_keys(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

// The order of a row's samples by member, as (member << 32 | place in the row).
static void order_row(struct head_rows *r, const struct row_plan *plan, size_t members)
{
    uint64_t *const keys = r->keys;
    if (members > WIDE * (size_t)plan->n) {
        for (uint32_t i = 0; i < plan->n; i++)
            keys[i] = (uint64_t)r->members[plan->start + i] << 32 | i;
        qsort(keys, plan->n, sizeof *keys, compare_keys);
        return;
    }
    const size_t words = (members + 63) / 64;
    r->places = mem_grow(r->places, &r->places_capacity, members, sizeof *r->places);
    r->marks = mem_grow(r->marks, &r->marks_capacity, words, sizeof *r->marks);
    memset(r->marks, 0, words * sizeof *r->marks);
    for (uint32_t i = 0; i < plan->n; i++) {
        const uint32_t member = r->members[plan->start + i];
        r->marks[member / 64] |= 1ull << (member % 64);
        r->places[member] = i;
    }
    size_t n = 0;
    for (size_t word = 0; word < words; word++) {
        for (uint64_t left = r->marks[word]; left; left &= left - 1) {
            const size_t member = 64 * word + (size_t)__builtin_ctzll(left);
            keys[n++] = (uint64_t)member << 32 | r->places[member];
        }
    }
    assert(n == plan->n);
}

static void sort_row(struct head_rows *r, const struct row_plan *plan, size_t members,
                     bool has_starts)
{
    order_row(r, plan, members);
    for (uint32_t i = 0; i < plan->n; i++) {
        const uint32_t at = plan->start + (uint32_t)r->keys[i];
        r->sorted[i] = (struct tsdb_sample){(uintptr_t)r->series[at],
                                            has_starts ? r->starts[at] : 0, r->bits[at]};
    }
    for (uint32_t i = 0; i < plan->n; i++) {
        r->members[plan->start + i] = (uint32_t)(r->keys[i] >> 32);
        r->series[plan->start + i] = (struct head_series *)(uintptr_t)r->sorted[i].ref;
        r->bits[plan->start + i] = r->sorted[i].bits;
        if (has_starts)
            r->starts[plan->start + i] = r->sorted[i].t_ms;
    }
}

// Rows of any kind to where whole ones are.
static void lay_out(struct head *h, const struct tsdb_commit *c)
{
    struct head_rows *r = h->rows;
    find_starts(r);
    if (r->mixed)
        scatter(h, c);
    else if (c->starts)
        memcpy(r->starts, c->starts, c->n * sizeof *r->starts);
    for (size_t i = 0; i < r->rows_n; i++) {
        const struct row_plan *plan = &r->plans[i];
        if (plan->unsorted)
            sort_row(r, plan, h->cohorts[plan->cohort]->members_n, c->starts);
    }
}

const struct wal_row *head_rows_stage(struct head *h, const struct tsdb_commit *c, size_t *out_n)
{
    struct head_rows *r = h->rows;
    reserve(r, c->n);
    r->rows_n = r->staged = 0;
    bool is_rows = c->n > 0 && !c->histograms;
    if (is_rows && !plan_whole_rows(h, c)) {
        forget_rows(h);
        r->rows_n = 0;
        is_rows = plan_rows(h, c);
        if (is_rows)
            lay_out(h, c);
    }
    forget_rows(h);
    *out_n = r->rows_n;
    if (!is_rows) {
        unmark(h, c);
        return NULL;
    }
    r->rows = mem_grow(r->rows, &r->rows_capacity, r->rows_n, sizeof *r->rows);
    for (size_t i = 0; i < r->rows_n; i++) {
        const struct row_plan *plan = &r->plans[i];
        const bool is_behind = plan->t_ms < h->cohorts[plan->cohort]->newest_t;
        r->rows[i] = (struct wal_row){.cohort = plan->cohort,
                                      .flags = is_behind ? WAL_ROW_LATE : 0,
                                      .t_ms = plan->t_ms,
                                      .members = r->members + plan->start,
                                      .bits = r->bits + plan->start,
                                      .starts = c->starts ? r->starts + plan->start : NULL,
                                      .n = plan->n};
    }
    return r->rows;
}

void head_rows_drop(struct head *h, const struct tsdb_commit *c)
{
    unmark(h, c);
}

static void apply_row(struct head *h, const struct wal_row *row, struct head_series *const *series,
                      bool is_marked, uint64_t seq, uint64_t floor)
{
    head_settle(h, row->cohort);
    struct cohort *c = h->cohorts[row->cohort];
    const bool is_new = c->newest_t < row->t_ms;
    const uint32_t slot =
        is_new ? cohort_open(c, row->t_ms, seq, floor) : cohort_find(c, row->t_ms);
    const bool fills = !is_new && !head_is_of_commit(h, cohort_seq(c, slot), seq);
    const unsigned partition = series[0]->partition;
    for (uint32_t i = 0; i < row->n; i++) {
        struct head_series *s = series[i];
        if (i + AHEAD < row->n) { // the newest block of what changes is touched next
            const struct series_values *v = &series[i + AHEAD]->values;
            __builtin_prefetch(v->last_bits == row->bits[i + AHEAD] ? (const void *)v : v->blocks,
                               1);
        }
        s->last_t = row->t_ms;
        if (is_marked)
            s->staged = 0;
        if (fills)
            cohort_fill(c, slot, row->members[i], seq, floor);
        if (!series_values_extend(&s->values, slot, row->bits[i]))
            h->blocks += series_values_append(&s->values, slot, row->bits[i]);
    }
    if (row->t_ms > h->newest_t[partition])
        h->newest_t[partition] = row->t_ms;
    if (row->t_ms > h->newest)
        h->newest = row->t_ms;
}

// Where no series of the head ever had a start timestamp, nothing is looked at.
static void apply_starts(struct head *h, const struct wal_row *row,
                         struct head_series *const *series)
{
    h->has_starts |= row->starts != NULL;
    if (!h->has_starts)
        return;
    for (uint32_t i = 0; i < row->n; i++) {
        struct head_series *s = series[i];
        if (row->starts || late_has_starts(s->late))
            late_set_start(&s->late, row->t_ms, row->starts ? row->starts[i] : 0, true);
    }
}

void head_rows_apply(struct head *h, uint64_t seq)
{
    struct head_rows *r = h->rows;
    const uint64_t floor = head_floor(h);
    const bool is_marked = r->staged > 0;
    r->staged = 0;
    for (size_t i = 0; i < r->rows_n; i++) {
        struct head_series *const *series = r->series + (r->rows[i].members - r->members);
        apply_row(h, &r->rows[i], series, is_marked, seq, floor);
        apply_starts(h, &r->rows[i], series);
    }
}
