#include "engine/base/number.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <math.h>

#include "engine/base/bits.h"
#include "engine/base/duration.h"
#include "engine/base/rng.h"
#include "engine/base/util.h"

// Wanted texts are Go's: strconv.FormatFloat(d, 'f' and 'g', -1, 64).
static const struct {
    double d;
    const char *f, *g, *api;
} formats[] = {
    {0, "0", "0", "0"},
    {-0.0, "-0", "-0", "-0"},
    {1, "1", "1", "1"},
    {0.1, "0.1", "0.1", "0.1"},
    {-12.5, "-12.5", "-12.5", "-12.5"},
    {100000, "100000", "100000", "100000"},
    {1e6, "1000000", "1e+06", "1000000"},
    {1234567, "1234567", "1.234567e+06", "1234567"},
    {1e20, "100000000000000000000", "1e+20", "100000000000000000000"},
    {1e21, "1000000000000000000000", "1e+21", "1e+21"},
    {0x1p70, "1180591620717411300000", "1.1805916207174113e+21", "1.1805916207174113e+21"},
    {0.0001, "0.0001", "0.0001", "0.0001"},
    {0.00001, "0.00001", "1e-05", "0.00001"},
    {1e-7, "0.0000001", "1e-07", "1e-07"},
    {5e-324, NULL, "5e-324", "5e-324"},
    {1.7976931348623157e308, NULL, "1.7976931348623157e+308", "1.7976931348623157e+308"},
    {0.30000000000000004, "0.30000000000000004", "0.30000000000000004", "0.30000000000000004"},
    {INFINITY, "+Inf", "+Inf", "+Inf"},
    {-INFINITY, "-Inf", "-Inf", "-Inf"},
};

Test(number, formats)
{
    char text[NUMBER_TEXT_MAX + 1];
    for (size_t i = 0; i < countof(formats); i++) {
        text[number_format_g(formats[i].d, text)] = '\0';
        cr_assert_str_eq(text, formats[i].g);
        text[number_format_api(formats[i].d, text)] = '\0';
        cr_assert_str_eq(text, formats[i].api);
        if (!formats[i].f)
            continue;
        text[number_format_f(formats[i].d, text)] = '\0';
        cr_assert_str_eq(text, formats[i].f);
    }
}

// What strconv.ParseFloat takes; ERR_LIMIT where it answers with a range error.
static const struct {
    const char *text;
    err code;
    double d;
    bool decimal; // number_parse_decimal takes it too
} parses[] = {
    {"1", ERR_OK, 1, true},
    {"-1.5e3", ERR_OK, -1500, true},
    {".5", ERR_OK, 0.5, true},
    {"5.", ERR_OK, 5, true},
    {"+7", ERR_OK, 7, true},
    {"+Inf", ERR_OK, INFINITY, true},
    {"-inf", ERR_OK, -INFINITY, true},
    {"Infinity", ERR_OK, INFINITY, true},
    {"0x1p-2", ERR_OK, 0.25, false},
    {"0x1.8p1", ERR_OK, 3, false},
    {"1_000", ERR_OK, 1000, false},
    {"0x_1p0", ERR_OK, 1, false},
    {"1e400", ERR_LIMIT, INFINITY, true},
    {"-1e400", ERR_LIMIT, -INFINITY, true},
    {"1e-400", ERR_OK, 0, true},
    {"123e9223372036854775807", ERR_LIMIT, INFINITY, true},
    {"0.00123e-9223372036854775808", ERR_OK, 0, true},
    {"1e99999999999999999999", ERR_LIMIT, INFINITY, true},
    {"0x1e4p9999", ERR_LIMIT, INFINITY, false},
    {"0x1e4p-9999", ERR_OK, 0, false},
    {"4.9e-324", ERR_OK, 5e-324, true},
    {"", ERR_INVALID, 0, true},
    {"x", ERR_INVALID, 0, true},
    {"1e", ERR_INVALID, 0, true},
    {"0x1", ERR_INVALID, 0, true},
    {"1 ", ERR_INVALID, 0, true},
    {"+nan", ERR_INVALID, 0, true},
    {"1__0", ERR_INVALID, 0, true},
    {"_1", ERR_INVALID, 0, true},
    {"--1", ERR_INVALID, 0, true},
    {".", ERR_INVALID, 0, true},
};

Test(number, parses)
{
    for (size_t i = 0; i < countof(parses); i++) {
        double d = 42;
        cr_assert_eq(number_parse(str_from_c(parses[i].text), &d), parses[i].code, "%s",
                     parses[i].text);
        if (parses[i].code != ERR_INVALID)
            cr_assert_eq(bits_from_double(d), bits_from_double(parses[i].d), "%s: %g",
                         parses[i].text, d);
        const err want = parses[i].decimal ? parses[i].code : ERR_INVALID;
        cr_assert_eq(number_parse_decimal(str_from_c(parses[i].text), &d), want, "%s",
                     parses[i].text);
    }
}

Test(number, text_and_back_keeps_every_bit)
{
    struct rng rng;
    rng_init(&rng, 7);
    for (int i = 0; i < 200000; i++) {
        const double d = double_from_bits(rng_u64(&rng));
        if (!isfinite(d))
            continue;
        char text[NUMBER_TEXT_MAX];
        double back;
        const size_t n = i % 2 ? number_format_g(d, text) : number_format_f(d, text);
        cr_assert_eq(number_parse_decimal(str_make(text, n), &back), ERR_OK);
        cr_assert_eq(bits_from_double(back), bits_from_double(d), "%.*s", (int)n, text);
    }
}

static const struct {
    const char *text;
    int64_t ms;
    const char *back;
} durations[] = {
    {"0", 0, "0s"},
    {"0s", 0, "0s"},
    {"1s", 1000, "1s"},
    {"90d", 7776000000, "90d"},
    {"14d", 1209600000, "2w"},
    {"1h30m", 5400000, "1h30m"},
    {"1y", 31536000000, "1y"},
    {"1d2h3m4s5ms", 93784005, "1d2h3m4s5ms"},
    {"100ms", 100, "100ms"},
};

Test(number, durations)
{
    for (size_t i = 0; i < countof(durations); i++) {
        int64_t ms;
        struct errmsg e = {0};
        cr_assert_eq(duration_parse(str_from_c(durations[i].text), &ms, &e), ERR_OK, "%s", e.text);
        cr_assert_eq(ms, durations[i].ms);
        struct buf b = {0};
        duration_format(ms, &b);
        cr_assert(str_eq(buf_str(&b), str_from_c(durations[i].back)));
        buf_deinit(&b);
    }
    static const char *const bad[] = {"",    "1",    "s",      "1s1s", "1s1m",
                                      "-1s", "1.5h", "1h 30m", "1mss"};
    for (size_t i = 0; i < countof(bad); i++) {
        int64_t ms;
        cr_assert_eq(duration_parse(str_from_c(bad[i]), &ms, NULL), ERR_INVALID, "%s", bad[i]);
    }
    int64_t ms;
    struct errmsg e;
    cr_assert_eq(duration_parse(STR("294y"), &ms, &e), ERR_INVALID);
    cr_assert_str_eq(e.text, "duration out of range");
    cr_assert_eq(duration_parse(STR("5y1hs"), &ms, &e), ERR_INVALID);
    cr_assert_str_eq(e.text, "unknown unit \"hs\" in duration \"5y1hs\"");
    cr_assert_eq(duration_parse(STR("5m1h"), &ms, &e), ERR_INVALID);
    cr_assert_str_eq(e.text, "not a valid duration string: \"5m1h\"");
}

// Errors as github.com/alecthomas/units has them; 0 and a text: wrong.
static const struct {
    const char *text;
    int64_t bytes;
    const char *error;
} sizes[] = {
    {"512MB", 512 << 20, NULL},
    {"1KiB", 1024, NULL},
    {"0", 0, NULL},
    {"1.5KB", 1536, NULL},
    {".5KB", 512, NULL},
    {"1GiB512MiB", 1536 << 20, NULL},
    {"-5B", -5, NULL},
    {"+5B", 5, NULL},
    {"", 0, "units: invalid "},
    {"-", 0, "units: invalid -"},
    {"MB", 0, "units: invalid MB"},
    {".MB", 0, "units: invalid .MB"},
    {"5", 0, "units: unknown unit  in 5"},
    {"5XB", 0, "units: unknown unit XB in 5XB"},
    {"1e30EB", 0, "units: unknown unit e in 1e30EB"},
    {"99EB", 0, "units: overflow parsing unit"},
};

Test(number, sizes)
{
    for (size_t i = 0; i < countof(sizes); i++) {
        int64_t n = -7;
        struct errmsg e = {0};
        const err code = size_parse(str_from_c(sizes[i].text), &n, &e);
        cr_assert_eq(!code, !sizes[i].error, "%s: %s", sizes[i].text, e.text);
        if (code)
            cr_assert_str_eq(e.text, sizes[i].error);
        cr_assert_eq(n, code ? -7 : sizes[i].bytes, "%s", sizes[i].text);
    }
}
