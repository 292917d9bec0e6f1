// The helper pool: a few threads that carry out, one after the other, what the system cannot do
// asynchronously. One pool a process; each backend is a client of it.
#ifndef IO_HELPER_H
#define IO_HELPER_H

#include "io/backend.h"

struct helper_client;

// finished ops are announced by loop_wake(b->loop).
struct helper_client *helper_client_create(struct backend *b);
// Names that are still being looked up for nobody are left to end by themselves.
void helper_client_destroy(struct helper_client *c);

// Takes op until helper_reap() gives it to loop_finish(); uses its next, prev and backend[0].
void helper_submit(struct helper_client *c, struct op *op);
// Ends op with -ECANCELED where that can be done: what runs already comes to its end, but nobody
// waits for a name server.
void helper_cancel(struct helper_client *c, struct op *op);
unsigned helper_reap(struct helper_client *c); // how many

#endif
