#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "engine/base/mem.h"
#include "io/clock.h"
#include "tests/lib/findings.h"
#include "tests/lib/in_loop.h"

enum { MS = 1000 * 1000 };

struct world {
    char dir[64];
    struct findings f;
};

static void on_each(fiber_fn *flow)
{
    for (unsigned backend = 0; backend < IN_LOOP_BACKENDS; backend++) {
        struct world w = {.dir = "/tmp/ferula-op-XXXXXX"};
        cr_assert_not_null(mkdtemp(w.dir));
        in_loop(backend, flow, &w);
        char command[128];
        snprintf(command, sizeof command, "rm -rf %s", w.dir);
        cr_assert_eq(system(command), 0);
        cr_assert_str_eq(w.f.text, "", "backend %u: %s", backend, w.f.text);
    }
}

struct text {
    char text[256];
};

static struct text in(const struct world *w, const char *name)
{
    struct text t;
    snprintf(t.text, sizeof t.text, "%s/%s", w->dir, name);
    return t;
}

static int32_t run(struct op op)
{
    return fiber_await(&op);
}

static void file_ops(void *arg)
{
    struct world *w = arg;
    struct findings *f = &w->f;
    const struct text a = in(w, "a"), b = in(w, "b"), c = in(w, "c"), d = in(w, "d");
    char bytes[8] = "abcdefg";
    const int fd = run((struct op){
        .kind = OP_OPEN, .path = a.text, .flags = O_RDWR | O_CREAT | O_EXCL, .mode = 0640});
    want(f, fd >= 0, "%d", fd);
    want(f,
         run((struct op){
             .kind = OP_OPEN, .path = a.text, .flags = O_RDWR | O_CREAT | O_EXCL, .mode = 0640}) ==
             -EEXIST);
    want(f, run((struct op){.kind = OP_OPEN, .path = b.text, .flags = O_RDONLY}) == -ENOENT);
    want(f, run((struct op){.kind = OP_WRITE, .fd = fd, .buf = bytes, .n = 7, .offset = 5}) == 7);
    want(f, run((struct op){.kind = OP_READ, .fd = fd, .buf = bytes, .n = 8, .offset = 8}) == 4);
    want(f, !memcmp(bytes, "defg", 4));
    want(f, run((struct op){.kind = OP_READ, .fd = fd, .buf = bytes, .n = 8, .offset = 12}) == 0);
    want(f, run((struct op){.kind = OP_READ, .fd = -1, .buf = bytes, .n = 8}) == -EBADF);
    want(f, run((struct op){.kind = OP_SYNC, .fd = fd, .flags = OP_SYNC_DATA}) == 0);
    want(f, run((struct op){.kind = OP_SYNC, .fd = fd}) == 0);
    want(f, run((struct op){.kind = OP_TRUNCATE, .fd = fd, .offset = 6}) == 0);
    want(f, run((struct op){.kind = OP_ALLOCATE, .fd = fd, .offset = 100, .n = 5000}) == 0);
    struct op st = {.kind = OP_STAT, .path = a.text};
    want(f, fiber_await(&st) == 0 && st.stat.size == 5100 && !st.stat.is_dir);
    want(f, llabs(st.stat.mtime_ms - (int64_t)time(NULL) * 1000) < 60000);
    st = (struct op){.kind = OP_STAT, .fd = fd};
    want(f, fiber_await(&st) == 0 && st.stat.size == 5100);
    st = (struct op){.kind = OP_STAT, .path = w->dir};
    want(f, fiber_await(&st) == 0 && st.stat.is_dir);
    want(f, run((struct op){.kind = OP_STAT, .path = b.text}) == -ENOENT);
    want(f, run((struct op){.kind = OP_LOCK, .fd = fd}) == 0);
    const int again = run((struct op){.kind = OP_OPEN, .path = a.text, .flags = O_RDWR});
    want(f, run((struct op){.kind = OP_LOCK, .fd = again}) == -EWOULDBLOCK);
    want(f, run((struct op){.kind = OP_CLOSE, .fd = fd}) == 0);
    want(f, run((struct op){.kind = OP_LOCK, .fd = again}) == 0);
    want(f, run((struct op){.kind = OP_CLOSE, .fd = again}) == 0);
    want(f, run((struct op){.kind = OP_LINK, .path = a.text, .path2 = b.text}) == 0);
    want(f, run((struct op){.kind = OP_LINK, .path = a.text, .path2 = b.text}) == -EEXIST);
    want(f, run((struct op){.kind = OP_RENAME, .path = a.text, .path2 = c.text}) == 0);
    want(f, run((struct op){.kind = OP_MKDIR, .path = d.text, .mode = 0755}) == 0);
    struct op list = {.kind = OP_LIST, .path = w->dir};
    want(f, fiber_await(&list) == 0 && list.names.count == 3 &&
                !memcmp(list.names.bytes, "b\0c\0d", 6));
    mem_free(list.names.bytes);
    want(f, run((struct op){.kind = OP_LIST, .path = a.text}) == -ENOENT);
    want(f, run((struct op){.kind = OP_UNLINK, .path = a.text}) == -ENOENT);
    want(f, run((struct op){.kind = OP_UNLINK, .path = b.text}) == 0);
    want(f, run((struct op){.kind = OP_RMDIR, .path = w->dir}) == -ENOTEMPTY);
    want(f, run((struct op){.kind = OP_RMDIR, .path = d.text}) == 0);
    struct op space = {.kind = OP_SPACE, .path = w->dir};
    want(f, fiber_await(&space) == 0 && space.space.free_bytes > 0 &&
                space.space.total_bytes >= space.space.free_bytes);
}

Test(op, files)
{
    on_each(file_ops);
}

static const struct address loopback = {.family = ADDRESS_IPV4, .ip = {127, 0, 0, 1}};

// Two ends of a connection, and the listener.
struct ends {
    int listener, client, server;
    struct address at;
};

static void open_ends(struct findings *f, struct ends *e)
{
    struct op listen = {.kind = OP_LISTEN, .address = loopback};
    e->listener = fiber_await(&listen);
    want(f, e->listener >= 0 && listen.address.port != 0);
    e->at = listen.address;
    struct op connect = {.kind = OP_CONNECT, .address = e->at};
    e->client = fiber_await(&connect);
    want(f, e->client >= 0, "%d", e->client);
    struct op accept = {.kind = OP_ACCEPT, .fd = e->listener};
    e->server = fiber_await(&accept);
    want(f, e->server >= 0, "%d", e->server);
    want(f, accept.address.family == ADDRESS_IPV4 && !memcmp(accept.address.ip, loopback.ip, 4) &&
                accept.address.port != 0);
}

static void close_ends(struct findings *f, struct ends *e)
{
    want(f, run((struct op){.kind = OP_CLOSE, .fd = e->client}) == 0);
    want(f, run((struct op){.kind = OP_CLOSE, .fd = e->server}) == 0);
    want(f, run((struct op){.kind = OP_CLOSE, .fd = e->listener}) == 0);
}

static void socket_ops(void *arg)
{
    struct world *w = arg;
    struct findings *f = &w->f;
    struct ends e;
    char bytes[16] = "";
    open_ends(f, &e);
    want(f, run((struct op){.kind = OP_LISTEN, .address = e.at}) == -EADDRINUSE);
    want(f, run((struct op){.kind = OP_SEND,
                            .fd = e.client,
                            .buf = (char[]){"hello"},
                            .n = 5,
                            .flags = OP_SEND_MORE}) == 5);
    want(f, run((struct op){.kind = OP_SEND, .fd = e.client, .buf = (char[]){"!"}, .n = 1}) == 1);
    want(f, run((struct op){.kind = OP_READABLE, .fd = e.server}) == 0);
    size_t n = 0;
    while (n < 6)
        n += (size_t)run(
            (struct op){.kind = OP_RECV, .fd = e.server, .buf = bytes + n, .n = sizeof bytes - n});
    want(f, !memcmp(bytes, "hello!", 6));
    want(f, run((struct op){.kind = OP_SHUTDOWN, .fd = e.client}) == 0);
    want(f, run((struct op){.kind = OP_READABLE, .fd = e.server}) == 0);
    want(f, run((struct op){.kind = OP_RECV, .fd = e.server, .buf = bytes, .n = 1}) == 0);
    want(f, run((struct op){.kind = OP_SEND, .fd = e.client, .buf = bytes, .n = 1}) == -EPIPE);
    close_ends(f, &e);
    want(f, run((struct op){.kind = OP_CONNECT, .address = e.at}) == -ECONNREFUSED);
}

Test(op, sockets)
{
    on_each(socket_ops);
}

static void resolve_ops(void *arg)
{
    struct world *w = arg;
    struct address found[8];
    const int32_t n =
        run((struct op){.kind = OP_RESOLVE, .path = "localhost", .buf = found, .n = 8});
    want(&w->f, n >= 1, "%d", n);
    bool has_loopback = false;
    for (int32_t i = 0; i < n; i++)
        has_loopback |=
            found[i].family == ADDRESS_IPV4 ? found[i].ip[0] == 127 : found[i].ip[15] == 1;
    want(&w->f, has_loopback);
    want(&w->f,
         run((struct op){.kind = OP_RESOLVE, .path = "localhost", .buf = found, .n = 1}) == 1);
    const int32_t none =
        run((struct op){.kind = OP_RESOLVE, .path = "ferula.invalid", .buf = found, .n = 8});
    want(&w->f, none == -ENOENT || none == -EAGAIN, "%d", none);
}

Test(op, names)
{
    on_each(resolve_ops);
}

static void work(struct op *op)
{
    *(int *)op->buf += 1;
    op->result = 77;
}

static void work_ops(void *arg)
{
    struct world *w = arg;
    int count = 0;
    for (int i = 0; i < 100; i++)
        want(&w->f, run((struct op){.kind = OP_WORK, .work = work, .buf = &count}) == 77);
    want(&w->f, count == 100);
}

Test(op, work)
{
    on_each(work_ops);
}

// Canceling, at three moments: before the loop saw the op, while it waits, and when it has ended
// but done() has not run.

struct canceled {
    struct op op;
    int done_count;
    struct waiters *ended;
};

static void note_done(struct op *op)
{
    struct canceled *c = container_of(op, struct canceled, op);
    c->done_count++;
    waiters_wake_all(c->ended);
}

static void cancel_after(struct findings *f, const char *what, struct op op, int64_t ns)
{
    struct waiters ended;
    waiters_init(&ended);
    struct canceled c = {.op = op, .ended = &ended};
    c.op.done = note_done;
    const int64_t begin = clock_mono_ns();
    loop_submit(loop_current(), &c.op);
    if (ns > 0 && fiber_sleep_ns(ns) != ERR_OK)
        abort();
    want(f, c.done_count == 0, "%s: ended by itself: %d", what, c.op.result);
    if (c.done_count)
        return;
    loop_cancel(loop_current(), &c.op);
    loop_cancel(loop_current(), &c.op);
    want(f, c.done_count == 0, "%s: done() inside a call", what);
    while (c.done_count == 0)
        if (waiters_wait(&ended) != ERR_OK)
            abort();
    want(f, c.op.result == -ECANCELED, "%s: %d", what, c.op.result);
    want(f, clock_mono_ns() - begin < 300000LL * MS, "%s: slow", what);
    fiber_yield();
    want(f, c.done_count == 1 && !c.op.in_flight, "%s: done %d times", what, c.done_count);
}

// Sizes that are set are not tuned, so that full stays full.
static void fill_up(int fd, int peer)
{
    char zeros[4096] = "";
    const int small = 8192;
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
    setsockopt(peer, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    // Until the peer's side is full as well, which takes what we sent in its own time.
    for (int idle = 0; idle < 5; idle++) {
        while (send(fd, zeros, sizeof zeros, MSG_DONTWAIT) > 0)
            idle = 0;
        if (fiber_sleep_ns(10 * MS) != ERR_OK)
            abort();
    }
}

// A port where no connection comes to stand, and none is refused: nobody accepts, the queue is
// full.
static int deaf_port(struct address *out, int *out_held)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof in;
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    *out_held = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(fd, (struct sockaddr *)&in, size) || listen(fd, 0) ||
        getsockname(fd, (struct sockaddr *)&in, &size) ||
        connect(*out_held, (struct sockaddr *)&in, size))
        abort();
    *out = loopback;
    out->port = ntohs(in.sin_port);
    return fd;
}

static void cancels(void *arg)
{
    struct world *w = arg;
    struct findings *f = &w->f;
    struct ends e;
    struct address deaf;
    int held;
    char bytes[16] = "";
    open_ends(f, &e);
    fill_up(e.client, e.server);
    const int fd = deaf_port(&deaf, &held);
    const struct op ops[] = {
        {.kind = OP_RECV, .fd = e.client, .buf = bytes, .n = 1},
        {.kind = OP_READABLE, .fd = e.client},
        {.kind = OP_ACCEPT, .fd = e.listener},
        {.kind = OP_SEND, .fd = e.client, .buf = bytes, .n = 1},
        {.kind = OP_CONNECT, .address = deaf},
    };
    for (int64_t ns = 0; ns < 20 * MS; ns += 10 * MS)
        for (size_t i = 0; i < countof(ops); i++) {
            char what[32];
            snprintf(what, sizeof what, "kind %d", ops[i].kind);
            cancel_after(f, what, ops[i], ns);
        }
    close(fd);
    close(held);
    close_ends(f, &e);
}

Test(op, cancel)
{
    on_each(cancels);
}

// Connections that come while nobody asks are there later, also more than a backend keeps; and
// closing the listener ends those nobody took.
enum { LATE = 300 };

static void connect_all(const struct address *at, int fds[static LATE])
{
    const struct sockaddr_in in = {
        .sin_family = AF_INET, .sin_port = htons(at->port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    for (int i = 0; i < LATE; i++) {
        fds[i] = socket(AF_INET, SOCK_STREAM, 0);
        if (connect(fds[i], (const struct sockaddr *)&in, sizeof in))
            abort();
    }
}

static void accepts_later(void *arg)
{
    struct world *w = arg;
    struct findings *f = &w->f;
    struct ends e;
    int fds[LATE];
    open_ends(f, &e); // asked once: multishot accepts are armed
    for (int round = 0; round < 2; round++) {
        connect_all(&e.at, fds);
        want(f, fiber_sleep_ns(20 * MS) == ERR_OK);
        for (int i = 0; i < LATE; i++) {
            struct op accept = {.kind = OP_ACCEPT, .fd = e.listener};
            const int fd = fiber_await(&accept);
            want(f, fd >= 0 && accept.address.family == ADDRESS_IPV4, "%d: %d", i, fd);
            want(f, run((struct op){.kind = OP_CLOSE, .fd = fd}) == 0);
            close(fds[i]);
        }
    }
    connect_all(&e.at, fds);
    want(f, fiber_sleep_ns(20 * MS) == ERR_OK);
    close_ends(f, &e);
    for (int i = 0; i < LATE; i++) {
        char byte;
        want(f, recv(fds[i], &byte, 1, 0) <= 0, "%d is open", i);
        close(fds[i]);
    }
}

Test(op, accepts_later)
{
    on_each(accepts_later);
}

// done() of one of two ops that ended in the same turn cancels the other, which has come to its
// end: it keeps its result.
struct pair {
    struct op ops[2];
    int done_count;
    int32_t results[2];
    struct waiters ended;
};

static void cancel_other(struct op *op)
{
    struct pair *pair = op->buf;
    const int self = op == &pair->ops[1];
    pair->results[self] = op->result;
    pair->done_count++;
    if (pair->ops[!self].in_flight)
        loop_cancel(loop_current(), &pair->ops[!self]);
    waiters_wake_all(&pair->ended);
}

static void cancels_too_late(void *arg)
{
    struct world *w = arg;
    struct ends e;
    struct pair pair = {0};
    open_ends(&w->f, &e);
    waiters_init(&pair.ended);
    want(&w->f, run((struct op){.kind = OP_SHUTDOWN, .fd = e.client}) == 0);
    want(&w->f, run((struct op){.kind = OP_READABLE, .fd = e.server}) == 0);
    const int fds[2] = {e.client, e.server};
    for (int i = 0; i < 2; i++) {
        pair.ops[i] =
            (struct op){.done = cancel_other, .kind = OP_READABLE, .fd = fds[i], .buf = &pair};
        loop_submit(loop_current(), &pair.ops[i]);
    }
    while (pair.done_count < 2)
        if (waiters_wait(&pair.ended) != ERR_OK)
            abort();
    want(&w->f, pair.results[0] == 0 && pair.results[1] == 0, "%d %d", pair.results[0],
         pair.results[1]);
    close_ends(&w->f, &e);
}

Test(op, cancel_after_its_end)
{
    on_each(cancels_too_late);
}

// A name that takes long to look up, and work that runs: the first is left behind, the second is
// waited for.
static void work_long(struct op *op)
{
    atomic_store((atomic_int *)op->buf, 1);
    usleep(100 * 1000);
    atomic_store((atomic_int *)op->buf, 2);
}

static void await_all(const struct canceled *works, int n, struct waiters *ended)
{
    for (int i = 0; i < n; i++)
        while (works[i].done_count == 0)
            if (waiters_wait(ended) != ERR_OK)
                abort();
}

static void cancels_helpers(void *arg)
{
    struct world *w = arg;
    atomic_int counts[20] = {0};
    struct canceled works[20];
    struct waiters ended;
    waiters_init(&ended);
    for (int i = 0; i < 20; i++) {
        works[i] = (struct canceled){.ended = &ended};
        works[i].op =
            (struct op){.done = note_done, .kind = OP_WORK, .work = work_long, .buf = &counts[i]};
    }
    loop_submit(loop_current(), &works[0].op);
    while (atomic_load(&counts[0]) == 0)
        if (fiber_sleep_ns(MS) != ERR_OK)
            abort();
    loop_cancel(loop_current(), &works[0].op);
    await_all(works, 1, &ended);
    want(&w->f, works[0].op.result == 0 && atomic_load(&counts[0]) == 2, "%d", works[0].op.result);
    // More than there are threads: the last is still queued.
    for (int i = 0; i < 20; i++) {
        works[i].done_count = 0;
        loop_submit(loop_current(), &works[i].op);
    }
    loop_cancel(loop_current(), &works[19].op);
    await_all(works, 20, &ended);
    for (int i = 0; i < 19; i++)
        want(&w->f, works[i].op.result == 0 && atomic_load(&counts[i]) == 2);
    want(&w->f, works[19].op.result == -ECANCELED && atomic_load(&counts[19]) == 0);
}

Test(op, cancel_of_helpers)
{
    on_each(cancels_helpers);
}
