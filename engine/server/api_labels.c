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

// Answers leave as they are merged, so whether a limit cut them is known in time for the warning
// that stands behind them.
static void answer(struct api *api, struct fan_question *q)
{
    static struct str truncated = {"results truncated due to limit", 30};
    struct fan fan;
    struct str item;
    struct errmsg e;
    q->bytes_max = (size_t)api->server->flags.query_max_bytes;
    const err code = fan_open(q, &fan, &e);
    if (code) {
        api_error(api, code == ERR_LIMIT ? API_EXECUTION : API_INTERNAL, "%s", e.text);
        return;
    }
    api_begin(api);
    json_array_begin(&api->json);
    for (uint64_t n = 0; fan_next(&fan, &item) && api_flush_if_due(api); n++) {
        if (q->limit && n == q->limit) {
            api->warnings = &truncated;
            api->warnings_count = 1;
            break;
        }
        if (q->kind == FAN_SERIES)
            api_put_labels(&api->json, item);
        else
            json_str(&api->json, item);
        fiber_yield_if_due();
    }
    json_array_end(&api->json);
    api_end(api);
    fan_done(&fan);
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
