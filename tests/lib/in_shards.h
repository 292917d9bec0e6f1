// Runs a flow on shards of its own, for tests of what needs them.
#ifndef TESTS_LIB_IN_SHARDS_H
#define TESTS_LIB_IN_SHARDS_H

#include "engine/shard/shard.h"
#include "tests/lib/findings.h"

// Starts count shards, runs fn(arg) as a fiber of shard 0, stops them when it has ended.
void in_shards(unsigned count, enum shard_backend backend, fiber_fn *fn, void *arg,
               struct findings *found);

#endif
