// Series for tests of block files: written to a file and put into the oracle, so that both can be
// asked the same.
#ifndef TESTS_UNIT_TSDB_BLOCK_WORLD_H
#define TESTS_UNIT_TSDB_BLOCK_WORLD_H

#include "engine/base/rng.h"
#include "engine/tsdb/block_file.h"
#include "tests/lib/oracle.h"

struct block_sample_series {
    struct str labels, tuple, local;
    int64_t *t;
    uint64_t *bits;
    size_t n;
};

struct block_world {
    struct arena a;
    struct rng r;
    struct oracle *oracle;
    struct block_sample_series *series; // by metric name
    size_t n;
    bool forms; // samples are written in the forms that their bits say (tests/lib/forms.h)
    char dir[64];
    char why[2048]; // the first thing that was wrong; empty: nothing
};

uint32_t block_world_partition(struct str labels);
// Labels, without samples.
void block_world_init(struct block_world *w, uint64_t seed);
void block_world_deinit(struct block_world *w);
// Samples in (from, from + span], about every step; an eighth of the series has none.
void block_world_fill(struct block_world *w, int64_t from, int64_t span, int64_t step);
// Into the oracle; where it has a sample of that time already that one stays if keep.
void block_world_remember(struct block_world *w, bool keep);
// Without what lies at or before t. (Everything that was filled must have been remembered.)
void block_world_forget(struct block_world *w, int64_t t);
// Divides labels anew: 0: as at first, 1: all local, else some other way.
void block_world_divide(struct block_world *w, unsigned how);
// Suspends.
err block_world_write(struct block_world *w, const char *name, struct block_summary *out,
                      struct errmsg *e);
void block_world_path(const struct block_world *w, const char *name, char out[128]);
// Asks the file and the oracle for the same; false and why: they differ. Suspends.
bool block_world_compare(struct block_world *w, struct block_file *f);

#endif
