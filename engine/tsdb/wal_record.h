// What the log is made of: rows, streams, marks, and the headers of segments and frames.
//
// The layout is described at the top of wal_record.c; wal_encode.h and wal_decode.h turn rows into
// bytes and back. No input or output in any of these.
#ifndef ENGINE_TSDB_WAL_RECORD_H
#define ENGINE_TSDB_WAL_RECORD_H

#include "engine/base/buf.h"
#include "engine/base/err.h"

struct wal_stream { // what one shard wrote in one run
    uint64_t epoch; // of the run: the catalogue counts them
    uint32_t shard;
};

struct wal_mark { // where replay of a stream begins
    struct wal_stream stream;
    uint64_t segment; // the first one that is needed
    uint64_t seq;     // rows below it are not
};

enum {
    WAL_ROW_LATE = 1, // times may be older than the cohort's last; does not become a delta's base
};

struct wal_row {
    uint32_t cohort; // the shard's own number: small, reused after wal_forget()
    uint32_t flags;
    int64_t t_ms;
    const uint32_t *members; // indexes within the cohort, ascending; NULL: 0..n-1
    const uint64_t *bits;    // of the doubles
    // NULL: it is a row of floats; else packed histograms (engine/model/histogram.h) in their
    // place.
    const struct str *histograms;
    const int64_t *starts; // start timestamps, 0: none. NULL: none at all
    // Of a row with the members that the cohort's row before had: the indices, ascending, of those
    // whose bits may be others. NULL: any.
    const uint32_t *changed;
    uint32_t changed_n;
    uint32_t n;            // 0: nothing is written
};

enum {
    WAL_FORMAT = 2,
    WAL_LABELS_BYTES_MAX = 1 << 20, // of one series: the head refuses larger ones before
    WAL_MEMBERS_MAX = 1 << 24,      // of a cohort
    WAL_COHORTS_MAX = 1 << 24,      // their numbers are below
    WAL_SEGMENT_HEADER_BYTES = 128,
    WAL_FRAME_HEADER_BYTES = 24,
    WAL_FRAME_ALIGN = 8,
    WAL_FRAME_BYTES_MAX = 2 << 20, // header and records
};

enum wal_record_type { // low four bits of a record's first byte; flags above
    WAL_RECORD_DEFINE = 1,
    WAL_RECORD_ROW = 2,
    WAL_RECORD_HISTOGRAMS = 3,
    // Reserved, refused by this version: 4, 6 tombstones.
    WAL_RECORD_EXEMPLARS = 5,
    WAL_RECORD_METADATA = 7,
    WAL_RECORD_ROW_STARTS = 8,
};
enum wal_histograms_flag {
    WAL_HISTOGRAMS_LATE = 0x10,
    WAL_HISTOGRAMS_STARTS = 0x20,
};
enum wal_define_flag {
    WAL_DEFINE_NEW = 0x10,
};
enum wal_row_flag {
    WAL_FLAG_LATE = 0x10,
    WAL_FLAG_ABSOLUTE = 0x20,
    WAL_FLAG_PRESENCE = 0xc0, // one of:
    WAL_PRESENCE_FULL = 0x00, // every defined member
    WAL_PRESENCE_SHAPE = 0x40,
    WAL_PRESENCE_NEW_SHAPE = 0x80,
    WAL_PRESENCE_ONCE = 0xc0,
};
enum { // of a cohort, between two absolute records; both sides drop them there
    WAL_SHAPES_MAX = 32,
    WAL_ROW_MEMBERS_MAX = 16384, // of one record: larger rows are several
};

// Who knows what a cohort and its members are. Called inside wal_append(); does not suspend.
struct wal_cohort_info {
    uint32_t partition;
    uint64_t source; // the hint that tsdb_series() got: replay groups series by it again
};
struct wal_source {
    void (*cohort)(void *arg, uint32_t cohort, struct wal_cohort_info *out);
    // Labels of a member, valid until the next call; empty: the member is gone, only its index is
    // left.
    struct str (*member)(void *arg, uint32_t cohort, uint32_t member);
    void *arg;
};

// A segment stands by itself: everything its rows need is defined in it.
struct wal_segment {
    struct wal_stream stream;
    uint64_t number;    // within the stream, from 1
    uint64_t salt;      // random: frames of other segments, or forged ones, fail their checksum
    uint64_t first_seq; // of its first record
    uint64_t synced;    // highest sequence known to be synced when the header was written; 0: none
    uint64_t previous_end; // bytes of the segment before it that hold; 0: it is the first
    int64_t created_ms;
};
void wal_segment_store(const struct wal_segment *s, uint8_t out[static WAL_SEGMENT_HEADER_BYTES]);
// ERR_INVALID: a newer format; ERR_CORRUPT: not a header of ours, or damaged.
err wal_segment_load(const uint8_t *p, size_t n, struct wal_segment *out, struct errmsg *e);

struct wal_frame {
    uint32_t size;      // of the records, with their padding
    uint32_t records;   // sequences first_seq, first_seq + 1, ...
    uint64_t first_seq; // of a frame without records: the next one's
    uint64_t synced;    // as in struct wal_segment
};
// Fills in the header in front of frame->size bytes of records, at offset of segment s.
void wal_frame_seal(const struct wal_segment *s, uint64_t offset, const struct wal_frame *frame,
                    uint8_t *p);
// Bytes the frame at p would take, by its header alone; 0: no frame begins here.
size_t wal_frame_measure(const uint8_t p[static WAL_FRAME_HEADER_BYTES], uint64_t seq_min);
// Whether the frame at p, of which all bytes are there, is one of segment s at offset.
bool wal_frame_load(const struct wal_segment *s, uint64_t offset, const uint8_t *p, size_t n,
                    struct wal_frame *out);

// Names of segment files: <epoch>-<shard>-<number>.wal, in hex. n bytes at out, ended by NUL.
void wal_segment_path(const char *dir, const struct wal_stream *stream, uint64_t number, char *out,
                      size_t n);
bool wal_segment_parse_name(struct str name, struct wal_stream *out_stream, uint64_t *out_number);

#endif
