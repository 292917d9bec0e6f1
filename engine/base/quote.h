// Text in quotes as Go's strconv.Quote (and %q) writes it.
#ifndef ENGINE_BASE_QUOTE_H
#define ENGINE_BASE_QUOTE_H

#include "engine/base/buf.h"

// "a\n\"b\"": printable runes as they are, bad UTF-8 as \xff, others as \u00ad or \U000e0001.
void buf_put_quoted(struct buf *out, struct str s);

#endif
