// The command line of the server: Prometheus's flags, then our own.
#include "engine/server/server.h"

#include "engine/base/util.h"

static const char *const levels[] = {"debug", "info", "warn", "error", NULL};
static const char *const formats[] = {"logfmt", "json", NULL};
static const char *const syncs[] = {"always", "interval", "none", NULL};
static const char *const backends[] = {"auto", "io_uring", "poll", NULL};

enum { MIB = 1 << 20 };

struct rows {
    struct setting *at;
    size_t n;
};

static void add(struct rows *rows, struct setting row)
{
    assert(rows->n < SERVER_ROWS_MAX);
    rows->at[rows->n++] = row;
}

static void add_general(struct rows *r, struct server_flags *f)
{
    add(r, (struct setting){"help", 'h', .flag = &f->help, .traits = SETTING_BUILTIN,
                            .help = "Show this help and end."});
    add(r, (struct setting){"version", .flag = &f->version, .traits = SETTING_BUILTIN,
                            .help = "Show the version and end."});
    add(r,
        (struct setting){"config.file", .text = &f->config_file, .default_text = "prometheus.yml",
                         .help = "Prometheus configuration file path."});
    add(r, (struct setting){"config.ignore-unsupported", .flag = &f->ignore_unsupported,
                            .help = "Pass over parts of the configuration that are not built yet, "
                                    "with a warning each, instead of refusing it."});
    add(r, (struct setting){"log.level", .text = &f->log_level, .choices = levels,
                            .default_text = "info",
                            .help = "Only log messages with this severity or above."});
    add(r, (struct setting){"log.format", .text = &f->log_format, .choices = formats,
                            .default_text = "logfmt", .help = "Output format of log messages."});
    add(r, (struct setting){"enable-feature", .list = &f->features, .placeholder = "<name>",
                            .help = "Comma separated feature names to enable. Unknown names only "
                                    "warn."});
}

static void add_web(struct rows *r, struct server_flags *f)
{
    add(r, (struct setting){"web.listen-address", .list = &f->listen_addresses,
                            .default_text = "0.0.0.0:9090",
                            .help = "Address to listen on for UI, API, and telemetry. Can be "
                                    "repeated."});
    add(r, (struct setting){"web.config.file", .text = &f->web_config_file,
                            .help = "Not built yet: a file with content is refused, since it asks "
                                    "for TLS or authentication."});
    add(r, (struct setting){"web.read-timeout", .duration_ms = &f->read_timeout_ms, .min = 1,
                            .max = INT64_MAX, .default_text = "5m",
                            .help = "Maximum duration before timing out read of the request, and "
                                    "closing idle connections."});
    add(r, (struct setting){"web.max-connections", .number = &f->max_connections, .min = 1,
                            .max = 1 << 20, .default_text = "512",
                            .help = "Maximum number of simultaneous connections across all "
                                    "listeners."});
    add(r, (struct setting){"web.external-url", .text = &f->external_url, .placeholder = "<URL>",
                            .help = "The URL under which this server is externally reachable; its "
                                    "path is the default of --web.route-prefix."});
    add(r, (struct setting){"web.route-prefix", .text = &f->route_prefix, .placeholder = "<path>",
                            .help = "Prefix for the internal routes of web endpoints."});
    add(r, (struct setting){"web.enable-lifecycle", .flag = &f->enable_lifecycle,
                            .help = "Enable shutdown and reload via HTTP request."});
    add(r, (struct setting){"web.enable-admin-api", .flag = &f->enable_admin_api,
                            .help = "Accepted; the admin endpoints are not built yet."});
    add(r, (struct setting){"web.enable-remote-write-receiver", .flag = &f->enable_receiver,
                            .help = "Enable API endpoint accepting remote write requests."});
    add(r, (struct setting){"web.cors.origin", .text = &f->cors_origin, .default_text = ".*",
                            .help = "Regex for CORS origin. It is fully anchored."});
    add(r, (struct setting){"web.page-title", .text = &f->page_title,
                            .default_text = "Prometheus Time Series Collection and Processing "
                                            "Server",
                            .help = "Document title of the page."});
    add(r, (struct setting){"web.max-undecoded-bytes", .size_bytes = &f->body_bytes_max, .min = MIB,
                            .max = INT64_MAX, .default_text = "256MB",
                            .help = "Bytes of request bodies that a shard holds before it answers "
                                    "503 with Retry-After. Ferula's own."});
}

static void add_storage(struct rows *r, struct server_flags *f)
{
    add(r, (struct setting){"storage.tsdb.path", .text = &f->data_path, .default_text = "data/",
                            .help = "Base path for metrics storage."});
    add(r,
        (struct setting){"storage.tsdb.retention.time", .duration_ms = &f->retention_ms,
                         .default_text = "15d", .help = "How long to retain samples in storage."});
    add(r, (struct setting){"storage.tsdb.out-of-order.receiver-default",
                            .duration_ms = &f->receiver_late_ms, .default_text = "5m",
                            .help = "How late a sample of remote_write may be, against the newest "
                                    "of its series; 0 answers as Prometheus does. Ferula's own."});
    add(r, (struct setting){"storage.wal-sync", .text = &f->wal_sync, .choices = syncs,
                            .default_text = "interval",
                            .help = "When a write is acknowledged: always (synced to the disk), "
                                    "interval (written; a power loss costs at most the interval), "
                                    "none (from memory). Ferula's own."});
    add(r,
        (struct setting){"storage.wal-sync-interval", .duration_ms = &f->wal_sync_interval_ms,
                         .min = 1, .max = 60000, .default_text = "200ms",
                         .help = "How often the WAL is synced under --storage.wal-sync=interval. "
                                 "Ferula's own."});
    add(r, (struct setting){"storage.spill-interval", .duration_ms = &f->spill_ms, .min = 1000,
                            .max = 7200000, .default_text = "15m",
                            .help = "How often packed samples leave memory for files, which bounds "
                                    "memory and replay. Ferula's own."});
    add(r, (struct setting){"storage.placement-labels", .text = &f->placement_labels,
                            .default_text = "cluster,prometheus,prometheus_replica,replica,"
                                            "__replica__",
                            .help = "Labels that decide, with job and instance, where a series "
                                    "lives; fixed when the data folder is made. Ferula's own."});
    add(r, (struct setting){"storage.max-series", .number = &f->series_max, .default_text = "0",
                            .help = "Active series at most; new ones beyond are refused, 0: no "
                                    "limit. Ferula's own."});
}

static void add_engine(struct rows *r, struct server_flags *f)
{
    add(r, (struct setting){"query.lookback-delta", .duration_ms = &f->query_lookback_ms, .min = 1,
                            .max = INT64_MAX, .default_text = "5m",
                            .help = "The maximum lookback duration for retrieving metrics during "
                                    "expression evaluations."});
    add(r, (struct setting){"query.timeout", .duration_ms = &f->query_timeout_ms, .min = 1,
                            .max = INT64_MAX, .default_text = "2m",
                            .help = "Maximum time a query may take before being aborted."});
    add(r, (struct setting){"query.max-concurrency", .number = &f->query_max_concurrency, .min = 1,
                            .max = 100000, .default_text = "20",
                            .help = "Maximum number of queries executed concurrently."});
    add(r, (struct setting){"query.max-samples", .number = &f->query_max_samples, .min = 1,
                            .max = INT64_MAX, .default_text = "50000000",
                            .help = "Maximum number of samples a single query can load into "
                                    "memory."});
    add(r, (struct setting){"query.max-bytes", .size_bytes = &f->query_max_bytes, .min = MIB,
                            .max = INT64_MAX, .default_text = "2GB",
                            .help = "Memory a single query may take on each shard. Ferula's own."});
    add(r, (struct setting){"scrape.adjust-timestamps", .flag = &f->adjust_timestamps,
                            .default_text = "true", .traits = SETTING_HIDDEN,
                            .help = "Adjust scrape timestamps to the schedule within the "
                                    "tolerance."});
    add(r, (struct setting){"scrape.timestamp-tolerance", .duration_ms = &f->timestamp_tolerance_ms,
                            .default_text = "2ms", .traits = SETTING_HIDDEN,
                            .help = "How far a scrape's timestamp may be moved."});
    add(r, (struct setting){"shards", .number = &f->shards, .max = SHARD_MAX, .default_text = "0",
                            .help = "Threads that do the work, one a core; 0: as many as this "
                                    "process may use. Ferula's own."});
    add(r, (struct setting){"pin", .flag = &f->pin, .default_text = "true",
                            .help = "Pin each shard to a core, unless a CPU quota says otherwise. "
                                    "Ferula's own."});
    add(r, (struct setting){"io-backend", .text = &f->io_backend, .choices = backends,
                            .default_text = "auto",
                            .help = "io_uring, poll, or auto: poll where io_uring is refused. "
                                    "Ferula's own."});
    add(r, (struct setting){"cpu-mask", .text = &f->cpu_mask, .placeholder = "<names>",
                            .help = "Instruction sets that SIMD kernels may use; empty: all that "
                                    "the machine has. Ferula's own."});
    add(r,
        (struct setting){"server.max-fibers", .number = &f->max_fibers, .min = 64, .max = 65536,
                         .default_text = "16384",
                         .help = "Flows at work at the same time, on each shard. Ferula's own."});
}

// Prometheus's flags that mean nothing here: given, they warn. Their values are shown by
// status/flags.
static void add_ignored(struct rows *r, struct server_flags *f)
{
    static const struct {
        const char *name, *value, *help;
    } rows[] = {
        {"auto-gomaxprocs", "true", "See --shards."},
        {"auto-gomemlimit", "true", "There is no garbage collector."},
        {"auto-gomemlimit.ratio", "0.9", "There is no garbage collector."},
        {"auto-gomemlimit.refresh-interval", "0s", "There is no garbage collector."},
        {"config.auto-reload", "false", "Reload by SIGHUP or /-/reload."},
        {"config.auto-reload-interval", "30s", "Reload by SIGHUP or /-/reload."},
        {"web.user-assets", "", "There are no user assets."},
        {"web.console.templates", "consoles", "There are no consoles."},
        {"web.console.libraries", "console_libraries", "There are no consoles."},
        {"web.max-notifications-subscribers", "16", "There are no live notifications."},
        {"storage.tsdb.retention.size", "0B", "Retention is by time only."},
        {"storage.tsdb.no-lockfile", "false", "The data folder is always locked."},
        {"storage.tsdb.head-chunks-write-queue-size", "0", "There is no such queue."},
        {"storage.tsdb.min-block-duration", "2h", "Ranges are sealed every two hours."},
        {"storage.tsdb.max-block-duration", "2h", "Ranges are sealed every two hours."},
        {"storage.tsdb.max-block-chunk-segment-size", "0B", "There are no such segments."},
        {"storage.tsdb.wal-segment-size", "0B", "Segments have a fixed size."},
        {"storage.tsdb.wal-compression", "true", "The WAL is always compact."},
        {"storage.tsdb.wal-compression-type", "snappy", "The WAL is always compact."},
        {"storage.tsdb.allow-overlapping-blocks", "true", "They are always allowed."},
        {"storage.tsdb.allow-overlapping-compaction", "true", "They are always allowed."},
        {"storage.tsdb.samples-per-chunk", "120", "Blocks have sizes of their own."},
        {"storage.tsdb.delayed-compaction.max-percent", "10", "Merging is incremental."},
        {"storage.tsdb.block-reload-interval", "1m", "The catalogue is always current."},
        {"storage.remote.flush-deadline", "1m", "There is no remote_write yet."},
        {"storage.remote.read-sample-limit", "50000000", "There is no remote_read yet."},
        {"storage.remote.read-concurrent-limit", "10", "There is no remote_read yet."},
        {"storage.remote.read-max-bytes-in-frame", "1048576", "There is no remote_read yet."},
        {"rules.alert.for-outage-tolerance", "1h", "There are no rules yet."},
        {"rules.alert.for-grace-period", "10m", "There are no rules yet."},
        {"rules.alert.resend-delay", "1m", "There are no rules yet."},
        {"rules.max-concurrent-evals", "4", "There are no rules yet."},
        {"alertmanager.notification-queue-capacity", "10000", "There are no alerts yet."},
        {"alertmanager.notification-batch-size", "256", "There are no alerts yet."},
        {"alertmanager.drain-notification-queue-on-shutdown", "true", "There are no alerts yet."},
        {"scrape.discovery-reload-interval", "5s", "Static targets change by reload only."},
    };
    static_assert(countof(rows) <= SERVER_IGNORED_MAX, "a place for each value");
    for (size_t i = 0; i < countof(rows); i++) {
        struct setting row = {rows[i].name, .default_text = rows[i].value, .help = rows[i].help,
                              .traits = SETTING_IGNORED | SETTING_HIDDEN};
        if (!strcmp(rows[i].value, "true") || !strcmp(rows[i].value, "false"))
            row.flag = &f->ignored[i].flag;
        else
            row.text = &f->ignored[i].text;
        add(r, row);
    }
}

size_t server_flag_rows(struct server_flags *f, struct setting rows[static SERVER_ROWS_MAX])
{
    struct rows r = {rows, 0};
    add_general(&r, f);
    add_web(&r, f);
    add_storage(&r, f);
    add_engine(&r, f);
    add_ignored(&r, f);
    return r.n;
}
