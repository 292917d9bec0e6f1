// Scraping: the targets of one shard, their schedule, and what the API says about them.
//
// A target runs on the shard that owns its series (job and instance decide), so that a scrape never
// leaves its core; series whose final labels say otherwise are sent to their owners.
#ifndef ENGINE_SCRAPE_SCRAPE_H
#define ENGINE_SCRAPE_SCRAPE_H

#include "engine/base/buf.h"
#include "engine/base/log.h"
#include "engine/config/prom_config.h"
#include "engine/tsdb/tsdb.h"

struct scrape; // of one shard

struct scrape_options {
    struct tsdb *db;
    bool keep_exemplars;
    const struct log_sink *log;
    bool adjust_timestamps;
    int64_t tolerance_ms;
    uint64_t offset_seed;  // spreads this server's scrapes apart from another's
    const char *version;   // of the User-Agent
    size_t body_bytes_max; // of bodies, uncompressed, where body_size_limit says nothing
    // Told of each target that gave no page. May be NULL; must not suspend.
    void (*failed)(void *arg, const struct scrape_config *job, struct str url, struct str error);
    void *failed_arg;
};

struct scrape *scrape_create(const struct scrape_options *options);
// Makes the targets of config whose home is this shard, keeps those that stay, ends the others.
// Takes a reference of config. Cannot fail: all that can be wrong was checked when config was read.
// One at a time. Suspends.
void scrape_apply(struct scrape *s, struct prom_config *config);
// Ends all scrapes at once, without stale markers. Suspends until the last has ended.
void scrape_stop(struct scrape *s);
void scrape_destroy(struct scrape *s); // stopped

// What the API shows of a target or a dropped one. Slices live until the next suspension.
enum scrape_health { SCRAPE_UNKNOWN, SCRAPE_UP, SCRAPE_DOWN };
struct scrape_target_view {
    bool is_dropped;
    struct str pool, url, last_error;
    struct str discovered, labels; // encoded
    int64_t last_scrape_ms;        // 0: never
    double last_duration_s;
    enum scrape_health health;
    int64_t interval_ms, timeout_ms;
};
typedef void scrape_view_fn(void *arg, const struct scrape_target_view *view);
void scrape_each(struct scrape *s, scrape_view_fn *fn, void *arg);

// Each job, and how many targets relabelling dropped of it: all of them, on shard 0; elsewhere
// none.
typedef void scrape_pool_fn(void *arg, struct str pool, uint64_t dropped);
void scrape_each_pool(const struct scrape *s, scrape_pool_fn *fn, void *arg);

// What targets say about their metrics.
struct scrape_metadata {
    struct str name, type, help, unit;
    struct str target; // its labels, encoded
};
typedef void scrape_metadata_fn(void *arg, const struct scrape_metadata *m);
void scrape_each_metadata(struct scrape *s, scrape_metadata_fn *fn, void *arg);

struct scrape_stats {
    uint64_t targets, dropped_targets, scrapes, failed, samples, bytes;
    uint64_t duplicate_timestamp, out_of_order, out_of_bounds, exceeded_sample_limit;
    uint64_t exceeded_body_size, exceeded_label_limits, exceeded_target_limit;
    uint64_t exemplars, exemplars_out_of_order, histograms_refused;
    uint64_t cache_bytes;    // of what is remembered of bodies
    uint64_t lines_expected; // found at their place of last time
};
const struct scrape_stats *scrape_stats(const struct scrape *s);

#endif
