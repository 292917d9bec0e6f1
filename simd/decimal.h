// Decimals: a double is kept as an integer m where m / 10^e (or m * 10^-e) gives back its bits.
//
// One rounding each, in the machine's nearest-even mode; no alignment is needed; nothing outside
// the n items is touched. out may be the memory of m, item for item.
#ifndef SIMD_DECIMAL_H
#define SIMD_DECIMAL_H

#include <stddef.h>
#include <stdint.h>

// out[i] = (double)m[i] / d; the conversion rounds where m has over 53 bits.
typedef void decimal_div_fn(const int64_t *m, size_t n, double d, double *out);
// out[i] = (double)m[i] * f. With f 1 the conversion alone.
typedef void decimal_mul_fn(const int64_t *m, size_t n, double f, double *out);
// m[i] = v[i] * d rounded to an integer, for as long as |m[i]| < 2^51 and m[i] / d has the bits of
// v[i]. How many: the rest of m is untouched or without meaning.
typedef size_t decimal_split_fn(const double *v, size_t n, double d, int64_t *m);

decimal_div_fn decimal_div_c, decimal_div_sse42, decimal_div_avx2;
decimal_mul_fn decimal_mul_c, decimal_mul_sse42, decimal_mul_avx2;
decimal_split_fn decimal_split_c, decimal_split_sse42, decimal_split_avx2;

#endif
