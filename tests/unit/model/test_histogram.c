// Wanted texts are those of Prometheus's histogram validation; the packed form is tested by its
// reverse.
#include <criterion/criterion.h>
#include <math.h>

#include "engine/base/bits.h"
#include "engine/base/mem.h"
#include "engine/model/histogram.h"
#include "engine/model/value.h"

#define SPANS(...)                  \
    (const struct histogram_span[]) \
    {                               \
        __VA_ARGS__                 \
    }
#define COUNTS(...)    \
    (const uint64_t[]) \
    {                  \
        __VA_ARGS__    \
    }
#define BOUNDS(...)  \
    (const double[]) \
    {                \
        __VA_ARGS__  \
    }

static uint64_t bits(double v)
{
    return bits_from_double(v);
}

struct bad {
    struct histogram h;
    const char *text;
};

static void check_bad(const struct bad *b, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct errmsg e = {""};
        struct buf out = {0};
        const err code = histogram_pack(&b[i].h, &out, &e);
        cr_assert_eq(code, b[i].text ? ERR_INVALID : ERR_OK, "%zu: %d %s", i, code, e.text);
        cr_assert_str_eq(e.text, b[i].text ? b[i].text : "");
        cr_assert(b[i].text ? out.n == 0 : out.n > 0);
        buf_deinit(&out);
    }
}

#define NOT_ALL " observations found in buckets, but the Count field is "
#define EQUAL                                                                               \
    ": histogram's observation count should equal the number of observations found in the " \
    "buckets (in absence of NaN)"

Test(histogram, exponential_rules)
{
    const struct bad rows[] = {
        {{.schema = 1, .count = 3, .positive = {SPANS({0, 2}), COUNTS(1, 2), 1, 2}}, NULL},
        {{.schema = 1, .count = 3, .positive = {SPANS({-5, 2}), COUNTS(1, 2), 1, 2}}, NULL},
        {{.count = 4, .positive = {SPANS({0, 2}), COUNTS(1, 2), 1, 2}}, "3" NOT_ALL "4" EQUAL},
        {{.count = 4, .sum = NAN, .positive = {SPANS({0, 2}), COUNTS(1, 2), 1, 2}}, NULL},
        {{.count = 2, .sum = NAN, .positive = {SPANS({0, 2}), COUNTS(1, 2), 1, 2}},
         "3" NOT_ALL "2: histogram's observation count should be at least the number of "
         "observations found in the buckets"},
        {{.positive = {SPANS({0, 2}), COUNTS(1), 1, 1}},
         "positive side: spans need 2 buckets, have 1 buckets: histogram spans specify different "
         "number of buckets than provided"},
        {{.negative = {SPANS({0, 1}, {-2, 1}), COUNTS(1, 1), 2, 2}},
         "negative side: span number 2 with offset -2: histogram has a span whose offset is "
         "negative"},
        {{.negative = {SPANS({0, 2}), COUNTS(1, (uint64_t)-1), 1, 2}},
         "negative side: bucket number 2 has observation count of -1: histogram has a bucket whose "
         "observation count is negative"},
        {{.is_float = true, .positive = {SPANS({0, 1}), COUNTS(bits(-1.5)), 1, 1}},
         "positive side: bucket number 1 has observation count of -1.5: histogram has a bucket "
         "whose observation count is negative"},
        {{.is_float = true, .count = bits(9), .positive = {SPANS({0, 1}), COUNTS(bits(1)), 1, 1}},
         NULL}, // floats need not add up
        {{.custom = BOUNDS(1), .custom_n = 1},
         "histogram with exponential schema must not have custom bounds"},
        {{.schema = 9},
         "histogram has an invalid schema, which must be between -4 and 8 for exponential buckets, "
         "or -53 for custom buckets, got schema 9"},
        {{.schema = -5},
         "histogram has an invalid schema, which must be between -4 and 8 for exponential buckets, "
         "or -53 for custom buckets, got schema -5"},
    };
    check_bad(rows, sizeof rows / sizeof *rows);
}

Test(histogram, custom_rules)
{
    const struct bad rows[] = {
        {{.schema = -53,
          .count = 3,
          .positive = {SPANS({0, 2}), COUNTS(1, 2), 1, 2},
          .custom = BOUNDS(-1, 2.5),
          .custom_n = 2},
         NULL},
        {{.schema = -53,
          .positive = {SPANS({0, 2}, {1, 1}), COUNTS(0, 0, 0), 2, 3},
          .custom = BOUNDS(1, 2),
          .custom_n = 2},
         "custom buckets: only 2 custom bounds defined which is insufficient to cover total span "
         "length of 4: histogram custom bounds are too few"},
        {{.schema = -53, .positive = {SPANS({-1, 1}), COUNTS(0), 1, 1}},
         "custom buckets: span number 1 with offset -1: histogram has a span whose offset is "
         "negative"},
        {{.schema = -53, .custom = BOUNDS(1, 1), .custom_n = 2},
         "custom buckets: previous bound is 1.000000 and current is 1.000000: histogram custom "
         "bounds must be in strictly increasing order"},
        {{.schema = -53, .custom = BOUNDS(1, INFINITY), .custom_n = 2},
         "custom buckets: last +Inf bound must not be explicitly defined: histogram custom bounds "
         "must be finite"},
        {{.schema = -53, .custom = BOUNDS(NAN), .custom_n = 1},
         "custom buckets: histogram custom bounds must not be NaN"},
        {{.schema = -53, .zero_count = 1}, "custom buckets: must have zero count of 0"},
        {{.schema = -53, .zero_threshold = 1}, "custom buckets: must have zero threshold of 0"},
        {{.schema = -53, .negative = {SPANS({0, 0}), NULL, 1, 0}},
         "custom buckets: must not have negative spans"},
        {{.schema = -53, .negative = {NULL, COUNTS(1), 0, 1}},
         "custom buckets: must not have negative buckets"},
    };
    check_bad(rows, sizeof rows / sizeof *rows);
}

// ---- the packed form

static uint64_t seed = 88172645463325252u;

static uint64_t draw(uint64_t below)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed % below;
}

static uint64_t any_count(bool is_float)
{
    static const double doubles[] = {0, 1, 2.5, 1e300, 5e-324, 1234567};
    if (!is_float)
        return draw(4) ? draw(1000) : draw(UINT64_C(1) << 50);
    return draw(8) ? bits(doubles[draw(6)]) : draw(UINT64_C(0x7ff0) << 48);
}

static struct histogram_side any_side(struct arena *a, bool is_float, bool any_first)
{
    struct histogram_span *spans = arena_array(a, 8, struct histogram_span);
    uint64_t *counts = arena_array(a, 64, uint64_t);
    struct histogram_side side = {spans, counts, draw(8), 0};
    for (size_t i = 0; i < side.spans_n; i++) {
        spans[i].offset = i || !any_first ? (int32_t)draw(3) : (int32_t)draw(40) - 20;
        spans[i].length = (uint32_t)draw(6);
        for (uint32_t k = 0; k < spans[i].length; k++)
            counts[side.counts_n++] = any_count(is_float);
    }
    return side;
}

static struct histogram any_histogram(struct arena *a)
{
    static const double sums[] = {0, -0.0, 1.25, INFINITY, 1e-300};
    struct histogram h = {
        .schema = draw(4) ? (int32_t)draw(13) - 4 : HISTOGRAM_SCHEMA_CUSTOM,
        .is_float = draw(2),
        .hint = (enum histogram_hint)draw(4),
        .sum = sums[draw(5)],
    };
    const bool custom = h.schema == HISTOGRAM_SCHEMA_CUSTOM;
    h.positive = any_side(a, h.is_float, !custom);
    if (custom) {
        h.custom_n = 60 + draw(5);
        double *bounds = arena_array(a, h.custom_n, double);
        for (size_t i = 0; i < h.custom_n; i++)
            bounds[i] = (double)i * 0.1 - 2;
        h.custom = bounds;
    } else {
        h.negative = any_side(a, h.is_float, true);
        h.zero_count = any_count(h.is_float);
        h.zero_threshold = draw(2) ? 0x1p-128 : 0;
    }
    h.count = any_count(h.is_float);
    if (!h.is_float) {
        h.count = h.zero_count;
        for (size_t i = 0; i < h.positive.counts_n; i++)
            h.count += h.positive.counts[i];
        for (size_t i = 0; i < h.negative.counts_n; i++)
            h.count += h.negative.counts[i];
    }
    if (draw(10) == 0) {
        h = (struct histogram){.is_float = h.is_float, .sum = double_from_bits(VALUE_STALE_BITS)};
    }
    return h;
}

static void check_side(const struct histogram_side *a, const struct histogram_side *b)
{
    struct histogram_iter i = {0}, k = {0};
    while (histogram_next(a, &i)) {
        cr_assert(histogram_next(b, &k));
        cr_assert_eq(i.index, k.index);
        cr_assert_eq(i.count, k.count);
    }
    cr_assert_not(histogram_next(b, &k));
}

static void check_equal(const struct histogram *a, const struct histogram *b)
{
    cr_assert_eq(a->schema, b->schema);
    cr_assert_eq(a->is_float, b->is_float);
    cr_assert_eq(a->hint, b->hint);
    cr_assert_eq(bits(a->sum), bits(b->sum));
    cr_assert_eq(bits(a->zero_threshold), bits(b->zero_threshold));
    cr_assert_eq(a->count, b->count);
    cr_assert_eq(a->zero_count, b->zero_count);
    cr_assert_eq(a->custom_n, b->custom_n);
    cr_assert(!a->custom_n || memcmp(a->custom, b->custom, a->custom_n * sizeof *a->custom) == 0);
    check_side(&a->positive, &b->positive);
    check_side(&a->negative, &b->negative);
}

Test(histogram, packed_and_back)
{
    struct arena a;
    struct buf packed = {0}, again = {0};
    uint64_t *cells = mem_alloc_array(HISTOGRAM_CELLS_MAX, sizeof *cells);
    arena_init(&a, 0);
    for (int round = 0; round < 20000; round++) {
        const uint64_t began = seed;
        struct errmsg e;
        struct histogram h = any_histogram(&a), back;
        buf_reset(&packed);
        buf_reset(&again);
        cr_assert_eq(histogram_pack(&h, &packed, &e), ERR_OK, "seed %llu: %s",
                     (unsigned long long)began, e.text);
        const struct str p = buf_str(&packed);
        cr_assert(histogram_is_packed(p), "seed %llu", (unsigned long long)began);
        cr_assert(histogram_unpack(p, &a, &back));
        check_equal(&h, &back);
        cr_assert_eq(histogram_is_stale(p), bits(h.sum) == VALUE_STALE_BITS);
        cr_assert_eq(histogram_hint(p), h.hint);
        const struct str layout = histogram_layout(p);
        cr_assert_eq(histogram_layout_is_float(layout), h.is_float);
        cr_assert_eq(histogram_layout_cells(layout),
                     HISTOGRAM_CELL_BUCKETS + h.positive.counts_n + h.negative.counts_n);
        histogram_cells(p, cells);
        histogram_join(layout, h.hint, cells, &again);
        cr_assert(str_eq(p, buf_str(&again)));
        again.n = 0;
        back.hint = (enum histogram_hint)((h.hint + 1) % 4);
        cr_assert_eq(histogram_pack(&back, &again, &e), ERR_OK); // canonical
        cr_assert(histogram_same(p, buf_str(&again)));
        again.n = 0;
        back.sum += 1;
        cr_assert_eq(histogram_pack(&back, &again, &e), ERR_OK);
        cr_assert_eq(histogram_same(p, buf_str(&again)), bits(back.sum) == bits(h.sum));
        arena_reset(&a);
    }
    arena_deinit(&a);
    buf_deinit(&packed);
    buf_deinit(&again);
    mem_free(cells);
}

Test(histogram, spans_are_joined)
{
    const struct histogram one = {.count = 6,
                                  .positive = {SPANS({-2, 3}, {2, 1}), COUNTS(1, 1, 1, 3), 2, 4}};
    const struct histogram other = {
        .count = 6,
        .positive = {SPANS({-5, 0}, {3, 1}, {0, 2}, {1, 0}, {1, 1}, {7, 0}), COUNTS(1, 1, 1, 3), 6,
                     4}};
    struct buf a = {0}, b = {0};
    cr_assert_eq(histogram_pack(&one, &a, NULL), ERR_OK);
    cr_assert_eq(histogram_pack(&other, &b, NULL), ERR_OK);
    cr_assert(str_eq(buf_str(&a), buf_str(&b)));
    buf_deinit(&a);
    buf_deinit(&b);
}

// Truncated and changed bytes are refused or are another histogram; nothing outside is read.
Test(histogram, hostile_bytes)
{
    struct arena a;
    arena_init(&a, 0);
    for (int round = 0; round < 20000; round++) {
        const struct histogram h = any_histogram(&a);
        struct buf packed = {0};
        struct histogram back;
        cr_assert_eq(histogram_pack(&h, &packed, NULL), ERR_OK);
        const size_t n = packed.n ? draw(packed.n) : 0;
        char *exact = mem_alloc(packed.n);
        memcpy(exact, packed.p, packed.n);
        cr_assert_not(histogram_is_packed(str_make(exact, n)));
        exact[n] = (char)draw(256);
        if (histogram_unpack(str_make(exact, packed.n), &a, &back)) {
            const struct str p = str_make(exact, packed.n);
            cr_assert_eq(histogram_layout_cells(histogram_layout(p)),
                         HISTOGRAM_CELL_BUCKETS + back.positive.counts_n + back.negative.counts_n);
        }
        mem_free(exact);
        buf_deinit(&packed);
        arena_reset(&a);
    }
    arena_deinit(&a);
}

// Upper bounds decide: bucket i of schema 9 ends at 2^(i / 512), j of schema 8 at 2^(j / 256).
Test(histogram, finer_schemas_are_reduced)
{
    static const int64_t index[] = {-1, 0, 1, 2}; // of -2, -1 and 0, 2, 3
    static const uint64_t count[] = {1, 6, 8, 16};
    struct arena a;
    arena_init(&a, 0);
    struct histogram h = {
        .schema = 9,
        .count = 31,
        .positive = {SPANS({-2, 3}, {1, 2}), COUNTS(1, 2, 4, 8, 16), 2, 5},
    };
    histogram_reduce(&h, &a);
    cr_assert_eq(h.schema, 8);
    cr_assert_eq(histogram_validate(&h, NULL), ERR_OK);
    struct histogram_iter i = {0};
    size_t n = 0;
    for (; histogram_next(&h.positive, &i); n++) {
        cr_assert_lt(n, 4);
        cr_assert_eq(i.index, index[n]);
        cr_assert_eq(i.count, count[n]);
    }
    cr_assert_eq(n, 4);
    arena_deinit(&a);
}
