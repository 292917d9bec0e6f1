// A seeded generator (xoshiro256**, Blackman and Vigna 2018): jitter, tests, the simulator. Not for
// secrets: io/random.h asks the kernel.
#ifndef ENGINE_BASE_RNG_H
#define ENGINE_BASE_RNG_H

#include <stdint.h>

struct rng {
    uint64_t s[4];
};

void rng_init(struct rng *r, uint64_t seed);
uint64_t rng_u64(struct rng *r);
uint64_t rng_below(struct rng *r, uint64_t bound); // 0 <= result < bound, bound > 0
double rng_double(struct rng *r);                  // 0 <= result < 1

#endif
