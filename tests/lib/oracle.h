// The oracle: a map of series to samples behind the storage interface, plain enough to be right.
//
// Tests compare what the product answers with what it answers; PromQL scripts run over it too. One
// thread; nothing suspends.
#ifndef TESTS_LIB_ORACLE_H
#define TESTS_LIB_ORACLE_H

#include "engine/model/storage.h"

struct oracle;
typedef uint32_t oracle_partition_fn(struct str labels);

// partition NULL: by a hash of the labels job and instance, 256 of them.
struct oracle *oracle_create(oracle_partition_fn *partition);
void oracle_destroy(struct oracle *o); // NULL is accepted
void oracle_clear(struct oracle *o);

// A sample at a time that the series has already replaces that one.
void oracle_append(struct oracle *o, struct str labels, int64_t t_ms, double v);

// Pretends to have the partitions [from, to) only; owned by the caller, as long as its storage.
struct oracle_view {
    struct oracle *oracle;
    uint32_t from, to;
};
struct storage oracle_storage(struct oracle_view *view);

size_t oracle_series_count(const struct oracle *o);
// The samples of the series with these labels; n 0: no such series.
struct column oracle_samples(const struct oracle *o, struct str labels);

#endif
