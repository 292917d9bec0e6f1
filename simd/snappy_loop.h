// The loop of the versions with wide moves. Elements are at most 64 bytes but for long literals, so
// each is copied as 64 bytes whatever its size: what is too much is overwritten by the next. That
// needs no look at the size, whose branch nothing could predict. Short copies from close by are the
// exception: 64 bytes from there were written by several moves, and a read of them waits until all
// of these have left the processor's store buffer; 16 bytes mostly come from one of them.
#ifndef SIMD_SNAPPY_LOOP_H
#define SIMD_SNAPPY_LOOP_H

#include <string.h>

#include "engine/base/bits.h"
#include "simd/snappy.h"

enum { SNAPPY_ELEMENT = 64, SNAPPY_HEADER = 5, SNAPPY_SHORT = 16 };

// 64 bytes as move after move of `width`: right for copies from at least that far before.
typedef void snappy_move_fn(uint8_t *to, const uint8_t *from);

struct snappy_moves {
    snappy_move_fn *wide;
    size_t width;
    snappy_move_fn *near_16; // in moves of 16
};

static inline void snappy_copy(const struct snappy_moves *moves, uint8_t *to, size_t offset,
                               size_t n)
{
    if (offset >= SNAPPY_ELEMENT) {
        moves->wide(to, to - offset);
    } else if (n <= SNAPPY_SHORT && offset >= SNAPPY_SHORT) {
        memcpy(to, to - offset, SNAPPY_SHORT);
    } else if (offset >= moves->width) {
        moves->wide(to, to - offset);
    } else if (offset >= 16) {
        moves->near_16(to, to - offset);
    } else {
        for (size_t i = 0; i < n; i++)
            to[i] = (to - offset)[i];
    }
}

static inline bool snappy_loop(struct snappy_reader *r, const uint8_t *until,
                               const struct snappy_moves *moves)
{
    const uint8_t *in = r->in;
    uint8_t *at = r->at;
    while (at < until && r->in_end - in >= SNAPPY_HEADER + SNAPPY_ELEMENT) {
        const uint32_t tag = *in;
        size_t n = (tag >> 2) + 1, offset;
        if ((tag & 3) == 0 && n <= 60 && n <= (size_t)(r->end - at)) {
            moves->wide(at, in + 1);
            in += 1 + n;
            at += n;
            continue;
        }
        if ((tag & 3) == 0) {
            r->in = in;
            r->at = at;
            if (!snappy_decode_element(r))
                return false;
            in = r->in;
            at = r->at;
            continue;
        }
        if ((tag & 3) == 2) {
            offset = load_le16(in + 1);
            in += 3;
        } else if ((tag & 3) == 1) {
            n = 4 + ((tag >> 2) & 7);
            offset = (size_t)(tag >> 5) << 8 | in[1];
            in += 2;
        } else {
            offset = load_le32(in + 1);
            in += 5;
        }
        if (offset - 1 >= (size_t)(at - r->begin) || n > (size_t)(r->end - at))
            return false;
        snappy_copy(moves, at, offset, n);
        at += n;
    }
    r->in = in;
    r->at = at;
    return snappy_decode_c(r, until);
}

#endif
