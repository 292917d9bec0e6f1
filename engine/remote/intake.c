#include "engine/remote/intake.h"

#include <assert.h>

#include "engine/http/unpack.h"
#include "protocol/snappy_block.h"
#include "protocol/zstd_frames.h"
#include "simd/simd.h"

enum { SPARE_MAX = 4 << 20 }; // larger memory is given back

void intake_init(struct intake *in, uint64_t decoded_max)
{
    *in = (struct intake){.decoded_max = decoded_max, .zstd = zstd_reader_create()};
}

void intake_deinit(struct intake *in)
{
    assert(in->decoded_held == 0);
    zstd_reader_destroy(in->zstd);
    intake_shrink(in);
}

void intake_shrink(struct intake *in)
{
    while (in->spares_n)
        buf_deinit(&in->spares[--in->spares_n]);
}

static void answer_line(struct http_exchange *x, int status, const char *text) // Suspends.
{
    http_answer_text(x, status, arena_printf(x->arena, "%s\n", text).p);
}

bool intake_hold(struct intake *in, struct intake_body *body, uint64_t size)
{
    const uint64_t others = in->decoded_held - body->held;
    if (others > 0 && in->decoded_held + size > in->decoded_max)
        return false;
    in->decoded_held += size;
    body->held += size;
    return true;
}

// Nothing is decompressed yet.
static err begin_snappy(struct intake *in, struct str packed, struct intake_body *out,
                        struct errmsg *e)
{
    struct str elements;
    TRY(snappy_block_begin(packed, REMOTE_DECODED_MAX, &out->size, &elements, e));
    if (in->spares_n)
        out->bytes = in->spares[--in->spares_n];
    uint8_t *const at = (uint8_t *)buf_reserve(&out->bytes, out->size + SNAPPY_SLACK);
    const uint8_t *const p = (const uint8_t *)elements.p;
    out->snappy = (struct snappy_reader){p, p + elements.n, at, at, at + out->size};
    return ERR_OK;
}

static err unpack_all_zstd(struct intake *in, struct str packed, struct intake_body *out,
                           struct errmsg *e)
{
    TRY(unpack_zstd(in->zstd, packed, REMOTE_DECODED_MAX, &out->bytes, e));
    out->size = out->bytes.n;
    in->decoded_bytes += out->size;
    if (out->size < out->held) { // less is held once it is known how much it became
        in->decoded_held -= out->held - out->size;
        out->held = out->size;
    }
    return ERR_OK;
}

static size_t decoded_size(struct str packed, enum remote_encoding encoding)
{
    return encoding == REMOTE_ZSTD ? zstd_decoded_size(packed, REMOTE_DECODED_MAX)
                                   : snappy_block_decoded_size(packed, REMOTE_DECODED_MAX);
}

err intake_begin(struct intake *in, struct str packed, enum remote_encoding encoding,
                 struct intake_body *out, struct errmsg *e)
{
    return encoding == REMOTE_ZSTD ? unpack_all_zstd(in, packed, out, e)
                                   : begin_snappy(in, packed, out, e);
}

err intake_read(struct intake *in, struct http_exchange *x, enum remote_encoding encoding,
                struct intake_body *out)
{
    struct errmsg e;
    struct str body;
    *out = (struct intake_body){0};
    err code = http_read_body(x, REMOTE_BODY_MAX, &body, &e);
    if (code == ERR_CANCELED) // answered
        return code;
    if (code) {
        answer_line(x, code == ERR_LIMIT ? 413 : 400, e.text);
        return code;
    }
    in->bytes += body.n;
    if (!intake_hold(in, out, decoded_size(body, encoding))) {
        http_add_header(x, "Retry-After", STR("1"));
        http_answer_text(x, 503, "too many decoded bytes are held; try again later\n");
        return ERR_CANCELED;
    }
    code = intake_begin(in, body, encoding, out, &e);
    if (code == ERR_TIMEOUT || code == ERR_CANCELED) {
        http_add_header(x, "Retry-After", STR("1"));
        answer_line(x, 503, e.text);
        return ERR_CANCELED;
    }
    if (code) {
        answer_line(x, 400, e.text);
        return ERR_INVALID;
    }
    return ERR_OK;
}

err intake_unpack(struct intake *in, struct intake_body *body, size_t size, struct errmsg *e)
{
    struct snappy_reader *r = &body->snappy;
    const uint8_t *const before = r->at;
    if (!r->begin)
        return ERR_OK;
    const uint8_t *const until = size < body->size ? r->begin + size : r->end;
    if (!simd.snappy_decode(r, until) || r->at < until || (r->at == r->end && r->in < r->in_end))
        return err_set(e, ERR_INVALID, "snappy: corrupt input");
    body->bytes.n = (size_t)(r->at - r->begin);
    in->decoded_bytes += (uint64_t)(r->at - before);
    return ERR_OK;
}

void intake_release(struct intake *in, struct intake_body *body)
{
    in->decoded_held -= body->held;
    buf_reset(&body->bytes);
    if (body->bytes.p && body->bytes.capacity <= SPARE_MAX && in->spares_n < INTAKE_SPARES)
        in->spares[in->spares_n++] = body->bytes;
    else
        buf_deinit(&body->bytes);
    *body = (struct intake_body){0};
}
