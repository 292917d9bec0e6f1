// A scrape becomes samples, and these one commit on the target's shard; series that relabelling
// moved elsewhere are committed by their owners, after the rest.
#include <assert.h>

#include "engine/base/mem.h"
#include "engine/base/util.h"
#include "engine/model/labels.h"
#include "engine/model/value.h"
#include "engine/scrape/scrape_pass.h"
#include "engine/shard/shard.h"

enum {
    WINDOW_MS = 60 * 60 * 1000,
    GONE_TRIES = 8, // of samples whose series left the head
};

const char *const scrape_report_names[REPORT_SERIES] = {
    "up",
    "scrape_duration_seconds",
    "scrape_samples_scraped",
    "scrape_samples_post_metric_relabeling",
    "scrape_series_added",
    "scrape_timeout_seconds",
    "scrape_sample_limit",
    "scrape_body_size_bytes",
};

void pass_init(struct pass *p, struct target *t, int64_t ms)
{
    *p = (struct pass){.t = t, .config = prom_config_ref(t->config), .job = t->job, .ms = ms};
    arena_init(&p->arena, 0);
    const int64_t newest = tsdb_newest(t->scrape->options.db);
    p->oldest_ms = newest < INT64_MIN + WINDOW_MS ? INT64_MIN : newest - WINDOW_MS;
}

void pass_deinit(struct pass *p)
{
    mem_free(p->samples);
    mem_free(p->origins);
    mem_free(p->changed);
    mem_free(p->foreign);
    mem_free(p->exemplars);
    buf_deinit(&p->body);
    arena_deinit(&p->arena);
    prom_config_unref(p->config);
}

// Those of the page stand for this body's as long as they are the same.
static struct scrape_entry *pass_lines(const struct pass *p)
{
    return p->walk->follows ? p->t->memory.page.entries : p->walk->now.entries;
}

struct scrape_entry *pass_entry(struct pass *p, uint32_t origin)
{
    const size_t index = origin & ((1u << ORIGIN_SHIFT) - 1);
    switch ((enum scrape_origin)(origin >> ORIGIN_SHIFT)) {
    case ORIGIN_NOW:
        return &pass_lines(p)[index];
    case ORIGIN_PAGE:
        return &p->t->memory.page.entries[index];
    case ORIGIN_AWAY:
        return &p->t->memory.away[index].entry;
    case ORIGIN_REPORT:
        break;
    }
    return &p->t->reports[index];
}

static void push_foreign(struct pass *p, uint32_t origin, struct tsdb_sample sample)
{
    p->foreign = mem_grow(p->foreign, &p->foreign_capacity, p->foreign_n + 1, sizeof *p->foreign);
    p->foreign[p->foreign_n++] = (struct foreign){.origin = origin, .sample = sample};
}

void pass_push(struct pass *p, enum scrape_origin what, size_t index, int64_t ms, uint64_t bits)
{
    const uint32_t origin = (uint32_t)what << ORIGIN_SHIFT | (uint32_t)index;
    const struct scrape_entry *entry = pass_entry(p, origin);
    const struct tsdb_sample sample = {entry->ref, ms, bits};
    assert(index < 1u << ORIGIN_SHIFT);
    if (entry->owner != shard_index(shard_self())) {
        push_foreign(p, origin, sample);
        return;
    }
    p->samples = mem_grow(p->samples, &p->capacity, p->n + 1, sizeof *p->samples);
    p->origins = mem_grow(p->origins, &p->origins_capacity, p->n + 1, sizeof *p->origins);
    p->samples[p->n] = sample;
    p->origins[p->n++] = origin;
}

enum { TURN = 4096 }; // lines between two questions whether a yield is due

// The same of a body that the walk followed, whose samples are all of this shard: without a branch
// a line.
static void push_followed(struct pass *p)
{
    const struct scrape_page *page = &p->t->memory.page;
    const struct scrape_walk *w = p->walk;
    const size_t lines = page->lines.n;
    size_t n = 0;
    for (size_t begin = 0; begin < lines; begin += TURN) {
        const size_t end = lines - begin < TURN ? lines : begin + TURN;
        if (begin)
            fiber_yield_if_due();
        for (size_t i = begin; i < end; i++) {
            const struct scrape_entry *entry = &page->entries[i];
            p->samples[n] = (struct tsdb_sample){entry->ref, p->ms, entry->bits};
            p->origins[n] = (uint32_t)i;
            p->changed[i] = (uint32_t)n; // the line's place, for the time being
            n += (entry->flags & (SCRAPE_SAMPLE | SCRAPE_DROPPED)) == SCRAPE_SAMPLE;
        }
    }
    p->n = n;
    for (size_t i = 0; i < w->changes_n;
         i++) { // lines ascend, so none is written before it is read
        const uint32_t line = w->changes[i].line;
        if (!(page->entries[line].flags & SCRAPE_DROPPED))
            p->changed[p->changed_n++] = p->changed[line];
    }
}

void pass_push_lines(struct pass *p)
{
    const struct scrape_page *now = &p->walk->now;
    struct scrape_entry *const entries = pass_lines(p);
    const size_t lines = now->lines.n;
    const unsigned self = shard_index(shard_self());
    assert(lines < 1u << ORIGIN_SHIFT);
    p->is_same = p->walk->follows && p->t->memory.page.owner == self;
    p->changed = mem_grow(p->changed, &p->changed_capacity,
                          (p->is_same ? lines : 0) + REPORT_SERIES, sizeof *p->changed);
    p->samples = mem_grow(p->samples, &p->capacity, p->n + lines, sizeof *p->samples);
    p->origins = mem_grow(p->origins, &p->origins_capacity, p->n + lines, sizeof *p->origins);
    if (p->is_same) {
        push_followed(p);
        return;
    }
    for (size_t i = 0; i < lines; i++) {
        struct scrape_entry *entry = &entries[i];
        if (i % TURN == TURN - 1)
            fiber_yield_if_due();
        if ((entry->flags & (SCRAPE_SAMPLE | SCRAPE_DROPPED)) != SCRAPE_SAMPLE)
            continue;
        const bool own_time = entry->flags & SCRAPE_TIMED && p->job->honor_timestamps;
        if (entry->flags & SCRAPE_REPEAT && !own_time)
            continue;
        const bool is_tracked = !own_time || p->job->track_timestamps_staleness;
        if (!p->walk->follows && is_tracked && !(entry->flags & SCRAPE_REPEAT))
            entry->flags |= SCRAPE_TRACK;
        const struct tsdb_sample sample = {entry->ref, own_time ? now->times[i] : p->ms,
                                           entry->bits};
        if (entry->owner != self) {
            push_foreign(p, (uint32_t)i, sample);
            continue;
        }
        p->samples[p->n] = sample;
        p->origins[p->n++] = (uint32_t)i;
    }
}

bool pass_is_in_bounds(const struct pass *p, int64_t t_ms)
{
    return t_ms <= p->ms + SCRAPE_FUTURE_MS && t_ms >= p->oldest_ms;
}

void pass_judge_added(struct pass *p)
{
    struct tsdb_sample *added = mem_alloc_array(p->added_timed, sizeof *added);
    size_t n = 0;
    for (size_t i = 0; i < p->n && n < p->added_timed; i++) {
        const struct tsdb_sample *s = &p->samples[i];
        const unsigned flags = pass_entry(p, p->origins[i])->flags;
        if (flags & SCRAPE_NEW && flags & SCRAPE_TIMED && s->ref && pass_is_in_bounds(p, s->t_ms))
            added[n++] = *s;
    }
    for (size_t at = 0; at < n;) {
        struct tsdb_commit c = {.samples = added + at,
                                .n = n - at,
                                .kind = TSDB_COMMIT_CHECK,
                                .max_t_ms = p->ms + SCRAPE_FUTURE_MS,
                                .window_ms = WINDOW_MS,
                                .markers_in_order = true};
        if (tsdb_commit(p->t->scrape->options.db, &c, NULL) != ERR_OK)
            break;
        p->added -= c.refused_at < c.n;
        at += c.refused_at + 1;
    }
    mem_free(added);
}

void pass_push_missing(struct pass *p, bool all)
{
    const struct scrape_memory *m = &p->t->memory;
    const unsigned wanted = SCRAPE_TRACKED | SCRAPE_SAMPLE;
    const size_t n = p->n;
    const size_t lines = all || !scrape_walk_saw_all(p->walk) ? m->page.lines.n : 0;
    for (size_t i = 0; i < lines; i++) {
        const unsigned flags = m->page.entries[i].flags;
        if ((flags & (wanted | SCRAPE_REPEAT)) == wanted && (all || !scrape_walk_saw(p->walk, i)))
            pass_push(p, ORIGIN_PAGE, i, p->ms, VALUE_STALE_BITS);
    }
    for (size_t i = 0; i < m->away_n; i++)
        if (m->away[i].entry.flags & SCRAPE_TRACKED && (all || !scrape_walk_saw_away(p->walk, i)))
            pass_push(p, ORIGIN_AWAY, i, p->ms, VALUE_STALE_BITS);
    p->is_same &= p->n == n;
}

void pass_push_report(struct pass *p, size_t which, uint64_t bits)
{
    struct scrape_entry *entry = &p->t->reports[which];
    if (!entry->ref) {
        p->is_same = false;
        pass_place(p, entry,
                   pass_labels_again(p, (uint32_t)ORIGIN_REPORT << ORIGIN_SHIFT | (uint32_t)which));
    }
    if (p->is_same)
        p->changed[p->changed_n++] = (uint32_t)p->n;
    pass_push(p, ORIGIN_REPORT, which, p->ms, bits);
}

// ---- what other shards own

struct foreign_part { // what one other shard gets
    struct tsdb *db;
    struct foreign **items;
    size_t n;
    uint64_t source;
    uint64_t seed;
    int64_t max_t_ms;
    uint64_t counts[TSDB_OUTCOME_COUNT];
    uint64_t refused; // series
    struct errmsg refusal;
    err code;
    struct errmsg e;
};

static void keep_foreign(void *arg) // on the owner; Suspends.
{
    struct foreign_part *p = arg;
    struct tsdb_sample *samples = mem_alloc_array(p->n, sizeof *samples);
    uint8_t *outcomes = mem_alloc(p->n);
    size_t n = 0;
    for (size_t i = 0; i < p->n; i++) {
        struct foreign *f = p->items[i];
        if (!f->sample.ref && f->labels.n)
            f->sample.ref =
                tsdb_series(p->db, f->labels, labels_hash(f->labels, p->seed), p->source);
        if (f->sample.ref)
            samples[n++] = f->sample;
        else if (tsdb_why_refused(p->db, p->refused ? NULL : &p->refusal))
            p->refused++;
    }
    struct tsdb_commit c = {.samples = samples,
                            .n = n,
                            .outcomes = outcomes,
                            .max_t_ms = p->max_t_ms,
                            .window_ms = WINDOW_MS,
                            .markers_in_order = true};
    p->code = tsdb_commit(p->db, &c, &p->e);
    memcpy(p->counts, c.counts, sizeof p->counts);
    n = 0;
    for (size_t i = 0; i < p->n; i++)
        if (p->items[i]->sample.ref)
            p->items[i]->outcome = p->code ? TSDB_OUT_OF_ORDER : outcomes[n++];
    mem_free(samples);
    mem_free(outcomes);
}

static void count_outcomes(struct scrape *s, const uint64_t counts[TSDB_OUTCOME_COUNT])
{
    s->stats.duplicate_timestamp += counts[TSDB_DUPLICATE];
    s->stats.out_of_order += counts[TSDB_OUT_OF_ORDER];
    s->stats.out_of_bounds +=
        counts[TSDB_OUT_OF_BOUNDS] + counts[TSDB_IN_FUTURE] + counts[TSDB_TOO_OLD];
}

static void warn_left(const struct pass *p)
{
    log_warn(&p->t->scrape->lg, "series left the head meanwhile, their samples are not kept",
             log_str("target", p->t->url));
}

// Sends what other shards own. Those whose reference is gone are tried again by their labels.
static void commit_foreign(struct pass *p, int tries) // Suspends.
{
    const bool again = tries > 0;
    const unsigned shards = shards_count(shard_all());
    struct foreign_part *parts = mem_alloc_array(shards, sizeof *parts);
    struct foreign **slots = mem_alloc_array(p->foreign_n, sizeof *slots);
    uint64_t where[(SHARD_MAX + 63) / 64] = {0};
    size_t at = 0;
    bool any_gone = false;
    for (unsigned i = 0; i < shards; i++) {
        parts[i] = (struct foreign_part){.db = p->t->scrape->options.db,
                                         .items = slots + at,
                                         .source = p->t->hash,
                                         .max_t_ms = p->ms + SCRAPE_FUTURE_MS,
                                         .seed = tsdb_hash_seed(p->t->scrape->options.db)};
        for (size_t k = 0; k < p->foreign_n; k++) {
            struct foreign *f = &p->foreign[k];
            if (pass_entry(p, f->origin)->owner != i || (again && f->outcome != TSDB_GONE))
                continue;
            if (!f->sample.ref || again) {
                f->sample.ref = 0;
                f->labels = pass_labels_again(p, f->origin);
            }
            slots[at++] = f;
            parts[i].n++;
        }
        if (parts[i].n)
            where[i / 64] |= 1ull << (i % 64);
    }
    shard_call_all(LOOP_SCRAPE, keep_foreign, parts, sizeof *parts, where);
    for (unsigned i = 0; i < shards; i++) {
        count_outcomes(p->t->scrape, parts[i].counts);
        if (parts[i].refused && !again) {
            p->refused += parts[i].refused;
            p->refusal = parts[i].refusal;
        }
        if (parts[i].code)
            log_warn(&p->t->scrape->lg, "a part of a scrape was not kept",
                     log_str("target", p->t->url), log_cstr("err", parts[i].e.text));
    }
    for (size_t k = 0; k < p->foreign_n; k++) {
        pass_entry(p, p->foreign[k].origin)->ref = p->foreign[k].sample.ref;
        any_gone |= p->foreign[k].outcome == TSDB_GONE;
    }
    mem_free(parts);
    mem_free(slots);
    if (any_gone && tries < GONE_TRIES)
        commit_foreign(p, tries + 1);
    else if (any_gone)
        warn_left(p);
}

// ---- the commit

// Looks the series of a sample up anew; false: there is none to be had.
static bool find_again(struct pass *p, size_t sample)
{
    struct scrape_entry *entry = pass_entry(p, p->origins[sample]);
    const struct str labels = pass_labels_again(p, p->origins[sample]);
    entry->ref = 0;
    if (labels.n)
        pass_place(p, entry, labels);
    p->samples[sample].ref = entry->ref;
    return entry->ref != 0;
}

// Series of this shard whose references are no longer good: found again, then committed. The commit
// may wait, and one that is made anew has no sample until then, so it may leave once more.
static void commit_gone(struct pass *p, uint8_t *outcomes) // Suspends.
{
    size_t n = p->n;
    for (int i = 0; i < GONE_TRIES; i++) {
        size_t found = 0;
        for (size_t k = 0; k < n; k++) {
            if (outcomes[k] != TSDB_GONE || !find_again(p, k))
                continue;
            p->origins[found] = p->origins[k];
            p->samples[found++] = p->samples[k];
        }
        n = found;
        struct tsdb_commit c = {.samples = p->samples,
                                .n = n,
                                .outcomes = outcomes,
                                .max_t_ms = p->ms + SCRAPE_FUTURE_MS,
                                .window_ms = WINDOW_MS,
                                .markers_in_order = true};
        struct errmsg e;
        if (n && tsdb_commit(p->t->scrape->options.db, &c, &e) != ERR_OK) {
            log_warn(&p->t->scrape->lg, "a part of a scrape was not kept",
                     log_str("target", p->t->url), log_cstr("err", e.text));
            return;
        }
        count_outcomes(p->t->scrape, c.counts);
        if (!c.counts[TSDB_GONE])
            return;
    }
    warn_left(p);
}

// Says in Prometheus's words what was left out of the scrape. Stale markers are not counted: they
// come too late where another target goes on with their series.
static void log_dropped(const struct pass *p, const uint8_t *outcomes)
{
    uint64_t n[TSDB_OUTCOME_COUNT] = {0};
    for (size_t i = 0; i < p->n; i++)
        n[outcomes[i]] += p->samples[i].bits != VALUE_STALE_BITS;
    for (size_t i = 0; i < p->foreign_n; i++)
        n[p->foreign[i].outcome] += p->foreign[i].sample.bits != VALUE_STALE_BITS;
    const struct {
        const char *text;
        uint64_t n;
    } rows[] = {
        {"Error on ingesting out-of-order samples", n[TSDB_OUT_OF_ORDER]},
        {"Error on ingesting samples with different value but same timestamp", n[TSDB_DUPLICATE]},
        {"Error on ingesting samples that are too old or are too far into the future",
         n[TSDB_TOO_OLD] + n[TSDB_OUT_OF_BOUNDS] + n[TSDB_IN_FUTURE]},
    };
    for (size_t i = 0; i < countof(rows); i++)
        if (rows[i].n)
            log_warn(&p->t->scrape->lg, rows[i].text, log_str("scrape_pool", p->job->job_name),
                     log_str("target", p->t->url), log_i64("num_dropped", (int64_t)rows[i].n));
}

// Series refused at their creation are looked up again: the limits may allow them now.
static void find_refused(struct pass *p)
{
    enum { BREATH = 64 };
    size_t looked = 0;
    for (size_t i = 0; i < p->n; i++) {
        if (p->samples[i].ref)
            continue;
        p->is_same = false;
        if (!find_again(p, i) && p->samples[i].bits != VALUE_STALE_BITS &&
            tsdb_why_refused(p->t->scrape->options.db, p->refused ? NULL : &p->refusal))
            p->refused++;
        if (++looked % BREATH == 0)
            fiber_yield_if_due();
    }
}

err pass_commit(struct pass *p, struct errmsg *e)
{
    struct scrape *s = p->t->scrape;
    uint8_t *outcomes = mem_alloc(p->n);
    find_refused(p);
    uint64_t row = p->is_same && !p->foreign_n ? p->t->row : 0;
    struct tsdb_commit c = {.samples = p->samples,
                            .n = p->n,
                            .row = p->is_same && !p->foreign_n ? &row : NULL,
                            .changed = p->changed,
                            .changed_n = p->changed_n,
                            .outcomes = outcomes,
                            .max_t_ms = p->ms + SCRAPE_FUTURE_MS,
                            .window_ms = WINDOW_MS,
                            .markers_in_order = true};
    p->t->row = 0;
    const err code = tsdb_commit(s->options.db, &c, e);
    if (!code) {
        p->t->row = row;
        count_outcomes(p->t->scrape, c.counts);
        s->stats.samples += p->n + p->foreign_n;
        const bool any_gone = c.counts[TSDB_GONE] > 0;
        if (p->foreign_n)
            commit_foreign(p, 0);
        if (p->foreign_n || c.counts[TSDB_APPENDED] + c.counts[TSDB_SAME] < p->n)
            log_dropped(p, outcomes);
        if (any_gone) // which takes the samples apart
            commit_gone(p, outcomes);
    }
    mem_free(outcomes);
    return code;
}
