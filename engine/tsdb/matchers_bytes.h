// Matchers as bytes, for what must select the same series again after a restart.
#ifndef ENGINE_TSDB_MATCHERS_BYTES_H
#define ENGINE_TSDB_MATCHERS_BYTES_H

#include "engine/base/arena.h"
#include "engine/base/err.h"
#include "engine/model/matcher.h"

void matchers_put(const struct matcher *ms, size_t n, struct buf *out); // appends
// Texts point into bytes, the array is the arena's. ERR_CORRUPT: they are not of matchers_put().
err matchers_load(struct str bytes, struct arena *a, struct matcher **out, size_t *out_n,
                  struct errmsg *e);
void matchers_unload(struct matcher *ms, size_t n); // frees their regular expressions

#endif
