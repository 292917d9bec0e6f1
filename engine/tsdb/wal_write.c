// The fibers of a log. The writer takes what was appended, as one batch, and writes it; the syncer
// syncs the file. So one write and one sync are in flight, and what arrives meanwhile rides on the
// next.
//
// A segment file is allocated in steps ahead of the writes, so that a full disk shows before bytes
// are written; it is cut to its length and synced when it ends, before the next one's header says
// so. When a write fails, everything that is not written yet is refused, for it builds on what was
// lost; the segment is cut back to its last good write (or what follows is overwritten), and a new
// one is begun as soon as the disk takes it. A failed sync is the end: after it the system may drop
// dirty pages and report success the next time.
#include <stdlib.h>

#include "engine/base/mem.h"
#include "engine/tsdb/wal_state.h"
#include "io/clock.h"

enum {
    ALLOCATE_STEP = 4 << 20,
    REUSE_BYTES_MAX = 1 << 20, // larger buffers are given back after a burst
    RETRY_MS = 1000,
    NS_IN_MS = 1000 * 1000,
};

static void free_batch(struct wal *wal, struct wal_batch *b)
{
    if (b->bytes.capacity <= REUSE_BYTES_MAX && !wal->reuse.p) {
        wal->reuse = b->bytes;
        buf_reset(&wal->reuse);
    } else {
        buf_deinit(&b->bytes);
    }
    mem_free(b);
}

// Forgets everything that is not written.
static void drop_queue(struct wal *wal)
{
    struct list *link;
    while ((link = list_pop(&wal->batches)))
        free_batch(wal, container_of(link, struct wal_batch, link));
    struct wal_batch *b = wal_take_batch(wal);
    if (b)
        free_batch(wal, b);
    wal->batches_bytes = 0;
    wal->segment_begun = false;
    while (wal->segments_count > 0 &&
           wal->segments[wal->segments_count - 1].first_seq > wal->written)
        wal->segments_count--;
}

static void break_down(struct wal *wal, const struct errmsg *e)
{
    if (wal->broken)
        return;
    wal->broken = true;
    wal->reason = *e;
    drop_queue(wal);
    waiters_wake_all(&wal->done);
    if (wal->options.fatal) {
        wal->options.fatal(wal->options.fatal_arg, wal->reason.text);
        return;
    }
    log_error(&wal->log,
              "a sync of the write-ahead log failed: what was acknowledged may not be durable",
              log_cstr("reason", wal->reason.text));
    abort();
}

static void add_refusal(struct wal *wal, uint64_t first, uint64_t last)
{
    struct wal_refusal *r = wal->refusals;
    if (wal->refusals_count == WAL_REFUSALS_MAX) {
        // Nobody waits for so long; if somebody does, a refusal is the safe answer.
        r[1].first = r[0].first;
        memmove(r, r + 1, (WAL_REFUSALS_MAX - 1) * sizeof *r);
        wal->refusals_count--;
    }
    r[wal->refusals_count++] = (struct wal_refusal){first, last};
    wal->refusals_ever++;
}

static void refuse_queue(struct wal *wal, const struct errmsg *e)
{
    const uint64_t next = wal_encoder_next_seq(wal->encoder);
    wal->reason = *e;
    if (next > wal->written + 1) {
        wal->stats.refused += next - wal->written - 1;
        add_refusal(wal, wal->written + 1, next - 1);
    }
    drop_queue(wal);
    wal->stats.write_errors++;
    wal->stalled = true;
    wal->retry_ns = clock_turn_ns() + (int64_t)RETRY_MS * NS_IN_MS;
    log_error(&wal->log, "the write-ahead log cannot be written: samples are refused until it can",
              log_cstr("reason", wal->reason.text));
    waiters_wake_all(&wal->done);
}

// ---- segments

// Makes what stands behind the last good write unreadable.
static void cut_tail(struct wal *wal)
{
    static const uint8_t zeros[WAL_FRAME_HEADER_BYTES] = {0};
    const int64_t end = (int64_t)wal->file_end;
    if (file_truncate(&wal->file, end, NULL) == ERR_OK)
        return;
    wal->stats.write_errors++;
    if (file_write(&wal->file, end, zeros, sizeof zeros, NULL) != ERR_OK)
        log_warn(&wal->log, "the end of a damaged segment could not be overwritten",
                 log_cstr("path", wal->file.path));
}

// Ends the present file: whole and synced.
static err end_segment(struct wal *wal, struct errmsg *e)
{
    if (wal->file.fd < 0)
        return ERR_OK;
    while (wal->sync_busy)
        (void)waiters_wait(&wal->work);
    err code = ERR_OK;
    wal->sync_busy = true; // until the descriptor is gone
    if (!wal->broken) {
        cut_tail(wal);
        code = file_sync(&wal->file, false, e);
        wal->stats.syncs++;
    }
    file_close(&wal->file);
    wal->sync_busy = false;
    wal->file_number = 0;
    if (wal->file_end > WAL_SEGMENT_HEADER_BYTES)
        wal->previous_end = wal->file_end;
    if (code != ERR_OK || wal->broken)
        return code;
    wal->synced = wal->written;
    waiters_wake_all(&wal->done);
    return ERR_OK;
}

// A recycled file's header goes before the new one is written: of a write that is cut, the rest is
// zeros then and not the old header's.
static err open_file(struct wal *wal, const char *path, struct errmsg *e)
{
    static const uint8_t zeros[WAL_SEGMENT_HEADER_BYTES];
    char spare[WAL_PATH_MAX];
    wal->file_allocated = 0;
    if (wal->has_spare) {
        wal_spare_path(wal, spare, sizeof spare);
        wal->has_spare = false;
        if (path_rename(spare, path, NULL) == ERR_OK &&
            file_open(&wal->file, path, FILE_WRITE, NULL) == ERR_OK) {
            if (file_write(&wal->file, 0, zeros, sizeof zeros, NULL) == ERR_OK) {
                wal->file_allocated = wal->spare_bytes;
                return ERR_OK;
            }
            file_close(&wal->file);
            (void)path_unlink(path, NULL);
        }
        (void)path_unlink(spare, NULL);
    }
    return file_open(&wal->file, path, FILE_WRITE | FILE_CREATE | FILE_TRUNCATE, e);
}

static err allocate_up_to(struct wal *wal, uint64_t end, struct errmsg *e)
{
    if (end <= wal->file_allocated)
        return ERR_OK;
    uint64_t step = end - wal->file_allocated;
    const uint64_t ahead =
        wal->options.segment_bytes < ALLOCATE_STEP ? wal->options.segment_bytes : ALLOCATE_STEP;
    step = step > ahead ? step : ahead;
    TRY(file_allocate(&wal->file, (int64_t)wal->file_allocated, (int64_t)step, e));
    wal->file_allocated += step;
    return ERR_OK;
}

static err begin_file(struct wal *wal, const struct wal_segment *segment, struct errmsg *e)
{
    char path[WAL_PATH_MAX];
    wal_segment_path(wal->dir, &segment->stream, segment->number, path, sizeof path);
    TRY(open_file(wal, path, e));
    struct wal_segment header = *segment;
    header.synced = wal->synced;
    header.previous_end = wal->previous_end;
    uint8_t bytes[WAL_SEGMENT_HEADER_BYTES];
    wal_segment_store(&header, bytes);
    err code = allocate_up_to(wal, sizeof bytes, e);
    if (code == ERR_OK)
        code = file_write(&wal->file, 0, bytes, sizeof bytes, e);
    if (code == ERR_OK) // when it fails, the next try makes a new file and syncs again
        code = path_sync_dir(wal->dir, e);
    if (code != ERR_OK) {
        file_close(&wal->file);
        (void)path_unlink(path, NULL);
        return code;
    }
    wal->file_number = segment->number;
    wal->file_end = sizeof bytes;
    return ERR_OK;
}

// The file is closed; one in which nothing was kept goes.
static void abandon_segment(struct wal *wal)
{
    const uint64_t number = wal->file_number;
    struct errmsg e;
    if (wal->file.fd < 0)
        return;
    if (end_segment(wal, &e) != ERR_OK) {
        break_down(wal, &e);
        return;
    }
    if (wal->file_end == WAL_SEGMENT_HEADER_BYTES) {
        char path[WAL_PATH_MAX];
        wal_segment_path(wal->dir, &wal->options.stream, number, path, sizeof path);
        (void)path_unlink(path, NULL);
    }
}

// *out_is_sync: it is a sync of what was acknowledged that failed.
static err change_segment(struct wal *wal, const struct wal_segment *segment, bool *out_is_sync,
                          struct errmsg *e)
{
    *out_is_sync = true;
    TRY(end_segment(wal, e));
    *out_is_sync = false;
    return begin_file(wal, segment, e);
}

// ---- the writer

static void note_written(struct wal *wal, const struct wal_batch *b)
{
    wal->file_end = b->offset + b->bytes.n;
    if (b->last_seq > wal->written)
        wal->written = b->last_seq;
    wal->stats.writes++;
    for (size_t i = wal->segments_count; i-- > 0;) {
        if (wal->segments[i].number == b->segment.number)
            wal->segments[i].bytes = wal->file_end;
    }
    if (wal->options.sync == WAL_SYNC_INTERVAL && !timer_is_set(&wal->interval.timer)) {
        wal->sync_due_ns = clock_turn_ns() + wal->options.sync_interval_ms * NS_IN_MS;
        timer_set(&wal->interval.timer, wal->sync_due_ns);
    }
    wal_encoder_set_synced(wal->encoder, wal->synced);
    waiters_wake_all(&wal->done);
    waiters_wake_one(&wal->sync_work);
}

static void write_batch(struct wal *wal, struct wal_batch *b)
{
    struct errmsg e;
    bool is_sync = false;
    err code = ERR_OK;
    wal->writing_bytes = b->bytes.n;
    if (b->segment.number != wal->file_number)
        code = change_segment(wal, &b->segment, &is_sync, &e);
    if (code == ERR_OK)
        code = allocate_up_to(wal, b->offset + b->bytes.n, &e);
    if (code == ERR_OK)
        code = file_write(&wal->file, (int64_t)b->offset, b->bytes.p, b->bytes.n, &e);
    wal->writing_bytes = 0;
    if (code == ERR_OK && !wal->broken) {
        note_written(wal, b);
    } else if (is_sync) {
        break_down(wal, &e);
    } else if (!wal->broken) {
        refuse_queue(wal, &e);
        abandon_segment(wal);
    }
    free_batch(wal, b);
}

static struct wal_batch *next_batch(struct wal *wal)
{
    struct list *link = list_pop(&wal->batches);
    if (!link)
        return wal->held ? NULL : wal_take_batch(wal);
    struct wal_batch *b = container_of(link, struct wal_batch, link);
    wal->batches_bytes -= b->bytes.n;
    return b;
}

// Tries the disk again: with a new segment.
static void resume(struct wal *wal)
{
    struct errmsg e;
    bool is_sync;
    if (clock_turn_ns() < wal->retry_ns) {
        timer_set(&wal->retry.timer, wal->retry_ns);
        (void)waiters_wait(&wal->work);
        return;
    }
    wal_begin_segment(wal);
    if (change_segment(wal, &wal->segment, &is_sync, &e) == ERR_OK) {
        wal->stalled = false;
        log_info(&wal->log, "the write-ahead log can be written again");
        return;
    }
    drop_queue(wal);
    wal->reason = e;
    wal->retry_ns = clock_turn_ns() + (int64_t)RETRY_MS * NS_IN_MS;
    if (is_sync)
        break_down(wal, &e);
}

static void end_fiber(struct wal *wal)
{
    wal->fibers--;
    waiters_wake_all(&wal->done);
    waiters_wake_all(&wal->sync_work);
}

void wal_writer(void *arg)
{
    struct wal *wal = arg;
    fiber_shield_begin(); // it ends by wal_close() alone
    for (;;) {
        struct wal_batch *b = wal->broken ? NULL : next_batch(wal);
        if (b)
            write_batch(wal, b);
        else if (wal->closing)
            break;
        else if (wal->stalled)
            resume(wal);
        else
            (void)waiters_wait(&wal->work);
    }
    struct errmsg e;
    if (end_segment(wal, &e) != ERR_OK)
        break_down(wal, &e);
    fiber_shield_end();
    end_fiber(wal);
}

// ---- the syncer

static bool is_sync_due(const struct wal *wal)
{
    if (wal->written <= wal->synced || wal->file.fd < 0 || wal->sync_busy || wal->broken)
        return false;
    if (wal->options.sync == WAL_SYNC_ALWAYS || wal->sync_wanted > wal->synced)
        return true;
    return wal->options.sync == WAL_SYNC_INTERVAL && clock_turn_ns() >= wal->sync_due_ns;
}

static void sync_file(struct wal *wal)
{
    struct errmsg e;
    const uint64_t target = wal->written;
    const int64_t begin_ns = clock_mono_ns();
    wal->sync_busy = true;
    const err code = file_sync(&wal->file, true, &e);
    wal->sync_busy = false;
    waiters_wake_all(&wal->work); // the writer may wait to close the file
    if (code != ERR_OK) {
        break_down(wal, &e);
        return;
    }
    const uint64_t ns = (uint64_t)(clock_mono_ns() - begin_ns);
    wal->stats.syncs++;
    wal->stats.sync_ns_sum += ns;
    if (ns > wal->stats.sync_ns_max)
        wal->stats.sync_ns_max = ns;
    if (target > wal->synced)
        wal->synced = target;
    wal_encoder_set_synced(wal->encoder, wal->synced);
    waiters_wake_all(&wal->done);
}

void wal_syncer(void *arg)
{
    struct wal *wal = arg;
    fiber_shield_begin();
    while (!wal->closing || wal->fibers > 1) {
        if (is_sync_due(wal))
            sync_file(wal);
        else
            (void)waiters_wait(&wal->sync_work);
    }
    fiber_shield_end();
    end_fiber(wal);
}
