// The write-ahead log of one shard: rows in, kept as --storage.wal-sync says.
//
// A stream is what one shard wrote in one run: (epoch, shard), a chain of segment files. Rows are
// encoded when appended (deltas against what the cohort wrote before) and written by the log's own
// fibers, one write and one sync in flight. Sequences number the records of a stream from 1 and
// never go back. One wal a shard, used on that shard only.
#ifndef ENGINE_TSDB_WAL_H
#define ENGINE_TSDB_WAL_H

#include "engine/base/err.h"
#include "engine/base/log.h"
#include "engine/tsdb/wal_record.h"

struct wal;

enum wal_sync {
    WAL_SYNC_ALWAYS,   // wal_wait() returns after fdatasync: survives loss of power
    WAL_SYNC_INTERVAL, // after the write: survives SIGKILL; loss of power costs an interval at most
    WAL_SYNC_NONE,     // at once: the write happens soon
};

struct wal_options {
    const char *dir; // exists; shared by the streams of all shards
    struct wal_stream stream;
    enum wal_sync sync;
    int64_t sync_interval_ms;
    uint64_t segment_bytes;     // where a new segment starts; 0: 64 MiB. It starts later while
                                // definitions are over an eighth of the segment
    int64_t segment_age_ms;     // the same by age, when something is written; 0: two hours
    size_t queue_bytes;         // of rows not written yet; 0: 32 MiB. Beyond: ERR_LIMIT
    struct wal_source source;   // who describes cohorts and their members
    const struct log_sink *log; // may be NULL
    // A sync failed: what was acknowledged may be lost, nothing can be trusted to become durable.
    // NULL: the reason is logged and the process aborts. After a return nothing is taken any more.
    void (*fatal)(void *arg, const char *reason);
    void *fatal_arg;
};

// Starts the log's fibers; the first segment is made with the first row. Suspends.
err wal_open(const struct wal_options *options, struct wal **out, struct errmsg *e);
// Writes and syncs what is queued, ends the fibers, frees. Segments stay. Nobody may be waiting.
// The error is that of the last write: rows may then be missing in the file. Suspends.
err wal_close(struct wal *wal, struct errmsg *e);

// Queues the rows of one commit, all or none, and returns the sequence to wait for. ERR_LIMIT: the
// queue is full, or the disk was and is tried again every second; ERR_IO: a sync failed before.
// Calls the source for what the segment has not defined yet. Does not suspend.
err wal_append(struct wal *wal, const struct wal_row *rows, size_t n, uint64_t *out_seq,
               struct errmsg *e);
// The same for notes (note.h) of a type that has such.
err wal_append_notes(struct wal *wal, enum wal_record_type type, const struct str *notes, size_t n,
                     uint64_t *out_seq, struct errmsg *e);
// Waits until everything up to seq is kept. ERR_LIMIT: these rows could not be written and will not
// be replayed. Deadlines and cancellation do not end it: the answer would be unknown. Suspends.
err wal_wait(struct wal *wal, uint64_t seq, struct errmsg *e);
// What is appended from here to wal_let_go() is written as one, or nothing of it. An append fails
// once something was refused meanwhile, and only then. Errors as wal_append()'s.
err wal_hold(struct wal *wal, struct errmsg *e);
void wal_let_go(struct wal *wal);
// Writes and syncs everything appended so far, whatever the policy. Suspends.
err wal_flush(struct wal *wal, struct errmsg *e);
// The cohort's number, members or their order changed: its next row defines it anew.
void wal_forget(struct wal *wal, uint32_t cohort);
// The sequence the next record will get: every row appended from now on is at or above it.
uint64_t wal_next_seq(const struct wal *wal);

// Readers: the log is a queue, each reader has a low-water mark, the sequence below which it needs
// nothing any more. Segments below all marks are removed. The head's sealing is reader 0 and always
// there; others have names of their own.
enum { WAL_READER_SEALING = 0, WAL_READERS_MAX = 16, WAL_READER_NAME_MAX = 63 };
err wal_reader_add(struct wal *wal, struct str name, unsigned *out_reader, struct errmsg *e);
void wal_reader_remove(struct wal *wal, unsigned reader);
void wal_reader_advance(struct wal *wal, unsigned reader, uint64_t seq); // never goes back
// What replay needs for rows at or above seq: for the catalogue, before wal_truncate().
struct wal_mark wal_mark_at(const struct wal *wal, uint64_t seq);
// Removes the segments that no reader needs; one may be kept as the next one's file. Suspends.
err wal_truncate(struct wal *wal, struct errmsg *e);

struct wal_stats {
    uint64_t bytes, records, rows, samples;   // appended
    uint64_t definitions, definition_bytes;   // of them
    uint64_t writes, syncs;                   // completed
    uint64_t write_errors, refused;           // failed writes; rows refused for them or for limits
    uint64_t sync_ns_sum, sync_ns_max;        // how long fdatasync took
    uint64_t segment, segments;               // number of the present one; how many there are
    uint64_t seq_written, seq_synced;         // up to and with
    size_t queue_bytes, cohorts, state_bytes; // now; state: the encoder's last values
};
void wal_stats(const struct wal *wal, struct wal_stats *out);

#endif
