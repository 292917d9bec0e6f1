#include "engine/remote/receive.h"

#include "engine/base/mem.h"
#include "engine/remote/request_notes.h"

struct receiver *receiver_create(const struct receiver_options *options)
{
    struct receiver *r = mem_zalloc(sizeof *r);
    r->options = *options;
    r->lg = (struct logger){.component = "remote write", .sink = options->log};
    series_cache_init(&r->cache, options->series_max);
    shapes_init(&r->shapes, options->series_max);
    intake_init(&r->intake, options->decoded_bytes_max);
    arena_init(&r->scratch, 0);
    fingerprint_key_init(&r->key, tsdb_hash_seed(options->db));
    return r;
}

static void drop_spares(struct receiver *r)
{
    while (r->spares) {
        struct request *q = r->spares;
        r->spares = q->next_spare;
        request_destroy(q);
    }
    r->spares_n = 0;
    intake_shrink(&r->intake);
}

void receiver_shrink(struct receiver *r)
{
    drop_spares(r);
    series_cache_age(&r->cache);
}

void receiver_destroy(struct receiver *r)
{
    if (!r)
        return;
    drop_spares(r);
    series_cache_deinit(&r->cache);
    shapes_deinit(&r->shapes);
    intake_deinit(&r->intake);
    labels_builder_deinit(&r->builder);
    arena_deinit(&r->scratch);
    mem_free(r);
}

const struct receiver_stats *receiver_stats(const struct receiver *r)
{
    return &r->stats;
}

static void answer_line(struct http_exchange *x, int status, const char *text)
{
    http_answer_text(x, status, arena_printf(x->arena, "%s\n", text).p);
}

// In Prometheus's words, and where the good part was kept, with the series that was not.
static void answer_bad(struct request *q, uint32_t series, struct buf *text,
                       struct http_exchange *x)
{
    struct newcomer ignored;
    if (q->r->options.late_ms) {
        q->labels(q, series, &ignored);
        buf_put_str(text, STR(": "));
        labels_format_metric(labels_builder_finish(&q->r->builder, q->a), text);
    }
    buf_put_char(text, '\n');
    http_answer(x, 400, "text/plain; charset=utf-8", buf_str(text));
    buf_deinit(text);
}

// p: whose first refused sample is the request's; NULL: none is.
static bool fault_is_first(const struct request *q, const struct part *p)
{
    const struct fault *fault = q->faults.n ? &q->faults.list[0] : NULL;
    return fault &&
           (!p || fault->series < p->worst_series ||
            (fault->series == p->worst_series && fault->rank <= FAULT_RANK_ITEM + p->worst_index));
}

// The first thing that is wrong is told.
static void answer_rejected(struct request *q, const struct part *p, struct http_exchange *x)
{
    struct buf text = {0};
    if (fault_is_first(q, p)) {
        const struct fault *const fault = &q->faults.list[0];
        buf_put_str(&text, fault->text);
        answer_bad(q, fault->series, &text, x);
        return;
    }
    const struct refusal refusal = {.outcome = p->worst,
                                    .sample = p->worst_sample,
                                    .is_histogram = p->worst_is_histogram,
                                    .kept = q->r->options.late_ms ? NULL : &p->worst_kept};
    refusal_format(&refusal, &text);
    answer_bad(q, p->worst_series, &text, x);
}

static const enum receiver_sample_refusal refusal_of[TSDB_OUTCOME_COUNT] = {
    [TSDB_DUPLICATE] = RECEIVER_DUPLICATE,
    [TSDB_OUT_OF_ORDER] = RECEIVER_OUT_OF_ORDER,
    [TSDB_TOO_OLD] = RECEIVER_TOO_OLD,
    [TSDB_OUT_OF_BOUNDS] = RECEIVER_OUT_OF_BOUNDS,
    [TSDB_IN_FUTURE] = RECEIVER_IN_FUTURE};

// first: whose first refused sample is the request's; NULL: none is. Where a request is kept whole
// or not at all it ends with that one, and others that their owners refused are not counted.
static void count_refused(const struct request *q, const struct part *first)
{
    uint64_t *const refused = q->r->stats.samples_refused;
    const bool is_whole = !q->is_partial && !q->r->options.late_ms;
    for (unsigned i = 0; i < q->parts_count; i++) {
        const struct part *p = &q->parts[i];
        refused[p->refusal == TSDB_REFUSED_MEMORY ? RECEIVER_SERIES_MEMORY
                                                  : RECEIVER_SERIES_LIMIT] += p->refused;
        for (size_t k = TSDB_DUPLICATE; !is_whole && k < TSDB_GONE; k++)
            refused[refusal_of[k]] += p->counts[k];
    }
    if (!is_whole || !first || fault_is_first(q, first))
        return;
    refused[refusal_of[first->worst]]++;
    if (first->kind == TSDB_COMMIT_CHECK)
        tsdb_count_refusal(q->r->options.db, first->worst, first->worst_is_histogram);
}

// Of a request that was read to its end.
static void count_read(const struct request *q)
{
    struct receiver_stats *stats = &q->r->stats;
    stats->invalid_labels += q->invalid_labels;
    for (size_t i = 0; i < RECEIVER_SAMPLE_REFUSALS; i++)
        stats->samples_refused[i] += q->refused[i];
}

// What of a request of 2.0 is kept, and all that is wrong with it.
static void answer_partial(struct request *q, struct http_exchange *x)
{
    struct buf text = {0};
    remote_add_written(x, &q->written);
    if (q->faults.total) {
        request_format_faults(q, &text);
        http_answer(x, 400, "text/plain; charset=utf-8", buf_str(&text));
        buf_deinit(&text);
    } else {
        http_answer(x, 204, NULL, (struct str){0});
    }
}

// What was to be written, less what was not.
static void count_written(struct request *q)
{
    q->written.samples -= q->faults.samples;
    q->written.histograms -= q->faults.histograms;
    for (unsigned i = 0; i < q->parts_count; i++) {
        const struct part *p = &q->parts[i];
        q->written.samples -= p->refused - p->refused_histograms;
        q->written.histograms -= p->refused_histograms;
    }
}

static enum receiver_refusal answer(struct request *q, struct http_exchange *x)
{
    const struct part *failed = NULL, *rejected = NULL, *full = NULL;
    for (unsigned i = 0; i < q->parts_count; i++) {
        const struct part *p = &q->parts[i];
        failed = p->code && !failed ? p : failed;
        if (p->worst_series < (rejected ? rejected->worst_series : REQUEST_NONE))
            rejected = p;
        full = p->refused && !full ? p : full;
    }
    count_refused(q, rejected);
    count_written(q);
    if (failed) { // not kept: the sender tries again
        struct errmsg e = failed->e;
        if (q->is_partial)
            remote_add_written(x, &(struct remote_written){0});
        err_prefix(&e, "not kept");
        http_add_header(x, "Retry-After", STR("5"));
        http_answer_text(x, failed->code == ERR_LIMIT ? 503 : 500, e.text);
        return RECEIVER_STORAGE;
    }
    if (full) {
        http_add_header(x, "Retry-After", STR("60"));
        if (q->is_partial)
            remote_add_written(x, &q->written);
        answer_line(x, 429, full->e.text);
    } else if (q->is_partial) {
        answer_partial(q, x);
    } else if (rejected || q->faults.total) {
        answer_rejected(q, rejected, x);
    } else if (q->long_labels) {
        answer_line(x, 400, request_long_labels(q).p);
    } else {
        http_answer(x, 204, NULL, (struct str){0});
    }
    return RECEIVER_TAKEN;
}

// What a connection sends belongs together, also when it was cut and made anew: series that are new
// then join those that came before.
static uint64_t source_of(struct http_exchange *x)
{
    const uint64_t number = (uint64_t)shard_index(shard_self()) << 32 | http_peer_number(x);
    return hash64(x->peer->ip, sizeof x->peer->ip, number);
}

static enum receiver_refusal handle_body(struct receiver *r, struct http_exchange *x,
                                         enum remote_message message, struct intake_body *body)
{
    struct errmsg e;
    enum receiver_refusal why = RECEIVER_TAKEN;
    struct request *q = request_take(r, x->arena, body);
    const err code = message == REMOTE_MESSAGE_V2 ? request_walk_v2(q, &e) : request_walk_v1(q, &e);
    if (code != ERR_OK) {
        if (code == ERR_LIMIT)
            http_add_header(x, "Retry-After", STR("1"));
        answer_line(x, code == ERR_LIMIT ? 503 : 400, e.text);
        why = code == ERR_LIMIT ? RECEIVER_MEMORY : RECEIVER_MALFORMED;
    } else if (q->long_labels && !r->options.late_ms) { // all or nothing
        count_read(q);
        answer_line(x, 400, request_long_labels(q).p);
    } else {
        count_read(q);
        fiber_set_deadline(INT64_MAX); // what is under way is kept, and then answered
        request_keep(q, source_of(x));
        request_keep_exemplars(q);
        request_keep_metadata(q);
        why = answer(q, x);
    }
    request_give(q);
    return why;
}

static enum receiver_refusal refusal_of_body(err code) // of intake_read()
{
    return code == ERR_LIMIT                       ? RECEIVER_TOO_LARGE
           : code == ERR_CANCELED                  ? RECEIVER_MEMORY
           : code == ERR_IO || code == ERR_TIMEOUT ? RECEIVER_CUT
                                                   : RECEIVER_MALFORMED;
}

// Before the body is read: what cannot be kept now need not be decoded.
static bool may_take(struct receiver *r, struct http_exchange *x)
{
    if (!tsdb_is_behind(r->options.db))
        return true;
    http_add_header(x, "Retry-After", STR("5"));
    http_answer_text(x, 503,
                     "samples come faster than they are written to files; try again later\n");
    return false;
}

static enum receiver_refusal handle(struct receiver *r, struct http_exchange *x)
{
    if (!r->options.enabled) {
        http_answer_text(x, 404,
                         "remote write receiver needs to be enabled with "
                         "--web.enable-remote-write-receiver\n");
        return RECEIVER_OFF;
    }
    struct intake_body body;
    struct remote_format format;
    if (!remote_negotiate(x, r->options.messages, &format))
        return RECEIVER_FORMAT;
    if (!may_take(r, x))
        return RECEIVER_BEHIND;
    const err code = intake_read(&r->intake, x, format.encoding, &body);
    const enum receiver_refusal why =
        code ? refusal_of_body(code) : handle_body(r, x, format.message, &body);
    intake_release(&r->intake, &body);
    return why;
}

void receiver_handle(struct receiver *r, struct http_exchange *x)
{
    r->stats.requests++;
    r->stats.refused[handle(r, x)]++;
    r->stats.bytes = r->intake.bytes;
    r->stats.decoded_bytes = r->intake.decoded_bytes;
}
