// PromQL's types, operators and aggregations, and how they are written.
#ifndef ENGINE_PROMQL_OPERATOR_H
#define ENGINE_PROMQL_OPERATOR_H

#include <stdbool.h>

enum promql_type {
    PROMQL_TYPE_NONE,
    PROMQL_TYPE_SCALAR,
    PROMQL_TYPE_VECTOR,
    PROMQL_TYPE_MATRIX,
    PROMQL_TYPE_STRING,
};

enum promql_op {
    PROMQL_ADD,
    PROMQL_SUB,
    PROMQL_MUL,
    PROMQL_DIV,
    PROMQL_MOD,
    PROMQL_POW,
    PROMQL_ATAN2,
    PROMQL_EQ, // comparisons: EQ to GE
    PROMQL_NE,
    PROMQL_LT,
    PROMQL_LE,
    PROMQL_GT,
    PROMQL_GE,
    PROMQL_TRIM_UPPER, // </
    PROMQL_TRIM_LOWER, // >/
    PROMQL_AND,        // set operators: AND to UNLESS
    PROMQL_OR,
    PROMQL_UNLESS,
    PROMQL_STEP, // of duration expressions alone: step(), range(), min_of(), max_of()
    PROMQL_RANGE,
    PROMQL_MIN_OF,
    PROMQL_MAX_OF,
};

enum promql_aggregate {
    PROMQL_AVG,
    PROMQL_BOTTOMK,
    PROMQL_COUNT,
    PROMQL_COUNT_VALUES,
    PROMQL_GROUP,
    PROMQL_LIMIT_RATIO,
    PROMQL_LIMITK,
    PROMQL_MAX,
    PROMQL_MIN,
    PROMQL_QUANTILE,
    PROMQL_STDDEV,
    PROMQL_STDVAR,
    PROMQL_SUM,
    PROMQL_TOPK,
};

static inline bool promql_op_is_comparison(enum promql_op op)
{
    return op >= PROMQL_EQ && op <= PROMQL_GE;
}

static inline bool promql_op_is_set(enum promql_op op)
{
    return op >= PROMQL_AND && op <= PROMQL_UNLESS;
}

const char *promql_type_text(enum promql_type type); // "instant vector", as messages have it
const char *promql_type_name(enum promql_type type); // "vector", as the API has it
const char *promql_op_text(enum promql_op op);
const char *promql_aggregate_text(enum promql_aggregate op);
bool promql_aggregate_has_param(enum promql_aggregate op);

#endif
