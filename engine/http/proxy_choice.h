// Which hosts are asked past a proxy: no_proxy of a configuration, NO_PROXY of the environment,
// read as Go's httpproxy does.
#ifndef ENGINE_HTTP_PROXY_CHOICE_H
#define ENGINE_HTTP_PROXY_CHOICE_H

#include <stdint.h>

#include "engine/base/str.h"

// Whether host:port is asked through the proxy. Never this machine itself: localhost, 127.0.0.0/8,
// ::1. exceptions, by comma: * (nothing is), an address, addresses (10.0.0.0/8), a domain and all
// below it (a.b), all below it (.a.b or *.a.b); each but the second of addresses may have a port.
bool proxy_is_for(struct str exceptions, struct str host, uint16_t port);

#endif
