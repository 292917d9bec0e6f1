#include "protocol/deflate_stream.h"

#include <assert.h>
#include <limits.h>
#include <zlib.h>

#include "engine/base/mem.h"

enum { LEVEL = 1, WINDOW_BITS = 15, GZIP_BITS = 16, MEMORY_LEVEL = 8, ROOM = 16 * 1024 };

struct deflate_stream {
    z_stream z;
};

struct deflate_stream *deflate_stream_create(enum deflate_format format)
{
    struct deflate_stream *s = mem_zalloc(sizeof *s);
    const int bits = WINDOW_BITS + (format == DEFLATE_GZIP ? GZIP_BITS : 0);
    const int code = deflateInit2(&s->z, LEVEL, Z_DEFLATED, bits, MEMORY_LEVEL, Z_DEFAULT_STRATEGY);
    assert(code == Z_OK);
    return s;
}

void deflate_stream_destroy(struct deflate_stream *s)
{
    if (!s)
        return;
    deflateEnd(&s->z);
    mem_free(s);
}

void deflate_stream_write(struct deflate_stream *s, struct str part, bool end, struct buf *out)
{
    assert(part.n <= UINT_MAX);
    s->z.next_in = (unsigned char *)(uintptr_t)part.p; // zlib's field is not const; it only reads
    s->z.avail_in = (unsigned)part.n;
    int code;
    do {
        s->z.next_out = (unsigned char *)buf_reserve(out, ROOM);
        s->z.avail_out = ROOM;
        code = deflate(&s->z, end ? Z_FINISH : Z_NO_FLUSH);
        assert(code == Z_OK || code == Z_STREAM_END || code == Z_BUF_ERROR);
        out->n += ROOM - s->z.avail_out;
    } while (s->z.avail_out == 0 || (end && code != Z_STREAM_END));
}
