// Bodies of remote_write on their way in: read, and decompressed within a budget.
//
// A few bytes can become many megabytes: what a request says it becomes is counted before it is
// decompressed, until the body is released. Beyond the budget of the shard the answer is 503 with
// Retry-After; a request that is alone is never refused for its size.
#ifndef ENGINE_REMOTE_INTAKE_H
#define ENGINE_REMOTE_INTAKE_H

#include "engine/remote/negotiate.h"

enum { REMOTE_BODY_MAX = 32 << 20, REMOTE_DECODED_MAX = 32 << 20 };

struct intake { // of a shard
    uint64_t decoded_max, decoded_held;
    uint64_t bytes, decoded_bytes, refused; // counters
    struct zstd_reader *zstd;
};

struct intake_body {
    struct buf bytes; // decompressed
    uint64_t held;
};

void intake_init(struct intake *in, uint64_t decoded_max);
void intake_deinit(struct intake *in);
// Reads and decompresses the body; false: answered, or the peer is gone. Release it either way.
// Suspends.
bool intake_read(struct intake *in, struct http_exchange *x, enum remote_encoding encoding,
                 struct intake_body *out);
void intake_release(struct intake *in, struct intake_body *body);

#endif
