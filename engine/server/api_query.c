// query and query_range: PromQL over HTTP.
#include "engine/base/quote.h"
#include "engine/base/utf8.h"
#include "engine/base/util.h"
#include "engine/promql/gently.h"
#include "engine/promql/query.h"
#include "engine/server/api.h"
#include "engine/server/handlers.h"
#include "engine/server/parse_apart.h"
#include "engine/server/query_turn.h"
#include "engine/server/server.h"
#include "io/clock.h"

enum { POINTS_MAX = 11000, MS_PER_NS = 1000000, POINT_WORK = 16 };

// What both endpoints read last: the timeout becomes the fiber's deadline.
static bool read_common(struct api *api, struct query_options *o)
{
    const struct server_flags *flags = &api->server->flags;
    int64_t timeout_ns = flags->prom.query.timeout_ms * MS_PER_NS;
    *o = (struct query_options){
        .lookback_ms = flags->prom.query.lookback_delta_ms,
        .subquery_step_ms = server_evaluation_interval_ms(api->server),
        .samples_max = (uint64_t)flags->prom.query.max_samples,
        .delayed_name_removal = api->server->delayed_name_removal,
    };
    if (api_get(api, "timeout").n) {
        int64_t asked_ns;
        if (!api_duration_ns(api, "timeout", &asked_ns))
            return false;
        if (asked_ns < timeout_ns)
            timeout_ns = asked_ns;
    }
    int64_t lookback_ns = 0;
    if (api_get(api, "lookback_delta").n && !api_duration_ns(api, "lookback_delta", &lookback_ns))
        return false;
    if (timeout_ns <= 0) {
        api_bad_parameter(api, "query", "context deadline exceeded"); // as there
        return false;
    }
    if (lookback_ns > 0)
        o->lookback_ms = lookback_ns / MS_PER_NS;
    fiber_set_deadline(clock_mono_ns() + timeout_ns);
    return true;
}

// What is said of a failure, to the client and in the log.
static void word_failure(err code, struct errmsg *e)
{
    const bool is_said = str_has_prefix(str_from_c(e->text), STR("query "));
    if (code == ERR_TIMEOUT && !is_said) // it ended in storage
        err_format(e, "query timed out in expression evaluation");
    else if (code == ERR_CANCELED && !is_said)
        err_format(e, "query was canceled in expression evaluation");
}

static void answer_failure(struct api *api, err code, bool is_short, const char *text)
{
    // The answer itself has the connection's own time.
    const enum api_error kind = is_short                                ? API_MEMORY
                                : code == ERR_TIMEOUT                   ? API_TIMEOUT
                                : code == ERR_CANCELED                  ? API_CANCELED
                                : code == ERR_IO || code == ERR_CORRUPT ? API_INTERNAL
                                                                        : API_EXECUTION;
    fiber_set_deadline(INT64_MAX);
    api_error(api, kind, "%s", text);
}

static void put_points(struct api *api, const struct query_result *r, const struct query_series *s)
{
    struct query_points p = {0};
    int64_t t;
    double v;
    json_key(&api->json, "values");
    json_array_begin(&api->json);
    while (query_points_next(r, s, &p, &t, &v)) {
        api_put_sample(&api->json, t, v);
        fiber_work(POINT_WORK);
        if (!api_flush_if_due(api))
            break;
    }
    json_array_end(&api->json);
}

static void put_series(struct api *api, const struct query_result *r)
{
    const bool is_vector = r->kind == QUERY_VECTOR;
    json_array_begin(&api->json);
    for (size_t i = 0; i < r->series_count && api_flush_if_due(api); i++) {
        struct query_points p = {0};
        int64_t t;
        double v;
        json_object_begin(&api->json);
        json_key(&api->json, "metric");
        api_put_labels(&api->json, r->series[i].labels);
        if (!is_vector) {
            put_points(api, r, &r->series[i]);
        } else if (query_points_next(r, &r->series[i], &p, &t, &v)) {
            json_key(&api->json, "value");
            api_put_sample(&api->json, t, v);
        }
        json_object_end(&api->json);
        fiber_yield_if_due();
    }
    json_array_end(&api->json);
}

// Bytes that are no UTF-8 become the rune that says so.
static struct str valid_text(struct str text, struct arena *a)
{
    if (utf8_is_valid(text))
        return text;
    struct buf valid = {0};
    while (text.n) {
        uint32_t rune;
        char bytes[UTF8_MAX];
        text = str_from(text, utf8_decode(text, &rune));
        buf_put(&valid, bytes, utf8_encode(bytes, rune));
    }
    const struct str out = arena_str(a, buf_str(&valid));
    buf_deinit(&valid);
    return out;
}

static void put_value(struct api *api, const struct query_result *r)
{
    switch (r->kind) {
    case QUERY_SCALAR:
        api_put_scalar(&api->json, r->steps.start_ms, r->scalar);
        return;
    case QUERY_STRING:
        json_array_begin(&api->json);
        api_put_float_time(&api->json, r->steps.start_ms);
        json_str(&api->json, valid_text(r->string, api->x->arena));
        json_array_end(&api->json);
        return;
    case QUERY_VECTOR:
    case QUERY_MATRIX:
        put_series(api, r);
        return;
    }
}

static void take_notes(struct api *api, const struct query_result *r, bool truncated)
{
    struct arena *a = api->x->arena;
    api->warnings = arena_alloc(a, (r->notes_count + 2) * sizeof *api->warnings, 8);
    api->infos = arena_alloc(a, (r->notes_count + 1) * sizeof *api->infos, 8);
    if (truncated)
        api->warnings[api->warnings_count++] = STR("results truncated due to limit");
    for (size_t i = 0; i < r->notes_count; i++) {
        if (r->notes[i].is_warning)
            api->warnings[api->warnings_count++] = r->notes[i].text;
        else
            api->infos[api->infos_count++] = r->notes[i].text;
    }
}

// The stats parameter: whether they are wanted. Other words than true and all still mean yes, with
// a warning.
static bool wants_stats(struct api *api)
{
    const struct str stats = api_get(api, "stats");
    if (!stats.n || str_eq(stats, STR("true")) || str_eq(stats, STR("all")))
        return stats.n > 0;
    struct buf quoted = {0};
    buf_put_quoted(&quoted, stats);
    api->warnings[api->warnings_count++] =
        arena_printf(api->x->arena,
                     "value %.*s for parameter \"stats\" is deprecated and will be rejected in the "
                     "next major release, use \"true\" or \"all\"",
                     STR_ARG(buf_str(&quoted)));
    buf_deinit(&quoted);
    return true;
}

static void answer_result(struct api *api, struct query_result *r, uint64_t limit,
                          const struct query_times *times)
{
    static const char *const kinds[] = {[QUERY_SCALAR] = "scalar",
                                        [QUERY_STRING] = "string",
                                        [QUERY_VECTOR] = "vector",
                                        [QUERY_MATRIX] = "matrix"};
    const bool truncated = limit && r->series_count > limit;
    if (truncated)
        r->series_count = limit;
    take_notes(api, r, truncated);
    const bool stats = wants_stats(api);
    api_begin(api);
    json_object_begin(&api->json);
    json_key(&api->json, "resultType");
    json_cstr(&api->json, kinds[r->kind]);
    json_key(&api->json, "result");
    put_value(api, r);
    if (stats) {
        json_key(&api->json, "stats");
        query_put_stats(&api->json, times, &r->stats);
    }
    json_object_end(&api->json);
    api_end(api);
}

// Parses what is asked and checks it; false: answered.
static bool parse_query(struct api *api, const struct query_options *o, struct promql_query *out)
{
    struct errmsg e;
    struct str whole = {0};
    struct promql_options options = api->server->promql;
    options.whole_error = &whole;
    if (parse_apart(api_get(api, "query"), &options, api->x->arena, out, &e) != ERR_OK) {
        api_bad_parameter(api, "query", whole.n ? whole.p : e.text);
        return false;
    }
    if (promql_check(o, out->expr, api->x->arena, &e) == ERR_OK)
        return true;
    api_bad_parameter(api, "query", e.text);
    parse_apart_done(out);
    return false;
}

// Runs and answers, within the fiber's deadline.
static void run_query(struct api *api, const struct query_options *o, uint64_t limit)
{
    struct server *server = api->server;
    const int64_t start_ns = clock_mono_ns();
    struct promql_query query = {0};
    struct query_result result = {0};
    struct errmsg e;
    if (!parse_query(api, o, &query))
        return;
    struct query_turn turn = {.server = server,
                              .x = api->x,
                              .text = api_get(api, "query"),
                              .start_ms = o->start_ms,
                              .end_ms = o->end_ms,
                              .step_ms = o->step_ms};
    const int64_t prepare_ns = clock_mono_ns() - start_ns;
    err code = query_turn_begin(&turn, &e);
    if (code) { // as there, where turns are taken before anything else is looked at
        fiber_set_deadline(INT64_MAX);
        api_bad_parameter(api, "query", e.text);
        parse_apart_done(&query);
        return;
    }
    struct arena arena; // of the result: it may be much larger than a request's
    struct arena_budget budget = {.limit_bytes = (size_t)server->flags.query_max_bytes,
                                  .all = &server->memory.queries};
    arena_init_within(&arena, &budget);
    const int64_t begun_ns = clock_mono_ns();
    code = promql_exec(&server->query_source, o, query.expr, turn.text, &arena, &result, &e);
    turn.times.prepare = prepare_ns;
    turn.times.eval = clock_mono_ns() - begun_ns;
    if (code)
        word_failure(code, &e);
    const bool is_short = code == ERR_LIMIT && memory_refused_query(server, &budget, &e);
    const struct str failure = !is_short && result.error.n ? result.error : str_from_c(e.text);
    query_turn_end(&turn, &result.stats, code ? failure : (struct str){0});
    if (code) {
        answer_failure(api, code, is_short, failure.p);
    } else {
        fiber_set_deadline(INT64_MAX);
        answer_result(api, &result, limit, &turn.times);
        query_done(&server->query_source, &result);
    }
    gently_deinit(&arena);
    parse_apart_done(&query);
}

void api_query(struct api *api)
{
    struct query_options o;
    uint64_t limit = 0;
    struct api_instant at = api_instant_of_ms(clock_wall_ms());
    if (!api_limit(api, "limit", &limit) || !api_time(api, "time", &at) || !read_common(api, &o))
        return;
    o.start_ms = o.end_ms = api_instant_query_ms(at);
    run_query(api, &o, limit);
}

void api_query_range(struct api *api)
{
    struct query_options o;
    uint64_t limit = 0;
    struct api_instant start, end;
    int64_t step_ns;
    if (!api_limit(api, "limit", &limit) || !api_required_time(api, "start", &start) ||
        !api_required_time(api, "end", &end))
        return;
    if (api_instant_before(end, start)) {
        api_bad_parameter(api, "end", "end timestamp must not be before start time");
        return;
    }
    if (!api_duration_ns(api, "step", &step_ns))
        return;
    if (step_ns <= 0) {
        api_bad_parameter(api, "step",
                          "zero or negative query resolution step widths are not accepted. Try a "
                          "positive integer");
        return;
    }
    if (api_instant_span_ns(start, end) / step_ns > POINTS_MAX) {
        api_error(api, API_BAD_DATA,
                  "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the "
                  "query resolution (?step=XX)");
        return;
    }
    if (!read_common(api, &o))
        return;
    o.start_ms = api_instant_query_ms(start);
    o.end_ms = api_instant_query_ms(end);
    o.step_ms = step_ns / MS_PER_NS;
    o.has_zero_step = o.step_ms == 0;
    if (o.has_zero_step)
        o.step_ms = 1;
    run_query(api, &o, limit);
}
