// How a text whose marked bytes will change is compressed: literals and copies that never take
// fixed text from bytes that change. holey_snappy.h and holey_zstd.h write them.
#ifndef TOOLS_LOADGEN_HOLEY_MATCH_H
#define TOOLS_LOADGEN_HOLEY_MATCH_H

#include <stdint.h>

#include "engine/base/buf.h"

enum { HOLE_NONE = UINT32_MAX, HOLE_MAX = 60 };

struct hole { // bytes of the uncompressed text that will change
    uint32_t at, n;
    uint32_t same_as; // an earlier hole that always holds the same bytes, or HOLE_NONE
    uint32_t out_at;  // set: where its bytes are in what was appended; HOLE_NONE: it is a copy
};

// A literal of the next literal_n bytes, then copy_n bytes as they were copy_offset before; either
// may be 0.
enum { HOLEY_LITERAL_MAX = 65536, HOLEY_COPY_MAX = 32768, HOLEY_OFFSET_MAX = 65535 };
struct holey_op {
    uint32_t literal_n, copy_offset, copy_n;
};
struct holey_ops {
    struct holey_op *items;
    size_t n, capacity;
};

// holes are in order of at, do not overlap, are 1 to HOLE_MAX bytes long, and none is in two ops.
// One of four bytes or more that is near the one it is the same as (or the last of those) becomes a
// copy, its out_at HOLE_NONE; that of others is 0. The caller frees items.
void holey_match(struct str text, struct hole *holes, size_t holes_n, struct holey_ops *out);

#endif
