// Checks every version of every kernel against its C reference, and times it with --bench.
//
// The program climbs the ladder of ISAs up to --mask; on each rung every check runs. A check asks
// check_func() for each kernel it covers: the first pointer seen under a name (the table at SIMD_C)
// is the reference, a pointer seen before is skipped, a new one is compared.
#ifndef TESTS_SIMD_CHECK_H
#define TESTS_SIMD_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef void check_fn(void);
check_fn check_crc32c, check_decimal, check_fingerprint, check_packed, check_scan, check_snappy;

typedef void any_fn(void);

// The reference to compare with, or NULL: nothing new on this rung. The reference is first compared
// with itself, which runs the check's known answers.
any_fn *check_func(any_fn *now, const char *name);
void check_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
uint64_t check_random(void);

// n bytes that end at an unmapped page (a read past the end is a crash) and begin behind another
// one when n is a multiple of the page size. They live until check_release().
uint8_t *check_bytes(size_t n);
void check_release(void); // all that check_bytes() gave

// for (struct check_timer t = check_timed(per_call); check_more(&t);) kernel(...);
// items: how many values (bytes, ...) a call works on; the report is in ns per call and per item.
struct check_timer {
    uint64_t start_ns, left;
    double items;
};
struct check_timer check_timed(double items);
bool check_more(struct check_timer *t);

#endif
