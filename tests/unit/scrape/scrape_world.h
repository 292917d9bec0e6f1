// Scraping on shards of its own, of a target that is a web server of ours beside it.
#ifndef TESTS_UNIT_SCRAPE_SCRAPE_WORLD_H
#define TESTS_UNIT_SCRAPE_SCRAPE_WORLD_H

#include "engine/http/server.h"
#include "engine/scrape/scrape.h"
#include "tests/lib/dump.h"
#include "tests/lib/in_shards.h"

enum { WORLD_SHARDS_MAX = 4 };

struct scrape_world {
    void (*script)(struct scrape_world *w);
    unsigned shards;
    struct findings found;
    struct tsdb *db;
    struct scrape *scrapes[WORLD_SHARDS_MAX];
    struct prom_config *config;
    struct http_server *server;
    struct listener *listener;
    int64_t spill_ms; // of the database; 0: its own. It is on disk then
    char folder[64];  // empty: in memory
    // What the target answers with.
    struct str body;
    const char *content_type; // NULL: none
    int status;
    int64_t delay_ms;
    unsigned requests; // that it answered
    int64_t pace;      // of all that takes time: 1, or more where the machine has other work
    _Atomic bool is_late, has_ended;
    struct buf dump;
};

// Runs script on shard 0; what it finds is in found. Again and slower where it finds something and
// the machine was too busy for 50 ms to be enough.
void scrape_world_run(struct scrape_world *w);
// Applies a configuration: a job "j" every 50 ms, times the pace, with these lines (each indented
// by 2, a newline behind it) over the target; NULL: no job. Suspends.
void scrape_world_apply(struct scrape_world *w, const char *lines);
// Waits until the target has been asked count times more, and what came of it is kept. Suspends.
void scrape_world_scrapes(struct scrape_world *w, unsigned count);
void scrape_world_nap(struct scrape_world *w, int64_t ms); // times the pace. Suspends.
// The samples of a series; an @ in it stands for instance="...", job="j", a bare name for name{@}.
// Fills dump. Suspends.
struct str scrape_world_samples(struct scrape_world *w, const char *series);
struct str scrape_world_last(struct scrape_world *w, const char *series); // the last of them
// The last error of the target. Suspends not.
void scrape_world_error(struct scrape_world *w, char out[256]);

#endif
