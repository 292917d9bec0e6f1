// What requests hold beside floats: native histograms, start timestamps, exemplars.
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <math.h>
#include <stdio.h>

#include "engine/base/bits.h"
#include "engine/base/util.h"
#include "engine/model/labels.h"
#include "engine/tsdb/tsdb_notes.h"
#include "protocol/snappy_block.h"
#include "tests/lib/dump.h"
#include "tests/unit/remote/receive_world.h"

// ---- native histograms

struct sent_histogram {
    int schema;
    uint64_t count;
    const char *list; // of buckets: bytes of packed numbers
    double sum;
    bool is_float;
    double bound; // of custom buckets; 0: none
};

// A series with one histogram: two spans of a bucket each, one index left out between them.
static void put_histogram(struct buf *request, const char *labels, int64_t ms,
                          const struct sent_histogram *h)
{
    struct buf series = {0}, m = {0};
    put_labels(&series, labels);
    if (h->is_float) {
        put_double_field(&m, 2, (double)h->count);
        put_double_field(&m, 13, 1);
        put_double_field(&m, 13, 2.5);
    } else {
        buf_put_char(&m, 1 << 3);
        buf_put_varint(&m, h->count);
        pb_put_bytes(&m, 12, str_from_c(h->list));
    }
    put_double_field(&m, 3, h->sum);
    buf_put_char(&m, 4 << 3);
    buf_put_varint(&m, zigzag(h->schema));
    pb_put_bytes(&m, 11, STR("\x08\x00\x10\x01"));
    pb_put_bytes(&m, 11, h->bound != 0 ? STR("\x10\x01") : STR("\x08\x02\x10\x01"));
    if (h->bound != 0)
        put_double_field(&m, 16, h->bound);
    buf_put_char(&m, 15 << 3);
    buf_put_varint(&m, (uint64_t)ms);
    pb_put_bytes(&series, 4, buf_str(&m));
    pb_put_bytes(request, 1, buf_str(&series));
    buf_deinit(&series);
    buf_deinit(&m);
}

// The first reason of 1.0, or one of 2.0, about h{job="x"}.
static void want_refused(struct world *w, struct buf *request, const char *reason)
{
    char text[256];
    snprintf(text, sizeof text,
             w->v2        ? "%s for series {__name__=\"h\", job=\"x\"}\n"
             : w->late_ms ? "%s: h{job=\"x\"}\n"
                          : "%s\n",
             reason);
    send_request(w, request, 400, text);
}

static void histograms(struct world *w)
{
    static const struct sent_histogram good = {1, 3, "\x02\x02", 18.5, false, 0};
    static const struct {
        struct sent_histogram h;
        const char *reason; // seen in Prometheus
    } bad[] = {
        {{1, 5, "\x02\x02", 1, false, 0},
         "3 observations found in buckets, but the Count field is 5: histogram's observation count "
         "should equal the number of observations found in the buckets (in absence of NaN)"},
        {{1, 3, "\x02\x05", 1, false, 0},
         "positive side: bucket number 2 has observation count of -2: histogram has a bucket whose "
         "observation count is negative"},
        {{1, 3, "\x02", 1, false, 0},
         "positive side: spans need 2 buckets, have 1 buckets: histogram spans specify different "
         "number of buckets than provided"},
        {{-53, 3, "\x02\x02", 1, false, INFINITY},
         "custom buckets: last +Inf bound must not be explicitly defined: histogram custom bounds "
         "must be finite"},
    };
    struct buf request = {0};
    put_histogram(&request, "__name__=h,job=x", w->now_ms, &good);
    put_histogram(&request, "__name__=f,job=x", w->now_ms,
                  &(struct sent_histogram){0, 4, "", 1, true, 0});
    put_histogram(&request, "__name__=c,job=x", w->now_ms,
                  &(struct sent_histogram){-53, 3, "\x02\x02", 2, false, 0.5});
    put_histogram(&request, "__name__=r,job=x", w->now_ms,
                  &(struct sent_histogram){9, 3, "\x02\x02", 2, false, 0});
    put_series(&request, "__name__=s,job=x", w->now_ms, 1);
    struct buf again = {0};
    buf_put_str(&again, buf_str(&request));
    send_request(w, &request, 204, "");
    if (w->v2)
        want_written2(w, "1", "4");
    send_request(w, &again, 204, "");
    static const char h[] = "[1,0,3,0,0000000000000000,4032800000000000|0:1,2:2||]";
    want_samples(w, "h{job=\"x\"}", h);
    want_samples(w, "f{job=\"x\"}",
                 "[f0,0,4010000000000000,0000000000000000,0000000000000000,3ff0000000000000|"
                 "0:3ff0000000000000,2:4004000000000000||]");
    want_samples(w, "c{job=\"x\"}",
                 "[-53,0,3,0,0000000000000000,4000000000000000|0:1,1:2||3fe0000000000000]");
    want_samples(w, "r{job=\"x\"}", "[8,0,3,0,0000000000000000,4000000000000000|0:1,1:2||]");
    for (size_t i = 0; i < countof(bad); i++) {
        put_histogram(&request, "__name__=h,job=x", w->now_ms + 1000, &bad[i].h);
        put_histogram(&request, "__name__=new,job=x", w->now_ms, &good);
        want_refused(w, &request, bad[i].reason);
        if (w->v2)
            want_written2(w, "0", "1");
    }
    struct sent_histogram other = good;
    other.sum = 19;
    put_histogram(&request, "__name__=h,job=x", w->now_ms, &other);
    want_refused(w, &request, "duplicate sample for timestamp");
    put_histogram(&request, "__name__=h,job=x", w->now_ms - 600000, &good);
    want_refused(w, &request, w->late_ms ? "too old sample" : "out of order sample");
    put_histogram(&request, "__name__=h,job=x", w->now_ms + 3600000, &bad[0].h);
    want_refused(w, &request, "out of bounds: timestamp is too far in the future");
    put_histogram(&request, "__name__=h,job=x", w->now_ms + 3600000, &good);
    want_refused(w, &request, "out of bounds: timestamp is too far in the future");
    want_samples(w, "h{job=\"x\"}", h);
    dump_samples(w->db, false, &w->dump);
    want(&w->found, (dump_line(&w->dump, "new{job=\"x\"}").n > 0) == (w->v2 || w->late_ms));
    buf_deinit(&request);
    buf_deinit(&again);
}

// Start timestamps of 2.0: of the sample, of the histogram, of the series.
static void starts(struct world *w)
{
    struct buf request = {0}, series = {0}, m = {0}, packed = {0};
    for (size_t i = 0; i < 3; i++)
        pb_put_bytes(&request, 4, str_from_c((const char *[]){"__name__", "a", "b"}[i]));
    for (int of = 1; of <= 2; of++) {
        buf_reset(&series);
        buf_reset(&m);
        pb_put_bytes(&series, 1, of == 1 ? STR("\x00\x01") : STR("\x00\x02"));
        put_double_field(&m, 1, 1);
        buf_put_char(&m, 2 << 3);
        buf_put_varint(&m, (uint64_t)w->now_ms);
        pb_put_bytes(&series, 2, buf_str(&m));
        buf_reset(&m);
        put_double_field(&m, 1, 2);
        buf_put_char(&m, 2 << 3);
        buf_put_varint(&m, (uint64_t)w->now_ms + 1);
        buf_put_char(&m, 3 << 3);
        buf_put_varint(&m, 1600000000000);
        pb_put_bytes(&series, 2, buf_str(&m));
        buf_reset(&m);
        buf_put_char(&m, 15 << 3);
        buf_put_varint(&m, (uint64_t)w->now_ms + 2);
        buf_put_str(&m, STR("\x88\x01"));
        buf_put_varint(&m, 1500000000000);
        pb_put_bytes(&series, 3, buf_str(&m));
        if (of == 2) {
            buf_put_char(&series, 6 << 3);
            buf_put_varint(&series, 1400000000000);
        }
        pb_put_bytes(&request, 5, buf_str(&series));
    }
    snappy_block_compress(buf_str(&request), &packed);
    send_body(w, buf_str(&packed), V2_TYPE, "snappy", 204, "");
    want_written2(w, "4", "2");
    want_samples(w, "a",
                 "1 2<1600000000000 [0,0,0,0,0000000000000000,0000000000000000|||]"
                 "<1500000000000");
    want_samples(w, "b",
                 "1<1400000000000 2<1600000000000 "
                 "[0,0,0,0,0000000000000000,0000000000000000|||]<1500000000000");
    buf_deinit(&request);
    buf_deinit(&series);
    buf_deinit(&m);
    buf_deinit(&packed);
}

// ---- exemplars

// A series with an exemplar, and a sample of that time if it has a value.
static void put_exemplar(struct buf *request, const char *trace, int64_t ms, double v)
{
    struct buf series = {0}, m = {0};
    char labels[64];
    put_labels(&series, "__name__=e,job=x");
    put_double_field(&m, 1, v);
    buf_put_char(&m, 2 << 3);
    buf_put_varint(&m, (uint64_t)ms);
    if (v != 0)
        pb_put_bytes(&series, 2, buf_str(&m));
    buf_reset(&m);
    snprintf(labels, sizeof labels, "trace_id=%s", trace);
    put_labels(&m, labels);
    put_double_field(&m, 2, 7);
    buf_put_char(&m, 3 << 3);
    buf_put_varint(&m, (uint64_t)ms);
    pb_put_bytes(&series, 3, buf_str(&m));
    pb_put_bytes(request, 1, buf_str(&series));
    buf_deinit(&series);
    buf_deinit(&m);
}

static void want_exemplars(struct world *w, const char *wanted)
{
    const struct matcher named = {.kind = MATCHER_NE, .name = LABEL_NAME};
    const struct tsdb_matchers set = {&named, 1};
    struct tsdb_exemplar *x;
    struct arena a;
    struct buf got = {0};
    struct errmsg e;
    size_t n = 0;
    arena_init(&a, 0);
    want(&w->found,
         tsdb_select_exemplars(w->db, &set, 1, INT64_MIN, INT64_MAX, &a, &x, &n, &e) == ERR_OK);
    for (size_t i = 0; i < n; i++) {
        labels_format_metric(x[i].series, &got);
        labels_format(x[i].labels, &got);
        buf_printf(&got, "%g@%lld ", double_from_bits(x[i].bits),
                   (long long)(x[i].t_ms - w->now_ms));
    }
    want(&w->found, str_eq(buf_str(&got), str_from_c(wanted)), "%.*s", STR_ARG(buf_str(&got)));
    buf_deinit(&got);
    arena_deinit(&a);
}

static void exemplars(struct world *w)
{
    static const char kept[] =
        "e{job=\"x\"}{trace_id=\"one\"}7@0 e{job=\"x\"}{trace_id=\"two\"}7@5 ";
    struct buf request = {0};
    w->exemplars = "2";
    put_exemplar(&request, "one", w->now_ms, 1);
    put_exemplar(&request, "two", w->now_ms + 5, 0); // alone, as senders of 3.5 send them
    send_request(w, &request, 204, "");
    if (w->v2)
        want_written2(w, "1", "0");
    want_exemplars(w, kept);
    w->exemplars = "0";
    put_exemplar(&request, "late", w->now_ms + 1, 2);
    send_request(w, &request, w->v2 ? 400 : 204,
                 w->v2 ? "out of order exemplar for series {__name__=\"e\", job=\"x\"}\n" : "");
    if (w->v2)
        want_written2(w, "1", "0");
    put_exemplar(&request, "future", w->now_ms + 3600000, 0);
    send_request(w, &request, 204, "");
    want_exemplars(w, kept);
    want(&w->found, receiver_stats(w->receiver)->exemplars_dropped == 2);
    // Behind samples that are not kept: as the request goes.
    put_exemplar(&request, "refused", w->now_ms + 3600000, 3);
    put_exemplar(&request, "three", w->now_ms + 9, 0);
    w->exemplars = "1";
    send_request(w, &request, 400, NULL);
    if (w->v2)
        want_written2(w, "0", "0");
    char all[256];
    snprintf(all, sizeof all, "%s%s", kept,
             w->v2 || w->late_ms ? "e{job=\"x\"}{trace_id=\"three\"}7@9 " : "");
    want_exemplars(w, all);
    buf_deinit(&request);
}

static const struct flow flows[] = {
    {"histograms", histograms, 1, .late_ms = 300000},
    {"histograms", histograms, 1, .late_ms = 0},
    {"histograms", histograms, 2, .late_ms = 300000},
    {"histograms", histograms, 3, .late_ms = 0},
    {"histograms", histograms, 3, .late_ms = 0, .v2 = true},
    {"histograms", histograms, 1, .late_ms = 300000, .v2 = true},
    {"histograms", histograms, 1, .late_ms = 0, .v2 = true},
    {"exemplars", exemplars, 1, .late_ms = 300000, .exemplars_max = 100},
    {"exemplars", exemplars, 1, .late_ms = 300000, .v2 = true, .exemplars_max = 100},
    {"exemplars", exemplars, 1, .late_ms = 0, .exemplars_max = 100},
    {"exemplars", exemplars, 1, .late_ms = 0, .v2 = true, .exemplars_max = 100},
    {"starts", starts, 1, .late_ms = 300000, .v2 = true},
    {"starts", starts, 1, .late_ms = 0, .v2 = true},
    {"starts", starts, 2, .late_ms = 0, .v2 = true},
};

ParameterizedTestParameters(receive_kinds, flow)
{
    static size_t rows[countof(flows)];
    for (size_t i = 0; i < countof(flows); i++)
        rows[i] = i;
    return cr_make_param_array(size_t, rows, countof(flows));
}

ParameterizedTest(size_t *row, receive_kinds, flow)
{
    world_run(&flows[*row]);
}
