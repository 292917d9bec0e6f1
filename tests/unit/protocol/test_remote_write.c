// remote_write 1.0. Messages are put together here from the layout in the protocol's definition;
// texts of errors are those of the decoder that Prometheus uses.
#include "protocol/remote_write.h"

#include <criterion/criterion.h>
#include <inttypes.h>

#include "engine/base/bits.h"
#include "engine/base/buf.h"
#include "engine/base/rng.h"
#include "engine/base/util.h"
#include "tests/lib/pb_put.h"

static void put_label(struct buf *b, const char *name, const char *value)
{
    struct buf m = {0};
    pb_put_bytes(&m, 1, str_from_c(name));
    pb_put_bytes(&m, 2, str_from_c(value));
    pb_put_bytes(b, 1, buf_str(&m));
    buf_deinit(&m);
}

static void put_sample(struct buf *b, uint64_t bits, int64_t time_ms)
{
    struct buf m = {0};
    pb_put_fixed64(&m, 1, bits);
    pb_put_varint(&m, 2, (uint64_t)time_ms);
    pb_put_bytes(b, 2, buf_str(&m));
    buf_deinit(&m);
}

// What the request says, as text.
static void transcribe(struct str request, struct buf *out)
{
    struct remote_write w;
    struct errmsg e;
    char *exact = malloc(request.n + !request.n);
    if (request.n)
        memcpy(exact, request.p, request.n);
    remote_write_init(&w, str_make(exact, request.n));
    for (;;) {
        struct remote_write_series s;
        bool more;
        if (remote_write_next(&w, &s, &more, &e) != ERR_OK) {
            buf_printf(out, "error %s", e.text);
            break;
        }
        if (!more) {
            buf_printf(out, "%" PRIu64 " metadata", w.metadata_count);
            break;
        }
        struct str name, value;
        uint32_t labels = 0, samples = 0;
        for (struct remote_write_labels i = remote_write_labels(&s);
             remote_write_labels_next(&i, &name, &value); labels++)
            buf_printf(out, "%.*s=%.*s ", STR_ARG(name), STR_ARG(value));
        struct remote_write_sample sample;
        for (struct remote_write_samples i = remote_write_samples(&s);
             remote_write_samples_next(&i, &sample); samples++)
            buf_printf(out, "%016" PRIx64 "@%" PRId64 " ", sample.bits, sample.time_ms);
        cr_assert_eq(labels, s.labels_count);
        cr_assert_eq(samples, s.samples_count);
        if (s.exemplars_count || s.histograms_count)
            buf_printf(out, "%u exemplars %u histograms ", s.exemplars_count, s.histograms_count);
        buf_put_str(out, STR("/ "));
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

Test(remote_write, series_labels_samples)
{
    struct buf request = {0}, s = {0};
    put_label(&s, "__name__", "up");
    put_label(&s, "job", "x");
    put_sample(&s, 0x7ff0000000000002u, 1700000000000);
    put_sample(&s, 0x8000000000000000u, -1);
    pb_put_bytes(&s, 3, STR(""));
    pb_put_bytes(&s, 4, STR(""));
    pb_put_bytes(&request, 1, buf_str(&s));
    pb_put_bytes(&request, 3, STR("\x08\x01"));
    pb_put_bytes(&request, 1, STR(""));
    check(buf_str(&request), "__name__=up job=x 7ff0000000000002@1700000000000 "
                             "8000000000000000@-1 1 exemplars 1 histograms / / 1 metadata");
    buf_deinit(&request);
    buf_deinit(&s);
}

// Any order of fields, unknown ones in between, defaults that are left out, the last of repeats.
Test(remote_write, unusual_order)
{
    struct buf request = {0}, s = {0};
    put_sample(&s, 0x3ff0000000000000u, 5);
    put_label(&s, "a", "b");
    pb_put_tag(&s, 77, PB_FIXED32);
    buf_put_le32(&s, 9);
    pb_put_tag(&s, 78, PB_GROUP);
    pb_put_tag(&s, 1, PB_VARINT);
    buf_put_varint(&s, 300);
    pb_put_tag(&s, 2, PB_GROUP);
    pb_put_tag(&s, 2, PB_GROUP_END);
    pb_put_tag(&s, 78, PB_GROUP_END);
    pb_put_bytes(&s, 2, STR(""));
    pb_put_bytes(&s, 1,
                 STR("\x0a\x01x\x0a\x01y\x22\x01z")); // two names, an unknown field, no value
    pb_put_tag(&request, 99, PB_VARINT);
    buf_put_varint(&request, UINT64_MAX);
    pb_put_bytes(&request, 1, buf_str(&s));
    pb_put_tag(&request, 98, PB_FIXED64);
    buf_put_le64(&request, 1);
    check(buf_str(&request), "a=b y= 3ff0000000000000@5 0000000000000000@0 / 0 metadata");
    buf_deinit(&request);
    buf_deinit(&s);
}

// The label bytes are the key of a series: the same from request to request.
Test(remote_write, label_bytes)
{
    struct buf request = {0}, s = {0}, labels = {0};
    put_label(&labels, "__name__", "up");
    put_label(&labels, "job", "x");
    for (int i = 0; i < 3; i++) {
        buf_reset(&s);
        buf_put_str(&s, buf_str(&labels));
        put_sample(&s, (uint64_t)i, i);
        pb_put_bytes(&request, 1, buf_str(&s));
    }
    struct remote_write w;
    struct remote_write_series series;
    bool more;
    remote_write_init(&w, buf_str(&request));
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(remote_write_next(&w, &series, &more, NULL), ERR_OK);
        cr_assert(more && str_eq(series.labels, buf_str(&labels)));
    }
    buf_deinit(&request);
    buf_deinit(&s);
    buf_deinit(&labels);
}

#define ROW(bytes, want)                   \
    {                                      \
        {(bytes), sizeof(bytes) - 1}, want \
    }
static const struct {
    struct str request;
    const char *want;
} bad[] = {
    ROW("\x0a", "error unexpected EOF"),
    ROW("\x0a\x05", "error unexpected EOF"),
    ROW("\x80", "error unexpected EOF"),
    ROW("\x08\x01", "error proto: wrong wireType = 0 for field Timeseries"),
    ROW("\x1d", "error proto: wrong wireType = 5 for field Metadata"),
    ROW("\x0c", "error proto: WriteRequest: wiretype end group for non-group"),
    ROW("\x02\x00", "error proto: WriteRequest: illegal tag 0 (wire type 2)"),
    ROW("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "error proto: integer overflow"),
    ROW("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
        "error proto: negative length found during unmarshaling"),
    ROW("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\x7f", "error unexpected EOF"),
    ROW("\x0a\x02\x0a\x01", "error unexpected EOF"),
    ROW("\x0a\x02\x08\x01", "error proto: wrong wireType = 0 for field Labels"),
    ROW("\x0a\x04\x0a\x02\x08\x01", "error proto: wrong wireType = 0 for field Name"),
    ROW("\x0a\x04\x0a\x02\x10\x01", "error proto: wrong wireType = 0 for field Value"),
    ROW("\x0a\x04\x12\x02\x08\x01", "error proto: wrong wireType = 0 for field Value"),
    ROW("\x0a\x04\x12\x02\x12\x00", "error proto: wrong wireType = 2 for field Timestamp"),
    ROW("\x0a\x04\x12\x02\x09\x01", "error unexpected EOF"),
    ROW("\x0a\x03\x1a\x01\x0a", "error unexpected EOF"),
    ROW("\x2b", "error unexpected EOF"),
    ROW("\x2b\x2c", "0 metadata"),
    ROW("\x2e", "error proto: illegal wireType 6"),
    ROW("\x29\x01", "error unexpected EOF"),
    ROW("", "0 metadata"),
};

// Times of every size, with and without a value, in memory that ends with them; a size that is cut
// off or says too much is none.
Test(remote_write, usual_samples)
{
    for (unsigned bit = 0; bit < 63; bit++) {
        for (int64_t off = -1; off <= 1; off++) {
            const int64_t time_ms = (int64_t)(1ull << bit) + off;
            for (unsigned with_value = 0; with_value < 2; with_value++) {
                struct buf m = {0}, field = {0};
                struct remote_write_sample got = {0};
                if (with_value) {
                    pb_put_tag(&m, 1, PB_FIXED64);
                    buf_put_le64(&m, 0x4029000000000080);
                }
                pb_put_tag(&m, 2, PB_VARINT);
                buf_put_varint(&m, (uint64_t)time_ms);
                pb_put_bytes(&field, 2, buf_str(&m));
                uint8_t *const exact = malloc(field.n);
                memcpy(exact, field.p, field.n);
                const uint8_t *const end = exact + field.n;
                cr_assert_eq(remote_write_usual_sample(exact, end, &got), field.n, "2^%u", bit);
                cr_assert_eq(got.time_ms, time_ms, "2^%u", bit);
                cr_assert_eq(got.bits, with_value ? 0x4029000000000080 : 0);
                cr_assert_eq(remote_write_usual_sample(exact, end - 1, &got), 0);
                exact[field.n - 1] |= 0x80;
                cr_assert_eq(remote_write_usual_sample(exact, end, &got), 0);
                free(exact);
                buf_deinit(&field);
                buf_deinit(&m);
            }
        }
    }
}

Test(remote_write, bad_requests)
{
    for (size_t i = 0; i < countof(bad); i++)
        check(bad[i].request, bad[i].want);
}

// Cut off or with a byte changed, a request is refused or read, never misread beyond its end.
Test(remote_write, damage)
{
    struct buf request = {0}, s = {0}, out = {0};
    put_label(&s, "__name__", "up");
    put_sample(&s, 1, 2);
    pb_put_bytes(&request, 1, buf_str(&s));
    pb_put_bytes(&request, 1, buf_str(&s));
    for (size_t n = 0; n < request.n; n++) {
        buf_reset(&out);
        transcribe(str_until(buf_str(&request), n), &out);
        cr_assert_eq(str_contains(buf_str(&out), STR("error")), n != 0 && n != request.n / 2, "%zu",
                     n);
    }
    struct rng rng;
    rng_init(&rng, 1);
    for (int round = 0; round < 20000; round++) {
        struct buf copy = {0};
        buf_put_str(&copy, buf_str(&request));
        for (uint64_t changes = rng_u64(&rng) % 4; changes-- > 0;)
            copy.p[rng_u64(&rng) % copy.n] = (char)rng_u64(&rng);
        buf_reset(&out);
        transcribe(buf_str(&copy), &out);
        buf_deinit(&copy);
    }
    buf_deinit(&request);
    buf_deinit(&s);
    buf_deinit(&out);
}
