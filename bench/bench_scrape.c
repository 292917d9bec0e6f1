// What a scraped sample costs, by parts: the walk beside the last scrape with its numbers, the
// append to the open row, the record of the log; and beside them what is not counted: gzip, the
// socket, a sync.
//
// bench_scrape [scrapes] [targets] [runs] [case]: reads the recording of tests/lib/capture.h. "hot"
// is one target scraped again and again, "cold" many that take turns, so that nothing of one is in
// a cache when its turn comes, "reordered" one whose samples come in another order each time, "new"
// the first scrape of each target, which makes all its series. CPU time of the shard's thread, ns a
// sample, without that first scrape elsewhere; of several runs the best, each part for itself.
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "engine/base/mem.h"
#include "engine/base/rng.h"
#include "engine/base/util.h"
#include "engine/http/client.h"
#include "engine/http/server.h"
#include "engine/model/labels.h"
#include "engine/scrape/scrape_page.h"
#include "engine/shard/shard.h"
#include "engine/tsdb/tsdb.h"
#include "io/backend.h"
#include "protocol/gzip.h"
#include "simd/simd.h"
#include "tests/lib/capture.h"

enum { STEP_MS = 15000, SYNCS = 50 };

enum order { SAME, SHUFFLED, FIRST }; // FIRST: each target is scraped once

struct bench {
    struct capture capture;
    size_t scrapes, targets, runs;
    const char *only; // the case to run; NULL: all
    struct str body;  // that is served
};

struct times { // ns in all
    double walk, commit;
    size_t samples;
};

static void must(bool ok)
{
    if (!ok)
        abort();
}

static double clock_ns(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static double cpu_ns(void)
{
    return clock_ns(CLOCK_THREAD_CPUTIME_ID);
}

// What reading it takes, which is a system call: half a microsecond on some machines.
static double cpu_ns_cost(void)
{
    enum { ROUNDS = 1000 };
    double best = 1e9;
    for (int i = 0; i < ROUNDS; i++) {
        const double begin = cpu_ns(), took = cpu_ns() - begin;
        best = took < best ? took : best;
    }
    return best;
}

// The sample lines in another order, without comments.
static void shuffle_lines(struct str body, uint64_t seed, struct buf *out)
{
    struct str *lines = mem_alloc_array(body.n, sizeof *lines), line;
    struct rng rng;
    size_t n = 0;
    rng_init(&rng, seed);
    while (str_split(&body, '\n', &line))
        if (line.n && line.p[0] != '#')
            lines[n++] = line;
    for (size_t i = n; i > 0; i--) {
        const size_t at = rng_below(&rng, i);
        buf_put_str(out, lines[at]);
        buf_put_char(out, '\n');
        lines[at] = lines[i - 1];
    }
    mem_free(lines);
}

static void place(struct tsdb *db, const struct exposition *x, size_t target,
                  struct scrape_entry *entry)
{
    struct labels_builder b = {0};
    struct buf scratch = {0};
    struct arena a;
    struct exposition_labels labels;
    struct str name, value;
    arena_init(&a, 0);
    exposition_labels_init(&labels, x, &scratch);
    while (exposition_labels_next(&labels, &name, &value))
        labels_builder_set(&b, arena_str(&a, name), arena_str(&a, value));
    labels_builder_set(&b, STR("job"), STR("node"));
    labels_builder_set(&b, STR("instance"),
                       arena_printf(&a, "10.0.%zu.%zu", target / 250, target % 250));
    const struct str final = labels_builder_finish(&b, &a);
    entry->flags |= SCRAPE_PLACED;
    entry->ref = tsdb_series(db, final, labels_hash(final, tsdb_hash_seed(db)), target + 1);
    labels_builder_deinit(&b);
    buf_deinit(&scratch);
    arena_deinit(&a);
}

// The body beside the target's last one; the target then has it.
static void walk(struct tsdb *db, struct scrape_walk *w, struct scrape_memory *m, size_t target,
                 struct buf *body)
{
    struct exposition x;
    exposition_init(&x, EXPOSITION_TEXT, buf_str(body));
    scrape_walk_begin(w, m, EXPOSITION_TEXT);
    for (;;) {
        bool is_new;
        enum exposition_event event;
        if (scrape_walk_run(w, &x))
            continue;
        must(exposition_next(&x, &event, NULL) == ERR_OK);
        if (event == EXPOSITION_END)
            break;
        scrape_walk_line(w, &x, buf_str(body), &is_new);
        if (event == EXPOSITION_SERIES && is_new)
            place(db, &x, target, &w->now.entries[w->now.lines.n - 1]);
    }
    scrape_walk_end(w);
}

// As engine/scrape/scrape_commit.c does.
static void fill(struct scrape_walk *w, struct scrape_memory *m, int64_t t_ms,
                 struct tsdb_sample *samples, uint32_t *changed, struct tsdb_commit *c)
{
    struct scrape_entry *const entries = w->follows ? m->page.entries : w->now.entries;
    size_t n = 0, changed_n = 0;
    scrape_walk_settle(w, m);
    for (size_t i = 0; i < w->now.lines.n; i++) {
        struct scrape_entry *entry = &entries[i];
        if (!w->follows && entry->flags & SCRAPE_SAMPLE)
            entry->flags |= SCRAPE_TRACK;
        samples[n] = (struct tsdb_sample){entry->ref, t_ms, entry->bits};
        changed[i] = (uint32_t)n;
        n += (entry->flags & (SCRAPE_SAMPLE | SCRAPE_REPEAT)) == SCRAPE_SAMPLE;
    }
    for (size_t i = 0; w->follows && i < w->changes_n; i++)
        changed[changed_n++] = changed[w->changes[i].line];
    if (!w->follows)
        *c->row = 0;
    c->samples = samples;
    c->n = n;
    c->changed = changed;
    c->changed_n = changed_n;
}

static struct times scrape_all(struct bench *b, const char *path, size_t targets, enum order order)
{
    const struct tsdb_options options = {.path = path, .wal_sync = TSDB_WAL_SYNC_NONE};
    struct tsdb *db;
    const double clock = cpu_ns_cost();
    struct times t = {0};
    struct buf body = {0};
    struct scrape_walk *w = mem_zalloc(sizeof *w);
    struct scrape_memory *memories = mem_zalloc(targets * sizeof *memories);
    struct tsdb_sample *samples = mem_alloc_array(1 << 16, sizeof *samples);
    uint32_t *changed = mem_alloc_array(1 << 16, sizeof *changed);
    uint64_t *rows = mem_zalloc(targets * sizeof *rows);
    must(tsdb_open(&options, &db, NULL) == ERR_OK);
    for (size_t i = 0; i < (order == FIRST ? 1 : b->scrapes) * targets; i++) {
        const size_t target = i % targets, round = i / targets;
        const struct str from = b->capture.bodies[round % b->capture.n];
        buf_deinit(&body); // each one comes into memory of its own, as the client reads it
        buf_reserve(&body, from.n);
        if (order == SHUFFLED)
            shuffle_lines(from, i, &body);
        else
            buf_put_str(&body, from);
        const double begin = cpu_ns();
        walk(db, w, &memories[target], target, &body);
        struct tsdb_commit c = {.max_t_ms = INT64_MAX, .row = &rows[target]};
        fill(w, &memories[target], 1700000000000 + (int64_t)(round * STEP_MS + target), samples,
             changed, &c);
        scrape_walk_store(w, &memories[target], &body, true);
        const double walked = cpu_ns();
        must(tsdb_commit(db, &c, NULL) == ERR_OK && c.counts[TSDB_APPENDED] == c.n);
        if (round == 0 && order != FIRST)
            continue;
        t.walk += walked - begin - clock;
        t.commit += cpu_ns() - walked - clock;
        t.samples += c.n;
    }
    must(tsdb_close(db, NULL) == ERR_OK);
    for (size_t i = 0; i < targets; i++)
        scrape_memory_deinit(&memories[i]);
    scrape_walk_deinit(w);
    mem_free(w);
    mem_free(memories);
    mem_free(samples);
    mem_free(changed);
    mem_free(rows);
    buf_deinit(&body);
    return t;
}

static void keep_best(struct times *best, struct times t)
{
    if (!best->samples || t.walk < best->walk)
        best->walk = t.walk;
    if (!best->samples || t.commit < best->commit)
        best->commit = t.commit;
    best->samples = t.samples;
}

static void run_case(struct bench *b, const char *name, size_t targets, enum order order)
{
    char path[] = "/tmp/bench_scrape.XXXXXX", remove[64];
    struct times memory = {0}, logged = {0};
    if (b->only && strcmp(b->only, name) != 0)
        return;
    must(mkdtemp(path));
    snprintf(remove, sizeof remove, "rm -rf %s/*", path);
    for (size_t i = 0; i < b->runs; i++) {
        keep_best(&memory, scrape_all(b, NULL, targets, order));
        keep_best(&logged, scrape_all(b, path, targets, order));
        must(system(remove) == 0);
    }
    must(rmdir(path) == 0);
    const double n = (double)memory.samples;
    const double walk_ns = (memory.walk < logged.walk ? memory.walk : logged.walk) / n;
    const double append = memory.commit / n, log = (logged.commit - memory.commit) / n;
    printf(
        "{\"bench\":\"scrape\",\"case\":\"%s\",\"targets\":%zu,\"samples\":%.0f,\"walk_ns\":%.1f,"
        "\"append_ns\":%.1f,\"log_ns\":%.1f,\"all_ns\":%.1f}\n",
        name, targets, n, walk_ns, append, log, walk_ns + append + log);
    fflush(stdout);
}

// ---- what is not counted

static size_t count_samples(struct str body)
{
    struct str line;
    size_t n = 0;
    while (str_split(&body, '\n', &line))
        n += line.n && line.p[0] != '#';
    return n;
}

static double gzip_ns(struct str body, size_t rounds)
{
    struct buf packed = {0}, out = {0};
    struct gzip_writer *writer = gzip_writer_create(6);
    struct gzip_reader *reader = gzip_reader_create();
    gzip_compress(writer, body, &packed);
    const double begin = cpu_ns();
    for (size_t i = 0; i < rounds; i++, buf_reset(&out))
        must(gzip_decompress(reader, buf_str(&packed), 1 << 28, &out, NULL) == ERR_OK);
    const double took = (cpu_ns() - begin) / (double)rounds;
    gzip_writer_destroy(writer);
    gzip_reader_destroy(reader);
    buf_deinit(&packed);
    buf_deinit(&out);
    return took;
}

static void handle(void *arg, struct http_exchange *x)
{
    const struct bench *b = arg;
    x->compress = false;
    http_answer(x, 200, "text/plain; version=0.0.4", b->body);
}

struct web {
    struct bench *b;
    struct http_server *server;
};

static void accepted(void *arg, int fd, const struct address *peer)
{
    const struct web *w = arg;
    (void)shard_of_connection();
    http_server_take(w->server, fd, peer);
}

// Of both ends: client and server run in this process.
static double socket_ns(struct bench *b, size_t rounds)
{
    char url[64];
    const struct http_server_options server = {.handler = handle,
                                               .arg = b,
                                               .read_timeout_ns = 60000000000,
                                               .write_timeout_ns = 60000000000,
                                               .body_bytes_max = 1 << 30};
    const struct http_client_options options = {0};
    struct web w = {b, http_server_create(&server)};
    struct listener *l = NULL;
    struct http_client *client = http_client_create(&options);
    struct http_result result = {0};
    must(listener_open("127.0.0.1", 0, accepted, &w, &l, NULL) == ERR_OK);
    snprintf(url, sizeof url, "http://127.0.0.1:%u/", listener_port(l));
    const struct http_request request = {
        .method = STR("GET"), .url = str_from_c(url), .body_max = 1 << 28};
    const double begin = cpu_ns();
    for (size_t i = 0; i < rounds; i++)
        must(http_fetch(client, &request, &result, NULL) == ERR_OK && result.status == 200);
    const double took = (cpu_ns() - begin) / (double)rounds;
    http_result_deinit(&result);
    http_client_destroy(client);
    listener_close(l);
    http_server_drain(w.server);
    http_server_destroy(w.server);
    return took;
}

static double sync_us(void)
{
    char path[] = "/tmp/bench_scrape.XXXXXX", page[4096] = {0};
    const int fd = mkstemp(path);
    must(fd >= 0);
    const double begin = clock_ns(CLOCK_MONOTONIC);
    for (int i = 0; i < SYNCS; i++)
        must(write(fd, page, sizeof page) == sizeof page && fdatasync(fd) == 0);
    const double took = clock_ns(CLOCK_MONOTONIC) - begin;
    close(fd);
    unlink(path);
    return took / SYNCS / 1e3;
}

static void run_not_counted(struct bench *b)
{
    b->body = b->capture.bodies[0];
    const double n = (double)count_samples(b->body);
    printf("{\"bench\":\"scrape\",\"case\":\"not "
           "counted\",\"gzip_ns\":%.1f,\"socket_both_ends_ns\":%.1f,"
           "\"sync_us\":%.0f}\n",
           gzip_ns(b->body, b->scrapes) / n, socket_ns(b, b->scrapes) / n, sync_us());
}

static void run(void *arg)
{
    struct bench *b = arg;
    run_case(b, "hot", 1, SAME);
    run_case(b, "cold", b->targets, SAME);
    run_case(b, "reordered", 1, SHUFFLED);
    run_case(b, "new", b->targets, FIRST);
    if (!b->only)
        run_not_counted(b);
    shards_stop(shard_all());
}

int main(int argc, char **argv)
{
    struct bench b = {.scrapes = argc > 1 ? strtoul(argv[1], NULL, 10) : 4,
                      .targets = argc > 2 ? strtoul(argv[2], NULL, 10) : 4,
                      .runs = argc > 3 ? strtoul(argv[3], NULL, 10) : 1,
                      .only = argc > 4 ? argv[4] : NULL};
    const struct shards_options options = {.count = 1};
    struct shards *all = NULL;
    struct errmsg e = {""};
    if (!capture_load(&b.capture)) {
        printf("0 passed, 0 failed, 1 skipped\n");
        return 0;
    }
    simd_init(SIMD_ALL);
    must(b.scrapes > 1 && b.targets > 0 && b.runs > 0);
    if (shards_create(&options, run, &b, &all, &e) != ERR_OK) {
        fprintf(stderr, "bench_scrape: %s\n", e.text);
        return 1;
    }
    shards_destroy(all);
    helpers_stop();
    capture_deinit(&b.capture);
    return 0;
}
