#include "io/backend.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "engine/base/list.h"
#include "engine/base/mem.h"
#include "engine/base/util.h"
#include "io/helper.h"
#include "io/loop.h"
#include "io/op_queue.h"
#include "io/system.h"

// Where io_uring is forbidden. What waits for a peer is tried at once, and again when epoll says
// that something changed: a socket is registered once, for edges of both directions, when it first
// has to wait. Reads and writes of files that the page cache can answer are done at once; the rest
// of what concerns files goes to the helper pool.
//
// A descriptor is closed by the loop that waited on it, through OP_CLOSE: that is how a socket is
// known to be gone when its number comes back.

enum {
    EVENTS_MAX = 256,
    AT_ONCE_BYTES_MAX = 256 * 1024, // more would hold up the shard for the time of the copy
};

enum place { PLACE_WAITING = 1, PLACE_HELPER, PLACE_READY }; // op->backend[1]

struct watched {
    struct op_queue in, out; // ops that wait
    bool is_registered;
};

struct poller {
    struct backend backend;
    struct helper_client *helpers;
    struct op_queue ready; // ended
    struct watched **fds;  // by descriptor; NULL: never waited for
    size_t fds_count, waiting_count;
    int epoll_fd, wake_fd;
    bool has_pwait2;
};

static struct poller *of(struct backend *b)
{
    return container_of(b, struct poller, backend);
}

static struct watched *watched_at(struct poller *p, int fd)
{
    assert(fd >= 0);
    const size_t at = (size_t)fd;
    if (at >= p->fds_count) {
        const size_t before = p->fds_count;
        p->fds = mem_grow(p->fds, &p->fds_count, at + 1, sizeof *p->fds);
        memset(p->fds + before, 0, (p->fds_count - before) * sizeof *p->fds);
    }
    if (!p->fds[at]) {
        p->fds[at] = mem_zalloc(sizeof *p->fds[at]);
        op_queue_init(&p->fds[at]->in);
        op_queue_init(&p->fds[at]->out);
    }
    return p->fds[at];
}

static void end_now(struct poller *p, struct op *op, int32_t result)
{
    op->result = result;
    op->backend[1] = PLACE_READY;
    op_queue_push(&p->ready, op);
}

static bool is_again(int32_t result)
{
    return result == -EAGAIN || result == -EWOULDBLOCK || result == -EINTR;
}

static int32_t or_errno(ssize_t result)
{
    return result < 0 ? -errno : (int32_t)result;
}

static size_t size_of_transfer(const struct op *op)
{
    enum { TRANSFER_BYTES_MAX = 1 << 30 };
    return op->n < TRANSFER_BYTES_MAX ? op->n : TRANSFER_BYTES_MAX;
}

static int32_t try_accept(struct op *op)
{
    struct sockaddr_storage storage;
    socklen_t size = sizeof storage;
    const int fd = accept4(op->fd, (struct sockaddr *)&storage, &size, SOCK_CLOEXEC);
    if (fd < 0)
        return -errno;
    address_from_system(&storage, &op->address);
    system_tune_connection(fd);
    return fd;
}

// The attempt is under way since begin_connect().
static int32_t try_connect(struct op *op)
{
    struct pollfd pollfd = {.fd = op->fd, .events = POLLOUT};
    if (poll(&pollfd, 1, 0) == 0)
        return -EAGAIN;
    int code = 0;
    socklen_t size = sizeof code;
    if (getsockopt(op->fd, SOL_SOCKET, SO_ERROR, &code, &size) < 0)
        code = errno;
    if (code)
        return -code;
    system_tune_connection(op->fd);
    return op->fd;
}

static int32_t try_readable(const struct op *op)
{
    struct pollfd pollfd = {.fd = op->fd, .events = POLLIN | POLLRDHUP};
    const int n = poll(&pollfd, 1, 0);
    return n < 0 ? -errno : n == 0 ? -EAGAIN : 0;
}

static int32_t try_socket(struct op *op)
{
    if (op->kind == OP_RECV)
        return or_errno(recv(op->fd, op->buf, size_of_transfer(op), MSG_DONTWAIT));
    if (op->kind == OP_SEND) {
        const int more = op->flags & OP_SEND_MORE ? MSG_MORE : 0;
        return or_errno(
            send(op->fd, op->buf, size_of_transfer(op), MSG_DONTWAIT | MSG_NOSIGNAL | more));
    }
    if (op->kind == OP_ACCEPT)
        return try_accept(op);
    if (op->kind == OP_CONNECT)
        return try_connect(op);
    return try_readable(op);
}

static bool is_outward(const struct op *op)
{
    return op->kind == OP_SEND || op->kind == OP_CONNECT;
}

static void forget(struct poller *p, int fd)
{
    if ((size_t)fd >= p->fds_count || !p->fds[fd])
        return;
    assert(!p->fds[fd]->in.first && !p->fds[fd]->out.first); // closed while something waits there
    mem_free(p->fds[fd]);
    p->fds[fd] = NULL;
}

// Ends an op that came to something. A connection that failed has no socket.
static void end_tried(struct poller *p, struct op *op, int32_t result)
{
    if (op->kind == OP_CONNECT && result < 0) {
        forget(p, op->fd);
        close(op->fd);
    }
    end_now(p, op, result);
}

static int32_t watch(struct poller *p, int fd, struct watched *w)
{
    if (w->is_registered)
        return 0;
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
                                .data = {.fd = fd}};
    if (epoll_ctl(p->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
        return -errno;
    w->is_registered = true;
    return 0;
}

// Ops of one direction keep their order. Registered before the second try: what comes between is
// an edge.
static void submit_socket(struct poller *p, struct op *op)
{
    struct watched *w = watched_at(p, op->fd);
    struct op_queue *queue = is_outward(op) ? &w->out : &w->in;
    int32_t result = queue->first ? -EAGAIN : try_socket(op);
    if (is_again(result) && !w->is_registered) {
        result = watch(p, op->fd, w);
        if (result == 0)
            result = queue->first ? -EAGAIN : try_socket(op);
    }
    if (!is_again(result)) {
        end_tried(p, op, result);
        return;
    }
    op->backend[1] = PLACE_WAITING;
    op_queue_push(queue, op);
    p->waiting_count++;
}

static void submit_connect(struct poller *p, struct op *op)
{
    const int32_t fd = system_socket(&op->address, SOCK_NONBLOCK);
    if (fd < 0) {
        end_now(p, op, fd);
        return;
    }
    op->fd = fd;
    struct sockaddr_storage storage;
    const socklen_t size = address_to_system(&op->address, &storage);
    const int32_t result = or_errno(connect(fd, (struct sockaddr *)&storage, size));
    if (result < 0 && result != -EINPROGRESS && result != -EINTR)
        end_tried(p, op, result);
    else
        submit_socket(p, op);
}

static void to_helper(struct poller *p, struct op *op)
{
    op->backend[1] = PLACE_HELPER;
    helper_submit(p->helpers, op);
}

// What is in the page cache is had at once; -EAGAIN, or -EOPNOTSUPP of some file systems, sends
// the rest to a helper, who also finds out about real errors.
static void submit_transfer(struct poller *p, struct op *op)
{
    ssize_t n = -1;
    struct iovec iov = {.iov_base = op->buf, .iov_len = op->n};
    if (op->n <= AT_ONCE_BYTES_MAX)
        n = op->kind == OP_READ ? preadv2(op->fd, &iov, 1, op->offset, RWF_NOWAIT)
                                : pwritev2(op->fd, &iov, 1, op->offset, RWF_NOWAIT);
    if (n > 0 || (n == 0 && op->kind == OP_READ))
        end_now(p, op, (int32_t)n);
    else
        to_helper(p, op);
}

// Closing a socket cannot block; closing a file may have to remove it.
static void submit_close(struct poller *p, struct op *op)
{
    const bool is_socket = (size_t)op->fd < p->fds_count && p->fds[op->fd];
    forget(p, op->fd);
    if (is_socket)
        end_now(p, op, system_run(op));
    else
        to_helper(p, op);
}

// The socket must not block in accept4() when somebody else was faster.
static void submit_listen(struct poller *p, struct op *op)
{
    const int32_t fd = system_run(op);
    if (fd >= 0)
        (void)fcntl(fd, F_SETFL, O_RDWR | O_NONBLOCK); // cannot fail on a socket
    end_now(p, op, fd);
}

static void poll_submit(struct backend *b, struct op *op)
{
    struct poller *p = of(b);
    if (op->kind >= OP_ACCEPT && op->kind <= OP_READABLE) {
        if (op->kind == OP_CONNECT)
            submit_connect(p, op);
        else
            submit_socket(p, op);
    } else if (op->kind == OP_READ || op->kind == OP_WRITE) {
        submit_transfer(p, op);
    } else if (op->kind == OP_CLOSE) {
        submit_close(p, op);
    } else if (op->kind == OP_LISTEN) {
        submit_listen(p, op);
    } else if (op->kind == OP_SHUTDOWN) {
        end_now(p, op, system_run(op));
    } else {
        to_helper(p, op);
    }
}

static void poll_cancel(struct backend *b, struct op *op)
{
    struct poller *p = of(b);
    if (op->backend[1] == PLACE_HELPER) {
        helper_cancel(p->helpers, op);
    } else if (op->backend[1] == PLACE_WAITING) {
        struct watched *w = p->fds[op->fd];
        op_queue_remove(is_outward(op) ? &w->out : &w->in, op);
        p->waiting_count--;
        end_tried(p, op, -ECANCELED);
    }
}

static void try_waiting(struct poller *p, struct op_queue *queue)
{
    while (queue->first) {
        const int32_t result = try_socket(queue->first);
        if (is_again(result))
            return;
        struct op *op = op_queue_pop(queue);
        p->waiting_count--;
        const bool is_last = op->kind == OP_CONNECT; // its failure frees the queue
        end_tried(p, op, result);
        if (is_last)
            return;
    }
}

static void handle_event(struct poller *p, const struct epoll_event *event)
{
    const int fd = event->data.fd;
    if (fd == p->wake_fd) {
        uint64_t count;
        const ssize_t n = read(fd, &count, sizeof count);
        (void)n; // what was to be seen is elsewhere
        return;
    }
    const uint32_t broken = EPOLLERR | EPOLLHUP;
    if (event->events & (EPOLLIN | EPOLLRDHUP | broken) && p->fds[fd])
        try_waiting(p, &p->fds[fd]->in);
    if (event->events & (EPOLLOUT | broken) && p->fds[fd])
        try_waiting(p, &p->fds[fd]->out);
}

static int wait_events(struct poller *p, struct epoll_event *events, int64_t wait_ns)
{
    if (p->has_pwait2) {
        const struct timespec ts = {.tv_sec = wait_ns / 1000000000,
                                    .tv_nsec = wait_ns % 1000000000};
        const int n = epoll_pwait2(p->epoll_fd, events, EVENTS_MAX, wait_ns < 0 ? NULL : &ts, NULL);
        if (n >= 0 || (errno != ENOSYS && errno != EPERM))
            return n;
        p->has_pwait2 = false; // an old kernel, or an old filter of system calls
    }
    const int64_t ms = wait_ns < 0 ? -1 : (wait_ns + 999999) / 1000000;
    return epoll_wait(p->epoll_fd, events, EVENTS_MAX, ms > 60000 ? 60000 : (int)ms);
}

static unsigned poll_poll(struct backend *b, int64_t wait_ns)
{
    struct poller *p = of(b);
    unsigned count = helper_reap(p->helpers);
    if (count || p->ready.first)
        wait_ns = 0;
    if (wait_ns != 0 || p->waiting_count > 0) {
        struct epoll_event events[EVENTS_MAX];
        const int n = wait_events(p, events, wait_ns);
        assert(n >= 0 || errno == EINTR);
        for (int i = 0; i < n; i++)
            handle_event(p, &events[i]);
    }
    count += helper_reap(p->helpers);
    for (struct op *op; (op = op_queue_pop(&p->ready)); count++)
        loop_finish(p->backend.loop, op);
    return count;
}

static void poll_wake(struct backend *b)
{
    const uint64_t one = 1;
    const ssize_t n = write(of(b)->wake_fd, &one, sizeof one);
    (void)n; // cannot fail short of 2^64 wakes
}

static void poll_destroy(struct backend *b)
{
    struct poller *p = of(b);
    assert(p->waiting_count == 0);
    close(p->epoll_fd);
    close(p->wake_fd);
    helper_client_destroy(p->helpers);
    for (size_t i = 0; i < p->fds_count; i++)
        mem_free(p->fds[i]);
    mem_free(p->fds);
    mem_free(p);
}

static const struct backend_ops poll_ops = {
    .name = "poll",
    .submit = poll_submit,
    .cancel = poll_cancel,
    .poll = poll_poll,
    .wake = poll_wake,
    .mono_ns = system_backend_mono_ns,
    .wall_ms = system_backend_wall_ms,
    .random = system_backend_random,
    .destroy = poll_destroy,
};

err backend_poll_create(struct backend **out, struct errmsg *e)
{
    const int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    const int wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN, .data = {.fd = wake_fd}};
    if (epoll_fd < 0 || wake_fd < 0 || epoll_ctl(epoll_fd, EPOLL_CTL_ADD, wake_fd, &event) < 0) {
        const int32_t result = -errno;
        if (epoll_fd >= 0)
            close(epoll_fd);
        if (wake_fd >= 0)
            close(wake_fd);
        return err_set(e, ERR_IO, "epoll: %s", system_text(result).text);
    }
    struct poller *p = mem_zalloc(sizeof *p);
    p->backend.ops = &poll_ops;
    p->epoll_fd = epoll_fd;
    p->wake_fd = wake_fd;
    p->has_pwait2 = true;
    op_queue_init(&p->ready);
    p->helpers = helper_client_create(&p->backend);
    *out = &p->backend;
    return ERR_OK;
}
