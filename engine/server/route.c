#include "engine/server/route.h"

#include "engine/base/util.h"
#include "engine/server/handlers.h"
#include "engine/server/redirect.h"
#include "engine/server/server.h"
#include "io/clock.h"

typedef void page_fn(struct server *s, struct http_exchange *x);

enum route_need {
    NEED_NOTHING = 0,
    NEED_READY = 1,     // 503 before the data folder is ready and while stopping
    NEED_LIFECYCLE = 2, // 403 without --web.enable-lifecycle
};

enum { GET = 1, POST = 2, PUT = 4, HEAD = 8, DELETE = 16 };

struct route {
    const char *path; // "*" stands for one segment
    unsigned methods, needs;
    api_fn *api;
    page_fn *page;
};

static void answer_state(struct http_exchange *x, const char *text)
{
    if (str_eq(x->method, STR("HEAD")))
        http_answer(x, 200, NULL, (struct str){0});
    else
        http_answer_text(x, 200, text);
}

static void page_healthy(struct server *s, struct http_exchange *x)
{
    (void)s; // as long as this is answered, it is healthy
    answer_state(x, "Prometheus Server is Healthy.\n");
}

static void page_ready(struct server *s, struct http_exchange *x)
{
    (void)s; // the route needs it to be ready
    answer_state(x, "Prometheus Server is Ready.\n");
}

static void page_reload(struct server *s, struct http_exchange *x)
{
    struct buf why = {0};
    if (server_reload(s, &why) == ERR_OK) {
        http_answer(x, 200, NULL, (struct str){0});
    } else {
        const struct str text =
            arena_printf(x->arena, "failed to reload config: %.*s\n", STR_ARG(buf_str(&why)));
        http_answer_text(x, 500, text.p);
    }
    buf_deinit(&why);
}

static void page_quit(struct server *s, struct http_exchange *x)
{
    http_answer_text(x, 200, "Requesting termination... Goodbye!");
    server_ask_to_stop(s);
}

static void page_write(struct server *s, struct http_exchange *x)
{
    receiver_handle(server_self(s)->receiver, x);
}

static void page_version(struct server *s, struct http_exchange *x)
{
    struct api api;
    if (!api_init(&api, s, x))
        return;
    json_init(&api.json, &api.out);
    api_put_build(&api.json);
    buf_put_char(&api.out, '\n');
    http_answer(x, 200, "text/plain; charset=utf-8", buf_str(&api.out)); // as Go guesses it
    api_done(&api);
}

static void api_drop_series(struct api *api)
{
    api_error(api, API_INTERNAL, "not implemented");
}

static void api_values(struct api *api)
{
    struct str rest = str_from(api->x->path, sizeof "/api/v1/label/" - 1), name;
    str_split(&rest, '/', &name);
    api_label_values(api, name);
}

static const struct route routes[] = {
    {"/", GET | HEAD, NEED_NOTHING, NULL, page_index},
    {"/metrics", GET, NEED_NOTHING, NULL, page_metrics},
    {"/federate", GET, NEED_READY, NULL, page_federate},
    {"/version", GET, NEED_NOTHING, NULL, page_version},
    {"/-/healthy", GET | HEAD, NEED_NOTHING, NULL, page_healthy},
    {"/-/ready", GET | HEAD, NEED_READY, NULL, page_ready},
    {"/-/reload", POST | PUT, NEED_LIFECYCLE, NULL, page_reload},
    {"/-/quit", POST | PUT, NEED_LIFECYCLE, NULL, page_quit},
    {"/api/v1/query", GET | POST, NEED_READY, api_query, NULL},
    {"/api/v1/query_range", GET | POST, NEED_READY, api_query_range, NULL},
    {"/api/v1/query_exemplars", GET | POST, NEED_READY, api_query_exemplars, NULL},
    {"/api/v1/format_query", GET | POST, NEED_READY, api_format_query, NULL},
    {"/api/v1/parse_query", GET | POST, NEED_READY, api_parse_query, NULL},
    {"/api/v1/series", GET | POST, NEED_READY, api_series, NULL},
    {"/api/v1/series", DELETE, NEED_READY, api_drop_series, NULL},
    {"/api/v1/labels", GET | POST, NEED_READY, api_label_names, NULL},
    {"/api/v1/label/*/values", GET, NEED_READY, api_values, NULL},
    {"/api/v1/metadata", GET, NEED_READY, api_metadata, NULL},
    {"/api/v1/targets", GET, NEED_READY, api_targets, NULL},
    {"/api/v1/targets/metadata", GET, NEED_READY, api_targets_metadata, NULL},
    {"/api/v1/targets/relabel_steps", GET, NEED_READY, api_relabel_steps, NULL},
    {"/api/v1/scrape_pools", GET, NEED_READY, api_scrape_pools, NULL},
    {"/api/v1/scrape_pools/config", GET, NEED_READY, api_scrape_pools_config, NULL},
    {"/api/v1/features", GET, NEED_READY, api_features, NULL},
    {"/api/v1/search/metric_names", GET | POST, NEED_READY, api_search, NULL},
    {"/api/v1/search/label_names", GET | POST, NEED_READY, api_search, NULL},
    {"/api/v1/search/label_values", GET | POST, NEED_READY, api_search, NULL},
    {"/api/v1/notifications", GET, NEED_NOTHING, api_notifications, NULL},
    {"/api/v1/notifications/live", GET, NEED_NOTHING, NULL, page_notifications_live},
    {"/api/v1/admin/tsdb/delete_series", POST | PUT, NEED_READY, api_admin_delete, NULL},
    {"/api/v1/admin/tsdb/clean_tombstones", POST | PUT, NEED_READY, api_admin_clean, NULL},
    {"/api/v1/admin/tsdb/snapshot", POST | PUT, NEED_READY, api_admin_snapshot, NULL},
    {"/api/v1/rules", GET, NEED_READY, api_rules, NULL},
    {"/api/v1/alerts", GET, NEED_READY, api_alerts, NULL},
    {"/api/v1/alertmanagers", GET, NEED_READY, api_alertmanagers, NULL},
    {"/api/v1/status/config", GET, NEED_READY, api_status_config, NULL},
    {"/api/v1/status/flags", GET, NEED_READY, api_status_flags, NULL},
    {"/api/v1/status/buildinfo", GET, NEED_READY, api_status_buildinfo, NULL},
    {"/api/v1/status/runtimeinfo", GET, NEED_READY, api_status_runtimeinfo, NULL},
    {"/api/v1/status/tsdb", GET, NEED_READY, api_status_tsdb, NULL},
    {"/api/v1/status/walreplay", GET, NEED_NOTHING, api_status_walreplay, NULL},
    {"/api/v1/write", POST, NEED_READY, NULL, page_write},
};
static const size_t NO_ROUTE = countof(routes);
static_assert(countof(routes) < ROUTES_MAX, "a row of counters for each route and for none");

// Upper bounds of request durations, in seconds: Prometheus's.
static const double bounds[ROUTE_BUCKETS - 1] = {.1, .2, .4, 1, 3, 8, 20, 60, 120};

static bool path_matches(const char *pattern, struct str path)
{
    size_t same = 0; // nearly all patterns differ from the path by a byte before any star
    while (same < path.n && pattern[same] == path.p[same] && pattern[same] && pattern[same] != '*')
        same++;
    if (same < path.n && pattern[same] && pattern[same] != '*')
        return false;
    struct str want = str_from_c(pattern), want_part, part;
    for (;;) {
        const bool more = str_split(&want, '/', &want_part), has = str_split(&path, '/', &part);
        if (!more || !has)
            return more == has;
        const bool any = str_eq(want_part, STR("*"));
        if (any ? part.n == 0 : !str_eq(want_part, part))
            return false;
    }
}

static unsigned method_bit(struct str method)
{
    if (str_eq(method, STR("GET")))
        return GET;
    if (str_eq(method, STR("POST")))
        return POST;
    if (str_eq(method, STR("PUT")))
        return PUT;
    if (str_eq(method, STR("DELETE")))
        return DELETE;
    return str_eq(method, STR("HEAD")) ? HEAD : 0;
}

// The route of path that takes method, or else any of path.
static size_t find(struct str path, unsigned method)
{
    size_t found = NO_ROUTE;
    for (size_t i = 0; i < countof(routes); i++)
        if (path_matches(routes[i].path, path)) {
            if (routes[i].methods & method)
                return i;
            found = found == NO_ROUTE ? i : found;
        }
    return found;
}

// The Allow header of a path.
static struct str allowed(struct str path, struct arena *a)
{
    static const struct {
        unsigned bit;
        const char *name;
    } names[] = {{DELETE, "DELETE, "}, {GET, "GET, "},   {HEAD, "HEAD, "},
                 {0, "OPTIONS, "},     {POST, "POST, "}, {PUT, "PUT, "}};
    unsigned methods = 0;
    struct buf text = {0};
    for (size_t i = 0; i < countof(routes); i++)
        if (path_matches(routes[i].path, path))
            methods |= routes[i].methods | (routes[i].needs & NEED_LIFECYCLE ? GET : 0);
    for (size_t i = 0; i < countof(names); i++)
        if (!names[i].bit || (methods & names[i].bit))
            buf_put_str(&text, str_from_c(names[i].name));
    const struct str out = arena_str(a, str_until(buf_str(&text), text.n - 2));
    buf_deinit(&text);
    return out;
}

static void add_cors(const struct server *s, struct http_exchange *x)
{
    const struct str origin = http_header(x->head, STR("Origin"));
    http_add_header(x, "Vary", STR("Origin"));
    if (!origin.n)
        return;
    http_add_header(x, "Access-Control-Allow-Headers",
                    STR("Accept, Authorization, Content-Type, Origin"));
    http_add_header(x, "Access-Control-Allow-Methods", STR("GET, POST, OPTIONS"));
    http_add_header(x, "Access-Control-Expose-Headers", STR("Date"));
    if (!s->cors)
        http_add_header(x, "Access-Control-Allow-Origin", STR("*"));
    else if (regex_matches(s->cors, origin))
        http_add_header(x, "Access-Control-Allow-Origin", origin);
}

// What stands against running the route; false: answered.
static bool may_run(struct server *s, const struct route *r, struct http_exchange *x)
{
    const unsigned method = method_bit(x->method);
    const char *const plain = "text/plain; charset=utf-8";
    if ((r->needs & NEED_LIFECYCLE) && method == GET) {
        http_answer(x, 405, plain, STR("Only POST or PUT requests allowed"));
        return false;
    }
    if (!(method & r->methods)) {
        http_add_header(x, "Allow", allowed(x->path, x->arena));
        if (str_eq(x->method, STR("OPTIONS")))
            http_answer(x, 200, NULL, (struct str){0});
        else
            http_answer_text(x, 405, "Method Not Allowed\n");
        return false;
    }
    if ((r->needs & NEED_LIFECYCLE) && !s->flags.prom.web.enable_lifecycle) {
        http_answer(x, 403, plain, STR("Lifecycle API is not enabled."));
        return false;
    }
    if ((r->needs & NEED_READY) && server_state(s) != SERVER_READY) {
        http_add_header(x, "X-Prometheus-Stopping",
                        server_state(s) == SERVER_STOPPING ? STR("true") : STR("false"));
        http_answer_text(x, 503, "Service Unavailable");
        return false;
    }
    return true;
}

// Who was of another class until now takes its place behind those that wait in this one. Suspends.
static void join_class(const struct route *r)
{
    enum loop_class class = LOOP_QUERY;
    if (str_has_prefix(str_from_c(r->path), STR("/-/")))
        class = LOOP_CONTROL;
    else if (r->page == page_write)
        class = LOOP_RECEIVE;
    else if (r->page == page_federate)
        class = LOOP_EXPORT;
    if (class == fiber_class())
        return;
    fiber_set_class(class);
    fiber_yield();
}

// A path that is nearly one of ours; false: it is not, and nothing was answered.
static bool send_on(struct server *s, struct http_exchange *x, size_t at)
{
    const struct str path = x->path, cleaned = redirect_clean(path, x->arena);
    const unsigned method = method_bit(x->method);
    const struct str bare = path.n > 1 ? str_until(path, path.n - 1) : path;
    if (!str_eq(cleaned, path))
        redirect(s, x, 301, cleaned);
    else if (at == NO_ROUTE && str_has_suffix(path, STR("/")) && find(bare, method) != NO_ROUTE)
        redirect(s, x, method == GET ? 301 : 307, bare);
    else if (str_eq(path, STR("/api/v1")))
        redirect(s, x, 301, STR("/api/v1/"));
    else
        return false;
    return true;
}

void route_handle(void *arg, struct http_exchange *x)
{
    struct server *s = arg;
    struct str path = x->path;
    if (s->prefix.n) { // --web.route-prefix
        const struct str behind =
            str_has_prefix(path, s->prefix) ? str_from(path, s->prefix.n) : STR("x");
        if (behind.n && behind.p[0] != '/') {
            if (str_eq(path, STR("/"))) {
                http_add_header(x, "Location", s->prefix);
                http_answer_text(x, 302, "");
            } else {
                http_answer_text(x, 404, "404 page not found\n");
            }
            return;
        }
        path = x->path = behind.n ? behind : STR("/");
    }
    const bool is_api = str_has_prefix(path, STR("/api/v1/"));
    const unsigned method = method_bit(x->method);
    const size_t at = find(path, method);
    if (send_on(s, x, at))
        return;
    const bool is_asked = is_api && str_eq(x->method, STR("OPTIONS"));
    if (is_asked || (is_api && at != NO_ROUTE && (routes[at].methods & method)))
        add_cors(s, x);
    if (is_asked) {
        http_answer(x, 204, NULL, (struct str){0});
        return;
    }
    if (at == NO_ROUTE) {
        http_answer_text(x, 404, "404 page not found\n");
        return;
    }
    join_class(&routes[at]);
    if (!may_run(s, &routes[at], x))
        return;
    if (routes[at].page) {
        routes[at].page(s, x);
        return;
    }
    struct api api;
    if (api_init(&api, s, x)) {
        http_end_with_peer(x); // whose query is not wanted any more costs nobody
        routes[at].api(&api);
        api_done(&api);
    }
}

// ---- counters

void route_observe(void *arg, const struct http_exchange *x, int64_t ns)
{
    struct server *s = arg;
    struct route_stats *stats = &server_self(s)->routes;
    size_t at = find(x->path, method_bit(x->method));
    while (at > 0 && at < countof(routes) && strcmp(routes[at - 1].path, routes[at].path) == 0)
        at--; // methods of one path share its label
    const double seconds = (double)ns / 1e9;
    size_t bucket = 0;
    while (bucket < ROUTE_BUCKETS - 1 && seconds > bounds[bucket])
        bucket++;
    stats->routes[at].buckets[bucket]++;
    stats->routes[at].count++;
    stats->routes[at].seconds += seconds;
    stats->routes[at].bytes += x->bytes_out;
    for (size_t i = 0; i < ROUTE_CODES_MAX; i++) {
        if (stats->routes[at].codes[i].status && stats->routes[at].codes[i].status != x->status)
            continue;
        stats->routes[at].codes[i].status = x->status;
        stats->routes[at].codes[i].count++;
        break;
    }
}

void route_stats_add(struct route_stats *to, const struct route_stats *from)
{
    for (size_t r = 0; r < ROUTES_MAX; r++) {
        to->routes[r].count += from->routes[r].count;
        to->routes[r].seconds += from->routes[r].seconds;
        to->routes[r].bytes += from->routes[r].bytes;
        for (size_t i = 0; i < ROUTE_BUCKETS; i++)
            to->routes[r].buckets[i] += from->routes[r].buckets[i];
        for (size_t i = 0; i < ROUTE_CODES_MAX && from->routes[r].codes[i].status; i++)
            for (size_t k = 0; k < ROUTE_CODES_MAX; k++) {
                const int have = to->routes[r].codes[k].status;
                if (have && have != from->routes[r].codes[i].status)
                    continue;
                to->routes[r].codes[k].status = from->routes[r].codes[i].status;
                to->routes[r].codes[k].count += from->routes[r].codes[i].count;
                break;
            }
    }
}

// The handler label: Prometheus writes path parameters as :name.
static const char *handler_name(size_t route)
{
    const char *path = route < countof(routes) ? routes[route].path : "not_found";
    return strchr(path, '*') ? "/api/v1/label/:name/values" : path;
}

void route_write_metrics(const struct route_stats *stats, struct buf *out)
{
    buf_put_str(out, STR("# HELP prometheus_http_requests_total Counter of HTTP requests.\n"
                         "# TYPE prometheus_http_requests_total counter\n"));
    for (size_t r = 0; r <= NO_ROUTE; r++)
        for (size_t i = 0; i < ROUTE_CODES_MAX && stats->routes[r].codes[i].status; i++)
            buf_printf(out, "prometheus_http_requests_total{code=\"%d\",handler=\"%s\"} %llu\n",
                       stats->routes[r].codes[i].status, handler_name(r),
                       (unsigned long long)stats->routes[r].codes[i].count);
    buf_put_str(out,
                STR("# HELP prometheus_http_request_duration_seconds Histogram of latencies for "
                    "HTTP requests.\n# TYPE prometheus_http_request_duration_seconds histogram\n"));
    for (size_t r = 0; r <= NO_ROUTE; r++) {
        uint64_t sum = 0;
        if (!stats->routes[r].count)
            continue;
        for (size_t i = 0; i < ROUTE_BUCKETS - 1; i++) {
            sum += stats->routes[r].buckets[i];
            buf_printf(out,
                       "prometheus_http_request_duration_seconds_bucket{handler=\"%s\",le=\"%g\"} "
                       "%llu\n",
                       handler_name(r), bounds[i], (unsigned long long)sum);
        }
        buf_printf(out,
                   "prometheus_http_request_duration_seconds_bucket{handler=\"%s\",le=\"+Inf\"} "
                   "%llu\nprometheus_http_request_duration_seconds_sum{handler=\"%s\"} %.9g\n"
                   "prometheus_http_request_duration_seconds_count{handler=\"%s\"} %llu\n",
                   handler_name(r), (unsigned long long)stats->routes[r].count, handler_name(r),
                   stats->routes[r].seconds, handler_name(r),
                   (unsigned long long)stats->routes[r].count);
    }
}
