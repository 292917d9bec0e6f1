// Rows to bytes and back: records, frames, segment headers. No input or output here.
//
// The layout is described at the top of wal_record.c. The encoder holds what it last wrote of each
// cohort (9 bytes a member), the decoder the same plus the handler's handle for each member.
#ifndef ENGINE_TSDB_WAL_RECORD_H
#define ENGINE_TSDB_WAL_RECORD_H

#include "engine/base/buf.h"
#include "engine/base/err.h"

struct wal_stream { // what one shard wrote in one run
    uint64_t epoch; // of the run: the catalogue counts them
    uint32_t shard;
};

struct wal_mark { // where replay of a stream begins
    struct wal_stream stream;
    uint64_t segment; // the first one that is needed
    uint64_t seq;     // rows below it are not
};

enum {
    WAL_ROW_LATE = 1, // times may be older than the cohort's last; does not become a delta's base
};

struct wal_row {
    uint32_t cohort; // the shard's own number: small, reused after wal_forget()
    uint32_t flags;
    int64_t t_ms;
    const uint32_t *members; // indexes within the cohort, ascending; NULL: 0..n-1
    const uint64_t *bits;    // of the doubles
    uint32_t n;
};

enum {
    WAL_LABELS_BYTES_MAX = 1 << 20, // of one series: the head refuses larger ones before
    WAL_MEMBERS_MAX = 1 << 24,      // of a cohort
    WAL_COHORTS_MAX = 1 << 24,      // their numbers are below
};

// Who knows what a cohort and its members are. Called inside wal_append(); does not suspend.
struct wal_cohort_info {
    uint32_t partition;
    uint64_t source; // the hint that tsdb_series() got: replay groups series by it again
};
struct wal_source {
    void (*cohort)(void *arg, uint32_t cohort, struct wal_cohort_info *out);
    // Labels of a member, valid until the next call; empty: the member is gone, only its index is
    // left.
    struct str (*member)(void *arg, uint32_t cohort, uint32_t member);
    void *arg;
};

#endif
