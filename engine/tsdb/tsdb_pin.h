// What a select holds on to until its set is released: used by tsdb_select.c, which makes it, by
// tsdb_query.c, which reads by it, and by tsdb_labels.c for the time of a question.
#ifndef ENGINE_TSDB_TSDB_PIN_H
#define ENGINE_TSDB_TSDB_PIN_H

#include "engine/tsdb/tsdb_part.h"

enum { PIECE_IN_MEMORY = UINT32_MAX };

struct piece {     // of a series
    uint32_t file; // index among the pin's, or PIECE_IN_MEMORY
    uint64_t id;   // in that file, or the reference
};

struct pin { // of a storage_set
    struct part *part;
    struct head_snapshot snapshot;
    int64_t complete_t;
    struct block_file **files; // by generation
    size_t files_n;
    // In the set's arena, by handle. Without files they are NULL, and handles are references.
    const struct piece *pieces;
    const uint32_t *firsts; // of each series, and one more
};

void pin_init(struct pin *pin, struct part *p, int64_t mint, int64_t maxt);
void pin_deinit(struct pin *pin);
int64_t pin_files_maxt(const struct pin *pin, int64_t maxt); // of what is asked of files
err pin_no_memory(struct errmsg *e);

// storage_ops.select.
err tsdb_select(void *self, const struct matcher *ms, size_t ms_count, int64_t mint, int64_t maxt,
                const struct storage_want *want, struct arena *a, struct storage_set *out,
                struct errmsg *e);
// Of storage_ops (tsdb_labels.c).
err tsdb_label_names(void *self, const struct matcher *ms, size_t ms_count, int64_t mint,
                     int64_t maxt, struct least *out, struct errmsg *e);
err tsdb_label_values(void *self, struct str name, const struct matcher *ms, size_t ms_count,
                      int64_t mint, int64_t maxt, struct least *out, struct errmsg *e);
err tsdb_series_labels_of(void *self, const struct matcher *ms, size_t ms_count, int64_t mint,
                          int64_t maxt, struct least *out, struct errmsg *e);

#endif
