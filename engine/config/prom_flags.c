#include "engine/config/prom_flags.h"

#include <assert.h>

#include "engine/base/util.h"
#include "protocol/url.h"

static const int64_t day_ms = 86400000;

static const char *const levels[] = {"debug", "info", "warn", "error", NULL};
static const char *const formats[] = {"logfmt", "json", NULL};
static const char *const compressions[] = {"snappy", "zstd", NULL};

struct rows {
    struct setting *items;
    size_t n;
};

static void add(struct rows *r, const struct setting *more, size_t n)
{
    assert(r->n + n <= SETTINGS_MAX);
    memcpy(r->items + r->n, more, n * sizeof *more);
    r->n += n;
}

static void add_general(struct rows *r, struct prom_flags *f)
{
    const struct setting rows[] = {
        {"help", 'h', .flag = &f->help, .traits = SETTING_BUILTIN,
         .help = "Show context-sensitive help."},
        {"version", .flag = &f->version, .traits = SETTING_BUILTIN,
         .help = "Show application version."},
        {"write-documentation", .flag = &f->write_documentation,
         .traits = SETTING_BUILTIN | SETTING_HIDDEN,
         .help = "Generate command line documentation."},
        {"config.file", .text = &f->config_file, .default_text = "prometheus.yml",
         .help = "Configuration file path."},
        {"config.auto-reload", .flag = &f->auto_reload,
         .help = "Reload the configuration file when it or a file it names changes."},
        {"config.auto-reload-interval", .duration_ms = &f->auto_reload_interval_ms, .min = 1000,
         .max = 365 * day_ms, .default_text = "30s", .traits = SETTING_IGNORED,
         .help = "How often to look for changes of the configuration file."},
        {"config.ignore-unsupported", .flag = &f->ignore_unsupported,
         .help = "Start although the configuration asks for what this version cannot do (it would "
                 "be missing silently); each is logged as a warning instead."},
        {"auto-gomaxprocs", .flag = &f->auto_gomaxprocs, .default_text = "true",
         .traits = SETTING_IGNORED, .help = "Set GOMAXPROCS by the container's CPU quota."},
        {"auto-gomemlimit", .flag = &f->auto_gomemlimit, .default_text = "true",
         .traits = SETTING_IGNORED, .help = "Set GOMEMLIMIT by the container's memory limit."},
        {"auto-gomemlimit.ratio", .fraction = &f->auto_gomemlimit_ratio, .default_text = "0.9",
         .traits = SETTING_IGNORED, .help = "The part of the memory to use for GOMEMLIMIT."},
        {"auto-gomemlimit.refresh-interval", .duration_ms = &f->auto_gomemlimit_refresh_ms,
         .default_text = "0s", .traits = SETTING_IGNORED,
         .help = "How often to look at the memory limit again; 0: never."},
        {"enable-feature", .list = &f->features, .placeholder = "",
         .help = "Comma separated names of features to enable. Can be repeated; unknown names are "
                 "named in a warning."},
        {"agent", .flag = &f->agent, .help = "Run in agent mode."},
        {"log.level", .text = &f->log_level, .default_text = "info", .choices = levels,
         .choice_name = "log level",
         .help = "Only log messages with the given severity or above. One of: [debug, info, warn, "
                 "error]"},
        {"log.format", .text = &f->log_format, .default_text = "logfmt", .choices = formats,
         .choice_name = "log format",
         .help = "Output format of log messages. One of: [logfmt, json]"},
        {"scrape.adjust-timestamps", .flag = &f->scrape_adjust_timestamps, .default_text = "true",
         .traits = SETTING_HIDDEN,
         .help = "Align scrape timestamps to the schedule where they are near enough."},
        {"scrape.timestamp-tolerance", .duration_ms = &f->scrape_timestamp_tolerance_ms,
         .default_text = "2ms", .traits = SETTING_HIDDEN,
         .help = "How near to its schedule a scrape is aligned."},
        {"scrape.discovery-reload-interval", .duration_ms = &f->scrape_discovery_reload_ms,
         .default_text = "5s", .traits = SETTING_HIDDEN | SETTING_IGNORED,
         .help = "Interval used to throttle updates of targets."},
    };
    add(r, rows, countof(rows));
}

static void add_web(struct rows *r, struct prom_web_flags *f)
{
    const struct setting rows[] = {
        {"web.listen-address", .list = &f->listen_address, .default_text = "0.0.0.0:9090",
         .help = "Address to listen on for UI, API, and telemetry. Can be repeated."},
        {"web.config.file", .text = &f->config_file, .default_text = "",
         .help = "Path to configuration file that can enable TLS or authentication."},
        {"web.read-timeout", .duration_ms = &f->read_timeout_ms, .default_text = "5m",
         .help = "Maximum duration before timing out read of the request, and closing idle "
                 "connections."},
        {"web.max-connections", .number = &f->max_connections, .default_text = "512", .min = 1,
         .max = 1 << 24,
         .help = "Maximum number of simultaneous connections across all listeners."},
        {"web.max-notifications-subscribers", .number = &f->max_notifications_subscribers,
         .default_text = "16",
         .help = "Limits the subscribers that can concurrently receive live notifications."},
        {"web.external-url", .text = &f->external_url, .placeholder = "<URL>",
         .help = "The URL under which the server is externally reachable, for example behind a "
                 "reverse proxy. Its path prefixes all HTTP endpoints."},
        {"web.route-prefix", .text = &f->route_prefix, .placeholder = "<path>",
         .help = "Prefix for the internal routes of web endpoints. Defaults to path of "
                 "--web.external-url."},
        {"web.user-assets", .text = &f->user_assets, .placeholder = "<path>",
         .traits = SETTING_IGNORED, .help = "Path to static asset directory, available at /user."},
        {"web.enable-lifecycle", .flag = &f->enable_lifecycle,
         .help = "Enable shutdown and reload via HTTP request."},
        {"web.enable-admin-api", .flag = &f->enable_admin_api,
         .help = "Enable API endpoints for admin control actions."},
        {"web.enable-remote-write-receiver", .flag = &f->enable_remote_write_receiver,
         .help = "Enable API endpoint accepting remote write requests."},
        {"web.remote-write-receiver.accepted-protobuf-messages",
         .list = &f->accepted_protobuf_messages,
         .default_text = "prometheus.WriteRequest,io.prometheus.write.v2.Request",
         .placeholder = "prometheus.WriteRequest...",
         .help = "Protobuf messages of remote write to accept: prometheus.WriteRequest, "
                 "io.prometheus.write.v2.Request."},
        {"web.enable-otlp-receiver", .flag = &f->enable_otlp_receiver,
         .help = "Enable API endpoint accepting OTLP write requests."},
        {"web.console.templates", .text = &f->console_templates, .default_text = "consoles",
         .traits = SETTING_IGNORED,
         .help = "Path to the console template directory, available at /consoles."},
        {"web.console.libraries", .text = &f->console_libraries,
         .default_text = "console_libraries", .traits = SETTING_IGNORED,
         .help = "Path to the console library directory."},
        {"web.page-title", .text = &f->page_title,
         .default_text = "Prometheus Time Series Collection and Processing Server",
         .traits = SETTING_IGNORED, .help = "Document title of the web pages."},
        {"web.cors.origin", .text = &f->cors_origin, .default_text = ".*",
         .help = "Regex for CORS origin. It is fully anchored. Example: "
                 "'https?://(domain1|domain2)\\.com'"},
        {"web.search.max-limit", .number = &f->search_max_limit, .default_text = "10000",
         .traits = SETTING_SERVER | SETTING_IGNORED,
         .help = "The most results a search may ask for."},
    };
    add(r, rows, countof(rows));
}

static void add_tsdb(struct rows *r, struct prom_tsdb_flags *f)
{
    enum { HIDDEN = SETTING_SERVER | SETTING_HIDDEN, UNUSED = HIDDEN | SETTING_IGNORED };
    const struct setting rows[] = {
        {"storage.tsdb.path", .text = &f->path, .default_text = "data/", .traits = SETTING_SERVER,
         .help = "Base path for metrics storage."},
        {"storage.tsdb.min-block-duration", .duration_ms = &f->min_block_ms, .default_text = "2h",
         .traits = UNUSED, .help = "Minimum duration of a data block before being persisted."},
        {"storage.tsdb.max-block-duration", .duration_ms = &f->max_block_ms, .traits = UNUSED,
         .placeholder = "<duration>", .help = "Maximum duration compacted blocks may span."},
        {"storage.tsdb.max-block-chunk-segment-size",
         .size_bytes = &f->max_block_chunk_segment_bytes, .traits = UNUSED,
         .placeholder = "<bytes>", .help = "The maximum size for a single chunk segment."},
        {"storage.tsdb.wal-segment-size", .size_bytes = &f->wal_segment_bytes, .traits = UNUSED,
         .placeholder = "<bytes>", .help = "Size at which to split the WAL's segment files."},
        {"storage.tsdb.retention.time", .duration_ms = &f->retention_ms, .traits = SETTING_SERVER,
         .placeholder = "<duration>",
         .help = "How long to retain samples in storage. If neither this flag nor "
                 "\"storage.tsdb.retention.size\" is set, the retention time defaults to 15d. "
                 "Units Supported: y, w, d, h, m, s, ms."},
        {"storage.tsdb.retention.size", .size_bytes = &f->retention_bytes, .traits = SETTING_SERVER,
         .placeholder = "<bytes>",
         .help = "Maximum number of bytes that can be stored. A unit is required, supported units: "
                 "B, KB, MB, GB, TB, PB, EB. Ex: \"512MB\". Based on powers-of-2, so 1KB is "
                 "1024B."},
        {"storage.tsdb.no-lockfile", .flag = &f->no_lockfile,
         .traits = SETTING_SERVER | SETTING_IGNORED, .help = "Do not lock the data directory."},
        {"storage.tsdb.allow-overlapping-compaction", .flag = &f->allow_overlapping_compaction,
         .default_text = "true", .traits = UNUSED, .help = "Merge blocks that overlap."},
        {"storage.tsdb.wal-compression", .flag = &f->wal_compression, .default_text = "true",
         .traits = UNUSED, .help = "Compress the WAL."},
        {"storage.tsdb.wal-compression-type", .text = &f->wal_compression_type,
         .default_text = "snappy", .choices = compressions, .traits = UNUSED,
         .help = "Compression algorithm for the WAL."},
        {"storage.tsdb.head-chunks-write-queue-size", .number = &f->head_chunks_write_queue_size,
         .default_text = "0", .traits = SETTING_SERVER | SETTING_IGNORED,
         .help = "Size of the queue through which head chunks are written to the disk."},
        {"storage.tsdb.samples-per-chunk", .number = &f->samples_per_chunk, .default_text = "120",
         .traits = UNUSED, .help = "Target number of samples per chunk."},
        {"storage.tsdb.delayed-compaction.max-percent",
         .number = &f->delayed_compaction_max_percent, .default_text = "10", .max = 100,
         .traits = UNUSED, .help = "How far compaction may be delayed, in percent of a block."},
        {"storage.tsdb.delay-compact-file.path", .text = &f->delay_compact_file,
         .traits = SETTING_SERVER | SETTING_IGNORED, .placeholder = "<path>",
         .help = "Path to a JSON file that lists uploaded blocks; others are not merged."},
        {"storage.tsdb.block-reload-interval", .duration_ms = &f->block_reload_interval_ms,
         .default_text = "1m", .min = 1000, .max = 365 * day_ms, .traits = UNUSED,
         .help = "How often to look for new blocks on the disk."},
    };
    add(r, rows, countof(rows));
}

static void add_agent(struct rows *r, struct prom_agent_flags *f)
{
    enum { AGENT = SETTING_AGENT, HIDDEN = SETTING_AGENT | SETTING_HIDDEN };
    const struct setting rows[] = {
        {"storage.agent.path", .text = &f->path, .default_text = "data-agent/", .traits = AGENT,
         .help = "Base path for metrics storage."},
        {"storage.agent.wal-segment-size", .size_bytes = &f->wal_segment_bytes, .traits = HIDDEN,
         .placeholder = "<bytes>", .help = "Size at which to split the WAL's segment files."},
        {"storage.agent.wal-compression", .flag = &f->wal_compression, .default_text = "true",
         .traits = AGENT, .help = "Compress the agent WAL."},
        {"storage.agent.wal-compression-type", .text = &f->wal_compression_type,
         .default_text = "snappy", .choices = compressions, .traits = HIDDEN,
         .help = "Compression algorithm for the agent WAL."},
        {"storage.agent.wal-truncate-frequency", .duration_ms = &f->wal_truncate_ms,
         .traits = HIDDEN, .placeholder = "<duration>",
         .help = "The frequency at which to truncate the WAL and remove old data."},
        {"storage.agent.retention.min-time", .duration_ms = &f->retention_min_ms, .traits = AGENT,
         .placeholder = "<duration>",
         .help = "Minimum age samples may be before being considered for deletion when the WAL is "
                 "truncated."},
        {"storage.agent.retention.max-time", .duration_ms = &f->retention_max_ms, .traits = AGENT,
         .placeholder = "<duration>",
         .help = "Maximum age samples may be before being forcibly deleted when the WAL is "
                 "truncated."},
        {"storage.agent.checkpoint-from-in-memory-series", .flag = &f->checkpoint_from_memory,
         .traits = AGENT, .help = "Write checkpoints from the series in memory."},
        {"storage.agent.checkpoint-batch-size", .number = &f->checkpoint_batch_size,
         .default_text = "1000", .traits = AGENT, .help = "Series in one write of a checkpoint."},
        {"storage.agent.no-lockfile", .flag = &f->no_lockfile, .traits = AGENT,
         .help = "Do not lock the data directory."},
    };
    add(r, rows, countof(rows));
}

static void add_remote(struct rows *r, struct prom_remote_flags *f)
{
    const struct setting rows[] = {
        {"storage.remote.flush-deadline", .duration_ms = &f->flush_deadline_ms,
         .default_text = "1m", .placeholder = "<duration>", .traits = SETTING_IGNORED,
         .help = "How long to wait flushing sample on shutdown or config reload."},
        {"storage.remote.read-sample-limit", .number = &f->read_sample_limit, .default_text = "5e7",
         .traits = SETTING_SERVER | SETTING_IGNORED,
         .help = "Maximum overall number of samples to return via the remote read interface, in a "
                 "single query. 0 means no limit. Ignored for streamed response types."},
        {"storage.remote.read-concurrent-limit", .number = &f->read_concurrent_limit,
         .default_text = "10", .traits = SETTING_SERVER | SETTING_IGNORED,
         .help = "Maximum number of concurrent remote read calls. 0 means no limit."},
        {"storage.remote.read-max-bytes-in-frame", .number = &f->read_frame_bytes,
         .default_text = "1048576", .traits = SETTING_SERVER | SETTING_IGNORED,
         .help = "Maximum number of bytes in a single frame for streaming remote read response "
                 "types before marshalling."},
    };
    add(r, rows, countof(rows));
}

static void add_rules(struct rows *r, struct prom_rules_flags *f)
{
    enum { UNUSED = SETTING_SERVER | SETTING_IGNORED };
    const struct setting rows[] = {
        {"rules.alert.for-outage-tolerance", .duration_ms = &f->outage_tolerance_ms,
         .default_text = "1h", .traits = UNUSED,
         .help = "Max time to tolerate outage for restoring \"for\" state of alert."},
        {"rules.alert.for-grace-period", .duration_ms = &f->grace_period_ms, .default_text = "10m",
         .traits = UNUSED, .help = "Minimum duration between alert and restored \"for\" state."},
        {"rules.alert.resend-delay", .duration_ms = &f->resend_delay_ms, .default_text = "1m",
         .traits = UNUSED,
         .help = "Minimum amount of time to wait before resending an alert to Alertmanager."},
        {"rules.max-concurrent-evals", .number = &f->max_concurrent_evals, .default_text = "4",
         .traits = UNUSED, .help = "Limit of independent rules that are evaluated concurrently."},
        {"alertmanager.notification-queue-capacity", .number = &f->notification_queue_capacity,
         .default_text = "10000", .traits = UNUSED,
         .help = "The capacity of the queue for pending Alertmanager notifications."},
        {"alertmanager.notification-batch-size", .number = &f->notification_batch_size,
         .default_text = "256", .traits = UNUSED,
         .help = "The maximum number of notifications per batch to send to the Alertmanager."},
        {"alertmanager.drain-notification-queue-on-shutdown", .flag = &f->drain_notifications,
         .default_text = "true", .traits = UNUSED,
         .help = "Send any outstanding Alertmanager notifications when shutting down."},
    };
    add(r, rows, countof(rows));
}

static void add_query(struct rows *r, struct prom_query_flags *f)
{
    const struct setting rows[] = {
        {"query.lookback-delta", .duration_ms = &f->lookback_delta_ms, .default_text = "5m",
         .traits = SETTING_SERVER,
         .help = "The maximum lookback duration for retrieving metrics during expression "
                 "evaluations and federation."},
        {"query.timeout", .duration_ms = &f->timeout_ms, .default_text = "2m",
         .traits = SETTING_SERVER, .help = "Maximum time a query may take before being aborted."},
        {"query.max-concurrency", .number = &f->max_concurrency, .default_text = "20",
         .traits = SETTING_SERVER, .help = "Maximum number of queries executed concurrently."},
        {"query.max-samples", .number = &f->max_samples, .default_text = "50000000",
         .traits = SETTING_SERVER,
         .help = "Maximum number of samples a single query can load into memory; queries that "
                 "need more fail. This also limits the number of samples a query can return."},
    };
    add(r, rows, countof(rows));
}

size_t prom_flags_rows(struct prom_flags *f, struct setting rows[static SETTINGS_MAX])
{
    struct rows r = {.items = rows};
    add_general(&r, f);
    add_web(&r, &f->web);
    add_tsdb(&r, &f->tsdb);
    add_agent(&r, &f->agent_storage);
    add_remote(&r, &f->remote);
    add_rules(&r, &f->rules);
    add_query(&r, &f->query);
    return r.n;
}

static struct str trim_slashes(struct str s)
{
    while (s.n && s.p[0] == '/')
        s = str_from(s, 1);
    while (s.n && s.p[s.n - 1] == '/')
        s.n--;
    return s;
}

void prom_flags_finish(struct prom_flags *f, struct arena *a)
{
    struct prom_tsdb_flags *const t = &f->tsdb;
    if (!t->retention_ms && !t->retention_bytes)
        t->retention_ms = 15 * day_ms;
    if (!t->max_block_ms) {
        t->max_block_ms = 31 * day_ms;
        if (t->retention_ms && t->retention_ms / 10 < t->max_block_ms)
            t->max_block_ms = t->retention_ms / 10;
    }
    struct str prefix = f->web.route_prefix;
    struct url url;
    if (!prefix.n && f->web.external_url.n && url_parse(f->web.external_url, &url, NULL) == ERR_OK)
        prefix = url.path;
    f->web.route_prefix = arena_printf(a, "/%.*s", STR_ARG(trim_slashes(prefix)));
}

bool prom_flags_has_feature(const struct prom_flags *f, struct str name)
{
    for (size_t i = 0; i < f->features.n; i++) {
        struct str rest = f->features.items[i], part;
        while (rest.n && str_split(&rest, ',', &part))
            if (str_eq(part, name))
                return true;
    }
    return false;
}
