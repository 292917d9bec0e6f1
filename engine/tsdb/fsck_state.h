// What the parts of fsck.c share.
#ifndef ENGINE_TSDB_FSCK_STATE_H
#define ENGINE_TSDB_FSCK_STATE_H

#include "engine/tsdb/catalogue_log.h"
#include "engine/tsdb/fsck.h"
#include "engine/tsdb/placement.h"

enum { FSCK_PATH_MAX = 1024 };

struct fsck {
    const char *dir;
    const struct fsck_ops *ops;
    void *arg;
    struct fsck_counts counts;
    struct catalogue_state state;
    bool has_catalogue; // and placement
    struct placement placement;
};

// lost: what is gone with it, or "".
void fsck_say(struct fsck *k, enum fsck_severity severity, const char *path, int64_t offset,
              const char *lost, const char *format, ...) __attribute__((format(printf, 6, 7)));
// The same of what a reader refused; its text names path and offset.
void fsck_say_error(struct fsck *k, const char *path, const char *lost, const struct errmsg *e);
// The file itself cannot be used.
void fsck_say_unusable(struct fsck *k, const char *path, const char *lost, const struct errmsg *e);
bool fsck_is_home(const struct fsck *k, struct str labels, uint32_t partition);

// fsck_block.c: named is the catalogue's entry. Suspends.
void fsck_block(struct fsck *k, const char *path, const struct catalogue_file *named);
// fsck_index.c: whether names, pairs, sets, tuples, series and postings agree. Suspends.
struct block_file;
void fsck_index(struct fsck *k, struct block_file *f, const char *path);
// fsck_wal.c. Suspends.
void fsck_wal(struct fsck *k);

#endif
