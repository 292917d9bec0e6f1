#include <simde/x86/sse4.2.h>

#include "simd/snappy_loop.h"

static inline void move_16s(uint8_t *to, const uint8_t *from)
{
    for (size_t i = 0; i < SNAPPY_ELEMENT; i += 16)
        simde_mm_storeu_si128((simde__m128i *)(void *)(to + i),
                              simde_mm_loadu_si128((const simde__m128i *)(const void *)(from + i)));
}

bool snappy_decode_sse42(struct snappy_reader *r, const uint8_t *until)
{
    static const struct snappy_moves moves = {move_16s, 16, move_16s};
    return snappy_loop(r, until, &moves);
}
