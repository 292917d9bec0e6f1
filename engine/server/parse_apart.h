// Reading PromQL beside the shard's other work: long texts, and regular expressions whose program
// is large though their text is short, are parsed, and freed, on a thread of the helper pool.
#ifndef ENGINE_SERVER_PARSE_APART_H
#define ENGINE_SERVER_PARSE_APART_H

#include "engine/promql/parser.h"

// promql_parse() and promql_parse_selector(); also ERR_CANCELED and ERR_TIMEOUT. Suspends.
err parse_apart(struct str text, const struct promql_options *options, struct arena *a,
                struct promql_query *out, struct errmsg *e);
err parse_selector_apart(struct str text, const struct promql_options *options, struct arena *a,
                         struct promql_query *out, struct errmsg *e);
// Anything else that long texts make long: fn(arg) on such a thread, to its end. Suspends.
enum { APART_BYTES = 32 << 10 }; // worth it from there on
void run_apart(void (*fn)(void *arg), void *arg);
void parse_apart_done(struct promql_query *query); // promql_parse_done(). Suspends.

#endif
