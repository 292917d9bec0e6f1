#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/base/mem.h"
#include "engine/base/rng.h"
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

static void run_world(int backend, fiber_fn *flow, struct world *w)
{
    in_loop(backend, flow, w);
    cr_assert_str_eq(w->f.text, "", "backend %d, %s: %s", backend, w->client_tls ? "TLS" : "plain",
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
    for (int backend = 0; backend < IN_LOOP_BACKENDS; backend++) {
        for (int with_tls = 0; with_tls < 2; with_tls++) {
            struct world w = {0};
            struct errmsg e = {""};
            const struct tls_options options = client_options(&c);
            if (with_tls) {
                cr_assert_eq(tls_client_create(&options, &w.client_tls, &e), ERR_OK, "%s", e.text);
                cr_assert_eq(tls_server_create(buf_str(&c.server.cert_pem),
                                               buf_str(&c.server.key_pem), &w.server_tls, &e),
                             ERR_OK, "%s", e.text);
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
