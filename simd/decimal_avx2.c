#include <simde/x86/avx2.h>

#include "simd/decimal.h"

// Exact where the integer has at most 53 bits, rounded once otherwise: the upper 16 bits go into
// the mantissa of 3 * 2^67, where they stand for multiples of 2^48, the other 48 into that of 2^52;
// taking both bases from the first is exact, the last addition rounds.
static inline simde__m256d to_double(simde__m256i v)
{
    const simde__m256d high_base = simde_mm256_set1_pd(0x1.8p68),
                       low_base = simde_mm256_set1_pd(0x1p52);
    const simde__m256d both = simde_mm256_set1_pd(0x1.8p68 + 0x1p52);
    simde__m256i high = simde_mm256_srai_epi32(v, 16);
    high = simde_mm256_blend_epi16(high, simde_mm256_setzero_si256(), 0x33);
    high = simde_mm256_add_epi64(high, simde_mm256_castpd_si256(high_base));
    const simde__m256i low = simde_mm256_blend_epi16(v, simde_mm256_castpd_si256(low_base), 0x88);
    return simde_mm256_add_pd(simde_mm256_sub_pd(simde_mm256_castsi256_pd(high), both),
                              simde_mm256_castsi256_pd(low));
}

void decimal_div_avx2(const int64_t *m, size_t n, double d, double *out)
{
    const simde__m256d divisor = simde_mm256_set1_pd(d);
    size_t i = 0;
    for (; i + 4 <= n; i += 4)
        simde_mm256_storeu_pd(
            out + i, simde_mm256_div_pd(to_double(simde_mm256_loadu_si256(m + i)), divisor));
    decimal_div_c(m + i, n - i, d, out + i);
}

void decimal_mul_avx2(const int64_t *m, size_t n, double f, double *out)
{
    const simde__m256d factor = simde_mm256_set1_pd(f);
    size_t i = 0;
    for (; i + 4 <= n; i += 4)
        simde_mm256_storeu_pd(
            out + i, simde_mm256_mul_pd(to_double(simde_mm256_loadu_si256(m + i)), factor));
    decimal_mul_c(m + i, n - i, f, out + i);
}

size_t decimal_split_avx2(const double *v, size_t n, double d, int64_t *m)
{
    const simde__m256d scale = simde_mm256_set1_pd(d), round = simde_mm256_set1_pd(0x1.8p52);
    const simde__m256d limit = simde_mm256_set1_pd(0x1p51), sign = simde_mm256_set1_pd(-0.0);
    size_t i = 0;
    for (; i + 4 <= n; i += 4) {
        const simde__m256d value = simde_mm256_loadu_pd(v + i);
        const simde__m256d scaled = simde_mm256_mul_pd(value, scale);
        const simde__m256d shifted = simde_mm256_add_pd(scaled, round);
        const simde__m256d whole = simde_mm256_sub_pd(shifted, round);
        const simde__m256d back = simde_mm256_div_pd(whole, scale);
        const simde__m256d small = simde_mm256_and_pd(
            simde_mm256_cmp_pd(simde_mm256_andnot_pd(sign, scaled), limit, SIMDE_CMP_LT_OQ),
            simde_mm256_cmp_pd(simde_mm256_andnot_pd(sign, whole), limit, SIMDE_CMP_LT_OQ));
        const simde__m256i same = simde_mm256_cmpeq_epi64(simde_mm256_castpd_si256(back),
                                                          simde_mm256_castpd_si256(value));
        if (simde_mm256_movemask_pd(simde_mm256_and_pd(small, simde_mm256_castsi256_pd(same))) !=
            0xf)
            break;
        simde_mm256_storeu_si256(m + i, simde_mm256_sub_epi64(simde_mm256_castpd_si256(shifted),
                                                              simde_mm256_castpd_si256(round)));
    }
    return i + decimal_split_c(v + i, n - i, d, m + i);
}
