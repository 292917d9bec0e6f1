// format_query, parse_query: what the parser makes of a query.
#include "engine/promql/printer.h"
#include "engine/server/api.h"
#include "engine/server/handlers.h"
#include "engine/server/parse_apart.h"
#include "engine/server/server.h"

enum {
    QUERY_SHORT = 1024, // indented it is a few hundred kB at most
    END_BYTES = 4096,   // of an answer, behind the text
};

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

struct printing {
    struct api *api;
    const struct promql_expr *expr;
    err code;
};

static void format(void *arg)
{
    struct printing *p = arg;
    struct buf text = {0};
    p->code = promql_print_pretty(p->expr, &text);
    api_begin(p->api);
    json_str(&p->api->json, buf_str(&text));
    buf_deinit(&text);
    buf_reserve(&p->api->out, END_BYTES);
}

static void print_tree(void *arg)
{
    struct printing *p = arg;
    struct buf tree = {0};
    p->code = ERR_OK;
    promql_print_json(p->expr, &tree);
    api_begin(p->api);
    json_raw(&p->api->json, buf_str(&tree));
    buf_deinit(&tree);
    buf_reserve(&p->api->out, END_BYTES);
}

// Short ones here, others beside the shard's work.
static err print(struct api *api, const struct promql_expr *expr, void (*fn)(void *arg))
{
    struct printing p = {.api = api, .expr = expr};
    if (api_get(api, "query").n < QUERY_SHORT)
        fn(&p);
    else
        run_apart(fn, &p);
    return p.code;
}

void api_format_query(struct api *api)
{
    struct promql_query q;
    if (!parse(api, &q))
        return;
    if (print(api, q.expr, format) == ERR_OK)
        api_end(api);
    else
        api_error(api, API_BAD_DATA, "query is nested too deeply to be formatted in %d MiB",
                  PROMQL_PRETTY_MAX >> 20);
    parse_apart_done(&q);
}

void api_parse_query(struct api *api)
{
    struct promql_query q;
    if (!parse(api, &q))
        return;
    if (print(api, q.expr, print_tree) == ERR_OK)
        api_end(api);
    parse_apart_done(&q);
}
