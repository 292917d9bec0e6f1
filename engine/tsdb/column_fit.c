#include "engine/tsdb/column_fit.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "engine/base/bits.h"
#include "engine/base/util.h"
#include "engine/tsdb/column.h"
#include "simd/simd.h"

enum { SLOPE_BITS = 16 };
static const int64_t SLOPE_MAX = (int64_t)1 << 52;
static_assert(COLUMN_MAX <= 1 << 10, "a slope times a place stays below 2^62");

static size_t varint_size(uint64_t v)
{
    return v ? (bit_width(v) + 6) / 7 : 1;
}

static size_t zigzag_size(int64_t v)
{
    return varint_size(zigzag(v));
}

static int64_t add(int64_t a, int64_t b)
{
    return (int64_t)((uint64_t)a + (uint64_t)b);
}

static int64_t subtract(int64_t a, int64_t b)
{
    return (int64_t)((uint64_t)a - (uint64_t)b);
}

// ---- fields: a window [low, low + 2^width) for most residuals, the others are outliers

struct window {
    int64_t low;
    unsigned width;
    bool has_all; // there are no outliers
    size_t bytes; // an upper bound
};

static bool is_inside(int64_t r, int64_t low, unsigned width)
{
    return bit_width((uint64_t)subtract(r, low)) <= width;
}

// How many residuals have each width, from 0 to 64, in two halves: equal widths in a row need not
// wait for each other.
struct widths {
    uint16_t count[2][65];
    unsigned most;
};

static void count_width(struct widths *w, size_t i, uint64_t v)
{
    const unsigned width = bit_width(v);
    w->count[i % 2][width]++;
    w->most = width > w->most ? width : w->most;
}

// What a width costs: fields, then for each wider residual a gap and a number of at most its width
// and two bits. Takes the cheapest width.
static void choose_width(const struct widths *w, size_t n, struct window *out)
{
    size_t outliers = 0, outlier_bytes = 0;
    out->bytes = SIZE_MAX;
    for (unsigned width = w->most;; width--) {
        const size_t extra = outliers ? 2 + n / 128 + outliers + outlier_bytes : 0;
        const size_t bytes = packed_size(n, width) + extra;
        if (bytes < out->bytes) {
            out->bytes = bytes;
            out->width = width;
            out->has_all = outliers == 0;
        }
        if (width == 0 || extra > out->bytes) // it can only grow
            return;
        const size_t count = (size_t)w->count[0][width] + w->count[1][width];
        outliers += count;
        outlier_bytes += count * (size_t)((width + 8) / 7 < 10 ? (width + 8) / 7 : 10);
    }
}

// Windows that begin at the smallest residual.
static void window_from_low(const int64_t *r, size_t n, int64_t low, struct window *out)
{
    struct widths w = {0};
    for (size_t i = 0; i < n; i++)
        count_width(&w, i, (uint64_t)subtract(r[i], low));
    choose_width(&w, n, out);
    out->low = low;
}

// A value near the middle of many, which is the common one where most are equal: the median of a
// few.
static int64_t centre_of(const int64_t *r, size_t n)
{
    enum { SAMPLE = 9 };
    int64_t sample[SAMPLE] = {0};
    const size_t count = n < SAMPLE ? n : SAMPLE;
    for (size_t i = 0; i < count; i++) { // sorted as they come
        const int64_t value = r[i * n / count];
        size_t at = i;
        for (; at > 0 && sample[at - 1] > value; at--)
            sample[at] = sample[at - 1];
        sample[at] = value;
    }
    return sample[count / 2];
}

// Draws the window tight about what it holds.
static void window_tighten(const int64_t *r, size_t n, struct window *w)
{
    uint64_t least = UINT64_MAX, most = 0;
    if (w->width == 0 || w->width == 64)
        return;
    for (size_t i = 0; i < n; i++) {
        const uint64_t from = (uint64_t)subtract(r[i], w->low);
        if (bit_width(from) <= w->width) {
            least = from < least ? from : least;
            most = from > most ? from : most;
        }
    }
    if (least == UINT64_MAX) // nothing inside
        return;
    const unsigned width = bit_width(most - least);
    w->low = add(w->low, (int64_t)least);
    w->bytes -= packed_size(n, w->width) - packed_size(n, width);
    w->width = width;
}

// Windows around a centre, not yet drawn tight.
static void window_around(const int64_t *r, size_t n, struct window *out)
{
    struct widths w = {0};
    const int64_t centre = centre_of(r, n);
    for (size_t i = 0; i < n; i++)
        count_width(&w, i, zigzag(subtract(r[i], centre)));
    choose_width(&w, n, out);
    out->low = out->width ? subtract(centre, (int64_t)((uint64_t)1 << (out->width - 1))) : centre;
}

static void window_best(const int64_t *r, size_t n, int64_t low, struct window *out)
{
    struct window around;
    window_from_low(r, n, low, out);
    window_around(r, n, &around);
    window_tighten(r, n, &around);
    if (around.bytes < out->bytes)
        *out = around;
}

// The window of residuals that take about rough bytes: one that has them all is good enough near
// that, unless it is narrow.
static void window_of(const int64_t *r, size_t n, size_t rough, struct window *out)
{
    enum { NARROW = 5 };
    int64_t high;
    *out = (struct window){.has_all = true};
    if (n == 0)
        return;
    simd.packed_range(r, n, &out->low, &high);
    out->width = bit_width((uint64_t)subtract(high, out->low));
    out->bytes = packed_size(n, out->width);
    if (out->width < NARROW || out->bytes > rough + n / 32)
        window_best(r, n, out->low, out);
}

// What n residuals will take, by a sample of them.
static size_t rough_bytes(const int64_t *sample, size_t count, size_t n)
{
    struct window from_low, around;
    int64_t low = sample[0];
    for (size_t i = 1; i < count; i++)
        low = sample[i] < low ? sample[i] : low;
    window_from_low(sample, count, low, &from_low);
    window_around(sample, count, &around);
    return (from_low.bytes < around.bytes ? from_low.bytes : around.bytes) * n / count;
}

// ---- forms

static void differences(const int64_t *v, size_t n, int64_t *out) // n - 1 of them
{
    for (size_t i = 0; i + 1 < n; i++)
        out[i] = subtract(v[i + 1], v[i]);
}

// What a line of slope rises up to place i; slope * i is below 2^62.
static int64_t rise(int64_t slope, size_t i)
{
    return (slope * (int64_t)i) >> SLOPE_BITS;
}

// The slope between the middles of the first and the last quarter: noise in single values does not
// tilt it.
static int64_t slope_of(const int64_t *m, size_t n)
{
    const size_t quarter = n / 4;
    uint64_t sum = 0;
    if (n < 16)
        return 0;
    for (size_t i = 0; i < quarter; i++)
        sum += (uint64_t)subtract(m[n - quarter + i], m[i]);
    const double slope =
        (double)(int64_t)sum / (double)(quarter * (n - quarter)) * (1 << SLOPE_BITS);
    return fabs(slope) < (double)(SLOPE_MAX - 1) ? (int64_t)slope : 0;
}

// What fields hold, with the window's low; how many.
static size_t residuals_of(const struct column_fit *fit, const int64_t *m, size_t n, int64_t *out)
{
    if (fit->form == COLUMN_SLOPE) {
        for (size_t i = 0; i < n; i++)
            out[i] = subtract(m[i], rise(fit->step, i));
        return n;
    }
    if (fit->form == COLUMN_FOR || fit->form == COLUMN_LINE) {
        for (size_t i = 0; i < n; i++)
            out[i] = (int64_t)((uint64_t)m[i] - (uint64_t)fit->step * i);
        return n;
    }
    differences(m, n, out);
    if (fit->form == COLUMN_DELTA)
        return n - 1;
    differences(out, n - 1, out);
    return n - 2;
}

// Puts the window of the form's residuals into fit, and takes it if it is the best so far.
static void offer(const struct column_fit *form, const int64_t *m, size_t n, size_t rough,
                  struct column_fit *best)
{
    int64_t residuals[COLUMN_MAX];
    struct window w;
    struct column_fit fit = *form;
    const size_t count = residuals_of(&fit, m, n, residuals);
    window_of(residuals, count, rough, &w);
    const bool sums = fit.form == COLUMN_DELTA || fit.form == COLUMN_DELTA2;
    fit.base = sums ? m[0] : w.low;
    fit.low = w.low;
    fit.width = w.width;
    fit.has_outliers = !w.has_all;
    fit.bytes_max = 2 + zigzag_size(fit.base) + w.bytes; // head, width
    if (sums)
        fit.bytes_max += zigzag_size(fit.low);
    if (fit.form != COLUMN_FOR && fit.form != COLUMN_DELTA)
        fit.bytes_max += zigzag_size(fit.step);
    if (fit.bytes_max < best->bytes_max)
        *best = fit;
}

static bool is_const_or_ramp(const int64_t *m, size_t n, struct column_fit *out)
{
    const int64_t step = n > 1 ? subtract(m[1], m[0]) : 0;
    for (size_t i = 1; i < n; i++)
        if (subtract(m[i], m[i - 1]) != step)
            return false;
    *out =
        (struct column_fit){.form = step ? COLUMN_RAMP : COLUMN_CONST, .base = m[0], .step = step};
    out->bytes_max = 1 + zigzag_size(m[0]) + zigzag_size(step);
    return true;
}

// A form that may be tried, and what it will take by a sample.
struct candidate {
    struct column_fit fit;
    size_t rough;
};

enum { CANDIDATES = 4 };

// How m looks to FOR, DELTA, DELTA2 and SLOPE at some places.
static void look_around(const int64_t *m, size_t n, struct candidate *c)
{
    enum { SAMPLE = 32 };
    int64_t sample[CANDIDATES][SAMPLE];
    const size_t count = n - 2 < SAMPLE ? n - 2 : SAMPLE;
    const int64_t slope = slope_of(m, n);
    c[0].fit = (struct column_fit){.form = COLUMN_FOR};
    c[1].fit = (struct column_fit){.form = COLUMN_DELTA};
    c[2].fit = (struct column_fit){.form = COLUMN_DELTA2, .step = subtract(m[1], m[0])};
    c[3].fit = (struct column_fit){.form = COLUMN_SLOPE, .step = slope};
    const size_t stride = (n - 2) / count;
    for (size_t k = 0; k < count; k++) {
        // not in step with what moves every so often
        const size_t i = k * stride + (k * 0x9e3779b1 >> 8) % stride;
        const int64_t d = subtract(m[i + 1], m[i]);
        sample[0][k] = m[i];
        sample[1][k] = d;
        sample[2][k] = subtract(subtract(m[i + 2], m[i + 1]), d);
        sample[3][k] = subtract(m[i], rise(slope, i));
    }
    for (size_t form = 0; form < CANDIDATES; form++)
        c[form].rough = form == 3 && slope == 0 ? SIZE_MAX : rough_bytes(sample[form], count, n);
}

static void fit_times(const int64_t *m, size_t n, struct column_fit *out)
{
    const int64_t span = subtract(m[n - 1], m[0]), steps = (int64_t)n - 1;
    const struct column_fit forms[] = {
        {.form = COLUMN_FOR},
        {.form = COLUMN_DELTA},
        {.form = COLUMN_DELTA2, .step = subtract(m[1], m[0])},
        {.form = COLUMN_LINE,
         .step = span / steps + (span % steps * 2 >= steps) - (span % steps * 2 <= -steps)}};
    for (size_t i = 0; i < countof(forms); i++)
        offer(&forms[i], m, n, 0, out);
}

// The best by a sample first; then those that by it are at most half a bit a value behind.
static void fit_forms(const int64_t *m, size_t n, bool is_time, struct column_fit *out)
{
    struct candidate c[CANDIDATES];
    if (is_const_or_ramp(m, n, out))
        return;
    out->bytes_max = SIZE_MAX / 2;
    if (is_time) {
        fit_times(m, n, out);
        return;
    }
    look_around(m, n, c);
    for (;;) {
        size_t least = 0;
        for (size_t i = 1; i < CANDIDATES; i++)
            least = c[i].rough < c[least].rough ? i : least;
        if (c[least].rough == SIZE_MAX || c[least].rough >= out->bytes_max + n / 16)
            return;
        offer(&c[least].fit, m, n, c[least].rough, out);
        c[least].rough = SIZE_MAX;
    }
}

// The greatest common divisor of all differences from m[0]; 0: it is no use.
static uint64_t factor_of(const int64_t *m, size_t n)
{
    uint64_t factor = 0;
    for (size_t i = 1; i < n; i++) {
        const int64_t d = subtract(m[i], m[0]);
        if (d == INT64_MIN)
            return 0;
        uint64_t rest = (uint64_t)(d < 0 ? -d : d);
        while (rest) {
            const uint64_t next = factor % rest;
            factor = rest;
            rest = next;
        }
        if (factor == 1)
            return 0;
    }
    return factor <= INT64_MAX ? factor : 0;
}

static void quotients(const struct column_factor *f, const int64_t *m, size_t n, int64_t *out)
{
    for (size_t i = 0; i < n; i++)
        out[i] = subtract(m[i], f->offset) / (int64_t)f->factor;
}

static size_t factor_bytes(const struct column_factor *f)
{
    return zigzag_size(f->offset) + varint_size(f->factor);
}

void column_fit(const int64_t *m, size_t n, bool is_time, struct column_fit *out)
{
    assert(n >= 1 && n <= COLUMN_MAX);
    fit_forms(m, n, is_time, out);
    if (out->form == COLUMN_CONST || out->form == COLUMN_RAMP)
        return;
    const uint64_t factor = factor_of(m, n);
    if (!factor)
        return;
    int64_t q[COLUMN_MAX];
    struct column_fit divided;
    const struct column_factor with = {.offset = m[0], .factor = factor};
    quotients(&with, m, n, q);
    fit_forms(q, n, is_time, &divided);
    divided.bytes_max += factor_bytes(&with);
    if (divided.bytes_max >= out->bytes_max)
        return;
    *out = divided;
    out->has_factor = true;
    out->factor = with;
}

// What the form is to say.
static void form_integers(const struct column_fit *fit, const int64_t *m, const int64_t *other,
                          size_t n, int64_t *out)
{
    if (fit->has_factor)
        quotients(&fit->factor, m, n, out);
    else
        memcpy(out, m, n * sizeof *out);
    for (size_t i = 0; other && i < n; i++)
        out[i] = subtract(out[i], other[i]);
}

void column_fit_beside(const struct column_fit *alone, const int64_t *m, const int64_t *other,
                       size_t n, struct column_fit *out)
{
    int64_t q[COLUMN_MAX];
    form_integers(alone, m, other, n, q);
    fit_forms(q, n, false, out);
    out->has_factor = alone->has_factor;
    out->factor = alone->factor;
    if (out->has_factor)
        out->bytes_max += factor_bytes(&out->factor);
}

// ---- bytes

static uint8_t *put_number(uint8_t *at, int64_t v)
{
    return at + varint_store(at, zigzag(v));
}

// r is overwritten with fields.
static uint8_t *put_fields(uint8_t *at, int64_t *r, size_t n, const struct column_fit *fit,
                           int64_t low)
{
    for (size_t i = 0; i < n; i++)
        r[i] = subtract(r[i], low);
    for (size_t i = 0; fit->has_outliers && i < n; i++)
        r[i] = bit_width((uint64_t)r[i]) <= fit->width ? r[i] : 0;
    packed_store((const uint64_t *)(const void *)r, n, fit->width, at);
    return at + packed_size(n, fit->width);
}

static uint8_t *put_outliers(uint8_t *at, const int64_t *r, size_t n, int64_t low, unsigned width,
                             size_t outliers)
{
    size_t next = 0;
    at += varint_store(at, outliers);
    for (size_t i = 0; i < n; i++) {
        if (is_inside(r[i], low, width))
            continue;
        at += varint_store(at, i - next);
        at = put_number(at, subtract(r[i], low));
        next = i + 1;
    }
    return at;
}

uint8_t *column_fit_store(const struct column_fit *fit, const int64_t *m, const int64_t *other,
                          size_t n, uint8_t *head, uint8_t *at)
{
    int64_t q[COLUMN_MAX], r[COLUMN_MAX];
    *head |= (uint8_t)fit->form;
    form_integers(fit, m, other, n, q);
    if (fit->has_factor) {
        *head |= COLUMN_HEAD_FACTOR;
        at = put_number(at, fit->factor.offset);
        at += varint_store(at, fit->factor.factor);
    }
    at = put_number(at, fit->base);
    if (fit->form != COLUMN_CONST && fit->form != COLUMN_FOR && fit->form != COLUMN_DELTA)
        at = put_number(at, fit->step);
    if (fit->form == COLUMN_CONST || fit->form == COLUMN_RAMP)
        return at;
    const bool sums = fit->form == COLUMN_DELTA || fit->form == COLUMN_DELTA2;
    const int64_t low = sums ? fit->low : fit->base;
    if (sums)
        at = put_number(at, low);
    *at++ = (uint8_t)fit->width;
    const size_t count = residuals_of(fit, q, n, r);
    if (!fit->has_outliers)
        return put_fields(at, r, count, fit, low);
    size_t outliers = 0;
    for (size_t i = 0; i < count; i++)
        outliers += !is_inside(r[i], low, fit->width);
    *head |= COLUMN_HEAD_OUTLIERS;
    memcpy(q, r, count * sizeof *q);
    at = put_fields(at, q, count, fit, low);
    return put_outliers(at, r, count, low, fit->width, outliers);
}

struct reader {
    const uint8_t *at, *end;
    bool failed;
};

static uint64_t get_varint(struct reader *r)
{
    uint64_t v = 0;
    const size_t n = varint_load(r->at, r->end, &v);
    r->failed |= n == 0;
    r->at += n;
    return v;
}

static int64_t get_number(struct reader *r)
{
    return unzigzag(get_varint(r));
}

// Adds the outliers to values[0..n).
static void add_outliers(struct reader *r, int64_t *values, size_t n)
{
    const uint64_t count = get_varint(r);
    size_t next = 0;
    for (uint64_t i = 0; i < count && !r->failed; i++) {
        const uint64_t gap = get_varint(r);
        const int64_t more = get_number(r);
        if (gap >= n - next) {
            r->failed = true;
            return;
        }
        values[next + gap] = add(values[next + gap], more);
        next += gap + 1;
    }
}

// Adds the outliers to sums that were made without them: each to its own place and all later ones.
static void add_outliers_summed(struct reader *r, int64_t *sums, size_t n)
{
    const uint64_t count = get_varint(r);
    uint64_t more = 0;
    size_t next = 0;
    for (uint64_t i = 0; i < count; i++) {
        const uint64_t gap = get_varint(r);
        const uint64_t value = (uint64_t)get_number(r);
        if (r->failed || gap >= n - next) {
            r->failed = true;
            return;
        }
        for (const size_t end = next + gap; next < end; next++)
            sums[next] = (int64_t)((uint64_t)sums[next] + more);
        more += value;
        sums[next] = (int64_t)((uint64_t)sums[next] + more);
        next++;
    }
    for (; next < n; next++)
        sums[next] = (int64_t)((uint64_t)sums[next] + more);
}

static void running_sums(int64_t *v, size_t n, int64_t base)
{
    for (size_t i = 0; i < n; i++)
        v[i] = base = add(base, v[i]);
}

// DELTA and DELTA2 fill out[1..n) or out[2..n) with residuals and add them up from there.
static void load_sums(struct reader *r, uint8_t head, size_t n, int64_t base, int64_t *out)
{
    const bool twice = (head & COLUMN_HEAD_FORM) == COLUMN_DELTA2;
    const size_t first = twice ? 2 : 1, count = n > first ? n - first : 0;
    const int64_t delta = twice ? get_number(r) : 0, low = get_number(r);
    const unsigned width = r->at < r->end ? *r->at++ : 255;
    const size_t size = width <= 64 ? packed_size(count, width) : SIZE_MAX;
    if (r->failed || n < first || size > (size_t)(r->end - r->at)) {
        r->failed = true;
        return;
    }
    const uint8_t *fields = r->at;
    r->at += size;
    simd.packed_sum(fields, count, width, twice ? delta : base, low, out + first);
    if (head & COLUMN_HEAD_OUTLIERS)
        add_outliers_summed(r, out + first, count);
    out[0] = base;
    if (twice) {
        out[1] = delta;
        running_sums(out + 1, n - 1, base);
    }
}

// FOR, LINE and SLOPE.
static void load_line(struct reader *r, uint8_t head, size_t n, int64_t base, int64_t *out)
{
    const unsigned form = head & COLUMN_HEAD_FORM;
    const int64_t step = form != COLUMN_FOR ? get_number(r) : 0;
    const unsigned width = r->at < r->end ? *r->at++ : 255;
    const size_t size = width <= 64 ? packed_size(n, width) : SIZE_MAX;
    if (r->failed || size > (size_t)(r->end - r->at) ||
        (form == COLUMN_SLOPE && (step >= SLOPE_MAX || step <= -SLOPE_MAX))) {
        r->failed = true;
        return;
    }
    simd.packed_line(r->at, n, width, base, form == COLUMN_LINE ? step : 0, out);
    for (size_t i = 0; form == COLUMN_SLOPE && i < n; i++)
        out[i] = add(out[i], rise(step, i));
    r->at += size;
    if (head & COLUMN_HEAD_OUTLIERS)
        add_outliers(r, out, n);
}

const uint8_t *column_fit_load(uint8_t head, const uint8_t *at, const uint8_t *end, size_t n,
                               int64_t *out, struct column_factor *factor)
{
    struct reader r = {at, end, false};
    const unsigned form = head & COLUMN_HEAD_FORM;
    *factor = (struct column_factor){0, 1};
    if (head & COLUMN_HEAD_FACTOR) {
        factor->offset = get_number(&r);
        factor->factor = get_varint(&r);
    }
    const int64_t base = get_number(&r);
    if (form == COLUMN_XOR || r.failed)
        return NULL;
    if (form == COLUMN_DELTA || form == COLUMN_DELTA2)
        load_sums(&r, head, n, base, out);
    else if (form == COLUMN_FOR || form == COLUMN_LINE || form == COLUMN_SLOPE)
        load_line(&r, head, n, base, out);
    else
        simd.packed_line(NULL, n, 0, base, form == COLUMN_RAMP ? get_number(&r) : 0, out);
    return r.failed ? NULL : r.at;
}

const uint8_t *column_fit_load_divided(uint8_t head, const uint8_t *at, const uint8_t *end,
                                       size_t n, double divisor, double *out)
{
    enum { BASE_BITS = 50, LOW_BITS = 40, WIDTH_MOST = 40 };
    static_assert(COLUMN_MAX <= 1 << 9, "so many of them are below 2^50");
    struct reader r = {at, end, false};
    if ((head & (COLUMN_HEAD_FORM | COLUMN_HEAD_FACTOR | COLUMN_HEAD_OUTLIERS)) != COLUMN_DELTA)
        return NULL;
    const int64_t base = get_number(&r), low = get_number(&r);
    const unsigned width = r.at < r.end ? *r.at++ : 255;
    if (r.failed || width > WIDTH_MOST || bit_width(zigzag(base)) > BASE_BITS ||
        bit_width(zigzag(low)) > LOW_BITS || packed_size(n - 1, width) > (size_t)(r.end - r.at))
        return NULL;
    out[0] = (double)base / divisor;
    simd.packed_sum_div(r.at, n - 1, width, base, low, divisor, out + 1);
    return r.at + packed_size(n - 1, width);
}
