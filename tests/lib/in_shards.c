#include "tests/lib/in_shards.h"

#include "io/backend.h"

struct flow {
    fiber_fn *fn;
    void *arg;
};

static void run_on_first(void *arg)
{
    const struct flow *flow = arg;
    if (shard_index(shard_self()) != 0)
        return;
    flow->fn(flow->arg);
    shards_stop(shard_all());
}

void in_shards(unsigned count, enum shard_backend backend, fiber_fn *fn, void *arg,
               struct findings *found)
{
    struct flow flow = {fn, arg};
    struct errmsg e = {""};
    struct shards *all = NULL;
    const struct shards_options options = {
        .count = count, .backend = backend, .loop = {.fibers_max = 2000, .seed = 7}};
    want(found, shards_create(&options, run_on_first, &flow, &all, &e) == ERR_OK, "%s", e.text);
    if (all)
        shards_destroy(all);
    helpers_stop();
}
