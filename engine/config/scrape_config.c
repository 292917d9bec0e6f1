#include "engine/config/scrape_config.h"

#include "engine/base/util.h"
#include "engine/config/scrape_fields.h"
#include "engine/config/yaml_encode.h"

static const struct yaml_field group_fields[] = {
    {"targets", YAML_FIELD_STRS, YAML_AT(static_group, targets), .always = true},
    {"labels", YAML_FIELD_PAIRS, YAML_AT(static_group, labels), .go = "model.LabelSet"},
};

static err check_group(struct yaml_decoder *d, const struct yaml_node *n, void *object)
{
    const struct static_group *const g = object;
    for (size_t i = 0; i < g->labels.n; i++)
        if (!name_is_utf8(g->labels.items[i].key))
            return yaml_fail(d, n, "%.*s is not a valid label name",
                             STR_ARG(config_quote(d->arena, g->labels.items[i].key)));
    return ERR_OK;
}

static const struct yaml_struct group_type = {
    .go = "struct { Targets []string \"yaml:\\\"targets\\\"\"; Labels model.LabelSet "
          "\"yaml:\\\"labels\\\"\" }",
    .size = sizeof(struct static_group),
    .fields = group_fields,
    .n = countof(group_fields),
    .check = check_group,
    .null_text = "empty or null section in static_configs",
};

static const struct yaml_field fields[] = {
    {"job_name", YAML_FIELD_STR, YAML_AT(scrape_config, job_name), .always = true},
    {"honor_labels", YAML_FIELD_BOOL, YAML_AT(scrape_config, honor_labels)},
    {"honor_timestamps", YAML_FIELD_BOOL, YAML_AT(scrape_config, honor_timestamps), .always = true},
    {"track_timestamps_staleness", YAML_FIELD_BOOL,
     YAML_AT(scrape_config, track_timestamps_staleness), .always = true},
    {"params", YAML_FIELD_CUSTOM, YAML_AT(scrape_config, params), .custom = &config_params_field},
    {"scrape_interval", YAML_FIELD_DURATION, YAML_AT(scrape_config, scrape_interval_ms)},
    {"scrape_timeout", YAML_FIELD_DURATION, YAML_AT(scrape_config, scrape_timeout_ms)},
    {"scrape_protocols", YAML_FIELD_STRS, YAML_AT(scrape_config, protocols.names),
     .go = "[]config.ScrapeProtocol"},
    {"fallback_scrape_protocol", YAML_FIELD_STR, YAML_AT(scrape_config, fallback_text),
     .go = "config.ScrapeProtocol"},
    {"scrape_native_histograms", YAML_FIELD_SWITCH,
     YAML_AT(scrape_config, scrape_native_histograms)},
    {"always_scrape_classic_histograms", YAML_FIELD_SWITCH,
     YAML_AT(scrape_config, always_scrape_classic_histograms)},
    {"convert_classic_histograms_to_nhcb", YAML_FIELD_SWITCH,
     YAML_AT(scrape_config, convert_classic_histograms_to_nhcb)},
    {"scrape_failure_log_file", YAML_FIELD_STR, YAML_AT(scrape_config, scrape_failure_log_file)},
    {"metrics_path", YAML_FIELD_STR, YAML_AT(scrape_config, metrics_path)},
    {"scheme", YAML_FIELD_STR, YAML_AT(scrape_config, scheme)},
    {"enable_compression", YAML_FIELD_BOOL, YAML_AT(scrape_config, enable_compression),
     .always = true},
    {"", YAML_FIELD_INLINE, YAML_AT(scrape_config, limits), .of = &scrape_limits_type},
    {"native_histogram_bucket_limit", YAML_FIELD_UINT,
     YAML_AT(scrape_config, native_histogram_bucket_limit)},
    {"native_histogram_min_bucket_factor", YAML_FIELD_FLOAT,
     YAML_AT(scrape_config, native_histogram_min_bucket_factor)},
    {"keep_dropped_targets", YAML_FIELD_UINT, YAML_AT(scrape_config, limits.keep_dropped_targets)},
    {"metric_name_validation_scheme", YAML_FIELD_CUSTOM, YAML_AT(scrape_config, validation),
     .custom = &name_validation_field},
    {"metric_name_escaping_scheme", YAML_FIELD_STR, YAML_AT(scrape_config, escaping_text)},
    {"extra_scrape_metrics", YAML_FIELD_SWITCH, YAML_AT(scrape_config, extra_scrape_metrics)},
    {"", YAML_FIELD_INLINE, YAML_AT(scrape_config, http), .of = &http_client_config_type},
    {"relabel_configs", YAML_FIELD_LIST, YAML_AT(scrape_config, relabel), .go = "[]*relabel.Config",
     .of = &relabel_target_type},
    {"metric_relabel_configs", YAML_FIELD_LIST, YAML_AT(scrape_config, metric_relabel),
     .go = "[]*relabel.Config", .of = &relabel_metric_type},
    {"static_configs", YAML_FIELD_LIST, YAML_AT(scrape_config, static_groups),
     .go = "[]*targetgroup.Group", .of = &group_type},
};

static void init(void *object)
{
    struct scrape_config *const c = object;
    c->metrics_path = STR("/metrics");
    c->scheme = STR("http");
    c->honor_timestamps = true;
    c->enable_compression = true;
    http_client_config_init(&c->http);
}

// always_scrape_classic_histograms and the limits of native ones are not among these: where none
// are scraped, classic ones always are.
static void note_unbuilt(struct yaml_decoder *d, const struct yaml_node *n,
                         const struct scrape_config *c)
{
    const struct {
        const char *name;
        bool asked;
    } unbuilt[] = {
        {"scrape_native_histograms", c->scrape_native_histograms == 1},
        {"convert_classic_histograms_to_nhcb", c->convert_classic_histograms_to_nhcb == 1},
    };
    for (size_t i = 0; i < countof(unbuilt); i++)
        if (unbuilt[i].asked)
            yaml_note_field(d, n, unbuilt[i].name);
    if (str_eq(c->fallback_text, STR("PrometheusProto")))
        yaml_note_unsupported(d, yaml_get(n, STR("fallback_scrape_protocol")),
                              "fallback_scrape_protocol (PrometheusProto)");
    scrape_protocols_note(d, n, &c->protocols);
}

static err check(struct yaml_decoder *d, const struct yaml_node *n, void *object)
{
    struct scrape_config *const c = object;
    c->line = n->line;
    c->file = d->file;
    if (!c->job_name.n)
        return yaml_fail(d, n, "job_name is empty");
    TRY(http_client_config_check(d, n, &c->http));
    for (size_t i = 0; i < c->static_groups.n && !c->relabel.n; i++) {
        const struct yaml_strs *const targets = &c->static_groups.items[i].targets;
        for (size_t k = 0; k < targets->n; k++)
            if (str_find(targets->items[k], '/', 0) != STR_NONE)
                return yaml_fail(d, n, "%.*s is not a valid hostname",
                                 STR_ARG(config_quote(d->arena, targets->items[k])));
    }
    note_unbuilt(d, n, c);
    return ERR_OK;
}

// Discovery by anything but static_configs is known and not built.
static bool take_other(struct yaml_decoder *d, const struct yaml_node *key,
                       const struct yaml_node *value, void *object, err *out)
{
    static const char *const known[] = {
        "aws",         "azure",     "consul",   "digitalocean", "dns",        "docker",
        "dockerswarm", "ec2",       "ecs",      "elasticache",  "eureka",     "file",
        "gce",         "hetzner",   "http",     "ionos",        "kubernetes", "kuma",
        "lightsail",   "linode",    "marathon", "msk",          "nerve",      "nomad",
        "oci",         "openstack", "outscale", "ovhcloud",     "puppetdb",   "rds",
        "scaleway",    "serverset", "stackit",  "triton",       "uyuni",      "vultr"};
    static const struct str suffix = {"_sd_configs", 11};
    (void)object;
    if (!str_has_suffix(key->value, suffix))
        return false;
    const struct str name = str_until(key->value, key->value.n - suffix.n);
    bool found = false;
    for (size_t i = 0; i < countof(known) && !found; i++)
        found = str_eq(name, str_from_c(known[i]));
    if (!found)
        return false;
    *out = ERR_OK;
    if (!yaml_is_null(value) && value->kind != YAML_SEQUENCE)
        yaml_collect(d, value, "cannot unmarshal %.*s into a list of %.*s",
                     STR_ARG(yaml_tag(value, d->version)), STR_ARG(key->value));
    else if (value->n)
        yaml_note_unsupported(d, key, "%.*s", STR_ARG(key->value));
    return true;
}

const struct yaml_struct scrape_config_type = {
    .go = "config.ScrapeConfig",
    .size = sizeof(struct scrape_config),
    .fields = fields,
    .n = countof(fields),
    .init = init,
    .check = check,
    .null_text = "empty or null scrape config section",
    .other = take_other,
};

static void inherit(struct scrape_config *c, const struct global_config *g)
{
    if (!c->limits.body_size_bytes)
        c->limits.body_size_bytes = g->limits.body_size_bytes;
    uint64_t *const own[] = {&c->limits.samples,
                             &c->limits.targets,
                             &c->limits.labels,
                             &c->limits.label_name_length,
                             &c->limits.label_value_length,
                             &c->limits.keep_dropped_targets};
    const uint64_t global[] = {g->limits.samples,
                               g->limits.targets,
                               g->limits.labels,
                               g->limits.label_name_length,
                               g->limits.label_value_length,
                               g->limits.keep_dropped_targets};
    for (size_t i = 0; i < countof(own); i++)
        if (!*own[i])
            *own[i] = global[i];
    if (!c->scrape_failure_log_file.n)
        c->scrape_failure_log_file = g->scrape_failure_log_file;
    int8_t *const switches[] = {&c->scrape_native_histograms, &c->extra_scrape_metrics,
                                &c->convert_classic_histograms_to_nhcb,
                                &c->always_scrape_classic_histograms};
    const int8_t defaults[] = {g->scrape_native_histograms, g->extra_scrape_metrics,
                               g->convert_classic_histograms_to_nhcb,
                               g->always_scrape_classic_histograms};
    for (size_t i = 0; i < countof(switches); i++)
        if (*switches[i] == YAML_UNSET)
            *switches[i] = defaults[i];
}

static err check_protocols(struct yaml_decoder *d, struct scrape_config *c,
                           const struct global_config *g, struct errmsg *why)
{
    const struct str job = config_quote(d->arena, c->job_name);
    if (g->protocols.names.items && !c->protocols.names.items)
        c->protocols = g->protocols;
    else if (!c->protocols.names.items)
        scrape_protocols_default(&c->protocols, c->scrape_native_histograms == 1, d->arena);
    struct errmsg inner;
    if (scrape_protocols_check(&c->protocols, &inner))
        return err_set(why, ERR_INVALID, "%s for scrape config with job name %.*s", inner.text,
                       STR_ARG(job));
    if (c->fallback_text.n &&
        scrape_protocol_parse(c->fallback_text, &c->fallback_protocol, &inner))
        return err_set(why, ERR_INVALID,
                       "invalid fallback_scrape_protocol for scrape config with job name %.*s: %s",
                       STR_ARG(job), inner.text);
    return ERR_OK;
}

// What scheme the job's names follow and how targets are asked to escape others.
static err check_names(struct scrape_config *c, const struct global_config *g, struct errmsg *why)
{
    const bool unset = c->validation == NAME_VALIDATION_UNSET;
    if (unset)
        c->validation = g->validation;
    enum name_escaping global = g->validation == NAME_VALIDATION_LEGACY ? NAME_ESCAPING_UNDERSCORES
                                                                        : NAME_ESCAPING_ALLOW_UTF8;
    if (g->escaping_text.n)
        TRY(name_escaping_parse(g->escaping_text, "global", &global, why));
    if (c->escaping_text.n)
        TRY(name_escaping_parse(c->escaping_text, "scrape config", &c->escaping, why));
    else if (unset)
        c->escaping = global;
    else
        c->escaping = c->validation == NAME_VALIDATION_LEGACY ? NAME_ESCAPING_UNDERSCORES
                                                              : NAME_ESCAPING_ALLOW_UTF8;
    c->escaping_text = str_from_c(name_escaping_text(c->escaping));
    if (c->escaping == NAME_ESCAPING_ALLOW_UTF8 && c->validation != NAME_VALIDATION_UTF8)
        return err_set(why, ERR_INVALID,
                       "utf8 metric names requested but validation scheme is not set to UTF8");
    return ERR_OK;
}

err scrape_config_check(struct yaml_decoder *d, struct scrape_config *c,
                        const struct global_config *g)
{
    const struct yaml_node at = {.line = c->line};
    struct errmsg why;
    if (!c->scrape_interval_ms)
        c->scrape_interval_ms = g->scrape_interval_ms;
    if (c->scrape_timeout_ms > c->scrape_interval_ms)
        return yaml_fail(
            d, &at,
            "scrape timeout greater than scrape interval for scrape config with job name %.*s",
            STR_ARG(config_quote(d->arena, c->job_name)));
    if (!c->scrape_timeout_ms)
        c->scrape_timeout_ms = g->scrape_timeout_ms < c->scrape_interval_ms ? g->scrape_timeout_ms
                                                                            : c->scrape_interval_ms;
    inherit(c, g);
    if (check_protocols(d, c, g, &why) || check_names(c, g, &why))
        return yaml_fail(d, &at, "%s", why.text);
    const bool legacy = c->validation == NAME_VALIDATION_LEGACY;
    TRY(relabel_rules_check(d, &c->relabel, legacy));
    return relabel_rules_check(d, &c->metric_relabel, legacy);
}

void scrape_config_set_dir(struct scrape_config *c, struct arena *a, struct str dir)
{
    http_client_config_set_dir(&c->http, a, dir);
    c->scrape_failure_log_file = config_join(a, dir, c->scrape_failure_log_file);
}
