#include <criterion/criterion.h>
#include <stdlib.h>

#include "engine/http/unpack.h"
#include "protocol/gzip.h"
#include "protocol/zstd_frames.h"
#include "tests/lib/findings.h"
#include "tests/lib/in_loop.h"

// Sizes on both sides of what is done at once, bodies that pack well and that do not.
static const struct {
    size_t n;
    unsigned values; // of a byte
} rows[] = {{0, 1},         {1, 2},         {1000, 256},   {100 << 10, 256}, {384 << 10, 1},
            {400 << 10, 1}, {513 << 10, 4}, {20 << 20, 1}, {3 << 20, 256},   {3 << 20, 10}};

struct world {
    struct findings f;
    struct gzip_reader *reader;
    struct gzip_writer *writer;
    struct zstd_reader *zstd;
};

enum packing { GZIP, ZSTD, PACKINGS };

static void make_body(struct buf *out, size_t n, unsigned values)
{
    uint32_t state = 12345;
    char *p = buf_reserve(out, n);
    for (size_t i = 0; i < n; i++) {
        state = state * 1664525 + 1013904223;
        p[i] = (char)((state >> 16) % values);
    }
    out->n += n;
}

static err unpack(struct world *w, enum packing packing, struct str in, size_t limit,
                  struct buf *out, struct errmsg *e)
{
    if (packing == GZIP)
        return unpack_gzip(w->reader, in, limit, out, e);
    return unpack_zstd(w->zstd, in, limit, out, e);
}

static void pack(struct world *w, enum packing packing, struct str in, struct buf *out)
{
    if (packing == GZIP)
        gzip_compress(w->writer, in, out);
    else
        zstd_compress(in, out);
}

static void check_row(struct world *w, size_t row, enum packing packing)
{
    struct buf plain = {0}, packed = {0}, out = {0};
    struct errmsg e = {""};
    make_body(&plain, rows[row].n, rows[row].values);
    pack(w, packing, buf_str(&plain), &packed);
    buf_put_str(&out, STR("before "));
    want(&w->f, unpack(w, packing, buf_str(&packed), plain.n, &out, &e) == ERR_OK, "%zu: %s", row,
         e.text);
    want(&w->f, str_eq(str_from(buf_str(&out), 7), buf_str(&plain)), "%zu", row);
    buf_reset(&out);
    if (plain.n > 0)
        want(&w->f, unpack(w, packing, buf_str(&packed), plain.n - 1, &out, &e) == ERR_LIMIT, "%zu",
             row);
    want(&w->f, out.n == 0);
    const struct str cut = str_until(buf_str(&packed), packed.n - 1);
    want(&w->f, unpack(w, packing, cut, plain.n, &out, &e) != ERR_OK, "%zu", row);
    want(&w->f, out.n == 0 && e.text[0]);
    // Told to end: small ones are done all the same, large ones are not begun.
    fiber_set_deadline(0);
    const err code = unpack(w, packing, buf_str(&packed), plain.n, &out, &e);
    fiber_set_deadline(INT64_MAX);
    want(&w->f, code == ERR_OK || (code == ERR_TIMEOUT && out.n == 0), "%zu: %d", row, code);
    want(&w->f, plain.n < (1 << 20) || code == ERR_TIMEOUT, "%zu", row);
    buf_deinit(&plain);
    buf_deinit(&packed);
    buf_deinit(&out);
}

static void check_all(void *arg)
{
    struct world *w = arg;
    w->reader = gzip_reader_create();
    w->writer = gzip_writer_create(1);
    w->zstd = zstd_reader_create();
    for (size_t i = 0; i < countof(rows); i++) {
        for (enum packing packing = GZIP; packing < PACKINGS; packing++)
            check_row(w, i, packing);
    }
    zstd_reader_destroy(w->zstd);
    gzip_reader_destroy(w->reader);
    gzip_writer_destroy(w->writer);
}

Test(unpack, sizes_and_limits)
{
    struct world w = {0};
    in_loop(IN_LOOP_POLL, check_all, &w);
    cr_assert_str_eq(w.f.text, "", "%s", w.f.text);
}
