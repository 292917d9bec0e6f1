#include "tests/lib/traffic.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "engine/base/bits.h"
#include "engine/base/mem.h"
#include "engine/base/rng.h"
#include "engine/base/util.h"
#include "engine/model/labels.h"
#include "engine/model/value.h"

enum { STEP_MS = 15000, JITTER_MS = 7, LATE_MS = 300000, OPERATOR_LABELS = 7 };

enum value_kind { CONSTANT, COUNTER, BYTES, DECIMAL, NOISE, ODD, VALUE_KIND_COUNT };

struct series {
    struct str labels;
    enum value_kind kind;
    double value;
    bool gone;
};

struct target { // series that are scraped together
    uint64_t source;
    struct series *series;
    size_t n;
    int64_t offset_ms;
};

struct maker { // of one traffic
    struct traffic *traffic;
    struct rng rng;
    struct labels_builder builder;
    struct traffic_sample *samples; // of the batch being made
    size_t n, capacity;
    int64_t start_ms;
    size_t rounds;
};

static void put(struct maker *m, struct str labels, int64_t t_ms, uint64_t bits)
{
    m->samples = mem_grow(m->samples, &m->capacity, m->n + 1, sizeof *m->samples);
    m->samples[m->n++] = (struct traffic_sample){labels, t_ms, bits};
}

static void end_batch(struct maker *m, uint64_t source, int64_t late_ms)
{
    struct traffic *t = m->traffic;
    if (!m->n)
        return;
    struct traffic_sample *copy = arena_alloc(&t->arena, m->n * sizeof *copy, 8);
    memcpy(copy, m->samples, m->n * sizeof *copy);
    t->batches = mem_grow(t->batches, &t->capacity, t->n + 1, sizeof *t->batches);
    t->batches[t->n++] = (struct traffic_batch){copy, m->n, source, late_ms};
    m->n = 0;
}

static uint64_t next_value(struct maker *m, struct series *s)
{
    static const uint64_t odd[] = {
        0x8000000000000000u, 0x7ff0000000000000u, 0xfff0000000000000u, 0x7ff8000000000001u,
        0x7ff8000000000000u, 0xfff8000000000123u, VALUE_STALE_BITS,    1,
        0x7fefffffffffffffu};
    switch (s->kind) {
    case CONSTANT:
        if (rng_below(&m->rng, 40) == 0)
            s->value += 1;
        break;
    case COUNTER:
        s->value += (double)rng_below(&m->rng, 50);
        break;
    case BYTES:
        s->value += (double)rng_below(&m->rng, 1ull << 34);
        break;
    case DECIMAL:
        s->value = round((s->value + rng_double(&m->rng)) * 100) / 100;
        break;
    case NOISE:
        s->value = rng_double(&m->rng) * pow(10, (double)rng_below(&m->rng, 30) - 15);
        break;
    case ODD:
    case VALUE_KIND_COUNT:
        return odd[rng_below(&m->rng, countof(odd))];
    }
    return bits_from_double(s->value);
}

static struct str text(struct maker *m, const char *what, size_t number)
{
    return arena_printf(&m->traffic->arena, "%s-%zu", what, number);
}

static struct str finish_labels(struct maker *m)
{
    const struct str labels = labels_builder_finish(&m->builder, &m->traffic->arena);
    labels_builder_reset(&m->builder);
    return labels;
}

// job, instance and what prometheus-operator adds.
static void begin_labels(struct maker *m, const char *job, size_t instance)
{
    static const char *const names[OPERATOR_LABELS] = {"namespace", "pod",     "container", "node",
                                                       "endpoint",  "service", "cluster"};
    labels_builder_reset(&m->builder);
    labels_builder_set(&m->builder, STR("job"), str_from_c(job));
    labels_builder_set(&m->builder, STR("instance"), text(m, "10.0.0.1:9100", instance));
    for (size_t i = 0; i < OPERATOR_LABELS; i++)
        labels_builder_set(&m->builder, str_from_c(names[i]),
                           text(m, names[i],
                                i < 4    ? instance
                                : i == 4 ? 0
                                         : instance % 2));
}

static struct series make_series(struct maker *m, size_t metric, size_t index)
{
    labels_builder_set(&m->builder, LABEL_NAME, text(m, "metric", metric));
    if (index) {
        labels_builder_set(&m->builder, STR("cpu"), text(m, "cpu", index));
        labels_builder_set(&m->builder, STR("Zone"), text(m, "z", index % 3));
    }
    return (struct series){
        .labels = finish_labels(m),
        .kind = (enum value_kind)((metric + index) % VALUE_KIND_COUNT),
        .value = (double)rng_below(&m->rng, 1000000),
    };
}

static struct target make_target(struct maker *m, const char *job, size_t instance, size_t metrics,
                                 size_t each)
{
    struct target t = {.source = 1000 + instance,
                       .n = metrics * each,
                       .offset_ms = (int64_t)rng_below(&m->rng, STEP_MS)};
    t.series = arena_array(&m->traffic->arena, t.n, struct series);
    for (size_t i = 0; i < t.n; i++) {
        begin_labels(m, job, instance);
        t.series[i] = make_series(m, i / each, i % each);
    }
    return t;
}

static int64_t time_of(struct maker *m, const struct target *t, size_t round)
{
    return m->start_ms + t->offset_ms + (int64_t)(round * STEP_MS) +
           (int64_t)rng_below(&m->rng, JITTER_MS);
}

// One scrape; now and then a series ends with a stale marker or comes back.
static void scrape(struct maker *m, struct target *t, int64_t t_ms)
{
    for (size_t i = 0; i < t->n; i++) {
        struct series *s = &t->series[i];
        if (s->gone && rng_below(&m->rng, 5) > 0)
            continue;
        const bool ends = !s->gone && rng_below(&m->rng, 60) == 0;
        put(m, s->labels, t_ms, ends ? VALUE_STALE_BITS : next_value(m, s));
        s->gone = ends;
    }
}

static void shuffle(struct maker *m)
{
    for (size_t i = m->n; i > 1; i--) {
        const size_t other = rng_below(&m->rng, i);
        const struct traffic_sample sample = m->samples[i - 1];
        m->samples[i - 1] = m->samples[other];
        m->samples[other] = sample;
    }
}

static void make_scrapes(struct maker *m, bool unstable)
{
    struct target targets[3];
    for (size_t i = 0; i < countof(targets); i++)
        targets[i] = make_target(m, i < 2 ? "node" : "app", i, 12, 4);
    for (size_t round = 0; round < m->rounds; round++) {
        for (size_t i = 0; i < countof(targets); i++) {
            scrape(m, &targets[i], time_of(m, &targets[i], round));
            if (unstable)
                shuffle(m);
            end_batch(m, targets[i].source, 0);
        }
    }
}

// Takes the samples of the batch being made that belong to this connection of many.
static void send_part(struct maker *m, const struct traffic_sample *all, size_t n,
                      size_t connection, size_t connections)
{
    for (size_t i = 0; i < n; i++) {
        if (hash64(all[i].labels.p, all[i].labels.n, 7) % connections == connection)
            put(m, all[i].labels, all[i].t_ms, all[i].bits);
    }
}

static void make_connections(struct maker *m)
{
    struct target targets[3];
    for (size_t i = 0; i < countof(targets); i++)
        targets[i] = make_target(m, "node", i, 10, 4);
    enum { ROUNDS_A_PART = 4 };
    struct traffic_sample *all = NULL, *lagging = NULL;
    size_t all_capacity = 0, lagging_capacity = 0, lagging_n = 0;
    for (size_t round = 0; round < m->rounds; round += ROUNDS_A_PART) {
        const size_t connections = (round / 40) % 2 ? 5 : 8; // resharding
        for (size_t k = 0; k < ROUNDS_A_PART * countof(targets); k++) {
            struct target *t = &targets[k % countof(targets)];
            scrape(m, t, time_of(m, t, round + k / countof(targets)));
        }
        const size_t n = m->n;
        all = mem_grow(all, &all_capacity, n, sizeof *all);
        memcpy(all, m->samples, n * sizeof *all);
        m->n = 0;
        const size_t first = rng_below(&m->rng, connections);
        for (size_t i = 1; i < connections; i++) {
            send_part(m, all, n, (first + i) % connections, connections);
            end_batch(m, 1, LATE_MS);
        }
        send_part(m, all, n, first, connections);
        lagging = mem_grow(lagging, &lagging_capacity, lagging_n + m->n, sizeof *lagging);
        memcpy(lagging + lagging_n, m->samples, m->n * sizeof *lagging);
        lagging_n += m->n;
        m->n = 0;
        if (rng_below(&m->rng, 4) == 0 || round + ROUNDS_A_PART >= m->rounds) {
            for (size_t i = 0; i < lagging_n; i++)
                put(m, lagging[i].labels, lagging[i].t_ms, lagging[i].bits);
            end_batch(m, 1, LATE_MS);
            lagging_n = 0;
        }
    }
    mem_free(all);
    mem_free(lagging);
}

// One connection of eight sends what the others sent BEHIND seconds ago, all the time.
static void make_lagging(struct maker *m)
{
    enum { CONNECTIONS = 8, BEHIND = 280, ROUNDS = 2 * BEHIND, ROUND_MS = 1000 };
    struct target targets[3];
    size_t starts[ROUNDS + 1] = {0}; // of each round in held
    struct traffic_sample *held = NULL, *all = NULL;
    size_t held_capacity = 0, all_capacity = 0;
    for (size_t i = 0; i < countof(targets); i++)
        targets[i] = make_target(m, "node", i, 30, 4);
    for (size_t round = 0; round < ROUNDS + BEHIND; round++) {
        for (size_t i = 0; round < ROUNDS && i < countof(targets); i++)
            scrape(m, &targets[i],
                   m->start_ms + targets[i].offset_ms + (int64_t)(round * ROUND_MS));
        const size_t n = m->n;
        all = mem_grow(all, &all_capacity, n, sizeof *all);
        if (n)
            memcpy(all, m->samples, n * sizeof *all);
        m->n = 0;
        for (size_t i = 1; i < CONNECTIONS; i++) {
            send_part(m, all, n, i, CONNECTIONS);
            end_batch(m, 1, LATE_MS);
        }
        send_part(m, all, n, 0, CONNECTIONS);
        if (round < ROUNDS) {
            held = mem_grow(held, &held_capacity, starts[round] + m->n, sizeof *held);
            memcpy(held + starts[round], m->samples, m->n * sizeof *held);
            starts[round + 1] = starts[round] + m->n;
        }
        m->n = 0;
        if (round < BEHIND)
            continue;
        for (size_t i = starts[round - BEHIND]; i < starts[round - BEHIND + 1]; i++)
            put(m, held[i].labels, held[i].t_ms, held[i].bits);
        end_batch(m, 1, LATE_MS);
    }
    assert(starts[BEHIND] >= 12000);
    mem_free(held);
    mem_free(all);
}

static void send_again(struct maker *m, const struct traffic_batch *b, size_t n, bool change)
{
    for (size_t i = 0; i < n; i++)
        put(m, b->samples[i].labels, b->samples[i].t_ms, b->samples[i].bits + change);
    end_batch(m, b->source, rng_below(&m->rng, 2) ? LATE_MS : 0);
}

static void make_retries(struct maker *m)
{
    struct target t = make_target(m, "node", 0, 10, 4);
    for (size_t round = 0; round < m->rounds; round++) {
        scrape(m, &t, time_of(m, &t, round));
        end_batch(m, t.source, LATE_MS);
        const size_t back = 1 + rng_below(&m->rng, m->traffic->n < 6 ? m->traffic->n : 6);
        const struct traffic_batch b = m->traffic->batches[m->traffic->n - back];
        if (rng_below(&m->rng, 2) == 0)
            send_again(m, &b, rng_below(&m->rng, 2) ? b.n : b.n / 2, rng_below(&m->rng, 4) == 0);
    }
}

static void make_late_blocks(struct maker *m)
{
    struct target t = make_target(m, "node", 0, 6, 3);
    enum { BLOCK = 6, WINDOW = 5 };
    for (size_t round = 0; round < m->rounds; round += BLOCK * WINDOW) {
        size_t order[WINDOW];
        for (size_t i = 0; i < WINDOW; i++) {
            const size_t other = rng_below(&m->rng, i + 1);
            order[i] = order[other];
            order[other] = i;
        }
        for (size_t i = 0; i < WINDOW; i++) {
            for (size_t k = 0; k < BLOCK; k++)
                scrape(m, &t, time_of(m, &t, round + order[i] * BLOCK + k));
            if (rng_below(&m->rng, 2))
                shuffle(m);
            end_batch(m, t.source, LATE_MS);
        }
    }
}

static void make_long_series(struct maker *m)
{
    struct target t = make_target(m, "node", 0, 3, 2);
    int64_t at = m->start_ms;
    for (size_t batch = 0; batch * 10 < m->rounds; batch++) {
        const size_t each = 100 + rng_below(&m->rng, 400);
        for (size_t i = 0; i < t.n; i++) {
            for (size_t k = 0; k < each; k++)
                put(m, t.series[i].labels, at + (int64_t)k * 1000, next_value(m, &t.series[i]));
        }
        at += (int64_t)each * 1000;
        end_batch(m, 1, LATE_MS);
    }
}

static void make_twice(struct maker *m)
{
    struct target t = make_target(m, "node", 0, 8, 3);
    for (size_t round = 0; round < m->rounds; round++) {
        const int64_t t_ms = time_of(m, &t, round);
        for (size_t i = 0; i < t.n; i++) {
            const uint64_t bits = next_value(m, &t.series[i]);
            put(m, t.series[i].labels, t_ms, bits);
            if (rng_below(&m->rng, 3) == 0)
                put(m, t.series[i].labels, t_ms, bits + rng_below(&m->rng, 2));
            if (rng_below(&m->rng, 9) == 0)
                put(m, t.series[i].labels, t_ms - 3 + (int64_t)rng_below(&m->rng, 6), bits);
        }
        end_batch(m, t.source, rng_below(&m->rng, 2) ? LATE_MS : 0);
    }
}

static void make_endpoints(struct maker *m)
{
    struct target targets[4];
    for (size_t i = 0; i < countof(targets); i++) {
        targets[i] = make_target(m, "app", 0, 3, 4);
        targets[i].source = i;
        for (size_t k = 0; k < targets[i].n; k++) {
            labels_builder_load(&m->builder, targets[i].series[k].labels);
            labels_builder_set(&m->builder, STR("endpoint"), text(m, "port", i));
            targets[i].series[k].labels = finish_labels(m);
        }
    }
    for (size_t round = 0; round < m->rounds; round++) {
        for (size_t i = 0; i < countof(targets); i++) {
            scrape(m, &targets[i], time_of(m, &targets[i], round));
            end_batch(m, targets[i].source, 0);
        }
    }
}

static void make_ha_pair(struct maker *m)
{
    struct target replicas[4]; // two that differ in a label, two that do not
    for (size_t i = 0; i < countof(replicas); i++) {
        replicas[i] = make_target(m, i < 2 ? "node" : "bare", 0, 6, 3);
        replicas[i].source = i;
        for (size_t k = 0; i < 2 && k < replicas[i].n; k++) {
            labels_builder_load(&m->builder, replicas[i].series[k].labels);
            labels_builder_set(&m->builder, STR("prometheus_replica"), text(m, "prom", i));
            replicas[i].series[k].labels = finish_labels(m);
        }
    }
    for (size_t round = 0; round < m->rounds; round++) {
        for (size_t i = 0; i < countof(replicas); i++) {
            scrape(m, &replicas[i], time_of(m, &replicas[i], round));
            end_batch(m, replicas[i].source, LATE_MS);
        }
    }
}

static void make_nowhere(struct maker *m)
{
    enum { SERIES = 24 };
    struct target t = {.source = 3, .n = SERIES};
    t.series = arena_array(&m->traffic->arena, t.n, struct series);
    for (size_t i = 0; i < t.n; i++) {
        labels_builder_reset(&m->builder);
        if (i % 3 == 1)
            labels_builder_set(&m->builder, STR("job"), STR("batch"));
        if (i % 3 == 2)
            labels_builder_set(&m->builder, STR("instance"), text(m, "host", i % 2));
        t.series[i] = make_series(m, i / 2, i % 2);
    }
    for (size_t round = 0; round < m->rounds; round++) {
        scrape(m, &t, time_of(m, &t, round));
        end_batch(m, t.source, 0);
    }
}

static void federate(struct maker *m, size_t targets_n, size_t every)
{
    enum { METRICS = 4 };
    struct target *targets = arena_array(&m->traffic->arena, targets_n, struct target);
    for (size_t i = 0; i < targets_n; i++)
        targets[i] = make_target(m, i % 2 ? "node" : "app", i, METRICS, 1);
    for (size_t round = 0; round < m->rounds; round += every) {
        for (size_t metric = 0; metric < METRICS; metric++) {
            for (size_t i = 0; i < targets_n; i++) {
                const int64_t t_ms =
                    m->start_ms + targets[i].offset_ms + (int64_t)(round * STEP_MS);
                struct series *s = &targets[i].series[metric];
                put(m, s->labels, t_ms, next_value(m, s));
            }
        }
        end_batch(m, 77, 0);
    }
}

static void make_federation(struct maker *m)
{
    federate(m, 60, 4);
}

static void make_large_federation(struct maker *m)
{
    federate(m, 1000, 20);
}

static void make_containers(struct maker *m)
{
    enum { GROUPS = 7 };
    struct target t = make_target(m, "cadvisor", 0, 8, GROUPS);
    int64_t times[GROUPS] = {0};
    for (size_t round = 0; round < m->rounds; round++) {
        const int64_t now = time_of(m, &t, round);
        for (size_t i = 0; i < GROUPS; i++) {
            if (round == 0 || rng_below(&m->rng, 4)) // else: what was said last time, again
                times[i] = now - (int64_t)rng_below(&m->rng, 14000);
        }
        for (size_t i = 0; i < t.n; i++) {
            struct series *s = &t.series[i];
            const uint64_t bits =
                hash64(&times[i % GROUPS], sizeof times[0], i) % 3 ? 42 : next_value(m, s);
            put(m, s->labels, times[i % GROUPS], bits);
        }
        end_batch(m, t.source, 0);
    }
}

static void make_rollouts(struct maker *m)
{
    enum { PODS = 6 };
    struct target pods[PODS];
    size_t born = 0;
    for (size_t i = 0; i < PODS; i++)
        pods[i] = make_target(m, "pods", born++, 5, 1);
    for (size_t round = 0; round < m->rounds; round++) {
        for (size_t i = 0; i < PODS; i++) {
            const int64_t t_ms = time_of(m, &pods[i], round);
            if (rng_below(&m->rng, 8) == 0) {
                for (size_t k = 0; k < pods[i].n; k++)
                    put(m, pods[i].series[k].labels, t_ms, VALUE_STALE_BITS);
                end_batch(m, pods[i].source, 0);
                pods[i] = make_target(m, "pods", born++, 5, 1);
                continue;
            }
            scrape(m, &pods[i], t_ms);
            end_batch(m, pods[i].source, 0);
        }
    }
}

static void make_rules(struct maker *m)
{
    enum { TARGETS = 10, RULES = 3 };
    struct series *outputs = arena_array(&m->traffic->arena, TARGETS * RULES, struct series);
    for (size_t i = 0; i < TARGETS * RULES; i++) {
        begin_labels(m, "node", i % TARGETS);
        labels_builder_set(&m->builder, STR("rule"), text(m, "rule", i / TARGETS));
        outputs[i] = make_series(m, 100 + i / TARGETS, 0);
    }
    for (size_t round = 0; round < m->rounds; round++) {
        const int64_t t_ms = m->start_ms + (int64_t)(round * STEP_MS);
        for (size_t i = 0; i < TARGETS * RULES; i++)
            put(m, outputs[i].labels, t_ms, next_value(m, &outputs[i]));
        end_batch(m, 500, 0);
    }
}

static const struct {
    const char *name;
    void (*make)(struct maker *m);
} shapes[TRAFFIC_ALL_COUNT] = {
    [TRAFFIC_SCRAPES] = {"scrapes", NULL},
    [TRAFFIC_UNSTABLE_ORDER] = {"unstable order", NULL},
    [TRAFFIC_CONNECTIONS] = {"connections", make_connections},
    [TRAFFIC_RETRIES] = {"retries", make_retries},
    [TRAFFIC_LATE_BLOCKS] = {"late blocks", make_late_blocks},
    [TRAFFIC_LONG_SERIES] = {"long series", make_long_series},
    [TRAFFIC_TWICE] = {"twice", make_twice},
    [TRAFFIC_ENDPOINTS] = {"endpoints", make_endpoints},
    [TRAFFIC_HA_PAIR] = {"HA pair", make_ha_pair},
    [TRAFFIC_NOWHERE] = {"nowhere", make_nowhere},
    [TRAFFIC_FEDERATION] = {"federation", make_federation},
    [TRAFFIC_LARGE_FEDERATION] = {"federation of a thousand targets", make_large_federation},
    [TRAFFIC_LAGGING] = {"a connection 12,000 samples behind", make_lagging},
    [TRAFFIC_CONTAINERS] = {"containers", make_containers},
    [TRAFFIC_ROLLOUTS] = {"rollouts", make_rollouts},
    [TRAFFIC_RULES] = {"rules", make_rules},
};

const char *traffic_shape_name(enum traffic_shape shape)
{
    return shapes[shape].name;
}

void traffic_init(struct traffic *t, enum traffic_shape shape, uint64_t seed, int64_t t_ms,
                  size_t rounds)
{
    *t = (struct traffic){0};
    arena_init(&t->arena, 0);
    struct maker m = {.traffic = t, .start_ms = t_ms, .rounds = rounds};
    rng_init(&m.rng, seed);
    if (shapes[shape].make)
        shapes[shape].make(&m);
    else
        make_scrapes(&m, shape == TRAFFIC_UNSTABLE_ORDER);
    labels_builder_deinit(&m.builder);
    mem_free(m.samples);
}

void traffic_deinit(struct traffic *t)
{
    arena_deinit(&t->arena);
    mem_free(t->batches);
    *t = (struct traffic){0};
}
