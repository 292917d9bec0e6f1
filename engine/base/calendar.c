#include "engine/base/calendar.h"

#include <stdio.h>

enum { DAYS_PER_ERA = 146097, SECONDS_PER_DAY = 86400 };

// Days since 1970-01-01 of a civil date and back, by eras of 400 years that begin on a first of
// March.
static int64_t days_from_civil(int64_t year, int month, int day)
{
    year -= month <= 2;
    const int64_t era = (year >= 0 ? year : year - 399) / 400, of_era = year - era * 400;
    const int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * DAYS_PER_ERA + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

struct calendar_date calendar_from_ms(int64_t ms)
{
    const int64_t seconds = floor_div(ms, 1000), days = floor_div(seconds, SECONDS_PER_DAY);
    const int64_t of_day = seconds - days * SECONDS_PER_DAY;
    const int64_t z = days + 719468, era = floor_div(z, DAYS_PER_ERA), doe = z - era * DAYS_PER_ERA;
    const int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    const int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100), mp = (5 * doy + 2) / 153;
    const int month = (int)(mp < 10 ? mp + 3 : mp - 9);
    return (struct calendar_date){
        .year = yoe + era * 400 + (month <= 2),
        .month = month,
        .day = (int)(doy - (153 * mp + 2) / 5 + 1),
        .hour = (int)(of_day / 3600),
        .minute = (int)(of_day / 60 % 60),
        .second = (int)(of_day % 60),
        .ms = (int)(ms - seconds * 1000),
    };
}

size_t calendar_format_ms(int64_t ms, char out[static CALENDAR_TEXT_MAX])
{
    const struct calendar_date d = calendar_from_ms(ms);
    return (size_t)snprintf(out, CALENDAR_TEXT_MAX, "%04lld-%02d-%02dT%02d:%02d:%02d.%03dZ",
                            (long long)d.year, d.month, d.day, d.hour, d.minute, d.second, d.ms);
}

size_t calendar_format(int64_t ms, char out[static CALENDAR_TEXT_MAX])
{
    size_t n = calendar_format_ms(ms, out) - 1;
    while (out[n - 1] == '0')
        n--;
    n -= out[n - 1] == '.';
    out[n++] = 'Z';
    return n;
}

// Exactly count digits at *at, then the separator (0: none).
static bool take_number(struct str s, size_t *at, size_t count, char separator, int *out)
{
    int v = 0;
    if (s.n < *at + count + (separator != 0))
        return false;
    for (size_t i = 0; i < count; i++) {
        const char c = s.p[(*at)++];
        if (c < '0' || c > '9')
            return false;
        v = v * 10 + (c - '0');
    }
    *out = v;
    return !separator || s.p[(*at)++] == separator;
}

// Of the hour Go also takes a single digit.
static bool take_hour(struct str s, size_t *at, int *out)
{
    const bool is_short = s.n > *at + 1 && s.p[*at + 1] == ':';
    return take_number(s, at, is_short ? 1 : 2, ':', out);
}

static bool take_fraction(struct str s, size_t *at, int64_t *out_ns)
{
    *out_ns = 0;
    if (*at >= s.n || (s.p[*at] != '.' && s.p[*at] != ','))
        return true;
    int digits = 0;
    for ((*at)++; *at < s.n && s.p[*at] >= '0' && s.p[*at] <= '9'; (*at)++, digits++)
        if (digits < 9)
            *out_ns = *out_ns * 10 + (s.p[*at] - '0');
    for (int i = digits; i < 9; i++)
        *out_ns *= 10;
    return digits > 0;
}

// Up to 24:60, as Go reads them, since people write them.
static bool take_offset(struct str s, size_t *at, int *out_minutes)
{
    int hours, minutes;
    if (*at >= s.n)
        return false;
    const char sign = s.p[(*at)++];
    *out_minutes = 0;
    if (sign == 'Z')
        return true;
    if ((sign != '+' && sign != '-') || !take_number(s, at, 2, ':', &hours) ||
        !take_number(s, at, 2, 0, &minutes) || hours > 24 || minutes > 60)
        return false;
    *out_minutes = (sign == '-' ? -1 : 1) * (hours * 60 + minutes);
    return true;
}

static int days_in(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    const bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return days[month - 1] + (month == 2 && leap);
}

bool calendar_parse_ns(struct str s, int64_t *out_s, int64_t *out_ns)
{
    size_t at = 0;
    int year, month, day, hour, minute, second, offset;
    if (!take_number(s, &at, 4, '-', &year) || !take_number(s, &at, 2, '-', &month) ||
        !take_number(s, &at, 2, 'T', &day) || !take_hour(s, &at, &hour) ||
        !take_number(s, &at, 2, ':', &minute) || !take_number(s, &at, 2, 0, &second) ||
        !take_fraction(s, &at, out_ns) || !take_offset(s, &at, &offset) || at != s.n)
        return false;
    if (month < 1 || month > 12 || day < 1 || day > days_in(year, month) || hour > 23 ||
        minute > 59 || second > 59)
        return false;
    const int64_t minutes = (hour * 60LL + minute) - offset;
    *out_s = (days_from_civil(year, month, day) * 1440 + minutes) * 60 + second;
    return true;
}

bool calendar_parse(struct str s, int64_t *out_ms)
{
    int64_t seconds, ns;
    if (!calendar_parse_ns(s, &seconds, &ns))
        return false;
    *out_ms = seconds * 1000 + ns / 1000000;
    return true;
}
