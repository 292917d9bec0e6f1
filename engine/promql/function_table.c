#include "engine/promql/function_table.h"

#include "engine/base/util.h"

enum {
    S = PROMQL_TYPE_SCALAR,
    V = PROMQL_TYPE_VECTOR,
    M = PROMQL_TYPE_MATRIX,
    T = PROMQL_TYPE_STRING,
};

// clang-format off
static const struct promql_function functions[] = {
    // name, id, result, experimental, variadic, arguments
    {{"abs", 3}, PROMQL_FN_ABS, V, false, 0, 1, {V}},
    {{"absent", 6}, PROMQL_FN_ABSENT, V, false, 0, 1, {V}},
    {{"absent_over_time", 16}, PROMQL_FN_ABSENT_OVER_TIME, V, false, 0, 1, {M}},
    {{"acos", 4}, PROMQL_FN_ACOS, V, false, 0, 1, {V}},
    {{"acosh", 5}, PROMQL_FN_ACOSH, V, false, 0, 1, {V}},
    {{"asin", 4}, PROMQL_FN_ASIN, V, false, 0, 1, {V}},
    {{"asinh", 5}, PROMQL_FN_ASINH, V, false, 0, 1, {V}},
    {{"atan", 4}, PROMQL_FN_ATAN, V, false, 0, 1, {V}},
    {{"atanh", 5}, PROMQL_FN_ATANH, V, false, 0, 1, {V}},
    {{"avg_over_time", 13}, PROMQL_FN_AVG_OVER_TIME, V, false, 0, 1, {M}},
    {{"ceil", 4}, PROMQL_FN_CEIL, V, false, 0, 1, {V}},
    {{"changes", 7}, PROMQL_FN_CHANGES, V, false, 0, 1, {M}},
    {{"clamp", 5}, PROMQL_FN_CLAMP, V, false, 0, 3, {V, S, S}},
    {{"clamp_max", 9}, PROMQL_FN_CLAMP_MAX, V, false, 0, 2, {V, S}},
    {{"clamp_min", 9}, PROMQL_FN_CLAMP_MIN, V, false, 0, 2, {V, S}},
    {{"cos", 3}, PROMQL_FN_COS, V, false, 0, 1, {V}},
    {{"cosh", 4}, PROMQL_FN_COSH, V, false, 0, 1, {V}},
    {{"count_over_time", 15}, PROMQL_FN_COUNT_OVER_TIME, V, false, 0, 1, {M}},
    {{"day_of_month", 12}, PROMQL_FN_DAY_OF_MONTH, V, false, 1, 1, {V}},
    {{"day_of_week", 11}, PROMQL_FN_DAY_OF_WEEK, V, false, 1, 1, {V}},
    {{"day_of_year", 11}, PROMQL_FN_DAY_OF_YEAR, V, false, 1, 1, {V}},
    {{"days_in_month", 13}, PROMQL_FN_DAYS_IN_MONTH, V, false, 1, 1, {V}},
    {{"deg", 3}, PROMQL_FN_DEG, V, false, 0, 1, {V}},
    {{"delta", 5}, PROMQL_FN_DELTA, V, false, 0, 1, {M}},
    {{"deriv", 5}, PROMQL_FN_DERIV, V, false, 0, 1, {M}},
    {{"double_exponential_smoothing", 28},
     PROMQL_FN_DOUBLE_EXPONENTIAL_SMOOTHING, V, true, 0, 3, {M, S, S}},
    {{"end", 3}, PROMQL_FN_END, S, true, 0, 0, {0}},
    {{"exp", 3}, PROMQL_FN_EXP, V, false, 0, 1, {V}},
    {{"first_over_time", 15}, PROMQL_FN_FIRST_OVER_TIME, V, true, 0, 1, {M}},
    {{"floor", 5}, PROMQL_FN_FLOOR, V, false, 0, 1, {V}},
    {{"histogram_avg", 13}, PROMQL_FN_HISTOGRAM_AVG, V, false, 0, 1, {V}},
    {{"histogram_count", 15}, PROMQL_FN_HISTOGRAM_COUNT, V, false, 0, 1, {V}},
    {{"histogram_fraction", 18}, PROMQL_FN_HISTOGRAM_FRACTION, V, false, 0, 3, {S, S, V}},
    {{"histogram_quantile", 18}, PROMQL_FN_HISTOGRAM_QUANTILE, V, false, 0, 2, {S, V}},
    {{"histogram_quantiles", 19}, PROMQL_FN_HISTOGRAM_QUANTILES, V, true, 9, 4, {V, T, S, S}},
    {{"histogram_stddev", 16}, PROMQL_FN_HISTOGRAM_STDDEV, V, false, 0, 1, {V}},
    {{"histogram_stdvar", 16}, PROMQL_FN_HISTOGRAM_STDVAR, V, false, 0, 1, {V}},
    {{"histogram_sum", 13}, PROMQL_FN_HISTOGRAM_SUM, V, false, 0, 1, {V}},
    {{"hour", 4}, PROMQL_FN_HOUR, V, false, 1, 1, {V}},
    {{"idelta", 6}, PROMQL_FN_IDELTA, V, false, 0, 1, {M}},
    {{"increase", 8}, PROMQL_FN_INCREASE, V, false, 0, 1, {M}},
    {{"info", 4}, PROMQL_FN_INFO, V, true, 1, 2, {V, V}},
    {{"irate", 5}, PROMQL_FN_IRATE, V, false, 0, 1, {M}},
    {{"label_join", 10}, PROMQL_FN_LABEL_JOIN, V, false, -1, 4, {V, T, T, T}},
    {{"label_replace", 13}, PROMQL_FN_LABEL_REPLACE, V, false, 0, 5, {V, T, T, T, T}},
    {{"last_over_time", 14}, PROMQL_FN_LAST_OVER_TIME, V, false, 0, 1, {M}},
    {{"ln", 2}, PROMQL_FN_LN, V, false, 0, 1, {V}},
    {{"log10", 5}, PROMQL_FN_LOG10, V, false, 0, 1, {V}},
    {{"log2", 4}, PROMQL_FN_LOG2, V, false, 0, 1, {V}},
    {{"mad_over_time", 13}, PROMQL_FN_MAD_OVER_TIME, V, true, 0, 1, {M}},
    {{"max_of", 6}, PROMQL_FN_MAX_OF, S, true, 0, 2, {S, S}},
    {{"max_over_time", 13}, PROMQL_FN_MAX_OVER_TIME, V, false, 0, 1, {M}},
    {{"min_of", 6}, PROMQL_FN_MIN_OF, S, true, 0, 2, {S, S}},
    {{"min_over_time", 13}, PROMQL_FN_MIN_OVER_TIME, V, false, 0, 1, {M}},
    {{"minute", 6}, PROMQL_FN_MINUTE, V, false, 1, 1, {V}},
    {{"month", 5}, PROMQL_FN_MONTH, V, false, 1, 1, {V}},
    {{"pi", 2}, PROMQL_FN_PI, S, false, 0, 0, {0}},
    {{"predict_linear", 14}, PROMQL_FN_PREDICT_LINEAR, V, false, 0, 2, {M, S}},
    {{"present_over_time", 17}, PROMQL_FN_PRESENT_OVER_TIME, V, false, 0, 1, {M}},
    {{"quantile_over_time", 18}, PROMQL_FN_QUANTILE_OVER_TIME, V, false, 0, 2, {S, M}},
    {{"rad", 3}, PROMQL_FN_RAD, V, false, 0, 1, {V}},
    {{"range", 5}, PROMQL_FN_RANGE, S, true, 0, 0, {0}},
    {{"rate", 4}, PROMQL_FN_RATE, V, false, 0, 1, {M}},
    {{"resets", 6}, PROMQL_FN_RESETS, V, false, 0, 1, {M}},
    {{"round", 5}, PROMQL_FN_ROUND, V, false, 1, 2, {V, S}},
    {{"scalar", 6}, PROMQL_FN_SCALAR, S, false, 0, 1, {V}},
    {{"sgn", 3}, PROMQL_FN_SGN, V, false, 0, 1, {V}},
    {{"sin", 3}, PROMQL_FN_SIN, V, false, 0, 1, {V}},
    {{"sinh", 4}, PROMQL_FN_SINH, V, false, 0, 1, {V}},
    {{"sort", 4}, PROMQL_FN_SORT, V, false, 0, 1, {V}},
    {{"sort_by_label", 13}, PROMQL_FN_SORT_BY_LABEL, V, true, -1, 2, {V, T}},
    {{"sort_by_label_desc", 18}, PROMQL_FN_SORT_BY_LABEL_DESC, V, true, -1, 2, {V, T}},
    {{"sort_desc", 9}, PROMQL_FN_SORT_DESC, V, false, 0, 1, {V}},
    {{"sqrt", 4}, PROMQL_FN_SQRT, V, false, 0, 1, {V}},
    {{"start", 5}, PROMQL_FN_START, S, true, 0, 0, {0}},
    {{"start_timestamp", 15}, PROMQL_FN_START_TIMESTAMP, V, true, 0, 1, {V}},
    {{"stddev_over_time", 16}, PROMQL_FN_STDDEV_OVER_TIME, V, false, 0, 1, {M}},
    {{"stdvar_over_time", 16}, PROMQL_FN_STDVAR_OVER_TIME, V, false, 0, 1, {M}},
    {{"step", 4}, PROMQL_FN_STEP, S, true, 0, 0, {0}},
    {{"sum_over_time", 13}, PROMQL_FN_SUM_OVER_TIME, V, false, 0, 1, {M}},
    {{"tan", 3}, PROMQL_FN_TAN, V, false, 0, 1, {V}},
    {{"tanh", 4}, PROMQL_FN_TANH, V, false, 0, 1, {V}},
    {{"time", 4}, PROMQL_FN_TIME, S, false, 0, 0, {0}},
    {{"timestamp", 9}, PROMQL_FN_TIMESTAMP, V, false, 0, 1, {V}},
    {{"ts_of_first_over_time", 21}, PROMQL_FN_TS_OF_FIRST_OVER_TIME, V, true, 0, 1, {M}},
    {{"ts_of_last_over_time", 20}, PROMQL_FN_TS_OF_LAST_OVER_TIME, V, true, 0, 1, {M}},
    {{"ts_of_max_over_time", 19}, PROMQL_FN_TS_OF_MAX_OVER_TIME, V, true, 0, 1, {M}},
    {{"ts_of_min_over_time", 19}, PROMQL_FN_TS_OF_MIN_OVER_TIME, V, true, 0, 1, {M}},
    {{"vector", 6}, PROMQL_FN_VECTOR, V, false, 0, 1, {S}},
    {{"year", 4}, PROMQL_FN_YEAR, V, false, 1, 1, {V}},
};
// clang-format on
static_assert(countof(functions) == PROMQL_FN_COUNT, "a row for each");

const struct promql_function *promql_function_at(enum promql_function_id id)
{
    assert(id < PROMQL_FN_COUNT);
    return &functions[id];
}

const struct promql_function *promql_function_find(struct str name)
{
    size_t low = 0, high = countof(functions);
    while (low < high) {
        const size_t middle = (low + high) / 2;
        const int order = str_cmp(name, functions[middle].name);
        if (order == 0)
            return &functions[middle];
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}
