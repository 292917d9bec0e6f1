// Messages of protobuf, put together by field for tests and fuzzers: what decoders are asked to
// read is never made by an encoder of ours.
#ifndef TESTS_LIB_PB_PUT_H
#define TESTS_LIB_PB_PUT_H

#include "engine/base/buf.h"
#include "protocol/protobuf.h"

static inline void pb_put_tag(struct buf *b, uint32_t number, enum pb_type type)
{
    buf_put_varint(b, (uint64_t)number << 3 | type);
}

static inline void pb_put_bytes(struct buf *b, uint32_t number, struct str s)
{
    pb_put_tag(b, number, PB_BYTES);
    buf_put_varint(b, s.n);
    buf_put_str(b, s);
}

static inline void pb_put_varint(struct buf *b, uint32_t number, uint64_t n)
{
    pb_put_tag(b, number, PB_VARINT);
    buf_put_varint(b, n);
}

static inline void pb_put_fixed64(struct buf *b, uint32_t number, uint64_t bits)
{
    pb_put_tag(b, number, PB_FIXED64);
    buf_put_le64(b, bits);
}

#endif
