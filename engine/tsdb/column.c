// A column is
//
//   u8 head: form in bits 0-2, flags in 3-6, bit 7 is 0 (column_fit.h)
//   [SCALED]    u8 scale: how integers become doubles (SCALE_*); without: they are converted
//   [FACTOR]    zigzag varint offset, varint factor: each integer is offset + factor * q, and the
//               rest describes q
//   form        CONST  base                 q[i] = base
//               RAMP   base, step           q[i] = base + i * step
//               FOR    base, u8 width       q[i] = base + field i
//               LINE   base, step, width    q[i] = base + i * step + field i
//               DELTA  base, low, width     q[0] = base, q[i] = q[i-1] + low + field i-1
//               DELTA2 base, delta, low, w  d[0] = delta, d[i] = d[i-1] + low + field i-1,
//                                           q[i] = q[i-1] + d[i-1]
//               SLOPE  base, slope, width   q[i] = base + floor(i * slope / 2^16) + field i;
//                                           slope between -2^52 and 2^52, both excluded
//               XOR    bits                 no integers, as said below
//               (numbers are zigzag varints, the width one byte, 0 to 64)
//   fields      bit-packed as in simd/packed.h: n of FOR, LINE and SLOPE, n-1 of DELTA, n-2 of
//               DELTA2
//   [OUTLIERS]  varint count; each: varint places skipped since the last, zigzag varint added to
//               the field, which is 0 there
//   [SPECIALS]  varint runs; each: varint values skipped since the last run, varint
//               (length - 1) * 8 + kind; a SPECIAL_RAW is followed by its bits. These values stand
//               in for what the integers say.
//
// Arithmetic is modulo 2^64. Bytes left over are an error.
//
// XOR has no flag but SPECIALS. u64 bits of the first value; then a stream of bits, the first in
// bit 0 of its first byte, numbers with their lowest bit first; of each further value, x being its
// bits XOR those of the value before: 0: x is 0; 1 0: x is a number of `width` bits shifted left by
// `trailing`, as in the last window; 1 1: a new window, 6 bits trailing, 6 bits width - 1, then x
// as before. The last byte is filled up with zeros. trailing + width is at most 64; before the
// first window both are 0.
//
// A column of times has no scale and no specials, and is not XOR.
//
// A column of values may be told beside another one of as many values, neither of them XOR: then
// what the form of the other says (without its factor, scale and specials) is added to what its own
// form says, before its own factor.
//
// Decimals are kept as integers to be divided by 10^e: text that a client printed is exactly that
// quotient, while multiplying by 10^-e misses every seventh value. Products (ticks * 0.001) and
// two-step divisions (us / 1000 / 1000), which exporters compute, have scales of their own. SLOPE
// is for counters whose pace is even and whose noise is that of the moment of the scrape:
// differences have the noise of two, a bit a value more. XOR is the last resort, for erratic
// doubles: it saves little and takes ten times as long to decode, so it has to save an eighth.
#include "engine/tsdb/column.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "engine/base/bits.h"
#include "engine/base/util.h"
#include "engine/model/value.h"
#include "engine/tsdb/column_fit.h"
#include "engine/tsdb/column_xor.h"
#include "simd/simd.h"

enum {
    SCALE_NONE = 0,
    SCALE_DIVIDE = 0,     // + e: / 10^e, e 1 to 22
    SCALE_MULTIPLY = 32,  // + e: * 10^-e, e 1 to 9
    SCALE_TWO_STEPS = 64, // + e: / 1000 / 10^e, e 1 to 6
    SCALE_RAW = 127,      // the integer is the double's bits, ordered as the doubles are
    DIVIDE_MAX = 22,
    DIVIDE_TRIED_MAX = 17, // what has more digits is no decimal that somebody wrote
    MULTIPLY_MAX = 9,
    TWO_STEPS_MAX = 6,
    GOOD_BYTES = 3, // a value: below, no other scale would do better
};

static const double powers[] = {1,    1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
static const double inverses[] = {1, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-9};

enum special_kind {
    SPECIAL_STALE,
    SPECIAL_NAN,
    SPECIAL_INFINITY,
    SPECIAL_MINUS_INFINITY,
    SPECIAL_MINUS_ZERO,
    SPECIAL_RAW,
    SPECIAL_COUNT
};

static const uint64_t special_bits[SPECIAL_COUNT] = {
    VALUE_STALE_BITS,   VALUE_NORMAL_NAN_BITS, 0x7ff0000000000000,
    0xfff0000000000000, 0x8000000000000000,    0,
};

// Doubles in their order as integers in theirs; its own inverse.
static int64_t ordered(uint64_t bits)
{
    const int64_t v = (int64_t)bits;
    return v ^ ((v >> 63) & INT64_MAX);
}

// ---- encoding

// What a column of values is made of while the encoder looks for its scale.
struct work {
    double v[COLUMN_MAX];        // specials replaced by a neighbour
    int64_t m[COLUMN_MAX];       // the integers of the scale being tried
    bool is_special[COLUMN_MAX]; // no finite number
    bool is_odd[COLUMN_MAX];     // none of the scale's: kept as a special
    struct column_fit fit, best; // of the scale being tried, and the best one's
    int64_t best_m[COLUMN_MAX];
    size_t best_bytes, best_odd;
    uint8_t best_scale;
    bool best_is_odd[COLUMN_MAX];
    size_t n, specials, odd;
};

static bool bits_are_special(uint64_t bits)
{
    return (bits << 1) >= 0xffe0000000000000 || bits == 0x8000000000000000;
}

static enum special_kind special_kind_of(uint64_t bits)
{
    for (unsigned kind = 0; kind < SPECIAL_RAW; kind++)
        if (special_bits[kind] == bits)
            return (enum special_kind)kind;
    return SPECIAL_RAW;
}

// A special takes the value before it, those at the front the first that follows, which costs the
// integers nothing.
static void work_load(struct work *w, const uint64_t *bits, size_t n)
{
    double last = 0;
    for (size_t i = 0; i < n; i++)
        if (!bits_are_special(bits[i])) {
            last = double_from_bits(bits[i]);
            break;
        }
    w->n = n;
    w->specials = 0;
    for (size_t i = 0; i < n; i++) {
        w->is_special[i] = bits_are_special(bits[i]);
        w->specials += w->is_special[i];
        if (!w->is_special[i])
            last = double_from_bits(bits[i]);
        w->v[i] = last;
    }
    w->best_bytes = SIZE_MAX;
}

static size_t split_one(double v, uint8_t scale, int64_t *m)
{
    double scaled, back;
    if (scale < SCALE_MULTIPLY)
        return simd.decimal_split(&v, 1, powers[scale], m);
    const unsigned e = scale % 32;
    if (scale < SCALE_TWO_STEPS) {
        scaled = nearbyint(v * powers[e]);
        back = scaled * inverses[e];
    } else {
        scaled = nearbyint(v * powers[e + 3]);
        back = scaled / 1000 / powers[e];
    }
    if (!(fabs(scaled) < 0x1p51) || bits_from_double(back) != bits_from_double(v))
        return 0;
    *m = (int64_t)scaled;
    return 1;
}

static size_t split_some(const double *v, size_t n, uint8_t scale, int64_t *m)
{
    if (scale < SCALE_MULTIPLY)
        return simd.decimal_split(v, n, powers[scale], m);
    size_t i = 0;
    while (i < n && split_one(v[i], scale, m + i))
        i++;
    return i;
}

// Values of no scale of this kind take part as raw specials, if they are few. The smallest scale
// from first to last that the others share.
static bool find_scale(struct work *w, uint8_t first, uint8_t last, uint8_t *out_scale)
{
    const size_t odd_max = w->n / 16;
    uint8_t scale = first;
    memset(w->is_odd, 0, sizeof w->is_odd);
    w->odd = 0;
    for (size_t i = 0;;) {
        i += split_some(w->v + i, w->n - i, scale, w->m + i);
        if (i == w->n)
            break;
        int64_t m;
        uint8_t higher = scale;
        while (higher <= last && !split_one(w->v[i], higher, &m))
            higher++;
        if (higher > last) {
            w->is_odd[i] = true;
            if (++w->odd > odd_max)
                return false;
            w->m[i] = i ? w->m[i - 1] : 0;
            i++;
            continue;
        }
        scale = higher; // begin again; what was odd for the rest of the scales stays so
        i = 0;
        w->odd = 0;
        memset(w->is_odd, 0, sizeof w->is_odd);
    }
    *out_scale = scale;
    return true;
}

static void consider(struct work *w, uint8_t scale)
{
    column_fit(w->m, w->n, false, &w->fit);
    const size_t bytes = w->fit.bytes_max + w->odd * 11 + (scale != SCALE_NONE);
    if (bytes >= w->best_bytes)
        return;
    w->best_bytes = bytes;
    w->best = w->fit;
    w->best_scale = scale;
    w->best_odd = w->odd;
    memcpy(w->best_m, w->m, w->n * sizeof *w->m);
    memcpy(w->best_is_odd, w->is_odd, sizeof w->is_odd);
}

static void consider_raw(struct work *w)
{
    for (size_t i = 0; i < w->n; i++)
        w->m[i] = ordered(bits_from_double(w->v[i]));
    memset(w->is_odd, 0, sizeof w->is_odd);
    w->odd = 0;
    consider(w, SCALE_RAW);
}

static void choose_scale(struct work *w)
{
    uint8_t scale;
    if (find_scale(w, SCALE_NONE, SCALE_DIVIDE + DIVIDE_TRIED_MAX, &scale)) {
        consider(w, scale);
        if (w->odd == 0 && w->best_bytes <= GOOD_BYTES * w->n)
            return;
    }
    if (find_scale(w, SCALE_MULTIPLY + 1, SCALE_MULTIPLY + MULTIPLY_MAX, &scale))
        consider(w, scale);
    if (find_scale(w, SCALE_TWO_STEPS + 1, SCALE_TWO_STEPS + TWO_STEPS_MAX, &scale))
        consider(w, scale);
    consider_raw(w);
}

static uint8_t *put_special(uint8_t *at, size_t gap, size_t length, uint64_t bits)
{
    const enum special_kind kind = special_kind_of(bits);
    at += varint_store(at, gap);
    at += varint_store(at, (length - 1) * 8 + (size_t)kind);
    if (kind == SPECIAL_RAW) {
        store_le64(at, bits);
        at += 8;
    }
    return at;
}

// Runs of equal bits that are special or odd. With at NULL only counts.
static size_t put_specials(const struct work *w, const uint64_t *bits, uint8_t **at)
{
    size_t runs = 0, last_end = 0;
    for (size_t i = 0; i < w->n;) {
        if (!w->is_special[i] && !w->best_is_odd[i]) {
            i++;
            continue;
        }
        size_t end = i + 1;
        while (end < w->n && bits[end] == bits[i] && (w->is_special[end] || w->best_is_odd[end]))
            end++;
        if (at)
            *at = put_special(*at, i - last_end, end - i, bits[i]);
        runs++;
        last_end = i = end;
    }
    return runs;
}

static size_t specials_max(size_t runs)
{
    return runs ? 3 + 12 * runs : 0;
}

static uint8_t *put_all_specials(const struct work *w, const uint64_t *bits, size_t runs,
                                 uint8_t *head, uint8_t *at)
{
    if (runs) {
        *head |= COLUMN_HEAD_SPECIALS;
        at += varint_store(at, runs);
        put_specials(w, bits, &at);
    }
    return at;
}

static size_t encode_equal(uint64_t bits, uint8_t *out)
{
    const double v = double_from_bits(bits);
    int64_t m = ordered(bits);
    uint8_t scale = SCALE_RAW;
    for (uint8_t e = 0; e <= DIVIDE_TRIED_MAX && !bits_are_special(bits); e++)
        if (split_one(v, e, &m)) {
            scale = e;
            break;
        }
    uint8_t *at = out;
    *at++ = COLUMN_CONST | (scale ? COLUMN_HEAD_SCALED : 0);
    if (scale)
        *at++ = scale;
    at += varint_store(at, zigzag(m));
    return (size_t)(at - out);
}

static size_t encode_raw(const uint64_t *bits, size_t n, uint8_t *out)
{
    out[0] = COLUMN_FOR | COLUMN_HEAD_SCALED;
    out[1] = SCALE_RAW;
    out[2] = 0; // base
    out[3] = 64;
    for (size_t i = 0; i < n; i++)
        store_le64(out + 4 + 8 * i, (uint64_t)ordered(bits[i]));
    return 4 + 8 * n;
}

// The XOR of consecutive values, if that takes less than bytes by far.
static bool is_xor_better(const struct work *w, size_t specials, size_t bytes)
{
    enum { SLOW_BYTES = 4, SAVES = 8 }; // only where a value takes so many; an eighth of them
    return bytes >= SLOW_BYTES * w->n &&
           1 + specials + column_xor_size((const uint64_t *)(const void *)w->v, w->n) <=
               bytes - bytes / SAVES;
}

static uint8_t *put_integers(const struct work *w, const struct column_fit *fit,
                             const int64_t *other, uint8_t *out)
{
    uint8_t *at = out + 1;
    out[0] = w->best_scale ? COLUMN_HEAD_SCALED : 0;
    if (w->best_scale)
        *at++ = w->best_scale;
    return column_fit_store(fit, w->best_m, other, w->n, out, at);
}

static uint8_t *put_xor(struct work *w, uint8_t *out)
{
    memset(w->best_is_odd, 0, sizeof w->best_is_odd);
    out[0] = COLUMN_XOR;
    return column_xor_store((const uint64_t *)(const void *)w->v, w->n, out + 1);
}

// Tries for integers and decimals without specials, the commonest columns by far. False: there may
// be something better.
static bool quick_scale(struct work *w, const double *v, size_t n)
{
    uint8_t scale = SCALE_NONE;
    for (size_t i = 0; i < n;) {
        i += split_some(v + i, n - i, scale, w->best_m + i);
        if (i == n)
            break;
        while (scale <= DIVIDE_TRIED_MAX && !split_one(v[i], scale, w->best_m))
            scale++;
        if (scale > DIVIDE_TRIED_MAX)
            return false;
        i = 0;
    }
    w->n = n;
    w->best_scale = scale;
    column_fit(w->best_m, n, false, &w->best);
    return w->best.bytes_max <= GOOD_BYTES * n;
}

static size_t encode_with_care(struct work *w, const uint64_t *bits, size_t n, uint8_t *out)
{
    work_load(w, bits, n);
    choose_scale(w);
    size_t runs = put_specials(w, bits, NULL);
    const size_t specials = specials_max(runs), integers = w->best.bytes_max + 1 + specials;
    const size_t raw = 8 * n + 4;
    const bool is_raw = integers > raw;
    uint8_t *at;
    if (is_xor_better(w, specials, is_raw ? raw : integers)) {
        at = put_xor(w, out);
        runs = put_specials(w, bits, NULL);
    } else if (is_raw) {
        return encode_raw(bits, n, out);
    } else {
        at = put_integers(w, &w->best, NULL, out);
    }
    at = put_all_specials(w, bits, runs, out, at);
    assert((size_t)(at - out) <= raw);
    return (size_t)(at - out);
}

size_t column_encode_values(const uint64_t *bits, size_t n, uint8_t *out)
{
    struct work w;
    size_t equal = 1;
    assert(n >= 1 && n <= COLUMN_MAX);
    while (equal < n && bits[equal] == bits[0])
        equal++;
    if (equal == n)
        return encode_equal(bits[0], out);
    if (!quick_scale(&w, (const double *)(const void *)bits, n))
        return encode_with_care(&w, bits, n, out);
    const size_t size = (size_t)(put_integers(&w, &w.best, NULL, out) - out);
    assert(size <= 8 * n + 4);
    return size;
}

// What the form of a column says. False: it is none of integers.
static bool load_form(const uint8_t *p, size_t size, size_t n, int64_t *out)
{
    struct column_factor factor;
    if (size < 3 || p[0] & COLUMN_HEAD_UNUSED)
        return false;
    const size_t head = p[0] & COLUMN_HEAD_SCALED ? 2 : 1;
    return column_fit_load(p[0], p + head, p + size, n, out, &factor) != NULL;
}

size_t column_encode_beside(const uint64_t *bits, size_t n, const uint8_t *other, size_t other_size,
                            size_t size_max, uint8_t *out)
{
    int64_t theirs[COLUMN_MAX + COLUMN_PAD];
    struct work w;
    struct column_fit fit;
    assert(n >= 1 && n <= COLUMN_MAX && size_max <= COLUMN_BYTES_MAX);
    if (!load_form(other, other_size, n, theirs))
        return 0;
    work_load(&w, bits, n);
    choose_scale(&w);
    column_fit_beside(&w.best, w.best_m, theirs, n, &fit);
    const size_t runs = put_specials(&w, bits, NULL);
    if (fit.bytes_max + 1 + specials_max(runs) > size_max)
        return 0;
    uint8_t *at = put_all_specials(&w, bits, runs, out, put_integers(&w, &fit, theirs, out));
    return (size_t)(at - out);
}

size_t column_stream(const uint8_t *p, size_t size)
{
    const uint8_t *at = p + 1 + (p[0] & COLUMN_HEAD_SCALED ? 1 : 0), *end = p + size;
    uint64_t number;
    if ((p[0] & COLUMN_HEAD_FORM) == COLUMN_XOR)
        return 0;
    for (unsigned numbers = p[0] & COLUMN_HEAD_FACTOR ? 3 : 1; numbers; numbers--) {
        const size_t bytes = varint_load(at, end, &number);
        if (!bytes)
            return 0;
        at += bytes;
    }
    return (size_t)(at - p);
}

size_t column_encode_times(const int64_t *t, size_t n, uint8_t *out)
{
    assert(n >= 1 && n <= COLUMN_MAX);
    struct column_fit fit;
    column_fit(t, n, true, &fit);
    out[0] = 0;
    const size_t size = (size_t)(column_fit_store(&fit, t, NULL, n, out, out + 1) - out);
    assert(size <= 8 * n + 32);
    return size;
}

// ---- decoding

static bool apply_scale(uint8_t scale, int64_t *m, size_t n, double *out)
{
    if (scale == SCALE_NONE) {
        simd.decimal_mul(m, n, 1, out);
    } else if (scale <= SCALE_DIVIDE + DIVIDE_MAX) {
        simd.decimal_div(m, n, powers[scale], out);
    } else if (scale > SCALE_MULTIPLY && scale <= SCALE_MULTIPLY + MULTIPLY_MAX) {
        simd.decimal_mul(m, n, inverses[scale - SCALE_MULTIPLY], out);
    } else if (scale > SCALE_TWO_STEPS && scale <= SCALE_TWO_STEPS + TWO_STEPS_MAX) {
        simd.decimal_div(m, n, 1000, out);
        for (size_t i = 0; i < n; i++)
            out[i] /= powers[scale - SCALE_TWO_STEPS];
    } else if (scale == SCALE_RAW) {
        for (size_t i = 0; i < n; i++) // in place: m is the memory of out
            m[i] = ordered((uint64_t)m[i]);
    } else {
        return false;
    }
    return true;
}

// Bits are stored as integers: a signalling NaN must not pass through a register of doubles.
static const uint8_t *load_specials(const uint8_t *at, const uint8_t *end, size_t n, int64_t *out)
{
    uint64_t runs, gap, kind;
    size_t next = 0, size = varint_load(at, end, &runs);
    if (!size)
        return NULL;
    at += size;
    for (; runs; runs--) {
        if (!(size = varint_load(at, end, &gap)))
            return NULL;
        at += size;
        if (!(size = varint_load(at, end, &kind)))
            return NULL;
        at += size;
        const uint64_t more = kind / 8; // and one
        kind %= 8;
        if (gap >= n - next || more >= n - next - gap || kind >= SPECIAL_COUNT ||
            (kind == SPECIAL_RAW && end - at < 8))
            return NULL;
        uint64_t bits = special_bits[kind];
        if (kind == SPECIAL_RAW) {
            bits = load_le64(at);
            at += 8;
        }
        next += gap;
        for (uint64_t i = 0; i <= more; i++)
            out[next++] = (int64_t)bits;
    }
    return at;
}

// The commonest column of all.
static_assert(COLUMN_CONST == 0, "no bits of the head");
static bool decode_const(const uint8_t *p, const uint8_t *end, uint8_t scale, size_t n, double *out)
{
    uint64_t number = 0, bits;
    double v;
    const size_t size = varint_load(p, end, &number);
    int64_t m = unzigzag(number);
    if (!size || p + size != end || !apply_scale(scale, &m, 1, scale == SCALE_RAW ? NULL : &v))
        return false;
    memcpy(&bits, scale == SCALE_RAW ? (void *)&m : (void *)&v, sizeof bits);
    for (size_t i = 0; i < n; i++)
        memcpy(&out[i], &bits, sizeof bits);
    return true;
}

static const uint8_t *load_integers(uint8_t head, const uint8_t *at, const uint8_t *end, size_t n,
                                    const int64_t *other, int64_t *out)
{
    struct column_factor f;
    at = column_fit_load(head, at, end, n, out, &f);
    for (size_t i = 0; at && other && i < n; i++)
        out[i] = (int64_t)((uint64_t)out[i] + (uint64_t)other[i]);
    for (size_t i = 0; at && head & COLUMN_HEAD_FACTOR && i < n; i++)
        out[i] = (int64_t)((uint64_t)f.offset + f.factor * (uint64_t)out[i]);
    return at;
}

// other: what the form of the other column says, or NULL.
static bool decode_values(const uint8_t *p, size_t size, size_t n, const int64_t *other,
                          double *out)
{
    int64_t *m = (int64_t *)(void *)out;
    const uint8_t *end = p + size;
    uint8_t head, scale = SCALE_NONE;
    assert(n >= 1 && n <= COLUMN_MAX);
    if (size < 2)
        return false;
    head = *p++;
    if (head & COLUMN_HEAD_UNUSED)
        return false;
    if (head & COLUMN_HEAD_SCALED)
        scale = *p++;
    if (!other && !(head & (COLUMN_HEAD_FORM | COLUMN_HEAD_FACTOR | COLUMN_HEAD_OUTLIERS |
                            COLUMN_HEAD_SPECIALS)))
        return decode_const(p, end, scale, n, out);
    const uint8_t *divided = NULL;
    if (!other && scale <= SCALE_DIVIDE + DIVIDE_MAX)
        divided = column_fit_load_divided(head, p, end, n, powers[scale], out);
    if (divided) {
        p = divided;
    } else if (!other && (head & ~COLUMN_HEAD_SPECIALS) == COLUMN_XOR) {
        p = column_xor_load(p, end, n, (uint64_t *)(void *)m);
    } else {
        p = load_integers(head, p, end, n, other, m);
        p = p && apply_scale(scale, m, n, out) ? p : NULL;
    }
    if (!p)
        return false;
    if (head & COLUMN_HEAD_SPECIALS)
        p = load_specials(p, end, n, m);
    return p == end;
}

bool column_decode_values(const uint8_t *p, size_t size, size_t n, double *out)
{
    return decode_values(p, size, n, NULL, out);
}

bool column_decode_beside(const uint8_t *p, size_t size, size_t n, const uint8_t *other,
                          size_t other_size, double *out)
{
    int64_t theirs[COLUMN_MAX + COLUMN_PAD];
    assert(n >= 1 && n <= COLUMN_MAX);
    return load_form(other, other_size, n, theirs) && decode_values(p, size, n, theirs, out);
}

bool column_decode_times(const uint8_t *p, size_t size, size_t n, int64_t *out)
{
    assert(n >= 1 && n <= COLUMN_MAX);
    if (size < 2 || p[0] & (COLUMN_HEAD_UNUSED | COLUMN_HEAD_SCALED | COLUMN_HEAD_SPECIALS))
        return false;
    return load_integers(p[0], p + 1, p + size, n, NULL, out) == p + size;
}
