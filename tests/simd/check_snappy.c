#include <snappy-c.h>
#include <string.h>

#include "simd/simd.h"
#include "tests/simd/check.h"

enum { LENGTHS = 400, SIZE = 1 << 18, DAMAGES = 400, SLACK_MARK = 0xa5 };

// Text that repeats itself from near and far, as labels do.
static void make_text(char *p, size_t n)
{
    for (size_t at = 0; at < n;) {
        size_t run = 1 + check_random() % 90;
        run = run < n - at ? run : n - at;
        if (at > 0 && check_random() % 4) {
            const size_t reach = check_random() % 8 ? at : at < 20 ? at : 20;
            const size_t offset = 1 + check_random() % reach;
            for (size_t i = 0; i < run; i++)
                p[at + i] = p[at + i - offset];
        } else {
            for (size_t i = 0; i < run; i++)
                p[at + i] = (char)check_random();
        }
        at += run;
    }
}

// Decodes in steps of this size into a block that ends with the slack.
static bool decode(snappy_decode_fn *f, const uint8_t *in, size_t in_n, uint8_t *out, size_t n,
                   size_t step)
{
    struct snappy_reader r = {in, in + in_n, out, out, out + n};
    for (uint8_t *until = out; r.at < r.end && r.in < r.in_end;) {
        until = (size_t)(r.end - r.at) > step ? r.at + step : r.end;
        if (!f(&r, until))
            return false;
        if (r.at < until && r.in < r.in_end)
            check_fail("stopped before %zu", step);
    }
    return r.at == r.end && r.in == r.in_end;
}

static const uint8_t *elements_of(const uint8_t *packed, size_t *n)
{
    size_t header = 0;
    while (packed[header++] & 0x80)
        continue;
    *n -= header;
    return packed + header;
}

// libsnappy is the judge of what is valid and what it becomes.
static void compare(snappy_decode_fn *now, const char *text, size_t n, unsigned damages)
{
    size_t packed_n = snappy_max_compressed_length(n);
    uint8_t *scratch = check_bytes(packed_n);
    if (snappy_compress(text, n, (char *)scratch, &packed_n) != SNAPPY_OK)
        check_fail("not compressed");
    uint8_t *packed = check_bytes(packed_n);
    memcpy(packed, scratch, packed_n);
    char *want = (char *)check_bytes(n);
    uint8_t *out = check_bytes(n + SNAPPY_SLACK);
    size_t elements_n = packed_n;
    const uint8_t *elements = elements_of(packed, &elements_n);
    for (unsigned i = 0; i <= damages; i++) {
        const size_t at = elements_n ? check_random() % elements_n : 0;
        const uint8_t flip = (uint8_t)(i ? 1 << check_random() % 8 : 0);
        if (elements_n)
            packed[(size_t)(elements - packed) + at] ^= flip;
        size_t want_n = n;
        const bool valid = snappy_uncompress((char *)packed, packed_n, want, &want_n) == SNAPPY_OK;
        const bool got = decode(now, elements, elements_n, out, n, 1 + check_random() % (n + 1));
        if (got != valid || (got && memcmp(out, want, n)))
            check_fail("n %zu, damage %u at %zu: got %d, want %d", n, flip, at, got, valid);
        if (elements_n)
            packed[(size_t)(elements - packed) + at] ^= flip;
    }
    check_release();
}

static void time_decode(snappy_decode_fn *now)
{
    char *text = (char *)check_bytes(SIZE);
    make_text(text, SIZE);
    size_t n = snappy_max_compressed_length(SIZE);
    uint8_t *packed = check_bytes(n), *out = check_bytes(SIZE + SNAPPY_SLACK);
    if (snappy_compress(text, SIZE, (char *)packed, &n) != SNAPPY_OK)
        check_fail("not compressed");
    const uint8_t *elements = elements_of(packed, &n);
    volatile bool sink = false;
    for (struct check_timer t = check_timed(SIZE); check_more(&t);)
        sink = decode(now, elements, n, out, SIZE, SIZE);
    (void)sink;
    check_release();
}

void check_snappy(void)
{
    if (!check_func((any_fn *)simd.snappy_decode, "snappy_decode"))
        return;
    static char text[SIZE];
    for (size_t n = 0; n <= LENGTHS; n++) {
        make_text(text, n);
        compare(simd.snappy_decode, text, n, 8);
    }
    for (size_t n = 4000; n <= SIZE; n *= 4) {
        make_text(text, n);
        compare(simd.snappy_decode, text, n, DAMAGES);
    }
    time_decode(simd.snappy_decode);
}
