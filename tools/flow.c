#include "tools/flow.h"

#include "engine/shard/shard.h"
#include "io/backend.h"
#include "io/system.h"

enum { FIBERS_MAX = 16384 };

struct flow {
    fiber_fn *fn;
    void *arg;
};

static void run(void *arg)
{
    const struct flow *const flow = arg;
    flow->fn(flow->arg);
    shards_stop(shard_all());
}

err flow_run(fiber_fn *fn, void *arg, struct errmsg *e)
{
    struct flow flow = {fn, arg};
    struct shards_options options = {.count = 1, .loop = {.fibers_max = FIBERS_MAX}};
    struct shards *shards = NULL;
    system_random(&options.loop.seed, sizeof options.loop.seed);
    TRY(shards_create(&options, run, &flow, &shards, e));
    shards_destroy(shards);
    helpers_stop();
    return ERR_OK;
}
