#include <criterion/criterion.h>

#include "engine/base/util.h"
#include "tools/promtool/go_duration.h"

// Values and texts are those of Go's time.ParseDuration, with d and w.
static const struct {
    const char *text;
    int64_t ns;
    const char *error;
} rows[] = {
    {"0", 0, NULL},
    {"5m", 300000000000, NULL},
    {"1h30m", 5400000000000, NULL},
    {"1.5s", 1500000000, NULL},
    {".5m", 30000000000, NULL},
    {"1.m", 60000000000, NULL},
    {"-10ms", -10000000, NULL},
    {"+1us", 1000, NULL},
    {"1\xc2\xb5s", 1000, NULL},
    {"100ns", 100, NULL},
    {"1d", 86400000000000, NULL},
    {"1w1d", 691200000000000, NULL},
    {"", 0, "time: invalid duration \"\""},
    {"-", 0, "time: invalid duration \"-\""},
    {"x", 0, "time: invalid duration \"x\""},
    {".s", 0, "time: invalid duration \".s\""},
    {"15", 0, "time: missing unit in duration \"15\""},
    {"1m5", 0, "time: missing unit in duration \"1m5\""},
    {"1y", 0, "time: unknown unit \"y\" in duration \"1y\""},
    {"1h 5m", 0, "time: unknown unit \"h \" in duration \"1h 5m\""},
    {"10000000000h", 0, "time: invalid duration \"10000000000h\""},
};

Test(go_duration, reads_as_go_does)
{
    for (size_t i = 0; i < countof(rows); i++) {
        int64_t ns = -1;
        struct errmsg e = {{0}};
        const err code = go_duration_parse(str_from_c(rows[i].text), &ns, &e);
        cr_assert_eq(code == ERR_OK, !rows[i].error, "%s", rows[i].text);
        if (rows[i].error)
            cr_assert_str_eq(e.text, rows[i].error);
        else
            cr_assert_eq(ns, rows[i].ns, "%s: %lld", rows[i].text, (long long)ns);
    }
}
