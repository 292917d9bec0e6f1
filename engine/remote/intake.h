// Bodies of remote_write on their way in: read, and decompressed within a budget.
//
// A few bytes can become many megabytes: what a request says it becomes is counted before it is
// decompressed, until the body is released. Beyond the budget of the shard the answer is 503 with
// Retry-After; a request that is alone is never refused for its size. Snappy is decompressed in
// steps, so that its reader finds in the cache what it reads; zstd at once.
#ifndef ENGINE_REMOTE_INTAKE_H
#define ENGINE_REMOTE_INTAKE_H

#include "engine/base/buf.h"
#include "engine/remote/negotiate.h"
#include "simd/snappy.h"

enum { REMOTE_BODY_MAX = 32 << 20, REMOTE_DECODED_MAX = 32 << 20 };

enum { INTAKE_SPARES = 8 };

struct intake { // of a shard
    uint64_t decoded_max, decoded_held;
    uint64_t bytes, decoded_bytes; // counters
    struct zstd_reader *zstd;
    struct buf spares[INTAKE_SPARES]; // memory of bodies before
    size_t spares_n;
};

struct intake_body {
    struct buf bytes; // decompressed, as far as it is: bytes.p stays where it is
    size_t size;      // of all of it
    uint64_t held;
    struct snappy_reader snappy;
};

void intake_init(struct intake *in, uint64_t decoded_max);
void intake_deinit(struct intake *in);
void intake_shrink(struct intake *in); // gives memory of bodies before back
// Reads the body and decompresses zstd. Not ERR_OK: answered, or the peer is gone; ERR_LIMIT: it is
// too large, ERR_IO, ERR_TIMEOUT: it did not come, ERR_CANCELED: there is no room for it now,
// ERR_INVALID: it cannot be unpacked. Release it either way. Suspends.
err intake_read(struct intake *in, struct http_exchange *x, enum remote_encoding encoding,
                struct intake_body *out);
// The same from bytes that are there, counted against no budget. Suspends.
err intake_begin(struct intake *in, struct str packed, enum remote_encoding encoding,
                 struct intake_body *out, struct errmsg *e);
// Decompresses more of it, as far as `size` at least or its end, and looks at what is left at the
// end. The exchange's arena has what it came from.
err intake_unpack(struct intake *in, struct intake_body *body, size_t size, struct errmsg *e);
// Counts more bytes that the body needs until it is released; false: beyond the budget.
bool intake_hold(struct intake *in, struct intake_body *body, uint64_t size);
void intake_release(struct intake *in, struct intake_body *body);

#endif
