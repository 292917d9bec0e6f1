#include "protocol/gzip.h"

#include <assert.h>
#include <libdeflate.h>
#include <limits.h>
#include <zlib.h>

#include "engine/base/bits.h"
#include "engine/base/mem.h"

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

// The header of a member (RFC 1952): libdeflate passes over its checksum, and does not tell one
// that is cut off from one that is none.
static err check_header(struct str in, struct errmsg *e)
{
    enum {
        FIXED = 10,
        HAS_CRC = 2,
        HAS_EXTRA = 4,
        HAS_NAME = 8,
        HAS_COMMENT = 16,
        RESERVED = 0xe0
    };
    static const unsigned char magic[] = {0x1f, 0x8b, 0x08};
    if (in.n < FIXED)
        return err_set(e, ERR_INVALID, in.n ? "unexpected EOF" : "EOF");
    const unsigned flags = (unsigned char)in.p[3];
    if (memcmp(in.p, magic, sizeof magic) != 0 || flags & RESERVED)
        return err_set(e, ERR_INVALID, "gzip: invalid header");
    size_t at = FIXED;
    bool is_cut = false;
    if (flags & HAS_EXTRA) {
        is_cut = in.n < at + 2;
        at += is_cut ? 0 : 2 + (size_t)load_le16(in.p + at);
    }
    for (unsigned flag = HAS_NAME; flag <= HAS_COMMENT; flag *= 2) {
        if (!(flags & flag) || is_cut || at >= in.n)
            continue;
        const ptrdiff_t end = str_find(in, '\0', at);
        is_cut = end == STR_NONE;
        at = is_cut ? at : (size_t)end + 1;
    }
    if (is_cut || at > in.n || (flags & HAS_CRC && in.n - at < 2))
        return err_set(e, ERR_INVALID, "unexpected EOF");
    if (flags & HAS_CRC && load_le16(in.p + at) != (libdeflate_crc32(0, in.p, at) & 0xffff))
        return err_set(e, ERR_INVALID, "gzip: invalid header");
    return ERR_OK;
}

// What a member becomes, found without keeping it: a bomb costs time up to room_max, and no memory.
// zlib also tells the end of what there is from what is broken, which libdeflate does not.
static err measure(struct str in, size_t room_max, size_t *out_size, struct errmsg *e)
{
    enum { GZIP_BITS = 15 + 16, PART = 32 * 1024 };
    z_stream z = {.next_in = (unsigned char *)(uintptr_t)in.p, // zlib only reads
                  .avail_in = in.n < UINT_MAX ? (unsigned)in.n : UINT_MAX};
    int code = inflateInit2(&z, GZIP_BITS);
    assert(code == Z_OK);
    unsigned char *part = mem_alloc(PART);
    do {
        z.next_out = part;
        z.avail_out = PART;
        code = inflate(&z, Z_NO_FLUSH);
    } while (code == Z_OK && z.avail_out == 0 && z.total_out <= room_max);
    const bool is_sum = code == Z_DATA_ERROR && z.msg && strstr(z.msg, "check");
    const uLong at = z.total_in, size = z.total_out;
    inflateEnd(&z);
    mem_free(part);
    if (size > room_max)
        return err_set(e, ERR_LIMIT, "gzip: decompressed size is above the limit");
    if (code == Z_OK || code == Z_BUF_ERROR)
        return err_set(e, ERR_INVALID, "unexpected EOF");
    if (is_sum)
        return err_set(e, ERR_INVALID, "gzip: invalid checksum");
    if (code != Z_STREAM_END)
        return err_set(e, ERR_INVALID, "flate: corrupt input before offset %lu", at);
    *out_size = size;
    return ERR_OK;
}

// One member: its bytes are added to out, *in loses what was read.
static err take_member(struct gzip_reader *r, struct str *in, size_t room_max, struct buf *out,
                       struct errmsg *e)
{
    TRY(check_header(*in, e));
    const size_t have = min_size(out->capacity - out->n, room_max);
    size_t room = guess_size(*in, room_max);
    room = room > have ? room : have;
    size_t used, written;
    enum libdeflate_result result = libdeflate_gzip_decompress_ex(
        decompressor(r), in->p, in->n, buf_reserve(out, room), room, &used, &written);
    if (result == LIBDEFLATE_INSUFFICIENT_SPACE) { // out grows only when it is known how much
        TRY(measure(*in, room_max, &room, e));
        result = libdeflate_gzip_decompress_ex(decompressor(r), in->p, in->n,
                                               buf_reserve(out, room), room, &used, &written);
    }
    if (result != LIBDEFLATE_SUCCESS) {
        TRY(measure(*in, room_max, &room, e));
        return err_set(e, ERR_INVALID, "flate: corrupt input before offset %zu", in->n);
    }
    out->n += written;
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
