// The server: what the parts of one process share, and its life from start to stop.
//
//   start     flags, configuration (all or nothing), shards, data folder, listeners, scraping
//   replay    answers health and status; queries answer 503 until the data folder is ready
//   ready     until SIGTERM, SIGINT or /-/quit
//   stopping  answers 503, ends scrapes, lets requests finish, seals, stops the shards
#ifndef ENGINE_SERVER_SERVER_H
#define ENGINE_SERVER_SERVER_H

#include <stdatomic.h>

#include "engine/base/log.h"
#include "engine/config/prom_config.h"
#include "engine/config/prom_flags.h"
#include "engine/config/setting.h"
#include "engine/http/server.h"
#include "engine/promql/parser.h"
#include "engine/promql/query.h"
#include "engine/remote/receive.h"
#include "engine/scrape/scrape.h"
#include "engine/server/active_queries.h"
#include "engine/server/log_files.h"
#include "engine/server/memory.h"
#include "engine/server/notices.h"
#include "engine/server/query_summary.h"
#include "engine/server/query_turn.h"
#include "engine/server/route.h"
#include "engine/shard/shard.h"
#include "engine/tsdb/tsdb.h"

// What the command line says; flags.c has the rows of our own.
struct server_flags {
    struct prom_flags prom;
    struct str wal_sync, placement_labels, io_backend, cpu_mask, turn_watch;
    bool pin;
    int64_t shards, max_fibers, body_bytes_max;
    int64_t wal_sync_interval_ms, series_max, receiver_late_ms, spill_ms, spill_bytes,
        query_max_bytes, scrape_body_max, memory_limit;
};

enum server_state { SERVER_STARTING, SERVER_READY, SERVER_STOPPING };

struct server_shard { // what one shard has of the server; only its own loop touches it
    _Alignas(CACHE_LINE) struct http_server *web;
    struct scrape *scrape;
    struct receiver *receiver;
    struct prom_config *config; // a reference
    struct route_stats routes;
    struct server_query_stats {
        uint64_t started, ended, samples, samples_read;
        struct query_times times; // of those that ended, added up
    } queries;
    struct query_summary *query_times; // of late
    uint64_t federation_errors;
    struct log_files logs;
    struct waiters notice_waiters; // for a change of the notices
};

struct server {
    struct server_flags flags;
    struct settings settings;
    struct log_sink log;
    struct logger lg;
    struct shards *shards;
    struct tsdb *db;
    struct storage storage; // of db
    struct query_source query_source;
    struct promql_options promql;
    bool delayed_name_removal, exemplar_storage;
    struct arena arena; // of what is made once, at start
    char data_path[512];
    struct str external_host; // with the port, as others reach this server
    struct str external_scheme;
    uint16_t own_port;  // of the first listener
    struct str prefix;  // of all routes, without a slash at its end
    struct regex *cors; // NULL: any origin
    _Atomic int state;  // enum server_state
    int64_t start_ms;
    // Of shard 0.
    bool is_open; // every shard has its part
    bool stop_asked;
    struct waiters stop;
    bool reloading;
    struct waiters reloaded;
    _Atomic bool reload_ok;
    _Atomic int64_t reload_ms;    // of the last success
    _Atomic uint64_t unsupported; // parts of flags and configuration that were passed over
    uint64_t unsupported_flags;   // of them, known at start
    unsigned write_messages;      // of remote_write that are accepted
    struct notices notices;
    struct active_queries active;
    struct query_turns turns;
    struct memory memory;
    struct http_door door; // its home is shard 0
    int exit_code;
    struct shard_post signal_post[2]; // reload, stop
    _Atomic int signal_pending[2];
    struct server_shard *parts; // one a shard
};

// Runs a server with these arguments until it is told to stop; the process's exit code.
int server_run(int argc, const char *const *argv);

// The current shard's part.
struct server_shard *server_self(struct server *s);
// Reads the configuration anew and applies it everywhere, or changes nothing. Suspends.
err server_reload(struct server *s, struct buf *out_why);
void server_ask_to_stop(struct server *s); // from any shard
enum server_state server_state(const struct server *s);
int64_t server_evaluation_interval_ms(struct server *s);
struct tsdb_retention server_retention(struct server *s); // the file's, or the flags'

// Corrupt parts of the WAL that were found, over all shards. Suspends.
uint64_t server_corruptions(struct server *s);

// urls.c
err server_set_urls(struct server *s, struct errmsg *e);

// Flags.
size_t server_flag_rows(struct server_flags *f, struct setting rows[static SETTINGS_MAX]);

#endif
