// Makes a data folder as this version writes it, for tests/data/format-N: block files that were
// spilled and merged, and a log with rows that no file has. write_folder NEW_FOLDER
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/base/util.h"
#include "simd/simd.h"
#include "tests/lib/in_shards.h"
#include "tests/lib/map_world.h"
#include "tests/unit/format/format_traffic.h"

enum { SHARDS = 2, HOUR_MS = 3600000, PAGE = 4096 };

struct making {
    const char *folder; // the result
    char work[512];     // where it is written
    struct map_world world;
    struct findings found;
};

static void open_folder(struct making *m, int64_t spill_ms)
{
    const struct tsdb_options options = {.path = m->work,
                                         .wal_sync = TSDB_WAL_SYNC_ALWAYS,
                                         .spill_ms = spill_ms,
                                         .seal_ms = FORMAT_SEAL_MS};
    struct errmsg e = {0};
    want(&m->found, tsdb_open(&options, &m->world.db, &e) == ERR_OK, "%s", e.text);
    while (!m->found.text[0] && !tsdb_is_ready(m->world.db))
        (void)!fiber_sleep_ns(1000000);
}

static void close_folder(struct making *m)
{
    struct errmsg e = {0};
    want(&m->found, tsdb_close(m->world.db, &e) == ERR_OK, "%s", e.text);
}

static void write_rounds(struct making *m, int from, int to)
{
    for (int round = from; round < to && !m->found.text[0]; round++) {
        struct traffic t;
        format_traffic(&t, round, round + 1);
        for (size_t i = 0; i < t.n; i++)
            map_world_apply(&m->world, &t.batches[i]);
        traffic_deinit(&t);
        (void)!fiber_sleep_ns(8000000); // time to spill
    }
}

static void make(void *arg)
{
    struct making *m = arg;
    map_world_init(&m->world, NULL, "format", 1, &m->found);
    m->world.shards = shard_all();
    m->world.forms = true;
    open_folder(m, 70);
    write_rounds(m, 0, FORMAT_SEALED_ROUNDS);
    close_folder(m);
    open_folder(m, 70);
    write_rounds(m, FORMAT_SEALED_ROUNDS, FORMAT_SEALED_ROUNDS + FORMAT_SPILLED_ROUNDS);
    (void)!fiber_sleep_ns(600000000);
    close_folder(m);
    open_folder(m, HOUR_MS);
    write_rounds(m, FORMAT_SEALED_ROUNDS + FORMAT_SPILLED_ROUNDS, FORMAT_ROUNDS);
    map_world_check_all(&m->world);
    char command[1200]; // as a killed process would leave it
    snprintf(command, sizeof command, "cp -r '%s' '%s'", m->work, m->folder);
    want(&m->found, system(command) == 0, "%s", command);
    close_folder(m);
    map_world_deinit(&m->world);
}

// Cuts what was only allocated from a segment: zeros, beyond the page where its records end.
static int trim(const char *path)
{
    struct stat st;
    FILE *file = fopen(path, "rb");
    if (!file || fstat(fileno(file), &st) != 0)
        return 1;
    long used = 0;
    for (long at = 0; at < (long)st.st_size; at++)
        used = fgetc(file) ? at + 1 : used;
    fclose(file);
    return truncate(path, (used + PAGE - 1) / PAGE * PAGE);
}

static int finish(const char *folder)
{
    char pattern[600];
    glob_t found;
    int failed = 0;
    snprintf(pattern, sizeof pattern, "%s/lock", folder);
    failed |= unlink(pattern);
    snprintf(pattern, sizeof pattern, "%s/wal/*.wal", folder);
    if (glob(pattern, 0, NULL, &found) != 0)
        return 1;
    for (size_t i = 0; i < found.gl_pathc; i++)
        failed |= trim(found.gl_pathv[i]);
    globfree(&found);
    return failed;
}

int main(int argc, char **argv)
{
    static struct making m;
    if (argc != 2) {
        fprintf(stderr, "usage: write_folder NEW_FOLDER\n");
        return 2;
    }
    m.folder = argv[1];
    snprintf(m.work, sizeof m.work, "%.500s.work", argv[1]);
    simd_init(SIMD_ALL);
    in_shards(SHARDS, SHARD_BACKEND_AUTO, make, &m, &m.found);
    char command[600];
    snprintf(command, sizeof command, "rm -rf '%s'", m.work);
    if (system(command) != 0 || m.found.text[0]) {
        fprintf(stderr, "%s\n", m.found.text);
        return 1;
    }
    return finish(m.folder);
}
