// A shard's part of the database, and what its pieces (tsdb_*.c) share.
#ifndef ENGINE_TSDB_TSDB_PART_H
#define ENGINE_TSDB_TSDB_PART_H

#include "engine/shard/shard.h"
#include "engine/tsdb/arrivals.h"
#include "engine/tsdb/block_file.h"
#include "engine/tsdb/catalogue.h"
#include "engine/tsdb/exemplars.h"
#include "engine/tsdb/families.h"
#include "engine/tsdb/head_query.h"
#include "engine/tsdb/head_spill.h"
#include "engine/tsdb/tsdb_pressure.h"
#include "engine/tsdb/wal.h"
#include "engine/tsdb/wal_replay.h"

struct part_file {
    struct catalogue_file info;
    struct block_file *file; // opened by this part
};

struct part {
    struct tsdb *db;
    unsigned index;
    uint32_t partition_begin, partition_end;
    struct head head;
    struct arrivals arrivals;
    struct wal *wal;         // NULL: in memory only
    struct part_file *files; // by generation
    size_t files_n, files_capacity;
    bool ready, refused;         // replay is done; it failed: nothing will be taken
    unsigned undoing;            // commits that are being taken back: nobody may rely on them
    bool in_pieces, spill_waits; // a large commit is applied, or a spill begins; it waits for that
    uint32_t commit_piece;
    int64_t out_of_order_ms;
    bool closing;
    bool maintained, sleeping;              // the maintaining fiber is alive; and can be cancelled
    bool tending;                           // a fiber tends files
    bool working;                           // it writes, or releases memory
    bool held, files_held;                  // it must not begin to, nor to tend (tsdb_delete.c)
    bool spilled;                           // everything that replay brought is in files
    uint64_t spills_asked, spills_answered; // by part_ask_spill()
    struct errmsg spill_why;                // of the last, if spill_result is not ERR_OK
    err spill_result;
    uint64_t cleans_asked, cleans_answered; // likewise, by part_ask_clean()
    struct errmsg clean_why;
    err clean_result;
    bool release_due;
    struct fiber *maintainer;
    struct waiters changed;   // ready, or the maintainer has ended
    uint64_t release_epoch;   // snapshots before it still look at what is to be released
    uint64_t mark_seq;        // of the log, as the catalogue knows it
    uint64_t mark_bytes;      // that the log had when the last spill began
    int64_t mark_newest;      // sample then; INT64_MIN: there was none
    _Atomic bool is_behind;   // with spilling. Written here, read by all
    _Atomic int64_t newest_t; // of any sample; INT64_MIN: none. Written here, read by all
    uint64_t retention_deletions, size_deletions, corruptions, merges, divisions;
    struct tsdb_retention retention;
    int64_t next_expiry, next_merge; // on the monotonic clock, ms
    _Atomic uint64_t waiting_bytes;  // of the log that are in no file. Written here, read by all
    struct part_makers makers;
    struct exemplars exemplars;
    struct families families;
    uint64_t exemplars_written, metadata_written; // up to these sequences they are in files
    err closed;                                   // how the last spill ended
    struct errmsg closed_why;
};

struct tsdb {
    struct tsdb_options options;
    struct buf texts; // of the options and of the folder
    struct placement placement;
    struct pressure pressure;
    struct logger log;
    struct catalogue *catalogue; // NULL: in memory only; used on the home shard
    struct shard *home;
    bool catalogue_busy;
    struct waiters catalogue_free;
    bool deleting; // some series; used at home
    struct waiters deleted;
    _Atomic bool old_streams; // logs of runs before this one may be read again
    struct shards *shards;    // NULL: one part, whatever loop it is on
    unsigned parts_n;
    struct part *parts[SHARD_MAX];
    struct wal_replay_stream *streams; // of runs before this one
    size_t streams_n;
    err start; // how replay ended, unless it goes on or went well; used at home
    struct errmsg start_why;
    _Atomic unsigned replays_left; // parts that still read streams
    _Atomic unsigned spills_left;  // parts that have not written what replay brought
    _Atomic bool ready;
    uint64_t segments_max, bytes_max; // of all streams at the start
    _Atomic uint64_t segments_done, replay_bytes, replay_rows, replay_samples; // of them, so far
    struct waiters replayed;
};

struct part *tsdb_part(const struct tsdb *db); // of the present shard
void part_tell_newest(struct part *p, int64_t t_ms);
void tsdb_set_window(const struct tsdb *db, struct tsdb_commit *c);

// tsdb_commit.c: of a part with a log. All suspend, the waits cancelled or not.
err part_commit(struct part *p, struct tsdb_commit *c, struct errmsg *e);        // outcomes is set
struct tsdb_commit part_piece(const struct tsdb_commit *c, size_t at, size_t n); // n at most
uint32_t part_slow_max(const struct part *p); // for struct tsdb_commit
void part_wait_for_undo(struct part *p);
void part_wait_for_pieces(struct part *p); // of a large commit

// Until replay is done. An error: it failed, or the fiber was canceled. Suspends.
err part_wait_for_ready(struct part *p, struct errmsg *e);

void tsdb_at_home(struct tsdb *db, fiber_fn *fn, void *arg); // where the catalogue is. Suspends.
err tsdb_change(struct tsdb *db, const struct catalogue_change *change, struct errmsg *e);
// At home: nobody else changes the catalogue, and the fiber cannot be cancelled. Suspends.
void tsdb_hold_catalogue(struct tsdb *db);
void tsdb_let_catalogue_go(struct tsdb *db);

struct tsdb_new_file { // its id and path
    struct tsdb *db;
    uint64_t id;
    char path[CATALOGUE_PATH_MAX];
    err result;
    struct errmsg e;
};
err tsdb_new_file(struct tsdb_new_file *f, struct errmsg *e); // db is set. Suspends.

// tsdb_spill.c: the fiber that writes and releases, and has files tended, and its steps.
void part_maintain(void *part);
void part_note_log(struct part *p); // whether spilling falls behind what the log grows by
err part_spill(struct part *p, struct errmsg *e);
err part_ask_spill(struct part *p, struct errmsg *e); // of all acknowledged before

err part_expire(struct part *p, struct errmsg *e); // tsdb_retention.c. Suspends.

static inline int64_t time_before(int64_t t_ms, int64_t by_ms)
{
    return t_ms < INT64_MIN + by_ms ? INT64_MIN : t_ms - by_ms;
}

// tsdb_replay.c: reads the streams of older runs, then lets everybody in. A fiber of the home.
void tsdb_replay(void *db);
// Nothing of them is needed any more, nor (own) of this run's, whose logs are closed. Suspends.
void tsdb_streams_done(struct tsdb *db, bool own);

// tsdb_known.c: makes the head know what it may have forgotten and must judge by. Suspends.
err part_recall(struct part *p, const struct tsdb_commit *c, struct errmsg *e);

extern const struct storage_ops tsdb_storage_ops; // tsdb_query.c

#endif
