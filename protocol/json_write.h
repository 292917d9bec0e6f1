// JSON out: a writer over a buffer that puts commas itself, and strings as Go's encoding/json does.
//
// Calls must match (begin, key, value, end): asserted. Nesting is bounded by JSON_DEPTH_MAX.
#ifndef PROTOCOL_JSON_WRITE_H
#define PROTOCOL_JSON_WRITE_H

#include <stdint.h>

#include "engine/base/buf.h"

enum { JSON_DEPTH_MAX = 32 };

struct json {
    struct buf *out;
    unsigned depth;
    bool has_items[JSON_DEPTH_MAX + 1];
    bool after_key;
};

void json_init(struct json *j, struct buf *out);
void json_object_begin(struct json *j);
void json_object_end(struct json *j);
void json_array_begin(struct json *j);
void json_array_end(struct json *j);
void json_key(struct json *j, const char *key); // plain ASCII
void json_key_str(struct json *j, struct str key);
void json_str(struct json *j,
              struct str s); // <, >, & and U+2028, U+2029 escaped, bad UTF-8 replaced
void json_cstr(struct json *j, const char *s);
// Without the escapes that only HTML needs: label names and values.
void json_str_plain(struct json *j, struct str s);
void json_i64(struct json *j, int64_t v);
void json_u64(struct json *j, uint64_t v);
void json_bool(struct json *j, bool v);
void json_null_value(struct json *j);       // jansson has a json_null
void json_double(struct json *j, double v); // finite; as Go prints: 'e' below 1e-6 and from 1e21 on
void json_raw(struct json *j, struct str s); // already JSON

// The string with its quotes, without a writer.
void json_quote(struct str s, bool html, struct buf *out);

#endif
