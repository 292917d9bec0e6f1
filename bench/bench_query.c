// What a query costs from memory: 3,000 series of 100 targets, 15 s apart, 240 steps of 30 s. One
// JSON line a query: milliseconds, the least of several runs, and ns per series and step.
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "engine/base/mem.h"
#include "engine/base/rng.h"
#include "engine/base/util.h"
#include "engine/model/labels.h"
#include "engine/promql/parser.h"
#include "engine/promql/query.h"

enum { TARGETS = 100, PER_TARGET = 30, GAP_MS = 15000, STEP_MS = 30000 };

// Samples in memory as a storage would hand them out: a time column a target.
struct memory {
    size_t series_count, samples_count, per_target;
    struct storage_series *series;
    int64_t *t; // of each target
    double *v;  // of each series
    struct arena arena;
};

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000 + t.tv_nsec;
}

static err memory_select(void *self, const struct matcher *ms, size_t ms_count, int64_t mint,
                         int64_t maxt, const struct storage_want *want, struct arena *a,
                         struct storage_set *out, struct errmsg *e)
{
    (void)ms, (void)ms_count, (void)mint, (void)maxt, (void)want, (void)a, (void)e;
    const struct memory *m = self;
    *out = (struct storage_set){m->series, m->series_count, NULL};
    return ERR_OK;
}

// How many of t[0..n) are at most time.
static size_t after(const int64_t *t, size_t n, int64_t time)
{
    size_t from = 0;
    while (n > 0) {
        const size_t half = n / 2;
        if (t[from + half] <= time) {
            from += half + 1;
            n -= half + 1;
        } else {
            n = half;
        }
    }
    return from;
}

static err memory_read(void *self, const struct storage_set *set,
                       const struct storage_series *series, size_t n, int64_t mint, int64_t maxt,
                       struct arena *a, struct column *out, struct errmsg *e)
{
    (void)set, (void)a, (void)e;
    const struct memory *m = self;
    for (size_t i = 0; i < n; i++) {
        const int64_t *t = m->t + series[i].handle / m->per_target * m->samples_count;
        const double *v = m->v + series[i].handle * m->samples_count;
        const size_t from = after(t, m->samples_count, mint);
        const size_t to = after(t, m->samples_count, maxt);
        out[i] = (struct column){.t = t + from, .v = v + from, .n = to - from};
    }
    return ERR_OK;
}

static void memory_release(void *self, struct storage_set *set)
{
    (void)self, (void)set;
}

static void memory_fill(struct memory *m, size_t targets, size_t per_target, size_t samples)
{
    *m = (struct memory){.series_count = targets * per_target, .samples_count = samples};
    m->per_target = per_target;
    arena_init(&m->arena, 0);
    m->series = mem_alloc_array(m->series_count, sizeof *m->series);
    m->t = mem_alloc_array(targets * samples, sizeof *m->t);
    m->v = mem_alloc_array(m->series_count * samples, sizeof *m->v);
    struct rng rng;
    rng_init(&rng, 1);
    for (size_t target = 0; target < targets; target++)
        for (size_t i = 0; i < samples; i++)
            m->t[target * samples + i] = (int64_t)(i * GAP_MS + rng_below(&rng, 20));
    struct labels_builder b = {0};
    for (size_t s = 0; s < m->series_count; s++) {
        labels_builder_reset(&b);
        labels_builder_set(&b, LABEL_NAME, STR("x_total"));
        labels_builder_set(&b, STR("job"), STR("node"));
        labels_builder_set(&b, STR("instance"),
                           arena_printf(&m->arena, "10.0.0.%zu:9100", s / per_target));
        labels_builder_set(&b, STR("cpu"), arena_printf(&m->arena, "%02zu", s % per_target));
        m->series[s] = (struct storage_series){labels_builder_finish(&b, &m->arena),
                                               (uint32_t)(s / per_target * 256 / targets), s};
        double v = 0;
        for (size_t i = 0; i < samples; i++) {
            v = rng_below(&rng, 5000) ? v + (double)rng_below(&rng, 100) : 0;
            m->v[s * samples + i] = v;
        }
    }
    labels_builder_deinit(&b);
}

static void bench(struct memory *m, const char *text, size_t steps, int runs)
{
    static const struct storage_ops ops = {
        .select = memory_select, .read = memory_read, .release = memory_release};
    const struct storage part = {&ops, m};
    const struct query_source source = {&part, 1, false};
    const int64_t end_ms = (int64_t)(m->samples_count - 1) * GAP_MS;
    const struct query_options options = {
        .start_ms = end_ms - (int64_t)(steps - 1) * STEP_MS,
        .end_ms = end_ms,
        .step_ms = steps > 1 ? STEP_MS : 0,
        .lookback_ms = 300000,
        .subquery_step_ms = 60000,
    };
    const struct promql_options syntax = {0};
    int64_t least = INT64_MAX;
    size_t series = 0;
    for (int i = 0; i < runs; i++) {
        struct arena a;
        arena_init(&a, 0);
        struct promql_query parsed;
        struct query_result r;
        struct errmsg e = {0};
        const int64_t start = now_ns();
        if (promql_parse(str_from_c(text), &syntax, &a, &parsed, &e) ||
            promql_exec(&source, &options, parsed.expr, str_from_c(text), &a, &r, &e)) {
            fprintf(stderr, "%s: %s\n", text, e.text);
            exit(1);
        }
        const int64_t took = now_ns() - start;
        least = took < least ? took : least;
        series = r.series_count;
        query_done(&source, &r);
        promql_parse_done(&parsed);
        arena_deinit(&a);
    }
    printf("{\"bench\":\"query\",\"query\":\"%s\",\"series\":%zu,\"steps\":%zu,\"out\":%zu,"
           "\"ms\":%.3f,\"ns_per_point\":%.2f}\n",
           text, m->series_count, steps, series, (double)least / 1e6,
           (double)least / (double)(m->series_count * steps));
}

int main(int argc, char **argv)
{
    (void)argv;
    const bool full = argc > 1;
    struct memory m;
    memory_fill(&m, full ? TARGETS : 5, full ? PER_TARGET : 3, full ? 720 : 100);
    static const char *const queries[] = {"sum(rate(x_total[5m]))", "x_total",
                                          "rate(x_total[5m])",      "sum by (instance) (x_total)",
                                          "avg(x_total)",           "max_over_time(x_total[5m])",
                                          "x_total / x_total",      "topk(5, x_total)"};
    for (size_t i = 0; i < countof(queries); i++) {
        bench(&m, queries[i], full ? 240 : 20, full ? 10 : 1);
        bench(&m, queries[i], 1, full ? 10 : 1);
    }
    mem_free(m.series);
    mem_free(m.t);
    mem_free(m.v);
    arena_deinit(&m.arena);
    return 0;
}
