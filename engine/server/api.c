#include "engine/server/api.h"
#include "engine/server/parse_apart.h"
#include "protocol/multipart.h"

#include <assert.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#include "engine/base/calendar.h"
#include "engine/base/duration.h"
#include "engine/base/number.h"
#include "engine/base/quote.h"
#include "engine/base/util.h"
#include "engine/model/labels.h"

enum {
    FORM_BODY_MAX = 10 << 20,
    MULTIPART_BODY_MAX = 42 << 20,
    FLUSH_FROM = 256 * 1024,
    NOTES_MAX = 10,
    NS_PER_MS = 1000000
};

static const struct {
    const char *name;
    int status;
} errors[] = {
    [API_BAD_DATA] = {"bad_data", 400},
    [API_EXECUTION] = {"execution", 422},
    [API_CANCELED] = {"canceled", 499},
    [API_TIMEOUT] = {"timeout", 503},
    [API_INTERNAL] = {"internal", 500},
    [API_NOT_FOUND] = {"not_found", 404},
    [API_NOT_ACCEPTABLE] = {"not_acceptable", 406},
    [API_UNAVAILABLE] = {"unavailable", 500},
    [API_MEMORY] = {"unavailable", 503},
};

static bool is_form(const struct http_exchange *x)
{
    const struct str type = http_header(x->head, STR("Content-Type"));
    const ptrdiff_t end = type.n ? str_find(type, ';', 0) : STR_NONE;
    const struct str media = str_trim(end == STR_NONE ? type : str_until(type, (size_t)end));
    return str_eq_nocase(media, STR("application/x-www-form-urlencoded"));
}

static void note_form_error(struct api *api, const struct errmsg *e)
{
    if (!api->form_error.p)
        api->form_error = arena_str(api->x->arena, str_from_c(e->text));
}

// Reading a form: a long one beside the shard's other work.
struct form_reading {
    struct str text, boundary; // with a boundary: of a multipart body
    struct arena *arena;
    struct form *form;
    struct errmsg *e;
    err code;
};

static void read_form_there(void *arg)
{
    struct form_reading *r = arg;
    r->code = r->boundary.p ? multipart_parse(r->text, r->boundary, r->arena, r->form)
                            : form_parse(r->text, r->arena, r->form, r->e);
}

static err read_form(struct api *api, struct str text, struct str boundary, struct errmsg *e)
{
    struct form_reading r = {text, boundary, api->x->arena, &api->form, e, ERR_OK};
    if (text.n < APART_BYTES)
        read_form_there(&r);
    else
        run_apart(read_form_there, &r);
    return r.code;
}

// The values of a multipart body, where it can be read: like Go's FormValue, nothing is said where
// it cannot. False: the shard holds too much, which has been answered. Suspends.
static bool add_multipart(struct api *api)
{
    struct http_exchange *x = api->x;
    struct str body;
    const struct str boundary =
        multipart_boundary(http_header(x->head, STR("Content-Type")), x->arena);
    if (!boundary.p)
        return true;
    const err code = http_read_body(x, MULTIPART_BODY_MAX, &body, NULL);
    const err parsed = code ? code : read_form(api, body, boundary, NULL);
    (void)parsed;
    return code != ERR_CANCELED;
}

bool api_init(struct api *api, struct server *server, struct http_exchange *x)
{
    *api = (struct api){.server = server, .x = x};
    struct errmsg e;
    err code = ERR_OK;
    if (str_eq(x->method, STR("POST")) && is_form(x)) {
        struct str body;
        code = http_read_body(x, FORM_BODY_MAX, &body, &e);
        if (code == ERR_CANCELED)
            return false;
        if (code == ERR_LIMIT) { // only who asks for the whole form gets to hear of it
            err_format(&e, "http: POST too large");
            note_form_error(api, &e);
            code = ERR_OK;
        } else {
            code = code ? code : read_form(api, body, (struct str){0}, &e);
            if (code)
                note_form_error(api, &e);
        }
    }
    if (code != ERR_LIMIT) {
        code = read_form(api, x->query, (struct str){0}, &e);
        if (code)
            note_form_error(api, &e);
    }
    api->plain_count = api->form.n;
    if (!add_multipart(api))
        return false;
    if (code != ERR_LIMIT || api_form_is_whole(api))
        return true;
    api_done(api);
    return false;
}

bool api_form_is_whole(struct api *api)
{
    if (api->form.n > api->plain_count)
        api->form.n = api->plain_count;
    if (api->form_error.p)
        api_error(api, API_BAD_DATA, "error parsing form values: %.*s", STR_ARG(api->form_error));
    return !api->form_error.p;
}

void api_done(struct api *api)
{
    for (size_t i = 0; i < api->selectors_count; i++)
        parse_apart_done(&api->selectors[i]);
    buf_deinit(&api->out);
}

void api_error(struct api *api, enum api_error kind, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    const int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    char *text = arena_alloc(api->x->arena, (size_t)n + 1, 1);
    vsnprintf(text, (size_t)n + 1, format, again);
    va_end(again);
    buf_reset(&api->out);
    json_init(&api->json, &api->out);
    json_object_begin(&api->json);
    json_key(&api->json, "status");
    json_cstr(&api->json, "error");
    json_key(&api->json, "errorType");
    json_cstr(&api->json, errors[kind].name);
    json_key(&api->json, "error");
    json_str(&api->json, str_make(text, (size_t)n));
    json_object_end(&api->json);
    http_answer(api->x, errors[kind].status, "application/json", buf_str(&api->out));
}

bool api_parse_bool(struct str text, bool *out)
{
    static const char *const texts[] = {"1", "t", "T", "TRUE",  "true",  "True",
                                        "0", "f", "F", "FALSE", "false", "False"};
    for (size_t i = 0; i < countof(texts); i++) {
        *out = i < countof(texts) / 2;
        if (str_eq(text, str_from_c(texts[i])))
            return true;
    }
    return false;
}

void api_bad_parameter(struct api *api, const char *name, const char *cause)
{
    api_error(api, API_BAD_DATA, "invalid parameter \"%s\": %s", name, cause);
}

void api_begin(struct api *api)
{
    buf_reset(&api->out);
    json_init(&api->json, &api->out);
    json_object_begin(&api->json);
    json_key(&api->json, "status");
    json_cstr(&api->json, "success");
    json_key(&api->json, "data");
}

bool api_flush_if_due(struct api *api)
{
    if (api->out.n < FLUSH_FROM)
        return true;
    if (!api->is_streaming)
        http_begin(api->x, 200, "application/json");
    api->is_streaming = true;
    const err code = http_write(api->x, buf_str(&api->out));
    buf_reset(&api->out);
    return code == ERR_OK;
}

// At most ten of them, and a line that says how many more there were.
static void put_notes(struct api *api, const char *key, const struct str *notes, size_t n,
                      const char *what)
{
    if (!n)
        return;
    json_key(&api->json, key);
    json_array_begin(&api->json);
    for (size_t i = 0; i < n && i < NOTES_MAX; i++)
        json_str(&api->json, notes[i]);
    if (n > NOTES_MAX)
        json_str(&api->json, arena_printf(api->x->arena, "%zu more %s annotations omitted",
                                          n - NOTES_MAX, what));
    json_array_end(&api->json);
}

void api_end(struct api *api)
{
    put_notes(api, "warnings", api->warnings, api->warnings_count, "warning");
    put_notes(api, "infos", api->infos, api->infos_count, "info");
    json_object_end(&api->json);
    if (!api->is_streaming) {
        http_answer(api->x, 200, "application/json", buf_str(&api->out));
        return;
    }
    const err code = http_write(api->x, buf_str(&api->out));
    (void)code; // a client that is gone has no use for the rest
    http_end(api->x);
}

// ---- parameters

struct str api_get(const struct api *api, const char *name)
{
    return form_get(&api->form, str_from_c(name));
}

static void bad_value(struct api *api, const char *name, struct str text, const char *what)
{
    struct errmsg e;
    struct buf quoted = {0};
    buf_put_quoted(&quoted, text);
    err_format(&e, "cannot parse %.*s to a valid %s", STR_ARG(buf_str(&quoted)), what);
    buf_deinit(&quoted);
    if (str_eq(str_from_c(name), STR("lookback_delta"))) // the one that Prometheus names otherwise
        api_error(api, API_BAD_DATA, "error parsing lookback delta duration: %s", e.text);
    else
        api_bad_parameter(api, name, e.text);
}

bool api_required_time(struct api *api, const char *name, struct api_instant *out)
{
    const struct str text = api_get(api, name);
    if (api_instant_parse(text, out))
        return true;
    bad_value(api, name, text, "timestamp");
    return false;
}

bool api_time(struct api *api, const char *name, struct api_instant *out)
{
    const struct str text = api_get(api, name);
    if (!text.n || api_instant_parse(text, out))
        return true;
    // Prometheus names those twice that may be left out.
    struct errmsg e;
    struct buf quoted = {0};
    buf_put_quoted(&quoted, text);
    err_format(&e, "invalid time value for '%s': cannot parse %.*s to a valid timestamp", name,
               STR_ARG(buf_str(&quoted)));
    buf_deinit(&quoted);
    api_bad_parameter(api, name, e.text);
    return false;
}

bool api_duration_ns(struct api *api, const char *name, int64_t *out_ns)
{
    const struct str text = api_get(api, name);
    double seconds;
    int64_t ms;
    if (number_parse(text, &seconds) == ERR_OK) {
        const double ns = seconds * 1e9;
        if (ns > 0x1p63 || ns < -0x1p63) {
            bad_value(api, name, text, "duration. It overflows int64");
            return false;
        }
        // What is no number, and what is too large by one, is the least integer there.
        *out_ns = ns < 0x1p63 ? (int64_t)ns : INT64_MIN;
        return true;
    }
    if (text.n && duration_parse(text, &ms, NULL) == ERR_OK &&
        !__builtin_mul_overflow(ms, NS_PER_MS, out_ns))
        return true;
    bad_value(api, name, text, "duration");
    return false;
}

bool api_duration(struct api *api, const char *name, int64_t *out_ms)
{
    int64_t ns;
    if (!api_duration_ns(api, name, &ns))
        return false;
    *out_ms = ns / NS_PER_MS;
    return true;
}

bool api_limit(struct api *api, const char *name, uint64_t *out)
{
    const struct str text = api_get(api, name);
    int64_t limit;
    if (!text.n)
        return true;
    const err code = number_parse_i64(text, &limit);
    struct errmsg e;
    if (code == ERR_OK && limit >= 0) {
        *out = (uint64_t)limit;
        return true;
    }
    if (code == ERR_OK) {
        err_format(&e, "limit must be non-negative");
    } else {
        struct buf quoted = {0};
        buf_put_quoted(&quoted, text);
        err_format(&e, "strconv.Atoi: parsing %.*s: %s", STR_ARG(buf_str(&quoted)),
                   code == ERR_LIMIT ? "value out of range" : "invalid syntax");
        buf_deinit(&quoted);
    }
    api_bad_parameter(api, name, e.text);
    return false;
}

static bool has_bound(const struct promql_expr *selector)
{
    for (size_t i = 0; i < selector->vector.matchers_count; i++)
        if (!matcher_matches_empty(&selector->vector.matchers[i]))
            return true;
    return false;
}

static void bad_matcher(struct api *api, bool with_name, const char *cause)
{
    if (with_name)
        api_bad_parameter(api, "match[]", cause);
    else
        api_error(api, API_BAD_DATA, "%s", cause);
}

bool api_selectors(struct api *api, bool with_name)
{
    size_t count = 0;
    for (size_t i = 0; i < api->form.n; i++)
        count += str_eq(api->form.pairs[i].name, STR("match[]"));
    api->selectors =
        arena_alloc(api->x->arena, count * sizeof *api->selectors, _Alignof(struct promql_query));
    struct str whole = {0};
    const struct promql_options options = {.whole_error = &whole};
    for (size_t i = 0; i < api->form.n; i++) {
        struct errmsg e;
        if (!str_eq(api->form.pairs[i].name, STR("match[]")))
            continue;
        struct promql_query *q = &api->selectors[api->selectors_count];
        *q = (struct promql_query){0};
        if (parse_selector_apart(api->form.pairs[i].value, &options, api->x->arena, q, &e) !=
            ERR_OK) {
            bad_matcher(api, with_name, whole.n ? whole.p : e.text);
            return false;
        }
        api->selectors_count++;
    }
    return true;
}

bool api_matchers(struct api *api, bool with_name)
{
    if (!api_selectors(api, with_name))
        return false;
    for (size_t i = 0; i < api->selectors_count; i++)
        if (!has_bound(api->selectors[i].expr)) {
            bad_matcher(api, with_name, "match[] must contain at least one non-empty matcher");
            return false;
        }
    return true;
}

// ---- values

static void put_time(struct buf *out, int64_t ms)
{
    if (ms < 0) {
        buf_put_char(out, '-');
        ms = ms == INT64_MIN ? INT64_MAX : -ms;
    }
    buf_put_i64(out, ms / 1000);
    if (ms % 1000)
        buf_printf(out, ".%03d", (int)(ms % 1000));
}

void api_put_time(struct json *json, int64_t ms)
{
    json_raw(json, (struct str){0});
    put_time(json->out, ms);
}

void api_put_sample(struct json *json, int64_t ms, double v)
{
    struct buf *out = json->out;
    json_raw(json, STR("["));
    put_time(out, ms);
    buf_put_str(out, STR(",\""));
    out->n += number_format_api(v, buf_reserve(out, NUMBER_TEXT_MAX));
    buf_put_str(out, STR("\"]"));
}

void api_put_float_time(struct json *json, int64_t ms)
{
    json_raw(json, (struct str){0});
    json->out->n += number_format_f((double)ms / 1000, buf_reserve(json->out, NUMBER_TEXT_MAX));
}

void api_put_scalar(struct json *json, int64_t ms, double v)
{
    struct buf *out = json->out;
    json_array_begin(json);
    api_put_float_time(json, ms);
    buf_put_str(out, STR(",\""));
    out->n += number_format_f(v, buf_reserve(out, NUMBER_TEXT_MAX));
    buf_put_str(out, STR("\""));
    json_array_end(json);
}

void api_put_labels(struct json *json, struct str labels)
{
    json_object_begin(json);
    struct label label;
    for (struct labels_iter i = labels_iter(labels); labels_next(&i, &label);) {
        json_key_str(json, label.name);
        json_str_plain(json, label.value);
    }
    json_object_end(json);
}

struct str api_date(struct arena *a, int64_t ms)
{
    char text[CALENDAR_TEXT_MAX];
    return arena_str(a, str_make(text, calendar_format(ms, text)));
}

void api_put_date(struct json *json, int64_t ms)
{
    char text[CALENDAR_TEXT_MAX];
    json_str(json, str_make(text, calendar_format(ms, text)));
}
