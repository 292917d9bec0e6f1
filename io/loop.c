#include "io/loop.h"

#include <assert.h>
#include <string.h>

#include "engine/base/mem.h"
#include "engine/base/util.h"
#include "io/clock.h"
#include "io/loop_state.h"
#include "io/system.h"

// Turns: what completed, what timers are due, what other shards sent, then fibers until the quota
// is used. Fibers run by class: the highest that is ready, unless a lower one is owed its floor.
// In each turn a class earns its share of the time that passes, and pays for what it runs; of those
// that are owed enough the one that is owed most goes first. So a class that always has work gets
// its share whatever the classes above it do, and the rest goes by precedence. A class that has
// nothing to run saves some of its share, so that a query that comes once in a while waits for no
// more than the turn that is on. A flow pays in the class that it is of while it runs. None runs
// longer than twice the quota: what the clock says beyond that the system gave to others; no class
// pays for it, and none earns from it, or else who always has work would be owed that time.

enum {
    QUOTA_NS = 500 * 1000,
    OWED_DIVISOR = 5,   // a fifth of the quota is the debt that puts a class first
    CREDIT_QUOTAS = 20, // most that is remembered, either way
    SAVED_QUOTAS = 2,   // and of a class that has nothing to run
    RUNS_MAX = 1024,    // of fibers in a turn, also where time stands still
    // However many timers are due and operations have ended: behind a fourth of the quota timers
    // wait for the next turn, behind half of it completions.
    TIMERS_PART = 4,
    COMPLETIONS_PART = 2,
    LOOKS_EVERY = 16,
};

// Percent of the time, at first. What is left of the hundred goes by precedence.
static const int64_t floors[LOOP_CLASS_COUNT] = {
    [LOOP_CONTROL] = 10, [LOOP_SCRAPE] = 20, [LOOP_RULES] = 10, [LOOP_RECEIVE] = 20,
    [LOOP_QUERY] = 25,   [LOOP_EXPORT] = 5,  [LOOP_MERGE] = 5,
};

const int64_t loop_wait_bounds_ns[] = {100 * 1000,       500 * 1000,       1000 * 1000,
                                       2500 * 1000,      5 * 1000 * 1000,  10 * 1000 * 1000,
                                       50 * 1000 * 1000, 250 * 1000 * 1000};

_Thread_local struct loop *loop_in_turn;

const char *loop_class_text(enum loop_class class)
{
    static const char *const texts[LOOP_CLASS_COUNT] = {
        [LOOP_CONTROL] = "control", [LOOP_SCRAPE] = "scrape", [LOOP_RULES] = "rules",
        [LOOP_RECEIVE] = "receive", [LOOP_QUERY] = "query",   [LOOP_EXPORT] = "export",
        [LOOP_MERGE] = "merge",
    };
    return texts[class];
}

static int64_t mono_ns(const struct loop *loop)
{
    return loop->backend->ops->mono_ns(loop->backend);
}

err loop_create(struct backend *backend, const struct loop_options *options, struct loop **out,
                struct errmsg *e)
{
    (void)e;
    struct loop *loop = mem_alloc_aligned(CACHE_LINE, sizeof *loop);
    *loop = (struct loop){.backend = backend, .options = *options};
    op_queue_init(&loop->finished);
    for (int i = 0; i < LOOP_CLASS_COUNT; i++) {
        list_init(&loop->ready[i]);
        list_init(&loop->yielded[i]);
    }
    memcpy(loop->floors, floors, sizeof floors);
    if (loop->options.quota_ns == 0)
        loop->options.quota_ns = QUOTA_NS;
    rng_init(&loop->rng, options->seed);
    turn_watch_init(loop);
    backend->loop = loop;
    loop->turn_ns = loop->run_ns = mono_ns(loop);
    *out = loop;
    return ERR_OK;
}

void loop_destroy(struct loop *loop)
{
    assert(loop->stats.in_flight == 0 && loop->stats.fibers_alive == 0);
    loop->backend->ops->destroy(loop->backend);
    heap_deinit(&loop->timers);
    stack_pool_deinit(&loop->stacks);
    mem_free(loop);
}

struct loop *loop_current(void)
{
    return loop_in_turn;
}

void loop_submit(struct loop *loop, struct op *op)
{
    assert(!op->in_flight && op->done && op->kind > OP_NONE && op->kind < OP_KIND_COUNT);
    op->in_flight = true;
    op->finished = false;
    loop->stats.in_flight++;
    loop->backend->ops->submit(loop->backend, op);
}

void loop_cancel(struct loop *loop, struct op *op)
{
    assert(op->in_flight);
    if (!op->finished)
        loop->backend->ops->cancel(loop->backend, op);
}

void loop_finish(struct loop *loop, struct op *op)
{
    assert(op->in_flight && !op->finished);
    op->finished = true;
    op_queue_push(&loop->finished, op);
}

static void leave(struct loop *loop, struct op *op)
{
    op->in_flight = false;
    loop->stats.in_flight--;
    loop->stats.completions++;
}

// In a loop over what has no other bound: whether the turn has no more time for it after n of them.
static bool is_spent(const struct loop *loop, size_t n, int64_t part)
{
    return n % LOOKS_EVERY == 0 && mono_ns(loop) - loop->turn_ns >= loop->options.quota_ns / part;
}

// Those that had ended at the start: one that done() submits and that ends at once waits for the
// next turn.
static bool run_finished(struct loop *loop)
{
    struct op *const *const end = loop->finished.end;
    size_t n = 0;
    for (struct op *op; (op = op_queue_pop(&loop->finished));) {
        const bool is_last = &op->next == end;
        leave(loop, op);
        op->done(op);
        n++;
        if (is_last || is_spent(loop, n, COMPLETIONS_PART))
            break;
    }
    return n > 0;
}

void loop_take_finished(struct loop *loop, struct op *op)
{
    op_queue_remove(&loop->finished, op);
    leave(loop, op);
}

// Those due at the start: one that sets itself again at once waits for the next turn.
static bool run_timers(struct loop *loop)
{
    const size_t n = loop->timers.n;
    size_t fired = 0;
    while (fired < n) {
        struct heap_node *node = heap_min(&loop->timers);
        if (!node || node->key > loop->turn_ns)
            break;
        heap_remove(&loop->timers, node);
        struct timer *timer = container_of(node, struct timer, node);
        timer->fire(timer);
        if (is_spent(loop, ++fired, TIMERS_PART))
            break; // the others are due in the next turn, too
    }
    return fired > 0;
}

static bool run_hook(struct loop *loop)
{
    return loop->hook && loop->hook(loop->hook_arg);
}

static enum loop_class pick_class(const struct loop *loop)
{
    int64_t most = loop->options.quota_ns / OWED_DIVISOR;
    int pick = __builtin_ctz(loop->ready_mask);
    for (unsigned mask = loop->ready_mask; mask; mask &= mask - 1) {
        const int class = __builtin_ctz(mask);
        if (loop->credit_ns[class] >= most) {
            most = loop->credit_ns[class] + 1;
            pick = class;
        }
    }
    return (enum loop_class)pick;
}

static void add_credit(struct loop *loop, unsigned class, int64_t ns)
{
    const int64_t max = CREDIT_QUOTAS * loop->options.quota_ns;
    const int64_t credit = loop->credit_ns[class] + ns;
    loop->credit_ns[class] = credit > max ? max : credit < -max ? -max : credit;
}

void loop_charge(struct loop *loop, enum loop_class class)
{
    const int64_t now = mono_ns(loop), took = now - loop->run_ns;
    const int64_t most = 2 * loop->options.quota_ns, charge = took < most ? took : most;
    add_credit(loop, class, -charge);
    loop->charged_ns += charge;
    loop->run_ns = now;
}

static void earn_floors(struct loop *loop, int64_t ns)
{
    for (unsigned class = 0; class < LOOP_CLASS_COUNT; class ++)
        add_credit(loop, class, ns * loop->floors[class] / 100);
}

void loop_lend(struct loop *loop, enum loop_class from, enum loop_class to, int percent)
{
    loop->floors[from] -= percent;
    loop->floors[to] += percent;
    assert(loop->floors[from] >= 0 && loop->floors[to] >= 0);
}

// What a class that has nothing to run keeps; its debts are forgotten.
static int64_t saved(const struct loop *loop, int64_t credit)
{
    const int64_t max = SAVED_QUOTAS * loop->options.quota_ns;
    return credit > max ? max : credit < 0 ? 0 : credit;
}

static void note_wait(struct loop *loop, const struct fiber *fiber, enum loop_class class)
{
    if (!fiber->ready_ns)
        return;
    struct loop_waits *const waits = &loop->stats.waits[class];
    const int64_t ns = loop->run_ns - fiber->ready_ns;
    const uint64_t turns = loop->stats.turns - fiber->ready_turn;
    size_t i = 0;
    while (i < countof(loop_wait_bounds_ns) && ns > loop_wait_bounds_ns[i])
        i++;
    waits->buckets[i]++;
    waits->ns += ns;
    waits->turns_max = turns > waits->turns_max ? turns : waits->turns_max;
}

static void requeue_yielded(struct loop *loop)
{
    for (unsigned class = 0; class < LOOP_CLASS_COUNT; class ++) {
        for (struct list *l; (l = list_pop(&loop->yielded[class]));)
            list_push(&loop->ready[class], l);
        if (list_is_empty(&loop->ready[class]))
            loop->credit_ns[class] = saved(loop, loop->credit_ns[class]);
        else
            loop->ready_mask |= 1u << class;
    }
}

static bool run_fibers(struct loop *loop)
{
    if (!loop->ready_mask)
        return false;
    loop->run_ns = mono_ns(loop);
    turn_watch_ran(loop, loop->run_ns - loop->turn_ns);
    for (int runs = 0; loop->ready_mask && runs < RUNS_MAX; runs++) {
        const enum loop_class class = pick_class(loop);
        struct list *link = list_pop(&loop->ready[class]);
        if (list_is_empty(&loop->ready[class]))
            loop->ready_mask &= ~(1u << class);
        struct fiber *fiber = container_of(link, struct fiber, link);
        turn_watch_enter(loop, fiber->flow, NULL, class);
        note_wait(loop, fiber, class);
        const int64_t before = loop->run_ns;
        loop_charge(loop, fiber_run(loop, fiber));
        turn_watch_ran(loop, loop->run_ns - before);
        if (loop->run_ns - loop->turn_ns >= loop->options.quota_ns)
            break;
    }
    earn_floors(loop, loop->charged_ns);
    loop->charged_ns = 0;
    requeue_yielded(loop);
    return true;
}

// How long the backend may wait, given that nothing is ready.
static int64_t wait_bound(const struct loop *loop, int64_t wait_ns)
{
    const struct heap_node *first = heap_min(&loop->timers);
    if (!first || wait_ns == 0)
        return wait_ns;
    const int64_t now = mono_ns(loop);
    const int64_t until = first->key > now ? first->key - now : 0;
    return wait_ns < 0 || until < wait_ns ? until : wait_ns;
}

// Waiters of other threads set wake to LOOP_WOKEN after they left their message; so either this
// sees the message in the hook, after it said that it sleeps, or they see that it sleeps.
static bool poll_backend(struct loop *loop, int64_t wait_ns)
{
    const struct backend_ops *ops = loop->backend->ops;
    const bool woken = atomic_exchange(&loop->wake, LOOP_AWAKE) == LOOP_WOKEN;
    const bool is_busy = woken || loop->ready_mask || loop->finished.first;
    int64_t bound = is_busy ? 0 : wait_bound(loop, wait_ns);
    if (bound != 0 && loop_spins(loop) &&
        (ops->poll(loop->backend, 0) > 0 || loop_spin(loop, bound)))
        bound = 0;
    bool mail = false;
    unsigned expected = LOOP_AWAKE;
    if (bound != 0 && atomic_compare_exchange_strong(&loop->wake, &expected, LOOP_ASLEEP)) {
        mail = run_hook(loop);
        if (mail || loop->ready_mask || loop->finished.first)
            bound = 0;
    } else {
        bound = 0;
    }
    const int64_t began_ns = bound != 0 && loop->options.spins ? mono_ns(loop) : 0;
    const bool any = ops->poll(loop->backend, bound) > 0;
    expected = LOOP_ASLEEP; // LOOP_WOKEN stays: the next turn must not wait
    const bool undisturbed = atomic_compare_exchange_strong(&loop->wake, &expected, LOOP_AWAKE);
    loop->stats.sleeps += bound != 0;
    if (began_ns)
        loop_slept(loop, began_ns, !undisturbed);
    return any || mail || woken;
}

bool loop_turn(struct loop *loop, int64_t wait_ns)
{
    assert(!loop_in_turn);
    loop_in_turn = loop;
    bool any = poll_backend(loop, wait_ns);
    loop->turn_ns = loop->run_ns = mono_ns(loop);
    turn_watch_begin(loop);
    any |= run_timers(loop);
    any |= run_finished(loop);
    any |= run_hook(loop);
    any |= run_fibers(loop);
    const int64_t took = mono_ns(loop) - loop->turn_ns;
    turn_watch_end(loop, took);
    loop->stats.turns++;
    loop->stats.busy_ns += (uint64_t)took;
    if (took > loop->stats.turn_ns_max)
        loop->stats.turn_ns_max = took;
    loop_in_turn = NULL;
    return any;
}

void loop_run(struct loop *loop)
{
    loop->stop = false;
    while (!loop->stop)
        (void)loop_turn(loop, -1);
}

void loop_stop(struct loop *loop)
{
    loop->stop = true;
}

bool loop_wake(struct loop *loop)
{
    if (atomic_exchange(&loop->wake, LOOP_WOKEN) != LOOP_ASLEEP)
        return false;
    loop->backend->ops->wake(loop->backend);
    return true;
}

bool loop_is_idle(const struct loop *loop)
{
    return !loop->ready_mask && !loop->finished.first && loop->stats.in_flight == 0 &&
           loop->timers.n == 0;
}

int64_t loop_next_timer_ns(const struct loop *loop)
{
    const struct heap_node *node = heap_min(&loop->timers);
    return node ? node->key : INT64_MAX;
}

void loop_set_hook(struct loop *loop, loop_hook_fn *fn, void *arg)
{
    loop->hook = fn;
    loop->hook_arg = arg;
}

void *loop_hook_arg(const struct loop *loop)
{
    return loop->hook_arg;
}

void timer_init(struct timer *timer, void (*fire)(struct timer *))
{
    *timer = (struct timer){.fire = fire};
    heap_node_init(&timer->node);
}

void timer_set(struct timer *timer, int64_t at_ns)
{
    assert(loop_in_turn);
    timer_cancel(timer);
    heap_insert(&loop_in_turn->timers, &timer->node, at_ns);
}

void timer_cancel(struct timer *timer)
{
    if (heap_node_is_in(&timer->node))
        heap_remove(&loop_in_turn->timers, &timer->node);
}

bool timer_is_set(const struct timer *timer)
{
    return heap_node_is_in(&timer->node);
}

const struct loop_stats *loop_stats(const struct loop *loop)
{
    return &loop->stats;
}

const char *loop_backend_name(const struct loop *loop)
{
    return loop->backend->ops->name;
}

int64_t clock_mono_ns(void)
{
    return loop_in_turn ? mono_ns(loop_in_turn) : system_mono_ns();
}

int64_t clock_turn_ns(void)
{
    return loop_in_turn ? loop_in_turn->turn_ns : system_mono_ns();
}

int64_t clock_wall_ms(void)
{
    struct loop *loop = loop_in_turn;
    return loop ? loop->backend->ops->wall_ms(loop->backend) : system_wall_ms();
}

void random_bytes(void *p, size_t n)
{
    struct loop *loop = loop_in_turn;
    if (loop)
        loop->backend->ops->random(loop->backend, p, n);
    else
        system_random(p, n);
}

struct rng *loop_rng(void)
{
    assert(loop_in_turn);
    return &loop_in_turn->rng;
}
