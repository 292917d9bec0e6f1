// A catalogue that loads is written again and loads as the same; a bad one is an error.
#include "engine/base/bits.h"
#include "engine/tsdb/catalogue_log.h"
#include "simd/simd.h"
#include "tests/fuzz/fuzz.h"

static void load(struct str bytes)
{
    struct catalogue_state s = {0}, again = {0};
    struct buf first = {0}, second = {0};
    size_t end = 0;
    struct errmsg e;
    if (catalogue_load(bytes, &s, &end, &e) == ERR_OK) {
        fuzz_must(end <= bytes.n);
        catalogue_put_checkpoint(&s, &first);
        fuzz_must(catalogue_load(buf_str(&first), &again, &end, &e) == ERR_OK && end == first.n);
        catalogue_put_checkpoint(&again, &second);
        fuzz_must(str_eq(buf_str(&first), buf_str(&second)));
    }
    buf_deinit(&first);
    buf_deinit(&second);
    catalogue_state_deinit(&s);
    catalogue_state_deinit(&again);
}

// The input as the items of records whose checksums are good, 200 bytes each.
static void load_items(struct str items)
{
    struct catalogue_state s = {.partitions = 4, .spread = 1, .next_id = 1, .seq = 1};
    struct buf log = {0};
    catalogue_put_checkpoint(&s, &log);
    while (items.n > 0) {
        const size_t n = items.n < 200 ? items.n : 200, at = log.n;
        buf_put_le32(&log, 0);
        buf_put_le32(&log, (uint32_t)n);
        buf_put_le64(&log, ++s.seq);
        buf_put(&log, items.p, n);
        store_le32(log.p + at, simd.crc32c(0, log.p + at + 4, 12 + n));
        items = str_from(items, n);
    }
    const struct str exact = fuzz_exact((const uint8_t *)log.p, log.n);
    load(exact);
    fuzz_release(exact);
    buf_deinit(&log);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    const struct str in = fuzz_exact(data + 1, size - 1);
    if (data[0] % 2)
        load_items(in);
    else
        load(in);
    fuzz_release(in);
    return 0;
}
