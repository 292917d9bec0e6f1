// What shards are checked for, apart from Criterion: that cannot run under ThreadSanitizer, where
// these matter most, so check_shard runs them by itself as well.
#ifndef TESTS_UNIT_SHARD_SHARD_FLOWS_H
#define TESTS_UNIT_SHARD_SHARD_FLOWS_H

#include "engine/shard/shard.h"
#include "tests/lib/findings.h"

struct shard_flow {
    const char *name;
    unsigned shards_count;
    void (*run)(struct findings *f); // on a control fiber of shard 0
};

enum { SHARD_FLOWS = 11 };
extern const struct shard_flow shard_flows[SHARD_FLOWS];

// Starts shards, runs the flow, stops them.
void shard_flow_run(const struct shard_flow *flow, enum shard_backend backend, struct findings *f);

#endif
