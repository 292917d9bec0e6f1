// Snappy's block format, as remote_write and remote_read carry it (no framing).
#ifndef PROTOCOL_SNAPPY_BLOCK_H
#define PROTOCOL_SNAPPY_BLOCK_H

#include "engine/base/buf.h"
#include "engine/base/err.h"

// The size that a block declares, and its elements: what simd.snappy_decode() takes. ERR_LIMIT:
// more than limit; ERR_INVALID: not snappy, or more than its elements could become.
err snappy_block_begin(struct str in, size_t limit, size_t *out_size, struct str *out_elements,
                       struct errmsg *e);
// Appends what in decompresses to. The size that in declares is looked at before anything is
// allocated: above limit ERR_LIMIT. ERR_INVALID: not snappy; out is as before.
err snappy_block_decompress(struct str in, size_t limit, struct buf *out, struct errmsg *e);
// How many bytes in says that it becomes, at most limit; 0: it is not snappy.
size_t snappy_block_decoded_size(struct str in, size_t limit);
void snappy_block_compress(struct str in, struct buf *out); // appends

#endif
