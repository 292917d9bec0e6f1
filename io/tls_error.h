// What went wrong in TLS, in the words of Go's crypto/tls and crypto/x509 where they have some:
// targets' errors are read by people who know those.
#ifndef IO_TLS_ERROR_H
#define IO_TLS_ERROR_H

struct ssl_st;

struct tls_text {
    char text[256];
};

struct tls_text tls_error_text(struct ssl_st *ssl); // after a call that failed for good
struct tls_text tls_library_text(void);             // of the thread's last error in the library

#endif
