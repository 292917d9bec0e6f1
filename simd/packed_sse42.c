// Four fields of up to 25 bits lie within 16 bytes from the byte the first begins in, at bit 0 or
// 4 of it. A byte shuffle puts the four bytes around each field into a lane of its own; there is no
// shift by lane, so a multiplication moves each field to bit 7 and a common shift brings it down.
#include <simde/x86/sse4.2.h>

#include <string.h>

#include "simd/packed.h"

enum { WIDTH_MAX = 25, LANES = 4 };

struct cut { // for groups that begin at bit 0 and at bit 4
    simde__m128i pick[2], factor[2], mask;
};

static struct cut cut_make(unsigned width)
{
    struct cut c = {.mask = simde_mm_set1_epi32((1 << width) - 1)};
    for (unsigned odd = 0; odd < 2; odd++) {
        uint8_t pick[16];
        uint32_t factor[LANES];
        for (unsigned lane = 0; lane < LANES; lane++) {
            const unsigned bit = lane * width + 4 * odd;
            for (unsigned i = 0; i < 4; i++)
                pick[lane * 4 + i] = (uint8_t)(bit / 8 + i);
            factor[lane] = 1u << (7 - bit % 8);
        }
        c.pick[odd] = simde_mm_loadu_si128(pick);
        c.factor[odd] = simde_mm_loadu_si128(factor);
    }
    return c;
}

static inline simde__m128i cut_fields(const uint8_t *p, const struct cut *c, unsigned odd)
{
    const simde__m128i lanes = simde_mm_shuffle_epi8(simde_mm_loadu_si128(p), c->pick[odd]);
    const simde__m128i raised = simde_mm_mullo_epi32(lanes, c->factor[odd]);
    return simde_mm_and_si128(simde_mm_srli_epi32(raised, 7), c->mask);
}

// The fields of group number at; bytes past the end read as zero.
static inline simde__m128i group_fields(const uint8_t *p, size_t size, size_t at, unsigned width,
                                        const struct cut *c)
{
    const size_t bit = at * LANES * width, byte = bit / 8;
    const unsigned odd = bit % 8 ? 1 : 0;
    if (byte + 16 <= size)
        return cut_fields(p + byte, c, odd);
    uint8_t bytes[16] = {0};
    if (byte < size)
        memcpy(bytes, p + byte, size - byte);
    return cut_fields(bytes, c, odd);
}

struct pairs { // four 64-bit values
    simde__m128i low, high;
};

static struct pairs ramp(int64_t base, int64_t step, uint64_t from)
{
    uint64_t v[LANES];
    for (uint64_t i = 0; i < LANES; i++)
        v[i] = (uint64_t)base + (uint64_t)step * (from + i);
    return (struct pairs){simde_mm_loadu_si128(v), simde_mm_loadu_si128(v + 2)};
}

static inline struct pairs widen(simde__m128i v)
{
    return (struct pairs){simde_mm_cvtepu32_epi64(v),
                          simde_mm_cvtepu32_epi64(simde_mm_srli_si128(v, 8))};
}

static inline struct pairs add(struct pairs a, struct pairs b)
{
    return (struct pairs){simde_mm_add_epi64(a.low, b.low), simde_mm_add_epi64(a.high, b.high)};
}

static inline void store(int64_t *out, size_t count, struct pairs v)
{
    if (count >= LANES) {
        simde_mm_storeu_si128(out, v.low);
        simde_mm_storeu_si128(out + 2, v.high);
        return;
    }
    int64_t values[LANES];
    simde_mm_storeu_si128(values, v.low);
    simde_mm_storeu_si128(values + 2, v.high);
    memcpy(out, values, count * sizeof *values);
}

void packed_line_sse42(const uint8_t *p, size_t n, unsigned width, int64_t base, int64_t step,
                       int64_t *out)
{
    if (width > WIDTH_MAX) {
        packed_line_c(p, n, width, base, step, out);
        return;
    }
    const struct cut c = cut_make(width);
    const size_t size = packed_size(n, width);
    const simde__m128i four = simde_mm_set1_epi64x((int64_t)((uint64_t)step * LANES));
    const struct pairs stride = {four, four};
    struct pairs line = ramp(base, step, 0);
    for (size_t at = 0; at * LANES < n; at++) {
        const simde__m128i fields = group_fields(p, size, at, width, &c);
        store(out + at * LANES, n - at * LANES, add(line, widen(fields)));
        line = add(line, stride);
    }
}

// Sums of four fields that go on from before, which grows by their total.
static inline struct pairs sum_four(simde__m128i fields, simde__m128i four, struct pairs *before)
{
    simde__m128i sums = simde_mm_add_epi32(fields, simde_mm_slli_si128(fields, 4));
    sums = simde_mm_add_epi32(sums, simde_mm_slli_si128(sums, 8)); // below 2^27
    const simde__m128i last = simde_mm_srli_epi64(simde_mm_unpackhi_epi64(sums, sums), 32);
    const simde__m128i grow = simde_mm_add_epi64(last, four);
    const struct pairs out = add(*before, widen(sums));
    *before = add(*before, (struct pairs){grow, grow});
    return out;
}

void packed_sum_sse42(const uint8_t *p, size_t n, unsigned width, int64_t base, int64_t step,
                      int64_t *out)
{
    if (width > WIDTH_MAX) {
        packed_sum_c(p, n, width, base, step, out);
        return;
    }
    const struct cut c = cut_make(width);
    const size_t size = packed_size(n, width);
    const simde__m128i four = simde_mm_set1_epi64x((int64_t)((uint64_t)step * LANES));
    struct pairs before = ramp(base, step, 1);
    for (size_t at = 0; at * LANES < n; at++)
        store(out + at * LANES, n - at * LANES,
              sum_four(group_fields(p, size, at, width, &c), four, &before));
}

// Sums below 2^51 that were begun at the bits of 3 * 2^51 are the bits of that and the sum.
static const int64_t double_base = 0x4338000000000000;

static inline simde__m128i quotient(simde__m128i v, simde__m128d divisor)
{
    const simde__m128d base = simde_mm_castsi128_pd(simde_mm_set1_epi64x(double_base));
    return simde_mm_castpd_si128(
        simde_mm_div_pd(simde_mm_sub_pd(simde_mm_castsi128_pd(v), base), divisor));
}

void packed_sum_div_sse42(const uint8_t *p, size_t n, unsigned width, int64_t base, int64_t step,
                          double divisor, double *out)
{
    if (width > WIDTH_MAX) {
        packed_sum_div_c(p, n, width, base, step, divisor, out);
        return;
    }
    const struct cut c = cut_make(width);
    const size_t size = packed_size(n, width);
    const simde__m128i four = simde_mm_set1_epi64x((int64_t)((uint64_t)step * LANES));
    const simde__m128d d = simde_mm_set1_pd(divisor);
    struct pairs before = ramp(base + double_base, step, 1);
    for (size_t at = 0; at * LANES < n; at++) {
        const struct pairs v = sum_four(group_fields(p, size, at, width, &c), four, &before);
        store((int64_t *)(void *)(out + at * LANES), n - at * LANES,
              (struct pairs){quotient(v.low, d), quotient(v.high, d)});
    }
}

void packed_range_sse42(const int64_t *v, size_t n, int64_t *low, int64_t *high)
{
    enum { AT_ONCE = 2 };
    if (n < AT_ONCE) {
        packed_range_c(v, n, low, high);
        return;
    }
    simde__m128i least = simde_mm_loadu_si128(v), most = least;
    for (size_t i = AT_ONCE; i < n; i += AT_ONCE) { // the last ones overlap
        const simde__m128i one = simde_mm_loadu_si128(v + (i + AT_ONCE <= n ? i : n - AT_ONCE));
        least = simde_mm_blendv_epi8(least, one, simde_mm_cmpgt_epi64(least, one));
        most = simde_mm_blendv_epi8(most, one, simde_mm_cmpgt_epi64(one, most));
    }
    int64_t ends[2 * AT_ONCE], unused;
    simde_mm_storeu_si128(ends, least);
    simde_mm_storeu_si128(ends + AT_ONCE, most);
    packed_range_c(ends, AT_ONCE, low, &unused);
    packed_range_c(ends + AT_ONCE, AT_ONCE, &unused, high);
}
