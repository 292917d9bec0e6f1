// What finding series by matchers takes: in memory, and in a file that is open, cold and again.
//
// bench_select [series] [series of an instance]: metrics of one job, ten names; of each instance
// some series. Each matcher is a JSON line: series found, microseconds of processor time, the best
// of some rounds; memory and file must find the same number.
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "engine/base/bits.h"
#include "engine/base/mem.h"
#include "engine/base/util.h"
#include "engine/model/labels.h"
#include "engine/tsdb/block_reader.h"
#include "engine/tsdb/tsdb_part.h"
#include "tests/lib/in_loop.h"

enum { METRICS = 10, ROUNDS = 5 };

struct shape {
    const char *what;
    size_t n;
    struct {
        enum matcher_kind kind;
        const char *name, *value;
    } ms[3];
};

static const struct shape shapes[] = {
    {"equal", 2, {{MATCHER_EQ, "job", "x"}, {MATCHER_EQ, "instance", "host-000007"}}},
    {"prefix", 2, {{MATCHER_EQ, "job", "x"}, {MATCHER_RE, "instance", "host-000.*"}}},
    {"prefix of few", 2, {{MATCHER_EQ, "job", "x"}, {MATCHER_RE, "instance", "host-0000.*"}}},
    {"prefix alone", 1, {{MATCHER_RE, "instance", "host-0000.*"}}},
    {"alternatives",
     2,
     {{MATCHER_EQ, "job", "x"}, {MATCHER_RE, "instance", "host-0000(01|05|09)"}}},
    {"class", 2, {{MATCHER_EQ, "job", "x"}, {MATCHER_RE, "instance", "host-0000[0-9]5"}}},
    {"substring", 2, {{MATCHER_EQ, "job", "x"}, {MATCHER_RE, "instance", ".*0077.*"}}},
    {"suffix", 2, {{MATCHER_EQ, "job", "x"}, {MATCHER_RE, "instance", ".*0077"}}},
    {"engine", 2, {{MATCHER_EQ, "job", "x"}, {MATCHER_RE, "instance", ".*-00(1+)2[0-4]\\d"}}},
    {"no case", 2, {{MATCHER_EQ, "job", "x"}, {MATCHER_RE, "instance", "(?i)HOST-00009.*"}}},
    {"engine, few left",
     2,
     {{MATCHER_EQ, "pod", "pod-00ab"}, {MATCHER_RE, "instance", ".*[13579]"}}},
    {"anything, few left", 2, {{MATCHER_EQ, "pod", "pod-00ab"}, {MATCHER_RE, "instance", ".+"}}},
    {"negative, few left",
     2,
     {{MATCHER_EQ, "pod", "pod-00ab"}, {MATCHER_NRE, "instance", ".*[13579]"}}},
    {"negative", 2, {{MATCHER_RE, "instance", "host-0000.*"}, {MATCHER_NRE, "instance", ".*1.*"}}},
    {"negative list",
     2,
     {{MATCHER_RE, "instance", "host-0000.*"}, {MATCHER_NRE, "instance", "host-000001|a|b"}}},
    {"anything", 2, {{MATCHER_EQ, "job", "x"}, {MATCHER_RE, "instance", ".+"}}},
    {"one metric", 1, {{MATCHER_EQ, "__name__", "metric_3"}}},
};

struct bench {
    size_t series, of_instance;
    char dir[64];
};

static double now_us(void) // of this thread: the machine may have other work
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void must(err code, const struct errmsg *e)
{
    if (code == ERR_OK)
        return;
    fprintf(stderr, "%s: %s\n", err_name(code), e->text);
    abort();
}

// The labels of a series, or what of them a file has in its tuple (tuple) or its set.
static struct str make_labels(struct arena *a, const struct bench *b, size_t i, bool tuple,
                              bool local)
{
    struct labels_builder l = {0};
    const size_t instance = i / b->of_instance;
    if (local) {
        labels_builder_set(&l, LABEL_NAME, arena_printf(a, "metric_%zu", i % METRICS));
        labels_builder_set(&l, STR("part"), arena_printf(a, "%zu", i % b->of_instance / METRICS));
    }
    if (tuple) {
        labels_builder_set(&l, STR("job"), STR("x"));
        labels_builder_set(&l, STR("instance"), arena_printf(a, "host-%06zu", instance));
        labels_builder_set(&l, STR("pod"),
                           arena_printf(a, "pod-%04zx", instance * 0x9e3779b1 >> 8 & 0xfff));
    }
    const struct str labels = labels_builder_finish(&l, a);
    labels_builder_deinit(&l);
    return labels;
}

static void fill_head(const struct bench *b, struct tsdb *db)
{
    struct arena a;
    arena_init(&a, 0);
    double spent = 0;
    for (size_t i = 0; i < b->series; i++) {
        const struct str labels = make_labels(&a, b, i, true, true);
        const struct hash128 hash = labels_hash(labels, tsdb_hash_seed(db));
        spent -= now_us();
        struct tsdb_sample s = {tsdb_series(db, labels, hash, i / b->of_instance), 1000,
                                bits_from_double(1)};
        struct tsdb_commit c = {.samples = &s, .n = 1, .max_t_ms = INT64_MAX};
        struct errmsg e;
        must(tsdb_commit(db, &c, &e), &e);
        spent += now_us();
        if (i % 1000 == 999)
            arena_reset(&a);
    }
    arena_deinit(&a);
    printf("{\"bench\": \"select\", \"what\": \"create\", \"ns_per_series\": %.0f}\n",
           spent * 1000 / (double)b->series);
}

static void write_file(const struct bench *b, const char *path)
{
    const int64_t t = 1000;
    const double v = 1;
    struct block_writer *w;
    struct block_summary s;
    struct errmsg e;
    struct arena a;
    arena_init(&a, 0);
    must(block_writer_create(path, 0, 0, &w, &e), &e);
    for (size_t m = 0; m < METRICS; m++) {
        for (size_t i = m; i < b->series; i += METRICS) {
            const struct block_key key = {(uint32_t)(i / b->of_instance % 256),
                                          make_labels(&a, b, i, true, false),
                                          make_labels(&a, b, i, false, true)};
            must(block_writer_add(w, &key, &(struct column){.t = &t, .v = &v, .n = 1}, &e), &e);
            if (i % 1000 < METRICS)
                arena_reset(&a);
        }
    }
    must(block_writer_finish(w, &s, &e), &e);
    block_writer_destroy(w);
    arena_deinit(&a);
}

static size_t find_in_head(struct tsdb *db, const struct matcher *ms, size_t n, double *us)
{
    struct head_found_list found;
    struct errmsg e;
    struct arena a;
    *us = 1e18;
    for (size_t round = 0; round < ROUNDS; round++) {
        arena_init(&a, 0);
        double spent = -now_us();
        must(head_select(&tsdb_part(db)->head, ms, n, 0, 2000, 0, &a, &found, &e), &e);
        spent += now_us();
        *us = spent < *us ? spent : *us;
        arena_mem_free(&a, found.items, found.capacity, sizeof *found.items);
        arena_deinit(&a);
    }
    return found.n;
}

static err count_hits(void *arg, const struct block_hit *hits, size_t n, struct errmsg *e)
{
    (void)hits, (void)e;
    *(size_t *)arg += n;
    return ERR_OK;
}

static size_t find_in_file(struct block_file *f, const struct matcher *ms, size_t n, double *us,
                           double *first_us)
{
    struct errmsg e;
    struct arena a;
    size_t found = 0;
    *us = 1e18;
    for (size_t round = 0; round < ROUNDS; round++) {
        arena_init(&a, 0);
        found = 0;
        double spent = -now_us();
        must(block_hits_each(f, ms, n, (struct block_range){0, 256}, &a, &found, &e, count_hits),
             &e);
        spent += now_us();
        if (round == 0)
            *first_us = spent;
        *us = spent < *us ? spent : *us;
        arena_deinit(&a);
    }
    return found;
}

static void measure(struct tsdb *db, struct block_file *f, const struct shape *shape)
{
    struct matcher ms[3];
    struct errmsg e;
    for (size_t i = 0; i < shape->n; i++) {
        struct regex *regex = NULL;
        const struct str value = str_from_c(shape->ms[i].value);
        if (shape->ms[i].kind == MATCHER_RE || shape->ms[i].kind == MATCHER_NRE)
            must(regex_create(value, REGEX_MATCHER, &regex, &e), &e);
        ms[i] = (struct matcher){shape->ms[i].kind, str_from_c(shape->ms[i].name), value, regex};
    }
    double head_us, file_us, first_us;
    const size_t n = find_in_head(db, ms, shape->n, &head_us);
    if (find_in_file(f, ms, shape->n, &file_us, &first_us) != n)
        abort();
    printf("{\"bench\": \"select\", \"what\": \"%s\", \"found\": %zu, \"head_us\": %.0f, "
           "\"file_first_us\": %.0f, \"file_us\": %.0f}\n",
           shape->what, n, head_us, first_us, file_us);
    for (size_t i = 0; i < shape->n; i++)
        regex_destroy((struct regex *)(uintptr_t)ms[i].regex);
}

static void run(void *arg)
{
    struct bench *b = arg;
    const struct tsdb_options options = {.path = NULL};
    struct tsdb *db;
    struct block_file *f;
    struct errmsg e;
    char path[80];
    snprintf(path, sizeof path, "%s/file", b->dir);
    must(tsdb_open(&options, &db, &e), &e);
    const size_t before = mem_live_bytes();
    fill_head(b, db);
    printf("{\"bench\": \"select\", \"what\": \"memory\", \"bytes_per_series\": %.1f}\n",
           ((double)mem_live_bytes() - (double)before) / (double)b->series);
    write_file(b, path);
    must(block_file_open(path, BLOCK_CACHE_DEFAULT_BYTES, &f, &e), &e);
    for (size_t i = 0; i < countof(shapes); i++)
        measure(db, f, &shapes[i]);
    printf("{\"bench\": \"select\", \"what\": \"file\", \"held_bytes\": %zu}\n",
           block_file_memory(f));
    block_file_unref(f);
    must(tsdb_close(db, &e), &e);
    unlink(path);
}

int main(int argc, char **argv)
{
    struct bench b = {.series = argc > 1 ? strtoul(argv[1], NULL, 10) : 2000,
                      .of_instance = argc > 2 ? strtoul(argv[2], NULL, 10) : 10,
                      .dir = "/tmp/bench_select.XXXXXX"};
    if (!mkdtemp(b.dir))
        return 1;
    in_loop(IN_LOOP_URING, run, &b);
    rmdir(b.dir);
    return 0;
}
