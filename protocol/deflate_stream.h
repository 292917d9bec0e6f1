// Compression of a body that is written in parts: gzip or zlib format, by zlib.
#ifndef PROTOCOL_DEFLATE_STREAM_H
#define PROTOCOL_DEFLATE_STREAM_H

#include "engine/base/buf.h"

enum deflate_format { DEFLATE_GZIP, DEFLATE_ZLIB };

struct deflate_stream;
struct deflate_stream *deflate_stream_create(enum deflate_format format);
void deflate_stream_destroy(struct deflate_stream *s); // NULL is accepted
// Appends what part compresses to, so far; with end, all that is left and the trailer.
void deflate_stream_write(struct deflate_stream *s, struct str part, bool end, struct buf *out);

#endif
