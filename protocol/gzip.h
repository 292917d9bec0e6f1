// Gzip (RFC 1952) of bodies that are in memory.
#ifndef PROTOCOL_GZIP_H
#define PROTOCOL_GZIP_H

#include "engine/base/buf.h"
#include "engine/base/err.h"

// The working memory of decompression; one a shard.
struct gzip_reader;
struct gzip_reader *gzip_reader_create(void);
void gzip_reader_destroy(struct gzip_reader *r);
// Appends what all members of in decompress to. ERR_LIMIT: that would be more than limit bytes; no
// more are ever written. ERR_INVALID: not gzip, cut off, a wrong checksum, or something behind the
// last member. On failure out holds what it held.
err gzip_decompress(struct gzip_reader *r, struct str in, size_t limit, struct buf *out,
                    struct errmsg *e);

// The working memory of compression at one level (1 fast to 12 small); one a shard.
struct gzip_writer;
struct gzip_writer *gzip_writer_create(int level);
void gzip_writer_destroy(struct gzip_writer *w);
void gzip_compress(struct gzip_writer *w, struct str in, struct buf *out); // appends one member

#endif
