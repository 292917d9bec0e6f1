// A log of JSON lines in a file of its own, written beside the work that logs: queries, failed
// scrapes.
//
// Each shard has its own: lines gather in memory and a fiber appends them, whole lines at a time,
// so that shards share a file. Rotation: move the file away, reload.
#ifndef ENGINE_SERVER_JSON_LOG_H
#define ENGINE_SERVER_JSON_LOG_H

#include "engine/base/err.h"
#include "engine/base/log.h"
#include "protocol/json_write.h"

struct json_log;

enum { JSON_LOG_PENDING_MAX = 4 << 20 }; // bytes; lines beyond are dropped and counted

// Appends to path, which is made if missing. Suspends.
err json_log_open(struct str path, const struct logger *lg, struct json_log **out,
                  struct errmsg *e);
// Writes what is pending. NULL is accepted. Suspends.
void json_log_close(struct json_log *l);
struct str json_log_path(const struct json_log *l);

// {"time":...,"level":...,"source":...,"msg":... and what the caller adds to *j before
// json_log_end().
void json_log_begin(struct json_log *l, const char *level, const char *source, struct str msg,
                    struct json *j);
void json_log_end(struct json_log *l, struct json *j);
// Until all lines so far are in the file, or were lost: whoever is answered then finds them there,
// in the order of the answers, whichever shards they came from. Suspends.
void json_log_wait(struct json_log *l);
uint64_t json_log_failures(const struct json_log *l); // lines that were not written

#endif
