// An HTTP/1.1 server: connections of one shard, one fiber while a request is handled, none while
// idle.
//
// Every loop that listens has a server; a connection is handed to the shard that has fewest. A
// handler runs on the connection's fiber, reads what it needs of the body, and answers exactly
// once.
#ifndef ENGINE_HTTP_SERVER_H
#define ENGINE_HTTP_SERVER_H

#include "engine/base/arena.h"
#include "engine/base/log.h"
#include "engine/http/door.h"
#include "io/fiber.h"
#include "io/stream.h"
#include "protocol/http1.h"
#include "protocol/url.h"

enum { HTTP_HEADERS_OUT_MAX = 32 };

struct http_exchange {
    struct str method, path, query; // path is decoded, query is not
    const struct http_head *head;
    struct arena *arena; // of this request
    const struct address *peer;
    void *conn;                                       // the server's
    struct http_header headers[HTTP_HEADERS_OUT_MAX]; // of the answer
    size_t headers_count;
    bool compress; // an answer may be compressed (on); Vary is set either way
    bool is_answered;
    int status; // of the answer, for the log and the metrics
    uint64_t bytes_out;
};

// Answers x, in whatever class it chooses. That is the class in which the connection's next head is
// read, so that a flood of writes does not crowd out queries; the first is read in queries'.
// Suspends.
typedef void http_handler_fn(void *arg, struct http_exchange *x);
// Called behind each answer, for metrics: how long the handler took.
typedef void http_observer_fn(void *arg, const struct http_exchange *x, int64_t ns);

struct http_server_options {
    http_handler_fn *handler;
    http_observer_fn *observer; // may be NULL
    void *arg;
    int64_t read_timeout_ns;  // of a whole request; also how long a connection may be idle
    int64_t write_timeout_ns; // without any progress of the peer
    struct http_door *door;   // that connections came through; NULL: none
    uint64_t body_bytes_max;  // undecoded bytes of all requests of this shard: then 503
    struct tls *tls;          // NULL: plain
    const struct log_sink *log;
};

struct http_server;
struct http_server *http_server_create(const struct http_server_options *options);
// Takes an accepted socket over, on this shard.
void http_server_take(struct http_server *s, int fd, const struct address *peer);
// Takes no more; idle connections are closed, busy ones after their answer. Suspends until all are
// gone or the fiber's deadline has passed; then they are aborted.
void http_server_drain(struct http_server *s);
void http_server_destroy(struct http_server *s); // drained

struct http_server_stats {
    uint64_t connections, requests, bad_requests, bodies_refused;
    uint64_t body_bytes; // undecoded, at present
};
const struct http_server_stats *http_server_stats(const struct http_server *s);

// ---- for handlers

// A number of the connection among those of its peer's address on this server: the lowest that was
// free when first asked for. So who was cut off and comes back, from another port, gets it again.
uint32_t http_peer_number(struct http_exchange *x);
// The whole body, in the exchange's arena. ERR_LIMIT: larger than max; ERR_TIMEOUT, ERR_IO: the
// peer is gone or slow; ERR_CANCELED: the shard holds too much already and 503 has been answered.
// Suspends.
err http_read_body(struct http_exchange *x, size_t max, struct str *out, struct errmsg *e);
// From here until the answer begins, a peer that leaves cancels the exchange's fiber. For work that
// may take long; the body has been read.
void http_end_with_peer(struct http_exchange *x);
// The first value wins over nothing: the answer carries every header added. Bad values are
// asserted.
void http_add_header(struct http_exchange *x, const char *name, struct str value);
// The whole answer. A content type of NULL sends none. Suspends.
void http_answer(struct http_exchange *x, int status, const char *content_type, struct str body);
void http_answer_text(struct http_exchange *x, int status, const char *text); // text/plain
// An answer in parts: begin, any number of writes, end. ERR_IO: the peer is gone. Suspends.
void http_begin(struct http_exchange *x, int status, const char *content_type);
err http_write(struct http_exchange *x, struct str part);
void http_end(struct http_exchange *x);
// Instead of http_end(): the connection is cut, so that the peer sees that parts are missing.
void http_abort(struct http_exchange *x);

// For answers that wait for news: wake(arg) runs from the loop whenever the peer has sent more or
// is gone; http_is_gone() then says which and watches on. Unwatch before the end. Nothing else of
// the exchange may be read meanwhile.
void http_watch(struct http_exchange *x, stream_ready_fn *wake, void *arg);
void http_unwatch(struct http_exchange *x);
bool http_is_gone(struct http_exchange *x); // Suspends.

#endif
