// query instant, range, series, labels.
#include <math.h>
#include <stdio.h>

#include "engine/base/calendar.h"
#include "engine/base/number.h"
#include "engine/base/util.h"
#include "io/process.h"
#include "protocol/url.h"
#include "tools/promtool/go_duration.h"
#include "tools/promtool/query_result.h"
#include "tools/promtool/server_check.h"

enum { TIMEOUT_MS = 120000, RANGE_DEFAULT_S = 300, STEPS_DEFAULT = 250 };
static const double FAR_S = 9999.0 * 3600; // how far from now series and labels look by default

size_t query_flags(struct promtool *p, struct setting *rows)
{
    static const char *const formats[] = {"promql", "json", NULL};
    const struct setting all[] = {
        {"format", 'o', .text = &p->format, .choices = formats, .default_text = "promql",
         .help = "Output format of the query: promql or json."},
        {"http.config.file", .text = &p->http_config_file, .placeholder = "<filename>",
         .help = "HTTP client configuration file for promtool to connect to Prometheus."},
    };
    memcpy(rows, all, sizeof all);
    return countof(all);
}

static struct setting header_flag(struct promtool *p)
{
    return (struct setting){"header", .list = &p->headers, .placeholder = "NAME=VALUE",
                            .help = "Extra headers to send to server."};
}

size_t query_instant_flags(struct promtool *p, struct setting *rows)
{
    rows[0] = header_flag(p);
    rows[1] = (struct setting){"time", .text = &p->time, .placeholder = "TIME",
                               .help = "Query evaluation time (RFC3339 or Unix timestamp)."};
    return 2;
}

size_t query_range_flags(struct promtool *p, struct setting *rows)
{
    const struct setting all[] = {
        header_flag(p),
        {"start", .text = &p->start, .placeholder = "START",
         .help = "Query range start time (RFC3339 or Unix timestamp)."},
        {"end", .text = &p->end, .placeholder = "END",
         .help = "Query range end time (RFC3339 or Unix timestamp)."},
        {"step", .text = &p->step, .placeholder = "STEP", .help = "Query step size (duration)."},
    };
    memcpy(rows, all, sizeof all);
    return countof(all);
}

static size_t span_flags(struct promtool *p, struct setting *rows, unsigned match_traits)
{
    const struct setting all[] = {
        {"match", .list = &p->matches, .placeholder = "MATCH", .traits = match_traits,
         .help = "Series selector. Can be specified multiple times."},
        {"start", .text = &p->start, .placeholder = "START",
         .help = "Start time (RFC3339 or Unix timestamp)."},
        {"end", .text = &p->end, .placeholder = "END",
         .help = "End time (RFC3339 or Unix timestamp)."},
    };
    memcpy(rows, all, sizeof all);
    return countof(all);
}

size_t query_series_flags(struct promtool *p, struct setting *rows)
{
    return span_flags(p, rows, SETTING_REQUIRED);
}

size_t query_labels_flags(struct promtool *p, struct setting *rows)
{
    return span_flags(p, rows, 0);
}

// ---- times

static double now_s(void)
{
    return (double)process_wall_ms(NULL) / 1000;
}

// Where Go has the time: seconds since the year 1, in 64 bits.
static int64_t order_of(double seconds)
{
    return (int64_t)((uint64_t)(int64_t)floor(seconds) + 62135596800u);
}

// what: "evaluation", for the message, which goes to standard error.
static bool parse_time(struct str text, const char *what, double *out_s)
{
    double seconds;
    int64_t ms;
    if (number_parse(text, &seconds) == ERR_OK) {
        // What is no 64-bit integer becomes the least one, as on x86 in Go; of what has no
        // fraction, either, that one's nanoseconds are taken off, which leads around to the end.
        const bool fits = seconds >= -0x1p63 && seconds < 0x1p63;
        *out_s = fits ? seconds : isfinite(seconds) ? -0x1p63 : 0x1p63 - 0x1p63 / 1e9;
        return true;
    }
    if (calendar_parse(text, &ms)) {
        *out_s = (double)ms / 1000;
        return true;
    }
    fprintf(stderr, "error parsing %s time: cannot parse \"%.*s\" to a valid timestamp\n", what,
            STR_ARG(text));
    return false;
}

static void put_param(struct buf *params, const char *name, struct str value)
{
    if (params->n)
        buf_put_char(params, '&');
    url_encode_query(str_from_c(name), params);
    buf_put_char(params, '=');
    url_encode_query(value, params);
}

static void put_number_param(struct buf *params, const char *name, double value)
{
    char text[NUMBER_TEXT_MAX];
    put_param(params, name, str_make(text, number_format_f(value, text)));
}

// ---- asking

static struct server_ask ask_of(const struct promtool *p, struct str path, bool is_post)
{
    return (struct server_ask){.server = p->args.items[0],
                               .path = path,
                               .is_post = is_post,
                               .headers = p->headers.items,
                               .headers_n = p->headers.n,
                               .timeout_ms = TIMEOUT_MS,
                               .http_config_file = p->http_config_file};
}

static void print_warnings(struct str warnings)
{
    struct str line;
    while (warnings.n && str_split(&warnings, '\n', &line))
        if (line.n)
            fprintf(stderr, "query warning: %.*s\n", STR_ARG(line));
}

static int ask_and_print(const struct promtool *p, struct server_ask *ask, const struct buf *params,
                         enum query_result_kind kind)
{
    struct server_answer answer = {0};
    struct buf text = {0}, warnings = {0};
    struct errmsg e;
    ask->params = buf_str(params);
    err code = server_ask_run(ask, &answer, &e);
    if (!code)
        code = query_result_print(answer.status, buf_str(&answer.body), kind,
                                  str_eq(p->format, STR("json")), &text, &warnings, &e);
    if (kind == QUERY_RESULT_LABELS)
        print_warnings(buf_str(&warnings));
    if (code)
        fprintf(stderr, "query error: %s\n", e.text);
    else if (text.n)
        fwrite(text.p, 1, text.n, stdout);
    buf_deinit(&text);
    buf_deinit(&warnings);
    server_answer_deinit(&answer);
    return code ? PROMTOOL_FAILED : PROMTOOL_OK;
}

int query_instant(const struct promtool *p)
{
    struct server_ask ask = ask_of(p, STR("/api/v1/query"), true);
    double time = now_s();
    if (!server_check(p, &ask))
        return PROMTOOL_FAILED;
    if (p->time.n && !parse_time(p->time, "evaluation", &time))
        return PROMTOOL_FAILED;
    struct buf params = {0};
    put_param(&params, "query", p->args.items[1]);
    put_number_param(&params, "time", time);
    const int code = ask_and_print(p, &ask, &params, QUERY_RESULT_VALUE);
    buf_deinit(&params);
    return code;
}

int query_range(const struct promtool *p)
{
    struct server_ask ask = ask_of(p, STR("/api/v1/query_range"), true);
    struct errmsg e;
    int64_t step_ns = 0;
    double end = now_s();
    if (p->has_step && go_duration_parse(p->step, &step_ns, &e))
        return promtool_refuse(p, "%s", e.text);
    if (!server_check(p, &ask))
        return PROMTOOL_FAILED;
    if (p->end.n && !parse_time(p->end, "end", &end))
        return PROMTOOL_FAILED;
    double start = end - RANGE_DEFAULT_S;
    if (p->start.n && !parse_time(p->start, "start", &start))
        return PROMTOOL_FAILED;
    const int64_t first = order_of(start), last = order_of(end);
    if (first > last || (first == last && !(start < end))) {
        fprintf(stderr, "start time is not before end time\n");
        return PROMTOOL_FAILED;
    }
    double step = (double)step_ns / 1e9;
    if (!step_ns)
        step = fmax(floor((end - start) / STEPS_DEFAULT), 1);
    struct buf params = {0};
    put_number_param(&params, "end", end);
    put_param(&params, "query", p->args.items[1]);
    put_number_param(&params, "start", start);
    put_number_param(&params, "step", step);
    const int code = ask_and_print(p, &ask, &params, QUERY_RESULT_VALUE);
    buf_deinit(&params);
    return code;
}

// --match, --start and --end of series and labels.
static int ask_over_span(const struct promtool *p, struct server_ask *ask,
                         enum query_result_kind kind)
{
    const double now = now_s();
    double start = now - FAR_S, end = now + FAR_S;
    if (!server_check(p, ask))
        return PROMTOOL_FAILED;
    if ((p->start.n && !parse_time(p->start, "start", &start)) ||
        (p->end.n && !parse_time(p->end, "end", &end)))
        return PROMTOOL_FAILED;
    struct buf params = {0};
    put_number_param(&params, "end", end);
    for (size_t i = 0; i < p->matches.n; i++)
        put_param(&params, "match[]", p->matches.items[i]);
    put_number_param(&params, "start", start);
    const int code = ask_and_print(p, ask, &params, kind);
    buf_deinit(&params);
    return code;
}

int query_series(const struct promtool *p)
{
    struct server_ask ask = ask_of(p, STR("/api/v1/series"), true);
    return ask_over_span(p, &ask, QUERY_RESULT_SERIES);
}

int query_labels(const struct promtool *p)
{
    struct buf path = {0};
    buf_put_str(&path, STR("/api/v1/label/"));
    url_encode_path(p->args.items[1], &path);
    buf_put_str(&path, STR("/values"));
    struct server_ask ask = ask_of(p, buf_str(&path), false);
    const int code = ask_over_span(p, &ask, QUERY_RESULT_LABELS);
    buf_deinit(&path);
    return code;
}
