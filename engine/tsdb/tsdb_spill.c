// What a part does in the background: it writes packed samples to files and lets the log be cut,
// merges the files of a range that has passed, drops what is too old, releases memory.
//
// Memory is released some minutes after it is written, so that queries about the present need no
// file, and not before every query that began earlier has ended: it may look at that memory, and
// does not know the file.
#include <assert.h>
#include <stdlib.h>

#include "engine/base/mem.h"
#include "engine/tsdb/tsdb_part.h"
#include "io/clock.h"
#include "io/file.h"

enum {
    KEEP_MS = 360000,   // in memory, after it is written: lookback and late samples
    LEAVE_MS = 3600000, // a series without samples for so long leaves the head
    GRACE_MS = 600000,  // a range is merged when it ended so long ago
    RETRY_MS = 30000,   // after an error
    TICK_MS = 1000,     // between looks at whether memory may be released
    RELEASE_COHORTS = 16,
    COLLECT_SERIES = 2048,
    MERGE_MIN = 2, // files of a range
};
static const int64_t NS_PER_MS = 1000000;

static int64_t earlier(int64_t t_ms, int64_t by_ms)
{
    return t_ms < INT64_MIN + by_ms ? INT64_MIN : t_ms - by_ms;
}

static struct logger *logger_of(struct part *p)
{
    return &p->db->log;
}

static int compare_files(const void *a, const void *b)
{
    const struct part_file *x = a, *y = b;
    return (x->info.generation > y->info.generation) - (x->info.generation < y->info.generation);
}

err part_add_file(struct part *p, const struct catalogue_file *info, struct errmsg *e)
{
    char path[CATALOGUE_PATH_MAX];
    struct block_file *file;
    TRY(catalogue_block_path(p->db->catalogue, info->id, path, sizeof path, e));
    TRY(block_file_open(path, BLOCK_CACHE_DEFAULT_BYTES, &file, e));
    p->files = mem_grow(p->files, &p->files_capacity, p->files_n + 1, sizeof *p->files);
    p->files[p->files_n++] = (struct part_file){*info, file};
    qsort(p->files, p->files_n, sizeof *p->files, compare_files);
    return ERR_OK;
}

void part_drop_file(struct part *p, uint64_t id, bool remove)
{
    size_t at = 0;
    while (at < p->files_n && p->files[at].info.id != id)
        at++;
    assert(at < p->files_n);
    struct block_file *file = p->files[at].file;
    p->files_n--;
    memmove(p->files + at, p->files + at + 1, (p->files_n - at) * sizeof *p->files);
    struct errmsg e;
    if (remove && path_unlink(block_file_path(file), &e) != ERR_OK)
        log_warn(logger_of(p), "file not removed", log_cstr("err", e.text));
    block_file_unref(file);
}

// ---- spill

struct spill {
    struct part *part;
    struct head_spill samples;
    struct block_writer *writer; // NULL: the range has had no sample so far
    struct tsdb_new_file file;
    struct buf tuple, local;
    struct catalogue_file done[SPILL_RANGES_MAX];
    size_t done_n;
};

static err add_series(struct spill *s, uint32_t id, size_t range, struct errmsg *e)
{
    struct part *p = s->part;
    head_spill_read(&s->samples, id, range);
    if (!s->samples.n)
        return ERR_OK;
    const struct head_series *series = head_series_at(&p->head, id);
    buf_reset(&s->tuple);
    buf_reset(&s->local);
    label_store_encode_set(&p->head.labels, series->tuple, &s->tuple);
    label_store_encode_set(&p->head.labels, series->local, &s->local);
    const struct block_key key = {series->partition, buf_str(&s->tuple), buf_str(&s->local)};
    if (!s->writer) {
        s->file.db = p->db;
        TRY(tsdb_new_file(&s->file, e));
        TRY(block_writer_create(s->file.path, 0, 0, &s->writer, e));
    }
    return block_writer_add(s->writer, &key, s->samples.t, s->samples.bits, s->samples.n, e);
}

static err write_range(struct spill *s, size_t range, const uint32_t *metrics, size_t metrics_n,
                       struct errmsg *e)
{
    struct head *h = &s->part->head;
    uint32_t *ids = NULL;
    size_t capacity = 0;
    err result = ERR_OK;
    for (size_t m = 0; m < metrics_n && result == ERR_OK; m++) {
        const size_t n = head_metric_series(h, metrics[m], &ids, &capacity);
        for (size_t i = 0; i < n && result == ERR_OK; i++) {
            result = add_series(s, ids[i], range, e);
            fiber_yield_if_due();
        }
    }
    mem_free(ids);
    struct block_summary sum;
    if (result == ERR_OK && s->writer) {
        result = block_writer_finish(s->writer, &sum, e);
        if (result == ERR_OK) {
            s->done[s->done_n++] = (struct catalogue_file){
                .id = s->file.id,
                .generation = s->file.id,
                .kind = CATALOGUE_SPILLED,
                .partition_min = sum.partition_min,
                .partition_max = sum.partition_max,
                .min_t_ms = sum.min_t,
                .max_t_ms = sum.max_t,
                .size_bytes = sum.bytes,
                .series = sum.series,
                .samples = sum.samples,
            };
        }
    }
    block_writer_destroy(s->writer);
    s->writer = NULL;
    return result;
}

static err write_ranges(struct spill *s, struct errmsg *e)
{
    uint32_t *metrics;
    size_t n;
    err result = ERR_OK;
    head_metrics(&s->part->head, &metrics, &n);
    for (size_t range = 0; range < s->samples.ranges && result == ERR_OK; range++)
        result = write_range(s, range, metrics, n, e);
    mem_free(metrics);
    return result;
}

static void remove_files(struct spill *s)
{
    for (size_t i = 0; i < s->done_n; i++) {
        char path[CATALOGUE_PATH_MAX];
        if (catalogue_block_path(s->part->db->catalogue, s->done[i].id, path, sizeof path, NULL) ==
            ERR_OK)
            (void)!path_unlink(path, NULL);
    }
}

// The files become part of the folder, and the log is needed from here on only.
static err publish_files(struct spill *s, uint64_t log_seq, struct errmsg *e)
{
    struct part *p = s->part;
    const struct wal_mark mark = wal_mark_at(p->wal, log_seq);
    const struct catalogue_change change = {
        .add = s->done, .add_count = s->done_n, .marks = &mark, .marks_count = 1};
    TRY(tsdb_change(p->db, &change, e));
    for (size_t i = 0; i < s->done_n; i++) {
        struct errmsg why;
        if (part_add_file(p, &s->done[i], &why) != ERR_OK)
            return err_set(e, ERR_IO, "a file just written: %s", why.text);
    }
    return ERR_OK;
}

static void let_go(struct part *p)
{
    struct head *h = &p->head;
    const int64_t keep = earlier(h->newest, KEEP_MS);
    if (keep > h->complete_t)
        h->complete_t = keep;
    p->release_epoch = ++h->epoch;
    p->release_due = true;
}

err part_spill(struct part *p, struct errmsg *e)
{
    const uint64_t log_seq = wal_next_seq(p->wal);
    if (log_seq == p->mark_seq && p->spilled)
        return ERR_OK; // nothing came since
    struct spill s = {.part = p};
    p->head.selects++; // no series may leave
    head_spill_begin(&s.samples, &p->head, p->db->options.seal_ms);
    err result = log_seq > 1 ? wal_wait(p->wal, log_seq - 1, e) : ERR_OK;
    if (result == ERR_LIMIT)
        result = ERR_OK; // what was not kept has been taken back by its commit
    if (result == ERR_OK)
        result = write_ranges(&s, e);
    if (result == ERR_OK)
        result = publish_files(&s, log_seq, e);
    else
        remove_files(&s);
    head_spill_end(&s.samples, result == ERR_OK);
    p->head.selects--;
    buf_deinit(&s.tuple);
    buf_deinit(&s.local);
    if (result != ERR_OK)
        return result;
    p->mark_seq = log_seq;
    let_go(p);
    wal_reader_advance(p->wal, WAL_READER_SEALING, log_seq);
    struct errmsg why;
    if (wal_truncate(p->wal, &why) != ERR_OK)
        log_warn(logger_of(p), "log not cut", log_cstr("err", why.text));
    if (!p->spilled) {
        p->spilled = true;
        if (--p->db->spills_left == 0 && !p->db->replay_failed)
            tsdb_streams_done(p->db, false);
    }
    return ERR_OK;
}

// ---- merging what was spilled of one range

static int64_t range_of(int64_t t_ms, int64_t range_ms)
{
    return t_ms / range_ms - (t_ms % range_ms < 0);
}

static bool is_own(const struct part *p, const struct catalogue_file *f)
{
    return f->partition_min >= p->partition_begin && f->partition_max < p->partition_end;
}

// Of the range's files those that can become one, by generation. One that cannot be merged with
// them, having others' partitions or ranges too, must not come to stand between: what is newer than
// it would get the generation of what is older, and win.
static size_t find_run(const struct part *p, int64_t range, struct part_file *out, size_t max)
{
    const int64_t range_ms = p->db->options.seal_ms;
    size_t n = 0, spilled = 0;
    for (size_t i = 0; i < p->files_n && n < max; i++) {
        const struct catalogue_file *f = &p->files[i].info;
        const int64_t first = range_of(f->min_t_ms, range_ms),
                      last = range_of(f->max_t_ms, range_ms);
        if (last < range || first > range)
            continue;
        if (is_own(p, f) && first == last) {
            out[n++] = p->files[i];
            spilled += f->kind == CATALOGUE_SPILLED;
        } else if (spilled >= MERGE_MIN) {
            break;
        } else {
            n = spilled = 0;
        }
    }
    return spilled >= MERGE_MIN ? n : 0;
}

// The files, all this part's own, of a range that has passed and has several; how many.
static size_t find_range(const struct part *p, struct part_file *out, size_t max)
{
    const int64_t range_ms = p->db->options.seal_ms;
    const int64_t passed = earlier(p->head.newest, GRACE_MS);
    for (size_t i = 0; i < p->files_n; i++) {
        const struct catalogue_file *f = &p->files[i].info;
        const int64_t range = range_of(f->min_t_ms, range_ms);
        if (f->kind != CATALOGUE_SPILLED || !is_own(p, f) ||
            range_of(f->max_t_ms, range_ms) != range || range_of(passed, range_ms) <= range)
            continue;
        const size_t n = find_run(p, range, out, max);
        if (n)
            return n;
    }
    return 0;
}

enum { MERGE_FILES_MAX = 64 };

static err merge_files(struct part *p, const struct part_file *files, size_t n, struct errmsg *e)
{
    struct block_file *parts[MERGE_FILES_MAX];
    uint64_t ids[MERGE_FILES_MAX];
    struct tsdb_new_file file = {.db = p->db};
    uint32_t level = 0;
    for (size_t i = 0; i < n; i++) {
        parts[i] = files[i].file;
        ids[i] = files[i].info.id;
        level = files[i].info.level > level ? files[i].info.level : level;
    }
    TRY(tsdb_new_file(&file, e));
    struct block_summary sum;
    err result = block_merge(parts, n, file.path, INT64_MIN, &sum, e);
    if (result != ERR_OK) {
        (void)!path_unlink(file.path, NULL);
        return result;
    }
    const struct catalogue_file info = {
        .id = file.id,
        .generation = files[0].info.generation,
        .kind = CATALOGUE_SEALED,
        .level = level + 1,
        .partition_min = sum.partition_min,
        .partition_max = sum.partition_max,
        .min_t_ms = sum.min_t,
        .max_t_ms = sum.max_t,
        .size_bytes = sum.bytes,
        .series = sum.series,
        .samples = sum.samples,
    };
    const struct catalogue_change change = {
        .add = &info, .add_count = 1, .remove = ids, .remove_count = n};
    TRY(tsdb_change(p->db, &change, e));
    result = part_add_file(p, &info, e);
    for (size_t i = 0; i < n && result == ERR_OK; i++)
        part_drop_file(p, ids[i], true);
    return result;
}

static err merge_ranges(struct part *p, struct errmsg *e)
{
    struct part_file files[MERGE_FILES_MAX];
    size_t n;
    while (!p->closing && (n = find_range(p, files, MERGE_FILES_MAX)) > 0)
        TRY(merge_files(p, files, n, e));
    return ERR_OK;
}

// ---- retention

static err expire(struct part *p, struct errmsg *e)
{
    if (p->head.retention_ms <= 0 || !p->files_n)
        return ERR_OK;
    struct catalogue_file *infos = mem_alloc_array(p->files_n, sizeof *infos);
    uint64_t *ids = mem_alloc_array(p->files_n, sizeof *ids);
    int64_t newest = p->head.newest;
    for (size_t i = 0; i < p->files_n; i++) {
        infos[i] = p->files[i].info;
        newest = infos[i].max_t_ms > newest ? infos[i].max_t_ms : newest;
    }
    const size_t n = catalogue_expired(infos, p->files_n, newest, p->head.retention_ms, ids);
    err result = ERR_OK;
    for (size_t i = 0; i < n && result == ERR_OK; i++) {
        size_t at = 0;
        while (p->files[at].info.id != ids[i])
            at++;
        // Of a file of several parts the first one's removes it; the others only stop to look.
        const bool first = tsdb_owner(p->db, p->files[at].info.partition_min) == p->index;
        const struct catalogue_change change = {.remove = &ids[i], .remove_count = 1};
        if (first)
            result = tsdb_change(p->db, &change, e);
        if (result == ERR_OK) {
            part_drop_file(p, ids[i], first);
            p->retention_deletions += first;
        }
    }
    mem_free(infos);
    mem_free(ids);
    return result;
}

// ---- memory

static void release(struct part *p)
{
    struct head *h = &p->head;
    if (!p->release_due)
        return;
    if (!list_is_empty(&h->snapshots) &&
        container_of(h->snapshots.next, struct head_snapshot, link)->epoch < p->release_epoch)
        return;
    p->release_due = false;
    uint32_t at = 0;
    do {
        at = head_release(h, h->complete_t, at, RELEASE_COHORTS);
        fiber_yield_if_due();
    } while (at);
    const int64_t before = earlier(h->newest, LEAVE_MS);
    do {
        if (h->selects == 0)
            at = head_collect(h, before, at, COLLECT_SERIES);
        fiber_yield_if_due();
    } while (at && h->selects == 0);
}

static void work(struct part *p, bool *out_failed)
{
    struct errmsg e;
    const char *what = "samples not written to a file";
    err result = part_spill(p, &e);
    if (result == ERR_OK) {
        what = "files not merged";
        result = merge_ranges(p, &e);
    }
    if (result == ERR_OK) {
        what = "old files not removed";
        result = expire(p, &e);
    }
    *out_failed = result != ERR_OK;
    if (result != ERR_OK)
        log_error(logger_of(p), what, log_cstr("err", e.text));
}

void part_maintain(void *arg)
{
    struct part *p = arg;
    int64_t next = INT64_MIN; // the first time at once: what replay brought
    while (!p->closing) {
        const int64_t now = clock_mono_ns() / NS_PER_MS;
        if (p->ready && now >= next) {
            bool failed;
            work(p, &failed);
            next = now + (failed ? RETRY_MS : p->db->options.spill_ms);
        }
        release(p);
        int64_t wait = p->ready && !p->release_due ? next - now : TICK_MS;
        wait = wait < 1 ? 1 : wait;
        p->sleeping = true;
        if (!p->closing)
            (void)!fiber_sleep_ns(wait * NS_PER_MS);
        p->sleeping = false;
    }
    fiber_shield_begin(); // it was woken by being cancelled
    p->closed = p->ready ? part_spill(p, &p->closed_why) : ERR_OK;
    fiber_shield_end();
    p->maintained = false;
    waiters_wake_all(&p->changed);
}
