// The rules that Prometheus has for native histograms, in its words, and the way of finer schemas
// down to the finest that is kept.
#include <assert.h>
#include <math.h>

#include "engine/base/bits.h"
#include "engine/base/number.h"
#include "engine/model/histogram.h"

static bool is_exponential(int32_t schema)
{
    return schema >= HISTOGRAM_SCHEMA_MIN && schema <= HISTOGRAM_SCHEMA_MAX;
}

static err check_spans(const struct histogram_side *side, bool offsets_all, struct errmsg *e)
{
    uint64_t buckets = 0;
    for (size_t i = 0; i < side->spans_n; i++) {
        const struct histogram_span *s = &side->spans[i];
        if ((i > 0 || offsets_all) && s->offset < 0)
            return err_set(e, ERR_INVALID,
                           "span number %zu with offset %d: histogram has a span whose offset is "
                           "negative",
                           i + 1, s->offset);
        buckets += s->length;
    }
    if (buckets == side->counts_n)
        return ERR_OK;
    return err_set(e, ERR_INVALID,
                   "spans need %llu buckets, have %zu buckets: histogram spans specify different "
                   "number of buckets than provided",
                   (unsigned long long)buckets, side->counts_n);
}

static err check_bounds(const struct histogram *h, struct errmsg *e)
{
    double before = -INFINITY;
    for (size_t i = 0; i < h->custom_n; i++) {
        const double now = h->custom[i];
        if (isnan(now))
            return err_set(e, ERR_INVALID, "histogram custom bounds must not be NaN");
        if (i > 0 && now <= before)
            return err_set(e, ERR_INVALID,
                           "previous bound is %f and current is %f: histogram custom bounds must "
                           "be in strictly increasing order",
                           before, now);
        before = now;
    }
    if (before == INFINITY)
        return err_set(e, ERR_INVALID,
                       "last +Inf bound must not be explicitly defined: histogram custom bounds "
                       "must be finite");
    TRY(check_spans(&h->positive, true, e));
    uint64_t length = 0;
    for (size_t i = 0; i < h->positive.spans_n; i++)
        length += (uint64_t)h->positive.spans[i].offset + h->positive.spans[i].length;
    if (h->custom_n + 1 >= length)
        return ERR_OK;
    return err_set(e, ERR_INVALID,
                   "only %zu custom bounds defined which is insufficient to cover total span "
                   "length of %llu: histogram custom bounds are too few",
                   h->custom_n, (unsigned long long)length);
}

static err check_counts(const struct histogram *h, const struct histogram_side *side, uint64_t *sum,
                        struct errmsg *e)
{
    static const char why[] = "histogram has a bucket whose observation count is negative";
    for (size_t i = 0; i < side->counts_n; i++) {
        const uint64_t count = side->counts[i];
        if (h->is_float) {
            const double v = double_from_bits(count);
            char text[NUMBER_TEXT_MAX];
            if (v < 0)
                return err_set(e, ERR_INVALID,
                               "bucket number %zu has observation count of %.*s: %s", i + 1,
                               (int)number_format_g(v, text), text, why);
        } else if ((int64_t)count < 0) {
            return err_set(e, ERR_INVALID, "bucket number %zu has observation count of %lld: %s",
                           i + 1, (long long)count, why);
        } else {
            *sum += count;
        }
    }
    return ERR_OK;
}

static bool has_zero_count(const struct histogram *h)
{
    return h->is_float ? double_from_bits(h->zero_count) != 0 : h->zero_count != 0;
}

static err check_custom(const struct histogram *h, struct errmsg *e)
{
    const err result = check_bounds(h, e);
    if (result != ERR_OK)
        return err_wrap(e, result, "custom buckets");
    if (has_zero_count(h))
        return err_set(e, ERR_INVALID, "custom buckets: must have zero count of 0");
    if (h->zero_threshold != 0)
        return err_set(e, ERR_INVALID, "custom buckets: must have zero threshold of 0");
    if (h->negative.spans_n > 0)
        return err_set(e, ERR_INVALID, "custom buckets: must not have negative spans");
    if (h->negative.counts_n > 0)
        return err_set(e, ERR_INVALID, "custom buckets: must not have negative buckets");
    return ERR_OK;
}

static err check_exponential(const struct histogram *h, uint64_t *sum, struct errmsg *e)
{
    err result = check_spans(&h->positive, false, e);
    if (result != ERR_OK)
        return err_wrap(e, result, "positive side");
    result = check_spans(&h->negative, false, e);
    if (result == ERR_OK)
        result = check_counts(h, &h->negative, sum, e);
    if (result != ERR_OK)
        return err_wrap(e, result, "negative side");
    if (h->custom_n > 0)
        return err_set(e, ERR_INVALID,
                       "histogram with exponential schema must not have custom bounds");
    return ERR_OK;
}

// Integers wrap around in Prometheus as they do here.
static err check_sum(const struct histogram *h, uint64_t sum, struct errmsg *e)
{
    const bool nan = isnan(h->sum);
    if (h->is_float || (nan ? sum <= h->count : sum == h->count))
        return ERR_OK;
    return err_set(e, ERR_INVALID,
                   "%llu observations found in buckets, but the Count field is %llu: histogram's "
                   "observation count should %s",
                   (unsigned long long)sum, (unsigned long long)h->count,
                   nan ? "be at least the number of observations found in the buckets"
                       : "equal the number of observations found in the buckets (in absence of "
                         "NaN)");
}

err histogram_validate(const struct histogram *h, struct errmsg *e)
{
    uint64_t sum = h->is_float ? 0 : h->zero_count;
    if (h->schema == HISTOGRAM_SCHEMA_CUSTOM)
        TRY(check_custom(h, e));
    else if (is_exponential(h->schema))
        TRY(check_exponential(h, &sum, e));
    else
        return err_set(e, ERR_INVALID,
                       "histogram has an invalid schema, which must be between %d and %d for "
                       "exponential buckets, or %d for custom buckets, got schema %d",
                       HISTOGRAM_SCHEMA_MIN, HISTOGRAM_SCHEMA_MAX, HISTOGRAM_SCHEMA_CUSTOM,
                       h->schema);
    const err result = check_counts(h, &h->positive, &sum, e);
    if (result != ERR_OK)
        return err_wrap(e, result, "positive side");
    return check_sum(h, sum, e);
}

// ---- reduction

bool histogram_next(const struct histogram_side *side, struct histogram_iter *i)
{
    while (i->span < side->spans_n && i->in_span == side->spans[i->span].length) {
        i->span++;
        i->in_span = 0;
    }
    if (i->span == side->spans_n || i->bucket == side->counts_n)
        return false;
    size_t first = i->span; // spans without buckets move what follows them
    int64_t offset = i->bucket ? 1 : 0;
    if (i->in_span == 0) {
        while (first > 0 && side->spans[first - 1].length == 0)
            first--;
        for (size_t k = first; k <= i->span; k++)
            offset += side->spans[k].offset;
    }
    i->index += offset;
    i->count = side->counts[i->bucket++];
    i->in_span++;
    return true;
}

static uint64_t add_counts(uint64_t a, uint64_t b, bool is_float)
{
    return is_float ? bits_from_double(double_from_bits(a) + double_from_bits(b)) : a + b;
}

// Each bucket of the lower resolution covers 2^shift of the higher one, the last of them by its
// upper bound.
static void reduce_side(struct histogram_side *side, int shift, bool is_float, struct arena *a)
{
    uint64_t *counts = arena_alloc(a, (side->counts_n + 1) * sizeof *counts, _Alignof(uint64_t));
    struct histogram_span *spans =
        arena_alloc(a, (side->counts_n + 1) * sizeof *spans, _Alignof(struct histogram_span));
    size_t n = 0, spans_n = 0;
    int64_t before = 0;
    struct histogram_iter i = {0};
    while (histogram_next(side, &i)) {
        const int64_t index = ((i.index - 1) >> shift) + 1;
        if (n && index == before) {
            counts[n - 1] = add_counts(counts[n - 1], i.count, is_float);
            continue;
        }
        if (n && index == before + 1)
            spans[spans_n - 1].length++;
        else
            spans[spans_n++] =
                (struct histogram_span){(int32_t)(n ? index - before - 1 : index), 1};
        counts[n++] = i.count;
        before = index;
    }
    *side = (struct histogram_side){spans, counts, spans_n, n};
}

void histogram_reduce(struct histogram *h, struct arena *a)
{
    if (h->schema <= HISTOGRAM_SCHEMA_MAX || h->schema > HISTOGRAM_SCHEMA_KNOWN_MAX)
        return;
    const int shift = h->schema - HISTOGRAM_SCHEMA_MAX;
    reduce_side(&h->positive, shift, h->is_float, a);
    reduce_side(&h->negative, shift, h->is_float, a);
    h->schema = HISTOGRAM_SCHEMA_MAX;
}
