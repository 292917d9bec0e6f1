#include <criterion/criterion.h>
#include <criterion/parameterized.h>

#include "tests/unit/shard/shard_flows.h"

ParameterizedTestParameters(shard, flow)
{
    static size_t rows[SHARD_FLOWS];
    for (size_t i = 0; i < SHARD_FLOWS; i++)
        rows[i] = i;
    return cr_make_param_array(size_t, rows, SHARD_FLOWS);
}

ParameterizedTest(size_t *row, shard, flow)
{
    const struct shard_flow *flow = &shard_flows[*row];
    const enum shard_backend backends[] = {SHARD_BACKEND_URING, SHARD_BACKEND_POLL};
    for (size_t i = 0; i < countof(backends); i++) {
        struct findings f = {""};
        shard_flow_run(flow, backends[i], &f);
        cr_assert_str_eq(f.text, "", "%s, backend %zu: %s", flow->name, i, f.text);
    }
}
