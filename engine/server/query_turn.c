#include "engine/server/query_turn.h"

#include <assert.h>

#include "engine/base/calendar.h"
#include "engine/base/util.h"
#include "engine/server/json_log.h"
#include "engine/server/server.h"
#include "io/clock.h"

// One that waits. Its turn is handed to it, so that nobody who comes later is first, and so that a
// turn is not lost when who was woken gives up in the same moment.
struct waiting {
    struct list link;
    struct waiters wake;
    bool is_given;
};

// Each shard has its share of the turns.
size_t server_query_share(const struct server *s)
{
    const uint64_t shards = shards_count(s->shards);
    return (size_t)(((uint64_t)s->flags.prom.query.max_concurrency + shards - 1) / shards);
}

static err wait_for_turn(struct server_shard *self, uint64_t share, struct errmsg *e)
{
    if (self->queries.running < share) {
        self->queries.running++;
        return ERR_OK;
    }
    struct waiting turn = {0};
    waiters_init(&turn.wake);
    list_push(&self->query_turns, &turn.link);
    self->queries.waiting++;
    err code = ERR_OK;
    while (!code && !turn.is_given)
        code = waiters_wait(&turn.wake);
    self->queries.waiting--;
    if (turn.is_given)
        return ERR_OK;
    list_remove(&turn.link);
    return err_set(e, code, "context %s", code == ERR_TIMEOUT ? "deadline exceeded" : "canceled");
}

static void put_date(struct json *j, const char *key, int64_t ms)
{
    char text[CALENDAR_TEXT_MAX];
    json_key(j, key);
    json_str(j, str_make(text, calendar_format_ms(ms, text)));
}

static void put_origin(struct json *j, const struct query_turn *t)
{
    char ip[ADDRESS_TEXT_MAX];
    json_key(j, "httpRequest");
    json_object_begin(j);
    json_key(j, "clientIP");
    json_str(j, str_make(ip, address_format(t->x->peer, false, ip)));
    json_key(j, "method");
    json_str(j, t->x->method);
    json_key(j, "path");
    struct buf path = {0};
    buf_put_str(&path, t->server->prefix);
    buf_put_str(&path, t->x->path);
    json_str_plain(j, buf_str(&path));
    buf_deinit(&path);
    json_object_end(j);
}

static void log_query(const struct query_turn *t, struct json_log *log,
                      const struct query_stats *stats, struct str error)
{
    struct json j;
    json_log_begin(log, "INFO", "query_turn.c", STR("promql query logged"), &j);
    json_key(&j, "params");
    json_object_begin(&j);
    put_date(&j, "end", t->end_ms);
    json_key(&j, "query");
    json_str_plain(&j, t->text);
    put_date(&j, "start", t->start_ms);
    json_key(&j, "step");
    json_i64(&j, t->step_ms / 1000);
    json_object_end(&j);
    if (error.n) {
        json_key(&j, "error");
        json_str_plain(&j, error);
    }
    json_key(&j, "stats");
    query_put_stats(&j, &t->times, stats);
    json_key(&j, "spanID");
    json_cstr(&j, "0000000000000000"); // nothing traces
    put_origin(&j, t);
    json_log_end(log, &j);
}

err query_turn_begin(struct query_turn *t, struct errmsg *e)
{
    struct server_shard *self = server_self(t->server);
    const int64_t asked_ns = clock_mono_ns();
    TRY(wait_for_turn(self, server_query_share(t->server), e));
    t->times = (struct query_times){.queue = clock_mono_ns() - asked_ns};
    self->queries.started++;
    t->active = active_queries_add(&t->server->active, shard_index(shard_self()), t->text,
                                   clock_wall_ms() / 1000);
    return ERR_OK;
}

void query_turn_end(struct query_turn *t, const struct query_stats *stats, struct str error)
{
    struct server_shard *self = server_self(t->server);
    assert(self->queries.running > 0);
    active_queries_remove(&t->server->active, t->active);
    self->queries.ended++;
    self->queries.samples += stats->samples;
    self->queries.samples_read += stats->samples_read;
    self->queries.times.queue += t->times.queue;
    self->queries.times.prepare += t->times.prepare;
    self->queries.times.eval += t->times.eval;
    struct list *next = list_pop(&self->query_turns);
    if (next) {
        struct waiting *turn = container_of(next, struct waiting, link);
        turn->is_given = true;
        waiters_wake_all(&turn->wake);
    } else {
        self->queries.running--;
    }
    if (self->logs.queries)
        log_query(t, self->logs.queries, stats, error);
}

void query_put_stats(struct json *j, const struct query_times *times,
                     const struct query_stats *stats)
{
    const double queue = (double)times->queue / 1e9, prepare = (double)times->prepare / 1e9;
    const double eval = (double)times->eval / 1e9;
    const struct {
        const char *name;
        double seconds;
    } timings[] = {{"evalTotalTime", prepare + eval}, {"resultSortTime", 0},
                   {"queryPreparationTime", prepare}, {"innerEvalTime", eval},
                   {"execQueueTime", queue},          {"execTotalTime", prepare + eval}};
    json_object_begin(j);
    json_key(j, "timings");
    json_object_begin(j);
    for (size_t i = 0; i < countof(timings); i++) {
        json_key(j, timings[i].name);
        json_double(j, timings[i].seconds);
    }
    json_object_end(j);
    json_key(j, "samples");
    json_object_begin(j);
    json_key(j, "totalQueryableSamples");
    json_u64(j, stats->samples);
    json_key(j, "samplesRead");
    json_u64(j, stats->samples_read);
    json_key(j, "peakSamples");
    json_u64(j, stats->samples_peak);
    json_object_end(j);
    json_object_end(j);
}
