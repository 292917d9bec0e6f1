#include "engine/remote/intake.h"

#include <assert.h>

#include "engine/http/unpack.h"
#include "protocol/snappy_block.h"
#include "protocol/zstd_frames.h"

void intake_init(struct intake *in, uint64_t decoded_max)
{
    *in = (struct intake){.decoded_max = decoded_max, .zstd = zstd_reader_create()};
}

void intake_deinit(struct intake *in)
{
    assert(in->decoded_held == 0);
    zstd_reader_destroy(in->zstd);
}

static void answer_line(struct http_exchange *x, int status, const char *text) // Suspends.
{
    http_answer_text(x, status, arena_printf(x->arena, "%s\n", text).p);
}

static bool hold(struct intake *in, uint64_t size, struct intake_body *out)
{
    if (in->decoded_held > 0 && in->decoded_held + size > in->decoded_max) {
        in->refused++;
        return false;
    }
    in->decoded_held += size;
    out->held = size;
    return true;
}

// Less is held once it is known how much it became.
static void settle(struct intake *in, struct intake_body *body)
{
    if (body->bytes.n < body->held) {
        in->decoded_held -= body->held - body->bytes.n;
        body->held = body->bytes.n;
    }
}

bool intake_read(struct intake *in, struct http_exchange *x, enum remote_encoding encoding,
                 struct intake_body *out)
{
    struct errmsg e;
    struct str body;
    *out = (struct intake_body){0};
    err code = http_read_body(x, REMOTE_BODY_MAX, &body, &e);
    if (code == ERR_CANCELED)
        return false;
    if (code) {
        answer_line(x, code == ERR_LIMIT ? 413 : 400, e.text);
        return false;
    }
    in->bytes += body.n;
    const bool is_zstd = encoding == REMOTE_ZSTD;
    if (!hold(in,
              is_zstd ? zstd_decoded_size(body, REMOTE_DECODED_MAX)
                      : snappy_block_decoded_size(body, REMOTE_DECODED_MAX),
              out)) {
        http_add_header(x, "Retry-After", STR("1"));
        http_answer_text(x, 503, "too many decoded bytes are held; try again later\n");
        return false;
    }
    code = is_zstd ? unpack_zstd(in->zstd, body, REMOTE_DECODED_MAX, &out->bytes, &e)
                   : unpack_snappy(body, REMOTE_DECODED_MAX, &out->bytes, &e);
    settle(in, out);
    if (code == ERR_TIMEOUT || code == ERR_CANCELED) {
        http_add_header(x, "Retry-After", STR("1"));
        answer_line(x, 503, e.text);
    } else if (code) {
        answer_line(x, 400, e.text);
    }
    in->decoded_bytes += out->bytes.n;
    return code == ERR_OK;
}

void intake_release(struct intake *in, struct intake_body *body)
{
    in->decoded_held -= body->held;
    buf_deinit(&body->bytes);
    body->held = 0;
}
