// What a part does with its files (tsdb_files.c), and what all parts are asked for (tsdb.c).
#ifndef ENGINE_TSDB_PART_FILES_H
#define ENGINE_TSDB_PART_FILES_H

#include "engine/tsdb/tsdb_part.h"

// These suspend.
err part_open_file(struct part *p, const struct catalogue_file *info, struct part_file *out,
                   struct errmsg *e);
void part_drop_file(struct part *p, uint64_t id, bool remove);
err part_ask_clean(struct part *p, struct errmsg *e); // of tombstones that were there before
// ask() of each part, on its shard, side by side; the first error of any. Suspends.
typedef err part_ask_fn(struct part *p, struct errmsg *e);
err tsdb_ask_parts(struct tsdb *db, part_ask_fn *ask, struct errmsg *e);

void part_tend_files(void *part); // a fiber: divides, merges, expires what is due, and ends
void part_put_file(struct part *p, struct part_file file);
void tsdb_set_summary(struct catalogue_file *info, const struct block_summary *sum);
bool part_is_first(const struct part *p, const struct catalogue_file *f); // it is this part's

#endif
