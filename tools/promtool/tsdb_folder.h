// What the tsdb commands share: the data folder they look at, and where their lines go.
#ifndef TOOLS_PROMTOOL_TSDB_FOLDER_H
#define TOOLS_PROMTOOL_TSDB_FOLDER_H

#include "engine/base/log.h"
#include "io/fiber.h"
#include "tools/promtool/promtool.h"

struct tsdb_job { // embedded in what a command works with
    const struct promtool *p;
    const char *path;
    bool has_failed; // e says why
    struct errmsg e;
    struct buf out; // for standard output
};

// Runs work(job) on a fiber, prints what is left in out, and why it failed.
int tsdb_job_run(struct tsdb_job *job, fiber_fn *work);
void tsdb_job_fail(struct tsdb_job *job, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void tsdb_job_print(struct tsdb_job *job);  // out, if it is long
bool tsdb_job_exists(struct tsdb_job *job); // the folder. Suspends.
// Whether the folder is there. Says on standard error who has it open. Suspends.
bool tsdb_job_begin(struct tsdb_job *job);
extern const struct log_sink tsdb_job_log; // warnings and errors to standard error

static inline bool tsdb_job_as_json(const struct tsdb_job *job)
{
    return str_eq(job->p->format, STR("json"));
}

#endif
