#include "protocol/snappy_block.h"

#include <assert.h>
#include <snappy-c.h>

err snappy_block_decompress(struct str in, size_t limit, struct buf *out, struct errmsg *e)
{
    size_t size;
    if (snappy_uncompressed_length(in.p, in.n, &size) != SNAPPY_OK)
        return err_set(e, ERR_INVALID, "snappy: corrupt input");
    if (size > limit)
        return err_set(e, ERR_LIMIT, "snappy: decoded length %zu exceeds limit %zu", size, limit);
    // A copy is at most 64 bytes from 3: what declares more is a lie, and would have us allocate
    // it.
    enum { RATIO_MAX = 64 };
    if (size / RATIO_MAX > in.n)
        return err_set(e, ERR_INVALID, "snappy: corrupt input");
    char *const at = buf_reserve(out, size);
    if (snappy_uncompress(in.p, in.n, at, &size) != SNAPPY_OK)
        return err_set(e, ERR_INVALID, "snappy: corrupt input");
    out->n += size;
    return ERR_OK;
}

size_t snappy_block_decoded_size(struct str in, size_t limit)
{
    size_t size;
    if (snappy_uncompressed_length(in.p, in.n, &size) != SNAPPY_OK)
        return 0;
    return size < limit ? size : limit;
}

void snappy_block_compress(struct str in, struct buf *out)
{
    size_t size = snappy_max_compressed_length(in.n);
    char *const at = buf_reserve(out, size);
    const snappy_status status = snappy_compress(in.p, in.n, at, &size);
    assert(status == SNAPPY_OK);
    out->n += size;
}
