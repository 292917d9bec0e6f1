#include "engine/tsdb/wal_replay.h"

#include <assert.h>

#include "engine/base/mem.h"
#include "engine/tsdb/wal_decode.h"
#include "engine/tsdb/wal_state.h"
#include "io/clock.h"
#include "io/fiber.h"
#include "io/file.h"

enum {
    WINDOW_BYTES = 256 * 1024,
    PROGRESS_BYTES = 1 << 20,
};

// A segment file as its header says, or why not.
struct part {
    uint64_t number;
    enum { PART_GOOD, PART_EMPTY, PART_DAMAGED } state;
    struct wal_segment header;      // when good
    uint64_t synced_after;          // highest synced sequence that a later segment's header knows
    const struct wal_segment *next; // header of the next segment, when it is good
};

struct replay {
    const char *dir;
    const struct wal_replay_ops *ops;
    void *arg;
    struct wal_stream stream;
    struct wal_decoder *decoder;
    struct part *parts;
    size_t parts_count, parts_capacity;
    struct wal_replay_progress progress;
    uint64_t progress_at; // bytes when it was last told

    // Of the present segment.
    const struct part *part;
    struct file file;
    struct buf window;
    uint64_t window_at;
    uint64_t expected; // sequence of the next record
};

// ---- reading

// n bytes of the file at offset; *out NULL: it ends before them. Valid until the next call.
static err look(struct replay *r, uint64_t offset, size_t n, const uint8_t **out, struct errmsg *e)
{
    if (offset < r->window_at || offset + n > r->window_at + r->window.n) {
        const size_t size = n > WINDOW_BYTES ? n : WINDOW_BYTES;
        buf_reset(&r->window);
        size_t got = 0;
        TRY(file_read_some(&r->file, (int64_t)offset, buf_reserve(&r->window, size), size, &got,
                           e));
        r->window.n = got;
        r->window_at = offset;
    }
    *out = offset + n <= r->window_at + r->window.n
               ? (const uint8_t *)r->window.p + (offset - r->window_at)
               : NULL;
    return ERR_OK;
}

// The frame at offset. *out_p NULL: there is no good one, or one that cannot follow what was read.
static err look_frame(struct replay *r, uint64_t offset, struct wal_frame *out,
                      const uint8_t **out_p, struct errmsg *e)
{
    const struct part *part = r->part;
    const uint8_t *p;
    *out_p = NULL;
    TRY(look(r, offset, WAL_FRAME_HEADER_BYTES, &p, e));
    const size_t size = p ? wal_frame_measure(p, r->expected) : 0;
    if (size == 0)
        return ERR_OK;
    if (part->next && offset + size > part->next->previous_end)
        return ERR_OK; // what was refused, behind the segment's end
    TRY(look(r, offset, size, &p, e));
    if (p && wal_frame_load(&part->header, offset, p, size, out) &&
        (!part->next || out->first_seq + out->records <= part->next->first_seq))
        *out_p = p;
    return ERR_OK;
}

static err tell_progress(struct replay *r, struct errmsg *e)
{
    const struct wal_decoder_stats *s = wal_decoder_stats(r->decoder);
    r->progress_at = r->progress.bytes;
    r->progress.rows = s->rows;
    r->progress.samples = s->samples;
    r->progress.rows_skipped = s->rows_skipped;
    return r->ops->progress ? r->ops->progress(r->arg, &r->progress, e) : ERR_OK;
}

static void report(struct replay *r, uint64_t number, uint64_t offset, uint64_t bytes,
                   uint64_t records, const char *reason)
{
    char path[WAL_PATH_MAX];
    wal_segment_path(r->dir, &r->stream, number, path, sizeof path);
    const struct wal_corruption c = {
        .segment = number,
        .offset = (int64_t)offset,
        .bytes = (int64_t)bytes,
        .path = path,
        .reason = reason,
        .records_lost = records,
    };
    r->progress.corruptions++;
    r->ops->corrupt(r->arg, &c);
}

// ---- one segment

static err take_frame(struct replay *r, uint64_t offset, const struct wal_frame *frame,
                      const uint8_t *p, struct errmsg *e)
{
    uint32_t bad;
    TRY(wal_decoder_frame(r->decoder, frame, p + WAL_FRAME_HEADER_BYTES, &bad, e));
    if (bad > 0)
        report(r, r->part->number, offset, WAL_FRAME_HEADER_BYTES + frame->size, bad, "record");
    r->expected = frame->first_seq + frame->records;
    r->progress.bytes += WAL_FRAME_HEADER_BYTES + frame->size;
    if (r->progress.bytes - r->progress_at >= PROGRESS_BYTES)
        TRY(tell_progress(r, e));
    fiber_yield_if_due();
    return ERR_OK;
}

// From a bad frame on: the next good one (0: none), and the highest sequence that any frame from
// there on, or a later segment, knows to be synced; it stops at expected, which is all that is
// asked.
static err search(struct replay *r, uint64_t bad, uint64_t *out_offset, uint64_t *out_synced,
                  uint64_t *out_first_seq, struct errmsg *e)
{
    *out_offset = 0;
    *out_synced = r->part->synced_after;
    *out_first_seq = 0;
    uint64_t at = bad + WAL_FRAME_ALIGN;
    for (;;) {
        struct wal_frame frame;
        const uint8_t *p;
        if (at % (64 * 1024) == 0)
            fiber_yield_if_due();
        TRY(look(r, at, WAL_FRAME_HEADER_BYTES, &p, e));
        if (!p)
            return ERR_OK;
        TRY(look_frame(r, at, &frame, &p, e));
        if (!p) {
            at += WAL_FRAME_ALIGN;
            continue;
        }
        if (*out_offset == 0) {
            *out_offset = at;
            *out_first_seq = frame.first_seq;
        }
        if (frame.synced > *out_synced)
            *out_synced = frame.synced;
        if (*out_synced >= r->expected)
            return ERR_OK;
        at += WAL_FRAME_HEADER_BYTES + frame.size;
    }
}

static bool is_zero(const uint8_t *p, size_t n)
{
    while (n > 0 && p[n - 1] == 0)
        n--;
    return n == 0;
}

// Whether something was begun at offset, which is no frame: in a file that was made for this
// segment all is zero behind its end; in one that had another name before stand older frames.
static err is_cut(struct replay *r, uint64_t offset, bool *out, struct errmsg *e)
{
    const uint8_t *p;
    int64_t size;
    TRY(look(r, offset, WAL_FRAME_HEADER_BYTES, &p, e));
    *out = p && wal_frame_measure(p, r->expected) > 0;
    if (!p || *out || is_zero(p, WAL_FRAME_HEADER_BYTES))
        return ERR_OK;
    TRY(file_size(&r->file, &size, e));
    TRY(look(r, (uint64_t)size - WAL_FRAME_HEADER_BYTES, WAL_FRAME_HEADER_BYTES, &p, e));
    *out = p && is_zero(p, WAL_FRAME_HEADER_BYTES);
    return ERR_OK;
}

static err tell_tail(struct replay *r, uint64_t offset, struct errmsg *e)
{
    char path[WAL_PATH_MAX];
    bool cut;
    if (!r->ops->tail)
        return ERR_OK;
    TRY(is_cut(r, offset, &cut, e));
    wal_segment_path(r->dir, &r->stream, r->part->number, path, sizeof path);
    if (cut)
        r->ops->tail(r->arg, path, offset);
    return ERR_OK;
}

// A bad frame at *offset: moves on to the next good one, or to 0 where the segment ends.
static err pass_bad(struct replay *r, uint64_t *offset, struct errmsg *e)
{
    uint64_t next, synced, first_seq;
    TRY(search(r, *offset, &next, &synced, &first_seq, e));
    const struct wal_segment *after = r->part->next;
    const uint8_t *rest;
    TRY(look(r, *offset, 1, &rest, e));
    if (!rest && !after) {
        *offset = 0; // the file ends here; if it should not, the next header is what is damaged
    } else if (synced >= r->expected) {
        const uint64_t end = next ? next : after ? after->previous_end : 0;
        if (next == 0)
            first_seq = after ? after->first_seq : r->expected;
        report(r, r->part->number, *offset, end > *offset ? end - *offset : 0,
               first_seq - r->expected, "frame checksum");
        if (next > 0)
            r->expected = first_seq;
        *offset = next;
    } else {
        TRY(tell_tail(r, *offset, e));
        *offset = 0; // the crash's tail
    }
    return ERR_OK;
}

static err replay_frames(struct replay *r, struct errmsg *e)
{
    const struct wal_segment *after = r->part->next;
    uint64_t offset = WAL_SEGMENT_HEADER_BYTES;
    r->expected = r->part->header.first_seq;
    wal_decoder_begin(r->decoder);
    while (offset > 0) {
        struct wal_frame frame;
        const uint8_t *p;
        if (after && offset >= after->previous_end)
            break;
        TRY(look_frame(r, offset, &frame, &p, e));
        if (p) {
            TRY(take_frame(r, offset, &frame, p, e));
            offset += WAL_FRAME_HEADER_BYTES + frame.size;
        } else {
            TRY(pass_bad(r, &offset, e));
        }
    }
    return ERR_OK;
}

static err open_part(struct replay *r, const struct part *part, struct errmsg *e)
{
    char path[WAL_PATH_MAX];
    wal_segment_path(r->dir, &r->stream, part->number, path, sizeof path);
    buf_reset(&r->window);
    r->window_at = 0;
    return file_open(&r->file, path, FILE_READ, e);
}

static err replay_part(struct replay *r, const struct part *part, struct errmsg *e)
{
    r->part = part;
    r->progress.segment = part->number;
    TRY(tell_progress(r, e));
    if (part->state == PART_DAMAGED) {
        const uint64_t lost = part->next && part->next->first_seq > r->expected && r->expected > 0
                                  ? part->next->first_seq - r->expected
                                  : 0;
        report(r, part->number, 0, WAL_SEGMENT_HEADER_BYTES, lost, "segment header");
    }
    if (part->state == PART_GOOD) {
        TRY(open_part(r, part, e));
        const err code = replay_frames(r, e);
        file_close(&r->file);
        if (code != ERR_OK)
            return code;
    }
    r->progress.segments_done++;
    return ERR_OK;
}

// ---- the stream

// A header that was never written, or not to its last byte, or that was being cleared, is no
// damage: the file was made, or taken from another segment, when the machine stopped.
static bool is_unfinished(const uint8_t *p)
{
    return p[0] == 0 || p[WAL_SEGMENT_HEADER_BYTES - 1] == 0;
}

static err load_header(struct replay *r, struct part *part, struct errmsg *e)
{
    const uint8_t *p;
    part->state = PART_EMPTY;
    TRY(open_part(r, part, e));
    err code = look(r, 0, WAL_SEGMENT_HEADER_BYTES, &p, e);
    file_close(&r->file);
    if (code != ERR_OK || !p)
        return code;
    code = wal_segment_load(p, WAL_SEGMENT_HEADER_BYTES, &part->header, e);
    if (code == ERR_INVALID)
        return err_wrap(e, code, "%s", r->file.path);
    if (code != ERR_OK)
        part->state = is_unfinished(p) ? PART_EMPTY : PART_DAMAGED;
    else if (part->header.stream.epoch == r->stream.epoch &&
             part->header.stream.shard == r->stream.shard && part->header.number == part->number)
        part->state = PART_GOOD;
    return ERR_OK;
}

// What each segment may learn from those behind it.
static void look_ahead(struct replay *r)
{
    uint64_t synced = 0;
    for (size_t i = r->parts_count; i-- > 0;) {
        struct part *part = &r->parts[i];
        part->synced_after = synced;
        if (part->state == PART_GOOD && part->header.synced > synced)
            synced = part->header.synced;
        if (part->state == PART_EMPTY && i + 1 < r->parts_count)
            part->state = PART_DAMAGED; // the one behind it came later
        const struct part *next = i + 1 < r->parts_count ? part + 1 : NULL;
        part->next = next && next->state == PART_GOOD && next->number == part->number + 1 &&
                             next->header.previous_end > 0
                         ? &next->header
                         : NULL;
    }
}

static err list_parts(struct replay *r, uint64_t from, struct errmsg *e)
{
    struct buf names = {0};
    size_t count;
    err code = path_list(r->dir, &names, &count, e);
    const char *name = names.p;
    for (size_t i = 0; code == ERR_OK && i < count; i++, name += strlen(name) + 1) {
        struct wal_stream stream;
        uint64_t number;
        if (!wal_segment_parse_name(str_from_c(name), &stream, &number) ||
            stream.epoch != r->stream.epoch || stream.shard != r->stream.shard || number < from)
            continue;
        r->parts = mem_grow(r->parts, &r->parts_capacity, r->parts_count + 1, sizeof *r->parts);
        r->parts[r->parts_count++] = (struct part){.number = number};
    }
    buf_deinit(&names);
    return code;
}

static err replay_parts(struct replay *r, const struct wal_mark *mark, struct errmsg *e)
{
    TRY(list_parts(r, mark->segment, e));
    for (size_t i = 0; i < r->parts_count; i++)
        TRY(load_header(r, &r->parts[i], e));
    look_ahead(r);
    r->progress.segments = r->parts_count;
    uint64_t number = mark->segment;
    for (size_t i = 0; i < r->parts_count; i++) {
        const struct part *part = &r->parts[i];
        // Those before it went when nothing came to them any more.
        if (i == 0 && part->state == PART_GOOD && part->header.first_seq <= mark->seq)
            number = part->number;
        if (number > 0 && part->number != number)
            report(r, number, 0, 0, 0, "missing segment");
        number = part->number + 1;
        TRY(replay_part(r, part, e));
    }
    return tell_progress(r, e);
}

err wal_replay_stream(const char *dir, const struct wal_mark *mark,
                      const struct wal_replay_ops *ops, void *arg, struct wal_replay_progress *out,
                      struct errmsg *e)
{
    uint64_t seed;
    random_bytes(&seed, sizeof seed);
    struct replay r = {
        .dir = dir,
        .ops = ops,
        .arg = arg,
        .stream = mark->stream,
        .decoder = wal_decoder_create(ops, arg, mark->seq, seed),
        .file = {.fd = -1},
    };
    const err code = replay_parts(&r, mark, e);
    if (out)
        *out = r.progress;
    wal_decoder_destroy(r.decoder);
    buf_deinit(&r.window);
    mem_free(r.parts);
    return code;
}

// ---- folders

static err file_bytes(const char *dir, const char *name, uint64_t *out, struct errmsg *e)
{
    struct buf path = {0};
    struct op_stat st;
    buf_printf(&path, "%s/%s%c", dir, name, '\0');
    const err code = path_stat(path.p, &st, e);
    buf_deinit(&path);
    if (code == ERR_OK)
        *out = (uint64_t)st.size;
    return code;
}

err wal_replay_list(const char *dir, struct buf *out, size_t *out_count, struct errmsg *e)
{
    struct buf names = {0};
    struct wal_replay_stream s = {0};
    size_t count, streams = 0;
    err code = path_list(dir, &names, &count, e);
    const char *name = names.p;
    for (size_t i = 0; code == ERR_OK && i < count; i++, name += strlen(name) + 1) {
        struct wal_stream stream;
        uint64_t number, bytes;
        if (!wal_segment_parse_name(str_from_c(name), &stream, &number))
            continue;
        code = file_bytes(dir, name, &bytes, e);
        if (code != ERR_OK)
            break;
        // Names are sorted: a stream's segments stand together, ascending.
        if (s.segments > 0 && (s.stream.epoch != stream.epoch || s.stream.shard != stream.shard)) {
            buf_put(out, &s, sizeof s);
            streams++;
            s.segments = 0;
        }
        if (s.segments == 0)
            s = (struct wal_replay_stream){.stream = stream, .segment_min = number};
        s.segment_max = number;
        s.segments++;
        s.bytes += bytes;
    }
    if (code == ERR_OK && s.segments > 0) {
        buf_put(out, &s, sizeof s);
        streams++;
    }
    buf_deinit(&names);
    *out_count = streams;
    return code;
}

err wal_replay_remove(const char *dir, struct wal_stream stream, struct errmsg *e)
{
    struct replay r = {.dir = dir, .stream = stream};
    err code = list_parts(&r, 0, e);
    for (size_t i = 0; code == ERR_OK && i < r.parts_count; i++) {
        char path[WAL_PATH_MAX];
        wal_segment_path(dir, &stream, r.parts[i].number, path, sizeof path);
        code = path_unlink(path, e);
    }
    mem_free(r.parts);
    return code == ERR_OK ? path_sync_dir(dir, e) : code;
}
