// A query's turn: waits for it under --query.max-concurrency, is noted as active meanwhile, and
// ends with a line in the query log.
#ifndef ENGINE_SERVER_QUERY_TURN_H
#define ENGINE_SERVER_QUERY_TURN_H

#include <stdatomic.h>

#include "engine/base/list.h"
#include "engine/promql/query.h"

struct server;
struct http_exchange;
struct json;

struct query_times { // ns
    int64_t queue, prepare, eval;
};

// What all shards share. A free turn is taken by whoever comes, without a message; where there is
// none, shard 0 keeps the order of those that wait.
struct query_turns {
    _Atomic int64_t running, waiting;
    struct list queue; // of shard 0: the first first
};

void query_turns_init(struct query_turns *t);

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
// Where there is a query log its line is in the file then. Suspends.
void query_turn_end(struct query_turn *t, const struct query_stats *stats, struct str error);

// {"timings":{...},"samples":{...}} of the API and the log.
void query_put_stats(struct json *j, const struct query_times *times,
                     const struct query_stats *stats);

#endif
