// Deleting samples of series, and giving back the room they take.
#ifndef ENGINE_TSDB_TSDB_DELETE_H
#define ENGINE_TSDB_TSDB_DELETE_H

#include "engine/tsdb/tsdb.h"

// Deletes what was acknowledged before the call of series that match within the times, both
// included; what comes meanwhile may go or not, what comes later stays. Gone for good once it
// returns OK, also after a crash. ERR_LIMIT: the disk is full, or there is too much to remember: as
// before. Waits until a spill or a merge that runs has ended. Suspends.
err tsdb_delete(struct tsdb *db, const struct matcher *ms, size_t ms_count, int64_t min_t_ms,
                int64_t max_t_ms, struct errmsg *e);
// Writes files anew without what was deleted of them. Suspends.
err tsdb_clean_tombstones(struct tsdb *db, struct errmsg *e);

#endif
