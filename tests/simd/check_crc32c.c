#include <inttypes.h>
#include <string.h>

#include "simd/simd.h"
#include "tests/simd/check.h"

// RFC 3720, B.4, and the check value of the CRC catalogue.
static void known_answers(void)
{
    uint8_t bytes[32];
    memset(bytes, 0, sizeof bytes);
    if (simd.crc32c(0, bytes, 32) != 0x8a9136aa)
        check_fail("32 zeros");
    memset(bytes, 0xff, sizeof bytes);
    if (simd.crc32c(0, bytes, 32) != 0x62a8ab43)
        check_fail("32 x 0xff");
    for (uint8_t i = 0; i < 32; i++)
        bytes[i] = i;
    if (simd.crc32c(0, bytes, 32) != 0x46dd794e)
        check_fail("0 to 31");
    if (simd.crc32c(0, "123456789", 9) != 0xe3069283)
        check_fail("123456789");
    if (simd.crc32c(simd.crc32c(0, "1234", 4), "56789", 5) != 0xe3069283)
        check_fail("in two pieces");
    if (simd.crc32c(0, NULL, 0) != 0)
        check_fail("nothing");
}

void check_crc32c(void)
{
    enum { LENGTHS = 300, SIZE = 4096 };
    crc32c_fn *ref = (crc32c_fn *)check_func((any_fn *)simd.crc32c, "crc32c");
    if (!ref)
        return;
    known_answers();
    for (size_t n = 0; n <= LENGTHS; n++) {
        uint8_t *p = check_bytes(n);
        for (unsigned round = 0; round < 4; round++) {
            for (size_t i = 0; i < n; i++)
                p[i] = round == 0 ? 0 : round == 1 ? 0xff : (uint8_t)check_random();
            const uint32_t start = (uint32_t)check_random();
            const uint32_t want = ref(start, p, n), got = simd.crc32c(start, p, n);
            if (got != want) {
                check_fail("n %zu: got %" PRIx32 ", want %" PRIx32, n, got, want);
                return;
            }
        }
        check_release();
    }
    uint8_t *p = check_bytes(SIZE);
    memset(p, 'x', SIZE);
    volatile uint32_t sink = 0;
    for (struct check_timer t = check_timed(SIZE); check_more(&t);)
        sink = simd.crc32c(0, p, SIZE);
    (void)sink;
    check_release();
}
