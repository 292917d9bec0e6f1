#include <string.h>

#include "engine/base/bits.h"
#include "simd/snappy.h"

enum { LITERAL, COPY_1, COPY_2, COPY_4 };

static bool put_literal(struct snappy_reader *r, uint8_t tag)
{
    size_t n = (tag >> 2) + 1u;
    if (n > 60) {
        const size_t bytes = n - 60;
        if ((size_t)(r->in_end - r->in) < bytes)
            return false;
        uint32_t size = 0;
        for (size_t i = 0; i < bytes; i++)
            size |= (uint32_t)r->in[i] << (8 * i);
        r->in += bytes;
        n = (size_t)size + 1;
    }
    if (n > (size_t)(r->in_end - r->in) || n > (size_t)(r->end - r->at))
        return false;
    memcpy(r->at, r->in, n);
    r->at += n;
    r->in += n;
    return true;
}

static bool put_copy(struct snappy_reader *r, size_t n, size_t offset)
{
    if (offset == 0 || offset > (size_t)(r->at - r->begin) || n > (size_t)(r->end - r->at))
        return false;
    for (size_t i = 0; i < n; i++) // they may overlap
        r->at[i] = (r->at - offset)[i];
    r->at += n;
    return true;
}

bool snappy_decode_element(struct snappy_reader *r)
{
    if (r->in == r->in_end)
        return false;
    const uint8_t tag = *r->in++;
    const size_t left = (size_t)(r->in_end - r->in);
    size_t offset;
    switch (tag & 3) {
    case LITERAL:
        return put_literal(r, tag);
    case COPY_1:
        if (left < 1)
            return false;
        offset = (size_t)(tag >> 5) << 8 | r->in[0];
        r->in += 1;
        return put_copy(r, 4 + ((tag >> 2) & 7u), offset);
    case COPY_2:
        if (left < 2)
            return false;
        offset = (size_t)r->in[0] | (size_t)r->in[1] << 8;
        r->in += 2;
        return put_copy(r, (tag >> 2) + 1u, offset);
    default:
        if (left < 4)
            return false;
        offset = load_le32(r->in);
        r->in += 4;
        return put_copy(r, (tag >> 2) + 1u, offset);
    }
}

bool snappy_decode_c(struct snappy_reader *r, const uint8_t *until)
{
    while (r->at < until && r->in < r->in_end)
        if (!snappy_decode_element(r))
            return false;
    return true;
}
