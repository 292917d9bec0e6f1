// Files that are too old, or more than may stay.
//
// Age is judged against the newest sample of the whole database, and size by all of its files, so
// all parts agree on what goes; each file is removed by the part that owns its first partition,
// from the catalogue first. Files that end at the same time go together.
#include <assert.h>

#include "engine/base/mem.h"
#include "engine/tsdb/part_files.h"
#include "io/file.h"

// ---- how much is too much

struct cut { // found where the catalogue is
    struct tsdb *db;
    uint64_t max_bytes;
    int64_t t_ms;
};

static void find_cut(void *arg)
{
    struct cut *c = arg;
    uint64_t waiting = 0;
    size_t n;
    for (unsigned i = 0; i < c->db->parts_n; i++)
        waiting += c->db->parts[i]->waiting_bytes;
    const struct catalogue_file *files = catalogue_files(c->db->catalogue, &n);
    c->t_ms = catalogue_cut_by_size(files, n, waiting, c->max_bytes);
}

// Where the size of the file system cannot be told the size in bytes counts, as in Prometheus.
static int64_t cut_by_size(struct part *p)
{
    struct cut c = {.db = p->db, .max_bytes = p->retention.bytes, .t_ms = INT64_MIN};
    struct op_space space;
    struct errmsg e;
    if (p->retention.percentage > 0) {
        if (path_space(catalogue_wal_dir(p->db->catalogue), &space, &e) == ERR_OK)
            c.max_bytes = (uint64_t)((double)space.total_bytes / 100 * p->retention.percentage);
        else
            log_warn(&p->db->log, "retention by percentage is passed over",
                     log_cstr("err", e.text));
    }
    if (c.max_bytes)
        tsdb_at_home(p->db, find_cut, &c);
    return c.t_ms;
}

// ---- one file

struct drop {
    struct tsdb *db;
    uint64_t id;
};

static void stop_looking(void *arg)
{
    const struct drop *d = arg;
    part_drop_file(tsdb_part(d->db), d->id, false);
}

static err remove_file(struct part *p, const struct catalogue_file *f, struct errmsg *e)
{
    const struct catalogue_change change = {.remove = &f->id, .remove_count = 1};
    TRY(tsdb_change(p->db, &change, e));
    struct drop drops[SHARD_MAX];
    uint64_t where[(SHARD_MAX + 63) / 64] = {0};
    bool any = false;
    for (unsigned i = 0; i < p->db->parts_n; i++) {
        const struct part *other = p->db->parts[i];
        drops[i] = (struct drop){p->db, f->id};
        if (other == p || f->partition_max < other->partition_begin ||
            f->partition_min >= other->partition_end)
            continue;
        where[i / 64] |= 1ull << i % 64;
        any = true;
    }
    if (any)
        shard_call_all(LOOP_MERGE, stop_looking, drops, sizeof *drops, where);
    part_drop_file(p, f->id, true);
    return ERR_OK;
}

static err remove_files(struct part *p, const struct catalogue_file *files, size_t n,
                        int64_t too_old, int64_t too_much, struct errmsg *e)
{
    for (size_t i = 0; i < n; i++) {
        const bool is_old = files[i].max_t_ms <= too_old;
        if (!is_old && files[i].max_t_ms > too_much)
            continue;
        TRY(remove_file(p, &files[i], e));
        p->retention_deletions += is_old;
        p->size_deletions += !is_old;
        log_info(&p->db->log, "a file is beyond retention",
                 log_cstr("by", is_old ? "time" : "size"), log_i64("file", (int64_t)files[i].id),
                 log_i64("max_time", files[i].max_t_ms),
                 log_i64("bytes", (int64_t)files[i].size_bytes));
    }
    return ERR_OK;
}

err part_expire(struct part *p, struct errmsg *e)
{
    const int64_t too_old = catalogue_cut_by_age(tsdb_newest(p->db), p->retention.time_ms);
    if (!p->files_n)
        return ERR_OK;
    const int64_t too_much = cut_by_size(p);
    struct catalogue_file *own = mem_alloc_array(p->files_n, sizeof *own);
    size_t n = 0;
    for (size_t i = 0; i < p->files_n; i++) {
        if (part_is_first(p, &p->files[i].info))
            own[n++] = p->files[i].info;
    }
    const err result = remove_files(p, own, n, too_old, too_much, e);
    mem_free(own);
    return result;
}
