// which_backend NAME: starts one shard as the product does; NAME must be the backend that is
// chosen. Where the machine itself forbids io_uring, that is skipped. "N passed, N failed, N
// skipped", 0 when none failed.
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "engine/shard/shard.h"
#include "io/backend.h"
#include "io/process.h"

static void stop(void *arg)
{
    *(const char **)arg = loop_backend_name(loop_current());
    shards_stop(shard_all());
}

static bool uring_is_forbidden(void)
{
    return syscall(SYS_io_uring_setup, 0, NULL) < 0 && (errno == ENOSYS || errno == EPERM);
}

int main(int argc, char **argv)
{
    struct errmsg e = {""};
    struct shards *all = NULL;
    const char *name = "none";
    const struct log_sink sink = {.level = LOG_LEVEL_INFO, .write = process_log_write};
    const struct shards_options options = {.count = 1, .log = &sink};
    if (shards_create(&options, stop, &name, &all, &e) != ERR_OK)
        fprintf(stderr, "%s\n", e.text);
    else
        shards_destroy(all);
    helpers_stop();
    const char *wanted = argc > 1 ? argv[1] : "";
    const bool passed = strcmp(name, wanted) == 0;
    const bool skipped = !passed && strcmp(wanted, "io_uring") == 0 && uring_is_forbidden();
    printf("%s\n%d passed, %d failed, %d skipped\n", skipped ? "skipped: no io_uring here" : name,
           passed, !passed && !skipped, skipped);
    return !passed && !skipped;
}
