// The newest exemplars of one shard's series, in memory: a ring, as Prometheus's exemplar storage.
//
// The ring holds at most so many; a new one takes the place of the oldest. Those that were written
// to a file stay until then: queries see both, and pass over the copies.
#ifndef ENGINE_TSDB_EXEMPLARS_H
#define ENGINE_TSDB_EXEMPLARS_H

#include "engine/tsdb/id_table.h"
#include "engine/tsdb/tsdb_notes.h"

struct exemplar_series;
struct exemplar_slot;

struct exemplars {
    struct exemplar_slot *slots;    // a ring of max
    uint32_t max, at, n;            // at: where the next goes
    bool is_off;                    // what there is stays, but nothing is taken
    uint32_t wanted;                // the owner's: what max is to be, once that much is in files
    struct exemplar_series *series; // those without a slot are free
    uint32_t *free;
    size_t series_n, series_capacity, free_n, free_capacity;
    struct id_table by_labels;
    uint64_t seq;  // of the newest
    uint64_t seed; // of hashes
};

void exemplars_deinit(struct exemplars *x); // a zeroed struct is empty, and takes nothing
// Keeps the newest of them. max 0: nothing is taken.
void exemplars_set_max(struct exemplars *x, uint32_t max);
// As Prometheus judges: against the series' newest.
enum tsdb_exemplar_outcome exemplars_judge(const struct exemplars *x,
                                           const struct tsdb_exemplar *e);
// Judges, and keeps a copy of what is good.
enum tsdb_exemplar_outcome exemplars_add(struct exemplars *x, const struct tsdb_exemplar *e);
// Calls see() for those of series from <= i < from + n that are newer than seq, in the order they
// were added. Where to go on; 0: these were the last.
typedef void exemplar_fn(void *arg, const struct tsdb_exemplar *e);
size_t exemplars_walk(const struct exemplars *x, size_t from, size_t n, uint64_t seq,
                      exemplar_fn *see, void *arg);

#endif
