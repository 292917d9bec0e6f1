#include "tests/sim/faults.h"

#include <assert.h>

static const char *const names[FAULT_COUNT] = {
    [FAULT_SLOW] = "slow operation",
    [FAULT_REORDERED] = "reordered completion",
    [FAULT_INTERRUPTED] = "EINTR",
    [FAULT_LATE_CANCEL] = "late end of a canceled operation",
    [FAULT_SHORT_READ] = "short read",
    [FAULT_SHORT_WRITE] = "short write",
    [FAULT_READ_EIO] = "read: EIO",
    [FAULT_WRITE_EIO] = "write: EIO",
    [FAULT_SYNC_EIO] = "sync: EIO",
    [FAULT_NAME_EIO] = "open, rename, unlink, ...: EIO",
    [FAULT_NO_SPACE] = "ENOSPC",
    [FAULT_NO_DESCRIPTORS] = "EMFILE",
    [FAULT_KILL] = "process killed",
    [FAULT_POWER_LOSS] = "power lost",
    [FAULT_CUT_WRITE] = "write cut by a crash",
    [FAULT_LOST_WRITE] = "write lost by a crash",
    [FAULT_LOST_SECTOR] = "unsynced sector lost",
    [FAULT_TORN_WRITE] = "unsynced write torn",
    [FAULT_LOST_SIZE] = "unsynced size lost",
    [FAULT_LOST_NAME] = "unsynced change of a folder lost",
    [FAULT_WALL_FORWARD] = "wall clock stepped forward",
    [FAULT_WALL_BACKWARD] = "wall clock stepped backward",
    [FAULT_SHORT_RECV] = "short receive",
    [FAULT_SHORT_SEND] = "short send",
    [FAULT_RESET] = "connection reset",
    [FAULT_REFUSED] = "connection refused",
    [FAULT_PARTITION] = "network partition",
    [FAULT_UNRESOLVED] = "name not resolved",
};

const char *fault_name(enum fault fault)
{
    assert(fault < FAULT_COUNT);
    return names[fault];
}

void faults_init(struct faults *f, uint64_t seed)
{
    *f = (struct faults){0};
    rng_init(&f->rng, seed);
}

bool faults_strike(struct faults *f, enum fault fault)
{
    if (f->only_at && f->on && fault == f->only && ++f->only_asked == f->only_at) {
        f->counts[fault]++;
        return true;
    }
    if (!f->on || f->chance[fault] <= 0 || rng_double(&f->rng) >= f->chance[fault])
        return false;
    f->counts[fault]++;
    return true;
}

size_t faults_part(struct faults *f, size_t n)
{
    assert(n > 1);
    return 1 + (size_t)rng_below(&f->rng, n - 1);
}
