// The format of the write-ahead log, version 2. Integers are little-endian, "varint" is LEB128,
// "zigzag" a varint of the zigzag code.
//
// A segment file <epoch 16 hex>-<shard 4 hex>-<number 16 hex>.wal:
//
//     offset  size  segment header
//     0       8     "FERULAWL"
//     8       4     format: 2; 1 had no HISTOGRAMS and no ROW_STARTS
//     12      4     bytes of the header: 128
//     16      8     epoch
//     24      4     shard
//     28      4     tenant: 0
//     32      8     number of the segment in its stream, from 1
//     40      8     salt
//     48      8     sequence of the first record
//     56      8     highest sequence known to be synced; 0: none
//     64      8     when it was made, ms since 1970
//     72      8     bytes of the previous segment that hold; 0: this is the first
//     80      4     tier: 0
//     84      40    zero
//     124     4     CRC32C of bytes 0..123
//     128           frames, each at a multiple of 8, without gaps; then whatever the file held
//
//     offset  size  frame: what one checksum covers, some 16 KiB of records
//     0       4     CRC32C of epoch (8), shard (4), number (8), salt (8), offset of the frame in
//                   the file (8), bytes 4..23 of this header, and the records
//     4       4     bytes of the records, zeros up to a multiple of 8 included
//     8       8     sequence of the first record; the others follow
//     16      4     how far below that the highest synced sequence is (1: just before it);
//                   0xffffffff: none is known
//     20      4     how many records; 0 only in the frame that ends a stream which was closed
//     24            records
//
// So a frame holds only at its place of its segment: what a recycled file held, or what a label
// value imitates, fails the checksum, as the salt is random. Sequences are never used twice and
// grow along the file; those of rows that were refused (disk full) are missing.
//
//     record: varint bytes that follow; type (low four bits) and flags, a byte; then
//     DEFINE  cohort: varint
//             flag NEW (0x10): partition, varint; source, 8 bytes. What the number stood for before
//             is forgotten. Otherwise: back, varint: own sequence minus that of the cohort's
//             previous record; and own sequence minus that of the DEFINE with NEW, varint
//             first member: varint, how many: varint; for each its labels, coded against those of
//             the member before it in this record (at first: empty): bytes of common prefix,
//             bytes of common suffix, bytes between (varints), and these bytes
//     ROW     cohort: varint
//             back: varint: own sequence minus that of the cohort's previous record that was not
//             late; of an ABSOLUTE one: minus that of the DEFINE with NEW
//             flag ABSOLUTE (0x20): members defined so far, varint. The bases are forgotten: last
//             time, last step and all values are 0, all modes 0, there are no shapes
//             time: zigzag of (time - last time - last step); LATE (0x10): of (time - last time)
//             presence, by flags: FULL; SHAPE: its number, varint; NEW_SHAPE (numbered from 0 in
//             order) and ONCE: a list of members
//             changes, up to the record's end: only members whose bits differ from their last
//     ROW_STARTS  as ROW, with start timestamps between presence and changes: how many runs,
//             varint; each: present members skipped since the last, how many less one (varints),
//             their start timestamp less that of the last run, of the first less the row's time
//             (zigzag). Who is in no run has the one it had in the row before that was not late;
//             before an ABSOLUTE row, 0: none
//     HISTOGRAMS  cohort: varint; back, varint: own sequence minus that of the DEFINE with NEW;
//             members defined so far, varint; time: zigzag; list of members; of each, with
//             STARTS (0x20): zigzag of its start timestamp less that of the one before (at first
//             0); its histogram (wal_layouts.c). Such a record is no base of others
//     EXEMPLARS, METADATA  notes up to the record's end, each: its size, varint, its bytes (note.h)
//     list    how many: varint; then varints x: skip x >> 1 members, then one; x odd: a varint
//             follows, two and that many more
//     change  a byte: low five bits: skip so many present members (31: 31 and a varint more);
//             high three bits: bytes of the delta minus one, or 7: an escape byte follows:
//             low five bits the member's new mode, high three bits bytes of the delta minus one.
//             The delta is zigzag, in so many bytes. Mode 0..18: of round(value * 10^mode), the
//             value is the sum divided by 10^mode. Mode 31: of the bits. 30 in an escape: the
//             stale marker, no delta, the mode stays.
//
// A row that is not LATE becomes the base: its values, its time, its step. An absolute record comes
// first in each segment, and after 128 rows or an hour. Before such a record the cohort is defined
// once more, as NEW, if 64 rows came since it was: so a lost definition costs what a lost base
// does, and no reader has to know (of members with the labels they had it may keep what it made of
// them). It adds 6 to 10 bytes a series each time.
#include "engine/tsdb/wal_record.h"

#include <stdio.h>

#include "engine/base/bits.h"
#include "simd/simd.h"

enum {
    SEGMENT_FORMAT = 8,
    SEGMENT_SIZE = 12,
    SEGMENT_EPOCH = 16,
    SEGMENT_SHARD = 24,
    SEGMENT_TENANT = 28,
    SEGMENT_NUMBER = 32,
    SEGMENT_SALT = 40,
    SEGMENT_FIRST_SEQ = 48,
    SEGMENT_SYNCED = 56,
    SEGMENT_CREATED = 64,
    SEGMENT_PREVIOUS_END = 72,
    SEGMENT_TIER = 80,
    SEGMENT_ZERO = 84,
    SEGMENT_CRC = 124,
    FRAME_CRC = 0,
    FRAME_SIZE = 4,
    FRAME_FIRST_SEQ = 8,
    FRAME_SYNCED_BACK = 16,
    FRAME_RECORDS = 20,
    NAME_BYTES = 16 + 1 + 4 + 1 + 16 + 4,
};
static_assert(SEGMENT_CRC + 4 == WAL_SEGMENT_HEADER_BYTES, "the layout above");
static_assert(SEGMENT_TIER + 4 == SEGMENT_ZERO && SEGMENT_PREVIOUS_END + 8 == SEGMENT_TIER, "");
static_assert(FRAME_RECORDS + 4 == WAL_FRAME_HEADER_BYTES, "the layout above");
static_assert(WAL_SEGMENT_HEADER_BYTES % WAL_FRAME_ALIGN == 0, "frames are aligned");
static_assert(WAL_FRAME_HEADER_BYTES % WAL_FRAME_ALIGN == 0, "so a padded frame is aligned");
static_assert(WAL_FRAME_BYTES_MAX > WAL_LABELS_BYTES_MAX + WAL_ROW_MEMBERS_MAX * 32,
              "a record fits: 13 bytes a change, 10 a member of a list");

static const char MAGIC[8] = {'F', 'E', 'R', 'U', 'L', 'A', 'W', 'L'};

void wal_segment_store(const struct wal_segment *s, uint8_t out[static WAL_SEGMENT_HEADER_BYTES])
{
    memset(out, 0, WAL_SEGMENT_HEADER_BYTES);
    memcpy(out, MAGIC, sizeof MAGIC);
    store_le32(out + SEGMENT_FORMAT, WAL_FORMAT);
    store_le32(out + SEGMENT_SIZE, WAL_SEGMENT_HEADER_BYTES);
    store_le64(out + SEGMENT_EPOCH, s->stream.epoch);
    store_le32(out + SEGMENT_SHARD, s->stream.shard);
    store_le64(out + SEGMENT_NUMBER, s->number);
    store_le64(out + SEGMENT_SALT, s->salt);
    store_le64(out + SEGMENT_FIRST_SEQ, s->first_seq);
    store_le64(out + SEGMENT_SYNCED, s->synced);
    store_le64(out + SEGMENT_CREATED, (uint64_t)s->created_ms);
    store_le64(out + SEGMENT_PREVIOUS_END, s->previous_end);
    store_le32(out + SEGMENT_CRC, simd.crc32c(0, out, SEGMENT_CRC));
}

err wal_segment_load(const uint8_t *p, size_t n, struct wal_segment *out, struct errmsg *e)
{
    if (n < WAL_SEGMENT_HEADER_BYTES || memcmp(p, MAGIC, sizeof MAGIC) != 0)
        return err_set(e, ERR_CORRUPT, "no segment header");
    // The format comes before the checksum: a newer one may have it elsewhere.
    const uint32_t format = load_le32(p + SEGMENT_FORMAT);
    if (format > WAL_FORMAT)
        return err_set(e, ERR_INVALID, "write-ahead log format %u is newer than this program's %d",
                       format, WAL_FORMAT);
    if (load_le32(p + SEGMENT_CRC) != simd.crc32c(0, p, SEGMENT_CRC) || format == 0 ||
        load_le32(p + SEGMENT_SIZE) != WAL_SEGMENT_HEADER_BYTES ||
        load_le32(p + SEGMENT_TENANT) != 0 || load_le32(p + SEGMENT_TIER) != 0 ||
        load_le64(p + SEGMENT_FIRST_SEQ) == 0)
        return err_set(e, ERR_CORRUPT, "damaged segment header");
    *out = (struct wal_segment){
        .stream = {load_le64(p + SEGMENT_EPOCH), load_le32(p + SEGMENT_SHARD)},
        .number = load_le64(p + SEGMENT_NUMBER),
        .salt = load_le64(p + SEGMENT_SALT),
        .first_seq = load_le64(p + SEGMENT_FIRST_SEQ),
        .synced = load_le64(p + SEGMENT_SYNCED),
        .previous_end = load_le64(p + SEGMENT_PREVIOUS_END),
        .created_ms = (int64_t)load_le64(p + SEGMENT_CREATED),
    };
    return ERR_OK;
}

static uint32_t frame_crc(const struct wal_segment *s, uint64_t offset, const uint8_t *p,
                          size_t size)
{
    uint8_t place[36];
    store_le64(place, s->stream.epoch);
    store_le32(place + 8, s->stream.shard);
    store_le64(place + 12, s->number);
    store_le64(place + 20, s->salt);
    store_le64(place + 28, offset);
    const uint32_t crc = simd.crc32c(0, place, sizeof place);
    return simd.crc32c(crc, p + FRAME_SIZE, WAL_FRAME_HEADER_BYTES - FRAME_SIZE + size);
}

void wal_frame_seal(const struct wal_segment *s, uint64_t offset, const struct wal_frame *frame,
                    uint8_t *p)
{
    assert(frame->size % WAL_FRAME_ALIGN == 0 && offset % WAL_FRAME_ALIGN == 0);
    assert(frame->size <= WAL_FRAME_BYTES_MAX - WAL_FRAME_HEADER_BYTES);
    assert(frame->synced < frame->first_seq);
    const uint64_t back = frame->first_seq - frame->synced;
    const bool known = frame->synced > 0 && back < UINT32_MAX;
    store_le32(p + FRAME_SIZE, frame->size);
    store_le64(p + FRAME_FIRST_SEQ, frame->first_seq);
    store_le32(p + FRAME_SYNCED_BACK, known ? (uint32_t)back : UINT32_MAX);
    store_le32(p + FRAME_RECORDS, frame->records);
    store_le32(p + FRAME_CRC, frame_crc(s, offset, p, frame->size));
}

size_t wal_frame_measure(const uint8_t p[static WAL_FRAME_HEADER_BYTES], uint64_t seq_min)
{
    const uint32_t size = load_le32(p + FRAME_SIZE);
    const uint32_t back = load_le32(p + FRAME_SYNCED_BACK);
    const uint64_t first_seq = load_le64(p + FRAME_FIRST_SEQ);
    const uint32_t records = load_le32(p + FRAME_RECORDS);
    if (size % WAL_FRAME_ALIGN != 0 || size > WAL_FRAME_BYTES_MAX - WAL_FRAME_HEADER_BYTES ||
        first_seq == 0 || first_seq < seq_min || first_seq > UINT64_MAX / 2 || back == 0 ||
        records > size || (records == 0) != (size == 0) || (back != UINT32_MAX && back > first_seq))
        return 0;
    return WAL_FRAME_HEADER_BYTES + size;
}

bool wal_frame_load(const struct wal_segment *s, uint64_t offset, const uint8_t *p, size_t n,
                    struct wal_frame *out)
{
    if (n < WAL_FRAME_HEADER_BYTES || wal_frame_measure(p, 1) == 0)
        return false;
    const uint32_t size = load_le32(p + FRAME_SIZE);
    if (n - WAL_FRAME_HEADER_BYTES < size ||
        load_le32(p + FRAME_CRC) != frame_crc(s, offset, p, size))
        return false;
    const uint32_t back = load_le32(p + FRAME_SYNCED_BACK);
    const uint64_t first_seq = load_le64(p + FRAME_FIRST_SEQ);
    *out = (struct wal_frame){
        .size = size,
        .records = load_le32(p + FRAME_RECORDS),
        .first_seq = first_seq,
        .synced = back == UINT32_MAX ? 0 : first_seq - back,
    };
    return true;
}

void wal_segment_path(const char *dir, const struct wal_stream *stream, uint64_t number, char *out,
                      size_t n)
{
    const int size =
        snprintf(out, n, "%s/%016llx-%04x-%016llx.wal", dir, (unsigned long long)stream->epoch,
                 stream->shard, (unsigned long long)number);
    assert(size > 0 && (size_t)size < n); // dir's length is checked where the log is opened
}

// The number that count lower-case hex digits give.
static bool parse_hex(const char *p, size_t count, uint64_t *out)
{
    uint64_t v = 0;
    for (size_t i = 0; i < count; i++) {
        const bool digit = p[i] >= '0' && p[i] <= '9';
        if (!digit && !(p[i] >= 'a' && p[i] <= 'f'))
            return false;
        v = v << 4 | (uint64_t)(digit ? p[i] - '0' : p[i] - 'a' + 10);
    }
    *out = v;
    return true;
}

bool wal_segment_parse_name(struct str name, struct wal_stream *out_stream, uint64_t *out_number)
{
    uint64_t epoch, shard, number;
    if (name.n != NAME_BYTES || name.p[16] != '-' || name.p[21] != '-' ||
        !str_has_suffix(name, STR(".wal")) || !parse_hex(name.p, 16, &epoch) ||
        !parse_hex(name.p + 17, 4, &shard) || !parse_hex(name.p + 22, 16, &number))
        return false;
    *out_stream = (struct wal_stream){epoch, (uint32_t)shard};
    *out_number = number;
    return true;
}
