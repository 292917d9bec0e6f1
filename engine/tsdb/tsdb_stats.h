// What a shard's part of the database counts.
#ifndef ENGINE_TSDB_TSDB_STATS_H
#define ENGINE_TSDB_TSDB_STATS_H

#include <stdint.h>

struct tsdb_stats {
    uint64_t series, series_created, series_removed, cohorts;
    uint64_t refused_max, refused_memory; // series that were not made
    uint64_t blocks;                      // pieces of values in memory, each series' run counted
    uint64_t samples_appended, samples_late, out_of_order, too_old, out_of_bounds;
    uint64_t histograms_appended, histograms_out_of_order; // of the samples
    uint64_t wal_bytes, wal_records, wal_syncs, wal_segment, wal_corruptions;
    uint64_t files, file_bytes, file_samples;
    uint64_t retention_deletions, size_deletions; // files by age, files by size
    uint64_t merges, divisions;                   // of files; divided is what several shards own
    int64_t min_time_ms, max_time_ms;             // of the head; INT64_MAX / INT64_MIN: empty
    int64_t lowest_time_ms;                       // of anything; INT64_MAX: nothing
};

#endif
