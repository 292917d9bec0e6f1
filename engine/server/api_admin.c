// admin/tsdb/*: what changes storage from outside, if --web.enable-admin-api allows it.
#include "engine/server/handlers.h"
#include "engine/server/server.h"
#include "engine/tsdb/tsdb_delete.h"
#include "engine/tsdb/tsdb_snapshot.h"

static bool is_allowed(struct api *api) // false: answered
{
    if (api->server->flags.prom.web.enable_admin_api)
        return true;
    api_error(api, API_UNAVAILABLE, "admin APIs disabled");
    return false;
}

void api_admin_delete(struct api *api)
{
    struct api_instant from = api_instant_least, to = api_instant_greatest;
    struct errmsg e;
    if (!is_allowed(api) || !api_form_is_whole(api))
        return;
    if (!api_get(api, "match[]").p) {
        api_error(api, API_BAD_DATA, "no match[] parameter provided");
        return;
    }
    if (!api_time(api, "start", &from) || !api_time(api, "end", &to) || !api_selectors(api, true))
        return;
    for (size_t i = 0; i < api->selectors_count; i++) {
        const struct promql_expr *s = api->selectors[i].expr;
        if (tsdb_delete(api->server->db, s->vector.matchers, s->vector.matchers_count,
                        api_instant_storage_ms(from), api_instant_storage_ms(to), &e) != ERR_OK) {
            api_error(api, API_INTERNAL, "%s", e.text);
            return;
        }
    }
    http_answer(api->x, 204, NULL, (struct str){0});
}

void api_admin_clean(struct api *api)
{
    struct errmsg e;
    if (!is_allowed(api))
        return;
    if (tsdb_clean_tombstones(api->server->db, &e) != ERR_OK)
        api_error(api, API_INTERNAL, "%s", e.text);
    else
        http_answer(api->x, 204, NULL, (struct str){0});
}

void api_admin_snapshot(struct api *api)
{
    const struct str text = api_get(api, "skip_head");
    char name[TSDB_SNAPSHOT_NAME];
    bool skip_head = false;
    struct errmsg e;
    if (!is_allowed(api))
        return;
    if (text.n && !api_parse_bool(text, &skip_head)) {
        err_format(&e,
                   "unable to parse boolean: strconv.ParseBool: parsing \"%.*s\": invalid syntax",
                   STR_ARG(text));
        api_bad_parameter(api, "skip_head", e.text);
        return;
    }
    if (tsdb_snapshot(api->server->db, !skip_head, name, &e) != ERR_OK) {
        api_error(api, API_INTERNAL, "create snapshot: %s", e.text);
        return;
    }
    api_begin(api);
    json_object_begin(&api->json);
    json_key(&api->json, "name");
    json_str(&api->json, str_from_c(name));
    json_object_end(&api->json);
    api_end(api);
}
