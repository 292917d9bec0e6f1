// labels, label/<name>/values, series: what there is, without its samples.
#include "engine/base/quote.h"
#include "engine/model/labels.h"
#include "engine/server/api.h"
#include "engine/server/fan.h"
#include "engine/server/handlers.h"
#include "engine/server/server.h"
#include "protocol/escape.h"

// start, end, limit and match[] of all three; false: answered.
static bool read_question(struct api *api, struct fan_question *q, enum fan_kind kind)
{
    *q = (struct fan_question){.kind = kind, .storage = api->server->storage};
    struct api_instant from = api_instant_least, to = api_instant_greatest;
    if (!api_limit(api, "limit", &q->limit) || !api_time(api, "start", &from) ||
        !api_time(api, "end", &to) || !api_matchers(api, kind == FAN_SERIES))
        return false;
    q->mint = api_instant_storage_ms(from);
    q->maxt = api_instant_storage_ms(to);
    if (q->mint > INT64_MIN)
        q->mint--; // storage's ranges leave their start out
    struct fan_selector *selectors = arena_alloc(
        api->x->arena, api->selectors_count * sizeof *selectors, _Alignof(struct fan_selector));
    for (size_t i = 0; i < api->selectors_count; i++) {
        const struct promql_expr *s = api->selectors[i].expr;
        selectors[i] = (struct fan_selector){s->vector.matchers, s->vector.matchers_count};
    }
    q->selectors = selectors;
    q->selectors_count = api->selectors_count;
    return true;
}

struct answering {
    struct api *api;
    struct fan_question *q;
    uint64_t wanted, n;    // wanted 0: all
    struct buf last;       // that was given out
    bool is_open, is_over; // has begun, and is to be ended
};

static void fail(struct answering *a, err code, const struct errmsg *e)
{
    a->is_over = true;
    a->is_open = false;
    if (a->api->is_streaming)
        http_abort(a->api->x); // half of an answer must not look like a whole one
    else
        api_error(a->api, code == ERR_LIMIT ? API_EXECUTION : API_INTERNAL, "%s", e->text);
}

// At most most items, behind the last. Suspends.
static void answer_some(struct answering *a, uint64_t most)
{
    static struct str truncated = {"results truncated due to limit", 30};
    struct api *api = a->api;
    struct fan fan;
    struct str item = {0};
    struct errmsg e;
    uint64_t n = 0;
    a->q->limit = most == UINT64_MAX ? 0 : most;
    a->q->after = a->n ? buf_str(&a->last) : (struct str){0};
    const err code = fan_open(a->q, &fan, &e);
    if (code) {
        fail(a, code, &e);
        return;
    }
    if (!a->is_open) {
        api_begin(api);
        json_array_begin(&api->json);
        a->is_open = true;
    }
    while (n < most && !a->is_over) {
        if (!fan_next(&fan, &item) || !api_flush_if_due(api)) {
            a->is_over = true;
        } else if (a->wanted && a->n == a->wanted) {
            api->warnings = &truncated;
            api->warnings_count = 1;
            a->is_over = true;
        } else {
            a->q->kind == FAN_SERIES ? api_put_labels(&api->json, item)
                                     : json_str(&api->json, item);
            n++;
            a->n++;
            fiber_yield_if_due();
        }
    }
    if (!a->is_over) {
        buf_reset(&a->last);
        buf_put_str(&a->last, item);
    }
    fan_done(&fan);
}

// Answers leave as they are merged, so whether a limit cut them is known in time for the warning
// that stands behind them. Of names and values some are asked for at a time: as many as there may
// be, no shard holds a copy of them all.
static void answer(struct api *api, struct fan_question *q)
{
    enum { FIRST = 65536, MOST = 131072 };
    struct answering a = {.api = api, .q = q, .wanted = q->limit};
    q->bytes_max = (size_t)api->server->flags.query_max_bytes;
    q->all = &api->server->memory.queries;
    for (uint64_t some = FIRST; !a.is_over; some = some < MOST ? some * 2 : some) {
        const uint64_t left = a.wanted ? a.wanted - a.n + 1 : UINT64_MAX;
        answer_some(&a, q->kind == FAN_SERIES || left < some ? left : some);
    }
    if (a.is_open) {
        json_array_end(&api->json);
        api_end(api);
    }
    buf_deinit(&a.last);
}

void api_label_names(struct api *api)
{
    struct fan_question q;
    if (!read_question(api, &q, FAN_NAMES))
        return;
    answer(api, &q);
}

void api_label_values(struct api *api, struct str name)
{
    struct fan_question q;
    struct str plain = name;
    if (str_has_prefix(name, STR("U__")))
        plain = escape_undo_values(name, api->x->arena);
    if (!name_is_utf8(plain)) {
        struct buf quoted = {0};
        buf_put_quoted(&quoted, plain);
        api_error(api, API_BAD_DATA, "invalid label name: %.*s", STR_ARG(buf_str(&quoted)));
        buf_deinit(&quoted);
        return;
    }
    if (!read_question(api, &q, FAN_VALUES))
        return;
    q.name = plain;
    answer(api, &q);
}

void api_series(struct api *api)
{
    struct fan_question q;
    if (!api_form_is_whole(api))
        return;
    if (!api_get(api, "match[]").p) {
        api_error(api, API_BAD_DATA, "no match[] parameter provided");
        return;
    }
    if (!read_question(api, &q, FAN_SERIES))
        return;
    answer(api, &q);
}
