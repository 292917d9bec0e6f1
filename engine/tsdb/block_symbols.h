// What a block writer remembers of labels until the file's index is written: names, label pairs,
// and tables by hash. Used by block_writer.c and block_index_writer.c.
#ifndef ENGINE_TSDB_BLOCK_SYMBOLS_H
#define ENGINE_TSDB_BLOCK_SYMBOLS_H

#include "engine/base/arena.h"
#include "engine/base/buf.h"

// Numbers by hash: walk = {0}; while (block_table_find(t, hash, &walk, &id)) compare what id names.
struct block_table { // zeroed is empty
    uint64_t *hashes;
    uint32_t *ids;
    size_t capacity, n; // capacity: a power of two
};

void block_table_deinit(struct block_table *t);
void block_table_reset(struct block_table *t); // empties, keeps the memory
bool block_table_find(const struct block_table *t, uint64_t hash, size_t *walk, uint32_t *out_id);
void block_table_add(struct block_table *t, uint64_t hash, uint32_t id); // Suspends.

struct block_pair {
    uint32_t name;
    struct str value;
};

struct block_symbols { // zeroed with text initialised is empty
    struct arena text;
    struct str *names;
    size_t names_n, names_capacity;
    struct block_pair *pairs;
    size_t pairs_n, pairs_capacity;
    struct block_table by_name, by_pair;
};

void block_symbols_init(struct block_symbols *s);
void block_symbols_deinit(struct block_symbols *s);
// The pair's number, in order of arrival. Suspends.
uint32_t block_symbols_pair(struct block_symbols *s, struct str name, struct str value);

// fiber_sort() of numbers: before(arg, a, b) never holds of a later and an earlier one. Suspends.
typedef bool block_before_fn(const void *arg, uint32_t a, uint32_t b);
void block_sort(uint32_t *items, size_t n, const void *arg, block_before_fn *before);
// The same for who may be canceled, or have a deadline: then false, and items are in no order.
bool block_sort_in_time(uint32_t *items, size_t n, const void *arg, block_before_fn *before);

#endif
