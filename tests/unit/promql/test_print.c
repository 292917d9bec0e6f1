#include <criterion/criterion.h>

#include "engine/base/util.h"
#include "engine/promql/parser.h"
#include "engine/promql/printer.h"

// What format_query of Prometheus 3.5.3 answers; NULL: the query itself.
static const struct {
    const char *query, *want;
} rows[] = {
    {"sum(rate(some_rather_long_metric_name_total{cluster=\"eu-west-1\",namespace=\"monitoring\","
     "job=\"prometheus\"}[5m])) by (job, instance)",
     "sum by (job, instance) (\n"
     "  rate(\n"
     "    "
     "some_rather_long_metric_name_total{cluster=\"eu-west-1\",job=\"prometheus\",namespace="
     "\"monitoring\"}[5m]\n"
     "  )\n"
     ")"},
    {"topk(10, "
     "sum(rate(some_rather_long_metric_name_total{cluster=\"eu-west-1\",namespace=\"monitoring\","
     "job=\"prometheus\"}[5m])) by (job, instance))",
     "topk(\n"
     "  10,\n"
     "  sum by (job, instance) (\n"
     "    rate(\n"
     "      "
     "some_rather_long_metric_name_total{cluster=\"eu-west-1\",job=\"prometheus\",namespace="
     "\"monitoring\"}[5m]\n"
     "    )\n"
     "  )\n"
     ")"},
    {"some_rather_long_metric_name_total{cluster=\"eu-west-1\",namespace=\"monitoring\",job="
     "\"prometheus\"} + on (job) group_left (x) "
     "some_rather_long_metric_name_total{cluster=\"eu-west-1\",namespace=\"monitoring\",job="
     "\"prometheus\"}",
     "  "
     "some_rather_long_metric_name_total{cluster=\"eu-west-1\",job=\"prometheus\",namespace="
     "\"monitoring\"}\n"
     "+ on (job) group_left (x)\n"
     "  "
     "some_rather_long_metric_name_total{cluster=\"eu-west-1\",job=\"prometheus\",namespace="
     "\"monitoring\"}"},
    {"some_rather_long_metric_name_total{cluster=\"eu-west-1\",namespace=\"monitoring\",job="
     "\"prometheus\"} > bool "
     "some_rather_long_metric_name_total{cluster=\"eu-west-1\",namespace=\"monitoring\",job="
     "\"prometheus\"}",
     "  "
     "some_rather_long_metric_name_total{cluster=\"eu-west-1\",job=\"prometheus\",namespace="
     "\"monitoring\"}\n"
     "> bool\n"
     "  "
     "some_rather_long_metric_name_total{cluster=\"eu-west-1\",job=\"prometheus\",namespace="
     "\"monitoring\"}"},
    {"(some_rather_long_metric_name_total{cluster=\"eu-west-1\",namespace=\"monitoring\",job="
     "\"prometheus\"} + 1)",
     "(\n"
     "  "
     "some_rather_long_metric_name_total{cluster=\"eu-west-1\",job=\"prometheus\",namespace="
     "\"monitoring\"} + 1\n"
     ")"},
    {"-(some_rather_long_metric_name_total{cluster=\"eu-west-1\",namespace=\"monitoring\",job="
     "\"prometheus\"} + 1)",
     "-(\n"
     "  "
     "some_rather_long_metric_name_total{cluster=\"eu-west-1\",job=\"prometheus\",namespace="
     "\"monitoring\"} + 1\n"
     ")"},
    {"-(some_rather_long_metric_name_total{cluster=\"eu-west-1\",namespace=\"monitoring\",job="
     "\"prometheus\"} and "
     "some_rather_long_metric_name_total{cluster=\"eu-west-1\",namespace=\"monitoring\",job="
     "\"prometheus\"})",
     "-(\n"
     "    "
     "some_rather_long_metric_name_total{cluster=\"eu-west-1\",job=\"prometheus\",namespace="
     "\"monitoring\"}\n"
     "  and\n"
     "    "
     "some_rather_long_metric_name_total{cluster=\"eu-west-1\",job=\"prometheus\",namespace="
     "\"monitoring\"}\n"
     ")"},
    {"rate(some_rather_long_metric_name_total{cluster=\"eu-west-1\",namespace=\"monitoring\",job="
     "\"prometheus\"}[5m]) / "
     "rate(some_rather_long_metric_name_total{cluster=\"eu-west-1\",namespace=\"monitoring\",job="
     "\"prometheus\"}[5m] offset 1d) > 0.5",
     "    rate(\n"
     "      "
     "some_rather_long_metric_name_total{cluster=\"eu-west-1\",job=\"prometheus\",namespace="
     "\"monitoring\"}[5m]\n"
     "    )\n"
     "  /\n"
     "    rate(\n"
     "      "
     "some_rather_long_metric_name_total{cluster=\"eu-west-1\",job=\"prometheus\",namespace="
     "\"monitoring\"}[5m] offset 1d\n"
     "    )\n"
     ">\n"
     "  0.5"},
    {"max_over_time(rate(some_rather_long_metric_name_total{cluster=\"eu-west-1\",namespace="
     "\"monitoring\",job=\"prometheus\"}[5m])[1h:5m])",
     "max_over_time(\n"
     "  rate(\n"
     "    "
     "some_rather_long_metric_name_total{cluster=\"eu-west-1\",job=\"prometheus\",namespace="
     "\"monitoring\"}[5m]\n"
     "  )[1h:5m]\n"
     ")"},
    {"max_over_time((rate(some_rather_long_metric_name_total{cluster=\"eu-west-1\",namespace="
     "\"monitoring\",job=\"prometheus\"}[5m]) + 1)[1h:5m] @ 5)",
     "max_over_time(\n"
     "  (\n"
     "      rate(\n"
     "        "
     "some_rather_long_metric_name_total{cluster=\"eu-west-1\",job=\"prometheus\",namespace="
     "\"monitoring\"}[5m]\n"
     "      )\n"
     "    +\n"
     "      1\n"
     "  )[1h:5m] @ 5.000\n"
     ")"},
    {"rate(some_rather_long_metric_name_total{cluster=\"eu-west-1\",namespace=\"monitoring\",job="
     "\"prometheus\"}[5m])[1h:5m]",
     "rate(\n"
     "  "
     "some_rather_long_metric_name_total{cluster=\"eu-west-1\",job=\"prometheus\",namespace="
     "\"monitoring\"}[5m]\n"
     ")[1h:5m]"},
    {"label_replace(some_rather_long_metric_name_total{cluster=\"eu-west-1\",namespace="
     "\"monitoring\",job=\"prometheus\"}, \"dst\", \"$1\", \"src\", \"(.*)\")",
     "label_replace(\n"
     "  "
     "some_rather_long_metric_name_total{cluster=\"eu-west-1\",job=\"prometheus\",namespace="
     "\"monitoring\"},\n"
     "  \"dst\",\n"
     "  \"$1\",\n"
     "  \"src\",\n"
     "  \"(.*)\"\n"
     ")"},
    {"sum(some_rather_long_metric_name_total{cluster=\"eu-west-1\",namespace=\"monitoring\",job="
     "\"prometheus\"})",
     "sum(some_rather_long_metric_name_total{cluster=\"eu-west-1\",job=\"prometheus\",namespace="
     "\"monitoring\"})"},
    {"histogram_quantile(0.99, sum by (le) "
     "(rate(some_rather_long_metric_name_total{cluster=\"eu-west-1\",namespace=\"monitoring\",job="
     "\"prometheus\"}[5m]))) and on (job) "
     "(some_rather_long_metric_name_total{cluster=\"eu-west-1\",namespace=\"monitoring\",job="
     "\"prometheus\"} > 5 or "
     "absent(some_rather_long_metric_name_total{cluster=\"eu-west-1\",namespace=\"monitoring\",job="
     "\"prometheus\"}))",
     "  histogram_quantile(\n"
     "    0.99,\n"
     "    sum by (le) (\n"
     "      rate(\n"
     "        "
     "some_rather_long_metric_name_total{cluster=\"eu-west-1\",job=\"prometheus\",namespace="
     "\"monitoring\"}[5m]\n"
     "      )\n"
     "    )\n"
     "  )\n"
     "and on (job)\n"
     "  (\n"
     "      "
     "some_rather_long_metric_name_total{cluster=\"eu-west-1\",job=\"prometheus\",namespace="
     "\"monitoring\"} > 5\n"
     "    or\n"
     "      absent(\n"
     "        "
     "some_rather_long_metric_name_total{cluster=\"eu-west-1\",job=\"prometheus\",namespace="
     "\"monitoring\"}\n"
     "      )\n"
     "  )"},
    {"clamp(some_rather_long_metric_name_total{cluster=\"eu-west-1\",namespace=\"monitoring\",job="
     "\"prometheus\"}, -(1 + 2), 10)",
     "clamp(\n"
     "  "
     "some_rather_long_metric_name_total{cluster=\"eu-west-1\",job=\"prometheus\",namespace="
     "\"monitoring\"},\n"
     "  -(1 + 2),\n"
     "  10\n"
     ")"},
    {"sum without (a) (avg by (b, c) "
     "(min(some_rather_long_metric_name_total{cluster=\"eu-west-1\",namespace=\"monitoring\",job="
     "\"prometheus\"} offset 5m)))",
     "sum without (a) (\n"
     "  avg by (b, c) (\n"
     "    min(\n"
     "      "
     "some_rather_long_metric_name_total{cluster=\"eu-west-1\",job=\"prometheus\",namespace="
     "\"monitoring\"} offset 5m\n"
     "    )\n"
     "  )\n"
     ")"},
    {"a + b", NULL},
    {"sum(a) by (x)", "sum by (x) (a)"},
    {"-sum(some_rather_long_metric_name_total{cluster=\"eu-west-1\",namespace=\"monitoring\",job="
     "\"prometheus\"})",
     "-sum(some_rather_long_metric_name_total{cluster=\"eu-west-1\",job=\"prometheus\",namespace="
     "\"monitoring\"})"},
    {"- - "
     "(some_rather_long_metric_name_total{cluster=\"eu-west-1\",namespace=\"monitoring\",job="
     "\"prometheus\"} * 2)",
     "--(\n"
     "  "
     "some_rather_long_metric_name_total{cluster=\"eu-west-1\",job=\"prometheus\",namespace="
     "\"monitoring\"} * 2\n"
     ")"},
    {"count_values(\"v\", "
     "some_rather_long_metric_name_total{cluster=\"eu-west-1\",namespace=\"monitoring\",job="
     "\"prometheus\"} * 2)",
     "count_values(\n"
     "  \"v\",\n"
     "  "
     "some_rather_long_metric_name_total{cluster=\"eu-west-1\",job=\"prometheus\",namespace="
     "\"monitoring\"} * 2\n"
     ")"},
    {"max_over_time(foo[5m:1m])[5m:1m]", NULL},
    {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
     "aaaaaa+1",
     "  "
     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
     "aaaaaa\n"
     "+\n"
     "  1"},
    {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
     "aaaa+1",
     "  "
     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
     "aaaa\n"
     "+\n"
     "  1"},
    {"sum("
     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
     "aa)",
     NULL},
    {"sum("
     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
     "aaa)",
     "sum(\n"
     "  "
     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
     "aaa\n"
     ")"},
    {"abs("
     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
     "aaa)",
     "abs(\n"
     "  "
     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
     "aaa\n"
     ")"},
    {"(some_rather_long_metric_name_total{cluster=\"eu-west-1\",namespace=\"monitoring\",job="
     "\"prometheus\"})[5m:1m]",
     "(some_rather_long_metric_name_total{cluster=\"eu-west-1\",job=\"prometheus\",namespace="
     "\"monitoring\"})[5m:1m]"},
    {"max_over_time(foo[5m:1m]) + "
     "some_rather_long_metric_name_total{cluster=\"eu-west-1\",namespace=\"monitoring\",job="
     "\"prometheus\"}",
     "  max_over_time(foo[5m:1m])\n"
     "+\n"
     "  "
     "some_rather_long_metric_name_total{cluster=\"eu-west-1\",job=\"prometheus\",namespace="
     "\"monitoring\"}"},
    {"sum(max_over_time(min_over_time(foo[5m:1m])[10m:1m])) + "
     "some_rather_long_metric_name_total{cluster=\"eu-west-1\",namespace=\"monitoring\",job="
     "\"prometheus\"}",
     "  sum(max_over_time(min_over_time(foo[5m:1m])[10m:1m]))\n"
     "+\n"
     "  "
     "some_rather_long_metric_name_total{cluster=\"eu-west-1\",job=\"prometheus\",namespace="
     "\"monitoring\"}"},
};

Test(print, pretty)
{
    struct buf got = {0}, again = {0};
    for (size_t i = 0; i < countof(rows); i++) {
        const struct str query = str_from_c(rows[i].query);
        const struct str want = rows[i].want ? str_from_c(rows[i].want) : query;
        struct arena a;
        struct promql_query q;
        struct errmsg e;
        arena_init(&a, 0);
        cr_assert_eq(promql_parse(query, &(struct promql_options){0}, &a, &q, &e), ERR_OK, "%s",
                     e.text);
        buf_reset(&got);
        cr_assert_eq(promql_print_pretty(q.expr, &got), ERR_OK);
        cr_expect(str_eq(buf_str(&got), want), "got\n%.*s\nwant\n%.*s", STR_ARG(buf_str(&got)),
                  STR_ARG(want));
        promql_parse_done(&q);
        cr_assert_eq(promql_parse(buf_str(&got), &(struct promql_options){0}, &a, &q, &e), ERR_OK,
                     "%s", e.text);
        buf_reset(&again);
        cr_assert_eq(promql_print_pretty(q.expr, &again), ERR_OK);
        cr_expect(str_eq(buf_str(&again), want), "not stable: %s", rows[i].query);
        promql_parse_done(&q);
        arena_deinit(&a);
    }
    buf_deinit(&got);
    buf_deinit(&again);
}

// As parse_query of Prometheus 3.5.3 answers, and the members that 3.14 has besides.
static const struct {
    const char *query, *want;
} trees[] = {
    {"1h", "{\"type\":\"numberLiteral\",\"val\":\"3600\"}"},
    {"(NaN)", "{\"expr\":{\"type\":\"numberLiteral\",\"val\":\"NaN\"},\"type\":\"parenExpr\"}"},
    {"-(Inf)", "{\"expr\":{\"expr\":{\"type\":\"numberLiteral\",\"val\":\"+Inf\"},"
               "\"type\":\"parenExpr\"},\"op\":\"-\",\"type\":\"unaryExpr\"}"},
    {"\"b<>\"", "{\"type\":\"stringLiteral\",\"val\":\"b\\u003c\\u003e\"}"},
    {"time()", "{\"args\":[],\"func\":{\"argTypes\":[],\"name\":\"time\",\"returnType\":\"scalar\","
               "\"variadic\":0},\"type\":\"call\"}"},
    {"a{b=~\"c\"} offset -1s @ 5.5",
     "{\"anchored\":false,\"matchers\":[{\"name\":\"b\",\"type\":\"=~\",\"value\":\"c\"},"
     "{\"name\":\"__name__\",\"type\":\"=\",\"value\":\"a\"}],\"name\":\"a\",\"offset\":-1000,"
     "\"offsetExpr\":null,\"smoothed\":false,\"startOrEnd\":null,\"timestamp\":5500,"
     "\"type\":\"vectorSelector\"}"},
    {"sum without () ({a=\"b\"})",
     "{\"expr\":{\"anchored\":false,\"matchers\":[{\"name\":\"a\",\"type\":\"=\",\"value\":\"b\"}],"
     "\"name\":\"\",\"offset\":0,\"offsetExpr\":null,\"smoothed\":false,\"startOrEnd\":null,"
     "\"timestamp\":null,\"type\":\"vectorSelector\"},\"grouping\":[],\"op\":\"sum\",\"param\":"
     "null,"
     "\"type\":\"aggregation\",\"without\":true}"},
    {"{a=\"b\"}[1m:5s] @ end()",
     "{\"expr\":{\"anchored\":false,\"matchers\":[{\"name\":\"a\",\"type\":\"=\",\"value\":\"b\"}],"
     "\"name\":\"\",\"offset\":0,\"offsetExpr\":null,\"smoothed\":false,\"startOrEnd\":null,"
     "\"timestamp\":null,\"type\":\"vectorSelector\"},\"offset\":0,\"offsetExpr\":null,\"range\":"
     "60000,"
     "\"rangeExpr\":null,\"startOrEnd\":\"end\",\"step\":5000,\"stepExpr\":null,\"timestamp\":null,"
     "\"type\":\"subquery\"}"},
    {"{a=\"b\"}[1m * (2)]",
     "{\"anchored\":false,\"matchers\":[{\"name\":\"a\",\"type\":\"=\",\"value\":\"b\"}],\"name\":"
     "\"\","
     "\"offset\":0,\"offsetExpr\":null,\"range\":0,\"rangeExpr\":{\"lhs\":{\"type\":"
     "\"numberLiteral\","
     "\"val\":\"60\"},\"op\":\"*\",\"rhs\":{\"lhs\":null,\"op\":\"+\",\"rhs\":{\"type\":"
     "\"numberLiteral\",\"val\":\"2\"},\"type\":\"durationExpr\",\"wrapped\":true},"
     "\"type\":\"durationExpr\",\"wrapped\":false},\"smoothed\":false,\"startOrEnd\":null,"
     "\"timestamp\":null,\"type\":\"matrixSelector\"}"},
    {"1 > bool 2",
     "{\"bool\":true,\"lhs\":{\"type\":\"numberLiteral\",\"val\":\"1\"},\"matching\":null,"
     "\"op\":\"\\u003e\",\"rhs\":{\"type\":\"numberLiteral\",\"val\":\"2\"},"
     "\"type\":\"binaryExpr\"}"},
    {"vector(1) + on(y) group_left(z) fill_left(-1e-7) vector(2)",
     "{\"bool\":false,\"lhs\":{\"args\":[{\"type\":\"numberLiteral\",\"val\":\"1\"}],\"func\":{"
     "\"argTypes\":[\"scalar\"],\"name\":\"vector\",\"returnType\":\"vector\",\"variadic\":0},"
     "\"type\":\"call\"},\"matching\":{\"card\":\"many-to-one\",\"fillValues\":{\"lhs\":-1e-7,"
     "\"rhs\":null},\"include\":[\"z\"],\"labels\":[\"y\"],\"on\":true},\"op\":\"+\",\"rhs\":{"
     "\"args\":"
     "[{\"type\":\"numberLiteral\",\"val\":\"2\"}],\"func\":{\"argTypes\":[\"scalar\"],\"name\":"
     "\"vector\",\"returnType\":\"vector\",\"variadic\":0},\"type\":\"call\"},"
     "\"type\":\"binaryExpr\"}"},
};

Test(print, json)
{
    const struct promql_options options = {.binop_fill_modifiers = true};
    struct buf got = {0};
    for (size_t i = 0; i < countof(trees); i++) {
        struct arena a;
        struct promql_query q;
        struct errmsg e;
        arena_init(&a, 0);
        cr_assert_eq(promql_parse(str_from_c(trees[i].query), &options, &a, &q, &e), ERR_OK, "%s",
                     e.text);
        buf_reset(&got);
        promql_print_json(q.expr, &got);
        cr_expect(str_eq(buf_str(&got), str_from_c(trees[i].want)), "got\n%.*s\nwant\n%s",
                  STR_ARG(buf_str(&got)), trees[i].want);
        promql_parse_done(&q);
        arena_deinit(&a);
    }
    buf_deinit(&got);
}

// As Prometheus 3.5.3 has it, also where it writes what it reads otherwise, or cannot read at all,
// but for durations that are computed. NULL: the query itself.
static const struct {
    const char *query, *want;
    bool is_read_otherwise;
} stable[] = {
    {"Inf ^ 2", "+Inf ^ 2", true}, // the sign of a power
    {"+Inf ^ 2", "++Inf ^ 2", true},
    {"-Inf ^ 2", "-+Inf ^ 2", true},
    {"2 ^ Inf ^ 2", "2 ^ +Inf ^ 2", true},
    {"2 ^ +Inf ^ 2", "2 ^ ++Inf ^ 2", true},
    {"+(+Inf) ^ 2", NULL, false},
    {"+Inf * 2", NULL, false},
    {"+x ^ 2", NULL, false},
    {"+NaN ^ 2", NULL, false},
    {"info(x, {})", "info(x, )", true},
    {"x[0.0001]", "x[0s]", true},
    {"x offset 0.0001", "x offset 0s", true},
    {"x offset -0.0001", "x offset -0s", true},
    {"x offset -0.0015", "x offset -1ms", false},
    {"x[0.0015]", "x[1ms]", false},
    {"x[0.0000001:0.000123456]", "x[0s:0s]", true},
    {"x[5m:]", NULL, false},
    {"x offset --5m + 1", "x offset (5m + 1)", false},
    {"x[5m] offset --5m * 2", "x[5m] offset (5m * 2)", false},
    {"x[5m:] @ end() offset +-2 ^ 2", "x[5m:] @ end() offset (-2 ^ 2)", false},
    {"x offset ---(5m) + 1", NULL, false},
    {"x offset -(5m) + 1", NULL, false},
    {"x offset (5m) + 1", NULL, false},
    {"x offset -5m + 1", NULL, false},
};

Test(print, what_is_printed_is_stable_where_it_is_in_prometheus)
{
    const struct promql_options options = {.experimental_functions = true};
    for (size_t i = 0; i < countof(stable); i++) {
        const char *query = stable[i].query;
        const char *want = stable[i].want ? stable[i].want : query;
        for (int again = 0; again < (stable[i].is_read_otherwise ? 1 : 2); again++, query = want) {
            struct arena a;
            struct promql_query q;
            struct errmsg e;
            struct buf out = {0}, pretty = {0};
            arena_init(&a, 0);
            cr_assert_eq(promql_parse(str_from_c(query), &options, &a, &q, &e), ERR_OK, "%s: %s",
                         query, e.text);
            promql_print(q.expr, &out);
            cr_assert_eq(promql_print_pretty(q.expr, &pretty), ERR_OK);
            cr_expect(str_eq(buf_str(&out), str_from_c(want)), "%s: %.*s", query,
                      STR_ARG(buf_str(&out)));
            cr_expect(str_eq(buf_str(&pretty), str_from_c(want)), "%s: %.*s", query,
                      STR_ARG(buf_str(&pretty)));
            promql_parse_done(&q);
            arena_deinit(&a);
            buf_deinit(&out);
            buf_deinit(&pretty);
        }
    }
}
