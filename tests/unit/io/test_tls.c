#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/base/mem.h"
#include "engine/base/util.h"
#include "io/clock.h"
#include "io/stream.h"
#include "tests/lib/certs.h"
#include "tests/lib/findings.h"
#include "tests/lib/in_loop.h"

enum { MS = 1000 * 1000 };

// Texts are those of Go's crypto/tls and crypto/x509, which Prometheus shows.
enum server_kind { GOOD, EXPIRED, NAMELESS, WANTS_CLIENT, PLAIN };

struct row {
    const char *name;
    enum server_kind server;
    const char *host, *server_name;
    bool knows_ca, has_client_cert, insecure;
    int version_min, version_max;
    const char *wanted; // of the error; NULL: works
};

#define UNVERIFIED "tls: failed to verify certificate: x509: "

static const struct row rows[] = {
    {"a name", GOOD, "localhost", "", true, false, false, 0, 0, NULL},
    {"an address", GOOD, "127.0.0.1", "", true, false, false, 0, 0, NULL},
    {"an IPv6 address", GOOD, "::1", "", true, false, false, 0, 0, NULL},
    {"another server name", GOOD, "127.0.0.1", "a.ferula.test", true, false, false, 0, 0, NULL},
    {"a wrong server name", GOOD, "localhost", "other.test", true, false, false, 0, 0,
     UNVERIFIED "certificate is valid for localhost, *.ferula.test, not other.test"},
    {"a wildcard has one label", GOOD, "localhost", "a.b.ferula.test", true, false, false, 0, 0,
     UNVERIFIED "certificate is valid for localhost, *.ferula.test, not a.b.ferula.test"},
    {"a wrong address", GOOD, "localhost", "127.0.0.2", true, false, false, 0, 0,
     UNVERIFIED "certificate is valid for 127.0.0.1, ::1, not 127.0.0.2"},
    {"unknown authority", GOOD, "localhost", "", false, false, false, 0, 0,
     UNVERIFIED "certificate signed by unknown authority"},
    {"unknown but insecure", GOOD, "localhost", "x.test", false, false, true, 0, 0, NULL},
    {"expired", EXPIRED, "localhost", "", true, false, false, 0, 0,
     UNVERIFIED "certificate has expired or is not yet valid"},
    {"common name alone", NAMELESS, "127.0.0.1", "", true, false, false, 0, 0,
     UNVERIFIED "cannot validate certificate for 127.0.0.1 because it doesn't contain any IP SANs"},
    {"client certificate", WANTS_CLIENT, "localhost", "", true, true, false, 0, 0, NULL},
    {"no client certificate", WANTS_CLIENT, "localhost", "", true, false, false, 0, 0,
     "remote error: tls: certificate required"},
    {"only 1.2", GOOD, "localhost", "", true, false, false, TLS_VERSION_12, TLS_VERSION_12, NULL},
    {"only 1.3", GOOD, "localhost", "", true, false, false, TLS_VERSION_13, 0, NULL},
    {"no TLS there", PLAIN, "localhost", "", true, false, false, 0, 0,
     "tls: first record does not look like a TLS handshake"},
};

struct dialogue {
    const struct row *row;
    struct tls *client, *server; // server NULL: plain
    struct waiters waiters;
    unsigned serving;
    struct findings f;
};

struct served {
    struct dialogue *d;
    struct stream *s;
};

// Answers one message with another, whatever they are.
static void serve(void *arg)
{
    struct served *served = arg;
    struct dialogue *d = served->d;
    char bytes[512];
    size_t n = 0;
    if (stream_read(served->s, bytes, sizeof bytes, &n, NULL) == ERR_OK && n > 0)
        (void)stream_write(served->s, "HTTP/1.1 400 Bad Request\r\n\r\n", 28, NULL);
    stream_close(served->s);
    mem_free(served);
    d->serving--;
    waiters_wake_all(&d->waiters);
}

static void accepted(void *arg, int fd, const struct address *peer)
{
    struct dialogue *d = arg;
    struct served *served = mem_alloc(sizeof *served);
    *served = (struct served){d, stream_from_fd(fd, peer, d->server)};
    d->serving++;
    if (fiber_start(LOOP_SCRAPE, serve, served, NULL) != ERR_OK)
        abort();
}

static err talk(struct dialogue *d, uint16_t port, struct errmsg *e)
{
    struct stream *s = NULL;
    TRY(stream_connect(d->row->host, port, d->client, &s, e));
    char bytes[512];
    size_t n = 0;
    err code = stream_write(s, "hello", 5, e);
    if (code == ERR_OK) // with TLS 1.3 a server's refusal is seen here
        code = stream_read(s, bytes, sizeof bytes, &n, e);
    if (code == ERR_OK)
        want(&d->f, n == 28, "%zu", n);
    stream_close(s);
    return code;
}

static void converse(void *arg)
{
    struct dialogue *d = arg;
    const struct row *row = d->row;
    struct errmsg e = {""};
    struct listener *l = NULL;
    waiters_init(&d->waiters);
    want(&d->f, listener_open("", 0, accepted, d, &l, &e) == ERR_OK, "%s", e.text);
    fiber_set_deadline(clock_mono_ns() + 5000LL * MS);
    const err code = talk(d, listener_port(l), &e);
    want(&d->f, (code == ERR_OK) == !row->wanted, "%d %s", code, e.text);
    if (row->wanted)
        want(&d->f, code == ERR_IO && !strcmp(e.text, row->wanted), "%s", e.text);
    while (d->serving > 0)
        if (waiters_wait(&d->waiters) != ERR_OK)
            abort();
    listener_close(l);
}

static void make_server(const struct certs *c, const struct row *row, struct tls **out)
{
    struct errmsg e = {""};
    const struct cert *cert = row->server == EXPIRED    ? &c->expired
                              : row->server == NAMELESS ? &c->nameless
                                                        : &c->server;
    const struct tls_server_options options = {
        .cert_pem = buf_str(&cert->cert_pem),
        .key_pem = buf_str(&cert->key_pem),
        .client_ca_pem = row->server == WANTS_CLIENT ? buf_str(&c->ca.cert_pem) : (struct str){0},
    };
    cr_assert_eq(tls_server_create(&options, out, &e), ERR_OK, "%s", e.text);
}

static void make_client(const struct certs *c, const struct row *row, struct tls **out)
{
    struct errmsg e = {""};
    const struct tls_options options = {
        .ca_pem = row->knows_ca ? buf_str(&c->ca.cert_pem) : (struct str){0},
        .cert_pem = row->has_client_cert ? buf_str(&c->client.cert_pem) : (struct str){0},
        .key_pem = row->has_client_cert ? buf_str(&c->client.key_pem) : (struct str){0},
        .server_name = str_from_c(row->server_name),
        .insecure_skip_verify = row->insecure,
        .version_min = row->version_min,
        .version_max = row->version_max,
    };
    cr_assert_eq(tls_client_create(&options, out, &e), ERR_OK, "%s", e.text);
}

Test(tls, verifies)
{
    struct certs c;
    certs_make(&c);
    for (size_t i = 0; i < countof(rows) * IN_LOOP_BACKENDS; i++) {
        const struct row *row = &rows[i / IN_LOOP_BACKENDS];
        struct dialogue d = {.row = row};
        make_client(&c, row, &d.client);
        if (row->server != PLAIN)
            make_server(&c, row, &d.server);
        in_loop(i % IN_LOOP_BACKENDS, converse, &d);
        cr_assert_str_eq(d.f.text, "", "%s: %s", row->name, d.f.text);
        tls_unref(d.client);
        tls_unref(d.server);
    }
    certs_deinit(&c);
}

Test(tls, refuses_bad_pem)
{
    struct certs c;
    certs_make(&c);
    const struct str garbage =
        STR("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    const struct tls_options options[] = {
        {.ca_pem = STR("nothing")},
        {.ca_pem = garbage},
        {.cert_pem = garbage, .key_pem = buf_str(&c.client.key_pem)},
        {.cert_pem = buf_str(&c.client.cert_pem)},
        {.cert_pem = buf_str(&c.client.cert_pem), .key_pem = buf_str(&c.server.key_pem)},
        {.key_pem = buf_str(&c.client.key_pem)},
    };
    for (size_t i = 0; i < countof(options); i++) {
        struct errmsg e = {""};
        struct tls *t = NULL;
        cr_assert_eq(tls_client_create(&options[i], &t, &e), ERR_INVALID, "row %zu", i);
        cr_assert_null(t);
        cr_assert_str_neq(e.text, "");
    }
    certs_deinit(&c);
}
