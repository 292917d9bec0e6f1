// Who holds a TCP port: /proc/net/tcp names the socket's inode, /proc/<pid>/fd the process.
#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io/process.h"

// The inode of the socket that listens on port; 0: none is seen.
static unsigned long listening_inode(const char *table, uint16_t port)
{
    enum { STATE_LISTEN = 0x0a };
    FILE *f = fopen(table, "re");
    char line[512];
    unsigned long inode = 0;
    while (f && !inode && fgets(line, sizeof line, f)) {
        unsigned local, state;
        unsigned long found;
        if (sscanf(line, " %*d: %*[0-9A-Fa-f]:%x %*s %x %*s %*s %*s %*s %*s %lu", &local, &state,
                   &found) == 3 &&
            local == port && state == STATE_LISTEN)
            inode = found;
    }
    if (f)
        fclose(f);
    return inode;
}

static bool has_socket(const char *pid, unsigned long inode)
{
    char path[300], link[64], wanted[64];
    bool found = false;
    snprintf(path, sizeof path, "/proc/%.16s/fd", pid);
    const size_t wanted_n = (size_t)snprintf(wanted, sizeof wanted, "socket:[%lu]", inode);
    DIR *dir = opendir(path);
    for (struct dirent *entry; dir && !found && (entry = readdir(dir));) {
        snprintf(path, sizeof path, "/proc/%.16s/fd/%.16s", pid, entry->d_name);
        const ssize_t n = readlink(path, link, sizeof link);
        found = n > 0 && (size_t)n == wanted_n && !memcmp(link, wanted, wanted_n);
    }
    if (dir)
        closedir(dir);
    return found;
}

static void read_name(const char *pid, char *name, size_t size)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%.16s/comm", pid);
    FILE *f = fopen(path, "re");
    name[0] = '\0';
    if (f && fgets(name, (int)size, f))
        name[strcspn(name, "\n")] = '\0';
    if (f)
        fclose(f);
}

const char *process_of_port(uint16_t port, char *out, size_t size)
{
    unsigned long inode = listening_inode("/proc/net/tcp", port);
    if (!inode)
        inode = listening_inode("/proc/net/tcp6", port);
    snprintf(out, size, "another process");
    DIR *dir = inode ? opendir("/proc") : NULL;
    for (struct dirent *entry; dir && (entry = readdir(dir));) {
        if (!isdigit((unsigned char)entry->d_name[0]) || !has_socket(entry->d_name, inode))
            continue;
        char name[64];
        read_name(entry->d_name, name, sizeof name);
        snprintf(out, size, "process %.16s (%s)", entry->d_name, name);
        break;
    }
    if (dir)
        closedir(dir);
    return out;
}
