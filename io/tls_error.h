// What went wrong in TLS, in the words of Go's crypto/tls and crypto/x509 where they have some:
// targets' errors are read by people who know those.
#ifndef IO_TLS_ERROR_H
#define IO_TLS_ERROR_H

struct ssl_st;
struct x509_store_ctx_st;

struct tls_text {
    char text[320];
};

// For SSL_set_verify(): the library forgets a certificate it refused, so the text is made while it
// is there. It is the SSL's app data, for mem_free() before the SSL is freed.
int tls_verify_callback(int ok, struct x509_store_ctx_st *context);
struct tls_text tls_error_text(struct ssl_st *ssl); // after a call that failed for good
struct tls_text tls_library_text(void);             // of the thread's last error in the library

#endif
