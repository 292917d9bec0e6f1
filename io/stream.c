#include "io/stream.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>

#include "engine/base/mem.h"
#include "io/clock.h"
#include "io/stream_state.h"
#include "io/system.h"

enum { ADDRESSES_MAX = 16, GOODBYE_NS = 1000 * 1000 * 1000 };

// What an op on s's socket came to, as an error in the words of Go's net package.
static err socket_error(const struct stream *s, int32_t result, const char *what, struct errmsg *e)
{
    char peer[ADDRESS_TEXT_MAX];
    address_format(&s->peer, true, peer);
    if (s->aborted)
        return err_set(e, ERR_IO, "%s tcp %s: use of closed network connection", what, peer);
    const err status = fiber_status();
    if (status == ERR_CANCELED && result == -ECANCELED)
        return err_set(e, status, "context canceled");
    if (status == ERR_TIMEOUT && result == -ETIMEDOUT)
        return err_set(e, status, "context deadline exceeded");
    return err_set(e, ERR_IO, "%s tcp %s: %s", what, peer, system_text(result).text);
}

err stream_receive(struct stream *s, void *p, size_t n, size_t *out_n, struct errmsg *e)
{
    assert(!s->reading && n > 0);
    int32_t result = -ECANCELED;
    while (!s->aborted) {
        struct op op = {.kind = OP_RECV, .fd = s->fd, .buf = p, .n = n};
        s->reading = &op;
        result = fiber_await(&op);
        s->reading = NULL;
        if (result != -EINTR && result != -EAGAIN)
            break;
    }
    if (result < 0 || s->aborted)
        return socket_error(s, result, "read", e);
    *out_n = (size_t)result;
    return ERR_OK;
}

err stream_send(struct stream *s, const void *p, size_t n, struct errmsg *e)
{
    assert(!s->writing);
    for (size_t done = 0; done < n;) {
        int32_t result = -EPIPE;
        if (!s->aborted && !s->is_cut) {
            struct op op = {
                .kind = OP_SEND, .fd = s->fd, .buf = (char *)(uintptr_t)p + done, .n = n - done};
            s->writing = &op;
            result = fiber_await(&op);
            s->writing = NULL;
        }
        if (s->aborted || (result < 0 && result != -EINTR && result != -EAGAIN)) {
            s->is_cut = true;
            return socket_error(s, result, "write", e);
        }
        done += result > 0 ? (size_t)result : 0;
    }
    return ERR_OK;
}

static void plain_goodbye(struct stream *s)
{
    (void)s; // closing says it
}

static bool plain_has_buffered(const struct stream *s)
{
    (void)s;
    return false;
}

static const struct stream_ops plain_ops = {
    .read = stream_receive,
    .write = stream_send,
    .say_goodbye = plain_goodbye,
    .has_buffered = plain_has_buffered,
    .deinit = plain_goodbye,
};

static void call_ready(struct stream *s)
{
    stream_ready_fn *ready = s->ready;
    s->ready = NULL;
    if (ready)
        ready(s->ready_arg);
}

static void idle_done(struct op *op)
{
    struct stream *s = container_of(op, struct stream, idle);
    waiters_wake_all(&s->idle_ended);
    if (s->ready && op->result == -ECANCELED) // of an earlier wait
        loop_submit(loop_current(), op);
    else
        call_ready(s);
}

static void ready_soon(struct timer *timer)
{
    call_ready(container_of(timer, struct stream, ready_soon));
}

static struct stream *stream_new(int fd, const struct address *peer)
{
    struct stream *s = mem_alloc(sizeof *s);
    *s = (struct stream){.ops = &plain_ops, .fd = fd, .peer = *peer};
    s->idle = (struct op){.done = idle_done, .kind = OP_READABLE, .fd = fd};
    timer_init(&s->ready_soon, ready_soon);
    waiters_init(&s->idle_ended);
    return s;
}

err stream_read(struct stream *s, void *p, size_t n, size_t *out_n, struct errmsg *e)
{
    return s->ops->read(s, p, n, out_n, e);
}

err stream_write(struct stream *s, const void *p, size_t n, struct errmsg *e)
{
    return s->ops->write(s, p, n, e);
}

// Tells the peer, unless it has been told or could not understand it.
static void say_goodbye(struct stream *s)
{
    // Behind a shield nothing would bound the goodbye, and the deadline cannot be put back.
    if (s->aborted || s->is_cut || fiber_is_shielded() || fiber_status() != ERR_OK)
        return;
    const int64_t deadline = fiber_deadline(), soon = clock_mono_ns() + GOODBYE_NS;
    if (soon < deadline)
        fiber_set_deadline(soon);
    s->ops->say_goodbye(s);
    if (soon < deadline)
        fiber_set_deadline(deadline);
}

void stream_end_writes(struct stream *s)
{
    struct op op = {.kind = OP_SHUTDOWN, .fd = s->fd, .flags = OP_SHUTDOWN_WRITE};
    say_goodbye(s);
    s->is_cut = true;
    (void)fiber_await(&op); // a peer that is gone needs to be told nothing
}

static void close_fd(int fd)
{
    struct op op = {.kind = OP_CLOSE, .fd = fd};
    (void)fiber_await(&op); // the descriptor is gone whatever close() says
}

void stream_close(struct stream *s)
{
    if (!s)
        return;
    assert(!s->reading && !s->writing);
    stream_when_readable_cancel(s);
    say_goodbye(s);
    fiber_shield_begin();
    while (s->idle.in_flight)
        (void)waiters_wait(&s->idle_ended); // behind a shield: cannot be told to end
    close_fd(s->fd);
    fiber_shield_end();
    s->ops->deinit(s);
    mem_free(s);
}

const struct address *stream_peer(const struct stream *s)
{
    return &s->peer;
}

bool stream_is_tls(const struct stream *s)
{
    return s->ssl;
}

void stream_abort(struct stream *s)
{
    s->aborted = true;
    // One that has ended already, whose fiber has not run since, is not in flight any more.
    if (s->reading && s->reading->in_flight)
        loop_cancel(loop_current(), s->reading);
    if (s->writing && s->writing->in_flight)
        loop_cancel(loop_current(), s->writing);
}

void stream_when_readable(struct stream *s, stream_ready_fn *ready, void *arg)
{
    assert(!s->ready && ready);
    s->ready = ready;
    s->ready_arg = arg;
    if (s->ops->has_buffered(s))
        timer_set(&s->ready_soon, clock_turn_ns());
    else if (!s->idle.in_flight)
        loop_submit(loop_current(), &s->idle);
}

void stream_when_readable_cancel(struct stream *s)
{
    s->ready = NULL;
    timer_cancel(&s->ready_soon);
    if (s->idle.in_flight)
        loop_cancel(loop_current(), &s->idle);
}

struct stream *stream_from_fd(int fd, const struct address *peer, struct tls *tls_server)
{
    struct stream *s = stream_new(fd, peer);
    if (tls_server) {
        const err code = stream_become_tls(s, tls_server, NULL, NULL);
        assert(code == ERR_OK); // fails for a bad host name only
    }
    return s;
}

// One address. ERR_TIMEOUT and ERR_CANCELED: the fiber was told to end.
static err connect_one(const struct address *a, struct stream **out, struct errmsg *e)
{
    struct op op = {.kind = OP_CONNECT, .address = *a};
    const int32_t fd = fiber_await(&op);
    if (fd >= 0) {
        *out = stream_new(fd, a);
        return ERR_OK;
    }
    const err status = fiber_status();
    if (status != ERR_OK)
        return err_set(e, status, "%s",
                       status == ERR_CANCELED ? "context canceled" : "context deadline exceeded");
    char text[ADDRESS_TEXT_MAX];
    address_format(a, true, text);
    return err_set(e, ERR_IO, "dial tcp %s: connect: %s", text, system_text(fd).text);
}

static err connect_plain(const char *host, uint16_t port, struct stream **out, struct errmsg *e)
{
    struct address addresses[ADDRESSES_MAX];
    size_t n = 0;
    err code = resolve_host(host, addresses, ADDRESSES_MAX, &n, e);
    if (code == ERR_TIMEOUT || code == ERR_CANCELED)
        return code;
    if (code != ERR_OK)
        return err_wrap(e, code, "dial tcp");
    // Of several failures the first is told, as Go does.
    struct errmsg later;
    for (size_t i = 0; i < n; i++) {
        addresses[i].port = port;
        const err one = connect_one(&addresses[i], out, i == 0 ? e : &later);
        if (one == ERR_OK)
            return ERR_OK;
        if (one == ERR_TIMEOUT || one == ERR_CANCELED) {
            if (e && i > 0)
                *e = later;
            return one;
        }
        code = one;
    }
    assert(n > 0 && code != ERR_OK);
    return code;
}

err stream_start_tls(struct stream *s, struct tls *tls, const char *host, struct stream **out,
                     struct errmsg *e)
{
    err code = stream_become_tls(s, tls, host, e);
    if (code == ERR_OK)
        code = stream_handshake(s, e);
    if (code != ERR_OK) {
        stream_close(s);
        return code;
    }
    *out = s;
    return ERR_OK;
}

err stream_connect(const char *host, uint16_t port, struct tls *tls, struct stream **out,
                   struct errmsg *e)
{
    struct stream *s = NULL;
    TRY(connect_plain(host, port, &s, e));
    if (tls)
        return stream_start_tls(s, tls, host, out, e);
    *out = s;
    return ERR_OK;
}
