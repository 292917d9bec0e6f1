#include <criterion/criterion.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "engine/base/mem.h"
#include "io/clock.h"
#include "io/stream.h"
#include "tests/lib/certs.h"
#include "tests/lib/findings.h"
#include "tests/lib/in_loop.h"

enum { MS = 1000 * 1000 };

// A pair of connected streams, plain or TLS, for a flow that leaves its findings in f.
struct world {
    struct tls *client_tls, *server_tls; // NULL: plain
    struct listener *listener;
    struct stream *accepted;
    struct waiters waiters;
    int count;
    struct findings f;
};

static void accepted(void *arg, int fd, const struct address *peer)
{
    struct world *w = arg;
    w->accepted = stream_from_fd(fd, peer, w->server_tls);
    w->count++;
    waiters_wake_all(&w->waiters);
}

static void open_world(struct world *w)
{
    struct errmsg e = {""};
    waiters_init(&w->waiters);
    want(&w->f, listener_open("127.0.0.1", 0, accepted, w, &w->listener, &e) == ERR_OK, "%s",
         e.text);
}

static struct stream *next_accepted(struct world *w)
{
    while (!w->accepted)
        if (waiters_wait(&w->waiters) != ERR_OK)
            abort();
    struct stream *s = w->accepted;
    w->accepted = NULL;
    return s;
}

enum { LARGE = 3 * 1000 * 1000 + 17 };

static uint8_t pattern(size_t i)
{
    return (uint8_t)(i * 31 + (i >> 8) * 7 + (i >> 16));
}

// Reads what comes to the end, then sends it all back.
static void echo(void *arg)
{
    struct world *w = arg;
    struct stream *s = next_accepted(w);
    struct buf b = {0};
    struct errmsg e = {""};
    for (size_t n = 1; b.n < LARGE && n > 0;) {
        char *to = buf_reserve(&b, 50000);
        want(&w->f, stream_read(s, to, 50000, &n, &e) == ERR_OK, "%s", e.text);
        if (w->f.text[0])
            break;
        b.n += n;
    }
    want(&w->f, stream_write(s, b.p, b.n, &e) == ERR_OK, "%s", e.text);
    stream_close(s);
    buf_deinit(&b);
}

static void send_and_compare(void *arg)
{
    struct world *w = arg;
    struct errmsg e = {""};
    struct stream *s = NULL;
    open_world(w);
    want(&w->f, fiber_start(LOOP_RECEIVE, echo, w, NULL) == ERR_OK, "no fiber");
    want(&w->f,
         stream_connect("localhost", listener_port(w->listener), w->client_tls, &s, &e) == ERR_OK,
         "%s", e.text);
    uint8_t *sent = mem_alloc(LARGE), *got = mem_alloc(LARGE);
    for (size_t i = 0; i < LARGE; i++)
        sent[i] = pattern(i);
    want(&w->f, stream_write(s, sent, LARGE, &e) == ERR_OK, "%s", e.text);
    size_t have = 0, n = 1;
    while (have < LARGE && n > 0 && !w->f.text[0]) {
        const size_t ask = LARGE - have < 7777 ? LARGE - have : 7777;
        want(&w->f, stream_read(s, got + have, ask, &n, &e) == ERR_OK, "at %zu: %s", have, e.text);
        have += n;
    }
    want(&w->f, have == LARGE && !memcmp(sent, got, LARGE), "%zu bytes came back", have);
    want(&w->f, stream_read(s, got, 1, &n, &e) == ERR_OK && n == 0, "no end: %zu %s", n, e.text);
    stream_close(s);
    listener_close(w->listener);
    mem_free(sent);
    mem_free(got);
}

static void run_world(unsigned backend, fiber_fn *flow, struct world *w)
{
    in_loop(backend, flow, w);
    cr_assert_str_eq(w->f.text, "", "backend %u, %s: %s", backend, w->client_tls ? "TLS" : "plain",
                     w->f.text);
}

static struct tls_options client_options(const struct certs *c)
{
    return (struct tls_options){.ca_pem = buf_str(&c->ca.cert_pem)};
}

// Runs flow on each backend, plain and with TLS.
static void on_each(fiber_fn *flow)
{
    struct certs c;
    certs_make(&c);
    for (unsigned backend = 0; backend < IN_LOOP_BACKENDS; backend++) {
        for (int with_tls = 0; with_tls < 2; with_tls++) {
            struct world w = {0};
            struct errmsg e = {""};
            const struct tls_options options = client_options(&c);
            const struct tls_server_options server = {.cert_pem = buf_str(&c.server.cert_pem),
                                                      .key_pem = buf_str(&c.server.key_pem)};
            if (with_tls) {
                cr_assert_eq(tls_client_create(&options, &w.client_tls, &e), ERR_OK, "%s", e.text);
                cr_assert_eq(tls_server_create(&server, &w.server_tls, &e), ERR_OK, "%s", e.text);
            }
            run_world(backend, flow, &w);
            tls_unref(w.client_tls);
            tls_unref(w.server_tls);
        }
    }
    certs_deinit(&c);
}

Test(stream, carries_what_it_was_given)
{
    on_each(send_and_compare);
}

// Connects and accepts; *out_client is at the caller's end.
static struct stream *open_pair(struct world *w, struct stream **out_client)
{
    struct errmsg e = {""};
    struct stream *client = NULL;
    open_world(w);
    want(&w->f,
         stream_connect("127.0.0.1", listener_port(w->listener), NULL, &client, &e) == ERR_OK, "%s",
         e.text);
    struct stream *server = next_accepted(w);
    *out_client = client;
    return server;
}

struct tls_dial {
    struct world *w;
    struct stream *client;
    bool ended;
};

static void dial_tls(void *arg)
{
    struct tls_dial *d = arg;
    struct errmsg e = {""};
    want(&d->w->f,
         stream_start_tls(d->client, d->w->client_tls, "localhost", &d->client, &e) == ERR_OK, "%s",
         e.text);
    want(&d->w->f, stream_write(d->client, "x", 1, &e) == ERR_OK, "%s", e.text);
    d->ended = true;
}

// The same with hands shaken, where the world has TLS.
static struct stream *open_ready_pair(struct world *w, struct stream **out_client)
{
    struct stream *server = open_pair(w, out_client);
    if (!w->client_tls)
        return server;
    struct tls_dial d = {w, *out_client, false};
    struct errmsg e = {""};
    char byte;
    size_t n = 0;
    if (fiber_start(LOOP_SCRAPE, dial_tls, &d, NULL) != ERR_OK)
        abort();
    // A server shakes hands while it reads.
    want(&w->f, stream_read(server, &byte, 1, &n, &e) == ERR_OK && n == 1, "%s", e.text);
    while (!d.ended)
        if (fiber_sleep_ns(MS) != ERR_OK)
            abort();
    *out_client = d.client;
    want(&w->f, stream_is_tls(server) && stream_is_tls(d.client));
    return server;
}

static void close_pair(struct world *w, struct stream *server, struct stream *client)
{
    stream_close(client);
    stream_close(server);
    listener_close(w->listener);
}

struct reader {
    struct stream *s;
    err result;
    struct errmsg e;
    size_t n;
    char bytes[4096];
    bool ended;
};

static void read_once(void *arg)
{
    struct reader *r = arg;
    r->result = stream_read(r->s, r->bytes, sizeof r->bytes, &r->n, &r->e);
    r->ended = true;
}

static struct fiber *start_reader(struct reader *r, struct stream *s)
{
    struct fiber *f = NULL;
    *r = (struct reader){.s = s};
    if (fiber_start(LOOP_SCRAPE, read_once, r, &f) != ERR_OK || fiber_sleep_ns(5 * MS) != ERR_OK)
        abort();
    return f;
}

static void await_reader(const struct reader *r)
{
    while (!r->ended)
        if (fiber_sleep_ns(MS) != ERR_OK)
            abort();
}

static void end_early(void *arg)
{
    struct world *w = arg;
    struct stream *client, *server = open_ready_pair(w, &client);
    struct reader r;
    fiber_cancel(start_reader(&r, client));
    await_reader(&r);
    want(&w->f, r.result == ERR_CANCELED, "%s", r.e.text);
    start_reader(&r, client);
    stream_abort(client);
    await_reader(&r);
    want(&w->f, r.result == ERR_IO && strstr(r.e.text, "use of closed network connection"), "%s",
         r.e.text);
    struct errmsg e = {""};
    fiber_set_deadline(clock_mono_ns() + 30 * MS);
    char byte;
    size_t n = 0;
    // The client's end was not told.
    want(&w->f, stream_read(server, &byte, 1, &n, &e) == ERR_TIMEOUT, "%s", e.text);
    want(&w->f, !strcmp(e.text, "context deadline exceeded"), "%s", e.text);
    close_pair(w, server, client); // past the deadline: still closes
}

Test(stream, reads_end_early)
{
    on_each(end_early);
}

// A peer that does not read stops a writer, and its deadline ends that; one that reads slowly
// gets everything.
static void read_slowly(void *arg)
{
    struct reader *r = arg;
    struct errmsg e = {""};
    size_t n = 1, total = 0;
    while (n > 0 && stream_read(r->s, r->bytes, sizeof r->bytes, &n, &e) == ERR_OK) {
        total += n;
        if (total % (64 * 1024) < n)
            fiber_yield();
    }
    r->n = total;
    r->ended = true;
}

static void slow_peer(void *arg)
{
    struct world *w = arg;
    enum { SIZE = 16 * 1024 * 1024 };
    struct stream *client, *server = open_ready_pair(w, &client);
    struct errmsg e = {""};
    char *bytes = mem_zalloc(SIZE);
    fiber_set_deadline(clock_mono_ns() + 100 * MS);
    want(&w->f, stream_write(client, bytes, SIZE, &e) == ERR_TIMEOUT, "%s", e.text);
    fiber_set_deadline(INT64_MAX);
    close_pair(w, server, client);
    server = open_ready_pair(w, &client);
    struct reader r = {.s = server};
    if (fiber_start(LOOP_SCRAPE, read_slowly, &r, NULL) != ERR_OK)
        abort();
    want(&w->f, stream_write(client, bytes, SIZE, &e) == ERR_OK, "%s", e.text);
    stream_close(client);
    await_reader(&r);
    want(&w->f, r.n == SIZE, "%zu", r.n);
    stream_close(server);
    listener_close(w->listener);
    mem_free(bytes);
}

Test(stream, slow_peer)
{
    on_each(slow_peer);
}

// Idle waiting: no fiber, no buffer.
struct idle {
    struct waiters waiters;
    int ready;
};

static void note_ready(void *arg)
{
    struct idle *idle = arg;
    idle->ready++;
    waiters_wake_all(&idle->waiters);
}

static void await_ready(struct idle *idle, int wanted)
{
    while (idle->ready < wanted)
        if (waiters_wait(&idle->waiters) != ERR_OK)
            abort();
}

static void idle_waits(void *arg)
{
    struct world *w = arg;
    struct stream *client, *server = open_ready_pair(w, &client);
    struct idle idle = {0};
    struct errmsg e = {""};
    char bytes[1000] = "";
    size_t n = 0;
    waiters_init(&idle.waiters);
    stream_when_readable(server, note_ready, &idle);
    if (fiber_sleep_ns(5 * MS) != ERR_OK)
        abort();
    want(&w->f, idle.ready == 0);
    want(&w->f, stream_write(client, bytes, sizeof bytes, &e) == ERR_OK, "%s", e.text);
    await_ready(&idle, 1);
    // A part of what came; the rest must be announced at once, though TLS has it all.
    want(&w->f, stream_read(server, bytes, 10, &n, &e) == ERR_OK && n == 10, "%s", e.text);
    stream_when_readable(server, note_ready, &idle);
    want(&w->f, idle.ready == 1, "inside the call");
    await_ready(&idle, 2);
    want(&w->f, stream_read(server, bytes, 990, &n, &e) == ERR_OK && n == 990, "%zu", n);
    // Given up, taken up again while the first is still being canceled.
    stream_when_readable(server, note_ready, &idle);
    stream_when_readable_cancel(server);
    stream_when_readable(server, note_ready, &idle);
    if (fiber_sleep_ns(5 * MS) != ERR_OK)
        abort();
    want(&w->f, idle.ready == 2, "%d", idle.ready);
    stream_close(client); // the end is announced too
    await_ready(&idle, 3);
    want(&w->f, stream_read(server, bytes, 1, &n, &e) == ERR_OK && n == 0, "%s", e.text);
    stream_when_readable(server, note_ready, &idle);
    stream_when_readable_cancel(server);
    stream_close(server);
    listener_close(w->listener);
    want(&w->f, idle.ready == 3, "%d", idle.ready);
}

Test(stream, idle_waits)
{
    on_each(idle_waits);
}

// Connections of the system's own, to see what a rude peer does.
static int rude_connect(uint16_t port)
{
    const struct sockaddr_in in = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&in, sizeof in) == 0)
        return fd;
    abort();
}

static void reset(int fd)
{
    const struct linger linger = {.l_onoff = 1};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    close(fd);
}

static void resets(void *arg)
{
    struct world *w = arg;
    open_world(w);
    int fd = rude_connect(listener_port(w->listener));
    struct stream *s = next_accepted(w);
    struct reader r;
    start_reader(&r, s);
    reset(fd);
    await_reader(&r);
    want(&w->f, r.result == ERR_IO && strstr(r.e.text, "connection reset by peer"), "%s", r.e.text);
    stream_close(s);
    fd = rude_connect(listener_port(w->listener));
    s = next_accepted(w);
    reset(fd);
    struct errmsg e = {""};
    err code = ERR_OK;
    for (int i = 0; i < 100 && code == ERR_OK; i++)
        code = stream_write(s, r.bytes, sizeof r.bytes, &e);
    want(&w->f, code == ERR_IO, "%s", e.text);
    stream_close(s);
    listener_close(w->listener);
}

Test(stream, resets)
{
    on_each(resets);
}

static void discard(void *arg, int fd, const struct address *peer)
{
    struct world *w = arg;
    want(&w->f, peer->family == ADDRESS_IPV4 && peer->ip[0] == 127);
    w->count++;
    socket_discard(fd);
}

// Runs out of descriptors on the way, and goes on when there are some again.
static void accepts_under_load(void *arg)
{
    struct world *w = arg;
    enum { COUNT = 400 };
    struct errmsg e = {""};
    struct rlimit before;
    int fds[COUNT];
    getrlimit(RLIMIT_NOFILE, &before);
    want(&w->f, listener_open("", 0, discard, w, &w->listener, &e) == ERR_OK, "%s", e.text);
    for (int i = 0; i < COUNT; i++)
        fds[i] = rude_connect(listener_port(w->listener));
    const struct rlimit none = {.rlim_cur = (rlim_t)fds[COUNT - 1] + 1,
                                .rlim_max = before.rlim_max};
    setrlimit(RLIMIT_NOFILE, &none);
    if (fiber_sleep_ns(20 * MS) != ERR_OK)
        abort();
    setrlimit(RLIMIT_NOFILE, &before);
    for (int i = 0; i < 100000 && w->count < COUNT; i++)
        if (fiber_sleep_ns(MS) != ERR_OK)
            abort();
    want(&w->f, w->count == COUNT, "%d", w->count);
    for (int i = 0; i < COUNT; i++)
        close(fds[i]);
    listener_close(w->listener);
}

Test(stream, accepts_under_load)
{
    on_each(accepts_under_load);
}

static void discard_and_pause(void *arg, int fd, const struct address *peer)
{
    struct world *w = arg;
    discard(arg, fd, peer);
    listener_pause(w->listener);
}

// One at a time, whatever came meanwhile; who waits at the end is not accepted.
static void pauses(void *arg)
{
    struct world *w = arg;
    enum { COUNT = 20, TAKEN = 15 };
    struct errmsg e = {""};
    int fds[COUNT];
    want(&w->f, listener_open("", 0, discard_and_pause, w, &w->listener, &e) == ERR_OK, "%s",
         e.text);
    listener_pause(w->listener);
    listener_resume(w->listener);
    listener_pause(w->listener);
    for (int i = 0; i < COUNT; i++)
        fds[i] = rude_connect(listener_port(w->listener));
    for (int n = 0; n <= TAKEN; n++) {
        for (int i = 0; i < 100000 && w->count < n; i++)
            if (fiber_sleep_ns(MS) != ERR_OK)
                abort();
        if (fiber_sleep_ns(MS / 10) != ERR_OK)
            abort();
        want(&w->f, w->count == n, "%d, not %d", w->count, n);
        if (n < TAKEN)
            listener_resume(w->listener);
    }
    for (int i = 0; i < COUNT; i++)
        close(fds[i]);
    listener_close(w->listener);
}

Test(stream, pauses)
{
    on_each(pauses);
}

static void connect_errors(void *arg)
{
    struct world *w = arg;
    struct errmsg e = {""};
    struct stream *s = NULL;
    struct listener *second = NULL;
    char wanted[100];
    open_world(w);
    const uint16_t port = listener_port(w->listener);
    want(&w->f, listener_open("127.0.0.1", port, discard, w, &second, &e) == ERR_EXISTS);
    snprintf(wanted, sizeof wanted, "listen tcp 127.0.0.1:%u: bind: address already in use", port);
    want(&w->f, !strcmp(e.text, wanted), "%s", e.text);
    listener_close(w->listener);
    want(&w->f, stream_connect("127.0.0.1", port, NULL, &s, &e) == ERR_IO);
    snprintf(wanted, sizeof wanted, "dial tcp 127.0.0.1:%u: connect: connection refused", port);
    want(&w->f, !strcmp(e.text, wanted), "%s", e.text);
    want(&w->f, stream_connect("", port, NULL, &s, &e) == ERR_NOTFOUND, "%s", e.text);
    // A listener that accepts nobody and whose queue is full: no answer at all.
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof in;
    if (bind(fd, (struct sockaddr *)&in, size) || listen(fd, 0) ||
        getsockname(fd, (struct sockaddr *)&in, &size))
        abort();
    const int first = rude_connect(ntohs(in.sin_port));
    for (int i = 0; i < 2; i++) { // the second when the deadline has passed already
        if (i == 0)
            fiber_set_deadline(clock_mono_ns() + 30 * MS);
        want(&w->f, stream_connect("127.0.0.1", ntohs(in.sin_port), NULL, &s, &e) == ERR_TIMEOUT);
        want(&w->f, !strcmp(e.text, "context deadline exceeded"), "%s", e.text);
    }
    close(first);
    close(fd);
}

Test(stream, connect_errors)
{
    on_each(connect_errors);
}

static void connects_to(struct world *w, const char *listen, const char *dial, bool works)
{
    struct errmsg e = {""};
    struct stream *s = NULL;
    waiters_init(&w->waiters);
    want(&w->f, listener_open(listen, 0, accepted, w, &w->listener, &e) == ERR_OK, "%s: %s", listen,
         e.text);
    if (w->f.text[0])
        return;
    const err code = stream_connect(dial, listener_port(w->listener), NULL, &s, &e);
    want(&w->f, (code == ERR_OK) == works, "%s to %s: %s", dial, listen, e.text);
    if (code == ERR_OK) {
        stream_close(next_accepted(w));
        stream_close(s);
    }
    listener_close(w->listener);
}

static void families(void *arg)
{
    static const struct {
        const char *listen, *dial;
        bool works;
    } rows[] = {
        {"", "127.0.0.1", true},        {"", "::1", true},
        {"0.0.0.0", "127.0.0.1", true}, {"::", "127.0.0.1", true},
        {"[::1]", "::1", true},         {"::1", "127.0.0.1", false},
        {"127.0.0.1", "::1", false},    {"localhost", "localhost", true},
    };
    for (size_t i = 0; i < countof(rows); i++)
        connects_to(arg, rows[i].listen, rows[i].dial, rows[i].works);
}

Test(stream, families)
{
    on_each(families);
}
