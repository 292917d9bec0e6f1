// UTF-8 as RFC 3629 has it: no surrogates, no overlong forms, nothing above U+10FFFF.
#ifndef ENGINE_BASE_UTF8_H
#define ENGINE_BASE_UTF8_H

#include <stdint.h>

#include "engine/base/str.h"

bool utf8_is_valid(struct str s);
bool utf8_is_ascii(struct str s);
enum { UTF8_MAX = 4, UTF8_BAD = 0xfffd };
// Decodes the rune at the start of s (n > 0). Bad bytes: UTF8_BAD, one byte long, as Go does.
size_t utf8_decode(struct str s, uint32_t *out_rune);
// Bytes written to p, which has room for UTF8_MAX; surrogates and the too large become UTF8_BAD.
size_t utf8_encode(char *p, uint32_t rune);
size_t utf8_count(struct str s); // runes, bad bytes one each

#endif
