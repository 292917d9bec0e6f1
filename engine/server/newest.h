// The newest sample of every series that selectors match, in the order of metric names and labels.
//
// However many series there are, only a bounded number of them is in memory at a time: where too
// many match, the selectors are narrowed to some values of a label, in their order, and again.
#ifndef ENGINE_SERVER_NEWEST_H
#define ENGINE_SERVER_NEWEST_H

#include "engine/server/fan.h"

struct newest_question {
    struct storage storage;
    const struct fan_selector *selectors; // ORed
    size_t selectors_count;
    int64_t mint, maxt; // (mint, maxt]
    size_t unit_max;    // series of a shard that are held at a time; 0: a default
};

// Of a series with a name whose newest sample is no stale marker. Labels live until it returns;
// false: enough. May suspend.
typedef bool newest_fn(void *arg, struct str name, struct str labels, int64_t t_ms, double v);

// Series without a name are passed over. Suspends.
err newest_each(const struct newest_question *q, struct errmsg *e, newest_fn *fn, void *arg);

#endif
