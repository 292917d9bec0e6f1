// What a request costs the server: CPU time of the shard's thread for keep-alive requests from a
// number of connections, each of which asks again when it has its answer; and for bodies of 256
// KiB. The client is a process of its own. One JSON line each. bench_http [REQUESTS]: few for
// tests.
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "engine/http/server.h"
#include "engine/shard/shard.h"
#include "io/backend.h"
#include "io/clock.h"
#include "tests/lib/http_load.h"

enum { BODY_BYTES = 256 * 1024 };

struct bench {
    struct http_load load;
    struct http_server *web;
    const char *backend, *what;
    struct waiters done;
    bool client_ended;
};

static void handle(void *arg, struct http_exchange *x)
{
    struct bench *b = arg;
    struct str body;
    if (b->load.body && http_read_body(x, BODY_BYTES, &body, NULL) != ERR_OK)
        abort();
    x->compress = false;
    http_answer(x, 200, "application/json", STR("{\"status\":\"success\",\"data\":{}}"));
}

static void accepted(void *arg, int fd, const struct address *peer)
{
    struct bench *b = arg;
    (void)shard_of_connection(); // counted: there is one shard
    http_server_take(b->web, fd, peer);
}

static int64_t cpu_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void run_load(struct bench *b, struct listener *l, const char *what,
                     const struct http_load *load)
{
    b->load = *load;
    fflush(NULL);
    const int64_t cpu = cpu_ns(), begin = clock_mono_ns();
    const uint64_t turns = loop_stats(loop_current())->turns;
    const pid_t pid = fork();
    if (pid == 0)
        http_load_run(listener_port(l), load);
    int status = 0;
    while (waitpid(pid, &status, WNOHANG) == 0)
        if (fiber_sleep_ns(5 * 1000 * 1000) != ERR_OK)
            abort();
    if (status != 0)
        abort();
    printf("{\"bench\":\"http\",\"backend\":\"%s\",\"what\":\"%s\",\"connections\":%d,"
           "\"requests\":%d,\"cpu_ns\":%.0f,\"ns\":%.0f,\"turns\":%.2f}\n",
           b->backend, what, load->connections, load->requests,
           (double)(cpu_ns() - cpu) / load->requests,
           (double)(clock_mono_ns() - begin) / load->requests,
           (double)(loop_stats(loop_current())->turns - turns) / load->requests);
}

static void run(void *arg)
{
    struct bench *b = arg;
    const int n = b->load.requests;
    const struct http_server_options options = {.handler = handle,
                                                .arg = b,
                                                .read_timeout_ns = 60000000000,
                                                .write_timeout_ns = 60000000000,
                                                .body_bytes_max = 1 << 30};
    struct listener *l = NULL;
    b->backend = loop_backend_name(loop_current());
    b->web = http_server_create(&options);
    if (listener_open("127.0.0.1", 0, accepted, b, &l, NULL) != ERR_OK)
        abort();
    run_load(b, l, "request", &(struct http_load){1, n, 0});
    run_load(b, l, "request", &(struct http_load){16, n, 0});
    run_load(b, l, "request", &(struct http_load){64, n, 0});
    run_load(b, l, "body of 256 KiB", &(struct http_load){4, n / 16, BODY_BYTES});
    listener_close(l);
    http_server_drain(b->web);
    http_server_destroy(b->web);
    shards_stop(shard_all());
}

int main(int argc, char **argv)
{
    const enum shard_backend backends[] = {SHARD_BACKEND_URING, SHARD_BACKEND_POLL};
    for (size_t i = 0; i < countof(backends); i++) {
        struct bench b = {.load = {.requests = argc > 1 ? (int)strtol(argv[1], NULL, 10) : 50000}};
        struct errmsg e = {""};
        struct shards *all = NULL;
        const struct shards_options options = {.count = 1, .backend = backends[i]};
        if (shards_create(&options, run, &b, &all, &e) != ERR_OK) {
            fprintf(stderr, "bench_http: %s\n", e.text);
            continue;
        }
        shards_destroy(all);
    }
    helpers_stop();
    return 0;
}
