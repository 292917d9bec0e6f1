// Starts one shard as the product does and prints the name of the backend that was chosen. With an
// argument: that one must be it.
#include <stdio.h>
#include <string.h>

#include "engine/shard/shard.h"
#include "io/backend.h"
#include "io/process.h"

static void stop(void *arg)
{
    *(const char **)arg = loop_backend_name(loop_current());
    shards_stop(shard_all());
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
    puts(name);
    return argc > 1 && strcmp(name, argv[1]) != 0;
}
