// Are two answers of the query API the same? Series in any order, values to the last bits but one.
#ifndef TOOLS_LOADGEN_QUERY_COMPARE_H
#define TOOLS_LOADGEN_QUERY_COMPARE_H

#include "engine/base/err.h"
#include "engine/base/str.h"

// ERR_OK: yes. ERR_INVALID: no, *e says where. ERR_CORRUPT: one is no answer of the API.
err query_compare(struct str ours, struct str reference, struct errmsg *e);

#endif
