// What the runtime costs by itself: nanoseconds of an operation, of a switch to a fiber and back,
// of a call to another shard. One JSON line each. bench_loop [COUNT]: small counts for tests.
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "engine/shard/shard.h"
#include "io/backend.h"
#include "io/clock.h"
#include "io/stream.h"

struct bench {
    int count;
    const char *backend;
    struct stream *accepted;
    struct waiters waiters;
    int left;
};

static void print(const struct bench *b, const char *what, int64_t ns, int64_t n)
{
    printf("{\"bench\":\"loop\",\"backend\":\"%s\",\"what\":\"%s\",\"count\":%lld,\"ns\":%.1f}\n",
           b->backend, what, (long long)n, (double)ns / (double)n);
}

static void yield_often(void *arg)
{
    struct bench *b = arg;
    for (int i = 0; i < b->count; i++)
        fiber_yield();
    if (--b->left == 0)
        waiters_wake_all(&b->waiters);
}

// Turns of one fiber, and the same work in one turn.
static void bench_yield(struct bench *b, int fibers, const char *what)
{
    const int64_t begin = clock_mono_ns();
    b->left = fibers;
    for (int i = 0; i < fibers; i++)
        fiber_start_always(LOOP_QUERY, yield_often, b, NULL);
    while (b->left > 0)
        (void)!waiters_wait(&b->waiters);
    print(b, what, clock_mono_ns() - begin, (int64_t)fibers * b->count);
}

static void do_nothing(void *arg)
{
    (void)arg;
}

static void bench_start(struct bench *b)
{
    const int64_t begin = clock_mono_ns();
    for (int i = 0; i < b->count; i++) {
        fiber_start_always(LOOP_QUERY, do_nothing, NULL, NULL);
        if (i % 64 == 63)
            fiber_yield();
    }
    print(b, "fiber start and end", clock_mono_ns() - begin, b->count);
}

static void bench_read(struct bench *b)
{
    char bytes[512];
    const int fd = open("/proc/self/exe", O_RDONLY);
    const int64_t begin = clock_mono_ns();
    for (int i = 0; i < b->count; i++) {
        struct op op = {.kind = OP_READ, .fd = fd, .buf = bytes, .n = sizeof bytes};
        if (fiber_await(&op) != sizeof bytes)
            abort();
    }
    print(b, "read of 512 cached bytes", clock_mono_ns() - begin, b->count);
    struct op op = {.kind = OP_CLOSE, .fd = fd};
    (void)fiber_await(&op);
}

static void accepted(void *arg, int fd, const struct address *peer)
{
    struct bench *b = arg;
    b->accepted = stream_from_fd(fd, peer, NULL);
    waiters_wake_all(&b->waiters);
}

static void echo(void *arg)
{
    struct bench *b = arg;
    struct stream *s = b->accepted;
    char bytes[128];
    size_t n = 0;
    while (stream_read(s, bytes, sizeof bytes, &n, NULL) == ERR_OK && n > 0)
        if (stream_write(s, bytes, n, NULL) != ERR_OK)
            break;
    stream_close(s);
    b->left--;
    waiters_wake_all(&b->waiters);
}

static void bench_echo(struct bench *b)
{
    struct listener *l = NULL;
    struct stream *s = NULL;
    char bytes[128] = "";
    size_t n;
    if (listener_open("127.0.0.1", 0, accepted, b, &l, NULL) != ERR_OK ||
        stream_connect("127.0.0.1", listener_port(l), NULL, &s, NULL) != ERR_OK)
        abort();
    while (!b->accepted)
        (void)!waiters_wait(&b->waiters);
    b->left = 1;
    fiber_start_always(LOOP_QUERY, echo, b, NULL);
    const int64_t begin = clock_mono_ns();
    for (int i = 0; i < b->count; i++)
        if (stream_write(s, bytes, sizeof bytes, NULL) != ERR_OK ||
            stream_read(s, bytes, sizeof bytes, &n, NULL) != ERR_OK)
            abort();
    print(b, "round trip over loopback, both ends here", clock_mono_ns() - begin, b->count);
    stream_close(s);
    while (b->left > 0)
        (void)!waiters_wait(&b->waiters);
    listener_close(l);
}

static void add_one(void *arg)
{
    ++*(int *)arg;
}

static void call_often(void *arg)
{
    struct bench *b = arg;
    int seen = 0;
    for (int i = 0; i < b->count / 64; i++)
        shard_call(shards_at(shard_all(), 1), LOOP_QUERY, add_one, &seen);
    if (--b->left == 0)
        waiters_wake_all(&b->waiters);
}

static int64_t cpu_ns(void) // of the process
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void bench_call(struct bench *b, int fibers, const char *what)
{
    const int64_t begin = clock_mono_ns(), cpu = cpu_ns(), n = (int64_t)fibers * (b->count / 64);
    b->left = fibers;
    for (int i = 0; i < fibers; i++)
        fiber_start_always(LOOP_QUERY, call_often, b, NULL);
    while (b->left > 0)
        (void)!waiters_wait(&b->waiters);
    const int64_t ns = clock_mono_ns() - begin;
    printf("{\"bench\":\"loop\",\"backend\":\"%s\",\"what\":\"%s\",\"count\":%lld,\"ns\":%.1f,"
           "\"cpu_ns\":%.1f}\n",
           b->backend, what, (long long)n, (double)ns / (double)n,
           (double)(cpu_ns() - cpu) / (double)n);
}

static void run(void *arg)
{
    struct bench *b = arg;
    if (shard_index(shard_self()) != 0)
        return;
    b->backend = loop_backend_name(loop_current());
    waiters_init(&b->waiters);
    bench_yield(b, 1, "turn with one fiber");
    bench_yield(b, 16, "switch to a fiber and back");
    bench_start(b);
    bench_read(b);
    bench_echo(b);
    bench_call(b, 1, "call to another shard, one at a time");
    bench_call(b, 64, "call to another shard, 64 at a time");
    shards_stop(shard_all());
}

int main(int argc, char **argv)
{
    const enum shard_backend backends[] = {SHARD_BACKEND_URING, SHARD_BACKEND_POLL};
    for (size_t i = 0; i < countof(backends); i++) {
        struct bench b = {.count = argc > 1 ? (int)strtol(argv[1], NULL, 10) : 100000};
        struct errmsg e = {""};
        struct shards *all = NULL;
        const struct shards_options options = {.count = 2, .pin = true, .backend = backends[i]};
        if (shards_create(&options, run, &b, &all, &e) != ERR_OK) {
            fprintf(stderr, "bench_loop: %s\n", e.text);
            continue;
        }
        shards_destroy(all);
    }
    helpers_stop();
    return 0;
}
