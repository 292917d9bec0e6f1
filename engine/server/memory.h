// The memory that this process may use, and what happens when it comes to an end.
//
// What is resident is measured some times a second, and when the room for new series that was told
// last is used up. Shares of the limit are steps, in this order: caches shrink and samples are
// written early; queries get little; new series of who makes most of them are refused; all new
// series are. What is there goes on through all of them.
#ifndef ENGINE_SERVER_MEMORY_H
#define ENGINE_SERVER_MEMORY_H

#include "engine/base/arena.h"
#include "engine/base/buf.h"
#include "io/fiber.h"

struct server;
struct json;

enum memory_step {
    MEMORY_ENOUGH,
    MEMORY_CACHES,
    MEMORY_QUERIES,
    MEMORY_OFFENDERS,
    MEMORY_SERIES,
    MEMORY_STEPS
};

struct memory { // any shard may measure
    uint64_t limit_bytes;
    _Atomic uint64_t used_bytes;
    _Atomic int step;                       // enum memory_step
    _Atomic uint64_t entered[MEMORY_STEPS]; // how often, from below
    struct arena_budget queries;            // all of them together
    int told;                               // step that the log was told of; shard 0's
    bool watching;
    struct waiters ended;
};

// The limit: what --storage.memory-limit says, or four fifths of what the process may use.
void memory_init(struct server *s);
void memory_watch(struct server *s);     // on shard 0, once the database is there
void memory_watch_end(struct server *s); // when the server stops. Suspends.
// What one of so many may have at most of the limit.
uint64_t memory_share(const struct server *s, uint64_t of);
// Of an arena_budget that was used up: whether all queries together had no more; then e says so.
bool memory_refused_query(const struct server *s, const struct arena_budget *budget,
                          struct errmsg *e);

void memory_put_metrics(struct server *s, struct buf *b); // Suspends.
// For status/tsdb: whose new series were refused. Suspends.
void memory_put_refused(struct server *s, size_t limit, struct json *j);

#endif
