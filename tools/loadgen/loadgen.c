// ferula-loadgen: load for Prometheus-compatible systems.
#include "tools/loadgen/loadgen.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>

#include "engine/base/util.h"
#include "engine/server/version.h"
#include "io/process.h"
#include "simd/simd.h"
#include "tools/loadgen/capture_source.h"
#include "tools/loadgen/load_table.h"

static int print_captured(struct str from)
{
    struct load_capture *capture = NULL;
    struct errmsg e;
    if (capture_load(from, &capture, &e))
        return loadgen_fail("error: --capture: %s, try shapes --help", e.text);
    struct buf text = {0};
    load_table_capture(capture, &text);
    printf("## %zu series, %zu scrapes\n\n%.*s", capture->n, capture->scrapes,
           STR_ARG(buf_str(&text)));
    buf_deinit(&text);
    load_capture_destroy(capture);
    return 0;
}

static int print_shapes(const struct loadgen_command *c, int argc, const char *const *argv)
{
    bool help = false;
    int code;
    struct str from = {0};
    const struct setting rows[] = {
        {"help", 'h', .flag = &help, .help = "Show this help."},
        {"capture", .text = &from, .placeholder = "<file or URL>",
         .help = "Of an exporter that the command capture wrote down, or is at this URL."}};
    if (!loadgen_parse(c, rows, countof(rows), argc, argv, &help, &code))
        return code;
    if (from.n)
        return print_captured(from);
    for (int exporter = 0; exporter < LOAD_EXPORTERS; exporter++) {
        const struct load_shape shape = {.exporter = (enum load_exporter)exporter};
        struct buf text = {0};
        load_table_exporter(shape.exporter, &text);
        printf("%s## %s: %zu series a target\n\n%.*s", exporter ? "\n" : "",
               load_exporter_names[exporter], load_shape_series(&shape), STR_ARG(buf_str(&text)));
        buf_deinit(&text);
    }
    return 0;
}

static const struct loadgen_command shapes = {
    "shapes", "", "Prints what the virtual targets show and how it moves.",
    "A Markdown table an exporter, or one of a capture. constant: the share of series that never\n"
    "change; still: of the others' steps, from one sample to the next, those without a change;\n"
    "p50, p90, p99: how large the other steps are.\n",
    print_shapes};

static const struct loadgen_command *const commands[] = {
    &loadgen_remote_write, &loadgen_scrape_farm, &loadgen_query,
    &loadgen_sink,         &loadgen_capture,     &shapes};

int loadgen_fail(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fprintf(stderr, "ferula-loadgen: ");
    vfprintf(stderr, format, args);
    fprintf(stderr, "\n");
    va_end(args);
    return 1;
}

bool loadgen_parse(const struct loadgen_command *c, const struct setting *rows, size_t n, int argc,
                   const char *const *argv, const bool *help, int *out_code)
{
    struct settings s;
    struct errmsg e;
    const err code = settings_parse(&s, rows, n, argc, argv, &e);
    if (!code && !*help)
        return true;
    *out_code = 0;
    if (code) {
        *out_code = loadgen_fail("error: %s, try %s --help", e.text, c->name);
        return false;
    }
    struct buf text = {0};
    char program[64];
    snprintf(program, sizeof program, "ferula-loadgen %s", c->name);
    settings_format_help(&s, program, c->summary, &text);
    printf("%.*s%s", STR_ARG(buf_str(&text)), c->lesson);
    buf_deinit(&text);
    return false;
}

struct ending {
    void (*ended)(void *arg);
    void *arg;
};

static void on_signal(void *arg, int signal)
{
    const struct ending *const ending = arg;
    (void)signal;
    ending->ended(ending->arg);
}

err loadgen_run(fiber_fn *flow, void *arg, void (*ended)(void *arg), struct errmsg *e)
{
    static const int signals[] = {SIGINT, SIGTERM};
    struct ending ending = {ended, arg};
    TRY(process_catch_signals(signals, countof(signals), e));
    process_deliver_signals(on_signal, &ending);
    const err code = flow_run(flow, arg, e);
    process_deliver_signals(NULL, NULL);
    return code;
}

static void print_usage(FILE *f)
{
    fprintf(f, "usage: ferula-loadgen <command> [<flags>] [<args> ...]\n\n"
               "Puts load on Prometheus-compatible systems, and says what it saw.\n\nCommands:\n");
    for (size_t i = 0; i < countof(commands); i++)
        fprintf(f, "  %s %s\n        %s\n", commands[i]->name, commands[i]->args,
                commands[i]->summary);
    fprintf(f, "\n\"COMMAND --help\" says what a command does, with examples.\n");
}

int main(int argc, char **argv)
{
    uint32_t isas;
    struct errmsg e;
    if (simd_mask_from_environment(&isas, &e))
        return loadgen_fail("%s", e.text);
    simd_init(isas);
    if (argc < 2) {
        print_usage(stderr);
        return 1;
    }
    const struct str word = str_from_c(argv[1]);
    if (str_eq(word, STR("--help")) || str_eq(word, STR("-h")) || str_eq(word, STR("help"))) {
        print_usage(stdout);
        return 0;
    }
    if (str_eq(word, STR("--version"))) {
        printf("ferula-loadgen %s\n", FERULA_VERSION);
        return 0;
    }
    for (size_t i = 0; i < countof(commands); i++)
        if (str_eq(word, str_from_c(commands[i]->name)))
            return commands[i]->run(commands[i], argc - 1, (const char *const *)argv + 1);
    return loadgen_fail("error: expected command but got \"%s\", try --help", argv[1]);
}
