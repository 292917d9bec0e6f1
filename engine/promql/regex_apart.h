// Regular expressions whose program is large, though their text may be short (\pL{1000}): they are
// compiled, and freed, on a thread of the helper pool, where a fiber asks. Others are at once.
#ifndef ENGINE_PROMQL_REGEX_APART_H
#define ENGINE_PROMQL_REGEX_APART_H

#include "engine/base/regex.h"

// regex_create(); also the fiber's ERR_CANCELED and ERR_TIMEOUT, with no text. Suspends.
err regex_create_apart(struct str pattern, enum regex_mode mode, struct regex **out,
                       struct errmsg *e);
void regex_destroy_apart(struct regex *r); // comes to its end, whoever was canceled. Suspends.

#endif
