// features: what this server can, by category, as Prometheus lists its own. What it cannot (yet) is
// false, or does not stand there.
#include "engine/base/util.h"
#include "engine/promql/function_table.h"
#include "engine/server/api.h"
#include "engine/server/handlers.h"
#include "engine/server/server.h"

struct feature {
    const char *name;
    bool is_on;
};

static void put_category(struct json *j, const char *name, const struct feature *features, size_t n)
{
    json_key(j, name);
    json_object_begin(j);
    for (size_t i = 0; i < n; i++) {
        json_key(j, features[i].name);
        json_bool(j, features[i].is_on);
    }
    json_object_end(j);
}

static void put_api(struct json *j, const struct prom_web_flags *web)
{
    const struct feature features[] = {
        {"admin", web->enable_admin_api},
        {"exclude_alerts", true},
        {"label_values_match", true},
        {"lifecycle", web->enable_lifecycle},
        {"openapi_3.1", false},
        {"openapi_3.2", false},
        {"otlp_write_receiver", false},
        {"query_stats", true},
        {"query_warnings", true},
        {"remote_write_receiver", web->enable_remote_write_receiver},
        {"time_range_labels", true},
        {"time_range_series", true},
    };
    put_category(j, "api", features, countof(features));
}

static void put_promql(struct json *j, const struct promql_options *o, bool delayed_name_removal)
{
    const struct feature features[] = {
        {"anchored", o->extended_range_selectors},
        {"at_modifier", true},
        {"bool", true},
        {"by", true},
        {"delayed_name_removal", delayed_name_removal},
        {"duration_expr", !o->no_duration_expressions},
        {"fill", o->binop_fill_modifiers},
        {"fill_left", o->binop_fill_modifiers},
        {"fill_right", o->binop_fill_modifiers},
        {"group_left", true},
        {"group_right", true},
        {"ignoring", true},
        {"negative_offset", true},
        {"offset", true},
        {"on", true},
        {"per_query_lookback_delta", true},
        {"per_step_stats", false},
        {"smoothed", o->extended_range_selectors},
        {"subqueries", true},
        {"type_and_unit_labels", false},
        {"without", true},
    };
    put_category(j, "promql", features, countof(features));
}

static void put_functions(struct json *j, bool experimental)
{
    json_key(j, "promql_functions");
    json_object_begin(j);
    for (int id = 0; id < PROMQL_FN_COUNT; id++) {
        const struct promql_function *f = promql_function_at((enum promql_function_id)id);
        json_key_str(j, f->name);
        json_bool(j, experimental || !f->experimental);
    }
    json_object_end(j);
}

static void put_operators(struct json *j, bool experimental)
{
    const struct feature features[] = {
        {"!=", true},
        {"!~", true},
        {"%", true},
        {"*", true},
        {"+", true},
        {"-", true},
        {"/", true},
        {"<", true},
        {"<=", true},
        {"==", true},
        {"=~", true},
        {">", true},
        {">=", true},
        {"@", true},
        {"^", true},
        {"and", true},
        {"atan2", true},
        {"avg", true},
        {"bottomk", true},
        {"count", true},
        {"count_values", true},
        {"group", true},
        {"limit_ratio", experimental},
        {"limitk", experimental},
        {"max", true},
        {"min", true},
        {"or", true},
        {"quantile", true},
        {"stddev", true},
        {"stdvar", true},
        {"sum", true},
        {"topk", true},
        {"unless", true},
    };
    put_category(j, "promql_operators", features, countof(features));
}

void api_features(struct api *api)
{
    const struct server *s = api->server;
    static const struct feature receiver[] = {{"delta_conversion", false},
                                              {"native_delta_ingestion", false}};
    static const struct feature prometheus[] = {{"agent_mode", false},
                                                {"auto_reload_config", false},
                                                {"server_mode", true},
                                                {"stringlabels", false}};
    static const struct feature rules[] = {
        {"concurrent_rule_eval", false}, {"keep_firing_for", false}, {"query_offset", false}};
    static const struct feature scrape[] = {{"extra_scrape_metrics", true},
                                            {"start_timestamp_zero_ingestion", false},
                                            {"type_and_unit_labels", false}};
    static const struct feature discovery[] = {{"static", true}};
    const struct feature tsdb[] = {{"delayed_compaction", false},
                                   {"exemplar_storage", s->exemplar_storage},
                                   {"isolation", true},
                                   {"native_histograms", false},
                                   {"use_uncached_io", false}};
    static const struct feature ui[] = {{"ui_v2", false}, {"ui_v3", false}};
    struct json *j = &api->json;
    api_begin(api);
    json_object_begin(j);
    put_api(j, &s->flags.prom.web);
    put_category(j, "otlp_receiver", receiver, countof(receiver));
    put_category(j, "prometheus", prometheus, countof(prometheus));
    put_promql(j, &s->promql, s->delayed_name_removal);
    put_functions(j, s->promql.experimental_functions);
    put_operators(j, s->promql.experimental_functions);
    put_category(j, "rules", rules, countof(rules));
    put_category(j, "scrape", scrape, countof(scrape));
    put_category(j, "service_discovery_providers", discovery, countof(discovery));
    put_category(j, "templating_functions", NULL, 0);
    put_category(j, "tsdb", tsdb, countof(tsdb));
    put_category(j, "ui", ui, countof(ui));
    json_object_end(j);
    api_end(api);
}
