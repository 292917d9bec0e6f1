#include "tools/promtool/query_result.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>

#include "engine/base/mem.h"
#include "engine/base/number.h"
#include "engine/base/quote.h"
#include "protocol/json_write.h"

enum { STATUS_BAD_REQUEST = 400, STATUS_UNPROCESSABLE = 422 };

struct writer {
    struct buf *out;
    bool as_json;
};

static struct str text_of(const json_t *value)
{
    return json_is_string(value) ? str_make(json_string_value(value), json_string_length(value))
                                 : (struct str){0};
}

// ---- label sets

struct pair {
    struct str name, value;
};
struct pairs {
    struct pair *items;
    size_t n;
};

static int cmp_pairs(const void *a, const void *b)
{
    return str_cmp(((const struct pair *)a)->name, ((const struct pair *)b)->name);
}

static struct pairs pairs_of(json_t *object)
{
    struct pairs all = {mem_alloc_array(json_object_size(object) + 1, sizeof *all.items), 0};
    for (void *i = json_object_iter(object); i; i = json_object_iter_next(object, i))
        all.items[all.n++] = (struct pair){
            str_make(json_object_iter_key(i), json_object_iter_key_len(i)),
            text_of(json_object_iter_value(i)),
        };
    qsort(all.items, all.n, sizeof *all.items, cmp_pairs);
    return all;
}

// {a="1", b="2"}; of a metric with its name in front, and no braces when there is no other label.
static void put_labels(const struct writer *w, json_t *object, bool is_metric)
{
    struct pairs all = pairs_of(object);
    struct str name = {0};
    size_t shown = 0;
    for (size_t i = 0; is_metric && i < all.n; i++)
        if (str_eq(all.items[i].name, STR("__name__")))
            name = all.items[i].value;
    buf_put_str(w->out, name);
    for (size_t i = 0; i < all.n; i++) {
        if (is_metric && str_eq(all.items[i].name, STR("__name__")))
            continue;
        buf_put_str(w->out, shown++ ? STR(", ") : STR("{"));
        buf_put_str(w->out, all.items[i].name);
        buf_put_char(w->out, '=');
        buf_put_quoted(w->out, all.items[i].value);
    }
    if (shown || !name.n)
        buf_put_str(w->out, shown ? STR("}") : STR("{}"));
    mem_free(all.items);
}

static void put_labels_json(const struct writer *w, json_t *object)
{
    struct pairs all = pairs_of(object);
    buf_put_char(w->out, '{');
    for (size_t i = 0; i < all.n; i++) {
        if (i)
            buf_put_char(w->out, ',');
        json_quote(all.items[i].name, true, w->out);
        buf_put_char(w->out, ':');
        json_quote(all.items[i].value, true, w->out);
    }
    buf_put_char(w->out, '}');
    mem_free(all.items);
}

// Fewer labels come first; then by name and value, where a missing name is less.
static int cmp_metrics(json_t *a, json_t *b)
{
    struct pairs left = pairs_of(a), right = pairs_of(b);
    int order = (left.n > right.n) - (left.n < right.n);
    for (size_t i = 0; !order && i < left.n; i++) {
        order = -str_cmp(left.items[i].name, right.items[i].name);
        if (!order)
            order = str_cmp(left.items[i].value, right.items[i].value);
    }
    mem_free(left.items);
    mem_free(right.items);
    return order;
}

// ---- values

static void put_time(const struct writer *w, const json_t *time)
{
    char text[NUMBER_TEXT_MAX];
    const double ms = round(json_number_value(time) * 1000);
    buf_put(w->out, text, number_format_f(ms / 1000, text));
}

static err put_number(const struct writer *w, struct str text, struct errmsg *e)
{
    double value;
    char formatted[NUMBER_TEXT_MAX];
    if (number_parse(text, &value) == ERR_INVALID)
        return err_set(e, ERR_CORRUPT, "bad_response: \"%.*s\" is not a sample value",
                       STR_ARG(text));
    const size_t n = number_format_f(value, formatted);
    if (w->as_json)
        buf_put_char(w->out, '"');
    buf_put(w->out, formatted, n);
    if (w->as_json)
        buf_put_char(w->out, '"');
    return ERR_OK;
}

// A number as Go's %f, or %v, prints it.
static void put_plain(const struct writer *w, const json_t *text, bool six_digits)
{
    double value = NAN;
    char formatted[NUMBER_TEXT_MAX];
    (void)(number_parse(text_of(text), &value) == ERR_OK);
    if (six_digits && isfinite(value))
        buf_printf(w->out, "%f", value);
    else
        buf_put(w->out, formatted, number_format_g(value, formatted));
}

// [kind, lower, upper, count] as (lower,upper]:count. Kinds: 0 closed above, 1 closed below, 2
// open, 3 closed.
static void put_bucket(const struct writer *w, const json_t *bucket)
{
    const json_int_t kind = json_integer_value(json_array_get(bucket, 0));
    buf_put_char(w->out, kind == 1 || kind == 3 ? '[' : '(');
    put_plain(w, json_array_get(bucket, 1), false);
    buf_put_char(w->out, ',');
    put_plain(w, json_array_get(bucket, 2), false);
    buf_put_char(w->out, kind == 0 || kind == 3 ? ']' : ')');
    buf_put_char(w->out, ':');
    put_plain(w, json_array_get(bucket, 3), false);
}

static err put_histogram_json(const struct writer *w, const json_t *histogram, struct errmsg *e)
{
    const json_t *const buckets = json_object_get(histogram, "buckets");
    buf_put_str(w->out, STR("{\"count\":"));
    TRY(put_number(w, text_of(json_object_get(histogram, "count")), e));
    buf_put_str(w->out, STR(",\"sum\":"));
    TRY(put_number(w, text_of(json_object_get(histogram, "sum")), e));
    buf_put_str(w->out, STR(",\"buckets\":"));
    if (!buckets)
        buf_put_str(w->out, STR("null"));
    for (size_t i = 0; i < json_array_size(buckets); i++) {
        const json_t *const bucket = json_array_get(buckets, i);
        buf_printf(w->out, "%c[%lld", i ? ',' : '[',
                   (long long)json_integer_value(json_array_get(bucket, 0)));
        for (size_t k = 1; k < 4; k++) {
            buf_put_char(w->out, ',');
            TRY(put_number(w, text_of(json_array_get(bucket, k)), e));
        }
        buf_put_char(w->out, ']');
    }
    if (buckets)
        buf_put_str(w->out, json_array_size(buckets) ? STR("]") : STR("[]"));
    buf_put_char(w->out, '}');
    return ERR_OK;
}

static err put_histogram(const struct writer *w, const json_t *histogram, struct errmsg *e)
{
    if (!json_is_object(histogram))
        return err_set(e, ERR_CORRUPT, "bad_response: a histogram is no object");
    if (w->as_json)
        return put_histogram_json(w, histogram, e);
    const json_t *const buckets = json_object_get(histogram, "buckets");
    buf_put_str(w->out, STR("Count: "));
    put_plain(w, json_object_get(histogram, "count"), true);
    buf_put_str(w->out, STR(", Sum: "));
    put_plain(w, json_object_get(histogram, "sum"), true);
    buf_put_str(w->out, STR(", Buckets: ["));
    for (size_t i = 0; i < json_array_size(buckets); i++) {
        if (i)
            buf_put_char(w->out, ' ');
        put_bucket(w, json_array_get(buckets, i));
    }
    buf_put_char(w->out, ']');
    return ERR_OK;
}

// [time, value]: "1 @[1435781451.781]" or the same array again.
static err put_point(const struct writer *w, const json_t *point, struct errmsg *e)
{
    const json_t *const time = json_array_get(point, 0), *const value = json_array_get(point, 1);
    if (!json_is_number(time) || !(json_is_string(value) || json_is_object(value)))
        return err_set(e, ERR_CORRUPT, "bad_response: a sample is not [time, value]");
    if (w->as_json) {
        buf_put_char(w->out, '[');
        put_time(w, time);
        buf_put_char(w->out, ',');
    }
    TRY(json_is_string(value) ? put_number(w, text_of(value), e) : put_histogram(w, value, e));
    if (!w->as_json) {
        buf_put_str(w->out, STR(" @["));
        put_time(w, time);
    }
    buf_put_char(w->out, ']');
    return ERR_OK;
}

static err put_vector(const struct writer *w, const json_t *result, struct errmsg *e)
{
    if (w->as_json)
        buf_put_char(w->out, '[');
    for (size_t i = 0; i < json_array_size(result); i++) {
        const json_t *const item = json_array_get(result, i);
        json_t *const metric = json_object_get(item, "metric");
        const json_t *const value = json_object_get(item, "value");
        const json_t *const point = value ? value : json_object_get(item, "histogram");
        if (i)
            buf_put_char(w->out, w->as_json ? ',' : '\n');
        if (w->as_json) {
            buf_put_str(w->out, STR("{\"metric\":"));
            put_labels_json(w, metric);
            buf_put_str(w->out, value ? STR(",\"value\":") : STR(",\"histogram\":"));
            TRY(put_point(w, point, e));
            buf_put_char(w->out, '}');
        } else {
            put_labels(w, metric, true);
            buf_put_str(w->out, STR(" => "));
            TRY(put_point(w, point, e));
        }
    }
    if (w->as_json)
        buf_put_char(w->out, ']');
    return ERR_OK;
}

static err put_points(const struct writer *w, const json_t *points, const char *name, size_t *shown,
                      struct errmsg *e)
{
    const size_t n = json_array_size(points);
    if (w->as_json && n)
        buf_printf(w->out, ",\"%s\":[", name);
    for (size_t i = 0; i < n; i++) {
        if (w->as_json ? i : (*shown)++)
            buf_put_char(w->out, w->as_json ? ',' : '\n');
        TRY(put_point(w, json_array_get(points, i), e));
    }
    if (w->as_json && n)
        buf_put_char(w->out, ']');
    return ERR_OK;
}

static err put_stream(const struct writer *w, const json_t *item, struct errmsg *e)
{
    json_t *const metric = json_object_get(item, "metric");
    const json_t *const values = json_object_get(item, "values");
    const json_t *const histograms = json_object_get(item, "histograms");
    size_t shown = 0;
    if (w->as_json) {
        buf_put_str(w->out, STR("{\"metric\":"));
        put_labels_json(w, metric);
        if (!json_array_size(values) && !json_array_size(histograms))
            buf_put_str(w->out, STR(",\"values\":[]"));
    } else {
        put_labels(w, metric, true);
        buf_put_str(w->out, STR(" =>\n"));
    }
    TRY(put_points(w, values, "values", &shown, e));
    TRY(put_points(w, histograms, "histograms", &shown, e));
    if (w->as_json)
        buf_put_char(w->out, '}');
    return ERR_OK;
}

static int cmp_streams(const void *a, const void *b)
{
    return cmp_metrics(json_object_get(*(json_t *const *)a, "metric"),
                       json_object_get(*(json_t *const *)b, "metric"));
}

// As text the series are in the order of their labels, as JSON in that of the answer.
static err put_matrix(const struct writer *w, const json_t *result, struct errmsg *e)
{
    const size_t n = json_array_size(result);
    const json_t **const items = mem_alloc_array(n + 1, sizeof(json_t *));
    for (size_t i = 0; i < n; i++)
        items[i] = json_array_get(result, i);
    if (!w->as_json)
        qsort((void *)(uintptr_t)items, n, sizeof *items, cmp_streams);
    else
        buf_put_char(w->out, '[');
    err code = ERR_OK;
    for (size_t i = 0; i < n && !code; i++) {
        if (i)
            buf_put_char(w->out, w->as_json ? ',' : '\n');
        code = put_stream(w, items[i], e);
    }
    if (w->as_json)
        buf_put_char(w->out, ']');
    mem_free((void *)(uintptr_t)items);
    return code;
}

static err put_string(const struct writer *w, const json_t *result, struct errmsg *e)
{
    const json_t *const value = json_array_get(result, 1);
    if (!json_is_number(json_array_get(result, 0)) || !json_is_string(value))
        return err_set(e, ERR_CORRUPT, "bad_response: a string is not [time, text]");
    if (!w->as_json) {
        buf_put_str(w->out, text_of(value));
        return ERR_OK;
    }
    buf_put_char(w->out, '[');
    put_time(w, json_array_get(result, 0));
    buf_put_char(w->out, ',');
    json_quote(text_of(value), true, w->out);
    buf_put_char(w->out, ']');
    return ERR_OK;
}

static err put_value(const struct writer *w, const json_t *data, struct errmsg *e)
{
    const struct str type = text_of(json_object_get(data, "resultType"));
    const json_t *const result = json_object_get(data, "result");
    if (!json_is_array(result))
        return err_set(e, ERR_CORRUPT, "bad_response: no result in the answer");
    if (str_eq(type, STR("vector")))
        return put_vector(w, result, e);
    if (str_eq(type, STR("matrix")))
        return put_matrix(w, result, e);
    if (str_eq(type, STR("string")))
        return put_string(w, result, e);
    if (!str_eq(type, STR("scalar")))
        return err_set(e, ERR_CORRUPT, "bad_response: unknown value type \"%.*s\"", STR_ARG(type));
    if (!w->as_json)
        buf_put_str(w->out, STR("scalar: "));
    return put_point(w, result, e);
}

// Lists of label sets or of texts: a line each, or one JSON array.
static err put_list(const struct writer *w, const json_t *data, bool is_series, struct errmsg *e)
{
    if (!json_is_array(data))
        return err_set(e, ERR_CORRUPT, "bad_response: no list in the answer");
    if (w->as_json)
        buf_put_char(w->out, '[');
    for (size_t i = 0; i < json_array_size(data); i++) {
        json_t *const item = json_array_get(data, i);
        if (w->as_json && i)
            buf_put_char(w->out, ',');
        if (is_series && w->as_json)
            put_labels_json(w, item);
        else if (is_series)
            put_labels(w, item, false);
        else if (w->as_json)
            json_quote(text_of(item), true, w->out);
        else
            buf_put_str(w->out, text_of(item));
        if (!w->as_json)
            buf_put_char(w->out, '\n');
    }
    if (w->as_json)
        buf_put_str(w->out, STR("]\n"));
    return ERR_OK;
}

// ---- the envelope

// Errors of servers that did not answer in the API's own form.
static err check_status(int status, struct str body, struct errmsg *e)
{
    if (status / 100 == 2 || status == STATUS_BAD_REQUEST || status == STATUS_UNPROCESSABLE)
        return ERR_OK;
    const struct str detail = str_trim(body);
    const char *const open = detail.n ? " (detail: " : "", *const close = detail.n ? ")" : "";
    if (status / 100 == 4)
        return err_set(e, ERR_INVALID, "client_error: client error: %d%s%.*s%s", status, open,
                       STR_ARG(detail), close);
    if (status / 100 == 5)
        return err_set(e, ERR_INVALID, "server_error: server error: %d%s%.*s%s", status, open,
                       STR_ARG(detail), close);
    return err_set(e, ERR_INVALID, "bad_response: bad response code %d%s%.*s%s", status, open,
                   STR_ARG(detail), close);
}

static err print(int status, const json_t *root, enum query_result_kind kind,
                 const struct writer *w, struct errmsg *e)
{
    const struct str said = text_of(json_object_get(root, "status"));
    const bool refused = status == STATUS_BAD_REQUEST || status == STATUS_UNPROCESSABLE;
    if (refused && str_eq(said, STR("success")))
        return err_set(e, ERR_CORRUPT, "bad_response: inconsistent body for response code");
    if (str_eq(said, STR("error"))) {
        const struct str type = text_of(json_object_get(root, "errorType"));
        const struct str why = text_of(json_object_get(root, "error"));
        return err_set(e, ERR_INVALID, "%.*s: %.*s", STR_ARG(type), STR_ARG(why));
    }
    const json_t *const data = json_object_get(root, "data");
    if (!data)
        return err_set(e, ERR_CORRUPT, "bad_response: no data in the answer");
    if (kind != QUERY_RESULT_VALUE)
        return put_list(w, data, kind == QUERY_RESULT_SERIES, e);
    TRY(put_value(w, data, e));
    buf_put_char(w->out, '\n');
    return ERR_OK;
}

err query_result_print(int status, struct str body, enum query_result_kind kind, bool as_json,
                       struct buf *out, struct buf *out_warnings, struct errmsg *e)
{
    TRY(check_status(status, body, e));
    json_error_t why;
    json_t *const root = json_loadb(body.p ? body.p : "", body.n, JSON_ALLOW_NUL, &why);
    if (!root)
        return err_set(e, ERR_CORRUPT, "bad_response: the answer is not JSON: %s at byte %d",
                       why.text, why.position);
    const json_t *const warnings = json_object_get(root, "warnings");
    for (size_t i = 0; i < json_array_size(warnings); i++) {
        buf_put_str(out_warnings, text_of(json_array_get(warnings, i)));
        buf_put_char(out_warnings, '\n');
    }
    const struct writer w = {out, as_json};
    const err code = print(status, root, kind, &w, e);
    json_decref(root);
    return code;
}
