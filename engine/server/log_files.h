// The log files that the configuration names: of queries, and of scrapes that failed.
#ifndef ENGINE_SERVER_LOG_FILES_H
#define ENGINE_SERVER_LOG_FILES_H

#include "engine/config/prom_config.h"
#include "engine/server/json_log.h"

struct server;

struct log_files {              // of one shard; zeroed: none
    struct json_log *queries;   // NULL: queries are not logged
    struct json_log **failures; // each file once, whatever number of jobs name it
    size_t failures_n;
    uint64_t queries_lost; // of logs closed since
};

// Whether all that config names can be opened; the reason is logged, e is what a reload answers.
// Suspends.
err log_files_check(const struct server *s, const struct prom_config *config, struct errmsg *e);
// Opens them anew, on the current shard, so that what was moved away ends there. Suspends.
void log_files_open(struct server *s, const struct prom_config *config);
void log_files_close(struct log_files *files); // Suspends.
// A line for a scrape that failed, on the shard that scraped; arg is the struct server.
void log_files_scrape_failed(void *arg, const struct scrape_config *job, struct str url,
                             struct str error);

#endif
