// Snappy's block format, decoded in steps: elements are copied to where they belong in one piece of
// memory, as far as was asked, so that the reader works on bytes that are still in the cache.
//
// Hostile input is refused: nothing is read outside the input, nothing written outside the output
// and its slack.
#ifndef SIMD_SNAPPY_H
#define SIMD_SNAPPY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SNAPPY_SLACK = 64 }; // bytes behind the output that may be overwritten

// A reader of elements: what follows the declared size.
struct snappy_reader {
    const uint8_t *in, *in_end;
    uint8_t *begin, *at, *end; // of the output: end is what the declared size says
};

// Decodes elements until at least up to `until` is there (it may be more, it is at most end) or the
// input is used up. False: this is not snappy; what was decoded before it is there.
typedef bool snappy_decode_fn(struct snappy_reader *r, const uint8_t *until);

snappy_decode_fn snappy_decode_c, snappy_decode_sse42, snappy_decode_avx2;

// The next element, whatever it is; false: it is cut off, points outside or is too long.
bool snappy_decode_element(struct snappy_reader *r);

#endif
