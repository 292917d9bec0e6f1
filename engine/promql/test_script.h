// Prometheus's PromQL test language: scripts that load series, evaluate queries, and say what must
// come out.
#ifndef ENGINE_PROMQL_TEST_SCRIPT_H
#define ENGINE_PROMQL_TEST_SCRIPT_H

#include "engine/promql/query.h"

enum { TEST_SCRIPT_PARTS_MAX = 8 };

// Where a script loads its series and what it evaluates over. Samples of kinds that storage cannot
// hold (native histograms, start timestamps) stay with the runner: queries that need one fail.
struct test_script_storage {
    struct query_source source; // not on_shards, TEST_SCRIPT_PARTS_MAX parts at most
    void *self;                 // of the functions below
    void (*clear)(void *self);
    // Samples of one series, times ascending; the script has a failure where this has one.
    err (*append)(void *self, struct str labels, const struct column *samples, struct errmsg *e);
};

struct test_script_report {
    size_t passed, failed; // cases: eval commands, and other lines that could not be understood
    // Told of each failure; line counts from 1.
    void (*fail)(void *arg, size_t line, struct str why);
    void *arg;
};

// Runs the script text; adds to the report's counts. The storage is cleared at its start.
void test_script_run(struct str text, const struct test_script_storage *storage,
                     struct test_script_report *report); // Suspends, if the storage does.

#endif
