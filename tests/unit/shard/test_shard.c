#include <criterion/criterion.h>
#include <criterion/parameterized.h>

#include "io/backend.h"
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

// Shards without threads, as the simulator turns them: one after the other, here.
struct turned {
    unsigned started;
    int counts[3];
    bool ended;
};

static void add_one(void *arg)
{
    ++*(int *)arg;
    fiber_yield();
}

static void ask_all(void *arg)
{
    struct turned *t = arg;
    t->started++;
    if (shard_index(shard_self()) != 1)
        return;
    for (int i = 0; i < 100; i++)
        shard_call_all(LOOP_QUERY, add_one, t->counts, sizeof *t->counts, NULL);
    t->ended = true;
}

Test(shard, turned_by_hand)
{
    struct backend *backends[3];
    struct errmsg e = {""};
    for (int i = 0; i < 3; i++)
        cr_assert_eq(backend_poll_create(&backends[i], &e), ERR_OK, "%s", e.text);
    const struct shards_options options = {.count = 3, .sim_backends = backends};
    struct turned t = {0};
    struct shards *all = NULL;
    cr_assert_eq(shards_create(&options, ask_all, &t, &all, &e), ERR_OK, "%s", e.text);
    bool any = true;
    while (any) {
        any = false;
        for (unsigned i = 0; i < 3; i++)
            any |= loop_turn(shard_loop(shards_at(all, i)), 0);
    }
    cr_assert(t.ended);
    cr_assert_eq(t.started, 3);
    for (int i = 0; i < 3; i++)
        cr_assert_eq(t.counts[i], 100);
    shards_destroy(all);
}
