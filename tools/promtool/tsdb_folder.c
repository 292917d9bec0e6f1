#include "tools/promtool/tsdb_folder.h"

#include <stdarg.h>
#include <stdio.h>

#include "engine/tsdb/folder_lock.h"
#include "tools/flow.h"

enum { OUT_BYTES = 64 * 1024 };

static void write_log(void *cookie, const char *line, size_t n)
{
    (void)cookie;
    fwrite(line, 1, n, stderr);
}

const struct log_sink tsdb_job_log = {
    .level = LOG_LEVEL_WARN, .style = LOG_STYLE_LOGFMT, .write = write_log};

void tsdb_job_fail(struct tsdb_job *job, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(job->e.text, sizeof job->e.text, format, args);
    va_end(args);
    job->has_failed = true;
}

static void flush(struct tsdb_job *job)
{
    fwrite(job->out.p, 1, job->out.n, stdout);
    buf_reset(&job->out);
}

void tsdb_job_print(struct tsdb_job *job)
{
    if (job->out.n >= OUT_BYTES)
        flush(job);
}

bool tsdb_job_exists(struct tsdb_job *job)
{
    struct op_stat s;
    const bool exists = path_stat(job->path, &s, NULL) == ERR_OK;
    if (!exists)
        tsdb_job_fail(job, "opening the db dir: stat %s: no such file or directory", job->path);
    return exists;
}

bool tsdb_job_begin(struct tsdb_job *job)
{
    char pid[FOLDER_HOLDER_MAX];
    if (!tsdb_job_exists(job))
        return false;
    if (folder_is_held(job->path, pid))
        fprintf(stderr,
                "%s is open in process %s: what stands in its files is read; what that process has "
                "not yet written to its log is not\n",
                job->path, pid[0] ? pid : "of another container");
    return true;
}

int tsdb_job_run(struct tsdb_job *job, fiber_fn *work)
{
    struct errmsg e;
    job->path = job->p->args.n ? job->p->args.items[0].p : "data/";
    if (flow_run(work, job, &e))
        tsdb_job_fail(job, "%s", e.text);
    if (job->out.n)
        flush(job);
    buf_deinit(&job->out);
    if (job->has_failed) {
        fflush(stdout);
        fprintf(stderr, "%s\n", job->e.text);
    }
    return job->has_failed ? PROMTOOL_FAILED : PROMTOOL_OK;
}
