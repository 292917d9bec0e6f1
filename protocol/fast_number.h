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

// How many of the eight bytes, from the lowest on, are digits.
static inline unsigned fast_number_count(uint64_t bytes)
{
    // A byte that is none gets its upper bit; what carries over from it changes only those above.
    const uint64_t values = bytes ^ 0x3030303030303030u;
    const uint64_t others = (values | (values + 0x7676767676767676u)) & 0x8080808080808080u;
    return others ? (unsigned)__builtin_ctzll(others) / 8 : 8;
}

// The number that the first n of the eight bytes are, 1 <= n <= 8: moved to where the last digits
// of eight stand, then pairs, then fours, then the eight, a multiplication each.
static inline uint32_t fast_number_value(uint64_t bytes, unsigned n)
{
    const uint64_t mask = 0x000000ff000000ffu;
    bytes = (bytes ^ 0x3030303030303030u) << (64 - 8 * n);
    bytes = bytes * 10 + (bytes >> 8);
    const uint64_t low = (bytes & mask) * 0x000f424000000064u;
    const uint64_t high = (bytes >> 16 & mask) * 0x0000271000000001u;
    return (uint32_t)((low + high) >> 32);
}

// What a number is multiplied by that gets so many more digits.
static const uint32_t fast_number_shifts[] = {1,      10,      100,      1000,     10000,
                                              100000, 1000000, 10000000, 100000000};

// Takes digits from p on into *m. The caller looks at how many there were: beyond
// FAST_NUMBER_DIGITS_MAX *m is meaningless.
static inline const char *fast_number_digits(const char *p, const char *end, uint64_t *m)
{
    uint64_t value = *m;
    while (end - p >= 8) {
        const uint64_t bytes = load_le64(p);
        const unsigned n = fast_number_count(bytes);
        if (n > 0)
            value = value * fast_number_shifts[n] + fast_number_value(bytes, n);
        p += n;
        if (n < 8) {
            *m = value;
            return p;
        }
    }
    for (; p < end && (unsigned char)(*p - '0') < 10; p++)
        value = value * 10 + (unsigned char)(*p - '0');
    *m = value;
    return p;
}

// The number at the start of [p, end), to the right bits: where the mantissa fits 53 bits and the
// power is exact, one multiplication or division rounds once (Clinger). Returns the byte behind
// it, or NULL for what it does not know: then number_parse_decimal() has to decide.
const char *fast_number_exponent(const char *p, const char *end, int *exponent);

// The same of what most values are: up to seven digits, perhaps a fraction, perhaps an exponent of
// two digits. Reads up to 32 bytes. NULL: what it does not take.
static inline const char *fast_number_short(const char *p, double *out)
{
    const bool negative = *p == '-';
    p += negative;
    uint64_t bytes = load_le64(p), m;
    unsigned n = fast_number_count(bytes);
    int exponent = 0;
    if (n == 0 || n == 8)
        return NULL;
    m = fast_number_value(bytes, n);
    p += n;
    if (*p == '.') {
        bytes = load_le64(++p);
        n = fast_number_count(bytes);
        if (n == 8)
            return NULL;
        if (n > 0)
            m = m * fast_number_shifts[n] + fast_number_value(bytes, n);
        p += n;
        exponent = -(int)n;
    }
    if ((*p | 0x20) == 'e') {
        const unsigned tens = (unsigned char)(p[2] - '0'), ones = (unsigned char)(p[3] - '0');
        if ((p[1] != '+' && p[1] != '-') || tens > 1 || ones > 9 ||
            (unsigned char)(p[4] - '0') < 10)
            return NULL;
        exponent += p[1] == '-' ? -(int)(10 * tens + ones) : (int)(10 * tens + ones);
        p += 4;
    }
    double d = (double)(int64_t)m; // below 10^14
    if (exponent < -FAST_NUMBER_POWER_MAX || exponent > FAST_NUMBER_POWER_MAX)
        return NULL;
    if (exponent != 0)
        d = exponent < 0 ? d / fast_number_powers[-exponent] : d * fast_number_powers[exponent];
    *out = negative ? -d : d;
    return p;
}

static inline const char *fast_number_parse(const char *p, const char *end, double *out)
{
    enum { SHORT_BYTES = 32 };
    const char *const behind = end - p >= SHORT_BYTES ? fast_number_short(p, out) : NULL;
    if (behind)
        return behind;
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
