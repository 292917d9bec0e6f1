#include "tests/sim/recycled.h"

#include <string.h>

#include "engine/base/mem.h"
#include "engine/tsdb/wal_record.h"

struct segment {
    struct wal_segment header;
    uint8_t *bytes;
    size_t n;
    size_t end;        // behind its last good frame
    uint64_t next_seq; // after it
};

static bool load(struct segment *s, const struct content *c)
{
    *s = (struct segment){.n = (size_t)c->size, .end = WAL_SEGMENT_HEADER_BYTES};
    s->bytes = mem_zalloc(s->n);
    (void)content_read(c, 0, s->bytes, s->n);
    if (s->n < s->end || wal_segment_load(s->bytes, s->n, &s->header, NULL) != ERR_OK)
        return false;
    s->next_seq = s->header.first_seq;
    return true;
}

// The good frame at *at; the place behind it. 0: there is none.
static size_t frame_at(const struct segment *s, size_t at, struct wal_frame *out)
{
    if (at + WAL_FRAME_HEADER_BYTES > s->n)
        return 0;
    const size_t size = wal_frame_measure(s->bytes + at, 0);
    if (size == 0 || at + size > s->n || !wal_frame_load(&s->header, at, s->bytes + at, size, out))
        return 0;
    return at + size;
}

static void find_end(struct segment *s)
{
    struct wal_frame frame;
    for (size_t next; (next = frame_at(s, s->end, &frame)) > 0; s->end = next)
        s->next_seq = frame.first_seq + frame.records;
}

static void append_old(struct inode *inode, struct segment *now, const struct segment *before)
{
    struct wal_frame frame;
    for (size_t at = WAL_SEGMENT_HEADER_BYTES, next; (next = frame_at(before, at, &frame)) > 0;
         at = next) {
        uint8_t *copy = mem_alloc(next - at);
        memcpy(copy, before->bytes + at, next - at);
        frame.first_seq = now->next_seq;
        frame.synced = 0;
        wal_frame_seal(&now->header, now->end, &frame, copy);
        content_write(&inode->now, (int64_t)now->end, copy, next - at);
        mem_free(copy);
        now->next_seq += frame.records;
        now->end += next - at;
    }
}

void recycled_show_old_records(struct disk *d)
{
    for (struct inode *i = d->inodes; i; i = i->next) {
        struct segment now, before;
        if (i->is_dir || i->before.size == 0)
            continue;
        const bool is_good = load(&before, &i->before);
        if (load(&now, &i->now) && is_good && now.header.number != before.header.number) {
            find_end(&now);
            append_old(i, &now, &before);
        }
        mem_free(now.bytes);
        mem_free(before.bytes);
    }
}
