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

void receiver_destroy(struct receiver *r)
{
    if (!r)
        return;
    while (r->spares) {
        struct request *q = r->spares;
        r->spares = q->next_spare;
        request_destroy(q);
    }
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

// p: whose first refused sample is the request's; NULL: none is. The first thing that is wrong is
// told.
static void answer_rejected(struct request *q, const struct part *p, struct http_exchange *x)
{
    const struct fault *fault = q->faults.n ? &q->faults.list[0] : NULL;
    struct buf text = {0};
    if (fault &&
        (!p || fault->series < p->worst_series ||
         (fault->series == p->worst_series && fault->rank <= FAULT_RANK_ITEM + p->worst_index))) {
        buf_put_str(&text, fault->text);
        answer_bad(q, fault->series, &text, x);
        return;
    }
    const struct refusal refusal = {.outcome = p->worst,
                                    .sample = p->worst_sample,
                                    .is_future = p->worst_sample.t_ms > p->max_t_ms,
                                    .is_histogram = p->worst_is_histogram,
                                    .kept = q->r->options.late_ms ? NULL : &p->worst_kept};
    refusal_format(&refusal, &text);
    answer_bad(q, p->worst_series, &text, x);
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

static void answer(struct request *q, struct http_exchange *x)
{
    const struct part *failed = NULL, *rejected = NULL, *full = NULL;
    for (unsigned i = 0; i < q->parts_count; i++) {
        const struct part *p = &q->parts[i];
        count(q->r, p);
        failed = p->code && !failed ? p : failed;
        if (p->worst_series < (rejected ? rejected->worst_series : REQUEST_NONE))
            rejected = p;
        full = p->refused && !full ? p : full;
    }
    count_written(q);
    if (failed) { // not kept: the sender tries again
        struct errmsg e = failed->e;
        if (q->is_partial)
            remote_add_written(x, &(struct remote_written){0});
        err_prefix(&e, "not kept");
        http_add_header(x, "Retry-After", STR("5"));
        http_answer_text(x, failed->code == ERR_LIMIT ? 503 : 500, e.text);
    } else if (full) {
        http_add_header(x, "Retry-After", STR("60"));
        if (q->is_partial)
            remote_add_written(x, &q->written);
        http_answer_text(x, 429, "the limit of active series (--storage.max-series) is reached\n");
    } else if (q->is_partial) {
        answer_partial(q, x);
    } else if (rejected || q->faults.total) {
        answer_rejected(q, rejected, x);
    } else if (q->long_labels) {
        answer_line(x, 400, request_long_labels(q).p);
    } else {
        http_answer(x, 204, NULL, (struct str){0});
    }
}

// What a connection sends belongs together, also when it was cut and made anew: series that are new
// then join those that came before.
static uint64_t source_of(struct http_exchange *x)
{
    const uint64_t number = (uint64_t)shard_index(shard_self()) << 32 | http_peer_number(x);
    return hash64(x->peer->ip, sizeof x->peer->ip, number);
}

static void handle_body(struct receiver *r, struct http_exchange *x, enum remote_message message,
                        struct intake_body *body)
{
    struct errmsg e;
    struct request *q = request_take(r, x->arena, body);
    const err code = message == REMOTE_MESSAGE_V2 ? request_walk_v2(q, &e) : request_walk_v1(q, &e);
    if (code != ERR_OK) {
        if (code == ERR_LIMIT)
            http_add_header(x, "Retry-After", STR("1"));
        answer_line(x, code == ERR_LIMIT ? 503 : 400, e.text);
    } else if (q->long_labels && !r->options.late_ms) { // all or nothing
        answer_line(x, 400, request_long_labels(q).p);
    } else {
        fiber_set_deadline(INT64_MAX); // what is under way is kept, and then answered
        request_keep(q, source_of(x));
        request_keep_exemplars(q);
        request_keep_metadata(q);
        answer(q, x);
    }
    request_give(q);
}

// Before the body is read: what cannot be kept now need not be decoded.
static bool may_take(struct receiver *r, struct http_exchange *x)
{
    if (!tsdb_is_behind(r->options.db))
        return true;
    r->stats.behind++;
    http_add_header(x, "Retry-After", STR("5"));
    http_answer_text(x, 503,
                     "samples come faster than they are written to files; try again later\n");
    return false;
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
    r->stats.requests++;
    if (remote_negotiate(x, r->options.messages, &format) && may_take(r, x) &&
        intake_read(&r->intake, x, format.encoding, &body))
        handle_body(r, x, format.message, &body);
    intake_release(&r->intake, &body);
    r->stats.bytes = r->intake.bytes;
    r->stats.decoded_bytes = r->intake.decoded_bytes;
    r->stats.bodies_refused = r->intake.refused;
}
