// The bodies of a recorded exporter, scrape after scrape, for tests and benches.
//
// The environment variable FERULA_CAPTURE names the recording: records of a little-endian f64 (Unix
// time in seconds), a u32 (size of the body) and the body; packed with xz if the name ends so.
#ifndef TESTS_LIB_CAPTURE_H
#define TESTS_LIB_CAPTURE_H

#include "engine/base/buf.h"

struct capture {
    struct buf bytes;
    struct str *bodies;
    size_t n, capacity;
};

// False when there is no recording; a damaged one aborts.
bool capture_load(struct capture *c);
void capture_deinit(struct capture *c);

#endif
