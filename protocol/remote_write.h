// remote_write 1.0: the series of a prometheus.WriteRequest, walked where they lie.
//
// A series is checked whole before it is given out, so that the walks over its labels and samples
// cannot fail. A later series may still be bad: keep nothing before remote_write_next() has said
// that there is no more. Accepts what Prometheus's decoder accepts, with its error texts; fields of
// any order, unknown ones are skipped. Nothing is allocated.
#ifndef PROTOCOL_REMOTE_WRITE_H
#define PROTOCOL_REMOTE_WRITE_H

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
bool remote_write_samples_next(struct remote_write_samples *i, struct remote_write_sample *out);

// Over pb_of(series->exemplars), pb_of(series->histograms), pb_of(request), once all was checked.
bool remote_write_exemplars_next(struct pb *i, struct remote_write_exemplar *out);
bool remote_write_histograms_next(struct pb *i, struct remote_write_histogram *out);
bool remote_write_metadata_next(struct pb *i, struct remote_write_metadata *out);

#endif
