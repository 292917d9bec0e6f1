// check config: the server's own loader, and then what only promtool looks at.
//
// What is valid for Prometheus and not run by this version is no failure here: it is noted on
// standard error, so that standard output reads as promtool's.
#include <stdio.h>

#include "engine/base/duration.h"
#include "engine/base/util.h"
#include "engine/config/config_files.h"
#include "engine/config/prom_config_parts.h"
#include "engine/scrape/target.h"
#include "io/file.h"
#include "io/process.h"
#include "tools/flow.h"
#include "tools/promtool/go_duration.h"
#include "tools/promtool/server_check.h"

enum { NS_PER_MS = 1000000 };

size_t check_flags(struct promtool *p, struct setting *rows)
{
    const struct setting all[] = {
        {"query.lookback-delta", .text = &p->lookback_delta, .default_text = "5m",
         .help = "The server's maximum query lookback duration."},
        {"extended", .flag = &p->extended,
         .help = "Print extended information related to the cardinality of the metrics."},
    };
    memcpy(rows, all, sizeof all);
    return countof(all);
}

size_t check_config_flags(struct promtool *p, struct setting *rows)
{
    const struct setting all[] = {
        {"syntax-only", .flag = &p->syntax_only,
         .help = "Only check the config file syntax, ignoring file and content validation "
                 "referenced in the config"},
        {"lint", .text = &p->lint, .default_text = "duplicate-rules",
         .help = "Linting checks to apply to the rules/scrape configs specified in the config. "
                 "Available options are: all, duplicate-rules, none, too-long-scrape-interval. "
                 "Use --lint=none to disable linting"},
        {"lint-fatal", .flag = &p->lint_fatal, .help = "Make lint errors exit with exit code 3."},
        {"ignore-unknown-fields", .flag = &p->ignore_unknown_fields,
         .help = "Ignore unknown fields in the rule groups read by the config files."},
        {"agent", .flag = &p->agent, .help = "Check config file for Prometheus in Agent mode."},
    };
    memcpy(rows, all, sizeof all);
    return countof(all);
}

struct checking {
    const struct promtool *p;
    int64_t lookback_ms;       // 0: scrape intervals are not looked at
    struct arena arena;        // of one file
    bool has_errors, has_lint; // of any file
    int refused;               // exit code before anything was checked; 0: none
};

// ---- what only promtool looks at

static err check_file_exists(struct arena *a, struct str path, struct errmsg *e)
{
    struct op_stat s;
    if (!path.n)
        return ERR_OK;
    const struct str terminated = arena_printf(a, "%.*s", STR_ARG(path));
    return path_stat(terminated.p, &s, e)
               ? err_set(e, ERR_NOTFOUND, "stat %s: no such file or directory", terminated.p)
               : ERR_OK;
}

static err check_http_files(const struct http_client_config *http, struct arena *a,
                            struct errmsg *e)
{
    const struct {
        struct str path;
        const char *what;
    } files[] = {
        {http->authorization ? http->authorization->credentials_file : STR(""),
         "authorization credentials or bearer token file"},
        {http->tls.cert_file, "client cert file"},
        {http->tls.key_file, "client key file"},
    };
    for (size_t i = 0; i < countof(files); i++) {
        const err code = check_file_exists(a, files[i].path, e);
        if (code)
            return err_wrap(e, code, "error checking %s %.*s", files[i].what,
                            STR_ARG(config_quote(a, files[i].path)));
    }
    return ERR_OK;
}

static err check_targets(const struct scrape_config *job, struct arena *a, struct errmsg *e)
{
    for (size_t g = 0; g < job->static_groups.n; g++) {
        const struct static_group *const group = &job->static_groups.items[g];
        for (size_t i = 0; i < group->targets.n; i++) {
            struct target_spec spec;
            if (!target_spec_make(job, group, group->targets.items[i], a, &spec, e))
                return err_wrap(e, ERR_INVALID, "instance %zu in group %zu", i, g);
        }
    }
    return ERR_OK;
}

// How many rule files there are; one that is named without a star must exist. Suspends.
static err count_rule_files(const struct prom_config *c, struct arena *a, size_t *out_n,
                            struct errmsg *e)
{
    for (size_t i = 0; i < c->rule_files.n; i++) {
        const struct str pattern = c->rule_files.items[i];
        struct yaml_strs paths = {0};
        TRY(config_glob(&config_files, a, pattern, &paths, e));
        if (!paths.n && str_find(pattern, '*', 0) == STR_NONE)
            return err_set(e, ERR_NOTFOUND, "%.*s does not point to an existing file",
                           STR_ARG(config_quote(a, pattern)));
        *out_n += paths.n;
    }
    return ERR_OK;
}

// Suspends.
static err check_content(struct checking *c, const struct prom_config *config, size_t *out_rules,
                         struct errmsg *e)
{
    if (!c->p->syntax_only)
        TRY(count_rule_files(config, &c->arena, out_rules, e));
    for (size_t i = 0; i < config->jobs_n; i++) {
        if (!c->p->syntax_only)
            TRY(check_http_files(&config->jobs[i]->http, &c->arena, e));
        TRY(check_targets(config->jobs[i], &c->arena, e));
    }
    return ERR_OK;
}

// The file alone, then, unless its syntax is all that counts, with those it names. Suspends.
static err load(const struct checking *c, const char *path, struct prom_config **out,
                struct errmsg *e)
{
    struct prom_config_options options = {.agent = c->p->agent,
                                          .main_file_only = true,
                                          .ignore_unsupported = true,
                                          .no_lines = true,
                                          .folder = str_from_c(process_cwd())};
    TRY(prom_config_load(path, &config_files, &options, out, e));
    if (c->p->syntax_only || !(*out)->scrape_config_files.n)
        return ERR_OK;
    prom_config_unref(*out);
    *out = NULL;
    options.main_file_only = false;
    const err code = prom_config_load(path, &config_files, &options, out, e);
    return code ? err_wrap(e, code, "error loading scrape configs") : ERR_OK;
}

static void lint_intervals(struct checking *c, const struct prom_config *config)
{
    for (size_t i = 0; i < config->jobs_n; i++) {
        const struct scrape_config *const job = config->jobs[i];
        if (!c->lookback_ms || job->scrape_interval_ms < c->lookback_ms)
            continue;
        struct buf interval = {0};
        duration_format(job->scrape_interval_ms, &interval);
        fprintf(stderr,
                "  FAILED: too long scrape interval found, data point will be marked as stale - "
                "job: %.*s, interval: %.*s\n",
                STR_ARG(job->job_name), STR_ARG(buf_str(&interval)));
        buf_deinit(&interval);
        c->has_lint = true;
        return;
    }
}

// ---- a file

static void check_one(struct checking *c, struct str path) // Suspends.
{
    struct prom_config *config = NULL;
    struct errmsg e;
    size_t rules = 0;
    printf("Checking %.*s\n", STR_ARG(path));
    err code = load(c, path.p, &config, &e);
    if (!code)
        code = check_content(c, config, &rules, &e);
    if (code) {
        fprintf(stderr, "  FAILED: %s\n", e.text);
        c->has_errors = true;
    } else {
        if (rules)
            printf("  SUCCESS: %zu rule files found\n", rules);
        printf(" SUCCESS: %.*s is valid prometheus config file syntax\n", STR_ARG(path));
        for (size_t i = 0; i < config->warnings_n; i++)
            fprintf(stderr, "  NOTE: valid for Prometheus, but not checked further: %.*s\n",
                    STR_ARG(config->warnings[i]));
        lint_intervals(c, config);
    }
    printf("\n");
    prom_config_unref(config);
    arena_reset(&c->arena);
}

static bool all_exist(struct checking *c) // Suspends.
{
    for (size_t i = 0; i < c->p->args.n; i++) {
        const char *const path = c->p->args.items[i].p;
        c->refused = !server_check_file(c->p, path);
        if (c->refused)
            return false;
    }
    return true;
}

static void check_all(void *arg)
{
    struct checking *const c = arg;
    if (!all_exist(c))
        return;
    for (size_t i = 0; i < c->p->args.n; i++)
        check_one(c, c->p->args.items[i]);
}

// --lint: names, by comma.
static bool lints_intervals(struct str names)
{
    static const char *const others[] = {"none", "duplicate-rules"};
    bool on = false;
    struct str name;
    while (str_split(&names, ',', &name)) {
        bool known = false;
        for (size_t i = 0; i < countof(others); i++)
            known |= str_eq(name, str_from_c(others[i]));
        if (str_eq(name, STR("all")) || str_eq(name, STR("too-long-scrape-interval")))
            on = known = true;
        if (!known)
            printf("WARNING: unknown lint option: \"%.*s\"\n", STR_ARG(name));
    }
    return on;
}

int check_config(const struct promtool *p)
{
    struct checking c = {.p = p};
    struct errmsg e;
    int64_t lookback_ns;
    if (go_duration_parse(p->lookback_delta, &lookback_ns, &e))
        return promtool_refuse(p, "%s", e.text);
    if (lints_intervals(p->lint))
        c.lookback_ms = lookback_ns / NS_PER_MS;
    arena_init(&c.arena, 0);
    if (flow_run(check_all, &c, &e))
        c.refused = promtool_refuse(p, "%s", e.text);
    arena_deinit(&c.arena);
    if (c.refused || c.has_errors)
        return PROMTOOL_FAILED;
    return c.has_lint && p->lint_fatal ? PROMTOOL_LINT : PROMTOOL_OK;
}
