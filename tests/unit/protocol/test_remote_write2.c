// remote_write 2.0 and the parts both messages share. Messages are put together here from the
// layout in the protocol's definition; texts of errors are those of the decoder that Prometheus
// uses.
#include "protocol/remote_write2.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>

#include "engine/base/buf.h"
#include "engine/base/rng.h"
#include "engine/base/util.h"
#include "tests/lib/pb_put.h"

static void put_sample(struct buf *b, uint64_t bits, int64_t time_ms, int64_t start_ms)
{
    struct buf m = {0};
    pb_put_fixed64(&m, 1, bits);
    pb_put_varint(&m, 2, (uint64_t)time_ms);
    if (start_ms)
        pb_put_varint(&m, 3, (uint64_t)start_ms);
    pb_put_bytes(b, 2, buf_str(&m));
    buf_deinit(&m);
}

static void write_refs(struct buf *out, struct str region)
{
    struct remote_write2_refs refs = remote_write2_refs(region);
    for (uint32_t ref; remote_write2_refs_next(&refs, &ref);)
        buf_printf(out, "%" PRIu32 " ", ref);
}

static void write_side(struct buf *out, const struct remote_write_histogram *h, bool negative)
{
    const struct remote_write_side *const side = negative ? &h->negative : &h->positive;
    const uint32_t n = remote_write_buckets(h, side);
    struct remote_write_span spans[16];
    uint64_t counts[16];
    cr_assert(side->spans <= countof(spans) && n <= countof(counts));
    remote_write_histogram_spans(h, negative, spans);
    remote_write_histogram_counts(h, negative, counts);
    for (uint32_t i = 0; i < side->spans; i++)
        buf_printf(out, "%s%" PRId32 "+%" PRIu32, i ? "," : " ", spans[i].offset, spans[i].length);
    for (uint32_t i = 0; i < n; i++)
        buf_printf(out, "%s%" PRId64, i ? "," : ":", (int64_t)counts[i]);
}

static void write_histogram(struct buf *out, const struct remote_write_histogram *h)
{
    double custom[16];
    cr_assert(h->custom <= countof(custom));
    remote_write_histogram_custom(h, custom);
    buf_printf(out, "%s n=%" PRId64 " z=%" PRId64 " sum=%016" PRIx64 " zt=%016" PRIx64,
               h->is_float ? "float" : "int", (int64_t)h->count, (int64_t)h->zero_count,
               h->sum_bits, h->zero_threshold_bits);
    buf_printf(out, " schema=%d hint=%u", h->schema, h->hint);
    write_side(out, h, false);
    write_side(out, h, true);
    for (uint32_t i = 0; i < h->custom; i++)
        buf_printf(out, " le=%g", custom[i]);
    buf_printf(out, " @%" PRId64 "<%" PRId64 " ", h->time_ms, h->start_ms);
}

static void write_series(struct buf *out, const struct remote_write2_series *s)
{
    struct pb at = pb_of(s->samples);
    struct remote_write2_sample sample;
    struct remote_write_exemplar exemplar;
    struct remote_write_histogram histogram;
    uint32_t n = 0;
    write_refs(out, s->refs);
    for (; remote_write2_samples_next(&at, &sample); n++)
        buf_printf(out, "%016" PRIx64 "@%" PRId64 "<%" PRId64 " ", sample.bits, sample.time_ms,
                   sample.start_ms);
    cr_assert_eq(n, s->samples_count);
    struct remote_write_samples plain = {pb_of(s->samples).at, pb_of(s->samples).end};
    for (struct remote_write_sample p; remote_write_samples_next(&plain, &p);)
        n--;
    cr_assert_eq(n, 0, "the walk of 1.0 finds the same samples");
    at = pb_of(s->exemplars);
    for (; remote_write2_exemplars_next(&at, &exemplar); n++) {
        buf_put_char(out, '{');
        write_refs(out, exemplar.labels);
        buf_printf(out, "} %016" PRIx64 "@%" PRId64 " ", exemplar.bits, exemplar.time_ms);
    }
    cr_assert_eq(n, s->exemplars_count);
    at = pb_of(s->histograms);
    for (n = 0; remote_write2_histograms_next(&at, &histogram); n++)
        write_histogram(out, &histogram);
    cr_assert_eq(n, s->histograms_count);
    if (s->metadata.type || s->metadata.help || s->metadata.unit)
        buf_printf(out, "type=%u help=%u unit=%u ", s->metadata.type, s->metadata.help,
                   s->metadata.unit);
    if (s->start_ms)
        buf_printf(out, "start=%" PRId64 " ", s->start_ms);
    if (s->has_starts)
        buf_put_str(out, STR("starts "));
    buf_put_str(out, STR("/ "));
}

// A series in the usual form is the same as any reader finds.
static void check_usual(const struct remote_write2_usual *u, const struct remote_write2 *after,
                        const struct remote_write2_series *s)
{
    struct pb at = pb_of(s->samples);
    struct remote_write2_sample first;
    cr_assert_eq(u->end, after->in.at);
    cr_assert_eq(u->refs + u->refs_n, (const uint8_t *)s->refs.p + s->refs.n);
    cr_assert(u->samples.p == s->samples.p && u->samples.n == s->samples.n);
    cr_assert_eq(u->samples_count, s->samples_count);
    cr_assert(remote_write2_samples_next(&at, &first));
    cr_assert(first.bits == u->first.bits && first.time_ms == u->first.time_ms);
    struct remote_write2_metadata m;
    if (remote_write2_usual_metadata(u, &m))
        cr_assert(m.type == s->metadata.type && m.help == s->metadata.help &&
                  m.unit == s->metadata.unit);
    cr_assert(!s->histograms_count && !s->exemplars_count && !s->start_ms && !s->has_starts);
}

// What the request says, as text. It is read from memory of its exact size.
static void transcribe(struct str request, struct buf *out)
{
    struct remote_write2 w;
    struct remote_write2_series s;
    struct remote_write2_usual usual;
    struct errmsg e;
    char *exact = malloc(request.n + !request.n);
    if (request.n)
        memcpy(exact, request.p, request.n);
    const struct str copy = str_make(exact, request.n);
    struct pb in = pb_of(copy);
    for (struct str symbol; remote_write2_next_symbol(&in, &symbol);)
        buf_printf(out, "'%.*s' ", STR_ARG(symbol));
    remote_write2_init(&w, copy);
    for (bool more = true;;) {
        const bool is_usual = remote_write2_peek(&w, &usual);
        if (remote_write2_next(&w, &s, &more, &e) != ERR_OK) {
            buf_printf(out, "error %s", e.text);
            break;
        }
        if (!more)
            break;
        if (is_usual)
            check_usual(&usual, &w, &s);
        write_series(out, &s);
    }
    free(exact);
}

static void check(struct str request, const char *want)
{
    struct buf got = {0};
    transcribe(request, &got);
    cr_assert(str_eq(buf_str(&got), str_from_c(want)), "got  %.*s\nwant %s", STR_ARG(buf_str(&got)),
              want);
    buf_deinit(&got);
}

Test(remote_write2, symbols_samples_metadata)
{
    struct buf request = {0}, s = {0};
    pb_put_bytes(&request, 4, STR(""));
    pb_put_bytes(&request, 4, STR("__name__"));
    pb_put_bytes(&request, 4, STR("up"));
    pb_put_bytes(&s, 1, STR("\x01\x02\x81\x01"));
    put_sample(&s, 0x7ff0000000000002u, 1700000000000, 0);
    put_sample(&s, 0x8000000000000000u, -1, 1600000000000);
    put_sample(&s, 0, INT64_MIN, INT64_MAX);
    pb_put_bytes(&s, 5, STR("\x08\x02\x18\x05\x20\x06"));
    pb_put_bytes(&request, 5, buf_str(&s));
    pb_put_bytes(&request, 5, STR(""));
    pb_put_bytes(&request, 4, STR("late"));
    check(buf_str(&request),
          "'' '__name__' 'up' 'late' 1 2 129 7ff0000000000002@1700000000000<0 "
          "8000000000000000@-1<1600000000000 0000000000000000@-9223372036854775808<"
          "9223372036854775807 type=2 help=5 unit=6 starts / / ");
    buf_deinit(&request);
    buf_deinit(&s);
}

// References one by one and in several pieces, fields in any order, unknown ones in between, the
// last of repeats, defaults that are left out.
Test(remote_write2, unusual_order)
{
    struct buf request = {0}, s = {0};
    put_sample(&s, 0x3ff0000000000000u, 5, 0);
    pb_put_varint(&s, 1, 1);
    pb_put_varint(&s, 6, 77);
    pb_put_tag(&s, 99, PB_FIXED32);
    buf_put_le32(&s, 1);
    pb_put_bytes(&s, 1, STR("\x02\x03"));
    pb_put_bytes(&s, 2, STR(""));
    pb_put_bytes(&s, 2, STR("\x10\x05\x28\x01\x10\x06"));
    pb_put_varint(&s, 1, (UINT64_C(1) << 32) + 4);
    pb_put_bytes(&s, 1, STR(""));
    pb_put_bytes(&s, 5, STR("\x08\x01"));
    pb_put_bytes(&s, 5, STR("\x18\x02"));
    pb_put_bytes(&request, 5, buf_str(&s));
    pb_put_varint(&request, 1, 7);
    pb_put_bytes(&request, 3, STR("ignored"));
    check(buf_str(&request), "1 2 3 4 3ff0000000000000@5<0 0000000000000000@0<0 "
                             "0000000000000000@6<0 type=1 help=2 unit=0 start=77 / ");
    buf_deinit(&request);
    buf_deinit(&s);
}

Test(remote_write2, histograms_and_exemplars)
{
    struct buf request = {0}, s = {0}, h = {0}, list = {0};
    pb_put_varint(&h, 1, 12);
    pb_put_fixed64(&h, 3, 0x4032000000000000u);
    pb_put_varint(&h, 4, zigzag(-4));
    pb_put_fixed64(&h, 5, 0x3e10000000000000u);
    pb_put_varint(&h, 6, 2);
    pb_put_bytes(&h, 11, STR("\x08\x03\x10\x02"));
    pb_put_bytes(&h, 11, STR("\x08\x00\x10\x01"));
    for (int i = 0; i < 3; i++)
        buf_put_varint(&list, zigzag((const int64_t[]){1, 2, -1}[i]));
    pb_put_bytes(&h, 12, buf_str(&list));
    pb_put_varint(&h, 9, zigzag(-7));
    pb_put_bytes(&h, 8, STR("\x08\x01\x10\x01"));
    pb_put_varint(&h, 14, 3);
    pb_put_varint(&h, 15, 1000);
    pb_put_varint(&h, 17, 900);
    pb_put_bytes(&s, 3, buf_str(&h));
    buf_reset(&h);
    pb_put_fixed64(&h, 2, 5);
    pb_put_fixed64(&h, 7, 6);
    pb_put_fixed64(&h, 13, 1);
    pb_put_bytes(&h, 13, STR("\x02\0\0\0\0\0\0\0\x03\0\0\0\0\0\0\0"));
    pb_put_bytes(&h, 12, STR("\x02"));
    pb_put_varint(&h, 4, zigzag(-53));
    pb_put_fixed64(&h, 16, 0x3ff0000000000000u);
    pb_put_bytes(&s, 3, buf_str(&h));
    pb_put_bytes(&s, 3, STR("\x30\x05\x11\0\0\0\0\0\0\0\0")); // the kinds of its two counts differ
    buf_reset(&h);
    pb_put_bytes(&h, 1, STR("\x05\x06"));
    pb_put_fixed64(&h, 2, 0x7ff8000000000001u);
    pb_put_varint(&h, 3, (uint64_t)-5);
    pb_put_varint(&h, 1, 9);
    pb_put_bytes(&s, 4, buf_str(&h));
    pb_put_bytes(&request, 5, buf_str(&s));
    check(buf_str(&request),
          "{5 6 9 } 7ff8000000000001@-5 int n=12 z=2 sum=4032000000000000 zt=3e10000000000000 "
          "schema=-4 hint=3 -2+2,0+1:1,3,2 -1+1:-7 @1000<900 float n=5 z=6 sum=0000000000000000 "
          "zt=0000000000000000 schema=-53 hint=0:1,2,3 le=1 @0<0 float n=0 z=0 "
          "sum=0000000000000000 zt=0000000000000000 schema=0 hint=0 @0<0 / ");
    buf_deinit(&request);
    buf_deinit(&s);
    buf_deinit(&h);
    buf_deinit(&list);
}

#define ROW(bytes, text)                   \
    {                                      \
        {(bytes), sizeof(bytes) - 1}, text \
    }
static const struct {
    struct str request;
    const char *want;
} rows[] = {
    ROW("", ""),
    ROW("\x2a\xff", "error unexpected EOF"),
    ROW("\x20\x01", "error proto: wrong wireType = 0 for field Symbols"),
    ROW("\x28\x01", "error proto: wrong wireType = 0 for field Timeseries"),
    ROW("\x2c", "error proto: Request: wiretype end group for non-group"),
    ROW("\x02\x00", "error proto: Request: illegal tag 0 (wire type 2)"),
    ROW("\xfa\xff\xff\xff\x7f\x00", "error proto: Request: illegal tag -1 (wire type 34359738362)"),
    ROW("\x22\x05hello\x22\x09world", "'hello' error unexpected EOF"),
    ROW("\x2a\x05\x0d\x01\0\0\0", "error proto: wrong wireType = 5 for field LabelsRefs"),
    ROW("\x2a\x04\x0a\x02\x01\x80", "error unexpected EOF"),
    ROW("\x2a\x0f\x0a\x0d\x01\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01",
        "error proto: integer overflow"),
    ROW("\x2a\x02\x10\x01", "error proto: wrong wireType = 0 for field Samples"),
    ROW("\x2a\x02\x18\x01", "error proto: wrong wireType = 0 for field Histograms"),
    ROW("\x2a\x02\x20\x01", "error proto: wrong wireType = 0 for field Exemplars"),
    ROW("\x2a\x02\x28\x01", "error proto: wrong wireType = 0 for field Metadata"),
    ROW("\x2a\x03\x32\x01\x01", "error proto: wrong wireType = 2 for field CreatedTimestamp"),
    ROW("\x2a\x04\x12\x02\x08\x01", "error proto: wrong wireType = 0 for field Value"),
    ROW("\x2a\x05\x12\x03\x12\x01x", "error proto: wrong wireType = 2 for field Timestamp"),
    ROW("\x2a\x05\x12\x03\x1a\x01x", "error proto: wrong wireType = 2 for field StartTimestamp"),
    ROW("\x2a\x04\x22\x02\x09\x01", "error proto: wrong wireType = 1 for field LabelsRefs"),
    ROW("\x2a\x04\x22\x02\x10\x01", "error proto: wrong wireType = 0 for field Value"),
    ROW("\x2a\x05\x22\x03\x1a\x01x", "error proto: wrong wireType = 2 for field Timestamp"),
    ROW("\x2a\x05\x2a\x03\x0a\x01x", "error proto: wrong wireType = 2 for field Type"),
    ROW("\x2a\x05\x2a\x03\x1a\x01x", "error proto: wrong wireType = 2 for field HelpRef"),
    ROW("\x2a\x05\x2a\x03\x22\x01x", "error proto: wrong wireType = 2 for field UnitRef"),
    ROW("\x2a\x07\x1a\x05\x42\x03\x0a\x01x", "error proto: wrong wireType = 2 for field Offset"),
    ROW("\x2a\x07\x1a\x05\x42\x03\x12\x01x", "error proto: wrong wireType = 2 for field Length"),
    ROW("\x2a\x05\x1a\x03\x4a\x01\x80", "error unexpected EOF"),
    ROW("\x2a\x05\x1a\x03\x52\x01\x80", "error unexpected EOF"),
    ROW("\x2a\x02\x12\x00\x2a\x02\x0a\x05", "0000000000000000@0<0 / error unexpected EOF"),
};

Test(remote_write2, rows)
{
    for (size_t i = 0; i < countof(rows); i++)
        check(rows[i].request, rows[i].want);
}

Test(remote_write2, wrong_types_of_histogram_fields)
{
    static const char *const names[] = {"CountInt",       "CountFloat",    "Sum",
                                        "Schema",         "ZeroThreshold", "ZeroCountInt",
                                        "ZeroCountFloat", "NegativeSpans", "NegativeDeltas",
                                        "NegativeCounts", "PositiveSpans", "PositiveDeltas",
                                        "PositiveCounts", "ResetHint",     "Timestamp",
                                        "CustomValues",   "StartTimestamp"};
    struct buf h = {0}, s = {0}, request = {0};
    for (unsigned i = 0; i < countof(names); i++) {
        char want[80];
        buf_reset(&h);
        buf_reset(&s);
        buf_reset(&request);
        pb_put_tag(&h, i + 1, PB_FIXED32);
        buf_put_le32(&h, 1);
        pb_put_bytes(&s, 3, buf_str(&h));
        pb_put_bytes(&request, 5, buf_str(&s));
        snprintf(want, sizeof want, "error proto: wrong wireType = 5 for field %s", names[i]);
        check(buf_str(&request), want);
    }
    buf_deinit(&h);
    buf_deinit(&s);
    buf_deinit(&request);
}

// Bytes of any kind never lead outside the message, nor do prefixes of a good one.
Test(remote_write2, random_bytes)
{
    struct rng rng;
    rng_init(&rng, 20251122);
    for (int round = 0; round < 20000; round++) {
        struct buf out = {0};
        char bytes[64];
        const size_t n = rng_below(&rng, sizeof bytes);
        for (size_t i = 0; i < n; i++)
            bytes[i] =
                (char)(rng_below(&rng, 3) ? "\x0a\x12\x1a\x22\x2a\x01\x02\x05"[rng_below(&rng, 8)]
                                          : (int)rng_below(&rng, 256));
        transcribe(str_make(bytes, n), &out);
        buf_deinit(&out);
    }
}
