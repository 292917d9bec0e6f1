#include "tests/sim/world_shards.h"

struct flow {
    fiber_fn *fn;
    void *arg;
    bool has_ended;
};

static void run_flow(void *arg)
{
    struct flow *flow = arg;
    if (shard_index(shard_self()) != 0)
        return;
    flow->fn(flow->arg);
    flow->has_ended = true;
}

static bool is_busy(const struct world *w)
{
    for (unsigned i = 0; i < w->backends_n; i++) {
        const struct loop_stats *s = loop_stats(w->backends[i]->backend.loop);
        if (s->fibers_alive > 0 || s->in_flight > 0)
            return true;
    }
    return false;
}

void world_run(struct world *w, unsigned shards_n, int64_t max_ns, fiber_fn *fn, void *arg)
{
    struct backend *backends[WORLD_SHARDS_MAX];
    struct flow flow = {.fn = fn, .arg = arg};
    struct shards *shards;
    struct errmsg e;
    for (unsigned i = 0; i < shards_n; i++)
        backends[i] = world_backend_create(w);
    const struct shards_options options = {
        .count = shards_n,
        .loop = {.fibers_max = 10000, .seed = rng_u64(&w->rng)},
        .sim_backends = backends,
    };
    const int64_t end_ns = w->now_ns + max_ns;
    if (shards_create(&options, run_flow, &flow, &shards, &e) != ERR_OK)
        world_violate(w, "shards: %s", e.text);
    while (!w->violation.count && (!flow.has_ended || is_busy(w))) {
        if (!world_turn(w, INT64_MAX))
            world_violate(w, "nothing will ever happen again");
        if (w->now_ns > end_ns)
            world_violate(w, "the flow does not end");
    }
    if (w->violation.count)
        return;
    if (!world_is_quiet(w))
        world_violate(w, "something is in flight or open after the end");
    shards_destroy(shards);
}
