// Routes of the web server: a path, methods, a handler, and what is counted of each.
#ifndef ENGINE_SERVER_ROUTE_H
#define ENGINE_SERVER_ROUTE_H

#include "engine/http/server.h"

struct server;
struct buf;

enum { ROUTES_MAX = 64, ROUTE_CODES_MAX = 24, ROUTE_BUCKETS = 10 };

struct route_stats { // of one shard, by route
    struct {
        struct {
            int status;
            uint64_t count;
        } codes[ROUTE_CODES_MAX];
        uint64_t buckets[ROUTE_BUCKETS], count;
        double seconds;
        uint64_t bytes;
    } routes[ROUTES_MAX];
};

// The web server's handler: finds the route of x and runs it. arg is the struct server. Suspends.
void route_handle(void *arg, struct http_exchange *x);
void route_observe(void *arg, const struct http_exchange *x, int64_t ns);
void route_stats_add(struct route_stats *to, const struct route_stats *from);
// prometheus_http_* families.
void route_write_metrics(const struct route_stats *stats, struct buf *out);

#endif
