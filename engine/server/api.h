// The HTTP API's common parts: parameters in, the JSON envelope out, as Prometheus's web/api/v1.
//
// A handler reads its parameters through api_* functions, which answer the error themselves and
// return false; then writes its data between api_begin() and api_end(). Large answers leave in
// parts.
#ifndef ENGINE_SERVER_API_H
#define ENGINE_SERVER_API_H

#include "engine/http/server.h"
#include "engine/model/matcher.h"
#include "engine/promql/parser.h"
#include "engine/server/api_time.h"
#include "protocol/json_write.h"

struct server;

struct api {
    struct server *server;
    struct http_exchange *x;
    struct form form;   // of the URL, for POST with the body's in front; a multipart body's behind
    size_t plain_count; // of its pairs, without those
    struct str form_error; // what of it could not be read
    struct buf out;
    struct json json;
    bool is_streaming;
    struct str *warnings, *infos; // for api_end()
    size_t warnings_count, infos_count;
    struct promql_query *selectors; // of match[]: freed by api_done()
    size_t selectors_count;
};

enum api_error {
    API_BAD_DATA,
    API_EXECUTION,
    API_CANCELED,
    API_TIMEOUT,
    API_INTERNAL,
    API_NOT_FOUND,
    API_NOT_ACCEPTABLE,
    API_UNAVAILABLE,
    API_MEMORY, // there is none for it now
};

typedef void api_fn(struct api *api); // Suspends.

// Reads the form (false: answered). Suspends.
bool api_init(struct api *api, struct server *server, struct http_exchange *x);
void api_done(struct api *api);

void api_error(struct api *api, enum api_error kind, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
// `invalid parameter "name": cause`
void api_bad_parameter(struct api *api, const char *name, const char *cause);
// {"status":"success","data": ... the caller writes one value ... },"warnings":[..],"infos":[..]}
void api_begin(struct api *api);
void api_end(struct api *api);
// Sends what has gathered when it is much; false: the client is gone. Suspends.
bool api_flush_if_due(struct api *api);

// For those that Prometheus asks for a form that can be read whole, which leaves a multipart body's
// values out; false: answered.
bool api_form_is_whole(struct api *api);
// Parameters. A missing one leaves *out as it is.
struct str api_get(const struct api *api, const char *name); // NULL p: absent
bool api_time(struct api *api, const char *name, struct api_instant *out);
bool api_required_time(struct api *api, const char *name, struct api_instant *out);
bool api_duration(struct api *api, const char *name, int64_t *out_ms);
bool api_duration_ns(struct api *api, const char *name, int64_t *out_ns);
bool api_limit(struct api *api, const char *name, uint64_t *out); // 0: none
bool api_parse_bool(struct str text, bool *out);                  // as Go's strconv.ParseBool
bool api_selectors(struct api *api, bool with_name);              // without that check
// Each match[] parsed and checked for a matcher that does not match "". Fills selectors. Errors
// name the parameter only where Prometheus does.
bool api_matchers(struct api *api, bool with_name);

// Seconds with up to three decimals, a number: 1435781451.781
void api_put_time(struct json *json, int64_t ms);
void api_put_sample(struct json *json, int64_t ms, double v); // [1435781451.781,"1"]
// The same as scalars and strings have it, without trailing zeros: 1435781451.5
void api_put_float_time(struct json *json, int64_t ms);
void api_put_scalar(struct json *json, int64_t ms, double v); // never with an exponent
void api_put_labels(struct json *json, struct str labels);    // {"__name__":"up",...}
// RFC 3339 in UTC with nanoseconds as needed: 2026-11-22T15:00:00.123Z
void api_put_date(struct json *json, int64_t ms);
struct str api_date(struct arena *a, int64_t ms);

#endif
