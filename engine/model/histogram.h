// A native histogram as a value: integer or float, exponential (schemas -4 to 8) or custom buckets
// (schema -53), as the native histogram specification of Prometheus defines them.
//
// What is kept and handed on is the packed form, bytes that histogram_pack() has checked. It is
// canonical: spans without buckets and spans that touch are joined, so two histograms are the same
// exactly when their packed bytes are, but for the hint. histogram.c describes it.
#ifndef ENGINE_MODEL_HISTOGRAM_H
#define ENGINE_MODEL_HISTOGRAM_H

#include "engine/base/arena.h"
#include "engine/base/buf.h"
#include "engine/base/err.h"

enum {
    HISTOGRAM_SCHEMA_MIN = -4,
    HISTOGRAM_SCHEMA_MAX = 8,
    HISTOGRAM_SCHEMA_CUSTOM = -53,
    HISTOGRAM_SCHEMA_KNOWN_MIN = -9, // accepted by receivers that reduce to the range above
    HISTOGRAM_SCHEMA_KNOWN_MAX = 52,
    HISTOGRAM_BUCKETS_MAX = 16384, // of both signs, and of custom bounds
    HISTOGRAM_PACKED_MAX = 1 << 19,
};

enum histogram_hint { // about a counter reset since the sample before; numbers as on the wire
    HISTOGRAM_HINT_UNKNOWN,
    HISTOGRAM_HINT_RESET,
    HISTOGRAM_HINT_NO_RESET,
    HISTOGRAM_HINT_GAUGE,
};

struct histogram_span {
    int32_t offset; // from the end of the span before; of the first: its index
    uint32_t length;
};

struct histogram_side { // the positive or the negative buckets
    const struct histogram_span *spans;
    const uint64_t *counts; // by bucket; absolute, not differences
    size_t spans_n, counts_n;
};

// Counts are integers, or the bits of doubles when is_float.
struct histogram {
    int32_t schema;
    bool is_float;
    enum histogram_hint hint;
    double zero_threshold, sum; // sum: every bit counts; the stale marker ends the series
    uint64_t count, zero_count;
    struct histogram_side positive, negative;
    const double *custom; // upper bounds of custom buckets, the last one (+Inf) left out
    size_t custom_n;
};

// Prometheus's rules and words. An integer bucket above INT64_MAX is one below 0.
err histogram_validate(const struct histogram *h, struct errmsg *e);
// Brings a schema of 9 to 52 down to 8; counts and spans are then in the arena. Others stay.
void histogram_reduce(struct histogram *h, struct arena *a);
// Validates, appends the packed form. ERR_INVALID: a rule is broken; ERR_LIMIT: more buckets than
// HISTOGRAM_BUCKETS_MAX.
err histogram_pack(const struct histogram *h, struct buf *out, struct errmsg *e);
// The reverse, in the arena. False: these bytes are no packed histogram.
bool histogram_unpack(struct str packed, struct arena *a, struct histogram *out);
// Without an arena: whether these bytes are one.
bool histogram_is_packed(struct str packed);

// The packed form is the layout (schema, threshold, spans, bounds; whether float), the hint and
// the cells: count, zero count, bits of the sum, counts of negative, then positive buckets. The
// following take what histogram_is_packed() accepts.
enum { HISTOGRAM_CELL_COUNT, HISTOGRAM_CELL_ZERO, HISTOGRAM_CELL_SUM, HISTOGRAM_CELL_BUCKETS };
enum { HISTOGRAM_CELLS_MAX = HISTOGRAM_CELL_BUCKETS + HISTOGRAM_BUCKETS_MAX };
struct str histogram_layout(struct str packed);
bool histogram_layout_is_float(struct str layout);
size_t histogram_layout_cells(struct str layout); // how many; 0: these bytes are no layout
enum histogram_hint histogram_hint(struct str packed);
uint64_t histogram_sum_bits(struct str packed);
void histogram_cells(struct str packed, uint64_t *cells); // room for histogram_layout_cells()
// Appends the packed form of these parts; cells as histogram_cells() gives them.
void histogram_join(struct str layout, enum histogram_hint hint, const uint64_t *cells,
                    struct buf *out);
bool histogram_same(struct str a, struct str b); // but for the hint
bool histogram_is_stale(struct str packed);

// Buckets of a side: for (i = {0}; histogram_next(side, &i);) index and count.
struct histogram_iter {
    size_t span, bucket;
    uint32_t in_span;
    int64_t index; // of the bucket, within the schema
    uint64_t count;
};
bool histogram_next(const struct histogram_side *side, struct histogram_iter *i);

#endif
