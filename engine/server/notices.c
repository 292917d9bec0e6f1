#include "engine/server/notices.h"

#include "engine/server/api.h"
#include "engine/server/handlers.h"
#include "engine/server/server.h"
#include "io/clock.h"

static const char *const texts[NOTICES] = {
    [NOTICE_RELOAD_FAILED] = "Configuration reload has failed.",
    [NOTICE_STARTING] = "Prometheus is starting and replaying the write-ahead log (WAL).",
    [NOTICE_STOPPING] = "Prometheus is shutting down and gracefully stopping all operations.",
};

static void wake_subscribers(void *arg) // on every shard
{
    waiters_wake_all(&server_self(*(struct server **)arg)->notice_waiters);
}

void notices_set(struct server *s, enum notice which, bool stands)
{
    struct server *args[SHARD_MAX];
    const int64_t since = stands ? clock_wall_ms() : 0;
    if (atomic_exchange(&s->notices.since_ms[which], since) == since || !s->is_open)
        return;
    for (unsigned i = 0; i < shards_count(s->shards); i++)
        args[i] = s;
    shard_call_all(LOOP_CONTROL, wake_subscribers, args, sizeof *args, NULL);
}

static void put_notice(struct json *j, enum notice which, int64_t since_ms, bool stands)
{
    json_object_begin(j);
    json_key(j, "text");
    json_cstr(j, texts[which]);
    json_key(j, "date");
    api_put_date(j, since_ms);
    json_key(j, "active");
    json_bool(j, stands);
    json_object_end(j);
}

void api_notifications(struct api *api)
{
    int64_t since[NOTICES];
    for (int i = 0; i < NOTICES; i++)
        since[i] = atomic_load(&api->server->notices.since_ms[i]);
    api_begin(api);
    json_array_begin(&api->json);
    for (;;) { // the oldest first
        int next = -1;
        for (int i = 0; i < NOTICES; i++)
            if (since[i] && (next < 0 || since[i] < since[next]))
                next = i;
        if (next < 0)
            break;
        put_notice(&api->json, (enum notice)next, since[next], true);
        since[next] = 0;
    }
    json_array_end(&api->json);
    api_end(api);
}

// Sends what changed against seen[]; false: the client is gone. Suspends.
static bool send_changes(struct server *s, struct http_exchange *x, int64_t seen[NOTICES])
{
    for (int i = 0; i < NOTICES; i++) {
        const int64_t now = atomic_load(&s->notices.since_ms[i]);
        struct buf out = {0};
        struct json j;
        if (now == seen[i])
            continue;
        buf_put_str(&out, STR("data: "));
        json_init(&j, &out);
        put_notice(&j, (enum notice)i, now ? now : seen[i], now != 0);
        buf_put_str(&out, STR("\n\n"));
        seen[i] = now;
        atomic_fetch_add(&s->notices.sent, 1);
        const err code = http_write(x, buf_str(&out));
        buf_deinit(&out);
        if (code)
            return false;
    }
    return true;
}

static void wake_for_peer(void *arg)
{
    waiters_wake_all(&((struct server_shard *)arg)->notice_waiters);
}

void page_notifications_live(struct server *s, struct http_exchange *x)
{
    const int64_t max = s->flags.prom.web.max_notifications_subscribers;
    struct server_shard *self = server_self(s);
    int64_t seen[NOTICES] = {0};
    if (atomic_fetch_add(&s->notices.subscribers, 1) >= max) {
        atomic_fetch_sub(&s->notices.subscribers, 1);
        http_answer(x, 204, NULL, (struct str){0});
        return;
    }
    x->compress = false;
    http_add_header(x, "Cache-Control", STR("no-cache"));
    http_add_header(x, "Connection", STR("keep-alive"));
    http_begin(x, 200, "text/event-stream");
    http_watch(x, wake_for_peer, self);
    while (send_changes(s, x, seen) && !http_is_gone(x) && server_state(s) != SERVER_STOPPING) {
        const err code = waiters_wait(&self->notice_waiters);
        if (code)
            break;
    }
    send_changes(s, x, seen); // that it stops
    http_unwatch(x);
    http_end(x);
    atomic_fetch_sub(&s->notices.subscribers, 1);
}
