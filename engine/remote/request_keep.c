#include <assert.h>
#include <string.h>

#include "engine/base/mem.h"
#include "engine/base/utf8.h"
#include "engine/remote/request.h"
#include "engine/shard/shard.h"
#include "io/clock.h"

enum {
    FUTURE_MS = 10 * 60 * 1000, // newer samples are out of bounds
    JUDGED_MAX = 8,             // times, while series leave the head
    SPARES_MAX = 16,            // requests whose memory is kept for the next ones
    SPARE_SAMPLES_MAX = 64 * 1024,
    CAPACITY_MIN = 512,
};

// After the i-th of many. Suspends.
static void breathe(size_t i)
{
    if (i % 16 == 15) // a new series takes some microseconds
        fiber_yield_if_due();
}

// ---- memory

static void part_deinit(struct part *p)
{
    mem_free(p->samples);
    mem_free(p->series);
    mem_free(p->outcomes);
    mem_free(p->newcomers);
    mem_free(p->kept);
    mem_free(p->histograms);
    mem_free(p->starts);
}

void request_destroy(struct request *q)
{
    if (!q)
        return;
    for (unsigned i = 0; i < q->parts_count; i++)
        part_deinit(&q->parts[i]);
    symbols_deinit(&q->symbols);
    mem_free(q->parts);
    mem_free(q);
}

struct request *request_take(struct receiver *r, struct arena *a, struct intake_body *body)
{
    struct request *q = r->spares;
    if (q) {
        r->spares = q->next_spare;
        r->spares_n--;
    } else {
        q = mem_zalloc(sizeof *q);
        q->parts_count = shards_count(shard_all());
        q->parts = mem_zalloc(q->parts_count * sizeof *q->parts);
    }
    *q = (struct request){.r = r,
                          .a = a,
                          .body = body,
                          .parts = q->parts,
                          .parts_count = q->parts_count,
                          .symbols = q->symbols};
    const int64_t max_t_ms = clock_wall_ms() + FUTURE_MS;
    for (unsigned i = 0; i < q->parts_count; i++) {
        const struct part old = q->parts[i];
        q->parts[i] = (struct part){.db = r->options.db,
                                    .samples = old.samples,
                                    .series = old.series,
                                    .outcomes = old.outcomes,
                                    .newcomers = old.newcomers,
                                    .kept = old.kept,
                                    .histograms = old.histograms,
                                    .starts = old.starts,
                                    .histograms_capacity = old.histograms_capacity,
                                    .starts_capacity = old.starts_capacity,
                                    .kept_capacity = old.kept_capacity,
                                    .capacity = old.capacity,
                                    .newcomers_capacity = old.newcomers_capacity,
                                    .late_ms = r->options.late_ms,
                                    .max_t_ms = max_t_ms,
                                    .worst_series = REQUEST_NONE};
    }
    return q;
}

void request_give(struct request *q)
{
    struct receiver *r = q->r;
    size_t samples = 0;
    faults_deinit(&q->faults);
    mem_free(q->exemplars);
    mem_free(q->metadata);
    symbols_reset(&q->symbols);
    for (unsigned i = 0; i < q->parts_count; i++)
        samples += q->parts[i].capacity + q->parts[i].newcomers_capacity;
    if (r->spares_n == SPARES_MAX || samples > SPARE_SAMPLES_MAX) {
        request_destroy(q);
        return;
    }
    q->next_spare = r->spares;
    r->spares = q;
    r->spares_n++;
}

static void grow(struct part *p, size_t need)
{
    size_t capacity = p->capacity + p->capacity / 2;
    capacity = capacity < CAPACITY_MIN ? CAPACITY_MIN : capacity;
    p->capacity = capacity < need ? need : capacity;
    p->samples = mem_realloc(p->samples, p->capacity * sizeof *p->samples);
    p->series = mem_realloc(p->series, p->capacity * sizeof *p->series);
    p->outcomes = mem_realloc(p->outcomes, p->capacity);
}

// The entries of n samples behind the first ones are there, and empty.
static void extend_histograms(struct part *p, size_t n)
{
    if (p->n + n > p->histograms_capacity)
        p->histograms =
            mem_grow(p->histograms, &p->histograms_capacity, p->n + n, sizeof *p->histograms);
    if (n > 0)
        memset(p->histograms + p->n, 0, n * sizeof *p->histograms);
}

static void extend_starts(struct part *p, size_t n)
{
    if (p->n + n > p->starts_capacity)
        p->starts = mem_grow(p->starts, &p->starts_capacity, p->n + n, sizeof *p->starts);
    if (n > 0)
        memset(p->starts + p->n, 0, n * sizeof *p->starts);
}

void request_use_starts(struct part *p)
{
    const size_t n = p->n;
    if (p->has_starts)
        return;
    p->n = 0;
    extend_starts(p, n);
    p->n = n;
    p->has_starts = true;
}

void request_use_histograms(struct part *p)
{
    const size_t n = p->n;
    if (p->has_histograms)
        return;
    p->n = 0;
    extend_histograms(p, n);
    p->n = n;
    p->has_histograms = true;
}

err request_check_samples(struct request *q, uint64_t n, struct errmsg *e)
{
    q->samples += n; // of one body: does not overflow
    if (q->samples > REQUEST_SAMPLES_MAX)
        return err_set(e, ERR_INVALID, "too many samples: at most %d", (int)REQUEST_SAMPLES_MAX);
    return ERR_OK;
}

struct tsdb_sample *request_put(struct request *q, uint32_t owner, uint32_t series, size_t n)
{
    struct part *p = &q->parts[owner];
    if (n == 0)
        return p->samples; // which may be NULL, to which nothing is added
    if (n > p->capacity - p->n)
        grow(p, p->n + n);
    if (p->has_histograms)
        extend_histograms(p, n);
    if (p->has_starts)
        extend_starts(p, n);
    struct tsdb_sample *const to = p->samples + p->n;
    for (size_t i = 0; i < n; i++)
        p->series[p->n + i] = series;
    p->n += n;
    return to;
}

// ---- series by their labels

static bool all_are_utf8(const struct labels_builder *b)
{
    for (size_t i = 0; i < b->n; i++)
        if (!utf8_is_valid(b->items[i].name) || !utf8_is_valid(b->items[i].value))
            return false;
    return true;
}

static bool are_named(struct labels_builder *b, bool no_duplicates)
{
    if (!labels_builder_get(b, LABEL_NAME).n || (no_duplicates && labels_builder_has_duplicates(b)))
        return false;
    for (size_t i = 0; i < b->n; i++)
        if (!b->items[i].name.n)
            return false;
    return true;
}

bool labels_are_valid(struct labels_builder *b, bool no_duplicates)
{
    return are_named(b, no_duplicates) && all_are_utf8(b);
}

bool request_resolve(struct request *q, struct newcomer *out)
{
    return request_resolve_of(q, &q->r->builder, out);
}

bool request_resolve_of(struct request *q, struct labels_builder *b, struct newcomer *out)
{
    const struct tsdb *db = q->r->options.db;
    const size_t size = labels_builder_size_max(b);
    if (size > TSDB_LABELS_BYTES_MAX) { // they are not even sorted
        q->long_labels = size;
        return false;
    }
    if (!are_named(b, true))
        return false;
    const struct str labels = labels_builder_finish(b, q->a);
    // As a rule all that is written is ASCII, sizes too; a label without a value is not written.
    if ((labels_count(labels) < b->n || !utf8_is_ascii(labels)) && !all_are_utf8(b))
        return false;
    out->labels = labels;
    out->hash = labels_hash(out->labels, tsdb_hash_seed(db));
    out->owner = tsdb_owner(db, tsdb_partition(db, out->labels));
    return true;
}

struct str request_long_labels(struct request *q)
{
    return arena_printf(q->a, "the labels of a series take %zu bytes, at most %d are kept",
                        q->long_labels, (int)TSDB_LABELS_BYTES_MAX);
}

static void add_newcomer(struct part *p, struct newcomer *newcomer, size_t first, size_t n)
{
    newcomer->first = (uint32_t)first;
    newcomer->n = (uint32_t)n;
    p->newcomers =
        mem_grow(p->newcomers, &p->newcomers_capacity, p->newcomers_n + 1, sizeof *p->newcomers);
    p->newcomers[p->newcomers_n++] = *newcomer;
}

void request_add_newcomer(struct request *q, struct newcomer *newcomer, size_t n)
{
    struct part *p = &q->parts[newcomer->owner];
    add_newcomer(p, newcomer, p->n, n);
}

void request_end_newcomer(struct request *q, const struct series_place *place)
{
    struct part *p = &q->parts[place->owner];
    if (!place->ref && p->newcomers[p->newcomers_n - 1].n == 0)
        p->newcomers_n--;
}

static void remember(struct request *q) // Suspends.
{
    for (unsigned i = 0; i < q->parts_count; i++) {
        const struct part *p = &q->parts[i];
        for (size_t k = 0; k < p->newcomers_n; k++, breathe(k)) {
            const struct newcomer *x = &p->newcomers[k];
            if (x->ref)
                series_cache_put(&q->r->cache, x->raw,
                                 &(struct series_place){x->ref, x->owner, x->labels_size});
        }
    }
}

// ---- on the owner

static bool is_histogram(const struct part *p, size_t i)
{
    return p->has_histograms && p->histograms[i].p;
}

static void move_sample(struct part *p, size_t to, size_t from)
{
    p->samples[to] = p->samples[from];
    p->series[to] = p->series[from];
    if (p->has_histograms)
        p->histograms[to] = p->histograms[from];
    if (p->has_starts)
        p->starts[to] = p->starts[from];
}

// Those that are refused are taken out of the part.
static void drop_refused(struct part *p)
{
    size_t n = 0;
    for (size_t i = 0; i < p->n; i++) {
        if (p->samples[i].ref)
            move_sample(p, n++, i);
        else
            p->refused_histograms += is_histogram(p, i);
    }
    p->refused += p->n - n;
    p->n = n;
}

static void find_newcomers(struct part *p) // Suspends.
{
    bool any_refused = false;
    for (size_t i = 0; i < p->newcomers_n; i++) {
        struct newcomer *x = &p->newcomers[i];
        if (x->ref)
            continue;
        x->ref = tsdb_series(p->db, x->labels, x->hash, p->source);
        if (!x->ref)
            p->refusal = tsdb_why_refused(p->db, any_refused ? NULL : &p->e);
        any_refused |= !x->ref;
        for (uint32_t k = x->first; k < x->first + x->n; k++)
            p->samples[k].ref = x->ref;
        breathe(i);
    }
    if (any_refused)
        drop_refused(p);
}

static void judge(struct part *p, const struct tsdb_commit *c)
{
    for (size_t i = 0; i < TSDB_OUTCOME_COUNT; i++)
        p->counts[i] += c->counts[i];
    if (c->counts[TSDB_APPENDED] == c->n || p->worst_series != REQUEST_NONE)
        return;
    for (size_t i = 0; i < c->n; i++) {
        const enum tsdb_outcome outcome = c->outcomes[i];
        if (outcome < TSDB_DUPLICATE || outcome == TSDB_GONE)
            continue;
        p->worst = outcome;
        p->worst_series = p->series[i];
        p->worst_sample = c->samples[i];
        p->worst_is_histogram = is_histogram(p, i);
        p->worst_index = (uint32_t)i;
        p->worst_kept = (struct kept){c->kept_bits, c->kept_histogram};
        return;
    }
}

// The outcome of each sample against what is there, in steps: a refused one ends a check.
static err check_each(struct part *p, const struct tsdb_commit *whole)
{
    enum { STEP = 256 };
    for (size_t at = 0; at < p->n;) {
        struct tsdb_commit c = *whole;
        c.samples += at;
        c.outcomes += at;
        c.histograms = c.histograms ? c.histograms + at : NULL;
        c.starts = c.starts ? c.starts + at : NULL;
        c.n = p->n - at < STEP ? p->n - at : STEP;
        TRY(tsdb_commit(p->db, &c, &p->e));
        for (size_t i = 0; i < TSDB_OUTCOME_COUNT; i++)
            p->counts[i] += c.counts[i];
        at += c.refused_at;
        if (c.refused_at < c.n)
            p->kept[at++] = (struct kept){c.kept_bits, c.kept_histogram};
    }
    return ERR_OK;
}

static void keep_part(void *arg) // on the owner; Suspends.
{
    struct part *p = arg;
    p->counts[TSDB_GONE] = 0;
    if (!p->n)
        return;
    find_newcomers(p);
    struct tsdb_commit c = {.samples = p->samples,
                            .n = p->n,
                            .histograms = p->has_histograms ? p->histograms : NULL,
                            .starts = p->has_starts ? p->starts : NULL,
                            .kind = p->kind,
                            .outcomes = p->outcomes,
                            .late_ms = p->late_ms,
                            .max_t_ms = p->max_t_ms,
                            .window_ms = p->late_ms ? 0 : REFUSAL_WINDOW_MS};
    if (p->judges_each) {
        p->code = check_each(p, &c);
        return;
    }
    if (p->kind == TSDB_COMMIT_STRICT && p->refused)
        c.n = 0;
    p->code = tsdb_commit(p->db, &c, &p->e);
    if (!p->code)
        judge(p, &c);
}

// ---- where the connection is

static void send_parts(struct request *q, uint64_t source, enum tsdb_commit_kind kind) // Suspends.
{
    uint64_t where[(SHARD_MAX + 63) / 64] = {0};
    for (unsigned i = 0; i < q->parts_count; i++) {
        struct part *p = &q->parts[i];
        p->source = source;
        p->kind = kind;
        if (p->n)
            where[i / 64] |= 1ull << (i % 64);
    }
    shard_call_all(LOOP_RECEIVE, keep_part, q->parts, sizeof *q->parts, where);
}

// Series that left the head since they were remembered will be found by their labels. only_them:
// the others of the part have been kept. False: there are none.
static bool renew(struct request *q, struct part *p, bool only_them) // Suspends.
{
    size_t kept = 0;
    p->newcomers_n = 0;
    for (size_t i = 0, end; p->counts[TSDB_GONE] && !p->code && i < p->n; i = end) {
        const bool is_gone = p->outcomes[i] == TSDB_GONE;
        for (end = i + 1; end < p->n && p->series[end] == p->series[i];)
            end++;
        if (only_them && !is_gone)
            continue;
        const size_t first = kept;
        for (size_t k = i; k < end; k++)
            move_sample(p, kept++, k);
        if (is_gone) {
            struct newcomer x;
            q->labels(q, p->series[first], &x);
            const bool was_valid = request_resolve(q, &x);
            assert(was_valid && &q->parts[x.owner] == p);
            add_newcomer(p, &x, first, kept - first);
        }
        breathe(i);
    }
    if (only_them || p->newcomers_n)
        p->n = kept;
    return p->newcomers_n > 0;
}

static bool renew_all(struct request *q, bool only_them) // Suspends.
{
    bool any = false;
    for (unsigned i = 0; i < q->parts_count; i++)
        any |= renew(q, &q->parts[i], only_them);
    if (any)
        shapes_forget(&q->r->shapes);
    return any;
}

static void fail_gone(struct request *q)
{
    for (unsigned i = 0; i < q->parts_count; i++) {
        struct part *p = &q->parts[i];
        if (p->counts[TSDB_GONE] && !p->code)
            p->code = err_set(&p->e, ERR_LIMIT, "a series left the head meanwhile");
    }
}

static void note_refusal(struct request *q, const struct part *p, size_t i)
{
    struct buf text = {0};
    if (p->judges_each)
        tsdb_count_refusal(p->db, p->outcomes[i], is_histogram(p, i));
    const struct refusal refusal = {.outcome = p->outcomes[i],
                                    .sample = p->samples[i],
                                    .is_histogram = is_histogram(p, i),
                                    .kept = p->judges_each ? &p->kept[i] : NULL};
    if (refusal.is_histogram)
        q->faults.histograms++;
    else
        q->faults.samples++;
    if (q->faults.n == q->faults.limit) {
        q->faults.total++;
        return;
    }
    refusal_format(&refusal, &text);
    faults_add(&q->faults, &(struct fault){.series = p->series[i],
                                           .rank = FAULT_RANK_ITEM + (uint32_t)i,
                                           .kind = FAULT_ITEM,
                                           .text = arena_str(q->a, buf_str(&text))});
    buf_deinit(&text);
}

// Of 2.0, whose answer tells of each.
static void note_refusals(struct request *q) // Suspends.
{
    for (unsigned k = 0; k < q->parts_count; k++) {
        const struct part *p = &q->parts[k];
        const uint64_t refused = p->counts[TSDB_DUPLICATE] + p->counts[TSDB_OUT_OF_ORDER] +
                                 p->counts[TSDB_TOO_OLD] + p->counts[TSDB_OUT_OF_BOUNDS] +
                                 p->counts[TSDB_IN_FUTURE];
        faults_begin(&q->faults);
        for (size_t i = 0; refused && !p->code && i < p->n; i++, breathe(i))
            if (p->outcomes[i] >= TSDB_DUPLICATE && p->outcomes[i] != TSDB_GONE)
                note_refusal(q, p, i);
    }
}

// What can be kept is, and once more what was for series that had left; one that is made anew may
// leave before its first sample, if others are in the way of the commit for long.
static void keep_good(struct request *q, uint64_t source, enum tsdb_commit_kind kind) // Suspends.
{
    const bool notes = q->is_partial && kind == TSDB_COMMIT;
    send_parts(q, source, kind);
    remember(q);
    if (notes)
        note_refusals(q);
    for (int i = 1; i < JUDGED_MAX && renew_all(q, true); i++) {
        send_parts(q, source, kind);
        remember(q);
        if (notes)
            note_refusals(q);
    }
    fail_gone(q);
}

// Whether a judged request is not to be kept, or not yet.
static bool is_refused(const struct request *q)
{
    for (unsigned i = 0; i < q->parts_count; i++) {
        const struct part *p = &q->parts[i];
        if (p->code || p->worst_series != REQUEST_NONE || p->refused || p->counts[TSDB_GONE])
            return true;
    }
    return false;
}

static void forget_verdicts(struct request *q)
{
    for (unsigned i = 0; i < q->parts_count; i++) {
        struct part *p = &q->parts[i];
        memset(p->counts, 0, sizeof p->counts);
        p->worst_series = REQUEST_NONE;
        p->code = ERR_OK;
    }
}

// Prometheus's way: a request is kept whole or not at all. Every owner judges its part before any
// keeps one; where there is but one owner, both are one step. What another request changed in
// between is treated as Prometheus does at its commit: what does not follow any more is dropped.
static void keep_whole(struct request *q, uint64_t source) // Suspends.
{
    unsigned owners = 0;
    for (unsigned i = 0; i < q->parts_count; i++)
        owners += q->parts[i].n > 0;
    const bool is_whole = !q->faults.total;
    const enum tsdb_commit_kind kind =
        owners == 1 && is_whole ? TSDB_COMMIT_STRICT : TSDB_COMMIT_CHECK;
    for (int i = 0; i < JUDGED_MAX; i++) {
        forget_verdicts(q);
        send_parts(q, source, kind);
        remember(q);
        if (!renew_all(q, false))
            break;
    }
    fail_gone(q);
    if (kind == TSDB_COMMIT_STRICT || is_refused(q) || !is_whole)
        return;
    forget_verdicts(q);
    keep_good(q, source, TSDB_COMMIT_CHECKED);
}

static void set_judging(struct request *q, bool each)
{
    for (unsigned i = 0; i < q->parts_count; i++) {
        struct part *p = &q->parts[i];
        p->judges_each = each;
        if (each && p->n > p->kept_capacity)
            p->kept = mem_grow(p->kept, &p->kept_capacity, p->n, sizeof *p->kept);
    }
}

static void drop_judged(struct part *p)
{
    size_t n = 0;
    for (size_t i = 0; i < p->n; i++) {
        if (p->outcomes[i] >= TSDB_DUPLICATE)
            continue;
        move_sample(p, n++, i);
    }
    p->n = n;
}

// Prometheus's way with 2.0: each sample is judged against what was there before the request; the
// refused are named, the others kept, and of these what does not follow the request's own samples
// is dropped in silence, as Prometheus does at its commit.
static void keep_each(struct request *q, uint64_t source) // Suspends.
{
    set_judging(q, true);
    for (int i = 0; i < JUDGED_MAX; i++) {
        forget_verdicts(q);
        send_parts(q, source, TSDB_COMMIT_CHECK);
        remember(q);
        if (!renew_all(q, false))
            break;
    }
    fail_gone(q);
    note_refusals(q);
    set_judging(q, false);
    for (unsigned i = 0; i < q->parts_count; i++) {
        struct part *p = &q->parts[i];
        if (p->code)
            return;
        if (p->n)
            drop_judged(p);
        p->newcomers_n = 0;
    }
    keep_good(q, source, TSDB_COMMIT_CHECKED);
}

void request_keep(struct request *q, uint64_t source)
{
    if (q->is_partial && !q->r->options.late_ms)
        keep_each(q, source);
    else if (q->r->options.late_ms)
        keep_good(q, source, TSDB_COMMIT);
    else
        keep_whole(q, source);
}
