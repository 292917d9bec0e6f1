// The walk over a prometheus.WriteRequest.
//
// Bodies are decompressed some kilobytes ahead of the walk. A series that the sender sent after
// the same one before is recognised by its label bytes alone: the cache says which series is
// expected next and how many bytes its labels have; if their fingerprint is the expected one, the
// labels need not be walked nor looked up. Others are walked, looked up in batches whose memory is
// fetched ahead, and only what nobody knows is resolved by its labels. A series of many bytes would
// take longer than a turn may: it is read, and its labels are sorted, on a helper thread.
#include <assert.h>

#include "engine/base/util.h"
#include "engine/remote/request_notes.h"
#include "simd/simd.h"

enum {
    BATCH = 32,
    AHEAD_BYTES = 16 * 1024,
    MISSES_MAX = 8,
    RETRY = 16,
    APART_BYTES = 64 * 1024, // a series of more is no common one
    SAMPLES_AT_ONCE = 4096
};

struct seen {               // a series of a batch
    const uint8_t *guessed; // its field; NULL: it was not guessed where its labels end
    struct remote_write_series series;
    struct hash128 raw;
    struct series_place place; // ref 0: not known yet
    uint32_t number;
    bool is_single;                   // one sample and nothing else, which is
    struct remote_write_sample first; // this one
};

struct walk {
    struct request *q;
    struct remote_write w;
    const uint8_t *begin;
    uint32_t numbers;  // of series so far
    uint64_t expected; // number in the cache
    unsigned misses;   // series since the last that was the expected one
    struct seen seen[BATCH];
    unsigned n;
};

static const uint8_t *ready_end(const struct walk *k)
{
    return k->begin + k->q->body->bytes.n;
}

static err unpack_to(struct walk *k, size_t size, struct errmsg *e)
{
    return intake_unpack(&k->q->r->intake, k->q->body, size, e);
}

// Everything: what comes next is no common series, or goes beyond what is there. Suspends.
static err unpack_rest(struct walk *k, struct errmsg *e)
{
    const struct intake_body *body = k->q->body;
    while (body->bytes.n < body->size) {
        TRY(unpack_to(k, body->bytes.n + 4 * (size_t)AHEAD_BYTES, e));
        fiber_yield_if_due();
    }
    return unpack_to(k, body->size, e);
}

// Whether the message is the series of entry with nothing but samples behind its labels.
static bool take_expected(struct walk *k, struct str message,
                          const struct series_cache_entry *entry)
{
    struct seen *s = &k->seen[k->n];
    const uint8_t *const p = (const uint8_t *)message.p;
    const size_t labels = entry->place.labels_size;
    uint32_t samples = 0;
    if (!labels || message.n <= labels)
        return false;
    for (const uint8_t *at = p + labels; at < p + message.n; samples++) {
        const size_t size = remote_write_usual_sample(at, p + message.n, &s->first);
        if (!size)
            return false;
        at += size;
    }
    const struct hash128 raw = simd.fingerprint(p, labels, &k->q->r->key);
    if (!hash128_eq(raw, entry->key))
        return false;
    s->raw = raw;
    s->guessed = NULL;
    s->place = entry->place;
    s->series.labels = str_until(message, labels);
    s->series.samples = str_from(message, labels);
    s->series.samples_count = samples;
    s->series.histograms_count = s->series.exemplars_count = 0;
    s->is_single = samples == 1;
    s->number = k->numbers++;
    k->n++;
    return true;
}

// The expected series, or the one behind it: a series may have ended.
static bool take_known(struct walk *k, struct str message)
{
    struct series_cache *cache = &k->q->r->cache;
    if (++k->misses > MISSES_MAX && k->misses % RETRY)
        return false; // it shuffles
    for (uint64_t i = 0; i < 2 && k->expected != SERIES_CACHE_NONE; i++) {
        const struct series_cache_entry *entry = series_cache_at(cache, k->expected + i);
        if (!entry || !take_expected(k, message, entry))
            continue;
        series_cache_use(cache, k->expected + i);
        k->expected += i + 1;
        k->misses = 0;
        k->q->r->stats.cache_hits++;
        return true;
    }
    return false;
}

// Nearly all messages end with a sample of one of two sizes. If what stands before it is the labels
// of a series that is known, byte for byte, it was walked when it became known.
static bool take_guessed(struct walk *k, struct str message)
{
    static const size_t sizes[] = {18, 9}; // times of this century; the latter of the value 0
    struct seen *s = &k->seen[k->n];
    const uint8_t *const end = (const uint8_t *)message.p + message.n;
    for (size_t i = 0; i < countof(sizes); i++) {
        struct remote_write_sample sample;
        if (message.n <= sizes[i] ||
            remote_write_usual_sample(end - sizes[i], end, &sample) != sizes[i])
            continue;
        *s = (struct seen){
            .guessed = k->w.at, .number = k->numbers++, .is_single = true, .first = sample};
        s->series.labels = str_until(message, message.n - sizes[i]);
        s->series.samples = str_from(message, message.n - sizes[i]);
        s->series.samples_count = 1;
        s->place.labels_size = (uint32_t)s->series.labels.n;
        s->raw = simd.fingerprint(message.p, s->series.labels.n, &k->q->r->key);
        series_cache_prefetch(&k->q->r->cache, s->raw);
        k->n++;
        return true;
    }
    return false;
}

static void count(struct request *q, const struct remote_write_series *s)
{
    struct receiver_stats *stats = &q->r->stats;
    stats->histograms += s->histograms_count;
}

static bool has_samples(const struct remote_write_series *s)
{
    return s->samples_count > 0 || s->histograms_count > 0 || s->exemplars_count > 0;
}

struct reading {
    struct op op;
    struct request *q;
    struct remote_write w;
    struct seen *s;
    bool more;
    err code;
    struct errmsg e;
};

static void read_series(struct op *op)
{
    struct reading *r = container_of(op, struct reading, op);
    struct seen *s = r->s;
    r->code = remote_write_next(&r->w, &s->series, &r->more, &r->e);
    if (r->code == ERR_OK && r->more)
        s->raw = simd.fingerprint(s->series.labels.p, s->series.labels.n, &r->q->r->key);
}

static err run_apart(struct op *op, struct errmsg *e)
{
    if (fiber_await(op) >= 0)
        return ERR_OK;
    return err_set(e, fiber_status(), "the request was told to end");
}

// The next series in any form, but for its number. Suspends.
static err parse(struct request *q, struct remote_write *w, struct seen *s, bool *out_more,
                 struct errmsg *e)
{
    const uint8_t *const before = w->at;
    struct str next;
    struct reading r = {
        .op = {.kind = OP_WORK, .work = read_series}, .q = q, .w = *w, .s = s, .more = true};
    if (w->end - w->at <= APART_BYTES ||
        (remote_write_peek(w, w->end, &next) && next.n <= APART_BYTES))
        read_series(&r.op);
    else
        TRY(run_apart(&r.op, e));
    if (r.code && e)
        *e = r.e;
    TRY(r.code);
    *w = r.w;
    *out_more = r.more;
    if (!*out_more)
        return ERR_OK;
    count(q, &s->series);
    s->guessed = NULL;
    s->is_single = false;
    s->place = (struct series_place){0};
    // Whether the labels are one piece at the start of the message, which began close before.
    const struct remote_write again = {.at = before, .end = w->end};
    struct str message;
    if (remote_write_peek(&again, w->at, &message) && message.p == s->series.labels.p &&
        s->series.samples.p >= s->series.labels.p + s->series.labels.n &&
        !s->series.exemplars_count && !s->series.histograms_count)
        s->place.labels_size = (uint32_t)s->series.labels.n;
    return ERR_OK;
}

// Suspends.
static err take_any(struct walk *k, bool *out_more, struct errmsg *e)
{
    struct seen *s = &k->seen[k->n];
    TRY(parse(k->q, &k->w, s, out_more, e));
    if (!*out_more)
        return ERR_OK;
    s->number = k->numbers++;
    series_cache_prefetch(&k->q->r->cache, s->raw);
    if (has_samples(&s->series))
        k->n++;
    else
        fiber_yield_if_due(); // these fill no batch
    return ERR_OK;
}

// Up to a batch of series; *out_more: there is more behind them. Suspends.
static err fill_batch(struct walk *k, bool *out_more, struct errmsg *e)
{
    const struct intake_body *body = k->q->body;
    *out_more = true;
    for (k->n = 0; k->n < BATCH && *out_more;) {
        struct str message;
        if (remote_write_peek(&k->w, ready_end(k), &message)) {
            if (message.n > APART_BYTES) {
                TRY(take_any(k, out_more, e));
                continue;
            }
            if (take_known(k, message) || take_guessed(k, message)) {
                k->w.at = (const uint8_t *)message.p + message.n;
                if (k->numbers == 1)
                    break; // looked up at once: then it is known what to expect
                continue;
            }
        } else if (body->bytes.n < body->size) {
            if ((size_t)(ready_end(k) - k->w.at) < AHEAD_BYTES)
                TRY(unpack_to(k, body->bytes.n + AHEAD_BYTES, e));
            else
                TRY(unpack_rest(k, e));
            continue;
        }
        TRY(take_any(k, out_more, e));
    }
    return ERR_OK;
}

static void load_into(struct labels_builder *b, const struct remote_write_series *s)
{
    struct remote_write_labels i = remote_write_labels(s);
    labels_builder_reset(b);
    for (struct str name, value; remote_write_labels_next(&i, &name, &value);)
        labels_builder_push(b, name, value);
}

static void load_labels(struct request *q, const struct remote_write_series *s)
{
    load_into(&q->r->builder, s);
}

struct resolving {
    struct op op;
    struct request *q;
    const struct remote_write_series *series;
    struct newcomer *newcomer;
    bool is_valid;
};

static void resolve_many_labels(struct op *op)
{
    struct resolving *r = container_of(op, struct resolving, op);
    struct labels_builder b = {0};
    load_into(&b, r->series);
    r->is_valid = request_resolve_of(r->q, &b, r->newcomer);
    labels_builder_deinit(&b);
}

// By its labels; *out_valid is false when they are none. Suspends.
static err resolve(struct request *q, const struct remote_write_series *s, struct newcomer *out,
                   bool *out_valid, struct errmsg *e)
{
    struct resolving r = {
        .op = {.kind = OP_WORK, .work = resolve_many_labels}, .q = q, .series = s, .newcomer = out};
    if (s->labels.n > APART_BYTES) {
        TRY(run_apart(&r.op, e));
        *out_valid = r.is_valid;
        return ERR_OK;
    }
    load_labels(q, s);
    *out_valid = request_resolve(q, out);
    return ERR_OK;
}

// Its place by the cache; false: it is not there.
static bool look_up(struct walk *k, struct seen *s)
{
    struct receiver *r = k->q->r;
    struct series_place place;
    const uint64_t number = series_cache_find(&r->cache, s->raw, &place);
    if (number == SERIES_CACHE_NONE || (s->guessed && place.labels_size != s->series.labels.n))
        return false;
    s->place = place;
    k->expected = number + 1;
    r->stats.cache_hits++;
    return true;
}

// Its place, by the cache or by its labels; *out_found is false when it is not valid and passed
// over, or has no samples. Suspends.
static err find(struct walk *k, struct seen *s, bool *out_found, struct errmsg *e)
{
    struct receiver *r = k->q->r;
    *out_found = true;
    if (look_up(k, s))
        return ERR_OK;
    if (s->guessed) {
        struct remote_write w = {.at = s->guessed, .end = k->w.end};
        bool more;
        TRY(parse(k->q, &w, s, &more, e));
        assert(more);
        *out_found = has_samples(&s->series);
        if (!*out_found || look_up(k, s))
            return ERR_OK;
    }
    struct newcomer newcomer = {.raw = s->raw, .labels_size = s->place.labels_size};
    const size_t long_labels = k->q->long_labels;
    k->q->long_labels = 0;
    TRY(resolve(k->q, &s->series, &newcomer, out_found, e));
    if (!*out_found) {
        k->q->invalid_labels++;
        k->q->refused[k->q->long_labels ? RECEIVER_LONG_LABELS : RECEIVER_LABELS] +=
            (uint64_t)s->series.samples_count + s->series.histograms_count;
    }
    if (!k->q->long_labels)
        k->q->long_labels = long_labels;
    if (!*out_found)
        return ERR_OK;
    r->stats.cache_misses++;
    request_add_newcomer(k->q, &newcomer, s->series.samples_count);
    s->place = (struct series_place){.owner = newcomer.owner};
    return ERR_OK;
}

static void put_histograms(struct request *q, const struct seen *s)
{
    struct remote_write_histogram h;
    for (struct pb i = pb_of(s->series.histograms); remote_write_histograms_next(&i, &h);)
        request_put_histogram(q, &s->place, s->number, &h);
}

static void put_exemplars(struct request *q, const struct seen *s)
{
    struct remote_write_exemplar sent;
    struct labels_builder *b = &q->r->builder;
    load_labels(q, &s->series);
    const struct str labels = labels_builder_finish(b, q->a);
    for (struct pb i = pb_of(s->series.exemplars); remote_write_exemplars_next(&i, &sent);) {
        const struct pb in = pb_of(sent.labels);
        struct remote_write_labels own = {in.at, in.end};
        labels_builder_reset(b);
        for (struct str name, value; remote_write_labels_next(&own, &name, &value);)
            labels_builder_push(b, name, value);
        const struct str encoded = labels_builder_finish(b, q->a);
        request_put_exemplar(
            q, s->number, &(struct tsdb_exemplar){labels, encoded, sent.time_ms, sent.bits, false});
    }
}

// Suspends.
static err put_batch(struct walk *k, struct errmsg *e)
{
    struct receiver_stats *stats = &k->q->r->stats;
    for (unsigned i = 0; i < k->n; i++)
        if (!k->seen[i].place.ref)
            series_cache_prefetch_entry(&k->q->r->cache, k->seen[i].raw);
    for (unsigned i = 0; i < k->n; i++) {
        struct seen *s = &k->seen[i];
        bool found = true;
        if (!s->place.ref)
            TRY(find(k, s, &found, e));
        const uint32_t n = s->series.samples_count;
        stats->samples += n;
        if (!found)
            continue;
        TRY(request_check_samples(k->q, (uint64_t)n + s->series.histograms_count, e));
        if (s->is_single) {
            *request_put_one(k->q, s->place.owner, s->number) =
                (struct tsdb_sample){s->place.ref, s->first.time_ms, s->first.bits};
            continue;
        }
        struct tsdb_sample *to = request_put(k->q, s->place.owner, s->number, n);
        struct remote_write_samples walk = remote_write_samples(&s->series);
        struct remote_write_sample x;
        for (uint32_t at = 0; remote_write_samples_next(&walk, &x); to++) {
            *to = (struct tsdb_sample){s->place.ref, x.time_ms, x.bits};
            if (++at % SAMPLES_AT_ONCE == 0)
                fiber_yield_if_due();
        }
        if (s->series.histograms_count)
            put_histograms(k->q, s);
        request_end_newcomer(k->q, &s->place);
        if (s->series.exemplars_count)
            put_exemplars(k->q, s);
    }
    return ERR_OK;
}

static void labels_of(struct request *q, uint32_t series, struct newcomer *out)
{
    struct remote_write_series s;
    bool more = true;
    if (!q->again.at || series < q->again_series) {
        remote_write_init(&q->again, buf_str(&q->body->bytes));
        q->again_series = 0;
    }
    for (bool found = false; !found; q->again_series++) {
        const err code = remote_write_next(&q->again, &s, &more, NULL);
        assert(code == ERR_OK && more);
        found = q->again_series == series;
    }
    load_labels(q, &s);
    *out = (struct newcomer){.raw = simd.fingerprint(s.labels.p, s.labels.n, &q->r->key)};
}

static void put_metadata(struct request *q, uint64_t n)
{
    struct remote_write_metadata m;
    struct pb i = pb_of(buf_str(&q->body->bytes));
    while (n && remote_write_metadata_next(&i, &m)) {
        const uint32_t type = m.type <= REMOTE_WRITE_TYPE_STATESET ? m.type : 0;
        uint64_t hash = hash64(m.family.p, m.family.n, type);
        hash = hash64(m.help.p, m.help.n, hash);
        hash = hash64(m.unit.p, m.unit.n, hash);
        request_put_metadata(q, hash,
                             &(struct tsdb_metadata){m.family, m.help, m.unit, (uint8_t)type});
        fiber_yield_if_due();
    }
}

err request_walk_v1(struct request *q, struct errmsg *e)
{
    const struct intake_body *body = q->body;
    struct walk k = {.q = q, .begin = (const uint8_t *)body->bytes.p};
    q->labels = labels_of;
    faults_begin(&q->faults);
    remote_write_init(&k.w, str_make(body->bytes.p, body->size));
    k.expected = SERIES_CACHE_NONE;
    for (bool more = true; more;) {
        if (body->bytes.n < body->size && (size_t)(ready_end(&k) - k.w.at) < AHEAD_BYTES / 2)
            TRY(unpack_to(&k, body->bytes.n + AHEAD_BYTES, e));
        err code = fill_batch(&k, &more, e);
        if (code == ERR_OK)
            code = put_batch(&k, e);
        if (code != ERR_OK) { // what is wrong with the packing goes first
            TRY(unpack_rest(&k, e));
            return code;
        }
        fiber_yield_if_due();
    }
    q->r->stats.series += k.numbers;
    TRY(unpack_rest(&k, e));
    put_metadata(q, k.w.metadata_count);
    return ERR_OK;
}
