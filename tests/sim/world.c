#include "tests/sim/world.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "engine/base/mem.h"
#include "io/loop.h"
#include "tests/sim/world_state.h"

static const int64_t US = 1000, MS = 1000 * 1000;
static const int64_t start_ns = 1000 * 1000 * 1000LL;
static const int64_t start_wall_ms = 1700000000000;

// Present only where leaks are looked for.
extern void __lsan_disable(void) __attribute__((weak));
extern void __lsan_enable(void) __attribute__((weak));

void world_leaks_begin(void)
{
    if (__lsan_disable)
        __lsan_disable();
}

void world_leaks_end(void)
{
    if (__lsan_enable)
        __lsan_enable();
}

void world_violate(struct world *w, const char *format, ...)
{
    struct world_violation *v = &w->violation;
    if (v->count++ > 0)
        return;
    const int n =
        snprintf(v->text, sizeof v->text, "at %lld.%03lld s: ", (long long)(w->now_ns / 1000000000),
                 (long long)(w->now_ns / 1000000 % 1000));
    va_list args;
    va_start(args, format);
    vsnprintf(v->text + n, sizeof v->text - (size_t)n, format, args);
    va_end(args);
}

struct world *world_create(uint64_t seed)
{
    struct world *w = mem_zalloc(sizeof *w);
    w->seed = seed;
    rng_init(&w->rng, seed);
    rng_init(&w->secrets, ~seed);
    faults_init(&w->faults, rng_u64(&w->rng));
    w->disk = disk_create(&w->faults);
    network_init(&w->network, &w->faults);
    w->now_ns = start_ns;
    w->wall_offset_ms = start_wall_ms;
    w->look_ns = 50 + (int64_t)rng_below(&w->rng, 1000ull << rng_below(&w->rng, 7));
    w->delay_ns = 10 * US + (int64_t)rng_below(&w->rng, 2000) * US;
    return w;
}

void world_destroy(struct world *w)
{
    assert(w->backends_n == 0);
    network_deinit(&w->network);
    disk_destroy(w->disk);
    mem_free(w);
}

int64_t world_wall_ms(const struct world *w)
{
    return w->wall_offset_ms + w->now_ns / MS;
}

void world_step_wall(struct world *w, int64_t ms)
{
    w->wall_offset_ms += ms;
    faults_note(&w->faults, ms > 0 ? FAULT_WALL_FORWARD : FAULT_WALL_BACKWARD);
}

// ---- a backend

static struct world_backend *of(struct backend *b)
{
    return container_of(b, struct world_backend, backend);
}

static int64_t draw_delay(struct world *w, const struct op *op)
{
    int64_t ns = (int64_t)rng_below(&w->rng, (uint64_t)w->delay_ns);
    if (op->kind == OP_SYNC)
        ns += 200 * US + (int64_t)rng_below(&w->rng, 4000) * US;
    if (op->kind == OP_RESOLVE || op->kind == OP_WORK)
        ns += (int64_t)rng_below(&w->rng, 5000) * US;
    if (faults_strike(&w->faults, FAULT_SLOW))
        ns += (int64_t)rng_below(&w->rng, 150) * MS;
    return ns;
}

static void sim_submit(struct backend *b, struct op *op)
{
    struct world_backend *wb = of(b);
    struct world *w = wb->world;
    struct flight *f = mem_zalloc(sizeof *f);
    f->op = op;
    f->due_ns = w->now_ns + draw_delay(w, op);
    op->backend[0] = (uint64_t)(uintptr_t)f;
    f->as_submitted = *op;
    if (world_op_has_fd(op)) {
        struct descriptor *d = world_fd(w, op->fd);
        if (!d)
            world_violate(w, "operation %u on descriptor %d, which is not open", op->kind, op->fd);
        else
            d->in_flight++;
        if (d && op->kind == OP_SYNC && d->inode)
            f->changes_made = d->inode->changes_made;
    }
    list_push(&wb->flights, &f->link);
}

// Its memory is as it was handed over: nobody has freed or reused it.
static bool has_owner(const struct flight *f)
{
    const struct op *a = f->op, *b = &f->as_submitted;
    return a->in_flight && !a->finished && a->done == b->done && a->kind == b->kind &&
           a->fd == b->fd && a->buf == b->buf && a->n == b->n && a->waiter == b->waiter &&
           a->backend[0] == b->backend[0];
}

static void end_flight(struct world_backend *wb, struct flight *f, int32_t result)
{
    struct world *w = wb->world;
    if (world_op_has_fd(&f->as_submitted) && f->as_submitted.kind != OP_CLOSE) {
        struct descriptor *d = world_fd(w, f->as_submitted.fd);
        if (d)
            d->in_flight--;
    }
    for (struct list *l = wb->flights.next; l != &f->link; l = l->next) {
        if (container_of(l, struct flight, link)->due_ns != INT64_MAX) {
            faults_note(&w->faults, FAULT_REORDERED);
            break;
        }
    }
    list_remove(&f->link);
    f->op->result = result;
    loop_finish(wb->backend.loop, f->op);
    mem_free(f);
}

// In a broken world the operation goes on although its end was told.
static void answer_cancel(struct world_backend *wb, struct flight *f)
{
    struct flight *ghost = mem_alloc(sizeof *ghost);
    *ghost = *f;
    ghost->is_ghost = true;
    ghost->due_ns = wb->world->now_ns + 5 * MS;
    list_init(&ghost->link);
    end_flight(wb, f, -ECANCELED);
    list_push(&wb->flights, &ghost->link);
}

static void sim_cancel(struct backend *b, struct op *op)
{
    struct world_backend *wb = of(b);
    struct world *w = wb->world;
    struct flight *f = (struct flight *)(uintptr_t)op->backend[0];
    assert(f->op == op);
    if (f->is_canceled)
        return;
    f->is_canceled = true;
    if (w->calls_the_dead) {
        answer_cancel(wb, f);
        return;
    }
    const int64_t soon_ns = w->now_ns + (int64_t)rng_below(&w->rng, 3000) * US;
    if (f->due_ns > soon_ns)
        f->due_ns = soon_ns;
    faults_note(&w->faults, FAULT_LATE_CANCEL);
}

static bool is_of_socket(const struct op *op)
{
    return op->kind >= OP_ACCEPT && op->kind <= OP_READABLE;
}

// A canceled operation has come to its end, or has not begun, as the seed says.
static int32_t execute(struct world *w, struct flight *f, int64_t *out_again_ns)
{
    if (f->is_canceled && f->as_submitted.kind != OP_CLOSE && rng_below(&w->rng, 2))
        return -ECANCELED;
    const int32_t result = world_execute(w, f, out_again_ns);
    return result == NETWORK_WAIT && f->is_canceled ? -ECANCELED : result;
}

static bool run_due(struct world_backend *wb)
{
    struct world *w = wb->world;
    struct flight *first = NULL;
    for (struct list *l = wb->flights.next; l != &wb->flights; l = l->next) {
        struct flight *f = container_of(l, struct flight, link);
        if (f->due_ns <= w->now_ns && (!first || f->due_ns < first->due_ns))
            first = f;
    }
    if (!first)
        return false;
    if (first->is_ghost || !has_owner(first)) {
        world_violate(w, "operation %u ended after its owner was gone", first->as_submitted.kind);
        list_remove(&first->link);
        mem_free(first);
        return true;
    }
    int64_t again_ns = INT64_MAX;
    const int32_t result = execute(w, first, &again_ns);
    if (result == NETWORK_WAIT)
        first->due_ns = again_ns;
    else
        end_flight(wb, first, result);
    return true;
}

// What waits for others is tried again in each poll.
static unsigned try_waiting(struct world_backend *wb)
{
    unsigned count = 0;
    for (struct list *l = wb->flights.next, *next; l != &wb->flights; l = next) {
        struct flight *f = container_of(l, struct flight, link);
        next = l->next;
        if (!is_of_socket(&f->as_submitted) || f->due_ns != INT64_MAX || !has_owner(f))
            continue;
        int64_t again_ns = INT64_MAX;
        const int32_t result = world_execute(wb->world, f, &again_ns);
        f->due_ns = again_ns;
        if (result != NETWORK_WAIT) {
            end_flight(wb, f, result);
            count++;
        }
    }
    return count;
}

static unsigned sim_poll(struct backend *b, int64_t wait_ns)
{
    (void)wait_ns; // time moves in world_turn()
    struct world_backend *wb = of(b);
    unsigned count = try_waiting(wb);
    while (run_due(wb))
        count++;
    return count;
}

static void sim_wake(struct backend *b)
{
    (void)b; // nobody sleeps
}

static int64_t sim_mono_ns(struct backend *b)
{
    struct world *w = of(b)->world;
    return w->now_ns += w->look_ns;
}

static int64_t sim_wall_ms(struct backend *b)
{
    return world_wall_ms(of(b)->world);
}

static void sim_random(struct backend *b, void *p, size_t n)
{
    uint8_t *to = p;
    for (size_t i = 0; i < n; i++)
        to[i] = (uint8_t)rng_u64(&of(b)->world->secrets);
}

static void sim_destroy(struct backend *b)
{
    struct world_backend *wb = of(b);
    struct world *w = wb->world;
    if (!list_is_empty(&wb->flights))
        world_violate(w, "a loop was ended with operations in flight");
    unsigned at = 0;
    while (w->backends[at] != wb)
        at++;
    w->backends[at] = w->backends[--w->backends_n];
    mem_free(wb);
}

struct backend *world_backend_create(struct world *w)
{
    static const struct backend_ops ops = {
        .name = "simulator",
        .submit = sim_submit,
        .cancel = sim_cancel,
        .poll = sim_poll,
        .wake = sim_wake,
        .mono_ns = sim_mono_ns,
        .wall_ms = sim_wall_ms,
        .random = sim_random,
        .destroy = sim_destroy,
    };
    assert(w->backends_n < WORLD_SHARDS_MAX);
    struct world_backend *wb = mem_zalloc(sizeof *wb);
    wb->backend.ops = &ops;
    wb->world = w;
    list_init(&wb->flights);
    w->backends[w->backends_n++] = wb;
    return &wb->backend;
}

// ---- turns

static int64_t cpu_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

int64_t world_judging_begin(void)
{
    return cpu_ns();
}

void world_judging_end(struct world *w, int64_t begin)
{
    const int64_t took = cpu_ns() - begin;
    w->judging_ns += took;
    if (loop_current())
        turn_watch_forgive(loop_current(), took);
}

struct loop_options world_loop_options(struct world *w, size_t fibers_max, uint64_t seed)
{
    return (struct loop_options){.fibers_max = fibers_max,
                                 .seed = seed,
                                 .watch = w->watches_pieces ? TURN_WATCH_PIECES : TURN_WATCH_OFF,
                                 .piece = pieces_note,
                                 .piece_arg = &w->pieces};
}

static bool turn_one(struct world *w, struct world_backend *wb)
{
    w->judging_ns = 0;
    const int64_t before = cpu_ns();
    const bool any = loop_turn(wb->backend.loop, 0);
    const int64_t took = cpu_ns() - before - w->judging_ns;
    w->turns++;
    if (took > w->turn_cpu_ns_max)
        w->turn_cpu_ns_max = took;
    if (w->verbose && took > 2 * MS)
        fprintf(stderr, "%12.6f a turn took %.1f ms of CPU\n", (double)w->now_ns / 1e9,
                (double)took / 1e6);
    return any;
}

static int64_t next_event_ns(const struct world *w)
{
    int64_t next = INT64_MAX;
    for (unsigned i = 0; i < w->backends_n; i++) {
        const struct world_backend *wb = w->backends[i];
        const int64_t timer = loop_next_timer_ns(wb->backend.loop);
        next = timer < next ? timer : next;
        for (struct list *l = wb->flights.next; l != &wb->flights; l = l->next) {
            const struct flight *f = container_of(l, struct flight, link);
            next = f->due_ns < next ? f->due_ns : next;
        }
    }
    if (next == INT64_MAX && w->network.partition_ends_ns > w->now_ns)
        next = w->network.partition_ends_ns;
    return next;
}

static void check_owners(struct world *w)
{
    for (unsigned i = 0; i < w->backends_n; i++) {
        const struct list *flights = &w->backends[i]->flights;
        for (struct list *l = flights->next; l != flights; l = l->next) {
            const struct flight *f = container_of(l, struct flight, link);
            if (!f->is_ghost && !has_owner(f))
                world_violate(w, "operation %u is in flight and its owner is gone",
                              f->as_submitted.kind);
        }
    }
}

bool world_turn(struct world *w, int64_t until_ns)
{
    struct world_backend *order[WORLD_SHARDS_MAX];
    const unsigned n = w->backends_n;
    bool any = false;
    memcpy(order, w->backends, n * sizeof *order);
    for (unsigned i = n; i > 0; i--) {
        const unsigned at = (unsigned)rng_below(&w->rng, i);
        any |= turn_one(w, order[at]);
        order[at] = order[i - 1];
    }
    check_owners(w);
    if (any)
        return true;
    const int64_t next = next_event_ns(w);
    const int64_t to = next < until_ns ? next : until_ns;
    if (to == INT64_MAX)
        return false;
    if (to > w->now_ns)
        w->now_ns = to;
    return true;
}

bool world_is_quiet(const struct world *w)
{
    for (unsigned i = 0; i < w->backends_n; i++) {
        if (!list_is_empty(&w->backends[i]->flights))
            return false;
    }
    return w->fds_open == 0;
}

bool world_is_writing(const struct world *w)
{
    for (unsigned i = 0; i < w->backends_n; i++) {
        const struct list *flights = &w->backends[i]->flights;
        for (struct list *l = flights->next; l != flights; l = l->next) {
            if (container_of(l, struct flight, link)->as_submitted.kind == OP_WRITE)
                return true;
        }
    }
    return false;
}

void world_crash(struct world *w, enum world_crash crash)
{
    faults_note(&w->faults, crash == WORLD_KILL ? FAULT_KILL : FAULT_POWER_LOSS);
    for (unsigned i = 0; i < w->backends_n; i++) {
        struct world_backend *wb = w->backends[i];
        for (struct list *l; (l = list_pop(&wb->flights));) {
            struct flight *f = container_of(l, struct flight, link);
            world_cut(w, f);
            mem_free(f);
        }
    }
    w->backends_n = 0;
    for (int fd = 0; fd < WORLD_FDS_MAX; fd++) {
        if (world_fd(w, fd))
            world_close_fd(w, fd);
    }
    network_crash(&w->network);
    if (w->verbose)
        disk_print(w->disk, w->now_ns);
    if (crash == WORLD_POWER_LOSS)
        disk_lose_power(w->disk);
    if (w->verbose && crash == WORLD_POWER_LOSS)
        disk_print(w->disk, w->now_ns);
}
