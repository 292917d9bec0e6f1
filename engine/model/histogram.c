// The packed form, numbers as varints:
//
//   size of the layout; layout:
//     kind        a byte: 0 counts are integers, 1 doubles
//     schema      zigzag
//     threshold   of the zero bucket, 8 bytes
//     spans       positive, then negative: how many; of each: zigzag offset, length
//     bounds      how many; 8 bytes each
//   hint          a byte
//   cells         of integers: count, zero count; sum, 8 bytes; buckets: zigzag of the difference
//                 to the bucket before on its side. Of doubles: the bits, bytes reversed, as round
//                 numbers have zeros at their end; the sum 8 bytes again
//
// No span is empty, and none but the first of a side has the offset 0. That and the bounds of
// HISTOGRAM_BUCKETS_MAX are all that a reader checks beside sizes: the rules of values were checked
// when it was packed.
#include "engine/model/histogram.h"

#include "engine/base/bits.h"
#include "engine/model/value.h"

enum { SUM_BYTES = 8 };

// ---- packing

static void put_double(struct buf *out, double v)
{
    buf_put_le64(out, bits_from_double(v));
}

// The spans joined as far as they can be, counted first, then written.
static err put_spans(const struct histogram_side *side, struct buf *out, struct errmsg *e)
{
    for (int writes = 0; writes < 2; writes++) {
        uint64_t n = 0, length = 0;
        int64_t offset = 0, first = 0;
        for (size_t i = 0; i <= side->spans_n; i++) {
            const struct histogram_span s =
                i < side->spans_n ? side->spans[i] : (struct histogram_span){0};
            offset += s.offset;
            if (i < side->spans_n && (s.length == 0 || (offset == 0 && length > 0))) {
                length += s.length;
                continue;
            }
            if (length > 0) {
                n++;
                if (first != (int32_t)first)
                    return err_set(e, ERR_INVALID, "histogram has a bucket index out of range");
                if (writes) {
                    buf_put_varint(out, zigzag(first));
                    buf_put_varint(out, length);
                }
            }
            first = offset;
            offset = 0;
            length = s.length;
        }
        if (!writes)
            buf_put_varint(out, n);
    }
    return ERR_OK;
}

static err put_layout(const struct histogram *h, struct buf *out, struct errmsg *e)
{
    buf_put_char(out, h->is_float);
    buf_put_varint(out, zigzag(h->schema));
    put_double(out, h->zero_threshold);
    TRY(put_spans(&h->positive, out, e));
    TRY(put_spans(&h->negative, out, e));
    buf_put_varint(out, h->custom_n);
    for (size_t i = 0; i < h->custom_n; i++)
        put_double(out, h->custom[i]);
    return ERR_OK;
}

static uint8_t *put_count(uint8_t *p, uint64_t count, bool is_float)
{
    return p + varint_store(p, is_float ? __builtin_bswap64(count) : count);
}

static uint8_t *put_side(uint8_t *p, const uint64_t *counts, size_t n, bool is_float)
{
    uint64_t before = 0;
    for (size_t i = 0; i < n; i++) {
        p = put_count(p, is_float ? counts[i] : zigzag((int64_t)(counts[i] - before)), is_float);
        before = counts[i];
    }
    return p;
}

static void put_cells(const uint64_t fixed[HISTOGRAM_CELL_BUCKETS], const uint64_t *negative,
                      size_t negative_n, const uint64_t *positive, size_t positive_n, bool is_float,
                      struct buf *out)
{
    const size_t most = 2 * VARINT_MAX + SUM_BYTES + (negative_n + positive_n) * VARINT_MAX;
    uint8_t *const begin = (uint8_t *)buf_reserve(out, most);
    uint8_t *p = put_count(begin, fixed[HISTOGRAM_CELL_COUNT], is_float);
    p = put_count(p, fixed[HISTOGRAM_CELL_ZERO], is_float);
    store_le64(p, fixed[HISTOGRAM_CELL_SUM]);
    p = put_side(p + SUM_BYTES, negative, negative_n, is_float);
    p = put_side(p, positive, positive_n, is_float);
    out->n += (size_t)(p - begin);
}

err histogram_pack(const struct histogram *h, struct buf *out, struct errmsg *e)
{
    TRY(histogram_validate(h, e));
    if (h->positive.counts_n > HISTOGRAM_BUCKETS_MAX || h->custom_n > HISTOGRAM_BUCKETS_MAX ||
        h->negative.counts_n > HISTOGRAM_BUCKETS_MAX - h->positive.counts_n)
        return err_set(e, ERR_LIMIT, "histogram has more than %d buckets", HISTOGRAM_BUCKETS_MAX);
    struct buf layout = {0};
    const err result = put_layout(h, &layout, e);
    if (result == ERR_OK) {
        const uint64_t fixed[] = {h->count, h->zero_count, bits_from_double(h->sum)};
        buf_put_varint(out, layout.n);
        buf_put_str(out, buf_str(&layout));
        buf_put_char(out, (char)h->hint);
        put_cells(fixed, h->negative.counts, h->negative.counts_n, h->positive.counts,
                  h->positive.counts_n, h->is_float, out);
    }
    buf_deinit(&layout);
    return result;
}

// ---- reading

struct input { // after the first thing that is not there everything is 0
    const uint8_t *at, *end;
    bool failed;
};

static uint64_t number(struct input *in)
{
    uint64_t v = 0;
    const size_t n = varint_load(in->at, in->end, &v);
    in->failed |= n == 0;
    in->at += n;
    return v;
}

static size_t count_of(struct input *in)
{
    const uint64_t n = number(in);
    if (n <= HISTOGRAM_BUCKETS_MAX)
        return (size_t)n;
    in->failed = true;
    return 0;
}

static const uint8_t *bytes(struct input *in, size_t n)
{
    if (n > (size_t)(in->end - in->at)) {
        in->failed = true;
        in->at = in->end;
        return NULL;
    }
    in->at += n;
    return in->at - n;
}

static uint64_t fixed64(struct input *in)
{
    const uint8_t *p = bytes(in, 8);
    return p ? load_le64(p) : 0;
}

static struct input input_of(struct str s)
{
    return (struct input){(const uint8_t *)s.p, (const uint8_t *)s.p + s.n, s.n == 0};
}

struct layout {
    bool is_float;
    int32_t schema;
    uint64_t threshold_bits;
    size_t spans_n[2], buckets_n[2], custom_n; // of both sides: positive, negative
    const uint8_t *spans[2], *custom;
};

static void read_spans(struct input *in, struct layout *l, unsigned side)
{
    const size_t n = l->spans_n[side] = count_of(in);
    uint64_t buckets = 0;
    l->spans[side] = in->at;
    for (size_t i = 0; i < n && !in->failed; i++) {
        const int64_t offset = unzigzag(number(in));
        const size_t length = count_of(in);
        buckets += length;
        in->failed |= offset != (int32_t)offset || length == 0 || (i > 0 && offset <= 0) ||
                      buckets > HISTOGRAM_BUCKETS_MAX;
    }
    l->buckets_n[side] = buckets;
}

static bool read_layout(struct str bytes_of_it, struct layout *out)
{
    struct input in = input_of(bytes_of_it);
    const uint8_t *kind = bytes(&in, 1);
    const int64_t schema = unzigzag(number(&in));
    *out = (struct layout){.is_float = kind && *kind == 1, .schema = (int32_t)schema};
    in.failed |= !kind || *kind > 1 ||
                 !(schema <= HISTOGRAM_SCHEMA_MAX &&
                   (schema >= HISTOGRAM_SCHEMA_MIN || schema == HISTOGRAM_SCHEMA_CUSTOM));
    out->threshold_bits = fixed64(&in);
    read_spans(&in, out, 0);
    read_spans(&in, out, 1);
    out->custom_n = count_of(&in);
    out->custom = bytes(&in, out->custom_n * 8);
    return !in.failed && in.at == in.end &&
           out->buckets_n[0] + out->buckets_n[1] <= HISTOGRAM_BUCKETS_MAX;
}

static uint64_t cell(struct input *in, bool is_float)
{
    const uint64_t v = number(in);
    return is_float ? __builtin_bswap64(v) : v;
}

static void read_side(struct input *in, size_t n, bool is_float, uint64_t *out)
{
    uint64_t before = 0;
    for (size_t i = 0; i < n; i++) {
        const uint64_t v = cell(in, is_float);
        before = is_float ? v : before + (uint64_t)unzigzag(v);
        if (out)
            out[i] = before;
    }
}

// out NULL: they are only passed over.
static void read_cells(struct input *in, const struct layout *l, uint64_t *out)
{
    const uint64_t count = cell(in, l->is_float), zero = cell(in, l->is_float);
    const uint64_t sum = fixed64(in);
    if (out) {
        out[HISTOGRAM_CELL_COUNT] = count;
        out[HISTOGRAM_CELL_ZERO] = zero;
        out[HISTOGRAM_CELL_SUM] = sum;
        out += HISTOGRAM_CELL_BUCKETS;
    }
    read_side(in, l->buckets_n[1], l->is_float, out);
    read_side(in, l->buckets_n[0], l->is_float, out ? out + l->buckets_n[1] : NULL);
}

// The layout, and the input that is left after the hint.
static bool read_begin(struct str packed, struct str *layout, uint8_t *hint, struct input *in)
{
    *in = input_of(packed);
    const uint64_t size = number(in);
    if (in->failed || size > HISTOGRAM_PACKED_MAX)
        return false;
    *layout = str_make((const char *)in->at, (size_t)size);
    const bool there = bytes(in, (size_t)size);
    const uint8_t *p = bytes(in, 1);
    *hint = p ? *p : 0;
    return there && p && *hint <= HISTOGRAM_HINT_GAUGE;
}

bool histogram_is_packed(struct str packed)
{
    struct layout l;
    struct input in;
    struct str layout;
    uint8_t hint;
    if (packed.n > HISTOGRAM_PACKED_MAX || !read_begin(packed, &layout, &hint, &in) ||
        !read_layout(layout, &l))
        return false;
    read_cells(&in, &l, NULL);
    return !in.failed && in.at == in.end;
}

static struct histogram_side side_of(const struct layout *l, unsigned side, const uint64_t *counts,
                                     struct arena *a)
{
    const size_t n = l->spans_n[side];
    struct histogram_span *spans =
        arena_alloc(a, (n + 1) * sizeof *spans, _Alignof(struct histogram_span));
    struct input in = {l->spans[side], l->spans[side] + n * 2 * VARINT_MAX, false};
    for (size_t i = 0; i < n; i++) {
        spans[i].offset = (int32_t)unzigzag(number(&in));
        spans[i].length = (uint32_t)number(&in);
    }
    return (struct histogram_side){spans, counts, n, l->buckets_n[side]};
}

bool histogram_unpack(struct str packed, struct arena *a, struct histogram *out)
{
    struct layout l;
    struct input in;
    struct str layout;
    uint8_t hint;
    if (!histogram_is_packed(packed) || !read_begin(packed, &layout, &hint, &in) ||
        !read_layout(layout, &l))
        return false;
    const size_t n = HISTOGRAM_CELL_BUCKETS + l.buckets_n[0] + l.buckets_n[1];
    uint64_t *cells = arena_alloc(a, n * sizeof *cells, _Alignof(uint64_t));
    read_cells(&in, &l, cells);
    double *custom = arena_alloc(a, (l.custom_n + 1) * sizeof *custom, _Alignof(double));
    if (l.custom_n)
        memcpy(custom, l.custom, l.custom_n * sizeof *custom);
    const uint64_t *buckets = cells + HISTOGRAM_CELL_BUCKETS;
    *out = (struct histogram){
        .schema = l.schema,
        .is_float = l.is_float,
        .hint = (enum histogram_hint)hint,
        .zero_threshold = double_from_bits(l.threshold_bits),
        .sum = double_from_bits(cells[HISTOGRAM_CELL_SUM]),
        .count = cells[HISTOGRAM_CELL_COUNT],
        .zero_count = cells[HISTOGRAM_CELL_ZERO],
        .positive = side_of(&l, 0, buckets + l.buckets_n[1], a),
        .negative = side_of(&l, 1, buckets, a),
        .custom = custom,
        .custom_n = l.custom_n,
    };
    return true;
}

struct str histogram_layout(struct str packed)
{
    struct input in;
    struct str layout;
    uint8_t hint;
    const bool good = read_begin(packed, &layout, &hint, &in);
    assert(good);
    return layout;
}

bool histogram_layout_is_float(struct str layout)
{
    assert(layout.n > 0);
    return layout.p[0] == 1;
}

size_t histogram_layout_cells(struct str layout)
{
    struct layout l;
    return read_layout(layout, &l) ? HISTOGRAM_CELL_BUCKETS + l.buckets_n[0] + l.buckets_n[1] : 0;
}

enum histogram_hint histogram_hint(struct str packed)
{
    const struct str layout = histogram_layout(packed);
    return (enum histogram_hint)layout.p[layout.n];
}

void histogram_cells(struct str packed, uint64_t *cells)
{
    struct layout l;
    struct input in;
    struct str layout;
    uint8_t hint;
    const bool good = read_begin(packed, &layout, &hint, &in) && read_layout(layout, &l);
    assert(good);
    read_cells(&in, &l, cells);
    assert(!in.failed);
}

uint64_t histogram_sum_bits(struct str packed)
{
    const struct str layout = histogram_layout(packed);
    const uint8_t *end = (const uint8_t *)packed.p + packed.n;
    struct input in = {(const uint8_t *)layout.p + layout.n + 1, end, false};
    (void)number(&in);
    (void)number(&in);
    return fixed64(&in);
}

void histogram_join(struct str layout, enum histogram_hint hint, const uint64_t *cells,
                    struct buf *out)
{
    struct layout l;
    const bool good = read_layout(layout, &l);
    assert(good);
    const uint64_t *buckets = cells + HISTOGRAM_CELL_BUCKETS;
    buf_put_varint(out, layout.n);
    buf_put_str(out, layout);
    buf_put_char(out, (char)hint);
    put_cells(cells, buckets, l.buckets_n[1], buckets + l.buckets_n[1], l.buckets_n[0], l.is_float,
              out);
}

bool histogram_same(struct str a, struct str b)
{
    if (a.n != b.n)
        return false;
    const struct str layout = histogram_layout(a);
    const size_t at = (size_t)(layout.p - a.p) + layout.n; // of the hint
    return memcmp(a.p, b.p, at) == 0 && memcmp(a.p + at + 1, b.p + at + 1, a.n - at - 1) == 0;
}

bool histogram_is_stale(struct str packed)
{
    return histogram_sum_bits(packed) == VALUE_STALE_BITS;
}
