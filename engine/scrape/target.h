// Targets: what a scrape configuration makes of an address, and one target's life.
//
//   waiting   its timer is set: no fiber, no buffers
//   scraping  a fiber fetches, parses, commits
//   leaving   no longer configured: after two intervals its series get stale markers
#ifndef ENGINE_SCRAPE_TARGET_H
#define ENGINE_SCRAPE_TARGET_H

#include "engine/base/arena.h"
#include "engine/base/list.h"
#include "engine/http/client.h"
#include "engine/http/tls_contexts.h"
#include "engine/scrape/scrape.h"
#include "engine/scrape/scrape_page.h"
#include "io/fiber.h"

enum { REPORT_SERIES = 8 };

struct metadata_table { // of a target's metrics, open addressing by name
    struct target_metadata *items;
    size_t n, size;
};

struct target {
    struct list link;
    struct scrape *scrape;
    struct prom_config *config;      // a reference
    const struct scrape_config *job; // of config
    struct arena arena;              // of what does not change over its life
    struct str discovered, labels;   // encoded; labels without those that begin with __
    struct str url;
    uint64_t hash; // of labels and URL: its identity within a job
    int64_t interval_ms, timeout_ms;
    bool over_limit;    // target_limit is exceeded: every scrape fails
    size_t job_targets; // of the job, for that error
    bool is_kept, is_leaving, is_busy;
    bool is_replaced; // leaving, for one whose series are called otherwise
    int64_t end_ms;   // of a leaving one: the time of its stale markers; 0: not yet

    struct timer timer;
    struct fiber *fiber; // while busy
    int64_t due_ns;      // of the scrape at hand or the next
    int64_t aligned_ms;  // the schedule's time of it; 0: none yet
    struct http_client *client;
    bool client_is_old; // made for an earlier configuration
    struct tls *tls;    // of the scrape's contexts
    uint64_t tls_hash;  // of what it was made of
    struct scrape_memory memory;
    uint64_t row; // names the last commit, when the next may be its row again (tsdb.h); 0: not
    size_t memory_bytes; // of it, as counted
    struct scrape_entry reports[REPORT_SERIES];
    uint32_t scrapes; // how many there were

    enum scrape_health health;
    int64_t last_ms; // 0: never
    double last_duration_s;
    struct errmsg *last_error; // NULL until a scrape has failed

    struct metadata_table past; // said in earlier scrapes, no longer on the page
};

// An address as configured, before it is a target.
struct target_spec {
    const struct scrape_config *job;
    struct str discovered, labels, url; // in the arena
    int64_t interval_ms, timeout_ms;
    uint64_t hash;
    bool is_dropped; // by relabelling; only discovered stands
};

// What job makes of one address of a static group. False: it is no target (*e says why), as when no
// address is left after relabelling.
bool target_spec_make(const struct scrape_config *job, const struct static_group *group,
                      struct str address, struct arena *a, struct target_spec *out,
                      struct errmsg *e);

struct target *target_create(struct scrape *s, const struct target_spec *spec,
                             struct prom_config *config);
// The same target under another configuration; a scrape under way ends under its own.
void target_configure(struct target *t, const struct target_spec *spec, struct prom_config *config);
// The state that is shown, of the target that t comes in place of.
void target_note_error(struct target *t, const char *text); // "": none
void target_inherit(struct target *t, const struct target *from);
void target_start(struct target *t);
void target_leave(struct target *t); // configured no more: destroys itself when it is done
// At once, without stale markers: one at work is told to end, and does; another one is gone.
// Suspends.
void target_abort(struct target *t);

// scrape_run.c: one scrape, on a fiber. Suspends.
void target_scrape(struct target *t);
// Stale markers for all its series, at time ms. Suspends.
void target_end_series(struct target *t, int64_t ms);
// scrape_fetch.c: the body, uncompressed, and the format it is in. job is pinned by the caller: the
// target's may change meanwhile. Suspends.
err target_fetch(struct target *t, const struct scrape_config *job, struct buf *body,
                 struct str *out_content_type, struct http_result *r, struct errmsg *e);

// scrape_metadata.c
struct pass;
// Before the body becomes the page or is dropped: what would be forgotten with either is kept.
void target_note_metadata(struct pass *p, bool succeeded);
void target_forget_metadata(struct target *t);
void target_each_metadata(const struct target *t, scrape_metadata_fn *fn, void *arg);

// scrape.c
void scrape_target_gone(struct scrape *s); // a target of it has ended
bool scrape_has_successor(const struct scrape *s, const struct target *t);
struct scrape_walk *scrape_take_walk(struct scrape *s);
void scrape_give_walk(struct scrape *s, struct scrape_walk *w);

struct scrape {
    struct scrape_options options;
    struct logger lg;
    struct list targets;
    struct prom_config *config;
    struct dropped {
        struct str pool, discovered;
    } * dropped; // in dropped_arena
    size_t dropped_n, dropped_capacity;
    struct arena dropped_arena;
    uint64_t *dropped_by_job; // of config
    struct waiters gone;
    bool is_stopping;
    size_t targets_n;
    struct tls_contexts tls;
    struct gzip_reader *gzip;
    struct scrape_walk *walks;      // not in use
    struct labels_builder *builder; // scratch, within one turn
    struct buf scratch;
    struct scrape_stats stats;
};

#endif
