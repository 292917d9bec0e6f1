// Gzip, snappy and zstd: round trips, other implementations' output, limits, damage.
#include <criterion/criterion.h>

#include "engine/base/rng.h"
#include "engine/base/util.h"
#include "protocol/gzip.h"
#include "protocol/snappy_block.h"
#include "protocol/zstd_frames.h"

static const char text[] = "up{job=\"a\"} 1\nup{job=\"b\"} 1\nup{job=\"c\"} 1\n";

static struct buf pattern(size_t n)
{
    struct buf b = {0};
    while (b.n < n)
        buf_put(&b, text, sizeof text - 1);
    b.n = n;
    return b;
}

Test(gzip, round_trip_and_exact_limit)
{
    static const size_t sizes[] = {0, 1, 100, 4096, 100000, 3000000};
    struct gzip_reader *r = gzip_reader_create();
    for (int level = 1; level <= 9; level += 4) {
        struct gzip_writer *w = gzip_writer_create(level);
        for (size_t i = 0; i < countof(sizes); i++) {
            struct buf plain = pattern(sizes[i]), packed = {0}, out = {0};
            gzip_compress(w, buf_str(&plain), &packed);
            buf_put_str(&out, STR("before"));
            cr_assert_eq(gzip_decompress(r, buf_str(&packed), plain.n, &out, NULL), ERR_OK);
            cr_assert(str_eq(str_from(buf_str(&out), 6), buf_str(&plain)), "%zu", sizes[i]);
            if (sizes[i] > 0) {
                struct errmsg e;
                const size_t before = out.n;
                cr_assert_eq(gzip_decompress(r, buf_str(&packed), plain.n - 1, &out, &e),
                             ERR_LIMIT);
                cr_assert_str_eq(e.text, "gzip: decompressed size is above the limit");
                cr_assert_eq(out.n, before);
            }
            buf_deinit(&plain);
            buf_deinit(&packed);
            buf_deinit(&out);
        }
        gzip_writer_destroy(w);
    }
    gzip_reader_destroy(r);
}

Test(gzip, all_members)
{
    struct gzip_reader *r = gzip_reader_create();
    struct gzip_writer *w = gzip_writer_create(6);
    struct buf packed = {0}, out = {0};
    gzip_compress(w, STR("a 1\n"), &packed);
    gzip_compress(w, STR(""), &packed);
    gzip_compress(w, STR("b 2\n"), &packed);
    cr_assert_eq(gzip_decompress(r, buf_str(&packed), 8, &out, NULL), ERR_OK);
    cr_assert(str_eq(buf_str(&out), STR("a 1\nb 2\n")));
    buf_reset(&out);
    cr_assert_eq(gzip_decompress(r, buf_str(&packed), 7, &out, NULL), ERR_LIMIT);
    buf_put_char(&packed, 'x');
    struct errmsg e;
    cr_assert_eq(gzip_decompress(r, buf_str(&packed), 8, &out, &e), ERR_INVALID);
    cr_assert_str_eq(e.text, "unexpected EOF"); // it may be the beginning of a member
    buf_put_str(&packed, STR("ten and more"));
    cr_assert_eq(gzip_decompress(r, buf_str(&packed), 8, &out, &e), ERR_INVALID);
    cr_assert_str_eq(e.text, "gzip: invalid header");
    buf_deinit(&packed);
    buf_deinit(&out);
    gzip_writer_destroy(w);
    gzip_reader_destroy(r);
}

// printf 'up 1\n' | gzip -n
static const char from_gzip[] = "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\x2b\x2d\x50\x30\xe4\x02"
                                "\x00\x72\x90\xea\x82\x05\x00\x00\x00";

Test(gzip, damage)
{
    struct gzip_reader *r = gzip_reader_create();
    const struct str good = str_make(from_gzip, sizeof from_gzip - 1);
    struct buf out = {0};
    cr_assert_eq(gzip_decompress(r, good, 100, &out, NULL), ERR_OK);
    cr_assert(str_eq(buf_str(&out), STR("up 1\n")));
    for (size_t n = 0; n < good.n; n++)
        cr_assert_eq(gzip_decompress(r, str_until(good, n), 100, &out, NULL), ERR_INVALID, "%zu",
                     n);
    for (size_t i = 17; i < good.n; i++) { // checksum and size
        char copy[sizeof from_gzip];
        memcpy(copy, from_gzip, sizeof copy);
        copy[i] ^= 0x10;
        cr_assert_neq(gzip_decompress(r, str_make(copy, good.n), 100, &out, NULL), ERR_OK, "%zu",
                      i);
    }
    cr_assert_eq(out.n, 5);
    buf_deinit(&out);
    gzip_reader_destroy(r);
}

// Ten gigabytes in ten megabytes would be fatal: the limit decides, not the sender.
Test(gzip, bomb)
{
    struct gzip_reader *r = gzip_reader_create();
    struct gzip_writer *w = gzip_writer_create(9);
    struct buf zeros = {0}, packed = {0}, out = {0};
    const size_t n = 64 << 20;
    memset(buf_reserve(&zeros, n), 0, n);
    gzip_compress(w, str_make(zeros.p, n), &packed);
    cr_assert_lt(packed.n, n / 900);
    cr_assert_eq(gzip_decompress(r, buf_str(&packed), 1 << 20, &out, NULL), ERR_LIMIT);
    cr_assert_leq(out.capacity, 4 << 20);
    buf_deinit(&zeros);
    buf_deinit(&packed);
    buf_deinit(&out);
    gzip_writer_destroy(w);
    gzip_reader_destroy(r);
}

Test(snappy, round_trip_and_exact_limit)
{
    static const size_t sizes[] = {0, 1, 100, 4096, 100000, 3000000};
    for (size_t i = 0; i < countof(sizes); i++) {
        struct buf plain = pattern(sizes[i]), packed = {0}, out = {0};
        snappy_block_compress(buf_str(&plain), &packed);
        cr_assert_eq(snappy_block_decompress(buf_str(&packed), plain.n, &out, NULL), ERR_OK);
        cr_assert(str_eq(buf_str(&out), buf_str(&plain)));
        if (plain.n > 0)
            cr_assert_eq(snappy_block_decompress(buf_str(&packed), plain.n - 1, &out, NULL),
                         ERR_LIMIT);
        buf_deinit(&plain);
        buf_deinit(&packed);
        buf_deinit(&out);
    }
}

#define ROW(bytes, code)                   \
    {                                      \
        {(bytes), sizeof(bytes) - 1}, code \
    }
static const struct {
    struct str in;
    err code;
} snappy_rows[] = {
    ROW("\x03\x08"
        "abc",
        ERR_OK), // the format description: length 3, literal of 3
    ROW("\x08\x04"
        "ab\x15\x02",
        ERR_INVALID), // declares 8, gives 11
    ROW("\x0b\x04"
        "ab\x15\x02",
        ERR_OK),
    ROW("\x0b\x04"
        "ab\x15\x03",
        ERR_INVALID), // a copy from before the start
    ROW("", ERR_INVALID),
    ROW("\x80", ERR_INVALID),
    ROW("\x04\x08"
        "abc",
        ERR_INVALID),
    ROW("\x03\x08"
        "ab",
        ERR_INVALID),
    ROW("\xe8\x07\x00", ERR_LIMIT), // declares 1000 bytes
    ROW("\xff\xff\xff\xff\x0f\x00", ERR_LIMIT),
    ROW("\xff\xff\xff\xff\xff\x00", ERR_INVALID),
    ROW("\x63\x00", ERR_INVALID),
};

Test(snappy, rows)
{
    struct buf out = {0};
    for (size_t i = 0; i < countof(snappy_rows); i++) {
        const size_t before = out.n;
        cr_assert_eq(snappy_block_decompress(snappy_rows[i].in, 100, &out, NULL),
                     snappy_rows[i].code, "%zu", i);
        if (snappy_rows[i].code != ERR_OK)
            cr_assert_eq(out.n, before);
    }
    cr_assert(str_eq(buf_str(&out), STR("abc"
                                        "abababababa")),
              "%.*s", STR_ARG(buf_str(&out)));
    buf_deinit(&out);
}

Test(zstd, round_trip_and_exact_limit)
{
    static const size_t sizes[] = {0, 1, 100, 4096, 100000, 3000000};
    struct zstd_reader *r = zstd_reader_create();
    for (size_t i = 0; i < countof(sizes); i++) {
        struct buf plain = pattern(sizes[i]), packed = {0}, out = {0};
        zstd_compress(buf_str(&plain), &packed);
        buf_put_str(&out, STR("before"));
        cr_assert_eq(zstd_decompress(r, buf_str(&packed), plain.n, &out, NULL), ERR_OK);
        cr_assert(str_eq(str_from(buf_str(&out), 6), buf_str(&plain)), "%zu", sizes[i]);
        if (plain.n > 0) {
            struct errmsg e;
            const size_t before = out.n, capacity = out.capacity;
            cr_assert_eq(zstd_decompress(r, buf_str(&packed), plain.n - 1, &out, &e), ERR_LIMIT);
            cr_assert(strstr(e.text, "exceeds limit"), "%s", e.text);
            cr_assert(out.n == before && out.capacity == capacity);
        }
        buf_deinit(&plain);
        buf_deinit(&packed);
        buf_deinit(&out);
    }
    zstd_reader_destroy(r);
}

// Frames by hand, as RFC 8878 has them: magic number, what the header holds, size of the content,
// blocks (last | type << 1 | size << 3). UP and UP_SUM are what the zstd program writes of a pipe.
#define MAGIC "\x28\xb5\x2f\xfd"
#define UP MAGIC "\x00\x58\x29\x00\x00up 1\n"
#define UP_SUM MAGIC "\x04\x58\x29\x00\x00up 1\n\xa5\x09\x7b\x32"
#define SKIPPED "\x5a\x2a\x4d\x18\x03\x00\x00\x00xyz"
static const struct {
    struct str in;
    err code;
} zstd_rows[] = {
    ROW(UP, ERR_OK),
    ROW(UP_SUM, ERR_OK),
    ROW(UP SKIPPED UP_SUM SKIPPED, ERR_OK),
    ROW("", ERR_INVALID),
    ROW("\x28\xb5\x2f", ERR_INVALID),
    ROW("up 1\n", ERR_INVALID),
    ROW(UP "x", ERR_INVALID),
    ROW(UP "\x28\xb5", ERR_INVALID),
    ROW(MAGIC "\x04\x58\x29\x00\x00up 1\n\xa5\x09\x7b\x33", ERR_INVALID), // another checksum
    ROW(MAGIC "\x20\x05\x29\x00\x00up 1\n", ERR_OK),                      // says 5 bytes
    ROW(MAGIC "\x20\x06\x29\x00\x00up 1\n", ERR_INVALID),                 // 6
    ROW(MAGIC "\x20\x04\x29\x00\x00up 1\n", ERR_INVALID),                 // 4
    ROW(MAGIC "\x20\x64\x23\x03\x00x", ERR_OK),                           // 100 times x
    ROW(MAGIC "\x20\x65\x2b\x03\x00x", ERR_LIMIT),                        // 101 times
    ROW(MAGIC "\x00\x58\x2b\x03\x00x", ERR_LIMIT),              // 101 times, without having said so
    ROW(MAGIC "\x00\x58\x02\x00\x10x\x03\x00\x10x", ERR_LIMIT), // two blocks of 128 KiB
    ROW(MAGIC "\xe0\xff\xff\xff\xff\xff\xff\xff\x7f\x29\x00\x00up 1\n", ERR_INVALID),
    ROW(MAGIC "\xa0\x00\x00\x04\x00\x23\x03\x00x", ERR_LIMIT),      // says 256 KiB: it could
    ROW(MAGIC "\xa0\x00\x00\x00\x02\x23\x03\x00x", ERR_INVALID),    // 32 MiB: it could not
    ROW(MAGIC "\x21\x07\x05\x29\x00\x00up 1\n", ERR_INVALID),       // a dictionary we do not have
    ROW(MAGIC "\x20\x05\x2f\x00\x00up 1\n", ERR_INVALID),           // a block of the reserved type
    ROW("\x27\xb5\x2f\xfd\x00\x58\x29\x00\x00up 1\n", ERR_INVALID), // an early version's magic
};

Test(zstd, rows)
{
    struct zstd_reader *r = zstd_reader_create();
    struct buf out = {0};
    for (size_t i = 0; i < countof(zstd_rows); i++) {
        const size_t before = out.n;
        const struct str in = zstd_rows[i].in;
        cr_assert_eq(zstd_decompress(r, in, 100, &out, NULL), zstd_rows[i].code, "%zu", i);
        if (zstd_rows[i].code != ERR_OK)
            cr_assert_eq(out.n, before);
        for (size_t n = 0; i < 2 && n < in.n; n++)
            cr_assert_eq(zstd_decompress(r, str_until(in, n), 100, &out, NULL), ERR_INVALID, "%zu",
                         n);
    }
    cr_assert(str_has_prefix(buf_str(&out), STR("up 1\nup 1\nup 1\nup 1\nup 1\nxxx")));
    cr_assert_eq(out.n, 5 * 5 + 100);
    buf_deinit(&out);
    zstd_reader_destroy(r);
}

// Nothing but repeated bytes, whose frame does not say how many: the limit decides.
Test(zstd, bomb)
{
    struct zstd_reader *r = zstd_reader_create();
    struct buf packed = {0}, out = {0};
    buf_put(&packed, MAGIC "\x00\x58", 6);
    for (int i = 0; i < 100000; i++) // blocks of 128 KiB: 13 GB
        buf_put(&packed, "\x02\x00\x10x", 4);
    buf_put(&packed, "\x03\x00\x10x", 4);
    cr_assert_eq(zstd_decompress(r, buf_str(&packed), 1 << 20, &out, NULL), ERR_LIMIT);
    cr_assert_leq(out.capacity, 4 << 20);
    buf_deinit(&packed);
    buf_deinit(&out);
    zstd_reader_destroy(r);
}
