#include "protocol/zstd_frames.h"

#include <assert.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "engine/base/bits.h"

// A block takes three bytes at least and becomes this much at most.
enum { BLOCK_HEADER = 3, BLOCK_MAX = 128 * 1024, GROWTH = 4, RATIO_USUAL = 8, LEVEL = 3 };

// The handle is libzstd's own object under our name.
static ZSTD_DCtx *context(struct zstd_reader *r)
{
    return (ZSTD_DCtx *)(void *)r;
}

struct zstd_reader *zstd_reader_create(void)
{
    ZSTD_DCtx *const d = ZSTD_createDCtx();
    assert(d);
    return (struct zstd_reader *)(void *)d;
}

void zstd_reader_destroy(struct zstd_reader *r)
{
    ZSTD_freeDCtx(context(r));
}

static size_t min_size(size_t a, size_t b)
{
    return a < b ? a : b;
}

static err fail_corrupt(struct errmsg *e)
{
    return err_set(e, ERR_INVALID, "zstd: corrupt input");
}

// One frame: how long it is and what it says it becomes; what it can become bounds both.
struct frame {
    size_t size, most;
    size_t said; // at most `most`
    bool is_said;
};

// libzstd would also take what its early versions wrote: such input is refused here.
static err look_at_frame(struct str in, struct frame *out, struct errmsg *e)
{
    static const uint32_t magic = 0xfd2fb528, skipped = 0x184d2a50;
    if (in.n < 4 || (load_le32(in.p) != magic && (load_le32(in.p) & ~0xfu) != skipped))
        return err_set(e, ERR_INVALID, "zstd: invalid header");
    const size_t size = ZSTD_findFrameCompressedSize(in.p, in.n);
    const unsigned long long said = ZSTD_getFrameContentSize(in.p, in.n);
    if (ZSTD_isError(size) || said == ZSTD_CONTENTSIZE_ERROR)
        return fail_corrupt(e);
    *out = (struct frame){.size = size, .is_said = said != ZSTD_CONTENTSIZE_UNKNOWN};
    if (__builtin_mul_overflow(size / BLOCK_HEADER, (size_t)BLOCK_MAX, &out->most))
        out->most = SIZE_MAX;
    if (out->is_said && said > out->most)
        return fail_corrupt(e);
    out->said = out->is_said ? (size_t)said : 0;
    return ERR_OK;
}

static err fail_limit(size_t size, size_t limit, struct errmsg *e)
{
    return err_set(e, ERR_LIMIT, "zstd: decoded length %zu exceeds limit %zu", size, limit);
}

// Looks at all frames before anything is allocated: what they say they become must fit.
static err look(struct str in, size_t limit, struct errmsg *e)
{
    size_t sum = 0;
    do {
        struct frame frame;
        TRY(look_at_frame(in, &frame, e));
        if (__builtin_add_overflow(sum, frame.said, &sum) || sum > limit)
            return fail_limit(sum, limit, e);
        in = str_from(in, frame.size);
    } while (in.n > 0);
    return ERR_OK;
}

size_t zstd_decoded_size(struct str in, size_t limit)
{
    size_t sum = 0;
    do {
        struct frame frame;
        if (look_at_frame(in, &frame, NULL) != ERR_OK)
            return 0; // nothing will be decoded
        if (!frame.is_said || frame.said > limit - sum)
            return limit;
        sum += frame.said;
        in = str_from(in, frame.size);
    } while (in.n > 0);
    return sum;
}

// Appends what one frame becomes, limit bytes at most. One that does not say its size is tried with
// more and more room, in steps that cost a bomb little.
static err take_frame(struct zstd_reader *r, struct str in, const struct frame *frame, size_t limit,
                      struct buf *out, struct errmsg *e)
{
    const size_t most = min_size(frame->most, limit);
    size_t room = min_size(most, frame->is_said ? frame->said : RATIO_USUAL * in.n);
    for (;;) {
        char *const at = buf_reserve(out, room);
        const size_t n = ZSTD_decompressDCtx(context(r), at, room, in.p, in.n);
        if (!ZSTD_isError(n)) {
            out->n += n;
            return ERR_OK;
        }
        if (frame->is_said || ZSTD_getErrorCode(n) != ZSTD_error_dstSize_tooSmall)
            return fail_corrupt(e);
        if (room == most)
            return most < limit ? fail_corrupt(e) : fail_limit(limit + 1, limit, e);
        room = room > most / GROWTH ? most : room ? GROWTH * room : 1;
    }
}

err zstd_decompress(struct zstd_reader *r, struct str in, size_t limit, struct buf *out,
                    struct errmsg *e)
{
    const size_t before = out->n;
    TRY(look(in, limit, e));
    do {
        struct frame frame;
        err code = look_at_frame(in, &frame, e);
        if (code == ERR_OK)
            code =
                take_frame(r, str_until(in, frame.size), &frame, limit - (out->n - before), out, e);
        if (code != ERR_OK) {
            out->n = before;
            return code;
        }
        in = str_from(in, frame.size);
    } while (in.n > 0);
    return ERR_OK;
}

void zstd_compress(struct str in, struct buf *out)
{
    const size_t bound = ZSTD_compressBound(in.n);
    char *const at = buf_reserve(out, bound);
    const size_t n = ZSTD_compress(at, bound, in.p, in.n, LEVEL);
    assert(!ZSTD_isError(n));
    out->n += n;
}
