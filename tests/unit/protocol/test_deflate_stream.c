// What the writer compresses, zlib itself reads back.
#include "protocol/deflate_stream.h"

#include <criterion/criterion.h>
#include <zlib.h>

#include "engine/base/rng.h"

static void read_back(struct str packed, int bits, struct str wanted)
{
    z_stream z = {.next_in = (unsigned char *)(uintptr_t)packed.p, .avail_in = (unsigned)packed.n};
    struct buf out = {0};
    cr_assert_eq(inflateInit2(&z, bits), Z_OK);
    z.next_out = (unsigned char *)buf_reserve(&out, wanted.n + 1);
    z.avail_out = (unsigned)wanted.n + 1;
    cr_assert_eq(inflate(&z, Z_FINISH), Z_STREAM_END);
    cr_assert_eq(z.avail_in, 0);
    cr_assert_eq(z.total_out, wanted.n);
    cr_assert(str_eq(str_make(out.p, wanted.n), wanted));
    inflateEnd(&z);
    buf_deinit(&out);
}

Test(deflate_stream, reads_back)
{
    struct rng rng;
    rng_init(&rng, 5);
    for (int round = 0; round < 60; round++) {
        const bool gzip = round % 2;
        struct deflate_stream *s = deflate_stream_create(gzip ? DEFLATE_GZIP : DEFLATE_ZLIB);
        struct buf plain = {0}, packed = {0};
        const uint64_t parts = rng_below(&rng, 6);
        for (uint64_t i = 0; i < parts; i++) {
            const size_t start = plain.n, n = rng_below(&rng, 60000);
            for (size_t k = 0; k < n; k++)
                buf_put_char(&plain, (char)rng_below(&rng, round % 3 ? 256 : 3));
            deflate_stream_write(s, str_make(plain.p + start, n), false, &packed);
        }
        deflate_stream_write(s, (struct str){0}, true, &packed);
        deflate_stream_destroy(s);
        read_back(buf_str(&packed), gzip ? 15 + 16 : 15, buf_str(&plain));
        buf_deinit(&plain);
        buf_deinit(&packed);
    }
    deflate_stream_destroy(NULL);
}
