// Zstandard (RFC 8878) of bodies that are in memory.
#ifndef PROTOCOL_ZSTD_FRAMES_H
#define PROTOCOL_ZSTD_FRAMES_H

#include "engine/base/buf.h"
#include "engine/base/err.h"

// The working memory of decompression; one a shard.
struct zstd_reader;
struct zstd_reader *zstd_reader_create(void);
void zstd_reader_destroy(struct zstd_reader *r); // NULL is accepted
// Appends what all frames of in decompress to. ERR_LIMIT: that would be more than limit bytes; no
// more are ever written, and where the frames say their sizes nothing is. ERR_INVALID: not zstd,
// cut off, a wrong checksum, a size that is not true, or something behind the last frame. On
// failure out holds what it held.
err zstd_decompress(struct zstd_reader *r, struct str in, size_t limit, struct buf *out,
                    struct errmsg *e);
// How many bytes in would become: what its frames say, at most limit; limit where one does not say.
size_t zstd_decoded_size(struct str in, size_t limit);

void zstd_compress(struct str in, struct buf *out); // appends one frame that says its size

#endif
