// Histograms in the log: their layouts are written once in a while, and named in between. The
// encoder and the decoder of a segment keep the same table.
#ifndef ENGINE_TSDB_WAL_LAYOUTS_H
#define ENGINE_TSDB_WAL_LAYOUTS_H

#include "engine/base/buf.h"

enum {
    WAL_LAYOUTS = 4096,         // places in the table
    WAL_LAYOUT_KEPT_MAX = 4096, // bytes; larger ones are written each time
    WAL_LAYOUT_USES = 256,      // then it is written again: what a lost record costs ends there
    WAL_HISTOGRAM_BYTES_MAX = 1 << 20, // in a record
};

struct wal_layout {
    uint64_t seq; // of the record that has it; 0: the place is empty
    uint32_t n, capacity, uses;
    char *bytes;
};

struct wal_layouts { // zeroed is empty
    struct wal_layout *places;
};

void wal_layouts_reset(struct wal_layouts *l); // a segment begins
void wal_layouts_deinit(struct wal_layouts *l);

// Appends a packed histogram, for record seq.
void wal_layouts_put(struct wal_layouts *l, uint64_t seq, struct str packed, struct buf *out);
// Takes one from p, which moves; appends its packed form. False: it makes no sense. Nothing is
// appended where its layout stood in a record that was lost.
bool wal_layouts_take(struct wal_layouts *l, uint64_t seq, const uint8_t **p, const uint8_t *end,
                      struct buf *out);

#endif
