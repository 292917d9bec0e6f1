#include <criterion/criterion.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "io/process.h"
#include "io/thread.h"

Test(process, cpus_follow_the_mask)
{
    struct process_cpus cpus;
    process_cpus(&cpus);
    cr_assert_geq(cpus.count, 1);
    cr_assert_leq(cpus.count, (unsigned)sysconf(_SC_NPROCESSORS_CONF));
    const uint16_t last = cpus.ids[cpus.count - 1];
    process_pin_thread(last);
    cr_assert_eq(sched_getcpu(), last);
    process_cpus(&cpus);
    cr_assert_eq(cpus.count, 1);
    cr_assert_eq(cpus.ids[0], last);
}

Test(process, numbers)
{
    struct process_numbers before, after;
    process_numbers(&before);
    int pipes[2];
    cr_assert_eq(pipe(pipes), 0);
    const clock_t begin = clock();
    while (clock() - begin < CLOCKS_PER_SEC / 20)
        continue;
    process_numbers(&after);
    cr_assert_eq(after.open_fds, before.open_fds + 2);
    cr_assert_geq(after.cpu_seconds, before.cpu_seconds + 0.03);
    cr_assert_gt(after.resident_bytes, 100 * 1000);
    cr_assert_gt(after.virtual_bytes, after.resident_bytes);
    cr_assert_geq(after.threads, 1);
    const double age = (double)time(NULL) - after.start_time_seconds;
    cr_assert(age > -2 && age < 600, "%f", age);
    cr_assert_eq(process_raise_file_limit(), (uint64_t)sysconf(_SC_OPEN_MAX));
    process_numbers(&after);
    cr_assert_eq(after.max_fds, (uint64_t)sysconf(_SC_OPEN_MAX));
}

Test(process, memory)
{
    const uint64_t limit = process_memory_limit();
    const uint64_t machine = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
    cr_assert_gt(limit, 1 << 20);
    cr_assert_leq(limit, machine);
}

static atomic_int seen_signal, seen_count;

static void note_signal(void *arg, int signal)
{
    atomic_store((atomic_int *)arg, signal);
    atomic_fetch_add(&seen_count, 1);
}

static void idle(void *arg)
{
    while (atomic_load((atomic_int *)arg) < 3)
        usleep(1000);
}

static void send_and_wait(int signal, int wanted)
{
    kill(getpid(), signal);
    for (int i = 0; i < 120000 && atomic_load(&seen_count) < wanted; i++)
        usleep(1000);
    cr_assert_eq(atomic_load(&seen_count), wanted);
    cr_assert_eq(atomic_load(&seen_signal), signal);
}

// Whatever threads there are, the one that waits for signals gets them.
Test(process, signals)
{
    const int signals[] = {SIGTERM, SIGHUP};
    struct errmsg e = {""};
    struct thread *thread = NULL;
    cr_assert_eq(process_catch_signals(signals, 2, &e), ERR_OK, "%s", e.text);
    cr_assert_eq(thread_start("a name that is too long", idle, &seen_count, &thread, &e), ERR_OK);
    kill(getpid(), SIGTERM); // kept until somebody wants it
    usleep(20000);
    cr_assert_eq(atomic_load(&seen_count), 0);
    process_deliver_signals(note_signal, &seen_signal);
    for (int i = 0; i < 120000 && !atomic_load(&seen_count); i++)
        usleep(1000);
    cr_assert_eq(atomic_load(&seen_count), 1);
    send_and_wait(SIGHUP, 2);
    raise(SIGPIPE); // ignored
    send_and_wait(SIGTERM, 3);
    thread_join(thread);
    process_deliver_signals(NULL, NULL);
    kill(getpid(), SIGTERM);
    usleep(20000);
    cr_assert_eq(atomic_load(&seen_count), 3);
}

Test(process, log_lines_are_whole)
{
    int pipes[2];
    char got[100] = "";
    cr_assert_eq(pipe(pipes), 0);
    const int before = dup(STDERR_FILENO);
    dup2(pipes[1], STDERR_FILENO);
    process_log_write(NULL, "line\n", 5);
    dup2(before, STDERR_FILENO);
    cr_assert_eq(read(pipes[0], got, sizeof got), 5);
    cr_assert_str_eq(got, "line\n");
    cr_assert(llabs(process_wall_ms(NULL) - (long long)time(NULL) * 1000) < 300 * 1000);
}
