#include "engine/scrape/target.h"

#include "engine/base/duration.h"
#include "engine/base/quote.h"
#include "engine/base/utf8.h"
#include "engine/model/labels.h"
#include "engine/model/relabel.h"
#include "protocol/url.h"

static const struct str META_PREFIX = {"__meta_", 7}, HIDDEN_PREFIX = {"__", 2};
static const struct str PARAM_PREFIX = {"__param_", 8};

static struct str duration_text(int64_t ms, struct arena *a)
{
    struct buf text = {0};
    duration_format(ms, &text);
    const struct str copy = arena_str(a, buf_str(&text));
    buf_deinit(&text);
    return copy;
}

static void set_default(struct labels_builder *b, struct str name, struct str value)
{
    if (!labels_builder_get(b, name).n)
        labels_builder_set(b, name, value);
}

// The labels a target has before relabelling.
static void discover(const struct scrape_config *job, const struct static_group *group,
                     struct str address, struct arena *a, struct labels_builder *b)
{
    for (size_t i = 0; i < group->labels.n; i++)
        labels_builder_set(b, group->labels.items[i].key, group->labels.items[i].value);
    labels_builder_set(b, STR("__address__"), address);
    set_default(b, STR("job"), job->job_name);
    set_default(b, STR("__scrape_interval__"), duration_text(job->scrape_interval_ms, a));
    set_default(b, STR("__scrape_timeout__"), duration_text(job->scrape_timeout_ms, a));
    set_default(b, STR("__metrics_path__"), job->metrics_path);
    set_default(b, STR("__scheme__"), job->scheme);
    for (size_t i = 0; i < job->params.n; i++) {
        const struct config_named_list *param = &job->params.items[i];
        if (param->values.n)
            set_default(b, arena_printf(a, "__param_%.*s", STR_ARG(param->name)),
                        param->values.items[0]);
    }
}

static err read_duration(struct labels_builder *b, struct str name, const char *what,
                         int64_t *out_ms, struct errmsg *e)
{
    const err code = duration_parse(labels_builder_get(b, name), out_ms, e);
    if (code)
        return err_wrap(e, code, "error parsing scrape %s", what);
    if (*out_ms == 0)
        return err_set(e, ERR_INVALID, "scrape %s cannot be 0", what);
    return ERR_OK;
}

static void put_param(struct buf *url, char *separator, struct str name, struct str value)
{
    buf_put_char(url, *separator);
    *separator = '&';
    url_encode_query(name, url);
    buf_put_char(url, '=');
    url_encode_query(value, url);
}

// Parameters sorted by name, the first value of each from its __param_ label where there is one.
static void put_params(const struct scrape_config *job, struct labels_builder *b, struct buf *url)
{
    char separator = '?';
    size_t at = 0; // in job->params, which are sorted; labels are, too
    struct buf encoded = {0};
    labels_builder_encode(b, &encoded);
    struct label label;
    struct labels_iter i = labels_iter(buf_str(&encoded));
    bool more = labels_next(&i, &label);
    while (more || at < job->params.n) {
        if (more && !str_has_prefix(label.name, PARAM_PREFIX)) {
            more = labels_next(&i, &label);
            continue;
        }
        const struct str name = more ? str_from(label.name, PARAM_PREFIX.n) : (struct str){0};
        const struct config_named_list *param = at < job->params.n ? &job->params.items[at] : NULL;
        const int order = !param ? -1 : !more ? 1 : str_cmp(name, param->name);
        if (order <= 0)
            put_param(url, &separator, name, label.value);
        for (size_t v = order == 0; param && order >= 0 && v < param->values.n; v++)
            put_param(url, &separator, param->name, param->values.items[v]);
        if (order <= 0)
            more = labels_next(&i, &label);
        at += order >= 0;
    }
    buf_deinit(&encoded);
}

static struct str make_url(const struct scrape_config *job, struct labels_builder *b,
                           struct arena *a)
{
    struct buf url = {0};
    const struct str path = labels_builder_get(b, STR("__metrics_path__")); // as it is meant
    buf_put_str(&url, labels_builder_get(b, STR("__scheme__")));
    buf_put_str(&url, STR("://"));
    url_encode_host(labels_builder_get(b, STR("__address__")), &url);
    if (path.n && path.p[0] != '/')
        buf_put_char(&url, '/');
    url_encode_paths(path, &url);
    put_params(job, b, &url);
    const struct str text = arena_str(a, buf_str(&url));
    buf_deinit(&url);
    return text;
}

// Drops what only discovery and relabelling may see; false: a value is not UTF-8.
static bool keep_public(struct labels_builder *b, struct arena *a, struct errmsg *e)
{
    const struct str all = labels_builder_finish(b, a);
    struct label label;
    for (struct labels_iter i = labels_iter(all); labels_next(&i, &label);) {
        if (!utf8_is_valid(label.value)) {
            struct buf text = {0};
            buf_put_quoted(&text, label.name);
            buf_put_str(&text, STR(": "));
            buf_put_quoted(&text, label.value);
            err_format(e, "invalid label value for %.*s", STR_ARG(buf_str(&text)));
            buf_deinit(&text);
            return false;
        }
        if (str_has_prefix(label.name, HIDDEN_PREFIX) || str_has_prefix(label.name, META_PREFIX))
            labels_builder_del(b, label.name);
    }
    return true;
}

static bool finish(const struct scrape_config *job, struct labels_builder *b, struct arena *a,
                   struct target_spec *out, struct errmsg *e)
{
    const struct str address = labels_builder_get(b, STR("__address__"));
    if (!address.n) {
        err_format(e, "no address");
        return false;
    }
    if (memchr(address.p, '/', address.n)) {
        err_format(e, "\"%.*s\" is not a valid hostname", STR_ARG(address));
        return false;
    }
    if (read_duration(b, STR("__scrape_interval__"), "interval", &out->interval_ms, e) != ERR_OK ||
        read_duration(b, STR("__scrape_timeout__"), "timeout", &out->timeout_ms, e) != ERR_OK)
        return false;
    if (out->timeout_ms > out->interval_ms) {
        err_format(e, "scrape timeout cannot be greater than scrape interval (\"%.*s\" > \"%.*s\")",
                   STR_ARG(labels_builder_get(b, STR("__scrape_timeout__"))),
                   STR_ARG(labels_builder_get(b, STR("__scrape_interval__"))));
        return false;
    }
    out->url = make_url(job, b, a);
    set_default(b, STR("instance"), address);
    if (!keep_public(b, a, e))
        return false;
    out->labels = labels_builder_finish(b, a);
    const uint64_t label_hash = labels_hash_prometheus(out->labels);
    const struct str identity =
        arena_printf(a, "%016llu%.*s", (unsigned long long)label_hash, STR_ARG(out->url));
    out->hash = hash_fnv64a(identity.p, identity.n);
    return true;
}

bool target_spec_make(const struct scrape_config *job, const struct static_group *group,
                      struct str address, struct arena *a, struct target_spec *out,
                      struct errmsg *e)
{
    struct labels_builder b = {0};
    struct buf scratch = {0};
    *out = (struct target_spec){.job = job};
    discover(job, group, address, a, &b);
    out->discovered = labels_builder_finish(&b, a);
    out->is_dropped = !relabel_apply(job->relabel.items, job->relabel.n, &b, a, &scratch);
    const bool good = out->is_dropped || finish(job, &b, a, out, e);
    labels_builder_deinit(&b);
    buf_deinit(&scratch);
    return good;
}
