// scrape-farm: virtual targets behind one port or many, and how they were scraped.
#include <stdio.h>
#include <unistd.h>

#include "engine/base/duration.h"
#include "engine/base/hash.h"
#include "engine/base/mem.h"
#include "engine/base/number.h"
#include "engine/base/util.h"
#include "engine/http/server.h"
#include "engine/model/labels.h"
#include "io/clock.h"
#include "protocol/json_write.h"
#include "tools/loadgen/capture_source.h"
#include "tools/loadgen/farm_body.h"
#include "tools/loadgen/load_report.h"
#include "tools/loadgen/loadgen.h"

enum {
    NS_PER_MS = 1000000,
    PORTS_MAX = 4096,
    TARGETS_MAX = 1000000,
    HISTOGRAMS_MAX = 10000,
    BODY_BYTES_MAX = 1 << 20,
    DRAIN_MS = 2000,
    ROUND_S = 1, // values move a step each
    SETTLING_SCRAPES = 3,
    ATTEMPTS_MAX = 20,
};

enum farm_vice { FARM_GOOD = 0, FARM_SLOW = 1, FARM_FAILS = 2, FARM_REORDERS = 4 };

struct farm {
    bool help, stops; // stops: atomic
    struct str exporter, labels, host, json, capture_from, sd_file;
    struct load_capture *capture;
    enum load_exporter kind;
    int64_t targets, histograms, port, ports, interval_ms, duration_ms, slow_by_ms;
    double churn, slow, fails, reorders;

    struct farm_lines lines;
    struct http_server *server;
    struct listener *listeners[PORTS_MAX];
    uint16_t first_port;
    int64_t opened; // listeners
    int64_t begin_ns;
    struct farm_target {
        int64_t first_ns; // where its slots begin
        int64_t slot;     // of the last scrape
        uint32_t scrapes, vices;
    } * each;
    struct buf body; // scratch, within one turn
    uint64_t scrapes, samples, bytes, failed, missed, seen;
    uint64_t protobuf;      // scrapes answered so
    struct load_times late; // how late scrapes come in their slots, us
    err code;
    struct errmsg e;
};

static size_t make_rows(struct farm *f, struct setting *rows)
{
    static const char *const labels[] = {"2", "14", NULL};
    const struct setting all[] = {
        {"help", 'h', .flag = &f->help, .help = "Show this help."},
        {"targets", .number = &f->targets, .min = 1, .max = TARGETS_MAX, .default_text = "1000",
         .help = "How many targets there are, at /t/0/metrics and on."},
        {"exporter", .text = &f->exporter, .choices = load_exporter_names, .default_text = "node",
         .help = "What they are: node, cadvisor or kube-state."},
        {"capture", .text = &f->capture_from, .placeholder = "<file or URL>",
         .help = "What they are instead: as an exporter was that the command capture wrote down, "
                 "or is at this URL."},
        {"labels", .text = &f->labels, .choices = labels, .default_text = "2",
         .help = "What /config and /sd put on each target: 2 (job, instance), or 14 as "
                 "prometheus-operator."},
        {"histograms", .number = &f->histograms, .max = HISTOGRAMS_MAX, .placeholder = "<n>",
         .help = "Histograms of each target, beside its other series: native ones for scrapers "
                 "that ask for protobuf (Prometheus with --enable-feature=native-histograms), "
                 "classic ones with the same buckets for all."},
        {"host", .text = &f->host, .default_text = "127.0.0.1", .help = "Address to listen on."},
        {"port", .number = &f->port, .max = 65535, .default_text = "9200",
         .help = "First port to listen on; 0: the system chooses."},
        {"ports", .number = &f->ports, .min = 1, .max = PORTS_MAX, .default_text = "1",
         .help = "How many ports, one behind the other: /config and /sd spread the targets over "
                 "them, and /metrics on the n-th is target n."},
        {"interval", .duration_ms = &f->interval_ms, .min = 1, .max = 86400000,
         .default_text = "15s",
         .help = "How often each is scraped: what /config says, and what "
                 "scrapes are measured by."},
        {"duration", .duration_ms = &f->duration_ms, .min = 1, .max = INT64_MAX,
         .default_text = "3650d", .help = "How long to serve."},
        {"churn", .fraction = &f->churn, .default_text = "0", .placeholder = "<share>",
         .help = "Share of targets whose series are all replaced in a minute."},
        {"slow", .fraction = &f->slow, .default_text = "0", .placeholder = "<share>",
         .help = "Share of targets that answer late."},
        {"slow-by", .duration_ms = &f->slow_by_ms, .min = 1, .max = 86400000, .default_text = "5s",
         .help = "How late."},
        {"failing", .fraction = &f->fails, .default_text = "0", .placeholder = "<share>",
         .help = "Share of targets that answer every other scrape with 500."},
        {"reordering", .fraction = &f->reorders, .default_text = "0", .placeholder = "<share>",
         .help = "Share of targets whose families come in another order each time."},
        {"sd-file", .text = &f->sd_file, .placeholder = "<file>",
         .help = "Write the targets there for file_sd_configs, as /sd has them for "
                 "http_sd_configs. Removed at the end."},
        {"json", .text = &f->json, .placeholder = "<file>",
         .help = "Write the result as JSON, too; - is standard output."},
    };
    memcpy(rows, all, sizeof all);
    return countof(all);
}

static bool is_in_share(uint32_t target, uint64_t seed, double share)
{
    return (double)(uint32_t)hash64(&target, sizeof target, seed) * 0x1p-32 < share;
}

static void make_targets(struct farm *f)
{
    f->each = mem_zalloc((size_t)f->targets * sizeof *f->each);
    for (uint32_t i = 0; i < (uint32_t)f->targets; i++)
        f->each[i].vices = (is_in_share(i, 11, f->slow) ? FARM_SLOW : 0) |
                           (is_in_share(i, 12, f->fails) ? FARM_FAILS : 0) |
                           (is_in_share(i, 13, f->reorders) ? FARM_REORDERS : 0);
}

// ---- answers

// The slots of a target are an interval apart from the earliest of its first scrapes on, by
// which all are measured that come later.
static void note_scrape(struct farm *f, struct farm_target *t)
{
    const int64_t now = clock_mono_ns(), interval = f->interval_ms * NS_PER_MS;
    f->scrapes++;
    f->seen += !t->scrapes++;
    if (t->scrapes == 1)
        t->first_ns = now;
    const int64_t slot = (now - t->first_ns + interval / 2) / interval;
    const int64_t late = now - t->first_ns - slot * interval;
    t->first_ns += late < 0 ? late : 0;
    if (t->scrapes > SETTLING_SCRAPES)
        load_times_add(&f->late, (uint64_t)(late < 0 ? 0 : late) / 1000);
    f->missed += (uint64_t)(slot > t->slot + 1 ? slot - t->slot - 1 : 0);
    t->slot = slot;
}

static void answer_scrape(struct farm *f, struct http_exchange *x, uint32_t target)
{
    struct farm_target *const t = &f->each[target];
    note_scrape(f, t);
    if ((t->vices & FARM_SLOW) && fiber_sleep_ns(f->slow_by_ms * NS_PER_MS))
        return http_answer_text(x, 503, "ending\n");
    if ((t->vices & FARM_FAILS) && t->scrapes % 2 == 0) {
        f->failed++;
        return http_answer_text(x, 500, "this target fails every other time\n");
    }
    const double seconds = (double)(clock_mono_ns() - f->begin_ns) / 1e9;
    const struct farm_moment moment = {.step = (uint64_t)(seconds / ROUND_S),
                                       .generation =
                                           load_generation(target, f->churn, seconds / 60),
                                       .hours = seconds / 3600};
    const size_t first = t->vices & FARM_REORDERS ? t->scrapes % f->lines.families_n : 0;
    const bool is_protobuf = farm_wants_protobuf(http_header(x->head, STR("Accept")));
    buf_reset(&f->body);
    f->samples += is_protobuf ? farm_body_protobuf(&f->lines, target, &moment, first, &f->body)
                              : farm_body(&f->lines, target, &moment, first, &f->body);
    const struct str body = arena_str(x->arena, buf_str(&f->body));
    f->bytes += body.n;
    f->protobuf += is_protobuf;
    http_answer(x, 200,
                is_protobuf ? "application/vnd.google.protobuf; "
                              "proto=io.prometheus.client.MetricFamily; encoding=delimited"
                            : "text/plain; version=0.0.4; charset=utf-8",
                body);
}

// The host as the client named it.
static struct str host_of(const struct farm *f, const struct http_exchange *x)
{
    const struct str host = http_header(x->head, STR("Host"));
    return host.n ? host : arena_printf(x->arena, "%.*s:%u", STR_ARG(f->host), f->first_port);
}

// Where a target is to be scraped, behind a host and its first port: with many ports they have
// theirs in turn.
static struct str address_of(const struct farm *f, struct str host, int64_t target, struct arena *a)
{
    const ptrdiff_t colon = str_find_last(host, ':');
    if (f->ports == 1 || colon == STR_NONE)
        return host;
    return arena_printf(a, "%.*s:%lld", (int)colon, host.p,
                        (long long)(f->first_port + target % f->ports));
}

typedef void label_fn(void *arg, struct str name, struct str value);

// The labels of a target in a configuration, its path among them; without job where the
// configuration says it.
static void each_label(struct farm *f, int64_t target, label_fn *each, void *arg)
{
    const struct load_shape shape = {.exporter = f->kind,
                                     .is_operator = str_eq(f->labels, STR("14"))};
    char path[48];
    struct buf labels = {0};
    struct label l;
    snprintf(path, sizeof path, "/t/%lld/metrics", (long long)target);
    each(arg, STR("__metrics_path__"), str_from_c(path));
    load_shape_target_labels(&shape, (uint32_t)target, &labels);
    for (struct labels_iter i = labels_iter(buf_str(&labels)); labels_next(&i, &l);)
        each(arg, l.name, l.value);
    buf_deinit(&labels);
}

static void put_json_label(void *arg, struct str name, struct str value)
{
    json_key_str(arg, name);
    json_str(arg, value);
}

static void put_yaml_label(void *arg, struct str name, struct str value)
{
    buf_printf(arg, "%.*s: '%.*s', ", STR_ARG(name), STR_ARG(value));
}

// For http_sd and file_sd: one group a target, told apart by their paths.
static void put_discovery(struct farm *f, struct str host, struct arena *a, struct buf *out)
{
    struct json j;
    json_init(&j, out);
    json_array_begin(&j);
    for (int64_t i = 0; i < f->targets; i++) {
        json_object_begin(&j);
        json_key(&j, "targets");
        json_array_begin(&j);
        json_str(&j, address_of(f, host, i, a));
        json_array_end(&j);
        json_key(&j, "labels");
        json_object_begin(&j);
        each_label(f, i, put_json_label, &j);
        json_object_end(&j);
        json_object_end(&j);
    }
    json_array_end(&j);
}

static void answer_discovery(struct farm *f, struct http_exchange *x)
{
    struct buf text = {0};
    put_discovery(f, host_of(f, x), x->arena, &text);
    http_answer(x, 200, "application/json", buf_str(&text));
    buf_deinit(&text);
}

// For watchers to see all of it or nothing it comes by a rename.
static err write_discovery(struct farm *f, struct str host, struct errmsg *e)
{
    struct arena a;
    struct buf text = {0};
    arena_init(&a, 0);
    put_discovery(f, host, &a, &text);
    const struct str path = arena_printf(&a, "%.*s.new", STR_ARG(f->sd_file));
    FILE *const out = fopen(path.p, "we");
    bool is_good = out && fwrite(text.p, 1, text.n, out) == text.n;
    is_good = out && !fclose(out) && is_good && !rename(path.p, f->sd_file.p);
    arena_deinit(&a);
    buf_deinit(&text);
    return is_good ? ERR_OK
                   : err_set(e, ERR_IO, "--sd-file: %.*s cannot be written", STR_ARG(f->sd_file));
}

// The configuration that finds the targets, and the file it needs.
static err announce(struct farm *f, const char *host)
{
    struct buf interval = {0};
    char at[300];
    snprintf(at, sizeof at, strchr(host, ':') ? "[%s]:%u" : "%s:%u", host, f->first_port);
    if (f->sd_file.n)
        TRY(write_discovery(f, str_from_c(at), &f->e));
    printf("%lld targets of %zu series at http://%s; they are scraped with this configuration, or "
           "with that of /config, which names each:\n",
           (long long)f->targets, f->lines.n, at);
    duration_format(f->interval_ms, &interval);
    printf("\nglobal: {scrape_interval: %.*s, scrape_timeout: %.*s}\nscrape_configs:\n"
           "- job_name: farm\n  ",
           STR_ARG(buf_str(&interval)), STR_ARG(buf_str(&interval)));
    if (f->sd_file.n)
        printf("file_sd_configs: [{files: ['%.*s']}]\n\n", STR_ARG(f->sd_file));
    else
        printf("http_sd_configs: [{url: 'http://%s/sd'}]\n\n", at);
    fflush(stdout);
    buf_deinit(&interval);
    return ERR_OK;
}

// A configuration file that scrapes all of them.
static void answer_config(struct farm *f, struct http_exchange *x)
{
    struct buf text = {0};
    buf_printf(&text,
               "global:\n  scrape_interval: %lldms\n  scrape_timeout: %lldms\nscrape_configs:\n"
               "- job_name: farm\n  static_configs:\n",
               (long long)f->interval_ms, (long long)f->interval_ms);
    for (int64_t i = 0; i < f->targets; i++) {
        buf_printf(&text, "  - {targets: ['%.*s'], labels: {",
                   STR_ARG(address_of(f, host_of(f, x), i, x->arena)));
        each_label(f, i, put_yaml_label, &text);
        buf_put_str(&text, STR("}}\n"));
    }
    http_answer(x, 200, "text/yaml; charset=utf-8", buf_str(&text));
    buf_deinit(&text);
}

static void put_report(const struct farm *f, struct buf *out)
{
    struct process_numbers numbers;
    process_numbers(&numbers);
    const struct {
        const char *key;
        uint64_t value;
    } counts[] = {{"scrapes", f->scrapes},
                  {"targets_seen", f->seen},
                  {"samples", f->samples},
                  {"bytes", f->bytes},
                  {"failed", f->failed},
                  {"missed", f->missed},
                  {"protobuf_scrapes", f->protobuf}};
    const struct {
        const char *key;
        double value;
    } times[] = {{"late_p50_seconds", (double)load_times_at(&f->late, 0.5) / 1e6},
                 {"late_p99_seconds", (double)load_times_at(&f->late, 0.99) / 1e6},
                 {"late_max_seconds", (double)f->late.max_us / 1e6},
                 {"cpu_seconds", numbers.cpu_seconds}};
    struct json j;
    json_init(&j, out);
    json_object_begin(&j);
    for (size_t i = 0; i < countof(counts); i++) {
        json_key(&j, counts[i].key);
        json_u64(&j, counts[i].value);
    }
    for (size_t i = 0; i < countof(times); i++) {
        json_key(&j, times[i].key);
        json_double(&j, times[i].value);
    }
    json_object_end(&j);
    buf_put_char(out, '\n');
}

static void answer_report(struct farm *f, struct http_exchange *x)
{
    struct buf text = {0};
    put_report(f, &text);
    http_answer(x, 200, "application/json", arena_str(x->arena, buf_str(&text)));
    buf_deinit(&text);
}

// Which target /metrics is: that of the port that was asked.
static uint32_t target_of_port(const struct farm *f, const struct http_exchange *x)
{
    const struct str host = http_header(x->head, STR("Host"));
    const ptrdiff_t colon = str_find_last(host, ':');
    uint64_t port = f->first_port;
    if (colon != STR_NONE && number_parse_u64(str_from(host, (size_t)colon + 1), &port))
        port = f->first_port;
    const uint64_t target = port - f->first_port;
    return target < (uint64_t)f->targets ? (uint32_t)target : 0;
}

static void handle(void *arg, struct http_exchange *x)
{
    struct farm *const f = arg;
    const struct str prefix = STR("/t/"), suffix = STR("/metrics");
    uint64_t target;
    if (str_eq(x->path, suffix))
        return answer_scrape(f, x, target_of_port(f, x));
    if (str_eq(x->path, STR("/sd")))
        return answer_discovery(f, x);
    if (str_eq(x->path, STR("/config")))
        return answer_config(f, x);
    if (str_eq(x->path, STR("/report")))
        return answer_report(f, x);
    if (x->path.n > prefix.n + suffix.n && str_has_prefix(x->path, prefix) &&
        str_has_suffix(x->path, suffix)) {
        const struct str number = str_make(x->path.p + prefix.n, x->path.n - prefix.n - suffix.n);
        if (number_parse_u64(number, &target) == ERR_OK && target < (uint64_t)f->targets)
            return answer_scrape(f, x, (uint32_t)target);
    }
    http_answer_text(x, 404, "/t/<n>/metrics, /metrics, /sd, /config or /report, please\n");
}

// ---- the run

static void accepted(void *arg, int fd, const struct address *peer)
{
    http_server_take(((struct farm *)arg)->server, fd, peer);
}

static void print_line(const struct farm *f, uint64_t scrapes, uint64_t samples, double seconds,
                       double elapsed)
{
    fprintf(stderr, isatty(STDERR_FILENO) ? "\r\033[K" : "");
    fprintf(stderr,
            "%4.0f s  %.0f scrapes/s  %.0f k samples/s  %llu of %lld targets seen  %llu missed%s",
            elapsed, (double)(f->scrapes - scrapes) / seconds,
            (double)(f->samples - samples) / seconds / 1000, (unsigned long long)f->seen,
            (long long)f->targets, (unsigned long long)f->missed,
            isatty(STDERR_FILENO) ? "" : "\n");
}

static void serve_until_end(struct farm *f) // Suspends.
{
    uint64_t scrapes = 0, samples = 0;
    int64_t last = f->begin_ns;
    const int64_t end = f->duration_ms < INT64_MAX / NS_PER_MS / 2
                            ? f->begin_ns + f->duration_ms * NS_PER_MS
                            : INT64_MAX;
    while (!__atomic_load_n(&f->stops, __ATOMIC_RELAXED) && clock_mono_ns() < end) {
        if (fiber_sleep_ns(100 * (int64_t)NS_PER_MS))
            break;
        const int64_t now = clock_mono_ns();
        if (now - last < 1000 * (int64_t)NS_PER_MS || f->scrapes == scrapes)
            continue;
        print_line(f, scrapes, samples, (double)(now - last) / 1e9,
                   (double)(now - f->begin_ns) / 1e9);
        scrapes = f->scrapes;
        samples = f->samples;
        last = now;
    }
}

static void close_ports(struct farm *f)
{
    while (f->opened > 0)
        listener_close(f->listeners[--f->opened]);
}

static err open_ports(struct farm *f, const char *host)
{
    for (; f->opened < f->ports; f->opened++) {
        const int64_t port = f->opened ? f->first_port + f->opened : f->port;
        if (port > UINT16_MAX)
            return err_set(&f->e, ERR_LIMIT, "there are no %lld ports from %u on",
                           (long long)f->ports, f->first_port);
        TRY(listener_open(host, (uint16_t)port, accepted, f, &f->listeners[f->opened], &f->e));
        if (!f->opened)
            f->first_port = listener_port(f->listeners[0]);
    }
    return ERR_OK;
}

static void flow(void *arg)
{
    struct farm *const f = arg;
    const struct http_server_options options = {.handler = handle,
                                                .arg = f,
                                                .read_timeout_ns = (int64_t)300e9,
                                                .write_timeout_ns = (int64_t)60e9,
                                                .body_bytes_max = BODY_BYTES_MAX};
    char host[256];
    snprintf(host, sizeof host, "%.*s", STR_ARG(f->host));
    f->server = http_server_create(&options);
    f->begin_ns = clock_mono_ns();
    f->code = open_ports(f, host);
    // Where the system chose the first, one of the others may be taken.
    for (int attempt = 0; f->code && f->opened && !f->port && attempt < ATTEMPTS_MAX; attempt++) {
        close_ports(f);
        f->code = open_ports(f, host);
    }
    if (!f->code)
        f->code = announce(f, host);
    if (!f->code) {
        serve_until_end(f);
        if (f->sd_file.n)
            (void)remove(f->sd_file.p);
    }
    close_ports(f);
    fiber_set_deadline(clock_mono_ns() + DRAIN_MS * (int64_t)NS_PER_MS);
    http_server_drain(f->server);
    fiber_set_deadline(INT64_MAX);
    http_server_destroy(f->server);
}

static void end(void *arg)
{
    __atomic_store_n(&((struct farm *)arg)->stops, true, __ATOMIC_RELAXED);
}

static int report(const struct farm *f)
{
    struct process_numbers numbers;
    process_numbers(&numbers);
    printf("%s%llu scrapes of %llu targets, %llu by protobuf, %llu samples, %llu bytes, %llu "
           "failed on purpose\n"
           "%llu slots missed; within theirs scrapes came late by p50 %.1f ms, p99 %.1f ms, max "
           "%.1f ms\n"
           "%.2f CPU s\n",
           isatty(STDERR_FILENO) ? "\n" : "", (unsigned long long)f->scrapes,
           (unsigned long long)f->seen, (unsigned long long)f->protobuf,
           (unsigned long long)f->samples, (unsigned long long)f->bytes,
           (unsigned long long)f->failed, (unsigned long long)f->missed,
           (double)load_times_at(&f->late, 0.5) / 1000,
           (double)load_times_at(&f->late, 0.99) / 1000, (double)f->late.max_us / 1000,
           numbers.cpu_seconds);
    if (!f->json.n)
        return 0;
    FILE *const out = str_eq(f->json, STR("-")) ? stdout : fopen(f->json.p, "we");
    struct buf text = {0};
    put_report(f, &text);
    int code = 0;
    if (!out || fwrite(text.p, 1, text.n, out) != text.n || (out != stdout && fclose(out)))
        code = loadgen_fail("%s cannot be written", f->json.p);
    buf_deinit(&text);
    return code;
}

static int serve(struct farm *f)
{
    struct errmsg e;
    while (!str_eq(f->exporter, str_from_c(load_exporter_names[f->kind])))
        f->kind++;
    if (f->port && f->port + f->ports - 1 > 65535)
        return loadgen_fail("error: --ports: there are no %lld ports from %lld on",
                            (long long)f->ports, (long long)f->port);
    (void)process_raise_file_limit();
    const struct load_shape shape = {.exporter = f->kind,
                                     .capture = f->capture,
                                     .has_generations = f->churn > 0,
                                     .histograms = (uint32_t)f->histograms};
    farm_lines_init(&f->lines, &shape);
    make_targets(f);
    int code = 0;
    if (loadgen_run(flow, f, end, &e))
        code = loadgen_fail("%s", e.text);
    else
        code = f->code ? loadgen_fail("%s", f->e.text) : report(f);
    farm_lines_deinit(&f->lines);
    mem_free(f->each);
    buf_deinit(&f->body);
    return code;
}

static int run(const struct loadgen_command *c, int argc, const char *const *argv)
{
    struct farm *const f = mem_zalloc(sizeof *f);
    struct setting *const rows = mem_alloc(SETTINGS_MAX * sizeof *rows);
    int code;
    struct errmsg e;
    if (loadgen_parse(c, rows, make_rows(f, rows), argc, argv, &f->help, &code))
        code = capture_load(f->capture_from, &f->capture, &e)
                   ? loadgen_fail("error: --capture: %s, try scrape-farm --help", e.text)
                   : serve(f);
    load_capture_destroy(f->capture);
    mem_free(rows);
    mem_free(f);
    return code;
}

const struct loadgen_command loadgen_scrape_farm = {
    "scrape-farm", "", "Serves virtual targets to be scraped, and says how they were.",
    "Prints a configuration that finds them when it serves. Ends with SIGINT or SIGTERM, or after\n"
    "--duration, and says how many scrapes came, how many were missed, and how late they came in\n"
    "their slots, which are an interval apart.\n\n"
    "Paths, on each port:\n"
    "  /t/0/metrics ...  the targets; /metrics is that of the port\n"
    "  /sd               the targets for http_sd_configs; --sd-file has them for file_sd_configs\n"
    "  /config           a configuration that names each target, for what has no discovery\n"
    "  /report           what was seen so far, as JSON\n\n"
    "Bodies are the text format, or protobuf for those who would rather have it.\n\n"
    "Examples:\n"
    "  ferula-loadgen scrape-farm --targets=2000 --interval=10s &\n"
    "  curl -s http://127.0.0.1:9200/config > farm.yml\n"
    "  prometheus --config.file=farm.yml &\n"
    "  curl -s http://127.0.0.1:9200/report\n"
    "  ferula-loadgen scrape-farm --ports=100 --sd-file=/etc/prometheus/farm.json\n"
    "  ferula-loadgen scrape-farm --slow=0.01 --failing=0.02 --reordering=0.1 --churn=0.05\n"
    "  ferula-loadgen scrape-farm --histograms=20 &\n"
    "  prometheus --config.file=farm.yml --enable-feature=native-histograms\n",
    run};
