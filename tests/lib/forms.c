#include "tests/lib/forms.h"

#include <assert.h>

#include "engine/base/hash.h"
#include "engine/base/util.h"
#include "engine/model/histogram.h"
#include "engine/model/value.h"

// Values near each other have the same: so there are runs.
static uint64_t neighbourhood(uint64_t bits, unsigned shift, uint64_t seed)
{
    const uint64_t high = bits >> shift;
    return hash64(&high, sizeof high, seed);
}

bool form_is_histogram(uint64_t bits)
{
    return bits != VALUE_STALE_BITS && neighbourhood(bits, 47, 1) % 5 == 0;
}

int64_t form_start(uint64_t bits, int64_t t_ms)
{
    const uint64_t x = neighbourhood(bits, 48, 2);
    switch (x % 8) {
    case 0:
    case 1:
    case 2:
        return 0;
    case 3:
        return t_ms; // of each sample its own
    case 4:
        return (int64_t)(x >> 8); // anything
    default:
        return 1700000000000 + (int64_t)(x % 3) * 1000;
    }
}

void form_histogram(uint64_t bits, struct buf *out)
{
    static const struct histogram_span some[] = {{-3, 2}, {1, 3}, {20, 1}}, one[] = {{0, 4}};
    static const double bounds[] = {0.1, 0.5, 1, 2.5};
    const uint64_t x = neighbourhood(bits, 49, 3), k = bits % 1000;
    uint64_t counts[6], negative[4] = {k, 0, 1, 2};
    struct histogram h = {
        .is_float = x % 2,
        .hint = (enum histogram_hint)(k % 4),
        .sum = double_from_bits(bits),
        .positive = {some, counts, countof(some), 6},
    };
    for (size_t i = 0; i < countof(counts); i++)
        counts[i] = k * (i + 1) + (bits >> (3 * i) & 7);
    if (x % 3 == 0) {
        h.schema = HISTOGRAM_SCHEMA_CUSTOM;
        h.custom = bounds;
        h.custom_n = countof(bounds);
        h.positive = (struct histogram_side){one, counts, 1, 4};
    } else {
        h.schema = (int32_t)(x % 13) - 4;
        h.zero_threshold = 0x1p-128;
        h.zero_count = k;
        h.negative = (struct histogram_side){one, negative, x % 5 ? 1 : 0, x % 5 ? 4 : 0};
    }
    h.count = h.zero_count;
    for (size_t i = 0; i < h.positive.counts_n; i++)
        h.count += counts[i];
    for (size_t i = 0; i < h.negative.counts_n; i++)
        h.count += negative[i];
    for (size_t i = 0; i < countof(counts) && h.is_float; i++)
        counts[i] = bits_from_double((double)counts[i] * 0.5);
    for (size_t i = 0; i < countof(negative) && h.is_float; i++)
        negative[i] = bits_from_double((double)negative[i]);
    if (h.is_float) {
        h.count = bits_from_double((double)h.count);
        h.zero_count = bits_from_double((double)h.zero_count);
    }
    const err code = histogram_pack(&h, out, NULL);
    assert(code == ERR_OK);
}

static struct str packed_of(uint64_t bits, struct arena *a)
{
    struct buf packed = {0};
    form_histogram(bits, &packed);
    const struct str made = arena_str(a, buf_str(&packed));
    buf_deinit(&packed);
    return made;
}

struct column form_column(const int64_t *t, const uint64_t *bits, size_t n, struct arena *a)
{
    struct str *histograms = arena_array(a, n, struct str);
    double *v = arena_array(a, n, double);
    int64_t *starts = arena_array(a, n, int64_t);
    for (size_t i = 0; i < n; i++) {
        if (form_is_histogram(bits[i]))
            histograms[i] = packed_of(bits[i], a);
        else
            memcpy(&v[i], &bits[i], sizeof v[i]);
        starts[i] = form_start(bits[i], t[i]);
    }
    return (struct column){.t = t, .v = v, .n = n, .histograms = histograms, .starts = starts};
}

void form_commit(struct tsdb_commit *c, struct arena *a)
{
    int64_t *t = arena_array(a, c->n, int64_t);
    uint64_t *bits = arena_array(a, c->n, uint64_t);
    for (size_t i = 0; i < c->n; i++) {
        t[i] = c->samples[i].t_ms;
        bits[i] = c->samples[i].bits;
    }
    const struct column formed = form_column(t, bits, c->n, a);
    c->histograms = formed.histograms;
    c->starts = formed.starts;
}

bool form_undo(struct column *c, bool thorough, struct arena *a)
{
    double *v = arena_array(a, c->n, double);
    for (size_t i = 0; i < c->n; i++) {
        uint64_t bits;
        memcpy(&bits, &c->v[i], sizeof bits);
        const bool histogram = c->histograms && c->histograms[i].p;
        if (histogram)
            bits = histogram_sum_bits(c->histograms[i]);
        if (form_is_histogram(bits) != histogram ||
            (histogram && thorough && !str_eq(c->histograms[i], packed_of(bits, a))) ||
            (c->starts ? c->starts[i] : 0) != form_start(bits, c->t[i]))
            return false;
        memcpy(&v[i], &bits, sizeof bits);
    }
    *c = (struct column){.t = c->t, .v = v, .n = c->n};
    return true;
}
