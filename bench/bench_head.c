// Memory per series and time per sample of the head.
//
// bench_head [series] [rows]: targets of 500 series each as node_exporter's are (64 % constant,
// the others integer counters, gauges and decimals), rows 15 s apart; once with labels job and
// instance only, once with what prometheus-operator adds. Each is a JSON line. Bytes are the
// allocator's live bytes (0 in sanitizer builds).
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "engine/base/bits.h"
#include "engine/base/mem.h"
#include "engine/base/rng.h"
#include "engine/model/labels.h"
#include "engine/tsdb/tsdb.h"

enum { TARGET_SERIES = 500, METRICS = 125, STEP_MS = 15000 };

struct made {
    uint64_t *refs;
    double *values;
    double create_ns, append_ns;
    size_t created_bytes, first_bytes, live_bytes;
};

static double now_ns(void) // of this thread: the machine may have other work
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static struct str label(struct arena *a, const char *what, size_t number)
{
    return arena_printf(a, "%s-%zu", what, number);
}

static struct str series_labels(struct arena *a, size_t target, size_t i, bool operator)
{
    static const char *const names[] = {"namespace", "pod",     "container", "endpoint", "service",
                                        "node",      "cluster", "region",    "zone",     "team"};
    struct labels_builder b = {0};
    labels_builder_set(&b, LABEL_NAME, label(a, "node_some_metric_seconds_total", i % METRICS));
    labels_builder_set(&b, STR("job"), STR("node-exporter"));
    labels_builder_set(&b, STR("instance"),
                       arena_printf(a, "10.%zu.%zu.1:9100", target / 250, target % 250));
    if (i / METRICS)
        labels_builder_set(&b, STR("device"), label(a, "nvme", i / METRICS));
    for (size_t k = 0; operator&& k<10; k++)
        labels_builder_set(&b, str_from_c(names[k]),
                           label(a, names[k],
                                 k == 1 || k == 5 ? target
                                 : k < 8          ? 0
                                                  : target % 3));
    const struct str labels = labels_builder_finish(&b, a);
    labels_builder_deinit(&b);
    return labels;
}

static void create(struct tsdb *db, struct made *m, size_t series, bool operator)
{
    struct arena a;
    arena_init(&a, 0);
    for (size_t i = 0; i < series; i++) {
        const size_t target = i / TARGET_SERIES;
        const struct str labels = series_labels(&a, target, i % TARGET_SERIES, operator);
        const double begin = now_ns();
        m->refs[i] = tsdb_series(db, labels, labels_hash(labels, tsdb_hash_seed(db)), target);
        m->create_ns += now_ns() - begin;
        if (i % 1000 == 999)
            arena_reset(&a);
    }
    arena_deinit(&a);
}

static double next_value(struct rng *rng, double v, size_t i)
{
    switch (i % 25) {
    case 0 ... 15:
        return v;
    case 16 ... 19:
        return v + (double)rng_below(rng, 1000);
    case 20 ... 22:
        return (double)((int64_t)v + (int64_t)rng_below(rng, 4096)) - 2048;
    case 23:
        return (double)(int64_t)((v + rng_double(rng)) * 100) / 100;
    default:
        return rng_double(rng);
    }
}

static void append(struct tsdb *db, struct made *m, size_t series, size_t rows)
{
    struct rng rng;
    rng_init(&rng, 1);
    struct tsdb_sample samples[TARGET_SERIES];
    for (size_t row = 0; row < rows; row++) {
        for (size_t first = 0; first < series; first += TARGET_SERIES) {
            const size_t n = series - first < TARGET_SERIES ? series - first : TARGET_SERIES;
            for (size_t i = 0; i < n; i++) {
                double *v = &m->values[first + i];
                *v = next_value(&rng, *v, i);
                samples[i] = (struct tsdb_sample){
                    m->refs[first + i], 1700000000000 + (int64_t)(row * STEP_MS + first % 15000),
                    bits_from_double(*v)};
            }
            struct tsdb_commit c = {.samples = samples, .n = n, .max_t_ms = INT64_MAX};
            const double begin = now_ns();
            if (tsdb_commit(db, &c, NULL) != ERR_OK || c.counts[TSDB_APPENDED] != n)
                abort();
            m->append_ns += now_ns() - begin;
        }
        if (row == 0)
            m->first_bytes = mem_live_bytes();
    }
    m->live_bytes = mem_live_bytes();
}

// Less than nothing: what came before was still being freed.
static double per_series(size_t bytes, size_t before, size_t series)
{
    return ((double)bytes - (double)before) / (double)series;
}

static void run(size_t series, size_t rows, bool operator)
{
    struct made m = {.refs = mem_alloc_array(series, 8), .values = mem_zalloc(series * 8)};
    const struct tsdb_options options = {.path = NULL};
    struct tsdb *db;
    if (tsdb_open(&options, &db, NULL) != ERR_OK)
        abort();
    const size_t before = mem_live_bytes();
    create(db, &m, series, operator);
    m.created_bytes = mem_live_bytes();
    append(db, &m, series, rows);
    const double samples = (double)series * (double)rows;
    printf("{\"bench\":\"head\",\"series\":%zu,\"labels\":%d,\"rows\":%zu,"
           "\"create_ns\":%.0f,\"append_ns\":%.1f,\"bytes_per_series\":{\"created\":%.0f,"
           "\"one_row\":%.0f,\"all_rows\":%.0f}}\n",
           series, operator? 14 : 4, rows, m.create_ns / (double)series, m.append_ns / samples,
           per_series(m.created_bytes, before, series),
           per_series(m.first_bytes, before, series),
           per_series(m.live_bytes, before, series));
    if (tsdb_close(db, NULL) != ERR_OK)
        abort();
    mem_free(m.refs);
    mem_free(m.values);
}

int main(int argc, char **argv)
{
    const size_t series = argc > 1 ? strtoul(argv[1], NULL, 10) : 2000;
    const size_t rows = argc > 2 ? strtoul(argv[2], NULL, 10) : 4;
    run(series, rows, false);
    run(series, rows, true);
    return 0;
}
