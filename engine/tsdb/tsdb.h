// The database: rows in, series and columns out.
//
// A series belongs to a partition, a function of its final labels; shards own contiguous ranges of
// partitions. Everything below "on the owner" is called on the shard that owns the series'
// partition; callers that hold samples of other shards send them there (shard_call).
#ifndef ENGINE_TSDB_TSDB_H
#define ENGINE_TSDB_TSDB_H

#include "engine/base/hash.h"
#include "engine/base/log.h"
#include "engine/model/storage.h"
#include "engine/tsdb/tsdb_stats.h"

struct tsdb;
enum tsdb_wal_sync { TSDB_WAL_SYNC_ALWAYS, TSDB_WAL_SYNC_INTERVAL, TSDB_WAL_SYNC_NONE };

// How much is kept: what goes beyond any of these goes, the oldest files first. 0: no limit.
struct tsdb_retention {
    int64_t time_ms;   // against the newest sample of the whole database
    uint64_t bytes;    // of all files, and of what the logs have that is in none
    double percentage; // 0..100 of the file system's size; overrides bytes
};

struct tsdb_options {
    const char *path; // the data folder; NULL: in memory only, nothing suspends, no loop is needed
    struct tsdb_retention retention;
    enum tsdb_wal_sync wal_sync;
    int64_t wal_sync_interval_ms;
    uint64_t wal_segment_bytes;  // 0: 64 MiB
    int64_t spill_ms;            // packed blocks are written out this often; 0: 15 minutes
    uint64_t spill_bytes;        // and when a shard's log grew by so much; 0: 128 MiB
    int64_t seal_ms;             // ranges are sealed to files of this length; 0: 2 hours
    struct str placement_labels; // names with commas; empty: the folder's
    uint64_t series_max;         // active series in all; 0: none
    uint32_t commit_piece;       // samples of a commit that are kept in one step; 0: 1024
    uint32_t exemplars_max;      // that all shards together remember; 0: none are taken
    bool read_only;              // see tsdb_reading.h
    const struct log_sink *log;
    void (*fatal)(void *arg, const char *reason); // see wal.h; NULL: the process aborts
    void *fatal_arg;
};

struct tsdb_progress { // of replay
    uint64_t bytes_max; // of the logs' files, which end with room that was not used
    uint64_t bytes, rows, samples;
};

// On one shard: opens the folder, starts replay on every shard. ERR_EXISTS: another process has the
// folder (the message names it); ERR_INVALID: a newer format. Suspends.
err tsdb_open(const struct tsdb_options *options, struct tsdb **out, struct errmsg *e);
// Seals the head, flushes, frees. No caller may be inside. Suspends.
err tsdb_close(struct tsdb *db, struct errmsg *e);
bool tsdb_is_ready(const struct tsdb *db); // replay is done: queries see everything
// Files are written too slowly: spill_bytes wait three times on some shard. Senders should wait.
bool tsdb_is_behind(const struct tsdb *db);
// On the shard that opened: not ERR_OK once replay has failed, the database will then never be
// ready; e says which file, why, and what to do. Nothing is lost, all is as before tsdb_open().
// Damage that the log's checksums find is no failure: it is reported, counted and passed over.
err tsdb_start_result(const struct tsdb *db, struct errmsg *e);
void tsdb_replay_progress(const struct tsdb *db, struct tsdb_progress *out);
uint64_t tsdb_hash_seed(const struct tsdb *db);
void tsdb_set_retention(struct tsdb *db, const struct tsdb_retention *r); // of this shard
// Prometheus's out_of_order_time_window, of this shard's commits from now on: a sample older than
// its series' newest is taken if it is no older than this against the whole database's newest.
void tsdb_set_out_of_order(struct tsdb *db, int64_t window_ms);
int64_t tsdb_out_of_order(const struct tsdb *db); // 0: none

enum { TSDB_PARTITIONS = 256 };
uint32_t tsdb_partition(const struct tsdb *db, struct str labels);
unsigned tsdb_owner(const struct tsdb *db, uint32_t partition); // index of the shard

// ---- on the owner

// References to series of this shard are uint64_t, 0 is none. Good until the series leaves the
// head: then commits answer TSDB_GONE and the caller looks it up again.

enum { TSDB_LABELS_BYTES_MAX = 1 << 20 }; // of one series
// Finds or makes the series of these labels, whose hash is labels_hash(labels, seed). source groups
// series that are written together (a scrape's target, a sender): a hint for cohorts. 0: refused.
uint64_t tsdb_series(struct tsdb *db, struct str labels, struct hash128 hash, uint64_t source);
// In the database's memory until the next suspension; empty: gone.
struct str tsdb_series_labels(struct tsdb *db, uint64_t ref);

struct tsdb_sample {
    uint64_t ref;
    int64_t t_ms;
    uint64_t bits; // of the double
};

enum tsdb_outcome {
    TSDB_APPENDED,
    TSDB_SAME,          // already there with the same bits: success
    TSDB_LATE_KEPT,     // older than the newest, but taken
    TSDB_DUPLICATE,     // the same time with other bits
    TSDB_OUT_OF_ORDER,  // older than the series' newest, and no late ones are taken
    TSDB_TOO_OLD,       // than late ones may be
    TSDB_OUT_OF_BOUNDS, // older than what the head takes
    TSDB_IN_FUTURE,     // newer than max_t_ms
    TSDB_GONE,          // the reference is no longer good: look the series up again
    TSDB_OUTCOME_COUNT
};

enum tsdb_commit_kind {
    TSDB_COMMIT, // each sample that can be kept is
    // Prometheus's way: each is judged against what was there before the commit. Is one refused or
    // a reference gone, nothing is kept; what does not follow its own series is dropped in silence.
    TSDB_COMMIT_STRICT,
    TSDB_COMMIT_CHECK,   // the judging of STRICT alone, which tsdb_stats do not tell of
    TSDB_COMMIT_CHECKED, // the keeping of STRICT alone, what came between is dropped in silence
};

// All its samples become visible to queries together, once they are kept as wal_sync says.
struct tsdb_commit {
    const struct tsdb_sample *samples;
    size_t n;
    // By sample, or NULL: the packed histogram (engine/model/histogram.h) that the sample is; p
    // NULL: it is its bits. Of two samples with one time the hint of a histogram makes no other.
    const struct str *histograms;
    const int64_t *starts;   // by sample, or NULL: start timestamp in ms, 0: none; not judged
    uint64_t *row;           // or NULL: of the source's last commit, see README.md; 0: nothing
    const uint32_t *changed; // with *row: indices of the samples whose bits may be others
    size_t changed_n;
    enum tsdb_commit_kind kind;
    bool markers_in_order; // a stale marker is never taken late
    uint8_t *outcomes;     // n of enum tsdb_outcome, or NULL
    int64_t late_ms;       // how old a sample may be, against its series' newest; 0: not older
    int64_t max_t_ms;      // the newest time to accept
    int64_t window_ms;     // how old against the newest of the whole database; 0: any age
    int64_t min_t_ms; // that as a time, set by tsdb_commit; so are, if the database has a window:
    int64_t out_of_order_ms, late_t_ms; // of late ones, and that as a time
    uint32_t slow_max;   // likewise: samples taken in one step that are no rows; 0: any number
    bool is_slow;        // more than that: nothing was done
    size_t refused_at;   // STRICT, CHECK: the first that is refused, judging ends there; n: none
    uint64_t kept_bits;  // if that is a duplicate: what is there
    bool kept_histogram; // or that it is a histogram
    int64_t newest_t_ms; // the newest time it kept; INT64_MIN: none
    uint64_t counts[TSDB_OUTCOME_COUNT];
};
// ERR_LIMIT: the disk is full or the WAL's queue is; nothing was kept. Suspends.
err tsdb_commit(struct tsdb *db, struct tsdb_commit *c, struct errmsg *e);
void tsdb_count_refusal(struct tsdb *db, enum tsdb_outcome outcome, bool is_histogram); // CHECK's
int64_t tsdb_newest(const struct tsdb *db); // the newest time of all shards; INT64_MIN: nothing

// Of this shard's partitions; queries reach every shard through engine/promql.
struct storage tsdb_storage(struct tsdb *db);

void tsdb_stats(struct tsdb *db, struct tsdb_stats *out); // Suspends.

#endif
