// The inside of a world: shared by world.c (backends and time) and world_ops.c (what operations
// do).
#ifndef TESTS_SIM_WORLD_STATE_H
#define TESTS_SIM_WORLD_STATE_H

#include "tests/sim/world.h"

struct flight {
    struct list link;
    struct op *op;
    struct op as_submitted; // to see that its owner is still there
    int64_t due_ns;         // takes effect; INT64_MAX: when something has happened
    bool is_canceled;
    bool is_ghost;         // of a broken world: its end has been told already
    uint64_t changes_made; // of OP_SYNC: by its beginning
};

// Carries the operation out: its result, or NETWORK_WAIT with *out_again_ns set.
int32_t world_execute(struct world *w, struct flight *f, int64_t *out_again_ns);
// What a crash leaves of an operation in flight.
void world_cut(struct world *w, const struct flight *f);
struct descriptor *world_fd(struct world *w, int fd); // NULL: not open
bool world_op_has_fd(const struct op *op);
void world_close_fd(struct world *w, int fd);

#endif
