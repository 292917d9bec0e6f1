#include "io/stream.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>

#include "engine/base/mem.h"
#include "io/clock.h"
#include "io/fiber.h"
#include "io/system.h"

enum { PAUSE_NS = 100 * 1000 * 1000 }; // when descriptors or memory ran out

struct listener {
    int fd;
    uint16_t port;
    bool closing;
    bool is_paused;
    int held_fd; // accepted while it was paused already; -1: none
    struct address held_peer;
    struct op accept;
    struct timer resume;
    listener_accepted_fn *accepted;
    void *arg;
    struct waiters ended;
};

struct discard {
    struct op op;
};

static void discard_done(struct op *op)
{
    mem_free(container_of(op, struct discard, op));
}

void socket_discard(int fd)
{
    struct discard *d = mem_alloc(sizeof *d);
    d->op = (struct op){.done = discard_done, .kind = OP_CLOSE, .fd = fd};
    loop_submit(loop_current(), &d->op);
}

static void accept_next(struct listener *l)
{
    l->accept.fd = l->fd;
    loop_submit(loop_current(), &l->accept);
}

// From an op that may be submitted anew meanwhile: by value.
static void take(struct listener *l, int fd, const struct address *from)
{
    const struct address peer = *from;
    l->accepted(l->arg, fd, &peer);
    if (!l->is_paused && !l->accept.in_flight)
        accept_next(l);
}

void listener_pause(struct listener *l)
{
    l->is_paused = true;
    timer_cancel(&l->resume);
    if (l->accept.in_flight)
        loop_cancel(loop_current(), &l->accept);
}

void listener_resume(struct listener *l)
{
    const int fd = l->held_fd;
    l->is_paused = false;
    l->held_fd = -1;
    if (fd >= 0)
        take(l, fd, &l->held_peer);
    else if (!l->accept.in_flight)
        accept_next(l);
}

static void resume(struct timer *timer)
{
    accept_next(container_of(timer, struct listener, resume));
}

static bool is_shortage(int32_t result)
{
    return result == -EMFILE || result == -ENFILE || result == -ENOBUFS || result == -ENOMEM;
}

static void accept_done(struct op *op)
{
    struct listener *l = container_of(op, struct listener, accept);
    if (l->closing) {
        if (op->result >= 0)
            socket_discard(op->result);
        waiters_wake_all(&l->ended);
        return;
    }
    if (op->result >= 0 && l->is_paused) {
        l->held_fd = op->result;
        l->held_peer = op->address;
    } else if (op->result >= 0) {
        take(l, op->result, &op->address);
    } else if (l->is_paused) { // asks again when it goes on
    } else if (is_shortage(op->result)) {
        timer_set(&l->resume, clock_turn_ns() + PAUSE_NS);
    } else {
        accept_next(l); // of one connection that is gone already
    }
}

// A wildcard takes both families, as Go's net.Listen("tcp") does, where there are both.
static err listen_on(const char *host, uint16_t port, struct op *op, struct errmsg *e)
{
    struct address a = {0};
    size_t n = 0;
    if (host[0]) {
        const err resolved = resolve_host(host, &a, 1, &n, e);
        if (resolved)
            return err_wrap(e, resolved, "listen tcp");
    }
    static const uint8_t zeros[16];
    const bool is_wildcard = !memcmp(a.ip, zeros, sizeof zeros);
    a.port = port;
    if (is_wildcard)
        a.family = ADDRESS_IPV6;
    *op = (struct op){.kind = OP_LISTEN, .address = a};
    int32_t fd = fiber_await(op);
    if (is_wildcard && (fd == -EAFNOSUPPORT || fd == -EADDRNOTAVAIL)) {
        a.family = ADDRESS_IPV4;
        *op = (struct op){.kind = OP_LISTEN, .address = a};
        fd = fiber_await(op);
    }
    if (fd >= 0)
        return ERR_OK;
    char what[ADDRESS_TEXT_MAX + 16];
    snprintf(what, sizeof what, host[0] && strchr(host, ':') ? "[%.60s]:%u" : "%.60s:%u", host,
             (unsigned)port);
    const err code = system_error(NULL, fd, "", "");
    return err_set(e, code, "listen tcp %s: bind: %s", what, system_text(fd).text);
}

err listener_open(const char *host, uint16_t port, listener_accepted_fn *accepted, void *arg,
                  struct listener **out, struct errmsg *e)
{
    const struct str text = str_from_c(host);
    char bare[ADDRESS_TEXT_MAX];
    if (text.n > 2 && text.n < sizeof bare && host[0] == '[' && host[text.n - 1] == ']') {
        memcpy(bare, host + 1, text.n - 2);
        bare[text.n - 2] = '\0';
        host = bare;
    }
    struct op op;
    TRY(listen_on(host, port, &op, e));
    struct listener *l = mem_alloc(sizeof *l);
    *l = (struct listener){
        .fd = op.result, .port = op.address.port, .held_fd = -1, .accepted = accepted, .arg = arg};
    l->accept = (struct op){.done = accept_done, .kind = OP_ACCEPT};
    timer_init(&l->resume, resume);
    waiters_init(&l->ended);
    accept_next(l);
    *out = l;
    return ERR_OK;
}

uint16_t listener_port(const struct listener *l)
{
    return l->port;
}

void listener_close(struct listener *l)
{
    if (!l)
        return;
    l->closing = true;
    timer_cancel(&l->resume);
    if (l->held_fd >= 0)
        socket_discard(l->held_fd);
    fiber_shield_begin();
    if (l->accept.in_flight)
        loop_cancel(loop_current(), &l->accept);
    while (l->accept.in_flight)
        (void)waiters_wait(&l->ended); // behind a shield: cannot be told to end
    struct op op = {.kind = OP_CLOSE, .fd = l->fd};
    (void)fiber_await(&op); // the descriptor is gone whatever close() says
    fiber_shield_end();
    mem_free(l);
}
