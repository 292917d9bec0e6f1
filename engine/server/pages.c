// /metrics, and status/tsdb, which says some of the same.
#include <math.h>

#include "engine/base/duration.h"
#include "engine/base/mem.h"
#include "engine/base/number.h"
#include "engine/server/cardinality.h"
#include "engine/server/handlers.h"
#include "engine/server/server.h"
#include "engine/server/version.h"
#include "engine/tsdb/arrivals.h"
#include "io/clock.h"
#include "io/process.h"

// What one shard contributes, gathered there and added up here.
struct part {
    struct server *server;
    struct route_stats routes;
    struct http_server_stats web;
    struct server_query_stats queries;
    struct query_window query_times;
    struct scrape_stats scrape;
    struct receiver_stats receiver;
    struct tsdb_stats tsdb;
    uint64_t federation_errors, query_log_failures, query_logs;
};

static void gather(void *arg) // on each shard
{
    struct part *p = arg;
    const struct server_shard *self = server_self(p->server);
    p->routes = self->routes;
    p->web = *http_server_stats(self->web);
    p->queries = self->queries;
    query_summary_gather(self->query_times, clock_mono_ns(), &p->query_times);
    p->federation_errors = self->federation_errors;
    p->query_logs = self->logs.queries != NULL;
    p->query_log_failures =
        self->logs.queries_lost + (self->logs.queries ? json_log_failures(self->logs.queries) : 0);
    p->scrape = *scrape_stats(self->scrape);
    p->receiver = *receiver_stats(self->receiver);
    tsdb_stats(p->server->db, &p->tsdb);
}

static void family(struct buf *b, const char *name, const char *type, const char *help)
{
    buf_printf(b, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void put(struct buf *b, const char *name, const char *type, const char *help, double v)
{
    family(b, name, type, help);
    buf_printf(b, "%s ", name);
    buf_put_double_g(b, v);
    buf_put_char(b, '\n');
}

static void put_u64(struct buf *b, const char *name, const char *type, const char *help, uint64_t v)
{
    put(b, name, type, help, (double)v);
}

static void put_process(struct server *s, struct buf *b)
{
    struct process_numbers n;
    process_numbers(&n);
    put(b, "process_cpu_seconds_total", "counter",
        "Total user and system CPU time spent in seconds.", n.cpu_seconds);
    put_u64(b, "process_max_fds", "gauge", "Maximum number of open file descriptors.", n.max_fds);
    put_u64(b, "process_open_fds", "gauge", "Number of open file descriptors.", n.open_fds);
    put_u64(b, "process_resident_memory_bytes", "gauge", "Resident memory size in bytes.",
            n.resident_bytes);
    put_u64(b, "process_virtual_memory_bytes", "gauge", "Virtual memory size in bytes.",
            n.virtual_bytes);
    put(b, "process_start_time_seconds", "gauge",
        "Start time of the process since unix epoch in seconds.", n.start_time_seconds);
    family(b, "prometheus_build_info", "gauge",
           "A metric with a constant '1' value labeled by version and revision.");
    buf_printf(b, "prometheus_build_info{branch=\"ferula\",revision=\"%s\",version=\"%s\"} 1\n",
               FERULA_VERSION, PROMETHEUS_VERSION);
    put_u64(b, "prometheus_ready", "gauge",
            "Whether Prometheus startup was fully completed and the server is ready for normal "
            "operation.",
            server_state(s) == SERVER_READY);
    put_u64(b, "prometheus_config_last_reload_successful", "gauge",
            "Whether the last configuration reload attempt was successful.", s->reload_ok);
    put(b, "prometheus_config_last_reload_success_timestamp_seconds", "gauge",
        "Timestamp of the last successful configuration reload.", (double)s->reload_ms / 1000);
    put_u64(b, "ferula_config_unsupported", "gauge",
            "Parts of flags and configuration that are not supported and were passed over.",
            s->unsupported);
    family(b, "ferula_io_backend_info", "gauge", "How files and sockets are worked with.");
    buf_printf(b, "ferula_io_backend_info{backend=\"%s\"} 1\n", loop_backend_name(loop_current()));
}

static void put_scrape(const struct scrape_stats *t, struct buf *b)
{
    put_u64(b, "prometheus_target_scrapes_sample_duplicate_timestamp_total", "counter",
            "Total number of samples rejected due to duplicate timestamps but different values.",
            t->duplicate_timestamp);
    put_u64(b, "prometheus_target_scrapes_sample_out_of_order_total", "counter",
            "Total number of samples rejected due to not being out of the expected order.",
            t->out_of_order);
    put_u64(b, "prometheus_target_scrapes_sample_out_of_bounds_total", "counter",
            "Total number of samples rejected due to timestamp falling outside of the time bounds.",
            t->out_of_bounds);
    put_u64(b, "prometheus_target_scrapes_exceeded_sample_limit_total", "counter",
            "Total number of scrapes that hit the sample limit and were rejected.",
            t->exceeded_sample_limit);
    put_u64(b, "prometheus_target_scrapes_exceeded_body_size_limit_total", "counter",
            "Total number of scrapes that hit the body size limit", t->exceeded_body_size);
    put_u64(
        b, "prometheus_target_scrape_pool_exceeded_label_limits_total", "counter",
        "Total number of times scrape pools hit the label limits, during sync or config reload.",
        t->exceeded_label_limits);
    put_u64(
        b, "prometheus_target_scrape_pool_exceeded_target_limit_total", "counter",
        "Total number of times scrape pools hit the target limit, during sync or config reload.",
        t->exceeded_target_limit);
    put_u64(b, "ferula_scrapes_total", "counter", "Scrapes that ended.", t->scrapes);
    put_u64(b, "ferula_scrapes_failed_total", "counter", "Scrapes that failed.", t->failed);
    put_u64(b, "ferula_scrape_samples_total", "counter", "Samples that scrapes committed.",
            t->samples);
    put_u64(b, "ferula_scrape_body_bytes_total", "counter", "Bytes of bodies, uncompressed.",
            t->bytes);
    put_u64(b, "ferula_scrape_lines_expected_total", "counter",
            "Lines found where the previous scrape had them.", t->lines_expected);
    put_u64(b, "ferula_scrape_exemplars_total", "counter", "Exemplars kept of scrapes.",
            t->exemplars);
    put_u64(b, "prometheus_target_scrapes_exemplar_out_of_order_total", "counter",
            "Total number of exemplar rejected due to not being out of the expected order.",
            t->exemplars_out_of_order);
    put_u64(b, "ferula_scrape_targets", "gauge", "Targets that are scraped.", t->targets);
}

static void put_series(const struct tsdb_stats *t, struct buf *b)
{
    put_u64(b, "prometheus_tsdb_head_series", "gauge", "Total number of series in the head block.",
            t->series);
    put_u64(b, "prometheus_tsdb_head_series_created_total", "counter",
            "Total number of series created in the head", t->series_created);
    put_u64(b, "prometheus_tsdb_head_series_removed_total", "counter",
            "Total number of series removed in the head", t->series_removed);
    family(b, "ferula_tsdb_series_refused_total", "counter",
           "Series that were not made, by reason.");
    buf_printf(b,
               "ferula_tsdb_series_refused_total{reason=\"max_series\"} %llu\n"
               "ferula_tsdb_series_refused_total{reason=\"memory\"} %llu\n",
               (unsigned long long)t->refused_max, (unsigned long long)t->refused_memory);
}

static void put_tsdb(const struct tsdb_stats *t, struct buf *b)
{
    put_series(t, b);
    put_u64(b, "prometheus_tsdb_head_chunks", "gauge", "Total number of chunks in the head block.",
            t->blocks);
    put(b, "prometheus_tsdb_head_min_time", "gauge",
        "Minimum time bound of the head block. The unit is decided by the library consumer.",
        (double)t->min_time_ms);
    put(b, "prometheus_tsdb_head_max_time", "gauge",
        "Maximum timestamp of the head block. The unit is decided by the library consumer.",
        (double)t->max_time_ms);
    family(b, "prometheus_tsdb_head_samples_appended_total", "counter",
           "Total number of appended samples.");
    buf_printf(b, "prometheus_tsdb_head_samples_appended_total{type=\"float\"} %llu\n",
               (unsigned long long)(t->samples_appended - t->histograms_appended));
    buf_printf(b, "prometheus_tsdb_head_samples_appended_total{type=\"histogram\"} %llu\n",
               (unsigned long long)t->histograms_appended);
    family(b, "prometheus_tsdb_head_out_of_order_samples_appended_total", "counter",
           "Total number of appended out of order samples.");
    buf_printf(b, "prometheus_tsdb_head_out_of_order_samples_appended_total{type=\"float\"} %llu\n",
               (unsigned long long)t->samples_late);
    const struct {
        const char *name;
        uint64_t count;
    } rejected[] = {{"prometheus_tsdb_out_of_order_samples_total",
                     t->out_of_order - t->histograms_out_of_order},
                    {"prometheus_tsdb_too_old_samples_total", t->too_old},
                    {"prometheus_tsdb_out_of_bound_samples_total", t->out_of_bounds}};
    for (size_t i = 0; i < sizeof rejected / sizeof rejected[0]; i++) {
        family(b, rejected[i].name, "counter", "Total number of samples that were refused.");
        buf_printf(b, "%s{type=\"float\"} %llu\n", rejected[i].name,
                   (unsigned long long)rejected[i].count);
        if (i == 0)
            buf_printf(b, "%s{type=\"histogram\"} %llu\n", rejected[i].name,
                       (unsigned long long)t->histograms_out_of_order);
    }
    put_u64(b, "prometheus_tsdb_blocks_loaded", "gauge", "Number of currently loaded data blocks",
            t->files);
    put_u64(b, "prometheus_tsdb_storage_blocks_bytes", "gauge",
            "The number of bytes that are currently used for local storage by all blocks.",
            t->file_bytes);
    put(b, "prometheus_tsdb_lowest_timestamp_seconds", "gauge",
        "Lowest timestamp value stored in the database.",
        t->lowest_time_ms == INT64_MAX ? 9.223372036854776e+15
                                       : floor((double)t->lowest_time_ms / 1000));
    put_u64(b, "prometheus_tsdb_compactions_total", "counter",
            "Total number of compactions that were executed for the partition.",
            t->merges + t->divisions);
    put_u64(b, "prometheus_tsdb_time_retentions_total", "counter",
            "The number of times that blocks were deleted because the maximum time limit was "
            "exceeded.",
            t->retention_deletions);
    put_u64(b, "prometheus_tsdb_size_retentions_total", "counter",
            "The number of times that blocks were deleted because the maximum number of bytes was "
            "exceeded.",
            t->size_deletions);
    put_u64(b, "prometheus_tsdb_wal_corruptions_total", "counter",
            "Total number of WAL corruptions.", t->wal_corruptions);
    put_u64(b, "prometheus_tsdb_wal_segment_current", "gauge",
            "Write log segment index that TSDB is currently writing to.", t->wal_segment);
    put_u64(b, "ferula_tsdb_wal_bytes_total", "counter", "Bytes written to the WAL.", t->wal_bytes);
    put_u64(b, "ferula_tsdb_wal_records_total", "counter", "Records written to the WAL.",
            t->wal_records);
    put_u64(b, "ferula_tsdb_wal_syncs_total", "counter", "Syncs of the WAL.", t->wal_syncs);
    put_u64(b, "ferula_tsdb_cohorts", "gauge", "Cohorts of the head.", t->cohorts);
}

static void put_replay(const struct tsdb *db, struct buf *b)
{
    struct tsdb_progress p;
    tsdb_replay_progress(db, &p);
    put_u64(b, "ferula_tsdb_replay_bytes", "gauge", "Bytes read of the logs of earlier runs.",
            p.bytes);
    put_u64(b, "ferula_tsdb_replay_rows", "gauge", "Rows that the logs of earlier runs brought.",
            p.rows);
    put_u64(b, "ferula_tsdb_replay_samples", "gauge",
            "Samples that the logs of earlier runs brought.", p.samples);
}

static void put_retention(const struct tsdb_retention *r, struct buf *b)
{
    put_u64(b, "prometheus_tsdb_retention_limit_bytes", "gauge",
            "Max number of bytes to be retained in the tsdb blocks, configured 0 means disabled",
            r->bytes);
    put(b, "prometheus_tsdb_retention_limit_seconds", "gauge",
        "How long to retain samples in storage.", (double)r->time_ms / 1000);
    put(b, "prometheus_tsdb_retention_limit_percentage", "gauge",
        "Max percentage of total storage space to be retained in the tsdb blocks, configured 0 "
        "means disabled",
        r->percentage);
}

static void put_reasons(struct buf *b, const char *name, const char *help,
                        const char *const *reasons, const uint64_t *counts, size_t n)
{
    family(b, name, "counter", help);
    for (size_t i = 0; i < n; i++)
        buf_printf(b, "%s{reason=\"%s\"} %llu\n", name, reasons[i], (unsigned long long)counts[i]);
}

static void put_receiver(const struct receiver_stats *r, struct buf *b)
{
    static const char *const request_reasons[RECEIVER_REFUSALS] = {
        [RECEIVER_OFF] = "off",       [RECEIVER_FORMAT] = "format",
        [RECEIVER_CUT] = "cut",       [RECEIVER_TOO_LARGE] = "too_large",
        [RECEIVER_MEMORY] = "memory", [RECEIVER_MALFORMED] = "malformed",
        [RECEIVER_BEHIND] = "behind", [RECEIVER_STORAGE] = "storage"};
    static const char *const sample_reasons[RECEIVER_SAMPLE_REFUSALS] = {
        [RECEIVER_LABELS] = "labels",
        [RECEIVER_LONG_LABELS] = "long_labels",
        [RECEIVER_HISTOGRAM] = "histogram",
        [RECEIVER_DUPLICATE] = "duplicate",
        [RECEIVER_OUT_OF_ORDER] = "out_of_order",
        [RECEIVER_TOO_OLD] = "too_old",
        [RECEIVER_OUT_OF_BOUNDS] = "out_of_bounds",
        [RECEIVER_IN_FUTURE] = "in_future",
        [RECEIVER_SERIES_LIMIT] = "max_series",
        [RECEIVER_SERIES_MEMORY] = "memory"};
    put_u64(b, "ferula_receiver_requests_total", "counter", "remote_write requests.", r->requests);
    put_u64(b, "ferula_receiver_samples_total", "counter", "Samples in remote_write requests.",
            r->samples);
    put_reasons(b, "ferula_receiver_requests_refused_total",
                "remote_write requests of which nothing was kept, by reason.", request_reasons + 1,
                r->refused + 1, RECEIVER_REFUSALS - 1);
    put_reasons(b, "ferula_receiver_samples_refused_total",
                "Samples and histograms of remote_write requests that were not kept, by reason.",
                sample_reasons, r->samples_refused, RECEIVER_SAMPLE_REFUSALS);
    put_u64(b, "ferula_receiver_series_known_total", "counter",
            "Series of remote_write requests that were recognised by their bytes.", r->cache_hits);
    put_u64(b, "ferula_receiver_series_new_total", "counter",
            "Series of remote_write requests that were looked up by their labels.",
            r->cache_misses);
    put_u64(b, "ferula_receiver_bytes_total", "counter", "Bytes of remote_write requests.",
            r->bytes);
    put_u64(b, "prometheus_api_remote_write_invalid_labels_samples_total", "counter",
            "The total number of received remote write samples and histogram samples which were "
            "rejected due to invalid labels.",
            r->invalid_labels);
    put_u64(b, "ferula_receiver_exemplars_dropped_total", "counter",
            "Exemplars that were received and not kept.", r->exemplars_dropped);
    put_u64(b, "ferula_receiver_metadata_total", "counter",
            "Metadata that was received and is news.", r->metadata);
    put_u64(b, "ferula_receiver_histograms_total", "counter",
            "Native histograms in remote_write requests.", r->histograms);
}

static void put_query_times(const struct server_query_stats *q, const struct query_window *w,
                            struct buf *b)
{
    const struct {
        const char *name;
        int64_t ns;
    } slices[QUERY_SLICES] = {[QUERY_EVAL] = {"inner_eval", q->times.eval},
                              [QUERY_PREPARE] = {"prepare_time", q->times.prepare},
                              [QUERY_QUEUE] = {"queue_time", q->times.queue},
                              [QUERY_SORT] = {"result_sort", 0}}; // a part of inner_eval here
    static const double quantiles[] = {.5, .9, .99};
    const char *const name = "prometheus_engine_query_duration_seconds";
    family(b, name, "summary", "Query timings");
    for (unsigned i = 0; i < QUERY_SLICES; i++) {
        for (size_t k = 0; k < sizeof quantiles / sizeof *quantiles; k++) {
            buf_printf(b, "%s{slice=\"%s\",quantile=\"%g\"} ", name, slices[i].name, quantiles[k]);
            buf_put_double_g(b, query_window_quantile(w, (enum query_slice)i, quantiles[k]));
            buf_put_char(b, '\n');
        }
        buf_printf(b, "%s_sum{slice=\"%s\"} %.9g\n%s_count{slice=\"%s\"} %llu\n", name,
                   slices[i].name, (double)slices[i].ns / 1e9, name, slices[i].name,
                   (unsigned long long)q->ended);
    }
    put_u64(b, "prometheus_engine_query_samples_total", "counter",
            "The total number of samples loaded by all queries.", q->samples);
    put_u64(b, "prometheus_engine_query_samples_read_total", "counter",
            "The total number of samples read by all queries.", q->samples_read);
}

static void put_engine(const struct server *s, const struct part *p, struct buf *b)
{
    put_u64(b, "prometheus_engine_queries", "gauge",
            "The current number of queries being executed or waiting.",
            (uint64_t)(atomic_load(&s->turns.running) + atomic_load(&s->turns.waiting)));
    put_u64(b, "prometheus_engine_queries_concurrent_max", "gauge",
            "The max number of concurrent queries.", (uint64_t)s->flags.prom.query.max_concurrency);
    put_query_times(&p->queries, &p->query_times, b);
    put_u64(b, "prometheus_engine_query_log_enabled", "gauge", "State of the query log.",
            p->query_logs > 0);
    put_u64(b, "prometheus_engine_query_log_failures_total", "counter",
            "The number of query log failures.", p->query_log_failures);
    put_u64(b, "prometheus_web_federation_errors_total", "counter",
            "Total number of errors that occurred while sending federation responses.",
            p->federation_errors);
    put_u64(b, "prometheus_web_federation_warnings_total", "counter",
            "Total number of warnings that occurred while sending federation responses.", 0);
    put_u64(b, "prometheus_api_notification_active_subscribers", "gauge",
            "The current number of active notification subscribers.",
            (uint64_t)atomic_load(&s->notices.subscribers));
    put_u64(b, "prometheus_api_notification_updates_sent_total", "counter",
            "Total number of notification updates sent.", atomic_load(&s->notices.sent));
    put_u64(b, "prometheus_api_notification_updates_dropped_total", "counter",
            "Total number of notification updates dropped.", 0);
    put_u64(b, "ferula_queries_total", "counter", "Queries that were started.", p->queries.started);
    put_u64(b, "ferula_http_connections_total", "counter", "Connections that were taken.",
            p->web.connections);
    put_u64(b, "ferula_http_connections_full_total", "counter",
            "How often --web.max-connections was reached: who connects then waits.",
            atomic_load(&s->door.shut_count));
    put_u64(b, "ferula_http_bad_requests_total", "counter", "Requests that were not HTTP.",
            p->web.bad_requests);
    put_u64(b, "ferula_http_bodies_refused_total", "counter",
            "Requests refused because too many undecoded bytes were held.", p->web.bodies_refused);
}

// Adds every counter of from to to: structs of nothing but 64-bit counters. Their number is
// asserted, so that who adds a field of another kind comes by here.
static void add_counters(void *to, const void *from, size_t size)
{
    uint64_t *const sum = to;
    const uint64_t *const more = from;
    for (size_t i = 0; i < size / sizeof *sum; i++)
        sum[i] += more[i];
}
static_assert(sizeof(struct scrape_stats) == 18 * sizeof(uint64_t), "counters only");
static_assert(sizeof(struct receiver_stats) == 31 * sizeof(uint64_t), "counters only");
static_assert(sizeof(struct http_server_stats) == 5 * sizeof(uint64_t), "counters only");
static_assert(sizeof(struct tsdb_stats) == 29 * sizeof(uint64_t), "counters only");

static int64_t min_i64(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static void add_tsdb(struct tsdb_stats *to, const struct tsdb_stats *from, bool first)
{
    const struct tsdb_stats old = *to;
    add_counters(to, from, sizeof *to);
    to->min_time_ms = first ? from->min_time_ms : min_i64(old.min_time_ms, from->min_time_ms);
    to->max_time_ms =
        first || from->max_time_ms > old.max_time_ms ? from->max_time_ms : old.max_time_ms;
    to->lowest_time_ms =
        first ? from->lowest_time_ms : min_i64(old.lowest_time_ms, from->lowest_time_ms);
    to->wal_segment = from->wal_segment > old.wal_segment ? from->wal_segment : old.wal_segment;
}

static void add_part(struct part *to, const struct part *from, bool first)
{
    route_stats_add(&to->routes, &from->routes);
    add_counters(&to->web, &from->web, sizeof to->web);
    to->federation_errors += from->federation_errors;
    to->query_logs += from->query_logs;
    to->query_log_failures += from->query_log_failures;
    to->queries.started += from->queries.started;
    to->queries.ended += from->queries.ended;
    to->queries.samples += from->queries.samples;
    to->queries.samples_read += from->queries.samples_read;
    to->queries.times.queue += from->queries.times.queue;
    to->queries.times.prepare += from->queries.times.prepare;
    to->queries.times.eval += from->queries.times.eval;
    for (unsigned i = 0; i < QUERY_SLICES; i++)
        for (unsigned k = 0; k < QUERY_BUCKETS; k++)
            to->query_times.counts[i][k] += from->query_times.counts[i][k];
    add_counters(&to->scrape, &from->scrape, sizeof to->scrape);
    add_counters(&to->receiver, &from->receiver, sizeof to->receiver);
    add_tsdb(&to->tsdb, &from->tsdb, first);
}

static struct part *gather_all(struct server *s) // Suspends. mem_free()
{
    const unsigned count = shards_count(s->shards);
    struct part *parts = mem_zalloc((count + 1) * sizeof *parts), *sum = mem_zalloc(sizeof *sum);
    for (unsigned i = 0; i < count; i++)
        parts[i].server = s;
    shard_call_all(LOOP_CONTROL, gather, parts, sizeof *parts, NULL);
    for (unsigned i = 0; i < count; i++)
        add_part(sum, &parts[i], i == 0);
    mem_free(parts);
    return sum;
}

uint64_t server_corruptions(struct server *s)
{
    struct part *sum = gather_all(s);
    const uint64_t count = sum->tsdb.wal_corruptions;
    mem_free(sum);
    return count;
}

void page_metrics(struct server *s, struct http_exchange *x)
{
    struct buf out = {0};
    put_process(s, &out);
    if (s->is_open) {
        struct part *sum = gather_all(s);
        put_engine(s, sum, &out);
        route_write_metrics(&sum->routes, &out);
        put_scrape(&sum->scrape, &out);
        put_receiver(&sum->receiver, &out);
        put_tsdb(&sum->tsdb, &out);
        put_replay(s->db, &out);
        const struct tsdb_retention retention = server_retention(s);
        put_retention(&retention, &out);
        memory_put_metrics(s, &out);
        mem_free(sum);
        metrics_put_runtime(s, &out);
    }
    http_answer(x, 200, "text/plain; version=0.0.4; charset=utf-8; escaping=underscores",
                buf_str(&out));
    buf_deinit(&out);
}

// ---- status/tsdb

static void put_lists(const struct cardinality *k, enum cardinality_list from,
                      enum cardinality_list end, struct json *j)
{
    static const char *const names[] = {
        [CARDINALITY_NAMES] = "seriesCountByMetricName",
        [CARDINALITY_VALUES] = "labelValueCountByLabelName",
        [CARDINALITY_BYTES] = "memoryInBytesByLabelName",
        [CARDINALITY_PAIRS] = "seriesCountByLabelValuePair",
        [CARDINALITY_GROWN_NAMES] = "seriesCountByMetricName",
        [CARDINALITY_GROWN_VALUES] = "labelValueCountByLabelName",
        [CARDINALITY_GROWN_PAIRS] = "seriesCountByLabelValuePair",
        [CARDINALITY_GROWN_TARGETS] = "seriesCountByTarget",
    };
    for (enum cardinality_list i = from; i < end; i++) {
        json_key(j, names[i]);
        cardinality_put(k, i, j);
    }
}

// What came of late, as far as the process lives.
static void put_growth(const struct server *s, const struct cardinality *k, struct json *j)
{
    int64_t span_ms;
    const uint64_t series = cardinality_grown(k, &span_ms);
    const int64_t since_ms = clock_wall_ms() - span_ms;
    json_key(j, "growth");
    json_object_begin(j);
    json_key(j, "since");
    json_i64(j, since_ms > s->start_ms ? since_ms : s->start_ms);
    json_key(j, "numSeries");
    json_u64(j, series);
    put_lists(k, CARDINALITY_GROWN_NAMES, CARDINALITY_LISTS, j);
    json_object_end(j);
}

// growth=15m asks, beside what Prometheus's page says, for what came in that time.
static bool get_growth(struct api *api, int64_t *out_ms)
{
    const struct str text = api_get(api, "growth");
    struct errmsg e;
    *out_ms = 0;
    if (!text.n)
        return true;
    if (duration_parse(text, out_ms, &e) == ERR_OK && *out_ms > 0 && *out_ms <= ARRIVALS_SPAN_MS)
        return true;
    api_error(api, API_BAD_DATA, "growth must be a duration above 0 and at most 1h");
    return false;
}

void api_status_tsdb(struct api *api)
{
    int64_t growth_ms;
    int64_t limit = 10;
    const struct str text = api_get(api, "limit");
    if (text.n && (number_parse_i64(text, &limit) != ERR_OK || limit < 1 || limit > 10000)) {
        api_error(api, API_BAD_DATA, "limit must be a positive number");
        return;
    }
    if (!get_growth(api, &growth_ms))
        return;
    struct cardinality *k;
    struct errmsg e;
    const err code = cardinality_gather(api->server, (size_t)limit, growth_ms, &k, &e);
    if (code) {
        api_error(api, code == ERR_LIMIT ? API_EXECUTION : API_INTERNAL, "%s", e.text);
        return;
    }
    struct part *sum = gather_all(api->server);
    struct json *j = &api->json;
    api_begin(api);
    json_object_begin(j);
    json_key(j, "headStats");
    json_object_begin(j);
    json_key(j, "numSeries");
    json_u64(j, sum->tsdb.series);
    json_key(j, "numLabelPairs");
    json_u64(j, cardinality_pairs(k));
    json_key(j, "chunkCount");
    json_u64(j, sum->tsdb.blocks);
    json_key(j, "minTime");
    json_i64(j, sum->tsdb.min_time_ms);
    json_key(j, "maxTime");
    json_i64(j, sum->tsdb.max_time_ms);
    json_object_end(j);
    put_lists(k, CARDINALITY_NAMES, CARDINALITY_GROWN_NAMES, j);
    if (growth_ms)
        put_growth(api->server, k, j);
    if (sum->tsdb.refused_max + sum->tsdb.refused_memory)
        memory_put_refused(api->server, (size_t)limit, j);
    json_object_end(j);
    api_end(api);
    mem_free(sum);
    cardinality_destroy(k);
}
