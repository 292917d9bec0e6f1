#include "simd/simd.h"

#include <stdlib.h>

#include "engine/base/util.h"

struct simd_ops simd = {
    .crc32c = crc32c_c,
    .decimal_div = decimal_div_c,
    .decimal_mul = decimal_mul_c,
    .decimal_split = decimal_split_c,
    .fingerprint = fingerprint_c,
    .packed_line = packed_line_c,
    .packed_range = packed_range_c,
    .packed_sum = packed_sum_c,
    .packed_sum_div = packed_sum_div_c,
    .scan_line = scan_line_c,
    .scan_mismatch = scan_mismatch_c,
    .scan_plain = scan_plain_c,
    .snappy_decode = snappy_decode_c,
};

static const struct {
    struct str name;
    uint32_t mask;
} rungs[] = {
    {{"c", 1}, SIMD_C},         {{"0", 1}, SIMD_C},
    {{"sse42", 5}, SIMD_SSE42}, {{"avx2", 4}, SIMD_SSE42 | SIMD_AVX2},
    {{"all", 3}, SIMD_ALL},
};

uint32_t simd_detect(void)
{
    uint32_t isa = SIMD_C;
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("sse4.2"))
        isa |= SIMD_SSE42;
    if ((isa & SIMD_SSE42) && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2"))
        isa |= SIMD_AVX2;
#elif defined(__aarch64__)
    isa |= SIMD_SSE42;
#endif
    return isa;
}

void simd_init(uint32_t mask)
{
    const uint32_t isa = simd_detect() & mask;
    (void)isa;
    simd = (struct simd_ops){
        .crc32c = crc32c_c,
        .decimal_div = decimal_div_c,
        .decimal_mul = decimal_mul_c,
        .decimal_split = decimal_split_c,
        .fingerprint = fingerprint_c,
        .packed_line = packed_line_c,
        .packed_range = packed_range_c,
        .packed_sum = packed_sum_c,
        .packed_sum_div = packed_sum_div_c,
        .scan_line = scan_line_c,
        .scan_mismatch = scan_mismatch_c,
        .scan_plain = scan_plain_c,
        .snappy_decode = snappy_decode_c,
    };
#if defined(__x86_64__) || defined(__aarch64__)
    if (!(isa & SIMD_SSE42))
        return;
    simd.crc32c = crc32c_sse42;
    simd.decimal_div = decimal_div_sse42;
    simd.decimal_mul = decimal_mul_sse42;
    simd.decimal_split = decimal_split_sse42;
    simd.packed_line = packed_line_sse42;
    simd.packed_range = packed_range_sse42;
    simd.packed_sum = packed_sum_sse42;
    simd.packed_sum_div = packed_sum_div_sse42;
    simd.scan_line = scan_line_sse42;
    simd.scan_mismatch = scan_mismatch_sse42;
    simd.scan_plain = scan_plain_sse42;
    simd.snappy_decode = snappy_decode_sse42;
#endif
#if defined(__x86_64__)
    if (!(isa & SIMD_AVX2))
        return;
    simd.decimal_div = decimal_div_avx2;
    simd.decimal_mul = decimal_mul_avx2;
    simd.decimal_split = decimal_split_avx2;
    simd.fingerprint = fingerprint_avx2;
    simd.packed_line = packed_line_avx2;
    simd.packed_range = packed_range_avx2;
    simd.packed_sum = packed_sum_avx2;
    simd.packed_sum_div = packed_sum_div_avx2;
    simd.scan_line = scan_line_avx2;
    simd.scan_mismatch = scan_mismatch_avx2;
    simd.scan_plain = scan_plain_avx2;
    simd.snappy_decode = snappy_decode_avx2;
#endif
}

err simd_mask_parse(struct str text, uint32_t *out, struct errmsg *e)
{
    for (size_t i = 0; i < countof(rungs); i++) {
        if (str_eq(text, rungs[i].name)) {
            *out = rungs[i].mask;
            return ERR_OK;
        }
    }
    return err_set(e, ERR_INVALID, "CPU mask \"%.*s\" is none of c, sse42, avx2, all",
                   STR_ARG(text));
}

err simd_mask_from_environment(uint32_t *out, struct errmsg *e)
{
    const char *text = getenv("FERULA_CPU_MASK");
    if (!text || !*text) {
        *out = SIMD_ALL;
        return ERR_OK;
    }
    err code = simd_mask_parse(str_from_c(text), out, e);
    return code == ERR_OK ? ERR_OK : err_wrap(e, code, "FERULA_CPU_MASK");
}
