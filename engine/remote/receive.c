#include "engine/remote/receive.h"

#include <assert.h>

#include "engine/base/bits.h"
#include "engine/base/mem.h"
#include "engine/base/number.h"
#include "engine/base/utf8.h"
#include "engine/model/labels.h"
#include "engine/remote/intake.h"
#include "engine/remote/series_cache.h"
#include "engine/shard/shard.h"
#include "io/clock.h"
#include "protocol/remote_write.h"

enum {
    FUTURE_MS = 10 * 60 * 1000, // newer samples are out of bounds
    JUDGED_MAX = 3,             // times, while series leave the head
    WINDOW_MS = 60 * 60 * 1000, // and, Prometheus's way, those so much older than the newest of all
};

struct receiver {
    struct receiver_options options;
    struct logger lg;
    struct series_cache cache;
    struct intake intake;
    struct labels_builder builder;
    struct receiver_stats stats;
};

struct receiver *receiver_create(const struct receiver_options *options)
{
    struct receiver *r = mem_zalloc(sizeof *r);
    r->options = *options;
    r->lg = (struct logger){.component = "remote write", .sink = options->log};
    series_cache_init(&r->cache, options->series_max);
    intake_init(&r->intake, options->decoded_bytes_max);
    return r;
}

void receiver_destroy(struct receiver *r)
{
    if (!r)
        return;
    series_cache_deinit(&r->cache);
    intake_deinit(&r->intake);
    labels_builder_deinit(&r->builder);
    mem_free(r);
}

const struct receiver_stats *receiver_stats(const struct receiver *r)
{
    return &r->stats;
}

// A series of the request on its way to its owner.
struct item {
    struct remote_write_series series;
    struct hash128 raw;  // of the label bytes as sent
    uint64_t ref;        // 0: to be found by labels
    struct str labels;   // canonical; empty while ref is enough
    struct hash128 hash; // of labels
    uint32_t owner;
    bool is_gone; // ref was no longer good: not kept
};

// What one owner gets, and what it says.
struct part {
    struct tsdb *db;
    struct item **items;
    size_t n, samples_count;
    uint64_t source; // of the sender: what it sends belongs together
    enum tsdb_commit_kind kind;
    int64_t late_ms, max_t_ms;
    uint64_t counts[TSDB_OUTCOME_COUNT];
    uint64_t refused; // new series beyond the limit

    enum tsdb_outcome worst;
    struct item *worst_item; // the first of the request that was refused
    struct tsdb_sample worst_sample;
    uint64_t kept_bits; // a duplicate's other value, where all or nothing is kept
    err code;
    struct errmsg e;
};

// After the i-th of many. Suspends.
static void breathe(size_t i)
{
    if (i % 16 == 15) // a new series takes some microseconds
        fiber_yield_if_due();
}

// ---- on the owner

static size_t fill_samples(struct part *p, struct tsdb_sample *samples,
                           struct item **owners) // Suspends.
{
    size_t n = 0;
    for (size_t i = 0; i < p->n; i++) {
        struct item *item = p->items[i];
        breathe(i);
        if (!item->ref && item->labels.n)
            item->ref = tsdb_series(p->db, item->labels, item->hash, p->source);
        if (!item->ref) {
            p->refused += item->series.samples_count;
            continue;
        }
        struct remote_write_samples walk = remote_write_samples(&item->series);
        for (struct remote_write_sample s; remote_write_samples_next(&walk, &s);) {
            samples[n] = (struct tsdb_sample){item->ref, s.time_ms, s.bits};
            owners[n++] = item;
        }
    }
    return n;
}

static void judge(struct part *p, const struct tsdb_commit *c, struct item **owners)
{
    for (size_t i = 0; i < c->n; i++) {
        const enum tsdb_outcome outcome = c->outcomes[i];
        if (outcome == TSDB_GONE) {
            owners[i]->ref = 0;
            owners[i]->is_gone = true;
        } else if (outcome >= TSDB_DUPLICATE && !p->worst_item) {
            p->worst = outcome;
            p->worst_item = owners[i];
            p->worst_sample = c->samples[i];
            p->kept_bits = c->kept_bits;
        }
    }
}

static void keep_part(void *arg) // on the owner; Suspends.
{
    struct part *p = arg;
    if (!p->n)
        return;
    struct tsdb_sample *samples = mem_alloc_array(p->samples_count, sizeof *samples);
    struct item **owners = mem_alloc_array(p->samples_count, sizeof *owners);
    uint8_t *outcomes = mem_alloc(p->samples_count);
    struct tsdb_commit c = {.samples = samples,
                            .kind = p->kind,
                            .outcomes = outcomes,
                            .late_ms = p->late_ms,
                            .max_t_ms = p->max_t_ms,
                            .window_ms = p->late_ms ? 0 : WINDOW_MS};
    c.n = fill_samples(p, samples, owners);
    if (p->kind == TSDB_COMMIT_STRICT && p->refused)
        c.n = 0;
    p->code = tsdb_commit(p->db, &c, &p->e);
    if (!p->code) {
        judge(p, &c, owners);
        for (size_t i = 0; i < TSDB_OUTCOME_COUNT; i++)
            p->counts[i] += c.counts[i];
    }
    mem_free(samples);
    mem_free(owners);
    mem_free(outcomes);
}

// ---- where the connection is

// Prometheus passes over series without a name, with a label twice, or with bytes that are not
// UTF-8.
static bool is_valid(struct labels_builder *b)
{
    if (!labels_builder_get(b, LABEL_NAME).n || labels_builder_has_duplicates(b))
        return false;
    for (size_t i = 0; i < b->n; i++)
        if (!b->items[i].name.n || !utf8_is_valid(b->items[i].name) ||
            !utf8_is_valid(b->items[i].value))
            return false;
    return true;
}

// Labels, hash and owner of an item from what was sent; false: not a valid series.
static bool resolve(struct receiver *r, struct item *item, struct arena *a)
{
    struct tsdb *db = r->options.db;
    struct remote_write_labels walk = remote_write_labels(&item->series);
    labels_builder_reset(&r->builder);
    for (struct str name, value; remote_write_labels_next(&walk, &name, &value);)
        labels_builder_push(&r->builder, name, value);
    if (!is_valid(&r->builder))
        return false;
    item->labels = labels_builder_finish(&r->builder, a);
    item->hash = labels_hash(item->labels, tsdb_hash_seed(db));
    item->owner = tsdb_owner(db, tsdb_partition(db, item->labels));
    return true;
}

struct request {
    struct receiver *r;
    struct arena *a;
    struct item *items;
    size_t n, capacity;
    uint64_t source;
    enum tsdb_commit_kind kind;
    struct part *parts;
    unsigned parts_count, owners; // those that have something
    bool had_histograms;
};

static struct item *add_item(struct request *q)
{
    if (q->n == q->capacity) {
        const size_t capacity = q->capacity ? 2 * q->capacity : 512;
        struct item *items = arena_alloc(q->a, capacity * sizeof *items, _Alignof(struct item));
        if (q->n)
            memcpy(items, q->items, q->n * sizeof *items);
        q->items = items;
        q->capacity = capacity;
    }
    return &q->items[q->n++];
}

// Walks the whole request; nothing is kept before all of it has been found well formed.
static err walk(struct request *q, struct str body, struct errmsg *e)
{
    struct receiver *r = q->r;
    const uint64_t seed = tsdb_hash_seed(r->options.db);
    struct remote_write w;
    remote_write_init(&w, body);
    for (;;) {
        struct remote_write_series series;
        bool more;
        TRY(remote_write_next(&w, &series, &more, e));
        if (!more)
            break;
        r->stats.series++;
        r->stats.samples += series.samples_count;
        r->stats.exemplars_dropped += series.exemplars_count;
        r->stats.histograms_refused += series.histograms_count;
        q->had_histograms |= series.histograms_count > 0;
        if (!series.samples_count)
            continue;
        struct item *item = add_item(q);
        breathe(q->n);
        *item =
            (struct item){.series = series, .raw = hash128(series.labels.p, series.labels.n, seed)};
        struct series_place place;
        if (series_cache_get(&r->cache, item->raw, &place)) {
            item->ref = place.ref;
            item->owner = place.owner;
            r->stats.cache_hits++;
        } else if (resolve(r, item, q->a)) {
            r->stats.cache_misses++;
        } else {
            r->stats.invalid_series++;
            q->n--;
        }
    }
    r->stats.metadata_dropped += w.metadata_count;
    return ERR_OK;
}

// One list of items an owner, of those whose sample is not kept yet.
static void make_parts(struct request *q, const bool *again)
{
    struct receiver *r = q->r;
    const int64_t now_ms = clock_wall_ms();
    q->parts_count = shards_count(shard_all());
    q->parts = arena_alloc(q->a, q->parts_count * sizeof *q->parts, _Alignof(struct part));
    struct item **slots = arena_alloc(q->a, q->n * sizeof *slots, _Alignof(struct item *));
    for (unsigned i = 0; i < q->parts_count; i++)
        q->parts[i] = (struct part){.db = r->options.db,
                                    .source = q->source,
                                    .kind = q->kind,
                                    .late_ms = r->options.late_ms,
                                    .max_t_ms = now_ms + FUTURE_MS};
    for (size_t i = 0; i < q->n; i++)
        q->parts[q->items[i].owner].n += !again || again[i];
    q->owners = 0;
    for (unsigned i = 0; i < q->parts_count; slots += q->parts[i++].n)
        q->parts[i].items = slots;
    for (unsigned i = 0; i < q->parts_count; i++) {
        q->owners += q->parts[i].n > 0;
        q->parts[i].n = 0;
    }
    for (size_t i = 0; i < q->n; i++) {
        struct part *p = &q->parts[q->items[i].owner];
        breathe(i);
        if (again && !again[i])
            continue;
        p->items[p->n++] = &q->items[i];
        p->samples_count += q->items[i].series.samples_count;
    }
}

static void send_parts(struct request *q) // Suspends.
{
    uint64_t where[(SHARD_MAX + 63) / 64] = {0};
    for (unsigned i = 0; i < q->parts_count; i++)
        if (q->parts[i].n)
            where[i / 64] |= 1ull << (i % 64);
    shard_call_all(LOOP_RECEIVE, keep_part, q->parts, sizeof *q->parts, where);
}

// One verdict of both rounds.
static void merge_parts(struct part *parts, const struct part *first, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        struct part *p = &parts[i];
        for (size_t k = 0; k < TSDB_OUTCOME_COUNT; k++)
            p->counts[k] += k == TSDB_GONE ? 0 : first[i].counts[k];
        p->refused += first[i].refused;
        if (first[i].worst_item) {
            p->worst = first[i].worst;
            p->worst_item = first[i].worst_item;
            p->worst_sample = first[i].worst_sample;
        }
        if (first[i].code) {
            p->code = first[i].code;
            p->e = first[i].e;
        }
    }
}

// Series that left the head since they were remembered: once more, by their labels.
static void send_gone(struct request *q) // Suspends.
{
    bool *again = arena_alloc(q->a, q->n, 1);
    bool any = false;
    for (size_t i = 0; i < q->n; i++) {
        struct item *item = &q->items[i];
        again[i] = item->is_gone && !q->parts[item->owner].code;
        if (again[i] && !item->labels.n)
            again[i] = resolve(q->r, item, q->a);
        item->is_gone = item->is_gone && !again[i];
        any |= again[i];
    }
    if (any) {
        const struct part *first = q->parts;
        make_parts(q, again);
        send_parts(q);
        merge_parts(q->parts, first, q->parts_count);
    }
    for (size_t i = 0; i < q->n; i++) {
        struct part *p = &q->parts[q->items[i].owner];
        if (q->items[i].is_gone && !p->code)
            p->code = err_set(&p->e, ERR_LIMIT, "a series left the head meanwhile");
    }
}

static void remember(struct request *q) // Suspends.
{
    for (size_t i = 0; i < q->n; i++, breathe(i))
        if (q->items[i].ref && q->items[i].labels.n)
            series_cache_put(&q->r->cache, q->items[i].raw,
                             &(struct series_place){q->items[i].ref, q->items[i].owner});
}

static void keep_good(struct request *q) // Suspends.
{
    q->kind = TSDB_COMMIT;
    make_parts(q, NULL);
    send_parts(q);
    remember(q);
    send_gone(q);
    remember(q);
}

// Whether a judged request is not to be kept, or not yet.
static bool is_refused(const struct request *q)
{
    for (unsigned i = 0; i < q->parts_count; i++) {
        const struct part *p = &q->parts[i];
        if (p->code || p->worst_item || p->refused || p->counts[TSDB_GONE])
            return true;
    }
    return false;
}

// Those of an earlier answer will be found by their labels. False: there are none.
static bool forget_gone(struct request *q)
{
    bool any = false;
    for (size_t i = 0; i < q->n; i++) {
        struct item *item = &q->items[i];
        if (!item->is_gone || (!item->labels.n && !resolve(q->r, item, q->a)))
            continue;
        item->is_gone = false;
        any = true;
    }
    return any;
}

// Prometheus's way: a request is kept whole or not at all. Every owner judges its part before any
// keeps one; where there is but one owner, both are one step. What another request changed in
// between is treated as Prometheus does at its commit: what does not follow any more is dropped.
static void keep_whole(struct request *q) // Suspends.
{
    for (int i = 0; i < JUDGED_MAX; i++) {
        q->kind = TSDB_COMMIT_CHECK;
        make_parts(q, NULL);
        if (q->owners == 1) {
            q->kind = TSDB_COMMIT_STRICT;
            make_parts(q, NULL);
        }
        send_parts(q);
        remember(q);
        if (!forget_gone(q))
            break;
    }
    for (unsigned i = 0; i < q->parts_count; i++)
        if (q->parts[i].counts[TSDB_GONE] && !q->parts[i].code)
            q->parts[i].code =
                err_set(&q->parts[i].e, ERR_LIMIT, "a series left the head meanwhile");
    if (q->kind == TSDB_COMMIT_STRICT || is_refused(q))
        return;
    q->kind = TSDB_COMMIT_CHECKED;
    make_parts(q, NULL);
    send_parts(q);
    send_gone(q);
}

static const char *outcome_text(enum tsdb_outcome outcome)
{
    switch (outcome) {
    case TSDB_DUPLICATE:
        return "duplicate sample for timestamp";
    case TSDB_OUT_OF_ORDER:
        return "out of order sample";
    case TSDB_TOO_OLD:
        return "too old sample";
    case TSDB_OUT_OF_BOUNDS:
        return "out of bounds";
    case TSDB_APPENDED:
    case TSDB_SAME:
    case TSDB_LATE_KEPT:
    case TSDB_GONE:
    case TSDB_OUTCOME_COUNT:
        break;
    }
    return "not kept";
}

// In Prometheus's words, and where the good part was kept, with the series that was not.
static void answer_rejected(struct request *q, const struct part *p, struct http_exchange *x)
{
    const bool is_whole = q->kind != TSDB_COMMIT;
    const struct tsdb_sample *s = &p->worst_sample;
    struct buf text = {0};
    buf_put_str(&text, str_from_c(outcome_text(p->worst)));
    if (p->worst == TSDB_OUT_OF_BOUNDS && s->t_ms > p->max_t_ms)
        buf_put_str(&text, STR(": timestamp is too far in the future"));
    if (p->worst == TSDB_DUPLICATE && is_whole && s->t_ms) {
        buf_printf(&text, " %lld; overrides not allowed: existing ", (long long)s->t_ms);
        buf_put_double_g(&text, double_from_bits(p->kept_bits));
        buf_put_str(&text, STR(", new value "));
        buf_put_double_g(&text, double_from_bits(s->bits));
    }
    struct item *item = p->worst_item;
    if (!is_whole && (item->labels.n || resolve(q->r, item, q->a))) {
        buf_put_str(&text, STR(": "));
        labels_format_metric(item->labels, &text);
    }
    buf_put_str(&text, STR("\n"));
    http_answer(x, 400, "text/plain; charset=utf-8", buf_str(&text));
    buf_deinit(&text);
}

static void count(struct receiver *r, const struct part *p)
{
    r->stats.out_of_order += p->counts[TSDB_OUT_OF_ORDER];
    r->stats.duplicates += p->counts[TSDB_DUPLICATE];
    r->stats.too_old += p->counts[TSDB_TOO_OLD];
    r->stats.out_of_bounds += p->counts[TSDB_OUT_OF_BOUNDS];
    r->stats.late += p->counts[TSDB_LATE_KEPT];
    r->stats.refused += p->refused;
}

static void answer(struct request *q, struct http_exchange *x)
{
    const struct part *failed = NULL, *rejected = NULL, *full = NULL;
    for (unsigned i = 0; i < q->parts_count; i++) {
        const struct part *p = &q->parts[i];
        count(q->r, p);
        failed = p->code && !failed ? p : failed;
        if (p->worst_item && (!rejected || p->worst_item < rejected->worst_item))
            rejected = p;
        full = p->refused && !full ? p : full;
    }
    if (failed) { // not kept: the sender tries again
        struct errmsg e = failed->e;
        err_prefix(&e, "not kept");
        http_add_header(x, "Retry-After", STR("5"));
        http_answer_text(x, failed->code == ERR_LIMIT ? 503 : 500, e.text);
    } else if (full) {
        http_add_header(x, "Retry-After", STR("60"));
        http_answer_text(x, 429, "the limit of active series (--storage.max-series) is reached\n");
    } else if (rejected) {
        answer_rejected(q, rejected, x);
    } else if (q->had_histograms) {
        http_answer_text(x, 400,
                         "native histograms are not supported yet; all other samples of "
                         "the request were kept\n");
    } else {
        http_answer(x, 204, NULL, (struct str){0});
    }
}

static void answer_line(struct http_exchange *x, int status, const char *text)
{
    http_answer_text(x, status, arena_printf(x->arena, "%s\n", text).p);
}

void receiver_handle(struct receiver *r, struct http_exchange *x)
{
    if (!r->options.enabled) {
        http_answer_text(x, 404,
                         "remote write receiver needs to be enabled with "
                         "--web.enable-remote-write-receiver\n");
        return;
    }
    struct intake_body body = {0};
    struct remote_format format;
    struct errmsg e;
    r->stats.requests++;
    fiber_set_class(LOOP_RECEIVE);
    if (remote_negotiate(x, r->options.messages & REMOTE_MESSAGE_V1, &format) &&
        intake_read(&r->intake, x, format.encoding, &body)) {
        struct request q = {.r = r, .a = x->arena};
        if (walk(&q, buf_str(&body.bytes), &e) != ERR_OK) {
            answer_line(x, 400, e.text);
        } else {
            q.source = hash64(x->peer->ip, sizeof x->peer->ip, x->peer->port);
            fiber_set_deadline(INT64_MAX); // what is under way is kept, and then answered
            if (r->options.late_ms)
                keep_good(&q);
            else
                keep_whole(&q);
            answer(&q, x);
        }
    }
    fiber_set_class(LOOP_QUERY);
    intake_release(&r->intake, &body);
    r->stats.bytes = r->intake.bytes;
    r->stats.decoded_bytes = r->intake.decoded_bytes;
    r->stats.bodies_refused = r->intake.refused;
}
