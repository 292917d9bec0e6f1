// The text format and OpenMetrics. Wanted values and messages are those of Prometheus's parsers.
#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>

#include "engine/base/bits.h"
#include "engine/base/number.h"
#include "engine/base/quote.h"
#include "engine/base/util.h"
#include "protocol/exposition.h"
#include "protocol/fast_number.h"

// Everything the body says, an event a line, so that a test is two texts.
static struct buf transcript(enum exposition_format format, struct str body)
{
    struct buf out = {0}, scratch = {0};
    struct exposition x;
    struct errmsg e;
    char *exact = malloc(body.n + !body.n); // a sanitizer sees a byte too far
    if (body.n)
        memcpy(exact, body.p, body.n);
    exposition_init(&x, format, str_make(exact, body.n));
    for (;;) {
        enum exposition_event event;
        if (exposition_next(&x, &event, &e) != ERR_OK) {
            buf_printf(&out, "error %s\n", e.text);
            break;
        }
        if (event == EXPOSITION_END) {
            buf_printf(&out, "end\n");
            break;
        }
        if (event == EXPOSITION_TYPE)
            buf_printf(&out, "type %.*s %s\n", STR_ARG(x.name), exposition_type_name(x.type));
        else if (event == EXPOSITION_COMMENT)
            buf_printf(&out, "comment %.*s\n", STR_ARG(x.text));
        else if (event != EXPOSITION_SERIES) {
            const struct str text =
                event == EXPOSITION_HELP ? exposition_help(&x, &scratch) : x.text;
            buf_printf(&out, "%s %.*s ", event == EXPOSITION_HELP ? "help" : "unit",
                       STR_ARG(x.name));
            buf_put_quoted(&out, text);
            buf_put_char(&out, '\n');
        }
        if (event != EXPOSITION_SERIES)
            continue;
        struct exposition_labels i;
        struct str name, value;
        exposition_labels_init(&i, &x, &scratch);
        for (bool first = true; exposition_labels_next(&i, &name, &value); first = false) {
            buf_put_str(&out, first ? STR("") : STR(","));
            if (first)
                buf_put_quoted(&out, value);
            else {
                buf_put_str(&out, name);
                buf_put_char(&out, '=');
                buf_put_quoted(&out, value);
            }
        }
        buf_put_char(&out, ' ');
        buf_put_double_g(&out, double_from_bits(x.sample.bits));
        if (x.sample.has_time)
            buf_printf(&out, " @%" PRId64, x.sample.time_ms);
        if (x.has_exemplar) {
            buf_put_str(&out, STR(" # "));
            exposition_exemplar_init(&i, &x, &scratch);
            while (exposition_labels_next(&i, &name, &value))
                buf_printf(&out, "%.*s=%.*s ", STR_ARG(name), STR_ARG(value));
            buf_put_double_g(&out, double_from_bits(x.exemplar.bits));
            if (x.exemplar.has_time)
                buf_printf(&out, " @%" PRId64, x.exemplar.time_ms);
        }
        buf_put_char(&out, '\n');
    }
    buf_deinit(&scratch);
    free(exact);
    return out;
}

static void check(enum exposition_format format, struct str body, struct str want)
{
    struct buf got = transcript(format, body);
    cr_assert(str_eq(buf_str(&got), want), "of %.*s\ngot  %.*s\nwant %.*s", STR_ARG(body),
              STR_ARG(buf_str(&got)), STR_ARG(want));
    buf_deinit(&got);
}

#define CASE(body, want)             \
    {                                \
        {(body), sizeof(body) - 1},  \
        {                            \
            (want), sizeof(want) - 1 \
        }                            \
    }
struct row {
    struct str body, want;
};

static void check_rows(enum exposition_format format, const struct row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++)
        check(format, rows[i].body, rows[i].want);
}

Test(exposition, text_of_prometheus_own_test)
{
    check(EXPOSITION_TEXT,
          STR("# HELP go_gc_duration_seconds A summary of the GC invocation durations.\n"
              "# \tTYPE go_gc_duration_seconds summary\n"
              "go_gc_duration_seconds{quantile=\"0\"} 4.9351e-05\n"
              "go_gc_duration_seconds{quantile=\"0.25\",} 7.424100000000001e-05\n"
              "go_gc_duration_seconds{quantile=\"0.8\", a=\"b\"} 8.3835e-05\n"
              "go_gc_duration_seconds{ quantile=\"0.9\", a=\"b\"} 8.3835e-05\n"
              "# Hrandom comment starting with prefix of HELP\n"
              "#\n"
              "wind_speed{A=\"2\",c=\"3\"} 12345\n"
              "# comment with escaped \\n newline\n"
              "# HELP nohelp1\n"
              "# HELP nohelp2 \n"
              "go_gc_duration_seconds { quantile= \"1.0\", a= \"b\", } 8.3835e-05\n"
              "go_gc_duration_seconds { quantile = \"2.0\" a = \"b\" } 8.3835e-05\n"
              "some:aggregate:rate5m{a_b=\"c\"}\t1\n"
              "# TYPE go_goroutines gauge\n"
              "go_goroutines 33  \t123123\n"
              "testmetric{le=\"1\",label=\"\\\"bar\\\"\"} 1\n"
              "# HELP metric foo\0bar\n"
              "null_byte_metric{a=\"abc\0\"} 1"),
          STR("help go_gc_duration_seconds \"A summary of the GC invocation durations.\"\n"
              "type go_gc_duration_seconds summary\n"
              "\"go_gc_duration_seconds\",quantile=\"0.0\" 4.9351e-05\n"
              "\"go_gc_duration_seconds\",quantile=\"0.25\" 7.424100000000001e-05\n"
              "\"go_gc_duration_seconds\",quantile=\"0.8\",a=\"b\" 8.3835e-05\n"
              "\"go_gc_duration_seconds\",quantile=\"0.9\",a=\"b\" 8.3835e-05\n"
              "comment # Hrandom comment starting with prefix of HELP\n"
              "comment #\n"
              "\"wind_speed\",A=\"2\",c=\"3\" 12345\n"
              "comment # comment with escaped \\n newline\n"
              "help nohelp1 \"\"\n"
              "help nohelp2 \"\"\n"
              "\"go_gc_duration_seconds\",quantile=\"1.0\",a=\"b\" 8.3835e-05\n"
              "\"go_gc_duration_seconds\",quantile=\"2.0\",a=\"b\" 8.3835e-05\n"
              "\"some:aggregate:rate5m\",a_b=\"c\" 1\n"
              "type go_goroutines gauge\n"
              "\"go_goroutines\" 33 @123123\n"
              "\"testmetric\",le=\"1\",label=\"\\\"bar\\\"\" 1\n"
              "help metric \"foo\\x00bar\"\n"
              "\"null_byte_metric\",a=\"abc\\x00\" 1\n"
              "end\n"));
}

Test(exposition, text_names_in_quotes)
{
    check(EXPOSITION_TEXT,
          STR("# HELP \"go.gc\" Help.\n"
              "# \tTYPE \"go.gc\" summary\n"
              "{\"go.gc\",quantile=\"0\"} 4.9351e-05\n"
              "{ \"go.gc\", quantile = \"1.0\", a = \"b\" } 8.3835e-05\n"
              "{\"go.gc_count\"} 99\n"
              "{quantile=\"0.5\",\"go.gc\"} 1\n"
              "{\"Heizöl 10€ \\\"interesting\\\" {c\\nh}\",\"strange©™\\n'q' \\\"n\\\"\"=\"6\"} "
              "10.0"),
          STR("help go.gc \"Help.\"\n"
              "type go.gc summary\n"
              "\"go.gc\",quantile=\"0.0\" 4.9351e-05\n"
              "\"go.gc\",quantile=\"1.0\",a=\"b\" 8.3835e-05\n"
              "\"go.gc_count\" 99\n"
              "\"go.gc\",quantile=\"0.5\" 1\n"
              "\"Heizöl 10€ \\\"interesting\\\" {c\\nh}\",strange©™\n'q' \"n\"=\"6\" 10\n"
              "end\n"));
}

static const struct row bad_text[] = {
    CASE("", "end\n"),
    CASE("\n \n\t\n", "end\n"),
    CASE("a", "error expected value after metric, got \"\\n\" (\"INVALID\") while parsing: "
              "\"a\\n\"\n"),
    CASE("a{b='c'} 1\n", "error expected label value, got \"'\" (\"INVALID\") while parsing: "
                         "\"a{b='\"\n"),
    CASE("a{b=\n", "error expected label value, got \"\\n\" (\"INVALID\") while parsing: "
                   "\"a{b=\\n\"\n"),
    CASE("a{\xff=\"foo\"} 1\n", "error expected label name, got \"\\xff\" (\"INVALID\") while "
                                "parsing: \"a{\\xff\"\n"),
    CASE("a{b=\"\xff\"} 1\n", "error invalid UTF-8 label value: \"\\\"\\xff\\\"\"\n"),
    CASE("{\"a\", \"b = \"c\"}", "error expected equal, got \"c\\\"\" (\"LNAME\") while "
                                 "parsing: \"{\\\"a\\\", \\\"b = \\\"c\\\"\"\n"),
    CASE("{\"a\",b\\nc=\"d\"} 1", "error expected equal, got \"\\\\\" (\"INVALID\") while "
                                  "parsing: \"{\\\"a\\\",b\\\\\"\n"),
    CASE("a true\n", "error strconv.ParseFloat: parsing \"true\": invalid syntax while "
                     "parsing: \"a true\"\n"),
    CASE("a 1e400\n", "error strconv.ParseFloat: parsing \"1e400\": value out of range while "
                      "parsing: \"a 1e400\"\n"),
    CASE("something_weird{problem=\"",
         "error expected label value, got \"\\\"\\n\" (\"INVALID\") while parsing: "
         "\"something_weird{problem=\\\"\\n\"\n"),
    CASE("empty_label_name{=\"\"} 0", "error expected label name, got \"=\\\"\" (\"EQUAL\") "
                                      "while parsing: \"empty_label_name{=\\\"\"\n"),
    CASE("foo 1_2\n", "error unsupported character in float while parsing: \"foo 1_2\"\n"),
    CASE("foo 0x1p-3\n", "error unsupported character in float while parsing: \"foo 0x1p-3\"\n"),
    CASE("foo 0 1_2\n", "error expected next entry after timestamp, got \"_\" (\"INVALID\") "
                        "while parsing: \"foo 0 1_\"\n"),
    CASE("foo 0 -1\n", "error expected timestamp or new record, got \"-\" (\"INVALID\") while "
                       "parsing: \"foo 0 -\"\n"),
    CASE("foo 0 99999999999999999999\n",
         "error strconv.ParseInt: parsing \"99999999999999999999\": value out of range while "
         "parsing: \"foo 0 99999999999999999999\"\n"),
    CASE("{a=\"ok\"} 1", "error metric name not set while parsing: \"{a=\\\"ok\\\"} 1\"\n"),
    CASE("a{\"b\"} 1", "error metric name already set while parsing: \"a{\\\"b\\\"}\"\n"),
    CASE("# TYPE #\n#EOF\n", "error expected metric name after TYPE, got \"#\" (\"INVALID\") "
                             "while parsing: \"# TYPE #\"\n"),
    CASE("# HELP #\n#EOF\n", "error expected metric name after HELP, got \"#\" (\"INVALID\") "
                             "while parsing: \"# HELP #\"\n"),
    CASE("# TYPE a info\n", "error invalid metric type \"info\"\n"),
    CASE("# HELP a \xff\n", "error help text \"\\xff\" is not a valid utf8 string\n"),
    CASE("9\n", "error expected a valid start token, got \"9\" (\"INVALID\") while parsing: "
                "\"9\"\n"),
    CASE("a{b=\0\"ssss\"} 1\n", "error expected label value, got \"\\x00\" (\"INVALID\") "
                                "while parsing: \"a{b=\\x00\"\n"),
    CASE("a{b=\"\0", "error expected label value, got \"\\\"\\x00\\n\" (\"INVALID\") while "
                     "parsing: \"a{b=\\\"\\x00\\n\"\n"),
    CASE("a{b\0=\"hiih\"}\t1", "error expected equal, got \"\\x00\" (\"INVALID\") while "
                               "parsing: \"a{b\\x00\"\n"),
    CASE("a\0{b=\"ddd\"} 1", "error expected value after metric, got \"\\x00\" (\"INVALID\") "
                             "while parsing: \"a\\x00\"\n"),
    CASE("a 0 1\0", "error expected next entry after timestamp, got \"\\x00\" (\"INVALID\") "
                    "while parsing: \"a 0 1\\x00\"\n"),
};

Test(exposition, text_errors)
{
    check_rows(EXPOSITION_TEXT, bad_text, countof(bad_text));
}

Test(exposition, openmetrics_of_prometheus_own_test)
{
    check(EXPOSITION_OPENMETRICS,
          STR("# HELP go_gc_duration_seconds A summary.\n"
              "# TYPE go_gc_duration_seconds summary\n"
              "# UNIT go_gc_duration_seconds seconds\n"
              "go_gc_duration_seconds{quantile=\"0\"} 4.9351e-05\n"
              "# HELP nohelp1 \n"
              "# HELP help2 escape \\ \\n \\\\ \\\" \\x chars\n"
              "# UNIT nounit \n"
              "# TYPE go_goroutines gauge\n"
              "go_goroutines 33 123.123\n"
              "go_goroutines 33 -123.1239\n"
              "# TYPE ggh gaugehistogram\n"
              "ggh_bucket{le=\"+Inf\"} 1 # {id=\"test\",xx=\"yy\"} 4 123.123\n"
              "hhh_count 1 # {id=\"histogram-count-test\"} 4\n"
              "empty_exemplar 1 # {} 4\n"
              "# TYPE ii info\n"
              "# TYPE ss stateset\n"
              "ss{A=\"a\"} 0\n"
              "# TYPE un unknown\n"
              "# TYPE something histogram\n"
              "something_bucket{le=\"1\"} 2\n"
              "{\"http.status\",q=\"0.9\",a=\"b\"} 8.3835e-05\n"
              "{q=\"0.9\",\"http.status\",a=\"b\"} 8.3835e-05\n"
              "foo_created 1520872607.123\n"
              "quotedexemplar_count 1 # {\"id.thing\"=\"histogram-count-test\"} 4\n"
              "null_byte_metric{a=\"abc\0\"} NaN\n"
              "# EOF\n"),
          STR("help go_gc_duration_seconds \"A summary.\"\n"
              "type go_gc_duration_seconds summary\n"
              "unit go_gc_duration_seconds \"seconds\"\n"
              "\"go_gc_duration_seconds\",quantile=\"0.0\" 4.9351e-05\n"
              "help nohelp1 \"\"\n"
              "help help2 \"escape \\\\ \\n \\\\ \\\" \\\\x chars\"\n"
              "unit nounit \"\"\n"
              "type go_goroutines gauge\n"
              "\"go_goroutines\" 33 @123123\n"
              "\"go_goroutines\" 33 @-123123\n"
              "type ggh gaugehistogram\n"
              "\"ggh_bucket\",le=\"+Inf\" 1 # id=test xx=yy 4 @123123\n"
              "\"hhh_count\" 1 # id=histogram-count-test 4\n"
              "\"empty_exemplar\" 1 # 4\n"
              "type ii info\n"
              "type ss stateset\n"
              "\"ss\",A=\"a\" 0\n"
              "type un unknown\n"
              "type something histogram\n"
              "\"something_bucket\",le=\"1.0\" 2\n"
              "\"http.status\",q=\"0.9\",a=\"b\" 8.3835e-05\n"
              "\"http.status\",q=\"0.9\",a=\"b\" 8.3835e-05\n"
              "\"foo_created\" 1.520872607123e+09\n"
              "\"quotedexemplar_count\" 1 # id.thing=histogram-count-test 4\n"
              "\"null_byte_metric\",a=\"abc\\x00\" NaN\n"
              "end\n"));
}

static const struct row bad_openmetrics[] = {
    CASE("# EOF", "end\n"),
    CASE("# EOF\n", "end\n"),
    CASE("", "error data does not end with # EOF\n"),
    CASE("\n", "error expected a valid start token, got \"\\n\" (\"INVALID\") while parsing: "
               "\"\\n\"\n"),
    CASE("metric", "error expected value after metric, got \"metric\" (\"EOF\") while "
                   "parsing: \"metric\"\n"),
    CASE("metric 1", "error data does not end with # EOF\n"),
    CASE("metric 1\n", "\"metric\" 1\nerror data does not end with # EOF\n"),
    CASE("metric_total 1 # {aa=\"bb\"} 4", "error data does not end with # EOF\n"),
    CASE(" a 1\n#EOF\n", "error expected a valid start token, got \" \" (\"INVALID\") while "
                         "parsing: \" \"\n"),
    CASE("# TYPE u untyped\n#EOF\n", "error invalid metric type \"untyped\"\n"),
    CASE("# TYPE c counter \n#EOF\n", "error invalid metric type \"counter \"\n"),
    CASE("# TYPE c  counter\n", "error invalid metric type \" counter\"\n"),
    CASE("#  TYPE c counter\n#EOF\n", "error expected a valid start token, got \"#  \" "
                                      "(\"INVALID\") while parsing: \"#  \"\n"),
    CASE("# TYPE \n#EOF\n", "error expected metric name after TYPE, got \"\\n\" (\"INVALID\") "
                            "while parsing: \"# TYPE \\n\"\n"),
    CASE("# TYPE m\n#EOF\n", "error expected text in TYPE\n"),
    CASE("# HELP m\n#EOF\n", "error expected text in HELP\n"),
    CASE("# UNIT m\n#EOF\n", "error expected text in UNIT\n"),
    CASE("# UNIT metric suffix\n", "error unit \"suffix\" not a suffix of metric \"metric\"\n"),
    CASE("# UNIT metricsuffix suffix\n",
         "error unit \"suffix\" not a suffix of metric \"metricsuffix\"\n"),
    CASE("# UNIT m suffix\n", "error unit \"suffix\" not a suffix of metric \"m\"\n"),
    CASE("# UNIT \n#EOF\n", "error expected metric name after UNIT, got \"\\n\" (\"INVALID\") "
                            "while parsing: \"# UNIT \\n\"\n"),
    CASE("a\t1\n#EOF\n", "error expected value after metric, got \"\\t\" (\"INVALID\") while "
                         "parsing: \"a\\t\"\n"),
    CASE("a 1\t2\n#EOF\n", "error strconv.ParseFloat: parsing \"1\\t2\": invalid syntax while "
                           "parsing: \"a 1\\t2\"\n"),
    CASE("a 1 2 \n#EOF\n", "error expected next entry after timestamp, got \" \\n\" "
                           "(\"INVALID\") while parsing: \"a 1 2 \\n\"\n"),
    CASE("a 1 2 #\n#EOF\n", "error expected next entry after timestamp, got \" #\\n\" "
                            "(\"TIMESTAMP\") while parsing: \"a 1 2 #\\n\"\n"),
    CASE("a 1 1z\n#EOF\n", "error strconv.ParseFloat: parsing \"1z\": invalid syntax while "
                           "parsing: \"a 1 1z\"\n"),
    CASE("# EOF\na 1", "error unexpected data after # EOF\n"),
    CASE("# EOF\n\n", "error unexpected data after # EOF\n"),
    CASE("# EOFa 1", "error unexpected data after # EOF\n"),
    CASE("#\tTYPE c counter\n", "error expected a valid start token, got \"#\\t\" "
                                "(\"INVALID\") while parsing: \"#\\t\"\n"),
    CASE("a 1 1 1\n# EOF\n", "error expected next entry after timestamp, got \" 1\\n\" "
                             "(\"TIMESTAMP\") while parsing: \"a 1 1 1\\n\"\n"),
    CASE("a{,b=\"c\"} 1\n", "error expected label name, got \",b\" (\"COMMA\") while parsing: "
                            "\"a{,b\"\n"),
    CASE("a{b=\"c\"d=\"e\"} 1\n", "error expected comma or brace close, got \"d=\" "
                                  "(\"LNAME\") while parsing: \"a{b=\\\"c\\\"d=\"\n"),
    CASE("a{b=\"c\",,d=\"e\"} 1\n", "error expected label name, got \",d\" (\"COMMA\") while "
                                    "parsing: \"a{b=\\\"c\\\",,d\"\n"),
    CASE("foo 0 1_2\n", "error unsupported character in float while parsing: \"foo 0 1_2\"\n"),
    CASE("m_total 1 # {aa=bb}\n", "error expected label value, got \"b\" (\"INVALID\") while "
                                  "parsing: \"m_total 1 # {aa=b\"\n"),
    CASE("m_total 1 # {aa=\"bb\"}\n", "error expected value after exemplar labels, got \"\\n\" "
                                      "(\"INVALID\") while parsing: \"m_total 1 # "
                                      "{aa=\\\"bb\\\"}\\n\"\n"),
    CASE("m_total 1 # {aa=\"bb\"}", "error expected value after exemplar labels, got \"}\" "
                                    "(\"EOF\") while parsing: \"m_total 1 # "
                                    "{aa=\\\"bb\\\"}\"\n"),
    CASE("m_total 1 # {aa=\"bb\",,cc=\"dd\"} 1",
         "error expected label name, got \",c\" (\"COMMA\") while parsing: \"m_total 1 # "
         "{aa=\\\"bb\\\",,c\"\n"),
    CASE("m_total 1 # {aa=\"bb\"} 1_2", "error unsupported character in float while parsing: "
                                        "\"m_total 1 # {aa=\\\"bb\\\"} 1_2\"\n"),
    CASE("m_total 1 # {\"aa\"} 1", "error expected label name, got \"} \" (\"BCLOSE\") while "
                                   "parsing: \"m_total 1 # {\\\"aa\\\"} \"\n"),
    CASE("{b=\"c\",} 1", "error metric name not set while parsing: \"{b=\\\"c\\\",} 1\"\n"),
    CASE("a 1 NaN", "error invalid timestamp NaN\n"),
    CASE("a 1 -Inf", "error invalid timestamp -Inf\n"),
    CASE("a 1 Inf", "error invalid timestamp +Inf\n"),
    CASE("h_bucket 1 # {aa=\"bb\"} 4 NaN", "error invalid exemplar timestamp NaN\n"),
    CASE("a{b=\"\0", "error expected label value, got \"\\\"\\x00\" (\"INVALID\") while "
                     "parsing: \"a{b=\\\"\\x00\"\n"),
    CASE("#", "error expected a valid start token, got \"#\" (\"INVALID\") while parsing: "
              "\"#\"\n"),
    CASE("# H", "error expected a valid start token, got \"# H\" (\"INVALID\") while parsing: "
                "\"# H\"\n"),
    CASE("m 1 # {b=\"\0ss\"} 1\n", "error expected label value, got \"\\\"\\x00\" "
                                   "(\"INVALID\") while parsing: \"m 1 # {b=\\\"\\x00\"\n"),
};

Test(exposition, openmetrics_errors)
{
    check_rows(EXPOSITION_OPENMETRICS, bad_openmetrics, countof(bad_openmetrics));
}

Test(exposition, values_keep_their_bits)
{
    static const struct {
        const char *text;
        uint64_t bits;
    } rows[] = {
        {"NaN", 0x7ff8000000000001u},
        {"nan", 0x7ff8000000000001u},
        {"+Inf", 0x7ff0000000000000u},
        {"-Inf", 0xfff0000000000000u},
        {"inf", 0x7ff0000000000000u},
        {"-0", 0x8000000000000000u},
        {"+1", 0x3ff0000000000000u},
        {".5", 0x3fe0000000000000u},
        {"5.", 0x4014000000000000u},
        {"0.1", 0x3fb999999999999au},
        {"5e-324", 0x0000000000000001u},
        {"1e-400", 0},
        {"1.7976931348623157e308", 0x7fefffffffffffffu},
        {"9007199254740993", 0x4340000000000000u}, // ties to even
        {"18446744073709551615", 0x43f0000000000000u},
    };
    for (size_t i = 0; i < countof(rows); i++)
        for (int format = EXPOSITION_TEXT; format <= EXPOSITION_OPENMETRICS; format++) {
            char line[64];
            const int n = snprintf(line, sizeof line, "a %s\n", rows[i].text);
            struct exposition x;
            enum exposition_event event;
            exposition_init(&x, (enum exposition_format)format, str_make(line, (size_t)n));
            cr_assert_eq(exposition_next(&x, &event, NULL), ERR_OK, "%s", rows[i].text);
            cr_assert_eq(x.sample.bits, rows[i].bits, "%s: %016" PRIx64, line, x.sample.bits);
        }
}

Test(exposition, canonical_floats)
{
    static const char *const rows[][2] = {
        {"1", "1.0"},      {"0", "0.0"},       {"-0", "0.0"},     {"-1", "-1.0"},
        {"0.5", "0.5"},    {"10", "10.0"},     {"+Inf", "+Inf"},  {"inf", "+Inf"},
        {"-inf", "-Inf"},  {"nan", "NaN"},     {"1e6", "1e+06"},  {"100000", "100000.0"},
        {"1E-7", "1e-07"}, {"2.50", "2.5"},    {"0x1p4", "16.0"}, {"x", "x"},
        {"", ""},          {"1e400", "1e400"}, {" 1", " 1"},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        char out[EXPOSITION_FLOAT_MAX];
        const struct str got = exposition_canonical_float(str_from_c(rows[i][0]), out);
        cr_assert(str_eq(got, str_from_c(rows[i][1])), "%s: %.*s", rows[i][0], STR_ARG(got));
    }
}

Test(exposition, take_agrees_with_next)
{
    const struct str body = STR("a{b=\"c\"} 1.5\na{b=\"c\"} 1.5 99\na{b=\"c\"} NaN\na{b=\"c\"} 2 "
                                "\na{b=\"c\"} 0x\n");
    const struct str prefix = STR("a{b=\"c\"} ");
    struct exposition x;
    struct exposition_sample s;
    exposition_init(&x, EXPOSITION_TEXT, body);
    cr_assert(!exposition_take(&x, STR("a{b=\"d\"} "), &s));
    cr_assert(exposition_take(&x, prefix, &s));
    cr_assert_eq(s.bits, bits_from_double(1.5));
    cr_assert(!s.has_time);
    cr_assert(exposition_take(&x, prefix, &s));
    cr_assert(s.has_time && s.time_ms == 99);
    cr_assert(exposition_take(&x, prefix, &s));
    cr_assert_eq(s.bits, 0x7ff8000000000001u);
    { // unusual: left to the parser
        enum exposition_event event;
        cr_assert(!exposition_take(&x, prefix, &s));
        cr_assert_eq(exposition_next(&x, &event, NULL), ERR_OK);
        cr_assert_eq(event, EXPOSITION_SERIES);
    }
    cr_assert(!exposition_take(&x, prefix, &s));
}

// Numbers of every length and shape have the bits of number_parse_decimal().
Test(exposition, decimals_are_exact)
{
    uint64_t seed = 0x9e3779b97f4a7c15u;
    unsigned known = 0;
    for (int round = 0; round < 300000; round++) {
        char text[64];
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        const unsigned shape = (unsigned)(seed >> 60), size = (unsigned)(seed >> 55 & 31) % 21;
        const uint64_t m = seed * 0x9e3779b97f4a7c15u >> round % 64;
        int n = snprintf(text, sizeof text, "%s%" PRIu64, shape & 1 ? "-" : "", m);
        const int digits = n - (int)(shape & 1), keep = (int)size < digits ? (int)size : digits;
        if (shape & 2) { // a point somewhere
            memmove(text + n - keep + 1, text + n - keep, (size_t)keep);
            text[n - keep] = '.';
            n++;
        }
        if (shape & 4)
            n += snprintf(text + n, sizeof text - (size_t)n, "e%d", (int)(seed >> 40 & 63) - 31);
        double want, got;
        cr_assert_eq(number_parse_decimal(str_make(text, (size_t)n), &want), ERR_OK, "%.*s", n,
                     text);
        const char *const end = fast_number_parse(text, text + n, &got);
        if (!end)
            continue;
        known++;
        cr_assert_eq(end - text, n, "%.*s", n, text);
        cr_assert_eq(bits_from_double(got), bits_from_double(want), "%.*s: %a, not %a", n, text,
                     got, want);
    }
    cr_assert_gt(known, 100000);
}
