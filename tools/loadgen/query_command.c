// query: asks again and again, at a rate or as fast as answers come, and measures each query.
#include <jansson.h>
#include <stdio.h>
#include <unistd.h>

#include "engine/base/arena.h"
#include "engine/base/calendar.h"
#include "engine/base/mem.h"
#include "engine/base/number.h"
#include "engine/base/util.h"
#include "engine/http/client.h"
#include "io/clock.h"
#include "protocol/json_write.h"
#include "tools/loadgen/load_report.h"
#include "tools/loadgen/loadgen.h"
#include "tools/loadgen/query_compare.h"

enum {
    NS_PER_MS = 1000000,
    NS_PER_US = 1000,
    CONNECTIONS_MAX = 512,
    QUERIES_MAX = 10000,
    ENDING_MS = 5000,
    PAUSE_MS = 100,
    BODY_MAX = 256 << 20,
    FILE_MAX = 1 << 20
};

// What dashboards of the exporters that remote-write and scrape-farm show ask for.
static const char dashboard[] =
    "range sum by (mode) (rate(node_cpu_seconds_total[5m]))\n"
    "range 1 - avg by (instance) (rate(node_cpu_seconds_total{mode=\"idle\"}[5m]))\n"
    "range sum by (instance) (rate(node_network_receive_bytes_total{device!=\"lo\"}[5m])) * 8\n"
    "range sum by (instance) (rate(node_network_transmit_bytes_total{device!=\"lo\"}[5m])) * 8\n"
    "range topk(5, rate(node_disk_io_time_seconds_total[5m]))\n"
    "range max by (mountpoint) (1 - node_filesystem_avail_bytes / node_filesystem_size_bytes)\n"
    "range node_load5\n"
    "range quantile(0.9, rate(node_context_switches_total[5m]))\n"
    "range sum(increase(node_disk_written_bytes_total[15m])) by (device)\n"
    "range avg_over_time(node_memory_MemAvailable_bytes[10m])\n"
    "instant count(count by (instance) (node_cpu_seconds_total))\n"
    "instant topk(10, count by (__name__) ({job=\"node-exporter\"}))\n"
    "instant sum by (device) (rate(node_network_receive_errs_total[5m])) > 0\n"
    "instant predict_linear(node_filesystem_free_bytes{mountpoint=\"/\"}[1h], 4 * 3600) < 0\n"
    "instant max(node_boot_time_seconds) by (instance)\n"
    "instant absent(node_time_seconds)\n";

struct command {
    bool help, stops; // stops: atomic
    struct setting_list args;
    struct str file, reference, json;
    int64_t duration_ms, connections, range_ms, step_ms, timeout_ms;
    double rate;

    struct buf text;    // of the queries
    struct arena arena; // of those of query logs
    struct query {
        struct str expr;
        bool is_range;
        int64_t range_ms, step_ms; // of a query log; 0: as the flags say
        uint64_t asked, failed, different, unchecked;
        struct load_times times;
        char error[256]; // the last one
    } * queries;
    size_t n, capacity;
    uint64_t asked, failed, next;       // next: of the schedule
    struct load_times times, since_due; // of all; from their turns by the rate
    uint64_t answers[LOAD_STATUS_MAX], broken;
    bool is_answered; // by anything
    int64_t begin_ns, end_ns;
    unsigned running;
    struct fiber *askers[CONNECTIONS_MAX]; // while they run
    struct waiters ended;
    double seconds;
};

static size_t make_rows(struct command *c, struct setting *rows)
{
    const struct setting all[] = {
        {"help", 'h', .flag = &c->help, .help = "Show this help."},
        {"", .list = &c->args, .placeholder = "<server>"},
        {"file", .text = &c->file, .placeholder = "<file>",
         .help = "Queries, a line each, behind the word instant or range; # begins a comment. Or a "
                 "query log of Prometheus: ranges end now. Without it those of common dashboards "
                 "over remote-write's series."},
        {"rate", .fraction = &c->rate, .default_text = "0", .placeholder = "<queries/s>",
         .help = "Queries a second; 0: as fast as they are answered."},
        {"connections", .number = &c->connections, .min = 1, .max = CONNECTIONS_MAX,
         .default_text = "4", .help = "Connections; each asks one query at a time."},
        {"duration", .duration_ms = &c->duration_ms, .min = 1, .max = INT64_MAX,
         .default_text = "30s", .help = "How long to ask."},
        {"timeout", .duration_ms = &c->timeout_ms, .min = 1, .max = 86400000, .default_text = "2m",
         .help = "A query that takes longer has failed."},
        {"range", .duration_ms = &c->range_ms, .min = 1, .max = INT64_MAX, .default_text = "1h",
         .help = "What range queries look back."},
        {"step", .duration_ms = &c->step_ms, .min = 1, .max = INT64_MAX, .default_text = "15s",
         .help = "Their step."},
        {"reference", .text = &c->reference, .placeholder = "<server>",
         .help = "A server that holds the same: it is asked the same, and answers that differ are "
                 "counted."},
        {"json", .text = &c->json, .placeholder = "<file>",
         .help = "Write the result as JSON, too; - is standard output."},
    };
    memcpy(rows, all, sizeof all);
    return countof(all);
}

// A line of a query log: {"params":{"query":"up","start":"<RFC 3339>","end":"...","step":15},...}.
static err parse_logged(struct command *c, struct str line, struct query *out, struct errmsg *e)
{
    json_error_t why;
    int64_t start_ms = 0, end_ms = 0;
    json_t *const root = json_loadb(line.p, line.n, 0, &why);
    const json_t *const params = json_object_get(root, "params");
    const char *const query = json_string_value(json_object_get(params, "query"));
    const char *const start = json_string_value(json_object_get(params, "start"));
    const char *const end = json_string_value(json_object_get(params, "end"));
    const double step_s = json_number_value(json_object_get(params, "step"));
    const bool is_good = query && start && end && calendar_parse(str_from_c(start), &start_ms) &&
                         calendar_parse(str_from_c(end), &end_ms) && step_s >= 0 && step_s < 1e9;
    if (is_good) {
        out->expr = arena_str(&c->arena, str_from_c(query));
        out->is_range = step_s > 0;
        out->range_ms = end_ms - start_ms;
        out->step_ms = step_s * 1000 < 1 ? 1 : (int64_t)(step_s * 1000);
    }
    json_decref(root);
    return is_good ? ERR_OK : err_set(e, ERR_INVALID, "no line of a query log");
}

static err parse_query(struct command *c, struct str line, struct query *out, struct errmsg *e)
{
    if (line.p[0] == '{')
        return parse_logged(c, line, out, e);
    out->is_range = str_has_prefix(line, STR("range "));
    if (!out->is_range && !str_has_prefix(line, STR("instant ")))
        return err_set(e, ERR_INVALID, "instant or range, and a query");
    out->expr = str_trim(str_from(line, out->is_range ? 6 : 8));
    return ERR_OK;
}

static err read_queries(struct command *c, struct errmsg *e)
{
    if (!c->file.n) {
        buf_put_str(&c->text, STR(dashboard));
    } else {
        FILE *const f = fopen(c->file.p, "re");
        if (!f)
            return err_set(e, ERR_NOTFOUND, "%s cannot be read", c->file.p);
        c->text.n = fread(buf_reserve(&c->text, FILE_MAX), 1, FILE_MAX, f);
        fclose(f);
    }
    struct str rest = buf_str(&c->text), line;
    for (int number = 1; rest.n && str_split(&rest, '\n', &line); number++) {
        line = str_trim(line);
        if (!line.n || line.p[0] == '#')
            continue;
        struct query q = {0};
        if (parse_query(c, line, &q, e))
            return err_wrap(e, ERR_INVALID, "line %d", number);
        if (c->n == QUERIES_MAX)
            return err_set(e, ERR_LIMIT, "more than %d queries", QUERIES_MAX);
        c->queries = mem_grow(c->queries, &c->capacity, c->n + 1, sizeof *c->queries);
        c->queries[c->n++] = q;
    }
    return c->n ? ERR_OK : err_set(e, ERR_INVALID, "no queries");
}

// ---- asking

static bool stops(const struct command *c)
{
    return __atomic_load_n(&c->stops, __ATOMIC_RELAXED) || clock_mono_ns() >= c->end_ns;
}

static void put_url(const struct command *c, const struct query *q, struct str server,
                    int64_t now_ms, struct buf *out)
{
    while (server.n && server.p[server.n - 1] == '/')
        server.n--;
    buf_put_str(out, server);
    buf_put_str(out, q->is_range ? STR("/api/v1/query_range?query=") : STR("/api/v1/query?query="));
    url_encode_query(q->expr, out);
    if (!q->is_range) {
        buf_printf(out, "&time=%.3f", (double)now_ms / 1000);
        return;
    }
    const int64_t step_ms = q->step_ms ? q->step_ms : c->step_ms;
    const int64_t range_ms = q->step_ms ? q->range_ms : c->range_ms;
    const int64_t end = now_ms / step_ms * step_ms;
    buf_printf(out, "&start=%.3f&end=%.3f&step=%.3f", (double)(end - range_ms) / 1000,
               (double)end / 1000, (double)step_ms / 1000);
}

// Suspends.
static err ask(const struct command *c, const struct query *q, struct http_client *client,
               struct str server, int64_t now_ms, struct http_result *out, struct errmsg *e)
{
    struct buf url = {0};
    put_url(c, q, server, now_ms, &url);
    const struct http_request request = {
        .method = STR("GET"), .url = buf_str(&url), .body_max = BODY_MAX};
    fiber_set_deadline(clock_mono_ns() + c->timeout_ms * NS_PER_MS);
    err code = http_fetch(client, &request, out, e);
    fiber_set_deadline(INT64_MAX);
    if (!code && out->status != 200)
        code =
            err_set(e, ERR_INVALID, "%d %.*s", out->status,
                    (int)(out->body.n < 200 ? out->body.n : 200), out->body.p ? out->body.p : "");
    buf_deinit(&url);
    return code;
}

struct asker {
    struct command *c;
    int64_t index;
    struct http_client *ours, *reference;
    struct http_result answer, wanted;
};

// Without the URL, which says the query again.
static void note_error(struct query *q, const char *whose, const struct errmsg *e)
{
    const char *const behind =
        str_has_prefix(str_from_c(e->text), STR("Get \"")) ? strstr(e->text, "\": ") : NULL;
    snprintf(q->error, sizeof q->error, "%s%.230s", whose, behind ? behind + 3 : e->text);
}

// due_ns: its turn by the rate; 0: it has none. Suspends.
static void ask_once(struct asker *a, struct query *q, int64_t due_ns)
{
    struct command *const c = a->c;
    struct errmsg e;
    const int64_t now_ms = clock_wall_ms(), begin = clock_mono_ns();
    err code = ask(c, q, a->ours, c->args.items[0], now_ms, &a->answer, &e);
    if (code && fiber_status() == ERR_CANCELED)
        return; // given up at the end
    q->asked++;
    c->asked++;
    c->is_answered |= a->answer.status != 0;
    if (a->answer.status)
        load_answers_add(c->answers, a->answer.status);
    else
        c->broken++;
    if (code) {
        q->failed++;
        c->failed++;
        note_error(q, "", &e);
        // A server that is away is not asked as fast as can be.
        if (!a->answer.status)
            (void)(fiber_sleep_ns(PAUSE_MS * (int64_t)NS_PER_MS) == ERR_OK);
        return;
    }
    const int64_t end = clock_mono_ns();
    load_times_add(&q->times, (uint64_t)(end - begin) / NS_PER_US);
    load_times_add(&c->times, (uint64_t)(end - begin) / NS_PER_US);
    if (due_ns)
        load_times_add(&c->since_due, (uint64_t)(end - due_ns) / NS_PER_US);
    if (!c->reference.n)
        return;
    code = ask(c, q, a->reference, c->reference, now_ms, &a->wanted, &e);
    q->unchecked += code != ERR_OK;
    if (code) {
        note_error(q, "the reference: ", &e);
        return;
    }
    code = query_compare(buf_str(&a->answer.body), buf_str(&a->wanted.body), &e);
    q->different += code != ERR_OK;
    if (code)
        note_error(q, "", &e);
}

static void ask_all(void *arg)
{
    struct asker *const a = arg;
    struct command *const c = a->c;
    const struct http_client_options options = {.follow_redirects = true};
    a->ours = http_client_create(&options);
    a->reference = http_client_create(&options);
    while (!stops(c)) {
        const uint64_t turn = c->next++;
        const int64_t due = c->rate > 0 ? c->begin_ns + (int64_t)((double)turn / c->rate * 1e9) : 0;
        while (!stops(c) && clock_mono_ns() < due) {
            const int64_t left = due - clock_mono_ns();
            if (fiber_sleep_ns(left < 100 * NS_PER_MS ? left : 100 * NS_PER_MS))
                break;
        }
        if (!stops(c))
            ask_once(a, &c->queries[turn % c->n], due);
    }
    fiber_shield_begin();
    http_client_destroy(a->ours);
    http_client_destroy(a->reference);
    fiber_shield_end();
    http_result_deinit(&a->answer);
    http_result_deinit(&a->wanted);
    c->askers[a->index] = NULL;
    mem_free(a);
    c->running--;
    waiters_wake_all(&c->ended);
}

// What is not answered some seconds after the end is given up. Suspends.
static void give_up(void *arg)
{
    struct command *const c = arg;
    int64_t ended_ns = INT64_MAX;
    while (c->running && clock_mono_ns() - ENDING_MS * (int64_t)NS_PER_MS < ended_ns) {
        if (fiber_sleep_ns(100 * (int64_t)NS_PER_MS))
            return;
        if (stops(c) && ended_ns == INT64_MAX)
            ended_ns = clock_mono_ns();
    }
    for (int64_t i = 0; i < c->connections; i++)
        if (c->askers[i])
            fiber_cancel(c->askers[i]);
}

static void watch(void *arg)
{
    struct command *const c = arg;
    uint64_t before = 0;
    int64_t last = c->begin_ns;
    while (c->running && !fiber_sleep_ns(100 * (int64_t)NS_PER_MS)) {
        const int64_t now = clock_mono_ns();
        if (!c->running || now - last < 1000 * (int64_t)NS_PER_MS)
            continue;
        fprintf(stderr,
                isatty(STDERR_FILENO) ? "\r\033[K%4.0f s  %.0f queries/s, %llu failed"
                                      : "%4.0f s  %.0f queries/s, %llu failed\n",
                (double)(now - c->begin_ns) / 1e9,
                (double)(c->asked - before) / ((double)(now - last) / 1e9),
                (unsigned long long)c->failed);
        before = c->asked;
        last = now;
    }
}

static void flow(void *arg)
{
    struct command *const c = arg;
    waiters_init(&c->ended);
    c->begin_ns = clock_mono_ns();
    c->end_ns = c->duration_ms < INT64_MAX / NS_PER_MS / 2
                    ? c->begin_ns + c->duration_ms * NS_PER_MS
                    : INT64_MAX;
    for (int64_t i = 0; i < c->connections; i++) {
        struct asker *const a = mem_zalloc(sizeof *a);
        *a = (struct asker){.c = c, .index = i};
        c->running++;
        fiber_start_always(LOOP_QUERY, ask_all, a, &c->askers[i]);
    }
    fiber_start_always(LOOP_CONTROL, watch, c, NULL);
    fiber_start_always(LOOP_CONTROL, give_up, c, NULL);
    while (c->running)
        if (waiters_wait(&c->ended))
            break;
    c->seconds = (double)(clock_mono_ns() - c->begin_ns) / 1e9;
}

static void end(void *arg)
{
    __atomic_store_n(&((struct command *)arg)->stops, true, __ATOMIC_RELAXED);
}

// ---- the report

static void put_json(const struct command *c, struct buf *out)
{
    struct json j;
    json_init(&j, out);
    json_object_begin(&j);
    json_key(&j, "seconds");
    json_double(&j, c->seconds);
    const struct {
        const char *key;
        uint64_t value;
    } all[] = {{"asked", c->asked}, {"failed", c->failed}, {"broken", c->broken}};
    for (size_t i = 0; i < countof(all); i++) {
        json_key(&j, all[i].key);
        json_u64(&j, all[i].value);
    }
    load_times_json(&c->times, "answer", &j);
    if (c->since_due.n)
        load_times_json(&c->since_due, "schedule", &j);
    load_answers_json(c->answers, &j);
    json_key(&j, "queries");
    json_array_begin(&j);
    for (size_t i = 0; i < c->n; i++) {
        const struct query *const q = &c->queries[i];
        json_object_begin(&j);
        json_key(&j, "query");
        json_str_plain(&j, q->expr);
        json_key(&j, "kind");
        json_cstr(&j, q->is_range ? "range" : "instant");
        const struct {
            const char *key;
            uint64_t value;
        } numbers[] = {{"asked", q->asked},
                       {"failed", q->failed},
                       {"different", q->different},
                       {"unchecked", q->unchecked}};
        for (size_t k = 0; k < countof(numbers); k++) {
            json_key(&j, numbers[k].key);
            json_u64(&j, numbers[k].value);
        }
        json_key(&j, "p50_seconds");
        json_double(&j, (double)load_times_at(&q->times, 0.5) / 1e6);
        json_key(&j, "p99_seconds");
        json_double(&j, (double)load_times_at(&q->times, 0.99) / 1e6);
        json_key(&j, "max_seconds");
        json_double(&j, (double)q->times.max_us / 1e6);
        json_key(&j, "last_error");
        json_cstr(&j, q->error);
        json_object_end(&j);
    }
    json_array_end(&j);
    json_object_end(&j);
    buf_put_char(out, '\n');
}

static int report(struct command *c)
{
    uint64_t different = 0, unchecked = 0;
    printf("%s   asked  failed  differ   p50 ms   p99 ms   max ms  query\n",
           isatty(STDERR_FILENO) ? "\n" : "");
    for (size_t i = 0; i < c->n; i++) {
        const struct query *const q = &c->queries[i];
        different += q->different;
        unchecked += q->unchecked;
        printf("%8llu %7llu %7llu %8.2f %8.2f %8.2f  %.*s\n", (unsigned long long)q->asked,
               (unsigned long long)q->failed, (unsigned long long)q->different,
               (double)load_times_at(&q->times, 0.5) / 1000,
               (double)load_times_at(&q->times, 0.99) / 1000, (double)q->times.max_us / 1000,
               STR_ARG(q->expr));
        if (q->error[0])
            printf("%52s%s\n", "", q->error);
    }
    printf("%llu queries, %.1f a second, %llu failed, %llu different", (unsigned long long)c->asked,
           (double)c->asked / c->seconds, (unsigned long long)c->failed,
           (unsigned long long)different);
    if (unchecked)
        printf(", %llu not checked: the reference did not answer", (unsigned long long)unchecked);
    struct buf words = {0};
    load_times_put(&c->times, &words);
    if (c->since_due.n) {
        buf_put_str(&words, STR("\nby schedule "));
        load_times_put(&c->since_due, &words);
    }
    buf_put_str(&words, STR("\nanswers     "));
    load_answers_put(c->answers, &words);
    printf("%s\nall         %.*s, %llu broken\n",
           c->is_answered ? "" : "; no answer came: is the server there, and its URL right?",
           STR_ARG(buf_str(&words)), (unsigned long long)c->broken);
    buf_deinit(&words);
    int code = c->failed || different || unchecked || !c->asked ? 1 : 0;
    if (c->json.n) {
        struct buf text = {0};
        put_json(c, &text);
        FILE *const f = str_eq(c->json, STR("-")) ? stdout : fopen(c->json.p, "we");
        if (!f || fwrite(text.p, 1, text.n, f) != text.n || (f != stdout && fclose(f)))
            code = loadgen_fail("%s cannot be written", c->json.p);
        buf_deinit(&text);
    }
    return code;
}

static int run(const struct loadgen_command *command, int argc, const char *const *argv)
{
    struct command *const c = mem_zalloc(sizeof *c);
    arena_init(&c->arena, 0);
    struct setting *const rows = mem_alloc(SETTINGS_MAX * sizeof *rows);
    struct errmsg e;
    int code;
    if (loadgen_parse(command, rows, make_rows(c, rows), argc, argv, &c->help, &code)) {
        if (c->args.n != 1)
            code = loadgen_fail("error: one <server>, please, try query --help");
        else if (!(c->rate >= 0))
            code = loadgen_fail("error: --rate is 0 or more, try query --help");
        else if (read_queries(c, &e) || loadgen_run(flow, c, end, &e))
            code = loadgen_fail("%s", e.text);
        else
            code = report(c);
    }
    mem_free(c->queries);
    arena_deinit(&c->arena);
    buf_deinit(&c->text);
    mem_free(rows);
    mem_free(c);
    return code;
}

const struct loadgen_command loadgen_query = {
    "query", "<server>", "Asks a server queries, and measures each.",
    "A line a query at the end: how often it was asked, failed, and differed from the reference,\n"
    "and how long it took. Two servers differ when series, times or values do (values by more\n"
    "than 1e-12); send both the same with remote-write --start and --rounds. With --rate a second\n"
    "line of percentiles counts from each query's turn, so that waiting behind a slow one "
    "counts.\n\n"
    "Exit code: 0; 1 when a query failed, differed from the reference, or the reference did not\n"
    "answer.\n\n"
    "A file for --file:\n"
    "  # ranges look back --range, in steps of --step\n"
    "  range sum by (mode) (rate(node_cpu_seconds_total[5m]))\n"
    "  instant topk(5, node_load1)\n\n"
    "Examples:\n"
    "  ferula-loadgen query http://localhost:9090\n"
    "  ferula-loadgen query --rate=20 --duration=10m --file=queries.txt http://localhost:9090\n"
    "  ferula-loadgen query --reference=http://localhost:9091 http://localhost:9090\n",
    run};
