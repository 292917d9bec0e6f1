#include "tools/flow.h"

#include "io/backend.h"
#include "io/system.h"

enum { URING_ENTRIES = 256, FIBERS_MAX = 1024 };

struct flow {
    fiber_fn *fn;
    void *arg;
};

// Fibers are started from inside of a turn: here by the hook, which is set for that only.
static bool start_flow(void *arg)
{
    const struct flow *const flow = arg;
    fiber_start_always(LOOP_CONTROL, flow->fn, flow->arg, NULL);
    loop_set_hook(loop_current(), NULL, NULL);
    return true;
}

err flow_run(fiber_fn *fn, void *arg, struct errmsg *e)
{
    struct backend *backend = NULL;
    if (backend_uring_create(URING_ENTRIES, &backend, NULL))
        TRY(backend_poll_create(&backend, e));
    struct loop_options options = {.fibers_max = FIBERS_MAX};
    system_random(&options.seed, sizeof options.seed);
    struct loop *loop = NULL;
    TRY(loop_create(backend, &options, &loop, e));
    struct flow flow = {.fn = fn, .arg = arg};
    loop_set_hook(loop, start_flow, &flow);
    do
        (void)loop_turn(loop, -1);
    while (loop_stats(loop)->fibers_alive > 0 || loop_stats(loop)->in_flight > 0);
    loop_destroy(loop);
    helpers_stop();
    return ERR_OK;
}
