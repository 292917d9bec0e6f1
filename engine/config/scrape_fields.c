#include "engine/config/scrape_fields.h"

#include "engine/base/util.h"
#include "engine/config/yaml_encode.h"

static const char *const protocol_names[SCRAPE_PROTOCOLS] = {
    [SCRAPE_PROTOCOL_NONE] = "",
    [SCRAPE_PROTOCOL_PROTOBUF] = "PrometheusProto",
    [SCRAPE_PROTOCOL_TEXT_0_0_4] = "PrometheusText0.0.4",
    [SCRAPE_PROTOCOL_TEXT_1_0_0] = "PrometheusText1.0.0",
    [SCRAPE_PROTOCOL_OPENMETRICS_0_0_1] = "OpenMetricsText0.0.1",
    [SCRAPE_PROTOCOL_OPENMETRICS_1_0_0] = "OpenMetricsText1.0.0",
};

const char *scrape_protocol_text(enum scrape_protocol p)
{
    return protocol_names[p];
}

err scrape_protocol_parse(struct str text, enum scrape_protocol *out, struct errmsg *e)
{
    for (size_t i = 1; i < SCRAPE_PROTOCOLS; i++) {
        if (str_eq(text, str_from_c(protocol_names[i]))) {
            *out = (enum scrape_protocol)i;
            return ERR_OK;
        }
    }
    return err_set(e, ERR_INVALID,
                   "unknown scrape protocol %.*s, supported: [OpenMetricsText0.0.1 "
                   "OpenMetricsText1.0.0 PrometheusProto PrometheusText0.0.4 PrometheusText1.0.0]",
                   STR_ARG(text));
}

static err repeated(const struct yaml_strs *names, struct errmsg *e)
{
    struct buf all = {0};
    for (size_t i = 0; i < names->n; i++)
        buf_printf(&all, "%s%.*s", i ? " " : "", STR_ARG(names->items[i]));
    const err code = err_set(e, ERR_INVALID, "duplicated protocol in scrape_protocols, got [%.*s]",
                             STR_ARG(buf_str(&all)));
    buf_deinit(&all);
    return code;
}

err scrape_protocols_check(struct scrape_protocols *p, struct errmsg *e)
{
    if (!p->names.n)
        return err_set(e, ERR_INVALID, "scrape_protocols cannot be empty");
    bool seen[SCRAPE_PROTOCOLS] = {false};
    p->n = 0;
    for (size_t i = 0; i < p->names.n; i++) {
        for (size_t k = 0; k < i; k++)
            if (str_eq_nocase(p->names.items[i], p->names.items[k]))
                return repeated(&p->names, e);
        enum scrape_protocol one;
        struct errmsg why;
        if (scrape_protocol_parse(p->names.items[i], &one, &why))
            return err_set(e, ERR_INVALID, "scrape_protocols: %s", why.text);
        if (seen[one])
            return repeated(&p->names, e);
        seen[one] = true;
        p->items[p->n++] = one;
    }
    return ERR_OK;
}

void scrape_protocols_default(struct scrape_protocols *p, bool protobuf_first, struct arena *a)
{
    static const enum scrape_protocol all[] = {
        SCRAPE_PROTOCOL_PROTOBUF, SCRAPE_PROTOCOL_OPENMETRICS_1_0_0,
        SCRAPE_PROTOCOL_OPENMETRICS_0_0_1, SCRAPE_PROTOCOL_TEXT_1_0_0, SCRAPE_PROTOCOL_TEXT_0_0_4};
    p->names = (struct yaml_strs){arena_array(a, countof(all), struct str), 0};
    for (size_t i = protobuf_first ? 0 : 1; i < countof(all); i++)
        p->names.items[p->names.n++] = str_from_c(protocol_names[all[i]]);
}

void scrape_protocols_note(struct yaml_decoder *d, const struct yaml_node *n,
                           const struct scrape_protocols *p)
{
    const struct yaml_node *const names = yaml_get(n, STR("scrape_protocols"));
    const char *const protobuf = protocol_names[SCRAPE_PROTOCOL_PROTOBUF];
    if (names && p->names.n && str_eq(p->names.items[0], str_from_c(protobuf)))
        yaml_note_unsupported(d, names, "scrape_protocols (%s first)", protobuf);
}

static const char *const escapings[] = {"", "allow-utf-8", "underscores", "dots", "values"};

const char *name_escaping_text(enum name_escaping e)
{
    return escapings[e];
}

err name_escaping_parse(struct str text, const char *whose, enum name_escaping *out,
                        struct errmsg *e)
{
    for (size_t i = 1; i < countof(escapings); i++) {
        if (str_eq(text, str_from_c(escapings[i]))) {
            *out = (enum name_escaping)i;
            return ERR_OK;
        }
    }
    return err_set(e, ERR_INVALID,
                   "unknown %s name escaping method specified, must be one of 'allow-utf-8', "
                   "'underscores', 'dots', or 'values', got \"%.*s\"",
                   whose, STR_ARG(text));
}

static const char *const validations[] = {"", "legacy", "utf8"};

static err decode_validation(struct yaml_decoder *d, const struct yaml_node *n, void *field)
{
    struct str text;
    if (!yaml_decode_str(d, n, &text) || !text.n)
        return ERR_OK;
    for (size_t i = 1; i < countof(validations); i++) {
        if (str_eq(text, str_from_c(validations[i]))) {
            *(enum name_validation *)field = (enum name_validation)i;
            return ERR_OK;
        }
    }
    return yaml_fail(d, n, "unrecognized ValidationScheme: %.*s",
                     STR_ARG(config_quote(d->arena, text)));
}

static void encode_validation(struct yaml_writer *w, const void *field)
{
    yaml_put_str(w, str_from_c(validations[*(const enum name_validation *)field]));
}

static bool validation_is_zero(const void *field)
{
    return *(const enum name_validation *)field == NAME_VALIDATION_UNSET;
}

static void zero_validation(void *field)
{
    *(enum name_validation *)field = NAME_VALIDATION_UNSET;
}

const struct yaml_custom name_validation_field = {decode_validation, encode_validation,
                                                  validation_is_zero, zero_validation};

static const struct yaml_field limits_fields[] = {
    {"body_size_limit", YAML_FIELD_SIZE, YAML_AT(scrape_limits, body_size_bytes)},
    {"sample_limit", YAML_FIELD_UINT, YAML_AT(scrape_limits, samples)},
    {"target_limit", YAML_FIELD_UINT, YAML_AT(scrape_limits, targets)},
    {"label_limit", YAML_FIELD_UINT, YAML_AT(scrape_limits, labels)},
    {"label_name_length_limit", YAML_FIELD_UINT, YAML_AT(scrape_limits, label_name_length)},
    {"label_value_length_limit", YAML_FIELD_UINT, YAML_AT(scrape_limits, label_value_length)},
};

const struct yaml_struct scrape_limits_type = {
    .size = sizeof(struct scrape_limits), .fields = limits_fields, .n = countof(limits_fields)};

static const struct yaml_field global_fields[] = {
    {"scrape_interval", YAML_FIELD_DURATION, YAML_AT(global_config, scrape_interval_ms)},
    {"scrape_timeout", YAML_FIELD_DURATION, YAML_AT(global_config, scrape_timeout_ms)},
    {"scrape_protocols", YAML_FIELD_STRS, YAML_AT(global_config, protocols.names),
     .go = "[]config.ScrapeProtocol"},
    {"evaluation_interval", YAML_FIELD_DURATION, YAML_AT(global_config, evaluation_interval_ms)},
    {"rule_query_offset", YAML_FIELD_DURATION, YAML_AT(global_config, rule_query_offset_ms)},
    {"query_log_file", YAML_FIELD_STR, YAML_AT(global_config, query_log_file)},
    {"scrape_failure_log_file", YAML_FIELD_STR, YAML_AT(global_config, scrape_failure_log_file)},
    {"external_labels", YAML_FIELD_PAIRS, YAML_AT(global_config, external_labels)},
    {"", YAML_FIELD_INLINE, YAML_AT(global_config, limits), .of = &scrape_limits_type},
    {"keep_dropped_targets", YAML_FIELD_UINT, YAML_AT(global_config, limits.keep_dropped_targets)},
    {"metric_name_validation_scheme", YAML_FIELD_CUSTOM, YAML_AT(global_config, validation),
     .custom = &name_validation_field},
    {"metric_name_escaping_scheme", YAML_FIELD_STR, YAML_AT(global_config, escaping_text)},
    {"scrape_native_histograms", YAML_FIELD_SWITCH,
     YAML_AT(global_config, scrape_native_histograms)},
    {"convert_classic_histograms_to_nhcb", YAML_FIELD_BOOL,
     YAML_AT(global_config, convert_classic_histograms_to_nhcb)},
    {"always_scrape_classic_histograms", YAML_FIELD_BOOL,
     YAML_AT(global_config, always_scrape_classic_histograms)},
    {"extra_scrape_metrics", YAML_FIELD_BOOL, YAML_AT(global_config, extra_scrape_metrics)},
};

static void init_empty(void *object)
{
    (void)object; // the block's own defaults are filled in by the check
}

void global_config_init(struct global_config *g)
{
    *g = (struct global_config){.scrape_interval_ms = 60000,
                                .scrape_timeout_ms = 10000,
                                .evaluation_interval_ms = 60000,
                                .validation = NAME_VALIDATION_UTF8,
                                .escaping_text = STR("allow-utf-8")};
}

bool global_config_is_zero(const struct global_config *g)
{
    return !g->external_labels.n && !g->scrape_interval_ms && !g->scrape_timeout_ms &&
           !g->evaluation_interval_ms && !g->rule_query_offset_ms && !g->query_log_file.n &&
           !g->scrape_failure_log_file.n && !g->protocols.names.items &&
           g->scrape_native_histograms == YAML_UNSET && !g->convert_classic_histograms_to_nhcb &&
           !g->always_scrape_classic_histograms && !g->extra_scrape_metrics;
}

static err check_external(struct yaml_decoder *d, const struct yaml_node *n,
                          const struct global_config *g)
{
    const bool legacy = g->validation == NAME_VALIDATION_LEGACY;
    for (size_t i = 0; i < g->external_labels.n; i++) {
        const struct yaml_pair *const l = &g->external_labels.items[i];
        if (legacy ? !label_name_is_legacy(l->key) : !name_is_utf8(l->key))
            return yaml_fail(d, n, "%.*s is not a valid label name",
                             STR_ARG(config_quote(d->arena, l->key)));
    }
    return ERR_OK;
}

static void note_global(struct yaml_decoder *d, const struct yaml_node *n,
                        const struct global_config *g)
{
    const struct {
        const char *name;
        bool asked;
    } unbuilt[] = {
        {"scrape_native_histograms", g->scrape_native_histograms == 1},
        {"convert_classic_histograms_to_nhcb", g->convert_classic_histograms_to_nhcb},
    };
    for (size_t i = 0; i < countof(unbuilt); i++)
        if (unbuilt[i].asked)
            yaml_note_field(d, n, unbuilt[i].name);
    scrape_protocols_note(d, n, &g->protocols);
}

static err check_global(struct yaml_decoder *d, const struct yaml_node *n, void *object)
{
    struct global_config *const g = object;
    struct global_config defaults;
    global_config_init(&defaults);
    if (!g->validation)
        g->validation = defaults.validation;
    TRY(check_external(d, n, g));
    if (!g->scrape_interval_ms)
        g->scrape_interval_ms = defaults.scrape_interval_ms;
    if (g->scrape_timeout_ms > g->scrape_interval_ms)
        return yaml_fail(d, n, "global scrape timeout greater than scrape interval");
    if (!g->scrape_timeout_ms)
        g->scrape_timeout_ms = defaults.scrape_timeout_ms < g->scrape_interval_ms
                                   ? defaults.scrape_timeout_ms
                                   : g->scrape_interval_ms;
    if (!g->evaluation_interval_ms)
        g->evaluation_interval_ms = defaults.evaluation_interval_ms;
    if (g->scrape_native_histograms == YAML_UNSET)
        g->scrape_native_histograms = defaults.scrape_native_histograms;
    struct errmsg why;
    if (g->protocols.names.items && scrape_protocols_check(&g->protocols, &why))
        return yaml_fail(d, n, "%s for global config", why.text);
    note_global(d, n, g);
    return ERR_OK;
}

const struct yaml_struct global_config_type = {.go = "config.plain",
                                               .size = sizeof(struct global_config),
                                               .fields = global_fields,
                                               .n = countof(global_fields),
                                               .init = init_empty,
                                               .check = check_global};
