#include "engine/server/query_turn.h"

#include <assert.h>

#include "engine/base/calendar.h"
#include "engine/base/mem.h"
#include "engine/base/util.h"
#include "engine/server/json_log.h"
#include "engine/server/server.h"
#include "io/clock.h"

// One that waits. Its turn is handed to it, so that nobody who comes later is first, and so that a
// turn is not lost when who was woken gives up in the same moment.
struct waiting {
    struct server *server;
    struct list link;
    struct waiters wake;
    bool is_given;
    err code;
};

void query_turns_init(struct query_turns *t)
{
    list_init(&t->queue);
}

static bool take_turn(struct server *s)
{
    int64_t running = atomic_load(&s->turns.running);
    while (running < s->flags.prom.query.max_concurrency)
        if (atomic_compare_exchange_weak(&s->turns.running, &running, running + 1))
            return true;
    return false;
}

static void hand_out(struct server *s) // on shard 0
{
    while (!list_is_empty(&s->turns.queue) && take_turn(s)) {
        struct waiting *w = container_of(list_pop(&s->turns.queue), struct waiting, link);
        w->is_given = true;
        waiters_wake_all(&w->wake);
    }
}

static void wait_in_line(void *arg) // on shard 0
{
    struct waiting *w = arg;
    waiters_init(&w->wake);
    list_push(&w->server->turns.queue, &w->link);
    hand_out(w->server);
    while (!w->code && !w->is_given)
        w->code = waiters_wait(&w->wake);
    if (!w->is_given)
        list_remove(&w->link);
}

static err wait_for_turn(struct server *s, struct errmsg *e)
{
    if (!atomic_load(&s->turns.waiting) && take_turn(s))
        return ERR_OK;
    struct waiting w = {.server = s};
    // Counted first: who gives a turn back from now on looks for us.
    atomic_fetch_add(&s->turns.waiting, 1);
    shard_call(shards_at(s->shards, 0), LOOP_QUERY, wait_in_line, &w);
    atomic_fetch_sub(&s->turns.waiting, 1);
    if (w.is_given)
        return ERR_OK;
    return err_set(e, w.code, "context %s",
                   w.code == ERR_TIMEOUT ? "deadline exceeded" : "canceled");
}

struct freed { // a turn, elsewhere
    struct shard_post post;
    struct server *server;
};

static void note_freed(void *arg) // on shard 0
{
    struct freed *f = arg;
    hand_out(f->server);
    mem_free(f);
}

static void give_turn(struct server *s)
{
    const int64_t before = atomic_fetch_sub(&s->turns.running, 1);
    assert(before > 0);
    if (!atomic_load(&s->turns.waiting))
        return;
    if (shard_index(shard_self()) == 0) {
        hand_out(s);
        return;
    }
    struct freed *f = mem_alloc(sizeof *f);
    *f = (struct freed){.server = s};
    f->post = (struct shard_post){.class = LOOP_QUERY, .fn = note_freed, .arg = f};
    shard_post(shards_at(s->shards, 0), &f->post);
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
    TRY(wait_for_turn(t->server, e));
    t->times = (struct query_times){.queue = clock_mono_ns() - asked_ns};
    self->queries.started++;
    t->active = active_queries_add(&t->server->active, t->text, clock_wall_ms() / 1000);
    return ERR_OK;
}

void query_turn_end(struct query_turn *t, const struct query_stats *stats, struct str error)
{
    struct server_shard *self = server_self(t->server);
    active_queries_remove(&t->server->active, t->active);
    self->queries.ended++;
    self->queries.samples += stats->samples;
    self->queries.samples_read += stats->samples_read;
    self->queries.times.queue += t->times.queue;
    self->queries.times.prepare += t->times.prepare;
    self->queries.times.eval += t->times.eval;
    const int64_t slices[QUERY_SLICES] = {[QUERY_EVAL] = t->times.eval,
                                          [QUERY_PREPARE] = t->times.prepare,
                                          [QUERY_QUEUE] = t->times.queue};
    query_summary_add(self->query_times, slices, clock_mono_ns());
    give_turn(t->server);
    if (self->logs.queries) {
        struct json_log *log = self->logs.queries;
        log_query(t, log, stats, error);
        json_log_wait(log);
    }
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
