// admin/tsdb/*: what changes storage from outside, if --web.enable-admin-api allows it.
#include "engine/server/handlers.h"
#include "engine/server/server.h"
#include "engine/tsdb/tsdb_snapshot.h"

static bool is_allowed(struct api *api) // false: answered
{
    if (api->server->flags.prom.web.enable_admin_api)
        return true;
    api_error(api, API_UNAVAILABLE, "admin APIs disabled");
    return false;
}

// Deleting does not exist yet.
void api_admin_missing(struct api *api)
{
    if (is_allowed(api))
        api_error(api, API_UNAVAILABLE, "deleting series is not supported by this version");
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
