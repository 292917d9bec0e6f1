// CRC32C (Castagnoli, reflected polynomial 0x82f63b78), as RFC 3720 and Prometheus's formats use
// it. No alignment is needed; no version reads outside p[0, n).
#ifndef SIMD_CRC32C_H
#define SIMD_CRC32C_H

#include <stddef.h>
#include <stdint.h>

// The checksum of what crc stands for (0: nothing) followed by p[0, n): pieces may be fed in turn.
typedef uint32_t crc32c_fn(uint32_t crc, const void *p, size_t n);

crc32c_fn crc32c_c, crc32c_sse42;

#endif
