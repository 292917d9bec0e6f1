// What a backend of operations is: the one place where the outside world is swapped.
#ifndef IO_BACKEND_H
#define IO_BACKEND_H

#include "engine/base/err.h"
#include "io/op.h"

struct backend;

struct backend_ops {
    const char *name;
    // Takes op until it calls op_finish(); may queue it until the next poll().
    void (*submit)(struct backend *b, struct op *op);
    void (*cancel)(struct backend *b, struct op *op);
    // Hands over what was queued, waits up to wait_ns (below 0: until something completes or
    // wake()), and gives every finished op to loop_finish(). Returns how many.
    unsigned (*poll)(struct backend *b, int64_t wait_ns);
    void (*wake)(struct backend *b); // from any thread
    // Whether poll() would find something, without a system call; may be NULL.
    bool (*is_ready)(struct backend *b);
    int64_t (*mono_ns)(struct backend *b);
    int64_t (*wall_ms)(struct backend *b);
    void (*random)(struct backend *b, void *p, size_t n); // for secrets too
    void (*destroy)(struct backend *b);
};

struct loop;

struct backend {
    const struct backend_ops *ops;
    struct loop *loop; // set by loop_create()
    const char *lacks; // what the system refuses, and is done in another way; NULL: nothing
};

// Queues op's done() for this turn. Called by a backend from poll(), with op->result set.
void loop_finish(struct loop *loop, struct op *op);

// The calling thread must be the one that runs the loop. ERR_IO when the system refuses io_uring.
err backend_uring_create(unsigned entries, struct backend **out, struct errmsg *e);
// The same as on an older or more restricted system, for tests.
enum { URING_WITHOUT_MULTISHOT = 1, URING_WITHOUT_BUFFERS = 2, URING_WITHOUT_MESSAGES = 4 };
err backend_uring_create_without(unsigned entries, unsigned without, struct backend **out,
                                 struct errmsg *e);
err backend_poll_create(struct backend **out, struct errmsg *e);

// The helper pool both share: a few threads for what the system cannot do asynchronously. Started
// by the first use of a process, ended by helpers_stop() (all loops gone).
void helpers_stop(void);

#endif
