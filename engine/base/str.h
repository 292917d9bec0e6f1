// Slices: text is a pointer and a size; nothing inside ends in NUL. A slice owns nothing.
#ifndef ENGINE_BASE_STR_H
#define ENGINE_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct str {
    const char *p; // may be NULL when n is 0
    size_t n;
};

// A literal as a slice, also in a static initialiser.
#define STR(literal) ((struct str){(literal), sizeof(literal) - 1})
// For printf: "%.*s", STR_ARG(s).
#define STR_ARG(s) ((int)(s).n), ((s).p ? (s).p : "")

static inline struct str str_make(const char *p, size_t n)
{
    return (struct str){p, n};
}

static inline struct str str_from_c(const char *text)
{
    return (struct str){text, strlen(text)};
}

static inline bool str_eq(struct str a, struct str b)
{
    return a.n == b.n && (a.n == 0 || !memcmp(a.p, b.p, a.n));
}

static inline bool str_has_prefix(struct str s, struct str prefix)
{
    return s.n >= prefix.n && (prefix.n == 0 || !memcmp(s.p, prefix.p, prefix.n));
}

static inline bool str_has_suffix(struct str s, struct str suffix)
{
    return s.n >= suffix.n && (suffix.n == 0 || !memcmp(s.p + s.n - suffix.n, suffix.p, suffix.n));
}

// Below 0, 0, above 0: by bytes, a prefix comes first.
static inline int str_cmp(struct str a, struct str b)
{
    const size_t n = a.n < b.n ? a.n : b.n;
    const int order = n ? memcmp(a.p, b.p, n) : 0;
    return order ? order : (a.n > b.n) - (a.n < b.n);
}

static inline struct str str_from(struct str s, size_t at)
{
    return (struct str){at ? s.p + at : s.p, s.n - at}; // p may be NULL, to which C adds nothing
}

static inline struct str str_until(struct str s, size_t end)
{
    return (struct str){s.p, end};
}

enum { STR_NONE = -1 };
// Index of the first c at or after from, or STR_NONE.
ptrdiff_t str_find(struct str s, char c, size_t from);
ptrdiff_t str_find_last(struct str s, char c);
bool str_contains(struct str s, struct str what);
// ASCII only, as HTTP and keywords want it.
bool str_eq_nocase(struct str a, struct str b);
// Without the spaces, tabs, CR and LF at both ends.
struct str str_trim(struct str s);
// Takes the part before the first c off *rest; false, and an empty part, when *rest was used up (p
// NULL).
bool str_split(struct str *rest, char c, struct str *out_part);

#endif
