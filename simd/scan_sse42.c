#include <simde/x86/sse4.2.h>

#include "simd/scan.h"

enum { WIDTH = 16 };

static simde__m128i load(const char *p)
{
    return simde_mm_loadu_si128((const simde__m128i *)(const void *)p);
}

static unsigned line_hits(const char *p)
{
    const simde__m128i bytes = load(p);
    const simde__m128i eol = simde_mm_cmpeq_epi8(bytes, simde_mm_set1_epi8('\n'));
    const simde__m128i nul = simde_mm_cmpeq_epi8(bytes, simde_mm_setzero_si128());
    return (unsigned)simde_mm_movemask_epi8(simde_mm_or_si128(eol, nul));
}

size_t scan_line_sse42(const char *p, size_t n)
{
    if (n < WIDTH)
        return scan_line_c(p, n);
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
    const simde__m128i bytes = load(p);
    const simde__m128i low = simde_mm_cmpgt_epi8(simde_mm_set1_epi8(' '), bytes);
    const simde__m128i quote = simde_mm_cmpeq_epi8(bytes, simde_mm_set1_epi8('"'));
    const simde__m128i backslash = simde_mm_cmpeq_epi8(bytes, simde_mm_set1_epi8('\\'));
    return (unsigned)simde_mm_movemask_epi8(
        simde_mm_or_si128(low, simde_mm_or_si128(quote, backslash)));
}

size_t scan_plain_sse42(const char *p, size_t n)
{
    if (n < WIDTH)
        return scan_plain_c(p, n);
    for (size_t i = 0;; i += WIDTH) {
        i = i + WIDTH <= n ? i : n - WIDTH;
        const unsigned hits = plain_hits(p + i);
        if (hits)
            return i + (size_t)__builtin_ctz(hits);
        if (i + WIDTH == n)
            return n;
    }
}

size_t scan_mismatch_sse42(const char *a, const char *b, size_t n)
{
    if (n < WIDTH)
        return scan_mismatch_c(a, b, n);
    for (size_t i = 0;; i += WIDTH) {
        i = i + WIDTH <= n ? i : n - WIDTH;
        const unsigned same =
            (unsigned)simde_mm_movemask_epi8(simde_mm_cmpeq_epi8(load(a + i), load(b + i)));
        if (same != 0xffff)
            return i + (size_t)__builtin_ctz(~same);
        if (i + WIDTH == n)
            return n;
    }
}
