// Hashes: XXH3 by way of xxHash, keyed where input could be chosen to collide.
#ifndef ENGINE_BASE_HASH_H
#define ENGINE_BASE_HASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct hash128 {
    uint64_t lo, hi;
};

static inline bool hash128_eq(struct hash128 a, struct hash128 b)
{
    return a.lo == b.lo && a.hi == b.hi;
}

uint64_t hash64(const void *p, size_t n, uint64_t seed);        // XXH3 64
struct hash128 hash128(const void *p, size_t n, uint64_t seed); // XXH3 128
uint64_t hash_fnv64a(const void *p, size_t n);                  // FNV-1a, as Go's hash/fnv
uint64_t hash_xx64(const void *p, size_t n);                    // XXH64 seed 0, as Prometheus's

#endif
