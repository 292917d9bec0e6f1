// ferula-promtool: Prometheus's promtool, as far as its commands stand in the table below, and
// `test promql`.
#include "tools/promtool/promtool.h"

#include <stdarg.h>
#include <stdio.h>

#include "engine/base/mem.h"
#include "engine/base/util.h"
#include "engine/server/version.h"
#include "simd/simd.h"
#include "tools/promtool/command_line.h"

#define SERVER_ARG                                                        \
    {                                                                     \
        .name = "server", .help = "Prometheus server to query, as a URL." \
    }
#define QUERY_ARG                                \
    {                                            \
        .name = "query", .help = "PromQL query." \
    }

#define FOLDER_ARG                                                                          \
    {                                                                                       \
        .name = "db path", .help = "Database path (default is data/).", .is_optional = true \
    }

const struct command promtool_commands[] = {
    {{"check", "config"},
     "Check if the config files are valid or not.",
     "Reads each file as the server does, with the files it names, and says what is wrong with\n"
     "it. What Prometheus knows and this ferula does not run yet is valid; it is noted on\n"
     "standard error and not checked further, rule files among it.\n\n"
     "Exit code: 0 all are valid, 1 one is not, 3 lint found something and --lint-fatal.\n\n"
     "Examples:\n"
     "  check config prometheus.yml\n"
     "  check config --lint=too-long-scrape-interval --lint-fatal prometheus.yml\n"
     "  check config --syntax-only /etc/prometheus/*.yml    certificates need not be there\n",
     {{.name = "config-files", .help = "The config files to check.", .is_list = true}},
     check_config_flags,
     check_config},
    {{"check", "healthy"},
     "Check if the Prometheus server is healthy.",
     "Asks /-/healthy, for at most 10 s.\n\nExit code: 0 it answered 200, 1 otherwise.\n\n"
     "Example:\n  check healthy --url=http://localhost:9090\n",
     {{0}},
     check_server_flags,
     check_healthy},
    {{"check", "ready"},
     "Check if the Prometheus server is ready.",
     "Asks /-/ready, for at most 10 s: a server that still reads its data is not ready.\n\n"
     "Exit code: 0 it answered 200, 1 otherwise.\n\n"
     "Example:\n  check ready --url=http://localhost:9090\n",
     {{0}},
     check_server_flags,
     check_ready},
    {{"check", "metrics"},
     "Pass Prometheus metrics over stdin to lint them for consistency and correctness.",
     "Names each metric that has no help text, a name or labels against the conventions, a unit\n"
     "that is no base unit, or that stands there twice. --extended then says how many series\n"
     "each metric has.\n\nExit code: 0 nothing found, 1 not the text format, 3 problems found.\n\n"
     "Examples:\n"
     "  cat metrics.prom | promtool check metrics\n"
     "  curl -s http://localhost:9090/metrics | promtool check metrics --extended\n"
     "  curl -s http://localhost:9100/metrics | promtool check metrics --extended --lint=none\n",
     {{.name = "metric-files",
       .help = "Files to check, - is standard input, which is also the default.",
       .is_list = true,
       .is_optional = true}},
     check_metrics_flags,
     check_metrics},
    {{"query", "instant"},
     "Run instant query.",
     "Prints one line a series: its labels => its value @[its time].\n\n"
     "Examples:\n"
     "  query instant http://localhost:9090 'sum by (job) (up)'\n"
     "  query instant -o json --time=2026-07-01T12:00:00Z http://localhost:9090 up\n",
     {SERVER_ARG, {.name = "expr", .help = "PromQL query expression."}},
     query_instant_flags,
     query_instant},
    {{"query", "range"},
     "Run range query.",
     "The last five minutes without --start and --end; 250 steps, of a second at least, without\n"
     "--step, which takes 30s, 1m30s, 1d.\n\n"
     "Examples:\n"
     "  query range http://localhost:9090 'rate(http_requests_total[1m])'\n"
     "  query range --start=1782900000 --end=1782903600 --step=1m http://localhost:9090 up\n"
     "  query range --header='Authorization=Bearer abc' https://metrics.example.org up\n",
     {SERVER_ARG, {.name = "expr", .help = "PromQL query expression."}},
     query_range_flags,
     query_range},
    {{"query", "series"},
     "Run series query.",
     "Prints the labels of all series that one of the selectors matches.\n\n"
     "Examples:\n"
     "  query series --match='{job=\"node\"}' http://localhost:9090\n"
     "  query series --match=up --match='{__name__=~\"go_.*\"}' -o json http://localhost:9090\n",
     {SERVER_ARG},
     query_series_flags,
     query_series},
    {{"query", "labels"},
     "Run labels query.",
     "Prints the values that a label has.\n\n"
     "Examples:\n"
     "  query labels http://localhost:9090 job\n"
     "  query labels --match=up --start=1782900000 http://localhost:9090 instance\n",
     {SERVER_ARG, {.name = "name", .help = "Label name to provide label values for."}},
     query_labels_flags,
     query_labels},
    {{"promql", "format"},
     "Format PromQL query to pretty printed form.",
     "Needs --experimental.\n\n"
     "Example:\n  --experimental promql format 'sum by(job)(rate(x[5m]))/2'\n",
     {QUERY_ARG},
     NULL,
     promql_format},
    {{"promql", "label-matchers", "set"},
     "Set a label matcher in the query.",
     "Gives every selector of the query this matcher, in place of those that name the label.\n"
     "Needs --experimental.\n\n"
     "Examples:\n"
     "  --experimental promql label-matchers set 'rate(x[5m])' job api\n"
     "  --experimental promql label-matchers set -t '=~' 'x / y' env 'prod|test'\n",
     {QUERY_ARG,
      {.name = "name", .help = "Name of the label matcher to set."},
      {.name = "value", .help = "Value of the label matcher to set."}},
     label_matchers_set_flags,
     label_matchers_set},
    {{"promql", "label-matchers", "delete"},
     "Delete a label from the query.",
     "Takes the matchers of a label out of every selector of the query.\nNeeds --experimental.\n\n"
     "Example:\n  --experimental promql label-matchers delete 'x{job=\"api\",a=\"b\"}' job\n",
     {QUERY_ARG, {.name = "name", .help = "Name of the label to delete."}},
     NULL,
     label_matchers_delete},
    {{"tsdb", "analyze"},
     "Analyze churn, label pair cardinality and compaction efficiency.",
     "Says of one file which labels its series have, how many values each, and which series do "
     "not\n"
     "last as long as the file. What stands in the log alone is not counted.\n\n"
     "Examples:\n"
     "  tsdb analyze data/\n"
     "  tsdb analyze --limit=5 --match='{job=\"node\"}' data/ 000000000000002a\n",
     {FOLDER_ARG,
      {.name = "block id",
       .help = "Block to analyze (default is the last block).",
       .is_optional = true}},
     tsdb_analyze_flags,
     tsdb_analyze},
    {{"tsdb", "list"},
     "List tsdb blocks.",
     "Lists the files that the catalogue names, by their first time. NUM CHUNKS counts the pieces\n"
     "that samples are read in. As JSON also formats, generations and what the log holds.\n\n"
     "Examples:\n  tsdb list -r data/\n  tsdb list -o json data/\n",
     {FOLDER_ARG},
     tsdb_list_flags,
     tsdb_list},
    {{"tsdb", "dump"},
     "Dump samples from a TSDB.",
     "Prints of each sample a line: labels, value, time in ms; a series' lines stand together, "
     "the\n"
     "series in the order of their labels. Files and log are read as they stand: a server may "
     "have\n"
     "the folder open, what it has not yet written is then not shown. Nothing is written.\n\n"
     "Examples:\n"
     "  tsdb dump /var/lib/ferula\n"
     "  tsdb dump --match='{job=\"node\"}' --min-time=1782900000000 data/\n"
     "  tsdb dump --format=json --match=up data/\n",
     {FOLDER_ARG},
     tsdb_dump_flags,
     tsdb_dump},
    {{"tsdb", "dump-openmetrics"},
     "[Experimental] Dump samples from a TSDB into OpenMetrics text format, excluding native "
     "histograms and staleness markers, which are not representable in OpenMetrics.",
     "Example:\n  tsdb dump-openmetrics data/ > data.om\n",
     {FOLDER_ARG},
     tsdb_dump_openmetrics_flags,
     tsdb_dump_openmetrics},
    {{"tsdb", "fsck"},
     "Check that a data folder is whole.",
     "Reads all of it: the catalogue, every file (header, footer, tables, the checksum of each\n"
     "chunk, each column, whether the index agrees with itself and with the samples), every "
     "record\n"
     "of the log, and whether these agree. Each finding names file and offset, what it means and\n"
     "what is lost. \"damage\": data is lost or wrong; \"note\": what a crash left, or what the "
     "next\n"
     "start removes. Nothing is written; a server may have the folder open. What it has done so\n"
     "far is told on standard error every two seconds.\n\n"
     "Exit code: 0 the folder is whole, 3 there is damage, 1 it cannot be looked at.\n\n"
     "Examples:\n  tsdb fsck /var/lib/ferula\n  tsdb fsck -o json data/ | jq .findings\n",
     {FOLDER_ARG},
     tsdb_fsck_flags,
     tsdb_fsck},
    {{"tsdb", "repair"},
     "Put aside what is damaged in a data folder, so that the rest is used.",
     "Looks for damage as fsck does. A damaged file goes to quarantine/ in the folder, with a "
     "note\n"
     "beside it; what can be read of it stands in a new file from then on. A log segment with\n"
     "damage is copied there, as the next start reads what is good in it and removes it. Nothing "
     "is\n"
     "deleted; the catalogue as it was is kept there, too. No server may have the folder open.\n\n"
     "Exit code: 0 nothing was damaged, 3 something was (or is, with --dry-run), 1 it failed.\n\n"
     "Examples:\n  tsdb repair --dry-run data/\n  tsdb repair data/\n",
     {FOLDER_ARG},
     tsdb_repair_flags,
     tsdb_repair},
    {{"tsdb", "upgrade"},
     "Write files of earlier formats anew.",
     "Files of every earlier version are read as they are, and merging writes them anew in time:\n"
     "this command is for who wants it now. No server may have the folder open, unless\n"
     "--dry-run.\n\nExample:\n  tsdb upgrade --dry-run data/\n",
     {FOLDER_ARG},
     tsdb_repair_flags,
     tsdb_upgrade},
    {{"test", "promql"},
     "Run scripts in Prometheus's PromQL test language.",
     "The scripts run over Ferula's own database, in memory. The last line counts what passed\n"
     "and what failed.\n\n"
     "Exit code: 0 all passed, 1 otherwise.\n\n"
     "Example:\n  test promql tests/promql/values.test\n",
     {{.name = "scripts", .help = "Files of load, eval and clear commands.", .is_list = true}},
     NULL,
     test_promql},
};
const size_t promtool_commands_n = countof(promtool_commands);

int promtool_refuse(const struct promtool *p, const char *format, ...)
{
    struct errmsg why;
    va_list args;
    va_start(args, format);
    vsnprintf(why.text, sizeof why.text, format, args);
    va_end(args);
    fflush(stdout);
    fprintf(stderr, "%s: error: %s, try --help\n", p->name, why.text);
    return PROMTOOL_FAILED;
}

struct promql_options promtool_promql(const struct promtool *p)
{
    struct promql_options o = {0};
    for (size_t i = 0; i < p->features.n; i++) {
        struct str rest = p->features.items[i], name;
        while (rest.n && str_split(&rest, ',', &name)) {
            if (str_eq(name, STR("promql-experimental-functions")))
                o.experimental_functions = true;
            else if (str_eq(name, STR("promql-extended-range-selectors")))
                o.extended_range_selectors = true;
            else if (str_eq(name, STR("promql-binop-fill-modifiers")))
                o.binop_fill_modifiers = true;
            else if (name.n && !str_eq(name, STR("promql-delayed-name-removal")))
                printf("  WARNING: Unknown feature passed to --enable-feature: %.*s\n",
                       STR_ARG(name));
        }
    }
    return o;
}

static int run(struct promtool *p, int argc, char **argv)
{
    struct command_line line;
    struct errmsg e;
    uint32_t isas;
    if (command_line_parse(p, argc, (const char *const *)argv, &line, &e))
        return promtool_refuse(p, "%s", e.text);
    if (p->version) {
        printf("ferula-promtool %s (in place of promtool %s)\n", FERULA_VERSION,
               PROMETHEUS_VERSION);
        return PROMTOOL_OK;
    }
    if (p->help || !line.command) {
        struct buf text = {0};
        command_line_help(p, &line, &text);
        fwrite(text.p, 1, text.n, stdout);
        buf_deinit(&text);
        return PROMTOOL_OK;
    }
    if (simd_mask_from_environment(&isas, &e))
        return promtool_refuse(p, "%s", e.text);
    simd_init(isas);
    return line.command->run(p);
}

int main(int argc, char **argv)
{
    struct promtool *const p = mem_zalloc(sizeof *p);
    const char *const slash = argc ? strrchr(argv[0], '/') : NULL;
    setvbuf(stdout, NULL, _IOLBF, 0); // lines and those of stderr keep their order in one file
    p->name = slash ? slash + 1 : argc ? argv[0] : "promtool";
    int code = run(p, argc, argv);
    mem_free(p);
    if (fflush(stdout) != 0 && code == PROMTOOL_OK)
        code = PROMTOOL_FAILED;
    return code;
}
