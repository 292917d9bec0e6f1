// The process: signals, limits, its numbers, standard output. Only main programs and engine/server
// use it; the simulator has a stand-in.
#ifndef IO_PROCESS_H
#define IO_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/err.h"
#include "engine/base/log.h"

// Raises the soft limit of open files to the hard one; the limit in force.
uint64_t process_raise_file_limit(void);
// A write of one whole line to standard error, from any thread: a log sink.
void process_log_write(void *cookie, const char *line, size_t n);
int64_t process_wall_ms(void *cookie);

// Blocks the signals in every thread made later; a thread of its own waits for them, and keeps them
// until it is told what to do with them. SIGPIPE is ignored.
err process_catch_signals(const int *signals, size_t n, struct errmsg *e);
// From now on that thread calls seen(arg, signal number). NULL: when this returns none is being
// delivered, and none will be.
void process_deliver_signals(void (*seen)(void *arg, int signal), void *arg);

// CPUs this process may use: the affinity mask's count, lowered to the ceiling of the cgroup's
// cpu.max. has_quota: a CPU quota without a cpuset of its own, so pinning would hurt.
struct process_cpus {
    unsigned count;
    bool has_quota;
    uint16_t ids[1024]; // of the affinity mask, the first count of them
};
void process_cpus(struct process_cpus *out);
void process_pin_thread(uint16_t cpu);
// Bytes of memory this process may use: the cgroup's limit or the machine's.
uint64_t process_memory_limit(void);
uint64_t process_resident_bytes(void); // 0: not known. A few microseconds

struct process_numbers { // for process_* metrics
    double cpu_seconds;
    uint64_t resident_bytes, virtual_bytes, open_fds, max_fds, threads;
    double start_time_seconds;
};
void process_numbers(struct process_numbers *out);
const char *process_hostname(void); // valid for the process's life
const char *process_cwd(void);
const char *process_getenv(const char *name); // NULL: not set
int process_pid(void);
// Who listens on a TCP port, as far as this process may see: "process 12 (nginx)". Returns out.
const char *process_of_port(uint16_t port, char *out, size_t size);

#endif
