#include "engine/tsdb/column_xor.h"

#include "engine/base/bits.h"
#include "engine/tsdb/column.h"

// The bits of a XOR between leading and trailing zeros.
struct window {
    unsigned trailing, width; // width 0: none yet
};

enum { CODE_BITS = 2, WINDOW_BITS = 12 };

static struct window window_of(uint64_t x)
{
    const unsigned trailing = (unsigned)__builtin_ctzll(x);
    return (struct window){trailing, bit_width(x) - trailing};
}

// Whether x is told in window w: it fits, and a window of its own would not save its description.
static bool fits(const struct window *w, uint64_t x)
{
    const struct window own = window_of(x);
    return w->width && own.trailing >= w->trailing &&
           own.trailing + own.width <= w->trailing + w->width &&
           w->width <= own.width + WINDOW_BITS;
}

size_t column_xor_size(const uint64_t *bits, size_t n)
{
    struct window w = {0};
    size_t size = 0;
    for (size_t i = 1; i < n; i++) {
        const uint64_t x = bits[i] ^ bits[i - 1];
        size++;
        if (!x)
            continue;
        if (!fits(&w, x)) {
            w = window_of(x);
            size += WINDOW_BITS;
        }
        size += 1 + w.width;
    }
    return 8 + (size + 7) / 8;
}

struct writer {
    uint8_t *at;
    uint64_t held;
    unsigned count; // of held bits, below 8
};

static void put_bits(struct writer *w, uint64_t v, unsigned width) // up to 56
{
    store_le64(w->at, w->held | v << w->count);
    w->count += width;
    w->at += w->count / 8;
    w->held = w->count % 8 ? *w->at & ((1u << w->count % 8) - 1) : 0;
    w->count %= 8;
}

uint8_t *column_xor_store(const uint64_t *bits, size_t n, uint8_t *at)
{
    struct writer out = {.at = at + 8};
    struct window w = {0};
    store_le64(at, bits[0]);
    for (size_t i = 1; i < n; i++) {
        const uint64_t x = bits[i] ^ bits[i - 1];
        if (!x) {
            put_bits(&out, 0, 1);
            continue;
        }
        if (fits(&w, x)) {
            put_bits(&out, 1, CODE_BITS);
        } else {
            w = window_of(x);
            put_bits(&out, 3 | w.trailing << CODE_BITS | (w.width - 1) << (CODE_BITS + 6),
                     CODE_BITS + WINDOW_BITS);
        }
        const uint64_t middle = x >> w.trailing;
        const unsigned low = w.width < 32 ? w.width : 32;
        put_bits(&out, middle & ((uint64_t)UINT32_MAX >> (32 - low)), low);
        put_bits(&out, middle >> (low - 1) >> 1, w.width - low);
    }
    return out.at + (out.count > 0);
}

// 57 bits from bit `at` on.
static inline uint64_t peek(const uint8_t *p, size_t at)
{
    return load_le64(p + at / 8) >> at % 8;
}

const uint8_t *column_xor_load(const uint8_t *at, const uint8_t *end, size_t n, uint64_t *bits)
{
    enum { SLACK = 16 }; // a value takes 78 bits at most, and a look 8 bytes from the last of them
    uint8_t padded[COLUMN_BYTES_MAX + SLACK];
    const size_t size = (size_t)(end - at);
    struct window w = {0};
    if (size < 8 || size > COLUMN_BYTES_MAX)
        return NULL;
    memcpy(padded, at, size);
    memset(padded + size, 0, SLACK);
    size_t bit = 64;
    uint64_t v = bits[0] = load_le64(padded);
    for (size_t i = 1; i < n; i++) {
        const uint64_t word = peek(padded, bit);
        if (!(word & 1)) {
            bit++;
        } else {
            bit += CODE_BITS;
            if (word & 2) {
                w = (struct window){word >> CODE_BITS & 63, (word >> (CODE_BITS + 6) & 63) + 1};
                bit += WINDOW_BITS;
            }
            if (w.trailing + w.width > 64)
                return NULL;
            const unsigned low = w.width < 32 ? w.width : 32, high = w.width - low;
            uint64_t x = 0;
            if (low)
                x = peek(padded, bit) & (uint64_t)UINT32_MAX >> (32 - low);
            if (high)
                x |= (peek(padded, bit + low) & (uint64_t)UINT32_MAX >> (32 - high)) << low;
            v ^= x << w.trailing;
            bit += w.width;
        }
        if (bit > 8 * size)
            return NULL;
        bits[i] = v;
    }
    return at + (bit + 7) / 8;
}
