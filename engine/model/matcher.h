// Label matchers: =, !=, =~, !~. Regular expressions are anchored and match newlines.
#ifndef ENGINE_MODEL_MATCHER_H
#define ENGINE_MODEL_MATCHER_H

#include "engine/base/regex.h"
#include "engine/base/str.h"

enum matcher_kind { MATCHER_EQ, MATCHER_NE, MATCHER_RE, MATCHER_NRE };

struct matcher {
    enum matcher_kind kind;
    struct str name, value;
    const struct regex *regex; // of MATCHER_RE and MATCHER_NRE; the owner of the matchers frees it
};

bool matcher_matches(const struct matcher *m, struct str value); // an absent label has value ""
bool matcher_matches_empty(const struct matcher *m);
bool matchers_match(const struct matcher *ms, size_t n, struct str labels); // all of them
void matcher_format(const struct matcher *m, struct buf *out);              // job=~"a.*"
const char *matcher_kind_text(enum matcher_kind kind);                      // "=", "!=", "=~", "!~"

#endif
