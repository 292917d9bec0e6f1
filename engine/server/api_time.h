// Times as Go has them: the API's answers to absurd ones follow from where its integers wrap.
#ifndef ENGINE_SERVER_API_TIME_H
#define ENGINE_SERVER_API_TIME_H

#include <stdint.h>

#include "engine/base/str.h"

struct api_instant {
    int64_t s, ns; // since 1970; ns from 0 to 999,999,999
};

// The time of INT64_MIN and INT64_MAX milliseconds, nearly, as Prometheus has them.
extern const struct api_instant api_instant_least, api_instant_greatest;

// A float of seconds, RFC 3339, or the texts of the least and the greatest; false: none of them.
bool api_instant_parse(struct str text, struct api_instant *out);
struct api_instant api_instant_of_ms(int64_t ms);
// In milliseconds, as storage is asked (whole years of them fit) and as a query is evaluated
// (from 1677 to 2262). What does not fit wraps around.
int64_t api_instant_storage_ms(struct api_instant t);
int64_t api_instant_query_ms(struct api_instant t);
bool api_instant_before(struct api_instant a, struct api_instant b);
// From a to b, not before it; INT64_MAX: more than that.
int64_t api_instant_span_ns(struct api_instant a, struct api_instant b);

#endif
