// The catalogue's content and its bytes: records to state and back. No input or output.
//
// The layout is described at the top of catalogue_log.c.
#ifndef ENGINE_TSDB_CATALOGUE_LOG_H
#define ENGINE_TSDB_CATALOGUE_LOG_H

#include "engine/base/buf.h"
#include "engine/tsdb/catalogue.h"

enum {
    CATALOGUE_HEADER_BYTES = 32,
    CATALOGUE_RECORD_BYTES_MAX = 64 << 20,
    CATALOGUE_LABELS_BYTES_MAX = 4096,
    CATALOGUE_HIDDEN_BYTES_MAX = 32 << 20, // tombstones and deletions in all
};

struct catalogue_state { // zeroed is empty
    uint32_t partitions, spread;
    uint64_t hash_seed, epoch;
    struct buf placement_labels;
    uint64_t next_id;
    uint64_t seq;                 // of the last record
    struct catalogue_file *files; // ascending by id
    size_t files_count, files_capacity;
    struct wal_mark *marks; // ascending by stream
    size_t marks_count, marks_capacity;
    struct wal_stream *done; // whose files may still be there
    size_t done_count, done_capacity;
    struct catalogue_tombstones *tombstones; // ascending by id; bytes are the state's
    size_t tombstones_count, tombstones_capacity;
    uint64_t tombstones_bytes;
    struct catalogue_deletion *deletions; // ascending by stream and sequence; likewise
    size_t deletions_count, deletions_capacity;
};

void catalogue_state_deinit(struct catalogue_state *s);
struct str catalogue_state_tombstones(const struct catalogue_state *s, uint64_t id);
bool catalogue_state_has(const struct catalogue_state *s, uint64_t id); // a live file
// Whether the change fits the state: ERR_INVALID names what does not.
err catalogue_state_check(const struct catalogue_state *s, const struct catalogue_change *change,
                          struct errmsg *e);
void catalogue_state_apply(struct catalogue_state *s, const struct catalogue_change *change);

// Appended to out: the header of a log and one record that holds the whole state, with s->seq; or
// the record of a change, with s->seq + 1.
void catalogue_put_checkpoint(const struct catalogue_state *s, struct buf *out);
void catalogue_put_change(const struct catalogue_state *s, const struct catalogue_change *change,
                          struct buf *out);

// A whole log. *out_end: where its last good record ends; what follows is the tail of a write that
// was cut. ERR_INVALID: not ours, or a newer format; ERR_CORRUPT: damaged before its end. s is
// empty before, and to be deinitialised also after an error.
err catalogue_load(struct str bytes, struct catalogue_state *s, size_t *out_end, struct errmsg *e);

#endif
