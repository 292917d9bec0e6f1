// The limit is exact, a failure leaves the buffer as it was, and what was unpacked packs again.
#include "protocol/gzip.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum { LIMIT = 1 << 16 };
    const struct str input = fuzz_exact(data, size);
    struct gzip_reader *r = gzip_reader_create();
    struct gzip_writer *w = gzip_writer_create(1);
    struct buf out = {0}, exact = {0}, packed = {0}, again = {0};
    buf_put_char(&out, 'x');
    if (gzip_decompress(r, input, LIMIT, &out, NULL) == ERR_OK) {
        const struct str plain = str_from(buf_str(&out), 1);
        fuzz_must(plain.n <= LIMIT);
        fuzz_must(gzip_decompress(r, input, plain.n, &exact, NULL) == ERR_OK);
        fuzz_must(str_eq(buf_str(&exact), plain));
        if (plain.n > 0)
            fuzz_must(gzip_decompress(r, input, plain.n - 1, &exact, NULL) == ERR_LIMIT &&
                      exact.n == plain.n);
    } else {
        fuzz_must(out.n == 1);
    }
    gzip_compress(w, input, &packed);
    fuzz_must(gzip_decompress(r, buf_str(&packed), input.n, &again, NULL) == ERR_OK);
    fuzz_must(str_eq(buf_str(&again), input));
    buf_deinit(&out);
    buf_deinit(&exact);
    buf_deinit(&packed);
    buf_deinit(&again);
    gzip_reader_destroy(r);
    gzip_writer_destroy(w);
    fuzz_release(input);
    return 0;
}
