// From a series as a sender spells it to where it lives: fingerprint of its raw label bytes ->
// owner and reference.
//
// Entries are numbered in the order in which they were put, which is the order in which senders
// send: whoever has found the entry of one series looks at the next number for the next series,
// and needs no look-up as long as senders repeat themselves.
//
// No step takes long, however many there are: entries stay where they are put, and slots that
// become too few are followed by others, which puts first clear and then fill, some at a time.
//
// Bounded: entries move between two tables; when the newer is full the older is dropped, so what
// was not used for a while is forgotten and found again by its labels.
#ifndef ENGINE_REMOTE_SERIES_CACHE_H
#define ENGINE_REMOTE_SERIES_CACHE_H

#include "engine/base/hash.h"

struct series_place {
    uint64_t ref;
    uint32_t owner;
    uint32_t labels_size; // of the raw bytes; 0: they are not one piece at a message's start
};

struct series_cache_entry {
    struct hash128 key;
    struct series_place place;
};

enum { SERIES_CACHE_BLOCK = 1024 };

struct series_cache {
    struct series_cache_table {
        struct series_cache_entry **blocks; // of SERIES_CACHE_BLOCK entries each
        uint64_t *slots;                    // upper half of a key and index + 1; 0: free
        uint64_t *before;                   // smaller slots, of the first entries; NULL: none
        uint64_t first;                     // number of the first entry
        size_t n, blocks_capacity, slots_size;
        size_t before_size, moving, moved; // of the first moving entries, moved are in slots
        uint64_t *next; // the larger slots that come when these are too few; NULL: not yet
        size_t cleared; // of next
    } young, old;
    size_t max; // entries of one table
};

static const uint64_t SERIES_CACHE_NONE = UINT64_MAX;

void series_cache_init(struct series_cache *c, size_t max);
void series_cache_deinit(struct series_cache *c);
void series_cache_age(struct series_cache *c); // forgets what was not asked for since the last time
// For looking up many: first the memory that says where the key's entry is, then the entry itself.
void series_cache_prefetch(const struct series_cache *c, struct hash128 key);
void series_cache_prefetch_entry(const struct series_cache *c, struct hash128 key);
// The number of key's entry, or SERIES_CACHE_NONE.
uint64_t series_cache_find(struct series_cache *c, struct hash128 key, struct series_place *out);
void series_cache_put(struct series_cache *c, struct hash128 key, const struct series_place *place);
// Keeps an entry that is used by its number.
void series_cache_use(struct series_cache *c, uint64_t number);

static inline struct series_cache_entry *series_cache_entry_at(const struct series_cache_table *t,
                                                               size_t index)
{
    return &t->blocks[index / SERIES_CACHE_BLOCK][index % SERIES_CACHE_BLOCK];
}

// The entry of a number; NULL: there is none, or no more. Good until the next put, find or use.
static inline const struct series_cache_entry *series_cache_at(const struct series_cache *c,
                                                               uint64_t number)
{
    if (number - c->young.first < c->young.n)
        return series_cache_entry_at(&c->young, number - c->young.first);
    if (number - c->old.first < c->old.n)
        return series_cache_entry_at(&c->old, number - c->old.first);
    return NULL;
}

#endif
