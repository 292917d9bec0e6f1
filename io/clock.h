// Time and randomness, as the current loop's world has them.
#ifndef IO_CLOCK_H
#define IO_CLOCK_H

#include <stddef.h>
#include <stdint.h>

struct rng;

int64_t clock_mono_ns(void); // loop time: never goes back; asked of the system at each call
int64_t clock_turn_ns(void); // loop time at the start of this turn: free
int64_t clock_wall_ms(void); // Unix time: may step
void random_bytes(void *p, size_t n); // from the kernel: for secrets and seeds
struct rng *loop_rng(void);           // seeded, of the current loop: for jitter

#endif
