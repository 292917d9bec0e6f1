// Durations as Go writes them: "1h30m", "1.5s"; with days and weeks, as promtool's flags take them.
#ifndef TOOLS_PROMTOOL_GO_DURATION_H
#define TOOLS_PROMTOOL_GO_DURATION_H

#include <stdint.h>

#include "engine/base/buf.h"
#include "engine/base/err.h"
#include "engine/base/str.h"

// Units ns us ms s m h d w, in any order, with fractions and a sign; "0" alone is 0. Errors read as
// Go's: time: missing unit in duration "15".
err go_duration_parse(struct str text, int64_t *out_ns, struct errmsg *e);
// Go's way to write one of so many ms: 1h0m0s, 1m0.001s, 15ms, 0s.
void go_duration_format(int64_t ms, struct buf *out);

#endif
