// query_exemplars: the exemplars of the series that an expression selects.
#include "engine/base/bits.h"
#include "engine/base/mem.h"
#include "engine/base/number.h"
#include "engine/model/labels.h"
#include "engine/server/api.h"
#include "engine/server/handlers.h"
#include "engine/server/parse_apart.h"
#include "engine/server/server.h"
#include "engine/tsdb/tsdb_notes.h"

enum { PART_BYTES_MAX = 256 << 20 };

struct part { // of one shard; its memory is made and freed there
    struct tsdb *db;
    const struct tsdb_matchers *sets;
    size_t sets_n;
    int64_t mint, maxt;
    struct arena arena;
    struct tsdb_exemplar *found;
    size_t n, at;
    err code;
    struct errmsg e;
};

static void ask_shard(void *arg)
{
    struct part *p = arg;
    arena_init(&p->arena, PART_BYTES_MAX);
    p->code = tsdb_select_exemplars(p->db, p->sets, p->sets_n, p->mint, p->maxt, &p->arena,
                                    &p->found, &p->n, &p->e);
}

static void free_part(void *arg)
{
    struct part *p = arg;
    arena_deinit(&p->arena);
}

// Several matches of one selector each; in the arena.
static size_t selectors_of(const struct promql_expr *root, struct arena *a,
                           struct tsdb_matchers **out)
{
    const struct promql_expr **all = promql_list(root, a);
    struct tsdb_matchers *sets = arena_array(a, root->size, struct tsdb_matchers);
    size_t n = 0;
    for (size_t i = 0; all && sets && i < root->size; i++)
        if (all[i]->kind == PROMQL_VECTOR)
            sets[n++] =
                (struct tsdb_matchers){all[i]->vector.matchers, all[i]->vector.matchers_count};
    *out = sets;
    return n;
}

// The part whose next series is the first; NULL: there are no more. A series is in one part alone.
static struct part *next_part(struct part *parts, unsigned count)
{
    struct part *best = NULL;
    for (struct part *p = parts; p < parts + count; p++)
        if (p->at < p->n &&
            (!best || labels_cmp(p->found[p->at].series, best->found[best->at].series) < 0))
            best = p;
    return best;
}

static void put_exemplar(struct json *j, const struct tsdb_exemplar *x)
{
    char value[NUMBER_TEXT_MAX];
    json_object_begin(j);
    json_key(j, "labels");
    api_put_labels(j, x->labels);
    json_key(j, "value");
    json_str(j, str_make(value, number_format_api(double_from_bits(x->bits), value)));
    json_key(j, "timestamp");
    api_put_time(j, x->t_ms);
    json_object_end(j);
}

static void put_series(struct json *j, struct part *p)
{
    const struct str series = p->found[p->at].series;
    json_object_begin(j);
    json_key(j, "seriesLabels");
    api_put_labels(j, series);
    json_key(j, "exemplars");
    json_array_begin(j);
    for (; p->at < p->n && str_eq(p->found[p->at].series, series); p->at++)
        put_exemplar(j, &p->found[p->at]);
    json_array_end(j);
    json_object_end(j);
}

static void answer(struct api *api, struct part *parts, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        if (parts[i].code) {
            api_error(api, parts[i].code == ERR_LIMIT ? API_EXECUTION : API_INTERNAL, "%s",
                      parts[i].e.text);
            return;
        }
    }
    api_begin(api);
    json_array_begin(&api->json);
    for (struct part *p; (p = next_part(parts, count)) && api_flush_if_due(api);) {
        put_series(&api->json, p);
        fiber_yield_if_due();
    }
    json_array_end(&api->json);
    api_end(api);
}

static void ask(struct api *api, const struct part *question)
{
    const unsigned count = shards_count(api->server->shards);
    struct part *parts = mem_alloc_array(count, sizeof *parts);
    for (unsigned i = 0; i < count; i++)
        parts[i] = *question;
    shard_call_all(LOOP_QUERY, ask_shard, parts, sizeof *parts, NULL);
    answer(api, parts, count);
    shard_call_all(LOOP_QUERY, free_part, parts, sizeof *parts, NULL);
    mem_free(parts);
}

void api_query_exemplars(struct api *api)
{
    struct part question = {.db = api->server->db};
    struct promql_query query;
    struct errmsg e;
    struct api_instant from = api_instant_least, to = api_instant_greatest;
    if (!api_time(api, "start", &from) || !api_time(api, "end", &to))
        return;
    if (api_instant_before(to, from)) {
        api_error(api, API_BAD_DATA, "end timestamp must not be before start timestamp");
        return;
    }
    question.mint = api_instant_storage_ms(from);
    question.maxt = api_instant_storage_ms(to);
    if (parse_apart(api_get(api, "query"), &api->server->promql, api->x->arena, &query, &e) !=
        ERR_OK) {
        api_error(api, API_BAD_DATA, "%s", e.text);
        return;
    }
    struct tsdb_matchers *sets;
    question.sets_n = selectors_of(query.expr, api->x->arena, &sets);
    question.sets = sets;
    if (question.sets_n)
        ask(api, &question);
    else
        http_answer(api->x, 204, NULL, (struct str){0});
    parse_apart_done(&query);
}
