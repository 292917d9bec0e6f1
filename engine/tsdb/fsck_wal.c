// The log: every segment, frame by frame and record by record, as a start would read it.
#include <stdio.h>

#include "engine/base/mem.h"
#include "engine/tsdb/fsck_state.h"
#include "engine/tsdb/note.h"
#include "engine/tsdb/wal_replay.h"
#include "io/file.h"

enum { LOST_MAX = 128 };

struct checking {
    struct fsck *k;
    const char *dir;
    uint64_t series;
    uint64_t strangers; // series in a partition that is not theirs
    uint64_t bad_notes, corruptions;
};

static err on_define(void *arg, const struct wal_cohort_info *cohort, uint32_t number,
                     struct str labels, uint64_t *out_handle, struct errmsg *e)
{
    struct checking *c = arg;
    (void)number, (void)e;
    c->strangers += !fsck_is_home(c->k, labels, cohort->partition);
    *out_handle = ++c->series;
    return ERR_OK;
}

static err on_row(void *arg, const struct wal_replay_row *row, struct errmsg *e)
{
    struct checking *c = arg;
    (void)e;
    c->k->counts.rows++;
    c->k->counts.log_samples += row->n;
    return ERR_OK;
}

static err on_note(void *arg, enum wal_record_type type, struct str note, struct errmsg *e)
{
    struct checking *c = arg;
    struct tsdb_exemplar x;
    struct tsdb_metadata m;
    uint32_t partition;
    uint64_t run;
    (void)e;
    c->bad_notes += type == WAL_RECORD_EXEMPLARS ? !note_get_exemplar(note, &partition, &x)
                                                 : !note_get_metadata(note, &partition, &run, &m);
    c->k->counts.log_notes++;
    return ERR_OK;
}

static void on_corrupt(void *arg, const struct wal_corruption *corruption)
{
    struct checking *c = arg;
    char lost[LOST_MAX];
    if (corruption->records_lost)
        snprintf(lost, sizeof lost, "%llu records", (unsigned long long)corruption->records_lost);
    else
        snprintf(lost, sizeof lost, "an unknown number of records");
    c->corruptions++;
    fsck_say(c->k, FSCK_DAMAGE, corruption->path, corruption->offset, lost,
             "%s damaged, %lld bytes are passed over", corruption->reason,
             (long long)corruption->bytes);
}

static void on_tail(void *arg, const char *path, uint64_t offset)
{
    struct checking *c = arg;
    fsck_say(
        c->k, FSCK_NOTE, path, (int64_t)offset, "",
        "no whole frame, and nothing good behind it: a crash cut its write, which was then not "
        "acknowledged under --storage.wal-sync=always; or the last one was damaged since");
}

static err on_progress(void *arg, const struct wal_replay_progress *p, struct errmsg *e)
{
    struct checking *c = arg;
    (void)e, (void)p;
    if (c->k->ops->progress)
        c->k->ops->progress(c->k->arg, &c->k->counts);
    return ERR_OK;
}

static bool is_done(const struct catalogue_state *s, struct wal_stream stream)
{
    for (size_t i = 0; i < s->done_count; i++)
        if (s->done[i].epoch == stream.epoch && s->done[i].shard == stream.shard)
            return true;
    return false;
}

static void say_stream(const struct checking *c, const struct wal_replay_stream *s,
                       const struct wal_replay_progress *p)
{
    char path[FSCK_PATH_MAX];
    wal_segment_path(c->dir, &s->stream, s->segment_max, path, sizeof path);
    if (p->rows_skipped)
        fsck_say(c->k, FSCK_DAMAGE, path, -1, "their samples",
                 "%llu rows of this stream build on records that are lost",
                 (unsigned long long)p->rows_skipped);
    if (c->strangers)
        fsck_say(c->k, FSCK_DAMAGE, path, -1, "",
                 "%llu series of this stream stand in a partition that is not theirs",
                 (unsigned long long)c->strangers);
    if (c->bad_notes)
        fsck_say(c->k, FSCK_DAMAGE, path, -1, "exemplars or metadata",
                 "%llu malformed notes in this stream", (unsigned long long)c->bad_notes);
    if (s->stream.epoch > c->k->state.epoch && c->k->has_catalogue)
        fsck_say(c->k, FSCK_DAMAGE, path, -1, "",
                 "is of run %llu, but the catalogue knows none after %llu",
                 (unsigned long long)s->stream.epoch, (unsigned long long)c->k->state.epoch);
}

static void check_stream(struct fsck *k, const char *dir, const struct wal_replay_stream *s)
{
    static const struct wal_replay_ops ops = {on_define,  on_row,      on_note,
                                              on_corrupt, on_progress, on_tail};
    struct checking c = {.k = k, .dir = dir};
    struct wal_mark mark = {.stream = s->stream, .segment = s->segment_min};
    struct wal_replay_progress progress = {0};
    struct errmsg e;
    char path[FSCK_PATH_MAX];
    for (size_t i = 0; i < k->state.marks_count; i++)
        if (k->state.marks[i].stream.epoch == s->stream.epoch &&
            k->state.marks[i].stream.shard == s->stream.shard)
            mark = k->state.marks[i];
    wal_segment_path(dir, &s->stream, s->segment_min, path, sizeof path);
    if (is_done(&k->state, s->stream)) {
        fsck_say(k, FSCK_NOTE, path, -1, "",
                 "all that this stream holds is in files: the next start removes it");
        return;
    }
    if (s->segment_min < mark.segment)
        fsck_say(k, FSCK_NOTE, path, -1, "",
                 "what it holds is in files: the next start removes it");
    const err code = wal_replay_stream(dir, &mark, &ops, &c, &progress, &e);
    if (code == ERR_NOTFOUND)
        fsck_say(k, FSCK_NOTE, path, -1, "",
                 "went while it was read: a server has the folder open");
    else if (code != ERR_OK)
        fsck_say_error(k, path, "the rest of its stream", &e);
    k->counts.streams++;
    k->counts.segments += progress.segments_done;
    k->counts.bytes += progress.bytes;
    say_stream(&c, s, &progress);
}

static void check_names(struct fsck *k, const char *dir)
{
    char path[FSCK_PATH_MAX];
    struct buf names = {0};
    size_t count = 0;
    struct errmsg e;
    if (path_list(dir, &names, &count, &e) != ERR_OK)
        return; // said already
    const char *name = names.p;
    for (size_t i = 0; i < count; i++, name += strlen(name) + 1) {
        struct wal_stream stream;
        uint64_t number;
        if (wal_segment_parse_name(str_from_c(name), &stream, &number))
            continue;
        snprintf(path, sizeof path, "%s/%.300s", dir, name);
        fsck_say(k, FSCK_NOTE, path, -1, "",
                 str_has_suffix(str_from_c(name), STR(".wal.tmp"))
                     ? "is kept to become a segment: it holds nothing"
                     : "is no file of ours");
    }
    buf_deinit(&names);
}

void fsck_wal(struct fsck *k)
{
    char dir[CATALOGUE_PATH_MAX];
    struct buf streams = {0};
    struct errmsg e;
    size_t n = 0;
    snprintf(dir, sizeof dir, "%s/wal", k->dir);
    const err code = wal_replay_list(dir, &streams, &n, &e);
    if (code != ERR_OK && (code != ERR_NOTFOUND || k->state.marks_count)) // a snapshot has none
        fsck_say_error(k, dir, "", &e);
    struct wal_replay_stream *all = mem_alloc_array(n + 1, sizeof *all);
    if (n)
        memcpy(all, streams.p, n * sizeof *all);
    for (size_t i = 0; i < n; i++)
        check_stream(k, dir, &all[i]);
    check_names(k, dir);
    mem_free(all);
    buf_deinit(&streams);
}
