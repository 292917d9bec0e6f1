// Reading streams back: any shard can replay any segment, alone.
//
// A frame that is damaged above the highest sequence known to be synced is where the crash cut the
// stream: replay of that segment ends there, silently. Below it, it is corruption: reported through
// the handler and skipped; a cohort that lost a record is skipped up to its next absolute one, and
// what was lost is counted. Nothing is handed over whose checksum is not good, or that was refused
// when it was written. Memory: the cohorts of one segment, and one frame.
#ifndef ENGINE_TSDB_WAL_REPLAY_H
#define ENGINE_TSDB_WAL_REPLAY_H

#include "engine/tsdb/wal_record.h"

struct wal_replay_row {
    uint32_t cohort; // as the writer numbered it: tells which series were written together
    uint32_t flags;  // WAL_ROW_*
    uint64_t seq;
    int64_t t_ms;
    const uint64_t *handles; // n, what define() returned; 0 where it returned 0
    const uint64_t *bits;
    const struct str *histograms; // n packed ones; NULL: it is a row of floats
    const int64_t *starts;        // start timestamps, 0: none; NULL: none at all
    // Of a row that has all members of the cohort, as the one handed over before had: the indices,
    // ascending, of those whose bits may be others. NULL: any.
    const uint32_t *changed;
    uint32_t changed_n;
    uint64_t *memo; // of floats not late: the cohort's, for the caller; 0 once it is defined anew
    uint32_t n;
};

struct wal_corruption {
    uint64_t segment;
    int64_t offset;        // of the first bad byte's frame
    int64_t bytes;         // up to the next good frame, or to the end
    const char *path;      // of the file
    const char *reason;    // "frame checksum", "segment header", "record", "missing segment"
    uint64_t records_lost; // sequences that are missing; 0: cannot be known
};

struct wal_replay_progress {
    uint64_t segment, segments_done, segments; // of this stream
    uint64_t bytes, rows, samples;
    uint64_t rows_skipped; // for a base or a definition that was lost
    uint64_t corruptions;
};

// define, row, note and progress may suspend. What they get is valid during the call. An error ends
// the replay and is returned.
struct wal_replay_ops {
    // A series, at its first use in each segment; returns the caller's name for it. Labels passed
    // labels_check().
    err (*define)(void *arg, const struct wal_cohort_info *cohort, uint32_t cohort_number,
                  struct str labels, uint64_t *out_handle, struct errmsg *e);
    err (*row)(void *arg, const struct wal_replay_row *row, struct errmsg *e);
    // A note as it was appended, whatever its bytes are; type: its record's. NULL: passed over.
    err (*note)(void *arg, enum wal_record_type type, struct str note, struct errmsg *e);
    void (*corrupt)(void *arg, const struct wal_corruption *c);
    err (*progress)(void *arg, const struct wal_replay_progress *p, struct errmsg *e); // or NULL
    // A segment ends with what is no whole frame and was not known to be synced: a crash cut its
    // write, or it was damaged since. NULL: it is not told.
    void (*tail)(void *arg, const char *path, uint64_t offset);
};

// The streams in dir, oldest epoch first, appended to out as struct wal_replay_stream. Suspends.
struct wal_replay_stream {
    struct wal_stream stream;
    uint64_t segment_min, segment_max, segments, bytes;
};
err wal_replay_list(const char *dir, struct buf *out, size_t *out_count, struct errmsg *e);

// From mark.segment on, in the order of writing; rows below mark.seq are not handed over. Suspends.
err wal_replay_stream(const char *dir, const struct wal_mark *mark,
                      const struct wal_replay_ops *ops, void *arg, struct wal_replay_progress *out,
                      struct errmsg *e);
// Removes the files of a stream whose rows are kept elsewhere. Suspends.
err wal_replay_remove(const char *dir, struct wal_stream stream, struct errmsg *e);

#endif
