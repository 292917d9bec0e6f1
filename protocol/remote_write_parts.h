// What both messages of remote_write carry besides floats: native histograms and exemplars, and the
// metadata of 1.0.
//
// A part is checked whole when it is parsed, where it lies; afterwards its lists can be walked and
// copied without an error. Error texts are those of Prometheus's decoder.
#ifndef PROTOCOL_REMOTE_WRITE_PARTS_H
#define PROTOCOL_REMOTE_WRITE_PARTS_H

#include "protocol/protobuf.h"

struct remote_write_span {
    int32_t offset;
    uint32_t length;
};

struct remote_write_histogram {
    struct str message;
    // Integers, or the bits of doubles when is_float (what kind the count was sent as decides).
    uint64_t count, zero_count;
    uint64_t sum_bits, zero_threshold_bits;
    int64_t time_ms, start_ms; // start: 0 is none
    int32_t schema;
    uint32_t hint; // as sent: any number
    bool is_float;
    struct remote_write_side {
        uint32_t spans, deltas, counts; // how many were sent
    } negative, positive;
    uint32_t custom; // bounds
};

enum remote_write_version { REMOTE_WRITE_V1, REMOTE_WRITE_V2 };

err remote_write_histogram_parse(struct str message, enum remote_write_version version,
                                 struct remote_write_histogram *out, struct errmsg *e);
// How many buckets a side has: those of the histogram's kind.
static inline uint32_t remote_write_buckets(const struct remote_write_histogram *h,
                                            const struct remote_write_side *side)
{
    return h->is_float ? side->counts : side->deltas;
}
// Copies of the lists, to arrays of their sizes. Counts of buckets are absolute; those of integer
// histograms add up as Go's int64 do, below 0 is above INT64_MAX.
void remote_write_histogram_spans(const struct remote_write_histogram *h, bool negative,
                                  struct remote_write_span *out);
void remote_write_histogram_counts(const struct remote_write_histogram *h, bool negative,
                                   uint64_t *out);
void remote_write_histogram_custom(const struct remote_write_histogram *h, double *out);

struct remote_write_exemplar {
    uint64_t bits; // of the value
    int64_t time_ms;
    // From the first label to the last as in a series: labels in 1.0, references in 2.0.
    struct str labels;
    uint32_t labels_count; // of 2.0: of references
};
err remote_write_exemplar_parse(struct str message, enum remote_write_version version,
                                struct remote_write_exemplar *out, struct errmsg *e);

// Numbers of the metric types on the wire, of both messages.
enum remote_write_type {
    REMOTE_WRITE_TYPE_UNKNOWN,
    REMOTE_WRITE_TYPE_COUNTER,
    REMOTE_WRITE_TYPE_GAUGE,
    REMOTE_WRITE_TYPE_HISTOGRAM,
    REMOTE_WRITE_TYPE_GAUGEHISTOGRAM,
    REMOTE_WRITE_TYPE_SUMMARY,
    REMOTE_WRITE_TYPE_INFO,
    REMOTE_WRITE_TYPE_STATESET,
};

struct remote_write_metadata { // of 1.0
    uint32_t type;             // any number; those above mean something
    struct str family, help, unit;
};
err remote_write_metadata_parse(struct str message, struct remote_write_metadata *out,
                                struct errmsg *e);

// A Label message; names and values are any bytes.
err remote_write_label_parse(struct str message, struct str *out_name, struct str *out_value,
                             struct errmsg *e);

// Grows a region to end where these fields do; it starts with the first ones.
static inline void remote_write_extend(struct str *region, const uint8_t *start, const uint8_t *end)
{
    if (region->n == 0)
        region->p = (const char *)start;
    region->n = (size_t)((const char *)end - region->p);
}

#endif
