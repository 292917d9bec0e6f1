// Snappy's block format, as remote_write and remote_read carry it (no framing).
#ifndef PROTOCOL_SNAPPY_BLOCK_H
#define PROTOCOL_SNAPPY_BLOCK_H

#include "engine/base/buf.h"
#include "engine/base/err.h"

// Appends what in decompresses to. The size that in declares is looked at before anything is
// allocated: above limit ERR_LIMIT. ERR_INVALID: not snappy; out is as before.
err snappy_block_decompress(struct str in, size_t limit, struct buf *out, struct errmsg *e);
// How many bytes in says that it becomes, at most limit; 0: it is not snappy.
size_t snappy_block_decoded_size(struct str in, size_t limit);
void snappy_block_compress(struct str in, struct buf *out); // appends

#endif
