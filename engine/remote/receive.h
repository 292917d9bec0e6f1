// The receiver of remote_write 1.0: requests in, samples scattered to the shards that own them.
//
// A request is decoded where its connection is. Series known by their raw bytes go straight to
// their owner as (reference, time, value); others go with their labels. One message an owner; the
// answer is given when every owner has kept its part.
#ifndef ENGINE_REMOTE_RECEIVE_H
#define ENGINE_REMOTE_RECEIVE_H

#include "engine/remote/negotiate.h"
#include "engine/tsdb/tsdb.h"

struct receiver; // of one shard

struct receiver_options {
    struct tsdb *db;
    bool enabled; // --web.enable-remote-write-receiver; otherwise every request is a 404
    // How late a sample may be. 0: Prometheus's answers, a request is kept whole or not at all.
    int64_t late_ms;
    size_t series_max; // that the cache remembers
    unsigned messages; // that are accepted, of enum remote_message
    // That are held at the same time; a request that is alone may have more.
    uint64_t decoded_bytes_max;
    const struct log_sink *log;
};

struct receiver *receiver_create(const struct receiver_options *options);
void receiver_destroy(struct receiver *r);
void receiver_shrink(struct receiver *r); // forgets what only makes it faster
// Answers a request: 204, or why not. Suspends.
void receiver_handle(struct receiver *r, struct http_exchange *x);

// Why nothing of a request was kept. Samples that are wrong are no such reason: they are counted
// each, below.
enum receiver_refusal {
    RECEIVER_TAKEN,
    RECEIVER_OFF,       // the receiver is not enabled
    RECEIVER_FORMAT,    // its type, message or encoding is not taken
    RECEIVER_TOO_LARGE, // packed
    RECEIVER_CUT,       // its body did not come whole, or not in time
    RECEIVER_MALFORMED, // it cannot be unpacked or read, or would become too large
    RECEIVER_MEMORY,    // too many bytes of bodies are held
    RECEIVER_BEHIND,    // the database is behind with its files
    RECEIVER_STORAGE,   // the database could not keep it
    RECEIVER_REFUSALS
};

// Why a sample, or a histogram, of a request that was read was not kept: each is counted once.
enum receiver_sample_refusal {
    RECEIVER_LABELS, // of its series: no name, a name twice, bad UTF-8, bad references
    RECEIVER_LONG_LABELS,
    RECEIVER_HISTOGRAM, // it is not valid
    RECEIVER_DUPLICATE,
    RECEIVER_OUT_OF_ORDER,
    RECEIVER_TOO_OLD,
    RECEIVER_OUT_OF_BOUNDS,
    RECEIVER_IN_FUTURE,
    RECEIVER_SERIES_LIMIT,  // its series would be one too many
    RECEIVER_SERIES_MEMORY, // there is no memory for its series
    RECEIVER_SAMPLE_REFUSALS
};

struct receiver_stats {
    uint64_t requests, series, samples, bytes, decoded_bytes;
    uint64_t refused[RECEIVER_REFUSALS], samples_refused[RECEIVER_SAMPLE_REFUSALS];
    uint64_t invalid_labels; // as Prometheus counts: of 1.0 series, of 2.0 their samples
    uint64_t exemplars_dropped, histograms, metadata, metadata_dropped;
    uint64_t cache_hits, cache_misses;
};
const struct receiver_stats *receiver_stats(const struct receiver *r);

#endif
