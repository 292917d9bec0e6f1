// Eight fields of up to 25 bits begin at a byte: 8 * width bits. Two 16-byte loads hold four each;
// a byte shuffle puts the four bytes around each field into a lane of its own, a shift by lane and
// a mask cut it out. Controls depend on the width alone.
#include <simde/x86/avx2.h>

#include <string.h>

#include "simd/packed.h"

enum { WIDTH_MAX = 25, LANES = 8 };

struct cut {
    simde__m256i pick, shift, mask;
    size_t half; // where the second load begins
};

static struct cut cut_make(unsigned width)
{
    const int half = (int)width / 2;
    const simde__m256i lane = simde_mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    const simde__m256i begin =
        simde_mm256_setr_epi32(0, 0, 0, 0, half * 8, half * 8, half * 8, half * 8);
    const simde__m256i bit = simde_mm256_sub_epi32(
        simde_mm256_mullo_epi32(lane, simde_mm256_set1_epi32((int)width)), begin);
    const simde__m256i first = // byte of each lane, four times
        simde_mm256_mullo_epi32(simde_mm256_srli_epi32(bit, 3), simde_mm256_set1_epi32(0x01010101));
    return (struct cut){simde_mm256_add_epi32(first, simde_mm256_set1_epi32(0x03020100)),
                        simde_mm256_and_si256(bit, simde_mm256_set1_epi32(7)),
                        simde_mm256_set1_epi32((1 << width) - 1), (size_t)half};
}

static inline simde__m256i cut_fields(const uint8_t *p, const struct cut *c)
{
    const simde__m256i both = simde_mm256_inserti128_si256(
        simde_mm256_castsi128_si256(simde_mm_loadu_si128(p)), simde_mm_loadu_si128(p + c->half), 1);
    const simde__m256i lanes = simde_mm256_shuffle_epi8(both, c->pick);
    return simde_mm256_and_si256(simde_mm256_srlv_epi32(lanes, c->shift), c->mask);
}

// How many whole groups of eight can be read without passing the end.
static size_t groups_count(size_t n, unsigned width)
{
    const size_t size = packed_size(n, width), reach = width / 2 + 16;
    if (width == 0) // reads nothing
        return 0;
    size_t groups = size < reach ? 0 : (size - reach) / width + 1;
    return groups < n / LANES ? groups : n / LANES;
}

static inline simde__m256i low_half(simde__m256i v)
{
    return simde_mm256_cvtepu32_epi64(simde_mm256_castsi256_si128(v));
}

static inline simde__m256i high_half(simde__m256i v)
{
    return simde_mm256_cvtepu32_epi64(simde_mm256_extracti128_si256(v, 1));
}

static simde__m256i ramp(int64_t base, int64_t step, uint64_t from)
{
    uint64_t v[4];
    for (uint64_t i = 0; i < 4; i++)
        v[i] = (uint64_t)base + (uint64_t)step * (from + i);
    return simde_mm256_loadu_si256(v);
}

static inline void line_group(const uint8_t *p, const struct cut *c, simde__m256i low,
                              simde__m256i high, int64_t *out)
{
    const simde__m256i fields = cut_fields(p, c);
    simde_mm256_storeu_si256(out, simde_mm256_add_epi64(low, low_half(fields)));
    simde_mm256_storeu_si256(out + 4, simde_mm256_add_epi64(high, high_half(fields)));
}

void packed_line_avx2(const uint8_t *p, size_t n, unsigned width, int64_t base, int64_t step,
                      int64_t *out)
{
    if (width > WIDTH_MAX) {
        packed_line_c(p, n, width, base, step, out);
        return;
    }
    const struct cut c = cut_make(width);
    const simde__m256i stride = simde_mm256_set1_epi64x((int64_t)((uint64_t)step * LANES));
    simde__m256i low = ramp(base, step, 0), high = ramp(base, step, 4);
    const size_t groups = groups_count(n, width), size = packed_size(n, width);
    size_t done = 0;
    for (; width == 0 && done < n / LANES; done++) { // a straight line
        simde_mm256_storeu_si256(out + done * LANES, low);
        simde_mm256_storeu_si256(out + done * LANES + 4, high);
        low = simde_mm256_add_epi64(low, stride);
        high = simde_mm256_add_epi64(high, stride);
    }
    for (; done < groups; done++) {
        line_group(p + done * width, &c, low, high, out + done * LANES);
        low = simde_mm256_add_epi64(low, stride);
        high = simde_mm256_add_epi64(high, stride);
    }
    for (; done * LANES < n; done++) {
        uint8_t bytes[WIDTH_MAX + 32] = {0};
        int64_t values[LANES];
        const size_t at = done * width, left = size - at, count = n - done * LANES;
        if (left)
            memcpy(bytes, p + at, left < width ? left : width);
        line_group(bytes, &c, low, high, values);
        memcpy(out + done * LANES, values, (count < LANES ? count : LANES) * sizeof *values);
        low = simde_mm256_add_epi64(low, stride);
        high = simde_mm256_add_epi64(high, stride);
    }
}

// The running sums of eight fields; they stay below 2^28.
static inline simde__m256i running(simde__m256i v)
{
    v = simde_mm256_add_epi32(v, simde_mm256_slli_si256(v, 4));
    v = simde_mm256_add_epi32(v, simde_mm256_slli_si256(v, 8));
    const simde__m256i third = simde_mm256_set1_epi32(3);
    const simde__m256i low_total = simde_mm256_permutevar8x32_epi32(v, third);
    return simde_mm256_add_epi32(
        v, simde_mm256_blend_epi32(simde_mm256_setzero_si256(), low_total, 0xf0));
}

// low and high hold what stands before the group and the steps up to each place; both grow by
// the group's total. values: the sums of the group.
static inline void sum_group(const uint8_t *p, const struct cut *c, simde__m256i stride,
                             simde__m256i *low, simde__m256i *high, simde__m256i values[2])
{
    const simde__m256i sums = running(cut_fields(p, c));
    const simde__m256i last = simde_mm256_srli_epi64(simde_mm256_permute4x64_epi64(sums, 0xff), 32);
    const simde__m256i grow = simde_mm256_add_epi64(last, stride);
    values[0] = simde_mm256_add_epi64(*low, low_half(sums));
    values[1] = simde_mm256_add_epi64(*high, high_half(sums));
    *low = simde_mm256_add_epi64(*low, grow);
    *high = simde_mm256_add_epi64(*high, grow);
}

enum output { INTEGERS, DOUBLES, QUOTIENTS };

// Sums below 2^51 that were begun at the bits of 3 * 2^51 are the bits of that and the sum.
static const int64_t double_base = 0x4338000000000000;

static inline void sum_store(simde__m256i v, enum output output, double divisor, void *out)
{
    if (output == INTEGERS) {
        simde_mm256_storeu_si256(out, v);
        return;
    }
    const simde__m256d base = simde_mm256_castsi256_pd(simde_mm256_set1_epi64x(double_base));
    const simde__m256d d = simde_mm256_sub_pd(simde_mm256_castsi256_pd(v), base);
    simde_mm256_storeu_pd(
        out, output == DOUBLES ? d : simde_mm256_div_pd(d, simde_mm256_set1_pd(divisor)));
}

// out: of 8 bytes each.
static inline __attribute__((always_inline)) void sum_all(const uint8_t *p, size_t n,
                                                          unsigned width, int64_t base,
                                                          int64_t step, enum output output,
                                                          double divisor, uint8_t *out)
{
    enum { SIZE = 8 };
    const struct cut c = cut_make(width);
    const simde__m256i stride = simde_mm256_set1_epi64x((int64_t)((uint64_t)step * LANES));
    simde__m256i low = ramp(base, step, 1), high = ramp(base, step, 5), values[2];
    const size_t groups = groups_count(n, width), size = packed_size(n, width);
    size_t done = 0;
    for (; done < groups; done++) {
        sum_group(p + done * width, &c, stride, &low, &high, values);
        sum_store(values[0], output, divisor, out + done * LANES * SIZE);
        sum_store(values[1], output, divisor, out + (done * LANES + 4) * SIZE);
    }
    for (; done * LANES < n; done++) {
        uint8_t bytes[WIDTH_MAX + 32] = {0}, last[LANES * SIZE];
        const size_t at = done * width, left = size - at, count = n - done * LANES;
        if (left)
            memcpy(bytes, p + at, left < width ? left : width);
        sum_group(bytes, &c, stride, &low, &high, values);
        sum_store(values[0], output, divisor, last);
        sum_store(values[1], output, divisor, last + 4 * SIZE);
        memcpy(out + done * LANES * SIZE, last, (count < LANES ? count : LANES) * SIZE);
    }
}

void packed_sum_avx2(const uint8_t *p, size_t n, unsigned width, int64_t base, int64_t step,
                     int64_t *out)
{
    if (width > WIDTH_MAX)
        packed_sum_c(p, n, width, base, step, out);
    else if (width == 0)
        packed_line_avx2(p, n, 0, (int64_t)((uint64_t)base + (uint64_t)step), step, out);
    else
        sum_all(p, n, width, base, step, INTEGERS, 1, (uint8_t *)out);
}

void packed_sum_div_avx2(const uint8_t *p, size_t n, unsigned width, int64_t base, int64_t step,
                         double divisor, double *out)
{
    if (width > WIDTH_MAX || width == 0)
        packed_sum_div_c(p, n, width, base, step, divisor, out);
    else if (divisor == 1)
        sum_all(p, n, width, base + double_base, step, DOUBLES, 1, (uint8_t *)out);
    else
        sum_all(p, n, width, base + double_base, step, QUOTIENTS, divisor, (uint8_t *)out);
}

void packed_range_avx2(const int64_t *v, size_t n, int64_t *low, int64_t *high)
{
    enum { AT_ONCE = 4 };
    if (n < AT_ONCE) {
        packed_range_c(v, n, low, high);
        return;
    }
    simde__m256i least = simde_mm256_loadu_si256(v), most = least;
    for (size_t i = AT_ONCE; i < n; i += AT_ONCE) { // the last ones overlap
        const simde__m256i one = simde_mm256_loadu_si256(v + (i + AT_ONCE <= n ? i : n - AT_ONCE));
        least = simde_mm256_blendv_epi8(least, one, simde_mm256_cmpgt_epi64(least, one));
        most = simde_mm256_blendv_epi8(most, one, simde_mm256_cmpgt_epi64(one, most));
    }
    int64_t ends[2 * AT_ONCE], unused;
    simde_mm256_storeu_si256(ends, least);
    simde_mm256_storeu_si256(ends + AT_ONCE, most);
    packed_range_c(ends, AT_ONCE, low, &unused);
    packed_range_c(ends + AT_ONCE, AT_ONCE, &unused, high);
}
