// Sets of numbers below a limit, as bits: label pairs, sets or tuples of a block file. In an arena.
#ifndef ENGINE_TSDB_BLOCK_BITMAP_H
#define ENGINE_TSDB_BLOCK_BITMAP_H

#include <stdint.h>

#include "engine/base/arena.h"

struct bitmap {
    uint64_t *words; // of n / 64 + 1
    size_t n;        // bits
    bool is_any;     // some bit was set by bitmap_set_run
};

// Of n bits, all set or none; false: the arena's limit was met.
bool bitmap_init(struct bitmap *b, struct arena *a, size_t n, bool full);
void bitmap_clear(struct bitmap *b);
void bitmap_set_run(struct bitmap *b, size_t from, size_t length);
// Keeps the bits that other has too, or, negated, those that it does not have; both have n bits.
void bitmap_keep(struct bitmap *b, const struct bitmap *other, bool negated);
size_t bitmap_count(const struct bitmap *b); // bits that are set
// The first bit set at or behind from; end: there is none before it.
uint32_t bitmap_next(const struct bitmap *b, uint32_t from, uint32_t end);

static inline bool bitmap_has(const struct bitmap *b, uint32_t i)
{
    return b->words[i / 64] >> (i % 64) & 1;
}

#endif
