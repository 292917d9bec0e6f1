#include "engine/server/server.h"

#include <assert.h>
#include <signal.h>
#include <stdio.h>

#include "engine/base/mem.h"
#include "engine/base/number.h"
#include "engine/base/util.h"
#include "engine/config/config_files.h"
#include "engine/model/labels.h"
#include "engine/server/version.h"
#include "engine/tsdb/tsdb_notes.h"
#include "io/clock.h"
#include "io/file.h"
#include "io/process.h"
#include "simd/simd.h"

enum { NS_PER_MS = 1000000, SIGNAL_RELOAD = 0, SIGNAL_STOP = 1, CACHE_SERIES = 1 << 20 };
static const int64_t DRAIN_NS = 10000000000, WRITE_TIMEOUT_NS = 60000000000;

enum server_state server_state(const struct server *s)
{
    const int state = atomic_load(&s->state);
    if (state == SERVER_STARTING && s->db && tsdb_is_ready(s->db))
        return SERVER_READY;
    return (enum server_state)state;
}

struct server_shard *server_self(struct server *s)
{
    return &s->parts[shard_index(shard_self())];
}

int64_t server_evaluation_interval_ms(struct server *s)
{
    return server_self(s)->config->global.evaluation_interval_ms;
}

// A retention block of the file replaces the flags, as a whole.
static struct tsdb_retention retention_of(const struct server *s, const struct prom_config *c)
{
    const struct prom_tsdb_flags *const flags = &s->flags.prom.tsdb;
    const struct retention_config *const r = c->storage.tsdb ? c->storage.tsdb->retention : NULL;
    if (!r)
        return (struct tsdb_retention){flags->retention_ms, (uint64_t)flags->retention_bytes, 0};
    return (struct tsdb_retention){r->time_ms, (uint64_t)r->size_bytes, r->percentage};
}

static int64_t out_of_order_of(const struct prom_config *c)
{
    const struct tsdb_config *const tsdb = c->storage.tsdb;
    return tsdb && tsdb->out_of_order_ms > 0 ? tsdb->out_of_order_ms : 0;
}

// How many all shards together remember; 0: exemplars are not kept.
static uint32_t exemplars_of(const struct server *s, const struct prom_config *c)
{
    enum { DEFAULT_MAX = 100000 };
    const int64_t max = c->storage.exemplars ? c->storage.exemplars->max_exemplars : DEFAULT_MAX;
    if (!s->exemplar_storage || max <= 0)
        return 0;
    return max < INT32_MAX ? (uint32_t)max : INT32_MAX;
}

struct tsdb_retention server_retention(struct server *s)
{
    return retention_of(s, server_self(s)->config);
}

// ---- configuration

// A web configuration with content asks for TLS or authentication: what protects is not passed
// over. out stays as it is without such content.
static err check_web_config(const struct server *s, struct str *out, struct errmsg *e) // Suspends.
{
    const struct str path = s->flags.prom.web.config_file; // of argv: it ends in NUL
    struct buf content = {0};
    if (!path.n)
        return ERR_OK;
    const err code = path_read(path.p, CONFIG_FILE_MAX, &content, e);
    if (!code && str_trim(buf_str(&content)).n)
        *out = path;
    buf_deinit(&content);
    return code ? err_wrap(e, code, "--web.config.file") : ERR_OK;
}

// cause: of an error too long for e, see prom_config_error(). Suspends.
static err load_config(struct server *s, struct prom_config **out, struct buf *cause,
                       struct errmsg *e)
{
    struct prom_config_options options = {.ignore_unsupported = s->flags.prom.ignore_unsupported,
                                          .cause = cause};
    char path[512];
    TRY(check_web_config(s, &options.web_config_file, e));
    if (s->flags.prom.config_file.n >= sizeof path)
        return err_set(e, ERR_INVALID, "--config.file: the path is too long");
    memcpy(path, s->flags.prom.config_file.p, s->flags.prom.config_file.n);
    path[s->flags.prom.config_file.n] = '\0';
    const err code = config_files_load(path, &options, out, e);
    if (code)
        return err_wrap(e, code, "couldn't load configuration (--config.file=\"%s\")", path);
    for (size_t i = 0; i < (*out)->warnings_n; i++)
        log_warn(&s->lg, "the configuration asks for what is not supported yet",
                 log_str("what", (*out)->warnings[i]));
    return ERR_OK;
}

struct apply {
    struct server *server;
    struct prom_config *config;
};

static void apply_config(void *arg) // on every shard
{
    const struct apply *a = arg;
    struct server_shard *self = server_self(a->server);
    struct prom_config *old = self->config;
    self->config = prom_config_ref(a->config);
    prom_config_unref(old);
    const struct tsdb_retention retention = retention_of(a->server, a->config);
    tsdb_set_retention(a->server->db, &retention);
    tsdb_set_out_of_order(a->server->db, out_of_order_of(a->config));
    tsdb_set_exemplars(a->server->db, exemplars_of(a->server, a->config));
    scrape_apply(self->scrape, a->config);
    log_files_open(a->server, a->config);
}

static void apply_everywhere(struct server *s, struct prom_config *config) // Suspends.
{
    struct apply args[SHARD_MAX];
    for (unsigned i = 0; i < shards_count(s->shards); i++)
        args[i] = (struct apply){s, config};
    shard_call_all(LOOP_CONTROL, apply_config, args, sizeof *args, NULL);
    s->unsupported = config->unsupported + s->unsupported_flags;
    s->reload_ok = true;
    s->reload_ms = clock_wall_ms();
    notices_set(s, NOTICE_RELOAD_FAILED, false);
}

struct reload {
    struct server *server;
    err code;
    struct errmsg e;
    struct buf cause;       // of e, whole
    struct shard *asked_by; // NULL: by shard 0 itself
    struct shard_post there, back;
    bool is_done;
    struct waiters done;
};

static void note_failed_reload(struct server *s, const struct reload *r)
{
    struct buf why = {0};
    prom_config_error(&r->e, buf_str(&r->cause), &why);
    s->reload_ok = false;
    notices_set(s, NOTICE_RELOAD_FAILED, true);
    log_error(&s->lg, "Error reloading config", log_str("err", buf_str(&why)));
    buf_deinit(&why);
}

static void run_reload(void *arg) // on shard 0
{
    struct reload *r = arg;
    struct server *s = r->server;
    struct prom_config *config;
    while (s->reloading) { // one after the other, none is lost
        const err code = waiters_wait(&s->reloaded);
        if (code) {
            r->code = err_set(&r->e, code, "the reload was not waited for");
            return;
        }
    }
    s->reloading = true; // shut_down() waits for its end
    r->code = load_config(s, &config, &r->cause, &r->e);
    if (!r->code && server_state(s) == SERVER_STOPPING) {
        prom_config_unref(config);
        r->code = err_set(&r->e, ERR_CANCELED, "the server stops");
    } else if (!r->code && (r->code = log_files_check(s, config, &r->e)) != ERR_OK) {
        prom_config_unref(config);
        note_failed_reload(s, r);
    } else if (!r->code) {
        apply_everywhere(s, config);
        prom_config_unref(config);
        log_info(&s->lg, "Completed loading of configuration file",
                 log_str("filename", s->flags.prom.config_file));
    } else {
        note_failed_reload(s, r);
    }
    s->reloading = false;
    waiters_wake_all(&s->reloaded);
}

static void note_reloaded(void *arg) // on the shard that asked
{
    struct reload *r = arg;
    r->is_done = true;
    waiters_wake_all(&r->done);
}

static void reload_for_another(void *arg) // on shard 0
{
    struct reload *r = arg;
    run_reload(r);
    r->back = (struct shard_post){.class = LOOP_CONTROL, .fn = note_reloaded, .arg = r};
    shard_post(r->asked_by, &r->back);
}

// A shard that was called may not call others, and a reload calls all: hence posts, there and back.
static void ask_for_reload(struct reload *r) // Suspends.
{
    waiters_init(&r->done);
    r->asked_by = shard_self();
    r->there = (struct shard_post){.class = LOOP_CONTROL, .fn = reload_for_another, .arg = r};
    fiber_shield_begin();
    shard_post(shards_at(r->server->shards, 0), &r->there);
    while (!r->is_done) {
        const err code = waiters_wait(&r->done);
        (void)code; // shielded: the flag decides
    }
    fiber_shield_end();
}

err server_reload(struct server *s, struct buf *out_why)
{
    struct reload r = {.server = s};
    if (shard_index(shard_self()) == 0)
        run_reload(&r);
    else
        ask_for_reload(&r);
    if (r.code && out_why)
        prom_config_error(&r.e, buf_str(&r.cause), out_why);
    buf_deinit(&r.cause);
    return r.code;
}

static void reload_by_signal(void *arg)
{
    struct server *s = arg;
    atomic_store(&s->signal_pending[SIGNAL_RELOAD], 0);
    if (server_state(s) == SERVER_STOPPING)
        return;
    const err code = server_reload(s, NULL);
    (void)code; // it has been logged
}

// ---- stopping

static void note_stop(void *arg)
{
    struct server *s = arg;
    s->stop_asked = true;
    waiters_wake_all(&s->stop);
}

static void post_once(struct server *s, int which, fiber_fn *fn)
{
    if (atomic_exchange(&s->signal_pending[which], 1))
        return; // it is on its way
    s->signal_post[which] = (struct shard_post){.class = LOOP_CONTROL, .fn = fn, .arg = s};
    shard_post(shards_at(s->shards, 0), &s->signal_post[which]);
}

void server_ask_to_stop(struct server *s)
{
    post_once(s, SIGNAL_STOP, note_stop);
}

static void on_signal(void *arg, int number) // on the signal thread
{
    struct server *s = arg;
    if (number == SIGHUP)
        post_once(s, SIGNAL_RELOAD, reload_by_signal);
    else
        server_ask_to_stop(s);
}

// ---- listening

struct handover {
    struct shard_post post;
    struct server *server;
    int fd;
    struct address peer;
};

static void take_connection(void *arg) // on the connection's shard
{
    struct handover *h = arg;
    http_server_take(server_self(h->server)->web, h->fd, &h->peer);
    mem_free(h);
}

static void accepted(void *arg, int fd, const struct address *peer)
{
    struct server *s = arg;
    struct shard *to = shard_of_connection();
    if (to == shard_self()) {
        http_server_take(server_self(s)->web, fd, peer);
        return;
    }
    struct handover *h = mem_alloc(sizeof *h);
    *h = (struct handover){.server = s, .fd = fd, .peer = *peer};
    h->post = (struct shard_post){.class = LOOP_CONTROL, .fn = take_connection, .arg = h};
    shard_post(to, &h->post);
}

// "host:port", ":port", "[::1]:port"
static err split_address(struct str text, char host[256], uint16_t *port, struct errmsg *e)
{
    const ptrdiff_t colon = str_find_last(text, ':');
    uint64_t number;
    if (colon == STR_NONE ||
        number_parse_u64(str_from(text, (size_t)colon + 1), &number) != ERR_OK || number > 65535 ||
        colon > 255)
        return err_set(e, ERR_INVALID, "--web.listen-address: \"%.*s\" is not host:port",
                       STR_ARG(text));
    struct str name = str_until(text, (size_t)colon);
    if (name.n >= 2 && name.p[0] == '[' && name.p[name.n - 1] == ']')
        name = str_make(name.p + 1, name.n - 2);
    memcpy(host, name.p, name.n);
    host[name.n] = '\0';
    *port = (uint16_t)number;
    return ERR_OK;
}

static err listen_all(struct server *s, struct errmsg *e) // Suspends.
{
    static_assert((int)HTTP_DOOR_LISTENERS_MAX >= (int)SETTING_LIST_MAX,
                  "as many as can be asked for");
    http_door_init(&s->door, s->flags.prom.web.max_connections, accepted, s);
    for (size_t i = 0; i < s->flags.prom.web.listen_address.n; i++) {
        const struct str text = s->flags.prom.web.listen_address.items[i];
        char host[256], shown[512];
        uint16_t port;
        TRY(split_address(text, host, &port, e));
        const err code = http_door_listen(&s->door, host, port, e);
        if (code == ERR_EXISTS)
            return err_set(e, code,
                           "listen tcp %.*s: the port is taken by %s; choose another with "
                           "--web.listen-address",
                           STR_ARG(text), process_of_port(port, shown, sizeof shown));
        if (code)
            return code;
        snprintf(shown, sizeof shown, strchr(host, ':') ? "[%s]:%u" : "%s:%u", host,
                 listener_port(s->door.listeners[i]));
        log_info(&s->lg, "Listening on", log_cstr("address", shown));
    }
    return ERR_OK;
}

// ---- start and end, on shard 0

static uint64_t least(int64_t a, uint64_t b)
{
    return (uint64_t)a < b ? (uint64_t)a : b;
}

// Of the memory's limit, where the flags allow more.
enum { BODIES_PART = 16, SCRAPE_BODY_PART = 8 };

static void open_shard(void *arg) // on every shard
{
    struct server *s = ((const struct apply *)arg)->server;
    struct server_shard *self = server_self(s);
    const struct server_flags *f = &s->flags;
    const unsigned shards = shards_count(s->shards);
    const uint64_t bodies = least(f->body_bytes_max, memory_share(s, BODIES_PART * shards));
    const struct http_server_options web = {
        .handler = route_handle,
        .observer = route_observe,
        .arg = s,
        .read_timeout_ns = f->prom.web.read_timeout_ms * NS_PER_MS,
        .write_timeout_ns = WRITE_TIMEOUT_NS,
        .door = &s->door,
        .body_bytes_max = bodies,
        .log = &s->log,
    };
    const struct str hostname = str_from_c(process_hostname());
    const struct str external = ((const struct apply *)arg)->config->global.external_labels_encoded;
    const struct scrape_options scrape = {
        .db = s->db,
        .keep_exemplars = s->exemplar_storage,
        .log = &s->log,
        .adjust_timestamps = f->prom.scrape_adjust_timestamps,
        .tolerance_ms = f->prom.scrape_timestamp_tolerance_ms,
        .offset_seed = hash_fnv64a(hostname.p, hostname.n) ^ hash_fnv64a(external.p, external.n),
        .version = PROMETHEUS_VERSION,
        .failed = log_files_scrape_failed,
        .failed_arg = s,
        .body_bytes_max = least(f->scrape_body_max, memory_share(s, SCRAPE_BODY_PART)),
    };
    const struct receiver_options receiver = {.db = s->db,
                                              .enabled = f->prom.web.enable_remote_write_receiver,
                                              .late_ms = f->receiver_late_ms,
                                              .messages = s->write_messages,
                                              .decoded_bytes_max = bodies,
                                              .series_max = CACHE_SERIES / shards,
                                              .log = &s->log};
    self->query_times = mem_zalloc(sizeof *self->query_times);
    waiters_init(&self->notice_waiters);
    self->config = prom_config_ref(((const struct apply *)arg)->config);
    self->web = http_server_create(&web);
    self->scrape = scrape_create(&scrape);
    self->receiver = receiver_create(&receiver);
}

static enum tsdb_wal_sync wal_sync_of(struct str text)
{
    if (str_eq(text, STR("always")))
        return TSDB_WAL_SYNC_ALWAYS;
    return str_eq(text, STR("none")) ? TSDB_WAL_SYNC_NONE : TSDB_WAL_SYNC_INTERVAL;
}

// Opening counts the run and cleans up, which has to be on the disk: nothing can be promised
// without. Whatever room a running server lacks it waits for.
static err needs_room(err code, struct errmsg *e)
{
    if (code != ERR_LIMIT || !strstr(e->text, "no space left on device"))
        return code;
    return err_wrap(e, code,
                    "the disk is full, and starting needs some room on it: free some, or name "
                    "another folder with --storage.tsdb.path");
}

static err open_db(struct server *s, const struct prom_config *config,
                   struct errmsg *e) // Suspends.
{
    struct tsdb_options options = {
        .path = s->data_path,
        .retention = retention_of(s, config),
        .wal_sync = wal_sync_of(s->flags.wal_sync),
        .wal_sync_interval_ms = s->flags.wal_sync_interval_ms,
        .spill_ms = s->flags.spill_ms,
        .spill_bytes = (uint64_t)s->flags.spill_bytes,
        .seal_ms = 2 * 3600 * 1000,
        .placement_labels = settings_is_given(&s->settings, STR("storage.placement-labels"))
                                ? s->flags.placement_labels
                                : (struct str){0},
        .series_max = (uint64_t)s->flags.series_max,
        .exemplars_max = exemplars_of(s, config),
        .log = &s->log,
    };
    const err code = tsdb_open(&options, &s->db, e);
    if (code)
        return needs_room(code, e);
    s->storage = tsdb_storage(s->db);
    s->query_source = (struct query_source){&s->storage, 1, true};
    memory_watch(s);
    return ERR_OK;
}

// Everything in order; what was opened before an error is closed by shut_down().
static err boot(struct server *s, struct buf *cause, struct errmsg *e) // Suspends.
{
    struct prom_config *config;
    struct apply args[SHARD_MAX];
    TRY(load_config(s, &config, cause, e));
    err code = log_files_check(s, config, e);
    if (!code)
        code = open_db(s, config, e);
    if (!code) {
        active_queries_open(&s->active, s->data_path, (size_t)s->flags.prom.query.max_concurrency,
                            &s->lg);
        for (unsigned i = 0; i < shards_count(s->shards); i++)
            args[i] = (struct apply){s, config};
        shard_call_all(LOOP_CONTROL, open_shard, args, sizeof *args, NULL);
        s->is_open = true;
        code = listen_all(s, e);
    }
    if (!code)
        apply_everywhere(s, config);
    prom_config_unref(config);
    return code;
}

// On every shard: scrapes and requests end. A request may ask any shard, so nothing is freed before
// the last of them has ended everywhere.
static void quiet_shard(void *arg) // Suspends.
{
    struct server *s = ((const struct apply *)arg)->server;
    struct server_shard *self = server_self(s);
    scrape_stop(self->scrape);
    fiber_set_deadline(clock_mono_ns() + DRAIN_NS);
    http_server_drain(self->web);
    fiber_set_deadline(INT64_MAX);
}

static void close_shard(void *arg) // on every shard
{
    struct server *s = ((const struct apply *)arg)->server;
    struct server_shard *self = server_self(s);
    http_server_destroy(self->web);
    scrape_destroy(self->scrape);
    receiver_destroy(self->receiver);
    log_files_close(&self->logs);
    mem_free(self->query_times);
    prom_config_unref(self->config);
}

static void shut_down(struct server *s) // Suspends.
{
    struct apply args[SHARD_MAX];
    struct errmsg e;
    atomic_store(&s->state, SERVER_STOPPING);
    notices_set(s, NOTICE_STOPPING, true);
    http_door_close(&s->door);
    for (unsigned i = 0; i < shards_count(s->shards); i++)
        args[i] = (struct apply){.server = s};
    while (s->reloading) {
        const err code = waiters_wait(&s->reloaded);
        (void)code; // the flag decides
    }
    if (s->is_open) {
        shard_call_all(LOOP_CONTROL, quiet_shard, args, sizeof *args, NULL);
        shard_call_all(LOOP_CONTROL, close_shard, args, sizeof *args, NULL);
    }
    active_queries_close(&s->active);
    memory_watch_end(s);
    if (s->db && tsdb_close(s->db, &e) != ERR_OK) {
        log_error(&s->lg, "the data folder was not closed cleanly", log_cstr("err", e.text));
        s->exit_code = 1;
    }
}

static void refuse_start(struct server *s, const struct errmsg *e, struct str cause)
{
    struct buf why = {0};
    prom_config_error(e, cause, &why);
    log_error(&s->lg, "cannot start", log_str("err", buf_str(&why)));
    buf_deinit(&why);
    s->exit_code = 1;
    s->stop_asked = true;
}

static void log_ready(struct server *s) // Suspends.
{
    struct errmsg e;
    while (!s->stop_asked && server_state(s) == SERVER_STARTING) {
        const err code = tsdb_start_result(s->db, &e);
        if (code) {
            const err said = needs_room(code, &e);
            (void)said; // that it does not start is what counts
            refuse_start(s, &e, (struct str){0});
        } else if (fiber_sleep_ns(20 * NS_PER_MS) != ERR_OK) {
            return;
        }
    }
    if (s->stop_asked)
        return;
    atomic_store(&s->state, SERVER_READY);
    notices_set(s, NOTICE_STARTING, false);
    log_info(&s->lg, "Server is ready to receive web requests.",
             log_i64("ms", clock_wall_ms() - s->start_ms));
}

static void run(void *arg) // a control fiber on shard 0
{
    struct server *s = arg;
    struct errmsg e;
    struct buf cause = {0};
    waiters_init(&s->stop);
    waiters_init(&s->reloaded);
    query_turns_init(&s->turns);
    memory_init(s);
    notices_set(s, NOTICE_STARTING, true);
    s->reloading = true; // so that nobody reloads what is not there yet
    const err booted = boot(s, &cause, &e);
    s->reloading = false;
    waiters_wake_all(&s->reloaded);
    if (booted) {
        refuse_start(s, &e, buf_str(&cause));
        buf_deinit(&cause);
    } else {
        log_info(&s->lg, "started", log_cstr("io", loop_backend_name(loop_current())),
                 log_i64("shards", shards_count(s->shards)));
        process_deliver_signals(on_signal, s);
        log_ready(s);
        while (!s->stop_asked) {
            const err code = waiters_wait(&s->stop);
            (void)code; // whatever woke it: the flag decides
        }
        log_info(&s->lg, "stopping: scrapes end, requests finish, the head is sealed");
    }
    shut_down(s);
    process_deliver_signals(NULL, NULL); // one that comes now has nobody to tell
    shards_stop(s->shards);
}

static void start_shard(void *arg)
{
    struct server *s = arg;
    if (shard_index(shard_self()) != 0)
        return;
    s->shards = shard_all();
    const size_t size = shards_count(s->shards) * sizeof *s->parts;
    s->parts = mem_alloc_aligned(_Alignof(struct server_shard), size);
    memset(s->parts, 0, size);
    run(s);
}

// ---- the process

static err prepare(struct server *s, struct errmsg *e)
{
    struct server_flags *f = &s->flags;
    static const struct {
        const char *name;
        enum log_level level;
    } levels[] = {{"debug", LOG_LEVEL_DEBUG},
                  {"info", LOG_LEVEL_INFO},
                  {"warn", LOG_LEVEL_WARN},
                  {"error", LOG_LEVEL_ERROR}};
    for (size_t i = 0; i < countof(levels); i++)
        if (str_eq(f->prom.log_level, str_from_c(levels[i].name)))
            s->log.level = levels[i].level;
    s->log.style = str_eq(f->prom.log_format, STR("json")) ? LOG_STYLE_JSON : LOG_STYLE_LOGFMT;
    s->log.write = process_log_write;
    s->log.wall_ms = process_wall_ms;
    s->lg = (struct logger){.component = "main", .sink = &s->log};
    if (!str_eq(f->prom.web.cors_origin, STR(".*")))
        TRY(regex_create(f->prom.web.cors_origin, REGEX_ANCHORED, &s->cors, e));
    if (f->prom.tsdb.path.n >= sizeof s->data_path)
        return err_set(e, ERR_INVALID, "--storage.tsdb.path: the path is too long");
    memcpy(s->data_path, f->prom.tsdb.path.p, f->prom.tsdb.path.n);
    return server_set_urls(s, e);
}

static void pass_over_flag(struct server *s, const char *name)
{
    log_warn(&s->lg, "a flag asks for what is not supported yet", log_cstr("flag", name));
    s->unsupported_flags++;
}

static err set_write_messages(struct server *s, struct errmsg *e)
{
    const struct setting_list *messages = &s->flags.prom.web.accepted_protobuf_messages;
    for (size_t i = 0; i < messages->n; i++) {
        struct str rest = messages->items[i], name;
        while (str_split(&rest, ',', &name)) {
            enum remote_message message;
            if (!remote_message_parse(name, &message))
                return err_set(e, ERR_INVALID,
                               "unknown remote write protobuf message %.*s, supported: "
                               "prometheus.WriteRequest, io.prometheus.write.v2.Request",
                               STR_ARG(name));
            s->write_messages |= message;
        }
    }
    return ERR_OK;
}

// Flags that ask for what is not built yet: a mode of its own is refused, a convenience is named.
static err check_flags(struct server *s, struct errmsg *e)
{
    const struct prom_flags *f = &s->flags.prom;
    const struct {
        const char *name;
        bool given;
    } unbuilt[] = {{"config.auto-reload", f->auto_reload},
                   {"web.enable-otlp-receiver", f->web.enable_otlp_receiver}};
    if (f->agent)
        return err_set(e, ERR_INVALID, "--agent: agent mode is not supported yet");
    for (size_t i = 0; i < countof(unbuilt); i++)
        if (unbuilt[i].given)
            pass_over_flag(s, unbuilt[i].name);
    return set_write_messages(s, e);
}

static void set_features(struct server *s)
{
    for (size_t i = 0; i < s->flags.prom.features.n; i++) {
        struct str rest = s->flags.prom.features.items[i], name;
        while (str_split(&rest, ',', &name)) {
            if (str_eq(name, STR("promql-experimental-functions")))
                s->promql.experimental_functions = true;
            else if (str_eq(name, STR("promql-delayed-name-removal")))
                s->delayed_name_removal = true;
            else if (str_eq(name, STR("exemplar-storage")))
                s->exemplar_storage = true;
            else
                log_warn(&s->lg, "a feature that does not exist here was asked for",
                         log_str("feature", name));
        }
    }
}

static enum turn_watch_mode watch_of(struct str text)
{
    if (str_eq(text, STR("abort")))
        return TURN_WATCH_ABORT;
    return str_eq(text, STR("log")) ? TURN_WATCH_LOG : TURN_WATCH_OFF;
}

static int serve(struct server *s)
{
    struct errmsg e;
    static const int signals[] = {SIGTERM, SIGINT, SIGHUP};
    uint32_t isas = 0;
    if (process_catch_signals(signals, countof(signals), &e) != ERR_OK ||
        prepare(s, &e) != ERR_OK) {
        fprintf(stderr, "ferula: %s\n", e.text);
        return 1;
    }
    if ((s->flags.cpu_mask.n ? simd_mask_parse(s->flags.cpu_mask, &isas, &e)
                             : simd_mask_from_environment(&isas, &e)) != ERR_OK) {
        fprintf(stderr, "ferula: --cpu-mask: %s\n", e.text);
        return 1;
    }
    simd_init(isas);
    if (check_flags(s, &e) != ERR_OK) {
        fprintf(stderr, "ferula: %s\n", e.text);
        return 1;
    }
    settings_warn(&s->settings, &s->lg);
    set_features(s);
    s->start_ms = process_wall_ms(NULL);
    log_info(&s->lg, "Starting Ferula", log_cstr("version", FERULA_VERSION),
             log_i64("open_files", (int64_t)process_raise_file_limit()));
    const struct shards_options options = {
        .count = (unsigned)s->flags.shards,
        .pin = s->flags.pin,
        .backend = str_eq(s->flags.io_backend, STR("poll"))       ? SHARD_BACKEND_POLL
                   : str_eq(s->flags.io_backend, STR("io_uring")) ? SHARD_BACKEND_URING
                                                                  : SHARD_BACKEND_AUTO,
        .loop = {.fibers_max = (size_t)s->flags.max_fibers,
                 .watch = watch_of(s->flags.turn_watch),
                 .log = &s->log},
        .log = &s->log,
    };
    if (shards_create(&options, start_shard, s, &s->shards, &e) != ERR_OK) {
        fprintf(stderr, "ferula: %s\n", e.text);
        s->exit_code = 1;
    } else {
        shards_destroy(s->shards);
        log_info(&s->lg, "See you next time!");
    }
    mem_free(s->parts);
    regex_destroy(s->cors);
    return s->exit_code;
}

// Flags of the mode that was not asked for are refused.
static int run_mode(struct server *s)
{
    struct buf flags = {0};
    const bool is_agent = s->flags.prom.agent;
    const bool is_bad =
        settings_given_with(&s->settings, is_agent ? SETTING_SERVER : SETTING_AGENT, &flags);
    if (is_bad)
        fprintf(stderr, "The following flag(s) can %s be used in agent mode: %.*s\n",
                is_agent ? "not" : "only", STR_ARG(buf_str(&flags)));
    buf_deinit(&flags);
    return is_bad ? 3 : serve(s);
}

int server_run(int argc, const char *const *argv)
{
    struct server *s = mem_zalloc(sizeof *s);
    struct setting *rows = mem_zalloc(SETTINGS_MAX * sizeof *rows);
    struct errmsg e;
    static const char about[] = "A monitoring server: scrapes, receives, keeps, answers PromQL.";
    int code = 0;
    arena_init(&s->arena, 0);
    const size_t n = server_flag_rows(&s->flags, rows);
    const err parsed = settings_parse(&s->settings, rows, n, argc, argv, &e);
    struct buf text = {0};
    if (!parsed)
        prom_flags_finish(&s->flags.prom, &s->arena);
    if (s->flags.prom.help) {
        settings_format_help(&s->settings, "ferula", about, &text);
        fwrite(text.p, 1, text.n, stdout);
    } else if (s->flags.prom.write_documentation) {
        settings_format_markdown(&s->settings, "ferula", about, &text);
        fwrite(text.p, 1, text.n, stdout);
    } else if (s->flags.prom.version) {
        printf("ferula %s (in place of prometheus %s)\n", FERULA_VERSION, PROMETHEUS_VERSION);
    } else if (parsed) {
        fprintf(stderr, "Error parsing command line arguments: %s\nferula: error: %s; try --help\n",
                e.text, e.text);
        code = s->settings.is_malformed ? 1 : 2;
    } else {
        code = run_mode(s);
    }
    buf_deinit(&text);
    arena_deinit(&s->arena);
    mem_free(rows);
    mem_free(s);
    return code;
}
