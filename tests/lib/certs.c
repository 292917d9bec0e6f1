#include "tests/lib/certs.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>

enum { DAY_SECONDS = 24 * 3600 };

static void check(bool ok, const char *what)
{
    if (!ok) {
        fprintf(stderr, "certs: %s\n", what);
        abort();
    }
}

static void extend(X509 *cert, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer, cert, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    check(extension && X509_add_ext(cert, extension, -1), value);
    X509_EXTENSION_free(extension);
}

struct wish {
    const char *name, *alternatives;
    long from_seconds, to_seconds; // from now
    bool is_authority;
};

static X509 *make_cert(const struct wish *w, EVP_PKEY *key, X509 *issuer, EVP_PKEY *issuer_key)
{
    static long serial; // one process makes them, in one thread
    X509 *cert = X509_new();
    X509_set_version(cert, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(cert), ++serial);
    X509_gmtime_adj(X509_getm_notBefore(cert), w->from_seconds);
    X509_gmtime_adj(X509_getm_notAfter(cert), w->to_seconds);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_ASC,
                               (const unsigned char *)w->name, -1, -1, 0);
    X509_set_issuer_name(cert, X509_get_subject_name(issuer ? issuer : cert));
    X509_set_pubkey(cert, key);
    extend(cert, issuer ? issuer : cert, NID_basic_constraints,
           w->is_authority ? "critical,CA:TRUE" : "critical,CA:FALSE");
    if (w->alternatives)
        extend(cert, issuer, NID_subject_alt_name, w->alternatives);
    check(X509_sign(cert, issuer_key, EVP_sha256()), "sign");
    return cert;
}

static void take(BIO *bio, struct buf *out)
{
    char *p;
    const long n = BIO_get_mem_data(bio, &p);
    buf_put(out, p, (size_t)n);
    BIO_free(bio);
}

static void write_pem(X509 *cert, EVP_PKEY *key, struct cert *out)
{
    BIO *bio = BIO_new(BIO_s_mem());
    check(PEM_write_bio_X509(bio, cert), "write certificate");
    take(bio, &out->cert_pem);
    bio = BIO_new(BIO_s_mem());
    check(PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL), "write key");
    take(bio, &out->key_pem);
}

static void issue(const struct wish *w, X509 *ca, EVP_PKEY *ca_key, struct cert *out)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = make_cert(w, key, ca, ca_key);
    write_pem(cert, key, out);
    X509_free(cert);
    EVP_PKEY_free(key);
}

void certs_make(struct certs *c)
{
    static const char names[] = "DNS:localhost,DNS:*.ferula.test,IP:127.0.0.1,IP:::1";
    const struct wish ca = {"test authority", NULL, -DAY_SECONDS, DAY_SECONDS, true};
    const struct wish server = {"server", names, -DAY_SECONDS, DAY_SECONDS, false};
    const struct wish client = {"client", "DNS:client", -DAY_SECONDS, DAY_SECONDS, false};
    const struct wish expired = {"server", names, -2 * DAY_SECONDS, -DAY_SECONDS, false};
    const struct wish nameless = {"localhost", NULL, -DAY_SECONDS, DAY_SECONDS, false};
    *c = (struct certs){0};
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = make_cert(&ca, key, NULL, key);
    write_pem(cert, key, &c->ca);
    issue(&server, cert, key, &c->server);
    issue(&client, cert, key, &c->client);
    issue(&expired, cert, key, &c->expired);
    issue(&nameless, cert, key, &c->nameless);
    X509_free(cert);
    EVP_PKEY_free(key);
}

static void deinit(struct cert *c)
{
    buf_deinit(&c->cert_pem);
    buf_deinit(&c->key_pem);
}

void certs_deinit(struct certs *c)
{
    deinit(&c->ca);
    deinit(&c->server);
    deinit(&c->client);
    deinit(&c->expired);
    deinit(&c->nameless);
}
