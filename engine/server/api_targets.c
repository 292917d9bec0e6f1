// targets: what is scraped, and how it went.
#include <stdlib.h>

#include "engine/base/duration.h"
#include "engine/base/mem.h"
#include "engine/base/number.h"
#include "engine/model/labels.h"
#include "engine/server/api.h"
#include "engine/server/handlers.h"
#include "engine/server/server.h"
#include "io/process.h"

enum { ACTIVE = 1, DROPPED = 2 };

struct row { // a target, already JSON
    struct str pool, key, json;
    bool is_dropped, is_wanted;
};

struct pool {
    struct str name;
    uint64_t dropped;
};

struct part { // of one shard; its memory is made and freed there
    struct server *server;
    struct str pool_wanted;
    struct arena arena;
    struct row *rows;
    size_t n, capacity;
    struct pool *pools;
    size_t pools_n, pools_capacity;
};

// Of a target's URL: what stands between its scheme and its path.
static struct str authority_of(struct str url)
{
    const ptrdiff_t scheme_end = str_find(url, ':', 0);
    if (scheme_end == STR_NONE || (size_t)scheme_end + 3 > url.n)
        return (struct str){0};
    struct str rest = str_from(url, (size_t)scheme_end + 3);
    size_t n = 0;
    while (n < rest.n && rest.p[n] != '/' && rest.p[n] != '?')
        n++;
    return str_until(rest, n);
}

// Takes ":port" off a host, whose brackets stay; "": there is none.
static void split_port(struct str *host, struct str *port)
{
    const ptrdiff_t colon = str_find_last(*host, ':');
    *port = (struct str){0};
    if (colon == STR_NONE || (host->p[0] == '[' && host->p[host->n - 1] == ']'))
        return;
    *port = str_from(*host, (size_t)colon + 1);
    *host = str_until(*host, (size_t)colon);
}

// localhost means another machine to who reads this: Prometheus shows its own external host
// instead.
static struct str global_url(const struct server *s, struct str text, struct arena *a)
{
    const ptrdiff_t scheme_end = str_find(text, ':', 0);
    const struct str authority = authority_of(text);
    struct str host = authority, port = {0};
    split_port(&host, &port);
    if (!str_eq(host, STR("localhost")) && !str_eq(host, STR("127.0.0.1")) &&
        !str_eq(host, STR("[::1]")))
        return text;
    // With our own port it is this server, which is known by all of its external address.
    const struct str scheme = str_until(text, (size_t)scheme_end);
    const struct str end = str_from(text, (size_t)(authority.p + authority.n - text.p));
    uint64_t number;
    if (number_parse_u64(port, &number) == ERR_OK && number == s->own_port)
        return arena_printf(a, "%.*s://%.*s%.*s", STR_ARG(s->external_scheme),
                            STR_ARG(s->external_host), STR_ARG(end));
    struct str outside = s->external_host, outside_port;
    split_port(&outside, &outside_port);
    return arena_printf(a, "%.*s://%.*s%s%.*s%.*s", STR_ARG(scheme), STR_ARG(outside),
                        port.n ? ":" : "", STR_ARG(port), STR_ARG(end));
}

// Where a URL's host cannot be told from its port, that is said of the target, too.
static struct str last_error(const struct scrape_target_view *v, struct arena *a)
{
    const struct str authority = authority_of(v->url);
    const ptrdiff_t colon = str_find(authority, ':', 0);
    if (colon == STR_NONE || authority.p[0] == '[' ||
        str_find(authority, ':', (size_t)colon + 1) == STR_NONE)
        return v->last_error;
    return arena_printf(a, "%.*s: address %.*s: too many colons in address", STR_ARG(v->last_error),
                        STR_ARG(authority));
}

static void put_text(struct json *j, const char *key, struct str value)
{
    json_key(j, key);
    json_str(j, value);
}

static void put_duration(struct json *j, const char *key, int64_t ms)
{
    struct buf text = {0};
    duration_format(ms, &text);
    put_text(j, key, buf_str(&text));
    buf_deinit(&text);
}

static void put_view(const struct part *p, const struct scrape_target_view *v, struct json *j,
                     struct arena *a)
{
    static const char *const health[] = {
        [SCRAPE_UNKNOWN] = "unknown", [SCRAPE_UP] = "up", [SCRAPE_DOWN] = "down"};
    json_object_begin(j);
    json_key(j, "discoveredLabels");
    api_put_labels(j, v->discovered);
    if (v->is_dropped) {
        put_text(j, "scrapePool", v->pool);
        json_object_end(j);
        return;
    }
    json_key(j, "labels");
    api_put_labels(j, v->labels);
    put_text(j, "scrapePool", v->pool);
    put_text(j, "scrapeUrl", v->url);
    put_text(j, "globalUrl", global_url(p->server, v->url, a));
    put_text(j, "lastError", last_error(v, a));
    if (v->last_scrape_ms) {
        json_key(j, "lastScrape");
        api_put_date(j, v->last_scrape_ms);
    } else {
        put_text(j, "lastScrape", STR("0001-01-01T00:00:00Z"));
    }
    json_key(j, "lastScrapeDuration");
    json_double(j, v->last_duration_s);
    put_text(j, "health", str_from_c(health[v->health]));
    put_duration(j, "scrapeInterval", v->interval_ms);
    put_duration(j, "scrapeTimeout", v->timeout_ms);
    json_object_end(j);
}

static void take_view(void *arg, const struct scrape_target_view *v)
{
    struct part *p = arg;
    struct buf out = {0};
    struct json j;
    const bool is_wanted = !p->pool_wanted.n || str_eq(p->pool_wanted, v->pool);
    json_init(&j, &out);
    if (is_wanted)
        put_view(p, v, &j, &p->arena);
    p->rows = mem_grow(p->rows, &p->capacity, p->n + 1, sizeof *p->rows);
    p->rows[p->n++] = (struct row){
        .pool = arena_str(&p->arena, v->pool),
        .key = arena_str(&p->arena, v->is_dropped ? v->discovered : v->url),
        .json = arena_str(&p->arena, buf_str(&out)),
        .is_dropped = v->is_dropped,
        .is_wanted = is_wanted,
    };
    buf_deinit(&out);
}

static void take_pool(void *arg, struct str name, uint64_t dropped)
{
    struct part *p = arg;
    p->pools = mem_grow(p->pools, &p->pools_capacity, p->pools_n + 1, sizeof *p->pools);
    p->pools[p->pools_n++] = (struct pool){arena_str(&p->arena, name), dropped};
}

static void ask_shard(void *arg)
{
    struct part *p = arg;
    arena_init(&p->arena, 0);
    if (shard_index(shard_self()) == 0) // which counts for all
        scrape_each_pool(server_self(p->server)->scrape, take_pool, p);
    scrape_each(server_self(p->server)->scrape, take_view, p);
}

static void free_part(void *arg)
{
    struct part *p = arg;
    arena_deinit(&p->arena);
    mem_free(p->rows);
    mem_free(p->pools);
}

static int compare_rows(const void *a, const void *b)
{
    const struct row *x = a, *y = b;
    const int pool = str_cmp(x->pool, y->pool);
    return pool ? pool : str_cmp(x->key, y->key);
}

static void put_rows(struct api *api, const char *key, const struct row *rows, size_t n,
                     bool dropped, bool wanted)
{
    json_key(&api->json, key);
    json_array_begin(&api->json);
    for (size_t i = 0; wanted && i < n && api_flush_if_due(api); i++)
        if (rows[i].is_wanted && rows[i].is_dropped == dropped)
            json_raw(&api->json, rows[i].json);
    json_array_end(&api->json);
}

static int compare_pools(const void *a, const void *b)
{
    const struct pool *x = a, *y = b;
    return str_cmp(x->name, y->name);
}

// How many targets each pool dropped.
static void put_dropped_counts(struct api *api, const struct part *p)
{
    if (p->pools_n > 1)
        qsort(p->pools, p->pools_n, sizeof *p->pools, compare_pools);
    json_key(&api->json, "droppedTargetCounts");
    json_object_begin(&api->json);
    for (size_t i = 0; i < p->pools_n; i++) {
        json_key_str(&api->json, p->pools[i].name);
        json_u64(&api->json, p->pools[i].dropped);
    }
    json_object_end(&api->json);
}

static void answer_targets(struct api *api, const struct part *first, const struct row *rows,
                           size_t n, unsigned state)
{
    api_begin(api);
    json_object_begin(&api->json);
    put_rows(api, "activeTargets", rows, n, false, state & ACTIVE);
    put_rows(api, "droppedTargets", rows, n, true, state & DROPPED);
    if (state & DROPPED) {
        put_dropped_counts(api, first);
    } else {
        json_key(&api->json, "droppedTargetCounts");
        json_null_value(&api->json);
    }
    json_object_end(&api->json);
    api_end(api);
}

static unsigned read_state(const struct api *api)
{
    const struct str state = api_get(api, "state");
    if (!state.n || str_eq_nocase(state, STR("any")))
        return ACTIVE | DROPPED;
    if (str_eq_nocase(state, STR("active")))
        return ACTIVE;
    return str_eq_nocase(state, STR("dropped")) ? DROPPED : 0;
}

void api_targets(struct api *api)
{
    const unsigned count = shards_count(api->server->shards);
    struct part *parts = mem_alloc_array(count, sizeof *parts);
    for (unsigned i = 0; i < count; i++)
        parts[i] = (struct part){.server = api->server, .pool_wanted = api_get(api, "scrapePool")};
    shard_call_all(LOOP_CONTROL, ask_shard, parts, sizeof *parts, NULL);
    size_t n = 0;
    for (unsigned i = 0; i < count; i++)
        n += parts[i].n;
    struct row *rows = mem_alloc_array(n, sizeof *rows);
    n = 0;
    for (unsigned i = 0; i < count; i++)
        for (size_t k = 0; k < parts[i].n; k++)
            rows[n++] = parts[i].rows[k];
    qsort(rows, n, sizeof *rows, compare_rows);
    answer_targets(api, &parts[0], rows, n, read_state(api));
    mem_free(rows);
    shard_call_all(LOOP_CONTROL, free_part, parts, sizeof *parts, NULL);
    mem_free(parts);
}
