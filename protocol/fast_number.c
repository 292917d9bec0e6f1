#include "protocol/fast_number.h"

const double fast_number_powers[FAST_NUMBER_POWER_MAX + 1] = {
    1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
    1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
};

const char *fast_number_exponent(const char *p, const char *end, int *exponent)
{
    enum { DIGITS_MAX = 6 }; // more cannot be in reach
    const bool negative = p < end && *p == '-';
    p += p < end && (*p == '-' || *p == '+');
    const char *const first = p;
    int value = 0;
    for (; p < end && p - first <= DIGITS_MAX && (unsigned char)(*p - '0') < 10; p++)
        value = value * 10 + (*p - '0');
    if (p == first || p - first > DIGITS_MAX)
        return NULL;
    *exponent += negative ? -value : value;
    return p;
}
