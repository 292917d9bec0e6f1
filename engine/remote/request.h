// A remote_write request between its bytes and its answer: the samples of each owner, as
// tsdb_commit() takes them, and the series that are to be found by their labels first.
//
// A walker (request_v1.c, request_v2.c) goes through the whole request once and puts every sample
// where it belongs; nothing is kept before the end was found well formed. request_keep() then sends
// each owner its part, one message an owner.
#ifndef ENGINE_REMOTE_REQUEST_H
#define ENGINE_REMOTE_REQUEST_H

#include "engine/model/labels.h"
#include "engine/remote/faults.h"
#include "engine/remote/receive.h"
#include "engine/remote/shapes.h"
#include "engine/remote/symbols.h"
#include "engine/tsdb/tsdb_notes.h"
#include "engine/tsdb/tsdb_pressure.h"
#include "protocol/remote_write.h"
#include "simd/fingerprint.h"

struct receiver {
    struct receiver_options options;
    struct logger lg;
    struct series_cache cache;
    struct shapes shapes;
    struct intake intake;
    struct labels_builder builder;
    struct fingerprint_key key;
    struct arena scratch; // of one histogram
    struct receiver_stats stats;
    uint64_t told[1024][4]; // request_metadata.c: hashes of what senders said lately
    struct request *spares; // a list
    size_t spares_n;
};

struct newcomer {             // a series whose reference is not known
    struct hash128 raw, hash; // of the bytes as sent, of the labels
    struct str labels;
    uint64_t ref; // as soon as the owner has found it; 0: refused
    uint32_t labels_size, owner;
    uint32_t first, n; // its samples in the part
};

// What one owner gets, and what it says.
struct part {
    struct tsdb *db;
    struct tsdb_sample *samples;
    uint32_t *series; // by sample: which of the request's
    uint8_t *outcomes;
    // By sample, as tsdb_commit() has them; only where a sample of the part has one.
    struct str *histograms;
    int64_t *starts;
    struct kept *kept; // by sample, where each is judged alone
    struct newcomer *newcomers;
    size_t n, newcomers_n;
    size_t capacity, histograms_capacity, starts_capacity, kept_capacity, newcomers_capacity;
    bool has_histograms, has_starts;
    uint64_t source; // of the sender: what it sends belongs together
    enum tsdb_commit_kind kind;
    bool judges_each; // CHECK goes on behind a refused sample
    int64_t late_ms, max_t_ms;

    uint64_t counts[TSDB_OUTCOME_COUNT];
    uint64_t refused, refused_histograms; // samples of new series that were not made
    enum tsdb_refusal refusal;            // of the last of these; e says why
    enum tsdb_outcome worst;              // of the first sample that was refused
    uint32_t worst_series, worst_index;   // REQUEST_NONE: none was; of it among the samples
    struct tsdb_sample worst_sample;
    bool worst_is_histogram;
    struct kept worst_kept; // where all or nothing is kept
    err code;
    struct errmsg e;
};

enum { REQUEST_NONE = UINT32_MAX };
struct request;
struct request_v2;
// The labels of a series of the request into r->builder, and raw and labels_size of *out. Numbers
// are asked for in ascending order but for the first.
typedef void request_labels_fn(struct request *q, uint32_t series, struct newcomer *out);

struct request {
    struct receiver *r;
    struct arena *a;
    struct intake_body *body;
    struct part *parts;
    unsigned parts_count;
    size_t long_labels;            // bytes, of a series that has more than can be kept; 0: none has
    bool is_partial;               // of 2.0: what can be kept is, whatever is wrong with the rest
    struct faults faults;          // of 1.0: histograms that are none
    struct remote_written written; // what is to be kept; in the end, what is
    uint64_t samples, invalid_labels; // put so far; receiver_stats.invalid_labels
    uint64_t refused[RECEIVER_SAMPLE_REFUSALS];
    struct request_exemplar *exemplars;
    size_t exemplars_n, exemplars_capacity;
    struct tsdb_metadata *metadata;
    size_t metadata_n, metadata_capacity;
    struct request_v2 *v2;
    struct symbols symbols;    // of 2.0
    request_labels_fn *labels; // the walker's
    struct remote_write again; // request_v1.c: walked once more for labels
    uint32_t again_series;     // the next of it
    struct request *next_spare;
};

struct request *request_take(struct receiver *r, struct arena *a, struct intake_body *body);
void request_give(struct request *q);
void request_destroy(struct request *q);

// Walk a prometheus.WriteRequest and an io.prometheus.write.v2.Request, decompressing as they go.
// Suspend.
err request_walk_v1(struct request *q, struct errmsg *e);
err request_walk_v2(struct request *q, struct errmsg *e);
void request_format_faults(struct request *q, struct buf *out); // a line each
// More samples than any honest body of 32 MiB can hold, the value 0 left out.
enum { REQUEST_UNPACK_STEP = 64 * 1024, REQUEST_SAMPLES_MAX = 4 << 20 };
// Before n more samples are put: whether the request may have so many.
err request_check_samples(struct request *q, uint64_t n, struct errmsg *e);

// Room for n samples of a series, whose ref, t_ms and bits the caller sets.
struct tsdb_sample *request_put(struct request *q, uint32_t owner, uint32_t series, size_t n);
static inline struct tsdb_sample *request_put_one(struct request *q, uint32_t owner,
                                                  uint32_t series)
{
    struct part *p = &q->parts[owner];
    if (p->n == p->capacity || p->has_histograms || p->has_starts)
        return request_put(q, owner, series, 1);
    p->series[p->n] = series;
    return &p->samples[p->n++];
}
// Histograms, and start timestamps, of the part's samples from now on; those so far have none.
void request_use_histograms(struct part *p);
void request_use_starts(struct part *p);
// A histogram of a series at place. False: it is not valid, which is noted. Within a series
// histograms come behind the samples.
bool request_put_histogram(struct request *q, const struct series_place *place, uint32_t series,
                           const struct remote_write_histogram *h);
// Labels (of r->builder), hash and owner. False: no valid series, or too long (q->long_labels).
bool request_resolve(struct request *q, struct newcomer *out);
bool request_resolve_of(struct request *q, struct labels_builder *b, struct newcomer *out);
struct str request_long_labels(struct request *q); // what is said of them
// A metric name, no empty name, all UTF-8; if asked, no name twice.
bool labels_are_valid(struct labels_builder *b, bool no_duplicates);
// A series whose n samples will be put next, and any number of histograms behind them.
void request_add_newcomer(struct request *q, struct newcomer *newcomer, size_t n);
// All of the series at place is put: forgets a newcomer that has nothing.
void request_end_newcomer(struct request *q, const struct series_place *place);
// Keeps the good of it, or all of it or nothing (receiver_options.late_ms 0). Suspends.
void request_keep(struct request *q, uint64_t source);

#endif
