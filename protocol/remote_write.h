// remote_write 1.0: the series of a prometheus.WriteRequest, walked where they lie.
//
// A series is checked whole before it is given out, so that the walks over its labels and samples
// cannot fail. A later series may still be bad: keep nothing before remote_write_next() has said
// that there is no more. Accepts what Prometheus's decoder accepts, with its error texts; fields of
// any order, unknown ones are skipped. Nothing is allocated.
#ifndef PROTOCOL_REMOTE_WRITE_H
#define PROTOCOL_REMOTE_WRITE_H

#include "engine/base/bits.h"
#include "protocol/remote_write_parts.h"

struct remote_write {
    const uint8_t *at, *end;
    uint64_t metadata_count; // entries seen so far
};

struct remote_write_series {
    // From the first label to the last, from the first sample to the last and so on; other fields
    // may lie between. Equal label bytes mean equal labels, so a hash of them is a key of the
    // series.
    struct str labels, samples, exemplars, histograms;
    uint32_t labels_count, samples_count, exemplars_count, histograms_count;
};

enum { REMOTE_WRITE_SAMPLE = 2 }; // its field in a TimeSeries

// At most this many bytes: counts and offsets fit 32 bits.
static const size_t REMOTE_WRITE_MAX = UINT32_MAX;

void remote_write_init(struct remote_write *w, struct str request);
// The next series; *out_more is false, and *out not set, when there is none.
err remote_write_next(struct remote_write *w, struct remote_write_series *out, bool *out_more,
                      struct errmsg *e);

// Each label as it was sent: any bytes, any order, names may repeat or be empty.
struct remote_write_labels {
    const uint8_t *at, *end;
};
static inline struct remote_write_labels remote_write_labels(const struct remote_write_series *s)
{
    const uint8_t *const p = (const uint8_t *)s->labels.p;
    return (struct remote_write_labels){p, p + s->labels.n};
}
bool remote_write_labels_next(struct remote_write_labels *i, struct str *out_name,
                              struct str *out_value);

struct remote_write_sample {
    uint64_t bits; // of the value
    int64_t time_ms;
};
struct remote_write_samples {
    const uint8_t *at, *end;
};
static inline struct remote_write_samples remote_write_samples(const struct remote_write_series *s)
{
    const uint8_t *const p = (const uint8_t *)s->samples.p;
    return (struct remote_write_samples){p, p + s->samples.n};
}
// A varint of six bytes that end at end, and behind two others; false: it is of another size.
static inline bool remote_write_time_of_six(const uint8_t *end, int64_t *out)
{
    uint64_t x = load_le64(end - 8) >> 16;
    if ((x & 0x808080808080u) != 0x008080808080u)
        return false;
    x = (x & 0x007f007f007fu) | (x & 0x7f007f007f00u) >> 1; // 14 bits of each 16
    x = (x & 0x3fffu) | (x >> 16 & 0x3fffu) << 14 | (x >> 32) << 28;
    *out = (int64_t)x;
    return true;
}

// A Sample field as every sender writes it: value, unless it is 0, timestamp, nothing else. How
// many bytes it takes with its tag, 0: it is of another form.
static inline size_t remote_write_usual_sample(const uint8_t *p, const uint8_t *end,
                                               struct remote_write_sample *out)
{
    enum { SAMPLE_TAG = REMOTE_WRITE_SAMPLE << 3 | 2, VALUE_TAG = 0x09, TIME_TAG = 0x10 };
    enum { VALUE = 9, TIME_MIN = 2, TIME_MAX = 10 }; // of nine bytes a varint has 63 bits at most
    if (end - p < 2 + TIME_MIN || p[0] != SAMPLE_TAG || p[1] > VALUE + TIME_MAX ||
        end - p - 2 < p[1] || p[1] < TIME_MIN)
        return 0;
    const uint8_t *const last = p + 1 + p[1], *at = p + 2;
    out->bits = 0;
    if (*at == VALUE_TAG && p[1] >= VALUE + TIME_MIN) {
        out->bits = load_le64(at + 1);
        at += VALUE;
    }
    if (*at++ != TIME_TAG || last - at >= TIME_MAX - 1)
        return 0;
    if (last - at == 5 && remote_write_time_of_six(last + 1, &out->time_ms))
        return (size_t)p[1] + 2;
    uint64_t time = 0;
    unsigned shift = 0;
    for (; at < last && *at >= 0x80; at++, shift += 7)
        time |= (uint64_t)(*at & 0x7f) << shift;
    if (at != last || *at >= 0x80)
        return 0;
    out->time_ms = (int64_t)(time | (uint64_t)*at << shift);
    return (size_t)p[1] + 2;
}

bool remote_write_samples_rest(struct remote_write_samples *i, struct remote_write_sample *out);
static inline bool remote_write_samples_next(struct remote_write_samples *i,
                                             struct remote_write_sample *out)
{
    const size_t usual = remote_write_usual_sample(i->at, i->end, out);
    i->at += usual;
    return usual > 0 || (i->at < i->end && remote_write_samples_rest(i, out));
}

// The TimeSeries that begins at w, if its bytes up to ready hold it whole and it has the usual tag;
// false: remote_write_next() will say, once all is there.
static inline bool remote_write_peek(const struct remote_write *w, const uint8_t *ready,
                                     struct str *out)
{
    enum { SERIES_TAG = 1 << 3 | 2, SIZE_BYTES = 3 };
    if (ready - w->at < 1 + SIZE_BYTES || w->at[0] != SERIES_TAG)
        return false;
    const uint8_t *at = w->at + 1;
    size_t size = *at & 0x7f;
    for (unsigned shift = 7; *at++ >= 0x80; shift += 7) {
        if (shift == 7 * SIZE_BYTES)
            return false;
        size |= (size_t)(*at & 0x7f) << shift;
    }
    *out = str_make((const char *)at, size);
    return size <= (size_t)(ready - at);
}

// Over pb_of(series->exemplars), pb_of(series->histograms), pb_of(request), once all was checked.
bool remote_write_exemplars_next(struct pb *i, struct remote_write_exemplar *out);
bool remote_write_histograms_next(struct pb *i, struct remote_write_histogram *out);
bool remote_write_metadata_next(struct pb *i, struct remote_write_metadata *out);

#endif
