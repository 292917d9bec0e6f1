// Runs PromQL scripts over the oracle, in three parts: `oracle_scripts test promql FILE...` prints
// what ferula-promtool does over the product's own database.
#include <stdio.h>
#include <string.h>

#include "engine/base/util.h"
#include "tests/lib/oracle.h"
#include "tools/promql_scripts.h"

static void clear(void *self)
{
    oracle_clear(self);
}

static err append(void *self, struct str labels, const struct column *samples, struct errmsg *e)
{
    (void)e;
    for (size_t i = 0; i < samples->n; i++)
        oracle_append(self, labels, samples->t[i], samples->v[i]);
    return ERR_OK;
}

int main(int argc, char **argv)
{
    if (argc < 4 || strcmp(argv[1], "test") || strcmp(argv[2], "promql")) {
        fprintf(stderr, "usage: oracle_scripts test promql FILE...\n");
        return 2;
    }
    struct oracle *oracle = oracle_create(NULL);
    struct oracle_view views[] = {{oracle, 0, 85}, {oracle, 85, 171}, {oracle, 171, UINT32_MAX}};
    struct storage parts[countof(views)];
    for (size_t i = 0; i < countof(views); i++)
        parts[i] = oracle_storage(&views[i]);
    const struct test_script_storage storage = {
        .source = {.parts = parts, .parts_count = countof(parts)},
        .self = oracle,
        .clear = clear,
        .append = append,
    };
    const int code = promql_scripts(&storage, argv + 3, (size_t)argc - 3);
    oracle_destroy(oracle);
    return code;
}
