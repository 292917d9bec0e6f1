// The calendar, as minute() and its kin see it: also of times that no clock will show.
#include <assert.h>

#include "engine/promql/eval.h"

struct civil {
    int64_t year;
    int month, day, day_of_year, days_in_month, day_of_week, hour, minute;
};

static bool is_leap(int64_t year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

// As Go does on amd64: what an int64 cannot hold becomes the least one.
static int64_t whole_seconds(double seconds)
{
    const bool fits = seconds >= -9223372036854775808.0 && seconds < 9223372036854775808.0;
    return fits ? (int64_t)seconds : INT64_MIN;
}

// Of Unix seconds, in the proleptic Gregorian calendar (after Howard Hinnant's civil_from_days).
// Days count from 1 March of the year -292277022400, a Wednesday, and wrap around, as Go's do.
static struct civil civil_of(double seconds)
{
    const uint64_t years_before = 292277022400u;
    const uint64_t days_before = years_before / 400 * 146097 + 306 + 719162; // to 1970
    const uint64_t abs = (uint64_t)whole_seconds(seconds) + days_before * 86400;
    const int64_t days = (int64_t)(abs / 86400), in_day = (int64_t)(abs % 86400);
    const int64_t era = days / 146097, day_of_era = days % 146097;
    const int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    const int64_t from_march =
        day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    const int64_t month_index = (5 * from_march + 2) / 153;
    struct civil c = {.year = year_of_era + era * 400 - (int64_t)years_before,
                      .month = (int)(month_index < 10 ? month_index + 3 : month_index - 9),
                      .day = (int)(from_march - (153 * month_index + 2) / 5 + 1),
                      .day_of_week = (int)((days + 3) % 7),
                      .hour = (int)(in_day / 3600),
                      .minute = (int)(in_day % 3600 / 60)};
    c.year += c.month <= 2;
    static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    const int leap_day = is_leap(c.year) ? 1 : 0;
    c.days_in_month = lengths[c.month - 1] + (c.month == 2 ? leap_day : 0);
    c.day_of_year = c.day + (c.month > 2 ? leap_day : 0);
    for (int m = 1; m < c.month; m++)
        c.day_of_year += lengths[m - 1];
    return c;
}

double date_part(enum promql_function_id id, double seconds)
{
    const struct civil c = civil_of(seconds);
    switch ((int)id) {
    case PROMQL_FN_DAY_OF_MONTH:
        return c.day;
    case PROMQL_FN_DAY_OF_WEEK:
        return c.day_of_week;
    case PROMQL_FN_DAY_OF_YEAR:
        return c.day_of_year;
    case PROMQL_FN_DAYS_IN_MONTH:
        return c.days_in_month;
    case PROMQL_FN_HOUR:
        return c.hour;
    case PROMQL_FN_MINUTE:
        return c.minute;
    case PROMQL_FN_MONTH:
        return c.month;
    default:
        assert(id == PROMQL_FN_YEAR);
        return (double)c.year;
    }
}

bool call_is_of_date(enum promql_function_id id)
{
    switch ((int)id) {
    case PROMQL_FN_DAY_OF_MONTH:
    case PROMQL_FN_DAY_OF_WEEK:
    case PROMQL_FN_DAY_OF_YEAR:
    case PROMQL_FN_DAYS_IN_MONTH:
    case PROMQL_FN_HOUR:
    case PROMQL_FN_MINUTE:
    case PROMQL_FN_MONTH:
    case PROMQL_FN_YEAR:
        return true;
    default:
        return false;
    }
}
