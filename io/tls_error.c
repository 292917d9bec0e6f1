#include "io/tls_error.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/mem.h"
#include "engine/base/util.h"

static const struct {
    int number; // of RFC 8446, section 6
    const char *text;
} alerts[] = {
    {10, "unexpected message"},
    {20, "bad record MAC"},
    {22, "record overflow"},
    {40, "handshake failure"},
    {42, "bad certificate"},
    {43, "unsupported certificate"},
    {44, "revoked certificate"},
    {45, "expired certificate"},
    {46, "unknown certificate"},
    {47, "illegal parameter"},
    {48, "unknown certificate authority"},
    {49, "access denied"},
    {50, "error decoding message"},
    {51, "error decrypting message"},
    {70, "protocol version not supported"},
    {71, "insufficient security level"},
    {80, "internal error"},
    {86, "inappropriate fallback"},
    {90, "user canceled"},
    {109, "missing extension"},
    {110, "unsupported extension"},
    {112, "unrecognized name"},
    {116, "certificate required"},
    {120, "no application protocol"},
};

struct tls_text tls_library_text(void)
{
    struct tls_text out = {"unknown error"};
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());
    if (reason)
        snprintf(out.text, sizeof out.text, "%s", reason);
    ERR_clear_error();
    return out;
}

// Appends what fits.
static void add(char *text, size_t size, const char *more, size_t n)
{
    const size_t at = strlen(text);
    const size_t room = size - 1 - at;
    memcpy(text + at, more, n < room ? n : room);
    text[at + (n < room ? n : room)] = '\0';
}

// The certificate's names of one type: "a.example, b.example".
static int list_names(X509 *cert, int type, char *text, size_t size)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
    int count = 0;
    text[0] = '\0';
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        int kind;
        const ASN1_STRING *value = GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(names, i), &kind);
        if (kind != type)
            continue;
        const unsigned char *p = ASN1_STRING_get0_data(value);
        const int n = ASN1_STRING_length(value);
        char ip[INET6_ADDRSTRLEN] = "";
        if (count++)
            add(text, size, ", ", 2);
        if (kind == GEN_IPADD && (n == 4 || n == 16) &&
            inet_ntop(n == 4 ? AF_INET : AF_INET6, p, ip, sizeof ip))
            add(text, size, ip, strlen(ip));
        else if (kind != GEN_IPADD)
            add(text, size, (const char *)p, (size_t)n);
    }
    GENERAL_NAMES_free(names);
    return count;
}

static void mismatch_text(SSL *ssl, X509 *cert, bool is_ip, struct tls_text *out)
{
    char names[128];
    const int count = cert ? list_names(cert, is_ip ? GEN_IPADD : GEN_DNS, names, sizeof names) : 0;
    const char *ip = X509_VERIFY_PARAM_get1_ip_asc(SSL_get0_param(ssl));
    const char *host = X509_VERIFY_PARAM_get0_host(SSL_get0_param(ssl), 0);
    const char *wanted = is_ip ? ip : host;
    if (!wanted)
        wanted = "";
    if (count > 0)
        snprintf(out->text, sizeof out->text,
                 "tls: failed to verify certificate: x509: certificate is valid for %s, not %.80s",
                 names, wanted);
    else if (is_ip)
        snprintf(out->text, sizeof out->text,
                 "tls: failed to verify certificate: x509: cannot validate certificate for %.80s "
                 "because it doesn't contain any IP SANs",
                 wanted);
    else
        snprintf(out->text, sizeof out->text,
                 "tls: failed to verify certificate: x509: certificate is not valid for any names, "
                 "but wanted to match %.80s",
                 wanted);
    OPENSSL_free((void *)(uintptr_t)ip);
}

static void verify_text(SSL *ssl, X509 *cert, long result, struct tls_text *out)
{
    const char *what = X509_verify_cert_error_string(result);
    if (result == X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT ||
        result == X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY ||
        result == X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT ||
        result == X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN ||
        result == X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE)
        what = "certificate signed by unknown authority";
    else if (result == X509_V_ERR_CERT_HAS_EXPIRED || result == X509_V_ERR_CERT_NOT_YET_VALID)
        what = "certificate has expired or is not yet valid";
    snprintf(out->text, sizeof out->text, "tls: failed to verify certificate: x509: %s", what);
    if (result == X509_V_ERR_HOSTNAME_MISMATCH || result == X509_V_ERR_IP_ADDRESS_MISMATCH)
        mismatch_text(ssl, cert, result == X509_V_ERR_IP_ADDRESS_MISMATCH, out);
}

int tls_verify_callback(int ok, struct x509_store_ctx_st *context)
{
    SSL *ssl = X509_STORE_CTX_get_ex_data(context, SSL_get_ex_data_X509_STORE_CTX_idx());
    if (!ok && !SSL_get_app_data(ssl)) {
        struct tls_text *text = mem_alloc(sizeof *text);
        verify_text(ssl, X509_STORE_CTX_get0_cert(context), X509_STORE_CTX_get_error(context),
                    text);
        SSL_set_app_data(ssl, text);
    }
    return ok;
}

struct tls_text tls_error_text(struct ssl_st *ssl)
{
    struct tls_text out;
    const unsigned long code = ERR_peek_last_error();
    const int reason = ERR_GET_LIB(code) == ERR_LIB_SSL ? ERR_GET_REASON(code) : 0;
    const struct tls_text *unverified = SSL_get_app_data(ssl);
    if (reason == SSL_R_CERTIFICATE_VERIFY_FAILED && unverified) {
        out = *unverified;
    } else if (reason > SSL_AD_REASON_OFFSET) {
        const char *text = "unknown alert";
        for (size_t i = 0; i < countof(alerts); i++)
            if (alerts[i].number == reason - SSL_AD_REASON_OFFSET)
                text = alerts[i].text;
        snprintf(out.text, sizeof out.text, "remote error: tls: %s", text);
    } else if (reason == SSL_R_WRONG_VERSION_NUMBER || reason == SSL_R_HTTP_REQUEST) {
        snprintf(out.text, sizeof out.text, "tls: first record does not look like a TLS handshake");
    } else {
        snprintf(out.text, sizeof out.text, "tls: %.200s", tls_library_text().text);
    }
    ERR_clear_error();
    return out;
}
