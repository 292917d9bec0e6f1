// Memory does not grow with time: ten simulated hours at 10,000 series of which some leave and
// others come; what the program holds in hour ten is at most 1.1 times that of hour three. The
// simulated disk's own bytes are not the program's.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/bits.h"
#include "engine/base/mem.h"
#include "engine/model/labels.h"
#include "engine/tsdb/tsdb.h"
#include "simd/simd.h"
#include "tests/sim/world_shards.h"

enum {
    TARGETS = 20,
    SERIES = 500, // of a target
    HOURS = 10,
    ROUND_S = 15,
    ROUNDS = HOURS * 3600 / ROUND_S,
    ROUNDS_A_POD = 40, // then one of the targets is replaced
    SHARDS = 2,
};
static const int64_t SECOND = 1000 * 1000 * 1000;

struct target {
    struct load *load;
    unsigned pod;
    struct arena labels;
    struct str series[SERIES];
    struct hash128 hashes[SERIES];
    uint64_t refs[SERIES];
    double values[SERIES];
    struct tsdb_sample samples[SERIES];
    unsigned owner;
    err result;
    struct errmsg e;
};

struct load {
    struct world *world;
    struct tsdb *db;
    struct rng rng;
    struct target targets[TARGETS];
    unsigned pods;
    double sum[HOURS], max[HOURS];
    size_t n[HOURS];
    uint64_t samples;
};

static void make_target(struct load *load, struct target *t)
{
    struct labels_builder b = {0};
    arena_reset(&t->labels);
    t->load = load;
    t->pod = load->pods++;
    for (unsigned i = 0; i < SERIES; i++) {
        labels_builder_reset(&b);
        labels_builder_set(&b, LABEL_NAME, arena_printf(&t->labels, "metric_%u_total", i / 5));
        labels_builder_set(&b, STR("mode"), arena_printf(&t->labels, "mode-%u", i % 5));
        labels_builder_set(&b, STR("job"), STR("node"));
        labels_builder_set(&b, STR("instance"), arena_printf(&t->labels, "10.0.0.%u", t->pod));
        labels_builder_set(&b, STR("pod"), arena_printf(&t->labels, "node-exporter-%u", t->pod));
        t->series[i] = labels_builder_finish(&b, &t->labels);
        t->hashes[i] = labels_hash(t->series[i], tsdb_hash_seed(load->db));
        t->refs[i] = 0;
        t->values[i] = (double)rng_below(&load->rng, 1000000);
    }
    t->owner = tsdb_owner(load->db, tsdb_partition(load->db, t->series[0]));
    labels_builder_deinit(&b);
}

// Constants, counters, gauges, and some that are hard to pack.
static double next_value(struct load *load, double before, unsigned i)
{
    switch (i % 4) {
    case 0:
        return before;
    case 1:
        return before + (double)rng_below(&load->rng, 100);
    case 2:
        return before + ((double)rng_below(&load->rng, 201) - 100) / 100;
    default:
        return i % 8 == 3 ? rng_double(&load->rng) : before + (double)rng_below(&load->rng, 2);
    }
}

static void scrape(void *arg)
{
    struct target *t = arg;
    struct load *load = t->load;
    const int64_t now = world_wall_ms(load->world);
    for (unsigned i = 0; i < SERIES; i++) {
        if (!t->refs[i] || !tsdb_series_labels(load->db, t->refs[i]).n)
            t->refs[i] = tsdb_series(load->db, t->series[i], t->hashes[i], t->pod + 1);
        t->values[i] = next_value(load, t->values[i], i);
        t->samples[i] = (struct tsdb_sample){t->refs[i], now, bits_from_double(t->values[i])};
    }
    struct tsdb_commit c = {.samples = t->samples, .n = SERIES, .max_t_ms = INT64_MAX};
    t->result = tsdb_commit(load->db, &c, &t->e);
    if (t->result == ERR_OK && c.counts[TSDB_APPENDED] != SERIES)
        world_violate(load->world, "%llu of %d samples appended",
                      (unsigned long long)c.counts[TSDB_APPENDED], SERIES);
    load->samples += SERIES;
}

static void measure(struct load *load, size_t round)
{
    const size_t hour = round * ROUND_S / 3600;
    const double bytes = (double)(mem_live_bytes() - disk_memory_bytes(load->world->disk));
    load->sum[hour] += bytes;
    load->n[hour]++;
    if (bytes > load->max[hour])
        load->max[hour] = bytes;
}

static void live(void *arg)
{
    struct load *load = arg;
    const struct tsdb_options options = {.path = "data", .wal_sync = TSDB_WAL_SYNC_INTERVAL};
    struct errmsg e;
    if (tsdb_open(&options, &load->db, &e) != ERR_OK) {
        world_violate(load->world, "open: %s", e.text);
        return;
    }
    for (unsigned i = 0; i < TARGETS; i++) {
        arena_init(&load->targets[i].labels, 0);
        make_target(load, &load->targets[i]);
    }
    for (size_t round = 0; round < ROUNDS && !load->world->violation.count; round++) {
        if (round % ROUNDS_A_POD == ROUNDS_A_POD - 1)
            make_target(load, &load->targets[rng_below(&load->rng, TARGETS)]);
        for (unsigned i = 0; i < TARGETS; i++) {
            struct target *t = &load->targets[i];
            shard_call(shards_at(shard_all(), t->owner), LOOP_SCRAPE, scrape, t);
            if (t->result != ERR_OK)
                world_violate(load->world, "commit: %s", t->e.text);
            (void)!fiber_sleep_ns(ROUND_S * SECOND / TARGETS);
        }
        if (round % 4 == 0)
            measure(load, round);
    }
    for (unsigned i = 0; i < TARGETS; i++)
        arena_deinit(&load->targets[i].labels);
    if (tsdb_close(load->db, &e) != ERR_OK)
        world_violate(load->world, "close: %s", e.text);
}

int main(void)
{
    simd_init(SIMD_ALL);
    if (mem_live_bytes() == 0) {
        printf("the allocator does not count: skipped\n0 passed, 0 failed, 1 skipped\n");
        return 0;
    }
    struct load *load = mem_zalloc(sizeof *load);
    load->world = world_create(3);
    rng_init(&load->rng, 3);
    world_run(load->world, SHARDS, (HOURS + 2) * 3600 * SECOND, live, load);
    for (size_t i = 0; i < HOURS; i++)
        printf("hour %2zu: %6.2f MB in the mean, %6.2f MB at most\n", i + 1,
               load->sum[i] / (double)(load->n[i] ? load->n[i] : 1) / 1e6, load->max[i] / 1e6);
    const bool is_good =
        !load->world->violation.count && load->n[9] &&
        load->sum[9] / (double)load->n[9] <= 1.1 * load->sum[2] / (double)load->n[2] &&
        load->max[9] <= 1.1 * load->max[2];
    if (load->world->violation.count)
        printf("%s\n", load->world->violation.text);
    printf("%llu samples, %u targets in all\n", (unsigned long long)load->samples, load->pods);
    printf("%d passed, %d failed\n", is_good, !is_good);
    fflush(stdout);
    if (load->world->violation.count)
        _Exit(1); // a world in the middle of something
    world_destroy(load->world);
    mem_free(load);
    return !is_good;
}
