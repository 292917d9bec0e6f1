#include "engine/base/number_shim.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>

size_t number_shim_digits(double d, char out[17], int *out_point)
{
    char text[40];
    const auto end =
        std::to_chars(text, text + sizeof text, std::fabs(d), std::chars_format::scientific).ptr;
    size_t n = 0;
    const char *p = text;
    for (; p < end && *p != 'e'; p++)
        if (*p != '.')
            out[n++] = *p;
    int exponent = 0;
    p++; // the e
    std::from_chars(*p == '+' ? p + 1 : p, end, exponent);
    while (n > 1 && out[n - 1] == '0')
        n--;
    *out_point = exponent + 1;
    return n;
}

enum number_shim_result number_shim_parse(const char *p, size_t n, int hex, double *out)
{
    double d = 0;
    const auto format = hex ? std::chars_format::hex : std::chars_format::general;
    const auto result = std::from_chars(p, p + n, d, format);
    if (result.ec == std::errc::invalid_argument || result.ptr != p + n)
        return NUMBER_SHIM_BAD;
    if (result.ec == std::errc()) {
        *out = d;
        return NUMBER_SHIM_OK;
    }
    // Out of range: too small is 0 (or rounds to the least number), too large is an error. The
    // text's magnitude decides: the position of its first digit that is not 0, and the exponent.
    long point = 0;
    bool seen_point = false, seen_digit = false;
    const char *at = p;
    for (; at < p + n && (*at | 0x20) != (hex ? 'p' : 'e'); at++) {
        if (*at == '.')
            seen_point = true;
        else if (*at != '0' || seen_digit)
            seen_digit = true, point += !seen_point;
        else
            point -= seen_point;
    }
    static const long exponent_max = 1000000000; // beyond what any number of digits makes up for
    long exponent = 0;
    if (at < p + n) {
        const char *digits = at[1] == '+' ? at + 2 : at + 1;
        const auto e = std::from_chars(digits, p + n, exponent);
        if (e.ec == std::errc::result_out_of_range)
            exponent = *digits == '-' ? -exponent_max : exponent_max;
        exponent = std::min(std::max(exponent, -exponent_max), exponent_max);
    }
    if (exponent + (hex ? 4 * point : point) < 0) {
        *out = 0;
        return NUMBER_SHIM_OK;
    }
    *out = HUGE_VAL;
    return NUMBER_SHIM_RANGE;
}
