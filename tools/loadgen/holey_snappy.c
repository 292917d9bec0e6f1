// The block: varint of the uncompressed size, then elements. Those used here:
//
//   (n - 1) << 2                      n bytes literally; n up to 60
//   60 << 2, n - 1                    up to 256; 61 << 2 with two bytes up to 65536
//   (n - 4) << 2 | off >> 8 << 5 | 1, off     copies 4 to 11 bytes from up to 2047 back
//   (n - 1) << 2 | 2, off, off >> 8   copies 1 to 64 bytes from up to 65535 back
#include "tools/loadgen/holey_snappy.h"

#include <assert.h>

#include "engine/base/mem.h"

enum {
    COPY_MIN = 4,
    COPY_MAX = 64,
    SHORT_OFFSET_MAX = 2047,
    SHORT_COPY_MAX = 11,
    LITERAL_SHORT_MAX = 60,
};

static void put_literal(const char *p, uint32_t n, struct buf *out)
{
    static_assert(HOLEY_LITERAL_MAX == 65536, "two bytes say how long a literal is");
    if (n <= LITERAL_SHORT_MAX) {
        buf_put_char(out, (char)((n - 1) << 2));
    } else if (n <= 256) {
        buf_put_char(out, (char)(uint8_t)(60 << 2));
        buf_put_char(out, (char)(uint8_t)(n - 1));
    } else {
        buf_put_char(out, (char)(uint8_t)(61 << 2));
        buf_put_char(out, (char)(uint8_t)(n - 1));
        buf_put_char(out, (char)(uint8_t)((n - 1) >> 8));
    }
    buf_put(out, p, n);
}

static void put_copy(uint32_t offset, uint32_t n, struct buf *out)
{
    while (n) {
        const uint32_t part = n < COPY_MAX ? n : COPY_MAX;
        if (part >= COPY_MIN && part <= SHORT_COPY_MAX && offset <= SHORT_OFFSET_MAX) {
            buf_put_char(out, (char)(uint8_t)((part - 4) << 2 | offset >> 8 << 5 | 1));
            buf_put_char(out, (char)(uint8_t)offset);
        } else {
            buf_put_char(out, (char)(uint8_t)((part - 1) << 2 | 2));
            buf_put_char(out, (char)(uint8_t)offset);
            buf_put_char(out, (char)(uint8_t)(offset >> 8));
        }
        n -= part;
    }
}

void holey_snappy_compress(struct str text, struct hole *holes, size_t holes_n, struct buf *out)
{
    struct holey_ops ops;
    const size_t begin = out->n;
    uint32_t at = 0;
    size_t hole = 0;
    holey_match(text, holes, holes_n, &ops);
    buf_put_varint(out, text.n);
    for (size_t i = 0; i < ops.n; i++) {
        const struct holey_op *const op = &ops.items[i];
        if (op->literal_n)
            put_literal(text.p + at, op->literal_n, out);
        const uint32_t literal_at = (uint32_t)(out->n - begin) - op->literal_n; // of what was added
        for (; hole < holes_n && holes[hole].at < at + op->literal_n; hole++)
            holes[hole].out_at = literal_at + holes[hole].at - at;
        put_copy(op->copy_offset, op->copy_n, out);
        at += op->literal_n + op->copy_n;
        while (hole < holes_n && holes[hole].at < at) // a copy
            hole++;
    }
    mem_free(ops.items);
}
