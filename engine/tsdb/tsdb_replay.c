// Reading the logs of earlier runs.
//
// Streams are shared out to the parts, epoch by epoch, older first. A part replays its streams on
// its own shard and hands the rows of others to their owners in batches. When all are read,
// everybody is let in; the streams are removed when all they brought is in files. When one cannot
// be read, nobody is: a database with holes would be taken for a whole one.
//
// Most rows have all members of their cohort, are of this shard, and bring few other values than
// the one before: they are committed one by one as what a steady source says (struct tsdb_commit,
// row), so that only values that are others cost anything. The rest goes in batches.
#include <assert.h>

#include "engine/base/mem.h"
#include "engine/model/labels.h"
#include "engine/tsdb/head_erase.h"
#include "engine/tsdb/head_steady.h"
#include "engine/tsdb/matchers_bytes.h"
#include "engine/tsdb/part_notes.h"
#include "io/clock.h"
#include "io/fiber_memory.h"

enum {
    BATCH = 4096,
    ROW_MIN = 4,  // samples of a row that is worth a commit of its own
    DEFINED = 16, // series between two questions whether a yield is due
    TRIES = 6,    // of a stream: a disk that does not answer now may do so soon
    RETRY_MS = 100,
};

struct remote { // a series, as its owner knows it
    uint64_t ref;
    unsigned owner;
};

struct owner_batch {
    struct tsdb *db;
    struct tsdb_sample *samples;
    // BATCH of each, empty but for samples that have one; NULL: none had so far
    struct str *histograms;
    int64_t *starts;
    bool has_histograms, has_starts; // some sample does
    struct arena arena;              // what histograms look at
    size_t n;
    err result;
    struct errmsg e;
};

struct reader {
    struct part *part;
    struct remote *series; // handle - 1 is the index
    size_t n, capacity;
    struct owner_batch *batches; // by owner
    struct tsdb_sample *row;     // of one row
    size_t row_capacity;
    struct wal_replay_progress before;          // as it was told last
    const struct catalogue_deletion *deletions; // of the stream that are yet to come
    size_t deletions_n;
};

struct define_call {
    struct tsdb *db;
    struct str labels;
    uint64_t source, ref;
};

static void define_at_owner(void *arg)
{
    struct define_call *call = arg;
    call->ref = tsdb_series(call->db, call->labels,
                            labels_hash(call->labels, tsdb_hash_seed(call->db)), call->source);
}

// Of this shard, with what one step may take where it is no single row.
static err commit_here(struct part *p, struct tsdb_commit *c, struct errmsg *e)
{
    struct head *h = &p->head;
    uint64_t seq;
    c->late_ms = c->max_t_ms = INT64_MAX;
    c->window_ms = h->retention_ms;
    tsdb_set_window(p->db, c); // what has expired does not come back
    c->slow_max = part_slow_max(p);
    for (size_t at = 0, n = c->row ? c->n : p->commit_piece; at < c->n;) {
        struct tsdb_commit piece = part_piece(c, at, n);
        piece.row = piece.n == c->n ? c->row : NULL;
        TRY(head_commit(h, &piece, NULL, NULL, &seq, e));
        n = piece.is_slow ? c->slow_max : p->commit_piece;
        if (piece.is_slow)
            continue;
        at += piece.n;
        head_publish(h, seq);
        part_tell_newest(p, piece.newest_t_ms);
        fiber_yield_if_due();
    }
    return ERR_OK;
}

static void commit_at_owner(void *arg)
{
    struct owner_batch *b = arg;
    struct tsdb_commit c = {.samples = b->samples,
                            .n = b->n,
                            .histograms = b->has_histograms ? b->histograms : NULL,
                            .starts = b->has_starts ? b->starts : NULL};
    b->result = commit_here(tsdb_part(b->db), &c, &b->e);
}

static void at_owner(struct reader *r, unsigned owner, fiber_fn *fn, void *arg)
{
    struct tsdb *db = r->part->db;
    if (owner == r->part->index)
        fn(arg);
    else
        shard_call(shards_at(db->shards, owner), LOOP_RECEIVE, fn, arg);
}

static err flush(struct reader *r, unsigned owner, struct errmsg *e)
{
    struct owner_batch *b = &r->batches[owner];
    if (!b->n)
        return ERR_OK;
    at_owner(r, owner, commit_at_owner, b);
    if (b->has_histograms)
        memset(b->histograms, 0, b->n * sizeof *b->histograms);
    if (b->has_starts)
        memset(b->starts, 0, b->n * sizeof *b->starts);
    b->has_histograms = b->has_starts = false;
    arena_reset(&b->arena);
    b->n = 0;
    return b->result == ERR_OK ? ERR_OK : err_set(e, b->result, "%s", b->e.text);
}

static err on_define(void *arg, const struct wal_cohort_info *cohort, uint32_t number,
                     struct str labels, uint64_t *out_handle, struct errmsg *e)
{
    (void)number, (void)e;
    struct reader *r = arg;
    struct tsdb *db = r->part->db;
    struct define_call call = {.db = db, .labels = labels, .source = cohort->source};
    const unsigned owner = tsdb_owner(db, tsdb_partition(db, labels));
    at_owner(r, owner, define_at_owner, &call);
    *out_handle = 0;
    if (!call.ref)
        return ERR_OK; // more series than allowed: its rows are passed over
    r->series = fiber_grow(r->series, &r->capacity, r->n + 1, sizeof *r->series);
    r->series[r->n++] = (struct remote){call.ref, owner};
    *out_handle = r->n;
    if (r->n % DEFINED == 0)
        fiber_yield_if_due();
    return ERR_OK;
}

// What the batch's last sample has beside its bits.
static void add_forms(struct owner_batch *b, const struct wal_replay_row *row, uint32_t i)
{
    if (row->histograms && !b->histograms)
        b->histograms = mem_zalloc(BATCH * sizeof *b->histograms);
    b->has_histograms |= row->histograms != NULL;
    b->has_starts |= row->starts != NULL;
    if (row->histograms)
        b->histograms[b->n - 1] = arena_str(&b->arena, row->histograms[i]);
    if (row->starts && !b->starts)
        b->starts = mem_zalloc(BATCH * sizeof *b->starts);
    if (row->starts)
        b->starts[b->n - 1] = row->starts[i];
}

// The row's samples; false: some are not this shard's, or of no series.
static bool take_row(struct reader *r, const struct wal_replay_row *row)
{
    if (row->n < ROW_MIN || row->n > HEAD_STEADY_MAX || row->n >= 2 * r->part->commit_piece ||
        row->histograms || row->starts)
        return false;
    r->row = mem_grow(r->row, &r->row_capacity, row->n, sizeof *r->row);
    for (uint32_t i = 0; i < row->n; i++) {
        if (!row->handles[i] || r->series[row->handles[i] - 1].owner != r->part->index)
            return false;
        r->row[i] =
            (struct tsdb_sample){r->series[row->handles[i] - 1].ref, row->t_ms, row->bits[i]};
    }
    return true;
}

static err commit_row(struct reader *r, const struct wal_replay_row *row, struct errmsg *e)
{
    struct tsdb_commit c = {.samples = r->row,
                            .n = row->n,
                            .row = row->changed ? row->memo : NULL,
                            .changed = row->changed,
                            .changed_n = row->changed_n};
    TRY(flush(r, r->part->index, e)); // rows of the same series, perhaps
    if (!row->changed)
        *row->memo = 0;
    return commit_here(r->part, &c, e);
}

// ---- deletions

struct deletion_call {
    struct tsdb *db;
    const struct head_erasure *what;
    err result;
    struct errmsg e;
};

static void delete_at_owner(void *arg)
{
    struct deletion_call *call = arg;
    struct head *h = &tsdb_part(call->db)->head;
    struct head_erasure what = *call->what;
    struct arena limits;
    what.seq = h->seq;
    arena_init(&limits, 0);
    call->result = head_erase(h, &what, &limits, &call->e);
    arena_deinit(&limits);
}

static err delete_from_all(struct tsdb *db, const struct head_erasure *what, struct errmsg *e)
{
    for (unsigned i = 0; i < db->parts_n; i++) {
        const struct part *p = db->parts[i];
        struct deletion_call call = {.db = db, .what = what};
        if (what->partition_begin >= p->partition_end || what->partition_end <= p->partition_begin)
            continue;
        if (!db->shards || shards_at(db->shards, i) == shard_self())
            delete_at_owner(&call);
        else
            shard_call(shards_at(db->shards, i), LOOP_RECEIVE, delete_at_owner, &call);
        if (call.result != ERR_OK)
            return err_set(e, call.result, "%s", call.e.text);
    }
    return ERR_OK;
}

// What all parts have of the log so far, and of those of earlier runs.
static err delete_again(struct tsdb *db, const struct catalogue_deletion *d, struct errmsg *e)
{
    struct arena a;
    struct matcher *ms;
    struct head_erasure what = {.min_t_ms = d->min_t_ms,
                                .max_t_ms = d->max_t_ms,
                                .partition_begin = d->partition_begin,
                                .partition_end = d->partition_end};
    arena_init(&a, 0);
    err code = matchers_load(d->matchers, &a, &ms, &what.ms_count, e);
    if (code == ERR_OK) {
        what.ms = ms;
        code = delete_from_all(db, &what, e);
        matchers_unload(ms, what.ms_count);
    }
    arena_deinit(&a);
    return code;
}

// Those of before the record seq.
static err delete_before(struct reader *r, uint64_t seq, struct errmsg *e)
{
    struct tsdb *db = r->part->db;
    for (unsigned i = 0; i < db->parts_n; i++)
        TRY(flush(r, i, e));
    for (; r->deletions_n && r->deletions[0].seq <= seq; r->deletions++, r->deletions_n--)
        TRY(delete_again(db, r->deletions, e));
    return ERR_OK;
}

static void find_deletions(struct reader *r, struct wal_stream stream)
{
    size_t n;
    const struct catalogue_deletion *d = catalogue_deletions(r->part->db->catalogue, &n);
    for (size_t i = 0; i < n; i++) {
        if (d[i].stream.epoch != stream.epoch || d[i].stream.shard != stream.shard)
            continue;
        if (!r->deletions_n++)
            r->deletions = &d[i];
    }
}

// Of runs before this epoch, not before that one, whose logs are not there: they had nothing
// that is not in files, but runs before them may.
static err delete_without_stream(struct tsdb *db, uint64_t from, uint64_t before, struct errmsg *e)
{
    size_t n;
    const struct catalogue_deletion *d = catalogue_deletions(db->catalogue, &n);
    for (size_t i = 0; i < n; i++) {
        bool is_there = d[i].stream.epoch < from || d[i].stream.epoch >= before;
        for (size_t k = 0; k < db->streams_n && !is_there; k++)
            is_there = db->streams[k].stream.epoch == d[i].stream.epoch &&
                       db->streams[k].stream.shard == d[i].stream.shard;
        if (!is_there)
            TRY(delete_again(db, &d[i], e));
    }
    return ERR_OK;
}

static err on_row(void *arg, const struct wal_replay_row *row, struct errmsg *e)
{
    struct reader *r = arg;
    if (r->deletions_n && r->deletions[0].seq <= row->seq)
        TRY(delete_before(r, row->seq, e));
    if (row->memo && take_row(r, row))
        return commit_row(r, row, e);
    if (row->memo)
        *row->memo = 0;
    for (uint32_t i = 0; i < row->n; i++) {
        if (!row->handles[i])
            continue;
        const struct remote *s = &r->series[row->handles[i] - 1];
        struct owner_batch *b = &r->batches[s->owner];
        b->samples[b->n++] = (struct tsdb_sample){s->ref, row->t_ms, row->bits[i]};
        if (row->histograms || row->starts)
            add_forms(b, row, i);
        if (b->n == BATCH)
            TRY(flush(r, s->owner, e));
    }
    return ERR_OK;
}

struct note_call {
    struct tsdb *db;
    enum note_kind kind;
    struct str note;
};

static void note_at_owner(void *arg)
{
    const struct note_call *call = arg;
    part_replay_note(tsdb_part(call->db), call->kind, call->note);
}

static err on_note(void *arg, enum wal_record_type type, struct str note, struct errmsg *e)
{
    (void)e;
    struct reader *r = arg;
    struct note_call call = {r->part->db,
                             type == WAL_RECORD_EXEMPLARS ? NOTE_EXEMPLARS : NOTE_METADATA, note};
    at_owner(r, part_note_owner(r->part->db, note), note_at_owner, &call);
    fiber_yield_if_due();
    return ERR_OK;
}

static void on_corrupt(void *arg, const struct wal_corruption *c)
{
    struct reader *r = arg;
    r->part->corruptions++;
    log_error(&r->part->db->log, "log is damaged; skipped to the next good record",
              log_cstr("file", c->path), log_i64("offset", c->offset), log_i64("bytes", c->bytes),
              log_cstr("reason", c->reason));
}

static void on_tail(void *arg, const char *path, uint64_t offset)
{
    struct reader *r = arg;
    log_info(&r->part->db->log, "the log's last frame was not written to its end",
             log_cstr("file", path), log_i64("offset", (int64_t)offset));
}

static err on_progress(void *arg, const struct wal_replay_progress *p, struct errmsg *e)
{
    (void)e;
    struct reader *r = arg;
    struct tsdb *db = r->part->db;
    db->replay_bytes += p->bytes - r->before.bytes;
    db->replay_rows += p->rows - r->before.rows;
    db->replay_samples += p->samples - r->before.samples;
    if (p->segments_done > r->before.segments_done) {
        db->segments_done += p->segments_done - r->before.segments_done;
        log_info(&db->log, "segment of an earlier run's log read",
                 log_i64("segment", (int64_t)db->segments_done),
                 log_i64("segments", (int64_t)db->segments_max),
                 log_i64("bytes", (int64_t)db->replay_bytes),
                 log_i64("samples", (int64_t)db->replay_samples));
    }
    if (p->segment != r->before.segment) // which defines its series anew
        r->n = 0;
    r->before = *p;
    return ERR_OK;
}

static err replay_stream(struct part *p, const struct wal_mark *mark, struct errmsg *e)
{
    static const struct wal_replay_ops ops = {on_define,  on_row,      on_note,
                                              on_corrupt, on_progress, on_tail};
    struct tsdb *db = p->db;
    struct reader r = {.part = p, .batches = mem_alloc_array(db->parts_n, sizeof *r.batches)};
    for (unsigned i = 0; i < db->parts_n; i++)
        r.batches[i] = (struct owner_batch){
            .db = db, .samples = mem_alloc_array(BATCH, sizeof *r.batches[i].samples)};
    struct wal_replay_progress progress;
    find_deletions(&r, mark->stream);
    err result = wal_replay_stream(catalogue_wal_dir(db->catalogue), mark, &ops, &r, &progress, e);
    if (result == ERR_OK && r.deletions_n)
        result = delete_before(&r, UINT64_MAX, e);
    for (unsigned i = 0; i < db->parts_n; i++) {
        if (result == ERR_OK)
            result = flush(&r, i, e);
        mem_free(r.batches[i].samples);
        mem_free(r.batches[i].histograms);
        mem_free(r.batches[i].starts);
        arena_deinit(&r.batches[i].arena);
    }
    mem_free(r.batches);
    mem_free(r.series);
    mem_free(r.row);
    return result;
}

// Rows that were handed over before an error are known again: handing them over twice is harmless.
static err replay_patiently(struct part *p, const struct wal_mark *mark, struct errmsg *e)
{
    err result = replay_stream(p, mark, e);
    for (int i = 1; i < TRIES && (result == ERR_IO || result == ERR_LIMIT); i++) {
        log_warn(&p->db->log, "log of an earlier run not read, trying again",
                 log_cstr("err", e->text));
        if (fiber_sleep_ns(((int64_t)RETRY_MS << i) * 1000000) != ERR_OK)
            break;
        result = replay_stream(p, mark, e);
    }
    return result;
}

struct task { // of one part, for one epoch
    struct shard_post post;
    struct tsdb *db;
    struct wal_mark *marks;
    size_t n;
    err result;
    struct errmsg e;
};

static void wake_home(void *arg)
{
    struct tsdb *db = arg;
    waiters_wake_all(&db->replayed);
}

static void run_task(void *arg)
{
    struct task *t = arg;
    struct tsdb *db = t->db;
    struct part *p = tsdb_part(db);
    for (size_t i = 0; i < t->n && t->result == ERR_OK; i++)
        t->result = replay_patiently(p, &t->marks[i], &t->e);
    if (--db->replays_left > 0)
        return;
    if (!db->shards || shard_self() == db->home)
        wake_home(db);
    else
        shard_call(db->home, LOOP_CONTROL, wake_home, db);
}

// Where replay of a stream begins.
static struct wal_mark mark_of(const struct tsdb *db, const struct wal_replay_stream *s)
{
    size_t n;
    const struct wal_mark *marks = catalogue_marks(db->catalogue, &n);
    for (size_t i = 0; i < n; i++) {
        if (marks[i].stream.epoch == s->stream.epoch && marks[i].stream.shard == s->stream.shard)
            return marks[i];
    }
    return (struct wal_mark){.stream = s->stream, .segment = s->segment_min};
}

// Streams [from, to) are of one epoch: no series is in two of them.
static err replay_epoch(struct tsdb *db, size_t from, size_t to, struct errmsg *e)
{
    err result = ERR_OK;
    struct task *tasks = mem_alloc_array(db->parts_n, sizeof *tasks);
    for (unsigned i = 0; i < db->parts_n; i++) {
        tasks[i] =
            (struct task){.db = db, .marks = mem_alloc_array(to - from, sizeof(struct wal_mark))};
        tasks[i].post =
            (struct shard_post){.class = LOOP_RECEIVE, .fn = run_task, .arg = &tasks[i]};
    }
    for (size_t i = from; i < to; i++) {
        struct task *t = &tasks[db->streams[i].stream.shard % db->parts_n];
        t->marks[t->n++] = mark_of(db, &db->streams[i]);
    }
    db->replays_left = db->parts_n;
    for (unsigned i = 0; i < db->parts_n; i++) {
        if (db->shards)
            shard_post(shards_at(db->shards, i), &tasks[i].post);
        else
            run_task(&tasks[i]);
    }
    while (db->replays_left > 0)
        (void)!waiters_wait(&db->replayed);
    for (unsigned i = 0; i < db->parts_n; i++) {
        if (tasks[i].result != ERR_OK && result == ERR_OK)
            result = err_set(e, tasks[i].result, "%s", tasks[i].e.text);
        mem_free(tasks[i].marks);
    }
    mem_free(tasks);
    return result;
}

static void let_in(void *arg)
{
    struct tsdb *const *db = arg;
    struct part *p = tsdb_part(*db);
    p->ready = (*db)->start == ERR_OK;
    p->refused = !p->ready;
    waiters_wake_all(&p->changed);
}

static void refuse(struct tsdb *db, err code, const struct errmsg *why)
{
    db->start = err_set(&db->start_why, code,
                        "the write-ahead log of an earlier run cannot be read: %s; nothing is lost "
                        "yet: start again when it can be read, or move the file out of %s to start "
                        "without what only it holds",
                        why->text, catalogue_wal_dir(db->catalogue));
    log_error(&db->log, "log of an earlier run not read", log_cstr("err", why->text));
}

void tsdb_replay(void *arg)
{
    struct tsdb *db = arg;
    struct errmsg e;
    uint64_t before = 0;
    err result = ERR_OK;
    const int64_t begun_ms = clock_mono_ns() / 1000000;
    for (size_t from = 0, to; from < db->streams_n && result == ERR_OK; from = to) {
        to = from + 1;
        while (to < db->streams_n && db->streams[to].stream.epoch == db->streams[from].stream.epoch)
            to++;
        const uint64_t epoch = db->streams[from].stream.epoch;
        result = delete_without_stream(db, before, epoch, &e);
        if (result == ERR_OK)
            result = replay_epoch(db, from, to, &e);
        before = epoch;
    }
    if (result == ERR_OK)
        result = delete_without_stream(db, before, UINT64_MAX, &e);
    if (result != ERR_OK)
        refuse(db, result, &e);
    struct tsdb **all = mem_alloc_array(db->parts_n, sizeof *all);
    for (unsigned i = 0; i < db->parts_n; i++)
        all[i] = db;
    if (db->shards)
        shard_call_all(LOOP_CONTROL, let_in, all, sizeof *all, NULL);
    else
        let_in(all);
    mem_free(all);
    db->ready = db->start == ERR_OK;
    if (db->ready && db->streams_n)
        log_info(
            &db->log, "logs of earlier runs read", log_i64("segments", (int64_t)db->segments_done),
            log_i64("bytes", (int64_t)db->replay_bytes), log_i64("rows", (int64_t)db->replay_rows),
            log_i64("samples", (int64_t)db->replay_samples),
            log_i64("ms", clock_mono_ns() / 1000000 - begun_ms));
    waiters_wake_all(&db->replayed);
}

// False: the catalogue could not say so.
static bool streams_done(struct tsdb *db, const struct wal_stream *streams, size_t n)
{
    struct errmsg e;
    const struct catalogue_change change = {.streams_done = streams, .streams_done_count = n};
    if (!n)
        return true;
    err result = tsdb_change(db, &change, &e);
    const bool is_done = result == ERR_OK;
    for (size_t i = 0; i < n && result == ERR_OK; i++)
        result = wal_replay_remove(catalogue_wal_dir(db->catalogue), streams[i], &e);
    if (result != ERR_OK)
        log_warn(&db->log, "log of an earlier run not removed", log_cstr("err", e.text));
    return is_done;
}

static void streams_done_at_home(void *arg)
{
    struct tsdb *db = arg;
    struct wal_stream *done = mem_alloc_array(db->streams_n, sizeof *done);
    for (size_t i = 0; i < db->streams_n; i++)
        done[i] = db->streams[i].stream;
    if (streams_done(db, done, db->streams_n)) {
        db->streams_n = 0;
        db->old_streams = false;
    }
    mem_free(done);
}

void tsdb_streams_done(struct tsdb *db, bool own)
{
    tsdb_at_home(db, streams_done_at_home, db);
    if (!own || db->old_streams) // which need what is deleted of this run's
        return;
    struct wal_stream streams[SHARD_MAX];
    for (unsigned i = 0; i < db->parts_n; i++)
        streams[i] = (struct wal_stream){catalogue_info(db->catalogue)->epoch, i};
    (void)streams_done(db, streams, db->parts_n);
}
