// Prometheus's durations ("1h30m", "15d") and sizes ("512MB").
#ifndef ENGINE_BASE_DURATION_H
#define ENGINE_BASE_DURATION_H

#include <stdint.h>

#include "engine/base/buf.h"
#include "engine/base/err.h"

// Units y w d h m s ms in that order, each once, integers; "0" alone is 0. A year has 365 days.
// Errors read as Prometheus's: not a valid duration string: "x", unknown unit "x" in duration "1x",
// empty duration string, duration out of range.
err duration_parse(struct str s, int64_t *out_ms, struct errmsg *e);
// The shortest form: y and w only when exact ("90d", not "12w6d"); 0 is "0s".
void duration_format(int64_t ms, struct buf *out);

// B, KB, MB, GB, TB, PB, EB and KiB and so on, all powers of 1024, in several parts ("1GiB512MiB")
// and with a sign; a bare 0 is allowed. Errors read as Prometheus's.
err size_parse(struct str s, int64_t *out_bytes, struct errmsg *e);
void size_format(int64_t bytes, struct buf *out); // "512MiB"

#endif
