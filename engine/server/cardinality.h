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

// Suspends.
err cardinality_gather(struct server *s, struct cardinality **out, struct errmsg *e);
void cardinality_destroy(struct cardinality *k);         // NULL is accepted
uint64_t cardinality_pairs(const struct cardinality *k); // that differ
// The limit largest of a list as [{"name":..,"value":..}]. Suspends.
void cardinality_put(const struct cardinality *k, enum cardinality_list list, size_t limit,
                     struct json *j);

#endif
