// Upper and lower case as Go's strings.ToUpper and ToLower: rune by rune, the simple mappings.
#ifndef ENGINE_BASE_CASEMAP_H
#define ENGINE_BASE_CASEMAP_H

#include "engine/base/buf.h"

// Appends s; bytes that are not UTF-8 become U+FFFD.
void casemap_put(struct str s, bool upper, struct buf *out);

#endif
