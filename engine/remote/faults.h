// What of a request of 2.0 is not kept, and why: its answer names every item, in Prometheus's
// words and in the order of the request.
//
// Reasons are noted while the request is walked and judged, and made into text at the end, when
// series are walked once more for their labels. A bounded number is noted; the others are counted.
#ifndef ENGINE_REMOTE_FAULTS_H
#define ENGINE_REMOTE_FAULTS_H

#include "engine/base/buf.h"
#include "engine/tsdb/tsdb.h"

enum fault_kind {
    FAULT_REFS,     // references come in no pairs, or are not in the table: text says it
    FAULT_METADATA, // the same of its metadata
    FAULT_NAME,     // no metric name, an empty name, bytes that are not UTF-8
    FAULT_DUPLICATE_LABEL,
    FAULT_LONG_LABELS, // text says how long
    FAULT_EMPTY,       // neither samples nor histograms
    FAULT_ITEM,        // a sample, histogram or exemplar: text says it
    FAULT_EXEMPLAR,    // an exemplar that cannot be read: text says it
};

struct fault {
    uint32_t series, rank; // place in the request: the series, and within it
    enum fault_kind kind;
    struct str text; // in the request's arena; may be empty
};

enum { FAULTS_MAX = 1000, FAULTS_TEXT_MAX = 64 << 10 };
enum { FAULT_RANK_SERIES = 0, FAULT_RANK_ITEM = 1, FAULT_RANK_EXEMPLAR = UINT32_MAX };

struct faults {
    struct fault *list;
    size_t n, capacity, limit;
    uint64_t total;
    uint64_t samples, histograms; // that were refused by their owners
};

void faults_deinit(struct faults *f);
// Notes FAULTS_MAX more at most, from here on: for each who notes in the order of the request.
void faults_begin(struct faults *f);
void faults_add(struct faults *f, const struct fault *fault);
void faults_sort(struct faults *f);

struct kept { // what is there in place of a duplicate
    uint64_t bits;
    bool is_histogram;
};

// Prometheus's way, what is so much older than the newest of all is out of bounds.
enum { REFUSAL_WINDOW_MS = 60 * 60 * 1000 };

// Why a sample was refused, as Prometheus says it.
struct refusal {
    enum tsdb_outcome outcome;
    struct tsdb_sample sample;
    bool is_histogram;
    const struct kept *kept; // NULL: unknown
};
void refusal_format(const struct refusal *r, struct buf *out);

#endif
