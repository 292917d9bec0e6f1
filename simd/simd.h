// The table of kernels. It holds the C references from the start; simd_init() points each kernel at
// its best version once, before any shard starts; after that it is read-only.
#ifndef SIMD_SIMD_H
#define SIMD_SIMD_H

#include "engine/base/err.h"
#include "engine/base/str.h"
#include "simd/crc32c.h"
#include "simd/decimal.h"
#include "simd/fingerprint.h"
#include "simd/packed.h"
#include "simd/scan.h"
#include "simd/snappy.h"

enum simd_isa { // in the ladder's order: each needs those before it
    SIMD_C = 0,
    SIMD_SSE42 = 1 << 0, // on arm64: the same source, which simde makes NEON of
    SIMD_AVX2 = 1 << 1,
    SIMD_ALL = SIMD_SSE42 | SIMD_AVX2,
};

struct simd_ops {
    crc32c_fn *crc32c;
    decimal_div_fn *decimal_div;
    decimal_mul_fn *decimal_mul;
    decimal_split_fn *decimal_split;
    fingerprint_fn *fingerprint;
    packed_line_fn *packed_line;
    packed_range_fn *packed_range;
    packed_sum_fn *packed_sum;
    packed_sum_div_fn *packed_sum_div;
    scan_line_fn *scan_line;
    scan_mismatch_fn *scan_mismatch;
    scan_plain_fn *scan_plain;
    snappy_decode_fn *snappy_decode;
};

extern struct simd_ops simd;

// What this machine can run.
uint32_t simd_detect(void);
// Takes the best versions among those in mask (SIMD_C: the references) that the machine can run.
void simd_init(uint32_t mask);
// The value of --cpu-mask and of the environment variable FERULA_CPU_MASK: the highest rung to use,
// "c" (or "0"), "sse42", "avx2", "all".
err simd_mask_parse(struct str text, uint32_t *out, struct errmsg *e);
// What FERULA_CPU_MASK says; SIMD_ALL when it is not set.
err simd_mask_from_environment(uint32_t *out, struct errmsg *e);

#endif
