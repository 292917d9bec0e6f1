// Runs a flow on simulated shards from its beginning to its end.
#ifndef TESTS_SIM_WORLD_SHARDS_H
#define TESTS_SIM_WORLD_SHARDS_H

#include "engine/shard/shard.h"
#include "tests/sim/world.h"

// Makes shards, runs fn(arg) as a fiber of the first one and turns until it and all it started have
// ended, which is a violation after max_ns of simulated time; then frees the shards. When there was
// a violation they are abandoned.
void world_run(struct world *w, unsigned shards_n, int64_t max_ns, fiber_fn *fn, void *arg);

#endif
