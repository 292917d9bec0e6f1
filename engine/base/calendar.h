// Dates in UTC, as RFC 3339 writes and reads them.
#ifndef ENGINE_BASE_CALENDAR_H
#define ENGINE_BASE_CALENDAR_H

#include <stdint.h>

#include "engine/base/str.h"

enum { CALENDAR_TEXT_MAX = 48 };

struct calendar_date {
    int64_t year;
    int month, day, hour, minute, second, ms; // month and day count from 1
};

struct calendar_date calendar_from_ms(int64_t ms); // Unix time; proleptic Gregorian
// 2026-11-22T15:00:00.123Z, the fraction as short as it can be. Bytes written.
size_t calendar_format(int64_t ms, char out[static CALENDAR_TEXT_MAX]);
// The same with three digits of fraction, also when they are zeros.
size_t calendar_format_ms(int64_t ms, char out[static CALENDAR_TEXT_MAX]);
// RFC 3339 with any offset and up to nine digits of fraction (cut to ms); false: not that.
bool calendar_parse(struct str text, int64_t *out_ms);
bool calendar_parse_ns(struct str text, int64_t *out_s, int64_t *out_ns); // cut to ns, from 0 on

#endif
