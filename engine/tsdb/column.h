// The codec of one column: up to COLUMN_MAX values (the bits of doubles) or times <-> bytes.
//
// Every bit comes back: stale markers, NaN payloads, infinities, -0.0. The cheapest of several
// encodings is chosen by its size (column.c describes them). A column does not know how many values
// it has: who stores it does.
#ifndef ENGINE_TSDB_COLUMN_H
#define ENGINE_TSDB_COLUMN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    COLUMN_MAX = 512,                      // values in a column; longer series have several
    COLUMN_PAD = 8,                        // decoders may write up to a multiple of this many
    COLUMN_BYTES_MAX = 8 * COLUMN_MAX + 32 // of an encoded column
};

// 1 <= n <= COLUMN_MAX; out has room for 8 * n + 32 bytes. The size written.
size_t column_encode_values(const uint64_t *bits, size_t n, uint8_t *out);
size_t column_encode_times(const int64_t *t, size_t n, uint8_t *out);

// Decodes the n values of the column p[0, size). out has room for n rounded up to COLUMN_PAD.
// False: these bytes are no column of n values; what is in out then has no meaning.
bool column_decode_values(const uint8_t *p, size_t size, size_t n, double *out);
bool column_decode_times(const uint8_t *p, size_t size, size_t n, int64_t *out);

#endif
