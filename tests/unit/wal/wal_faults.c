#include "tests/unit/wal/wal_faults.h"

#include <stdio.h>
#include <stdlib.h>

#include "engine/base/mem.h"
#include "engine/base/util.h"
#include "io/backend.h"

struct faults {
    struct backend base, *inner;
    faults_judge_fn *judge;
    void *judge_arg;
    struct op *failed;
};

static struct faults *of(struct backend *b)
{
    return container_of(b, struct faults, base);
}

static void do_submit(struct backend *b, struct op *op)
{
    struct faults *f = of(b);
    const int32_t result = f->judge ? f->judge(f->judge_arg, op) : 0;
    if (result == 0) {
        f->inner->ops->submit(f->inner, op);
        return;
    }
    op->result = result;
    op->next = f->failed;
    f->failed = op;
}

static void do_cancel(struct backend *b, struct op *op)
{
    for (const struct op *o = of(b)->failed; o; o = o->next) {
        if (o == op)
            return;
    }
    of(b)->inner->ops->cancel(of(b)->inner, op);
}

static unsigned do_poll(struct backend *b, int64_t wait_ns)
{
    struct faults *f = of(b);
    unsigned n = 0;
    f->inner->loop = b->loop;
    while (f->failed) {
        struct op *op = f->failed;
        f->failed = op->next;
        loop_finish(b->loop, op);
        n++;
    }
    return n + f->inner->ops->poll(f->inner, n ? 0 : wait_ns);
}

static void do_wake(struct backend *b)
{
    of(b)->inner->ops->wake(of(b)->inner);
}

static int64_t do_mono_ns(struct backend *b)
{
    return of(b)->inner->ops->mono_ns(of(b)->inner);
}

static int64_t do_wall_ms(struct backend *b)
{
    return of(b)->inner->ops->wall_ms(of(b)->inner);
}

static void do_random(struct backend *b, void *p, size_t n)
{
    of(b)->inner->ops->random(of(b)->inner, p, n);
}

static void do_destroy(struct backend *b)
{
    of(b)->inner->ops->destroy(of(b)->inner);
    mem_free(of(b));
}

static const struct backend_ops ops = {
    .name = "faults",
    .submit = do_submit,
    .cancel = do_cancel,
    .poll = do_poll,
    .wake = do_wake,
    .mono_ns = do_mono_ns,
    .wall_ms = do_wall_ms,
    .random = do_random,
    .destroy = do_destroy,
};

struct flow {
    fiber_fn *fn;
    void *arg;
    bool is_started;
};

static bool start_flow(void *arg)
{
    struct flow *flow = arg;
    if (flow->is_started)
        return false;
    flow->is_started = true;
    fiber_start_always(LOOP_CONTROL, flow->fn, flow->arg, NULL);
    return true;
}

void faults_loop(faults_judge_fn *judge, void *judge_arg, fiber_fn *fn, void *arg)
{
    struct errmsg e;
    struct faults *f = mem_zalloc(sizeof *f);
    f->base.ops = &ops;
    f->judge = judge;
    f->judge_arg = judge_arg;
    struct loop *loop = NULL;
    const struct loop_options options = {.fibers_max = 1000, .seed = 1};
    if (backend_uring_create(64, &f->inner, &e) != ERR_OK &&
        backend_poll_create(&f->inner, &e) != ERR_OK) {
        fprintf(stderr, "faults_loop: %s\n", e.text);
        abort();
    }
    if (loop_create(&f->base, &options, &loop, NULL) != ERR_OK)
        abort();
    f->inner->loop = loop;
    struct flow flow = {.fn = fn, .arg = arg};
    loop_set_hook(loop, start_flow, &flow);
    do
        (void)loop_turn(loop, -1);
    while (loop_stats(loop)->fibers_alive > 0 || loop_stats(loop)->in_flight > 0);
    loop_destroy(loop);
    helpers_stop();
}
