#include "io/process.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// Limits of control groups. Version 2: /proc/self/cgroup says "0::/a/b", and the limits in force
// are the smallest of /sys/fs/cgroup/a/b and the folders above it. Version 1: "5:cpu,cpuacct:/a/b"
// and one hierarchy a controller, of which "cpu" and "memory" matter. In a container the path may
// be the host's while the mount shows only our own group: folders that do not exist are passed
// over, and the walk ends at the root of the mount.

enum { PATH_BYTES = 4096 };

static bool read_line(const char *path, char *out, size_t size)
{
    FILE *f = fopen(path, "re");
    if (!f)
        return false;
    const bool got = fgets(out, (int)size, f);
    fclose(f);
    if (got)
        out[strcspn(out, "\n")] = '\0';
    return got;
}

// Whether controller is among names, which commas part.
static bool names_have(const char *names, size_t n, const char *controller)
{
    const size_t want = strlen(controller);
    for (size_t at = 0; at < n;) {
        const char *comma = memchr(names + at, ',', n - at);
        const size_t end = comma ? (size_t)(comma - names) : n;
        if (end - at == want && !memcmp(names + at, controller, want))
            return true;
        at = end + 1;
    }
    return false;
}

// Our group's path in the hierarchy of controller, "" being version 2's.
static bool group_path(const char *controller, char *out, size_t size)
{
    FILE *f = fopen("/proc/self/cgroup", "re");
    if (!f)
        return false;
    char line[PATH_BYTES];
    bool found = false;
    while (!found && fgets(line, sizeof line, f)) {
        line[strcspn(line, "\n")] = '\0';
        const char *names = strchr(line, ':');
        const char *path = names ? strchr(names + 1, ':') : NULL;
        if (!path)
            continue;
        const size_t n = (size_t)(path - names - 1);
        if (controller[0] ? names_have(names + 1, n, controller) : n == 0) {
            snprintf(out, size, "%s", path + 1);
            found = true;
        }
    }
    fclose(f);
    return found;
}

// Calls look(folder) for our group and each above it.
static double smallest(const char *mount, const char *controller,
                       double (*look)(const char *folder))
{
    char path[PATH_BYTES / 2], folder[PATH_BYTES];
    double min = 0;
    if (!group_path(controller, path, sizeof path))
        return 0;
    for (;;) {
        snprintf(folder, sizeof folder, "%s%s", mount, path);
        const double limit = look(folder);
        if (limit > 0 && (min == 0 || limit < min))
            min = limit;
        char *slash = strrchr(path, '/');
        if (!slash)
            return min;
        *slash = '\0';
    }
}

static double number_in(const char *folder, const char *name)
{
    char path[PATH_BYTES + 64], text[64];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return read_line(path, text, sizeof text) ? strtod(text, NULL) : 0; // "max": 0
}

static double cpus_v2(const char *folder) // "max 100000" or "150000 100000"
{
    char path[PATH_BYTES + 64], text[64];
    snprintf(path, sizeof path, "%s/cpu.max", folder);
    if (!read_line(path, text, sizeof text))
        return 0;
    char *end;
    const double quota = strtod(text, &end), period = strtod(end, NULL);
    return end != text && period > 0 ? quota / period : 0;
}

static double cpus_v1(const char *folder)
{
    const double quota = number_in(folder, "cpu.cfs_quota_us");
    const double period = number_in(folder, "cpu.cfs_period_us");
    return quota > 0 && period > 0 ? quota / period : 0; // no quota: -1
}

static double memory_v2(const char *folder)
{
    return number_in(folder, "memory.max");
}

static double memory_v1(const char *folder)
{
    return number_in(folder, "memory.limit_in_bytes");
}

static double at_most(double a, double b) // 0: none
{
    return a == 0 || (b > 0 && b < a) ? b : a;
}

void process_cpus(struct process_cpus *out)
{
    *out = (struct process_cpus){0};
    cpu_set_t set;
    CPU_ZERO(&set);
    if (sched_getaffinity(0, sizeof set, &set))
        CPU_SET(0, &set);
    for (uint16_t cpu = 0; cpu < CPU_SETSIZE && out->count < 1024; cpu++)
        if (CPU_ISSET(cpu, &set))
            out->ids[out->count++] = cpu;
    if (out->count == 0)
        out->count = 1;
    const double v2 = smallest("/sys/fs/cgroup", "", cpus_v2);
    const double quota = at_most(v2, smallest("/sys/fs/cgroup/cpu", "cpu", cpus_v1));
    if (quota == 0)
        return;
    const long online = sysconf(_SC_NPROCESSORS_ONLN);
    out->has_quota = online <= 0 || out->count >= (unsigned long)online;
    unsigned whole = quota < 1e4 ? (unsigned)quota : 10000;
    whole += (double)whole < quota;
    if (whole < out->count)
        out->count = whole ? whole : 1;
}

uint64_t process_resident_bytes(void) // the second number of statm
{
    char text[128], *end;
    if (!read_line("/proc/self/statm", text, sizeof text))
        return 0;
    strtoull(text, &end, 10);
    return strtoull(end, NULL, 10) * (uint64_t)sysconf(_SC_PAGESIZE);
}

uint64_t process_memory_limit(void)
{
    const double pages = (double)sysconf(_SC_PHYS_PAGES), page = (double)sysconf(_SC_PAGESIZE);
    const double v2 = smallest("/sys/fs/cgroup", "", memory_v2);
    const double v1 = smallest("/sys/fs/cgroup/memory", "memory", memory_v1);
    return (uint64_t)at_most(pages * page, at_most(v2, v1));
}
