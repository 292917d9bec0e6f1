// Traffic as real senders make it, in its awkward shapes, from a seed: what the head, the simulator
// and the end-to-end tests are fed with.
//
// A traffic is a list of batches; a batch is what one scrape or one request brings. The same seed,
// start and rounds give the same batches.
#ifndef TESTS_LIB_TRAFFIC_H
#define TESTS_LIB_TRAFFIC_H

#include <stdint.h>

#include "engine/base/arena.h"

enum traffic_shape {
    TRAFFIC_SCRAPES,        // whole scrapes, series that come and go with stale markers
    TRAFFIC_UNSTABLE_ORDER, // the same in an order of its own each time
    TRAFFIC_CONNECTIONS,    // split over eight senders by series, resharded, one sender far behind
    TRAFFIC_RETRIES,        // batches sent again, whole, cut or with other values
    TRAFFIC_LATE_BLOCKS,    // blocks of time in disorder, some too old
    TRAFFIC_LONG_SERIES,    // many samples of few series in a batch
    TRAFFIC_TWICE,          // the same series twice in a row, equal and different
    TRAFFIC_ENDPOINTS,      // four endpoints under one instance
    TRAFFIC_HA_PAIR,        // two replicas, with and without a label that tells them apart
    TRAFFIC_NOWHERE,        // no job, no instance
    TRAFFIC_FEDERATION,     // many targets sorted by metric name, times of their own
    TRAFFIC_CONTAINERS,     // groups within a target that have times of their own, repeats
    TRAFFIC_ROLLOUTS,       // pods of five series that replace each other
    TRAFFIC_RULES,          // rule outputs over all targets
    TRAFFIC_SHAPE_COUNT,
    // Larger ones, for who has the time.
    TRAFFIC_LARGE_FEDERATION = TRAFFIC_SHAPE_COUNT, // a thousand targets
    TRAFFIC_LAGGING, // eight senders, one of them 12,000 samples behind; scrapes a second apart
    TRAFFIC_ALL_COUNT,
};

struct traffic_sample {
    struct str labels; // encoded as engine/model/labels.h has it
    int64_t t_ms;
    uint64_t bits;
};

struct traffic_batch {
    const struct traffic_sample *samples;
    size_t n;
    uint64_t source;
    int64_t late_ms; // what its sender is allowed
};

struct traffic {
    struct traffic_batch *batches;
    size_t n, capacity;
    struct arena arena;
};

const char *traffic_shape_name(enum traffic_shape shape);
// rounds: scrapes of each target, 15 s apart, from t_ms on.
void traffic_init(struct traffic *t, enum traffic_shape shape, uint64_t seed, int64_t t_ms,
                  size_t rounds);
void traffic_deinit(struct traffic *t);

#endif
