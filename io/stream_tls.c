#include <assert.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/mem.h"
#include "io/stream_state.h"
#include "io/tls_error.h"

// OpenSSL never sees a socket: it reads from one memory BIO and writes to another, and this file
// carries the bytes between those and the plain stream. So every wait is a fiber's.

enum { FEED_BYTES = 16 * 1024, WRITE_CHUNK_BYTES = 64 * 1024, SERVER_NAME_MAX = 256 };

struct tls {
    SSL_CTX *ctx;
    unsigned refs;
    bool is_server, verifies;
    char server_name[SERVER_NAME_MAX]; // "": the host's
};

static int version_of(int version) // TLS_VERSION_* -> OpenSSL's; 0: its default
{
    static const int versions[] = {TLS1_VERSION, TLS1_1_VERSION, TLS1_2_VERSION, TLS1_3_VERSION};
    assert(version == 0 || (version >= TLS_VERSION_10 && version <= TLS_VERSION_13));
    return version == 0 ? 0 : versions[version - TLS_VERSION_10];
}

static BIO *bio_of(struct str text)
{
    return text.n <= INT_MAX ? BIO_new_mem_buf(text.p, (int)text.n) : NULL;
}

// Every certificate of pem to the trusted ones. At least one is wanted.
static err trust(SSL_CTX *ctx, struct str pem, struct errmsg *e)
{
    BIO *bio = bio_of(pem);
    X509_STORE *store = SSL_CTX_get_cert_store(ctx);
    int count = 0;
    for (X509 *cert; bio && (cert = PEM_read_bio_X509(bio, NULL, NULL, NULL)); count++) {
        X509_STORE_add_cert(store, cert); // one given twice is no error
        X509_free(cert);
    }
    BIO_free(bio);
    ERR_clear_error(); // the end of the text
    if (count == 0)
        return err_set(e, ERR_INVALID, "unable to use specified CA cert: none found in PEM");
    return ERR_OK;
}

static bool use_chain(SSL_CTX *ctx, struct str pem)
{
    BIO *bio = bio_of(pem);
    X509 *cert = bio ? PEM_read_bio_X509_AUX(bio, NULL, NULL, NULL) : NULL;
    const bool ok = cert && SSL_CTX_use_certificate(ctx, cert) == 1;
    X509_free(cert);
    for (X509 *more; ok && (more = PEM_read_bio_X509(bio, NULL, NULL, NULL));)
        if (SSL_CTX_add0_chain_cert(ctx, more) != 1)
            X509_free(more);
    BIO_free(bio);
    return ok;
}

static bool use_key(SSL_CTX *ctx, struct str pem)
{
    BIO *bio = bio_of(pem);
    EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, NULL, (void *)"") : NULL;
    const bool ok = key && SSL_CTX_use_PrivateKey(ctx, key) == 1;
    EVP_PKEY_free(key);
    BIO_free(bio);
    return ok && SSL_CTX_check_private_key(ctx) == 1;
}

static err use_pair(SSL_CTX *ctx, struct str cert_pem, struct str key_pem, struct errmsg *e)
{
    if (use_chain(ctx, cert_pem) && use_key(ctx, key_pem)) {
        ERR_clear_error(); // the end of the text
        return ERR_OK;
    }
    return err_set(e, ERR_INVALID, "unable to use specified client cert and key: %s",
                   tls_library_text().text);
}

static struct tls *tls_new(const SSL_METHOD *method)
{
    struct tls *t = mem_zalloc(sizeof *t);
    t->refs = 1;
    t->ctx = SSL_CTX_new(method);
    assert(t->ctx);
    SSL_CTX_set_mode(t->ctx, SSL_MODE_RELEASE_BUFFERS); // an idle connection is small
    SSL_CTX_set_options(t->ctx, SSL_OP_NO_RENEGOTIATION);
    return t;
}

static err set_client(struct tls *t, const struct tls_options *o, struct errmsg *e)
{
    static const uint8_t http[] = "\x08http/1.1";
    if (o->server_name.n >= sizeof t->server_name)
        return err_set(e, ERR_INVALID, "server name of %zu bytes", o->server_name.n);
    if (o->server_name.n)
        memcpy(t->server_name, o->server_name.p, o->server_name.n);
    // The library refuses the hash functions of versions below 1.2 at its usual level.
    if (o->version_min && o->version_min < TLS_VERSION_12)
        SSL_CTX_set_security_level(t->ctx, 0);
    if (o->version_min && !SSL_CTX_set_min_proto_version(t->ctx, version_of(o->version_min)))
        return err_set(e, ERR_INVALID, "TLS version %d: not supported", o->version_min);
    if (o->version_max && !SSL_CTX_set_max_proto_version(t->ctx, version_of(o->version_max)))
        return err_set(e, ERR_INVALID, "TLS version %d: not supported", o->version_max);
    t->verifies = !o->insecure_skip_verify;
    SSL_CTX_set_verify(t->ctx, t->verifies ? SSL_VERIFY_PEER : SSL_VERIFY_NONE,
                       tls_verify_callback);
    SSL_CTX_set_alpn_protos(t->ctx, http, sizeof http - 1);
    if (o->ca_pem.n)
        TRY(trust(t->ctx, o->ca_pem, e));
    else
        SSL_CTX_set_default_verify_paths(t->ctx); // none there: nobody is trusted
    if (o->cert_pem.n || o->key_pem.n)
        TRY(use_pair(t->ctx, o->cert_pem, o->key_pem, e));
    return ERR_OK;
}

struct making {
    struct op op;
    const struct tls_options *options;
    struct tls *made;
    err code;
    struct errmsg e;
};

static void make_client(struct op *op) // on a thread of the helper pool
{
    struct making *m = container_of(op, struct making, op);
    struct tls *t = tls_new(TLS_client_method());
    m->code = set_client(t, m->options, &m->e);
    if (m->code == ERR_OK)
        m->made = t;
    else
        tls_unref(t);
}

err tls_client_create(const struct tls_options *options, struct tls **out, struct errmsg *e)
{
    struct making m = {.op = {.kind = OP_WORK, .work = make_client},
                       .options = options,
                       .code = ERR_CANCELED}; // where it does not run
    if (!fiber_self())
        make_client(&m.op);
    else
        fiber_await(&m.op);
    if (m.code == ERR_CANCELED)
        return fiber_status() == ERR_TIMEOUT ? err_set(e, ERR_TIMEOUT, "context deadline exceeded")
                                             : err_set(e, ERR_CANCELED, "context canceled");
    if (m.code != ERR_OK && e)
        *e = m.e;
    *out = m.made;
    return m.code;
}

// HTTP/1.1 for those who offer it; who offers only others goes on without.
static int choose_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_n,
                       const unsigned char *in, unsigned in_n, void *arg)
{
    (void)ssl, (void)arg;
    static const uint8_t http[] = "\x08http/1.1";
    unsigned char *chosen = NULL;
    if (SSL_select_next_proto(&chosen, out_n, http, sizeof http - 1, in, in_n) !=
        OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_NOACK;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

err tls_server_create(const struct tls_server_options *options, struct tls **out, struct errmsg *e)
{
    struct tls *t = tls_new(TLS_server_method());
    t->is_server = true;
    // Contexts are a loop's own, so a ticket would seldom meet the one that issued it; and one that
    // a client has not read when it closes costs it what it sent last.
    SSL_CTX_set_num_tickets(t->ctx, 0);
    SSL_CTX_set_options(t->ctx, SSL_OP_NO_TICKET);
    SSL_CTX_set_session_cache_mode(t->ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_alpn_select_cb(t->ctx, choose_alpn, NULL);
    err code = use_pair(t->ctx, options->cert_pem, options->key_pem, e);
    if (code == ERR_OK && options->client_ca_pem.n) {
        SSL_CTX_set_verify(t->ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
                           tls_verify_callback);
        code = trust(t->ctx, options->client_ca_pem, e);
    }
    if (code != ERR_OK)
        tls_unref(t);
    else
        *out = t;
    return code;
}

void tls_ref(struct tls *t)
{
    t->refs++;
}

void tls_unref(struct tls *t)
{
    if (!t || --t->refs > 0)
        return;
    SSL_CTX_free(t->ctx);
    mem_free(t);
}

// What OpenSSL wrote goes to the peer. BIO_get_mem_data: nobody else touches it meanwhile.
static err flush(struct stream *s, struct errmsg *e)
{
    BIO *bio = SSL_get_wbio(s->ssl);
    char *p;
    const long n = BIO_get_mem_data(bio, &p);
    if (n <= 0)
        return ERR_OK;
    const err code = stream_send(s, p, (size_t)n, e);
    (void)BIO_reset(bio); // cannot fail on memory
    return code;
}

// More bytes from the peer. Its own frame: the buffer is on the stack only while this waits.
__attribute__((noinline)) static err feed(struct stream *s, struct errmsg *e)
{
    char bytes[FEED_BYTES];
    size_t n = 0;
    TRY(stream_receive(s, bytes, sizeof bytes, &n, e));
    if (n == 0) // between records it reads as without TLS
        return err_set(e, ERR_IO, SSL_has_pending(s->ssl) ? "unexpected EOF" : "EOF");
    const int took = BIO_write(SSL_get_rbio(s->ssl), bytes, (int)n);
    assert(took == (int)n); // memory takes everything
    return ERR_OK;
}

// After a call of OpenSSL that returned result <= 0: carries bytes, and returns ERR_OK when the
// call should be made again. *out_closed: the peer said goodbye.
static err step(struct stream *s, int result, bool *out_closed, struct errmsg *e)
{
    const int what = SSL_get_error(s->ssl, result);
    if (what == SSL_ERROR_WANT_READ) {
        TRY(flush(s, e));
        return feed(s, e);
    }
    if (what == SSL_ERROR_WANT_WRITE)
        return flush(s, e);
    if (what == SSL_ERROR_ZERO_RETURN) {
        *out_closed = true;
        return ERR_OK;
    }
    // The reason first: sending the alert suspends, and the library's errors are the thread's.
    const struct tls_text text = tls_error_text(s->ssl);
    (void)flush(s, NULL); // the alert, if it goes
    return err_set(e, ERR_IO, "%s", text.text);
}

err stream_handshake(struct stream *s, struct errmsg *e)
{
    bool closed = false;
    for (;;) {
        ERR_clear_error();
        const int result = SSL_do_handshake(s->ssl);
        if (result == 1)
            return flush(s, e);
        TRY(step(s, result, &closed, e));
        if (closed)
            return err_set(e, ERR_IO, "unexpected EOF");
    }
}

static err tls_read(struct stream *s, void *p, size_t n, size_t *out_n, struct errmsg *e)
{
    bool closed = false;
    for (;;) {
        ERR_clear_error();
        size_t got = 0;
        const int result = SSL_read_ex(s->ssl, p, n, &got);
        if (result == 1) {
            *out_n = got;
            return BIO_pending(SSL_get_wbio(s->ssl)) ? flush(s, e) : ERR_OK;
        }
        TRY(step(s, result, &closed, e));
        if (closed) {
            *out_n = 0;
            return ERR_OK;
        }
    }
}

static err tls_write(struct stream *s, const void *p, size_t n, struct errmsg *e)
{
    bool closed = false;
    for (size_t done = 0; done < n;) {
        const size_t chunk = n - done < WRITE_CHUNK_BYTES ? n - done : WRITE_CHUNK_BYTES;
        size_t took = 0;
        ERR_clear_error();
        const int result = SSL_write_ex(s->ssl, (const char *)p + done, chunk, &took);
        if (result == 1) {
            done += took;
            TRY(flush(s, e));
        } else {
            TRY(step(s, result, &closed, e));
            if (closed)
                return err_set(e, ERR_IO, "write: the peer closed the connection");
        }
    }
    return ERR_OK;
}

static void tls_goodbye(struct stream *s)
{
    ERR_clear_error();
    if (SSL_is_init_finished(s->ssl) && SSL_shutdown(s->ssl) >= 0)
        (void)flush(s, NULL); // a peer that does not read is not told
    ERR_clear_error();
}

static bool tls_has_buffered(const struct stream *s)
{
    return SSL_has_pending(s->ssl) || BIO_pending(SSL_get_rbio(s->ssl)) > 0;
}

static void tls_deinit(struct stream *s)
{
    mem_free(SSL_get_app_data(s->ssl));
    SSL_free(s->ssl); // and its BIOs
    tls_unref(s->tls);
}

static const struct stream_ops tls_ops = {
    .read = tls_read,
    .write = tls_write,
    .say_goodbye = tls_goodbye,
    .has_buffered = tls_has_buffered,
    .deinit = tls_deinit,
};

// Who the peer must be. Addresses are not sent as server names, as RFC 6066 says.
static bool expect_peer(SSL *ssl, const char *name)
{
    struct address a;
    if (address_parse(str_from_c(name), &a))
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name) == 1;
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return SSL_set_tlsext_host_name(ssl, name) == 1 && SSL_set1_host(ssl, name) == 1;
}

err stream_become_tls(struct stream *s, struct tls *tls, const char *host, struct errmsg *e)
{
    assert(!s->ssl && tls->is_server == !host);
    SSL *ssl = SSL_new(tls->ctx);
    BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
    assert(ssl && in && out);
    BIO_set_mem_eof_return(in, -1); // empty means: wait for more
    SSL_set_bio(ssl, in, out);
    if (host) {
        const char *name = tls->server_name[0] ? tls->server_name : host;
        if (!expect_peer(ssl, name)) {
            SSL_free(ssl);
            return err_set(e, ERR_INVALID, "tls: %s is no name of a server", name);
        }
        SSL_set_connect_state(ssl);
    } else {
        SSL_set_accept_state(ssl);
    }
    tls_ref(tls);
    s->tls = tls;
    s->ssl = ssl;
    s->ops = &tls_ops;
    return ERR_OK;
}
