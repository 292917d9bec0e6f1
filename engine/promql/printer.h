// PromQL trees back to text, as Prometheus prints them.
#ifndef ENGINE_PROMQL_PRINTER_H
#define ENGINE_PROMQL_PRINTER_H

#include "engine/base/buf.h"
#include "engine/base/err.h"
#include "engine/promql/ast.h"

// One line: expr.String(). Parsing it gives an equal tree.
void promql_print(const struct promql_expr *e, struct buf *out);
// Over lines and indented where a line would be longer than 100 bytes: format_query. ERR_LIMIT,
// and out as it was: deep nesting makes more than PROMQL_PRETTY_MAX bytes of it.
enum { PROMQL_PRETTY_MAX = 64 << 20 };
err promql_print_pretty(const struct promql_expr *e, struct buf *out);
// JSON, an object a node: parse_query.
void promql_print_json(const struct promql_expr *e, struct buf *out);

#endif
