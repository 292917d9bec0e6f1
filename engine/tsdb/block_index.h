// The index of a block file while it is being written: label sets, tuples, series, and at the end
// the bytes of their sections. Used by block_writer.c alone.
#ifndef ENGINE_TSDB_BLOCK_INDEX_H
#define ENGINE_TSDB_BLOCK_INDEX_H

#include "engine/tsdb/block_sink.h"
#include "engine/tsdb/block_symbols.h"

struct block_tuple {
    uint32_t partition;
    struct str labels; // in the symbols' arena
    size_t pairs_at, pairs_n;
};

struct block_set {
    size_t pairs_end, series_end; // of block_index.pairs and .series; they begin where the set
};                                // before ends

struct block_index {
    struct block_symbols symbols;
    uint32_t *set_pairs, *tuple_pairs; // by order of arrival
    size_t set_pairs_n, set_pairs_capacity, tuple_pairs_n, tuple_pairs_capacity;
    struct block_set *sets; // in the file's order
    size_t sets_n, sets_capacity;
    uint32_t *series; // of each its tuple, in the file's order
    size_t series_n, series_capacity;
    struct block_tuple *tuples; // by order of arrival
    size_t tuples_n, tuples_capacity;
    struct block_table by_tuple;
};

void block_index_init(struct block_index *ix);
void block_index_deinit(struct block_index *ix);
// The tuple's number, by order of arrival. Suspends.
uint32_t block_index_tuple(struct block_index *ix, uint32_t partition, struct str labels);
// Whether tuple a comes before tuple b in the file.
bool block_index_tuple_before(const struct block_index *ix, uint32_t a, uint32_t b);
// The next set of the file; series that follow are its own. Suspends.
void block_index_add_set(struct block_index *ix, struct str labels);
void block_index_add_series(struct block_index *ix, uint32_t tuple);
// NAMES, PAIRS, SETS, TUPLES, SERIES, POSTINGS. Suspends.
err block_index_write(struct block_index *ix, struct block_sink *sink, struct errmsg *e);

#endif
