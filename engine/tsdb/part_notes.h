// The exemplars and metadata of a part, as its other pieces see them.
#ifndef ENGINE_TSDB_PART_NOTES_H
#define ENGINE_TSDB_PART_NOTES_H

#include "engine/tsdb/tsdb_part.h"

void part_notes_init(struct part *p);
void part_notes_deinit(struct part *p);
err part_load_metadata(struct part *p, struct errmsg *e); // from the files. Suspends.
unsigned part_note_owner(const struct tsdb *db, struct str note);
void part_replay_note(struct part *p, enum note_kind kind, struct str note); // on the owner
// What came since the last spill, for the newest file of this one. All but the last suspend.
struct part_notes {
    struct part *part;
    struct arena arena;
    struct buf one;
    struct {
        struct str *notes;
        size_t n, capacity;
    } kind[NOTE_METADATA + 1];
    uint64_t exemplars_seq, metadata_seq;
};
void part_notes_begin(struct part_notes *s, struct part *p);
bool part_notes_is_empty(const struct part_notes *s);
err part_notes_write(struct part_notes *s, struct block_writer *w, struct errmsg *e);
void part_notes_end(struct part_notes *s, bool written);

#endif
