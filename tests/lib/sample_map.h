// The naive truth: a map of series to samples, with the rules of acceptance in a few lines.
#ifndef TESTS_LIB_SAMPLE_MAP_H
#define TESTS_LIB_SAMPLE_MAP_H

#include "engine/tsdb/tsdb.h"

struct map_sample {
    int64_t t_ms;
    uint64_t bits;
    uint64_t seq; // of the commit it came with
};

struct map_series {
    struct str labels;
    struct map_sample *samples; // by time
    size_t n, capacity;
};

struct sample_map { // zeroed is empty
    struct map_series *series;
    size_t n, capacity;
    uint64_t seq;
};

void sample_map_deinit(struct sample_map *m);
struct map_series *sample_map_find(struct sample_map *m, struct str labels, bool make);
// What tsdb_commit must answer for one sample, which is kept when accepted. A batch of samples is
// one commit: the caller counts m->seq up before it.
enum tsdb_outcome sample_map_add(struct sample_map *m, struct str labels, int64_t t_ms,
                                 uint64_t bits, int64_t late_ms, int64_t max_t_ms);

#endif
