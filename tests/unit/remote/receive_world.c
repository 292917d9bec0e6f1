#include "tests/unit/remote/receive_world.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "engine/base/bits.h"
#include "engine/base/util.h"
#include "io/clock.h"
#include "protocol/remote_write.h"
#include "protocol/snappy_block.h"
#include "tests/lib/dump.h"

// ---- requests

void put_labels(struct buf *message, const char *labels)
{
    struct buf label = {0};
    struct str rest = str_from_c(labels), pair, name;
    while (str_split(&rest, ',', &pair)) {
        str_split(&pair, '=', &name);
        buf_reset(&label);
        pb_put_bytes(&label, 1, name);
        pb_put_bytes(&label, 2, pair);
        pb_put_bytes(message, 1, buf_str(&label));
    }
    buf_deinit(&label);
}

void put_series(struct buf *request, const char *labels, int64_t ms, double v)
{
    struct buf series = {0}, part = {0};
    put_labels(&series, labels);
    if (v != 0) // as senders do
        put_double_field(&part, 1, v);
    buf_put_char(&part, 2 << 3);
    buf_put_varint(&part, (uint64_t)ms);
    pb_put_bytes(&series, 2, buf_str(&part));
    pb_put_bytes(request, 1, buf_str(&series));
    buf_deinit(&series);
    buf_deinit(&part);
}

void send_body(struct world *w, struct str body, const char *type, const char *encoding, int status,
               const char *text)
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

static void put_refs(struct buf *series, struct buf *symbols, uint32_t *symbols_n, struct str name,
                     struct str value)
{
    pb_put_bytes(symbols, 4, name);
    pb_put_bytes(symbols, 4, value);
    buf_put_varint(series, (*symbols_n)++);
    buf_put_varint(series, (*symbols_n)++);
}

// The same as a request of 2.0, whose symbols are not shared and stand at its end unless they lead.
// 5.4 kB at most a series.
static void translate(struct str request, bool symbols_lead, struct buf *out)
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
        pb_put_bytes(&series, 1, buf_str(&refs));
        buf_put_str(&series, s.samples); // written the same
        struct remote_write_histogram h;
        for (struct pb i = pb_of(s.histograms); remote_write_histograms_next(&i, &h);)
            pb_put_bytes(&series, 3, h.message);
        struct remote_write_exemplar x;
        for (struct pb i = pb_of(s.exemplars); remote_write_exemplars_next(&i, &x);) {
            struct buf own = {0};
            struct remote_write_labels walk = {pb_of(x.labels).at, pb_of(x.labels).end};
            buf_reset(&refs);
            for (struct str name, value; remote_write_labels_next(&walk, &name, &value);)
                put_refs(&refs, &symbols, &symbols_n, name, value);
            pb_put_bytes(&own, 1, buf_str(&refs));
            buf_put_char(&own, 2 << 3 | 1);
            buf_put_le64(&own, x.bits);
            buf_put_char(&own, 3 << 3);
            buf_put_varint(&own, (uint64_t)x.time_ms);
            pb_put_bytes(&series, 4, buf_str(&own));
            buf_deinit(&own);
        }
        pb_put_bytes(out, 5, buf_str(&series));
    }
    if (symbols_lead) {
        buf_put_str(&symbols, buf_str(out));
        buf_reset(out);
    }
    buf_put_str(out, buf_str(&symbols));
    buf_deinit(&symbols);
    buf_deinit(&refs);
    buf_deinit(&series);
}

void send_request(struct world *w, struct buf *request, int status, const char *text)
{
    struct buf packed = {0}, other = {0};
    if (w->v2) {
        translate(buf_str(request), w->flow->symbols_lead, &other);
        snappy_block_compress(buf_str(&other), &packed);
    } else {
        snappy_block_compress(buf_str(request), &packed);
    }
    send_body(w, buf_str(&packed), w->v2 ? V2_TYPE : "application/x-protobuf", "snappy", status,
              text);
    buf_deinit(&packed);
    buf_deinit(&other);
    buf_reset(request);
}

void want_written2(struct world *w, const char *samples, const char *histograms)
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

void want_written(struct world *w, const char *samples)
{
    want_written2(w, samples, "0");
}

void want_samples(struct world *w, const char *series, const char *wanted)
{
    dump_samples(w->db, false, &w->dump);
    const struct str got = dump_line(&w->dump, series);
    want(&w->found, str_eq(got, str_from_c(wanted)), "%s: '%.*s', not '%s'", series, STR_ARG(got),
         wanted);
}

void put_double_field(struct buf *out, unsigned field, double v)
{
    pb_put_fixed64(out, field, bits_from_double(v));
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
    const struct flow *f = w->flow;
    struct errmsg e = {0};
    const struct tsdb_options db = {.path = w->folder[0] ? w->folder : NULL,
                                    .wal_sync = TSDB_WAL_SYNC_NONE,
                                    .spill_ms = f->spill_ms,
                                    .exemplars_max = f->exemplars_max,
                                    .series_max = f->head_series_max};
    const struct http_server_options web = {.handler = handler,
                                            .arg = w,
                                            .read_timeout_ns = 300000000000,
                                            .write_timeout_ns = 300000000000,
                                            .body_bytes_max = 64 << 20};
    const struct http_client_options client = {0};
    want(&w->found, tsdb_open(&db, &w->db, &e) == ERR_OK, "%s", e.text);
    const struct receiver_options receiver = {.db = w->db,
                                              .enabled = true,
                                              .late_ms = w->late_ms,
                                              .messages = REMOTE_MESSAGES,
                                              .decoded_bytes_max = 64 << 20,
                                              .series_max = f->cached_max ? f->cached_max : 10000};
    w->receiver = receiver_create(&receiver);
    w->server = http_server_create(&web);
    w->client = http_client_create(&client);
    w->now_ms = clock_wall_ms() / 1000 * 1000;
    want(&w->found, listener_open("127.0.0.1", 0, accepted, w, &w->listener, &e) == ERR_OK, "%s",
         e.text);
    if (w->db && w->listener) {
        f->script(w);
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

void world_run(const struct flow *f)
{
    static struct world w;
    char command[128];
    w = (struct world){.flow = f, .shards = f->shards, .late_ms = f->late_ms, .v2 = f->v2};
    if (f->shards > 1 || f->spill_ms) {
        snprintf(w.folder, sizeof w.folder, "/tmp/ferula-receive-XXXXXX");
        cr_assert(mkdtemp(w.folder) != NULL);
    }
    in_shards(w.shards, SHARD_BACKEND_AUTO, run, &w, &w.found);
    snprintf(command, sizeof command, "rm -rf '%s'", w.folder);
    cr_assert(!w.folder[0] || system(command) == 0);
    cr_assert_str_eq(w.found.text, "", "%s, %u shards: %s", f->name, f->shards, w.found.text);
}
