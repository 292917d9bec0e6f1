// A column of any bytes is refused or decodes to the same bits with every set of kernels, and what
// it decoded to encodes to a column that does too. Any bits encode and come back.
#include "engine/base/bits.h"
#include "engine/base/util.h"
#include "engine/tsdb/column.h"
#include "simd/simd.h"
#include "tests/fuzz/fuzz.h"

static const uint32_t masks[] = {SIMD_C, SIMD_SSE42, SIMD_ALL};

// Decodes with each set of kernels; false: refused, by all of them.
static bool decode(struct str column, size_t n, bool times, uint64_t *out)
{
    bool good[countof(masks)];
    uint64_t got[COLUMN_MAX + COLUMN_PAD] = {0};
    for (size_t i = 0; i < countof(masks); i++) {
        const uint8_t *p = (const uint8_t *)column.p;
        simd_init(masks[i]);
        good[i] = times ? column_decode_times(p, column.n, n, (int64_t *)(void *)got)
                        : column_decode_values(p, column.n, n, (double *)(void *)got);
        fuzz_must(good[i] == good[0]);
        if (!good[i])
            continue;
        if (i > 0)
            fuzz_must(memcmp(got, out, n * sizeof *out) == 0);
        memcpy(out, got, n * sizeof *out);
    }
    return good[0];
}

static void comes_back(const uint64_t *values, size_t n, bool times)
{
    uint8_t column[COLUMN_BYTES_MAX];
    uint64_t again[COLUMN_MAX];
    const size_t size = times
                            ? column_encode_times((const int64_t *)(const void *)values, n, column)
                            : column_encode_values(values, n, column);
    fuzz_must(size <= 8 * n + 32);
    const struct str exact = fuzz_exact(column, size);
    fuzz_must(decode(exact, n, times, again));
    fuzz_must(memcmp(values, again, n * sizeof *values) == 0);
    fuzz_release(exact);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint64_t values[COLUMN_MAX];
    if (size < 2)
        return 0;
    const size_t n = load_le16(data) % COLUMN_MAX + 1;
    const bool times = data[1] & 0x80;
    const struct str input = fuzz_exact(data + 2, size - 2);
    if (decode(input, n, times, values))
        comes_back(values, n, times);
    const size_t count = input.n / 8 < COLUMN_MAX ? input.n / 8 : COLUMN_MAX;
    if (count) {
        memcpy(values, input.p, count * 8);
        comes_back(values, count, times);
    }
    fuzz_release(input);
    return 0;
}
