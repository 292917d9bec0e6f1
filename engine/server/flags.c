// The command line of the server: Prometheus's flags (engine/config/prom_flags.h), then our own.
#include "engine/server/server.h"

#include "engine/base/util.h"

static const char *const syncs[] = {"always", "interval", "none", NULL};
static const char *const watches[] = {"off", "log", "abort", NULL};
static const char *const backends[] = {"auto", "io_uring", "poll", NULL};

enum { MIB = 1 << 20 };

struct rows {
    struct setting *at;
    size_t n;
};

static void add(struct rows *rows, struct setting row)
{
    assert(rows->n < SETTINGS_MAX);
    rows->at[rows->n++] = row;
}

static void add_storage(struct rows *r, struct server_flags *f)
{
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
    add(r, (struct setting){"storage.spill-size", .size_bytes = &f->spill_bytes, .min = MIB,
                            .max = INT64_MAX, .default_text = "128MB",
                            .help = "How much a shard's WAL grows before that is done sooner; at "
                                    "three times this much remote_write is answered 503 with "
                                    "Retry-After. Ferula's own."});
    add(r, (struct setting){
               "storage.placement-labels", .text = &f->placement_labels,
               .default_text = "cluster,prometheus,prometheus_replica,replica,"
                               "__replica__",
               .help = "Labels that decide, with job and instance, where a series "
                       "lives; fixed when the data folder is made: not given, the folder's "
                       "hold, others are refused. Ferula's own."});
    add(r, (struct setting){"storage.memory-limit", .size_bytes = &f->memory_limit, .min = 0,
                            .max = INT64_MAX, .default_text = "0",
                            .help = "Memory that the process may use; 0: 80% of the smallest limit "
                                    "of its cgroups, or of the machine. From 70% of it caches "
                                    "shrink and samples are written early, from 80% queries get "
                                    "little, from 86% new series of targets and metrics that "
                                    "made most of late are refused (429 with Retry-After, left "
                                    "out of a scrape), from 92% all new series; the others go on. "
                                    "Ferula's own."});
    add(r, (struct setting){"storage.max-series", .number = &f->series_max, .default_text = "0",
                            .help = "Active series at most; new ones beyond are refused, 0: no "
                                    "limit. Ferula's own."});
}

static void add_engine(struct rows *r, struct server_flags *f)
{
    add(r, (struct setting){"web.max-undecoded-bytes", .size_bytes = &f->body_bytes_max, .min = MIB,
                            .max = INT64_MAX, .default_text = "256MB",
                            .help = "Bytes of request bodies that a shard holds before it answers "
                                    "503 with Retry-After; as many again of what remote_write's "
                                    "become. Ferula's own."});
    add(r, (struct setting){"scrape.max-body-size", .size_bytes = &f->scrape_body_max, .min = MIB,
                            .max = 1 << 30, .default_text = "256MB",
                            .help = "Size of a scraped body, uncompressed, at most where "
                                    "body_size_limit sets no limit. Ferula's own."});
    add(r, (struct setting){"query.max-bytes", .size_bytes = &f->query_max_bytes, .min = MIB,
                            .max = INT64_MAX, .default_text = "2GB",
                            .help = "Memory a single query may take. Ferula's own."});
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

// How a turn of a shard that takes too long is noticed.
static void add_debugging(struct rows *r, struct server_flags *f)
{
    add(r, (struct setting){"debug.turn-watch", .text = &f->turn_watch, .choices = watches,
                            .default_text = turn_watch_text(turn_watch_default()),
                            .help = "Whether turns of a shard over twice the quota of CPU time are "
                                    "logged with the place that took long, or end the process. "
                                    "Ferula's own."});
}

size_t server_flag_rows(struct server_flags *f, struct setting rows[static SETTINGS_MAX])
{
    struct rows r = {rows, prom_flags_rows(&f->prom, rows)};
    add_storage(&r, f);
    add_engine(&r, f);
    add_debugging(&r, f);
    return r.n;
}
