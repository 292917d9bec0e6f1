// Which label names of a job go into tuples: those that have one value for all series of a target.
//
// Learned from the first series of each job by comparing those that share a placement key; until
// then, and for names that vary, the placement labels alone are factored. A wrong guess costs
// memory only: any split of a label set is legal.
#ifndef ENGINE_TSDB_FACTORING_H
#define ENGINE_TSDB_FACTORING_H

#include "engine/tsdb/label_store.h"

struct factoring_job;

struct factoring { // zeroed is empty
    struct factoring_job **jobs;
    size_t n, capacity;
    struct id_table ids; // by the job's hash
};

void factoring_deinit(struct factoring *f);
// Sorts the names of a label set of this job (a hash of its value) and placement key into two:
// in_tuple[i] says whether pairs[i] belongs to the tuple. is_key[i]: a placement label.
void factoring_split(struct factoring *f, const struct label_store *s, uint64_t job, uint64_t key,
                     const uint32_t *pairs, const bool *is_key, size_t n, bool *in_tuple);

#endif
