// What was deleted of the series of one block file: times that it has, but does not show.
//
// Immutable once made, and counted, as readers look at it while another one takes its place. A
// series stands in one class: those of the same hidden times.
#ifndef ENGINE_TSDB_TOMBSTONES_H
#define ENGINE_TSDB_TOMBSTONES_H

#include <roaring/roaring.h>

#include "engine/base/arena.h"
#include "engine/base/buf.h"
#include "engine/model/storage.h"

struct tombstones;

struct hidden { // times, both included
    int64_t mint, maxt;
};

// From the bytes of tombstones_put() for a file of so many series; NULL: they are damaged.
struct tombstones *tombstones_parse(struct str bytes, uint64_t series);
void tombstones_put(const struct tombstones *t, struct buf *out); // NULL: nothing is hidden
// Hides one range more of some series, too. t may be NULL, and stays.
struct tombstones *tombstones_add(const struct tombstones *t, const roaring_bitmap_t *ids,
                                  struct hidden range);
struct tombstones *tombstones_ref(struct tombstones *t);
void tombstones_unref(struct tombstones *t); // NULL is accepted

// The times of a series that are hidden, ascending, with time between them; how many.
size_t tombstones_of(const struct tombstones *t, uint32_t id, const struct hidden **out);
// Whether all of them are.
bool tombstones_hide(const struct tombstones *t, uint32_t id, struct hidden all);
// Takes hidden samples out of a column; those that stay may be a copy in the arena. False: its
// limit is reached.
bool tombstones_apply(const struct tombstones *t, uint32_t id, struct arena *a, struct column *c);
uint64_t tombstones_series(const struct tombstones *t); // how many series have some

#endif
