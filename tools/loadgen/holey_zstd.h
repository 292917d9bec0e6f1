// The same as holey_snappy.h for zstd: a frame without a checksum whose literals are not
// compressed.
#ifndef TOOLS_LOADGEN_HOLEY_ZSTD_H
#define TOOLS_LOADGEN_HOLEY_ZSTD_H

#include "tools/loadgen/holey_match.h"

// Appends text compressed; holes as holey_match() has them.
void holey_zstd_compress(struct str text, struct hole *holes, size_t holes_n, struct buf *out);

#endif
