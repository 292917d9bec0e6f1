// What a block file costs: bytes a sample, index and all, and nanoseconds a sample to write, open,
// select, read and merge; bytes and nanoseconds a value by kind of column.
//
// bench_block [targets] [every]: the recording of tests/lib/capture.h, each body a scrape 15 s
// after the one before (of which one in every is taken), 480 of them (2 h) for each target, which
// begin two bodies apart. With the labels job and instance, and with the fourteen of an operator.
// The times are those of a loaded scraper: one in twenty is some milliseconds late.
//
// bench_block targets every metrics: one file alone, with that many of the metrics that have one
// series a target, and what reading one of them costs: nothing of the file in memory but its footer
// and its pages in the page cache (open), not even those (cold: the device's time, too), and again
// (warm). Bytes of its columns beside it: the cost follows these, not what else the targets have.
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "engine/base/bits.h"
#include "engine/base/mem.h"
#include "engine/base/rng.h"
#include "engine/base/util.h"
#include "engine/model/labels.h"
#include "engine/tsdb/block_reader.h"
#include "engine/tsdb/column.h"
#include "engine/tsdb/column_fit.h"
#include "protocol/exposition.h"
#include "simd/simd.h"
#include "tests/lib/capture.h"
#include "tests/lib/in_loop.h"

enum { STEP_MS = 15000, ROWS = 480, SERIES_MAX = 4096, SLOTS = 1 << 14, PATH = 128 };

struct metric { // a series of the exporter
    struct str text, name;
    struct label labels[16];
    size_t labels_n;
    uint64_t *bits; // by body
    bool *has;
};

struct bench {
    struct capture capture;
    struct arena arena;
    struct metric metrics[SERIES_MAX];
    uint32_t order[SERIES_MAX]; // by name
    size_t metrics_n, targets, rows, every;
    size_t metrics_max; // of the file for one metric; 0: the others
    uint32_t slots[SLOTS];
    char dir[PATH];
};

static double now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void must(err code, const struct errmsg *e)
{
    if (code == ERR_OK)
        return;
    fprintf(stderr, "%s: %s\n", err_name(code), e->text);
    abort();
}

// ---- the recording

static struct metric *metric_of(struct bench *b, const struct exposition *x)
{
    size_t at = hash64(x->series.p, x->series.n, 0) % SLOTS;
    for (; b->slots[at]; at = (at + 1) % SLOTS)
        if (str_eq(b->metrics[b->slots[at] - 1].text, x->series))
            return &b->metrics[b->slots[at] - 1];
    if (b->metrics_n == SERIES_MAX)
        abort();
    struct metric *m = &b->metrics[b->metrics_n++];
    struct buf scratch = {0};
    struct exposition_labels labels;
    struct label *l = m->labels;
    b->slots[at] = (uint32_t)b->metrics_n;
    m->text = x->series;
    m->bits = arena_zalloc(&b->arena, b->rows * sizeof *m->bits, 8);
    m->has = arena_zalloc(&b->arena, b->rows, 8);
    exposition_labels_init(&labels, x, &scratch);
    for (; exposition_labels_next(&labels, &l->name, &l->value); l++) {
        *l = (struct label){arena_str(&b->arena, l->name), arena_str(&b->arena, l->value)};
        if (str_eq(l->name, LABEL_NAME))
            m->name = l->value;
    }
    m->labels_n = (size_t)(l - m->labels);
    buf_deinit(&scratch);
    return m;
}

static int by_name(const void *x, const void *y, void *arg)
{
    const struct bench *b = arg;
    return str_cmp(b->metrics[load_le32(x)].name, b->metrics[load_le32(y)].name);
}

static void parse_all(struct bench *b)
{
    b->rows = b->capture.n / b->every;
    for (size_t row = 0; row < b->rows; row++) {
        struct exposition x;
        struct errmsg e;
        exposition_init(&x, EXPOSITION_TEXT, b->capture.bodies[row * b->every]);
        for (enum exposition_event event;;) {
            must(exposition_next(&x, &event, &e), &e);
            if (event == EXPOSITION_END)
                break;
            if (event != EXPOSITION_SERIES)
                continue;
            struct metric *m = metric_of(b, &x);
            m->bits[row] = x.sample.bits;
            m->has[row] = true;
        }
    }
    for (uint32_t i = 0; i < b->metrics_n; i++)
        b->order[i] = i;
    qsort_r(b->order, b->metrics_n, sizeof *b->order, by_name, b);
}

// ---- a file

struct shape {
    const char *name;
    const char *labels[14]; // name, then text in which %zu is the target
    size_t n;
};

static const struct shape shapes[] = {
    {"job_instance", {"job", "instance"}, 2},
    {"operator",
     {"cluster", "container", "endpoint", "instance", "job", "namespace", "node", "pod",
      "prometheus", "prometheus_replica", "service", "zone", "pod_uid", "region"},
     14},
};

static struct str tuple_of(struct bench *b, const struct shape *shape, size_t target)
{
    struct labels_builder l = {0};
    for (size_t i = 0; i < shape->n; i++) {
        const struct str name = str_from_c(shape->labels[i]);
        struct str value = arena_printf(&b->arena, "%s-of-all", shape->labels[i]);
        if (str_eq(name, STR("instance")))
            value = arena_printf(&b->arena, "10.20.%zu.%zu:9100", target / 250, target % 250);
        else if (str_eq(name, STR("pod")))
            value = arena_printf(&b->arena, "node-exporter-%05zx", target * 7919 % 1048576);
        else if (str_eq(name, STR("pod_uid")))
            value = arena_printf(&b->arena, "%016zx-%04zx", target * 0x9e3779b97f4a7c15, target);
        else if (str_eq(name, STR("node")))
            value =
                arena_printf(&b->arena, "ip-10-20-%zu-%zu.internal", target / 250, target % 250);
        else if (str_eq(name, STR("zone")))
            value = arena_printf(&b->arena, "zone-%zu", target % 3);
        labels_builder_set(&l, name, value);
    }
    const struct str tuple = labels_builder_finish(&l, &b->arena);
    labels_builder_deinit(&l);
    return tuple;
}

static struct str local_of(struct bench *b, const struct metric *m)
{
    struct labels_builder l = {0};
    for (size_t i = 0; i < m->labels_n; i++)
        labels_builder_set(&l, m->labels[i].name, m->labels[i].value);
    const struct str local = labels_builder_finish(&l, &b->arena);
    labels_builder_deinit(&l);
    return local;
}

// Rows [from, end) of each target's 480.
static double write_file(struct bench *b, const struct shape *shape, const char *path, size_t from,
                         size_t end, struct block_summary *out)
{
    struct errmsg e;
    struct block_writer *w;
    int64_t *times = arena_alloc(&b->arena, b->targets * ROWS * sizeof *times, 8);
    struct str *tuples = arena_array(&b->arena, b->targets, struct str);
    struct rng r;
    rng_init(&r, 1);
    for (size_t i = 0; i < b->targets; i++) {
        const int64_t start = 1700000000000 + (int64_t)rng_below(&r, STEP_MS);
        for (size_t row = 0; row < ROWS; row++)
            times[i * ROWS + row] = start + (int64_t)row * STEP_MS +
                                    (rng_below(&r, 20) ? 0 : 3 + (int64_t)rng_below(&r, 20));
        tuples[i] = tuple_of(b, shape, i);
    }
    double spent = -now_ns();
    must(block_writer_create(path, 0, 0, &w, &e), &e);
    for (size_t i = 0; i < b->metrics_n; i++) {
        const struct metric *m = &b->metrics[b->order[i]];
        const struct str local = local_of(b, m);
        for (size_t target = 0; target < b->targets; target++) {
            uint64_t bits[ROWS];
            int64_t t[ROWS];
            size_t n = 0;
            for (size_t row = from; row < end; row++) {
                const size_t body = (target * 2 + row) % b->rows;
                bits[n] = m->bits[body];
                t[n] = times[target * ROWS + row];
                n += m->has[body];
            }
            const struct block_key key = {(uint32_t)(target * 37 % 256), tuples[target], local};
            if (n)
                must(block_writer_add(
                         w, &key, &(struct column){.t = t, .v = (const double *)bits, .n = n}, &e),
                     &e);
        }
    }
    must(block_writer_finish(w, out, &e), &e);
    spent += now_ns();
    block_writer_destroy(w);
    return spent;
}

static void report_sections(const struct block_file *f)
{
    static const char *const names[] = {"names",   "pairs",     "sets",     "tuples",
                                        "series",  "postings",  "times",    "columns",
                                        "layouts", "exemplars", "metadata", "exemplar_times"};
    uint64_t total = 0;
    for (unsigned i = 0; i < BLOCK_SECTION_COUNT; i++) {
        uint64_t bytes = f->footer.sections[i].chunks * (uint64_t)BLOCK_CHUNK_BYTES;
        for (uint32_t c = 0; c < f->footer.sections[i].chunks; c++)
            bytes += f->tables[i].chunks[c].size;
        printf(", \"%s\": %llu", names[i], (unsigned long long)bytes);
        total += bytes;
    }
    printf(", \"rest\": %llu", (unsigned long long)(f->footer.summary.bytes - total));
}

static double time_query_once(struct block_file *f, struct str metric, size_t *samples)
{
    struct errmsg e;
    struct arena a;
    struct block_series *series;
    size_t n;
    arena_init(&a, 0);
    const struct matcher m = {MATCHER_EQ, LABEL_NAME, metric, NULL};
    double spent = -now_ns();
    must(block_file_select(f, &m, 1, (struct block_range){0, 256}, 0, &a, &series, &n, &e), &e);
    uint32_t *ids = arena_array(&a, n, uint32_t);
    struct column *columns = arena_array(&a, n, struct column);
    for (size_t i = 0; i < n; i++)
        ids[i] = series[i].id;
    must(block_file_read(f, ids, n, INT64_MIN, INT64_MAX, &a, columns, &e), &e);
    spent += now_ns();
    *samples = 0;
    for (size_t i = 0; i < n; i++)
        *samples += columns[i].n;
    arena_deinit(&a);
    return spent;
}

static double time_query(struct block_file *f, struct str metric, size_t *samples)
{
    enum { ROUNDS = 20 };
    double best = 1e18;
    for (int round = 0; round < ROUNDS; round++) {
        const double spent = time_query_once(f, metric, samples);
        best = spent < best ? spent : best;
    }
    return best;
}

static void measure_file(struct bench *b, const struct shape *shape)
{
    char path[PATH + 16];
    struct block_summary s;
    struct block_file *f;
    struct errmsg e;
    snprintf(path, sizeof path, "%s/%s", b->dir, shape->name);
    const double write_ns = write_file(b, shape, path, 0, ROWS, &s);
    double open_ns = -now_ns();
    must(block_file_open(path, BLOCK_CACHE_DEFAULT_BYTES, &f, &e), &e);
    open_ns += now_ns();
    const size_t opened = block_file_memory(f);
    size_t samples;
    const double query_ns = time_query(f, STR("node_cpu_seconds_total"), &samples);
    printf("{\"bench\": \"block_file\", \"labels\": \"%s\", \"targets\": %zu, \"series\": %llu, "
           "\"samples\": %llu, \"bytes_per_sample\": %.4f, \"write_ns_per_sample\": %.1f, "
           "\"open_us\": %.0f, \"open_bytes\": %zu, \"query_ns_per_sample\": %.2f, "
           "\"query_samples\": %zu, \"memory_after\": %zu",
           shape->name, b->targets, (unsigned long long)s.series, (unsigned long long)s.samples,
           (double)s.bytes / (double)s.samples, write_ns / (double)s.samples, open_ns / 1000,
           opened, query_ns / (double)samples, samples, block_file_memory(f));
    for (unsigned i = 0; i < BLOCK_SECTION_COUNT; i++)
        must(block_table_load(f, (enum block_section)i, &e), &e);
    report_sections(f);
    printf("}\n");
    block_file_unref(f);
}

static void measure_merge(struct bench *b)
{
    enum { PARTS = 8 };
    char path[PATH + 16];
    struct block_file *files[PARTS];
    struct block_summary s;
    struct errmsg e;
    uint64_t bytes = 0;
    for (unsigned i = 0; i < PARTS; i++) {
        snprintf(path, sizeof path, "%s/part%u", b->dir, i);
        write_file(b, &shapes[1], path, i * ROWS / PARTS, (i + 1) * ROWS / PARTS, &s);
        bytes += s.bytes;
        must(block_file_open(path, BLOCK_CACHE_DEFAULT_BYTES, &files[i], &e), &e);
    }
    snprintf(path, sizeof path, "%s/merged", b->dir);
    double spent = -now_ns();
    must(block_merge(files, PARTS, (struct block_range){0, UINT32_MAX}, path, INT64_MIN, &s, &e),
         &e);
    spent += now_ns();
    printf(
        "{\"bench\": \"block_merge\", \"files\": %d, \"samples\": %llu, "
        "\"bytes_per_sample_before\": %.4f, \"bytes_per_sample\": %.4f, \"ns_per_sample\": %.1f}\n",
        PARTS, (unsigned long long)s.samples, (double)bytes / (double)s.samples,
        (double)s.bytes / (double)s.samples, spent / (double)s.samples);
    for (unsigned i = 0; i < PARTS; i++)
        block_file_unref(files[i]);
}

// ---- one metric of many targets

// Leaves the metrics with one series, most of them; the first is asked for.
static void keep_single(struct bench *b, size_t max)
{
    size_t n = 0;
    for (size_t i = 0; i < b->metrics_n && n < max; i++) {
        const struct str name = b->metrics[b->order[i]].name;
        const bool is_before = i && str_eq(b->metrics[b->order[i - 1]].name, name);
        const bool is_behind =
            i + 1 < b->metrics_n && str_eq(b->metrics[b->order[i + 1]].name, name);
        if (!is_before && !is_behind)
            b->order[n++] = b->order[i];
    }
    b->metrics_n = n;
}

enum reading { READING_WARM, READING_OPEN, READING_COLD, READINGS };

static double time_reading(const char *path, struct str metric, enum reading reading,
                           size_t *samples)
{
    enum { ROUNDS = 20 };
    double best = 1e18;
    for (int round = 0; round < ROUNDS; round++) {
        struct block_file *f;
        struct errmsg e;
        if (reading == READING_COLD) {
            const int fd = open(path, O_RDONLY | O_CLOEXEC);
            if (fd < 0 || posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) != 0)
                abort();
            close(fd);
        }
        must(block_file_open(path, BLOCK_CACHE_DEFAULT_BYTES, &f, &e), &e);
        if (reading == READING_WARM)
            time_query_once(f, metric, samples);
        const double spent = time_query_once(f, metric, samples);
        best = spent < best ? spent : best;
        block_file_unref(f);
    }
    return best;
}

static void measure_metric(struct bench *b, const struct shape *shape, size_t metrics)
{
    static const char *const names[READINGS] = {"warm", "open", "cold"};
    char path[PATH + 16];
    struct block_summary s;
    size_t samples = 0;
    keep_single(b, metrics);
    snprintf(path, sizeof path, "%s/%s", b->dir, shape->name);
    write_file(b, shape, path, 0, ROWS, &s);
    for (size_t i = 0; i < b->metrics_n; i += b->metrics_n / 4 + 1) {
        const struct str metric = b->metrics[b->order[i]].name;
        printf("{\"bench\": \"block_metric\", \"metric\": \"%.*s\", \"targets\": %zu, "
               "\"metrics\": %zu, \"file_bytes\": %llu",
               (int)metric.n, metric.p, b->targets, b->metrics_n, (unsigned long long)s.bytes);
        for (enum reading r = 0; r < READINGS; r++)
            printf(", \"%s_us\": %.0f", names[r], time_reading(path, metric, r, &samples) / 1000);
        printf(", \"samples\": %zu}\n", samples);
    }
}

// ---- columns by kind

struct kind {
    size_t columns, bytes;
    double encode_ns, decode_ns;
};

static const char *const forms[] = {"const", "ramp",   "for",   "line",
                                    "delta", "delta2", "slope", "xor"};
static const char *const scales[] = {"integer", "divide", "multiply", "two_steps", "raw"};

static void measure_column(const struct bench *b, const struct metric *m,
                           struct kind kinds[countof(scales)][COLUMN_FORM_COUNT][2])
{
    enum { ROUNDS = 20 };
    uint8_t bytes[COLUMN_BYTES_MAX];
    double out[COLUMN_MAX + COLUMN_PAD];
    size_t n = 0, size = 0;
    uint64_t bits[ROWS];
    for (size_t row = 0; row < ROWS && row < b->rows; row++)
        if (m->has[row])
            bits[n++] = m->bits[row];
    if (n < ROWS / 2)
        return;
    double encode_ns = 1e18, decode_ns = 1e18; // the best round: others share the machine
    for (int round = 0; round < ROUNDS; round++) {
        const double start = now_ns();
        size = column_encode_values(bits, n, bytes);
        const double middle = now_ns();
        for (int i = 0; i < 10; i++)
            if (!column_decode_values(bytes, size, n, out))
                abort();
        const double end = now_ns();
        encode_ns = middle - start < encode_ns ? middle - start : encode_ns;
        decode_ns = (end - middle) / 10 < decode_ns ? (end - middle) / 10 : decode_ns;
    }
    const unsigned scale = bytes[0] & COLUMN_HEAD_SCALED ? bytes[1] : 0;
    const unsigned row = scale == 0 ? 0 : scale == 127 ? 4 : scale / 32 + 1;
    struct kind *k =
        &kinds[row][bytes[0] & COLUMN_HEAD_FORM][bytes[0] & COLUMN_HEAD_OUTLIERS ? 1 : 0];
    k->columns++;
    k->bytes += size;
    k->encode_ns += encode_ns / (double)n;
    k->decode_ns += decode_ns / (double)n;
}

static void measure_columns(struct bench *b)
{
    static struct kind kinds[countof(scales)][COLUMN_FORM_COUNT][2];
    for (size_t i = 0; i < b->metrics_n; i++)
        measure_column(b, &b->metrics[i], kinds);
    for (size_t s = 0; s < countof(scales); s++)
        for (size_t f = 0; f < COLUMN_FORM_COUNT; f++)
            for (size_t o = 0; o < 2; o++) {
                const struct kind *k = &kinds[s][f][o];
                const double n = (double)k->columns;
                if (k->columns)
                    printf("{\"bench\": \"column\", \"scale\": \"%s\", \"form\": \"%s\", "
                           "\"outliers\": %s, \"columns\": %zu, \"bytes_per_column\": %.1f, "
                           "\"encode_ns_per_value\": %.2f, \"decode_ns_per_value\": %.2f}\n",
                           scales[s], forms[f], o ? "true" : "false", k->columns,
                           (double)k->bytes / n, k->encode_ns / n, k->decode_ns / n);
            }
}

static void run(void *arg)
{
    struct bench *b = arg;
    if (b->metrics_max) {
        measure_metric(b, &shapes[0], b->metrics_max);
        return;
    }
    measure_columns(b);
    for (size_t i = 0; i < countof(shapes); i++)
        measure_file(b, &shapes[i]);
    measure_merge(b);
}

int main(int argc, char **argv)
{
    enum { SKIPPED = 77 };
    static struct bench b = {.dir = "/tmp/ferula-bench-XXXXXX"};
    char command[PATH + 16];
    uint32_t mask;
    b.targets = argc > 1 ? strtoul(argv[1], NULL, 10) : 2;
    b.every = argc > 2 ? strtoul(argv[2], NULL, 10) : 1;
    b.metrics_max = argc > 3 ? strtoul(argv[3], NULL, 10) : 0;
    if (b.targets == 0 || b.every == 0 || simd_mask_from_environment(&mask, NULL) != ERR_OK)
        return 2;
    if (!capture_load(&b.capture)) {
        printf("FERULA_CAPTURE names no recording\n");
        return SKIPPED;
    }
    mem_thread_init(); // as a shard
    simd_init(mask);
    arena_init(&b.arena, 0);
    parse_all(&b);
    if (!mkdtemp(b.dir))
        abort();
    in_loop(IN_LOOP_URING, run, &b);
    snprintf(command, sizeof command, "rm -r %s", b.dir);
    const int failed = system(command);
    arena_deinit(&b.arena);
    capture_deinit(&b.capture);
    return failed != 0;
}
