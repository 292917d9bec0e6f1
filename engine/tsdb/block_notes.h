// The notes (note.h) of block files: in order, a chunk at a time.
#ifndef ENGINE_TSDB_BLOCK_NOTES_H
#define ENGINE_TSDB_BLOCK_NOTES_H

#include "engine/tsdb/block_file.h"
#include "engine/tsdb/note.h"

struct block_held;

// A walk over a file's notes of one kind.
struct block_notes {
    struct block_file *file;
    enum note_kind kind;
    uint32_t chunk; // the next one
    uint32_t left;  // notes of the present one
    struct block_held *held;
    const uint8_t *at;
};

struct block_notes block_notes_of(struct block_file *f, enum note_kind kind);
// The next note, good until the next call; p NULL: that was the last. Suspends.
err block_notes_next(struct block_notes *i, struct str *out, struct errmsg *e);
void block_notes_done(struct block_notes *i);

// From the first to the last time of the file's exemplars; INT64_MAX, INT64_MIN: it has none.
// Suspends.
err block_exemplar_times(struct block_file *f, int64_t *out_min, int64_t *out_max,
                         struct errmsg *e);

// Adds the notes of files[0..n), which come by ascending generation, to w: exemplars of the range
// that are newer than drop_t, each once, and of each family the metadata of the last file that has
// it. Suspends.
err block_notes_merge(struct block_file *const *files, size_t n, struct block_range range,
                      int64_t drop_t, struct block_writer *w, struct errmsg *e);

#endif
