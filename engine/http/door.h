// The limit on connections of all shards together: while every place is taken nobody is let in, and
// who comes waits in the system's queue, as in Prometheus.
//
// A door and its listeners belong to one shard, its home. Connections may be handed to others and
// end there.
#ifndef ENGINE_HTTP_DOOR_H
#define ENGINE_HTTP_DOOR_H

#include <stdatomic.h>

#include "engine/shard/shard.h"
#include "io/stream.h"

enum { HTTP_DOOR_LISTENERS_MAX = 1024 };

struct http_door {
    int64_t places;
    listener_accepted_fn *accepted;
    void *arg;
    struct shard *home;
    struct listener *listeners[HTTP_DOOR_LISTENERS_MAX];
    size_t listeners_count;
    bool is_shut;                  // of home: no listener accepts
    _Atomic bool waits_for_place;  // whoever leaves next tells home
    _Atomic int64_t taken;         // places, also of connections on their way to a shard
    _Atomic uint64_t shut_count;   // how often there was no place left
    struct shard_post place_found; // in flight only while it is shut
};

// On its home. accepted(arg, fd, peer) takes the socket and one of at least one places.
void http_door_init(struct http_door *d, int64_t places, listener_accepted_fn *accepted, void *arg);
// As listener_open(). Suspends.
err http_door_listen(struct http_door *d, const char *host, uint16_t port, struct errmsg *e);
// Nobody comes in any more. Suspends.
void http_door_close(struct http_door *d);
// A connection that came in has ended. From any shard.
void http_door_leave(struct http_door *d);

#endif
