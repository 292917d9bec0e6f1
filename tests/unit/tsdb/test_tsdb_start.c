// A log that cannot be read: the database refuses to start and says which file, and all of it is
// there once the file can be read. A log that is damaged is no reason: what is good of it comes.
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/base/bits.h"
#include "engine/base/mem.h"
#include "engine/model/labels.h"
#include "engine/tsdb/tsdb.h"
#include "tests/lib/in_shards.h"

enum { ROWS = 50 };
static const int64_t START_MS = 1700000000000;

struct life {
    char folder[64], copy[64];
    uint64_t appended; // by this life's commits
    uint64_t found;    // samples
    uint64_t corruptions;
    err open, start, close, commit;
    struct errmsg why, commit_why;
    struct findings findings;
};

static uint64_t series(struct tsdb *db)
{
    struct arena a;
    struct labels_builder b = {0};
    arena_init(&a, 0);
    labels_builder_set(&b, LABEL_NAME, STR("a"));
    const struct str labels = labels_builder_finish(&b, &a);
    const uint64_t ref = tsdb_series(db, labels, labels_hash(labels, tsdb_hash_seed(db)), 1);
    labels_builder_deinit(&b);
    arena_deinit(&a);
    return ref;
}

static err append(struct tsdb *db, int row, struct errmsg *e)
{
    const struct tsdb_sample s = {series(db), START_MS + row * 1000, bits_from_double(row)};
    struct tsdb_commit c = {.samples = &s, .n = 1, .max_t_ms = INT64_MAX};
    return tsdb_commit(db, &c, e);
}

static uint64_t count_samples(struct tsdb *db) // 0: it could not be asked
{
    const struct storage s = tsdb_storage(db);
    struct storage_set set = {0};
    struct arena a;
    uint64_t n = 0;
    arena_init(&a, 0);
    err code = s.ops->select(s.self, NULL, 0, INT64_MIN, INT64_MAX, NULL, &a, &set, NULL);
    struct column *columns = mem_zalloc((set.n + 1) * sizeof *columns);
    if (code == ERR_OK)
        code =
            s.ops->read(s.self, &set, set.series, set.n, INT64_MIN, INT64_MAX, &a, columns, NULL);
    for (size_t i = 0; i < set.n && code == ERR_OK; i++)
        n += columns[i].n;
    mem_free(columns);
    s.ops->release(s.self, &set);
    arena_deinit(&a);
    return n;
}

// A line of shell; $f is the folder, $c its copy.
static void run(const char *line, const struct life *l)
{
    char command[512];
    snprintf(command, sizeof command, "f=%s; c=%s; %s", l->folder, l->copy, line);
    if (system(command) != 0)
        abort();
}

static void live(void *arg)
{
    struct life *l = arg;
    const struct tsdb_options options = {.path = l->folder, .wal_sync = TSDB_WAL_SYNC_ALWAYS};
    struct tsdb *db;
    l->open = tsdb_open(&options, &db, &l->why);
    if (l->open != ERR_OK)
        return;
    do
        (void)!fiber_sleep_ns(1000000);
    while (!tsdb_is_ready(db) && (l->start = tsdb_start_result(db, &l->why)) == ERR_OK);
    l->commit = append(db, ROWS + 1, &l->commit_why);
    if (l->start == ERR_OK) {
        for (int i = 0; i < ROWS && !l->found; i++)
            l->appended += append(db, ROWS + 2 + i, NULL) == ERR_OK;
        l->found = count_samples(db);
        struct tsdb_stats stats;
        tsdb_stats(db, &stats);
        l->corruptions = stats.wal_corruptions;
        run("rm -rf $c && cp -r $f $c", l); // as a kill leaves it
    }
    l->close = tsdb_close(db, NULL);
}

static struct life begin(void)
{
    struct life l = {.folder = "/tmp/ferula-start-XXXXXX"};
    cr_assert(mkdtemp(l.folder) != NULL);
    snprintf(l.copy, sizeof l.copy, "%.40s-copy", l.folder);
    in_shards(1, SHARD_BACKEND_AUTO, live, &l, &l.findings);
    cr_assert_eq(l.close, ERR_OK);
    cr_assert_eq(l.found, ROWS + 1);
    run("rm -rf $f && mv $c $f", &l);
    return l;
}

static struct life next(struct life before)
{
    struct life l = {0};
    memcpy(l.folder, before.folder, sizeof l.folder);
    memcpy(l.copy, before.copy, sizeof l.copy);
    in_shards(1, SHARD_BACKEND_AUTO, live, &l, &l.findings);
    return l;
}

Test(start, is_refused_while_a_log_cannot_be_read)
{
    struct life l = begin();
    char name[128];
    snprintf(name, sizeof name, "%s/wal/", l.folder);
    // A folder in its place opens, and cannot be read.
    run("for w in $f/wal/*.wal; do mv $w $f/$(basename $w).aside; mkdir $w; done", &l);
    l = next(l);
    cr_assert_eq(l.open, ERR_OK);
    cr_assert_eq(l.start, ERR_IO);
    cr_assert(strstr(l.why.text, name) && strstr(l.why.text, ".wal: is a directory") &&
                  strstr(l.why.text, "start again"),
              "%s", l.why.text);
    cr_assert_eq(l.commit, ERR_IO);
    cr_assert_eq(l.close, ERR_OK);
    run("for w in $f/wal/*.wal; do rmdir $w; mv $f/$(basename $w).aside $w; done", &l);
    l = next(l);
    cr_assert_eq(l.start, ERR_OK);
    cr_assert_eq(l.found, ROWS + 1, "%llu", (unsigned long long)l.found);
    run("rm -rf $f $c", &l);
}

Test(start, does_without_a_log_that_is_moved_away)
{
    struct life l = begin();
    run("rm -f $f/wal/*.wal", &l);
    l = next(l);
    cr_assert_eq(l.start, ERR_OK);
    cr_assert_eq(l.found, ROWS + 1);
    run("rm -rf $f $c", &l);
}

Test(start, passes_over_a_log_that_is_damaged)
{
    struct life l = begin();
    // In the middle of the frames: what stands behind them says that they were synced.
    run("printf XXXX | dd of=$(ls $f/wal/*.wal) bs=1 seek=1000 conv=notrunc status=none", &l);
    l = next(l);
    cr_assert_eq(l.start, ERR_OK);
    cr_assert_gt(l.corruptions, 0);
    cr_assert_gt(l.found, 0);
    run("rm -rf $f $c", &l);
}
