// no_uring COMMAND ARGS...: runs COMMAND where io_uring is forbidden as the default seccomp
// profiles of Docker and containerd forbid it: its system calls fail with EPERM, for all that
// COMMAND starts, too. FERULA_URING=forbidden in its environment says so.
//
// Needs no privileges: no_new_privs allows a process to filter its own system calls.
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
    // The numbers are the same on every architecture.
    URING_FIRST = 425, // io_uring_setup, io_uring_enter, io_uring_register
    URING_LAST = 427,
};

static int forbid(void)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, URING_FIRST, 0, 2),
        BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, URING_LAST, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const struct sock_fprog program = {.len = sizeof filter / sizeof *filter, .filter = filter};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
        return -1;
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "usage: no_uring COMMAND ARGS...\n");
        return 2;
    }
    if (forbid()) {
        fprintf(stderr, "no_uring: seccomp: %s\n", strerror(errno));
        return 2;
    }
    if (setenv("FERULA_URING", "forbidden", 1))
        return 2;
    execvp(argv[1], argv + 1);
    fprintf(stderr, "no_uring: %s: %s\n", argv[1], strerror(errno));
    return 2;
}
