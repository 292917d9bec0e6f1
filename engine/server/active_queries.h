// Which queries run, in a file that outlives a crash: at the next start those that did not finish
// are named in the log.
//
// <data>/queries.active is a mapped JSON array as Prometheus writes it: '[', then slots of a
// thousand bytes, each empty (NULs) or an object {"query","timestamp_sec"} with a comma in the
// slot's last byte. Any shard takes any slot, which costs no system call.
#ifndef ENGINE_SERVER_ACTIVE_QUERIES_H
#define ENGINE_SERVER_ACTIVE_QUERIES_H

#include <stdatomic.h>

#include "engine/base/err.h"
#include "engine/base/log.h"

enum { ACTIVE_QUERY_BYTES = 1000 };

struct active_queries {
    char *map; // NULL: nothing is noted
    size_t size;
    size_t slots;
    _Atomic bool *taken;
};

// Logs what an earlier run left behind in folder, then starts anew with so many slots. A file that
// cannot be had is a warning: queries run without it. Suspends.
void active_queries_open(struct active_queries *a, const char *folder, size_t slots,
                         const struct logger *lg);
void active_queries_close(struct active_queries *a);

// Notes text; the slot, for active_queries_remove(). Slots are as many as may run.
size_t active_queries_add(struct active_queries *a, struct str text, int64_t now_s);
void active_queries_remove(struct active_queries *a, size_t slot);

#endif
