// Bytes to integers and back, varints, zigzag, bit counts. No alignment is needed anywhere.
#ifndef ENGINE_BASE_BITS_H
#define ENGINE_BASE_BITS_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "loads and stores below are memcpy");

static inline uint16_t load_le16(const void *p)
{
    uint16_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

static inline uint32_t load_le32(const void *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

static inline uint64_t load_le64(const void *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

static inline void store_le16(void *p, uint16_t v)
{
    memcpy(p, &v, sizeof v);
}

static inline void store_le32(void *p, uint32_t v)
{
    memcpy(p, &v, sizeof v);
}

static inline void store_le64(void *p, uint64_t v)
{
    memcpy(p, &v, sizeof v);
}

static inline uint64_t bits_from_double(double d)
{
    uint64_t v;
    memcpy(&v, &d, sizeof v);
    return v;
}

static inline double double_from_bits(uint64_t v)
{
    double d;
    memcpy(&d, &v, sizeof d);
    return d;
}

static inline uint64_t zigzag(int64_t v)
{
    return ((uint64_t)v << 1) ^ (uint64_t)(v >> 63);
}

static inline int64_t unzigzag(uint64_t v)
{
    return (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
}

// How many bits v needs; 0 for 0.
static inline unsigned bit_width(uint64_t v)
{
    return v ? 64u - (unsigned)__builtin_clzll(v) : 0;
}

static inline bool is_power_of_two(uint64_t v)
{
    return v && !(v & (v - 1));
}

enum { VARINT_MAX = 10 };

// LEB128, as protobuf's. p has room for VARINT_MAX bytes; how many were written.
static inline size_t varint_store(uint8_t *p, uint64_t v)
{
    size_t n = 0;
    while (v >= 0x80) {
        p[n++] = (uint8_t)(v | 0x80);
        v >>= 7;
    }
    p[n++] = (uint8_t)v;
    return n;
}

// Bytes read from [p, end), 0 when they end early or the number has over 64 bits.
static inline size_t varint_load(const uint8_t *p, const uint8_t *end, uint64_t *out)
{
    uint64_t v = 0;
    for (size_t n = 0; n < VARINT_MAX && p + n < end; n++) {
        const uint64_t byte = p[n];
        if (n == VARINT_MAX - 1 && byte > 1)
            return 0;
        v |= (byte & 0x7f) << (7 * n);
        if (byte < 0x80) {
            *out = v;
            return n + 1;
        }
    }
    return 0;
}

#endif
