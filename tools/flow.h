// Runs one flow on a shard of its own, for programs that are no server.
#ifndef TOOLS_FLOW_H
#define TOOLS_FLOW_H

#include "io/fiber.h"

// Starts a shard (io_uring, or poll where that is forbidden), runs fn(arg) there as a fiber and
// returns when it and all it started have ended. ERR_IO: no shard can be had.
err flow_run(fiber_fn *fn, void *arg, struct errmsg *e);

#endif
