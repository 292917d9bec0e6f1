#include "engine/server/log_files.h"

#include "engine/base/mem.h"
#include "engine/server/server.h"

static err check_one(const struct server *s, struct str path, struct errmsg *e)
{
    struct json_log *log;
    struct errmsg why;
    if (!path.n)
        return ERR_OK;
    const err code = json_log_open(path, &s->lg, &log, &why);
    if (!code) {
        json_log_close(log);
        return ERR_OK;
    }
    log_error(&s->lg, "Failed to apply configuration", log_cstr("err", why.text));
    return err_set(e, code,
                   "one or more errors occurred while applying the new configuration "
                   "(--config.file=\"%.*s\")",
                   STR_ARG(s->flags.prom.config_file));
}

// Whether jobs before the at-th name the same file.
static bool is_named_before(const struct prom_config *config, size_t at)
{
    for (size_t i = 0; i < at; i++)
        if (str_eq(config->jobs[i]->scrape_failure_log_file,
                   config->jobs[at]->scrape_failure_log_file))
            return true;
    return false;
}

err log_files_check(const struct server *s, const struct prom_config *config, struct errmsg *e)
{
    TRY(check_one(s, config->global.query_log_file, e));
    for (size_t i = 0; i < config->jobs_n; i++)
        if (!is_named_before(config, i))
            TRY(check_one(s, config->jobs[i]->scrape_failure_log_file, e));
    return ERR_OK;
}

static struct json_log *open_one(const struct server *s, struct str path)
{
    struct json_log *log = NULL;
    struct errmsg e;
    if (path.n && json_log_open(path, &s->lg, &log, &e) != ERR_OK)
        log_error(&s->lg, "a log is not written", log_cstr("err", e.text));
    return log;
}

void log_files_open(struct server *s, const struct prom_config *config)
{
    struct server_shard *self = server_self(s);
    struct log_files files = {.queries = open_one(s, config->global.query_log_file),
                              .failures = mem_alloc_array(config->jobs_n, sizeof *files.failures)};
    for (size_t i = 0; i < config->jobs_n; i++) {
        struct json_log *log = is_named_before(config, i)
                                   ? NULL
                                   : open_one(s, config->jobs[i]->scrape_failure_log_file);
        if (log)
            files.failures[files.failures_n++] = log;
    }
    struct log_files old = self->logs;
    files.queries_lost = old.queries_lost + (old.queries ? json_log_failures(old.queries) : 0);
    self->logs = files;
    log_files_close(&old);
}

void log_files_close(struct log_files *files)
{
    json_log_close(files->queries);
    for (size_t i = 0; i < files->failures_n; i++)
        json_log_close(files->failures[i]);
    mem_free(files->failures);
}

void log_files_scrape_failed(void *arg, const struct scrape_config *job, struct str url,
                             struct str error)
{
    const struct log_files *files = &server_self(arg)->logs;
    for (size_t i = 0; i < files->failures_n; i++) {
        struct json j;
        if (!str_eq(json_log_path(files->failures[i]), job->scrape_failure_log_file))
            continue;
        json_log_begin(files->failures[i], "ERROR", "log_files.c", error, &j);
        json_key(&j, "job_name");
        json_str_plain(&j, job->job_name);
        json_key(&j, "target");
        json_str_plain(&j, url);
        json_log_end(files->failures[i], &j);
    }
}
