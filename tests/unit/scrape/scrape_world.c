#include "tests/unit/scrape/scrape_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "engine/base/util.h"
#include "io/clock.h"

enum { NS_PER_MS = 1000000 };

static void handler(void *arg, struct http_exchange *x)
{
    struct scrape_world *w = arg;
    if (w->delay_ms)
        scrape_world_nap(w, w->delay_ms);
    w->requests++;
    http_answer(x, w->status, w->content_type, w->body);
}

static void accepted(void *arg, int fd, const struct address *peer)
{
    struct scrape_world *w = arg;
    http_server_take(w->server, fd, peer);
}

struct call {
    struct scrape_world *w;
};

// Late for a scrape is whoever is late for this.
static void watch_time(void *arg)
{
    struct scrape_world *w = arg;
    while (!w->has_ended) {
        const int64_t begin = clock_mono_ns();
        if (fiber_sleep_ns(5 * NS_PER_MS) != ERR_OK)
            return;
        if (clock_mono_ns() - begin > (5 + 10 * w->pace) * NS_PER_MS)
            w->is_late = true;
    }
}

static void open_shard(void *arg)
{
    struct scrape_world *w = ((struct call *)arg)->w;
    fiber_start_always(LOOP_SCRAPE, watch_time, w, NULL);
    const struct scrape_options options = {.db = w->db,
                                           .adjust_timestamps = true,
                                           .tolerance_ms = 2,
                                           .version = "3.14.0",
                                           .body_bytes_max = 64 << 20};
    w->scrapes[shard_index(shard_self())] = scrape_create(&options);
}

static void apply_shard(void *arg)
{
    struct scrape_world *w = ((struct call *)arg)->w;
    scrape_apply(w->scrapes[shard_index(shard_self())], w->config);
}

static void close_shard(void *arg)
{
    struct scrape_world *w = ((struct call *)arg)->w;
    struct scrape *s = w->scrapes[shard_index(shard_self())];
    scrape_stop(s);
    scrape_destroy(s);
}

static void everywhere(struct scrape_world *w, fiber_fn *fn)
{
    struct call calls[WORLD_SHARDS_MAX];
    for (unsigned i = 0; i < WORLD_SHARDS_MAX; i++)
        calls[i].w = w;
    shard_call_all(LOOP_CONTROL, fn, calls, sizeof *calls, NULL);
}

static err read_text(void *arg, const char *path, struct buf *out, struct errmsg *e)
{
    (void)path, (void)e;
    buf_put_str(out, buf_str(arg));
    return ERR_OK;
}

void scrape_world_apply(struct scrape_world *w, const char *lines)
{
    struct buf text = {0};
    struct errmsg e;
    const long long ms = 50 * w->pace;
    buf_printf(&text, "global: {scrape_interval: %lldms, scrape_timeout: %lldms}\n", ms, ms);
    if (lines)
        buf_printf(&text,
                   "scrape_configs:\n- job_name: j\n%s"
                   "  static_configs: [{targets: ['127.0.0.1:%u']}]\n",
                   lines, listener_port(w->listener));
    const struct prom_config_source source = {.arg = &text, .read = read_text};
    const struct prom_config_options options = {0};
    struct prom_config *config = NULL;
    want(&w->found, prom_config_load("x.yml", &source, &options, &config, &e) == ERR_OK, "%s",
         e.text);
    buf_deinit(&text);
    if (!config)
        return;
    prom_config_unref(w->config);
    w->config = config;
    everywhere(w, apply_shard);
}

void scrape_world_nap(struct scrape_world *w, int64_t ms)
{
    const err code = fiber_sleep_ns(w->pace * ms * NS_PER_MS);
    (void)code; // a world that ends early is noticed by what it did not do
}

void scrape_world_scrapes(struct scrape_world *w, unsigned count)
{
    const unsigned until = w->requests + count;
    for (int i = 0; i < 2000 && w->requests < until; i++)
        scrape_world_nap(w, 5);
    want(&w->found, w->requests >= until, "%u requests", w->requests);
    scrape_world_nap(w, 15); // it is being kept
}

struct str scrape_world_samples(struct scrape_world *w, const char *series)
{
    char whole[512];
    const char *at = strchr(series, '@');
    const bool is_bare = !strchr(series, '{');
    const int before = (int)(at ? at - series : (ptrdiff_t)strlen(series));
    snprintf(whole, sizeof whole, "%.*s%sinstance=\"127.0.0.1:%u\", job=\"j\"%s", before, series,
             is_bare ? "{" : "", listener_port(w->listener), at ? at + 1 : "}");
    dump_samples(w->db, false, &w->dump);
    return dump_line(&w->dump, is_bare || at ? whole : series);
}

struct str scrape_world_last(struct scrape_world *w, const char *series)
{
    const struct str all = scrape_world_samples(w, series);
    const ptrdiff_t space = str_find_last(all, ' ');
    return space == STR_NONE ? all : str_from(all, (size_t)space + 1);
}

static void take_error(void *arg, const struct scrape_target_view *view)
{
    snprintf(arg, 256, "%.*s", STR_ARG(view->last_error));
}

void scrape_world_error(struct scrape_world *w, char out[256])
{
    out[0] = '\0';
    scrape_each(w->scrapes[0], take_error, out);
}

static void run(void *arg)
{
    struct scrape_world *w = arg;
    struct errmsg e = {0};
    const struct tsdb_options db = {.path = w->folder[0] ? w->folder : NULL,
                                    .wal_sync = TSDB_WAL_SYNC_NONE,
                                    .spill_ms = w->spill_ms};
    const struct http_server_options web = {
        .handler = handler,
        .arg = w,
        .read_timeout_ns = 300000LL * NS_PER_MS,
        .write_timeout_ns = 300000LL * NS_PER_MS,
        .body_bytes_max = 1 << 20,
    };
    w->content_type = "text/plain";
    w->status = 200;
    want(&w->found, tsdb_open(&db, &w->db, &e) == ERR_OK, "%s", e.text);
    w->server = http_server_create(&web);
    want(&w->found, listener_open("127.0.0.1", 0, accepted, w, &w->listener, &e) == ERR_OK, "%s",
         e.text);
    if (w->db && w->listener) {
        everywhere(w, open_shard);
        w->script(w);
        w->has_ended = true;
        everywhere(w, close_shard);
        listener_close(w->listener);
    }
    http_server_drain(w->server);
    http_server_destroy(w->server);
    want(&w->found, tsdb_close(w->db, &e) == ERR_OK, "%s", e.text);
    prom_config_unref(w->config);
    buf_deinit(&w->dump);
}

static void run_once(struct scrape_world *w)
{
    char command[128];
    if (w->shards > 1 || w->spill_ms) {
        snprintf(w->folder, sizeof w->folder, "/tmp/ferula-scrape-XXXXXX");
        want(&w->found, mkdtemp(w->folder) != NULL);
    }
    in_shards(w->shards, SHARD_BACKEND_AUTO, run, w, &w->found);
    snprintf(command, sizeof command, "rm -rf '%s'", w->folder);
    want(&w->found, !w->folder[0] || system(command) == 0);
}

void scrape_world_run(struct scrape_world *w)
{
    const struct scrape_world before = {
        .script = w->script, .shards = w->shards, .spill_ms = w->spill_ms};
    for (int64_t pace = 1; pace <= 16; pace *= 4) {
        *w = before;
        w->pace = pace;
        run_once(w);
        if (!w->found.text[0] || !w->is_late)
            break;
    }
}
