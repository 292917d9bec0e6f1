// The records of frames back to rows. Frames come in the order of writing, their checksum is good;
// some may be missing.
//
// Input is not trusted beyond its checksum: whatever the bytes are, nothing is read outside of
// them, and memory is bounded by their size and by the cohorts they define.
#ifndef ENGINE_TSDB_WAL_DECODE_H
#define ENGINE_TSDB_WAL_DECODE_H

#include "engine/tsdb/wal_replay.h"

struct wal_decoder;

// Calls define and row of ops; rows below seq_min are decoded, as later ones build on them, but not
// handed over. seed: random, or equal for equal runs.
struct wal_decoder *wal_decoder_create(const struct wal_replay_ops *ops, void *arg,
                                       uint64_t seq_min, uint64_t seed);
void wal_decoder_destroy(struct wal_decoder *d);
void wal_decoder_begin(struct wal_decoder *d); // of a segment: forgets everything

// The records at p, frame->size bytes. An error is the handler's. out_bad: records that could not
// be understood; their cohorts are skipped up to the next absolute record. Suspends if ops do.
err wal_decoder_frame(struct wal_decoder *d, const struct wal_frame *frame, const uint8_t *p,
                      uint32_t *out_bad, struct errmsg *e);

struct wal_decoder_stats {
    uint64_t rows, samples; // handed over
    uint64_t rows_skipped;  // for a base or a definition that was lost
    size_t state_bytes;
};
const struct wal_decoder_stats *wal_decoder_stats(const struct wal_decoder *d);

#endif
