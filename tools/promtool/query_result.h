// Answers of the HTTP API, read from JSON and printed as promtool does: as PromQL shows values, or
// as JSON.
#ifndef TOOLS_PROMTOOL_QUERY_RESULT_H
#define TOOLS_PROMTOOL_QUERY_RESULT_H

#include "engine/base/buf.h"
#include "engine/base/err.h"

enum query_result_kind {
    QUERY_RESULT_VALUE,  // of query and query_range: a vector, a matrix, a scalar or a string
    QUERY_RESULT_SERIES, // a list of label sets
    QUERY_RESULT_LABELS, // a list of texts
};

// Appends the data of a body that came with status, with its newline. *out_warnings is a line each.
// Errors are what Prometheus's client library says: bad_data: invalid parameter "query": ...;
// ERR_CORRUPT when the body is not what the API answers.
err query_result_print(int status, struct str body, enum query_result_kind kind, bool as_json,
                       struct buf *out, struct buf *out_warnings, struct errmsg *e);

#endif
