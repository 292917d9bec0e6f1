// What grew: the active series that this shard came to know of late, by pair and by target.
#ifndef ENGINE_TSDB_TSDB_GROWTH_H
#define ENGINE_TSDB_TSDB_GROWTH_H

#include "engine/tsdb/tsdb.h"

struct tally { // of ids; those that were never counted take no room
    uint32_t **chunks;
    size_t chunks_n;
};

struct tsdb_target_growth {
    struct str labels; // those of job and instance that it has, in the arena
    uint64_t series;
};

struct tsdb_growth {
    uint64_t series;
    struct tsdb_target_growth *targets; // sorted by labels, which differ
    size_t targets_n;
    struct tally pairs;
    bool is_held; // no series leaves the shard
};

// Of the last span_ms, which is made to begin with a list (arrivals.h): *out_ms is what it became.
// Until the end no series leaves. ERR_LIMIT: the arena's. Suspends.
err tsdb_growth_begin(struct tsdb *db, int64_t span_ms, struct arena *a, struct tsdb_growth *out,
                      int64_t *out_ms, struct errmsg *e);
void tsdb_growth_end(struct tsdb *db, struct tsdb_growth *g); // zeroed is accepted

static inline uint32_t tally_of(const struct tally *t, uint32_t id)
{
    enum { CHUNK = 1024 };
    return id / CHUNK < t->chunks_n && t->chunks[id / CHUNK] ? t->chunks[id / CHUNK][id % CHUNK]
                                                             : 0;
}

#endif
