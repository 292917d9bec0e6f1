// Fibers: flows with more than one wait, read from top to bottom.
//
// A fiber belongs to the loop that started it. What may suspend says so: its comment ends with
// "Suspends.", and it must run on a fiber. A suspended flow returns ERR_TIMEOUT when the fiber's
// deadline passes and ERR_CANCELED after fiber_cancel(); both stay set, so that each later wait
// ends at once until the flow has wound up. Stacks are 64 KiB, guarded and pooled.
#ifndef IO_FIBER_H
#define IO_FIBER_H

#include "engine/base/list.h"
#include "io/loop.h"

struct fiber;
typedef void fiber_fn(void *arg);

enum { FIBER_STACK_BYTES = 64 * 1024 };

// Runs fn(arg) on a fiber of the current loop: soon, not inside this call. ERR_LIMIT: too many
// fibers. out may be NULL; it is valid until fn returns.
err fiber_start(enum loop_class class, fiber_fn *fn, void *arg, struct fiber **out);
// The same whatever the number of fibers: for calls of other shards, which are bounded there.
void fiber_start_always(enum loop_class class, fiber_fn *fn, void *arg, struct fiber **out);
struct fiber *fiber_self(void); // NULL outside of fibers
enum loop_class fiber_class(void);
void fiber_set_class(enum loop_class class); // of the running fiber

void fiber_yield(void);                     // Suspends.
bool fiber_is_due(void);                    // the turn's quota is used up
static inline void fiber_yield_if_due(void) // Suspends.
{
    if (fiber_is_due())
        fiber_yield();
}
// Many short pieces of work are counted together, wherever they are, so that the clock is not read
// for each: a unit is some 10 ns of work in the cache, or 16 bytes of fresh memory. True: much was
// done since it said so last. Outside of fibers nothing is much.
bool fiber_worked(size_t units);
static inline void fiber_work(size_t units) // Suspends.
{
    if (fiber_worked(units))
        fiber_yield_if_due();
}
err fiber_sleep_ns(int64_t ns); // Suspends.

// Of the running fiber, in loop time; INT64_MAX: none. Setting it clears an old ERR_TIMEOUT.
void fiber_set_deadline(int64_t at_ns);
int64_t fiber_deadline(void); // INT64_MAX also behind a shield
// From the same loop. The fiber sees ERR_CANCELED from its present or next wait on.
void fiber_cancel(struct fiber *fiber);
err fiber_status(void); // ERR_OK, ERR_CANCELED or ERR_TIMEOUT: what the next wait would say
// Waits that must come to their end, in winding up: deadline and cancel are put aside between
// these.
void fiber_shield_begin(void);
void fiber_shield_end(void);
bool fiber_is_shielded(void);

// A pointer of the running fiber for engine/shard: the call it serves. NULL at its start.
void *fiber_local(void);
void fiber_set_local(void *local);

// What the running fiber does from now on, by the function that does it: for io/turn_watch.h.
void fiber_set_flow(const void *fn);

// Asserts that nothing between them suspends.
void fiber_no_suspend_begin(void);
void fiber_no_suspend_end(void);

// Submits op and waits for it; its result, which is -ECANCELED or -ETIMEDOUT when the fiber was
// told to end. The op is never in flight on return. Suspends. On a thread of the helper pool, where
// no loop runs, the thread itself waits for the system: what is made of files and nothing else can
// be called there, too.
int32_t fiber_await(struct op *op);

// Fibers waiting for something that another flow of the same loop brings about.
struct waiters {
    struct list list;
};
void waiters_init(struct waiters *w);
err waiters_wait(struct waiters *w); // Suspends. Re-check the condition: also wakes for nothing.
void waiters_wake_one(struct waiters *w);
void waiters_wake_all(struct waiters *w);

#endif
