// Annotations of a query, and what is not built: words with a position in the query's text.
#ifndef ENGINE_PROMQL_NOTE_H
#define ENGINE_PROMQL_NOTE_H

#include "engine/promql/eval.h"

// Text ends with the position of at: "... (1:6)"; NULL is the start of the query.
void query_note(struct query *q, bool is_warning, const struct promql_expr *at, const char *format,
                ...) __attribute__((format(printf, 4, 5)));
// The same with a detail that does not make it another note, behind the words.
void query_note_detailed(struct query *q, bool is_warning, const struct promql_expr *at,
                         struct str words, struct str detail);
void query_notes_take(struct query *q, const struct query *from); // from's, at their positions
// A warning for each of values at the n steps (in present, if given) that is not a quantile.
void query_note_quantiles(struct query *q, const struct promql_expr *at, const double *values,
                          const uint64_t *present, size_t n);
void note_put_name(struct buf *words, struct str name); // " for metric name ..." if there is one
void query_note_odd_counter(struct query *q, const struct promql_expr *at, struct str name);
err query_unsupported(struct query *q, const struct promql_expr *at, const char *what);
err query_unsupported_function(struct query *q, const struct promql_expr *call);

#endif
