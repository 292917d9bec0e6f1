// Prometheus's command line: every flag of `prometheus` 3.14, hidden ones too, with its name and
// default, so that status/flags lists them all.
//
// Flags of what is not built, or of what this engine does differently, are marked SETTING_IGNORED.
#ifndef ENGINE_CONFIG_PROM_FLAGS_H
#define ENGINE_CONFIG_PROM_FLAGS_H

#include "engine/base/arena.h"
#include "engine/config/setting.h"

struct prom_web_flags {
    struct setting_list listen_address, accepted_protobuf_messages;
    struct str config_file, external_url, route_prefix, user_assets;
    struct str console_templates, console_libraries, page_title, cors_origin;
    int64_t read_timeout_ms, max_connections, max_notifications_subscribers, search_max_limit;
    bool enable_lifecycle, enable_admin_api, enable_remote_write_receiver, enable_otlp_receiver;
};

struct prom_tsdb_flags {
    struct str path, delay_compact_file, wal_compression_type;
    int64_t retention_ms, retention_bytes; // 0: not set; see prom_flags_finish
    int64_t min_block_ms, max_block_ms, block_reload_interval_ms;
    int64_t max_block_chunk_segment_bytes, wal_segment_bytes;
    int64_t head_chunks_write_queue_size, samples_per_chunk, delayed_compaction_max_percent;
    bool no_lockfile, wal_compression, allow_overlapping_compaction;
};

struct prom_agent_flags {
    struct str path, wal_compression_type;
    int64_t wal_segment_bytes, wal_truncate_ms, retention_min_ms, retention_max_ms;
    int64_t checkpoint_batch_size;
    bool wal_compression, no_lockfile, checkpoint_from_memory;
};

struct prom_query_flags {
    int64_t lookback_delta_ms, timeout_ms, max_concurrency, max_samples;
};

struct prom_rules_flags {
    int64_t outage_tolerance_ms, grace_period_ms, resend_delay_ms, max_concurrent_evals;
    int64_t notification_queue_capacity, notification_batch_size;
    bool drain_notifications;
};

struct prom_remote_flags {
    int64_t flush_deadline_ms, read_sample_limit, read_concurrent_limit, read_frame_bytes;
};

struct prom_flags {
    bool help, version, write_documentation, agent;
    struct str config_file, log_level, log_format;
    bool auto_reload, ignore_unsupported;
    int64_t auto_reload_interval_ms;
    struct setting_list features; // each may be a list with commas: see prom_flags_has_feature
    struct prom_web_flags web;
    struct prom_tsdb_flags tsdb;
    struct prom_agent_flags agent_storage;
    struct prom_query_flags query;
    struct prom_rules_flags rules;
    struct prom_remote_flags remote;
    bool scrape_adjust_timestamps;
    int64_t scrape_timestamp_tolerance_ms, scrape_discovery_reload_ms;
    bool auto_gomaxprocs, auto_gomemlimit;
    double auto_gomemlimit_ratio;
    int64_t auto_gomemlimit_refresh_ms;
};

// Fills rows that point into f, and returns how many; the caller may add rows of its own behind.
size_t prom_flags_rows(struct prom_flags *f, struct setting rows[static SETTINGS_MAX]);
// What depends on other flags: retention of 15 days where none is set, the largest block, the route
// prefix. Made texts live in the arena.
void prom_flags_finish(struct prom_flags *f, struct arena *a);
bool prom_flags_has_feature(const struct prom_flags *f, struct str name);

#endif
