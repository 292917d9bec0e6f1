// capture: writes down what an exporter shows over some time. And how other commands get a capture.
#include <stdio.h>
#include <unistd.h>

#include "engine/base/mem.h"
#include "engine/base/util.h"
#include "engine/http/client.h"
#include "io/clock.h"
#include "io/fiber.h"
#include "tools/loadgen/capture_source.h"
#include "tools/loadgen/loadgen.h"

enum {
    NS_PER_MS = 1000000,
    TIMEOUT_MS = 10000, // as of a scrape
    BODY_MAX = 64 << 20,
    FILE_PART = 1 << 20,
    CAPTURE_MAX = 1 << 30,
    USUAL_SCRAPES = 10,
    USUAL_INTERVAL_MS = 1000,
};

struct capturing {
    struct str url;
    int64_t scrapes, interval_ms;
    bool stops; // atomic
    struct buf *text;
    err code;
    struct errmsg e;
};

static err scrape(struct capturing *c, struct http_client *client, struct http_result *result,
                  struct errmsg *e)
{
    const struct http_request request = {.method = STR("GET"), .url = c->url, .body_max = BODY_MAX};
    fiber_set_deadline(clock_mono_ns() + (int64_t)TIMEOUT_MS * NS_PER_MS);
    const err code = http_fetch(client, &request, result, e);
    fiber_set_deadline(INT64_MAX);
    if (code)
        return code;
    if (result->status != 200)
        return err_set(e, ERR_INVALID, "%.*s answered %d", STR_ARG(c->url), result->status);
    if (c->text->n + result->body.n > CAPTURE_MAX)
        return err_set(e, ERR_LIMIT, "a capture of more than %d bytes", CAPTURE_MAX);
    buf_put_str(c->text, buf_str(&result->body));
    if (result->body.n && result->body.p[result->body.n - 1] != '\n')
        buf_put_char(c->text, '\n');
    buf_put_str(c->text, STR("# EOF\n"));
    return ERR_OK;
}

static void flow(void *arg)
{
    struct capturing *const c = arg;
    const struct http_client_options options = {.follow_redirects = true};
    struct http_client *const client = http_client_create(&options);
    struct http_result result = {0};
    const int64_t begin = clock_mono_ns();
    for (int64_t i = 0; i < c->scrapes && !c->code; i++) {
        const int64_t due = begin + i * c->interval_ms * NS_PER_MS;
        while (!__atomic_load_n(&c->stops, __ATOMIC_RELAXED) && clock_mono_ns() < due) {
            const int64_t left = due - clock_mono_ns();
            if (fiber_sleep_ns(left < 100 * NS_PER_MS ? left : 100 * NS_PER_MS))
                break;
        }
        if (__atomic_load_n(&c->stops, __ATOMIC_RELAXED))
            break;
        c->code = scrape(c, client, &result, &c->e);
        if (c->code)
            break;
        fprintf(stderr, isatty(STDERR_FILENO) ? "\r%lld of %lld scrapes" : "%lld of %lld scrapes\n",
                (long long)i + 1, (long long)c->scrapes);
    }
    if (isatty(STDERR_FILENO))
        fprintf(stderr, "\n");
    http_result_deinit(&result);
    http_client_destroy(client);
}

static void end(void *arg)
{
    __atomic_store_n(&((struct capturing *)arg)->stops, true, __ATOMIC_RELAXED);
}

static err capture(struct capturing *c, struct errmsg *e)
{
    TRY(loadgen_run(flow, c, end, e));
    return c->code ? err_set(e, c->code, "%s", c->e.text) : ERR_OK;
}

static err read_file(struct str path, struct buf *out, struct errmsg *e)
{
    FILE *const f = fopen(path.p, "re");
    if (!f)
        return err_set(e, ERR_NOTFOUND, "%.*s cannot be read", STR_ARG(path));
    size_t n;
    do {
        n = fread(buf_reserve(out, FILE_PART), 1, FILE_PART, f);
        out->n += n;
    } while (n && out->n < CAPTURE_MAX);
    fclose(f);
    return ERR_OK;
}

err capture_load(struct str from, struct load_capture **out, struct errmsg *e)
{
    struct buf text = {0};
    if (!from.n)
        return ERR_OK;
    err code;
    if (str_has_prefix(from, STR("http://")) || str_has_prefix(from, STR("https://"))) {
        struct capturing c = {
            .url = from, .scrapes = USUAL_SCRAPES, .interval_ms = USUAL_INTERVAL_MS, .text = &text};
        code = capture(&c, e);
    } else {
        code = read_file(from, &text, e);
    }
    if (!code) {
        code = load_capture_parse(buf_str(&text), out, e);
        if (code)
            err_prefix(e, "%.*s", STR_ARG(from));
    }
    buf_deinit(&text);
    return code;
}

static int run(const struct loadgen_command *command, int argc, const char *const *argv)
{
    bool help = false;
    int code;
    struct setting_list args = {0};
    struct buf text = {0};
    struct capturing c = {.text = &text};
    const struct setting rows[] = {
        {"help", 'h', .flag = &help, .help = "Show this help."},
        {"", .list = &args, .placeholder = "<url>"},
        {"scrapes", .number = &c.scrapes, .min = 1, .max = CAPTURE_SCRAPES_MAX,
         .default_text = "60", .help = "How many scrapes."},
        {"interval", .duration_ms = &c.interval_ms, .min = 1, .max = 86400000, .default_text = "1s",
         .help = "From one to the next."},
    };
    if (!loadgen_parse(command, rows, countof(rows), argc, argv, &help, &code))
        return code;
    if (args.n != 1)
        return loadgen_fail("error: one <url> of an exporter, please, try capture --help");
    struct errmsg e;
    c.url = args.items[0];
    code = capture(&c, &e) ? loadgen_fail("%s%s", e.text,
                                          text.n ? "; the capture ends with the scrape before" : "")
                           : 0;
    if (fwrite(text.p ? text.p : "", 1, text.n, stdout) != text.n || fflush(stdout))
        code = loadgen_fail("standard output cannot be written");
    buf_deinit(&text);
    return code;
}

const struct loadgen_command loadgen_capture = {
    "capture", "<url>", "Writes down what an exporter shows, for --capture.",
    "The capture goes to standard output: bodies in the text format, each ended by # EOF. More\n"
    "scrapes say more of how values move; from the end virtual targets begin again, their\n"
    "counters going on.\n\n"
    "Examples:\n"
    "  ferula-loadgen capture --scrapes=300 http://localhost:9100/metrics > node.capture\n"
    "  ferula-loadgen remote-write --capture=node.capture http://localhost:9090/api/v1/write\n"
    "  ferula-loadgen scrape-farm --capture=http://localhost:9100/metrics\n",
    run};
