#include "tools/loadgen/query_compare.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>

#include "engine/base/mem.h"
#include "engine/base/number.h"

enum { DEPTH_MAX = 32 };
static const double TOLERANCE = 1e-12; // relative: sums may be made in another order

// jansson goes down by recursion, and this runs on a fiber's stack.
static bool is_shallow(struct str text)
{
    int depth = 0;
    bool quoted = false;
    for (size_t i = 0; i < text.n; i++) {
        const char c = text.p[i];
        if (quoted) {
            i += c == '\\';
            quoted = c != '"';
        } else if (c == '"') {
            quoted = true;
        } else if (c == '[' || c == '{') {
            if (++depth > DEPTH_MAX)
                return false;
        } else {
            depth -= c == ']' || c == '}';
        }
    }
    return true;
}

struct series {
    char *key; // its labels, sorted; of jansson
    const json_t *values;
};

struct answer {
    json_t *root;
    const char *type;
    struct series *items;
    size_t n;
};

static int cmp_series(const void *a, const void *b)
{
    return strcmp(((const struct series *)a)->key, ((const struct series *)b)->key);
}

static void answer_deinit(struct answer *a)
{
    for (size_t i = 0; i < a->n; i++)
        free(a->items[i].key);
    mem_free(a->items);
    json_decref(a->root);
}

static err answer_init(struct answer *a, struct str text, const char *whose, struct errmsg *e)
{
    json_error_t why;
    *a = (struct answer){0};
    if (is_shallow(text))
        a->root = json_loadb(text.p ? text.p : "", text.n, JSON_ALLOW_NUL, &why);
    json_t *const data = json_object_get(a->root, "data");
    const json_t *const result = json_object_get(data, "result");
    a->type = json_string_value(json_object_get(data, "resultType"));
    if (!a->type || !json_is_array(result))
        return err_set(e, ERR_CORRUPT, "%s: no answer of the API", whose);
    const bool is_list = !strcmp(a->type, "vector") || !strcmp(a->type, "matrix");
    const size_t n = is_list ? json_array_size(result) : 1;
    a->items = mem_zalloc((n + 1) * sizeof *a->items);
    for (; a->n < n; a->n++) {
        const json_t *const item = is_list ? json_array_get(result, a->n) : NULL;
        const json_t *const metric = json_object_get(item, "metric");
        const json_t *const many = json_object_get(item, "values");
        struct series *const s = &a->items[a->n];
        s->key = json_dumps(metric, JSON_SORT_KEYS | JSON_COMPACT);
        if (!s->key)
            s->key = strdup("");
        s->values = !is_list ? result : many ? many : json_object_get(item, "value");
    }
    qsort(a->items, a->n, sizeof *a->items, cmp_series);
    return ERR_OK;
}

static bool same_value(const json_t *a, const json_t *b)
{
    double x, y;
    if (json_equal(a, b))
        return true;
    if (!json_is_string(a) || !json_is_string(b) ||
        number_parse(str_from_c(json_string_value(a)), &x) ||
        number_parse(str_from_c(json_string_value(b)), &y))
        return false;
    return (isnan(x) && isnan(y)) || fabs(x - y) <= TOLERANCE * fmax(fabs(x), fabs(y));
}

static bool same_point(const json_t *a, const json_t *b)
{
    return json_array_size(a) == 2 && json_array_size(b) == 2 &&
           json_number_value(json_array_get(a, 0)) == json_number_value(json_array_get(b, 0)) &&
           same_value(json_array_get(a, 1), json_array_get(b, 1));
}

static bool same_values(const json_t *a, const json_t *b)
{
    const size_t n = json_array_size(a);
    if (!json_is_array(json_array_get(a, 0)))
        return same_point(a, b) || json_equal(a, b);
    if (n != json_array_size(b))
        return false;
    for (size_t i = 0; i < n; i++)
        if (!same_point(json_array_get(a, i), json_array_get(b, i)))
            return false;
    return true;
}

static err compare(const struct answer *ours, const struct answer *reference, struct errmsg *e)
{
    if (strcmp(ours->type, reference->type) != 0)
        return err_set(e, ERR_INVALID, "a %s instead of a %s", ours->type, reference->type);
    if (ours->n != reference->n)
        return err_set(e, ERR_INVALID, "%zu series instead of %zu", ours->n, reference->n);
    for (size_t i = 0; i < ours->n; i++) {
        if (strcmp(ours->items[i].key, reference->items[i].key) != 0)
            return err_set(e, ERR_INVALID, "series %.200s instead of %.200s", ours->items[i].key,
                           reference->items[i].key);
        if (!same_values(ours->items[i].values, reference->items[i].values))
            return err_set(e, ERR_INVALID, "other values of %.200s", ours->items[i].key);
    }
    return ERR_OK;
}

err query_compare(struct str ours, struct str reference, struct errmsg *e)
{
    struct answer a, b;
    err code = answer_init(&a, ours, "the server", e);
    err other = answer_init(&b, reference, "the reference", code ? NULL : e);
    if (!code)
        code = other ? other : compare(&a, &b, e);
    answer_deinit(&a);
    answer_deinit(&b);
    return code;
}
