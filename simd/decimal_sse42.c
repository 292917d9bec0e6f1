#include <simde/x86/sse4.2.h>

#include "simd/decimal.h"

// Exact where the integer has at most 53 bits, rounded once otherwise: the upper 16 bits go into
// the mantissa of 3 * 2^67, where they stand for multiples of 2^48, the other 48 into that of 2^52;
// taking both bases from the first is exact, the last addition rounds.
static inline simde__m128d to_double(simde__m128i v)
{
    const simde__m128d high_base = simde_mm_set1_pd(0x1.8p68), low_base = simde_mm_set1_pd(0x1p52);
    const simde__m128d both = simde_mm_set1_pd(0x1.8p68 + 0x1p52);
    simde__m128i high = simde_mm_srai_epi32(v, 16);
    high = simde_mm_blend_epi16(high, simde_mm_setzero_si128(), 0x33);
    high = simde_mm_add_epi64(high, simde_mm_castpd_si128(high_base));
    const simde__m128i low = simde_mm_blend_epi16(v, simde_mm_castpd_si128(low_base), 0x88);
    return simde_mm_add_pd(simde_mm_sub_pd(simde_mm_castsi128_pd(high), both),
                           simde_mm_castsi128_pd(low));
}

void decimal_div_sse42(const int64_t *m, size_t n, double d, double *out)
{
    const simde__m128d divisor = simde_mm_set1_pd(d);
    size_t i = 0;
    for (; i + 2 <= n; i += 2)
        simde_mm_storeu_pd(out + i,
                           simde_mm_div_pd(to_double(simde_mm_loadu_si128(m + i)), divisor));
    decimal_div_c(m + i, n - i, d, out + i);
}

void decimal_mul_sse42(const int64_t *m, size_t n, double f, double *out)
{
    const simde__m128d factor = simde_mm_set1_pd(f);
    size_t i = 0;
    for (; i + 2 <= n; i += 2)
        simde_mm_storeu_pd(out + i,
                           simde_mm_mul_pd(to_double(simde_mm_loadu_si128(m + i)), factor));
    decimal_mul_c(m + i, n - i, f, out + i);
}

size_t decimal_split_sse42(const double *v, size_t n, double d, int64_t *m)
{
    const simde__m128d scale = simde_mm_set1_pd(d), round = simde_mm_set1_pd(0x1.8p52);
    const simde__m128d limit = simde_mm_set1_pd(0x1p51), sign = simde_mm_set1_pd(-0.0);
    size_t i = 0;
    for (; i + 2 <= n; i += 2) {
        const simde__m128d value = simde_mm_loadu_pd(v + i);
        const simde__m128d scaled = simde_mm_mul_pd(value, scale);
        const simde__m128d shifted = simde_mm_add_pd(scaled, round);
        const simde__m128d whole = simde_mm_sub_pd(shifted, round);
        const simde__m128d back = simde_mm_div_pd(whole, scale);
        const simde__m128d small =
            simde_mm_and_pd(simde_mm_cmplt_pd(simde_mm_andnot_pd(sign, scaled), limit),
                            simde_mm_cmplt_pd(simde_mm_andnot_pd(sign, whole), limit));
        const simde__m128i same =
            simde_mm_cmpeq_epi64(simde_mm_castpd_si128(back), simde_mm_castpd_si128(value));
        if (simde_mm_movemask_pd(simde_mm_and_pd(small, simde_mm_castsi128_pd(same))) != 0x3)
            break;
        simde_mm_storeu_si128(m + i, simde_mm_sub_epi64(simde_mm_castpd_si128(shifted),
                                                        simde_mm_castpd_si128(round)));
    }
    return i + decimal_split_c(v + i, n - i, d, m + i);
}
