// Notices about the server as a whole, for who watches it: notifications and its live form.
//
// A notice stands or does not; its date says since when. Shard 0 changes them, every shard reads.
#ifndef ENGINE_SERVER_NOTICES_H
#define ENGINE_SERVER_NOTICES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct server;
struct http_exchange;
struct api;

enum notice { NOTICE_RELOAD_FAILED, NOTICE_STARTING, NOTICE_STOPPING, NOTICES };

struct notices {
    _Atomic int64_t since_ms[NOTICES]; // 0: does not stand
    _Atomic int64_t subscribers;
    _Atomic uint64_t sent;
};

// Puts the notice up, again with a new date, or takes it down, and tells who subscribed. On shard
// 0. Suspends once the shards are open.
void notices_set(struct server *s, enum notice which, bool stands);

void api_notifications(struct api *api); // those that stand
void page_notifications_live(struct server *s,
                             struct http_exchange *x); // Suspends until either end goes

#endif
