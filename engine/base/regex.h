// Regular expressions with RE2's syntax and Go's error texts, matched in linear time.
//
// A compiled expression is immutable and may be used by any thread. Most matchers need no engine:
// sets of texts are looked up, "a.*b" is compared; of others what must stand at the start, the end
// and in between is looked for first. Compiling a large one takes milliseconds.
#ifndef ENGINE_BASE_REGEX_H
#define ENGINE_BASE_REGEX_H

#include "engine/base/buf.h"
#include "engine/base/err.h"

struct regex;

enum regex_mode {
    REGEX_ANCHORED, // ^(?s:...)$ as relabelling and label_replace() have it
    REGEX_MATCHER,  // the same for label matchers: read alone first, and without groups
    REGEX_SEARCH,   // as written
};

enum { REGEX_PATTERN_MAX = 1 << 20, REGEX_GROUPS_MAX = 100 };

// The error reads as Go's: `error parsing regexp: missing closing ): ...`, of REGEX_ANCHORED with
// the anchors in it, as Prometheus shows it. ERR_INVALID also where RE2 would need too much memory.
err regex_create(struct str pattern, enum regex_mode mode, struct regex **out, struct errmsg *e);
// The same beside others that live as long: the more there are, the less memory it may take for
// what it learns in matching.
err regex_create_beside(struct str pattern, enum regex_mode mode, size_t others, struct regex **out,
                        struct errmsg *e);
// Appends the error of a pattern's syntax, which an errmsg may have cut.
void regex_say_error(struct str pattern, enum regex_mode mode, struct buf *out);
void regex_destroy(struct regex *r);             // NULL is accepted
struct str regex_pattern(const struct regex *r); // as given to regex_create

bool regex_matches(const struct regex *r, struct str text);
// Fills groups[0..n) (0 is the whole match, p NULL: did not take part); false: no match.
bool regex_match_groups(const struct regex *r, struct str text, struct str *groups, size_t n);
size_t regex_groups_count(const struct regex *r); // without group 0

// Appends what Go's Regexp.Expand makes of template ($1, ${1}, $name, ${name}, $$) for a match of r
// on text, whose groups are given.
void regex_expand(const struct regex *r, struct str template, const struct str *groups,
                  size_t groups_count, struct buf *out);

// Whether compiling what stands in text may take more than some 100 us: it is long, or short with
// counts or Unicode's classes, which make programs large. text may hold other things, too.
bool regex_text_may_be_large(struct str text);
bool regex_is_large(const struct regex *r); // its memory takes as long to free

// When the expression is nothing but alternatives of literal text ("a|b|c", "foo"), how many, and
// at most max of them into out (slices live as long as r); 0 when it is not, or has more than max.
size_t regex_literals(const struct regex *r, struct str *out, size_t max);
// Literal text every match begins with; may be empty. Only of anchored expressions.
struct str regex_prefix(const struct regex *r);

#endif
