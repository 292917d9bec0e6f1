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
// Answers a request: 204, or why not. Suspends.
void receiver_handle(struct receiver *r, struct http_exchange *x);

struct receiver_stats {
    uint64_t requests, series, samples, bytes, decoded_bytes;
    uint64_t bodies_refused; // too many decoded bytes were held
    uint64_t behind;         // refused because the database is behind with its files
    uint64_t invalid_series; // passed over: no name, a name twice, bad UTF-8
    uint64_t out_of_order, duplicates, too_old, out_of_bounds, late, refused;
    uint64_t exemplars_dropped, histograms, metadata, metadata_dropped;
    uint64_t cache_hits, cache_misses;
};
const struct receiver_stats *receiver_stats(const struct receiver *r);

#endif
