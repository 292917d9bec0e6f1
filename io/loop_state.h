// What loop.c and fiber.c share: the inside of loops and fibers. Nobody else includes it.
#ifndef IO_LOOP_STATE_H
#define IO_LOOP_STATE_H

#include <stdatomic.h>

#include "engine/base/rng.h"
#include "io/backend.h"
#include "io/fiber.h"
#include "io/op_queue.h"
#include "io/stack.h"

enum fiber_state { FIBER_READY, FIBER_RUNNING, FIBER_WAITING, FIBER_ENDED };

// Lies at the top of its own stack.
struct fiber {
    struct list link; // in a list of ready fibers or of waiters, or alone
    struct loop *loop;
    void *sp; // while it does not run
    void *stack_bottom;
    fiber_fn *fn;
    void *arg;
    struct op *awaiting;   // in flight for fiber_await()
    struct timer deadline; // key: when; not set: none
    enum loop_class class;
    enum fiber_state state;
    bool canceled, timed_out;
    bool woken; // by waiters_wake_*(), not by cancel or deadline
    unsigned shields, no_suspends;
    void *local;
    void *asan_stack, *tsan_fiber; // the sanitizers'
};

enum loop_wake { LOOP_AWAKE, LOOP_WOKEN, LOOP_ASLEEP };

struct loop {
    struct backend *backend;
    struct loop_options options;
    struct heap timers;
    struct op_queue finished; // done() to be run in this turn
    struct list ready[LOOP_CLASS_COUNT];
    struct list yielded[LOOP_CLASS_COUNT]; // ready again, but not before the next turn
    unsigned ready_mask;                   // classes with something in ready
    int64_t credit_ns[LOOP_CLASS_COUNT];   // what a class is owed of its floor
    int64_t turn_ns;
    struct fiber *running;
    void *sp; // the scheduler's, while a fiber runs
    const void *asan_bottom;
    size_t asan_size;
    void *tsan_fiber;
    struct stack_pool stacks;
    loop_hook_fn *hook;
    void *hook_arg;
    bool stop;
    struct rng rng;
    struct loop_stats stats;
    _Alignas(CACHE_LINE) atomic_uint wake; // enum loop_wake; other threads write here
};

extern _Thread_local struct loop *loop_in_turn;

// Puts a fiber that waits or is new among the ready ones of its class.
void fiber_make_ready(struct fiber *fiber);
// Runs one until it suspends or ends.
void fiber_run(struct loop *loop, struct fiber *fiber);

#endif
