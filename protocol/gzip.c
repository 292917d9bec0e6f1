#include "protocol/gzip.h"

#include <assert.h>
#include <libdeflate.h>

#include "engine/base/bits.h"
#include "engine/base/mem.h"

enum { GROWTH = 4 };

// The handles are libdeflate's own objects under our names.
static struct libdeflate_decompressor *decompressor(struct gzip_reader *r)
{
    return (struct libdeflate_decompressor *)(void *)r;
}

static struct libdeflate_compressor *compressor(struct gzip_writer *w)
{
    return (struct libdeflate_compressor *)(void *)w;
}

struct gzip_reader *gzip_reader_create(void)
{
    struct libdeflate_decompressor *const d = libdeflate_alloc_decompressor();
    assert(d);
    return (struct gzip_reader *)(void *)d;
}

void gzip_reader_destroy(struct gzip_reader *r)
{
    if (r)
        libdeflate_free_decompressor(decompressor(r));
}

struct gzip_writer *gzip_writer_create(int level)
{
    struct libdeflate_compressor *const c = libdeflate_alloc_compressor(level);
    assert(c);
    return (struct gzip_writer *)(void *)c;
}

void gzip_writer_destroy(struct gzip_writer *w)
{
    if (w)
        libdeflate_free_compressor(compressor(w));
}

static size_t min_size(size_t a, size_t b)
{
    return a < b ? a : b;
}

// How much room to begin with: what the last member says of itself (a hint only: the sender wrote
// it), within what so many bytes can become.
static size_t guess_size(struct str in, size_t room_max)
{
    enum { TRAILER_SIZE = 4, RATIO_MAX = 1032, RATIO_USUAL = 8 };
    size_t most;
    if (__builtin_mul_overflow(in.n, (size_t)RATIO_MAX, &most))
        most = SIZE_MAX;
    const size_t said = in.n < TRAILER_SIZE ? 0 : load_le32(in.p + in.n - TRAILER_SIZE);
    const size_t usual = min_size(in.n, SIZE_MAX / RATIO_USUAL) * RATIO_USUAL;
    const bool is_likely = said > in.n / 2 && said < usual * 4;
    return min_size(min_size(is_likely ? said : usual, most), room_max);
}

// One member: its bytes are added to out, *in loses what was read.
static err take_member(struct gzip_reader *r, struct str *in, size_t room_max, struct buf *out,
                       struct errmsg *e)
{
    static const unsigned char magic[] = {0x1f, 0x8b, 0x08};
    if (in->n < sizeof magic || memcmp(in->p, magic, sizeof magic) != 0)
        return err_set(e, ERR_INVALID, "gzip: invalid header");
    const size_t have = min_size(out->capacity - out->n, room_max);
    size_t room = guess_size(*in, room_max);
    room = room > have ? room : have;
    size_t used, written;
    char *at = buf_reserve(out, room);
    enum libdeflate_result result =
        libdeflate_gzip_decompress_ex(decompressor(r), in->p, in->n, at, room, &used, &written);
    if (result == LIBDEFLATE_SUCCESS)
        out->n += written;
    // What was guessed too small is tried elsewhere, in steps that cost a bomb little: out grows
    // only when it is known how much.
    while (result == LIBDEFLATE_INSUFFICIENT_SPACE && room < room_max) {
        room = room > room_max / GROWTH ? room_max : room ? GROWTH * room : 1;
        at = mem_alloc(room);
        result =
            libdeflate_gzip_decompress_ex(decompressor(r), in->p, in->n, at, room, &used, &written);
        if (result == LIBDEFLATE_SUCCESS)
            buf_put_str(out, str_make(at, written));
        mem_free(at);
    }
    if (result == LIBDEFLATE_INSUFFICIENT_SPACE)
        return err_set(e, ERR_LIMIT, "gzip: decompressed size is above the limit");
    if (result != LIBDEFLATE_SUCCESS)
        return err_set(e, ERR_INVALID, "gzip: corrupt input");
    *in = str_from(*in, used);
    return ERR_OK;
}

err gzip_decompress(struct gzip_reader *r, struct str in, size_t limit, struct buf *out,
                    struct errmsg *e)
{
    const size_t before = out->n;
    do {
        const err code = take_member(r, &in, limit - (out->n - before), out, e);
        if (code != ERR_OK) {
            out->n = before;
            return code;
        }
    } while (in.n > 0);
    return ERR_OK;
}

void gzip_compress(struct gzip_writer *w, struct str in, struct buf *out)
{
    const size_t bound = libdeflate_gzip_compress_bound(compressor(w), in.n);
    char *const at = buf_reserve(out, bound);
    const size_t n = libdeflate_gzip_compress(compressor(w), in.p, in.n, at, bound);
    assert(n > 0);
    out->n += n;
}
