// status/*: what the server is and how it does; and the answers that are empty as long as the
// configuration can hold nothing to say.
#include <stdio.h>
#include <stdlib.h>

#include "engine/base/casemap.h"
#include "engine/base/duration.h"
#include "engine/base/number.h"
#include "engine/base/util.h"
#include "engine/server/api.h"
#include "engine/server/handlers.h"
#include "engine/server/server.h"
#include "engine/server/version.h"
#include "io/clock.h"
#include "io/process.h"

static void put_pair(struct json *j, const char *key, struct str value)
{
    json_key(j, key);
    json_str(j, value);
}

void api_put_build(struct json *j)
{
    json_object_begin(j);
    put_pair(j, "version", str_from_c(PROMETHEUS_VERSION));
    put_pair(j, "revision", str_from_c(FERULA_VERSION));
    put_pair(j, "branch", STR("ferula"));
    put_pair(j, "buildUser", STR(""));
    put_pair(j, "buildDate", STR(""));
    put_pair(j, "goVersion", STR(""));
    json_object_end(j);
}

void api_status_buildinfo(struct api *api)
{
    api_begin(api);
    api_put_build(&api->json);
    api_end(api);
}

void api_status_config(struct api *api)
{
    api_begin(api);
    json_object_begin(&api->json);
    put_pair(&api->json, "yaml", server_self(api->server)->config->yaml);
    json_object_end(&api->json);
    api_end(api);
}

static int compare_rows(const void *a, const void *b)
{
    return strcmp((*(const struct setting *const *)a)->name,
                  (*(const struct setting *const *)b)->name);
}

void api_status_flags(struct api *api)
{
    const struct settings *s = &api->server->settings;
    const struct setting *rows[SETTINGS_MAX];
    size_t n = 0;
    for (size_t i = 0; i < s->n; i++)
        if (!(s->rows[i].traits & SETTING_BUILTIN))
            rows[n++] = &s->rows[i];
    qsort(rows, n, sizeof *rows, compare_rows);
    struct buf value = {0};
    api_begin(api);
    json_object_begin(&api->json);
    for (size_t i = 0; i < n; i++) {
        buf_reset(&value);
        setting_format(rows[i], &value);
        put_pair(&api->json, rows[i]->name, buf_str(&value));
    }
    json_object_end(&api->json);
    api_end(api);
    buf_deinit(&value);
}

// As Prometheus tells what runtime.gogc says; it means nothing here.
static struct str gogc_text(int64_t percent, char room[static 24])
{
    if (percent < 0)
        return STR("off");
    return str_make(room, (size_t)snprintf(room, 24, "%lld", (long long)percent));
}

// "15d or 512MiB or 80%": what there is of it.
static void put_retention(struct tsdb_retention r, struct buf *out)
{
    if (r.time_ms)
        duration_format(r.time_ms, out);
    if (r.bytes) {
        buf_put_str(out, out->n ? STR(" or ") : STR(""));
        size_format((int64_t)r.bytes, out);
    }
    if (r.percentage > 0) {
        buf_put_str(out, out->n ? STR(" or ") : STR(""));
        buf_put_double_g(out, r.percentage);
        buf_put_str(out, STR("%"));
    }
}

void api_status_runtimeinfo(struct api *api)
{
    struct server *s = api->server;
    struct json *j = &api->json;
    struct buf retention = {0};
    char gogc[24];
    put_retention(server_retention(s), &retention);
    api_begin(api);
    json_object_begin(j);
    json_key(j, "startTime");
    api_put_date(j, s->start_ms);
    put_pair(j, "CWD", str_from_c(process_cwd()));
    put_pair(j, "hostname", str_from_c(process_hostname()));
    json_key(j, "serverTime");
    api_put_date(j, clock_wall_ms());
    json_key(j, "reloadConfigSuccess");
    json_bool(j, s->reload_ok);
    json_key(j, "lastConfigTime");
    api_put_date(j, s->reload_ms);
    json_key(j, "corruptionCount");
    json_u64(j, server_corruptions(api->server));
    json_key(j, "goroutineCount"); // fibers of this shard: the nearest there is
    json_u64(j, loop_stats(loop_current())->fibers_alive);
    json_key(j, "GOMAXPROCS");
    json_u64(j, shards_count(s->shards));
    json_key(j, "GOMEMLIMIT");
    json_u64(j, process_memory_limit());
    put_pair(j, "GOGC", gogc_text(server_self(s)->config->runtime.gogc, gogc));
    put_pair(j, "GODEBUG", STR(""));
    put_pair(j, "storageRetention", buf_str(&retention));
    json_object_end(j);
    api_end(api);
    buf_deinit(&retention);
}

void api_status_walreplay(struct api *api)
{
    struct tsdb_progress p = {0};
    if (api->server->db)
        tsdb_replay_progress(api->server->db, &p);
    static const uint64_t MIB = 1 << 20;
    const uint64_t max = (p.bytes_max + MIB - 1) / MIB, read = p.bytes / MIB;
    const bool is_done = server_state(api->server) == SERVER_READY || read > max;
    api_begin(api);
    json_object_begin(&api->json);
    json_key(&api->json, "min");
    json_u64(&api->json, 0); // MiB of all logs: segments are few and large
    json_key(&api->json, "max");
    json_u64(&api->json, max);
    json_key(&api->json, "current");
    json_u64(&api->json, is_done ? max : read);
    json_object_end(&api->json);
    api_end(api);
}

// True as long as rules and alerting are refused by the configuration.

static void answer_empty(struct api *api, const char *const *keys)
{
    api_begin(api);
    json_object_begin(&api->json);
    for (; *keys; keys++) {
        json_key(&api->json, *keys);
        json_array_begin(&api->json);
        json_array_end(&api->json);
    }
    json_object_end(&api->json);
    api_end(api);
}

// group_limit and group_next_token; false: answered. No group is there that a token could name.
static bool check_pages(struct api *api)
{
    const struct str limit = api_get(api, "group_limit"), token = api_get(api, "group_next_token");
    struct errmsg e;
    int64_t n = 1;
    const err code = limit.n ? number_parse_i64(limit, &n) : ERR_OK;
    if (token.n && !limit.n) {
        api_bad_parameter(api, "group_next_token",
                          "group_limit needs to be present in order to paginate over the groups");
    } else if (code || n > INT32_MAX || n < INT32_MIN) {
        err_format(
            &e, "group_limit needs to be a valid number: strconv.ParseInt: parsing \"%.*s\": %s",
            STR_ARG(limit), code && code != ERR_LIMIT ? "invalid syntax" : "value out of range");
        api_bad_parameter(api, "group_limit", e.text);
    } else if (n <= 0) {
        api_bad_parameter(api, "group_limit", "group_limit needs to be greater than 0");
    } else if (token.n) {
        err_format(&e, "invalid group_next_token '%.*s'. were rule groups changed?",
                   STR_ARG(token));
        api_bad_parameter(api, "group_next_token", e.text);
    } else {
        return true;
    }
    return false;
}

static struct str lower_case(struct api *api, const char *name)
{
    struct buf lower = {0};
    casemap_put(api_get(api, name), false, &lower);
    const struct str out = arena_str(api->x->arena, buf_str(&lower));
    buf_deinit(&lower);
    return out;
}

static bool check_rules(struct api *api) // false: answered
{
    const struct str type = lower_case(api, "type"), exclude = lower_case(api, "exclude_alerts");
    struct errmsg e;
    bool excludes;
    if (!api_form_is_whole(api) || !api_matchers(api, false))
        return false;
    if (type.n && !str_eq(type, STR("alert")) && !str_eq(type, STR("record"))) {
        err_format(&e, "not supported value \"%.*s\"", STR_ARG(type));
        api_bad_parameter(api, "type", e.text);
        return false;
    }
    if (exclude.n && !api_parse_bool(exclude, &excludes)) {
        err_format(&e,
                   "error converting exclude_alerts: strconv.ParseBool: parsing \"%.*s\": invalid "
                   "syntax",
                   STR_ARG(exclude));
        api_bad_parameter(api, "exclude_alerts", e.text);
        return false;
    }
    return check_pages(api);
}

void api_rules(struct api *api)
{
    if (!check_rules(api))
        return;
    static const char *const keys[] = {"groups", NULL};
    answer_empty(api, keys);
}

void api_alerts(struct api *api)
{
    static const char *const keys[] = {"alerts", NULL};
    answer_empty(api, keys);
}

void api_alertmanagers(struct api *api)
{
    static const char *const keys[] = {"activeAlertmanagers", "droppedAlertmanagers", NULL};
    answer_empty(api, keys);
}

void api_search(struct api *api)
{
    api_error(api, API_UNAVAILABLE, "search API disabled");
}
