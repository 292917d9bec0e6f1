// What stands beside samples in the log and in files: exemplars of series, metadata of metric
// families. Each is a note, bytes that stand by themselves:
//
//   note      partition, varint; size and bytes of its key; then
//   exemplar  time, zigzag; value, 8 bytes; its labels to the end. The key: labels of its series
//   metadata  the run that took it, varint; type, a byte; size and bytes of help; unit to the end.
//             The key: the family's name. Of two the later run's counts, of one run the later
//
// Sizes are varints, labels as engine/model/labels.h encodes them.
#ifndef ENGINE_TSDB_NOTE_H
#define ENGINE_TSDB_NOTE_H

#include "engine/base/buf.h"
#include "engine/tsdb/tsdb_notes.h"

enum note_kind { NOTE_EXEMPLARS, NOTE_METADATA };
enum { NOTE_BYTES_MAX = 1280 * 1024 }; // labels of a series, and what an exemplar has

void note_put_exemplar(struct buf *out, uint32_t partition, const struct tsdb_exemplar *x);
void note_put_metadata(struct buf *out, uint32_t partition, uint64_t run,
                       const struct tsdb_metadata *m);
// The reverse, slices of the note. False: it is none, whatever its bytes are.
bool note_get_exemplar(struct str note, uint32_t *out_partition, struct tsdb_exemplar *out);
bool note_get_metadata(struct str note, uint32_t *out_partition, uint64_t *out_run,
                       struct tsdb_metadata *out);

uint32_t note_partition(struct str note);
// The order of notes in a file: by partition and key; exemplars then by time and bytes.
// 0: one of both is enough. Malformed ones come first.
int note_cmp(enum note_kind kind, struct str a, struct str b);

#endif
