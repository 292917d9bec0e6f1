#include "simd/packed.h"

#include <assert.h>

#include "engine/base/bits.h"

static uint64_t field_mask(unsigned width)
{
    return width == 64 ? UINT64_MAX : ((uint64_t)1 << width) - 1;
}

static uint64_t field_at(const uint8_t *p, size_t size, size_t bit, unsigned width)
{
    const size_t byte = bit / 8, left = size - byte;
    const unsigned shift = bit % 8;
    uint64_t low = 0;
    if (left >= 8)
        low = load_le64(p + byte);
    else
        for (size_t i = 0; i < left; i++)
            low |= (uint64_t)p[byte + i] << (8 * i);
    low >>= shift;
    if (shift + width > 64)
        low |= (uint64_t)p[byte + 8] << (64 - shift);
    return low & field_mask(width);
}

void packed_line_c(const uint8_t *p, size_t n, unsigned width, int64_t base, int64_t step,
                   int64_t *out)
{
    const size_t size = packed_size(n, width);
    uint64_t line = (uint64_t)base;
    for (size_t i = 0; i < n; i++, line += (uint64_t)step)
        out[i] = (int64_t)(line + (width ? field_at(p, size, i * width, width) : 0));
}

void packed_sum_c(const uint8_t *p, size_t n, unsigned width, int64_t base, int64_t step,
                  int64_t *out)
{
    const size_t size = packed_size(n, width);
    uint64_t sum = (uint64_t)base;
    for (size_t i = 0; i < n; i++) {
        sum += (uint64_t)step + (width ? field_at(p, size, i * width, width) : 0);
        out[i] = (int64_t)sum;
    }
}

void packed_sum_div_c(const uint8_t *p, size_t n, unsigned width, int64_t base, int64_t step,
                      double divisor, double *out)
{
    const size_t size = packed_size(n, width);
    for (size_t i = 0; i < n; i++) {
        base += step + (int64_t)(width ? field_at(p, size, i * width, width) : 0);
        out[i] = (double)base / divisor;
    }
}

void packed_range_c(const int64_t *v, size_t n, int64_t *low, int64_t *high)
{
    int64_t least = v[0], most = v[0];
    for (size_t i = 1; i < n; i++) {
        least = v[i] < least ? v[i] : least;
        most = v[i] > most ? v[i] : most;
    }
    *low = least;
    *high = most;
}

// Fields of one width, one behind the other in words.
static uint8_t *store_words(const uint64_t *fields, size_t n, unsigned width, uint8_t *p)
{
    uint64_t held = 0; // bits that no byte was written of yet
    unsigned held_count = 0;
    for (size_t i = 0; i < n; i++) {
        held |= fields[i] << held_count; // held_count < 64
        if (held_count + width < 64) {
            held_count += width;
            continue;
        }
        store_le64(p, held);
        p += 8;
        const unsigned used = 64 - held_count; // bits of the field that found room
        held = used < 64 ? fields[i] >> used : 0;
        held_count = width - used;
    }
    for (; held_count; held_count -= held_count < 8 ? held_count : 8, held >>= 8)
        *p++ = (uint8_t)held;
    return p;
}

// Narrow fields are joined to wide ones first, some at a time.
static uint8_t *store_joined(const uint64_t *fields, size_t n, unsigned width, uint8_t *p)
{
    enum { JOINED = 64 };
    uint64_t wide[JOINED];
    for (size_t i = 0; i < n; i += 4 * JOINED) { // all but the last take whole words
        const size_t count = (n - i < 4 * JOINED ? n - i : 4 * JOINED) / 4;
        for (size_t k = 0; k < count; k++) {
            const uint64_t *f = fields + i + 4 * k;
            wide[k] = (f[0] | f[1] << width) | (f[2] | f[3] << width) << 2 * width;
        }
        p = store_words(wide, count, 4 * width, p);
    }
    return p;
}

void packed_store(const uint64_t *fields, size_t n, unsigned width, uint8_t *p)
{
    uint64_t all = 0;
    for (size_t i = 0; i < n; i++)
        all |= fields[i];
    assert(!(all & ~field_mask(width)));
    if (width == 0)
        return;
    const size_t joined = width <= 16 ? n & ~(size_t)7 : 0; // of which the last ends with a byte
    p = store_joined(fields, joined, width, p);
    store_words(fields + joined, n - joined, width, p);
}
