// 128-bit fingerprints of bytes as they were sent: XXH3 with a key that is prepared once. They are
// never stored, so they may change with a version of the library.
#ifndef SIMD_FINGERPRINT_H
#define SIMD_FINGERPRINT_H

#include "engine/base/hash.h"

enum { FINGERPRINT_SECRET = 192 };

struct fingerprint_key {
    uint64_t seed;
    uint8_t secret[FINGERPRINT_SECRET]; // for long input
};

void fingerprint_key_init(struct fingerprint_key *key, uint64_t seed);

typedef struct hash128 fingerprint_fn(const void *p, size_t n, const struct fingerprint_key *key);

fingerprint_fn fingerprint_c, fingerprint_avx2;

#endif
