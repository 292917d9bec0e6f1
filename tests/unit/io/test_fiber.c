#include <criterion/criterion.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "io/clock.h"
#include "tests/lib/findings.h"
#include "tests/lib/in_loop.h"

enum { MS = 1000 * 1000 };

// Nobody waits for that long, however busy the machine is.
static const int64_t LONG_NS = 600LL * 1000 * MS;

struct world {
    struct findings f;
    int counts[LOOP_CLASS_COUNT];
    struct waiters waiters;
    bool stop;
};

static void on_each(fiber_fn *flow)
{
    for (unsigned backend = 0; backend < IN_LOOP_BACKENDS; backend++) {
        struct world w = {0};
        waiters_init(&w.waiters);
        in_loop(backend, flow, &w);
        cr_assert_str_eq(w.f.text, "", "backend %u: %s", backend, w.f.text);
    }
}

static void count_one(void *arg)
{
    struct world *w = arg;
    w->counts[0]++;
    fiber_yield();
    w->counts[1]++;
}

static void start_many(void *arg)
{
    struct world *w = arg;
    for (int i = 0; i < 10000; i++)
        want(&w->f, fiber_start(LOOP_QUERY, count_one, w, NULL) == ERR_OK);
    want(&w->f, w->counts[0] == 0, "inside the call");
    while (w->counts[1] < 10000)
        fiber_yield();
    want(&w->f, w->counts[0] == 10000);
    want(&w->f, loop_stats(loop_current())->fibers_alive == 1);
}

Test(fiber, ten_thousand_run)
{
    on_each(start_many);
}

// in_loop allows 20,000.
static void sleep_on(void *arg)
{
    struct world *w = arg;
    while (!w->stop)
        want(&w->f, waiters_wait(&w->waiters) == ERR_OK);
}

static void start_too_many(void *arg)
{
    struct world *w = arg;
    int started = 0;
    while (started < 30000 && fiber_start(LOOP_QUERY, sleep_on, w, NULL) == ERR_OK)
        started++;
    want(&w->f, started == 19999, "%d", started);
    want(&w->f, loop_stats(loop_current())->fibers_refused == 1);
    w->stop = true;
    fiber_start_always(LOOP_QUERY, sleep_on, w, NULL);
    fiber_yield();
    fiber_yield();
    while (loop_stats(loop_current())->fibers_alive > 1) {
        waiters_wake_all(&w->waiters);
        fiber_yield();
    }
    want(&w->f, fiber_start(LOOP_QUERY, sleep_on, w, NULL) == ERR_OK);
}

Test(fiber, are_bounded)
{
    on_each(start_too_many);
}

static void deadlines(void *arg)
{
    struct world *w = arg;
    const int64_t begin = clock_mono_ns();
    want(&w->f, fiber_sleep_ns(2 * MS) == ERR_OK);
    want(&w->f, clock_mono_ns() - begin >= 2 * MS);
    fiber_set_deadline(clock_mono_ns() + 3 * MS);
    want(&w->f, fiber_sleep_ns(LONG_NS) == ERR_TIMEOUT);
    want(&w->f, fiber_sleep_ns(1) == ERR_TIMEOUT);
    want(&w->f, waiters_wait(&w->waiters) == ERR_TIMEOUT);
    want(&w->f, clock_mono_ns() - begin < LONG_NS / 2);
    fiber_shield_begin();
    want(&w->f, fiber_sleep_ns(1) == ERR_OK && fiber_status() == ERR_OK);
    want(&w->f, fiber_deadline() == INT64_MAX);
    fiber_shield_end();
    want(&w->f, fiber_status() == ERR_TIMEOUT);
    fiber_set_deadline(INT64_MAX);
    want(&w->f, fiber_sleep_ns(1) == ERR_OK);
    fiber_set_deadline(clock_mono_ns() - 1); // passed already
    want(&w->f, fiber_sleep_ns(1) == ERR_TIMEOUT);
    fiber_set_deadline(clock_mono_ns() + 3 * MS);
    fiber_shield_begin(); // it passes behind the shield
    want(&w->f, fiber_sleep_ns(6 * MS) == ERR_OK);
    fiber_shield_end();
    want(&w->f, fiber_sleep_ns(1) == ERR_TIMEOUT);
}

Test(fiber, deadline)
{
    on_each(deadlines);
}

// What a canceled fiber saw.
static void be_canceled(void *arg)
{
    struct world *w = arg;
    want(&w->f, fiber_sleep_ns(LONG_NS) == ERR_CANCELED);
    want(&w->f, waiters_wait(&w->waiters) == ERR_CANCELED);
    fiber_set_deadline(INT64_MAX); // forgives a deadline, not this
    want(&w->f, fiber_status() == ERR_CANCELED);
    fiber_shield_begin();
    want(&w->f, fiber_sleep_ns(MS) == ERR_OK);
    fiber_shield_end();
    w->counts[0]++;
}

static void be_canceled_behind_shield(void *arg)
{
    struct world *w = arg;
    fiber_shield_begin();
    want(&w->f, fiber_sleep_ns(20 * MS) == ERR_OK);
    fiber_shield_end();
    want(&w->f, fiber_sleep_ns(1) == ERR_CANCELED);
    w->counts[1]++;
}

static void cancels(void *arg)
{
    struct world *w = arg;
    struct fiber *early, *late, *shielded;
    const int64_t begin = clock_mono_ns();
    if (fiber_start(LOOP_QUERY, be_canceled, w, &early) != ERR_OK ||
        fiber_start(LOOP_QUERY, be_canceled, w, &late) != ERR_OK ||
        fiber_start(LOOP_QUERY, be_canceled_behind_shield, w, &shielded) != ERR_OK)
        abort();
    fiber_cancel(early);
    want(&w->f, fiber_sleep_ns(2 * MS) == ERR_OK);
    fiber_cancel(late);
    fiber_cancel(late);
    fiber_cancel(shielded);
    while (w->counts[0] < 2 || w->counts[1] < 1)
        want(&w->f, fiber_sleep_ns(MS) == ERR_OK);
    want(&w->f, clock_mono_ns() - begin < LONG_NS / 2);
}

Test(fiber, cancel)
{
    on_each(cancels);
}

static void wait_once(void *arg)
{
    struct world *w = arg;
    w->counts[waiters_wait(&w->waiters) == ERR_OK ? 0 : 1]++;
}

static void wakes(void *arg)
{
    struct world *w = arg;
    struct fiber *fibers[5];
    waiters_wake_one(&w->waiters); // nobody: nothing
    for (int i = 0; i < 5; i++)
        if (fiber_start(LOOP_QUERY, wait_once, w, &fibers[i]) != ERR_OK)
            abort();
    fiber_yield();
    fiber_yield();
    waiters_wake_one(&w->waiters);
    fiber_cancel(fibers[0]); // was woken before: the wake is not lost
    fiber_cancel(fibers[1]);
    fiber_yield();
    fiber_yield();
    want(&w->f, w->counts[0] == 1 && w->counts[1] == 1, "%d %d", w->counts[0], w->counts[1]);
    waiters_wake_all(&w->waiters);
    fiber_yield();
    fiber_yield();
    want(&w->f, w->counts[0] == 4, "%d", w->counts[0]);
}

Test(fiber, waiters)
{
    on_each(wakes);
}

// Every class always has work; each gets at least about its floor, and the highest most.
struct hog {
    struct world *w;
    enum loop_class class;
};

static void work_all_the_time(void *arg)
{
    struct hog *hog = arg;
    struct world *w = hog->w;
    while (!w->stop) {
        const int64_t begin = clock_mono_ns();
        while (clock_mono_ns() - begin < 20 * 1000)
            continue;
        if (fiber_is_due()) {
            w->counts[hog->class]++;
            fiber_yield();
        }
    }
}

static void classes(void *arg)
{
    struct world *w = arg;
    struct hog hogs[LOOP_CLASS_COUNT];
    for (unsigned class = LOOP_SCRAPE; class < LOOP_CLASS_COUNT; class ++) {
        hogs[class] = (struct hog){w, class};
        if (fiber_start(class, work_all_the_time, &hogs[class], NULL) != ERR_OK)
            abort();
    }
    // Turns rather than time, and a third of the floors: the machine has other work too.
    enum { TURNS = 500, WAITS = 100 };
    static const int floors[LOOP_CLASS_COUNT] = {0, 6, 3, 6, 8, 1, 1};
    int total = 0;
    for (int i = 0; i < WAITS && total < TURNS; i++) {
        const int64_t begin = clock_mono_ns();
        want(&w->f, fiber_sleep_ns(100 * MS) == ERR_OK);
        const int64_t took = clock_mono_ns() - begin;
        want(&w->f, took < LONG_NS / 10, "control waited %lld us", (long long)took / 1000);
        total = 0;
        for (unsigned class = 0; class < LOOP_CLASS_COUNT; class ++)
            total += w->counts[class];
    }
    w->stop = true;
    for (unsigned class = 0; class < LOOP_CLASS_COUNT; class ++)
        want(&w->f, w->counts[class] * 100 >= (total - 20) * floors[class],
             "class %u ran in %d of %d turns", class, w->counts[class], total);
}

Test(fiber, classes_have_floors)
{
    on_each(classes);
}

// A receiver and a merger always have work: the latter has 5 of a hundred, and more when it is
// lent.
static void lent(void *arg)
{
    struct world *w = arg;
    struct hog hogs[] = {{w, LOOP_RECEIVE}, {w, LOOP_MERGE}};
    for (size_t i = 0; i < countof(hogs); i++)
        if (fiber_start(hogs[i].class, work_all_the_time, &hogs[i], NULL) != ERR_OK)
            abort();
    enum { TURNS = 400, WAITS = 100 };
    int shares[2];
    for (int is_lent = 0; is_lent < 2; is_lent++) {
        loop_lend(loop_current(), LOOP_RECEIVE, LOOP_MERGE, is_lent ? 15 : 0);
        int total = w->counts[LOOP_RECEIVE] = w->counts[LOOP_MERGE] = 0;
        for (int i = 0; i < WAITS && total < TURNS; i++) {
            want(&w->f, fiber_sleep_ns(20 * MS) == ERR_OK);
            total = w->counts[LOOP_RECEIVE] + w->counts[LOOP_MERGE];
        }
        shares[is_lent] = w->counts[LOOP_MERGE] * 1000 / total;
    }
    loop_lend(loop_current(), LOOP_RECEIVE, LOOP_MERGE, -15);
    w->stop = true;
    want(&w->f, shares[1] > 100 && shares[1] > 2 * shares[0], "of a thousand turns %d, lent %d",
         shares[0], shares[1]);
}

Test(fiber, floors_are_lent)
{
    on_each(lent);
}

// What a flow does in another class than it began in, that class pays for: of ten that come as
// queries and work as receivers none holds up a query behind them for long.
struct heads {
    struct world *w;
    int left;
};

static void head(void *arg)
{
    struct heads *h = arg;
    fiber_set_class(LOOP_RECEIVE);
    while (!fiber_is_due())
        continue;
    h->left--;
}

static void note_turns(void *arg)
{
    *(uint64_t *)arg = loop_stats(loop_current())->turns;
}

static void classes_pay(void *arg)
{
    enum { HEADS = 10, ROUNDS = 9, TURNS_MAX = 2 * HEADS };
    struct world *w = arg;
    struct hog hog = {w, LOOP_RECEIVE};
    int soon = 0;
    if (fiber_start(LOOP_RECEIVE, work_all_the_time, &hog, NULL) != ERR_OK)
        abort();
    for (int round = 0; round < ROUNDS; round++) {
        struct heads heads = {w, HEADS};
        uint64_t ran = 0;
        for (int i = 0; i < HEADS; i++)
            if (fiber_start(LOOP_QUERY, head, &heads, NULL) != ERR_OK)
                abort();
        const uint64_t asked = loop_stats(loop_current())->turns;
        if (fiber_start(LOOP_QUERY, note_turns, &ran, NULL) != ERR_OK)
            abort();
        while (heads.left || !ran)
            want(&w->f, fiber_sleep_ns(MS) == ERR_OK);
        soon += ran - asked <= TURNS_MAX;
    }
    w->stop = true;
    want(&w->f, soon > ROUNDS / 2, "a query was soon there %d of %d times", soon, ROUNDS);
    const struct loop_waits *waits = &loop_stats(loop_current())->waits[LOOP_QUERY];
    uint64_t counted = 0;
    for (size_t i = 0; i < LOOP_WAIT_BUCKETS; i++)
        counted += waits->buckets[i];
    want(&w->f, counted == ROUNDS * (HEADS + 1), "%llu waits", (unsigned long long)counted);
    want(&w->f, waits->ns > 0 && waits->turns_max >= HEADS - 1, "most %llu turns",
         (unsigned long long)waits->turns_max);
}

Test(fiber, classes_pay_for_their_work)
{
    on_each(classes_pay);
}

// Who comes once in a while goes first, though a higher class always has work.
struct guest {
    struct timer timer;
    struct waiters waiters;
    const struct world *w;
    int last, before; // turns of the other when it ran last, and when it was woken
};

static void wake_guest(struct timer *timer)
{
    struct guest *g = container_of(timer, struct guest, timer);
    g->before = g->w->counts[LOOP_RECEIVE];
    if (g->before - g->last < 10) // turns rather than time: the machine has other work too
        timer_set(timer, clock_mono_ns() + 5 * MS);
    else
        waiters_wake_all(&g->waiters);
}

static void guests(void *arg)
{
    struct world *w = arg;
    struct hog hog = {w, LOOP_RECEIVE};
    struct guest g = {.w = w};
    timer_init(&g.timer, wake_guest);
    waiters_init(&g.waiters);
    if (fiber_start(LOOP_RECEIVE, work_all_the_time, &hog, NULL) != ERR_OK)
        abort();
    fiber_set_class(LOOP_QUERY);
    // Not each time: when the machine puts this thread aside, somebody is charged for it.
    int first = 0;
    for (int i = 0; i < 200 && first < 5; i++) {
        g.last = w->counts[LOOP_RECEIVE];
        timer_set(&g.timer, clock_mono_ns() + 5 * MS);
        want(&w->f, waiters_wait(&g.waiters) == ERR_OK);
        first += w->counts[LOOP_RECEIVE] == g.before;
    }
    want(&w->f, first == 5, "the other always went before");
    w->stop = true;
}

Test(fiber, guests_go_first)
{
    on_each(guests);
}

// Timers.
struct ticker {
    struct timer timer;
    int fired;
    struct waiters *waiters;
};

static void tick(struct timer *timer)
{
    struct ticker *t = container_of(timer, struct ticker, timer);
    if (++t->fired < 5)
        timer_set(timer, clock_turn_ns()); // at once: in the next turn
    waiters_wake_all(t->waiters);
}

static void timers(void *arg)
{
    struct world *w = arg;
    struct ticker a = {.waiters = &w->waiters}, b = a;
    timer_init(&a.timer, tick);
    timer_init(&b.timer, tick);
    timer_set(&a.timer, clock_mono_ns() + MS);
    timer_set(&b.timer, clock_mono_ns() + MS);
    want(&w->f, timer_is_set(&b.timer));
    timer_cancel(&b.timer);
    timer_cancel(&b.timer);
    want(&w->f, !timer_is_set(&b.timer));
    while (a.fired < 5)
        want(&w->f, waiters_wait(&w->waiters) == ERR_OK);
    want(&w->f, b.fired == 0);
}

Test(fiber, timers)
{
    on_each(timers);
}

// Many timers that are due at once are shared out to turns, and others run in between.
struct slow_timer {
    struct timer timer;
    struct crowd *crowd;
};

struct crowd {
    struct slow_timer all[100];
    uint64_t turn;
    int fired, in_turn, in_turn_max;
};

static void take_time(struct timer *timer)
{
    struct crowd *c = container_of(timer, struct slow_timer, timer)->crowd;
    const int64_t until = clock_mono_ns() + MS / 20;
    const uint64_t turn = loop_stats(loop_current())->turns;
    c->in_turn = turn == c->turn ? c->in_turn + 1 : 1;
    c->turn = turn;
    c->in_turn_max = c->in_turn > c->in_turn_max ? c->in_turn : c->in_turn_max;
    c->fired++;
    while (clock_mono_ns() < until)
        ;
}

static void crowded_timers(void *arg)
{
    struct world *w = arg;
    struct crowd c = {0};
    for (size_t i = 0; i < countof(c.all); i++) {
        c.all[i].crowd = &c;
        timer_init(&c.all[i].timer, take_time);
        timer_set(&c.all[i].timer, clock_turn_ns());
    }
    int between = 0;
    for (; c.fired < (int)countof(c.all); between++)
        fiber_yield();
    want(&w->f, c.in_turn_max <= 16, "%d timers fired in one turn", c.in_turn_max);
    want(&w->f, between >= (int)countof(c.all) / 16, "%d turns of another", between);
}

Test(fiber, crowded_timers)
{
    on_each(crowded_timers);
}

// Present under sanitizers: their reports of what is meant to die are nobody's business.
extern void __sanitizer_set_report_path(const char *) __attribute__((weak));

// Things that must end the process.
static bool dies(fiber_fn *flow)
{
    const pid_t child = fork();
    if (child == 0) {
        close(STDERR_FILENO);
        if (__sanitizer_set_report_path)
            __sanitizer_set_report_path("stderr");
        struct world w = {0};
        in_loop(IN_LOOP_POLL, flow, &w);
        _exit(0);
    }
    int status = 0;
    return waitpid(child, &status, 0) == child && status != 0;
}

static int dig(volatile int *depth)
{
    volatile char block[1024];
    memset((char *)(uintptr_t)block, *depth, sizeof block);
    ++*depth;
    return *depth > 1000 * 1000 ? 0 : dig(depth) + block[5];
}

static void overflow_stack(void *arg)
{
    (void)arg;
    volatile int depth = 0;
    dig(&depth);
}

static void suspend_when_forbidden(void *arg)
{
    (void)arg;
    fiber_no_suspend_begin();
    fiber_yield();
}

static void unshield_too_often(void *arg)
{
    (void)arg;
    fiber_shield_end();
}

static void do_nothing(void *arg)
{
    (void)arg;
}

Test(fiber, mistakes_end_the_process)
{
    cr_assert_not(dies(do_nothing));
    cr_assert(dies(overflow_stack));
    cr_assert(dies(suspend_when_forbidden));
    cr_assert(dies(unshield_too_often));
}
