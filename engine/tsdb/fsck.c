#include "engine/tsdb/fsck.h"

#include <stdarg.h>
#include <stdio.h>

#include "engine/base/mem.h"
#include "engine/base/number.h"
#include "engine/tsdb/fsck_state.h"
#include "engine/tsdb/matchers_bytes.h"
#include "engine/tsdb/tombstones.h"
#include "engine/tsdb/tsdb.h"
#include "io/file.h"

enum { LOG_BYTES_MAX = 1 << 30, LOST_MAX = 256 };

// ---- saying

static void say(struct fsck *k, const struct fsck_finding *finding)
{
    if (finding->severity == FSCK_DAMAGE)
        k->counts.damages++;
    else
        k->counts.notes++;
    k->ops->found(k->arg, finding);
}

void fsck_say(struct fsck *k, enum fsck_severity severity, const char *path, int64_t offset,
              const char *lost, const char *format, ...)
{
    struct errmsg what;
    va_list args;
    va_start(args, format);
    vsnprintf(what.text, sizeof what.text, format, args);
    va_end(args);
    say(k, &(struct fsck_finding){severity, path, offset, what.text, lost, false});
}

// The number behind word in text; -1: it is not there.
static int64_t number_behind(struct str text, struct str word, size_t *out_end)
{
    size_t at = 0;
    while (at < text.n && !str_has_prefix(str_from(text, at), word))
        at++;
    if (at == text.n)
        return -1;
    size_t end = at + word.n;
    const size_t from = end;
    while (end < text.n && text.p[end] >= '0' && text.p[end] <= '9')
        end++;
    uint64_t number;
    const struct str digits = str_make(text.p + from, end - from);
    *out_end = end;
    return number_parse_u64(digits, &number) == ERR_OK && number <= INT64_MAX ? (int64_t)number
                                                                              : -1;
}

static void say_error(struct fsck *k, const char *path, const char *lost, const struct errmsg *e,
                      bool is_unusable)
{
    struct str text = str_from_c(e->text);
    size_t end = 0;
    if (str_has_prefix(text, str_from_c(path)))
        text = str_from(text, strlen(path));
    if (str_has_prefix(text, STR(": ")))
        text = str_from(text, 2);
    const int64_t offset = number_behind(text, STR("offset "), &end);
    if (offset >= 0 && str_has_prefix(str_from(text, end), STR(": ")))
        text = str_from(text, end + 2);
    struct errmsg what;
    snprintf(what.text, sizeof what.text, "%.*s", STR_ARG(text));
    say(k, &(struct fsck_finding){FSCK_DAMAGE, path, offset, what.text, lost, is_unusable});
}

void fsck_say_error(struct fsck *k, const char *path, const char *lost, const struct errmsg *e)
{
    say_error(k, path, lost, e, false);
}

void fsck_say_unusable(struct fsck *k, const char *path, const char *lost, const struct errmsg *e)
{
    say_error(k, path, lost, e, true);
}

bool fsck_is_home(const struct fsck *k, struct str labels, uint32_t partition)
{
    uint64_t job;
    return !k->has_catalogue || !k->state.partitions ||
           placement_key(&k->placement, labels, &job) % k->state.partitions == partition;
}

// ---- the catalogue

static err load_catalogue(const struct fsck *k, const char *path, struct catalogue_state *out,
                          size_t *out_cut, size_t *out_at, struct errmsg *e)
{
    struct buf bytes = {0};
    size_t end = 0;
    (void)k;
    err code = path_read(path, LOG_BYTES_MAX, &bytes, e);
    if (code == ERR_OK)
        code = catalogue_load(buf_str(&bytes), out, &end, e);
    *out_at = end;
    *out_cut = code == ERR_OK ? bytes.n - end : 0;
    buf_deinit(&bytes);
    return code;
}

static void check_deletion(struct fsck *k, const char *path, const struct catalogue_deletion *d)
{
    struct arena a;
    struct matcher *ms;
    struct errmsg e;
    size_t n;
    arena_init(&a, 0);
    if (matchers_load(d->matchers, &a, &ms, &n, &e) == ERR_OK)
        matchers_unload(ms, n);
    else
        fsck_say(k, FSCK_DAMAGE, path, -1, "what was deleted of a log", "%s", e.text);
    arena_deinit(&a);
}

static void check_catalogue(struct fsck *k)
{
    char path[FSCK_PATH_MAX];
    struct errmsg e;
    size_t cut, at;
    snprintf(path, sizeof path, "%s/catalogue", k->dir);
    if (load_catalogue(k, path, &k->state, &cut, &at, &e) != ERR_OK) {
        size_t end = 0;
        const int64_t offset = number_behind(str_from_c(e.text), STR("at byte "), &end);
        fsck_say(k, FSCK_DAMAGE, path, offset,
                 "what files and log segments are valid: the folder does not open", "%s", e.text);
        return;
    }
    if (cut)
        fsck_say(k, FSCK_NOTE, path, (int64_t)at, "",
                 "%zu bytes of a last change that was not written to its end: it was not made",
                 cut);
    if (placement_init(&k->placement, buf_str(&k->state.placement_labels), k->state.hash_seed,
                       &e) != ERR_OK)
        fsck_say(k, FSCK_DAMAGE, path, -1, "", "%s", e.text);
    else
        k->has_catalogue = true;
    if (k->state.partitions != TSDB_PARTITIONS)
        fsck_say(k, FSCK_DAMAGE, path, -1, "", "%u partitions instead of %d", k->state.partitions,
                 TSDB_PARTITIONS);
    for (size_t i = 0; i < k->state.deletions_count; i++)
        check_deletion(k, path, &k->state.deletions[i]);
    for (size_t i = 0; i < k->state.files_count; i++)
        if (k->state.files[i].id >= k->state.next_id)
            fsck_say(k, FSCK_DAMAGE, path, -1, "", "file %llx, but the next number is %llx",
                     (unsigned long long)k->state.files[i].id,
                     (unsigned long long)k->state.next_id);
}

// Whether it is named by what the catalogue says now: a server may have merged it away meanwhile.
static bool is_still_named(const struct fsck *k, uint64_t id)
{
    char path[FSCK_PATH_MAX];
    struct catalogue_state now = {0};
    size_t cut, at;
    snprintf(path, sizeof path, "%s/catalogue", k->dir);
    const bool named =
        load_catalogue(k, path, &now, &cut, &at, NULL) != ERR_OK || catalogue_state_has(&now, id);
    catalogue_state_deinit(&now);
    return named;
}

// ---- files

static void check_tombstones(struct fsck *k, const char *path, const struct catalogue_file *f)
{
    const struct str bytes = catalogue_state_tombstones(&k->state, f->id);
    struct tombstones *t = bytes.n ? tombstones_parse(bytes, f->series) : NULL;
    if (bytes.n && !t)
        fsck_say(k, FSCK_DAMAGE, path, -1, "", "the catalogue's tombstones of it are damaged");
    tombstones_unref(t);
}

static void check_named(struct fsck *k, const struct catalogue_file *f)
{
    char path[FSCK_PATH_MAX], lost[LOST_MAX];
    struct op_stat s;
    struct errmsg e;
    snprintf(path, sizeof path, "%s/blocks/%016llx.block", k->dir, (unsigned long long)f->id);
    snprintf(lost, sizeof lost, "%llu samples of %llu series, from %lld to %lld",
             (unsigned long long)f->samples, (unsigned long long)f->series, (long long)f->min_t_ms,
             (long long)f->max_t_ms);
    const err code = path_stat(path, &s, &e);
    if (code == ERR_NOTFOUND && !is_still_named(k, f->id))
        return;
    if (code == ERR_NOTFOUND)
        fsck_say(k, FSCK_DAMAGE, path, -1, lost, "is missing, the catalogue names it");
    else if (code != ERR_OK)
        fsck_say_error(k, path, lost, &e);
    else if ((uint64_t)s.size != f->size_bytes)
        say(k, &(struct fsck_finding){FSCK_DAMAGE, path, (int64_t)s.size,
                                      "has another size than the catalogue says", lost, true});
    else
        fsck_block(k, path, f);
    check_tombstones(k, path, f);
}

static void check_unnamed(struct fsck *k, const char *name)
{
    char path[FSCK_PATH_MAX];
    uint64_t id;
    bool temporary;
    snprintf(path, sizeof path, "%s/blocks/%.300s", k->dir, name);
    if (!catalogue_parse_block_name(str_from_c(name), &id, &temporary))
        fsck_say(k, FSCK_NOTE, path, -1, "", "is no file of ours");
    else if (temporary || !catalogue_state_has(&k->state, id))
        fsck_say(k, FSCK_NOTE, path, -1, "",
                 "the catalogue does not name it: it was not finished or is not needed any more, "
                 "the next start removes it");
}

static void check_files(struct fsck *k)
{
    char path[FSCK_PATH_MAX];
    struct buf names = {0};
    struct errmsg e;
    size_t count = 0;
    k->counts.files_in_all = k->state.files_count;
    for (size_t i = 0; i < k->state.files_count; i++) {
        if (k->ops->progress)
            k->ops->progress(k->arg, &k->counts);
        check_named(k, &k->state.files[i]);
    }
    snprintf(path, sizeof path, "%s/blocks", k->dir);
    if (path_list(path, &names, &count, &e) != ERR_OK) {
        fsck_say_error(k, path, "", &e);
        return;
    }
    const char *name = names.p;
    for (size_t i = 0; i < count; i++, name += strlen(name) + 1) {
        if (k->has_catalogue) {
            check_unnamed(k, name);
        } else if (str_has_suffix(str_from_c(name), STR(".block"))) { // what is there, by itself
            snprintf(path, sizeof path, "%s/blocks/%.300s", k->dir, name);
            fsck_block(k, path, NULL);
        }
    }
    buf_deinit(&names);
}

err fsck_folder(const char *dir, const struct fsck_ops *ops, void *arg, struct fsck_counts *out,
                struct errmsg *e)
{
    struct fsck k = {.dir = dir, .ops = ops, .arg = arg};
    struct op_stat s;
    if (strlen(dir) + 64 > CATALOGUE_PATH_MAX)
        return err_set(e, ERR_LIMIT, "%s: file name too long", dir);
    TRY(path_stat(dir, &s, e));
    if (!s.is_dir)
        return err_set(e, ERR_INVALID, "%s is no folder", dir);
    check_catalogue(&k);
    check_files(&k);
    fsck_wal(&k);
    catalogue_state_deinit(&k.state);
    *out = k.counts;
    return ERR_OK;
}
