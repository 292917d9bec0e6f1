// The labels of the active series of one shard, each piece stored once, and the index over them.
//
// A pair is an interned (name, value); a label set is an interned, by name sorted list of pairs. A
// series has two sets: a tuple (what is the same for all series of its target) and a local set
// (the rest, metric name included); which labels lie where is only an encoding. The index maps a
// pair to the sets that have it, and each set heads the list of its series: so its size follows the
// number of distinct sets, not of series times labels.
#ifndef ENGINE_TSDB_LABEL_STORE_H
#define ENGINE_TSDB_LABEL_STORE_H

#include "engine/base/buf.h"
#include "engine/base/str.h"
#include "engine/tsdb/id_list.h"
#include "engine/tsdb/id_table.h"
#include "engine/tsdb/pair_order.h"
#include "engine/tsdb/posting.h"

enum { LABEL_NONE = ID_TABLE_NONE, LABEL_SET_TUPLE = 0x40000000, LABEL_CHUNK = 1024 };

struct label_pair {
    const char *value;
    uint32_t value_n;
    uint32_t name; // index of the name
    uint32_t sets; // how many sets have it
    struct posting in;
};

struct label_name {
    struct str text;
    struct pair_order pairs;
};

struct label_set {
    uint32_t series; // how many
    uint32_t first;  // of the list of series; LABEL_NONE: empty
    uint32_t n;
    uint32_t pairs[]; // n, sorted by name
};

struct label_store {
    uint64_t seed;
    struct label_name *names;
    size_t names_n, names_capacity;
    struct id_table name_ids;
    struct label_pair **pairs; // chunks: a copy of all would take long
    size_t pairs_n, pairs_chunks, pairs_capacity;
    uint64_t pairs_removed; // counted up: then ids of pairs may mean others
    struct id_table pair_ids;
    // Chunks of local sets, tuples; an id has LABEL_SET_TUPLE for the second kind.
    struct label_set ***sets[2];
    size_t sets_n[2], sets_chunks[2], sets_capacity[2];
    struct id_table set_ids[2];
    struct id_list free_pairs, free_sets[2]; // ids to use again
    size_t bytes;                            // of texts and sets
};

void label_store_init(struct label_store *s, uint64_t seed);
void label_store_deinit(struct label_store *s); // Suspends, on a fiber.

uint32_t label_store_name(struct label_store *s, struct str name);            // finds or makes
uint32_t label_store_find_name(const struct label_store *s, struct str name); // or LABEL_NONE
uint32_t label_store_find_pair(const struct label_store *s, uint32_t name, struct str value);
// Finds or makes; a pair that no set came to have is dropped by label_store_trim_pair().
uint32_t label_store_pair(struct label_store *s, uint32_t name, struct str value);
void label_store_trim_pair(struct label_store *s, uint32_t pair);
// Finds or makes the set of these pairs, which are sorted by name.
uint32_t label_store_set(struct label_store *s, bool tuple, const uint32_t *pairs, size_t n);
void label_store_drop_set(struct label_store *s, uint32_t id); // it has no series
struct label_set *label_store_set_at(const struct label_store *s, uint32_t id);

// Appends the labels of (tuple, local) in the encoding of engine/model/labels.h.
void label_store_encode(const struct label_store *s, uint32_t tuple, uint32_t local,
                        struct buf *out);
// The labels of one set alone.
void label_store_encode_set(const struct label_store *s, uint32_t set, struct buf *out);
// The pair of a name in a series' sets, or LABEL_NONE.
uint32_t label_store_pair_of(const struct label_store *s, uint32_t tuple, uint32_t local,
                             uint32_t name);

static inline struct label_pair *label_pair_at(const struct label_store *s, uint32_t id)
{
    return &s->pairs[id / LABEL_CHUNK][id % LABEL_CHUNK];
}

static inline struct str label_pair_value(const struct label_pair *p)
{
    return (struct str){p->value, p->value_n};
}

#endif
