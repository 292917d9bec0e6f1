// The inside of a log: shared by wal.c (what callers do) and wal_write.c (what its fibers do).
#ifndef ENGINE_TSDB_WAL_STATE_H
#define ENGINE_TSDB_WAL_STATE_H

#include "engine/base/list.h"
#include "engine/tsdb/wal.h"
#include "engine/tsdb/wal_encode.h"
#include "io/fiber.h"
#include "io/file.h"

enum {
    WAL_PATH_MAX = 480,   // of a file; the folder's is checked when the log is opened
    WAL_REFUSALS_MAX = 16 // events remembered for those who have not asked yet
};

struct wal_batch { // of one segment, in one write
    struct list link;
    struct wal_segment segment;
    uint64_t offset;
    uint64_t last_seq;
    struct buf bytes;
};

struct wal_segment_info {
    uint64_t number, first_seq;
    uint64_t bytes; // written
};

struct wal_reader {
    char name[WAL_READER_NAME_MAX + 1]; // "": free
    uint64_t seq;
};

struct wal_refusal { // sequences first..last will never be written
    uint64_t first, last;
};

// A timer that wakes the waiters of a fiber.
struct wal_alarm {
    struct timer timer;
    struct waiters *who;
};

struct wal {
    struct wal_options options;
    char dir[WAL_PATH_MAX];
    struct logger log;

    // What is appended.
    struct wal_encoder *encoder;
    struct wal_segment segment; // that the encoder is in
    bool segment_begun;
    int64_t segment_begun_ns;
    uint64_t definition_bytes_before; // the encoder's count when the segment began
    struct list batches;              // of earlier segments, not written yet
    size_t batches_bytes, writing_bytes;
    struct buf reuse; // memory of an earlier batch

    // What is kept.
    uint64_t written, synced, sync_wanted; // sequences, up to and with
    struct wal_refusal refusals[WAL_REFUSALS_MAX];
    uint64_t refusals_ever, held_refusals; // held: those before
    bool held;                             // what the encoder has is not complete
    unsigned refusals_count;
    bool stalled; // the disk refuses: nothing is taken until a new segment could be made
    bool broken;  // a sync failed
    bool closing;
    struct errmsg reason; // of stalled or broken
    struct waiters done;

    // The writer's file.
    struct file file;
    uint64_t file_number; // of its segment; 0: none is open
    uint64_t file_end;    // after the last write that completed
    uint64_t file_allocated;
    uint64_t previous_end;
    bool sync_busy; // a sync of the file is under way: it must not be closed
    bool has_spare;
    uint64_t spare_bytes;
    unsigned fibers;
    struct waiters work, sync_work;
    struct wal_alarm retry, interval;
    int64_t retry_ns, sync_due_ns;

    struct wal_segment_info *segments; // ascending
    size_t segments_count, segments_capacity;
    bool truncating;
    struct wal_reader readers[WAL_READERS_MAX];
    struct wal_stats stats;
};

void wal_begin_segment(struct wal *wal);
struct wal_batch *wal_take_batch(struct wal *wal);
void wal_writer(void *arg); // fibers
void wal_syncer(void *arg);
void wal_spare_path(const struct wal *wal, char *out, size_t n);

#endif
