// From a histogram as it was sent to the packed one that the database takes.
#include <assert.h>
#include <stddef.h>

#include "engine/model/histogram.h"
#include "engine/remote/request.h"

// What a sender calls a histogram as one of the model; its lists are in the arena.
static struct histogram_side side_of(const struct remote_write_histogram *h, bool negative,
                                     struct arena *a)
{
    static_assert(sizeof(struct remote_write_span) == sizeof(struct histogram_span) &&
                      offsetof(struct remote_write_span, length) ==
                          offsetof(struct histogram_span, length),
                  "the same");
    const struct remote_write_side *const side = negative ? &h->negative : &h->positive;
    const size_t n = remote_write_buckets(h, side);
    struct remote_write_span *sent = arena_alloc(a, side->spans * sizeof *sent, 8);
    struct histogram_span *spans = arena_alloc(a, side->spans * sizeof *spans, 8);
    uint64_t *counts = arena_alloc(a, n * sizeof *counts, 8);
    remote_write_histogram_spans(h, negative, sent);
    remote_write_histogram_counts(h, negative, counts);
    for (size_t i = 0; i < side->spans; i++)
        spans[i] = (struct histogram_span){sent[i].offset, sent[i].length};
    return (struct histogram_side){spans, counts, side->spans, n};
}

static err pack(struct request *q, const struct remote_write_histogram *sent, struct str *out,
                struct errmsg *e)
{
    struct arena *a = &q->r->scratch;
    const struct remote_write_side *const sides[] = {&sent->negative, &sent->positive};
    for (size_t i = 0; i < 2; i++)
        if (sides[i]->spans > HISTOGRAM_BUCKETS_MAX || sides[i]->counts > HISTOGRAM_BUCKETS_MAX ||
            sides[i]->deltas > HISTOGRAM_BUCKETS_MAX || sent->custom > HISTOGRAM_BUCKETS_MAX)
            return err_set(e, ERR_INVALID, "histogram has more than %d buckets",
                           HISTOGRAM_BUCKETS_MAX);
    double *custom = arena_alloc(a, sent->custom * sizeof *custom, 8);
    remote_write_histogram_custom(sent, custom);
    struct histogram h = {
        .schema = sent->schema,
        .is_float = sent->is_float,
        .hint = sent->hint <= HISTOGRAM_HINT_GAUGE ? (enum histogram_hint)sent->hint
                                                   : HISTOGRAM_HINT_UNKNOWN,
        .zero_threshold = double_from_bits(sent->zero_threshold_bits),
        .sum = double_from_bits(sent->sum_bits),
        .count = sent->count,
        .zero_count = sent->zero_count,
        .positive = side_of(sent, false, a),
        .negative = side_of(sent, true, a),
        .custom = custom,
        .custom_n = sent->custom,
    };
    struct buf packed = {0};
    histogram_reduce(&h, a);
    const err code = histogram_pack(&h, &packed, e);
    if (code == ERR_OK)
        *out = arena_str(q->a, buf_str(&packed));
    buf_deinit(&packed);
    return code;
}

// The rank is that of the owner's next sample, which comes behind it.
static bool note_histogram(struct request *q, uint32_t series, size_t next, const char *text)
{
    faults_add(&q->faults, &(struct fault){.series = series,
                                           .rank = FAULT_RANK_ITEM + (uint32_t)next,
                                           .kind = FAULT_ITEM,
                                           .text = arena_printf(q->a, "%s", text)});
    return false;
}

// Prometheus looks at the time first. That of a valid one is judged by its owner.
static const char *text_of_bad(const struct request *q, int64_t t_ms, int64_t max_t_ms,
                               const struct errmsg *e)
{
    const int64_t newest = tsdb_newest(q->r->options.db);
    int64_t oldest;
    if (t_ms > max_t_ms)
        return "out of bounds: timestamp is too far in the future";
    if (!q->r->options.late_ms && !tsdb_out_of_order(q->r->options.db) && newest != INT64_MIN &&
        !__builtin_sub_overflow(newest, REFUSAL_WINDOW_MS, &oldest) && t_ms < oldest)
        return "out of bounds";
    return e->text;
}

bool request_put_histogram(struct request *q, const struct series_place *place, uint32_t series,
                           const struct remote_write_histogram *h)
{
    struct part *p = &q->parts[place->owner];
    struct errmsg e;
    struct str packed;
    const err code = pack(q, h, &packed, &e);
    arena_reset(&q->r->scratch);
    if (code != ERR_OK) {
        q->refused[RECEIVER_HISTOGRAM]++;
        return note_histogram(q, series, p->n, text_of_bad(q, h->time_ms, p->max_t_ms, &e));
    }
    request_use_histograms(p);
    if (h->start_ms)
        request_use_starts(p);
    *request_put(q, place->owner, series, 1) =
        (struct tsdb_sample){place->ref, h->time_ms, h->sum_bits};
    p->histograms[p->n - 1] = packed;
    if (h->start_ms)
        p->starts[p->n - 1] = h->start_ms;
    if (!place->ref)
        p->newcomers[p->newcomers_n - 1].n++;
    return true;
}
