// The files of a part: those of a range that has passed are merged, those of several parts are
// divided, those that hide something are written without it when that is asked for.
//
// A fiber of its own does it, for spills must not wait until much is merged: the log would grow,
// and memory with it. It alone lets files go; spills put new ones beside them, newer than all that
// it looks at.
//
// A file belongs to the part that has its first partition: that part alone divides it, merges it or
// lets it go (tsdb_retention.c), in the catalogue first. Others that look at it are told
// afterwards, so that nothing is missing before it is gone for good.
#include <assert.h>
#include <stdlib.h>

#include "engine/base/mem.h"
#include "engine/tsdb/part_files.h"
#include "io/clock.h"
#include "io/file.h"

enum {
    GRACE_MS = 600000, // a range is merged when it ended so long ago
    MERGE_MIN = 2,     // files of a range
    MERGE_FILES_MAX = 64,
    RETRY_MS = 30000,  // after an error
    EXPIRE_MS = 30000, // between looks for files beyond retention
};
static const int64_t NS_PER_MS = 1000000;

static int compare_files(const void *a, const void *b)
{
    const struct part_file *x = a, *y = b;
    return (x->info.generation > y->info.generation) - (x->info.generation < y->info.generation);
}

err part_open_file(struct part *p, const struct catalogue_file *info, struct part_file *out,
                   struct errmsg *e)
{
    char path[CATALOGUE_PATH_MAX];
    TRY(catalogue_block_path(p->db->catalogue, info->id, path, sizeof path, e));
    out->info = *info;
    return block_file_open(path, BLOCK_CACHE_DEFAULT_BYTES, &out->file, e);
}

void part_put_file(struct part *p, struct part_file file)
{
    p->files = mem_grow(p->files, &p->files_capacity, p->files_n + 1, sizeof *p->files);
    p->files[p->files_n++] = file;
    qsort(p->files, p->files_n, sizeof *p->files, compare_files);
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
        log_warn(&p->db->log, "file not removed", log_cstr("err", e.text));
    block_file_unref(file);
}

void tsdb_set_summary(struct catalogue_file *info, const struct block_summary *sum)
{
    info->partition_min = sum->partition_min;
    info->partition_max = sum->partition_max;
    info->min_t_ms = sum->min_t;
    info->max_t_ms = sum->max_t;
    info->size_bytes = sum->bytes;
    info->series = sum->series;
    info->samples = sum->samples;
}

static void set_summary(struct catalogue_file *info, const struct block_summary *sum)
{
    const int64_t min_t = info->min_t_ms, max_t = info->max_t_ms;
    tsdb_set_summary(info, sum);
    if (sum->samples)
        return;
    info->min_t_ms = min_t; // of the whole: notes have none
    info->max_t_ms = max_t;
}

static void remove_written(struct part *p, uint64_t id)
{
    char path[CATALOGUE_PATH_MAX];
    if (catalogue_block_path(p->db->catalogue, id, path, sizeof path, NULL) == ERR_OK)
        (void)!path_unlink(path, NULL);
}

// ---- ranges

static int64_t range_of(int64_t t_ms, int64_t range_ms)
{
    return t_ms / range_ms - (t_ms % range_ms < 0);
}

static bool is_own(const struct part *p, const struct catalogue_file *f)
{
    return f->partition_min >= p->partition_begin && f->partition_max < p->partition_end;
}

bool part_is_first(const struct part *p, const struct catalogue_file *f)
{
    return tsdb_owner(p->db, f->partition_min) == p->index;
}

// Of the range's files those that can become one, by generation. One that cannot be merged with
// them, having other ranges too, must not come to stand between: what is newer than
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

// ---- merging what was spilled of one range

// The files, all this part's own, of a range that has passed and has several; how many.
static size_t find_range(const struct part *p, struct part_file *out, size_t max)
{
    const int64_t range_ms = p->db->options.seal_ms;
    const int64_t passed = time_before(p->head.newest, GRACE_MS);
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

// What several become; one alone stays what it is, and is written without what it hides.
static struct catalogue_file merged_info(const struct part_file *files, size_t n)
{
    struct catalogue_file info = files[0].info;
    for (size_t i = 1; i < n; i++) {
        const struct catalogue_file *f = &files[i].info;
        info.level = f->level > info.level ? f->level : info.level;
        info.min_t_ms = f->min_t_ms < info.min_t_ms ? f->min_t_ms : info.min_t_ms;
        info.max_t_ms = f->max_t_ms > info.max_t_ms ? f->max_t_ms : info.max_t_ms;
    }
    if (n > 1) {
        info.kind = CATALOGUE_SEALED;
        info.level++;
    }
    return info;
}

// Nothing is left of the files.
static err drop_files(struct part *p, const uint64_t *ids, size_t n, struct errmsg *e)
{
    const struct catalogue_change change = {.remove = ids, .remove_count = n};
    TRY(tsdb_change(p->db, &change, e));
    for (size_t i = 0; i < n; i++)
        part_drop_file(p, ids[i], true);
    return ERR_OK;
}

static err replace_files(struct part *p, const struct catalogue_file *info, const uint64_t *ids,
                         size_t n, struct errmsg *e)
{
    const struct catalogue_change change = {
        .add = info, .add_count = 1, .remove = ids, .remove_count = n};
    struct part_file merged;
    TRY(part_open_file(p, info, &merged, e));
    const err result = tsdb_change(p->db, &change, e);
    if (result != ERR_OK) {
        block_file_unref(merged.file);
        return result;
    }
    part_put_file(p, merged);
    for (size_t i = 0; i < n; i++)
        part_drop_file(p, ids[i], true);
    return ERR_OK;
}

static err merge_files(struct part *p, const struct part_file *files, size_t n, struct errmsg *e)
{
    struct block_file *parts[MERGE_FILES_MAX];
    uint64_t ids[MERGE_FILES_MAX];
    struct tsdb_new_file file = {.db = p->db};
    for (size_t i = 0; i < n; i++) {
        parts[i] = files[i].file;
        ids[i] = files[i].info.id;
    }
    TRY(tsdb_new_file(&file, e));
    const struct block_range all = {0, TSDB_PARTITIONS};
    struct block_summary sum;
    err result = block_merge(parts, n, all, file.path, INT64_MIN, &sum, e);
    if (result != ERR_OK) {
        (void)!path_unlink(file.path, NULL);
        return result;
    }
    struct catalogue_file info = merged_info(files, n);
    info.id = file.id;
    set_summary(&info, &sum);
    const bool is_empty = !sum.series && !sum.notes;
    result = is_empty ? drop_files(p, ids, n, e) : replace_files(p, &info, ids, n, e);
    if (is_empty || (result != ERR_OK && result != ERR_EXISTS)) // the catalogue may name it
        remove_written(p, file.id);
    p->merges += result == ERR_OK;
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

// ---- dividing what earlier runs with other shards wrote

struct share { // of a divided file
    struct tsdb *db;
    uint64_t whole; // its id
    struct catalogue_file info;
    bool has_file; // otherwise this part has nothing of it
    struct part_file opened;
    err result;
    struct errmsg e;
};

static void open_share(void *arg)
{
    struct share *s = arg;
    struct part *p = tsdb_part(s->db);
    s->result = s->has_file ? part_open_file(p, &s->info, &s->opened, &s->e) : ERR_OK;
}

static void close_share(void *arg)
{
    struct share *s = arg;
    block_file_unref(s->opened.file);
}

static void take_share(void *arg)
{
    struct share *s = arg;
    struct part *p = tsdb_part(s->db);
    if (s->opened.file)
        part_put_file(p, s->opened);
    part_drop_file(p, s->whole, false);
}

// The shares of all parts that have something of the file, written and synced.
static err write_shares(struct part *p, const struct part_file *f, struct share *shares,
                        struct errmsg *e)
{
    struct block_file *const file = f->file;
    for (unsigned i = 0; i < p->db->parts_n; i++) {
        const struct part *of = p->db->parts[i];
        const struct block_range range = {of->partition_begin, of->partition_end};
        struct tsdb_new_file path = {.db = p->db};
        struct block_summary sum;
        shares[i] = (struct share){.db = p->db, .whole = f->info.id};
        if (f->info.partition_max < range.begin || f->info.partition_min >= range.end)
            continue;
        TRY(tsdb_new_file(&path, e));
        shares[i].info = f->info;
        shares[i].info.id = path.id;
        const err result = block_merge(&file, 1, range, path.path, INT64_MIN, &sum, e);
        shares[i].has_file = result == ERR_OK && (sum.series || sum.notes);
        if (shares[i].has_file)
            set_summary(&shares[i].info, &sum);
        else
            (void)!path_unlink(path.path, NULL);
        TRY(result);
    }
    return ERR_OK;
}

// Every part has opened its share before the catalogue changes: afterwards nothing can fail.
static err replace_by_shares(struct part *p, const struct part_file *f, struct share *shares,
                             struct errmsg *e)
{
    struct catalogue_file add[SHARD_MAX];
    uint64_t where[(SHARD_MAX + 63) / 64] = {0};
    struct catalogue_change change = {.add = add, .remove = &f->info.id, .remove_count = 1};
    err result = ERR_OK;
    for (unsigned i = 0; i < p->db->parts_n; i++) {
        if (shares[i].info.id)
            where[i / 64] |= 1ull << i % 64;
        if (shares[i].has_file)
            add[change.add_count++] = shares[i].info;
    }
    shard_call_all(LOOP_MERGE, open_share, shares, sizeof *shares, where);
    for (unsigned i = 0; i < p->db->parts_n && result == ERR_OK; i++) {
        if (shares[i].result != ERR_OK)
            result = err_set(e, shares[i].result, "%s", shares[i].e.text);
    }
    if (result == ERR_OK)
        result = tsdb_change(p->db, &change, e);
    shard_call_all(LOOP_MERGE, result == ERR_OK ? take_share : close_share, shares, sizeof *shares,
                   where);
    if (result == ERR_OK) {
        remove_written(p, f->info.id);
        p->divisions++;
    }
    return result;
}

static err divide(struct part *p, const struct part_file *f, struct errmsg *e)
{
    struct share *shares = mem_zalloc(p->db->parts_n * sizeof *shares);
    err result = write_shares(p, f, shares, e);
    if (result == ERR_OK)
        result = replace_by_shares(p, f, shares, e);
    for (unsigned i = 0; i < p->db->parts_n && result != ERR_OK; i++) {
        if (shares[i].has_file && result != ERR_EXISTS) // the catalogue may name it
            remove_written(p, shares[i].info.id);
    }
    mem_free(shares);
    return result;
}

// Whether a merge of the file's range waits for it.
static bool is_in_the_way(const struct part *p, const struct catalogue_file *f)
{
    const int64_t range_ms = p->db->options.seal_ms;
    const int64_t range = range_of(f->min_t_ms, range_ms);
    if (range_of(f->max_t_ms, range_ms) != range)
        return false; // it would not be merged either
    for (size_t i = 0; i < p->files_n; i++) {
        const struct catalogue_file *other = &p->files[i].info;
        if (other->kind == CATALOGUE_SPILLED && range_of(other->min_t_ms, range_ms) == range)
            return true;
    }
    return false;
}

static const struct part_file *find_straddling(const struct part *p)
{
    const int64_t range_ms = p->db->options.seal_ms;
    const int64_t passed = range_of(time_before(p->head.newest, GRACE_MS), range_ms);
    for (size_t i = 0; i < p->files_n; i++) {
        const struct catalogue_file *f = &p->files[i].info;
        if (!is_own(p, f) && part_is_first(p, f) && range_of(f->max_t_ms, range_ms) < passed &&
            is_in_the_way(p, f))
            return &p->files[i];
    }
    return NULL;
}

static err divide_files(struct part *p, struct errmsg *e)
{
    const struct part_file *f;
    while (!p->closing && (f = find_straddling(p))) {
        const struct part_file whole = *f;
        TRY(divide(p, &whole, e));
    }
    return ERR_OK;
}

// ---- without what is deleted

static const struct part_file *find_hiding(const struct part *p)
{
    for (size_t i = 0; i < p->files_n; i++)
        if (block_file_tombstones(p->files[i].file) && part_is_first(p, &p->files[i].info))
            return &p->files[i];
    return NULL;
}

static err clean_files(struct part *p, struct errmsg *e)
{
    const struct part_file *f;
    while (!p->closing && (f = find_hiding(p))) {
        const struct part_file whole = *f;
        TRY(is_own(p, &whole.info) ? merge_files(p, &whole, 1, e) : divide(p, &whole, e));
    }
    return p->closing ? err_set(e, ERR_CANCELED, "the database closes") : ERR_OK;
}

// Answers those who asked for it before it began.
static void clean_and_answer(struct part *p)
{
    const uint64_t asked = p->cleans_asked;
    if (asked == p->cleans_answered)
        return;
    p->clean_result = clean_files(p, &p->clean_why);
    p->cleans_answered = asked;
    waiters_wake_all(&p->changed);
}

static void have_tended(struct part *p)
{
    if (p->tending || p->files_held || p->closing)
        return;
    p->tending = true;
    fiber_start_always(LOOP_MERGE, part_tend_files, p, NULL);
}

err part_ask_clean(struct part *p, struct errmsg *e)
{
    if (!find_hiding(p))
        return ERR_OK;
    const uint64_t mine = ++p->cleans_asked;
    have_tended(p); // or soon, if that goes on, or a deletion
    while (p->cleans_answered < mine) {
        if (p->closing)
            return err_set(e, ERR_CANCELED, "the database closes");
        TRY(waiters_wait(&p->changed));
    }
    return p->clean_result == ERR_OK ? ERR_OK
                                     : err_set(e, p->clean_result, "%s", p->clean_why.text);
}

// ---- when

static void divide_and_merge(struct part *p, int64_t now)
{
    struct errmsg e;
    const char *what = "files of several parts not divided";
    err result = divide_files(p, &e);
    if (result == ERR_OK) {
        what = "files not merged";
        result = merge_ranges(p, &e);
    }
    if (result != ERR_OK) {
        log_error(&p->db->log, what, log_cstr("err", e.text));
        p->next_merge = now + RETRY_MS;
    }
}

void part_tend_files(void *arg)
{
    struct part *p = arg;
    const int64_t now = clock_mono_ns() / NS_PER_MS;
    struct errmsg e;
    clean_and_answer(p);
    if (now >= p->next_merge) {
        p->next_merge = INT64_MAX; // until something is spilled
        divide_and_merge(p, now);
    }
    if (now >= p->next_expiry) {
        p->next_expiry = now + EXPIRE_MS;
        if (part_expire(p, &e) != ERR_OK)
            log_error(&p->db->log, "files beyond retention not removed", log_cstr("err", e.text));
    }
    p->tending = false;
    waiters_wake_all(&p->changed);
}
