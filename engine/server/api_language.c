// format_query, parse_query: what the parser makes of a query.
#include "engine/promql/printer.h"
#include "engine/server/api.h"
#include "engine/server/handlers.h"
#include "engine/server/parse_apart.h"
#include "engine/server/server.h"

static bool parse(struct api *api, struct promql_query *out) // false: answered
{
    struct errmsg e;
    struct str whole = {0};
    struct promql_options options = api->server->promql;
    options.whole_error = &whole;
    const struct str text = api_get(api, "query");
    if (parse_apart(text, &options, api->x->arena, out, &e) == ERR_OK)
        return true;
    api_bad_parameter(api, "query", whole.n ? whole.p : e.text);
    return false;
}

void api_format_query(struct api *api)
{
    struct promql_query q;
    struct buf text = {0};
    if (!parse(api, &q))
        return;
    if (promql_print_pretty(q.expr, &text) == ERR_OK) {
        api_begin(api);
        json_str(&api->json, buf_str(&text));
        api_end(api);
    } else {
        api_error(api, API_BAD_DATA, "query is nested too deeply to be formatted in %d MiB",
                  PROMQL_PRETTY_MAX >> 20);
    }
    buf_deinit(&text);
    parse_apart_done(&q);
}

void api_parse_query(struct api *api)
{
    struct promql_query q;
    struct buf tree = {0};
    if (!parse(api, &q))
        return;
    promql_print_json(q.expr, &tree);
    api_begin(api);
    json_raw(&api->json, buf_str(&tree));
    api_end(api);
    buf_deinit(&tree);
    parse_apart_done(&q);
}
