// Copies of a data folder that cost no room: hard links of its files.
#ifndef ENGINE_TSDB_TSDB_SNAPSHOT_H
#define ENGINE_TSDB_TSDB_SNAPSHOT_H

#include "engine/tsdb/tsdb.h"

enum { TSDB_SNAPSHOT_NAME = 40 };

// Makes <folder>/snapshots/<name>, a data folder of its own, with all that was acknowledged before
// the call, or, without the head, with what is in files already. What comes meanwhile may be in it
// or not. It appears whole or not at all. ERR_LIMIT: the disk is full. Suspends.
err tsdb_snapshot(struct tsdb *db, bool with_head, char out_name[TSDB_SNAPSHOT_NAME],
                  struct errmsg *e);
// Removes what snapshots that did not get ready left in the folder. Suspends.
void tsdb_sweep_snapshots(struct tsdb *db);

#endif
