// Requests to the receiver over HTTP, on one shard and two; answers as Prometheus gives them, and
// where ours differ on purpose, as the README says.
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "engine/base/util.h"
#include "engine/http/client.h"
#include "engine/http/server.h"
#include "engine/model/labels.h"
#include "engine/remote/receive.h"
#include "engine/tsdb/tsdb_notes.h"
#include "io/clock.h"
#include "protocol/remote_write.h"
#include "protocol/snappy_block.h"
#include "protocol/zstd_frames.h"
#include "tests/lib/dump.h"
#include "tests/lib/in_shards.h"

struct world {
    void (*script)(struct world *w);
    unsigned shards;
    int64_t late_ms;
    size_t series_max;
    struct findings found;
    char folder[64];
    struct tsdb *db;
    struct receiver *receiver;
    struct http_server *server;
    struct listener *listener;
    struct http_client *client;
    struct http_result result;
    struct buf dump;
    int64_t now_ms;
    bool v2;               // requests are of 2.0
    const char *exemplars; // wanted in its header; NULL: none
};

enum { SPREAD = 24 }; // series of as many keys

// ---- requests

static void put_bytes(struct buf *out, unsigned field, struct str s)
{
    buf_put_varint(out, field << 3 | 2);
    buf_put_varint(out, s.n);
    buf_put_str(out, s);
}

// A series: names and values in turn, as "__name__=a,x=1"; then a sample.
static void put_series(struct buf *request, const char *labels, int64_t ms, double v)
{
    struct buf series = {0}, part = {0};
    struct str rest = str_from_c(labels), pair, name;
    while (str_split(&rest, ',', &pair)) {
        str_split(&pair, '=', &name);
        buf_reset(&part);
        put_bytes(&part, 1, name);
        put_bytes(&part, 2, pair);
        put_bytes(&series, 1, buf_str(&part));
    }
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    buf_reset(&part);
    if (v != 0) { // as senders do
        buf_put_char(&part, 1 << 3 | 1);
        buf_put_le64(&part, bits);
    }
    buf_put_char(&part, 2 << 3);
    buf_put_varint(&part, (uint64_t)ms);
    put_bytes(&series, 2, buf_str(&part));
    put_bytes(request, 1, buf_str(&series));
    buf_deinit(&series);
    buf_deinit(&part);
}

static void send_body(struct world *w, struct str body, const char *type, const char *encoding,
                      int status, const char *text)
{
    char url[64];
    struct http_header headers[2];
    size_t n = 0;
    struct errmsg e = {0};
    if (type)
        headers[n++] = (struct http_header){STR("Content-Type"), str_from_c(type)};
    if (encoding)
        headers[n++] = (struct http_header){STR("Content-Encoding"), str_from_c(encoding)};
    snprintf(url, sizeof url, "http://127.0.0.1:%u/", listener_port(w->listener));
    const struct http_request request = {.method = STR("POST"),
                                         .url = str_from_c(url),
                                         .headers = headers,
                                         .headers_count = n,
                                         .body = body,
                                         .body_max = 128 << 10};
    want(&w->found, http_fetch(w->client, &request, &w->result, &e) == ERR_OK, "%s", e.text);
    want(&w->found, w->result.status == status, "%d '%.*s', not %d", w->result.status,
         STR_ARG(buf_str(&w->result.body)), status);
    if (text)
        want(&w->found, str_eq(buf_str(&w->result.body), str_from_c(text)), "'%.*s', not '%s'",
             STR_ARG(buf_str(&w->result.body)), text);
}

static const char v2_type[] = "application/x-protobuf;proto=io.prometheus.write.v2.Request";

static void put_refs(struct buf *series, struct buf *symbols, uint32_t *symbols_n, struct str name,
                     struct str value)
{
    put_bytes(symbols, 4, name);
    put_bytes(symbols, 4, value);
    buf_put_varint(series, (*symbols_n)++);
    buf_put_varint(series, (*symbols_n)++);
}

// The same as a request of 2.0, whose symbols are not shared and stand at its end. 5.4 kB at most
// a series.
static void translate(struct str request, struct buf *out)
{
    struct remote_write in;
    struct remote_write_series s;
    struct buf symbols = {0}, refs = {0}, series = {0};
    uint32_t symbols_n = 0;
    bool more = true;
    remote_write_init(&in, request);
    while (remote_write_next(&in, &s, &more, NULL) == ERR_OK && more) {
        buf_reset(&refs);
        buf_reset(&series);
        struct remote_write_labels labels = remote_write_labels(&s);
        for (struct str name, value; remote_write_labels_next(&labels, &name, &value);)
            put_refs(&refs, &symbols, &symbols_n, name, value);
        put_bytes(&series, 1, buf_str(&refs));
        buf_put_str(&series, s.samples); // written the same
        struct remote_write_histogram h;
        for (struct pb i = pb_of(s.histograms); remote_write_histograms_next(&i, &h);)
            put_bytes(&series, 3, h.message);
        struct remote_write_exemplar x;
        for (struct pb i = pb_of(s.exemplars); remote_write_exemplars_next(&i, &x);) {
            struct buf own = {0};
            struct remote_write_labels walk = {pb_of(x.labels).at, pb_of(x.labels).end};
            buf_reset(&refs);
            for (struct str name, value; remote_write_labels_next(&walk, &name, &value);)
                put_refs(&refs, &symbols, &symbols_n, name, value);
            put_bytes(&own, 1, buf_str(&refs));
            buf_put_char(&own, 2 << 3 | 1);
            buf_put_le64(&own, x.bits);
            buf_put_char(&own, 3 << 3);
            buf_put_varint(&own, (uint64_t)x.time_ms);
            put_bytes(&series, 4, buf_str(&own));
            buf_deinit(&own);
        }
        put_bytes(out, 5, buf_str(&series));
    }
    buf_put_str(out, buf_str(&symbols));
    buf_deinit(&symbols);
    buf_deinit(&refs);
    buf_deinit(&series);
}

// Sends what request holds and empties it.
static void send_request(struct world *w, struct buf *request, int status, const char *text)
{
    struct buf packed = {0}, other = {0};
    if (w->v2) {
        translate(buf_str(request), &other);
        snappy_block_compress(buf_str(&other), &packed);
    } else {
        snappy_block_compress(buf_str(request), &packed);
    }
    send_body(w, buf_str(&packed), w->v2 ? v2_type : "application/x-protobuf", "snappy", status,
              text);
    buf_deinit(&packed);
    buf_deinit(&other);
    buf_reset(request);
}

// What the headers of the answer say was written.
static void want_written2(struct world *w, const char *samples, const char *histograms)
{
    static const char *const names[] = {"X-Prometheus-Remote-Write-Samples-Written",
                                        "X-Prometheus-Remote-Write-Histograms-Written",
                                        "X-Prometheus-Remote-Write-Exemplars-Written"};
    for (size_t i = 0; i < countof(names); i++) {
        const struct str got = http_header(&w->result.head, str_from_c(names[i]));
        const char *const exemplars = w->exemplars ? w->exemplars : "0";
        const char *const wanted = i == 0 ? samples : i == 1 ? histograms : exemplars;
        want(&w->found, str_eq(got, str_from_c(wanted)), "%s: '%.*s'", names[i], STR_ARG(got));
    }
}

static void want_written(struct world *w, const char *samples)
{
    want_written2(w, samples, "0");
}

static void want_samples(struct world *w, const char *series, const char *wanted)
{
    dump_samples(w->db, false, &w->dump);
    const struct str got = dump_line(&w->dump, series);
    want(&w->found, str_eq(got, str_from_c(wanted)), "%s: '%.*s', not '%s'", series, STR_ARG(got),
         wanted);
}

// ---- scripts

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
        {v2_type, "snappy", 204, ""}, // of other fields than the message's: none
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
    want(&w->found, receiver_stats(w->receiver)->invalid_series == 3);
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
        put_bytes(
            &request, 4,
            str_from_c((const char *[]){"__name__", "a", "job", "x", "\xff", "b", "", "empty"}[i]));
    for (size_t i = 0; i < countof(rows); i++) {
        struct buf series = {0}, sample = {0};
        buf_put_char(&sample, 1 << 3 | 1);
        buf_put_le64(&sample, bits_from_double((double)i));
        buf_put_char(&sample, 2 << 3);
        buf_put_varint(&sample, (uint64_t)(w->now_ms + rows[i].later_ms));
        put_bytes(&series, 1, rows[i].refs);
        if (!rows[i].bare)
            put_bytes(&series, 2, buf_str(&sample));
        if (rows[i].exemplar)
            put_bytes(&series, 4, STR("\x0a\x01\x00"));
        put_bytes(&request, 5, buf_str(&series));
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
        send_body(w, buf_str(&packed), v2_type, round == 2 ? "zstd" : "snappy", 400, want_text);
        want_written(w, "3");
    }
    want_samples(w, "a{job=\"x\"}", "6 9");
    want_samples(w, "b{job=\"x\"}", "8");
    want(&w->found, receiver_stats(w->receiver)->invalid_series == 5 * (uint64_t)rounds);
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

// ---- native histograms

struct sent_histogram {
    int schema;
    uint64_t count;
    const char *list; // of buckets: bytes of packed numbers
    double sum;
    bool is_float;
    double bound; // of custom buckets; 0: none
};

static void put_double_field(struct buf *out, unsigned field, double v)
{
    buf_put_varint(out, field << 3 | 1);
    buf_put_le64(out, bits_from_double(v));
}

// A series with one histogram: two spans of a bucket each, one index left out between them.
static void put_histogram(struct buf *request, const char *labels, int64_t ms,
                          const struct sent_histogram *h)
{
    struct buf series = {0}, m = {0}, label = {0};
    struct str rest = str_from_c(labels), pair, name;
    while (str_split(&rest, ',', &pair)) {
        str_split(&pair, '=', &name);
        buf_reset(&label);
        put_bytes(&label, 1, name);
        put_bytes(&label, 2, pair);
        put_bytes(&series, 1, buf_str(&label));
    }
    if (h->is_float) {
        put_double_field(&m, 2, (double)h->count);
        put_double_field(&m, 13, 1);
        put_double_field(&m, 13, 2.5);
    } else {
        buf_put_char(&m, 1 << 3);
        buf_put_varint(&m, h->count);
        put_bytes(&m, 12, str_from_c(h->list));
    }
    put_double_field(&m, 3, h->sum);
    buf_put_char(&m, 4 << 3);
    buf_put_varint(&m, zigzag(h->schema));
    put_bytes(&m, 11, STR("\x08\x00\x10\x01"));
    put_bytes(&m, 11, h->bound != 0 ? STR("\x10\x01") : STR("\x08\x02\x10\x01"));
    if (h->bound != 0)
        put_double_field(&m, 16, h->bound);
    buf_put_char(&m, 15 << 3);
    buf_put_varint(&m, (uint64_t)ms);
    put_bytes(&series, 4, buf_str(&m));
    put_bytes(request, 1, buf_str(&series));
    buf_deinit(&series);
    buf_deinit(&m);
    buf_deinit(&label);
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
        put_bytes(&request, 4, str_from_c((const char *[]){"__name__", "a", "b"}[i]));
    for (int of = 1; of <= 2; of++) {
        buf_reset(&series);
        buf_reset(&m);
        put_bytes(&series, 1, of == 1 ? STR("\x00\x01") : STR("\x00\x02"));
        put_double_field(&m, 1, 1);
        buf_put_char(&m, 2 << 3);
        buf_put_varint(&m, (uint64_t)w->now_ms);
        put_bytes(&series, 2, buf_str(&m));
        buf_reset(&m);
        put_double_field(&m, 1, 2);
        buf_put_char(&m, 2 << 3);
        buf_put_varint(&m, (uint64_t)w->now_ms + 1);
        buf_put_char(&m, 3 << 3);
        buf_put_varint(&m, 1600000000000);
        put_bytes(&series, 2, buf_str(&m));
        buf_reset(&m);
        buf_put_char(&m, 15 << 3);
        buf_put_varint(&m, (uint64_t)w->now_ms + 2);
        buf_put_str(&m, STR("\x88\x01"));
        buf_put_varint(&m, 1500000000000);
        put_bytes(&series, 3, buf_str(&m));
        if (of == 2) {
            buf_put_char(&series, 6 << 3);
            buf_put_varint(&series, 1400000000000);
        }
        put_bytes(&request, 5, buf_str(&series));
    }
    snappy_block_compress(buf_str(&request), &packed);
    send_body(w, buf_str(&packed), v2_type, "snappy", 204, "");
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
    struct buf series = {0}, m = {0}, label = {0};
    for (size_t i = 0; i < 2; i++) {
        buf_reset(&label);
        put_bytes(&label, 1, i ? STR("job") : STR("__name__"));
        put_bytes(&label, 2, i ? STR("x") : STR("e"));
        put_bytes(&series, 1, buf_str(&label));
    }
    buf_put_char(&m, 1 << 3 | 1);
    buf_put_le64(&m, bits_from_double(v));
    buf_put_char(&m, 2 << 3);
    buf_put_varint(&m, (uint64_t)ms);
    if (v != 0)
        put_bytes(&series, 2, buf_str(&m));
    buf_reset(&m);
    buf_reset(&label);
    put_bytes(&label, 1, STR("trace_id"));
    put_bytes(&label, 2, str_from_c(trace));
    put_bytes(&m, 1, buf_str(&label));
    put_double_field(&m, 2, 7);
    buf_put_char(&m, 3 << 3);
    buf_put_varint(&m, (uint64_t)ms);
    put_bytes(&series, 3, buf_str(&m));
    put_bytes(request, 1, buf_str(&series));
    buf_deinit(&series);
    buf_deinit(&m);
    buf_deinit(&label);
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

// ---- the world

static void handler(void *arg, struct http_exchange *x)
{
    struct world *w = arg;
    receiver_handle(w->receiver, x);
}

static void accepted(void *arg, int fd, const struct address *peer)
{
    struct world *w = arg;
    http_server_take(w->server, fd, peer);
}

static void run(void *arg)
{
    struct world *w = arg;
    struct errmsg e = {0};
    const struct tsdb_options db = {.path = w->folder[0] ? w->folder : NULL,
                                    .wal_sync = TSDB_WAL_SYNC_NONE,
                                    .spill_ms = w->script == gone ? 1 : 0,
                                    .exemplars_max = w->script == exemplars ? 100 : 0,
                                    .series_max = w->script == limit ? SPREAD : 0};
    const struct http_server_options web = {.handler = handler,
                                            .arg = w,
                                            .read_timeout_ns = 5000000000,
                                            .write_timeout_ns = 5000000000,
                                            .body_bytes_max = 64 << 20};
    const struct http_client_options client = {0};
    want(&w->found, tsdb_open(&db, &w->db, &e) == ERR_OK, "%s", e.text);
    const struct receiver_options receiver = {.db = w->db,
                                              .enabled = true,
                                              .late_ms = w->late_ms,
                                              .messages = REMOTE_MESSAGES,
                                              .decoded_bytes_max = 64 << 20,
                                              .series_max = w->series_max ? w->series_max : 10000};
    w->receiver = receiver_create(&receiver);
    w->server = http_server_create(&web);
    w->client = http_client_create(&client);
    w->now_ms = clock_wall_ms() / 1000 * 1000;
    want(&w->found, listener_open("127.0.0.1", 0, accepted, w, &w->listener, &e) == ERR_OK, "%s",
         e.text);
    if (w->db && w->listener) {
        w->script(w);
        listener_close(w->listener);
    }
    http_client_destroy(w->client);
    http_result_deinit(&w->result);
    http_server_drain(w->server);
    http_server_destroy(w->server);
    receiver_destroy(w->receiver);
    want(&w->found, tsdb_close(w->db, &e) == ERR_OK, "%s", e.text);
    buf_deinit(&w->dump);
}

static const struct flow {
    const char *name;
    void (*script)(struct world *w);
    unsigned shards;
    int64_t late_ms;
    size_t series_max;
    bool v2;
} flows[] = {
    {"headers", headers, 1, 300000, 0, false},
    {"samples", samples, 1, 300000, 0, false},
    {"samples", samples, 2, 300000, 0, false},
    {"late", late, 1, 300000, 0, false},
    {"late", late, 2, 300000, 0, false},
    {"strict", strict, 1, 0, 0, false},
    {"strict", strict, 2, 0, 0, false},
    {"orders", orders, 1, 300000, 0, false},
    {"orders", orders, 3, 300000, 50, false},
    {"orders", orders, 1, 0, 0, false},
    {"eviction", eviction, 1, 300000, 30, false},
    {"eviction", eviction, 2, 300000, 30, false},
    {"whole", whole, 1, 0, 0, false},
    {"whole", whole, 2, 0, 0, false},
    {"whole", whole, 3, 0, 0, false},
    {"limit", limit, 1, 300000, 0, false},
    {"limit", limit, 1, 0, 0, false},
    {"gone", gone, 1, 300000, 0, false},
    {"gone", gone, 1, 0, 0, false},
    {"gone", gone, 3, 300000, 0, false},
    {"gone", gone, 3, 0, 0, false},
    {"samples", samples, 1, 300000, 0, true},
    {"samples", samples, 2, 300000, 0, true},
    {"eviction", eviction, 2, 300000, 30, true},
    {"partial", partial, 1, 300000, 0, true},
    {"partial", partial, 2, 0, 0, true},
    {"refused", refused_v2, 1, 300000, 0, true},
    {"refused", refused_v2, 3, 300000, 0, true},
    {"refused", refused_v2, 1, 0, 0, true},
    {"refused", refused_v2, 3, 0, 0, true},
    {"flood", flood_v2, 2, 300000, 0, true},
    {"flood", flood_v2, 2, 0, 0, true},
    {"limit", limit, 1, 300000, 0, true},
    {"histograms", histograms, 1, 300000, 0, false},
    {"histograms", histograms, 1, 0, 0, false},
    {"histograms", histograms, 2, 300000, 0, false},
    {"histograms", histograms, 3, 0, 0, false},
    {"histograms", histograms, 3, 0, 0, true},
    {"histograms", histograms, 1, 300000, 0, true},
    {"histograms", histograms, 1, 0, 0, true},
    {"exemplars", exemplars, 1, 300000, 0, false},
    {"exemplars", exemplars, 1, 300000, 0, true},
    {"exemplars", exemplars, 1, 0, 0, false},
    {"exemplars", exemplars, 1, 0, 0, true},
    {"starts", starts, 1, 300000, 0, true},
    {"starts", starts, 1, 0, 0, true},
    {"starts", starts, 2, 0, 0, true},
    {"gone", gone, 1, 300000, 0, true},
    {"gone", gone, 3, 0, 0, true},
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
    static struct world w;
    const struct flow *f = &flows[*row];
    char command[128];
    w = (struct world){.script = f->script,
                       .shards = f->shards,
                       .late_ms = f->late_ms,
                       .series_max = f->series_max,
                       .v2 = f->v2};
    if (w.shards > 1 || w.script == gone) {
        snprintf(w.folder, sizeof w.folder, "/tmp/ferula-receive-XXXXXX");
        cr_assert(mkdtemp(w.folder) != NULL);
    }
    in_shards(w.shards, SHARD_BACKEND_AUTO, run, &w, &w.found);
    snprintf(command, sizeof command, "rm -rf '%s'", w.folder);
    cr_assert(!w.folder[0] || system(command) == 0);
    cr_assert_str_eq(w.found.text, "", "%s, %u shards: %s", f->name, f->shards, w.found.text);
}
