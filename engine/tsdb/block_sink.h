// The way of chunks into a block file: buffered, in sequence, each noted in its section's table.
// Used by block_writer.c alone.
#ifndef ENGINE_TSDB_BLOCK_SINK_H
#define ENGINE_TSDB_BLOCK_SINK_H

#include "engine/base/buf.h"
#include "engine/tsdb/block_format.h"
#include "io/file.h"

struct block_sink {
    struct file file;
    struct buf waiting; // not yet written
    uint64_t written;   // bytes in the file
    struct buf scratch; // of compression
    struct {
        struct block_chunk *chunks;
        size_t n, capacity;
        uint32_t items;
    } sections[BLOCK_SECTION_COUNT];
};

err block_sink_open(struct block_sink *s, const char *path, uint32_t tenant, uint32_t tier,
                    struct errmsg *e);        // Suspends.
void block_sink_deinit(struct block_sink *s); // closes the file. Suspends.

// Adds a chunk of the section's next items. ERR_LIMIT: it is too large. Suspends.
err block_sink_put(struct block_sink *s, enum block_section section, size_t items, struct str raw,
                   bool compress, struct errmsg *e);
// Tables and footer, then a sync. Sets summary->bytes. Suspends.
err block_sink_finish(struct block_sink *s, struct block_summary *summary, struct errmsg *e);

#endif
