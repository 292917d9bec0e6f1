// Floats and text, as Go's strconv does them: the shortest digits that read back to the same bits.
#ifndef ENGINE_BASE_NUMBER_H
#define ENGINE_BASE_NUMBER_H

#include <stdint.h>

#include "engine/base/buf.h"
#include "engine/base/err.h"

// Any float fits: sign, 309 digits before the point or "0." and 323 zeros and 17 digits.
enum { NUMBER_TEXT_MAX = 352 };

// FormatFloat(d, 'f', -1, 64): "0.1", "1e+21" never, "NaN", "+Inf", "-Inf". Bytes written to out.
size_t number_format_f(double d, char out[static NUMBER_TEXT_MAX]);
// FormatFloat(d, 'g', -1, 64), also what %v prints: 'e' for exponents below -4 and from 6 up,
// otherwise 'f': 1e+06, 123456, 1.234567e+06.
size_t number_format_g(double d, char out[static NUMBER_TEXT_MAX]);
// FormatFloat(d, 'e', -1, 64): "1e+00".
size_t number_format_e(double d, char out[static NUMBER_TEXT_MAX]);
// As the HTTP API prints samples: 'f', but 'e' with an exponent of at least two digits when
// |d| < 1e-6 or |d| >= 1e21.
size_t number_format_api(double d, char out[static NUMBER_TEXT_MAX]);
void buf_put_double_g(struct buf *b, double d);

// strconv.ParseFloat(s, 64): decimal, hexadecimal with p, inf, infinity, nan in any case, a sign,
// underscores between digits. ERR_INVALID: not a float; ERR_LIMIT: out of range,
// and *out is the infinity that Go returns beside its error.
err number_parse(struct str s, double *out);
// The same without hexadecimal and underscores: what the exposition formats allow.
err number_parse_decimal(struct str s, double *out);
// Decimal digits with an optional sign, in range; nothing before or behind.
err number_parse_i64(struct str s, int64_t *out);
err number_parse_u64(struct str s, uint64_t *out);

#endif
