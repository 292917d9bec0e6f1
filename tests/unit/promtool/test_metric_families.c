// What the client library's parser and linter say, as promtool 3.5 prints it.
#include <criterion/criterion.h>

#include "engine/base/buf.h"
#include "engine/base/util.h"
#include "tools/promtool/metric_lint.h"

// Families as name:type*metrics/parts of the first, in order; or the error.
static const struct {
    const char *text, *shown;
} parsed[] = {
    {"", ""},
    {"a 1\n", "a:untyped*1/0 "},
    {"# TYPE a counter\na 1\na{b=\"c\"} 2 5\n", "a:counter*2/0 "},
    {"# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 2\nh_sum 1\nh_count 2\n",
     "h:histogram*1/2 "},
    {"# TYPE h histogram\nh_bucket{le=\"1\",a=\"b\",c=\"d\"} 1\nh_sum{c=\"d\",a=\"b\"} 2\n",
     "h:histogram*1/1 "},
    {"# TYPE s summary\ns{quantile=\"0.5\"} 1\ns_count 1\ns{a=\"b\"} 1\n", "s:summary*2/1 "},
    {"# TYPE s summary\ns_bucket 1\n", "s:summary*0/0 s_bucket:untyped*1/0 "},
    {"a_count 1\n# TYPE a histogram\na_count 1\n", "a_count:untyped*2/0 a:histogram*0/0 "},
    {"{\"a\",b=\"c\"} 1\n{\"a\"} 1\n", "a:untyped*2/0 "},
    {"{b=\"c\",a} 1\n", "a:untyped*1/0 "},
    {"# HELP a \\\\ \\n\n  \t a { b = \"c\" , } 1 \t5\n\n#\n", "a:untyped*1/0 "},
    {"a 1", "text format parsing error in line 1: unexpected end of input stream"},
    {"a{b=\"", "text format parsing error in line 1: unexpected end of input stream"},
    {"a 1\n1 1\n", "text format parsing error in line 2: invalid metric name"},
    {"{a=\"b\"} 1\n", "text format parsing error in line 1: invalid metric name"},
    {"{} 1\n", "text format parsing error in line 1: invalid metric name"},
    {"# HELP \"a.b\" x\n", "text format parsing error in line 1: invalid metric name \"a.b\""},
    {"a{\"b.c\"=\"1\"} 1\n", "text format parsing error in line 1: invalid label name \"b.c\""},
    {"a{b c=\"1\"} 1\n",
     "text format parsing error in line 1: expected '=' after label name, found 'c'"},
    {"a{b=c} 1\n",
     "text format parsing error in line 1: expected '\"' at start of label value, found 'c'"},
    {"a{b='c'} 1\n",
     "text format parsing error in line 1: expected '\"' at start of label value, found '\\''"},
    {"a{b=\n", "text format parsing error in line 1: expected '\"' at start of label value, found "
               "'\\n'"},
    {"a{b=\"\xff\"} 1\n", "text format parsing error in line 1: invalid label value \"\\xff\""},
    {"a{b=\"\\x\"} 1\n", "text format parsing error in line 1: invalid escape sequence '\\x'"},
    {"a{b=\"c\n\"} 1\n",
     "text format parsing error in line 1: label value \"c\" contains unescaped new-line"},
    {"a{b=\"1\",b=\"2\"} 1\n",
     "text format parsing error in line 1: duplicate label names for metric \"a\""},
    {"a{__name__=\"b\"} 1\n",
     "text format parsing error in line 1: label name \"__name__\" is reserved"},
    {"# TYPE h histogram\nh_bucket{le=\"x\"} 1\n",
     "text format parsing error in line 2: expected float as value for 'le' label, got \"x\""},
    {"a 0x1p2\n", "text format parsing error in line 1: expected float as value, got \"0x1p2\""},
    {"a 1 x\n", "text format parsing error in line 1: expected integer as timestamp, got \"x\""},
    {"a 1 2 3\n", "text format parsing error in line 1: spurious string after timestamp: \" 3\""},
    {"# HELP a\n# HELP a b\n# HELP a c\n",
     "text format parsing error in line 3: second HELP line for metric name \"a\""},
    {"a 1\n# TYPE a gauge\n", "text format parsing error in line 2: second TYPE line for metric "
                              "name \"a\", or TYPE reported after samples"},
    {"# TYPE a b\n", "text format parsing error in line 1: unknown metric type \"b\""},
    {"# TYPE 1 gauge\n", "text format parsing error in line 1: invalid metric name in comment"},
};

static void show(const struct metric_families *f, struct buf *out)
{
    for (size_t i = 0; i < f->n; i++) {
        const struct metric_family *const one = &f->items[i];
        buf_printf(out, "%.*s:%s*%zu/%zu ", STR_ARG(one->name), metric_type_names[one->type].p,
                   one->n, one->n ? one->metrics[0].parts : 0);
    }
}

Test(metric_families, reads_as_the_client_library)
{
    for (size_t i = 0; i < countof(parsed); i++) {
        struct metric_families f = {0};
        struct errmsg e;
        struct buf shown = {0};
        if (metric_families_parse(str_from_c(parsed[i].text), &f, &e))
            buf_printf(&shown, "%s", e.text);
        else
            show(&f, &shown);
        buf_put_char(&shown, '\0');
        cr_assert_str_eq(shown.p, parsed[i].shown, "%s: %s", parsed[i].text, shown.p);
        buf_deinit(&shown);
        metric_families_deinit(&f);
    }
}

Test(metric_families, many_lines)
{
    enum { LINES = 20000 };
    struct buf text = {0};
    for (int i = 0; i < LINES; i++)
        buf_printf(&text, "# TYPE h%d histogram\nh%d_bucket{le=\"1\",x=\"%d\"} 1\n", i % 100,
                   i % 100, i);
    struct metric_families f = {0};
    struct errmsg e;
    cr_assert_eq(metric_families_parse(buf_str(&text), &f, &e), ERR_INVALID); // a second TYPE
    metric_families_deinit(&f);
    buf_reset(&text);
    buf_printf(&text, "# TYPE h histogram\n");
    for (int i = 0; i < LINES; i++)
        buf_printf(&text, "h_bucket{le=\"1\",x=\"%d\"} 1\nm%d 1\n", i / 2, i);
    f = (struct metric_families){0};
    cr_assert_eq(metric_families_parse(buf_str(&text), &f, &e), ERR_OK);
    cr_assert_eq(f.n, LINES + 1);
    cr_assert_eq(f.items[0].n, LINES / 2);
    cr_assert_eq(f.items[0].metrics[0].parts, 2);
    metric_families_deinit(&f);
    buf_deinit(&text);
}

static const struct {
    const char *text, *problems;
} linted[] = {
    {"# HELP a_total x\n# TYPE a_total counter\na_total 1\n", ""},
    {"a 1\n", "a no help text\n"},
    {"# HELP a x\n# TYPE a counter\na 1\n", "a counter metrics should have \"_total\" suffix\n"},
    {"# HELP a x\n", ""},
    {"# HELP a_total x\n# TYPE a_total gauge\na_total 1\n",
     "a_total non-counter metrics should not have \"_total\" suffix\n"},
    {"# HELP a_minutes x\na_minutes 1\n",
     "a_minutes use base unit \"seconds\" instead of \"minutes\"\n"},
    {"# HELP a_kilometers_days x\na_kilometers_days 1\n",
     "a_kilometers_days use base unit \"meters\" instead of \"kilometers\"\n"},
    {"# HELP thermometers x\nthermometers 1\n", ""},
    {"# HELP a_gauge_b x\n# TYPE a_gauge_b gauge\na_gauge_b 1\n",
     "a_gauge_b metric name should not include type 'gauge'\n"
     "a_gauge_b metric names should not contain abbreviated units\n"},
    {"# HELP a x\n# TYPE a gauge\na{le=\"1\",quantile=\"1\",cD=\"\"} 1\n",
     "a label names should be written in 'snake_case' not 'camelCase'\n"
     "a non-histogram metrics should not have \"le\" label\n"
     "a non-summary metrics should not have \"quantile\" label\n"},
    {"# HELP b x\nb 1\nb 2\nb 3\n# HELP a:b x\na:b 1\n",
     "a:b metric names should not contain ':'\nb metric not unique\nb metric not unique\n"},
};

Test(metric_lint, says_what_promlint_says)
{
    for (size_t i = 0; i < countof(linted); i++) {
        struct metric_families f = {0};
        struct metric_problems problems = {0};
        struct buf shown = {0};
        cr_assert_eq(metric_families_parse(str_from_c(linted[i].text), &f, NULL), ERR_OK);
        metric_lint(&f, &problems);
        for (size_t k = 0; k < problems.n; k++)
            buf_printf(&shown, "%.*s %.*s\n", STR_ARG(problems.items[k].metric),
                       STR_ARG(problems.items[k].text));
        buf_put_char(&shown, '\0');
        cr_assert_str_eq(shown.p, linted[i].problems, "%s", shown.p);
        buf_deinit(&shown);
        metric_problems_deinit(&problems);
        metric_families_deinit(&f);
    }
}
