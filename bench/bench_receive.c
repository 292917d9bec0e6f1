// What receiving a sample by remote_write costs, by parts: decompression, the walk with the
// recognition of series, keeping them in memory, what the log adds, and the socket with HTTP.
//
// bench_receive [series] [rounds] [pattern]: targets as node_exporter's with 2 labels more (job,
// instance) or 14, requests of 2,000 series, packed by libsnappy; sent whole target after target,
// split by series over eight senders, shuffled anew each round, as a few series with many samples,
// or whole target after target by 2.0, with metadata and requests that begin elsewhere in each
// round, or with the same series in all rounds. The first round, in which every series is new, is
// printed by itself. CPU time of the process, ns a sample; the socket's part is that of requests of
// the same size whose body is only read.
//
// Instructions, where io_uring is forbidden, which valgrind does not know:
//     build/tests/lib/no_uring valgrind --tool=callgrind build/bench/bench_receive 2000 3 rows
// and callgrind_annotate; functions by themselves, since fibers mislead it about their callees.
// Those of known series are the difference of two runs with different rounds; each round is made
// four times, with 2 and 14 labels, without and with a log, and unpacked twice.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "engine/base/mem.h"
#include "engine/base/rng.h"
#include "engine/base/util.h"
#include "engine/remote/request_notes.h"
#include "engine/shard/shard.h"
#include "io/backend.h"
#include "io/clock.h"
#include "protocol/snappy_block.h"
#include "simd/simd.h"
#include "tests/lib/http_load.h"

enum { TARGET_SERIES = 500, METRICS = 125, BATCH = 2000, SENDERS = 8, LONG_SAMPLES = 50 };

enum pattern { ROWS, SPLIT, SHUFFLED, LONG, ROWS2, SAME2, PATTERNS };
static const char *const pattern_names[] = {"rows",        "split by series",
                                            "shuffled",    "long series",
                                            "rows by 2.0", "rows by 2.0, cut the same"};

struct bench {
    const char *only; // pattern; NULL: all
    size_t series, rounds;
    unsigned labels;
    enum pattern pattern;
    struct buf *packed; // requests of a round
    struct table {
        struct str list[8192];
        uint32_t slots[16384]; // number + 1; 0: free
        uint32_t n;
    } symbols; // of a request of 2.0
    size_t requests, samples;
    uint64_t packed_bytes, bytes;
    size_t load_bytes;
    struct http_server *web;
};

struct times { // ns
    double snappy, walk, keep;
};

static bool is_v2(const struct bench *b)
{
    return b->pattern >= ROWS2;
}

static void must(bool ok)
{
    if (!ok)
        abort();
}

static double cpu_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

// ---- requests

static void put_field(struct buf *out, unsigned number, struct str s)
{
    buf_put_varint(out, number << 3 | 2);
    buf_put_varint(out, s.n);
    buf_put_str(out, s);
}

static uint32_t symbol(struct table *all, struct str s, struct arena *a)
{
    size_t at = hash64(s.p, s.n, 0) % countof(all->slots);
    for (; all->slots[at]; at = (at + 1) % countof(all->slots))
        if (str_eq(all->list[all->slots[at] - 1], s))
            return all->slots[at] - 1;
    must(all->n < countof(all->list));
    all->list[all->n] = arena_str(a, s);
    all->slots[at] = ++all->n;
    return all->n - 1;
}

// symbols: of 2.0, which has references for labels; NULL: 1.0.
static void put_label(struct buf *series, const char *name, struct str value, struct table *symbols,
                      struct arena *a)
{
    if (symbols) {
        buf_put_varint(series, symbol(symbols, str_from_c(name), a));
        buf_put_varint(series, symbol(symbols, value, a));
        return;
    }
    struct buf label = {0};
    put_field(&label, 1, str_from_c(name));
    put_field(&label, 2, value);
    put_field(series, 1, buf_str(&label));
    buf_deinit(&label);
}

static void put_labels(struct buf *series, size_t number, unsigned labels, struct table *symbols,
                       struct arena *a)
{
    static const char *const names[] = {"cluster", "container", "endpoint",   "namespace",
                                        "node",    "pod",       "prometheus", "region",
                                        "service", "team",      "zone",       "zz_replica"};
    static const char *const values[] = {"production-eu-1",
                                         "node-exporter",
                                         "http-metrics",
                                         "monitoring",
                                         "ip-10-0-0-%zu.compute.internal",
                                         "prometheus-node-exporter-%zu",
                                         "monitoring/k8s",
                                         "eu-central-1",
                                         "prometheus-node-exporter",
                                         "platform",
                                         "eu-central-1a",
                                         "prometheus-k8s-0"};
    const size_t target = number / TARGET_SERIES, i = number % TARGET_SERIES;
    put_label(series, "__name__",
              arena_printf(a, "node_some_metric_%zu_seconds_total", i % METRICS), symbols, a);
    put_label(series, "device", arena_printf(a, "nvme%zun1", i / METRICS), symbols, a);
    put_label(series, "instance", arena_printf(a, "10.%zu.%zu.1:9100", target / 250, target % 250),
              symbols, a);
    put_label(series, "job", STR("node-exporter"), symbols, a);
    for (size_t k = 0; labels > 2 && k < countof(names); k++) {
        const bool varies = k == 4 || k == 5;
        put_label(series, names[k],
                  !varies  ? str_from_c(values[k])
                  : k == 4 ? arena_printf(a, "ip-10-0-0-%zu.compute.internal", target)
                           : arena_printf(a, "prometheus-node-exporter-%05zu", target),
                  symbols, a);
    }
}

static double value_of(size_t number, size_t step)
{
    return number % 3 ? (double)(number % 97) : (double)(number * 31 + step * (number % 11));
}

static void put_series(struct bench *b, struct buf *request, size_t number, size_t round,
                       int64_t start_ms, struct arena *a)
{
    struct buf series = {0}, sample = {0};
    const size_t samples = b->pattern == LONG ? LONG_SAMPLES : 1;
    struct table *const symbols = is_v2(b) ? &b->symbols : NULL;
    put_labels(&series, number, b->labels, symbols, a);
    if (symbols) { // so far it is the content of a field
        struct buf refs = series;
        series = (struct buf){0};
        put_field(&series, 1, buf_str(&refs));
        buf_deinit(&refs);
    }
    for (size_t i = 0; i < samples; i++) {
        const size_t step = round * samples + i;
        const double v = value_of(number, step);
        buf_reset(&sample);
        buf_put_char(&sample, 1 << 3 | 1);
        buf_put_le64(&sample, bits_from_double(v));
        buf_put_char(&sample, 2 << 3);
        buf_put_varint(&sample, (uint64_t)(start_ms + (int64_t)step * 1000));
        put_field(&series, 2, buf_str(&sample));
    }
    if (symbols) {
        buf_reset(&sample);
        buf_put_char(&sample, 1 << 3);
        buf_put_char(&sample, 1);
        buf_put_char(&sample, 3 << 3);
        buf_put_varint(
            &sample,
            symbol(symbols,
                   arena_printf(a, "Help of metric %zu.", number % TARGET_SERIES % METRICS), a));
        put_field(&series, 5, buf_str(&sample));
    }
    put_field(request, symbols ? 5 : 1, buf_str(&series));
    buf_deinit(&series);
    buf_deinit(&sample);
}

static void reset_symbols(struct bench *b, struct arena *a)
{
    b->symbols.n = 0;
    memset(b->symbols.slots, 0, sizeof b->symbols.slots);
    symbol(&b->symbols, STR(""), a);
}

// The table goes before the series.
static void put_symbols(struct bench *b, struct buf *request)
{
    struct buf all = {0};
    for (uint32_t i = 0; i < b->symbols.n; i++)
        put_field(&all, 4, b->symbols.list[i]);
    buf_put_str(&all, buf_str(request));
    buf_deinit(request);
    *request = all;
}

// Which series comes at a place of a round.
static void make_order(const struct bench *b, size_t round, uint32_t *order)
{
    struct rng rng;
    rng_init(&rng, round);
    size_t n = 0;
    for (size_t sender = 0; sender < SENDERS && b->pattern == SPLIT; sender++)
        for (uint32_t i = 0; i < b->series; i++)
            if (hash64(&i, sizeof i, 0) % SENDERS == sender)
                order[n++] = i;
    for (uint32_t i = 0; i < b->series && b->pattern != SPLIT; i++)
        order[i] = i;
    for (size_t i = b->series; i > 1 && b->pattern == SHUFFLED; i--) {
        const size_t j = rng_below(&rng, i);
        const uint32_t other = order[j];
        order[j] = order[i - 1];
        order[i - 1] = other;
    }
}

static void make_round(struct bench *b, size_t round, int64_t start_ms)
{
    uint32_t *order = mem_alloc_array(b->series, sizeof *order);
    struct buf request = {0};
    struct arena a;
    arena_init(&a, 0);
    make_order(b, round, order);
    const size_t batch = b->pattern == LONG ? BATCH / LONG_SAMPLES : BATCH;
    const size_t first = b->pattern == ROWS2 ? round * 37 : 0;
    b->requests = 0;
    b->packed_bytes = b->bytes = 0;
    reset_symbols(b, &a);
    for (size_t i = 0; i < b->series; i++) {
        put_series(b, &request, order[(i + first) % b->series], round, start_ms, &a);
        if ((i + 1) % batch && i + 1 < b->series)
            continue;
        if (is_v2(b))
            put_symbols(b, &request);
        reset_symbols(b, &a);
        struct buf *to = &b->packed[b->requests++];
        buf_reset(to);
        snappy_block_compress(buf_str(&request), to);
        b->packed_bytes += to->n;
        b->bytes += request.n;
        buf_reset(&request);
        arena_reset(&a);
    }
    b->samples = b->series * (b->pattern == LONG ? LONG_SAMPLES : 1);
    arena_deinit(&a);
    buf_deinit(&request);
    mem_free(order);
}

// ---- parts

static void unpack_alone(struct bench *b, struct receiver *r, struct times *t)
{
    struct errmsg e;
    for (size_t i = 0; i < b->requests; i++) {
        struct intake_body body = {0};
        const double begin = cpu_ns();
        must(intake_begin(&r->intake, buf_str(&b->packed[i]), REMOTE_SNAPPY, &body, &e) == ERR_OK);
        while (body.bytes.n < body.size)
            must(intake_unpack(&r->intake, &body, body.bytes.n + 16384, &e) == ERR_OK);
        t->snappy += cpu_ns() - begin;
        intake_release(&r->intake, &body);
    }
}

static void receive(struct bench *b, struct receiver *r, struct times *t)
{
    struct errmsg e;
    struct arena a;
    arena_init(&a, 0);
    for (size_t i = 0; i < b->requests; i++) {
        struct intake_body body = {0};
        const double begin = cpu_ns();
        must(intake_begin(&r->intake, buf_str(&b->packed[i]), REMOTE_SNAPPY, &body, &e) == ERR_OK);
        struct request *q = request_take(r, &a, &body);
        must((is_v2(b) ? request_walk_v2 : request_walk_v1)(q, &e) == ERR_OK);
        const double walked = cpu_ns();
        request_keep(q, b->pattern == SPLIT ? i * SENDERS / b->requests : 0);
        t->keep += cpu_ns() - walked;
        t->walk += walked - begin;
        request_keep_metadata(q);
        must(q->parts[0].code == ERR_OK && q->parts[0].worst_series == REQUEST_NONE &&
             !q->faults.total);
        request_give(q);
        intake_release(&r->intake, &body);
        arena_reset(&a);
    }
    arena_deinit(&a);
}

static void handle(void *arg, struct http_exchange *x)
{
    const struct bench *b = arg;
    struct str body;
    must(http_read_body(x, b->load_bytes, &body, NULL) == ERR_OK);
    http_answer(x, 204, NULL, (struct str){0});
}

static void accepted(void *arg, int fd, const struct address *peer)
{
    struct bench *b = arg;
    (void)shard_of_connection();
    http_server_take(b->web, fd, peer);
}

// Requests of that size, of which nothing is done but reading; ns of a request.
static double socket_ns(struct bench *b, int requests)
{
    const struct http_server_options options = {.handler = handle,
                                                .arg = b,
                                                .read_timeout_ns = 60000000000,
                                                .write_timeout_ns = 60000000000,
                                                .body_bytes_max = 1 << 30};
    struct listener *l = NULL;
    b->load_bytes = (size_t)b->packed_bytes / b->requests;
    const struct http_load load = {4, requests, b->load_bytes};
    b->web = http_server_create(&options);
    must(listener_open("127.0.0.1", 0, accepted, b, &l, NULL) == ERR_OK);
    fflush(NULL);
    const double begin = cpu_ns();
    const pid_t pid = fork();
    if (pid == 0)
        http_load_run(listener_port(l), &load);
    int status = 0;
    while (waitpid(pid, &status, WNOHANG) == 0)
        must(fiber_sleep_ns(5 * 1000 * 1000) == ERR_OK);
    must(status == 0);
    const double ns = (cpu_ns() - begin) / requests;
    listener_close(l);
    http_server_drain(b->web);
    http_server_destroy(b->web);
    return ns;
}

// All rounds into a database of its own: times of the first round and of the others.
static void run_rounds(struct bench *b, const char *path, struct times *first, struct times *rest)
{
    const struct tsdb_options options = {.path = path, .wal_sync = TSDB_WAL_SYNC_NONE};
    struct tsdb *db;
    must(tsdb_open(&options, &db, NULL) == ERR_OK);
    const struct receiver_options receiver = {.db = db,
                                              .enabled = true,
                                              .late_ms = 300000,
                                              .series_max = 2 * b->series,
                                              .decoded_bytes_max = UINT64_MAX};
    struct receiver *r = receiver_create(&receiver);
    const int64_t start_ms = clock_wall_ms() - 3600 * 1000;
    *first = *rest = (struct times){0};
    for (size_t round = 0; round < b->rounds; round++) {
        make_round(b, round, start_ms);
        struct times *t = round ? rest : first;
        unpack_alone(b, r, t);
        receive(b, r, t);
    }
    receiver_destroy(r);
    must(tsdb_close(db, NULL) == ERR_OK);
}

static void run_pattern(struct bench *b)
{
    char path[] = "/tmp/bench_receive.XXXXXX", remove[64];
    struct times first, rest, logged_first, logged;
    must(mkdtemp(path));
    run_rounds(b, NULL, &first, &rest);
    run_rounds(b, path, &logged_first, &logged);
    const double n = (double)b->samples, all = n * (double)(b->rounds - 1);
    const double socket = socket_ns(b, b->series < 10000 ? 64 : 2000) * (double)b->requests / n;
    printf(
        "{\"bench\":\"receive\",\"pattern\":\"%s\",\"labels\":%u,\"series\":%zu,\"samples\":%.0f,"
        "\"bytes\":%.1f,\"packed\":%.1f,\"snappy_ns\":%.1f,\"walk_ns\":%.1f,\"keep_ns\":%.1f,"
        "\"log_ns\":%.1f,\"socket_ns\":%.1f,\"new_walk_ns\":%.0f,\"new_keep_ns\":%.0f,"
        "\"new_log_ns\":%.0f}\n",
        pattern_names[b->pattern], b->labels, b->series, all, (double)b->bytes / n,
        (double)b->packed_bytes / n, rest.snappy / all, (rest.walk - rest.snappy) / all,
        rest.keep / all, (logged.keep - rest.keep) / all, socket, first.walk / n, first.keep / n,
        (logged_first.keep - first.keep) / n);
    fflush(stdout);
    snprintf(remove, sizeof remove, "rm -rf %s", path);
    must(system(remove) == 0);
}

static void run(void *arg)
{
    struct bench *b = arg;
    b->packed = mem_zalloc((b->series / (BATCH / LONG_SAMPLES) + 1) * sizeof *b->packed);
    const size_t series = b->series;
    for (b->labels = 2; b->labels <= 14; b->labels += 12)
        for (b->pattern = ROWS; b->pattern < PATTERNS; b->pattern++) {
            if (b->only && strcmp(b->only, pattern_names[b->pattern]) != 0)
                continue;
            b->series = b->pattern == LONG ? series / LONG_SAMPLES : series;
            run_pattern(b);
            b->series = series;
        }
    for (size_t i = 0; i <= b->series / (BATCH / LONG_SAMPLES); i++)
        buf_deinit(&b->packed[i]);
    mem_free(b->packed);
    shards_stop(shard_all());
}

int main(int argc, char **argv)
{
    struct bench b = {.series = argc > 1 ? strtoul(argv[1], NULL, 10) : 2000,
                      .rounds = argc > 2 ? strtoul(argv[2], NULL, 10) : 2,
                      .only = argc > 3 ? argv[3] : NULL};
    const struct shards_options options = {.count = 1};
    struct shards *all = NULL;
    struct errmsg e = {""};
    uint32_t mask;
    if (simd_mask_from_environment(&mask, &e) != ERR_OK || b.series < 100 || b.rounds < 2 ||
        (simd_init(mask), shards_create(&options, run, &b, &all, &e)) != ERR_OK) {
        fprintf(stderr, "bench_receive: %s\n", e.text);
        return 1;
    }
    shards_destroy(all);
    helpers_stop();
    return 0;
}
