// A shard's loop: timers, completions, messages from other shards, ready fibers by class, one
// submit.
//
// One thread runs a loop at a time (the simulator runs many in turn in one thread). loop_current()
// is the loop whose turn it is: the only thread-local state there is.
#ifndef IO_LOOP_H
#define IO_LOOP_H

#include "engine/base/err.h"
#include "engine/base/heap.h"
#include "io/op.h"
#include "io/turn_watch.h"

struct backend; // io/backend.h
struct loop;

// In order of precedence. Each has a floor: a share of the quota no higher class can take from it.
enum loop_class {
    LOOP_CONTROL, // health, reload, cancel
    LOOP_SCRAPE,
    LOOP_RULES,
    LOOP_RECEIVE, // remote_write and OTLP
    LOOP_QUERY,
    LOOP_EXPORT,
    LOOP_MERGE,
    LOOP_CLASS_COUNT
};
const char *loop_class_text(enum loop_class class); // "control"
// So much of the time goes from one class's floor to another's, until it is lent back: work that a
// class causes, and that another must do in time.
void loop_lend(struct loop *loop, enum loop_class from, enum loop_class to, int percent);

struct loop_options {
    size_t fibers_max; // --server.max-fibers; fiber_start() refuses beyond
    int64_t quota_ns;  // of a turn; 0: 500,000
    uint64_t seed;     // of loop_rng(); drawn from the kernel by who makes the loop
    bool spins; // looks out for a moment before it sleeps, where other loops have their own cores
    enum turn_watch_mode watch;
    const struct log_sink *log; // of the watch; NULL: it only counts
    turn_piece_fn *piece;       // hears of pieces with TURN_WATCH_PIECES; NULL: nobody
    void *piece_arg;
};

// Takes the backend over, also on failure.
err loop_create(struct backend *backend, const struct loop_options *options, struct loop **out,
                struct errmsg *e);
// Nothing may be in flight and no fiber alive.
void loop_destroy(struct loop *loop);

struct loop *loop_current(void); // of this thread's turn; NULL outside of any
// One turn. Waits up to wait_ns for something to do (0: not at all, below 0: as long as it takes).
// Returns true when it did something.
bool loop_turn(struct loop *loop, int64_t wait_ns);
// Runs turns until loop_stop().
void loop_run(struct loop *loop);
void loop_stop(struct loop *loop);          // from the loop's own thread
bool loop_wake(struct loop *loop);          // from any thread: ends a wait; true: one was on
bool loop_is_idle(const struct loop *loop); // nothing ready, nothing in flight, no timer
// When the next timer is due, in loop time; INT64_MAX: none. For the simulator.
int64_t loop_next_timer_ns(const struct loop *loop);

void loop_submit(struct loop *loop, struct op *op);
// Asks for an early end of op, which is in flight; it ends with -ECANCELED or what it came to.
void loop_cancel(struct loop *loop, struct op *op);

// Called once a turn, before fibers run, and once more before a wait, to hand over messages of
// other shards; true: did something.
typedef bool loop_hook_fn(void *arg);
void loop_set_hook(struct loop *loop, loop_hook_fn *fn, void *arg);
void *loop_hook_arg(const struct loop *loop); // NULL: no hook

struct timer {
    struct heap_node node;
    void (*fire)(struct timer *timer); // from the loop; may set it again
};
void timer_init(struct timer *timer, void (*fire)(struct timer *));
void timer_set(struct timer *timer, int64_t at_ns); // loop time; sets anew when already set
void timer_cancel(struct timer *timer);             // not set: nothing
bool timer_is_set(const struct timer *timer);

// How long fibers of a class that something woke were ready before they ran: how many waited up to
// each bound (the last: longer), all their time, and the most turns that one of them saw others in.
enum { LOOP_WAIT_BUCKETS = 9 };
extern const int64_t loop_wait_bounds_ns[LOOP_WAIT_BUCKETS - 1];
struct loop_waits {
    uint64_t buckets[LOOP_WAIT_BUCKETS], turns_max;
    int64_t ns;
};

struct loop_stats {
    uint64_t turns, completions, fibers_started, fibers_refused;
    uint64_t sleeps, spins, spins_in_vain; // waits; moments it looked out before one
    uint64_t turns_over_quota;             // those that took more than twice the quota
    int64_t turn_ns_max;
    int64_t piece_ns_max; // CPU time between two questions whether a yield is due, where watched
    int64_t told_ns_max;  // CPU time of a query after it was told to end, likewise
    size_t fibers_alive, stacks_pooled, in_flight;
    uint64_t busy_ns;
    struct loop_waits waits[LOOP_CLASS_COUNT];
};
const struct loop_stats *loop_stats(const struct loop *loop);
const char *loop_backend_name(const struct loop *loop); // "io_uring", "poll", "simulator"

#endif
