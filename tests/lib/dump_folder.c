// dump_folder [--bits] FOLDER: every series and sample of a data folder that nobody has open, as
// dump.h writes them with times: what a server kept, read by the storage's own reader.
#include <stdio.h>

#include "tests/lib/dump.h"
#include "tests/lib/in_shards.h"

struct job {
    const char *folder;
    bool as_bits;
    struct findings found;
};

static void run(void *arg)
{
    struct job *job = arg;
    const struct tsdb_options options = {.path = job->folder, .wal_sync = TSDB_WAL_SYNC_NONE};
    struct tsdb *db;
    struct errmsg e;
    struct buf text = {0};
    if (tsdb_open(&options, &db, &e) != ERR_OK) {
        want(&job->found, false, "%s", e.text);
        return;
    }
    while (!tsdb_is_ready(db) && tsdb_start_result(db, &e) == ERR_OK)
        (void)!fiber_sleep_ns(1000000);
    want(&job->found, tsdb_start_result(db, &e) == ERR_OK, "not ready");
    if (job->as_bits)
        dump_bits(db, &text);
    else
        dump_samples(db, true, &text);
    fwrite(text.p, 1, text.n, stdout);
    buf_deinit(&text);
    want(&job->found, tsdb_close(db, &e) == ERR_OK, "not closed");
}

int main(int argc, char **argv)
{
    const bool as_bits = argc > 1 && !strcmp(argv[1], "--bits");
    if (argc != 2 + as_bits) {
        fputs("usage: dump_folder [--bits] FOLDER\n", stderr);
        return 2;
    }
    struct job job = {.folder = argv[1 + as_bits], .as_bits = as_bits};
    in_shards(1, SHARD_BACKEND_AUTO, run, &job, &job.found);
    fputs(job.found.text, stderr);
    return job.found.text[0] != 0;
}
