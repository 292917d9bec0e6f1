#include "engine/promql/operator.h"

const char *promql_type_text(enum promql_type type)
{
    static const char *const texts[] = {
        [PROMQL_TYPE_NONE] = "none",
        [PROMQL_TYPE_SCALAR] = "scalar",
        [PROMQL_TYPE_VECTOR] = "instant vector",
        [PROMQL_TYPE_MATRIX] = "range vector",
        [PROMQL_TYPE_STRING] = "string",
    };
    return texts[type];
}

const char *promql_type_name(enum promql_type type)
{
    static const char *const names[] = {
        [PROMQL_TYPE_NONE] = "none",     [PROMQL_TYPE_SCALAR] = "scalar",
        [PROMQL_TYPE_VECTOR] = "vector", [PROMQL_TYPE_MATRIX] = "matrix",
        [PROMQL_TYPE_STRING] = "string",
    };
    return names[type];
}

const char *promql_op_text(enum promql_op op)
{
    static const char *const texts[] = {
        [PROMQL_ADD] = "+",         [PROMQL_SUB] = "-",         [PROMQL_MUL] = "*",
        [PROMQL_DIV] = "/",         [PROMQL_MOD] = "%",         [PROMQL_POW] = "^",
        [PROMQL_ATAN2] = "atan2",   [PROMQL_EQ] = "==",         [PROMQL_NE] = "!=",
        [PROMQL_LT] = "<",          [PROMQL_LE] = "<=",         [PROMQL_GT] = ">",
        [PROMQL_GE] = ">=",         [PROMQL_TRIM_UPPER] = "</", [PROMQL_TRIM_LOWER] = ">/",
        [PROMQL_AND] = "and",       [PROMQL_OR] = "or",         [PROMQL_UNLESS] = "unless",
        [PROMQL_STEP] = "step",     [PROMQL_RANGE] = "range",   [PROMQL_MIN_OF] = "min_of",
        [PROMQL_MAX_OF] = "max_of",
    };
    return texts[op];
}

const char *promql_aggregate_text(enum promql_aggregate op)
{
    static const char *const texts[] = {
        [PROMQL_AVG] = "avg",       [PROMQL_BOTTOMK] = "bottomk",
        [PROMQL_COUNT] = "count",   [PROMQL_COUNT_VALUES] = "count_values",
        [PROMQL_GROUP] = "group",   [PROMQL_LIMIT_RATIO] = "limit_ratio",
        [PROMQL_LIMITK] = "limitk", [PROMQL_MAX] = "max",
        [PROMQL_MIN] = "min",       [PROMQL_QUANTILE] = "quantile",
        [PROMQL_STDDEV] = "stddev", [PROMQL_STDVAR] = "stdvar",
        [PROMQL_SUM] = "sum",       [PROMQL_TOPK] = "topk",
    };
    return texts[op];
}

bool promql_aggregate_has_param(enum promql_aggregate op)
{
    return op == PROMQL_TOPK || op == PROMQL_BOTTOMK || op == PROMQL_QUANTILE ||
           op == PROMQL_COUNT_VALUES || op == PROMQL_LIMITK || op == PROMQL_LIMIT_RATIO;
}
