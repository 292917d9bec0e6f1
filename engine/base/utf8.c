#include "engine/base/utf8.h"

#include "engine/base/bits.h"

static bool is_tail(unsigned char c)
{
    return (c & 0xc0) == 0x80;
}

// Bytes of the well-formed rune at the start, 0 when there is none.
static size_t well_formed(struct str s, uint32_t *out)
{
    const unsigned char *p = (const unsigned char *)s.p;
    const uint32_t a = p[0];
    if (a < 0x80) {
        *out = a;
        return 1;
    }
    if (a >= 0xc2 && a <= 0xdf && s.n >= 2 && is_tail(p[1])) {
        *out = (a & 0x1f) << 6 | (p[1] & 0x3fu);
        return 2;
    }
    if (a >= 0xe0 && a <= 0xef && s.n >= 3 && is_tail(p[1]) && is_tail(p[2])) {
        const uint32_t rune = (a & 0xf) << 12 | (p[1] & 0x3fu) << 6 | (p[2] & 0x3fu);
        *out = rune;
        return rune >= 0x800 && (rune < 0xd800 || rune > 0xdfff) ? 3 : 0;
    }
    if (a >= 0xf0 && a <= 0xf4 && s.n >= 4 && is_tail(p[1]) && is_tail(p[2]) && is_tail(p[3])) {
        const uint32_t rune =
            (a & 7) << 18 | (p[1] & 0x3fu) << 12 | (p[2] & 0x3fu) << 6 | (p[3] & 0x3fu);
        *out = rune;
        return rune >= 0x10000 && rune <= 0x10ffff ? 4 : 0;
    }
    return 0;
}

bool utf8_is_valid(struct str s)
{
    static const uint64_t ASCII_NOT = 0x8080808080808080u;
    uint32_t rune;
    for (size_t at = 0, n; at < s.n; at += n) {
        while (s.n - at >= 8 && !(load_le64(s.p + at) & ASCII_NOT)) // ASCII, by eights
            at += 8;
        if (s.n >= 8 && at < s.n && s.n - at < 8 && !(load_le64(s.p + s.n - 8) & ASCII_NOT))
            return true; // these overlap what was seen
        if (at == s.n)
            break;
        n = well_formed(str_from(s, at), &rune);
        if (!n)
            return false;
    }
    return true;
}

bool utf8_is_ascii(struct str s)
{
    uint64_t any = 0;
    size_t at = 0;
    for (; at + 32 <= s.n; at += 32)
        any |= load_le64(s.p + at) | load_le64(s.p + at + 8) | load_le64(s.p + at + 16) |
               load_le64(s.p + at + 24);
    for (; at < s.n; at++)
        any |= (uint8_t)s.p[at];
    return !(any & 0x8080808080808080u);
}

size_t utf8_decode(struct str s, uint32_t *out_rune)
{
    const size_t n = well_formed(s, out_rune);
    if (n)
        return n;
    *out_rune = UTF8_BAD;
    return 1;
}

size_t utf8_encode(char *p, uint32_t rune)
{
    if (rune > 0x10ffff || (rune >= 0xd800 && rune <= 0xdfff))
        rune = UTF8_BAD;
    if (rune < 0x80) {
        p[0] = (char)rune;
        return 1;
    }
    if (rune < 0x800) {
        p[0] = (char)(0xc0 | rune >> 6);
        p[1] = (char)(0x80 | (rune & 0x3f));
        return 2;
    }
    if (rune < 0x10000) {
        p[0] = (char)(0xe0 | rune >> 12);
        p[1] = (char)(0x80 | (rune >> 6 & 0x3f));
        p[2] = (char)(0x80 | (rune & 0x3f));
        return 3;
    }
    p[0] = (char)(0xf0 | rune >> 18);
    p[1] = (char)(0x80 | (rune >> 12 & 0x3f));
    p[2] = (char)(0x80 | (rune >> 6 & 0x3f));
    p[3] = (char)(0x80 | (rune & 0x3f));
    return 4;
}

size_t utf8_count(struct str s)
{
    uint32_t rune;
    size_t count = 0;
    for (size_t at = 0; at < s.n; at += utf8_decode(str_from(s, at), &rune))
        count++;
    return count;
}
