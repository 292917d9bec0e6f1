// Serves a recording as many scrape targets: each GET of one of the loopback addresses 127.0.0.1,
// 127.0.0.2, ... is answered with the recording's next body for that address. For comparisons: it
// must cost so little that what is measured is who scrapes.
//
//   FERULA_CAPTURE=... replay PORT     prints "ready" and serves until it is killed
#include <stdio.h>
#include <stdlib.h>

#include "engine/http/server.h"
#include "engine/shard/shard.h"
#include "tests/lib/capture.h"

enum { ADDRESSES = 256, CONNECTIONS = 4096, TIMEOUT_S = 600 };
static const int64_t TIMEOUT_NS = TIMEOUT_S * 1000000000LL;

struct replay {
    struct capture capture;
    uint16_t port;
    struct http_server *web;
    struct listener *listener;
    size_t next[ADDRESSES]; // by the last byte of the address that was asked
};

static void answer(void *arg, struct http_exchange *x)
{
    struct replay *r = arg;
    // The Host header tells the targets apart: 127.0.0.7:9100.
    const struct str host = http_header(x->head, STR("Host"));
    const ptrdiff_t dot = host.p ? str_find_last(host, '.') : STR_NONE;
    const size_t which = dot == STR_NONE ? 0 : strtoul(host.p + dot + 1, NULL, 10) % ADDRESSES;
    const size_t at = r->next[which]++ % r->capture.n;
    x->compress = false;
    http_answer(x, 200, "text/plain; version=0.0.4; charset=utf-8", r->capture.bodies[at]);
}

static void accepted(void *arg, int fd, const struct address *peer)
{
    struct replay *r = arg;
    http_server_take(r->web, fd, peer);
}

static void start(void *arg)
{
    struct replay *r = arg;
    struct errmsg e;
    const struct http_server_options options = {
        .handler = answer,
        .arg = r,
        .read_timeout_ns = TIMEOUT_NS,
        .write_timeout_ns = TIMEOUT_NS,
        .body_bytes_max = 1 << 20,
    };
    r->web = http_server_create(&options);
    if (listener_open("0.0.0.0", r->port, accepted, r, &r->listener, &e) != ERR_OK) {
        fprintf(stderr, "replay: %s\n", e.text);
        exit(1);
    }
    printf("ready %u, %zu bodies\n", listener_port(r->listener), r->capture.n);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    static struct replay r;
    struct errmsg e;
    struct shards *shards;
    const struct shards_options options = {.count = 1, .loop = {.fibers_max = CONNECTIONS}};
    if (argc != 2) {
        fprintf(stderr, "usage: FERULA_CAPTURE=FILE replay PORT\n");
        return 2;
    }
    r.port = (uint16_t)strtoul(argv[1], NULL, 10);
    if (!capture_load(&r.capture)) {
        fprintf(stderr, "replay: FERULA_CAPTURE names no recording\n");
        return 2;
    }
    if (shards_create(&options, start, &r, &shards, &e) != ERR_OK) {
        fprintf(stderr, "replay: %s\n", e.text);
        return 1;
    }
    shards_destroy(shards);
    return 0;
}
