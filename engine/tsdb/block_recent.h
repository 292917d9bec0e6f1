// Columns that a writer put out lately, for those that can be told beside one of them. Bounded: a
// newer one takes the place of an older. Used by block_writer.c alone.
#ifndef ENGINE_TSDB_BLOCK_RECENT_H
#define ENGINE_TSDB_BLOCK_RECENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/str.h"

struct block_place {
    uint32_t chunk, at, size; // of COLUMNS; in its value columns
};

struct block_recent_slot {
    uint64_t hash, begin; // begin: of its bytes, counted from the first ever
    struct block_place place;
};

struct block_recent { // all zero is empty
    struct block_recent_slot *slots;
    char *bytes;
    uint64_t end;
};

void block_recent_deinit(struct block_recent *r);
// The column that was added last under this hash; it stays until the next is added.
bool block_recent_find(const struct block_recent *r, uint64_t hash, struct block_place *out,
                       struct str *out_column);
// Under each of the hashes.
void block_recent_add(struct block_recent *r, const uint64_t *hashes, size_t n,
                      const struct block_place *place, struct str column);

#endif
