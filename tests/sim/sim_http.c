// The HTTP server and client over a simulated network: short transfers, resets, refusals,
// partitions, peers that say nonsense or stop in the middle. Every request is answered as it must
// be, or ends in an error within its time; nothing is left afterwards.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/mem.h"
#include "engine/http/client.h"
#include "engine/http/server.h"
#include "tests/sim/world_shards.h"

enum { PORT = 9090, CLIENTS = 6, REQUESTS = 25, BODY_MAX = 100000, ANSWER_MAX = 300000 };
static const int64_t MS = 1000 * 1000, SECOND = 1000 * 1000 * 1000;

struct site {
    struct world *world;
    struct rng rng;
    struct http_server *server;
    struct http_door door;
    struct shard_post posts[CLIENTS];
    unsigned clients_left;
    uint64_t fetches, failures, handled;
};

static const enum fault expected_faults[] = {
    FAULT_SLOW,       FAULT_REORDERED,  FAULT_INTERRUPTED,    FAULT_LATE_CANCEL,
    FAULT_SHORT_RECV, FAULT_SHORT_SEND, FAULT_RESET,          FAULT_REFUSED,
    FAULT_PARTITION,  FAULT_UNRESOLVED, FAULT_NO_DESCRIPTORS,
};

// Bytes that only their number and place decide.
static void fill(char *p, size_t n, uint64_t number, size_t at)
{
    for (size_t i = 0; i < n; i++)
        p[i] = (char)('a' + (number * 31 + (at + i) * 7) % 26);
}

static uint64_t number_of(struct str text)
{
    uint64_t number = 0;
    for (size_t i = 0; i < text.n && text.p[i] >= '0' && text.p[i] <= '9'; i++)
        number = number * 10 + (uint64_t)(text.p[i] - '0');
    return number;
}

// /stream?N: N bytes in parts; anything else: the body, or the query, back.
static void handle(void *arg, struct http_exchange *x)
{
    struct site *site = arg;
    site->handled++;
    if (str_eq(x->path, STR("/stream"))) {
        const size_t total = number_of(x->query);
        char part[4096];
        http_begin(x, 200, "text/plain");
        for (size_t at = 0; at < total;) {
            const size_t n = total - at < sizeof part ? total - at : sizeof part;
            fill(part, n, total, at);
            if (http_write(x, str_make(part, n)) != ERR_OK)
                break;
            at += n;
        }
        http_end(x);
        return;
    }
    struct str body;
    struct errmsg e;
    const err code = http_read_body(x, BODY_MAX, &body, &e);
    if (code == ERR_OK)
        http_answer(x, 200, "text/plain", body.n ? body : x->query);
    else if (code != ERR_CANCELED)
        http_answer_text(x, code == ERR_LIMIT ? 413 : 400, e.text);
}

static void accepted(void *arg, int fd, const struct address *peer)
{
    struct site *site = arg;
    http_server_take(site->server, fd, peer);
}

// ---- clients

static void judge(struct site *site, const struct http_result *r, uint64_t size)
{
    char *wanted = mem_alloc(size + 1);
    fill(wanted, size, size, 0);
    if (r->status == 503)
        site->failures++;
    else if (r->status != 200 || !str_eq(buf_str(&r->body), str_make(wanted, size)))
        world_violate(site->world, "status %d and %zu bytes, wanted 200 and %llu", r->status,
                      r->body.n, (unsigned long long)size);
    mem_free(wanted);
}

static void fetch(struct site *site, struct http_client *c, struct http_result *r)
{
    struct rng *rng = &site->rng;
    const bool is_post = rng_below(rng, 2);
    const uint64_t size = 1 + rng_below(rng, is_post ? BODY_MAX - 1 : 200000);
    char url[128];
    char *body = mem_alloc(size);
    fill(body, size, size, 0);
    const int n = snprintf(url, sizeof url, "http://server.test:%d/%s?%llu", PORT,
                           is_post ? "echo" : "stream", (unsigned long long)size);
    const struct http_request request = {.method = is_post ? STR("POST") : STR("GET"),
                                         .url = str_make(url, (size_t)n),
                                         .body = str_make(body, is_post ? size : 0),
                                         .body_max = ANSWER_MAX};
    const int64_t patience = (1 + (int64_t)rng_below(rng, 20000)) * MS;
    const int64_t begin = site->world->now_ns;
    struct errmsg e;
    fiber_set_deadline(begin + patience);
    const err code = http_fetch(c, &request, r, &e);
    fiber_set_deadline(INT64_MAX);
    site->fetches++;
    if (code == ERR_OK)
        judge(site, r, size);
    else
        site->failures++;
    if (site->world->now_ns - begin > patience + 2 * SECOND)
        world_violate(site->world, "a request took %lld ms, its deadline was %lld ms",
                      (long long)((site->world->now_ns - begin) / MS), (long long)(patience / MS));
    mem_free(body);
}

// Says something unfinished or senseless, and goes away.
static void be_rude(struct site *site)
{
    static const char *const texts[] = {
        "GET / HTTP/1.1\r\nHost",
        "POST /echo HTTP/1.1\r\nContent-Length: 1000\r\n\r\nabc",
        "nonsense\r\n\r\n",
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        "",
        "GET /stream?100000 HTTP/1.1\r\nHost: x\r\n\r\n",
    };
    const struct str text = str_from_c(texts[rng_below(&site->rng, countof(texts))]);
    struct stream *s;
    char answer[512];
    size_t n;
    fiber_set_deadline(site->world->now_ns + 5 * SECOND);
    if (stream_connect("server.test", PORT, NULL, &s, NULL) == ERR_OK) {
        if (text.n == 0 || stream_write(s, text.p, text.n, NULL) == ERR_OK) {
            if (rng_below(&site->rng, 2))
                (void)!stream_read(s, answer, sizeof answer, &n, NULL);
        }
        stream_close(s);
    }
    fiber_set_deadline(INT64_MAX);
}

static void part_network(struct site *site)
{
    struct world *w = site->world;
    faults_note(&w->faults, FAULT_PARTITION);
    w->network.partition_ends_ns = w->now_ns + (int64_t)rng_below(&site->rng, 8000) * MS;
}

static void run_client(void *arg)
{
    struct site *site = arg;
    const struct http_client_options options = {0};
    struct http_client *c = http_client_create(&options);
    struct http_result r = {0};
    for (int i = 0; i < REQUESTS && !site->world->violation.count; i++) {
        const uint64_t what = rng_below(&site->rng, 12);
        if (what == 0)
            be_rude(site);
        else if (what == 1)
            (void)!fiber_sleep_ns((int64_t)rng_below(&site->rng, 20000) * MS);
        else if (what == 2 && rng_below(&site->rng, 4) == 0)
            part_network(site);
        else
            fetch(site, c, &r);
    }
    http_client_destroy(c);
    http_result_deinit(&r);
    site->clients_left--;
}

static void run_site(void *arg)
{
    struct site *site = arg;
    const struct http_server_options options = {
        .handler = handle,
        .arg = site,
        .read_timeout_ns = 5 * SECOND,
        .write_timeout_ns = 5 * SECOND,
        .door = &site->door,
        .body_bytes_max = 1 << 18,
    };
    struct errmsg e;
    site->server = http_server_create(&options);
    http_door_init(&site->door, CLIENTS - 1, accepted, site);
    if (http_door_listen(&site->door, "127.0.0.1", PORT, &e) != ERR_OK) {
        world_violate(site->world, "listen: %s", e.text);
        return;
    }
    site->world->faults.on = true;
    site->clients_left = CLIENTS;
    struct shards *all = shard_all();
    for (unsigned i = 0; i < CLIENTS; i++) {
        site->posts[i] = (struct shard_post){.class = LOOP_SCRAPE, .fn = run_client, .arg = site};
        shard_post(shards_at(all, i % shards_count(all)), &site->posts[i]);
    }
    while (site->clients_left > 0)
        (void)!fiber_sleep_ns(10 * MS);
    http_door_close(&site->door);
    fiber_set_deadline(site->world->now_ns + 10 * SECOND);
    http_server_drain(site->server);
    fiber_set_deadline(INT64_MAX);
    http_server_destroy(site->server);
}

static void set_chances(struct world *w)
{
    double *chance = w->faults.chance;
    chance[FAULT_SLOW] = 0.01 * rng_double(&w->rng);
    chance[FAULT_INTERRUPTED] = 0.05 * rng_double(&w->rng);
    chance[FAULT_SHORT_RECV] = 0.5 * rng_double(&w->rng);
    chance[FAULT_SHORT_SEND] = 0.5 * rng_double(&w->rng);
    chance[FAULT_RESET] = 0.01 * rng_double(&w->rng);
    chance[FAULT_REFUSED] = 0.05 * rng_double(&w->rng);
    chance[FAULT_UNRESOLVED] = 0.05 * rng_double(&w->rng);
    chance[FAULT_NO_DESCRIPTORS] = 0.05 * rng_double(&w->rng);
}

static bool run_seed(uint64_t seed, struct faults *sum, struct site *totals)
{
    struct world *w = world_create(seed);
    struct site site = {.world = w};
    const struct address address = {.family = ADDRESS_IPV4, .ip = {10, 0, 0, 1}};
    rng_init(&site.rng, seed);
    set_chances(w);
    network_add_host(&w->network, "server.test", &address);
    world_run(w, 1 + (unsigned)rng_below(&w->rng, 3), 3600 * SECOND, run_site, &site);
    for (int i = 0; i < FAULT_COUNT; i++)
        sum->counts[i] += w->faults.counts[i];
    totals->fetches += site.fetches;
    totals->failures += site.failures;
    totals->handled += site.handled;
    if (w->violation.count) {
        printf("seed %llu: %s\n    again: sim_http 1 %llu\n", (unsigned long long)seed,
               w->violation.text, (unsigned long long)seed);
        return false;
    }
    world_destroy(w);
    return true;
}

// sim_http [SEEDS [FIRST]]
int main(int argc, char **argv)
{
    const uint64_t count = argc > 1 ? strtoull(argv[1], NULL, 10) : 50;
    const uint64_t first = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
    struct faults sum = {0};
    struct site totals = {0};
    unsigned passed = 0, failed = 0;
    for (uint64_t seed = first; seed < first + count; seed++) {
        const bool is_good = run_seed(seed, &sum, &totals);
        passed += is_good;
        failed += !is_good;
    }
    printf("%llu requests, %llu handled, %llu ended in an error\n",
           (unsigned long long)totals.fetches, (unsigned long long)totals.handled,
           (unsigned long long)totals.failures);
    for (size_t i = 0; i < countof(expected_faults); i++) {
        printf("    %10llu  %s\n", (unsigned long long)sum.counts[expected_faults[i]],
               fault_name(expected_faults[i]));
        failed += count >= 50 && sum.counts[expected_faults[i]] == 0;
    }
    printf("%u passed, %u failed\n", passed, failed);
    fflush(stdout);
    if (failed)
        _Exit(1); // worlds in the middle of something
    return 0;
}
