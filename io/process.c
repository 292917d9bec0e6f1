#include "io/process.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "io/system.h"

uint64_t process_raise_file_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit))
        return 0;
    const rlim_t before = limit.rlim_cur;
    limit.rlim_cur = limit.rlim_max;
    return setrlimit(RLIMIT_NOFILE, &limit) ? before : limit.rlim_cur;
}

void process_log_write(void *cookie, const char *line, size_t n)
{
    (void)cookie;
    while (n > 0) {
        const ssize_t wrote = write(STDERR_FILENO, line, n);
        if (wrote < 0 && errno != EINTR)
            return; // nobody is left to tell
        if (wrote > 0) {
            line += wrote;
            n -= (size_t)wrote;
        }
    }
}

int64_t process_wall_ms(void *cookie)
{
    (void)cookie;
    return system_wall_ms();
}

static struct {
    sigset_t set; // written before its thread starts
    bool is_started;
    pthread_mutex_t lock; // of what follows; held while seen() runs
    pthread_cond_t given;
    void (*seen)(void *arg, int signal);
    void *arg;
} catcher = {.lock = PTHREAD_MUTEX_INITIALIZER, .given = PTHREAD_COND_INITIALIZER};

static void *catch_signals(void *arg)
{
    (void)arg;
    for (;;) {
        int signal;
        if (sigwait(&catcher.set, &signal) != 0)
            continue;
        pthread_mutex_lock(&catcher.lock);
        while (!catcher.seen)
            pthread_cond_wait(&catcher.given, &catcher.lock);
        catcher.seen(catcher.arg, signal);
        pthread_mutex_unlock(&catcher.lock);
    }
    return NULL;
}

void process_deliver_signals(void (*seen)(void *arg, int signal), void *arg)
{
    pthread_mutex_lock(&catcher.lock);
    catcher.seen = seen;
    catcher.arg = arg;
    pthread_cond_signal(&catcher.given);
    pthread_mutex_unlock(&catcher.lock);
}

err process_catch_signals(const int *signals, size_t n, struct errmsg *e)
{
    assert(!catcher.is_started);
    catcher.is_started = true;
    sigemptyset(&catcher.set);
    for (size_t i = 0; i < n; i++)
        sigaddset(&catcher.set, signals[i]);
    signal(SIGPIPE, SIG_IGN);
    pthread_sigmask(SIG_BLOCK, &catcher.set, NULL);
    pthread_t thread;
    const int code = pthread_create(&thread, NULL, catch_signals, NULL);
    if (code)
        return err_set(e, ERR_IO, "start the signal thread: %s", system_text(-code).text);
    pthread_setname_np(thread, "signals");
    pthread_detach(thread); // waits for signals until the process ends
    return ERR_OK;
}

void process_pin_thread(uint16_t cpu)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    (void)sched_setaffinity(0, sizeof set, &set); // a CPU that went away: run where we may
}

// The words of /proc/self/stat behind the name of the program, which may hold anything.
static bool read_stat(char *text, size_t size)
{
    FILE *f = fopen("/proc/self/stat", "re");
    if (!f)
        return false;
    const size_t n = fread(text, 1, size - 1, f);
    fclose(f);
    text[n] = '\0';
    const char *end = strrchr(text, ')');
    if (!end)
        return false;
    memmove(text, end + 1, strlen(end + 1) + 1);
    return true;
}

// "btime 1700000000" of /proc/stat: when the machine started, in Unix time.
static double boot_time_seconds(void)
{
    FILE *f = fopen("/proc/stat", "re");
    if (!f)
        return 0;
    char line[4096];
    double seconds = 0;
    while (seconds == 0 && fgets(line, sizeof line, f))
        if (!strncmp(line, "btime ", 6))
            seconds = strtod(line + 6, NULL);
    fclose(f);
    return seconds;
}

static uint64_t count_open_fds(void);

// Field numbers of proc(5), counted from the state, which is the third.
enum {
    STAT_UTIME = 11,
    STAT_STIME = 12,
    STAT_THREADS = 17,
    STAT_START = 19,
    STAT_VSIZE = 20,
    STAT_RSS = 21,
    STAT_FIELDS = 22
};

void process_numbers(struct process_numbers *out)
{
    *out = (struct process_numbers){0};
    char text[2048];
    double fields[STAT_FIELDS] = {0};
    if (read_stat(text, sizeof text)) {
        char *at = text + 2; // " S": the state is a letter
        for (int i = 1; i < STAT_FIELDS; i++)
            fields[i] = strtod(at, &at);
    }
    const double tick = (double)sysconf(_SC_CLK_TCK), page = (double)sysconf(_SC_PAGESIZE);
    out->cpu_seconds = (fields[STAT_UTIME] + fields[STAT_STIME]) / tick;
    out->threads = (uint64_t)fields[STAT_THREADS];
    out->virtual_bytes = (uint64_t)fields[STAT_VSIZE];
    out->resident_bytes = (uint64_t)(fields[STAT_RSS] * page);
    out->start_time_seconds = boot_time_seconds() + fields[STAT_START] / tick;
    out->open_fds = count_open_fds();
    struct rlimit limit;
    if (!getrlimit(RLIMIT_NOFILE, &limit))
        out->max_fds = limit.rlim_cur;
}

static uint64_t count_open_fds(void)
{
    struct op op = {.kind = OP_LIST, .path = "/proc/self/fd"};
    if (system_run(&op) < 0)
        return 0;
    free(op.names.bytes);
    return op.names.count - 1; // less the one that listed
}

const char *process_hostname(void)
{
    static char name[256]; // written once, by the first who asks: main, before threads
    if (!name[0] && gethostname(name, sizeof name - 1))
        name[0] = '\0';
    return name;
}

const char *process_cwd(void)
{
    static char path[4096]; // as above
    if (!path[0] && !getcwd(path, sizeof path))
        return "";
    return path;
}

const char *process_getenv(const char *name)
{
    return getenv(name);
}

int process_pid(void)
{
    return getpid();
}
