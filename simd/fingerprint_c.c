#include <assert.h>

#define XXH_INLINE_ALL
#define XXH_VECTOR XXH_SCALAR
#include <xxhash.h>

#include "simd/fingerprint.h"

static_assert(FINGERPRINT_SECRET == XXH3_SECRET_DEFAULT_SIZE, "what XXH3 makes of a seed");

void fingerprint_key_init(struct fingerprint_key *key, uint64_t seed)
{
    key->seed = seed;
    XXH3_generateSecret_fromSeed(key->secret, seed);
}

struct hash128 fingerprint_c(const void *p, size_t n, const struct fingerprint_key *key)
{
    const XXH128_hash_t h =
        XXH3_128bits_withSecretandSeed(p, n, key->secret, sizeof key->secret, key->seed);
    return (struct hash128){.lo = h.low64, .hi = h.high64};
}
