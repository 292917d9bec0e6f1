#include <simde/x86/sse4.2.h>

#include "engine/base/bits.h"
#include "simd/crc32c.h"

uint32_t crc32c_sse42(uint32_t crc, const void *p, size_t n)
{
    const uint8_t *at = p;
    uint64_t c = ~crc;
    for (; n >= 8; n -= 8, at += 8)
        c = simde_mm_crc32_u64(c, load_le64(at));
    crc = (uint32_t)c;
    for (; n; n--, at++)
        crc = simde_mm_crc32_u8(crc, *at);
    return ~crc;
}
