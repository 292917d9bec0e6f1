// Unpacks bodies that came compressed, without holding up the shard: small ones at once, large ones
// on a thread of the helper pool, where the fastest decoders can be used as they are.
#ifndef ENGINE_HTTP_UNPACK_H
#define ENGINE_HTTP_UNPACK_H

#include "engine/base/buf.h"
#include "engine/base/err.h"

struct gzip_reader; // protocol/gzip.h
struct zstd_reader; // protocol/zstd_frames.h

// As gzip_decompress(); reader is the shard's. ERR_TIMEOUT, ERR_CANCELED: the fiber was told to
// end. Suspends.
err unpack_gzip(struct gzip_reader *reader, struct str in, size_t limit, struct buf *out,
                struct errmsg *e);
// As zstd_decompress(); reader is the shard's. Suspends.
err unpack_zstd(struct zstd_reader *reader, struct str in, size_t limit, struct buf *out,
                struct errmsg *e);

#endif
