// Redirections to the path that was meant.
#ifndef ENGINE_SERVER_REDIRECT_H
#define ENGINE_SERVER_REDIRECT_H

#include "engine/base/arena.h"

struct server;
struct http_exchange;

// Without empty parts, "." and ".."; a slash at the end stays. As Go's ServeMux compares.
struct str redirect_clean(struct str path, struct arena *a);
// Answers with the path, behind --web.route-prefix, and the query that was asked. Suspends.
void redirect(const struct server *s, struct http_exchange *x, int status, struct str path);

#endif
