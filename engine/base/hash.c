#include "engine/base/hash.h"

#include <xxhash.h>

uint64_t hash64(const void *p, size_t n, uint64_t seed)
{
    return XXH3_64bits_withSeed(p, n, seed);
}

struct hash128 hash128(const void *p, size_t n, uint64_t seed)
{
    const XXH128_hash_t h = XXH3_128bits_withSeed(p, n, seed);
    return (struct hash128){.lo = h.low64, .hi = h.high64};
}

uint64_t hash_fnv64a(const void *p, size_t n)
{
    const unsigned char *bytes = p;
    uint64_t h = 0xcbf29ce484222325u;
    for (size_t i = 0; i < n; i++)
        h = (h ^ bytes[i]) * 0x100000001b3u;
    return h;
}

uint64_t hash_xx64(const void *p, size_t n)
{
    return XXH64(p, n, 0);
}
