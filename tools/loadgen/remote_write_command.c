// remote-write: options, progress, the report.
#include <stdio.h>
#include <unistd.h>

#include "engine/base/calendar.h"
#include "engine/base/duration.h"
#include "engine/base/mem.h"
#include "engine/base/number.h"
#include "engine/base/util.h"
#include "io/clock.h"
#include "io/fiber.h"
#include "protocol/url.h"
#include "tools/loadgen/capture_source.h"
#include "tools/loadgen/loadgen.h"
#include "tools/loadgen/write_read_back.h"

enum {
    NS_PER_MS = 1000000,
    CONNECTIONS_MAX = 512,
    BATCH_MAX = 20000,
    HISTOGRAMS_MAX = 10000,
    SERIES_MAX = 100000000
};

struct command {
    bool help, no_read_back, live, ended;
    struct setting_list args;
    struct str exporter, capture_from, labels, split, start, json, compression, data;
    int64_t series, batch, connections, samples, version, pid, late_rounds, rounds, histograms;
    int64_t duration_ms, step_ms;
    double rate, churn, late_share, cut, repeat, slow, garbage;
    int64_t slow_by_ms;

    struct url url;
    char host[256];
    struct buf headers; // Host and what the user adds
    struct setting_list header;
    struct write_load_options options;
    struct write_load *load;
    struct load_capture *capture;
    struct load_report report;
    char run_id[24];
};

// What goes wrong on purpose.
static size_t make_fault_rows(struct command *c, struct setting *rows)
{
    const struct setting all[] = {
        {"churn", .fraction = &c->churn, .default_text = "0", .placeholder = "<share>",
         .help = "Share of targets replaced in a minute of sample time: 0.01, 0.5."},
        {"late-share", .fraction = &c->late_share, .default_text = "0", .placeholder = "<share>",
         .help = "Share of requests that are held back and come out of order."},
        {"late-rounds", .number = &c->late_rounds, .min = 1, .max = 10000, .default_text = "4",
         .help = "How many rounds they are held back."},
        {"cut", .fraction = &c->cut, .default_text = "0", .placeholder = "<share>",
         .help = "Share of requests in whose middle the connection is cut; they are sent again."},
        {"repeat", .fraction = &c->repeat, .default_text = "0", .placeholder = "<share>",
         .help = "Share of acknowledged requests that are sent once more, as by a sender that did "
                 "not see the answer."},
        {"slow", .fraction = &c->slow, .default_text = "0", .placeholder = "<share>",
         .help = "Share of requests that trickle in."},
        {"slow-by", .duration_ms = &c->slow_by_ms, .min = 1, .max = 600000, .default_text = "2s",
         .help = "How long those take."},
        {"garbage", .fraction = &c->garbage, .default_text = "0", .placeholder = "<share>",
         .help = "Share of requests before which one is sent that no server can read: random "
                 "bytes, half a block, a message with wrong lengths."},
    };
    memcpy(rows, all, sizeof all);
    return countof(all);
}

static size_t make_rows(struct command *c, struct setting *rows)
{
    static const char *const labels[] = {"2", "14", NULL};
    static const char *const compressions[] = {"snappy", "zstd", NULL};
    static const char *const splits[] = {"target", "hash", "time", NULL};
    const struct setting all[] = {
        {"help", 'h', .flag = &c->help, .help = "Show this help."},
        {"", .list = &c->args, .placeholder = "<url>"},
        {"series", .number = &c->series, .min = 1, .max = SERIES_MAX, .default_text = "50000",
         .help = "How many series; as many whole targets as come closest."},
        {"exporter", .text = &c->exporter, .choices = load_exporter_names, .default_text = "node",
         .help = "What the targets are: node, cadvisor or kube-state."},
        {"capture", .text = &c->capture_from, .placeholder = "<file or URL>",
         .help = "What they are instead: as an exporter was that the command capture wrote down, "
                 "or is at this URL."},
        {"labels", .text = &c->labels, .choices = labels, .default_text = "2",
         .help = "What a scrape adds: 2 (job, instance), or 14 as prometheus-operator."},
        {"histograms", .number = &c->histograms, .max = HISTOGRAMS_MAX, .placeholder = "<n>",
         .help = "Native histograms of each target, beside its other series."},
        {"rate", .fraction = &c->rate, .default_text = "0", .placeholder = "<samples/s>",
         .help = "Samples a second; 0: as fast as they are answered."},
        {"duration", .duration_ms = &c->duration_ms, .min = 1, .max = INT64_MAX,
         .default_text = "30s", .help = "How long to send."},
        {"rounds", .number = &c->rounds, .max = INT64_MAX, .placeholder = "<n>",
         .help = "End when every series was sent so often, too; 0: when --duration is over."},
        {"connections", .number = &c->connections, .min = 1, .max = CONNECTIONS_MAX,
         .default_text = "4", .help = "Connections; each sends a request at a time."},
        {"batch", .number = &c->batch, .min = 2, .max = BATCH_MAX, .default_text = "2000",
         .help = "Series of a request."},
        {"samples", .number = &c->samples, .min = 1, .max = WRITE_SAMPLES_MAX, .default_text = "1",
         .help = "Samples of each series in a request, for senders that split by time."},
        {"split", .text = &c->split, .choices = splits, .default_text = "target",
         .help = "What a connection carries: whole targets (target), series by the hash of their "
                 "labels (hash), or the next request whatever its series (time), so that times of "
                 "a series go over all connections."},
        {"protocol", .number = &c->version, .min = 1, .max = 2, .default_text = "1",
         .help = "remote_write 1 or 2."},
        {"compression", .text = &c->compression, .choices = compressions, .default_text = "snappy",
         .help = "snappy, or zstd for servers that take it, as Ferula and VictoriaMetrics do."},
        {"step", .duration_ms = &c->step_ms, .min = 1, .max = 86400000, .default_text = "1s",
         .help = "Time between two samples of a series. With --rate and no --start they lie as far "
                 "apart as they are sent."},
        {"start", .text = &c->start, .default_text = "", .placeholder = "<time>",
         .help = "Time of the first samples: RFC 3339 or Unix seconds. Six hours ago by default; "
                 "now with --rate."},
        {"live", .flag = &c->live,
         .help =
             "Encode and compress each request afresh when it is sent, with libsnappy or libzstd, "
             "as senders do; the report says what that reached."},
        {"header", .list = &c->header, .placeholder = "NAME=VALUE",
         .help = "A header more: Authorization=Bearer abc."},
        {"pid", .number = &c->pid, .max = INT32_MAX, .placeholder = "<pid>",
         .help = "The server's process on this machine: its CPU, memory and writes are shown."},
        {"data", .text = &c->data, .placeholder = "<folder>",
         .help = "Its data folder, with --pid: what that takes on the disk is shown, too."},
        {"no-read-back", .flag = &c->no_read_back,
         .help = "Do not ask the server for what it acknowledged."},
        {"json", .text = &c->json, .placeholder = "<file>",
         .help = "Write the result as JSON, too; - is standard output."},
    };
    memcpy(rows, all, sizeof all);
    return countof(all) + make_fault_rows(c, rows + countof(all));
}

// ---- options

static err parse_start(struct command *c, int64_t now_ms, int64_t *out_ms, struct errmsg *e)
{
    double seconds;
    *out_ms = now_ms - 6 * 3600000;
    if (!c->start.n)
        return ERR_OK;
    if (number_parse_decimal(c->start, &seconds) == ERR_OK && seconds > 1e8 && seconds < 1e10)
        *out_ms = (int64_t)(seconds * 1000);
    else if (!calendar_parse(c->start, out_ms))
        return err_set(e, ERR_INVALID, "--start: \"%.*s\" is no time", STR_ARG(c->start));
    return ERR_OK;
}

static err parse_url(struct command *c, struct errmsg *e)
{
    if (c->args.n != 1)
        return err_set(e, ERR_INVALID, c->args.n ? "one <url>, please" : "which <url>?");
    TRY(url_parse(c->args.items[0], &c->url, e));
    const bool tls = str_eq_nocase(c->url.scheme, STR("https"));
    if (!tls && !str_eq_nocase(c->url.scheme, STR("http")))
        return err_set(e, ERR_INVALID, "unsupported protocol scheme \"%.*s\"",
                       STR_ARG(c->url.scheme));
    if (!c->url.host.n || c->url.host.n >= sizeof c->host)
        return err_set(e, ERR_INVALID, "no host in the URL");
    if (c->url.port_text.n && !c->url.port)
        return err_set(e, ERR_INVALID, "no port: %.*s", STR_ARG(c->url.port_text));
    snprintf(c->host, sizeof c->host, "%.*s", STR_ARG(c->url.host));
    buf_printf(&c->headers, "Host: %s", c->host);
    if (c->url.port)
        buf_printf(&c->headers, ":%u", c->url.port);
    buf_put_str(&c->headers, STR("\r\n"));
    for (size_t i = 0; i < c->header.n; i++) {
        const ptrdiff_t equals = str_find(c->header.items[i], '=', 0);
        if (equals == STR_NONE)
            return err_set(e, ERR_INVALID, "--header: expected NAME=VALUE got '%.*s'",
                           STR_ARG(c->header.items[i]));
        const struct str value = str_from(c->header.items[i], (size_t)equals + 1);
        buf_printf(&c->headers, "%.*s: %.*s\r\n", (int)equals, c->header.items[i].p,
                   STR_ARG(value));
    }
    if (!tls)
        return ERR_OK;
    const struct tls_options system = {0};
    return tls_client_create(&system, &c->options.tls, e);
}

static err make_options(struct command *c, struct errmsg *e)
{
    struct write_load_options *const o = &c->options;
    if (c->data.n && !c->pid)
        return err_set(e, ERR_INVALID, "--data goes with --pid");
    TRY(parse_url(c, e));
    const int64_t now_ms = clock_wall_ms();
    snprintf(c->run_id, sizeof c->run_id, "%llx", (unsigned long long)now_ms);
    if (!(c->rate >= 0) || !(c->churn >= 0))
        return err_set(e, ERR_INVALID, "--rate and --churn are 0 or more");
    const struct {
        const char *name;
        double value;
    } shares[] = {{"late-share", c->late_share},
                  {"cut", c->cut},
                  {"repeat", c->repeat},
                  {"slow", c->slow},
                  {"garbage", c->garbage}};
    for (size_t i = 0; i < countof(shares); i++)
        if (!(shares[i].value >= 0 && shares[i].value <= 0.9))
            return err_set(e, ERR_INVALID, "--%s is a share, 0 to 0.9", shares[i].name);
    enum load_exporter exporter = LOAD_NODE;
    while (!str_eq(c->exporter, str_from_c(load_exporter_names[exporter])))
        exporter++;
    o->host = c->host;
    o->port = c->url.port ? c->url.port : url_default_port(c->url.scheme);
    o->shape = (struct load_shape){.exporter = exporter,
                                   .capture = c->capture,
                                   .is_operator = str_eq(c->labels, STR("14")),
                                   .has_generations = c->churn > 0,
                                   .histograms = (uint32_t)c->histograms,
                                   .run = str_from_c(c->run_id)};
    o->split = str_eq(c->split, STR("hash"))   ? WRITE_SPLIT_HASH
               : str_eq(c->split, STR("time")) ? WRITE_SPLIT_TIME
                                               : WRITE_SPLIT_TARGET;
    o->series = (uint64_t)c->series;
    o->batch = (uint32_t)c->batch;
    o->connections = (unsigned)c->connections;
    o->rate = c->rate;
    o->churn = c->churn;
    o->late_share = c->late_share;
    o->cut_share = c->cut;
    o->repeat_share = c->repeat;
    o->slow_share = c->slow;
    o->slow_ms = c->slow_by_ms;
    o->garbage_share = c->garbage;
    o->late_rounds = (uint32_t)c->late_rounds;
    o->encodes_live = c->live;
    o->rounds = c->rounds ? (uint64_t)c->rounds : UINT64_MAX;
    o->write = (struct write_options){.version = (int)c->version,
                                      .is_zstd = str_eq(c->compression, STR("zstd")),
                                      .samples = (uint32_t)c->samples,
                                      .step_ms = c->step_ms,
                                      .target = c->url.path.n ? c->url.path : STR("/"),
                                      .host = buf_str(&c->headers)};
    TRY(parse_start(c, now_ms, &o->start_ms, e));
    return ERR_OK;
}

// With a rate and no start the samples of a series are as far apart as they are sent.
static void set_pace(struct command *c, uint64_t series)
{
    if (c->options.rate <= 0 || c->start.n)
        return;
    const double step = (double)series / c->options.rate * 1000;
    c->options.write.step_ms = step < 1 ? 1 : (int64_t)(step + 0.5);
    c->options.start_ms = clock_wall_ms();
}

// ---- the run

static void print_line(const struct load_stats *now, const struct load_stats *before,
                       double seconds, double elapsed)
{
    struct buf line = {0};
    load_report_line(now, before, seconds, elapsed, &line);
    fprintf(stderr, isatty(STDERR_FILENO) ? "\r\033[K%.*s" : "%.*s\n", STR_ARG(buf_str(&line)));
    buf_deinit(&line);
}

// A line a second until the time is over, then the end of sending. Suspends.
static void watch(void *arg)
{
    struct command *const c = arg;
    const struct load_stats *const now = write_load_stats(c->load);
    struct load_stats *const before = mem_zalloc(sizeof *before);
    const int64_t begin = clock_mono_ns();
    const int64_t end = begin + c->duration_ms * NS_PER_MS;
    int64_t last = begin;
    while (!c->ended && clock_mono_ns() < end) {
        const int64_t left = end - clock_mono_ns();
        if (fiber_sleep_ns(left < 200 * NS_PER_MS ? left : 200 * NS_PER_MS))
            break;
        const int64_t t = clock_mono_ns();
        if (t - last < 1000 * NS_PER_MS)
            continue;
        print_line(now, before, (double)(t - last) / 1e9, (double)(t - begin) / 1e9);
        *before = *now;
        last = t;
    }
    if (isatty(STDERR_FILENO))
        fprintf(stderr, "\n");
    write_load_stop(c->load);
    mem_free(before);
}

static double cpu_seconds(void)
{
    struct process_numbers numbers;
    process_numbers(&numbers);
    return numbers.cpu_seconds;
}

static void flow(void *arg)
{
    struct command *const c = arg;
    struct load_report *const r = &c->report;
    const double cpu = cpu_seconds();
    const int64_t begin = clock_mono_ns();
    fiber_start_always(LOOP_CONTROL, watch, c, NULL);
    write_load_run(c->load);
    r->seconds = (double)(clock_mono_ns() - begin) / 1e9;
    r->cpu_seconds = cpu_seconds() - cpu;
    c->ended = true;
    if (r->pid)
        (void)load_server_read(r->pid, r->folder, &r->after);
}

static void end(void *arg)
{
    write_load_stop(((struct command *)arg)->load);
}

static int report(struct command *c)
{
    struct buf text = {0};
    int code = 0;
    load_report_table(&c->report, &text);
    fwrite(text.p, 1, text.n, stdout);
    buf_reset(&text);
    if (c->json.n) {
        load_report_json(&c->report, &text);
        FILE *const f = str_eq(c->json, STR("-")) ? stdout : fopen(c->json.p, "we");
        if (!f || fwrite(text.p, 1, text.n, f) != text.n)
            code = loadgen_fail("%s cannot be written", c->json.p);
        if (f && f != stdout && fclose(f))
            code = loadgen_fail("%s cannot be written", c->json.p);
    }
    buf_deinit(&text);
    const struct load_stats *const s = c->report.stats;
    return code || c->report.missing || s->garbage_taken || !s->requests ? 1 : 0;
}

struct preparing {
    struct command *c;
    struct errmsg *e;
    err code;
};

static void prepare(void *arg) // on a loop, because it asks for the time
{
    struct preparing *const p = arg;
    p->code = make_options(p->c, p->e);
    if (!p->code) {
        const size_t each = load_shape_series(&p->c->options.shape);
        const uint64_t targets = (p->c->options.series + each / 2) / each;
        set_pace(p->c, (targets ? targets : 1) * each);
    }
}

static int send(struct command *c)
{
    struct errmsg e;
    c->load = write_load_create(&c->options);
    c->report.pid = c->pid;
    c->report.folder = c->data.n ? c->data.p : NULL;
    if (c->pid && !load_server_read(c->pid, c->report.folder, &c->report.before))
        return loadgen_fail(
            "error: --pid, --data: there is no process %lld%s%s, try remote-write --help",
            (long long)c->pid, c->data.n ? ", or no folder " : "", c->data.n ? c->data.p : "");
    if (loadgen_run(flow, c, end, &e))
        return loadgen_fail("%s", e.text);
    write_load_describe(c->load, &c->report);
    if (!c->no_read_back && write_load_stats(c->load)->requests)
        write_read_back(c->load, &c->options, &c->url, &c->header, &c->report);
    return report(c);
}

static int run(const struct loadgen_command *command, int argc, const char *const *argv)
{
    struct command *const c = mem_zalloc(sizeof *c);
    struct setting *const rows = mem_alloc(SETTINGS_MAX * sizeof *rows);
    int code;
    if (loadgen_parse(command, rows, make_rows(c, rows), argc, argv, &c->help, &code)) {
        struct errmsg e;
        struct preparing p = {.c = c, .e = &e};
        if (capture_load(c->capture_from, &c->capture, &e))
            code = loadgen_fail("error: --capture: %s, try remote-write --help", e.text);
        else if (flow_run(prepare, &p, &e) || p.code)
            code = loadgen_fail("error: %s, try remote-write --help", e.text);
        else
            code = send(c);
    }
    if (c->load)
        write_load_destroy(c->load);
    load_capture_destroy(c->capture);
    tls_unref(c->options.tls);
    buf_deinit(&c->headers);
    mem_free(rows);
    mem_free(c);
    return code;
}

const struct loadgen_command loadgen_remote_write = {
    "remote-write", "<url>", "Sends samples of many series by remote_write.",
    "Requests are made before the clock starts: compressed, with times and values patched in\n"
    "place, so that the generator costs little. A series loadgen_sequence in each request\n"
    "counts; at the end those that were acknowledged are asked for and what is missing is loss.\n\n"
    "With --rate a second line of percentiles counts from each request's turn, so that waiting\n"
    "behind a slow answer counts. With --start, too, history is sent at a rate: samples --step\n"
    "apart. Requests that are answered 429 or 5xx, or not at all, are sent again until the end;\n"
    "what is not answered five seconds after that is given up. Ctrl-C ends it and prints the\n"
    "table.\n\n"
    "Exit code: 0; 1 when nothing was acknowledged, something of it is missing, or garbage was\n"
    "acknowledged.\n\n"
    "Examples:\n"
    "  ferula-loadgen remote-write http://localhost:9090/api/v1/write\n"
    "  ferula-loadgen remote-write --rate=100000 --duration=5m --labels=14 "
    "http://localhost:9090/api/v1/write\n"
    "  ferula-loadgen remote-write --repeat=0.1 --cut=0.05 --slow=0.01 --garbage=0.05 "
    "--late-share=0.1 \\\n"
    "      http://localhost:9090/api/v1/write\n"
    "  ferula-loadgen remote-write --series=1000000 --churn=0.1 --pid=$(pidof prometheus) \\\n"
    "      --data=/var/lib/prometheus --json=result.json http://localhost:9090/api/v1/write\n",
    run};
