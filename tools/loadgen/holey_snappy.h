// Snappy blocks whose marked bytes can be changed afterwards: a block has no checksum, so what lies
// in it as a literal is patched in place, and copies of it follow by themselves.
#ifndef TOOLS_LOADGEN_HOLEY_SNAPPY_H
#define TOOLS_LOADGEN_HOLEY_SNAPPY_H

#include "tools/loadgen/holey_match.h"

// Appends text compressed; holes as holey_match() has them.
void holey_snappy_compress(struct str text, struct hole *holes, size_t holes_n, struct buf *out);

#endif
