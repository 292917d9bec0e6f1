// What goes wrong in a simulated world: kinds of faults, how likely each is, how often each came.
//
// Everything is drawn from one seed, so a world repeats itself.
#ifndef TESTS_SIM_FAULTS_H
#define TESTS_SIM_FAULTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/rng.h"

enum fault {
    // Of operations.
    FAULT_SLOW,        // took far longer than usual
    FAULT_REORDERED,   // ended before an operation that was submitted earlier
    FAULT_INTERRUPTED, // EINTR
    FAULT_LATE_CANCEL, // a canceled operation ended later, by itself or canceled
    // Of disks.
    FAULT_SHORT_READ,
    FAULT_SHORT_WRITE,
    FAULT_READ_EIO,
    FAULT_WRITE_EIO,
    FAULT_SYNC_EIO, // what was to be synced may be gone
    FAULT_NAME_EIO, // of open, rename, unlink, mkdir, list, stat
    FAULT_NO_SPACE, // for one operation, or for as long as the disk is full
    FAULT_NO_DESCRIPTORS,
    // Of crashes.
    FAULT_KILL,
    FAULT_POWER_LOSS,
    FAULT_CUT_WRITE,   // in flight: only its beginning was written
    FAULT_LOST_WRITE,  // in flight: nothing was written
    FAULT_LOST_SECTOR, // written, never synced
    FAULT_TORN_WRITE,  // some of its sectors are kept, some lost
    FAULT_LOST_SIZE,   // a file's growth or truncation is undone
    FAULT_LOST_NAME,   // a change of a folder is undone
    // Of clocks.
    FAULT_WALL_FORWARD,
    FAULT_WALL_BACKWARD,
    // Of networks.
    FAULT_SHORT_RECV,
    FAULT_SHORT_SEND,
    FAULT_RESET,
    FAULT_REFUSED,
    FAULT_PARTITION,
    FAULT_UNRESOLVED,
    FAULT_COUNT
};

struct faults {
    struct rng rng;
    bool on;
    double chance[FAULT_COUNT]; // of each operation that could have it
    uint64_t counts[FAULT_COUNT];
    enum fault only; // of which the operation number only_at fails, whatever the chances; 0: none
    uint64_t only_at, only_asked;
};

const char *fault_name(enum fault fault);
void faults_init(struct faults *f, uint64_t seed); // all off, chances zero
// Whether it strikes now; counted when it does.
bool faults_strike(struct faults *f, enum fault fault);
static inline void faults_note(struct faults *f, enum fault fault)
{
    f->counts[fault]++;
}
// A part of n, at least 1 and less than n; n > 1.
size_t faults_part(struct faults *f, size_t n);

#endif
