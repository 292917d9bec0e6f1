#include <simde/x86/avx2.h>

#include "simd/snappy_loop.h"

static inline void move_32s(uint8_t *to, const uint8_t *from)
{
    for (size_t i = 0; i < SNAPPY_ELEMENT; i += 32)
        simde_mm256_storeu_si256(
            (simde__m256i *)(void *)(to + i),
            simde_mm256_loadu_si256((const simde__m256i *)(const void *)(from + i)));
}

static inline void move_16s(uint8_t *to, const uint8_t *from)
{
    for (size_t i = 0; i < SNAPPY_ELEMENT; i += 16)
        simde_mm_storeu_si128((simde__m128i *)(void *)(to + i),
                              simde_mm_loadu_si128((const simde__m128i *)(const void *)(from + i)));
}

bool snappy_decode_avx2(struct snappy_reader *r, const uint8_t *until)
{
    static const struct snappy_moves moves = {move_32s, 32, move_16s};
    return snappy_loop(r, until, &moves);
}
