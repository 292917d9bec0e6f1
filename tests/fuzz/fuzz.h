// What fuzz targets share.
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stdint.h>
#include <stdlib.h>

#include "engine/base/str.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// A property that does not hold ends the program, which is a find.
static inline void fuzz_must(bool holds)
{
    if (!holds)
        abort();
}

// The input in a block of its exact size, so that a sanitizer sees one byte too far.
static inline struct str fuzz_exact(const uint8_t *data, size_t size)
{
    char *const p = malloc(size ? size : 1);
    fuzz_must(p != NULL);
    if (size)
        memcpy(p, data, size);
    return str_make(p, size);
}

static inline void fuzz_release(struct str s)
{
    free((void *)(uintptr_t)s.p);
}

#endif
