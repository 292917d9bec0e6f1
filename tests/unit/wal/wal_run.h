// A log under traffic from several senders, and what its folder gives back.
#ifndef TESTS_UNIT_WAL_WAL_RUN_H
#define TESTS_UNIT_WAL_WAL_RUN_H

#include "engine/tsdb/wal.h"
#include "engine/tsdb/wal_replay.h"
#include "tests/unit/wal/wal_faults.h"
#include "tests/unit/wal/wal_traffic.h"

enum { RUN_SNAPSHOTS_MAX = 6, RUN_TEXT = 512, RUN_COMMITS_MAX = 4000, RUN_MS = 1000 * 1000 };

enum run_state { RUN_PENDING, RUN_ACKED, RUN_REFUSED };

struct run_commit {
    size_t from, n; // of the samples sent
    uint64_t seq;
    enum run_state state;
};

// The folder as a killed process would have left it.
struct run_snapshot {
    size_t commits, acked; // handed over; of these acknowledged
    struct wal_mark mark;
};

struct run {
    uint64_t seed;
    enum wal_sync sync;
    uint64_t segment_bytes;
    size_t queue_bytes;
    size_t commits_wanted;
    bool truncate;
    size_t snapshots_max;
    // What happens.
    char dir[RUN_TEXT];
    struct wal *wal;
    struct traffic traffic;
    struct run_commit commits[RUN_COMMITS_MAX];
    size_t commits_count, acked, refused, refused_at_once;
    struct run_snapshot snapshots[RUN_SNAPSHOTS_MAX];
    size_t snapshots_count, senders, started;
    struct wal_mark mark;
    int fatal;
    struct wal_stats stats;
    err close_code;
    bool ended;
    char failure[1024];
};

struct run *run_create(uint64_t seed);
void run_flow(void *arg);            // a fiber: the whole life of the log
void run_destroy(struct run *run);   // with its folder
void run_check_all(struct run *run); // snapshots and the folder as it is
void run_shell(const char *command); // must succeed

struct run_replay {
    char dir[RUN_TEXT];
    struct wal_mark mark;
    struct traffic_receiver got;
    struct wal_replay_progress progress;
    err code;
    struct errmsg e;
};
// Of the folder run->dir + sub.
struct run_replay *run_replay(const struct run *run, const char *sub, const struct wal_mark *mark);
void run_replay_destroy(struct run_replay *r);
// What was sent in the first commits at or above the mark and not refused; out_acked: up to and
// with the commit acked - 1.
struct traffic_list run_wanted(const struct run *run, size_t commits, size_t acked, uint64_t mark,
                               size_t *out_acked);

#endif
