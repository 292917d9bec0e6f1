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
    const void *flow;      // what it does: fn, or what fn was asked to do
    struct op *awaiting;   // in flight for fiber_await()
    struct timer deadline; // key: when; not set: none
    enum loop_class class;
    enum fiber_state state;
    bool canceled, timed_out;
    bool woken; // by waiters_wake_*(), not by cancel or deadline
    unsigned shields, no_suspends;
    int64_t ready_ns; // since when; 0: it is ready of its own will
    uint64_t ready_turn;
    int64_t told_ns; // CPU time since it was told to end, where watched
    void *local;
    void *asan_stack, *tsan_fiber; // the sanitizers'
};

enum { TURN_FRAMES_MAX = 6 };
enum { WORK_UNITS = 4096 }; // see fiber_worked()

// See turn_watch.c. What runs now, since when, and the longest of this turn.
struct turn_piece {
    const void *fn;    // of the fiber; NULL: none
    const char *phase; // where no fiber runs
    enum loop_class class;
    int64_t ns;
    const void *from; // where a yield was asked for last; NULL: not since the fiber ran
    const void *frames[TURN_FRAMES_MAX];
    unsigned frames_count;
};

// Where a long piece was: when it was told of last, and the longest.
struct turn_place {
    const void *fn, *from, *to;
    int64_t ns_max, told_ns;
};

enum { TURN_PLACES = 16 };

struct turn_watch {
    enum turn_watch_mode mode;
    struct logger lg;
    struct turn_piece now, longest;
    int64_t begin_cpu_ns, piece_cpu_ns;
    struct turn_offender offenders[TURN_OFFENDERS_MAX];
    size_t offenders_count;
    struct turn_place places[TURN_PLACES];
    size_t places_next;
};

enum loop_wake { LOOP_AWAKE, LOOP_WOKEN, LOOP_ASLEEP };

struct loop_spin { // see loop_spin.c
    bool is_promising;
    int64_t budget_ns, trial_ns;
};

struct loop {
    struct backend *backend;
    struct loop_options options;
    struct heap timers;
    struct op_queue finished; // done() to be run in this turn
    struct list ready[LOOP_CLASS_COUNT];
    struct list yielded[LOOP_CLASS_COUNT]; // ready again, but not before the next turn
    unsigned ready_mask;                   // classes with something in ready
    int64_t floors[LOOP_CLASS_COUNT];      // percent of the time
    int64_t credit_ns[LOOP_CLASS_COUNT];   // what a class is owed of its floor
    int64_t turn_ns;
    int64_t run_ns;     // when what runs now began
    int64_t charged_ns; // to all classes in this turn
    size_t work_units;  // since fiber_worked() said that it is much
    struct fiber *running;
    void *sp; // the scheduler's, while a fiber runs
    const void *asan_bottom;
    size_t asan_size;
    void *tsan_fiber;
    struct stack_pool stacks;
    struct turn_watch watch;
    struct loop_spin spin;
    loop_hook_fn *hook;
    void *hook_arg;
    bool stop;
    struct rng rng;
    struct loop_stats stats;
    _Alignas(CACHE_LINE) atomic_uint wake; // enum loop_wake; other threads write here
};

extern _Thread_local struct loop *loop_in_turn;

// Ends op, which is finished, without its done().
void loop_take_finished(struct loop *loop, struct op *op);

// Puts a fiber that waits or is new among the ready ones of its class.
void fiber_make_ready(struct fiber *fiber);
// Runs one until it suspends or ends; the class that it has then.
enum loop_class fiber_run(struct loop *loop, struct fiber *fiber);

// What ran since loop->run_ns is of that class, which pays for it.
void loop_charge(struct loop *loop, enum loop_class class);

// Whether it is worth looking out for a peer's message before sleeping.
bool loop_spins(const struct loop *loop);
// Looks out for at most bound_ns (below 0: any time); true: something is there.
bool loop_spin(struct loop *loop, int64_t bound_ns);
// It slept from began_ns until now; woken: until a peer woke it.
void loop_slept(struct loop *loop, int64_t began_ns, bool woken);

void turn_watch_init(struct loop *loop);
void turn_watch_begin(struct loop *loop); // a turn
// Something runs from now on: a fiber, or a phase of the loop.
void turn_watch_enter(struct loop *loop, const void *fn, const char *phase, enum loop_class class);
// A piece of it has ended here: frame is the caller's, as a backtrace starts from it.
void turn_watch_piece(struct loop *loop, const void *pc, void *const *frame);
// What was entered ran for ns of the clock's time.
void turn_watch_ran(struct loop *loop, int64_t ns);
void turn_watch_end(struct loop *loop, int64_t took_ns); // the turn

static inline bool turn_watch_is_on(const struct loop *loop)
{
    return __builtin_expect(loop->watch.mode != TURN_WATCH_OFF, 0);
}

#endif
