#include "tests/lib/in_loop.h"

#include <stdio.h>
#include <stdlib.h>

#include "io/backend.h"

static struct backend *make_backend(enum in_loop_backend which)
{
    struct errmsg e;
    struct backend *b = NULL;
    static const unsigned without[IN_LOOP_BACKENDS] = {
        [IN_LOOP_URING_BARE] = URING_WITHOUT_MULTISHOT | URING_WITHOUT_MESSAGES,
        [IN_LOOP_URING_UNBUFFERED] = URING_WITHOUT_BUFFERS,
    };
    const err code = which == IN_LOOP_POLL
                         ? backend_poll_create(&b, &e)
                         : backend_uring_create_without(64, without[which], &b, &e);
    if (code != ERR_OK) {
        fprintf(stderr, "in_loop: %s\n", e.text);
        abort();
    }
    return b;
}

struct flow {
    fiber_fn *fn;
    void *arg;
};

// Fibers are started from inside of a turn: here by the hook, which is set for that only.
static bool start_flow(void *arg)
{
    const struct flow *flow = arg;
    fiber_start_always(LOOP_CONTROL, flow->fn, flow->arg, NULL);
    loop_set_hook(loop_current(), NULL, NULL);
    return true;
}

void in_loop(enum in_loop_backend backend, fiber_fn *fn, void *arg)
{
    struct loop *loop = NULL;
    const struct loop_options options = {.fibers_max = 20000, .seed = 1};
    if (loop_create(make_backend(backend), &options, &loop, NULL) != ERR_OK)
        abort();
    struct flow flow = {.fn = fn, .arg = arg};
    loop_set_hook(loop, start_flow, &flow);
    do
        (void)loop_turn(loop, -1);
    while (loop_stats(loop)->fibers_alive > 0 || loop_stats(loop)->in_flight > 0);
    loop_destroy(loop);
    helpers_stop();
}
