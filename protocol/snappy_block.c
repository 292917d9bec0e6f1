#include "protocol/snappy_block.h"

#include <assert.h>
#include <snappy-c.h>

#include "simd/simd.h"

// The header: the decoded size as a varint of 32 bits. How many bytes it takes, 0: there is none.
static size_t read_header(struct str in, size_t *out_size)
{
    uint64_t size = 0;
    for (size_t i = 0; i < 5 && i < in.n; i++) {
        const uint8_t byte = (uint8_t)in.p[i];
        size |= (uint64_t)(byte & 0x7f) << (7 * i);
        if (byte < 0x80) {
            *out_size = (size_t)size;
            return size <= UINT32_MAX ? i + 1 : 0;
        }
    }
    return 0;
}

err snappy_block_begin(struct str in, size_t limit, size_t *out_size, struct str *out_elements,
                       struct errmsg *e)
{
    size_t size = 0;
    const size_t header = read_header(in, &size);
    if (!header)
        return err_set(e, ERR_INVALID, "snappy: corrupt input");
    if (size > limit)
        return err_set(e, ERR_LIMIT, "snappy: decoded length %zu exceeds limit %zu", size, limit);
    // A copy is at most 64 bytes from 3: what declares more is a lie, and would have us allocate
    // it.
    enum { RATIO_MAX = 64 };
    if (size / RATIO_MAX > in.n)
        return err_set(e, ERR_INVALID, "snappy: corrupt input");
    *out_size = size;
    *out_elements = str_from(in, header);
    return ERR_OK;
}

err snappy_block_decompress(struct str in, size_t limit, struct buf *out, struct errmsg *e)
{
    size_t size;
    struct str elements;
    TRY(snappy_block_begin(in, limit, &size, &elements, e));
    uint8_t *const at = (uint8_t *)buf_reserve(out, size + SNAPPY_SLACK);
    const uint8_t *const p = (const uint8_t *)elements.p;
    struct snappy_reader r = {p, p + elements.n, at, at, at + size};
    if (!simd.snappy_decode(&r, r.end) || r.at != r.end || r.in != r.in_end)
        return err_set(e, ERR_INVALID, "snappy: corrupt input");
    out->n += size;
    return ERR_OK;
}

size_t snappy_block_decoded_size(struct str in, size_t limit)
{
    size_t size;
    if (!read_header(in, &size))
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
