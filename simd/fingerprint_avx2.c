#define XXH_INLINE_ALL
#include <xxhash.h>

#include "simd/fingerprint.h"

struct hash128 fingerprint_avx2(const void *p, size_t n, const struct fingerprint_key *key)
{
    const XXH128_hash_t h =
        XXH3_128bits_withSecretandSeed(p, n, key->secret, sizeof key->secret, key->seed);
    return (struct hash128){.lo = h.low64, .hi = h.high64};
}
