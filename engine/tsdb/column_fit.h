// The integer part of a column's codec: which form describes some integers in the fewest bytes, and
// those bytes. column.c describes them; used by column.c alone.
#ifndef ENGINE_TSDB_COLUMN_FIT_H
#define ENGINE_TSDB_COLUMN_FIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum column_form {
    COLUMN_CONST,
    COLUMN_RAMP,
    COLUMN_FOR,
    COLUMN_LINE,
    COLUMN_DELTA,
    COLUMN_DELTA2,
    COLUMN_SLOPE,
    COLUMN_XOR, // no form of integers: column_xor.h
    COLUMN_FORM_COUNT
};

enum { // of a column's first byte
    COLUMN_HEAD_FORM = 7,
    COLUMN_HEAD_SCALED = 8,
    COLUMN_HEAD_FACTOR = 16,
    COLUMN_HEAD_OUTLIERS = 32,
    COLUMN_HEAD_SPECIALS = 64,
    COLUMN_HEAD_UNUSED = 128,
};

struct column_factor { // integers are offset + factor * what the form says
    int64_t offset;
    uint64_t factor;
};

struct column_fit {
    enum column_form form;
    int64_t base, step; // step: of RAMP and LINE, in 2^-16 of SLOPE; the first delta of DELTA2
    int64_t low;        // of the fields of DELTA and DELTA2
    unsigned width;
    bool has_outliers, has_factor;
    struct column_factor factor;
    size_t bytes_max; // an upper bound of what column_fit_store() writes, with the head
};

// Times are also tried as a straight line with jitter, values as one with a slope.
void column_fit(const int64_t *m, size_t n, bool is_time, struct column_fit *out);
// The differences from other[0, n), which is what the form of another column says, with the factor
// of what column_fit() found for m alone.
void column_fit_beside(const struct column_fit *alone, const int64_t *m, const int64_t *other,
                       size_t n, struct column_fit *out);
// Writes what fit says of m, beside other unless it is NULL, at `at`, and form and flags into
// *head. Where it ended.
uint8_t *column_fit_store(const struct column_fit *fit, const int64_t *m, const int64_t *other,
                          size_t n, uint8_t *head, uint8_t *at);
// Reads back what the form says, n integers into out, and the factor (1 and 0 without). Where it
// ended; NULL: corrupt.
const uint8_t *column_fit_load(uint8_t head, const uint8_t *at, const uint8_t *end, size_t n,
                               int64_t *out, struct column_factor *factor);
// The doubles of a plain column of DELTA whose integers are all small, divided. Where it ended;
// NULL: it is another one, out has no meaning.
const uint8_t *column_fit_load_divided(uint8_t head, const uint8_t *at, const uint8_t *end,
                                       size_t n, double divisor, double *out);

#endif
