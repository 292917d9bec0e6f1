// Byte scans over text that was received. Inputs need no alignment or padding: no version reads
// outside p[0, n).
#ifndef SIMD_SCAN_H
#define SIMD_SCAN_H

#include <stddef.h>

// Index of the first newline or NUL byte in p[0, n), or n.
typedef size_t scan_line_fn(const char *p, size_t n);
// Index of the first byte that has a meaning within quotes, or n: a quote, a backslash, a control
// character (below 0x20), a byte of UTF-8 beyond ASCII (from 0x80 up).
typedef size_t scan_plain_fn(const char *p, size_t n);
// Index of the first byte in which a[0, n) and b[0, n) differ, or n.
typedef size_t scan_mismatch_fn(const char *a, const char *b, size_t n);

scan_line_fn scan_line_c, scan_line_sse42, scan_line_avx2;
scan_plain_fn scan_plain_c, scan_plain_sse42, scan_plain_avx2;
scan_mismatch_fn scan_mismatch_c, scan_mismatch_sse42, scan_mismatch_avx2;

#endif
