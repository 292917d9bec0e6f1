// Bytes to the web server on a loop of its own, through a socket: nothing breaks, every connection
// ends when its peer has no more to say, and the same requests are seen however the bytes are cut:
// what one reader takes for the end of a body no other reading may move.
//
// The first byte says in which pieces they are sent.
#include <assert.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "engine/http/server.h"
#include "engine/shard/shard.h"
#include "io/backend.h"
#include "tests/fuzz/fuzz.h"

enum { SEEN_MAX = 1 << 16, INPUT_MAX = 16 * 1024, BODY_MAX = 2000 };

static struct world {
    struct shards *shards;
    struct loop *loop;
    struct http_server *server;
    int fd; // to take
    char seen[SEEN_MAX];
    size_t seen_n;
} world;

static void note(struct world *w, struct str s)
{
    for (size_t i = 0; i < s.n && w->seen_n < SEEN_MAX; i++)
        w->seen[w->seen_n++] = s.p[i];
}

static void handler(void *arg, struct http_exchange *x)
{
    struct world *w = arg;
    struct str body;
    struct errmsg e;
    note(w, x->method);
    note(w, x->path);
    note(w, STR("\n"));
    if (str_has_prefix(x->path, STR("/ignore"))) {
        http_answer_text(x, 200, "ignored\n");
    } else if (str_has_prefix(x->path, STR("/stream"))) {
        http_begin(x, 200, "text/plain");
        for (int i = 0; i < 20; i++)
            if (http_write(x, STR("a part of an answer\n")) != ERR_OK)
                break;
        http_end(x);
    } else {
        const err code = http_read_body(x, BODY_MAX, &body, &e);
        note(w, str_from_c(err_name(code)));
        if (code == ERR_CANCELED)
            return;
        if (!code)
            note(w, body);
        http_answer(x, code ? 400 : 200, "text/plain", code ? str_from_c(e.text) : body);
    }
}

static void start(void *arg)
{
    struct world *w = arg;
    const struct http_server_options options = {
        .handler = handler,
        .arg = w,
        .read_timeout_ns = 60000000000,
        .write_timeout_ns = 60000000000,
        .body_bytes_max = 1 << 20,
    };
    w->server = http_server_create(&options);
}

static void take(void *arg)
{
    struct world *w = arg;
    const struct address peer = {0};
    http_server_take(w->server, w->fd, &peer);
}

static void open_world(struct world *w)
{
    struct backend *backends[1];
    struct errmsg e;
    const err made = backend_poll_create(&backends[0], &e);
    fuzz_must(made == ERR_OK);
    const struct shards_options options = {
        .count = 1, .sim_backends = backends, .loop = {.fibers_max = 100, .seed = 1}};
    fuzz_must(shards_create(&options, start, w, &w->shards, &e) == ERR_OK);
    w->loop = shard_loop(shards_at(w->shards, 0));
    while (!w->server)
        loop_turn(w->loop, 0);
}

// Reads what is there; false: the server has closed.
static bool drain(int fd)
{
    char answer[4096];
    for (;;) {
        const ssize_t n = recv(fd, answer, sizeof answer, MSG_DONTWAIT);
        if (n <= 0)
            return n < 0;
    }
}

static void talk(struct world *w, const uint8_t *data, size_t size, size_t step)
{
    int pair[2];
    fuzz_must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
    fuzz_must(fcntl(pair[1], F_SETFL, O_NONBLOCK) == 0);
    w->fd = pair[1];
    w->seen_n = 0;
    struct shard_post post = {.class = LOOP_CONTROL, .fn = take, .arg = w};
    shard_post(shards_at(w->shards, 0), &post);
    for (size_t at = 0; at < size; at += step) {
        const size_t n = size - at < step ? size - at : step;
        if (send(pair[0], data + at, n, MSG_NOSIGNAL) < 0)
            break; // closed already
        while (loop_turn(w->loop, 0))
            drain(pair[0]);
    }
    shutdown(pair[0], SHUT_WR);
    int turns = 0;
    while (drain(pair[0])) {
        loop_turn(w->loop, 1000000);
        fuzz_must(++turns < 20000);
    }
    close(pair[0]);
    while (loop_turn(w->loop, 0)) {
    }
    fuzz_must(http_server_stats(w->server)->body_bytes == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char whole[SEEN_MAX];
    if (!size || size > INPUT_MAX)
        return 0;
    if (!world.server)
        open_world(&world);
    const size_t step = 1 + data[0] % 64;
    talk(&world, data + 1, size - 1, size);
    const size_t n = world.seen_n;
    memcpy(whole, world.seen, n);
    talk(&world, data + 1, size - 1, step);
    fuzz_must(world.seen_n == n && !memcmp(world.seen, whole, n));
    return 0;
}
