// What a query asks of storage, on one shard: series by matchers, then their samples.
//
// Implemented by engine/tsdb for the shard's own partitions, and by tests/lib/oracle.c, a naive
// map.
#ifndef ENGINE_MODEL_STORAGE_H
#define ENGINE_MODEL_STORAGE_H

#include "engine/base/arena.h"
#include "engine/base/err.h"
#include "engine/model/least.h"
#include "engine/model/matcher.h"

struct storage_series {
    struct str labels;  // in the set's arena
    uint32_t partition; // merges of partial results follow a fixed tree over these
    uint64_t handle;    // the storage's
};

// Sorted by (partition, metric name, labels): an order that only labels decide.
struct storage_set {
    struct storage_series *series;
    size_t n;
    void *pin; // the storage's: what the set and its columns look at; released with the set
};

// Samples of one series in (mint, maxt], times ascending, stale markers included. Memory of the
// arena or of the set's pin. Series that share their times may share t: the same pointer and n mean
// the same times. A sample is a float or a native histogram; a reader that knows floats alone finds
// a stale marker in its place.
struct column {
    const int64_t *t; // ms
    const double *v;  // of a histogram: the stale marker
    size_t n;
    const struct str *histograms; // packed (histogram.h); p NULL: a float. NULL: floats only
    const int64_t *starts;        // start timestamps, ms, 0: none. NULL: none
};

// What of the series that match is asked for; NULL instead: all of it. A storage may give more.
struct storage_want {
    size_t max;              // more series are ERR_LIMIT; 0: any number
    const struct str *names; // some_labels: only these are looked at
    size_t names_n;
    bool some_labels;
    bool any_order; // of the series of a partition
};

struct storage_ops {
    // Series that match all of ms and may have samples in (mint, maxt]. Suspends.
    err (*select)(void *self, const struct matcher *ms, size_t ms_count, int64_t mint, int64_t maxt,
                  const struct storage_want *want, struct arena *a, struct storage_set *out,
                  struct errmsg *e);
    // Columns of series[0..n) of a set, in that order. Suspends.
    err (*read)(void *self, const struct storage_set *set, const struct storage_series *series,
                size_t n, int64_t mint, int64_t maxt, struct arena *a, struct column *out,
                struct errmsg *e);
    void (*release)(void *self, struct storage_set *set);
    // Names, values of name, or labels of the series that match (ms_count 0: all) into out, which
    // says how many are wanted. Series are those that have a sample in (mint, maxt]; of names and
    // values a storage may give more. Suspends.
    err (*label_names)(void *self, const struct matcher *ms, size_t ms_count, int64_t mint,
                       int64_t maxt, struct least *out, struct errmsg *e);
    err (*label_values)(void *self, struct str name, const struct matcher *ms, size_t ms_count,
                        int64_t mint, int64_t maxt, struct least *out, struct errmsg *e);
    err (*series_labels)(void *self, const struct matcher *ms, size_t ms_count, int64_t mint,
                         int64_t maxt, struct least *out, struct errmsg *e);
};

struct storage {
    const struct storage_ops *ops;
    void *self; // what the ops get, on every shard: an implementation finds its shard's part itself
};

#endif
