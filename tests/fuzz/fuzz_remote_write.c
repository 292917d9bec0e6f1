// The input as a WriteRequest, and as the snappy block of one. What is written from a request that
// was accepted reads back as the same series, and is its own second writing. Every version of the
// decoder of snappy makes of the block what libsnappy makes of it.
#include <snappy-c.h>

#include "engine/base/buf.h"
#include "engine/base/util.h"
#include "protocol/remote_write.h"
#include "protocol/snappy_block.h"
#include "simd/simd.h"
#include "tests/fuzz/fuzz.h"
#include "tests/lib/pb_put.h"

static void put_series(const struct remote_write_series *s, struct buf *out)
{
    struct buf series = {0}, item = {0};
    struct str name, value;
    uint32_t labels = 0, samples = 0;
    for (struct remote_write_labels i = remote_write_labels(s);
         remote_write_labels_next(&i, &name, &value); labels++) {
        buf_reset(&item);
        pb_put_bytes(&item, 1, name);
        pb_put_bytes(&item, 2, value);
        pb_put_bytes(&series, 1, buf_str(&item));
    }
    struct remote_write_sample sample;
    for (struct remote_write_samples i = remote_write_samples(s);
         remote_write_samples_next(&i, &sample); samples++) {
        buf_reset(&item);
        buf_put_char(&item, 1 << 3 | 1);
        buf_put_le64(&item, sample.bits);
        buf_put_char(&item, 2 << 3);
        buf_put_varint(&item, (uint64_t)sample.time_ms);
        pb_put_bytes(&series, 2, buf_str(&item));
    }
    fuzz_must(labels == s->labels_count && samples == s->samples_count);
    pb_put_bytes(out, 1, buf_str(&series));
    buf_deinit(&series);
    buf_deinit(&item);
}

// The series of a request written anew; false when it is refused.
static bool rewrite(struct str request, struct buf *out)
{
    struct remote_write w;
    struct remote_write_series s;
    struct errmsg e;
    remote_write_init(&w, request);
    for (bool more = true;;) {
        if (remote_write_next(&w, &s, &more, &e) != ERR_OK)
            return false;
        if (!more)
            return true;
        put_series(&s, out);
    }
}

static void check_request(struct str request)
{
    struct buf once = {0}, twice = {0};
    if (rewrite(request, &once)) {
        fuzz_must(rewrite(buf_str(&once), &twice));
        fuzz_must(str_eq(buf_str(&once), buf_str(&twice)));
    }
    buf_deinit(&once);
    buf_deinit(&twice);
}

static void check_snappy(struct str block, size_t limit)
{
    static const uint32_t rungs[] = {SIMD_C, SIMD_SSE42, SIMD_ALL};
    const struct simd_ops before = simd;
    struct buf wanted = {0}, got = {0};
    size_t n = 0;
    bool is_good = snappy_uncompressed_length(block.p, block.n, &n) == SNAPPY_OK;
    if (is_good && n > limit)
        return;
    if (is_good)
        is_good = snappy_uncompress(block.p, block.n, buf_reserve(&wanted, n + 1), &n) == SNAPPY_OK;
    for (size_t i = 0; i < countof(rungs); i++) {
        simd_init(rungs[i]);
        buf_reset(&got);
        fuzz_must((snappy_block_decompress(block, limit, &got, NULL) == ERR_OK) == is_good);
        fuzz_must(!is_good || str_eq(buf_str(&got), str_make(wanted.p, n)));
    }
    simd = before;
    buf_deinit(&wanted);
    buf_deinit(&got);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum { LIMIT = 1 << 16 };
    const struct str input = fuzz_exact(data, size);
    struct buf plain = {0}, packed = {0}, again = {0};
    check_request(input);
    check_snappy(input, LIMIT);
    if (snappy_block_decompress(input, LIMIT, &plain, NULL) == ERR_OK) {
        fuzz_must(plain.n <= LIMIT);
        check_request(buf_str(&plain));
    }
    snappy_block_compress(input, &packed);
    fuzz_must(snappy_block_decompress(buf_str(&packed), input.n, &again, NULL) == ERR_OK);
    fuzz_must(str_eq(buf_str(&again), input));
    buf_deinit(&plain);
    buf_deinit(&packed);
    buf_deinit(&again);
    fuzz_release(input);
    return 0;
}
