// What is to be done is told by fsck. Each step is complete before the catalogue says so: new files
// are written, damaged ones linked into quarantine/, then the catalogue is replaced in one step,
// then the old names go. A crash in between leaves files that no catalogue names.
#include "engine/tsdb/repair.h"

#include <stdio.h>

#include "engine/base/mem.h"
#include "engine/base/util.h"
#include "engine/model/labels.h"
#include "engine/tsdb/block_notes.h"
#include "engine/tsdb/block_reader.h"
#include "engine/tsdb/catalogue_log.h"
#include "engine/tsdb/folder_lock.h"
#include "engine/tsdb/fsck.h"
#include "io/clock.h"
#include "io/file.h"

enum { PATH_MAX_BYTES = 640, LOG_BYTES_MAX = 1 << 30, SERIES_AT_ONCE = 256 };

struct wound { // a path that fsck named
    char path[PATH_MAX_BYTES];
    struct errmsg why; // the first thing that was said about it
    bool is_unusable, is_done;
};

struct repair {
    const char *dir;
    const struct repair_options *options;
    repair_tell_fn *tell;
    void *arg;
    struct catalogue_state state;
    struct wound *wounds;
    size_t n, capacity;
    uint64_t actions;
    struct buf unlinks; // paths, each ended by a NUL: when the catalogue is written
    size_t unlinks_n;
    bool is_changed; // the catalogue is
};

static struct wound *wound_of(struct repair *r, const char *path)
{
    for (size_t i = 0; i < r->n; i++)
        if (!strcmp(r->wounds[i].path, path))
            return &r->wounds[i];
    return NULL;
}

static void on_found(void *arg, const struct fsck_finding *f)
{
    struct repair *r = arg;
    if (f->severity != FSCK_DAMAGE || strlen(f->path) >= PATH_MAX_BYTES)
        return;
    struct wound *w = wound_of(r, f->path);
    if (!w) {
        r->wounds = mem_grow(r->wounds, &r->capacity, r->n + 1, sizeof *r->wounds);
        w = &r->wounds[r->n++];
        *w = (struct wound){0};
        memcpy(w->path, f->path, strlen(f->path) + 1);
        struct errmsg place = {0};
        if (f->offset >= 0)
            snprintf(place.text, sizeof place.text, "offset %lld: ", (long long)f->offset);
        (void)!err_set(&w->why, ERR_CORRUPT, "%s%s%s%s", place.text, f->what,
                       f->lost[0] ? "; lost: " : "", f->lost);
    }
    w->is_unusable |= f->is_unusable;
}

// ---- moving aside

static const char *last_name(const char *path)
{
    const char *const slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static void tell(struct repair *r, const struct repair_action *action)
{
    r->actions++;
    r->tell(r->arg, action);
}

// A second name for path in quarantine/, and a note beside it. With dry_run only the name.
static err put_aside(struct repair *r, const char *path, const char *why,
                     char out_to[static PATH_MAX_BYTES], struct errmsg *e)
{
    struct buf note = {0};
    char folder[PATH_MAX_BYTES], note_path[PATH_MAX_BYTES + 8];
    snprintf(folder, sizeof folder, "%s/quarantine", r->dir);
    snprintf(out_to, PATH_MAX_BYTES, "%.400s/%.200s", folder, last_name(path));
    if (r->options->dry_run)
        return ERR_OK;
    TRY(path_mkdir(folder, e));
    const err linked = path_link(path, out_to, e);
    if (linked != ERR_OK && linked != ERR_EXISTS)
        return linked;
    snprintf(note_path, sizeof note_path, "%s.txt", out_to);
    buf_printf(&note, "%s\n%s\nput aside by repair at %lld ms since 1970\n", path, why,
               (long long)clock_wall_ms());
    const err code = path_write_atomic(note_path, buf_str(&note), e);
    buf_deinit(&note);
    TRY(code);
    return path_sync_dir(folder, e);
}

static void unlink_later(struct repair *r, const char *path)
{
    buf_put(&r->unlinks, path, strlen(path) + 1);
    r->unlinks_n++;
}

static void change(struct repair *r, const struct catalogue_file *add, uint64_t remove)
{
    const struct catalogue_change c = {
        .add = add, .add_count = add != NULL, .remove = &remove, .remove_count = 1};
    catalogue_state_apply(&r->state, &c);
    r->is_changed = true;
}

// ---- what can be read of a file, into another one

struct copying {
    struct block_file *from;
    struct block_writer *to; // NULL: it is only counted
    struct arena keys, samples;
    struct block_summary kept;
    uint64_t lost; // series
};

static err copy_series(struct copying *c, const struct block_keyed *key, struct errmsg *e)
{
    struct column column;
    arena_reset(&c->samples);
    const err code =
        block_file_read(c->from, &key->id, 1, INT64_MIN, INT64_MAX, &c->samples, &column, e);
    if (code == ERR_CORRUPT || (code == ERR_OK && !column.n)) {
        c->lost++;
        return ERR_OK;
    }
    TRY(code);
    c->kept.series++;
    c->kept.samples += column.n;
    return c->to ? block_writer_add(c->to, &key->key, &column, e) : ERR_OK;
}

static err copy_name(struct copying *c, struct str name, struct errmsg *e)
{
    const struct matcher m = {MATCHER_EQ, LABEL_NAME, name, NULL};
    struct block_keyed *keys;
    size_t n = 0;
    arena_reset(&c->keys);
    const err code = block_select_keys(c->from, &m, 1, (struct block_range){0, UINT32_MAX},
                                       &c->keys, &keys, &n, e);
    if (code == ERR_CORRUPT)
        return ERR_OK; // its series are counted by what is missing in the end
    TRY(code);
    for (size_t i = 0; i < n; i++)
        TRY(copy_series(c, &keys[i], e));
    return ERR_OK;
}

static err copy_names(struct copying *c, struct arena *a, struct errmsg *e)
{
    const struct block_range all = {0, UINT32_MAX};
    struct least names;
    least_init(&names, a, 0, false);
    err code = block_file_label_values(c->from, LABEL_NAME, NULL, 0, all, &names, e);
    if (code == ERR_OK)
        code = least_finish(&names, e);
    if (code == ERR_OK)
        code = copy_name(c, (struct str){0}, e); // series without a name come first
    for (size_t i = 0; i < names.n && code == ERR_OK; i++)
        code = copy_name(c, names.items[i], e);
    least_deinit(&names);
    if (code == ERR_OK && c->to) {
        const err notes = block_notes_merge(&c->from, 1, all, INT64_MIN, c->to, e);
        code = notes == ERR_CORRUPT ? ERR_OK : notes;
    }
    return code;
}

// path NULL: what could be copied is counted. ERR_CORRUPT: nothing can.
static err copy_file(struct block_file *from, const char *path, struct block_summary *out,
                     struct errmsg *e)
{
    struct copying c = {.from = from};
    struct arena a;
    if (path)
        TRY(block_writer_create(path, 0, 0, &c.to, e));
    arena_init(&a, 0);
    arena_init(&c.keys, 0);
    arena_init(&c.samples, 0);
    err code = copy_names(&c, &a, e);
    *out = c.kept;
    if (code == ERR_OK && !c.kept.series)
        code = err_set(e, ERR_CORRUPT, "nothing of it can be read");
    if (code == ERR_OK && c.to)
        code = block_writer_finish(c.to, out, e);
    block_writer_destroy(c.to);
    arena_deinit(&c.samples);
    arena_deinit(&c.keys);
    arena_deinit(&a);
    return code;
}

// What the file hides is not in the new one.
static err set_tombstones(const struct repair *r, struct block_file *f,
                          const struct catalogue_file *info, struct errmsg *e)
{
    const struct str bytes = catalogue_state_tombstones(&r->state, info->id);
    struct tombstones *t = bytes.n ? tombstones_parse(bytes, block_file_summary(f)->series) : NULL;
    if (bytes.n && !t)
        return err_set(e, ERR_CORRUPT, "%s: damaged tombstones", block_file_path(f));
    block_file_set_tombstones(f, t);
    return ERR_OK;
}

// The file anew, under another number, as struct catalogue_file says.
static err renew(struct repair *r, struct block_file *from, const struct catalogue_file *old,
                 struct catalogue_file *out, char out_path[static PATH_MAX_BYTES], struct errmsg *e)
{
    struct block_summary kept = {0};
    const bool writes = !r->options->dry_run;
    *out = *old;
    out->id = r->state.next_id;
    snprintf(out_path, PATH_MAX_BYTES, "%s/blocks/%016llx.block", r->dir,
             (unsigned long long)out->id);
    TRY(set_tombstones(r, from, old, e));
    TRY(copy_file(from, writes ? out_path : NULL, &kept, e));
    out->series = kept.series;
    out->samples = kept.samples;
    if (writes) {
        out->size_bytes = kept.bytes;
        out->min_t_ms = kept.min_t;
        out->max_t_ms = kept.max_t;
        out->partition_min = kept.partition_min;
        out->partition_max = kept.partition_max;
    }
    r->state.next_id++;
    return ERR_OK;
}

// ---- what is done with a file

static void block_path(const struct repair *r, uint64_t id, char out[static PATH_MAX_BYTES])
{
    snprintf(out, PATH_MAX_BYTES, "%s/blocks/%016llx.block", r->dir, (unsigned long long)id);
}

static err quarantine(struct repair *r, const struct catalogue_file *f, struct wound *w,
                      struct errmsg *e)
{
    char to[PATH_MAX_BYTES];
    struct op_stat s;
    struct repair_action action = {.kind = REPAIR_FORGET,
                                   .path = w->path,
                                   .to = "",
                                   .why = w->why.text,
                                   .series = f->series,
                                   .samples = f->samples};
    if (path_stat(w->path, &s, NULL) == ERR_OK) {
        TRY(put_aside(r, w->path, w->why.text, to, e));
        action.kind = REPAIR_QUARANTINE;
        action.to = to;
        unlink_later(r, w->path);
    }
    tell(r, &action);
    change(r, NULL, f->id);
    return ERR_OK;
}

static err salvage(struct repair *r, const struct catalogue_file *f, struct wound *w,
                   struct errmsg *e)
{
    char to[PATH_MAX_BYTES], path[PATH_MAX_BYTES];
    struct catalogue_file renewed;
    struct block_file *file;
    if (w->is_unusable || block_file_open(w->path, BLOCK_CACHE_DEFAULT_BYTES, &file, e) != ERR_OK)
        return quarantine(r, f, w, e);
    const err code = renew(r, file, f, &renewed, path, e);
    block_file_unref(file);
    if (code == ERR_CORRUPT)
        return quarantine(r, f, w, e);
    TRY(code);
    TRY(put_aside(r, w->path, w->why.text, to, e));
    tell(r, &(struct repair_action){REPAIR_SALVAGE, w->path, to, w->why.text, f->series, f->samples,
                                    renewed.series, renewed.samples, 0});
    unlink_later(r, w->path);
    change(r, &renewed, f->id);
    return ERR_OK;
}

static err upgrade(struct repair *r, const struct catalogue_file *f, struct errmsg *e)
{
    char path[PATH_MAX_BYTES], to[PATH_MAX_BYTES];
    struct catalogue_file renewed;
    struct block_file *file;
    block_path(r, f->id, path);
    TRY(block_file_open(path, BLOCK_CACHE_DEFAULT_BYTES, &file, e));
    const uint32_t version = file->footer.version;
    if (version == BLOCK_VERSION || !f->series) {
        block_file_unref(file);
        return ERR_OK;
    }
    const err code = renew(r, file, f, &renewed, to, e);
    block_file_unref(file);
    TRY(code);
    const bool hides = catalogue_state_tombstones(&r->state, f->id).n;
    if (!hides && (renewed.series != f->series || renewed.samples != f->samples))
        return err_set(e, ERR_CORRUPT, "%s: not all of it can be read: see tsdb fsck", path);
    tell(r, &(struct repair_action){REPAIR_UPGRADE, path, to, "", f->series, f->samples,
                                    renewed.series, renewed.samples, version});
    unlink_later(r, path);
    change(r, &renewed, f->id);
    return ERR_OK;
}

// Log segments: a start reads what is good in them and removes them then.
static err keep_segments(struct repair *r, struct errmsg *e)
{
    for (size_t i = 0; i < r->n; i++) {
        struct wound *const w = &r->wounds[i];
        char to[PATH_MAX_BYTES];
        if (w->is_done || !str_has_suffix(str_from_c(w->path), STR(".wal")))
            continue;
        TRY(put_aside(r, w->path, w->why.text, to, e));
        tell(r, &(struct repair_action){
                    .kind = REPAIR_COPY, .path = w->path, .to = to, .why = w->why.text});
    }
    return ERR_OK;
}

static err work_through(struct repair *r, struct errmsg *e)
{
    const size_t n = r->state.files_count;
    struct catalogue_file *const files = mem_alloc_array(n + 1, sizeof *files);
    err code = ERR_OK;
    if (n)
        memcpy(files, r->state.files, n * sizeof *files);
    for (size_t i = 0; i < n && code == ERR_OK; i++) {
        char path[PATH_MAX_BYTES];
        block_path(r, files[i].id, path);
        struct wound *const w = wound_of(r, path);
        if (w)
            w->is_done = true;
        if (w)
            code = salvage(r, &files[i], w, e);
        else if (r->options->upgrade)
            code = upgrade(r, &files[i], e);
    }
    mem_free(files);
    return code == ERR_OK ? keep_segments(r, e) : code;
}

// ---- the catalogue

static err write_catalogue(struct repair *r, struct errmsg *e)
{
    char path[PATH_MAX_BYTES], kept[PATH_MAX_BYTES], folder[PATH_MAX_BYTES];
    struct buf bytes = {0};
    snprintf(path, sizeof path, "%s/catalogue", r->dir);
    snprintf(folder, sizeof folder, "%s/quarantine", r->dir);
    snprintf(kept, sizeof kept, "%.500s/catalogue.%llu", folder, (unsigned long long)r->state.seq);
    TRY(path_mkdir(folder, e));
    const err linked = path_link(path, kept, e);
    if (linked != ERR_OK && linked != ERR_EXISTS)
        return linked;
    r->state.seq++;
    snprintf(folder, sizeof folder, "%s/blocks", r->dir);
    TRY(path_sync_dir(folder, e));
    catalogue_put_checkpoint(&r->state, &bytes);
    const err code = path_write_atomic(path, buf_str(&bytes), e);
    buf_deinit(&bytes);
    TRY(code);
    const char *old = r->unlinks.p;
    for (size_t i = 0; i < r->unlinks_n; i++, old += strlen(old) + 1)
        TRY(path_unlink(old, e));
    return path_sync_dir(folder, e);
}

static err load(struct repair *r, struct errmsg *e)
{
    char path[PATH_MAX_BYTES];
    struct buf bytes = {0};
    size_t end;
    snprintf(path, sizeof path, "%s/catalogue", r->dir);
    err code = path_read(path, LOG_BYTES_MAX, &bytes, e);
    if (code == ERR_OK)
        code = catalogue_load(buf_str(&bytes), &r->state, &end, e);
    buf_deinit(&bytes);
    if (code == ERR_NOTFOUND || code == ERR_CORRUPT)
        return err_wrap(e, code,
                        "%s: which files are valid is not known, and nothing else says it: put the "
                        "catalogue back from a copy of the folder",
                        path);
    return code;
}

static err repair(struct repair *r, struct errmsg *e)
{
    static const struct fsck_ops ops = {on_found, NULL};
    struct fsck_counts counts;
    TRY(load(r, e));
    TRY(fsck_folder(r->dir, &ops, r, &counts, e));
    if (r->options->upgrade && counts.damages)
        return err_set(e, ERR_CORRUPT, "%s is damaged: see tsdb fsck and tsdb repair", r->dir);
    TRY(work_through(r, e));
    return r->is_changed && !r->options->dry_run ? write_catalogue(r, e) : ERR_OK;
}

err repair_folder(const char *dir, const struct repair_options *options, void *arg,
                  uint64_t *out_actions, struct errmsg *e, repair_tell_fn *tell_fn)
{
    struct repair r = {.dir = dir, .options = options, .tell = tell_fn, .arg = arg};
    struct file lock = {.fd = -1};
    if (strlen(dir) + 64 > CATALOGUE_PATH_MAX)
        return err_set(e, ERR_LIMIT, "%s: file name too long", dir);
    TRY(load(&r, e)); // before a lock file is made in what is no data folder
    catalogue_state_deinit(&r.state);
    if (!options->dry_run)
        TRY(folder_lock(&lock, dir, e));
    const err code = repair(&r, e);
    folder_unlock(&lock);
    catalogue_state_deinit(&r.state);
    mem_free(r.wounds);
    buf_deinit(&r.unlinks);
    *out_actions = r.actions;
    return code;
}
