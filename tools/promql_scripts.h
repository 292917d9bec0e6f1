// `test promql`: runs script files, prints each failure with file and line, then the count.
#ifndef TOOLS_PROMQL_SCRIPTS_H
#define TOOLS_PROMQL_SCRIPTS_H

#include "engine/promql/test_script.h"

// An exit code. The kernels are those that FERULA_CPU_MASK says.
int promql_scripts(const struct test_script_storage *storage, char **paths, size_t n);

#endif
