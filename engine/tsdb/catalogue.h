// The catalogue of a data folder: the only truth about what lives in it.
//
// A checksummed log, one record for each change of the set, begun anew (checkpoint) when it grows.
// One shard owns it: everything here is called there. The folder is locked while it is open.
// Of two samples with equal time the one of the lower generation wins.
#ifndef ENGINE_TSDB_CATALOGUE_H
#define ENGINE_TSDB_CATALOGUE_H

#include "engine/base/err.h"
#include "engine/base/log.h"
#include "engine/tsdb/wal_record.h"

struct catalogue;

enum { CATALOGUE_FORMAT = 4 }; // of the data folder; a newer one is refused by name

enum catalogue_file_kind {
    CATALOGUE_SPILLED = 1, // packed blocks of a range that is still open
    CATALOGUE_SEALED = 2,
};

struct catalogue_file {
    uint64_t id;         // from catalogue_next_id(): names the file, never used twice
    uint64_t generation; // lower wins; a merged file has the lowest of its parts
    uint32_t kind;       // enum catalogue_file_kind
    uint32_t level;      // how often its content was merged
    uint32_t partition_min, partition_max; // both included
    int64_t min_t_ms, max_t_ms;            // both included
    uint64_t size_bytes, series, samples;
    uint32_t tenant; // 0
    uint32_t tier;   // 0: raw
};

// What a file hides of its series (tombstones.h), in place of what it hid before.
struct catalogue_tombstones {
    uint64_t id;
    struct str bytes; // empty: nothing
};

// A deletion that a log does not know of: whoever replays the stream deletes what its records below
// seq, and earlier runs, brought of series that match.
struct catalogue_deletion {
    struct wal_stream stream;
    uint64_t seq;
    int64_t min_t_ms, max_t_ms;              // both included
    uint32_t partition_begin, partition_end; // that were the stream's
    struct str matchers;                     // see matchers_bytes.h
};

// One atomic step: after a crash all of it happened or nothing.
struct catalogue_change {
    const struct catalogue_file *add; // their files are complete and synced
    size_t add_count;
    const uint64_t *remove; // ids; the files may be unlinked afterwards
    size_t remove_count;
    const struct wal_mark *marks; // new or advanced low-water marks of streams
    size_t marks_count;
    const struct wal_stream *streams_done; // streams that nothing is needed of any more
    size_t streams_done_count;
    const struct catalogue_tombstones *tombstones; // of files that are there afterwards
    size_t tombstones_count;
    const struct catalogue_deletion *deletions;
    size_t deletions_count;
    const struct wal_mark *deletions_done; // those of a stream up to a sequence: files have them
    size_t deletions_done_count;
};

struct catalogue_options {
    uint32_t partitions; // when the folder is new; afterwards what it was made with holds
    struct str
        placement_labels; // empty: the folder's, or the default; else they must be the folder's
    bool read_only; // nothing is made, locked, removed or written; somebody else may have it open
    const struct log_sink *log;
};

struct catalogue_info {
    uint32_t format, partitions, spread;
    uint64_t hash_seed;
    uint64_t epoch; // of this run: one more than that of any before; read_only: of the last one
    struct str placement_labels;
    bool is_new; // the folder was made by this open
};

// Makes the folder if missing, locks it, reads the log, cuts its torn tail, counts the epoch up,
// removes files of ours that no entry names (also temporary ones). ERR_EXISTS: another process has
// the folder, e names its pid and --storage.tsdb.path; ERR_INVALID: newer format or no data folder
// of ours; ERR_CORRUPT: damaged in the middle, or a live file is missing. Suspends.
err catalogue_open(const char *dir, const struct catalogue_options *options, struct catalogue **out,
                   struct errmsg *e);
void catalogue_close(struct catalogue *c); // Suspends.
// Of one that is read_only: whether it says what the folder's says now. Suspends.
err catalogue_is_current(const struct catalogue *c, bool *out, struct errmsg *e);
const struct catalogue_info *catalogue_info(const struct catalogue *c);

// The live files, ascending by id, and the marks; valid until the next change.
const struct catalogue_file *catalogue_files(const struct catalogue *c, size_t *out_count);
const struct wal_mark *catalogue_marks(const struct catalogue *c, size_t *out_count);
struct str catalogue_tombstones(const struct catalogue *c, uint64_t id); // empty: none
// Ascending by stream and sequence.
const struct catalogue_deletion *catalogue_deletions(const struct catalogue *c, size_t *out_count);
uint64_t catalogue_next_id(struct catalogue *c); // for a file to be written, or a generation

// Written and synced when it returns OK; after an error nothing has changed. Callers queue.
// ERR_LIMIT: the disk is full. ERR_EXISTS: its sync failed, so the next open may find the change
// or not: files that it names must stay; every later change fails with ERR_IO. Suspends.
err catalogue_apply(struct catalogue *c, const struct catalogue_change *change, struct errmsg *e);

// Names: blocks/<id>.block below the folder (a writer uses the path with .tmp first, or directly:
// what no entry names is removed at the next open), wal/ for the streams.
enum { CATALOGUE_PATH_MAX = 512 };
bool catalogue_parse_block_name(struct str name, uint64_t *out_id, bool *out_temporary);
err catalogue_block_path(const struct catalogue *c, uint64_t id, char *out, size_t n,
                         struct errmsg *e);
const char *catalogue_wal_dir(const struct catalogue *c);
const char *catalogue_dir(const struct catalogue *c);
// The catalogue of a folder that has the live files and no logs, appended to out.
void catalogue_put_copy(const struct catalogue *c, struct buf *out);

// Retention: files whose newest sample is no newer than this go. INT64_MIN: none do.
int64_t catalogue_cut_by_age(int64_t now_ms, int64_t retention_ms); // retention_ms 0: any age
// So that no more than max bytes stay, beside those of files counted too; the newest stay.
int64_t catalogue_cut_by_size(const struct catalogue_file *files, size_t n, uint64_t beside,
                              uint64_t max);

#endif
