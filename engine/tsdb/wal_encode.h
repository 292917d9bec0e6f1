// Rows to the bytes of a segment: frames, sealed, ready to be written at their offset.
//
// The encoder keeps what it last wrote of each cohort (9 bytes a member). Rows that will not be
// written after all must be followed by wal_encoder_begin(): what came after them builds on them.
#ifndef ENGINE_TSDB_WAL_ENCODE_H
#define ENGINE_TSDB_WAL_ENCODE_H

#include "engine/tsdb/wal_record.h"

struct wal_encoder;

struct wal_encoder *wal_encoder_create(const struct wal_source *source);
void wal_encoder_destroy(struct wal_encoder *enc);

// The records from now on belong to this segment, from offset on: each cohort is defined anew. The
// next sequence is segment->first_seq. Nothing may be waiting to be taken.
void wal_encoder_begin(struct wal_encoder *enc, const struct wal_segment *segment, uint64_t offset);
// Appends rows; at least one begin before. The members of a row are ascending, its labels at most
// WAL_LABELS_BYTES_MAX.
void wal_encode(struct wal_encoder *enc, const struct wal_row *rows, size_t n);
// Appends notes of a type that has such, each of at most NOTE_BYTES_MAX.
void wal_encode_notes(struct wal_encoder *enc, enum wal_record_type type, const struct str *notes,
                      size_t n);
// Appends a frame without records: the stream ends here.
void wal_encode_end(struct wal_encoder *enc);
void wal_encoder_forget(struct wal_encoder *enc, uint32_t cohort);
// Written into the frames that are sealed from now on.
void wal_encoder_set_synced(struct wal_encoder *enc, uint64_t seq);

// Seals the open frame and gives all bytes so far; out's memory is taken in exchange. The offset of
// the first byte.
uint64_t wal_encoder_take(struct wal_encoder *enc, struct buf *out);
size_t wal_encoder_pending(const struct wal_encoder *enc); // bytes to take
uint64_t wal_encoder_next_seq(const struct wal_encoder *enc);
uint64_t wal_encoder_next_offset(const struct wal_encoder *enc); // after what is pending

struct wal_encoder_stats {
    uint64_t bytes, records, rows, samples; // bytes: of records
    uint64_t definitions, definition_bytes; // of series, at first use in a segment
    uint64_t repeated_bytes;                // of definitions that came once more
    size_t cohorts, state_bytes;
};
const struct wal_encoder_stats *wal_encoder_stats(const struct wal_encoder *enc);

#endif
