// Samples are counted as Prometheus counts them: these numbers are what Prometheus 3.5 says of the
// same queries (stats=all) over the same samples.
#include <criterion/criterion.h>

#include "engine/base/util.h"
#include "engine/model/labels.h"
#include "engine/promql/parser.h"
#include "engine/promql/query.h"
#include "tests/lib/oracle.h"

static const struct {
    bool is_range; // 0 to 120 s by 15 s, otherwise at 60 s
    const char *query;
    uint64_t samples, peak;
} rows[] = {
    {true, "s_total", 27, 27},
    {true, "rate(s_total[1m])", 58, 20},
    {true, "sum(rate(s_total[1m]))", 58, 20},
    {true, "sum(s_total)", 27, 27},
    {true, "1+1", 0, 9},
    {true, "time()", 0, 9},
    {true, "s_total + 1", 27, 67},
    {true, "s_total + s_total", 54, 87},
    {true, "s_total > 4", 27, 50},
    {true, "topk(2, s_total)", 27, 36},
    {true, "quantile(0.5, s_total)", 27, 36},
    {true, "count_values(\"x\", s_total)", 27, 49},
    {true, "s_total @ 60", 27, 27},
    {true, "rate(s_total[1m] @ 60)", 72, 27},
    {true, "predict_linear(s_total[1m] @ 60, 5)", 72, 38},
    {true, "max_over_time(s_total[1m:15s])", 90, 58},
    {true, "max_over_time(rate(s_total[1m])[1m:15s])", 68, 43},
    {true, "quantile_over_time(0.5, s_total[1m])", 58, 33},
    {true, "quantile_over_time(0.5, s_total[1m:20s])", 66, 60},
    {true, "sum(quantile_over_time(0.5, s_total[1m]))", 58, 33},
    {true, "absent(s_total)", 27, 30},
    {true, "absent(nothing)", 0, 9},
    {true, "absent_over_time(s_total[1m])", 58, 24},
    {true, "absent_over_time(nothing[1m])", 0, 0},
    {true, "timestamp(s_total)", 27, 30},
    {true, "timestamp(s_total @ 60)", 27, 30},
    {true, "sum(timestamp(s_total))", 27, 30},
    {true, "-s_total", 27, 27},
    {true, "scalar(sum(s_total)) + 5", 27, 29},
    {true, "vector(1)", 0, 9},
    {true, "clamp(s_total, 1+1, 5)", 27, 77},
    {true, "s_total and s_total", 54, 87},
    {true, "s_total or s_total", 54, 87},
    {true, "(s_total @ 60) + s_total", 54, 87},
    {true, "sort(s_total)", 27, 57},
    {true, "round(s_total, 2)", 27, 67},
    {true, "minute()", 0, 9},
    {true, "max_over_time(s_total[1m:20s] @ 60)", 81, 27},
    {true, "sum_over_time((s_total @ 60)[1m:20s])", 81, 57},
    {true, "min_over_time(max_over_time(s_total[30s:10s])[1m:20s])", 66, 63},
    {false, "s_total", 3, 3},
    {false, "s_total[1m]", 8, 8},
    {false, "s_total[1m:15s]", 12, 12},
    {false, "rate(s_total[1m])", 8, 5},
    {false, "sum(rate(s_total[1m]))", 8, 5},
    {false, "topk(2, s_total)", 3, 4},
    {false, "1", 0, 1},
    {false, "1+1", 0, 5},
    {false, "max_over_time(s_total[1m:15s])", 12, 19},
    {false, "max_over_time(rate(s_total[1m])[1m:15s])", 12, 19},
    {false, "(s_total @ 30)[1m:10s]", 18, 18},
    {false, "quantile(0.5, s_total)", 3, 4},
    {false, "absent_over_time(nothing[1m])", 0, 0},
    {false, "s_total offset 1h", 0, 0},
    {false, "max_over_time(s_total[1ms:15s])", 3, 7},
};

static void append(struct oracle *o, const char *a, const char *values)
{
    struct labels_builder b = {0};
    struct arena arena;
    arena_init(&arena, 0);
    labels_builder_set(&b, LABEL_NAME, STR("s_total"));
    labels_builder_set(&b, STR("a"), str_from_c(a));
    const struct str labels = labels_builder_finish(&b, &arena);
    for (int64_t i = 0; values[i]; i++)
        if (values[i] != '_')
            oracle_append(o, labels, i * 15000, values[i] - '0');
    labels_builder_deinit(&b);
    arena_deinit(&arena);
}

static err run(struct oracle *o, size_t row, uint64_t samples_max, struct query_stats *out)
{
    struct oracle_view views[2] = {{o, 0, 100}, {o, 100, 256}};
    const struct storage parts[] = {oracle_storage(&views[0]), oracle_storage(&views[1])};
    const struct query_source source = {parts, 2, false};
    const struct query_options options = {
        .start_ms = rows[row].is_range ? 0 : 60000,
        .end_ms = rows[row].is_range ? 120000 : 60000,
        .step_ms = rows[row].is_range ? 15000 : 0,
        .lookback_ms = 300000,
        .subquery_step_ms = 60000,
        .samples_max = samples_max,
    };
    const struct promql_options syntax = {0};
    const struct str text = str_from_c(rows[row].query);
    struct arena a;
    struct promql_query parsed;
    struct query_result r;
    struct errmsg e = {0};
    arena_init(&a, 0);
    cr_assert_eq(promql_parse(text, &syntax, &a, &parsed, &e), ERR_OK, "%s", e.text);
    const err code = promql_exec(&source, &options, parsed.expr, text, &a, &r, &e);
    if (code) {
        cr_expect_str_eq(e.text, "query processing would load too many samples into memory in "
                                 "query execution");
    } else {
        *out = r.stats;
        query_done(&source, &r);
    }
    promql_parse_done(&parsed);
    arena_deinit(&a);
    return code;
}

Test(promql_samples, as_prometheus_counts)
{
    struct oracle *o = oracle_create(NULL);
    append(o, "1", "1234567");
    append(o, "2", "12__567");
    append(o, "3", "321");
    for (size_t i = 0; i < countof(rows); i++) {
        struct query_stats got = {0};
        cr_expect_eq(run(o, i, 0, &got), ERR_OK);
        cr_expect_eq(got.samples, rows[i].samples, "%s: %zu samples", rows[i].query,
                     (size_t)got.samples);
        cr_expect_eq(got.samples_peak, rows[i].peak, "%s: peak %zu", rows[i].query,
                     (size_t)got.samples_peak);
        cr_expect_eq(run(o, i, rows[i].peak, &got), ERR_OK, "%s", rows[i].query);
    }
    oracle_destroy(o);
}

Test(promql_samples, limit)
{
    struct oracle *o = oracle_create(NULL);
    append(o, "1", "1234567");
    append(o, "2", "12__567");
    append(o, "3", "321");
    for (size_t i = 0; i < countof(rows); i++) {
        struct query_stats got = {0};
        if (rows[i].peak > 1)
            cr_expect_eq(run(o, i, rows[i].peak - 1, &got), ERR_LIMIT, "%s", rows[i].query);
    }
    oracle_destroy(o);
}
