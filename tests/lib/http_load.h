// A client of a web server on loopback, to be run in a process of its own.
#ifndef TESTS_LIB_HTTP_LOAD_H
#define TESTS_LIB_HTTP_LOAD_H

#include <stddef.h>
#include <stdint.h>

struct http_load {
    int connections; // at most 64; each asks again when it has its answer, which is short
    int requests;    // in all
    size_t body;     // bytes, at most 256 KiB, of a POST; 0: a GET
};

// Ends the process: with 0 when every request was answered.
_Noreturn void http_load_run(uint16_t port, const struct http_load *load);

#endif
