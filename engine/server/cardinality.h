// Counts of series and values by name, label and pair, over all shards.
#ifndef ENGINE_SERVER_CARDINALITY_H
#define ENGINE_SERVER_CARDINALITY_H

#include "engine/base/err.h"
#include "protocol/json_write.h"

struct server;
struct cardinality;

enum cardinality_list {
    CARDINALITY_NAMES,  // series by metric name
    CARDINALITY_VALUES, // values by label name
    CARDINALITY_BYTES,  // bytes of the series' labels by label name
    CARDINALITY_PAIRS,  // series by name=value
    CARDINALITY_LISTS
};

// The limit largest of each, of active series. Suspends.
err cardinality_gather(struct server *s, size_t limit, struct cardinality **out, struct errmsg *e);
void cardinality_destroy(struct cardinality *k);         // NULL is accepted
uint64_t cardinality_pairs(const struct cardinality *k); // that differ
// A list as [{"name":..,"value":..}]. Suspends.
void cardinality_put(const struct cardinality *k, enum cardinality_list list, struct json *j);

#endif
