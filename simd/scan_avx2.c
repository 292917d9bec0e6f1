#include <limits.h>
#include <simde/x86/avx2.h>

#include "simd/scan.h"

enum { WIDTH = 32 };

static simde__m256i load(const char *p)
{
    return simde_mm256_loadu_si256((const simde__m256i *)(const void *)p);
}

static unsigned line_hits(const char *p)
{
    const simde__m256i bytes = load(p);
    const simde__m256i eol = simde_mm256_cmpeq_epi8(bytes, simde_mm256_set1_epi8('\n'));
    const simde__m256i nul = simde_mm256_cmpeq_epi8(bytes, simde_mm256_setzero_si256());
    return (unsigned)simde_mm256_movemask_epi8(simde_mm256_or_si256(eol, nul));
}

size_t scan_line_avx2(const char *p, size_t n)
{
    if (n < WIDTH)
        return scan_line_sse42(p, n);
    for (size_t i = 0;; i += WIDTH) {
        i = i + WIDTH <= n ? i : n - WIDTH; // the last window overlaps what held nothing
        const unsigned hits = line_hits(p + i);
        if (hits)
            return i + (size_t)__builtin_ctz(hits);
        if (i + WIDTH == n)
            return n;
    }
}

// Signed comparison: bytes from 0x80 up are below the blank too.
static unsigned plain_hits(const char *p)
{
    const simde__m256i bytes = load(p);
    const simde__m256i low = simde_mm256_cmpgt_epi8(simde_mm256_set1_epi8(' '), bytes);
    const simde__m256i quote = simde_mm256_cmpeq_epi8(bytes, simde_mm256_set1_epi8('"'));
    const simde__m256i backslash = simde_mm256_cmpeq_epi8(bytes, simde_mm256_set1_epi8('\\'));
    return (unsigned)simde_mm256_movemask_epi8(
        simde_mm256_or_si256(low, simde_mm256_or_si256(quote, backslash)));
}

size_t scan_plain_avx2(const char *p, size_t n)
{
    if (n < WIDTH)
        return scan_plain_sse42(p, n);
    for (size_t i = 0;; i += WIDTH) {
        i = i + WIDTH <= n ? i : n - WIDTH;
        const unsigned hits = plain_hits(p + i);
        if (hits)
            return i + (size_t)__builtin_ctz(hits);
        if (i + WIDTH == n)
            return n;
    }
}

size_t scan_mismatch_avx2(const char *a, const char *b, size_t n)
{
    if (n < WIDTH)
        return scan_mismatch_sse42(a, b, n);
    for (size_t i = 0;; i += WIDTH) {
        i = i + WIDTH <= n ? i : n - WIDTH;
        const unsigned same =
            (unsigned)simde_mm256_movemask_epi8(simde_mm256_cmpeq_epi8(load(a + i), load(b + i)));
        if (same != UINT_MAX)
            return i + (size_t)__builtin_ctz(~same);
        if (i + WIDTH == n)
            return n;
    }
}
