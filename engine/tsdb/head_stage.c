// A commit in three steps.
//
// Stage: each sample meets the rules of acceptance against its series' newest sample, committed or
// staged before it, and is put into the bucket of its (cohort, time). Nothing visible changes, but
// a series may join a cohort. Hand over: buckets become rows, ordered by cohort and time. Apply:
// slots are opened or filled, what has no slot goes beside them.
#include "engine/tsdb/head_stage.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/mem.h"
#include "engine/model/histogram.h"
#include "engine/model/value.h"
#include "engine/tsdb/head.h"
#include "engine/tsdb/head_cohorts.h"
#include "engine/tsdb/head_steady.h"

struct staged {
    uint32_t series, sample, bucket;
    uint32_t prev;   // the same series' entry before, + 1
    uint32_t newest; // the entry that holds its newest sample so far, + 1; 0: the head does
};

enum bucket_kind {
    BUCKET_LATE = 1, // samples older than their series' newest
    BUCKET_HISTOGRAMS = 2,
};

struct bucket {
    int64_t t_ms;
    uint32_t cohort, n, start, filled;
    unsigned kind;
};

// The floats of a commit, then its histograms.
struct mixed {
    struct tsdb_sample *samples;
    struct str *histograms;
    int64_t *starts;
    uint32_t *places; // in the commit
    uint8_t *outcomes;
    size_t capacity;
    size_t floats;
};

struct stage {
    struct staged *entries;
    struct bucket *buckets;
    uint32_t *table;   // of buckets, + 1, by hash
    uint32_t *repeats; // entries of series with several, + 1, by hash of series and time
    size_t repeats_n, repeats_mask;
    uint32_t *order; // buckets by (late, cohort, time)
    uint64_t *keys;  // member << 32 | entry, by bucket
    uint32_t *members;
    uint64_t *bits;
    struct str *histograms; // of these; where there are any
    int64_t *starts;        // likewise
    struct wal_row *rows;
    struct mixed mixed;
    struct wal_row *all_rows;     // of floats and histograms
    const struct wal_row *beside; // staged already, in the same commit
    size_t beside_n, all_rows_capacity;
    uint32_t *deferred; // samples of series that had no cohort
    uint8_t *outcomes;
    size_t n, capacity, buckets_n, buckets_capacity, table_mask, order_capacity, keys_capacity,
        members_capacity, bits_capacity, histograms_capacity, starts_capacity, rows_capacity,
        deferred_n, deferred_capacity, outcomes_capacity;
    struct stage_labels labels;
};

enum { TABLE_MIN = 64, REPEATS_KEPT = 4096, AHEAD = 12, MISSES_MAX = 2 };

struct stage *stage_create(void)
{
    return mem_zalloc(sizeof(struct stage));
}

void stage_destroy(struct stage *st)
{
    if (!st)
        return;
    mem_free(st->entries);
    mem_free(st->buckets);
    buf_deinit(&st->labels.last);
    mem_free(st->labels.last_labels);
    mem_free(st->table);
    mem_free(st->repeats);
    mem_free(st->order);
    mem_free(st->keys);
    mem_free(st->members);
    mem_free(st->bits);
    mem_free(st->histograms);
    mem_free(st->starts);
    mem_free(st->rows);
    mem_free(st->all_rows);
    mem_free(st->mixed.samples);
    mem_free(st->mixed.histograms);
    mem_free(st->mixed.starts);
    mem_free(st->mixed.places);
    mem_free(st->mixed.outcomes);
    mem_free(st->deferred);
    mem_free(st->outcomes);
    mem_free(st->labels.pairs);
    mem_free(st->labels.is_key);
    mem_free(st);
}

struct stage_labels *stage_labels(struct stage *st, size_t n)
{
    struct stage_labels *l = &st->labels;
    if (n > l->capacity || !l->pairs) {
        l->capacity = n < 64 ? 64 : n * 2;
        mem_free(l->pairs);
        mem_free(l->is_key);
        l->pairs = mem_alloc_array(l->capacity, 3 * sizeof *l->pairs);
        l->is_key = mem_alloc_array(l->capacity, 2 * sizeof *l->is_key);
        l->tuple = l->pairs + l->capacity;
        l->local = l->tuple + l->capacity;
        l->in_tuple = l->is_key + l->capacity;
    }
    return l;
}

static uint64_t bucket_hash(uint32_t cohort, int64_t t_ms, unsigned kind)
{
    uint64_t x = (uint64_t)t_ms * 0x9e3779b97f4a7c15u ^ ((uint64_t)cohort << 2 | kind);
    x ^= x >> 32;
    x *= 0xd6e8feb86659fd93u;
    return x ^ x >> 32;
}

// The place of a bucket in the table, or the empty one where it would stand.
static size_t find_place(const struct stage *st, uint32_t cohort, int64_t t_ms, unsigned kind)
{
    size_t at = bucket_hash(cohort, t_ms, kind) & st->table_mask;
    while (st->table[at]) {
        const struct bucket *b = &st->buckets[st->table[at] - 1];
        if (b->cohort == cohort && b->t_ms == t_ms && b->kind == kind)
            break;
        at = (at + 1) & st->table_mask;
    }
    return at;
}

static void grow_table(struct stage *st)
{
    const size_t capacity = st->table ? (st->table_mask + 1) * 2 : TABLE_MIN;
    mem_free(st->table);
    st->table = mem_zalloc(capacity * sizeof *st->table);
    st->table_mask = capacity - 1;
    for (size_t i = 0; i < st->buckets_n; i++) {
        const struct bucket *b = &st->buckets[i];
        st->table[find_place(st, b->cohort, b->t_ms, b->kind)] = (uint32_t)i + 1;
    }
}

static uint32_t bucket_of(struct stage *st, uint32_t cohort, int64_t t_ms, unsigned kind)
{
    if (st->n) { // most samples go where the one before went
        const uint32_t before = st->entries[st->n - 1].bucket;
        const struct bucket *b = &st->buckets[before];
        if (b->cohort == cohort && b->t_ms == t_ms && b->kind == kind)
            return before;
    }
    if (!st->table || (st->buckets_n + 1) * 2 > st->table_mask)
        grow_table(st);
    const size_t at = find_place(st, cohort, t_ms, kind);
    if (!st->table[at]) {
        st->buckets =
            mem_grow(st->buckets, &st->buckets_capacity, st->buckets_n + 1, sizeof *st->buckets);
        st->buckets[st->buckets_n++] =
            (struct bucket){.t_ms = t_ms, .cohort = cohort, .kind = kind};
        st->table[at] = (uint32_t)st->buckets_n;
    }
    return st->table[at] - 1;
}

// ---- samples of one series in one commit: found by their time, however many there are

static size_t repeat_place(const struct stage *st, const struct tsdb_commit *c, uint32_t series,
                           int64_t t_ms)
{
    size_t at = bucket_hash(series, t_ms, 0) & st->repeats_mask;
    for (; st->repeats[at]; at = (at + 1) & st->repeats_mask) {
        const struct staged *entry = &st->entries[st->repeats[at] - 1];
        if (entry->series == series && c->samples[entry->sample].t_ms == t_ms)
            break;
    }
    return at;
}

static void put_repeat(struct stage *st, const struct tsdb_commit *c, uint32_t entry)
{
    const struct staged *s = &st->entries[entry];
    st->repeats[repeat_place(st, c, s->series, c->samples[s->sample].t_ms)] = entry + 1;
}

static void add_repeat(struct stage *st, const struct tsdb_commit *c, uint32_t entry)
{
    if (!st->repeats || (st->repeats_n + 1) * 2 > st->repeats_mask) {
        uint32_t *old = st->repeats;
        const size_t old_n = old ? st->repeats_mask + 1 : 0;
        const size_t capacity = old ? old_n * 2 : TABLE_MIN;
        st->repeats = mem_zalloc(capacity * sizeof *st->repeats);
        st->repeats_mask = capacity - 1;
        for (size_t i = 0; i < old_n; i++) {
            if (old[i])
                put_repeat(st, c, old[i] - 1);
        }
        mem_free(old);
    }
    put_repeat(st, c, entry);
    st->repeats_n++;
}

// The series' staged sample at t_ms; NULL: none.
static const struct tsdb_sample *find_staged(const struct stage *st, const struct tsdb_commit *c,
                                             const struct head_series *s, int64_t t_ms)
{
    if (!s->staged)
        return NULL;
    const struct staged *newest = &st->entries[s->staged - 1];
    if (!newest->prev)
        return c->samples[newest->sample].t_ms == t_ms ? &c->samples[newest->sample] : NULL;
    const uint32_t found = st->repeats[repeat_place(st, c, newest->series, t_ms)];
    return found ? &c->samples[st->entries[found - 1].sample] : NULL;
}

static bool is_staged(const struct head *h, uint32_t cohort, int64_t t_ms)
{
    const struct stage *st = h->stage;
    for (size_t i = 0; i < st->beside_n; i++)
        if (st->beside[i].cohort == cohort && st->beside[i].t_ms == t_ms)
            return true;
    return st->table && (st->table[find_place(st, cohort, t_ms, 0)] != 0 ||
                         st->table[find_place(st, cohort, t_ms, BUCKET_HISTOGRAMS)] != 0);
}

static void reset(struct head *h)
{
    struct stage *st = h->stage;
    for (size_t i = 0; i < st->n; i++)
        head_series_at(h, st->entries[i].series)->staged = 0;
    if (st->buckets_n * 8 > st->table_mask) {
        memset(st->table, 0, (st->table_mask + 1) * sizeof *st->table);
    } else { // emptied from the last to the first: each one is found where it stands
        for (size_t i = st->buckets_n; i-- > 0;) {
            const struct bucket *b = &st->buckets[i];
            st->table[find_place(st, b->cohort, b->t_ms, b->kind)] = 0;
        }
    }
    if (st->repeats_n > REPEATS_KEPT) {
        mem_free(st->repeats);
        st->repeats = NULL;
        st->repeats_mask = 0;
    } else if (st->repeats_n) {
        memset(st->repeats, 0, (st->repeats_mask + 1) * sizeof *st->repeats);
    }
    st->n = st->buckets_n = st->deferred_n = st->repeats_n = 0;
}

bool head_find_sample(const struct head *h, const struct head_series *s, int64_t t_ms,
                      struct head_cell *out)
{
    const struct late_sample *late = late_find(s->late, t_ms);
    if (late) {
        *out = (struct head_cell){late->is_histogram ? 0 : late->bits,
                                  late->is_histogram ? late->histogram : NULL};
        return true;
    }
    *out = (struct head_cell){.bits = s->values.last_bits};
    if (head_last_t(h, s) == t_ms &&
        s->values.run_end > 0) // its slot may be gone, the value is not
        return true;
    if (s->cohort == COHORT_NONE)
        return false;
    const uint32_t slot = cohort_find(h->cohorts[s->cohort], t_ms);
    return slot != SLOT_NONE && series_values_at(&s->values, slot, &out->bits);
}

// The packed histogram that sample x of the commit is; p NULL: it is a float.
static struct str histogram_of(const struct tsdb_commit *c, const struct tsdb_sample *x)
{
    return c->histograms ? c->histograms[x - c->samples] : (struct str){0};
}

static bool is_same(struct head *h, const struct tsdb_commit *c, const struct tsdb_sample *x,
                    const struct head_cell *there)
{
    const struct str histogram = histogram_of(c, x);
    if (!histogram.p || !there->histogram)
        return !histogram.p && !there->histogram && there->bits == x->bits;
    buf_reset(&h->packed);
    held_pack(there->histogram, &h->packed);
    return histogram_same(histogram, buf_str(&h->packed));
}

static bool is_same_staged(const struct tsdb_commit *c, const struct tsdb_sample *x,
                           const struct tsdb_sample *y)
{
    const struct str a = histogram_of(c, x), b = histogram_of(c, y);
    if (!a.p || !b.p)
        return !a.p && !b.p && x->bits == y->bits;
    return histogram_same(a, b);
}

// Whether the series has a sample at the time of x, staged or committed; and it is x.
static bool find_sample(struct head *h, const struct tsdb_commit *c, const struct head_series *s,
                        const struct tsdb_sample *x, bool *out_same)
{
    struct head_cell there;
    const struct tsdb_sample *staged = find_staged(h->stage, c, s, x->t_ms);
    const bool found = staged || head_find_sample(h, s, x->t_ms, &there);
    *out_same = staged ? is_same_staged(c, x, staged) : found && is_same(h, c, x, &there);
    return found;
}

static enum tsdb_outcome too_early(const struct tsdb_commit *c)
{
    return c->out_of_order_ms ? TSDB_TOO_OLD : TSDB_OUT_OF_BOUNDS;
}

// Whether the time is one that is taken at all: TSDB_APPENDED, or why not.
static enum tsdb_outcome judge_time(const struct tsdb_commit *c, int64_t t_ms)
{
    if (t_ms > c->max_t_ms)
        return TSDB_IN_FUTURE;
    const bool is_too_early = t_ms == INT64_MIN || // which stands for no time
                              (c->window_ms > 0 && t_ms < c->min_t_ms);
    return is_too_early ? too_early(c) : TSDB_APPENDED;
}

static bool takes_late(const struct tsdb_commit *c, const struct tsdb_sample *x)
{
    return (c->late_ms > 0 || c->out_of_order_ms) &&
           !(c->markers_in_order && x->bits == VALUE_STALE_BITS && !histogram_of(c, x).p);
}

bool head_takes_late(const struct tsdb_commit *c, int64_t newest_t, int64_t t_ms)
{
    int64_t oldest;
    if (c->late_ms > 0 && (__builtin_sub_overflow(newest_t, c->late_ms, &oldest) || t_ms >= oldest))
        return true;
    return c->out_of_order_ms && t_ms >= c->late_t_ms;
}

static bool has_expired(const struct head *h, const struct head_series *s, int64_t t_ms)
{
    const int64_t newest = h->newest_t[s->partition];
    int64_t oldest;
    return h->retention_ms > 0 && newest != INT64_MIN &&
           !__builtin_sub_overflow(newest, h->retention_ms, &oldest) && t_ms < oldest;
}

static enum tsdb_outcome judge_older(struct head *h, const struct tsdb_commit *c,
                                     const struct head_series *s, const struct tsdb_sample *x,
                                     int64_t newest_t)
{
    bool same;
    const bool found = find_sample(h, c, s, x, &same);
    if (same)
        return TSDB_SAME;
    if (x->t_ms == newest_t)
        return TSDB_DUPLICATE;
    if (!takes_late(c, x))
        return TSDB_OUT_OF_ORDER;
    if (!head_takes_late(c, newest_t, x->t_ms))
        return TSDB_TOO_OLD;
    return found ? TSDB_DUPLICATE : TSDB_LATE_KEPT;
}

static enum tsdb_outcome judge(struct head *h, const struct tsdb_commit *c,
                               const struct head_series *s, const struct tsdb_sample *x)
{
    const enum tsdb_outcome by_time = judge_time(c, x->t_ms);
    if (by_time != TSDB_APPENDED)
        return by_time;
    const struct stage *st = h->stage;
    const uint32_t newest = s->staged ? st->entries[s->staged - 1].newest : 0;
    const int64_t newest_t = newest ? c->samples[st->entries[newest - 1].sample].t_ms : s->last_t;
    if (newest_t != INT64_MIN && x->t_ms <= newest_t)
        return judge_older(h, c, s, x, newest_t);
    return has_expired(h, s, x->t_ms) ? TSDB_OUT_OF_BOUNDS : TSDB_APPENDED;
}

// ---- Prometheus's way

static enum tsdb_outcome judge_strictly(struct head *h, struct tsdb_commit *c,
                                        const struct head_series *s, const struct tsdb_sample *x)
{
    struct head_cell there;
    const enum tsdb_outcome by_time = judge_time(c, x->t_ms);
    if (by_time != TSDB_APPENDED)
        return by_time;
    if (s->last_t == INT64_MIN || x->t_ms > s->last_t)
        return has_expired(h, s, x->t_ms) ? TSDB_OUT_OF_BOUNDS : TSDB_APPENDED;
    if (x->t_ms < s->last_t && c->out_of_order_ms) // who repeats one with other bits is not told
        return x->t_ms >= c->late_t_ms ? TSDB_LATE_KEPT : TSDB_TOO_OLD;
    if (x->t_ms < s->last_t || !head_find_sample(h, s, x->t_ms, &there))
        return TSDB_OUT_OF_ORDER; // not found: it was taken back, see head_undo
    if (is_same(h, c, x, &there))
        return TSDB_SAME;
    c->kept_bits = there.bits;
    c->kept_histogram = there.histogram;
    return TSDB_DUPLICATE;
}

// Commits count what they pass over, not what STRICT and CHECK end with.
void head_count_refusal(struct head *h, enum tsdb_outcome outcome, bool is_histogram)
{
    struct tsdb_stats *stats = &h->stats;
    stats->out_of_order += outcome == TSDB_OUT_OF_ORDER;
    stats->too_old += outcome == TSDB_TOO_OLD;
    stats->out_of_bounds += outcome == TSDB_OUT_OF_BOUNDS;
    stats->histograms_out_of_order += outcome == TSDB_OUT_OF_ORDER && is_histogram;
}

static void count_refusal(struct head *h, const struct tsdb_commit *c, size_t at,
                          enum tsdb_outcome outcome)
{
    if (outcome > TSDB_DUPLICATE)
        head_count_refusal(h, outcome, histogram_of(c, &c->samples[at]).p != NULL);
}

// Judges up to the first that is refused; nothing changes. False: nothing of it may be kept.
static bool check(struct head *h, struct tsdb_commit *c)
{
    if (c->outcomes && c->n)
        memset(c->outcomes, TSDB_SAME, c->n);
    for (size_t i = 0; i < c->n && c->refused_at == c->n; i++) {
        const struct head_series *s = head_resolve(h, c->samples[i].ref);
        if (s)
            head_settle(h, s->cohort);
        const enum tsdb_outcome outcome = s ? judge_strictly(h, c, s, &c->samples[i]) : TSDB_GONE;
        if (outcome >= TSDB_DUPLICATE && outcome != TSDB_GONE)
            c->refused_at = i;
        c->counts[outcome]++;
        if (c->outcomes)
            c->outcomes[i] = (uint8_t)outcome;
    }
    return c->refused_at == c->n && !c->counts[TSDB_GONE];
}

static void stage_sample(struct head *h, const struct tsdb_commit *c, uint32_t at,
                         struct head_series *s)
{
    struct stage *st = h->stage;
    const struct tsdb_sample *x = &c->samples[at];
    head_settle(h, s->cohort);
    enum tsdb_outcome outcome = judge(h, c, s, x);
    if (outcome >= TSDB_DUPLICATE && c->kind != TSDB_COMMIT) {
        count_refusal(h, c, at, outcome);
        outcome = TSDB_SAME; // it was judged before: dropped in silence
    }
    st->outcomes[at] = (uint8_t)outcome;
    if (outcome != TSDB_APPENDED && outcome != TSDB_LATE_KEPT)
        return;
    const uint32_t id = (uint32_t)x->ref;
    if (s->cohort == COHORT_NONE)
        head_join(h, id, head_choose_cohort(h, s->member, x->t_ms, is_staged));
    const bool late = outcome == TSDB_LATE_KEPT;
    const uint32_t bucket =
        bucket_of(st, s->cohort, x->t_ms,
                  (late ? BUCKET_LATE : 0u) | (histogram_of(c, x).p ? BUCKET_HISTOGRAMS : 0u));
    st->buckets[bucket].n++;
    st->entries = mem_grow(st->entries, &st->capacity, st->n + 1, sizeof *st->entries);
    const uint32_t newest = s->staged ? st->entries[s->staged - 1].newest : 0;
    st->entries[st->n] = (struct staged){.series = id,
                                         .sample = at,
                                         .bucket = bucket,
                                         .prev = s->staged,
                                         .newest = late ? newest : (uint32_t)st->n + 1};
    if (s->staged && !st->entries[s->staged - 1].prev)
        add_repeat(st, c, s->staged - 1);
    if (s->staged)
        add_repeat(st, c, (uint32_t)st->n);
    s->staged = (uint32_t)++st->n;
}

// Series that have a cohort come first: the others then find the rows to join.
static void stage_all(struct head *h, const struct tsdb_commit *c)
{
    struct stage *st = h->stage;
    st->outcomes = mem_grow(st->outcomes, &st->outcomes_capacity, c->n, 1);
    for (size_t i = 0; i < c->n; i++) {
        if (i + AHEAD < c->n && (uint32_t)c->samples[i + AHEAD].ref < h->series_n)
            __builtin_prefetch(head_series_at(h, (uint32_t)c->samples[i + AHEAD].ref), 1);
        struct head_series *s = head_resolve(h, c->samples[i].ref);
        if (!s) {
            st->outcomes[i] = TSDB_GONE;
        } else if (s->cohort != COHORT_NONE) {
            stage_sample(h, c, (uint32_t)i, s);
        } else {
            st->deferred = mem_grow(st->deferred, &st->deferred_capacity, st->deferred_n + 1,
                                    sizeof *st->deferred);
            st->deferred[st->deferred_n++] = (uint32_t)i;
        }
    }
    for (size_t i = 0; i < st->deferred_n; i++) {
        const uint32_t at = st->deferred[i];
        stage_sample(h, c, at, head_resolve(h, c->samples[at].ref));
    }
}

static int compare_buckets(const void *a, const void *b, void *arg)
{
    const struct bucket *buckets = arg;
    const struct bucket *x = &buckets[*(const uint32_t *)a], *y = &buckets[*(const uint32_t *)b];
    const unsigned x_late = x->kind & BUCKET_LATE, y_late = y->kind & BUCKET_LATE;
    if (x_late != y_late)
        return x_late < y_late ? -1 : 1;
    if (x->cohort != y->cohort)
        return x->cohort < y->cohort ? -1 : 1;
    if (x->t_ms != y->t_ms)
        return x->t_ms < y->t_ms ? -1 : 1;
    return (x->kind > y->kind) - (x->kind < y->kind);
}

static int compare_keys(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void order_buckets(struct head *h)
{
    struct stage *st = h->stage;
    st->order = mem_grow(st->order, &st->order_capacity, st->buckets_n, sizeof *st->order);
    st->keys = mem_grow(st->keys, &st->keys_capacity, st->n, sizeof *st->keys);
    uint32_t start = 0;
    for (size_t i = 0; i < st->buckets_n; i++) {
        st->order[i] = (uint32_t)i;
        st->buckets[i].start = start;
        start += st->buckets[i].n;
    }
    qsort_r(st->order, st->buckets_n, sizeof *st->order, compare_buckets, st->buckets);
    for (size_t i = 0; i < st->n; i++) {
        struct bucket *b = &st->buckets[st->entries[i].bucket];
        const uint32_t member = head_series_at(h, st->entries[i].series)->member;
        st->keys[b->start + b->filled++] = (uint64_t)member << 32 | i;
    }
    for (size_t i = 0; i < st->buckets_n; i++) {
        const struct bucket *b = &st->buckets[i];
        for (uint32_t k = 1; k < b->n; k++) {
            if (st->keys[b->start + k] < st->keys[b->start + k - 1]) {
                qsort(st->keys + b->start, b->n, sizeof *st->keys, compare_keys);
                break;
            }
        }
    }
}

// What samples have beside their bits, in the order of the rows.
static void make_forms(struct stage *st, const struct tsdb_commit *c)
{
    if (c->histograms)
        st->histograms =
            mem_grow(st->histograms, &st->histograms_capacity, st->n, sizeof *st->histograms);
    if (c->starts)
        st->starts = mem_grow(st->starts, &st->starts_capacity, st->n, sizeof *st->starts);
    for (size_t i = 0; i < st->n; i++) {
        const uint32_t sample = st->entries[(uint32_t)st->keys[i]].sample;
        if (c->histograms)
            st->histograms[i] = c->histograms[sample];
        if (c->starts)
            st->starts[i] = c->starts[sample];
    }
}

// Whether a row beside it is newer.
static bool is_behind(const struct stage *st, const struct bucket *b)
{
    bool is_newer = false;
    for (size_t i = 0; i < st->beside_n; i++)
        is_newer |= st->beside[i].cohort == b->cohort && st->beside[i].t_ms > b->t_ms;
    return is_newer;
}

static void make_rows(struct head *h, const struct tsdb_commit *c)
{
    struct stage *st = h->stage;
    st->members = mem_grow(st->members, &st->members_capacity, st->n, sizeof *st->members);
    st->bits = mem_grow(st->bits, &st->bits_capacity, st->n, sizeof *st->bits);
    st->rows = mem_grow(st->rows, &st->rows_capacity, st->buckets_n, sizeof *st->rows);
    for (size_t i = 0; i < st->n; i++) {
        st->members[i] = (uint32_t)(st->keys[i] >> 32);
        st->bits[i] = c->samples[st->entries[(uint32_t)st->keys[i]].sample].bits;
    }
    if (c->histograms || c->starts)
        make_forms(st, c);
    for (size_t i = 0; i < st->buckets_n; i++) {
        const struct bucket *b = &st->buckets[st->order[i]];
        const bool behind =
            b->kind & BUCKET_LATE || b->t_ms < h->cohorts[b->cohort]->newest_t || is_behind(st, b);
        const bool histograms = b->kind & BUCKET_HISTOGRAMS;
        st->rows[i] = (struct wal_row){.cohort = b->cohort,
                                       .flags = behind ? WAL_ROW_LATE : 0,
                                       .t_ms = b->t_ms,
                                       .members = st->members + b->start,
                                       .bits = st->bits + b->start,
                                       .histograms = histograms ? st->histograms + b->start : NULL,
                                       .starts = c->starts ? st->starts + b->start : NULL,
                                       .n = b->n};
    }
}

// A sample in order whose cohort is already past its time: its series writes to other times than
// the cohort does. After a few of them it moves to where its times are.
static void apply_miss(struct head *h, uint32_t id, const struct late_sample *sample)
{
    struct head_series *s = head_series_at(h, id);
    late_insert(&s->late, *sample);
    if (++s->misses < MISSES_MAX)
        return;
    const struct cohort *c = h->cohorts[s->cohort];
    if (c->live == 1 || c->n == 0 || sample->t_ms < c->times[0]) {
        s->misses = 0; // a sender that lags: no other cohort would suit it better
        return;
    }
    const uint32_t family = c->family;
    head_detach(h, id);
    head_join(h, id, head_choose_cohort(h, family, sample->t_ms, NULL));
}

// The slot that a bucket's values go to; SLOT_NONE: they go beside.
static uint32_t slot_of(struct head *h, const struct bucket *b, uint64_t seq, bool *out_fills)
{
    head_settle(h, b->cohort);
    struct cohort *c = h->cohorts[b->cohort];
    *out_fills = false;
    if (b->kind & BUCKET_LATE)
        return SLOT_NONE;
    if (b->t_ms > c->newest_t || c->newest_t == INT64_MIN)
        return cohort_open(c, b->t_ms, seq, head_floor(h));
    const uint32_t slot = cohort_find(c, b->t_ms);
    if (slot == SLOT_NONE || slot < c->closed)
        return SLOT_NONE;
    *out_fills = !head_is_of_commit(h, cohort_seq(c, slot), seq);
    return slot;
}

static void apply_bucket(struct head *h, const struct bucket *b, uint64_t seq, bool has_starts)
{
    struct stage *st = h->stage;
    struct cohort *c = h->cohorts[b->cohort];
    const bool is_late = b->kind & BUCKET_LATE;
    bool fills;
    const uint32_t slot = slot_of(h, b, seq, &fills);
    for (uint32_t i = b->start; i < b->start + b->n; i++) {
        const uint32_t id = st->entries[(uint32_t)st->keys[i]].series;
        struct head_series *s = head_series_at(h, id);
        if (i + AHEAD < b->start + b->n) { // its newest block is what the append touches next
            const uint32_t next = st->entries[(uint32_t)st->keys[i + AHEAD]].series;
            __builtin_prefetch(head_series_at(h, next)->values.blocks, 1);
        }
        if (!is_late) {
            s->last_t = b->t_ms;
            s->in_doubt &= b->t_ms < h->complete_t;
        }
        h->has_starts |= has_starts;
        if (has_starts || late_has_starts(s->late))
            late_set_start(&s->late, b->t_ms, has_starts ? st->starts[i] : 0, !is_late);
        if (b->kind & BUCKET_HISTOGRAMS) {
            late_insert_histogram(&s->late, b->t_ms, st->histograms[i], seq);
        } else if (slot != SLOT_NONE && s->cohort == c->id) {
            if (fills)
                cohort_fill(c, slot, s->member, seq, head_floor(h));
            h->blocks += series_values_append(&s->values, slot, st->bits[i]);
        } else {
            const struct late_sample sample = {
                .t_ms = b->t_ms, .bits = st->bits[i], .seq = seq & INT64_MAX};
            if (is_late || s->cohort != c->id) // or moved away a moment ago
                late_insert(&s->late, sample);
            else
                apply_miss(h, id, &sample);
        }
        if (b->t_ms > h->newest_t[s->partition])
            h->newest_t[s->partition] = b->t_ms;
    }
    h->newest = b->t_ms > h->newest ? b->t_ms : h->newest;
}

static void count(struct head *h, struct tsdb_commit *c)
{
    const struct stage *st = h->stage;
    for (size_t i = 0; i < c->n; i++) {
        c->counts[st->outcomes[i]]++;
        count_refusal(h, c, i, st->outcomes[i]);
    }
    if (c->outcomes && c->n)
        memcpy(c->outcomes, st->outcomes, c->n);
    h->stats.samples_appended += c->counts[TSDB_APPENDED] + c->counts[TSDB_LATE_KEPT];
    h->stats.samples_late += c->counts[TSDB_LATE_KEPT];
    for (size_t i = 0; i < st->buckets_n; i++)
        if (st->buckets[i].kind & BUCKET_HISTOGRAMS)
            h->stats.histograms_appended += st->buckets[i].n;
}

static err commit_rows(struct head *h, struct tsdb_commit *c, const struct wal_row *rows, size_t n,
                       bool is_steady, head_sink_fn *sink, void *arg, uint64_t *out_seq,
                       struct errmsg *e)
{
    static_assert(TSDB_APPENDED == 0, "what memset writes");
    const err code = sink ? sink(arg, rows, n, e) : ERR_OK;
    if (code != ERR_OK) {
        head_rows_drop(h, c);
        return code;
    }
    *out_seq = ++h->seq;
    if (is_steady)
        head_steady_apply(h, c, rows, *out_seq);
    else
        head_rows_apply(h, *out_seq);
    if (c->row && !is_steady && n == 1)
        head_steady_begin(h, c, rows);
    for (size_t i = 0; i < n; i++)
        c->newest_t_ms = rows[i].t_ms > c->newest_t_ms ? rows[i].t_ms : c->newest_t_ms;
    c->counts[TSDB_APPENDED] = c->n;
    if (c->outcomes)
        memset(c->outcomes, TSDB_APPENDED, c->n);
    h->stats.samples_appended += c->n;
    return ERR_OK;
}

static bool stage_steady(struct head *h, const struct tsdb_commit *c, struct wal_row *row)
{
    struct stage *st = h->stage;
    if (!c->row || !*c->row)
        return false;
    st->bits = mem_grow(st->bits, &st->bits_capacity, c->n, sizeof *st->bits);
    st->members =
        mem_grow(st->members, &st->members_capacity, c->changed_n + 1, sizeof *st->members);
    return head_steady_stage(h, c, row, st->bits, st->members);
}

// ---- histograms beside rows of floats: only they are staged one by one

static void reserve_mixed(struct mixed *m, size_t n)
{
    if (n <= m->capacity)
        return;
    m->capacity = n + n / 2;
    m->samples = mem_realloc(m->samples, m->capacity * sizeof *m->samples);
    m->histograms = mem_realloc(m->histograms, m->capacity * sizeof *m->histograms);
    m->starts = mem_realloc(m->starts, m->capacity * sizeof *m->starts);
    m->places = mem_realloc(m->places, m->capacity * sizeof *m->places);
    m->outcomes = mem_realloc(m->outcomes, m->capacity);
}

static void mark_histograms(struct head *h, const struct tsdb_commit *c, uint32_t mark)
{
    for (size_t i = 0; i < c->n; i++) {
        struct head_series *s = c->histograms[i].p ? head_resolve(h, c->samples[i].ref) : NULL;
        if (s)
            s->staged = mark;
    }
}

// Whether no series has both in this commit: then their order does not matter.
static bool are_apart(struct head *h, const struct tsdb_commit *c)
{
    bool apart = true;
    mark_histograms(h, c, 1);
    for (size_t i = 0; i < c->n; i++) {
        const struct head_series *s = head_resolve(h, c->samples[i].ref);
        apart &= c->histograms[i].p || !s || !s->staged;
    }
    mark_histograms(h, c, 0);
    return apart;
}

// The commit as one of floats and one of histograms; false: there are not both, or not apart.
static bool split(struct head *h, const struct tsdb_commit *c, struct tsdb_commit *floats,
                  struct tsdb_commit *histograms)
{
    struct mixed *m = &h->stage->mixed;
    size_t n = 0;
    for (size_t i = 0; i < c->n; i++)
        n += c->histograms[i].p == NULL;
    if (n == 0 || n == c->n || !are_apart(h, c))
        return false;
    reserve_mixed(m, c->n);
    m->floats = n;
    for (size_t i = 0, at[2] = {0, n}; i < c->n; i++) {
        const size_t to = at[c->histograms[i].p != NULL]++;
        m->samples[to] = c->samples[i];
        m->histograms[to] = c->histograms[i];
        m->places[to] = (uint32_t)i;
        if (c->starts)
            m->starts[to] = c->starts[i];
    }
    *floats = *histograms = *c;
    floats->n = n;
    floats->samples = m->samples;
    floats->histograms = NULL;
    floats->starts = c->starts ? m->starts : NULL;
    floats->outcomes = m->outcomes;
    histograms->n = c->n - n;
    histograms->samples = m->samples + n;
    histograms->histograms = m->histograms + n;
    histograms->starts = c->starts ? m->starts + n : NULL;
    histograms->outcomes = m->outcomes + n;
    floats->row = histograms->row = NULL;
    return true;
}

static void apply_buckets(struct head *h, struct tsdb_commit *c, uint64_t seq)
{
    const struct stage *st = h->stage;
    for (size_t i = 0; i < st->buckets_n; i++) {
        const struct bucket *b = &st->buckets[st->order[i]];
        apply_bucket(h, b, seq, c->starts);
        c->newest_t_ms = b->t_ms > c->newest_t_ms ? b->t_ms : c->newest_t_ms;
    }
}

static err commit_mixed(struct head *h, struct tsdb_commit *c, struct tsdb_commit *floats,
                        struct tsdb_commit *histograms, const struct wal_row *rows, size_t n,
                        head_sink_fn *sink, void *arg, uint64_t *out_seq, struct errmsg *e)
{
    struct stage *st = h->stage;
    st->beside = rows;
    st->beside_n = n;
    stage_all(h, histograms);
    if (st->n > 0) {
        order_buckets(h);
        make_rows(h, histograms);
    }
    st->beside_n = 0;
    st->all_rows =
        mem_grow(st->all_rows, &st->all_rows_capacity, n + st->buckets_n, sizeof *st->all_rows);
    memcpy(st->all_rows, rows, n * sizeof *rows);
    if (st->buckets_n)
        memcpy(st->all_rows + n, st->rows, st->buckets_n * sizeof *rows);
    const err code = sink ? sink(arg, st->all_rows, n + st->buckets_n, e) : ERR_OK;
    if (code != ERR_OK) {
        head_rows_drop(h, floats);
        reset(h);
        return code;
    }
    *out_seq = ++h->seq;
    head_rows_apply(h, *out_seq);
    for (size_t i = 0; i < n; i++)
        c->newest_t_ms = rows[i].t_ms > c->newest_t_ms ? rows[i].t_ms : c->newest_t_ms;
    apply_buckets(h, c, *out_seq);
    count(h, histograms);
    reset(h);
    memcpy(c->counts, histograms->counts, sizeof c->counts);
    c->counts[TSDB_APPENDED] += floats->n;
    h->stats.samples_appended += floats->n;
    memset(floats->outcomes, TSDB_APPENDED, floats->n);
    for (size_t i = 0; c->outcomes && i < c->n; i++)
        c->outcomes[st->mixed.places[i]] = st->mixed.outcomes[i];
    return ERR_OK;
}

err head_commit(struct head *h, struct tsdb_commit *c, head_sink_fn *sink, void *arg,
                uint64_t *out_seq, struct errmsg *e)
{
    struct stage *st = h->stage;
    assert(st->n == 0 && c->n < UINT32_MAX);
    memset(c->counts, 0, sizeof c->counts);
    c->refused_at = c->n;
    c->newest_t_ms = INT64_MIN;
    *out_seq = h->seq;
    if (c->kind == TSDB_COMMIT_STRICT || c->kind == TSDB_COMMIT_CHECK) {
        const bool is_good = check(h, c);
        if (c->kind == TSDB_COMMIT_CHECK || !is_good)
            return ERR_OK;
        memset(c->counts, 0, sizeof c->counts);
    }
    size_t rows_n;
    struct wal_row steady;
    if (stage_steady(h, c, &steady))
        return commit_rows(h, c, &steady, 1, true, sink, arg, out_seq, e);
    if (c->row)
        *c->row = 0;
    struct tsdb_commit floats, histograms;
    const bool is_mixed = c->histograms && split(h, c, &floats, &histograms);
    const struct wal_row *rows = head_rows_stage(h, is_mixed ? &floats : c, &rows_n);
    if (rows && !is_mixed)
        return commit_rows(h, c, rows, rows_n, false, sink, arg, out_seq, e);
    c->is_slow = c->slow_max && (rows ? histograms.n : c->n) > c->slow_max;
    if (rows && !c->is_slow)
        return commit_mixed(h, c, &floats, &histograms, rows, rows_n, sink, arg, out_seq, e);
    if (rows)
        head_rows_drop(h, &floats);
    if (c->is_slow)
        return ERR_OK;
    err result = ERR_OK;
    stage_all(h, c);
    if (st->n > 0) {
        order_buckets(h);
        make_rows(h, c);
        if (sink)
            result = sink(arg, st->rows, st->buckets_n, e);
        if (result == ERR_OK) {
            *out_seq = ++h->seq;
            apply_buckets(h, c, *out_seq);
        }
    }
    if (result == ERR_OK)
        count(h, c);
    reset(h);
    return result;
}
