// What a client shows to a server: the headers and certificates that an http_client_config names.
//
// Files of secrets are read each time, so that a renewed password or certificate is taken up. Error
// texts are those of Prometheus.
#ifndef ENGINE_HTTP_CREDENTIALS_H
#define ENGINE_HTTP_CREDENTIALS_H

#include "engine/base/arena.h"
#include "engine/config/http_client_config.h"
#include "protocol/http1.h"

enum { CREDENTIALS_HEADERS_MAX = 64 };

struct credentials {
    struct arena arena; // of what the headers point into
    struct http_header headers[CREDENTIALS_HEADERS_MAX];
    struct http_header secrets[CREDENTIALS_HEADERS_MAX]; // not sent on to another host
    size_t headers_n, secrets_n;
};

void credentials_init(struct credentials *c);
void credentials_deinit(struct credentials *c);
// One header more; its slices must outlive c. ERR_INVALID: not a header; ERR_LIMIT: too many.
err credentials_add(struct credentials *c, bool is_secret, struct str name, struct str value,
                    struct errmsg *e);
// Authorization: Basic.
err credentials_add_basic(struct credentials *c, struct str user, struct str password,
                          struct errmsg *e);
// basic_auth, authorization and http_headers of a configuration. Suspends.
err credentials_add_config(struct credentials *c, const struct http_client_config *config,
                           struct errmsg *e);
// The certificates and the rest of tls_config; texts are in the arena. *out_hash tells them from
// others, and is not 0. Suspends.
err credentials_tls(struct credentials *c, const struct tls_client_config *config,
                    struct tls_options *out, uint64_t *out_hash, struct errmsg *e);

#endif
