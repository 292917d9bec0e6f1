// Sockets that wait for bytes without a buffer, and what comes while nobody asks.
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "engine/base/mem.h"
#include "tests/lib/findings.h"
#include "tests/lib/in_loop.h"

enum { MS = 1000 * 1000, MANY = 400, EACH = 5000, FLOOD = 1 << 20 };

struct world {
    struct findings f;
    int near[MANY], far[MANY];
    struct op waits[MANY];
    int ended;
    bool may_cancel;
    struct waiters waiters;
};

static void open_pairs(struct world *w, int n)
{
    for (int i = 0; i < n; i++) {
        int fds[2];
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
            abort();
        w->near[i] = fds[0];
        w->far[i] = fds[1];
    }
}

static int32_t run(struct op op)
{
    return fiber_await(&op);
}

static void close_near(struct world *w, int i)
{
    want(&w->f, run((struct op){.kind = OP_CLOSE, .fd = w->near[i]}) == 0);
}

static uint8_t byte_at(size_t at)
{
    return (uint8_t)(at * 7 + at / 251);
}

static void note_end(struct op *op)
{
    struct world *w = op->buf;
    want(&w->f, op->result == 0 || (op->result == -ECANCELED && w->may_cancel), "%d", op->result);
    w->ended++;
    waiters_wake_all(&w->waiters);
}

static void wait_readable(struct world *w, int i)
{
    w->waits[i] = (struct op){.done = note_end, .kind = OP_READABLE, .fd = w->near[i], .buf = w};
    loop_submit(loop_current(), &w->waits[i]);
}

static void await_ended(struct world *w, int n)
{
    while (w->ended < n)
        if (waiters_wait(&w->waiters) != ERR_OK)
            abort();
}

// All that was sent, read in parts of step bytes and more, then the end, twice.
static void read_all(struct world *w, int fd, size_t n, size_t step)
{
    static uint8_t bytes[FLOOD];
    size_t at = 0;
    while (at < n) {
        const size_t most = n - at < step ? n - at : step;
        const int32_t got = run((struct op){.kind = OP_RECV, .fd = fd, .buf = bytes, .n = most});
        if (got <= 0 || (size_t)got > most) {
            want(&w->f, false, "%d at %zu of %zu", got, at, n);
            return;
        }
        for (int i = 0; i < got; i++)
            if (bytes[i] != byte_at(at + (size_t)i)) {
                want(&w->f, false, "byte %zu", at + (size_t)i);
                return;
            }
        at += (size_t)got;
        step = step * 5 / 3 + 1;
        if (step > 20000)
            step = 1;
    }
    want(&w->f, run((struct op){.kind = OP_RECV, .fd = fd, .buf = bytes, .n = 100}) == 0);
    want(&w->f, run((struct op){.kind = OP_READABLE, .fd = fd}) == 0);
    want(&w->f, run((struct op){.kind = OP_RECV, .fd = fd, .buf = bytes, .n = 100}) == 0);
}

static void send_all(int fd, size_t n)
{
    static uint8_t bytes[FLOOD];
    for (size_t i = 0; i < n; i++)
        bytes[i] = byte_at(i);
    for (size_t at = 0; at < n;) {
        const int32_t sent =
            run((struct op){.kind = OP_SEND, .fd = fd, .buf = bytes + at, .n = n - at});
        if (sent <= 0)
            abort();
        at += (size_t)sent;
    }
    if (run((struct op){.kind = OP_SHUTDOWN, .fd = fd}) != 0)
        abort();
}

static void flood(void *arg)
{
    struct world *w = arg;
    send_all(w->far[0], FLOOD);
}

// A peer that sends more than anybody asks for.
static void flooded(void *arg)
{
    struct world *w = arg;
    open_pairs(w, 1);
    wait_readable(w, 0);
    fiber_start_always(LOOP_CONTROL, flood, w, NULL);
    await_ended(w, 1);
    if (fiber_sleep_ns(5 * MS) != ERR_OK)
        abort();
    want(&w->f, run((struct op){.kind = OP_READABLE, .fd = w->near[0]}) == 0);
    read_all(w, w->near[0], FLOOD, 1);
    close_near(w, 0);
    want(&w->f, run((struct op){.kind = OP_CLOSE, .fd = w->far[0]}) == 0);
}

// More of them than there are buffers to be had.
static void many_at_once(void *arg)
{
    struct world *w = arg;
    open_pairs(w, MANY);
    for (int i = 0; i < MANY; i++)
        wait_readable(w, i);
    fiber_yield();
    for (int i = 0; i < MANY; i++)
        send_all(w->far[i], EACH);
    await_ended(w, MANY);
    for (int i = 0; i < MANY; i++)
        read_all(w, w->near[i], EACH, (size_t)(1 + 37 * i));
    for (int i = 0; i < MANY; i++) {
        close_near(w, i);
        want(&w->f, run((struct op){.kind = OP_CLOSE, .fd = w->far[i]}) == 0);
    }
}

// What a socket had not been asked for goes with it; the next of that number knows nothing of it.
static void closed_early(void *arg)
{
    struct world *w = arg;
    char bytes[16];
    for (int round = 0; round < 50; round++) {
        w->ended = 0;
        open_pairs(w, 1);
        wait_readable(w, 0);
        if (round % 3 == 1)
            fiber_yield();
        if (write(w->far[0], "forgotten", 9) != 9)
            abort();
        w->may_cancel = round % 3 != 2;
        if (w->may_cancel && w->waits[0].in_flight)
            loop_cancel(loop_current(), &w->waits[0]);
        await_ended(w, 1);
        close_near(w, 0);
        close(w->far[0]);
    }
    open_pairs(w, 1);
    w->ended = 0;
    wait_readable(w, 0);
    fiber_yield();
    if (write(w->far[0], "fresh", 5) != 5)
        abort();
    await_ended(w, 1);
    want(&w->f, run((struct op){.kind = OP_RECV, .fd = w->near[0], .buf = bytes, .n = 16}) == 5 &&
                    !memcmp(bytes, "fresh", 5));
    close_near(w, 0);
    close(w->far[0]);
}

// A wait that was given up leaves the bytes to who reads.
static void given_up(void *arg)
{
    struct world *w = arg;
    char bytes[16];
    open_pairs(w, 1);
    fiber_set_deadline(0);
    struct op wait = {.kind = OP_READABLE, .fd = w->near[0]};
    want(&w->f, fiber_await(&wait) == -ETIMEDOUT);
    fiber_set_deadline(INT64_MAX);
    wait_readable(w, 0);
    fiber_yield();
    fiber_yield();
    if (write(w->far[0], "abcdef", 6) != 6)
        abort();
    await_ended(w, 1);
    want(&w->f, run((struct op){.kind = OP_RECV, .fd = w->near[0], .buf = bytes, .n = 2}) == 2);
    want(&w->f, run((struct op){.kind = OP_RECV, .fd = w->near[0], .buf = bytes, .n = 16}) == 4 &&
                    !memcmp(bytes, "cdef", 4));
    close_near(w, 0);
    close(w->far[0]);
}

static const struct {
    const char *name;
    fiber_fn *flow;
} rows[] = {
    {"flooded", flooded},
    {"many at once", many_at_once},
    {"closed early", closed_early},
    {"given up", given_up},
};

Test(receive, without_a_buffer)
{
    for (size_t i = 0; i < countof(rows); i++)
        for (unsigned backend = 0; backend < IN_LOOP_BACKENDS; backend++) {
            struct world *w = mem_zalloc(sizeof *w);
            waiters_init(&w->waiters);
            in_loop(backend, rows[i].flow, w);
            cr_assert_str_eq(w->f.text, "", "%s, backend %u: %s", rows[i].name, backend, w->f.text);
            mem_free(w);
        }
}
