// An HTTP/1.1 client: one connection that is kept between requests, for scrapes and the tools.
//
// A client belongs to one loop and serves one fiber at a time. A request on a kept connection that
// the server has closed meanwhile is sent once more on a new one, as long as no byte of an answer
// came.
#ifndef ENGINE_HTTP_CLIENT_H
#define ENGINE_HTTP_CLIENT_H

#include "engine/base/buf.h"
#include "io/stream.h"
#include "protocol/http1.h"
#include "protocol/url.h"

struct http_client_options {
    struct tls *tls;      // for https; NULL: the system's CAs
    struct str proxy_url; // empty: none; http only: CONNECT for https, absolute form for http
    const struct http_header *proxy_headers; // sent with CONNECT
    size_t proxy_headers_count;
    bool follow_redirects; // up to 10, as Go; what authorises is not sent to another host
};

struct http_request {
    struct str method, url;
    const struct http_header *headers; // sent as they are
    size_t headers_count;
    const struct http_header *secrets; // Authorization and the like: not sent on to another host
    size_t secrets_count;
    struct str body; // with a Content-Length when not empty or the method is POST or PUT
    size_t body_max; // of the answer; 0: none is taken. More is ERR_LIMIT
};

struct http_result {
    int status;
    struct str reason;
    struct buf head_bytes; // what the slices of head point into
    struct http_head head;
    struct buf body; // as sent: Content-Encoding is the caller's
};
void http_result_deinit(struct http_result *r); // of a zeroed or filled one

struct http_client;
// Copies the options; takes a reference of tls.
struct http_client *http_client_create(const struct http_client_options *options);
void http_client_destroy(struct http_client *c); // Suspends.

// One request, within the fiber's deadline. *out is reset first and keeps its memory. Messages read
// as Go's: `Get "http://x/": dial tcp 127.0.0.1:1: connect: connection refused`, `context deadline
// exceeded`; those of reading the body without what comes before the last colon. ERR_LIMIT: the
// body is larger than body_max. Suspends.
err http_fetch(struct http_client *c, const struct http_request *request, struct http_result *out,
               struct errmsg *e);

struct http_client_stats {
    uint64_t connects, connects_failed, reuses, retries;
};
const struct http_client_stats *http_client_stats(const struct http_client *c);

#endif
