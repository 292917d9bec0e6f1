#include <criterion/criterion.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "io/backend.h"
#include "io/fiber.h"
#include "io/loop.h"

enum { MS = 1000 * 1000 };

static int64_t cpu_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

// Not static, and not inlined: their names are what is looked for.
void work_for_a_while(int64_t ns);
void hold_the_shard(void *arg);
void ask_too_late(void *arg);

__attribute__((noinline)) void work_for_a_while(int64_t ns)
{
    for (const int64_t end = cpu_ns() + ns; cpu_ns() < end;)
        continue;
}

void hold_the_shard(void *arg)
{
    (void)arg;
    work_for_a_while(5 * MS);
}

// Longer than any build allows.
static void hold_it_often(void *arg)
{
    (void)arg;
    for (int i = 0; i < TURN_ABORTS_AT; i++) {
        work_for_a_while(60 * MS); // beyond what the slowest build is allowed
        fiber_yield();
    }
}

static void go_on(void *arg)
{
    (void)arg;
    for (int i = 0; i < 150; i++) {
        work_for_a_while(MS);
        fiber_yield_if_due();
    }
}

static void go_on_though_canceled(void *arg)
{
    struct fiber *other = NULL;
    (void)arg;
    fiber_start_always(LOOP_QUERY, go_on, NULL, &other);
    fiber_cancel(other);
}

void ask_too_late(void *arg)
{
    (void)arg;
    while (fiber_is_due()) // on a machine that put this thread aside; asked last in this turn
        fiber_yield();
    work_for_a_while(10 * MS);
    fiber_yield_if_due();
}

struct seen {
    char lines[4096];
    size_t n;
};

static void note_line(void *cookie, const char *line, size_t n)
{
    struct seen *seen = cookie;
    n = n < sizeof seen->lines - 1 - seen->n ? n : sizeof seen->lines - 1 - seen->n;
    memcpy(seen->lines + seen->n, line, n);
    seen->n += n;
}

static bool start_both(void *arg)
{
    (void)arg;
    fiber_start_always(LOOP_QUERY, hold_the_shard, NULL, NULL);
    fiber_start_always(LOOP_SCRAPE, ask_too_late, NULL, NULL);
    loop_set_hook(loop_current(), NULL, NULL);
    return true;
}

static bool start_often(void *arg)
{
    (void)arg;
    fiber_start_always(LOOP_QUERY, hold_it_often, NULL, NULL);
    loop_set_hook(loop_current(), NULL, NULL);
    return true;
}

static bool start_deaf(void *arg)
{
    (void)arg;
    fiber_start_always(LOOP_SCRAPE, go_on_though_canceled, NULL, NULL);
    loop_set_hook(loop_current(), NULL, NULL);
    return true;
}

static struct loop *run(enum turn_watch_mode mode, const struct log_sink *log, loop_hook_fn *first)
{
    struct backend *backend = NULL;
    struct loop *loop = NULL;
    const struct loop_options options = {.fibers_max = 10, .watch = mode, .log = log};
    if (backend_poll_create(&backend, NULL) != ERR_OK ||
        loop_create(backend, &options, &loop, NULL) != ERR_OK)
        abort();
    loop_set_hook(loop, first, NULL);
    do
        (void)loop_turn(loop, -1);
    while (loop_stats(loop)->fibers_alive > 0);
    return loop;
}

static const struct turn_offender *offender(const struct loop *loop, const char *flow)
{
    const struct turn_offender *o;
    const size_t n = turn_offenders(loop, &o);
    for (size_t i = 0; i < n; i++)
        if (strcmp(o[i].flow, flow) == 0)
            return &o[i];
    return NULL;
}

static void check(enum turn_watch_mode mode)
{
    struct seen seen = {.n = 0};
    const struct log_sink log = {.level = LOG_LEVEL_WARN, .write = note_line, .cookie = &seen};
    struct loop *loop = run(mode, &log, start_both);
    const struct turn_offender *held = offender(loop, "hold_the_shard");
    const struct turn_offender *late = offender(loop, "ask_too_late");
    cr_assert(held && late, "mode %d", mode);
    cr_assert(held->class == LOOP_QUERY && held->count == 1 && held->ns_max >= 5 * MS);
    cr_assert(late->class == LOOP_SCRAPE && late->count == 1 && late->ns_max >= 10 * MS);
    cr_assert(loop_stats(loop)->turns_over_quota >= 2);
    const bool is_watched = mode != TURN_WATCH_OFF;
    cr_assert(!strstr(seen.lines, "a turn took too long") == !is_watched, "%s", seen.lines);
    cr_assert(!strstr(seen.lines, "flow=ask_too_late class=scrape") == !is_watched, "%s",
              seen.lines);
    cr_assert(!strstr(late->place, "from ask_too_late to ask_too_late") == !is_watched, "%s",
              late->place);
    loop_destroy(loop);
    helpers_stop();
}

Test(turn_watch, names_who_held_the_shard)
{
    check(TURN_WATCH_OFF);
    check(TURN_WATCH_LOG);
    check(TURN_WATCH_PIECES);
}

Test(turn_watch, aborts)
{
    const pid_t pid = fork();
    if (pid == 0) {
        close(STDERR_FILENO);
        loop_destroy(run(TURN_WATCH_ABORT, NULL, start_often));
        _exit(0);
    }
    int status;
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT, "%d", status);
}

Test(turn_watch, measures_who_goes_on_after_a_cancel)
{
    struct seen seen = {.n = 0};
    const struct log_sink log = {.level = LOG_LEVEL_WARN, .write = note_line, .cookie = &seen};
    struct loop *loop = run(TURN_WATCH_LOG, &log, start_deaf);
    cr_assert(loop_stats(loop)->told_ns_max >= 140 * MS, "%lld",
              (long long)loop_stats(loop)->told_ns_max);
    cr_assert(strstr(seen.lines, "went on after it was told to end"), "%s", seen.lines);
    loop_destroy(loop);
    loop = run(TURN_WATCH_LOG, &log, start_both);
    cr_assert_eq(loop_stats(loop)->told_ns_max, 0);
    loop_destroy(loop);
    helpers_stop();
}
