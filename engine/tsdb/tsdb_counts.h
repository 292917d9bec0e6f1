// How many active series of this shard have each value of a label. The index in memory is all that
// is asked; nothing is gathered but what is given back.
#ifndef ENGINE_TSDB_TSDB_COUNTS_H
#define ENGINE_TSDB_TSDB_COUNTS_H

#include "engine/tsdb/tsdb_growth.h"

// The label names of active series. Suspends.
err tsdb_active_names(struct tsdb *db, struct least *out, struct errmsg *e);

struct tsdb_value_count {
    struct str value; // in the arena
    uint64_t series, grown;
};
// At most max values of name behind after (p NULL: from the first), in order: *out_n below max says
// that none follow. grown: of these series, what growth says; NULL: none. ERR_LIMIT: the arena's.
// Suspends.
err tsdb_count_values(struct tsdb *db, const struct tsdb_growth *growth, struct str name,
                      struct str after, size_t max, struct arena *a, struct tsdb_value_count *out,
                      size_t *out_n, struct errmsg *e);

#endif
