// Prometheus's PromQL test language: scripts that load series, evaluate queries, and say what must
// come out.
#ifndef ENGINE_PROMQL_TEST_SCRIPT_H
#define ENGINE_PROMQL_TEST_SCRIPT_H

#include "engine/promql/query.h"

// Where a script loads its series and what it evaluates over.
struct test_script_storage {
    struct query_source source;
    void *self; // of the functions below
    void (*clear)(void *self);
    void (*append)(void *self, struct str labels, int64_t t_ms, double v);
    // A sample of a kind that cannot be held: queries that would need it must fail.
    void (*append_unsupported)(void *self, struct str labels, int64_t t_ms, const char *what);
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
