// The codec of a column of histograms that have one layout: a column of each of their cells.
//
// Every bit comes back. The layout and the number of histograms are kept by who stores the column.
#ifndef ENGINE_TSDB_HISTOGRAM_COLUMN_H
#define ENGINE_TSDB_HISTOGRAM_COLUMN_H

#include "engine/base/arena.h"
#include "engine/base/buf.h"
#include "engine/base/err.h"

// How many histograms of this layout a column has at most: it is at least 1, at most COLUMN_MAX; 0:
// these bytes are no layout.
size_t histogram_column_max(struct str layout);
// Appends the column of packed[0..n), whose layouts are equal.
void histogram_column_encode(const struct str *packed, size_t n, struct buf *out);
// Histograms [from, end) of a column of n, into out, in the arena. ERR_CORRUPT: p is no such
// column; ERR_LIMIT: the arena's.
err histogram_column_decode(struct str p, struct str layout, size_t n, size_t from, size_t end,
                            struct arena *a, struct str *out);

#endif
