// Where a series lives: a hash of its placement labels, modulo the number of partitions.
//
// The key is job, instance and the configured labels; where job or instance is missing the metric
// name joins it, so that series of nowhere spread.
#ifndef ENGINE_TSDB_PLACEMENT_H
#define ENGINE_TSDB_PLACEMENT_H

#include <stdint.h>

#include "engine/base/err.h"
#include "engine/base/str.h"

enum { PLACEMENT_LABELS_MAX = 32 };

struct placement {
    uint64_t seed;
    struct str names[PLACEMENT_LABELS_MAX]; // sorted, job and instance among them
    size_t n;
    uint64_t begins[4]; // bytes with which one of them begins, a bit each
};

static const struct str PLACEMENT_DEFAULT = {
    "cluster,prometheus,prometheus_replica,replica,__replica__", 57};

// labels: names with commas; they must outlive the placement.
err placement_init(struct placement *p, struct str labels, uint64_t seed, struct errmsg *e);
bool placement_equals(const struct placement *a, const struct placement *b); // the same labels
bool placement_is_key(const struct placement *p, struct str name);
// The hash of the key; *out_job is that of the job's value.
uint64_t placement_key(const struct placement *p, struct str labels, uint64_t *out_job);

#endif
