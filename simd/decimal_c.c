#include "simd/decimal.h"

#include <math.h>

#include "engine/base/bits.h"

void decimal_div_c(const int64_t *m, size_t n, double d, double *out)
{
    for (size_t i = 0; i < n; i++)
        out[i] = (double)m[i] / d;
}

void decimal_mul_c(const int64_t *m, size_t n, double f, double *out)
{
    for (size_t i = 0; i < n; i++)
        out[i] = (double)m[i] * f;
}

size_t decimal_split_c(const double *v, size_t n, double d, int64_t *m)
{
    const double limit = 0x1p51, round = 0x1.8p52; // adding round leaves no bits below the point
    for (size_t i = 0; i < n; i++) {
        const double scaled = v[i] * d;
        if (!(fabs(scaled) < limit))
            return i;
        const double whole = (scaled + round) - round;
        if (bits_from_double(whole / d) != bits_from_double(v[i]) || !(fabs(whole) < limit))
            return i;
        m[i] = (int64_t)whole;
    }
    return n;
}
