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

// Columns that move as another one does, up to a multiple (_count as the bucket of +Inf), or nearly
// so (a bucket as its neighbour), are told beside it. other is a column of n values that is told by
// itself. The size written; 0: it would be over size_max.
size_t column_encode_beside(const uint64_t *bits, size_t n, const uint8_t *other, size_t other_size,
                            size_t size_max, uint8_t *out);
bool column_decode_beside(const uint8_t *p, size_t size, size_t n, const uint8_t *other,
                          size_t other_size, double *out);
// Where in an encoded column that begins what columns have in common that move alike; 0: nowhere.
size_t column_stream(const uint8_t *p, size_t size);

#endif
