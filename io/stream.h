// Byte streams over sockets, plain or TLS, and the listeners they come from.
//
// A stream is used by one fiber at a time and belongs to its loop. Waits take the fiber's deadline
// into account. Plain and OpenSSL (memory BIOs) are two implementations of one table.
#ifndef IO_STREAM_H
#define IO_STREAM_H

#include "engine/base/err.h"
#include "engine/base/str.h"
#include "io/loop.h"

struct stream;

// 0 bytes: the peer is done. ERR_IO: reset and the like. Suspends.
err stream_read(struct stream *s, void *p, size_t n, size_t *out_n, struct errmsg *e);
// All of it. Suspends.
err stream_write(struct stream *s, const void *p, size_t n, struct errmsg *e);
// Tells the peer that nothing more comes, who may send on and be read. Suspends.
void stream_end_writes(struct stream *s);
// Tells the peer (TLS close_notify), closes, frees. NULL is accepted. Suspends.
void stream_close(struct stream *s);
const struct address *stream_peer(const struct stream *s);
bool stream_is_tls(const struct stream *s);
// Ends the reads and writes of whatever fiber waits on s, with ERR_IO. From the same loop.
void stream_abort(struct stream *s);

// Idle waiting without a fiber: ready(arg) runs from the loop, once, when bytes, the peer's end or
// an error can be read; usually it starts a fiber. Bytes that TLS has buffered count as ready.
typedef void stream_ready_fn(void *arg);
void stream_when_readable(struct stream *s, stream_ready_fn *ready, void *arg);
void stream_when_readable_cancel(struct stream *s); // ready() will not run; then close as usual

struct tls_options {   // of a client; strings may be empty
    struct str ca_pem; // empty: the system's
    struct str cert_pem, key_pem;
    struct str server_name; // empty: the host name given to stream_connect
    bool insecure_skip_verify;
    int version_min, version_max; // TLS_VERSION_*; 0: the library's
};
enum { TLS_VERSION_10 = 10, TLS_VERSION_11 = 11, TLS_VERSION_12 = 12, TLS_VERSION_13 = 13 };

struct tls; // a context, shared by the connections of one configuration on one loop
// Reading the system's authorities takes milliseconds: a fiber has it done by a helper thread.
// ERR_CANCELED, ERR_TIMEOUT: it was told to end. Suspends.
err tls_client_create(const struct tls_options *options, struct tls **out, struct errmsg *e);
struct tls_server_options {
    struct str cert_pem, key_pem;
    struct str client_ca_pem; // clients must show a certificate of these; empty: none is asked for
};
err tls_server_create(const struct tls_server_options *options, struct tls **out, struct errmsg *e);
void tls_ref(struct tls *t);
void tls_unref(struct tls *t); // NULL is accepted

// Connects to host (a name or an address), with TLS when tls is given: resolves, tries the
// addresses in turn, shakes hands. Suspends.
err stream_connect(const char *host, uint16_t port, struct tls *tls, struct stream **out,
                   struct errmsg *e);
// Turns a connected plain stream into a TLS client one (after a proxy's CONNECT). Takes s over,
// also on failure. Suspends.
err stream_start_tls(struct stream *s, struct tls *tls, const char *host, struct stream **out,
                     struct errmsg *e);

// Accepts on behalf of several loops: see engine/shard for who gets a connection.
struct listener;
// host "" or "0.0.0.0" or "::" or "[::1]"; port 0: the system chooses. accepted(arg, fd, peer) runs
// from the loop and owns fd. ERR_EXISTS: the port is taken. Suspends.
typedef void listener_accepted_fn(void *arg, int fd, const struct address *peer);
err listener_open(const char *host, uint16_t port, listener_accepted_fn *accepted, void *arg,
                  struct listener **out, struct errmsg *e);
uint16_t listener_port(const struct listener *l);
void listener_close(struct listener *l); // no accepted() after it. Suspends.
// No accepted() until it goes on: who connects waits in the system's queue. Both also from
// accepted().
void listener_pause(struct listener *l);
void listener_resume(struct listener *l);
// A stream of an accepted socket, on the current loop; TLS shakes hands at the first read or write.
struct stream *stream_from_fd(int fd, const struct address *peer, struct tls *tls_server);
// Closes a socket nobody made a stream of.
void socket_discard(int fd);

// "1.2.3.4", "::1"; with the port: "1.2.3.4:80", "[::1]:80". Bytes written.
enum { ADDRESS_TEXT_MAX = 64 };
size_t address_format(const struct address *a, bool with_port, char out[static ADDRESS_TEXT_MAX]);
bool address_parse(struct str text, struct address *out); // an IP address without a port
// Addresses of a host name, at most max; how many. ERR_NOTFOUND: no such host. Suspends.
err resolve_host(const char *host, struct address *out, size_t max, size_t *out_n,
                 struct errmsg *e);

#endif
