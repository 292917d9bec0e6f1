// What Prometheus's linter (promlint) says about metric families.
#ifndef TOOLS_PROMTOOL_METRIC_LINT_H
#define TOOLS_PROMTOOL_METRIC_LINT_H

#include "tools/promtool/metric_families.h"

struct metric_problem {
    struct str metric, text;
};
struct metric_problems {
    struct metric_problem *items; // by metric, then by text
    size_t n, capacity;
};
void metric_problems_deinit(struct metric_problems *p);
// Texts live as long as the families.
void metric_lint(struct metric_families *families, struct metric_problems *out);

#endif
