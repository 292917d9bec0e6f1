#include <string.h>

#include "simd/simd.h"
#include "tests/simd/check.h"

enum { LENGTHS = 1400, LABELS = 128, LABELS_MANY = 520 };

static void time_at(fingerprint_fn *now, const struct fingerprint_key *key, size_t n)
{
    uint8_t *p = check_bytes(n);
    memset(p, 'x', n);
    volatile uint64_t sink = 0;
    for (struct check_timer t = check_timed((double)n); check_more(&t);)
        sink = now(p, n, key).lo;
    (void)sink;
    check_release();
}

// The library's own function, with the seed alone, is what all are compared with.
void check_fingerprint(void)
{
    fingerprint_fn *ref = (fingerprint_fn *)check_func((any_fn *)simd.fingerprint, "fingerprint");
    if (!ref)
        return;
    struct fingerprint_key key;
    fingerprint_key_init(&key, check_random());
    for (size_t n = 0; n <= LENGTHS; n++) {
        uint8_t *p = check_bytes(n);
        for (size_t i = 0; i < n; i++)
            p[i] = (uint8_t)check_random();
        const struct hash128 got = simd.fingerprint(p, n, &key);
        if (!hash128_eq(got, hash128(p, n, key.seed)) || !hash128_eq(got, ref(p, n, &key)))
            check_fail("n %zu: got %#llx", n, (unsigned long long)got.lo);
        check_release();
    }
    time_at(simd.fingerprint, &key, LABELS);
    time_at(simd.fingerprint, &key, LABELS_MANY);
}
