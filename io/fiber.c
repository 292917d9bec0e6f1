#include "io/fiber.h"

#include <assert.h>
#include <errno.h>

#include "engine/base/mem.h"
#include "io/clock.h"
#include "io/loop_state.h"
#include "io/system.h"

// fiber_switch_<architecture>.S
void fiber_switch(void **save_sp, void *to_sp);
void *fiber_prepare(void *top, void *arg, void (*main)(void *));

// Present only in sanitizer builds; they must be told where the stack is.
extern void __sanitizer_start_switch_fiber(void **, const void *, size_t) __attribute__((weak));
extern void __sanitizer_finish_switch_fiber(void *, const void **, size_t *) __attribute__((weak));
extern void *__tsan_create_fiber(unsigned) __attribute__((weak));
extern void __tsan_destroy_fiber(void *) __attribute__((weak));
extern void *__tsan_get_current_fiber(void) __attribute__((weak));
extern void __tsan_switch_to_fiber(void *, unsigned) __attribute__((weak));

enum { FIBERS_MAX_DEFAULT = 16384 };

static struct fiber *self_of_turn(void)
{
    struct fiber *self = loop_in_turn ? loop_in_turn->running : NULL;
    assert(self);
    return self;
}

struct fiber *fiber_self(void)
{
    return loop_in_turn ? loop_in_turn->running : NULL;
}

// The fiber's side of a switch to the scheduler; returns when the fiber runs again.
static void to_scheduler(struct fiber *f)
{
    struct loop *loop = f->loop;
    const bool ends = f->state == FIBER_ENDED;
    if (turn_watch_is_on(loop))
        turn_watch_piece(loop, NULL, __builtin_frame_address(0));
    if (__sanitizer_start_switch_fiber)
        __sanitizer_start_switch_fiber(ends ? NULL : &f->asan_stack, loop->asan_bottom,
                                       loop->asan_size);
    if (__tsan_switch_to_fiber)
        __tsan_switch_to_fiber(loop->tsan_fiber, 0);
    fiber_switch(&f->sp, loop->sp);
    if (__sanitizer_finish_switch_fiber)
        __sanitizer_finish_switch_fiber(f->asan_stack, &loop->asan_bottom, &loop->asan_size);
}

static void fiber_main(void *arg)
{
    struct fiber *f = arg;
    if (__sanitizer_finish_switch_fiber)
        __sanitizer_finish_switch_fiber(NULL, &f->loop->asan_bottom, &f->loop->asan_size);
    f->fn(f->arg);
    assert(f->shields == 0 && f->no_suspends == 0);
    f->state = FIBER_ENDED;
    to_scheduler(f);
    __builtin_unreachable();
}

static void fiber_end(struct loop *loop, struct fiber *f)
{
    timer_cancel(&f->deadline);
    if (__tsan_destroy_fiber)
        __tsan_destroy_fiber(f->tsan_fiber);
    loop->stats.fibers_alive--;
    stack_give(&loop->stacks, f->stack_bottom);
    loop->stats.stacks_pooled = loop->stacks.free_count;
}

enum loop_class fiber_run(struct loop *loop, struct fiber *f)
{
    assert(f->state == FIBER_READY && !loop->running);
    f->state = FIBER_RUNNING;
    loop->running = f;
    void *asan_stack = NULL;
    if (__sanitizer_start_switch_fiber)
        __sanitizer_start_switch_fiber(&asan_stack, f->stack_bottom, stack_bytes());
    if (__tsan_switch_to_fiber) {
        loop->tsan_fiber = __tsan_get_current_fiber();
        __tsan_switch_to_fiber(f->tsan_fiber, 0);
    }
    fiber_switch(&loop->sp, f->sp);
    if (__sanitizer_finish_switch_fiber)
        __sanitizer_finish_switch_fiber(asan_stack, NULL, NULL);
    loop->running = NULL;
    const enum loop_class class = f->class;
    if (f->state == FIBER_ENDED)
        fiber_end(loop, f);
    return class;
}

void fiber_make_ready(struct fiber *f)
{
    assert(f->state == FIBER_WAITING);
    f->state = FIBER_READY;
    f->ready_ns = f->loop->run_ns;
    f->ready_turn = f->loop->stats.turns;
    list_remove(&f->link);
    list_push(&f->loop->ready[f->class], &f->link);
    f->loop->ready_mask |= 1u << f->class;
}

// Ends the wait of a fiber that was told to end, unless it is behind a shield.
static void interrupt(struct fiber *f)
{
    if (f->state != FIBER_WAITING || f->shields > 0)
        return;
    if (f->awaiting)
        loop_cancel(f->loop, f->awaiting);
    else
        fiber_make_ready(f);
}

static void deadline_passed(struct timer *timer)
{
    struct fiber *f = container_of(timer, struct fiber, deadline);
    f->timed_out = true;
    interrupt(f);
}

static err start(enum loop_class class, fiber_fn *fn, void *arg, struct fiber **out)
{
    struct loop *loop = loop_current();
    char *bottom = stack_take(&loop->stacks);
    if (!bottom)
        return ERR_LIMIT;
    char *top = bottom + stack_bytes() - sizeof(struct fiber);
    top -= (uintptr_t)top % CACHE_LINE;
    struct fiber *f = (void *)top;
    *f = (struct fiber){.loop = loop,
                        .stack_bottom = bottom,
                        .fn = fn,
                        .arg = arg,
                        .flow = (const void *)(uintptr_t)fn,
                        .class = class};
    list_init(&f->link);
    timer_init(&f->deadline, deadline_passed);
    f->sp = fiber_prepare(f, f, fiber_main);
    if (__tsan_create_fiber)
        f->tsan_fiber = __tsan_create_fiber(0);
    loop->stats.fibers_started++;
    loop->stats.fibers_alive++;
    loop->stats.stacks_pooled = loop->stacks.free_count;
    f->state = FIBER_WAITING;
    fiber_make_ready(f);
    if (out)
        *out = f;
    return ERR_OK;
}

err fiber_start(enum loop_class class, fiber_fn *fn, void *arg, struct fiber **out)
{
    struct loop *loop = loop_current();
    assert(loop && class < LOOP_CLASS_COUNT);
    const size_t max =
        loop->options.fibers_max ? loop->options.fibers_max : (size_t)FIBERS_MAX_DEFAULT;
    if (loop->stats.fibers_alive < max && start(class, fn, arg, out) == ERR_OK)
        return ERR_OK;
    loop->stats.fibers_refused++;
    return ERR_LIMIT;
}

void fiber_start_always(enum loop_class class, fiber_fn *fn, void *arg, struct fiber **out)
{
    assert(loop_current() && class < LOOP_CLASS_COUNT);
    const err code = start(class, fn, arg, out);
    assert(code == ERR_OK); // the machine is out of mappings
}

enum loop_class fiber_class(void)
{
    const struct fiber *self = fiber_self();
    return self ? self->class : LOOP_CONTROL;
}

void fiber_set_class(enum loop_class class)
{
    assert(class < LOOP_CLASS_COUNT);
    struct fiber *self = self_of_turn();
    if (self->class == class)
        return;
    loop_charge(self->loop, self->class);
    self->class = class;
}

void *fiber_local(void)
{
    return self_of_turn()->local;
}

void fiber_set_local(void *local)
{
    self_of_turn()->local = local;
}

void fiber_set_flow(const void *fn)
{
    struct fiber *self = self_of_turn();
    self->flow = self->loop->watch.now.fn = fn;
}

void fiber_yield(void)
{
    struct fiber *self = self_of_turn();
    assert(self->no_suspends == 0);
    self->state = FIBER_READY;
    self->ready_ns = 0;
    list_push(&self->loop->yielded[self->class], &self->link);
    to_scheduler(self);
}

bool fiber_is_due(void)
{
    struct loop *loop = loop_in_turn;
    if (turn_watch_is_on(loop))
        turn_watch_piece(loop, __builtin_return_address(0), __builtin_frame_address(0));
    return clock_mono_ns() - loop->turn_ns >= loop->options.quota_ns;
}

bool fiber_worked(size_t units)
{
    struct loop *loop = loop_in_turn;
    if (!loop || !loop->running)
        return false;
    loop->work_units += units;
    if (loop->work_units < WORK_UNITS)
        return false;
    loop->work_units = 0;
    return true;
}

// Until fiber_make_ready(); the caller has put the link into a list, or has other means.
static void wait(struct fiber *self)
{
    assert(self->no_suspends == 0);
    self->state = FIBER_WAITING;
    to_scheduler(self);
}

struct sleep {
    struct timer timer;
    struct fiber *fiber;
};

static void wake_sleeper(struct timer *timer)
{
    struct fiber *f = container_of(timer, struct sleep, timer)->fiber;
    if (f->state == FIBER_WAITING) // else it was told to end, and has not run since
        fiber_make_ready(f);
}

err fiber_sleep_ns(int64_t ns)
{
    struct fiber *self = self_of_turn();
    TRY(fiber_status());
    struct sleep sleep = {.fiber = self};
    timer_init(&sleep.timer, wake_sleeper);
    int64_t at;
    if (__builtin_add_overflow(clock_mono_ns(), ns, &at))
        at = INT64_MAX;
    timer_set(&sleep.timer, at);
    wait(self);
    const bool slept = !timer_is_set(&sleep.timer);
    timer_cancel(&sleep.timer);
    return slept ? ERR_OK : fiber_status();
}

void fiber_set_deadline(int64_t at_ns)
{
    struct fiber *self = self_of_turn();
    self->timed_out = false;
    timer_cancel(&self->deadline);
    if (at_ns <= clock_mono_ns())
        self->timed_out = true;
    else if (at_ns != INT64_MAX)
        timer_set(&self->deadline, at_ns);
}

int64_t fiber_deadline(void)
{
    const struct fiber *self = self_of_turn();
    if (self->shields > 0)
        return INT64_MAX;
    if (self->timed_out)
        return self->loop->turn_ns;
    return timer_is_set(&self->deadline) ? self->deadline.node.key : INT64_MAX;
}

void fiber_cancel(struct fiber *f)
{
    if (f->state == FIBER_ENDED || f->canceled)
        return;
    f->canceled = true;
    interrupt(f);
}

err fiber_status(void)
{
    const struct fiber *self = self_of_turn();
    if (self->shields > 0)
        return ERR_OK;
    return self->canceled ? ERR_CANCELED : self->timed_out ? ERR_TIMEOUT : ERR_OK;
}

void fiber_shield_begin(void)
{
    if (loop_in_turn)
        self_of_turn()->shields++;
}

void fiber_shield_end(void)
{
    if (!loop_in_turn)
        return;
    struct fiber *self = self_of_turn();
    assert(self->shields > 0);
    self->shields--;
}

bool fiber_is_shielded(void)
{
    return self_of_turn()->shields > 0;
}

void fiber_no_suspend_begin(void)
{
    self_of_turn()->no_suspends++;
}

void fiber_no_suspend_end(void)
{
    struct fiber *self = self_of_turn();
    assert(self->no_suspends > 0);
    self->no_suspends--;
}

static void await_done(struct op *op)
{
    struct fiber *f = op->waiter;
    assert(f->awaiting == op);
    f->awaiting = NULL;
    fiber_make_ready(f);
}

static void take_at_once(struct fiber *self, struct op *op)
{
    loop_take_finished(self->loop, op);
    self->awaiting = NULL;
}

int32_t fiber_await(struct op *op)
{
    if (!loop_in_turn)
        return op->result = system_run(op);
    struct fiber *self = self_of_turn();
    assert(self->no_suspends == 0);
    const err before = fiber_status();
    if (before != ERR_OK)
        return op->result = before == ERR_CANCELED ? -ECANCELED : -ETIMEDOUT;
    op->done = await_done;
    op->waiter = self;
    self->awaiting = op;
    loop_submit(self->loop, op);
    // What the backend could do at once does not cost a turn, unless the turn is used up.
    if (op->finished && !fiber_is_due())
        take_at_once(self, op);
    else
        wait(self);
    assert(!op->in_flight);
    // An op that was interrupted says so in two ways; one that came to its end keeps its result.
    const err after = fiber_status();
    if (after != ERR_OK && (op->result == -ECANCELED || op->result == -EINTR))
        op->result = after == ERR_CANCELED ? -ECANCELED : -ETIMEDOUT;
    return op->result;
}

void waiters_init(struct waiters *w)
{
    list_init(&w->list);
}

err waiters_wait(struct waiters *w)
{
    struct fiber *self = self_of_turn();
    TRY(fiber_status());
    self->woken = false;
    list_push(&w->list, &self->link);
    wait(self);
    return self->woken ? ERR_OK : fiber_status();
}

void waiters_wake_one(struct waiters *w)
{
    if (list_is_empty(&w->list))
        return;
    struct fiber *f = container_of(w->list.next, struct fiber, link);
    f->woken = true;
    fiber_make_ready(f);
}

void waiters_wake_all(struct waiters *w)
{
    while (!list_is_empty(&w->list))
        waiters_wake_one(w);
}
