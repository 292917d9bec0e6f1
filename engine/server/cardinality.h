// Counts of series and values by name, label and pair, over all shards.
#ifndef ENGINE_SERVER_CARDINALITY_H
#define ENGINE_SERVER_CARDINALITY_H

#include "engine/base/err.h"
#include "protocol/json_write.h"

struct server;
struct cardinality;

enum cardinality_list {
    CARDINALITY_NAMES,       // series by metric name
    CARDINALITY_VALUES,      // values by label name
    CARDINALITY_BYTES,       // bytes of the series' labels by label name
    CARDINALITY_PAIRS,       // series by name=value
    CARDINALITY_GROWN_NAMES, // the same of the series that came of late
    CARDINALITY_GROWN_VALUES,
    CARDINALITY_GROWN_PAIRS,
    CARDINALITY_GROWN_TARGETS, // those series by {instance="..", job=".."}
    CARDINALITY_LISTS
};

// The limit largest of each, of active series. growth_ms: how late is of late; 0: that is not
// asked. Suspends.
err cardinality_gather(struct server *s, size_t limit, int64_t growth_ms, struct cardinality **out,
                       struct errmsg *e);
void cardinality_destroy(struct cardinality *k);         // NULL is accepted
uint64_t cardinality_pairs(const struct cardinality *k); // that differ
// How many series came in how much time: at least what was asked for, in whole lists.
uint64_t cardinality_grown(const struct cardinality *k, int64_t *out_ms);
// A list as [{"name":..,"value":..}]. Suspends.
void cardinality_put(const struct cardinality *k, enum cardinality_list list, struct json *j);

#endif
