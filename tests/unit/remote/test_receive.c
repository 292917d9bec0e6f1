// Requests to the receiver over HTTP, on one shard and two; answers as Prometheus gives them, and
// where ours differ on purpose, as the README says.
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "engine/base/util.h"
#include "engine/http/client.h"
#include "engine/http/server.h"
#include "engine/remote/receive.h"
#include "io/clock.h"
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
    buf_put_char(&part, 1 << 3 | 1);
    buf_put_le64(&part, bits);
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
                                         .body_max = 4096};
    want(&w->found, http_fetch(w->client, &request, &w->result, &e) == ERR_OK, "%s", e.text);
    want(&w->found, w->result.status == status, "%d '%.*s', not %d", w->result.status,
         STR_ARG(buf_str(&w->result.body)), status);
    if (text)
        want(&w->found, str_eq(buf_str(&w->result.body), str_from_c(text)), "'%.*s', not '%s'",
             STR_ARG(buf_str(&w->result.body)), text);
}

// Sends what request holds and empties it.
static void send_request(struct world *w, struct buf *request, int status, const char *text)
{
    struct buf packed = {0};
    snappy_block_compress(buf_str(request), &packed);
    send_body(w, buf_str(&packed), "application/x-protobuf", "snappy", status, text);
    buf_deinit(&packed);
    buf_reset(request);
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
        {"application/x-protobuf;proto=io.prometheus.write.v2.Request", "snappy", 415,
         "io.prometheus.write.v2.Request protobuf message is not accepted by this server; only "
         "accepts prometheus.WriteRequest\n"},
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
    send_request(w, &request, 204, "");
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
                                    .series_max = w->script == limit ? SPREAD : 0};
    const struct http_server_options web = {.handler = handler,
                                            .arg = w,
                                            .read_timeout_ns = 5000000000,
                                            .write_timeout_ns = 5000000000,
                                            .connections_max = 100,
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
} flows[] = {
    {"headers", headers, 1, 300000, 0},
    {"samples", samples, 1, 300000, 0},
    {"samples", samples, 2, 300000, 0},
    {"late", late, 1, 300000, 0},
    {"late", late, 2, 300000, 0},
    {"strict", strict, 1, 0, 0},
    {"strict", strict, 2, 0, 0},
    {"eviction", eviction, 1, 300000, 30},
    {"eviction", eviction, 2, 300000, 30},
    {"whole", whole, 1, 0, 0},
    {"whole", whole, 2, 0, 0},
    {"whole", whole, 3, 0, 0},
    {"limit", limit, 1, 300000, 0},
    {"limit", limit, 1, 0, 0},
    {"gone", gone, 1, 300000, 0},
    {"gone", gone, 1, 0, 0},
    {"gone", gone, 3, 300000, 0},
    {"gone", gone, 3, 0, 0},
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
                       .series_max = f->series_max};
    if (w.shards > 1 || w.script == gone) {
        snprintf(w.folder, sizeof w.folder, "/tmp/ferula-receive-XXXXXX");
        cr_assert(mkdtemp(w.folder) != NULL);
    }
    in_shards(w.shards, SHARD_BACKEND_AUTO, run, &w, &w.found);
    snprintf(command, sizeof command, "rm -rf '%s'", w.folder);
    cr_assert(!w.folder[0] || system(command) == 0);
    cr_assert_str_eq(w.found.text, "", "%s, %u shards: %s", f->name, f->shards, w.found.text);
}
