// Series lines of Prometheus's test language: `up{job="x"} 0 1 2+3x4 _ stale _x3`.
#ifndef ENGINE_PROMQL_TEST_SERIES_H
#define ENGINE_PROMQL_TEST_SERIES_H

#include "engine/base/arena.h"
#include "engine/base/err.h"

struct test_value {
    enum { TEST_VALUE_NONE, TEST_VALUE_FLOAT, TEST_VALUE_HISTOGRAM } kind;
    double v;
};

struct test_series {
    struct str labels;
    struct test_value *values;
    size_t n;
    bool is_start_timestamps; // an @st line: values are not read
};

enum { TEST_VALUES_MAX = 1 << 20 }; // of one line

// All of it in the arena. ERR_INVALID: not such a line.
err test_series_parse(struct str line, struct arena *a, struct test_series *out, struct errmsg *e);

#endif
