// What is known of metric families: the newest metadata of each, in memory.
#ifndef ENGINE_TSDB_FAMILIES_H
#define ENGINE_TSDB_FAMILIES_H

#include "engine/tsdb/id_table.h"
#include "engine/tsdb/tsdb_notes.h"

struct family_metadata;

struct families {
    struct family_metadata *items;
    size_t n, capacity;
    struct id_table by_name;
    uint64_t seq;  // of the last change
    uint64_t seed; // of hashes
};

enum families_outcome { FAMILIES_CHANGED, FAMILIES_SAME, FAMILIES_OLD, FAMILIES_FULL };

void families_deinit(struct families *f); // a zeroed struct is empty
// Keeps a copy, unless what is known is of a later run (the logs' epoch): FAMILIES_OLD.
enum families_outcome families_put(struct families *f, uint64_t run, const struct tsdb_metadata *m);
typedef void family_fn(void *arg, uint64_t run, const struct tsdb_metadata *m);
// Calls see() for those of from <= i < from + n that changed, or were told again, after seq. Where
// to go on; 0: these were the last.
size_t families_walk(const struct families *f, size_t from, size_t n, uint64_t seq, family_fn *see,
                     void *arg);

#endif
