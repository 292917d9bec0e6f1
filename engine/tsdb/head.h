// The head of one shard: the active series, their newest samples in memory, and the index.
//
// Nothing here reads a clock, and only selects may give way to other fibers. A commit is staged
// (each sample gets its outcome and its row), handed to the sink, applied, and seen by queries once
// head_publish() has named its sequence. A query sees the commits up to the sequence of its
// snapshot.
#ifndef ENGINE_TSDB_HEAD_H
#define ENGINE_TSDB_HEAD_H

#include "engine/base/list.h"
#include "engine/tsdb/cohort.h"
#include "engine/tsdb/factoring.h"
#include "engine/tsdb/head_beside.h"
#include "engine/tsdb/placement.h"
#include "engine/tsdb/series_values.h"
#include "engine/tsdb/tsdb.h"
#include "engine/tsdb/wal_record.h"

enum { HEAD_CHUNK = 1024, SERIES_NONE = ID_TABLE_NONE };
static const uint64_t HEAD_NO_PIECES = UINT64_MAX;

struct head_series {
    struct hash128 hash;
    int64_t last_t; // of the newest sample ever; INT64_MIN: none yet
    struct series_values values;
    struct late *late; // histograms too; NULL: none
    uint32_t tuple, local;
    uint32_t next_in_tuple, next_in_local;
    uint32_t cohort; // COHORT_NONE: no sample yet, then member is the family
    uint32_t member;
    uint32_t generation; // of the reference; odd: alive
    uint32_t staged;     // its newest entry in the commit being staged, + 1
    uint16_t partition;
    uint8_t misses;            // samples in order that found no slot
    bool dead : 1, erased : 1; // chosen to leave; some samples were deleted, perhaps the newest
    bool in_doubt : 1;         // a file may have a newer sample than last_t, below head.complete_t
};
static_assert(sizeof(struct head_series) == 96, "memory per series is the product");

struct family { // what one source writes under one placement key: cohorts by their times
    uint64_t key, source;
    uint32_t partition;
    uint32_t first, joined; // cohorts: the list, and the one that was joined last
    uint32_t users;         // cohorts and series without one
};

struct stage; // head_stage.c

struct head {
    const struct placement *placement;
    uint64_t seed;
    int64_t retention_ms;
    struct label_store labels;
    struct factoring factoring;
    struct id_table series_ids;
    struct head_series **chunks;
    size_t chunks_n, chunks_capacity, series_n; // ids ever used
    struct id_list free_series;
    struct cohort **cohorts; // by number; NULL: free
    size_t cohorts_n, cohorts_capacity;
    struct id_list free_cohorts;
    struct family **families; // chunks
    size_t families_n, families_capacity;
    struct id_table family_ids;
    struct id_list free_families;
    struct stage *stage;
    struct head_rows *rows;
    uint64_t spilled_seq;  // late samples of commits up to it are written to files
    uint64_t spilling_seq; // the same for the spill that runs, if any
    int64_t complete_t;    // every sample at or after it is in memory
    uint64_t epoch;        // counted up when files change
    uint64_t releases;     // counted up when samples leave memory
    void (*forget)(void *arg, uint32_t cohort); // a cohort's number is free again; may be NULL
    void *forget_arg;
    uint64_t seq;                      // of the newest commit
    uint64_t visible;                  // of the newest that queries see
    uint64_t pieces_from;              // commits after it are pieces of one, for the time being
    struct list snapshots;             // of struct head_snapshot, oldest first
    unsigned selects;                  // running: no series may leave
    bool may_yield;                    // there are fibers to give way to
    uint64_t steady_rows;              // ever
    bool has_starts;                   // some series had a start timestamp once
    int64_t newest;                    // of all partitions
    int64_t newest_t[TSDB_PARTITIONS]; // INT64_MIN: nothing
    size_t blocks;                     // of values
    struct buf text, packed;           // scratch
    uint32_t *slots;                   // likewise, of reads
    uint64_t *bits;
    size_t slots_capacity, bits_capacity;
    struct tsdb_stats stats;
};

void head_init(struct head *h, const struct placement *placement, int64_t retention_ms);
void head_deinit(struct head *h); // Suspends, if it may.

static inline struct head_series *head_series_at(const struct head *h, uint32_t id)
{
    return &h->chunks[id / HEAD_CHUNK][id % HEAD_CHUNK];
}
static inline struct family *head_family_at(const struct head *h, uint32_t at)
{
    return &h->families[at / HEAD_CHUNK][at % HEAD_CHUNK];
}
static inline struct head_series *head_resolve(const struct head *h, uint64_t ref) // NULL: gone
{
    const uint32_t id = (uint32_t)ref;
    if (!ref || id >= h->series_n)
        return NULL;
    struct head_series *s = head_series_at(h, id);
    return s->generation == ref >> 32 ? s : NULL;
}
static inline uint64_t head_ref(const struct head_series *s, uint32_t id)
{
    return (uint64_t)s->generation << 32 | id;
}

uint64_t head_find(const struct head *h, struct hash128 hash); // 0: there is none
uint64_t head_make(struct head *h, struct str labels, struct hash128 hash, uint64_t source);
void head_labels(const struct head *h, const struct head_series *s, struct buf *out); // appends
// The series' sample at t_ms; false: memory has none.
struct head_cell {
    uint64_t bits;
    const struct held *histogram; // NULL: a float
};
bool head_find_sample(const struct head *h, const struct head_series *s, int64_t t_ms,
                      struct head_cell *out);
// Whether what commit opened_by opened is of commit seq, which may be a later piece of the same.
static inline bool head_is_of_commit(const struct head *h, uint64_t opened_by, uint64_t seq)
{
    return opened_by == seq || opened_by > h->pieces_from;
}

// Takes the rows of a commit before anything has changed; an error refuses the commit.
typedef err head_sink_fn(void *arg, const struct wal_row *rows, size_t n, struct errmsg *e);
// seq is to be published once the sink's rows are kept.
err head_commit(struct head *h, struct tsdb_commit *c, head_sink_fn *sink, void *arg,
                uint64_t *out_seq, struct errmsg *e);
void head_publish(struct head *h, uint64_t seq);
void head_count_refusal(struct head *h, enum tsdb_outcome outcome, bool is_histogram);
bool head_takes_late(const struct tsdb_commit *c, int64_t newest_t, int64_t t_ms); // by its time

struct head_snapshot {
    struct list link;
    uint64_t seq, epoch;
};
void head_snapshot_begin(struct head *h, struct head_snapshot *snapshot);
void head_snapshot_end(struct head_snapshot *snapshot);
uint64_t head_floor(const struct head *h); // every query, present or to come, sees up to it

#endif
