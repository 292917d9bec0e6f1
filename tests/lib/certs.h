// Certificates for tests of TLS: an authority of our own, and what it signed.
#ifndef TESTS_LIB_CERTS_H
#define TESTS_LIB_CERTS_H

#include "engine/base/buf.h"

struct cert {
    struct buf cert_pem, key_pem;
};

struct certs {
    struct cert ca;       // signs the others
    struct cert server;   // localhost, *.ferula.test, 127.0.0.1, ::1
    struct cert client;   // CN=client
    struct cert expired;  // as server, ended yesterday
    struct cert nameless; // no alternative names
};

void certs_make(struct certs *c); // aborts when OpenSSL refuses
void certs_deinit(struct certs *c);

#endif
