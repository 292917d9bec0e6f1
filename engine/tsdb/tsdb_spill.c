// What a part does in the background: it writes packed samples to files and lets the log be cut,
// has the files tended (tsdb_files.c), releases memory.
//
// Memory is released some minutes after it is written, so that queries about the present need no
// file, and not before every query that began earlier has ended: it may look at that memory, and
// does not know the file.
#include <assert.h>
#include <stdlib.h>

#include "engine/base/mem.h"
#include "engine/tsdb/part_files.h"
#include "engine/tsdb/part_notes.h"
#include "io/clock.h"
#include "io/file.h"

enum {
    KEEP_MS = 360000,   // in memory, after it is written: lookback and late samples
    LEAVE_MS = 3600000, // a series without samples for so long leaves the head
    RETRY_MS = 30000,   // after an error
    TICK_MS = 1000,     // between looks at what there is to do
    BEHIND_SPILLS = 3,  // of spill_bytes: then senders are told to wait
    HURRY_PERCENT = 15, // of the time, from receivers to spills that much was sent for
    COLLECT_SERIES = 512,
    // While memory is short:
    EARLY_MS = 20000,        // between spills at least, if
    EARLY_BYTES = 1 << 20,   // of the log are in no file
    LEAVE_EARLY_MS = 600000, // a series without samples for so long leaves the head
};
static const int64_t NS_PER_MS = 1000000;

static struct logger *logger_of(struct part *p)
{
    return &p->db->log;
}

// ---- spill

struct spill {
    struct part *part;
    struct head_spill samples;
    struct part_notes notes;
    struct block_writer *writer; // NULL: the range has had no sample so far
    struct tsdb_new_file file;
    struct buf tuple, local;
    struct catalogue_file done[SPILL_RANGES_MAX];
    size_t done_n;
};

static err begin_file(struct spill *s, struct errmsg *e)
{
    if (s->writer)
        return ERR_OK;
    s->file.db = s->part->db;
    TRY(tsdb_new_file(&s->file, e));
    return block_writer_create(s->file.path, 0, 0, &s->writer, e);
}

static err add_series(struct spill *s, uint32_t id, size_t range, struct errmsg *e)
{
    struct part *p = s->part;
    const struct column samples = head_spill_read(&s->samples, id, range);
    if (!samples.n)
        return ERR_OK;
    const struct head_series *series = head_series_at(&p->head, id);
    buf_reset(&s->tuple);
    buf_reset(&s->local);
    label_store_encode_set(&p->head.labels, series->tuple, &s->tuple);
    label_store_encode_set(&p->head.labels, series->local, &s->local);
    const struct block_key key = {series->partition, buf_str(&s->tuple), buf_str(&s->local)};
    TRY(begin_file(s, e));
    return block_writer_add(s->writer, &key, &samples, e);
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
    return result;
}

static err add_notes(struct spill *s, struct errmsg *e)
{
    if (part_notes_is_empty(&s->notes))
        return ERR_OK;
    TRY(begin_file(s, e));
    return part_notes_write(&s->notes, s->writer, e);
}

static void set_summary(const struct spill *s, struct catalogue_file *info,
                        const struct block_summary *sum)
{
    tsdb_set_summary(info, sum);
    if (sum->samples)
        return;
    const int64_t newest = tsdb_newest(s->part->db); // notes alone are as old as the newest sample
    info->min_t_ms = info->max_t_ms = newest == INT64_MIN ? 0 : newest;
}

static err finish_file(struct spill *s, struct errmsg *e)
{
    struct block_summary sum;
    if (!s->writer)
        return ERR_OK;
    TRY(block_writer_finish(s->writer, &sum, e));
    struct catalogue_file *info = &s->done[s->done_n++];
    *info = (struct catalogue_file){
        .id = s->file.id, .generation = s->file.id, .kind = CATALOGUE_SPILLED};
    set_summary(s, info, &sum);
    block_writer_destroy(s->writer);
    s->writer = NULL;
    return ERR_OK;
}

static err write_ranges(struct spill *s, struct errmsg *e)
{
    uint32_t *metrics;
    size_t n;
    err result = ERR_OK;
    head_metrics(&s->part->head, &metrics, &n);
    const size_t ranges = s->samples.ranges ? s->samples.ranges : 1; // notes may be there alone
    for (size_t range = 0; range < ranges && result == ERR_OK; range++) {
        if (range < s->samples.ranges)
            result = write_range(s, range, metrics, n, e);
        if (result == ERR_OK && range + 1 == ranges)
            result = add_notes(s, e);
        if (result == ERR_OK)
            result = finish_file(s, e);
    }
    block_writer_destroy(s->writer); // after an error
    s->writer = NULL;
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

// The files become part of the folder, and the log is needed from here on only. They are opened
// before: afterwards nothing can fail.
static err publish_files(struct spill *s, uint64_t log_seq, struct errmsg *e)
{
    struct part *p = s->part;
    struct part_file files[SPILL_RANGES_MAX];
    const struct wal_mark mark = wal_mark_at(p->wal, log_seq);
    const struct catalogue_change change = {.add = s->done,
                                            .add_count = s->done_n,
                                            .marks = &mark,
                                            .marks_count = 1,
                                            .deletions_done =
                                                &mark, // unless earlier logs may bring samples back
                                            .deletions_done_count = !p->db->old_streams};
    size_t n = 0;
    err result = ERR_OK;
    while (n < s->done_n && result == ERR_OK) {
        result = part_open_file(p, &s->done[n], &files[n], e);
        n += result == ERR_OK;
    }
    if (result == ERR_OK)
        result = tsdb_change(p->db, &change, e);
    for (size_t i = 0; i < n; i++) {
        if (result == ERR_OK)
            part_put_file(p, files[i]);
        else
            block_file_unref(files[i].file);
    }
    return result;
}

// What was written stays for some minutes, but no more of it than one spill wrote, and nothing
// while memory is short.
static void let_go(struct part *p, int64_t newest)
{
    struct head *h = &p->head;
    const int64_t some_minutes = time_before(h->newest, KEEP_MS);
    int64_t keep = p->mark_newest > some_minutes ? p->mark_newest : some_minutes;
    if (p->db->pressure.shrinks)
        keep = newest;
    p->mark_newest = newest;
    if (keep > h->complete_t)
        h->complete_t = keep;
    p->release_epoch = ++h->epoch;
    p->release_due = true;
}

static uint64_t log_bytes(const struct part *p)
{
    struct wal_stats stats;
    wal_stats(p->wal, &stats);
    return stats.bytes;
}

void part_note_log(struct part *p)
{
    const uint64_t waiting = log_bytes(p) - p->mark_bytes;
    const bool is_behind = waiting / BEHIND_SPILLS > p->db->options.spill_bytes;
    p->is_behind = is_behind;
    p->waiting_bytes = waiting;
}

static err spill(struct part *p, struct errmsg *e)
{
    part_wait_for_pieces(p);
    const uint64_t log_seq = wal_next_seq(p->wal), bytes = log_bytes(p);
    if (log_seq == p->mark_seq && p->spilled)
        return ERR_OK; // nothing came since
    struct spill s = {.part = p};
    const int64_t newest = p->head.newest;
    p->head.selects++;   // no series may leave
    p->in_pieces = true; // nobody commits
    head_spill_begin(&s.samples, &p->head);
    p->in_pieces = false;
    waiters_wake_all(&p->changed);
    head_spill_find_ranges(&s.samples, p->db->options.seal_ms);
    err result = log_seq > 1 ? wal_wait(p->wal, log_seq - 1, e) : ERR_OK;
    if (result == ERR_LIMIT)
        result = ERR_OK; // what was not kept is taken back by its commit
    part_wait_for_undo(p);
    part_notes_begin(&s.notes, p);
    if (result == ERR_OK)
        result = write_ranges(&s, e);
    if (result == ERR_OK)
        result = publish_files(&s, log_seq, e);
    if (result != ERR_OK && result != ERR_EXISTS) // the catalogue may name them
        remove_files(&s);
    head_spill_end(&s.samples, result == ERR_OK);
    part_notes_end(&s.notes, result == ERR_OK);
    p->head.selects--;
    buf_deinit(&s.tuple);
    buf_deinit(&s.local);
    if (result != ERR_OK)
        return result;
    p->mark_seq = log_seq;
    p->mark_bytes = bytes;
    part_note_log(p);
    let_go(p, newest);
    wal_reader_advance(p->wal, WAL_READER_SEALING, log_seq);
    struct errmsg why;
    if (wal_truncate(p->wal, &why) != ERR_OK)
        log_warn(logger_of(p), "log not cut", log_cstr("err", why.text));
    if (!p->spilled) {
        p->spilled = true;
        if (--p->db->spills_left == 0)
            tsdb_streams_done(p->db, false);
    }
    return ERR_OK;
}

// Receivers pay for what they cause: else a spill that has the floor of merging alone takes longer
// than they need for the next, and they are told to wait in turns of some seconds.
err part_spill(struct part *p, struct errmsg *e)
{
    struct loop *loop = loop_current();
    const int percent =
        log_bytes(p) - p->mark_bytes > p->db->options.spill_bytes ? HURRY_PERCENT : 0;
    loop_lend(loop, LOOP_RECEIVE, LOOP_MERGE, percent);
    const err result = spill(p, e);
    loop_lend(loop, LOOP_RECEIVE, LOOP_MERGE, -percent);
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
    part_wait_for_pieces(p);
    head_release(h, h->complete_t);
    const bool is_short = p->db->pressure.shrinks;
    const int64_t before = time_before(h->newest, is_short ? LEAVE_EARLY_MS : LEAVE_MS);
    do {
        if (h->selects == 0)
            at = head_collect(h, before, at, COLLECT_SERIES);
        fiber_yield_if_due();
    } while (at && h->selects == 0);
}

// Answers those who asked for it before it began.
static err spill_and_answer(struct part *p, struct errmsg *e)
{
    const uint64_t asked = p->spills_asked;
    const err result = part_spill(p, e);
    if (asked == p->spills_answered)
        return result;
    p->spills_answered = asked;
    p->spill_result = result;
    if (result != ERR_OK)
        p->spill_why = *e;
    waiters_wake_all(&p->changed);
    return result;
}

err part_ask_spill(struct part *p, struct errmsg *e)
{
    const uint64_t mine = ++p->spills_asked;
    while (p->spills_answered < mine) {
        if (p->closing)
            return err_set(e, ERR_CANCELED, "the database closes");
        TRY(waiters_wait(&p->changed));
    }
    return p->spill_result == ERR_OK ? ERR_OK
                                     : err_set(e, p->spill_result, "%s", p->spill_why.text);
}

static void work(struct part *p, bool *out_failed)
{
    struct errmsg e;
    const err result = spill_and_answer(p, &e);
    *out_failed = result != ERR_OK;
    if (result == ERR_OK)
        p->next_merge = p->next_expiry = INT64_MIN;
    else
        log_error(logger_of(p), "samples not written to a file", log_cstr("err", e.text));
}

static void have_files_tended(struct part *p, int64_t now)
{
    if (!p->ready || p->tending || p->files_held ||
        (now < p->next_merge && now < p->next_expiry && p->cleans_asked == p->cleans_answered))
        return;
    p->tending = true;
    fiber_start_always(LOOP_MERGE, part_tend_files, p, NULL);
}

// Whether samples are to be written before their time.
static bool is_early(const struct part *p, int64_t now, int64_t last)
{
    return p->db->pressure.shrinks && now - last >= EARLY_MS &&
           log_bytes(p) - p->mark_bytes > EARLY_BYTES;
}

static void shrink_caches(struct part *p)
{
    for (size_t i = 0; i < p->files_n && p->db->pressure.shrinks; i++)
        block_file_shrink(p->files[i].file);
}

void part_maintain(void *arg)
{
    struct part *p = arg;
    // The first time at once, if replay brought something.
    int64_t next = p->db->segments_max ? INT64_MIN : INT64_MAX;
    int64_t last = clock_mono_ns() / NS_PER_MS;
    bool failed = false;       // then the amount waits, too
    p->next_merge = INT64_MAX; // not while the disk takes nothing
    while (!p->closing) {
        const int64_t now = clock_mono_ns() / NS_PER_MS;
        next = next == INT64_MAX ? now + p->db->options.spill_ms : next;
        const bool is_much =
            !failed && p->ready && log_bytes(p) - p->mark_bytes > p->db->options.spill_bytes;
        const bool is_asked = p->spills_asked != p->spills_answered;
        p->working = !p->held;
        if (p->ready && p->working &&
            (now >= next || is_much || is_asked || is_early(p, now, last))) {
            last = now;
            work(p, &failed);
            next = now + (failed ? RETRY_MS : p->db->options.spill_ms);
        }
        have_files_tended(p, now);
        arrivals_expire(&p->arrivals, now);
        if (p->working)
            release(p);
        shrink_caches(p);
        part_tell_makers(p, now);
        p->working = false;
        waiters_wake_all(&p->changed);
        const int64_t wait = next > now && next - now < TICK_MS ? next - now : TICK_MS;
        p->sleeping = true;
        if (!p->closing)
            (void)!fiber_sleep_ns(wait * NS_PER_MS);
        p->sleeping = false;
    }
    fiber_shield_begin(); // it was woken by being cancelled
    while (p->tending)
        (void)!waiters_wait(&p->changed);
    p->closed = p->ready ? part_spill(p, &p->closed_why) : ERR_OK;
    fiber_shield_end();
    p->maintained = false;
    waiters_wake_all(&p->changed);
}
