// Keeping the catalogue: <folder>/catalogue, written by one shard. Each open replaces it by a
// checkpoint with the next epoch, in one step (temporary file, rename), so a torn tail never stays.
#include "engine/tsdb/catalogue.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/base/mem.h"
#include "engine/tsdb/catalogue_log.h"
#include "engine/tsdb/folder_lock.h"
#include "engine/tsdb/placement.h"
#include "io/clock.h"
#include "io/fiber.h"
#include "io/file.h"

enum {
    NAME_BYTES = 64,              // room for names behind the folder's
    CHECKPOINT_BYTES = 64 * 1024, // changes before a new one is worth it
    CHECKPOINT_TIMES = 4,         // and so many times the last one
    ID_DIGITS = 16,
};

struct catalogue {
    char dir[CATALOGUE_PATH_MAX], wal_dir[CATALOGUE_PATH_MAX];
    struct logger log;
    struct catalogue_state state;
    struct catalogue_info info;
    struct file lock, file;
    uint64_t end;        // of the last good record
    uint64_t checkpoint; // bytes of the last one
    bool busy;           // a change is being written
    bool broken;         // what the file holds is not known any more
    struct waiters idle;
};

static void path_of(const struct catalogue *c, const char *name, char *out)
{
    const int n = snprintf(out, CATALOGUE_PATH_MAX, "%s/%s", c->dir, name);
    assert(n > 0 && n < CATALOGUE_PATH_MAX);
}

static void block_path(const struct catalogue *c, uint64_t id, char *out)
{
    const int n = snprintf(out, CATALOGUE_PATH_MAX, "%s/blocks/%016llx.block", c->dir,
                           (unsigned long long)id);
    assert(n > 0 && n < CATALOGUE_PATH_MAX);
}

err catalogue_block_path(const struct catalogue *c, uint64_t id, char *out, size_t n,
                         struct errmsg *e)
{
    char path[CATALOGUE_PATH_MAX];
    block_path(c, id, path);
    const size_t size = strlen(path) + 1;
    if (size > n)
        return err_set(e, ERR_LIMIT, "%s: file name too long", path);
    memcpy(out, path, size);
    return ERR_OK;
}

const char *catalogue_wal_dir(const struct catalogue *c)
{
    return c->wal_dir;
}

const char *catalogue_dir(const struct catalogue *c)
{
    return c->dir;
}

void catalogue_put_copy(const struct catalogue *c, struct buf *out)
{
    struct catalogue_state copy = c->state; // of what it owns nothing is changed
    copy.marks_count = copy.done_count = copy.deletions_count = 0;
    catalogue_put_checkpoint(&copy, out);
}

const struct catalogue_info *catalogue_info(const struct catalogue *c)
{
    return &c->info;
}

const struct catalogue_file *catalogue_files(const struct catalogue *c, size_t *out_count)
{
    *out_count = c->state.files_count;
    return c->state.files;
}

const struct wal_mark *catalogue_marks(const struct catalogue *c, size_t *out_count)
{
    *out_count = c->state.marks_count;
    return c->state.marks;
}

struct str catalogue_tombstones(const struct catalogue *c, uint64_t id)
{
    return catalogue_state_tombstones(&c->state, id);
}

const struct catalogue_deletion *catalogue_deletions(const struct catalogue *c, size_t *out_count)
{
    *out_count = c->state.deletions_count;
    return c->state.deletions;
}

uint64_t catalogue_next_id(struct catalogue *c)
{
    return c->state.next_id++;
}

// ---- removal of what is not named

// <id, 16 hex digits>.block, with .tmp behind it or not.
bool catalogue_parse_block_name(struct str name, uint64_t *out_id, bool *out_temporary)
{
    *out_temporary = str_has_suffix(name, STR(".tmp"));
    if (*out_temporary)
        name.n -= 4;
    if (name.n != ID_DIGITS + 6 || !str_has_suffix(name, STR(".block")))
        return false;
    uint64_t id = 0;
    for (size_t i = 0; i < ID_DIGITS; i++) {
        const char c = name.p[i];
        const bool digit = c >= '0' && c <= '9';
        if (!digit && !(c >= 'a' && c <= 'f'))
            return false;
        id = id << 4 | (uint64_t)(digit ? c - '0' : c - 'a' + 10);
    }
    *out_id = id;
    return true;
}

static err remove_file(struct catalogue *c, const char *sub, const char *name, struct errmsg *e)
{
    struct buf path = {0};
    buf_printf(&path, "%s/%s/%s%c", c->dir, sub, name, '\0');
    log_info(&c->log, "removing a file that the catalogue does not name", log_cstr("path", path.p));
    const err code = path_unlink(path.p, e);
    buf_deinit(&path);
    return code;
}

static bool is_unused_block(const struct catalogue *c, struct str name)
{
    uint64_t id;
    bool temporary;
    return catalogue_parse_block_name(name, &id, &temporary) &&
           (temporary || !catalogue_state_has(&c->state, id));
}

// Of a stream that is done with, or below its mark, or a file kept for reuse.
static bool is_unused_segment(const struct catalogue *c, struct str name)
{
    const struct catalogue_state *s = &c->state;
    struct wal_stream stream;
    uint64_t number;
    if (str_has_suffix(name, STR(".wal.tmp")))
        return true;
    if (!wal_segment_parse_name(name, &stream, &number))
        return false;
    for (size_t i = 0; i < s->done_count; i++) {
        if (s->done[i].epoch == stream.epoch && s->done[i].shard == stream.shard)
            return true;
    }
    for (size_t i = 0; i < s->marks_count; i++) {
        const struct wal_mark *m = &s->marks[i];
        if (m->stream.epoch == stream.epoch && m->stream.shard == stream.shard)
            return number < m->segment;
    }
    return false;
}

static err sweep(struct catalogue *c, const char *sub,
                 bool (*is_unused)(const struct catalogue *, struct str name), struct errmsg *e)
{
    char path[CATALOGUE_PATH_MAX];
    struct buf names = {0};
    size_t count;
    bool is_changed = false;
    path_of(c, sub, path);
    err code = path_list(path, &names, &count, e);
    const char *name = names.p;
    for (size_t i = 0; code == ERR_OK && i < count; i++, name += strlen(name) + 1) {
        if (!is_unused(c, str_from_c(name)))
            continue;
        code = remove_file(c, sub, name, e);
        is_changed = true;
    }
    buf_deinit(&names);
    // Before the catalogue forgets why they went.
    return code == ERR_OK && is_changed ? path_sync_dir(path, e) : code;
}

static err check_live_files(const struct catalogue *c, struct errmsg *e)
{
    for (size_t i = 0; i < c->state.files_count; i++) {
        const struct catalogue_file *f = &c->state.files[i];
        char path[CATALOGUE_PATH_MAX];
        struct op_stat st;
        block_path(c, f->id, path);
        const err code = path_stat(path, &st, e);
        if (code == ERR_NOTFOUND)
            return err_set(e, ERR_CORRUPT, "%s is missing, the catalogue names it", path);
        if (code != ERR_OK)
            return code;
        if ((uint64_t)st.size != f->size_bytes)
            return err_set(e, ERR_CORRUPT, "%s has %lld bytes, the catalogue says %llu", path,
                           (long long)st.size, (unsigned long long)f->size_bytes);
    }
    return ERR_OK;
}

// ---- opening

typedef bool is_data_fn(struct str name);

static bool is_block(struct str name)
{
    uint64_t id;
    bool temporary;
    return catalogue_parse_block_name(name, &id, &temporary);
}

static bool is_segment(struct str name)
{
    struct wal_stream stream;
    uint64_t number;
    return wal_segment_parse_name(name, &stream, &number);
}

// chunks_head of a server, 00000000 and further of its WAL and of an agent's.
static bool is_prometheus(struct str name)
{
    size_t digits = 0;
    while (digits < name.n && name.p[digits] >= '0' && name.p[digits] <= '9')
        digits++;
    return str_eq(name, STR("chunks_head")) || (digits == 8 && name.n == 8);
}

// Whether the folder holds such a file, and the first one's name. What is not there holds nothing.
static err find_data(const struct catalogue *c, const char *sub, is_data_fn *is_data, bool *found,
                     char out_name[CATALOGUE_PATH_MAX], struct errmsg *e)
{
    char path[CATALOGUE_PATH_MAX];
    struct buf names = {0};
    size_t count = 0;
    path_of(c, sub, path);
    err code = path_list(path, &names, &count, e);
    const char *name = names.p;
    *found = false;
    for (size_t i = 0; code == ERR_OK && i < count && !*found; i++, name += strlen(name) + 1) {
        *found = is_data(str_from_c(name));
        if (*found)
            snprintf(out_name, CATALOGUE_PATH_MAX, "%s/%s", sub, name);
    }
    buf_deinit(&names);
    return code == ERR_NOTFOUND ? ERR_OK : code;
}

// A folder without a catalogue must not hold what looks like data: ours, or Prometheus's.
static err check_new_folder(const struct catalogue *c, struct errmsg *e)
{
    static const struct {
        const char *sub;
        is_data_fn *is_data;
        bool is_ours;
    } rows[] = {{"blocks", is_block, true},
                {"wal", is_segment, true},
                {".", is_prometheus, false},
                {"wal", is_prometheus, false}};
    char name[CATALOGUE_PATH_MAX];
    for (size_t i = 0; i < countof(rows); i++) {
        bool found;
        TRY(find_data(c, rows[i].sub, rows[i].is_data, &found, name, e));
        if (found && rows[i].is_ours)
            return err_set(e, ERR_CORRUPT,
                           "%s holds data of Ferula (%s), but the file \"catalogue\" that says "
                           "what is valid is missing: put it back from where the folder was copied "
                           "from, or name another folder with --storage.tsdb.path",
                           c->dir, name);
        if (found)
            return err_set(e, ERR_INVALID,
                           "%s is a data folder of Prometheus: name another one with "
                           "--storage.tsdb.path",
                           c->dir);
    }
    return ERR_OK;
}

static err read_log(struct catalogue *c, const struct catalogue_options *options, struct errmsg *e)
{
    enum { LOG_BYTES_MAX = 1 << 30 };
    struct catalogue_state *s = &c->state;
    struct buf bytes = {0};
    char path[CATALOGUE_PATH_MAX];
    path_of(c, "catalogue", path);
    err code = path_read(path, LOG_BYTES_MAX, &bytes, e);
    if (code == ERR_NOTFOUND) {
        TRY(check_new_folder(c, e));
        if (options->read_only)
            return err_set(e, ERR_NOTFOUND, "%s is no data folder: it has no file \"catalogue\"",
                           c->dir);
        c->info.is_new = true;
        *s = (struct catalogue_state){
            .partitions = options->partitions, .spread = 1, .next_id = 1, .seq = 1};
        random_bytes(&s->hash_seed, sizeof s->hash_seed);
        buf_put_str(&s->placement_labels,
                    options->placement_labels.n ? options->placement_labels : PLACEMENT_DEFAULT);
        return ERR_OK;
    }
    size_t end = 0;
    if (code == ERR_OK)
        code = catalogue_load(buf_str(&bytes), s, &end, e);
    if (code != ERR_OK)
        code = err_wrap(e, code, "%s", c->dir);
    else if (end < bytes.n && !options->read_only)
        log_warn(&c->log, "the catalogue's last change was cut when the process or machine ended",
                 log_i64("bytes", (int64_t)(bytes.n - end)));
    buf_deinit(&bytes);
    return code;
}

static err write_temporary(struct file *f, const char *path, const struct buf *bytes,
                           struct errmsg *e)
{
    TRY(file_open(f, path, FILE_WRITE | FILE_CREATE | FILE_TRUNCATE, e));
    err code = file_write(f, 0, bytes->p, bytes->n, e);
    if (code == ERR_OK)
        code = file_sync(f, false, e);
    if (code != ERR_OK)
        file_close(f);
    return code;
}

// Replaces the log by one record of the state. After an error the old one holds, unless broken.
static err write_checkpoint(struct catalogue *c, struct errmsg *e)
{
    struct buf bytes = {0};
    struct file file;
    char path[CATALOGUE_PATH_MAX], temporary[CATALOGUE_PATH_MAX];
    path_of(c, "catalogue", path);
    path_of(c, "catalogue.tmp", temporary);
    catalogue_put_checkpoint(&c->state, &bytes);
    const size_t size = bytes.n;
    err code = write_temporary(&file, temporary, &bytes, e);
    buf_deinit(&bytes);
    if (code != ERR_OK)
        return code;
    code = path_rename(temporary, path, e);
    if (code != ERR_OK) {
        file_close(&file);
        return code;
    }
    file_close(&c->file);
    c->file = file;
    c->end = c->checkpoint = size;
    code = path_sync_dir(c->dir, e);
    c->broken = code != ERR_OK; // which of the two a crash leaves is not known
    return code;
}

// The folder's own name stands in its parent.
static err sync_parent(const struct catalogue *c, struct errmsg *e)
{
    char path[CATALOGUE_PATH_MAX];
    memcpy(path, c->dir, strlen(c->dir) + 1);
    size_t n = strlen(path);
    while (n > 1 && path[n - 1] == '/')
        n--;
    while (n > 0 && path[n - 1] != '/')
        n--;
    path[n] = '\0';
    return path_sync_dir(n > 0 ? path : ".", e);
}

static err make_folders(struct catalogue *c, struct errmsg *e)
{
    char path[CATALOGUE_PATH_MAX];
    path_of(c, "blocks", path);
    TRY(path_mkdir(path, e));
    TRY(path_mkdir(c->wal_dir, e));
    return path_sync_dir(c->dir, e);
}

// The labels that were asked for and those of the folder, in whatever order.
static err check_placement(const struct catalogue *c, const struct catalogue_options *options,
                           struct errmsg *e)
{
    const struct str is = buf_str(&c->state.placement_labels);
    struct placement asked, had;
    TRY(placement_init(&asked, options->placement_labels, 0, e));
    TRY(placement_init(&had, is, 0, e));
    if (!options->placement_labels.n || placement_equals(&asked, &had))
        return ERR_OK;
    return err_set(
        e, ERR_INVALID,
        "--storage.placement-labels=%.*s, but %s was made with \"%.*s\", which is fixed: "
        "leave the flag out, give it these labels, or name another folder with "
        "--storage.tsdb.path",
        STR_ARG(options->placement_labels), c->dir, STR_ARG(is));
}

static err begin_run(struct catalogue *c, struct errmsg *e)
{
    TRY(make_folders(c, e));
    if (c->info.is_new)
        TRY(sync_parent(c, e));
    TRY(check_live_files(c, e));
    TRY(sweep(c, "blocks", is_unused_block, e));
    TRY(sweep(c, "wal", is_unused_segment, e));
    c->state.done_count = 0;
    c->state.epoch++;
    c->state.seq++;
    return write_checkpoint(c, e);
}

static err load(struct catalogue *c, const struct catalogue_options *options, struct errmsg *e)
{
    TRY(read_log(c, options, e)); // nothing is made in a folder that is refused
    TRY(check_placement(c, options, e));
    TRY(options->read_only ? check_live_files(c, e) : begin_run(c, e));
    c->info.format = CATALOGUE_FORMAT;
    c->info.partitions = c->state.partitions;
    c->info.spread = c->state.spread;
    c->info.hash_seed = c->state.hash_seed;
    c->info.epoch = c->state.epoch;
    c->info.placement_labels = buf_str(&c->state.placement_labels);
    return ERR_OK;
}

static void destroy(struct catalogue *c)
{
    file_close(&c->file);
    folder_unlock(&c->lock);
    catalogue_state_deinit(&c->state);
    mem_free(c);
}

err catalogue_open(const char *dir, const struct catalogue_options *options, struct catalogue **out,
                   struct errmsg *e)
{
    assert(options->partitions > 0);
    if (strlen(dir) + NAME_BYTES > CATALOGUE_PATH_MAX)
        return err_set(e, ERR_LIMIT, "%s: file name too long", dir);
    if (options->placement_labels.n > CATALOGUE_LABELS_BYTES_MAX)
        return err_set(e, ERR_INVALID, "placement labels of more than %d bytes",
                       CATALOGUE_LABELS_BYTES_MAX);
    if (!options->read_only)
        TRY(path_mkdir(dir, e));
    struct catalogue *c = mem_zalloc(sizeof *c);
    c->log = (struct logger){"catalogue", options->log};
    c->file.fd = c->lock.fd = -1;
    waiters_init(&c->idle);
    memcpy(c->dir, dir, strlen(dir) + 1);
    path_of(c, "wal", c->wal_dir);
    err code = options->read_only ? ERR_OK : folder_lock(&c->lock, dir, e);
    if (code == ERR_OK)
        code = load(c, options, e);
    if (code != ERR_OK) {
        destroy(c);
        return code;
    }
    *out = c;
    return ERR_OK;
}

err catalogue_is_current(const struct catalogue *c, bool *out, struct errmsg *e)
{
    const struct catalogue_options options = {.partitions = 1, .read_only = true};
    struct catalogue now = {.log = c->log};
    memcpy(now.dir, c->dir, sizeof now.dir);
    const err code = read_log(&now, &options, e);
    *out = now.state.seq == c->state.seq;
    catalogue_state_deinit(&now.state);
    return code;
}

void catalogue_close(struct catalogue *c)
{
    if (!c)
        return;
    assert(!c->busy);
    destroy(c);
}

// ---- changes

// A record that was not acknowledged must not come back at the next open.
static void undo_write(struct catalogue *c)
{
    static const uint8_t zeros[CATALOGUE_HEADER_BYTES] = {0};
    if (file_truncate(&c->file, (int64_t)c->end, NULL) != ERR_OK &&
        file_write(&c->file, (int64_t)c->end, zeros, sizeof zeros, NULL) != ERR_OK)
        c->broken = true;
}

static err append_record(struct catalogue *c, const struct buf *bytes, struct errmsg *e)
{
    err code = file_write(&c->file, (int64_t)c->end, bytes->p, bytes->n, e);
    if (code != ERR_OK) {
        undo_write(c);
        return code;
    }
    code = file_sync(&c->file, true, e);
    if (code != ERR_OK) // the system may have dropped the pages: nothing more can be known
        c->broken = true;
    return code == ERR_OK ? ERR_OK : ERR_EXISTS;
}

// The names of new files must not be lost when the change is not.
static err sync_names(struct catalogue *c, struct errmsg *e)
{
    char path[CATALOGUE_PATH_MAX];
    struct file folder;
    path_of(c, "blocks", path);
    TRY(file_open(&folder, path, FILE_READ, e));
    const err code = file_sync(&folder, false, e);
    file_close(&folder);
    c->broken = code != ERR_OK; // as in append_record()
    return code;
}

static err apply_now(struct catalogue *c, const struct catalogue_change *change, struct errmsg *e)
{
    if (c->broken)
        return err_set(e, ERR_IO, "catalogue: an earlier write could not be made durable");
    TRY(catalogue_state_check(&c->state, change, e));
    if (change->add_count > 0)
        TRY(sync_names(c, e));
    struct buf bytes = {0};
    catalogue_put_change(&c->state, change, &bytes);
    const err code = append_record(c, &bytes, e);
    const size_t size = bytes.n;
    buf_deinit(&bytes);
    if (code != ERR_OK)
        return err_wrap(e, code, "catalogue");
    catalogue_state_apply(&c->state, change);
    c->state.seq++;
    c->end += size;
    if (c->end - c->checkpoint > CHECKPOINT_BYTES &&
        c->end / (1 + CHECKPOINT_TIMES) > c->checkpoint) {
        struct errmsg why;
        if (write_checkpoint(c, &why) != ERR_OK) // the log holds as it is
            log_warn(&c->log, "the catalogue could not be written anew",
                     log_cstr("reason", why.text));
    }
    return ERR_OK;
}

err catalogue_apply(struct catalogue *c, const struct catalogue_change *change, struct errmsg *e)
{
    fiber_shield_begin(); // half a change is worse than a late one
    while (c->busy)
        (void)waiters_wait(&c->idle);
    c->busy = true;
    const err code = apply_now(c, change, e);
    c->busy = false;
    waiters_wake_one(&c->idle);
    fiber_shield_end();
    return code;
}

// ---- retention

int64_t catalogue_cut_by_age(int64_t now_ms, int64_t retention_ms)
{
    int64_t oldest_ms;
    if (retention_ms <= 0 || __builtin_sub_overflow(now_ms, retention_ms, &oldest_ms) ||
        oldest_ms == INT64_MIN)
        return INT64_MIN;
    return oldest_ms - 1;
}

static int newest_first(const void *a, const void *b)
{
    const struct catalogue_file *x = a, *y = b;
    return (x->max_t_ms < y->max_t_ms) - (x->max_t_ms > y->max_t_ms);
}

int64_t catalogue_cut_by_size(const struct catalogue_file *files, size_t n, uint64_t beside,
                              uint64_t max)
{
    struct catalogue_file *sorted = mem_alloc_array(n, sizeof *sorted);
    uint64_t sum = beside;
    size_t at = 0;
    if (n)
        memcpy(sorted, files, n * sizeof *sorted);
    if (n)
        qsort(sorted, n, sizeof *sorted, newest_first);
    while (at < n && !__builtin_add_overflow(sum, sorted[at].size_bytes, &sum) && sum <= max)
        at++;
    const int64_t cut = at < n ? sorted[at].max_t_ms : INT64_MIN;
    mem_free(sorted);
    return cut;
}
