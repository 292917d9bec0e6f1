// The traffic corpus through one shard and through three, against the naive map and against each
// other: every outcome, every answer of storage and of PromQL bit for bit, before and after a
// restart with another number of shards.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/bits.h"
#include "engine/base/mem.h"
#include "engine/model/labels.h"
#include "engine/promql/parser.h"
#include "engine/promql/query.h"
#include "io/clock.h"
#include "simd/simd.h"
#include "tests/lib/map_world.h"
#include "tests/sim/world_shards.h"

enum { ROUNDS = 300, CHECK_EVERY = 40, CHECKS = 2, FOLDER_SEED = 5 };
static const int64_t HOUR_NS = 3600LL * 1000 * 1000 * 1000;
static const int64_t start_ms = 1700000000000;

struct run {
    struct world *world;
    struct traffic *traffic;
    struct map_world map;
    struct findings found;
    size_t from, to; // batches of this life of the database
    struct buf answers;
};

static const char *const queries[] = {
    "{\"metric-0\"}",
    "sum by (instance) (rate({\"metric-3\"}[5m]))",
    "sum({\"metric-1\"})",
    "avg by (pod, sender) ({__name__=~\"metric-[0-5]\"})",
    "stddev({__name__=~\"metric-.*\"})",
    "topk(3, {\"metric-2\"})",
    "quantile(0.9, {\"metric-4\"})",
    "count by (job) (count_over_time({__name__=~\"metric-.*\"}[10m]))",
    "max_over_time({\"metric-0\"}[3m]) - min_over_time({\"metric-0\"}[3m])",
    "sum by (cpu) (increase({\"metric-1\",cpu!=\"\"}[7m])) / on () group_left sum({\"metric-0\"})",
    "sum({\"metric-100\"}) by (rule)",
};

static void put_result(struct buf *out, const struct query_result *r)
{
    for (size_t i = 0; i < r->series_count; i++) {
        int64_t t;
        double v;
        labels_format_metric(r->series[i].labels, out);
        for (struct query_points p = {0}; query_points_next(r, &r->series[i], &p, &t, &v);)
            buf_printf(out, " %lld:%llx", (long long)t, (unsigned long long)bits_from_double(v));
        buf_put_char(out, '\n');
    }
}

static void ask(struct run *r, const char *text)
{
    const struct promql_options syntax = {0};
    const struct storage storage = tsdb_storage(r->map.db);
    const struct query_source source = {.parts = &storage, .parts_count = 1, .on_shards = true};
    const struct query_options options = {.start_ms = start_ms,
                                          .end_ms = start_ms + (ROUNDS + 20) * 15000,
                                          .step_ms = 37000,
                                          .lookback_ms = 300000,
                                          .subquery_step_ms = 60000};
    struct arena a;
    arena_init(&a, 0);
    struct promql_query parsed;
    struct query_result result;
    struct errmsg e;
    buf_printf(&r->answers, "%s\n", text);
    if (promql_parse(str_from_c(text), &syntax, &a, &parsed, &e) != ERR_OK) {
        world_violate(r->world, "%s: %s", text, e.text);
    } else {
        if (promql_exec(&source, &options, parsed.expr, str_from_c(text), &a, &result, &e) ==
            ERR_OK) {
            put_result(&r->answers, &result);
            query_done(&source, &result);
        } else {
            buf_printf(&r->answers, "%s\n", e.text);
        }
        promql_parse_done(&parsed);
    }
    arena_deinit(&a);
}

static void live(void *arg)
{
    struct run *r = arg;
    struct map_world *m = &r->map;
    const struct tsdb_options options = {
        .path = "data", .wal_sync_interval_ms = 1000, .spill_ms = 20000, .seal_ms = 300000};
    struct errmsg e;
    if (tsdb_open(&options, &m->db, &e) != ERR_OK) {
        world_violate(r->world, "open: %s", e.text);
        return;
    }
    while (!tsdb_is_ready(m->db))
        (void)!fiber_sleep_ns(1000000);
    m->shards = shard_all();
    for (size_t i = r->from; i < r->to && !r->found.text[0]; i++) {
        map_world_apply(m, &r->traffic->batches[i]);
        (void)!fiber_sleep_ns(1000000000);
        if (i % CHECK_EVERY == 0)
            map_world_check(m, CHECKS);
    }
    map_world_check(m, CHECKS);
    map_world_check_all(m);
    for (size_t i = 0; i < countof(queries); i++)
        ask(r, queries[i]);
    if (tsdb_close(m->db, &e) != ERR_OK)
        world_violate(r->world, "close: %s", e.text);
}

// Two lives, with so many shards each. False: something was wrong, and is printed.
static bool run_shape(enum traffic_shape shape, const unsigned *shards, struct buf *out_answers)
{
    const char *name = traffic_shape_name(shape);
    struct traffic traffic;
    traffic_init(&traffic, shape, 17, start_ms, ROUNDS);
    // The same seed, so that the folder's is the same: it decides which partition a series is of.
    struct run r = {.world = world_create(FOLDER_SEED), .traffic = &traffic};
    map_world_init(&r.map, NULL, name, 1, &r.found);
    r.map.start_ms = start_ms;
    r.map.forms = shape % 2;
    for (int life = 0; life < 2 && !r.world->violation.count && !r.found.text[0]; life++) {
        r.from = life ? traffic.n / 2 : 0;
        r.to = life ? traffic.n : traffic.n / 2;
        r.map.any_outcome = true; // memory forgets what was written to files
        world_run(r.world, shards[life], 20 * HOUR_NS, live, &r);
    }
    const bool is_good = !r.world->violation.count && !r.found.text[0];
    if (!is_good)
        printf("%s, %u and %u shards: %s%s\n", name, shards[0], shards[1], r.found.text,
               r.world->violation.text);
    map_world_deinit(&r.map);
    traffic_deinit(&traffic);
    if (!r.world->violation.count)
        world_destroy(r.world);
    *out_answers = r.answers;
    return is_good;
}

static bool compare(enum traffic_shape shape)
{
    static const unsigned shards[][2] = {{1, 1}, {3, 3}, {3, 1}, {2, 3}};
    struct buf first = {0};
    bool is_good = run_shape(shape, shards[0], &first);
    for (size_t i = 1; i < countof(shards) && is_good; i++) {
        struct buf other = {0};
        is_good = run_shape(shape, shards[i], &other);
        if (is_good && !str_eq(buf_str(&first), buf_str(&other))) {
            printf("%s: %u and %u shards answer otherwise than one\n", traffic_shape_name(shape),
                   shards[i][0], shards[i][1]);
            is_good = false;
        }
        buf_deinit(&other);
    }
    if (is_good)
        printf("%s: %zu bytes of answers are the same\n", traffic_shape_name(shape), first.n);
    buf_deinit(&first);
    return is_good;
}

int main(int argc, char **argv)
{
    unsigned passed = 0, failed = 0;
    simd_init(SIMD_ALL);
    for (int shape = 0; shape < TRAFFIC_ALL_COUNT; shape++) {
        if (argc > 1 && strtol(argv[1], NULL, 10) != shape)
            continue;
        const bool is_good = compare((enum traffic_shape)shape);
        passed += is_good;
        failed += !is_good;
    }
    printf("%u passed, %u failed\n", passed, failed);
    fflush(stdout);
    if (failed)
        _Exit(1); // worlds in the middle of something
    return 0;
}
