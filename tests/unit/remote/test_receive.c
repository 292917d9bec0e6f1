// Requests to the receiver over HTTP, on one shard and more; answers as Prometheus gives them, and
// where ours differ on purpose, as the README says.
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <stdio.h>

#include "engine/base/bits.h"
#include "engine/base/util.h"
#include "protocol/snappy_block.h"
#include "protocol/zstd_frames.h"
#include "tests/lib/dump.h"
#include "tests/unit/remote/receive_world.h"

enum { SPREAD = 24 }; // series of as many keys

static void headers(struct world *w)
{
    static const struct {
        const char *type, *encoding;
        int status;
        const char *text;
    } rows[] = {
        {NULL, NULL, 204, ""},
        {"application/x-protobuf", NULL, 204, ""},
        {"application/x-protobuf;proto=prometheus.WriteRequest", "snappy", 204, ""},
        {"text/plain", "snappy", 415,
         "expected application/x-protobuf as the first (media) part, got text/plain "
         "content-type\n"},
        {V2_TYPE, "snappy", 204, ""}, // of other fields than the message's: none
        {"application/x-protobuf;proto=x", "snappy", 415, NULL},
        {"application/x-protobuf;proto", "snappy", 415,
         "as per https://www.rfc-editor.org/rfc/rfc9110#parameter expected parameters to be "
         "key-values, got proto in application/x-protobuf;proto content-type\n"},
        {"application/x-protobuf;", "snappy", 415,
         "as per https://www.rfc-editor.org/rfc/rfc9110#parameter expected parameters to be "
         "key-values, got  in application/x-protobuf; content-type\n"},
        {"application/x-protobuf; Proto = prometheus.WriteRequest ", "Snappy", 204, ""},
        {"application/x-protobuf", "gzip", 415,
         "gzip encoding (compression) is not accepted by this server; only snappy is "
         "acceptable\n"},
        {"application/x-protobuf", "zstd", 400, "zstd: invalid header\n"},
    };
    struct buf request = {0}, packed = {0};
    put_series(&request, "__name__=a,job=x", w->now_ms, 1);
    snappy_block_compress(buf_str(&request), &packed);
    for (size_t i = 0; i < countof(rows); i++)
        send_body(w, buf_str(&packed), rows[i].type, rows[i].encoding, rows[i].status,
                  rows[i].text);
    send_body(w, STR("nonsense"), NULL, NULL, 400, NULL);
    send_body(w, (struct str){0}, NULL, NULL, 400, NULL);
    buf_reset(&packed);
    snappy_block_compress(STR("\x0a\xff"), &packed);
    send_body(w, buf_str(&packed), NULL, NULL, 400, NULL);
    // Declares 64 MiB decoded, which is looked at before anything is allocated.
    send_body(w, STR("\x80\x80\x80\x20\x00"), NULL, NULL, 400, NULL);
    static char large[(32 << 20) + 1];
    send_body(w, str_make(large, sizeof large), NULL, NULL, 413, NULL);
    want_samples(w, "a{job=\"x\"}", "1");
    put_series(&request, "__name__=zstd,job=x", w->now_ms, 1);
    buf_reset(&packed);
    zstd_compress(buf_str(&request), &packed);
    send_body(w, buf_str(&packed), "application/x-protobuf", "zstd", 204, "");
    send_body(w, str_until(buf_str(&packed), packed.n - 1), NULL, "zstd", 400,
              "zstd: corrupt input\n");
    want_samples(w, "zstd{job=\"x\"}", "1");
    buf_deinit(&request);
    buf_deinit(&packed);
}

static void samples(struct world *w)
{
    struct buf request = {0};
    for (int i = 0; i < 50; i++) {
        char labels[64];
        snprintf(labels, sizeof labels, "__name__=a,instance=i%d,job=x", i);
        put_series(&request, labels, w->now_ms, i);
        put_series(&request, labels, w->now_ms + 1000, i + 1);
    }
    struct buf again = {0};
    buf_put_str(&again, buf_str(&request));
    send_request(w, &request, 204, "");
    send_request(w, &again, 204, ""); // a retried request is success
    want_samples(w, "a{instance=\"i0\", job=\"x\"}", "0 1");
    want_samples(w, "a{instance=\"i49\", job=\"x\"}", "49 50");
    // Invalid series are passed over; labels need no order; the good ones are kept.
    put_series(&request, "job=x,instance=y", w->now_ms, 1);
    put_series(&request, "__name__=b,job=x,job=y", w->now_ms, 1);
    put_series(&request, "__name__=b,job=\xff", w->now_ms, 1);
    put_series(&request, "job=x,__name__=b,instance=y,empty=", w->now_ms, 7);
    send_request(w, &request, w->v2 ? 400 : 204, w->v2 ? NULL : "");
    want_samples(w, "b{instance=\"y\", job=\"x\"}", "7");
    want(&w->found, receiver_stats(w->receiver)->invalid_labels == 3);
    put_series(&request, "__name__=b,job=x,instance=y", w->now_ms + 11 * 60 * 1000, 8);
    send_request(w, &request, 400, NULL);
    want_samples(w, "b{instance=\"y\", job=\"x\"}", "7");
    buf_deinit(&request);
    buf_deinit(&again);
}

static void late(struct world *w)
{
    struct buf request = {0};
    put_series(&request, "__name__=a,job=x", w->now_ms, 3);
    send_request(w, &request, 204, "");
    put_series(&request, "__name__=a,job=x", w->now_ms - 60000, 1);
    put_series(&request, "__name__=a,job=x", w->now_ms - 30000, 2);
    send_request(w, &request, 204, "");
    want_samples(w, "a{job=\"x\"}", "1 2 3");
    // The good part is kept, the bad one named.
    put_series(&request, "__name__=a,job=x", w->now_ms - 600000, 0);
    put_series(&request, "__name__=b,job=x", w->now_ms, 4);
    send_request(w, &request, 400, "too old sample: a{job=\"x\"}\n");
    put_series(&request, "__name__=a,job=x", w->now_ms, 9);
    send_request(w, &request, 400, "duplicate sample for timestamp: a{job=\"x\"}\n");
    want_samples(w, "a{job=\"x\"}", "1 2 3");
    want_samples(w, "b{job=\"x\"}", "4");
    buf_deinit(&request);
}

static void put_spread(struct buf *request, const char *name, int64_t ms, double v)
{
    for (int i = 0; i < SPREAD; i++) {
        char labels[64];
        snprintf(labels, sizeof labels, "__name__=%s,instance=i%d,job=x", name, i);
        put_series(request, labels, ms, v);
    }
}

static void want_spread(struct world *w, const char *name, const char *wanted)
{
    for (int i = 0; i < SPREAD; i++) {
        char series[64];
        snprintf(series, sizeof series, "%s{instance=\"i%d\", job=\"x\"}", name, i);
        want_samples(w, series, wanted);
    }
}

// Prometheus's answers, seen there with the same requests. What is refused, and where in the
// request, and who owns it: nothing is kept.
static void whole(struct world *w)
{
    static const struct {
        int64_t ms;
        double v;
        const char *text;
    } bad[] = {{-1000, 3, "out of order sample\n"},
               {-3600001, 3, "out of bounds\n"},
               {11 * 60 * 1000, 3, "out of bounds: timestamp is too far in the future\n"},
               {0, 1, NULL}};
    struct buf request = {0};
    put_spread(&request, "a", w->now_ms, 3);
    send_request(w, &request, 204, "");
    for (size_t i = 0; i < countof(bad); i++) {
        for (int at = 0; at < SPREAD; at += 7) {
            char labels[64];
            snprintf(labels, sizeof labels, "__name__=a,instance=i%d,job=x", at);
            put_spread(&request, "b", w->now_ms, 1);
            put_series(&request, labels, w->now_ms + bad[i].ms, bad[i].v);
            put_spread(&request, "c", w->now_ms, 1);
            send_request(w, &request, 400, bad[i].text);
        }
    }
    dump_samples(w->db, false, &w->dump);
    size_t lines = 0;
    for (size_t i = 0; i < w->dump.n; i++)
        lines += w->dump.p[i] == '\n';
    want(&w->found, lines == SPREAD, "kept: %.*s", STR_ARG(buf_str(&w->dump)));
    // Of several bad ones the first of the request is named, whoever owns it.
    for (int i = 0; i < SPREAD; i++) {
        char labels[64];
        snprintf(labels, sizeof labels, "__name__=a,instance=i%d,job=x", i);
        put_series(&request, labels, i ? w->now_ms - 1000 : w->now_ms - 3600001, 1);
    }
    send_request(w, &request, 400, "out of bounds\n");
    // What does not follow its neighbours within the request is dropped in silence.
    put_spread(&request, "d", w->now_ms, 1);
    put_spread(&request, "d", w->now_ms, 2);
    put_spread(&request, "d", w->now_ms - 1000, 3);
    put_spread(&request, "d", w->now_ms + 1000, 4);
    send_request(w, &request, 204, "");
    want_spread(w, "d", "1 4");
    buf_deinit(&request);
}

// At the limit of series nothing of a request is kept either.
static void limit(struct world *w)
{
    struct buf request = {0};
    put_spread(&request, "a", w->now_ms, 3);
    send_request(w, &request, 204, "");
    put_spread(&request, "a", w->now_ms + 1000, 4);
    put_spread(&request, "b", w->now_ms, 1);
    send_request(w, &request, 429, NULL);
    put_spread(&request, "a", w->now_ms + 2000, 5);
    send_request(w, &request, 204, "");
    want_spread(w, "a", w->late_ms ? "3 4 5" : "3 5");
    buf_deinit(&request);
}

struct look {
    struct tsdb *db;
    struct tsdb_stats stats;
};

static void look(void *arg)
{
    struct look *l = arg;
    tsdb_stats(l->db, &l->stats);
}

static uint64_t series_removed(struct world *w)
{
    struct look looks[SHARD_MAX];
    uint64_t n = 0;
    for (unsigned i = 0; i < w->shards; i++)
        looks[i].db = w->db;
    shard_call_all(LOOP_CONTROL, look, looks, sizeof *looks, NULL);
    for (unsigned i = 0; i < w->shards; i++)
        n += looks[i].stats.series_removed;
    return n;
}

// Series that left the head while the cache still refers to them come back by their labels.
static void gone(struct world *w)
{
    struct buf request = {0};
    put_spread(&request, "a", w->now_ms - 3 * 3600 * 1000, 1);
    send_request(w, &request, 204, "");
    for (int i = 0; i < 30000 && series_removed(w) < SPREAD; i++) {
        put_spread(&request, "b", w->now_ms + i, i); // so that there is something to write
        send_request(w, &request, 204, "");
        (void)!fiber_sleep_ns(20000000);
    }
    want(&w->found, series_removed(w) >= SPREAD, "%llu left",
         (unsigned long long)series_removed(w));
    const uint64_t hits = receiver_stats(w->receiver)->cache_hits;
    put_spread(&request, "a", w->now_ms, 2);
    put_spread(&request, "c", w->now_ms, 7);
    send_request(w, &request, 204, "");
    want(&w->found, receiver_stats(w->receiver)->cache_hits == hits + SPREAD, "not remembered");
    want_spread(w, "a", "1 2");
    want_spread(w, "c", "7");
    buf_deinit(&request);
}

// The same requests again, which are known by their bytes: also when their series have left the
// head, and when a sample is refused.
static void repeated(struct world *w)
{
    struct buf request = {0};
    const int64_t old_ms = w->now_ms - 3 * 3600 * 1000;
    for (int i = 1; i <= 4; i++) {
        put_spread(&request, "a", old_ms + i, i);
        send_request(w, &request, 204, "");
        want_written(w, "24");
    }
    want_spread(w, "a", "1 2 3 4");
    for (int i = 0; i < 30000 && series_removed(w) < SPREAD; i++) {
        put_spread(&request, "b", w->now_ms + i, i);
        send_request(w, &request, 204, "");
        (void)!fiber_sleep_ns(20000000);
    }
    for (int i = 5; i <= 9; i++) {
        put_spread(&request, "a", w->now_ms + i, i);
        send_request(w, &request, 204, "");
        want_written(w, "24");
    }
    want_spread(w, "a", "1 2 3 4 5 6 7 8 9");
    put_spread(&request, "a", w->now_ms + 9, 1);
    send_request(w, &request, 400, NULL);
    want_written(w, "0");
    const struct str text = buf_str(&w->result.body);
    want(&w->found, memmem(text.p, text.n, "__name__=\"a\"", 12), "'%.*s'", STR_ARG(text));
    want_spread(w, "a", "1 2 3 4 5 6 7 8 9");
    buf_deinit(&request);
}

// The same references of the same leading symbols, which mean others: by one that comes behind.
static void late_symbols(struct world *w)
{
    static const char *const names[] = {"x", "x", "x", "y", "x", "y", "y", "y"};
    for (size_t i = 0; i < countof(names); i++) {
        struct buf request = {0}, series = {0}, sample = {0}, packed = {0};
        pb_put_bytes(&request, 4, STR(""));
        pb_put_bytes(&request, 4, STR("__name__"));
        pb_put_bytes(&series, 1, STR("\1\2"));
        put_double_field(&sample, 1, (double)i);
        buf_put_char(&sample, 2 << 3);
        buf_put_varint(&sample, (uint64_t)w->now_ms + i);
        pb_put_bytes(&series, 2, buf_str(&sample));
        pb_put_bytes(&request, 5, buf_str(&series));
        pb_put_bytes(&request, 4, str_from_c(names[i]));
        snappy_block_compress(buf_str(&request), &packed);
        send_body(w, buf_str(&packed), V2_TYPE, "snappy", 204, "");
        buf_deinit(&request);
        buf_deinit(&series);
        buf_deinit(&sample);
        buf_deinit(&packed);
    }
    want_samples(w, "x", "0 1 2 4");
    want_samples(w, "y", "3 5 6 7");
}

static void strict(struct world *w)
{
    char text[128];
    struct buf request = {0};
    put_series(&request, "__name__=a,instance=i,job=x", w->now_ms, 3);
    send_request(w, &request, 204, "");
    put_series(&request, "__name__=a,instance=i,job=x", w->now_ms - 1, 2);
    put_series(&request, "__name__=b,instance=i,job=x", w->now_ms,
               1); // of the same owner: not kept either
    send_request(w, &request, 400, "out of order sample\n");
    put_series(&request, "__name__=a,instance=i,job=x", w->now_ms, 2e21);
    snprintf(text, sizeof text,
             "duplicate sample for timestamp %lld; overrides not allowed: existing 3, new value "
             "2e+21\n",
             (long long)w->now_ms);
    send_request(w, &request, 400, text);
    put_series(&request, "__name__=a,instance=i,job=x", w->now_ms, 3);
    send_request(w, &request, 204, "");
    dump_samples(w->db, false, &w->dump);
    want(&w->found, !dump_line(&w->dump, "b{instance=\"i\", job=\"x\"}").p);
    want_samples(w, "a{instance=\"i\", job=\"x\"}", "3");
    buf_deinit(&request);
}

// The same series in the order of last time, backwards, turned, with gaps, some twice, others new:
// whatever is recognised by its place, each sample is its series'.
static void orders(struct world *w)
{
    enum { SERIES = 200, ROUNDS = 12 };
    struct buf request = {0}, wanted[SERIES] = {0};
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < SERIES; i++) {
            const int turned = (i + round * 17) % SERIES;
            const int number = round < 3 ? i : round < 5 ? SERIES - 1 - i : turned;
            const int64_t ms = w->now_ms + round * 1000;
            const double v = number % 4 ? number * 100 + round : 0;
            char labels[64];
            if (round % 4 == 2 && number % 5 == 3)
                continue;
            snprintf(labels, sizeof labels, "__name__=a,instance=i%d,job=%0*d", number / 60,
                     1 + number % 3, number);
            put_series(&request, labels, ms, v);
            buf_printf(&wanted[number], "%s%.0f", wanted[number].n ? " " : "", v);
            if (number % 7 == round) {
                put_series(&request, labels, ms + 1, v + 1);
                buf_printf(&wanted[number], " %.0f", v + 1);
            }
        }
        send_request(w, &request, 204, "");
    }
    for (int i = 0; i < SERIES; i++) {
        char series[96];
        snprintf(series, sizeof series, "a{instance=\"i%d\", job=\"%0*d\"}", i / 60, 1 + i % 3, i);
        buf_put_char(&wanted[i], 0);
        want_samples(w, series, wanted[i].p);
        buf_deinit(&wanted[i]);
    }
    buf_deinit(&request);
}

// More series than the cache remembers: found again by their labels.
static void eviction(struct world *w)
{
    struct buf request = {0};
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 400; i++) {
            char labels[64];
            snprintf(labels, sizeof labels, "__name__=a,instance=i%d,job=x", i);
            put_series(&request, labels, w->now_ms + round * 1000, i + round);
        }
        send_request(w, &request, 204, "");
    }
    want_samples(w, "a{instance=\"i7\", job=\"x\"}", "7 8 9");
    want_samples(w, "a{instance=\"i399\", job=\"x\"}", "399 400 401");
    const struct receiver_stats *stats = receiver_stats(w->receiver);
    want(&w->found, stats->cache_misses >= 1200 - 2 * 60 && stats->cache_hits <= 2 * 60);
    buf_deinit(&request);
}

// The parts of a request of 2.0 that are good are kept, whatever is wrong with the others.
static void partial(struct world *w)
{
    static const char want_text[] =
        "parsing labels for series [0 1 2]: invalid labelRefs length 3\n"
        "parsing labels for series [0 99]: labelRefs 0 (name) = 99 (value) outside of symbols "
        "table "
        "(size 8)\n"
        "invalid metric name or labels, got {job=\"x\"}\n"
        "invalid metric name or labels, got {__name__=\"\\xff\"}\n"
        "invalid labels for series, labels {__name__=\"a\", job=\"a\", job=\"x\"}, duplicated "
        "label "
        "job\n"
        "TimeSeries must contain at least one sample or histogram for series {__name__=\"a\"}\n"
        "parsing exemplar for series {__name__=\"a\", job=\"x\"}: invalid labelRefs length 1\n"
        "out of bounds: timestamp is too far in the future for series {__name__=\"a\", "
        "job=\"x\"}\n";
    static const struct {
        struct str refs;
        int64_t later_ms;
        bool bare, exemplar;
    } rows[] = {
        {STR("\x00\x01\x02"), 0, false, false},
        {STR("\x00\x63"), 0, false, false},
        {STR("\x02\x03"), 0, false, false},
        {STR("\x00\x04"), 0, false, false},
        {STR("\x00\x01\x02\x01\x02\x03"), 0, false, false},
        {STR("\x00\x01"), 0, true, false},
        {STR("\x02\x03\x00\x01"), 0, false, true},
        {STR("\x00\x01\x02\x03"), 3600000, false, false},
        {STR("\x00\x05\x02\x03"), 0, false, false},
        {STR("\x00\x01\x02\x03\x07\x06"), 1, false, false}, // an empty value: no label
    };
    struct buf request = {0}, packed = {0};
    for (size_t i = 0; i < 8; i++)
        pb_put_bytes(
            &request, 4,
            str_from_c((const char *[]){"__name__", "a", "job", "x", "\xff", "b", "", "empty"}[i]));
    for (size_t i = 0; i < countof(rows); i++) {
        struct buf series = {0}, sample = {0};
        buf_put_char(&sample, 1 << 3 | 1);
        buf_put_le64(&sample, bits_from_double((double)i));
        buf_put_char(&sample, 2 << 3);
        buf_put_varint(&sample, (uint64_t)(w->now_ms + rows[i].later_ms));
        pb_put_bytes(&series, 1, rows[i].refs);
        if (!rows[i].bare)
            pb_put_bytes(&series, 2, buf_str(&sample));
        if (rows[i].exemplar)
            pb_put_bytes(&series, 4, STR("\x0a\x01\x00"));
        pb_put_bytes(&request, 5, buf_str(&series));
        buf_deinit(&series);
        buf_deinit(&sample);
    }
    snappy_block_compress(buf_str(&request), &packed);
    const int rounds = w->late_ms ? 3 : 1; // known the second time, and then as zstd
    for (int round = 0; round < rounds; round++) {
        if (round == 2) {
            buf_reset(&packed);
            zstd_compress(buf_str(&request), &packed);
        }
        send_body(w, buf_str(&packed), V2_TYPE, round == 2 ? "zstd" : "snappy", 400, want_text);
        want_written(w, "3");
    }
    want_samples(w, "a{job=\"x\"}", "6 9");
    want_samples(w, "b{job=\"x\"}", "8");
    want(&w->found, receiver_stats(w->receiver)->invalid_labels == 5 * (uint64_t)rounds);
    buf_deinit(&request);
    buf_deinit(&packed);
}

// Refused samples by their owners, all of them named in the order of the request.
static void refused_v2(struct world *w)
{
    struct buf request = {0}, text = {0};
    put_spread(&request, "a", w->now_ms, 3);
    send_request(w, &request, 204, "");
    want_written(w, "24");
    put_spread(&request, "b", w->now_ms, 1);
    put_spread(&request, "a", w->now_ms - 600000, 1);
    put_spread(&request, "a", w->now_ms, 2e21);
    put_spread(&request, "c", w->now_ms, 2);
    for (int of = 0; of < 2; of++)
        for (int i = 0; i < SPREAD; i++) {
            if (of && !w->late_ms)
                buf_printf(&text,
                           "duplicate sample for timestamp %lld; overrides not allowed: existing "
                           "3, new value 2e+21",
                           (long long)w->now_ms);
            else
                buf_put_str(&text, of           ? STR("duplicate sample for timestamp")
                                   : w->late_ms ? STR("too old sample")
                                                : STR("out of order sample"));
            buf_printf(&text, " for series {__name__=\"a\", instance=\"i%d\", job=\"x\"}\n", i);
        }
    buf_put_char(&text, 0);
    send_request(w, &request, 400, text.p);
    want_written(w, "48");
    want_spread(w, "a", "3");
    want_spread(w, "b", "1");
    want_spread(w, "c", "2");
    put_spread(&request, "b", w->now_ms, 1); // again, as 1.0: the same series
    w->v2 = false;
    send_request(w, &request, 204, "");
    want_spread(w, "b", "1");
    buf_deinit(&request);
    buf_deinit(&text);
}

// More is wrong than an answer can hold: the others are counted.
static void flood_v2(struct world *w)
{
    enum { MANY = 5000 };
    struct buf request = {0};
    for (int i = 0; i < MANY; i++) {
        char labels[64];
        snprintf(labels, sizeof labels, "__name__=flood,instance=i%d,job=x", i);
        put_series(&request, labels, w->now_ms + 3600000, 1);
    }
    put_series(&request, "__name__=good,job=x", w->now_ms, 1);
    send_request(w, &request, 400, NULL);
    want_written(w, "1");
    const struct str got = buf_str(&w->result.body);
    want(&w->found,
         str_contains(got, STR("instance=\"i0\"")) && str_contains(got, STR("\n... and ")) &&
             got.n < 70000,
         "%.*s", (int)(got.n > 300 ? 300 : got.n), got.p);
    want_samples(w, "good{job=\"x\"}", "1");
    buf_deinit(&request);
}

static const struct flow flows[] = {
    {"headers", headers, 1, .late_ms = 300000},
    {"samples", samples, 1, .late_ms = 300000},
    {"samples", samples, 2, .late_ms = 300000},
    {"late", late, 1, .late_ms = 300000},
    {"late", late, 2, .late_ms = 300000},
    {"strict", strict, 1, .late_ms = 0},
    {"strict", strict, 2, .late_ms = 0},
    {"orders", orders, 1, .late_ms = 300000},
    {"orders", orders, 3, .late_ms = 300000, .cached_max = 50},
    {"orders", orders, 1, .late_ms = 0},
    {"eviction", eviction, 1, .late_ms = 300000, .cached_max = 30},
    {"eviction", eviction, 2, .late_ms = 300000, .cached_max = 30},
    {"whole", whole, 1, .late_ms = 0},
    {"whole", whole, 2, .late_ms = 0},
    {"whole", whole, 3, .late_ms = 0},
    {"limit", limit, 1, .late_ms = 300000, .head_series_max = SPREAD},
    {"limit", limit, 1, .late_ms = 0, .head_series_max = SPREAD},
    {"gone", gone, 1, .late_ms = 300000, .spill_ms = 1},
    {"gone", gone, 1, .late_ms = 0, .spill_ms = 1},
    {"gone", gone, 3, .late_ms = 300000, .spill_ms = 1},
    {"gone", gone, 3, .late_ms = 0, .spill_ms = 1},
    {"samples", samples, 1, .late_ms = 300000, .v2 = true},
    {"samples", samples, 2, .late_ms = 300000, .v2 = true},
    {"eviction", eviction, 2, .late_ms = 300000, .cached_max = 30, .v2 = true},
    {"partial", partial, 1, .late_ms = 300000, .v2 = true},
    {"partial", partial, 2, .late_ms = 0, .v2 = true},
    {"refused", refused_v2, 1, .late_ms = 300000, .v2 = true},
    {"refused", refused_v2, 3, .late_ms = 300000, .v2 = true},
    {"refused", refused_v2, 1, .late_ms = 0, .v2 = true},
    {"refused", refused_v2, 3, .late_ms = 0, .v2 = true},
    {"flood", flood_v2, 2, .late_ms = 300000, .v2 = true},
    {"flood", flood_v2, 2, .late_ms = 0, .v2 = true},
    {"limit", limit, 1, .late_ms = 300000, .v2 = true, .head_series_max = SPREAD},
    {"gone", gone, 1, .late_ms = 300000, .v2 = true, .spill_ms = 1},
    {"gone", gone, 3, .late_ms = 0, .v2 = true, .spill_ms = 1},
    {"repeated", repeated, 1, .late_ms = 300000, .v2 = true, .symbols_lead = true, .spill_ms = 1},
    {"repeated", repeated, 3, .late_ms = 0, .v2 = true, .symbols_lead = true, .spill_ms = 1},
    {"eviction", eviction, 2, .late_ms = 300000, .cached_max = 30, .v2 = true,
     .symbols_lead = true},
    {"refused", refused_v2, 3, .late_ms = 300000, .v2 = true, .symbols_lead = true},
    {"late symbols", late_symbols, 1, .late_ms = 300000, .v2 = true},
};

ParameterizedTestParameters(receive, flow)
{
    static size_t rows[countof(flows)];
    for (size_t i = 0; i < countof(flows); i++)
        rows[i] = i;
    return cr_make_param_array(size_t, rows, countof(flows));
}

ParameterizedTest(size_t *row, receive, flow)
{
    world_run(&flows[*row]);
}
