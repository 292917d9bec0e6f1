// One seed: a world, a program in it, two crashes, a clean end, a loss of power after it, and a
// last look.
#ifndef TESTS_SIM_SEED_H
#define TESTS_SIM_SEED_H

#include "tests/sim/program.h"

// Ways in which a world or a program can be made wrong, to see that it is noticed.
enum seed_defect {
    DEFECT_NONE,
    DEFECT_LOST_SYNCS,  // the disk acknowledges syncs and loses the data
    DEFECT_OLD_RECORDS, // recycled segments show their old records, with good checksums
    DEFECT_LATE_ENDS,   // operations end after their owner is gone
    DEFECT_NO_SYNC,     // --storage.wal-sync=none is taken for always
    DEFECT_LONG_PIECE,  // a flow works on without asking whether a yield is due
    DEFECT_COUNT
};

struct seed_options {
    uint64_t seed;
    enum seed_defect defect;
    bool is_control; // everything as with the defect, but without it
    // One fault and no other: the operation of that number fails, in a short run; 0: not so.
    uint64_t only_at;
    enum fault only;
    bool verbose;
    int64_t turn_cpu_ns_max; // of the machine's time; 0: any
    bool watches_pieces;     // of turns
};

struct seed_result {
    char violation[4096]; // empty: none
    uint64_t faults[FAULT_COUNT];
    uint64_t only_asked; // operations that could have had the one fault
    uint64_t kills, power_losses, fatal_syncs;
    uint64_t samples_judged, samples_gone, batches, commits, commit_errors, queries, query_errors;
    uint64_t steady_commits; // of rows that came again
    uint64_t opens, open_errors, files, deletions, merges, divisions, segments, turns;
    int64_t simulated_ns, turn_cpu_ns_max;
    struct pieces pieces;
};

void seed_run(const struct seed_options *o, struct seed_result *out);

#endif
