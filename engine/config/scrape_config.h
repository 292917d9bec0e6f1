// scrape_configs: which targets to scrape and how. Every field stands as it is in effect: what a
// job leaves out has taken the global value.
#ifndef ENGINE_CONFIG_SCRAPE_CONFIG_H
#define ENGINE_CONFIG_SCRAPE_CONFIG_H

#include "engine/config/http_client_config.h"
#include "engine/config/relabel_config.h"

enum scrape_protocol {
    SCRAPE_PROTOCOL_NONE,
    SCRAPE_PROTOCOL_PROTOBUF,
    SCRAPE_PROTOCOL_TEXT_0_0_4,
    SCRAPE_PROTOCOL_TEXT_1_0_0,
    SCRAPE_PROTOCOL_OPENMETRICS_0_0_1,
    SCRAPE_PROTOCOL_OPENMETRICS_1_0_0,
    SCRAPE_PROTOCOLS,
};
struct scrape_protocols {
    enum scrape_protocol items[SCRAPE_PROTOCOLS]; // most wanted first
    size_t n;
    struct yaml_strs names; // as written; items NULL: left to the default
};

enum name_validation { NAME_VALIDATION_UNSET, NAME_VALIDATION_LEGACY, NAME_VALIDATION_UTF8 };

enum name_escaping { // what to ask targets for
    NAME_ESCAPING_UNSET,
    NAME_ESCAPING_ALLOW_UTF8,
    NAME_ESCAPING_UNDERSCORES,
    NAME_ESCAPING_DOTS,
    NAME_ESCAPING_VALUES,
};

struct static_group {         // of static_configs
    struct yaml_strs targets; // host:port
    struct yaml_pairs labels; // sorted by name
};

// Limits; 0: none.
struct scrape_limits {
    int64_t body_size_bytes;
    uint64_t samples, targets, labels, label_name_length, label_value_length, keep_dropped_targets;
};

struct scrape_config {
    struct str job_name;
    bool honor_labels, honor_timestamps, track_timestamps_staleness, enable_compression;
    struct config_lists params;
    int64_t scrape_interval_ms, scrape_timeout_ms;
    struct scrape_protocols protocols;
    enum scrape_protocol fallback_protocol; // SCRAPE_PROTOCOL_NONE: a bad content type fails
    struct str fallback_text;
    // Switches: 0 or 1.
    int8_t scrape_native_histograms, always_scrape_classic_histograms;
    int8_t convert_classic_histograms_to_nhcb, extra_scrape_metrics;
    struct str scrape_failure_log_file, metrics_path, scheme;
    struct scrape_limits limits;
    uint64_t native_histogram_bucket_limit;    // 0: none
    double native_histogram_min_bucket_factor; // 0: none
    struct str validation_text, escaping_text; // as printed
    enum name_validation validation;
    enum name_escaping escaping;
    struct http_client_config http;
    struct relabel_rules relabel, metric_relabel;
    struct {
        struct static_group *items;
        size_t n;
    } static_groups;
    uint32_t line;   // where it begins in its file
    struct str file; // which one
};

struct global_config {
    int64_t scrape_interval_ms, scrape_timeout_ms, evaluation_interval_ms, rule_query_offset_ms;
    struct scrape_protocols protocols;
    struct str query_log_file, scrape_failure_log_file;
    struct yaml_pairs external_labels;  // expanded, sorted by name
    struct str external_labels_encoded; // as labels (engine/model), without empty values
    struct scrape_limits limits;
    struct str validation_text, escaping_text;
    enum name_validation validation;
    enum name_escaping escaping;
    int8_t scrape_native_histograms;
    bool convert_classic_histograms_to_nhcb, always_scrape_classic_histograms;
    bool extra_scrape_metrics;
};

extern const struct yaml_struct scrape_config_type, global_config_type;

const char *scrape_protocol_text(enum scrape_protocol p);
const char *name_escaping_text(enum name_escaping e); // "allow-utf-8"
void global_config_init(struct global_config *g);     // Prometheus's defaults
// A block that says nothing counts as absent: its zeros become the defaults.
bool global_config_is_zero(const struct global_config *g);
// What the job leaves out is taken from g; then what does not fit together is refused.
err scrape_config_check(struct yaml_decoder *d, struct scrape_config *c,
                        const struct global_config *g);
// Joins the files' paths to dir.
void scrape_config_set_dir(struct scrape_config *c, struct arena *a, struct str dir);

#endif
