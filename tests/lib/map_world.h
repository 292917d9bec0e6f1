// A database beside a naive map: what goes into one goes into the other, and every outcome and
// every answer must be the same, bit for bit. With shards, samples go to their owners and answers
// are put together; the caller is then a fiber of one shard.
#ifndef TESTS_LIB_MAP_WORLD_H
#define TESTS_LIB_MAP_WORLD_H

#include "engine/base/rng.h"
#include "engine/shard/shard.h"
#include "tests/lib/findings.h"
#include "tests/lib/sample_map.h"
#include "tests/lib/sent_rows.h"
#include "tests/lib/traffic.h"

struct map_world {
    struct tsdb *db;
    struct shards *shards; // NULL: none
    struct sample_map map;
    struct sent_rows rows; // used where there are no shards
    struct rng rng;
    int64_t start_ms; // of the traffic: random queries lie around it
    bool forms;       // samples get the forms that their bits say (tests/lib/forms.h)
    bool any_outcome; // what memory has forgotten cannot be judged as the map does
    const char *name;
    uint64_t seed;
    uint64_t counts[TSDB_OUTCOME_COUNT];
    size_t columns;            // that were compared and not empty
    size_t histograms, starts; // that were read
    struct findings *found;
};

void map_world_init(struct map_world *w, struct tsdb *db, const char *name, uint64_t seed,
                    struct findings *found);
void map_world_deinit(struct map_world *w); // leaves the database
// One commit on each owner. Suspends unless the database is in memory.
void map_world_apply(struct map_world *w, const struct traffic_batch *b);
// Random matchers and times, count of them. Suspends likewise.
void map_world_check(struct map_world *w, size_t count);
// Everything there is.
void map_world_check_all(struct map_world *w);
// A query that begins now must not see what begin..end bring.
void map_world_apply_during_query(struct map_world *w, const struct traffic_batch *begin,
                                  const struct traffic_batch *end);

#endif
