// An immutable file of one writer and time range: series, their times and values, their own index.
// block_file.c describes the format. Written by one shard; each shard that reads opens it for
// itself. A series is named within a file by its id, 0 <= id < series.
#ifndef ENGINE_TSDB_BLOCK_FILE_H
#define ENGINE_TSDB_BLOCK_FILE_H

#include "engine/model/storage.h"
#include "engine/tsdb/column.h"
#include "engine/tsdb/note.h"

struct block_summary {
    int64_t min_t, max_t; // of the first and last sample; INT64_MAX, INT64_MIN: no samples
    uint64_t series, samples, bytes;
    uint64_t notes; // exemplars and metadata: written; not known of a file that was opened
    uint32_t partition_min, partition_max; // both included; without series 0
    uint32_t tenant, tier;
};

// ---- writing (block_writer.c)

struct block_writer;

// A series: its labels are the union of both sets. The tuple holds what the series of a target
// share (job, instance, pod, ...; stored once for all that pass equal bytes and partition), local
// the rest, with the metric name. Any division is legal and means the same; good ones are small.
struct block_key {
    uint32_t partition;
    struct str tuple, local; // encoded labels (engine/model/labels.h), no name in both
};

// path must not exist; the caller gives a temporary name and renames after block_writer_finish().
err block_writer_create(const char *path, uint32_t tenant, uint32_t tier, struct block_writer **out,
                        struct errmsg *e); // Suspends.
// The series come by metric name, ascending by bytes (none is ""), in any order within a name, each
// once. Times ascend strictly, of one sample at least. Nothing is kept of the arguments.
// ERR_INVALID: the order or the rules above are broken. Suspends.
err block_writer_add(struct block_writer *w, const struct block_key *key,
                     const struct column *samples, struct errmsg *e);
// Notes come by kind, then in order: of note_cmp(), exemplars of a series by time. They may come
// without any series. Suspends.
err block_writer_add_note(struct block_writer *w, enum note_kind kind, struct str note,
                          struct errmsg *e);
// Writes the index and footer and syncs. The writer is only good for destroy afterwards. Suspends.
err block_writer_finish(struct block_writer *w, struct block_summary *out, struct errmsg *e);
// Removes the file unless it was finished. NULL is accepted. Suspends.
void block_writer_destroy(struct block_writer *w);

// ---- reading (block_file.c)

struct block_file;

enum { BLOCK_CACHE_DEFAULT_BYTES = 256 * 1024 };

// Reads and checks the footer only; parts of the index are read when they are asked for, and at
// most about cache_bytes of them kept. ERR_CORRUPT names file and offset; ERR_INVALID: a newer
// version. Suspends.
err block_file_open(const char *path, size_t cache_bytes, struct block_file **out,
                    struct errmsg *e);
struct block_file *block_file_ref(struct block_file *f);
void block_file_unref(struct block_file *f); // NULL is accepted. Closes with the last. Suspends.
const struct block_summary *block_file_summary(const struct block_file *f);
const char *block_file_path(const struct block_file *f);
size_t block_file_memory(const struct block_file *f); // bytes held now
void block_file_shrink(struct block_file *f);         // keeps no part that nobody looks at

struct tombstones;
// From here on everything below behaves as if the file had not what they hide: samples, series that
// have no others, their names and values. Takes the reference; NULL: nothing is hidden.
void block_file_set_tombstones(struct block_file *f, struct tombstones *t);
struct tombstones *block_file_tombstones(const struct block_file *f); // the file's own; or NULL

struct block_series {
    struct str labels; // in the arena
    uint32_t partition, id;
};

// Partitions begin <= p < end.
struct block_range {
    uint32_t begin, end;
};

// The series of the range that match all of ms, sorted by (partition, metric name, labels). max 0:
// any number; more is ERR_LIMIT. Suspends.
err block_file_select(struct block_file *f, const struct matcher *ms, size_t ms_count,
                      struct block_range range, size_t max, struct arena *a,
                      struct block_series **out, size_t *out_n, struct errmsg *e);
// The samples of series ids[0..n), in any order, in (mint, maxt]; columns of series with equal
// times may share t. Everything is in the arena (ERR_LIMIT: its limit). Suspends.
err block_file_read(struct block_file *f, const uint32_t *ids, size_t n, int64_t mint, int64_t maxt,
                    struct arena *a, struct column *out, struct errmsg *e);
// Names, or values of a name, of the series of the range that match. Suspends.
err block_file_label_names(struct block_file *f, const struct matcher *ms, size_t ms_count,
                           struct block_range range, struct least *out, struct errmsg *e);
err block_file_label_values(struct block_file *f, struct str name, const struct matcher *ms,
                            size_t ms_count, struct block_range range, struct least *out,
                            struct errmsg *e);
// The series of the range that match, some at a time, in no order, with labels that live until
// take() returns; an error of its own ends it. What is held does not follow how many there are; it
// is within the limits of beside. Suspends.
typedef err block_some_fn(void *arg, const struct block_series *series, size_t n, struct errmsg *e);
err block_file_each(struct block_file *f, const struct matcher *ms, size_t ms_count,
                    struct block_range range, const struct arena *beside, void *arg,
                    struct errmsg *e, block_some_fn *take);

// ---- merging (block_merge.c)

// Adds all samples of files[0..n) of the range to a new file at path: of samples of one series with
// equal times that of the first file wins (give them by ascending generation). Memory is bounded
// by the metric with most series. Samples at or before drop_t (INT64_MIN: none) are left out.
// Yields while it works. Suspends.
err block_merge(struct block_file *const *files, size_t n, struct block_range range,
                const char *path, int64_t drop_t, struct block_summary *out, struct errmsg *e);

#endif
