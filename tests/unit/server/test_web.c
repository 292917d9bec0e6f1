// Parameters, values and routes of the API behind a web server, without the rest of a process;
// texts as Prometheus's web/api/v1 has them.
#include <criterion/criterion.h>
#include <stdio.h>

#include "engine/base/util.h"
#include "engine/http/client.h"
#include "engine/model/labels.h"
#include "engine/server/api.h"
#include "engine/server/route.h"
#include "engine/server/server.h"
#include "tests/lib/in_shards.h"

struct world {
    void (*script)(struct world *w);
    http_handler_fn *handler;
    struct findings found;
    struct server *server;
    struct http_server *web;
    struct listener *listener;
    struct http_client *client;
    struct http_result result;
};

static void get(struct world *w, const char *method, const char *path,
                const struct http_header *headers, size_t headers_n)
{
    char url[512];
    struct errmsg e = {0};
    snprintf(url, sizeof url, "http://127.0.0.1:%u%s", listener_port(w->listener), path);
    const struct http_request request = {.method = str_from_c(method),
                                         .url = str_from_c(url),
                                         .headers = headers,
                                         .headers_count = headers_n,
                                         .body_max = 65536};
    want(&w->found, http_fetch(w->client, &request, &w->result, &e) == ERR_OK, "%s: %s", path,
         e.text);
}

static void want_answer(struct world *w, const char *path, int status, const char *body)
{
    want(&w->found, w->result.status == status, "%s: %d", path, w->result.status);
    want(&w->found, str_eq(buf_str(&w->result.body), str_from_c(body)), "%s: %.*s, not %s", path,
         STR_ARG(buf_str(&w->result.body)), body);
}

// ---- parameters: /echo?time=..&step=..&limit=..&match[]=..

static void echo(void *arg, struct http_exchange *x)
{
    struct world *w = arg;
    struct api api;
    struct api_instant time = api_instant_of_ms(-1);
    int64_t step = -1, lookback = -1;
    uint64_t limit = 7;
    if (!api_init(&api, w->server, x))
        return;
    if (api_time(&api, "time", &time) && api_limit(&api, "limit", &limit) &&
        (!api_get(&api, "step").p || api_duration(&api, "step", &step)) &&
        (!api_get(&api, "lookback_delta").p || api_duration(&api, "lookback_delta", &lookback)) &&
        api_matchers(&api, true)) {
        api_begin(&api);
        json_array_begin(&api.json);
        json_i64(&api.json, api_instant_storage_ms(time));
        json_i64(&api.json, step);
        json_u64(&api.json, limit);
        json_u64(&api.json, api.selectors_count);
        json_array_end(&api.json);
        api_end(&api);
    }
    api_done(&api);
}

static void parameters(struct world *w)
{
    static const struct {
        const char *query, *data, *error; // the one or the other
    } rows[] = {
        {"", "[-1,-1,7,0]", NULL},
        {"time=&limit=", "[-1,-1,7,0]", NULL},
        {"time=1435781451.781", "[1435781451781,-1,7,0]", NULL},
        {"time=-1.5", "[-1500,-1,7,0]", NULL},
        {"time=1e3&step=1.5&limit=0", "[1000000,1500,0,0]", NULL},
        {"time=2015-07-01T20:10:51.781Z&step=1h30m", "[1435781451781,5400000,7,0]", NULL},
        {"time=2015-07-01T22:10:51.781%2B02:00", "[1435781451781,-1,7,0]", NULL},
        {"limit=12", "[-1,-1,12,0]", NULL},
        {"match[]=up&match%5B%5D=%7Ba%3D%22b%22%7D", "[-1,-1,7,2]", NULL},
        {"time=x%22y", NULL,
         "invalid parameter \\\"time\\\": invalid time value for 'time': cannot parse "
         "\\\"x\\\\\\\"y\\\" to a valid timestamp"},
        {"step=1x", NULL,
         "invalid parameter \\\"step\\\": cannot parse \\\"1x\\\" to a valid duration"},
        {"step=", NULL,
         "invalid parameter \\\"step\\\": cannot parse \\\"\\\" to a valid duration"},
        {"step=1e30", NULL,
         "invalid parameter \\\"step\\\": cannot parse \\\"1e30\\\" to a valid duration. It "
         "overflows int64"},
        {"lookback_delta=abc", NULL,
         "error parsing lookback delta duration: cannot parse \\\"abc\\\" to a valid duration"},
        {"limit=abc", NULL,
         "invalid parameter \\\"limit\\\": strconv.Atoi: parsing \\\"abc\\\": invalid syntax"},
        {"limit=-1", NULL, "invalid parameter \\\"limit\\\": limit must be non-negative"},
        {"limit=99999999999999999999", NULL,
         "invalid parameter \\\"limit\\\": strconv.Atoi: parsing \\\"99999999999999999999\\\": "
         "value out of range"},
        {"match[]=%7Ba%3D%22%22%7D", NULL,
         "invalid parameter \\\"match[]\\\": match[] must contain at least one non-empty matcher"},
        {"a=%zz&limit=5", "[-1,-1,5,0]", NULL}, // as Go's handlers pass over it
    };
    for (size_t i = 0; i < countof(rows); i++) {
        char path[256], body[512];
        snprintf(path, sizeof path, "/echo?%s", rows[i].query);
        get(w, "GET", path, NULL, 0);
        if (rows[i].data)
            snprintf(body, sizeof body, "{\"status\":\"success\",\"data\":%s}", rows[i].data);
        else
            snprintf(body, sizeof body,
                     "{\"status\":\"error\",\"errorType\":\"bad_data\",\"error\":\"%s\"}",
                     rows[i].error);
        want_answer(w, path, rows[i].data ? 200 : 400, body);
    }
}

// ---- routes

static struct str header(const struct world *w, const char *name)
{
    return http_header(&w->result.head, str_from_c(name));
}

static void routes(struct world *w)
{
    struct server *s = w->server;
    static const struct {
        const char *method, *path;
        int status;
        const char *body;
    } rows[] = {
        {"GET", "/-/healthy", 200, "Prometheus Server is Healthy.\n"},
        {"GET", "/-/ready", 200, "Prometheus Server is Ready.\n"},
        {"GET", "/-/reload", 405, "Only POST or PUT requests allowed"},
        {"POST", "/-/reload", 403, "Lifecycle API is not enabled."},
        {"PUT", "/-/quit", 403, "Lifecycle API is not enabled."},
        {"GET", "/absent", 404, "404 page not found\n"},
        {"GET", "/api/v1", 301, "<a href=\"/api/v1/\">Moved Permanently</a>.\n\n"},
        {"GET", "/api/v1/label//values?a=b&c", 301,
         "<a href=\"/api/v1/label/values?a=b&amp;c\">Moved Permanently</a>.\n\n"},
        {"GET", "/a/./b/../../../metrics/", 301,
         "<a href=\"/metrics/\">Moved Permanently</a>.\n\n"},
        {"GET", "/metrics/", 301, "<a href=\"/metrics\">Moved Permanently</a>.\n\n"},
        {"POST", "/-/reload/", 307, ""},
        {"GET", "/nothing/", 404, "404 page not found\n"},
        {"GET", "/api/v1/label/a/b/values", 404, "404 page not found\n"},
        {"DELETE", "/api/v1/alerts", 405, "Method Not Allowed\n"},
        {"GET", "/api/v1/alerts", 200, "{\"status\":\"success\",\"data\":{\"alerts\":[]}}"},
        {"GET", "/api/v1/rules", 200, "{\"status\":\"success\",\"data\":{\"groups\":[]}}"},
        {"OPTIONS", "/api/v1/anything", 204, ""},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        get(w, rows[i].method, rows[i].path, NULL, 0);
        want_answer(w, rows[i].path, rows[i].status, rows[i].body);
    }
    atomic_store(&s->state, SERVER_STOPPING);
    get(w, "GET", "/api/v1/alerts", NULL, 0);
    want_answer(w, "stopping", 503, "Service Unavailable");
    want(&w->found, str_eq(header(w, "X-Prometheus-Stopping"), STR("true")));
    atomic_store(&s->state, SERVER_READY);
    s->prefix = STR("/prom");
    get(w, "GET", "/-/healthy", NULL, 0);
    want_answer(w, "without the prefix", 404, "404 page not found\n");
    get(w, "GET", "/prom/-/healthy", NULL, 0);
    want_answer(w, "with the prefix", 200, "Prometheus Server is Healthy.\n");
    get(w, "GET", "/", NULL, 0);
    want(&w->found, w->result.status == 302 && str_eq(header(w, "Location"), STR("/prom")));
    s->prefix = (struct str){0};
}

static void cors(struct world *w)
{
    const struct http_header origin = {STR("Origin"), STR("http://a.example")};
    struct errmsg e;
    get(w, "GET", "/api/v1/alerts", NULL, 0);
    want(&w->found, str_eq(header(w, "Vary"), STR("Origin")));
    want(&w->found, !header(w, "Access-Control-Allow-Origin").p);
    get(w, "GET", "/api/v1/alerts", &origin, 1);
    want(&w->found, str_eq(header(w, "Access-Control-Allow-Origin"), STR("*")));
    want(&w->found, str_eq(header(w, "Access-Control-Allow-Methods"), STR("GET, POST, OPTIONS")));
    want(&w->found, str_eq(header(w, "Access-Control-Expose-Headers"), STR("Date")));
    want(&w->found, regex_create(STR("https?://.*\\.example"), REGEX_ANCHORED, &w->server->cors,
                                 &e) == ERR_OK);
    get(w, "GET", "/api/v1/alerts", &origin, 1);
    want(&w->found, str_eq(header(w, "Access-Control-Allow-Origin"), origin.value));
    const struct http_header other = {STR("Origin"), STR("http://a.example.org")};
    get(w, "GET", "/api/v1/alerts", &other, 1);
    want(&w->found, !header(w, "Access-Control-Allow-Origin").p);
    regex_destroy(w->server->cors);
    w->server->cors = NULL;
}

// ---- the world

static void handle(void *arg, struct http_exchange *x)
{
    struct world *w = arg;
    if (w->handler)
        w->handler(w, x);
    else
        route_handle(w->server, x);
}

static void accepted(void *arg, int fd, const struct address *peer)
{
    struct world *w = arg;
    http_server_take(w->web, fd, peer);
}

static void run(void *arg)
{
    struct world *w = arg;
    struct errmsg e = {0};
    const struct http_server_options web = {.handler = handle,
                                            .arg = w,
                                            .read_timeout_ns = 300000000000,
                                            .write_timeout_ns = 300000000000,
                                            .body_bytes_max = 1 << 20};
    const struct http_client_options client = {0};
    w->web = http_server_create(&web);
    w->client = http_client_create(&client);
    want(&w->found, listener_open("127.0.0.1", 0, accepted, w, &w->listener, &e) == ERR_OK, "%s",
         e.text);
    w->script(w);
    listener_close(w->listener);
    http_client_destroy(w->client);
    http_result_deinit(&w->result);
    http_server_drain(w->web);
    http_server_destroy(w->web);
}

static void run_script(void (*script)(struct world *w), http_handler_fn *handler)
{
    static struct world w;
    static struct server s;
    w = (struct world){.script = script, .handler = handler, .server = &s};
    atomic_store(&s.state, SERVER_READY);
    in_shards(1, SHARD_BACKEND_AUTO, run, &w, &w.found);
    cr_assert_str_eq(w.found.text, "", "%s", w.found.text);
}

Test(web, parameters)
{
    run_script(parameters, echo);
}

Test(web, routes)
{
    run_script(routes, NULL);
}

Test(web, cors)
{
    run_script(cors, NULL);
}

Test(web, values)
{
    struct buf out = {0};
    struct json j;
    struct labels_builder b = {0};
    struct arena a;
    arena_init(&a, 0);
    labels_builder_set(&b, LABEL_NAME, STR("a"));
    labels_builder_set(&b, STR("x"), STR("<&>\"\n\xff"));
    json_init(&j, &out);
    json_array_begin(&j);
    api_put_labels(&j, labels_builder_finish(&b, &a));
    api_put_time(&j, 1435781451781);
    api_put_time(&j, -1500);
    api_put_time(&j, 100);
    api_put_sample(&j, 1000, 0.1);
    api_put_sample(&j, -1, 1e-7);
    api_put_sample(&j, 1, 1e21);
    api_put_sample(&j, 0, -0.0);
    api_put_scalar(&j, 1500, 1e-7);
    api_put_date(&j, 0);
    json_array_end(&j);
    const char *wanted = "[{\"__name__\":\"a\",\"x\":\"<&>\\\"\\n\xff\"},1435781451.781,-1.500,"
                         "0.100,[1,\"0.1\"],[-0.001,\"1e-07\"],[0.001,\"1e+21\"],[0,\"-0\"],"
                         "[1.5,\"0.0000001\"],"
                         "\"1970-01-01T00:00:00Z\"]";
    cr_assert(str_eq(buf_str(&out), str_from_c(wanted)), "%.*s", STR_ARG(buf_str(&out)));
    labels_builder_deinit(&b);
    buf_deinit(&out);
    arena_deinit(&a);
}
