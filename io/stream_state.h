// The inside of streams, shared by stream.c and stream_tls.c.
#ifndef IO_STREAM_STATE_H
#define IO_STREAM_STATE_H

#include "io/fiber.h"
#include "io/stream.h"

// A kind of stream. Each function runs on the fiber that uses the stream.
struct stream_ops {
    err (*read)(struct stream *s, void *p, size_t n, size_t *out_n, struct errmsg *e);
    err (*write)(struct stream *s, const void *p, size_t n, struct errmsg *e);
    void (*say_goodbye)(struct stream *s); // the peer is told, if that is quick
    bool (*has_buffered)(const struct stream *s);
    void (*deinit)(struct stream *s);
};

struct stream {
    const struct stream_ops *ops;
    int fd;
    bool aborted;
    bool is_cut; // a write ended in the middle, or was the last: nothing may follow it
    struct address peer;
    struct op *reading, *writing; // in flight
    struct op idle;               // OP_READABLE
    struct timer ready_soon;
    stream_ready_fn *ready; // NULL: nobody waits
    void *ready_arg;
    struct waiters idle_ended;
    // Of TLS streams.
    struct tls *tls;
    struct ssl_st *ssl;
};

// The plain transport under both kinds. 0 bytes: the peer is done.
err stream_receive(struct stream *s, void *p, size_t n, size_t *out_n, struct errmsg *e);
err stream_send(struct stream *s, const void *p, size_t n, struct errmsg *e);

// Makes s a TLS one: client with a host name, or server with host NULL.
err stream_become_tls(struct stream *s, struct tls *tls, const char *host, struct errmsg *e);
err stream_handshake(struct stream *s, struct errmsg *e); // Suspends.

#endif
