#include <simde/x86/avx2.h>
#include <stdint.h>

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

static simde__m256i equal(const char *a, const char *b)
{
    return simde_mm256_cmpeq_epi8(load(a), load(b));
}

static uint64_t differences(simde__m256i low, simde__m256i high)
{
    const unsigned low_same = (unsigned)simde_mm256_movemask_epi8(low);
    const unsigned high_same = (unsigned)simde_mm256_movemask_epi8(high);
    return ~((uint64_t)high_same << 32 | low_same);
}

// Four vectors at a time: a branch for all of them, and the place of a difference without another.
size_t scan_mismatch_avx2(const char *a, const char *b, size_t n)
{
    if (n < WIDTH)
        return scan_mismatch_sse42(a, b, n);
    size_t i = 0;
    for (; i + 4 * WIDTH <= n; i += 4 * WIDTH) {
        const simde__m256i v0 = equal(a + i, b + i), v1 = equal(a + i + WIDTH, b + i + WIDTH);
        const simde__m256i v2 = equal(a + i + 2 * WIDTH, b + i + 2 * WIDTH);
        const simde__m256i v3 = equal(a + i + 3 * WIDTH, b + i + 3 * WIDTH);
        const simde__m256i all =
            simde_mm256_and_si256(simde_mm256_and_si256(v0, v1), simde_mm256_and_si256(v2, v3));
        if (simde_mm256_movemask_epi8(all) == -1)
            continue;
        const uint64_t low = differences(v0, v1), high = differences(v2, v3);
        return i + (size_t)(low ? __builtin_ctzll(low) : 2 * WIDTH + __builtin_ctzll(high));
    }
    while (i < n) {
        const size_t at = i + WIDTH <= n ? i : n - WIDTH; // the last overlaps what was equal
        const simde__m256i same = equal(a + at, b + at);
        const uint64_t hits = differences(same, same);
        if (hits)
            return at + (size_t)__builtin_ctzll(hits);
        i = at + WIDTH;
    }
    return n;
}
