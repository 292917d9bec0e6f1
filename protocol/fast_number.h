// Decimal numbers as monitoring text writes them, fast: a whole token is for
// number_parse_decimal(), which gives the same bits.
#ifndef PROTOCOL_FAST_NUMBER_H
#define PROTOCOL_FAST_NUMBER_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/base/bits.h"

enum {
    FAST_NUMBER_DIGITS_MAX = 19, // of a mantissa that surely fits 64 bits
    FAST_NUMBER_POWER_MAX = 22,  // 10^22 is the largest power that a double holds exactly
};

// 10^0 to 10^22.
extern const double fast_number_powers[FAST_NUMBER_POWER_MAX + 1];

// Are the eight bytes digits?
static inline bool fast_number_is_eight(uint64_t bytes)
{
    const uint64_t high = bytes & 0xf0f0f0f0f0f0f0f0u;
    const uint64_t carry = (bytes + 0x0606060606060606u) & 0xf0f0f0f0f0f0f0f0u;
    return (high | carry >> 4) == 0x3333333333333333u;
}

// Eight digits as they lie in memory: pairs, then fours, then the eight, a multiplication each.
static inline uint32_t fast_number_eight(uint64_t bytes)
{
    const uint64_t mask = 0x000000ff000000ffu;
    bytes -= 0x3030303030303030u;
    bytes = bytes * 10 + (bytes >> 8);
    const uint64_t low = (bytes & mask) * 0x000f424000000064u;
    const uint64_t high = (bytes >> 16 & mask) * 0x0000271000000001u;
    return (uint32_t)((low + high) >> 32);
}

// Takes digits from p on into *m. The caller looks at how many there were: beyond
// FAST_NUMBER_DIGITS_MAX *m is meaningless.
static inline const char *fast_number_digits(const char *p, const char *end, uint64_t *m)
{
    uint64_t value = *m;
    for (; end - p >= 8 && fast_number_is_eight(load_le64(p)); p += 8)
        value = value * 100000000 + fast_number_eight(load_le64(p));
    for (; p < end && (unsigned char)(*p - '0') < 10; p++)
        value = value * 10 + (unsigned char)(*p - '0');
    *m = value;
    return p;
}

// The number at the start of [p, end), to the right bits: where the mantissa fits 53 bits and the
// power is exact, one multiplication or division rounds once (Clinger). Returns the byte behind
// it, or NULL for what it does not know: then number_parse_decimal() has to decide.
const char *fast_number_exponent(const char *p, const char *end, int *exponent);

static inline const char *fast_number_parse(const char *p, const char *end, double *out)
{
    const bool negative = p < end && *p == '-';
    p += negative;
    uint64_t m = 0;
    int exponent = 0;
    const char *const first = p;
    p = fast_number_digits(p, end, &m);
    ptrdiff_t digits = p - first;
    if (p < end && *p == '.') {
        const char *const fraction = ++p;
        p = fast_number_digits(p, end, &m);
        digits += p - fraction;
        exponent = -(int)(p - fraction);
    }
    if (digits == 0 || digits > FAST_NUMBER_DIGITS_MAX)
        return NULL;
    if (p < end && (*p | 0x20) == 'e' && !(p = fast_number_exponent(p + 1, end, &exponent)))
        return NULL;
    double d = (double)m;
    if (exponent != 0) {
        if (m > (uint64_t)1 << 53 || exponent < -FAST_NUMBER_POWER_MAX ||
            exponent > FAST_NUMBER_POWER_MAX)
            return NULL;
        d = exponent < 0 ? d / fast_number_powers[-exponent] : d * fast_number_powers[exponent];
    }
    *out = negative ? -d : d;
    return p;
}

#endif
