// Snappy blocks whose marked bytes can be changed afterwards: a block has no checksum, so what lies
// in it as a literal is patched in place, and copies of it follow by themselves.
#ifndef TOOLS_LOADGEN_HOLEY_SNAPPY_H
#define TOOLS_LOADGEN_HOLEY_SNAPPY_H

#include <stdint.h>

#include "engine/base/buf.h"

enum { HOLE_NONE = UINT32_MAX };

struct hole { // bytes of the uncompressed text that will change
    uint32_t at, n;
    uint32_t same_as; // an earlier hole that always holds the same bytes, or HOLE_NONE
    uint32_t out_at;  // set: where its bytes are in the block; HOLE_NONE with same_as
};

// Appends text compressed. holes are in order of at, do not overlap, are 1 to 60 bytes long. A hole
// within 64 KiB of the one it is the same as (or the last of those) becomes a copy; one further
// away keeps bytes of its own, and out_at is set.
void holey_snappy_compress(struct str text, struct hole *holes, size_t holes_n, struct buf *out);

#endif
