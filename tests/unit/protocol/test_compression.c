// Gzip and snappy: round trips, other implementations' output, limits, damage.
#include <criterion/criterion.h>

#include "engine/base/rng.h"
#include "engine/base/util.h"
#include "protocol/gzip.h"
#include "protocol/snappy_block.h"

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
