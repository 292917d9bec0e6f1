#include "engine/tsdb/wal.h"

#include <assert.h>
#include <stdio.h>

#include "engine/base/mem.h"
#include "engine/tsdb/wal_state.h"
#include "io/clock.h"

enum {
    NAME_BYTES = 64,         // room for a file's name behind the folder's
    DEFINITIONS_SHARE = 8,   // a segment is at least so many times its definitions
    SEGMENT_GROWTH_MAX = 16, // but at most so many times its normal size
    DEFAULT_INTERVAL_MS = 1000,
};
static const uint64_t DEFAULT_SEGMENT_BYTES = 64 << 20;
static const int64_t DEFAULT_SEGMENT_AGE_MS = 2 * 3600 * 1000;
static const size_t DEFAULT_QUEUE_BYTES = 32 << 20;

static void ring(struct timer *timer)
{
    waiters_wake_all(container_of(timer, struct wal_alarm, timer)->who);
}

static struct wal *make(const struct wal_options *options)
{
    struct wal *wal = mem_zalloc(sizeof *wal);
    wal->options = *options;
    struct wal_options *o = &wal->options;
    o->segment_bytes = o->segment_bytes ? o->segment_bytes : DEFAULT_SEGMENT_BYTES;
    o->segment_age_ms = o->segment_age_ms ? o->segment_age_ms : DEFAULT_SEGMENT_AGE_MS;
    o->queue_bytes = o->queue_bytes ? o->queue_bytes : DEFAULT_QUEUE_BYTES;
    o->sync_interval_ms = o->sync_interval_ms > 0 ? o->sync_interval_ms : DEFAULT_INTERVAL_MS;
    memcpy(wal->dir, options->dir, strlen(options->dir) + 1);
    o->dir = wal->dir;
    wal->log = (struct logger){"wal", options->log};
    wal->encoder = wal_encoder_create(&options->source);
    wal->file.fd = -1;
    list_init(&wal->batches);
    waiters_init(&wal->done);
    waiters_init(&wal->work);
    waiters_init(&wal->sync_work);
    wal->retry.who = &wal->work;
    wal->interval.who = &wal->sync_work;
    timer_init(&wal->retry.timer, ring);
    timer_init(&wal->interval.timer, ring);
    snprintf(wal->readers[WAL_READER_SEALING].name, sizeof wal->readers->name, "sealing");
    return wal;
}

static void destroy(struct wal *wal)
{
    assert(wal->fibers == 0 && wal->file.fd < 0 && list_is_empty(&wal->batches));
    timer_cancel(&wal->retry.timer);
    timer_cancel(&wal->interval.timer);
    wal_encoder_destroy(wal->encoder);
    buf_deinit(&wal->reuse);
    mem_free(wal->segments);
    mem_free(wal);
}

static void wait_for_fibers(struct wal *wal)
{
    fiber_shield_begin();
    while (wal->fibers > 0)
        (void)waiters_wait(&wal->done);
    fiber_shield_end();
}

static void wake(struct wal *wal)
{
    waiters_wake_all(&wal->work);
    waiters_wake_all(&wal->sync_work);
}

err wal_open(const struct wal_options *options, struct wal **out, struct errmsg *e)
{
    if (strlen(options->dir) + NAME_BYTES > WAL_PATH_MAX)
        return err_set(e, ERR_LIMIT, "%s: file name too long", options->dir);
    struct wal *wal = make(options);
    if (fiber_start(LOOP_CONTROL, wal_writer, wal, NULL) != ERR_OK) {
        destroy(wal);
        return err_set(e, ERR_LIMIT, "write-ahead log: too many fibers");
    }
    wal->fibers++;
    if (fiber_start(LOOP_CONTROL, wal_syncer, wal, NULL) != ERR_OK) {
        wal->closing = true;
        wait_for_fibers(wal);
        destroy(wal);
        return err_set(e, ERR_LIMIT, "write-ahead log: too many fibers");
    }
    wal->fibers++;
    *out = wal;
    return ERR_OK;
}

err wal_close(struct wal *wal, struct errmsg *e)
{
    err code = wal_flush(wal, e);
    if (code == ERR_OK && wal->segment_begun) {
        // Everything is known to be synced: from here on what is missing is damage, not a crash.
        wal_encoder_set_synced(wal->encoder, wal->synced);
        wal_encode_end(wal->encoder);
    }
    wal->closing = true;
    wake(wal);
    wait_for_fibers(wal);
    if (code == ERR_OK && (wal->stalled || wal->broken))
        code = err_set(e, wal->broken ? ERR_IO : ERR_LIMIT, "%s", wal->reason.text);
    char spare[WAL_PATH_MAX];
    wal_spare_path(wal, spare, sizeof spare);
    fiber_shield_begin();
    if (wal->has_spare)
        (void)path_unlink(spare, NULL); // if it stays, the next open of the folder removes it
    fiber_shield_end();
    destroy(wal);
    return code;
}

// ---- rows

// The encoder's next records go into a segment of their own.
void wal_begin_segment(struct wal *wal)
{
    const uint64_t next = wal_encoder_next_seq(wal->encoder);
    const size_t count = wal->segments_count;
    wal->segment = (struct wal_segment){
        .stream = wal->options.stream,
        .number = count ? wal->segments[count - 1].number + 1 : 1,
        .first_seq = next ? next : 1,
        .created_ms = clock_wall_ms(),
    };
    random_bytes(&wal->segment.salt, sizeof wal->segment.salt);
    wal->segment_begun = true;
    wal->segment_begun_ns = clock_turn_ns();
    wal->definition_bytes_before = wal_encoder_stats(wal->encoder)->definition_bytes;
    wal_encoder_begin(wal->encoder, &wal->segment, WAL_SEGMENT_HEADER_BYTES);
    wal->segments =
        mem_grow(wal->segments, &wal->segments_capacity, count + 1, sizeof *wal->segments);
    wal->segments[wal->segments_count++] = (struct wal_segment_info){
        .number = wal->segment.number,
        .first_seq = wal->segment.first_seq,
    };
}

static bool is_segment_full(const struct wal *wal)
{
    const uint64_t bytes = wal_encoder_next_offset(wal->encoder);
    const uint64_t definitions =
        wal_encoder_stats(wal->encoder)->definition_bytes - wal->definition_bytes_before;
    const uint64_t normal = wal->options.segment_bytes;
    if (bytes <= WAL_SEGMENT_HEADER_BYTES)
        return false; // one without a record would look like one that lost them
    if (clock_turn_ns() - wal->segment_begun_ns >= wal->options.segment_age_ms * 1000000)
        return true;
    return bytes >= normal &&
           (bytes / DEFINITIONS_SHARE >= definitions || bytes / SEGMENT_GROWTH_MAX >= normal);
}

// What the encoder holds; NULL: nothing.
struct wal_batch *wal_take_batch(struct wal *wal)
{
    if (wal_encoder_pending(wal->encoder) == 0)
        return NULL;
    struct wal_batch *b = mem_zalloc(sizeof *b);
    b->segment = wal->segment;
    b->bytes = wal->reuse;
    wal->reuse = (struct buf){0};
    b->offset = wal_encoder_take(wal->encoder, &b->bytes);
    b->last_seq = wal_encoder_next_seq(wal->encoder) - 1;
    return b;
}

// Whatever follows, what the encoder holds is a batch of its own.
static void cut_batch(struct wal *wal)
{
    struct wal_batch *b = wal_take_batch(wal);
    if (!b)
        return;
    wal->batches_bytes += b->bytes.n;
    list_push(&wal->batches, &b->link);
}

static size_t queue_bytes(const struct wal *wal)
{
    return wal->batches_bytes + wal->writing_bytes + wal_encoder_pending(wal->encoder);
}

static err refused(struct wal *wal, struct errmsg *e)
{
    return err_set(e, ERR_LIMIT, "write-ahead log: %s; tried again every second", wal->reason.text);
}

// Whether rows are taken now; then there is a segment for them.
static err admit(struct wal *wal, struct errmsg *e)
{
    assert(!wal->closing);
    if (wal->broken)
        return err_set(e, ERR_IO, "write-ahead log: %s", wal->reason.text);
    if (wal->stalled || (wal->held && wal->held_refusals != wal->refusals_ever))
        return refused(wal, e);
    if (wal->held)
        return ERR_OK;
    if (queue_bytes(wal) >= wal->options.queue_bytes)
        return err_set(e, ERR_LIMIT, "write-ahead log: %zu bytes wait to be written, the limit",
                       wal->options.queue_bytes);
    if (wal->segment_begun && is_segment_full(wal))
        cut_batch(wal);
    else if (wal->segment_begun)
        return ERR_OK;
    wal_begin_segment(wal);
    return ERR_OK;
}

err wal_append(struct wal *wal, const struct wal_row *rows, size_t n, uint64_t *out_seq,
               struct errmsg *e)
{
    const err code = admit(wal, e);
    if (code != ERR_OK) {
        wal->stats.refused += code == ERR_LIMIT ? n : 0;
        return code;
    }
    wal_encode(wal->encoder, rows, n);
    *out_seq = wal_encoder_next_seq(wal->encoder) - 1;
    waiters_wake_one(&wal->work);
    return ERR_OK;
}

err wal_append_notes(struct wal *wal, enum wal_record_type type, const struct str *notes, size_t n,
                     uint64_t *out_seq, struct errmsg *e)
{
    TRY(admit(wal, e));
    wal_encode_notes(wal->encoder, type, notes, n);
    *out_seq = wal_encoder_next_seq(wal->encoder) - 1;
    waiters_wake_one(&wal->work);
    return ERR_OK;
}

err wal_hold(struct wal *wal, struct errmsg *e)
{
    assert(!wal->held);
    TRY(admit(wal, e));
    cut_batch(wal);
    wal->held = true;
    wal->held_refusals = wal->refusals_ever;
    return ERR_OK;
}

void wal_let_go(struct wal *wal)
{
    assert(wal->held);
    wal->held = false;
    waiters_wake_one(&wal->work);
}

static const struct wal_refusal *refusal_of(const struct wal *wal, uint64_t seq)
{
    for (unsigned i = 0; i < wal->refusals_count; i++) {
        if (seq >= wal->refusals[i].first && seq <= wal->refusals[i].last)
            return &wal->refusals[i];
    }
    return NULL;
}

// Waits until *mark reaches seq.
static err wait_for(struct wal *wal, const uint64_t *mark, uint64_t seq, struct errmsg *e)
{
    err code = ERR_OK;
    fiber_shield_begin();
    for (;;) {
        if (refusal_of(wal, seq))
            code = err_set(e, ERR_LIMIT, "write-ahead log: %s", wal->reason.text);
        else if (*mark >= seq)
            break;
        else if (wal->broken)
            code = err_set(e, ERR_IO, "write-ahead log: %s", wal->reason.text);
        if (code != ERR_OK)
            break;
        (void)waiters_wait(&wal->done);
    }
    fiber_shield_end();
    return code;
}

err wal_wait(struct wal *wal, uint64_t seq, struct errmsg *e)
{
    assert(seq < wal_encoder_next_seq(wal->encoder));
    switch (wal->options.sync) {
    case WAL_SYNC_ALWAYS:
        return wait_for(wal, &wal->synced, seq, e);
    case WAL_SYNC_INTERVAL:
        return wait_for(wal, &wal->written, seq, e);
    case WAL_SYNC_NONE:
        break;
    }
    return wait_for(wal, &seq, seq, e);
}

err wal_flush(struct wal *wal, struct errmsg *e)
{
    const uint64_t next = wal_encoder_next_seq(wal->encoder);
    uint64_t seq = next ? next - 1 : 0;
    const struct wal_refusal *told; // those who wait for what was refused know it already
    while (seq > 0 && (told = refusal_of(wal, seq)))
        seq = told->first - 1;
    if (wal->sync_wanted < seq)
        wal->sync_wanted = seq;
    wake(wal);
    return wait_for(wal, &wal->synced, seq, e);
}

void wal_forget(struct wal *wal, uint32_t cohort)
{
    wal_encoder_forget(wal->encoder, cohort);
}

uint64_t wal_next_seq(const struct wal *wal)
{
    const uint64_t next = wal_encoder_next_seq(wal->encoder);
    return next ? next : 1;
}

// ---- readers

err wal_reader_add(struct wal *wal, struct str name, unsigned *out_reader, struct errmsg *e)
{
    if (name.n == 0 || name.n > WAL_READER_NAME_MAX)
        return err_set(e, ERR_INVALID, "write-ahead log: reader name of %zu bytes", name.n);
    for (unsigned i = 0; i < WAL_READERS_MAX; i++) {
        if (wal->readers[i].name[0])
            continue;
        memcpy(wal->readers[i].name, name.p, name.n);
        wal->readers[i].name[name.n] = '\0';
        wal->readers[i].seq = wal->segments_count ? wal->segments[0].first_seq : 1;
        *out_reader = i;
        return ERR_OK;
    }
    return err_set(e, ERR_LIMIT, "write-ahead log: %d readers, the limit", WAL_READERS_MAX);
}

void wal_reader_remove(struct wal *wal, unsigned reader)
{
    assert(reader != WAL_READER_SEALING && reader < WAL_READERS_MAX);
    wal->readers[reader].name[0] = '\0';
}

void wal_reader_advance(struct wal *wal, unsigned reader, uint64_t seq)
{
    assert(reader < WAL_READERS_MAX && wal->readers[reader].name[0]);
    assert(seq <= wal_next_seq(wal));
    if (wal->readers[reader].seq < seq)
        wal->readers[reader].seq = seq;
}

struct wal_mark wal_mark_at(const struct wal *wal, uint64_t seq)
{
    struct wal_mark mark = {
        .stream = wal->options.stream,
        .segment = wal->segments_count ? wal->segments[0].number : 1,
        .seq = seq,
    };
    for (size_t i = 0; i < wal->segments_count && wal->segments[i].first_seq <= seq; i++)
        mark.segment = wal->segments[i].number;
    return mark;
}

static uint64_t lowest_mark(const struct wal *wal)
{
    uint64_t seq = UINT64_MAX;
    for (unsigned i = 0; i < WAL_READERS_MAX; i++) {
        if (wal->readers[i].name[0] && wal->readers[i].seq < seq)
            seq = wal->readers[i].seq;
    }
    return seq;
}

void wal_spare_path(const struct wal *wal, char *out, size_t n)
{
    const int size =
        snprintf(out, n, "%s/%016llx-%04x.wal.tmp", wal->dir,
                 (unsigned long long)wal->options.stream.epoch, wal->options.stream.shard);
    assert(size > 0 && (size_t)size < n);
}

// The file of a segment goes, or stays as the next one's.
static err drop_segment(struct wal *wal, struct wal_segment_info s, struct errmsg *e)
{
    char path[WAL_PATH_MAX], spare[WAL_PATH_MAX];
    wal_segment_path(wal->dir, &wal->options.stream, s.number, path, sizeof path);
    if (wal->has_spare)
        return path_unlink(path, e);
    wal_spare_path(wal, spare, sizeof spare);
    TRY(path_rename(path, spare, e));
    wal->has_spare = true;
    wal->spare_bytes = s.bytes;
    return ERR_OK;
}

err wal_truncate(struct wal *wal, struct errmsg *e)
{
    if (wal->truncating) // by another fiber, which sees the same marks
        return ERR_OK;
    wal->truncating = true;
    err code = ERR_OK;
    // What was written of the second says that the writer has left the first.
    while (code == ERR_OK && wal->segments_count > 1 &&
           wal->segments[1].first_seq <= lowest_mark(wal) &&
           wal->segments[1].first_seq <= wal->written) {
        const struct wal_segment_info s = wal->segments[0];
        wal->segments_count--;
        memmove(wal->segments, wal->segments + 1, wal->segments_count * sizeof s);
        code = drop_segment(wal, s, e);
    }
    wal->truncating = false;
    return code;
}

void wal_stats(const struct wal *wal, struct wal_stats *out)
{
    const struct wal_encoder_stats *enc = wal_encoder_stats(wal->encoder);
    *out = wal->stats;
    out->bytes = enc->bytes;
    out->records = enc->records;
    out->rows = enc->rows;
    out->samples = enc->samples;
    out->definitions = enc->definitions;
    out->definition_bytes = enc->definition_bytes;
    out->segment = wal->segment.number;
    out->segments = wal->segments_count;
    out->seq_written = wal->written;
    out->seq_synced = wal->synced;
    out->queue_bytes = queue_bytes(wal);
    out->cohorts = enc->cohorts;
    out->state_bytes = enc->state_bytes;
}
