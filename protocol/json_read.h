// JSON in: one object whose values are strings, as parameters of the API bring it.
#ifndef PROTOCOL_JSON_READ_H
#define PROTOCOL_JSON_READ_H

#include "engine/base/arena.h"
#include "engine/base/err.h"

enum { JSON_READ_DEPTH_MAX = 100 };

struct json_pair {
    struct str name, value;
};

// Pairs in the order of text, in the arena; null in place of the object is none, null in place of a
// value an empty one. Messages are those of Go's encoding/json, for a map of strings.
err json_read_strings(struct str text, struct arena *a, struct json_pair **out, size_t *out_n,
                      struct errmsg *e);

#endif
