#include "engine/base/calendar.h"

#include <criterion/criterion.h>

#include "engine/base/rng.h"
#include "engine/base/util.h"

// Times as `date -u -d TEXT +%s` and Go's time.Parse(time.RFC3339Nano) have them.
static const struct {
    const char *text;
    int64_t ms;
    const char *again; // as it is written; NULL: as it was read
} good[] = {
    {"1970-01-01T00:00:00Z", 0, NULL},
    {"1969-12-31T23:59:59.999Z", -1, NULL},
    {"2000-02-29T12:00:00Z", 951825600000, NULL},
    {"2026-11-22T15:00:00.12Z", 1795359600120, NULL},
    {"2015-07-01T20:10:51.781Z", 1435781451781, NULL},
    {"2015-07-01T22:10:51.781999999+02:00", 1435781451781, "2015-07-01T20:10:51.781Z"},
    {"2015-07-01T14:40:51,781-05:30", 1435781451781, "2015-07-01T20:10:51.781Z"},
    {"0001-01-01T00:00:00Z", -62135596800000, NULL},
    {"0000-03-01T00:00:00Z", -62162035200000, NULL},
    {"9999-12-31T23:59:59.999Z", 253402300799999, NULL},
    {"1900-03-01T00:00:00Z", -2203891200000, NULL},
    {"2038-01-19T03:14:08Z", 2147483648000, NULL},
    {"2038-01-19T3:14:08Z", 2147483648000, "2038-01-19T03:14:08Z"},
    {"2038-01-20T04:14:08+24:60", 2147483648000, "2038-01-19T03:14:08Z"},
};
static const char *const bad[] = {
    "",
    "2015",
    "2015-07-01",
    "2015-07-01T20:10:51",
    "2015-07-01 20:10:51Z",
    "2015-07-01t20:10:51z",
    "2015-07-01T20:10:51.Z",
    "2015-02-29T00:00:00Z",
    "1900-02-29T00:00:00Z",
    "2015-13-01T00:00:00Z",
    "2015-00-01T00:00:00Z",
    "2015-01-00T00:00:00Z",
    "2015-01-01T24:00:00Z",
    "2015-01-01T00:60:00Z",
    "2015-01-01T00:00:60Z",
    "2015-01-01T00:00:00Zx",
    "2015-01-01T00:00:00+1:00",
    "2015-01-01T00:00:00+25:00",
    "2015-01-01T00:00:00+00:61",
    "2015-01-01T0:0:00Z",
    "2015-01-01T:00:00Z",
    "2015-01-01T012:00:00Z",
    "2015-01-01T00:00:00+01",
    "2015\r01-01T00:00:00Z",
    "2015-01-01T00\03200:00Z",
    "-015-01-01T00:00:00Z",
    "12015-01-01T00:00:00Z",
};

Test(calendar, known_times)
{
    for (size_t i = 0; i < countof(good); i++) {
        int64_t ms;
        char text[CALENDAR_TEXT_MAX];
        cr_assert(calendar_parse(str_from_c(good[i].text), &ms), "%s", good[i].text);
        cr_assert_eq(ms, good[i].ms, "%s: %lld", good[i].text, (long long)ms);
        const struct str again = str_make(text, calendar_format(ms, text));
        cr_assert(str_eq(again, str_from_c(good[i].again ? good[i].again : good[i].text)),
                  "%s: %.*s", good[i].text, STR_ARG(again));
    }
    for (size_t i = 0; i < countof(bad); i++) {
        int64_t ms;
        cr_assert(!calendar_parse(str_from_c(bad[i]), &ms), "%s", bad[i]);
    }
}

Test(calendar, round_trips)
{
    struct rng rng;
    rng_init(&rng, 3);
    for (int i = 0; i < 200000; i++) { // the years 0 to 9999, which RFC 3339 can write
        const int64_t ms = (int64_t)rng_below(&rng, 315569519999999) - 62167219200000;
        char text[CALENDAR_TEXT_MAX];
        int64_t back;
        const struct str written = str_make(text, calendar_format(ms, text));
        cr_assert(calendar_parse(written, &back), "%.*s", STR_ARG(written));
        cr_assert_eq(back, ms, "%.*s", STR_ARG(written));
    }
    for (int i = 0; i < 100000; i++) { // dates of any time go up by a day
        const int64_t ms = (int64_t)(rng_u64(&rng) >> 4) - (INT64_MAX >> 4);
        const struct calendar_date d = calendar_from_ms(ms), next = calendar_from_ms(ms + 86400000);
        cr_assert(d.month >= 1 && d.month <= 12 && d.day >= 1 && d.day <= 31);
        cr_assert(next.hour == d.hour && next.minute == d.minute && next.ms == d.ms);
        cr_assert(next.day == d.day + 1 ||
                  (next.day == 1 && d.day >= 28 && (next.month == d.month % 12 + 1) &&
                   next.year == d.year + (d.month == 12)));
    }
}
