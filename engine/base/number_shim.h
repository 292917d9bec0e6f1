// What C++'s <charconv> does better than C's library: shortest digits and exact, fast parsing.
#ifndef ENGINE_BASE_NUMBER_SHIM_H
#define ENGINE_BASE_NUMBER_SHIM_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

// The shortest decimal digits that read back to d (finite, not 0, sign ignored), at most 17, and
// the exponent of the first: d = 0.d1d2d3... * 10^*out_point. How many digits.
size_t number_shim_digits(double d, char out[17], int *out_point);

enum number_shim_result { NUMBER_SHIM_OK, NUMBER_SHIM_BAD, NUMBER_SHIM_RANGE };
// Decimal or (hex) hexadecimal digits without prefix, no sign; all of [p, p + n) must be used.
enum number_shim_result number_shim_parse(const char *p, size_t n, int hex, double *out);

#ifdef __cplusplus
}
#endif

#endif
