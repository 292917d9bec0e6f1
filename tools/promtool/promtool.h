// What the commands of ferula-promtool share: the values of flags, a row for each command.
//
// Flags, texts and exit codes are promtool's. A command is a row of promtool.c's table: its words,
// its help, its flags and a function.
#ifndef TOOLS_PROMTOOL_PROMTOOL_H
#define TOOLS_PROMTOOL_PROMTOOL_H

#include "engine/config/setting.h"
#include "engine/promql/parser.h"

enum {
    PROMTOOL_OK = 0,
    PROMTOOL_FAILED = 1,
    PROMTOOL_LINT = 3,
    PROMTOOL_DAMAGED = 3
}; // exit codes

struct promtool {
    const char *name; // of the program, for errors
    bool help, version, experimental;
    struct setting_list features; // lists, by comma
    struct setting_list args;     // what stands behind the command's words

    struct str format, http_config_file, time, start, end, step; // query
    struct setting_list headers, matches;
    bool has_step, has_http_config_file; // given, though they may be empty

    struct str lookback_delta, lint, url; // check
    bool extended, syntax_only, lint_fatal, ignore_unknown_fields, agent;

    struct str sandbox, min_time, max_time; // tsdb
    int64_t limit;
    bool human_readable, dry_run;

    struct str matcher_type; // promql label-matchers set
};

struct command_arg {
    const char *name, *help;
    bool is_list, is_optional; // the last one may be many, or none
};

enum { COMMAND_WORDS_MAX = 3, COMMAND_ARGS_MAX = 3 };

struct command {
    const char *words[COMMAND_WORDS_MAX]; // "query", "range", NULL
    const char *summary;                  // one line
    const char *lesson;                   // what --help says behind the flags: meaning, examples
    struct command_arg args[COMMAND_ARGS_MAX];
    // Appends the command's own flags; how many. NULL: none.
    size_t (*flags)(struct promtool *p, struct setting *rows);
    int (*run)(const struct promtool *p); // an exit code
};
extern const struct command promtool_commands[];
extern const size_t promtool_commands_n;

// "promtool: error: TEXT, try --help" on standard error; PROMTOOL_FAILED.
int promtool_refuse(const struct promtool *p, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
// What --enable-feature asks of PromQL's parser. Unknown names are told on standard output.
struct promql_options promtool_promql(const struct promtool *p);

// query_commands.c
size_t query_flags(struct promtool *p, struct setting *rows); // of all queries
size_t query_instant_flags(struct promtool *p, struct setting *rows);
size_t query_range_flags(struct promtool *p, struct setting *rows);
size_t query_series_flags(struct promtool *p, struct setting *rows);
size_t query_labels_flags(struct promtool *p, struct setting *rows);
int query_instant(const struct promtool *p);
int query_range(const struct promtool *p);
int query_series(const struct promtool *p);
int query_labels(const struct promtool *p);
// check_config.c
size_t check_flags(struct promtool *p, struct setting *rows); // of all checks
size_t check_config_flags(struct promtool *p, struct setting *rows);
int check_config(const struct promtool *p);
// check_metrics.c
size_t check_metrics_flags(struct promtool *p, struct setting *rows);
int check_metrics(const struct promtool *p);
// check_server.c
size_t check_server_flags(struct promtool *p, struct setting *rows);
int check_healthy(const struct promtool *p);
int check_ready(const struct promtool *p);
// promql_commands.c
size_t label_matchers_set_flags(struct promtool *p, struct setting *rows);
int promql_format(const struct promtool *p);
int label_matchers_set(const struct promtool *p);
int label_matchers_delete(const struct promtool *p);
// tsdb_analyze.c
size_t tsdb_analyze_flags(struct promtool *p, struct setting *rows);
int tsdb_analyze(const struct promtool *p);
// tsdb_check.c
size_t tsdb_fsck_flags(struct promtool *p, struct setting *rows);
size_t tsdb_repair_flags(struct promtool *p, struct setting *rows);
int tsdb_fsck(const struct promtool *p);
int tsdb_repair(const struct promtool *p);
int tsdb_upgrade(const struct promtool *p);
// tsdb_dump.c
size_t tsdb_dump_flags(struct promtool *p, struct setting *rows);
size_t tsdb_dump_openmetrics_flags(struct promtool *p, struct setting *rows);
int tsdb_dump(const struct promtool *p);
int tsdb_dump_openmetrics(const struct promtool *p);
// tsdb_list.c
size_t tsdb_list_flags(struct promtool *p, struct setting *rows);
int tsdb_list(const struct promtool *p);
// test_command.c
int test_promql(const struct promtool *p);

#endif
