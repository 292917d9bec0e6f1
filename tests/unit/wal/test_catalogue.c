#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/base/mem.h"
#include "engine/base/util.h"
#include "engine/tsdb/catalogue.h"
#include "engine/tsdb/wal_record.h"
#include "io/file.h"
#include "tests/unit/wal/wal_faults.h"

enum { TEXT = 512 };

struct story {
    char dir[TEXT];
    int line; // of the first thing that was not as it should be
    char text[1100];
    int fail_kind, fail_count; // the judge: so many operations of a kind fail
    int32_t fail_with;
    int child;
};

#define CHECK(s, condition)             \
    do {                                \
        if (!(condition) && !(s)->line) \
            (s)->line = __LINE__;       \
    } while (0)

static const struct catalogue_options OPTIONS = {.partitions = 256,
                                                 .placement_labels = {"cluster", 7}};

static void put(const char *dir, const char *name, size_t bytes)
{
    char path[2 * TEXT];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "w");
    if (!f)
        abort();
    for (size_t i = 0; i < bytes; i++)
        fputc('x', f);
    fclose(f);
}

static bool is_there(const char *dir, const char *name)
{
    char path[2 * TEXT];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return access(path, F_OK) == 0;
}

static struct catalogue_file file_of(struct catalogue *c, const char *dir)
{
    const struct catalogue_file f = {
        .id = catalogue_next_id(c), .generation = 1, .kind = 1, .max_t_ms = 5, .size_bytes = 10};
    char name[64];
    snprintf(name, sizeof name, "blocks/%016llx.block", (unsigned long long)f.id);
    put(dir, name, 10);
    return f;
}

static int32_t judge(void *arg, struct op *op)
{
    struct story *s = arg;
    return op->kind == s->fail_kind && s->fail_count-- > 0 ? s->fail_with : 0;
}

static void tell(fiber_fn *fn)
{
    struct story *s = mem_zalloc(sizeof *s);
    char command[2 * TEXT];
    snprintf(s->dir, TEXT, "/tmp/ferula-catalogue-XXXXXX");
    if (!mkdtemp(s->dir))
        abort();
    faults_loop(judge, s, fn, s);
    snprintf(command, sizeof command, "rm -rf %s", s->dir);
    if (system(command) != 0)
        abort();
    cr_assert_eq(s->line, 0, "line %d: %s", s->line, s->text);
    mem_free(s);
}

static void keeps(void *arg)
{
    struct story *s = arg;
    struct errmsg e = {""};
    struct catalogue *c;
    size_t n;
    uint64_t seed = 0;
    CHECK(s, catalogue_open(s->dir, &OPTIONS, &c, &e) == ERR_OK);
    snprintf(s->text, sizeof s->text, "%s", e.text);
    if (s->line)
        return;
    CHECK(s, catalogue_info(c)->is_new && catalogue_info(c)->epoch == 1);
    seed = catalogue_info(c)->hash_seed;
    for (int i = 0; i < 500; i++) { // checkpoints happen in between
        const struct catalogue_file f = file_of(c, s->dir);
        const uint64_t before = f.id - 1;
        const struct wal_mark m = {{1, 0}, 1, (uint64_t)i};
        const struct catalogue_change change = {.add = &f,
                                                .add_count = 1,
                                                .remove = &before,
                                                .remove_count = i > 0,
                                                .marks = &m,
                                                .marks_count = 1};
        CHECK(s, catalogue_apply(c, &change, &e) == ERR_OK);
    }
    catalogue_close(c);
    const struct catalogue_options other = {.partitions = 7, .placement_labels = {"x", 1}};
    CHECK(s, catalogue_open(s->dir, &other, &c, &e) == ERR_INVALID);
    CHECK(s, strstr(e.text, "--storage.placement-labels=x, but ") &&
                 strstr(e.text, "was made with \"cluster\", which is fixed: leave the flag out"));
    const struct catalogue_options same = {.partitions = 7,
                                           .placement_labels = STR(" job,cluster,cluster")};
    CHECK(s, catalogue_open(s->dir, &same, &c, &e) == ERR_OK); // job and instance always are
    catalogue_close(c);
    const struct catalogue_options any = {.partitions = 7};
    CHECK(s, catalogue_open(s->dir, &any, &c, &e) == ERR_OK);
    if (s->line)
        return;
    const struct catalogue_info *info = catalogue_info(c);
    CHECK(s, !info->is_new && info->epoch == 3 && info->hash_seed == seed);
    CHECK(s, info->partitions == 256 && str_eq(info->placement_labels, STR("cluster")));
    CHECK(s, catalogue_files(c, &n)[0].id == 500 && n == 1);
    CHECK(s, catalogue_marks(c, &n)[0].seq == 499 && n == 1);
    CHECK(s, catalogue_next_id(c) > 500);
    CHECK(s, is_there(s->dir, "blocks/00000000000001f4.block"));
    CHECK(s, !is_there(s->dir, "blocks/00000000000001f3.block"));
    catalogue_close(c);
}

Test(catalogue, keeps_what_was_applied)
{
    tell(keeps);
}

static void removes(void *arg)
{
    static const char *const ours[] = {
        "blocks/00000000000000aa.block",
        "blocks/00000000000000aa.block.tmp",
        "blocks/0000000000000001.block.tmp",
        "wal/0000000000000001-0000.wal.tmp",
        "wal/0000000000000001-0000-0000000000000001.wal",
        "wal/0000000000000001-0001-0000000000000002.wal",
    };
    static const char *const kept[] = {
        "blocks/0000000000000001.block",
        "blocks/00000000000000AA.block",
        "blocks/notes.txt",
        "wal/0000000000000001-0000-0000000000000002.wal",
        "wal/0000000000000001-0002-0000000000000001.wal",
        "wal/mine",
    };
    struct story *s = arg;
    struct errmsg e = {""};
    struct catalogue *c;
    CHECK(s, catalogue_open(s->dir, &OPTIONS, &c, &e) == ERR_OK);
    if (s->line)
        return;
    const struct catalogue_file f = file_of(c, s->dir);
    const struct wal_mark marks[] = {{{1, 0}, 2, 10}, {{1, 1}, 1, 1}};
    const struct wal_stream done = {1, 1};
    CHECK(s, catalogue_apply(c,
                             &(struct catalogue_change){.add = &f,
                                                        .add_count = 1,
                                                        .marks = marks,
                                                        .marks_count = 2,
                                                        .streams_done = &done,
                                                        .streams_done_count = 1},
                             &e) == ERR_OK);
    catalogue_close(c);
    for (size_t i = 0; i < countof(ours); i++)
        put(s->dir, ours[i], 3);
    for (size_t i = 1; i < countof(kept); i++)
        put(s->dir, kept[i], 3);
    CHECK(s, catalogue_open(s->dir, &OPTIONS, &c, &e) == ERR_OK);
    for (size_t i = 0; i < countof(ours); i++)
        CHECK(s, !is_there(s->dir, ours[i]));
    for (size_t i = 0; i < countof(kept); i++)
        CHECK(s, is_there(s->dir, kept[i]));
    if (!s->line)
        catalogue_close(c);
    char path[2 * TEXT];
    snprintf(path, sizeof path, "%s/blocks/0000000000000001.block", s->dir);
    CHECK(s, unlink(path) == 0 && catalogue_open(s->dir, &OPTIONS, &c, &e) == ERR_CORRUPT);
    CHECK(s, strstr(e.text, "0000000000000001.block is missing") != NULL);
    put(s->dir, "blocks/0000000000000001.block", 11);
    CHECK(s, catalogue_open(s->dir, &OPTIONS, &c, &e) == ERR_CORRUPT);
    CHECK(s, strstr(e.text, "has 11 bytes, the catalogue says 10") != NULL);
}

Test(catalogue, removes_what_it_does_not_name_and_nothing_else)
{
    tell(removes);
}

static void fails(void *arg)
{
    struct story *s = arg;
    struct errmsg e = {""};
    struct catalogue *c;
    size_t n;
    CHECK(s, catalogue_open(s->dir, &OPTIONS, &c, &e) == ERR_OK);
    if (s->line)
        return;
    const struct catalogue_file f = file_of(c, s->dir);
    const struct catalogue_change change = {.add = &f, .add_count = 1};
    s->fail_kind = OP_WRITE; // the disk is full: nothing changes, later it works
    s->fail_with = -ENOSPC;
    s->fail_count = 1;
    CHECK(s, catalogue_apply(c, &change, &e) == ERR_LIMIT);
    catalogue_files(c, &n);
    CHECK(s, n == 0);
    CHECK(s, catalogue_apply(c, &change, &e) == ERR_OK);
    const struct catalogue_file g = file_of(c, s->dir);
    s->fail_kind = OP_SYNC; // nothing can be trusted after this
    s->fail_with = -EIO;
    s->fail_count = 1;
    CHECK(s,
          catalogue_apply(c, &(struct catalogue_change){.add = &g, .add_count = 1}, &e) == ERR_IO);
    CHECK(s,
          catalogue_apply(c, &(struct catalogue_change){.add = &g, .add_count = 1}, &e) == ERR_IO);
    catalogue_files(c, &n);
    CHECK(s, n == 1);
    catalogue_close(c);
    CHECK(s, catalogue_open(s->dir, &OPTIONS, &c, &e) == ERR_OK);
    catalogue_close(c);
}

Test(catalogue, failed_writes_change_nothing)
{
    tell(fails);
}

static void hold_folder(void *arg)
{
    struct story *s = arg;
    struct catalogue *c;
    if (catalogue_open(s->dir, &OPTIONS, &c, NULL) != ERR_OK)
        _exit(1);
    put(s->dir, "held", 1);
    for (int i = 0; i < 500 && !is_there(s->dir, "enough"); i++)
        (void)fiber_sleep_ns(10 * 1000 * 1000);
    catalogue_close(c);
}

static void meets_holder(void *arg)
{
    struct story *s = arg;
    struct errmsg e = {""};
    struct catalogue *c;
    char wanted[TEXT];
    for (int i = 0; i < 500 && !is_there(s->dir, "held"); i++)
        (void)fiber_sleep_ns(10 * 1000 * 1000);
    CHECK(s, catalogue_open(s->dir, &OPTIONS, &c, &e) == ERR_EXISTS);
    snprintf(wanted, sizeof wanted, "is in use by process %d", s->child);
    CHECK(s, strstr(e.text, wanted) && strstr(e.text, "--storage.tsdb.path"));
    snprintf(s->text, sizeof s->text, "%s", e.text);
}

Test(catalogue, names_who_has_the_folder)
{
    struct story *s = mem_zalloc(sizeof *s);
    char command[2 * TEXT];
    snprintf(s->dir, TEXT, "/tmp/ferula-catalogue-XXXXXX");
    cr_assert_not_null(mkdtemp(s->dir));
    s->child = fork();
    if (s->child == 0) {
        faults_loop(NULL, NULL, hold_folder, s);
        _exit(0);
    }
    faults_loop(NULL, NULL, meets_holder, s);
    put(s->dir, "enough", 1);
    int status;
    waitpid(s->child, &status, 0);
    snprintf(command, sizeof command, "rm -rf %s", s->dir);
    cr_assert_eq(system(command), 0);
    cr_assert_eq(s->line, 0, "line %d: %s", s->line, s->text);
    mem_free(s);
}

static void refuses_strangers(void *arg)
{
    struct story *s = arg;
    struct errmsg e = {""};
    struct catalogue *c;
    char path[2 * TEXT];
    snprintf(path, sizeof path, "%s/chunks_head", s->dir);
    CHECK(s, path_mkdir(path, &e) == ERR_OK);
    CHECK(s, catalogue_open(s->dir, &OPTIONS, &c, &e) == ERR_INVALID);
    CHECK(s, strstr(e.text, "is a data folder of Prometheus") != NULL);
    CHECK(s, !is_there(s->dir, "blocks") && !is_there(s->dir, "wal"));
    CHECK(s, path_rmdir(path, &e) == ERR_OK);
    snprintf(path, sizeof path, "%s/wal", s->dir);
    CHECK(s, path_mkdir(path, &e) == ERR_OK);
    put(s->dir, "wal/00000007", 1);
    CHECK(s, catalogue_open(s->dir, &OPTIONS, &c, &e) == ERR_INVALID);
    CHECK(s, strstr(e.text, "is a data folder of Prometheus") != NULL);
    snprintf(path, sizeof path, "%s/wal/00000007", s->dir);
    CHECK(s, path_unlink(path, &e) == ERR_OK);
    put(s->dir, "queries.active", 1); // both of them have one
    CHECK(s, catalogue_open(s->dir, &OPTIONS, &c, &e) == ERR_OK);
    catalogue_close(c);
    snprintf(path, sizeof path, "%s/catalogue", s->dir);
    char segment[TEXT];
    const struct wal_stream stream = {1, 0};
    wal_segment_path("wal", &stream, 3, segment, sizeof segment);
    for (int i = 0; i < 2; i++) { // ours: a segment, then also a block
        const char *name = i ? "blocks/0000000000000001.block" : segment;
        put(s->dir, name, 1);
        CHECK(s, path_unlink(path, &e) == (i ? ERR_NOTFOUND : ERR_OK));
        CHECK(s, catalogue_open(s->dir, &OPTIONS, &c, &e) == ERR_CORRUPT);
        CHECK(s, strstr(e.text, "holds data of Ferula (") && strstr(e.text, name) &&
                     strstr(e.text, "put it back"));
        CHECK(s, is_there(s->dir, name) && !is_there(s->dir, "catalogue"));
    }
}

Test(catalogue, refuses_folders_of_others)
{
    tell(refuses_strangers);
}
