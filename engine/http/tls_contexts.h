// TLS contexts of clients, by what they are made of. Targets by the thousand trust the same
// authorities and show the same certificate, and the system's authorities alone take milliseconds
// to read and a megabyte to keep. One set a shard.
#ifndef ENGINE_HTTP_TLS_CONTEXTS_H
#define ENGINE_HTTP_TLS_CONTEXTS_H

#include "engine/base/list.h"
#include "io/stream.h"

struct tls_contexts {
    struct list all;
};

void tls_contexts_init(struct tls_contexts *c);
// The context of options, whose hash tells them from others (credentials_tls()): made, or shared
// with who asked for the same before. To be given back. Suspends.
err tls_contexts_get(struct tls_contexts *c, const struct tls_options *options, uint64_t hash,
                     struct tls **out, struct errmsg *e);
// One that the last has given back goes, with the connections that use it. NULL is accepted.
void tls_contexts_put(struct tls_contexts *c, struct tls *tls);

#endif
