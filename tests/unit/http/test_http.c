// The server and the client against each other, on a loop of their own. Criterion's assertions do
// not work on fibers: what goes wrong there is noted and asserted after the loop has ended.
#include <criterion/criterion.h>
#include <stdio.h>

#include "engine/base/mem.h"
#include "engine/base/util.h"
#include "engine/http/client.h"
#include "engine/http/server.h"
#include "engine/shard/shard.h"
#include "io/clock.h"

static char wrong[2048];

static void want(bool condition, const char *what)
{
    if (!condition && !wrong[0])
        snprintf(wrong, sizeof wrong, "%s", what);
}

struct world {
    struct shards *shards;
    struct http_server *server;
    struct listener *listener;
    void (*script)(struct world *w);
    unsigned handled;
    int64_t read_timeout_ns; // 0: none that a busy machine would reach
};

static const int64_t LONG_NS = 300000000000;

enum { BODY_MAX = 100000 };

static void handler(void *arg, struct http_exchange *x)
{
    struct world *w = arg;
    struct str body;
    struct errmsg e;
    w->handled++;
    if (str_eq(x->path, STR("/stream"))) {
        http_begin(x, 200, "text/plain");
        for (int i = 0; i < 1000; i++)
            want(http_write(x, STR("0123456789")) == ERR_OK, "a part was not sent");
        http_end(x);
    } else if (str_eq(x->path, STR("/redirect"))) {
        http_add_header(x, "Location", STR("/echo?moved"));
        http_answer(x, 302, NULL, (struct str){0});
    } else if (str_eq(x->path, STR("/secret"))) {
        http_answer(x, 200, "text/plain", http_header(x->head, STR("Authorization")));
    } else if (str_eq(x->path, STR("/ignore"))) {
        http_answer_text(x, 200, "ignored");
    } else {
        const err code = http_read_body(x, BODY_MAX, &body, &e);
        if (code == ERR_LIMIT)
            http_answer_text(x, 413, e.text);
        else if (code)
            http_answer_text(x, 400, e.text);
        else
            http_answer(x, 200, "text/plain", body.n ? body : x->query);
    }
}

static void accepted(void *arg, int fd, const struct address *peer)
{
    struct world *w = arg;
    http_server_take(w->server, fd, peer);
}

static void run_script(void *arg)
{
    struct world *w = arg;
    struct errmsg e = {0};
    const struct http_server_options options = {
        .handler = handler,
        .arg = w,
        .read_timeout_ns = w->read_timeout_ns ? w->read_timeout_ns : LONG_NS,
        .write_timeout_ns = LONG_NS,
        .body_bytes_max = 1 << 20,
    };
    w->server = http_server_create(&options);
    want(listener_open("127.0.0.1", 0, accepted, w, &w->listener, &e) == ERR_OK, e.text);
    if (w->listener) {
        w->script(w);
        listener_close(w->listener);
    }
    http_server_drain(w->server);
    http_server_destroy(w->server);
    shards_stop(w->shards);
}

static void start(void *arg)
{
    struct world *w = arg;
    w->shards = shard_all();
    if (fiber_start(LOOP_QUERY, run_script, w, NULL) != ERR_OK)
        abort();
}

static void run_with(void (*script)(struct world *w), int64_t read_timeout_ns)
{
    struct world w = {.script = script, .read_timeout_ns = read_timeout_ns};
    const struct shards_options options = {
        .count = 1, .backend = SHARD_BACKEND_AUTO, .loop = {.fibers_max = 1000}};
    struct shards *shards;
    struct errmsg e = {0};
    cr_assert_eq(shards_create(&options, start, &w, &shards, &e), ERR_OK, "%s", e.text);
    shards_destroy(shards);
    cr_assert_str_eq(wrong, "");
}

static void run(void (*script)(struct world *w))
{
    run_with(script, 0);
}

static struct str url_of(const struct world *w, const char *path, char out[128])
{
    const int n = snprintf(out, 128, "http://127.0.0.1:%u%s", listener_port(w->listener), path);
    return str_make(out, (size_t)n);
}

static void script_client(struct world *w)
{
    char text[128];
    struct errmsg e = {0};
    const struct http_client_options options = {.follow_redirects = true};
    struct http_client *c = http_client_create(&options);
    struct http_result r = {0};
    struct http_request get = {
        .method = STR("GET"), .url = url_of(w, "/echo?a=1", text), .body_max = 1 << 20};
    want(http_fetch(c, &get, &r, &e) == ERR_OK, e.text);
    want(r.status == 200 && str_eq(buf_str(&r.body), STR("a=1")), "plain GET");
    get.url = url_of(w, "/stream", text);
    want(http_fetch(c, &get, &r, &e) == ERR_OK, e.text);
    want(r.body.n == 10000, "chunked answer");
    get.url = url_of(w, "/redirect", text);
    want(http_fetch(c, &get, &r, &e) == ERR_OK && str_eq(buf_str(&r.body), STR("moved")),
         "redirect");
    get.url = url_of(w, "/stream", text);
    get.body_max = 9999;
    want(http_fetch(c, &get, &r, &e) == ERR_LIMIT, "a body over its limit");
    static char large[BODY_MAX + 1];
    memset(large, 'x', sizeof large);
    struct http_request post = {.method = STR("POST"),
                                .url = url_of(w, "/echo", text),
                                .body_max = 1 << 20,
                                .body = str_make(large, BODY_MAX)};
    want(http_fetch(c, &post, &r, &e) == ERR_OK && r.body.n == BODY_MAX, "POST");
    post.body.n++;
    want(http_fetch(c, &post, &r, &e) == ERR_OK && r.status == 413, "413");
    post.url = url_of(w, "/ignore", text);
    want(http_fetch(c, &post, &r, &e) == ERR_OK && str_eq(buf_str(&r.body), STR("ignored")),
         "a body nobody reads");
    want(http_fetch(c, &post, &r, &e) == ERR_OK && str_eq(buf_str(&r.body), STR("ignored")),
         "and the next request");
    want(http_client_stats(c)->connects <= 4, "connections are kept");
    http_client_destroy(c);
    http_result_deinit(&r);
}

Test(http, client_and_server)
{
    run(script_client);
}

// Writes bytes, reads until the end or count bytes. Suspends.
static void talk(struct world *w, struct str bytes, size_t step, struct buf *out)
{
    struct stream *s;
    struct errmsg e = {0};
    want(stream_connect("127.0.0.1", listener_port(w->listener), NULL, &s, &e) == ERR_OK, e.text);
    for (size_t at = 0; at < bytes.n; at += step) {
        const size_t n = bytes.n - at < step ? bytes.n - at : step;
        if (stream_write(s, bytes.p + at, n, NULL) != ERR_OK)
            break;
    }
    for (;;) {
        size_t n;
        char *p = buf_reserve(out, 4096);
        if (stream_read(s, p, 4096, &n, &e) != ERR_OK || !n)
            break;
        out->n += n;
    }
    stream_close(s);
}

static size_t count_of(struct str text, struct str what)
{
    size_t count = 0;
    for (size_t i = 0; i + what.n <= text.n; i++)
        count += !memcmp(text.p + i, what.p, what.n);
    return count;
}

// As prometheus 3.5 answers them.
static const struct {
    const char *request, *status, *body;
} refused[] = {
    {"FOO\r\n\r\n", "400 Bad Request", "400 Bad Request"},
    {"GET / HTTP/1.1\r\n\r\n", "400 Bad Request: missing required Host header",
     "400 Bad Request: missing required Host header"},
    {"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "400 Bad Request", "400 Bad Request"},
    {"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", "400 Bad Request: malformed Host header",
     "400 Bad Request: malformed Host header"},
    {"GET / HTTP/2.0\r\nHost: a\r\n\r\n",
     "505 HTTP Version Not Supported: unsupported protocol version",
     "505 HTTP Version Not Supported: unsupported protocol version"},
    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n", "400 Bad Request",
     "400 Bad Request"},
    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: foo\r\n\r\n", "501 Not Implemented",
     "Unsupported transfer encoding"},
    {"GET / HTTP/1.1\r\n Host: a\r\n\r\n", "400 Bad Request", "400 Bad Request"},
    {"GET / HTTP/1.1\r\nHost: a\r\nA: \x01\r\n\r\n", "400 Bad Request", "400 Bad Request"},
};

static void script_refused(struct world *w)
{
    for (size_t i = 0; i < countof(refused); i++) {
        struct buf out = {0}, wanted = {0};
        talk(w, str_from_c(refused[i].request), 100, &out);
        buf_printf(&wanted,
                   "HTTP/1.1 %s\r\nContent-Type: text/plain; charset=utf-8\r\n"
                   "Connection: close\r\n\r\n%s",
                   refused[i].status, refused[i].body);
        want(str_eq(buf_str(&out), buf_str(&wanted)), refused[i].request);
        buf_deinit(&out);
        buf_deinit(&wanted);
    }
    struct buf out = {0};
    talk(w, STR("GET /echo?a HTTP/1.1\r\nHost:\r\nX: b\r\n c\r\nConnection: close\r\n\r\n"), 3,
         &out);
    want(str_has_prefix(buf_str(&out), STR("HTTP/1.1 200 OK\r\n")),
         "an empty Host, a folded header");
    buf_deinit(&out);
}

static void script_raw(struct world *w)
{
    const struct str pipelined =
        STR("GET /echo?one HTTP/1.1\r\nHost: x\r\n\r\n"
            "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
            "3\r\ntwo\r\n0\r\n\r\n"
            "HEAD /echo?three HTTP/1.1\r\nHost: x\r\n\r\n"
            "GET /stream HTTP/1.0\r\n\r\n");
    for (size_t step = 1; step < 300; step += 37) {
        struct buf out = {0};
        talk(w, pipelined, step, &out);
        want(count_of(buf_str(&out), STR("HTTP/1.1 200 OK\r\n")) == 4, "four answers");
        want(count_of(buf_str(&out), STR("\r\n\r\none")) == 1, "the first");
        want(count_of(buf_str(&out), STR("\r\n\r\ntwo")) == 1, "the second");
        want(count_of(buf_str(&out), STR("three")) == 0, "HEAD has no body");
        want(count_of(buf_str(&out), STR("0123456789")) == 1000, "HTTP/1.0 gets no chunks");
        want(count_of(buf_str(&out), STR("chunked")) == 0, "HTTP/1.0 gets no chunks");
        buf_deinit(&out);
    }
    struct buf out = {0};
    talk(w, STR("nonsense\r\n\r\n"), 100, &out);
    want(str_has_prefix(buf_str(&out), STR("HTTP/1.1 400 ")), "400");
    buf_reset(&out);
    talk(w, STR("GET /%zz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"), 100, &out);
    want(str_has_prefix(buf_str(&out), STR("HTTP/1.1 400 ")), "a bad escape");
    buf_reset(&out);
    talk(w,
         STR("GET /stream HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\nConnection: "
             "close\r\n\r\n"),
         100, &out);
    want(count_of(buf_str(&out), STR("Content-Encoding: gzip\r\n")) == 1, "compressed");
    want(out.n < 2000, "and shorter");
    buf_reset(&out);
    const struct str huge =
        STR("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 9000000000\r\n\r\n");
    talk(w, huge, 100, &out);
    want(str_has_prefix(buf_str(&out), STR("HTTP/1.1 413 ")), "413 before the body is read");
    buf_reset(&out);
    buf_deinit(&out);
}

static void script_never_ends(struct world *w)
{
    struct buf out = {0};
    const int64_t before = clock_mono_ns();
    talk(w, STR("GET /echo HTT"), 100, &out);
    want(clock_mono_ns() - before < LONG_NS / 2, "a request that never ends is ended");
    buf_deinit(&out);
}

// Connections that have been answered and wait for their next request: nobody is at work there.
static void script_idle(struct world *w)
{
    enum { CLIENTS = 50 };
    const struct http_client_options options = {0};
    struct http_client *clients[CLIENTS];
    struct http_result r = {0};
    struct errmsg e = {0};
    char text[128];
    const struct http_request get = {
        .method = STR("GET"), .url = url_of(w, "/echo?a=1", text), .body_max = 1 << 20};
    const size_t before = loop_stats(loop_current())->fibers_alive;
    for (int round = 0; round < 3; round++)
        for (int i = 0; i < CLIENTS; i++) {
            if (round == 0)
                clients[i] = http_client_create(&options);
            want(http_fetch(clients[i], &get, &r, &e) == ERR_OK, e.text);
        }
    // The last answer came before its fiber had ended.
    for (int i = 0; i < 100000 && loop_stats(loop_current())->fibers_alive > before; i++)
        want(fiber_sleep_ns(1000000) == ERR_OK, "sleep");
    want(loop_stats(loop_current())->fibers_alive == before, "an idle connection has a fiber");
    want(http_server_stats(w->server)->connections == CLIENTS, "connections are kept");
    http_result_deinit(&r);
    for (int i = 0; i < CLIENTS; i++)
        http_client_destroy(clients[i]);
}

Test(http, idle_connections_have_no_fiber)
{
    run(script_idle);
}

Test(http, a_request_that_never_ends)
{
    run_with(script_never_ends, 1000000000);
}

Test(http, raw_bytes)
{
    run(script_raw);
}

Test(http, refuses_as_prometheus)
{
    run(script_refused);
}
