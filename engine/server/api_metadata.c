// metadata, targets/metadata: what targets, and senders, say about their metrics.
#include <stdlib.h>

#include "engine/base/mem.h"
#include "engine/base/number.h"
#include "engine/model/labels.h"
#include "engine/server/api.h"
#include "engine/server/handlers.h"
#include "engine/server/parse_apart.h"
#include "engine/server/server.h"
#include "engine/tsdb/tsdb_notes.h"
#include "protocol/exposition.h"

struct part { // of one shard; its memory is made and freed there
    struct server *server;
    struct str metric_wanted;
    bool with_targets;
    const struct matcher *ms; // of the targets wanted
    size_t ms_n;
    struct arena arena;
    struct scrape_metadata *items;
    size_t n, capacity;
    struct str target, target_copy; // the last item's
};

static void take(void *arg, const struct scrape_metadata *m)
{
    struct part *p = arg;
    if (p->metric_wanted.n && !str_eq(p->metric_wanted, m->name))
        return;
    if (p->ms_n && !matchers_match(p->ms, p->ms_n, m->target))
        return;
    if (p->with_targets && m->target.p != p->target.p) {
        p->target = m->target;
        p->target_copy = arena_str(&p->arena, m->target);
    }
    p->items = mem_grow(p->items, &p->capacity, p->n + 1, sizeof *p->items);
    p->items[p->n++] = (struct scrape_metadata){
        .name = arena_str(&p->arena, m->name),
        .type = m->type, // a constant of the program
        .help = arena_str(&p->arena, m->help),
        .unit = arena_str(&p->arena, m->unit),
        .target = p->target_copy,
    };
}

// What senders say: of no target, so Prometheus does not tell it.
static void take_received(void *arg, const struct tsdb_metadata *m)
{
    const struct scrape_metadata item = {
        .name = m->family,
        .type = str_from_c(
            exposition_type_name(m->type < EXPOSITION_TYPES ? m->type : EXPOSITION_UNKNOWN)),
        .help = m->help,
        .unit = m->unit};
    take(arg, &item);
}

static void ask_shard(void *arg)
{
    struct part *p = arg;
    arena_init(&p->arena, 0);
    scrape_each_metadata(server_self(p->server)->scrape, take, p);
    if (!p->with_targets)
        tsdb_each_metadata(p->server->db, take_received, p);
}

static void free_part(void *arg)
{
    struct part *p = arg;
    arena_deinit(&p->arena);
    mem_free(p->items);
}

static int compare_items(const void *a, const void *b)
{
    const struct scrape_metadata *x = a, *y = b;
    int order = str_cmp(x->name, y->name);
    order = order ? order : str_cmp(x->type, y->type);
    order = order ? order : str_cmp(x->help, y->help);
    return order ? order : str_cmp(x->unit, y->unit);
}

static int compare_by_target(const void *a, const void *b)
{
    const int order = labels_cmp(((const struct scrape_metadata *)a)->target,
                                 ((const struct scrape_metadata *)b)->target);
    return order ? order : compare_items(a, b);
}

// What all shards have, sorted; to be given back with gathered_free(). Suspends.
struct gathered {
    struct part *parts;
    struct scrape_metadata *items;
    size_t n;
};

static void gather(const struct part *question, struct gathered *out)
{
    const unsigned count = shards_count(question->server->shards);
    out->parts = mem_alloc_array(count, sizeof *out->parts);
    for (unsigned i = 0; i < count; i++)
        out->parts[i] = *question;
    shard_call_all(LOOP_CONTROL, ask_shard, out->parts, sizeof *out->parts, NULL);
    out->n = 0;
    for (unsigned i = 0; i < count; i++)
        out->n += out->parts[i].n;
    out->items = mem_alloc_array(out->n, sizeof *out->items);
    size_t n = 0;
    for (unsigned i = 0; i < count; i++)
        for (size_t k = 0; k < out->parts[i].n; k++)
            out->items[n++] = out->parts[i].items[k];
    qsort(out->items, n, sizeof *out->items,
          question->with_targets ? compare_by_target : compare_items);
}

static void gathered_free(struct gathered *g) // Suspends.
{
    mem_free(g->items);
    shard_call_all(LOOP_CONTROL, free_part, g->parts, sizeof *g->parts, NULL);
    mem_free(g->parts);
}

static void put_text(struct json *j, const char *key, struct str value)
{
    json_key(j, key);
    json_str(j, value);
}

// The two endpoints differ in their order there, too.
static void put_item(struct json *j, const struct scrape_metadata *m, bool unit_first)
{
    put_text(j, "type", m->type);
    if (unit_first)
        put_text(j, "unit", m->unit);
    put_text(j, "help", m->help);
    if (!unit_first)
        put_text(j, "unit", m->unit);
}

static void answer_metadata(struct api *api, const struct gathered *g, int64_t limit,
                            int64_t per_metric)
{
    const struct scrape_metadata *const items = g->items;
    api_begin(api);
    json_object_begin(&api->json);
    for (size_t i = 0, next, metrics = 0; i < g->n && api_flush_if_due(api); i = next, metrics++) {
        int64_t put = 0;
        if (limit >= 0 && (int64_t)metrics >= limit)
            break;
        json_key_str(&api->json, items[i].name);
        json_array_begin(&api->json);
        for (next = i; next < g->n && str_eq(items[next].name, items[i].name); next++) {
            if ((next > i && !compare_items(&items[next], &items[next - 1])) ||
                (per_metric > 0 && put >= per_metric))
                continue;
            json_object_begin(&api->json);
            put_item(&api->json, &items[next], true);
            json_object_end(&api->json);
            put++;
        }
        json_array_end(&api->json);
        fiber_yield_if_due();
    }
    json_object_end(&api->json);
    api_end(api);
}

static bool read_number(struct api *api, const char *name, int64_t *out)
{
    const struct str text = api_get(api, name);
    if (!text.n || number_parse_i64(text, out) == ERR_OK)
        return true;
    api_error(api, API_BAD_DATA, "%s must be a number", name);
    return false;
}

void api_metadata(struct api *api)
{
    int64_t limit = -1, per_metric = -1;
    struct gathered g;
    if (!read_number(api, "limit", &limit) || !read_number(api, "limit_per_metric", &per_metric))
        return;
    gather(&(struct part){.server = api->server, .metric_wanted = api_get(api, "metric")}, &g);
    answer_metadata(api, &g, limit, per_metric);
    gathered_free(&g);
}

// As Prometheus counts: a target is begun as long as fewer than limit entries stand, and then
// listed whole.
static void answer_targets(struct api *api, const struct gathered *g, int64_t limit, bool with_name)
{
    const struct scrape_metadata *const items = g->items;
    int64_t put = 0;
    api_begin(api);
    json_array_begin(&api->json);
    for (size_t i = 0; i < g->n && api_flush_if_due(api); i++, put++) {
        const bool is_new = !i || !str_eq(items[i].target, items[i - 1].target);
        if (is_new && limit >= 0 && put >= limit)
            break;
        json_object_begin(&api->json);
        json_key(&api->json, "target");
        api_put_labels(&api->json, items[i].target);
        if (with_name)
            put_text(&api->json, "metric", items[i].name);
        put_item(&api->json, &items[i], false);
        json_object_end(&api->json);
        fiber_yield_if_due();
    }
    json_array_end(&api->json);
    api_end(api);
}

void api_targets_metadata(struct api *api)
{
    int64_t limit = -1;
    struct gathered g;
    struct errmsg e;
    struct promql_query selector = {0};
    const struct str wanted = api_get(api, "match_target"), metric = api_get(api, "metric");
    struct part question = {.server = api->server, .metric_wanted = metric, .with_targets = true};
    if (!read_number(api, "limit", &limit))
        return;
    if (wanted.n) {
        if (parse_selector_apart(wanted, &api->server->promql, api->x->arena, &selector, &e) !=
            ERR_OK) {
            api_bad_parameter(api, "match_target", e.text);
            return;
        }
        question.ms = selector.expr->vector.matchers;
        question.ms_n = selector.expr->vector.matchers_count;
    }
    gather(&question, &g);
    answer_targets(api, &g, limit, !metric.n);
    gathered_free(&g);
    parse_apart_done(&selector);
}
