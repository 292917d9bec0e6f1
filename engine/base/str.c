#include "engine/base/str.h"

ptrdiff_t str_find(struct str s, char c, size_t from)
{
    if (from >= s.n)
        return STR_NONE;
    const char *at = memchr(s.p + from, c, s.n - from);
    return at ? at - s.p : STR_NONE;
}

ptrdiff_t str_find_last(struct str s, char c)
{
    const char *at = s.n ? memrchr(s.p, c, s.n) : NULL;
    return at ? at - s.p : STR_NONE;
}

bool str_contains(struct str s, struct str what)
{
    return what.n == 0 || (s.n && memmem(s.p, s.n, what.p, what.n));
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

bool str_eq_nocase(struct str a, struct str b)
{
    if (a.n != b.n)
        return false;
    for (size_t i = 0; i < a.n; i++)
        if (lower(a.p[i]) != lower(b.p[i]))
            return false;
    return true;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct str str_trim(struct str s)
{
    while (s.n && is_space(s.p[0]))
        s = str_from(s, 1);
    while (s.n && is_space(s.p[s.n - 1]))
        s.n--;
    return s;
}

bool str_split(struct str *rest, char c, struct str *out_part)
{
    if (!rest->p) {
        *out_part = (struct str){0};
        return false;
    }
    const ptrdiff_t at = str_find(*rest, c, 0);
    if (at == STR_NONE) {
        *out_part = *rest;
        *rest = (struct str){0};
        return true;
    }
    *out_part = str_until(*rest, (size_t)at);
    *rest = str_from(*rest, (size_t)at + 1);
    return true;
}
