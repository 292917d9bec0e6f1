// Deleting samples that memory has.
#ifndef ENGINE_TSDB_HEAD_ERASE_H
#define ENGINE_TSDB_HEAD_ERASE_H

#include "engine/tsdb/head.h"

struct head_erasure {
    const struct matcher *ms;
    size_t ms_count;
    int64_t min_t_ms, max_t_ms; // both included
    uint32_t partition_begin, partition_end;
    uint64_t seq; // what later commits brought stays
};

// Of series that match and of these partitions takes away what commits up to seq brought within the
// times. Their newest time, what they judge samples by, stays as it was, and so does the newest
// value if it had a slot: one that is sent again is success, and changes nothing. Nothing may be
// spilled or released meanwhile; what is limited is beside limits. Suspends if head.may_yield.
err head_erase(struct head *h, const struct head_erasure *erasure, const struct arena *limits,
               struct errmsg *e);
// Of a series that was erased: whether it has a sample in (mint, maxt].
bool head_erased_has(const struct head *h, const struct head_series *s, int64_t mint, int64_t maxt);

#endif
