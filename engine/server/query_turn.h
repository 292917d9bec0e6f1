// A query's turn: waits for it under --query.max-concurrency, is noted as active meanwhile, and
// ends with a line in the query log.
#ifndef ENGINE_SERVER_QUERY_TURN_H
#define ENGINE_SERVER_QUERY_TURN_H

#include "engine/promql/query.h"

struct server;
struct http_exchange;
struct json;

struct query_times { // ns
    int64_t queue, prepare, eval;
};

struct query_turn { // the caller's memory, from begin to end
    struct server *server;
    const struct http_exchange *x; // who asks
    struct str text;
    int64_t start_ms, end_ms, step_ms; // step 0: an instant query
    struct query_times times;          // the caller adds prepare and eval
    size_t active;
};

// ERR_TIMEOUT and ERR_CANCELED read as Prometheus's; nothing is to be ended then. Suspends.
err query_turn_begin(struct query_turn *t, struct errmsg *e);
// Gives the turn to who waits. stats are the result's, error what was said instead (empty: none).
void query_turn_end(struct query_turn *t, const struct query_stats *stats, struct str error);

// {"timings":{...},"samples":{...}} of the API and the log.
void query_put_stats(struct json *j, const struct query_times *times,
                     const struct query_stats *stats);

#endif
