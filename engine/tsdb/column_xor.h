// Values XORed with the one before, the last resort of a column's codec: column.c describes it and
// alone uses it.
#ifndef ENGINE_TSDB_COLUMN_XOR_H
#define ENGINE_TSDB_COLUMN_XOR_H

#include <stddef.h>
#include <stdint.h>

// What column_xor_store() writes.
size_t column_xor_size(const uint64_t *bits, size_t n);
// Where it ended; at has room for 8 bytes more.
uint8_t *column_xor_store(const uint64_t *bits, size_t n, uint8_t *at);
// Where it ended; NULL: corrupt.
const uint8_t *column_xor_load(const uint8_t *at, const uint8_t *end, size_t n, uint64_t *bits);

#endif
