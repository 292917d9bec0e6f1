#include <string.h>

#include "simd/simd.h"
#include "tests/simd/check.h"

enum { LENGTHS = 200, SIZE = 4096 };

static const char specials[] = "\n\0\"\\\x1f\x80\xff\x7f ";

typedef size_t scan_fn(const char *p, size_t n); // scan_line and scan_plain

// One special byte at each place of each length, then noise.
static void compare_scans(scan_fn *ref, scan_fn *now)
{
    for (size_t n = 0; n <= LENGTHS; n++) {
        char *p = (char *)check_bytes(n);
        memset(p, 'x', n);
        for (size_t at = 0; at < n; at++) {
            p[at] = specials[check_random() % (sizeof specials - 1)];
            if (now(p, n) != ref(p, n))
                check_fail("n %zu, byte %#x at %zu: got %zu, want %zu", n, (unsigned char)p[at], at,
                           now(p, n), ref(p, n));
            p[at] = 'x';
        }
        for (size_t i = 0; i < n; i++)
            p[i] = (char)(check_random() % 16 ? 'a' : (int)(check_random() & 0xff));
        if (now(p, n) != ref(p, n))
            check_fail("n %zu, noise: got %zu, want %zu", n, now(p, n), ref(p, n));
        check_release();
    }
}

static void time_scan(scan_fn *now)
{
    char *p = (char *)check_bytes(SIZE);
    memset(p, 'x', SIZE);
    volatile size_t sink = 0;
    for (struct check_timer t = check_timed(SIZE); check_more(&t);)
        sink = now(p, SIZE);
    (void)sink;
    check_release();
}

static void check_mismatch(scan_mismatch_fn *ref, scan_mismatch_fn *now)
{
    for (size_t n = 0; n <= LENGTHS; n++) {
        char *a = (char *)check_bytes(n), *b = (char *)check_bytes(n);
        for (size_t i = 0; i < n; i++)
            a[i] = b[i] = (char)check_random();
        for (size_t at = 0; at <= n; at++) {
            if (at < n)
                b[at] = (char)(b[at] ^ 1 << check_random() % 8);
            if (now(a, b, n) != ref(a, b, n) || ref(a, b, n) != at)
                check_fail("n %zu: got %zu, want %zu", n, now(a, b, n), at);
            if (at < n)
                b[at] = a[at];
        }
        check_release();
    }
    char *a = (char *)check_bytes(SIZE), *b = (char *)check_bytes(SIZE);
    memset(a, 'x', SIZE);
    memset(b, 'x', SIZE);
    volatile size_t sink = 0;
    for (struct check_timer t = check_timed(SIZE); check_more(&t);)
        sink = now(a, b, SIZE);
    (void)sink;
    check_release();
}

void check_scan(void)
{
    scan_fn *ref = (scan_fn *)check_func((any_fn *)simd.scan_line, "scan_line");
    if (ref) {
        compare_scans(ref, simd.scan_line);
        time_scan(simd.scan_line);
    }
    ref = (scan_fn *)check_func((any_fn *)simd.scan_plain, "scan_plain");
    if (ref) {
        compare_scans(ref, simd.scan_plain);
        time_scan(simd.scan_plain);
    }
    scan_mismatch_fn *mismatch =
        (scan_mismatch_fn *)check_func((any_fn *)simd.scan_mismatch, "scan_mismatch");
    if (mismatch)
        check_mismatch(mismatch, simd.scan_mismatch);
}
