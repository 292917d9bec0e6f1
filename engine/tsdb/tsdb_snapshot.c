// A snapshot is made under a name that ends in .tmp and renamed when it is whole. Files are
// immutable and named by the catalogue, which does not change meanwhile: so each of them is there
// to be linked.
#include "engine/tsdb/tsdb_snapshot.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "engine/base/mem.h"
#include "engine/tsdb/part_files.h"
#include "io/clock.h"
#include "io/file.h"

enum { PATH_ROOM = 128 }; // behind the folder's name

struct snapshot {
    struct tsdb *db;
    char *name;
    char folder[CATALOGUE_PATH_MAX], temporary[CATALOGUE_PATH_MAX];
    err result;
    struct errmsg e;
};

// ---- the folder

static void join(char out[CATALOGUE_PATH_MAX], const char *folder, const char *name)
{
    const int n = snprintf(out, CATALOGUE_PATH_MAX, "%s/%s", folder, name);
    assert(n > 0 && n < CATALOGUE_PATH_MAX); // PATH_ROOM
}

// YYYYMMDDThhmmssZ-<16 hex>, as Prometheus names them.
static void make_name(char out[TSDB_SNAPSHOT_NAME])
{
    const time_t now = (time_t)(clock_wall_ms() / 1000);
    struct tm tm;
    uint64_t number;
    gmtime_r(&now, &tm);
    random_bytes(&number, sizeof number);
    const size_t n = strftime(out, TSDB_SNAPSHOT_NAME, "%Y%m%dT%H%M%SZ", &tm);
    snprintf(out + n, TSDB_SNAPSHOT_NAME - n, "-%016" PRIx64, number >> 1);
}

static void remove_all(const char *folder)
{
    char path[CATALOGUE_PATH_MAX];
    struct buf names = {0};
    size_t n = 0;
    if (path_list(folder, &names, &n, NULL) != ERR_OK)
        n = 0;
    const char *name = names.p;
    for (size_t i = 0; i < n; i++, name += strlen(name) + 1) {
        join(path, folder, name);
        (void)!path_unlink(path, NULL);
    }
    buf_deinit(&names);
    (void)!path_rmdir(folder, NULL);
}

static void remove_snapshot(const char *folder)
{
    char blocks[CATALOGUE_PATH_MAX];
    join(blocks, folder, "blocks");
    remove_all(blocks);
    remove_all(folder);
}

static err link_files(const struct snapshot *s, const char *blocks, struct errmsg *e)
{
    const struct catalogue *c = s->db->catalogue;
    size_t n;
    const struct catalogue_file *files = catalogue_files(c, &n);
    for (size_t i = 0; i < n; i++) {
        char from[CATALOGUE_PATH_MAX], to[CATALOGUE_PATH_MAX];
        TRY(catalogue_block_path(c, files[i].id, from, sizeof from, e));
        join(to, blocks, strrchr(from, '/') + 1);
        TRY(path_link(from, to, e));
    }
    return path_sync_dir(blocks, e);
}

static err write_catalogue(const struct snapshot *s, struct errmsg *e)
{
    char path[CATALOGUE_PATH_MAX];
    struct buf bytes = {0};
    join(path, s->temporary, "catalogue");
    catalogue_put_copy(s->db->catalogue, &bytes);
    const err code = path_write_atomic(path, buf_str(&bytes), e);
    buf_deinit(&bytes);
    return code;
}

static err make_folder(const struct snapshot *s, struct errmsg *e)
{
    char blocks[CATALOGUE_PATH_MAX], parent[CATALOGUE_PATH_MAX];
    join(blocks, s->temporary, "blocks");
    join(parent, catalogue_dir(s->db->catalogue), "snapshots");
    TRY(path_mkdir(blocks, e));
    TRY(link_files(s, blocks, e));
    TRY(write_catalogue(s, e));
    TRY(path_rename(s->temporary, s->folder, e));
    TRY(path_sync_dir(parent, e));
    return path_sync_dir(catalogue_dir(s->db->catalogue), e);
}

static void make_at_home(void *arg)
{
    struct snapshot *s = arg;
    struct buf path = {0};
    const char *dir = catalogue_dir(s->db->catalogue);
    if (strlen(dir) + PATH_ROOM > CATALOGUE_PATH_MAX) {
        s->result = err_set(&s->e, ERR_LIMIT, "%s: file name too long", dir);
        return;
    }
    make_name(s->name);
    buf_printf(&path, "snapshots/%s%c", s->name, '\0');
    join(s->folder, dir, path.p);
    buf_reset(&path);
    buf_printf(&path, "snapshots/%s.tmp%c", s->name, '\0');
    join(s->temporary, dir, path.p);
    buf_deinit(&path);
    tsdb_hold_catalogue(s->db);
    s->result = make_folder(s, &s->e);
    if (s->result != ERR_OK)
        remove_snapshot(s->temporary);
    tsdb_let_catalogue_go(s->db);
}

err tsdb_snapshot(struct tsdb *db, bool with_head, char out_name[TSDB_SNAPSHOT_NAME],
                  struct errmsg *e)
{
    struct snapshot s = {.db = db, .name = out_name};
    if (with_head)
        TRY(tsdb_ask_parts(db, part_ask_spill, e));
    tsdb_at_home(db, make_at_home, &s);
    return s.result == ERR_OK ? ERR_OK : err_set(e, s.result, "%s", s.e.text);
}

void tsdb_sweep_snapshots(struct tsdb *db)
{
    char parent[CATALOGUE_PATH_MAX], path[CATALOGUE_PATH_MAX];
    struct buf names = {0};
    size_t n = 0;
    if (strlen(catalogue_dir(db->catalogue)) + PATH_ROOM > CATALOGUE_PATH_MAX)
        return; // none can be there
    join(parent, catalogue_dir(db->catalogue), "snapshots");
    if (path_list(parent, &names, &n, NULL) != ERR_OK)
        n = 0;
    const char *name = names.p;
    for (size_t i = 0; i < n; i++, name += strlen(name) + 1) {
        if (!str_has_suffix(str_from_c(name), STR(".tmp")) || strlen(name) > PATH_ROOM / 2)
            continue;
        join(path, parent, name);
        log_info(&db->log, "removing a snapshot that did not get ready", log_cstr("path", path));
        remove_snapshot(path);
    }
    buf_deinit(&names);
}
