// Bit-packed integers: field i of p lies in bits [i * width, (i + 1) * width), least significant
// first, so n fields take packed_size() bytes and nothing is wasted whatever n is. width is 0
// to 64. Arithmetic wraps. No version reads outside p[0, packed_size(n, width)) or writes outside
// out[0, n); p needs no alignment, and may be NULL when it has no bytes.
#ifndef SIMD_PACKED_H
#define SIMD_PACKED_H

#include <stddef.h>
#include <stdint.h>

static inline size_t packed_size(size_t n, unsigned width) // n below 2^57
{
    return (n * width + 7) / 8;
}

// out[i] = base + i * step + field i
typedef void packed_line_fn(const uint8_t *p, size_t n, unsigned width, int64_t base, int64_t step,
                            int64_t *out);
// out[i] = base + the sum over j <= i of (step + field j)
typedef void packed_sum_fn(const uint8_t *p, size_t n, unsigned width, int64_t base, int64_t step,
                           int64_t *out);

// The same as doubles, divided. Every sum lies between -2^51 and 2^51.
typedef void packed_sum_div_fn(const uint8_t *p, size_t n, unsigned width, int64_t base,
                               int64_t step, double divisor, double *out);
// The smallest and the largest of v[0, n), n being at least 1.
typedef void packed_range_fn(const int64_t *v, size_t n, int64_t *low, int64_t *high);

packed_line_fn packed_line_c, packed_line_sse42, packed_line_avx2;
packed_sum_fn packed_sum_c, packed_sum_sse42, packed_sum_avx2;
packed_sum_div_fn packed_sum_div_c, packed_sum_div_sse42, packed_sum_div_avx2;
packed_range_fn packed_range_c, packed_range_sse42, packed_range_avx2;

// The way in: fields must fit width. Writes packed_size(n, width) bytes.
void packed_store(const uint64_t *fields, size_t n, unsigned width, uint8_t *p);

#endif
