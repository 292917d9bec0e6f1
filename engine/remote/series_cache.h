// From a series as a sender spells it to where it lives: hash of its raw label bytes -> owner and
// reference.
//
// Bounded: entries move between two tables; when the newer is full the older is dropped, so what
// was not used for a while is forgotten and found again by its labels.
#ifndef ENGINE_REMOTE_SERIES_CACHE_H
#define ENGINE_REMOTE_SERIES_CACHE_H

#include "engine/base/hash.h"

struct series_place {
    uint64_t ref;
    uint32_t owner;
};

struct series_cache {
    struct series_cache_table {
        struct series_cache_entry *entries; // NULL: none yet
        size_t size, n;
    } young, old;
    size_t max; // entries of one table
};

void series_cache_init(struct series_cache *c, size_t max);
void series_cache_deinit(struct series_cache *c);
bool series_cache_get(struct series_cache *c, struct hash128 key, struct series_place *out);
void series_cache_put(struct series_cache *c, struct hash128 key, const struct series_place *place);

#endif
