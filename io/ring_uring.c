#include "io/backend.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/base/list.h"
#include "engine/base/mem.h"
#include "engine/base/pool.h"
#include "engine/base/util.h"
#include "io/helper.h"
#include "io/loop_state.h"
#include "io/op_queue.h"
#include "io/system.h"
#include "io/uring_state.h"

// One ring a loop, used by its thread alone, entered once a turn: what was submitted since waits
// in a list and becomes entries then. What this kernel's ring cannot do, which is found out by
// probing, goes to the helper pool or, where it cannot block, is done at once.
// What waits for peers without a buffer or an address of its own has entries that go on: acceptors
// and receivers, see the files of their names.

// Opcodes that liburing 2.3 has no name for.
enum { OPCODE_FTRUNCATE = 55 };

// What the kernel reads or writes while an op is in flight; op->backend[0], where there is one.
union side {
    struct {
        struct sockaddr_storage storage;
        socklen_t size;
    } address;
    struct statx stat;
};

static struct uring *of(struct backend *b)
{
    return container_of(b, struct uring, backend);
}

void uring_end(struct uring *u, struct op *op, int32_t result)
{
    op->result = result;
    u->ended++;
    loop_finish(u->backend.loop, op);
}

void uring_queue(struct uring *u, struct op *op)
{
    op->backend[1] = PLACE_QUEUED;
    op_queue_push(&u->queued, op);
}

static union side *side_of(const struct op *op)
{
    return (union side *)(uintptr_t)op->backend[0];
}

static union side *side_new(struct uring *u, struct op *op)
{
    union side *side = pool_alloc(&u->sides);
    op->backend[0] = (uintptr_t)side;
    return side;
}

static unsigned size_of_transfer(const struct op *op)
{
    enum { TRANSFER_BYTES_MAX = 1 << 30 };
    return op->n < TRANSFER_BYTES_MAX ? (unsigned)op->n : TRANSFER_BYTES_MAX;
}

static void reap(struct uring *u);

struct io_uring_sqe *uring_take_sqe(struct uring *u)
{
    struct io_uring_sqe *sqe;
    while (!(sqe = io_uring_get_sqe(&u->ring))) {
        const int result = io_uring_submit(&u->ring);
        assert(result >= 0 || result == -EBUSY || result == -EAGAIN || result == -EINTR);
        if (result < 0) {
            (void)io_uring_get_events(&u->ring);
            reap(u);
        }
    }
    return sqe;
}

static void prepare_file(struct io_uring_sqe *sqe, const struct op *op)
{
    const unsigned n = size_of_transfer(op);
    const uint64_t offset = (uint64_t)op->offset;
    if (op->kind == OP_OPEN)
        io_uring_prep_openat(sqe, AT_FDCWD, op->path, op->flags | O_CLOEXEC, op->mode);
    else if (op->kind == OP_CLOSE)
        io_uring_prep_close(sqe, op->fd);
    else if (op->kind == OP_READ)
        io_uring_prep_read(sqe, op->fd, op->buf, n, offset);
    else if (op->kind == OP_WRITE)
        io_uring_prep_write(sqe, op->fd, op->buf, n, offset);
    else if (op->kind == OP_SYNC)
        io_uring_prep_fsync(sqe, op->fd, op->flags & OP_SYNC_DATA ? IORING_FSYNC_DATASYNC : 0);
    else if (op->kind == OP_TRUNCATE)
        io_uring_prep_rw(OPCODE_FTRUNCATE, sqe, op->fd, NULL, 0, offset);
    else
        io_uring_prep_fallocate(sqe, op->fd, 0, op->offset, (off_t)op->n);
}

static void prepare_path(struct io_uring_sqe *sqe, const struct op *op)
{
    if (op->kind == OP_RENAME)
        io_uring_prep_renameat(sqe, AT_FDCWD, op->path, AT_FDCWD, op->path2, 0);
    else if (op->kind == OP_LINK)
        io_uring_prep_linkat(sqe, AT_FDCWD, op->path, AT_FDCWD, op->path2, 0);
    else if (op->kind == OP_UNLINK)
        io_uring_prep_unlinkat(sqe, AT_FDCWD, op->path, 0);
    else if (op->kind == OP_RMDIR)
        io_uring_prep_unlinkat(sqe, AT_FDCWD, op->path, AT_REMOVEDIR);
    else
        io_uring_prep_mkdirat(sqe, AT_FDCWD, op->path, op->mode);
}

static void prepare_socket(struct uring *u, struct io_uring_sqe *sqe, struct op *op)
{
    const unsigned n = size_of_transfer(op);
    if (op->kind == OP_RECV) {
        io_uring_prep_recv(sqe, op->fd, op->buf, n, 0);
    } else if (op->kind == OP_SEND) {
        const int more = op->flags & OP_SEND_MORE ? MSG_MORE : 0;
        io_uring_prep_send(sqe, op->fd, op->buf, n, MSG_NOSIGNAL | more);
    } else if (op->kind == OP_READABLE) {
        io_uring_prep_poll_add(sqe, op->fd, POLLIN | POLLRDHUP);
    } else if (op->kind == OP_ACCEPT) {
        union side *side = side_new(u, op);
        side->address.size = sizeof side->address.storage;
        io_uring_prep_accept(sqe, op->fd, (struct sockaddr *)&side->address.storage,
                             &side->address.size, SOCK_CLOEXEC);
    } else {
        assert(op->kind == OP_CONNECT);
        union side *side = side_new(u, op);
        side->address.size = address_to_system(&op->address, &side->address.storage);
        io_uring_prep_connect(sqe, op->fd, (struct sockaddr *)&side->address.storage,
                              side->address.size);
    }
}

static void to_ring(struct uring *u, struct op *op)
{
    struct io_uring_sqe *sqe = uring_take_sqe(u);
    if (op->kind == OP_STAT)
        io_uring_prep_statx(sqe, op->path ? AT_FDCWD : op->fd, op->path ? op->path : "",
                            op->path ? 0 : AT_EMPTY_PATH, STATX_TYPE | STATX_SIZE | STATX_MTIME,
                            &side_new(u, op)->stat);
    else if (op->kind >= OP_RENAME && op->kind <= OP_RMDIR)
        prepare_path(sqe, op);
    else if (op->kind < OP_RENAME)
        prepare_file(sqe, op);
    else
        prepare_socket(u, sqe, op);
    io_uring_sqe_set_data(sqe, op);
    op->backend[1] = PLACE_RING;
    u->in_ring++;
}

static void uring_submit(struct backend *b, struct op *op)
{
    struct uring *u = of(b);
    if (op->kind == OP_LISTEN || op->kind == OP_SHUTDOWN) {
        uring_end(u, op, system_run(op));
        return;
    }
    if (!u->is_native[op->kind]) {
        op->backend[1] = PLACE_HELPER;
        helper_submit(u->helpers, op);
        return;
    }
    if (op->kind == OP_CONNECT && (op->fd = system_socket(&op->address, 0)) < 0) {
        uring_end(u, op, op->fd);
        return;
    }
    if (op->kind == OP_ACCEPT && u->has_multishot) {
        acceptor_ask(u, op);
        return;
    }
    if (op->kind == OP_CLOSE && (acceptor_end(u, op) || receiver_end(u, op)))
        return;
    if ((op->kind == OP_READABLE || op->kind == OP_RECV) && receiver_takes(u, op))
        return;
    uring_queue(u, op);
}

// The order of entries is the order of calls, so a cancel never meets a later op at its address.
static void uring_cancel(struct backend *b, struct op *op)
{
    struct uring *u = of(b);
    if (op->backend[1] == PLACE_QUEUED) {
        op_queue_remove(&u->queued, op);
        if (op->kind == OP_CONNECT)
            close(op->fd);
        uring_end(u, op, -ECANCELED);
    } else if (op->backend[1] == PLACE_RING) {
        struct io_uring_sqe *sqe = uring_take_sqe(u);
        io_uring_prep_cancel(sqe, op, 0);
        io_uring_sqe_set_data64(sqe, TAG_IGNORED);
    } else if (op->backend[1] == PLACE_ACCEPTOR && op->kind == OP_ACCEPT) {
        acceptor_cancel(u, op);
    } else if (op->backend[1] == PLACE_RECEIVER && op->kind != OP_CLOSE) {
        receiver_cancel(u, op);
    } else if (op->backend[1] == PLACE_HELPER) {
        helper_cancel(u->helpers, op);
    }
}

// Brings what the kernel said into the op.
static void complete(struct uring *u, struct op *op, int32_t result)
{
    op->result = result;
    if (op->kind == OP_STAT) {
        union side *side = side_of(op);
        const struct statx *st = &side->stat;
        if (result == 0)
            op->stat = (struct op_stat){.size = (int64_t)st->stx_size,
                                        .mtime_ms = st->stx_mtime.tv_sec * 1000 +
                                                    st->stx_mtime.tv_nsec / 1000000,
                                        .is_dir = S_ISDIR(st->stx_mode)};
        pool_free(&u->sides, side);
    } else if (op->kind == OP_ACCEPT) {
        union side *side = side_of(op);
        if (result >= 0) {
            address_from_system(&side->address.storage, &op->address);
            system_tune_connection(result);
        }
        pool_free(&u->sides, side);
    } else if (op->kind == OP_CONNECT) {
        pool_free(&u->sides, side_of(op));
        if (result == 0) {
            system_tune_connection(op->fd);
            op->result = op->fd;
        } else {
            close(op->fd);
        }
    } else if (op->kind == OP_READABLE && result > 0) {
        op->result = 0;
    }
}

static void watch_wakes(struct uring *u)
{
    struct io_uring_sqe *sqe = uring_take_sqe(u);
    io_uring_prep_read(sqe, u->wake_fd, &u->wake_value, sizeof u->wake_value, 0);
    io_uring_sqe_set_data64(sqe, TAG_WAKE);
}

static void take_completion(struct uring *u, uint64_t data, int32_t result, unsigned flags)
{
    void *whose = (void *)(uintptr_t)(data & ~(uint64_t)TAG_BITS);
    if (data == TAG_WAKE) {
        watch_wakes(u);
    } else if (data < TAG_COUNT) {
        return;
    } else if (data & ACCEPTOR_BIT) {
        acceptor_says(u, whose, result, flags & IORING_CQE_F_MORE);
    } else if (data & RECEIVER_BIT) {
        receiver_says(u, whose, result, flags);
    } else {
        struct op *op = whose;
        complete(u, op, result);
        u->in_ring--;
        uring_end(u, op, op->result);
    }
}

// One by one: what is done about a completion may need an entry, and so come back here.
static void reap(struct uring *u)
{
    while (io_uring_cq_ready(&u->ring) > 0) {
        struct io_uring_cqe *cqe = NULL;
        (void)io_uring_peek_cqe(&u->ring, &cqe); // there is one
        const uint64_t data = cqe->user_data;
        const int32_t result = cqe->res;
        const unsigned flags = cqe->flags;
        io_uring_cqe_seen(&u->ring, cqe);
        take_completion(u, data, result, flags);
    }
}

// Completions that wait, or what the kernel would make completions of if it were asked.
static bool has_events(const struct uring *u)
{
    return io_uring_cq_ready(&u->ring) > 0 ||
           (IO_URING_READ_ONCE(*u->ring.sq.kflags) & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW));
}

static void enter(struct uring *u, int64_t wait_ns)
{
    int result;
    if (wait_ns == 0) {
        if (io_uring_sq_ready(&u->ring) == 0 && !has_events(u) &&
            (u->in_ring == 0 || u->ring.flags & IORING_SETUP_TASKRUN_FLAG))
            return;
        result = io_uring_submit_and_get_events(&u->ring);
    } else if (wait_ns < 0) {
        result = io_uring_submit_and_wait(&u->ring, 1);
    } else {
        struct __kernel_timespec ts = {.tv_sec = wait_ns / 1000000000,
                                       .tv_nsec = wait_ns % 1000000000};
        struct io_uring_cqe *cqe;
        result = io_uring_submit_and_wait_timeout(&u->ring, &cqe, 1, &ts, NULL);
    }
    // -EBUSY: completions must be taken first; the entries go with the next turn.
    assert(result >= 0 || result == -EINTR || result == -ETIME || result == -EAGAIN ||
           result == -EBUSY);
}

static unsigned uring_poll(struct backend *b, int64_t wait_ns)
{
    struct uring *u = of(b);
    u->ended = 0;
    for (struct op *op; (op = op_queue_pop(&u->queued));)
        to_ring(u, op);
    const unsigned early = helper_reap(u->helpers);
    enter(u, early || u->ended ? 0 : wait_ns);
    reap(u);
    return early + u->ended + helper_reap(u->helpers);
}

static const struct backend_ops uring_ops;

static struct uring *own_ring(void) // of the calling shard; NULL: it has none
{
    const struct loop *loop = loop_current();
    return loop && loop->backend->ops == &uring_ops ? of(loop->backend) : NULL;
}

// From a shard that has a ring by a message between the rings, which the woken one need not read
// and wait for again; from other threads through the eventfd.
static void uring_wake(struct backend *b)
{
    struct uring *u = of(b), *from = own_ring();
    if (from && from != u && from->has_messages) {
        struct io_uring_sqe *sqe = uring_take_sqe(from);
        io_uring_prep_msg_ring(sqe, u->ring.ring_fd, 0, TAG_MESSAGE, 0);
        io_uring_sqe_set_flags(sqe, IOSQE_CQE_SKIP_SUCCESS);
        io_uring_sqe_set_data64(sqe, TAG_IGNORED);
        (void)io_uring_submit(&from->ring); // what it refuses goes with the next turn
        return;
    }
    const uint64_t one = 1;
    const ssize_t n = write(u->wake_fd, &one, sizeof one);
    (void)n; // cannot fail short of 2^64 wakes
}

static bool uring_is_ready(struct backend *b)
{
    return has_events(of(b));
}

static void uring_destroy(struct backend *b)
{
    struct uring *u = of(b);
    assert(!u->queued.first && u->in_ring == 0 && list_is_empty(&u->acceptors));
    receivers_deinit(u);
    io_uring_queue_exit(&u->ring);
    close(u->wake_fd);
    helper_client_destroy(u->helpers);
    pool_deinit(&u->sides);
    mem_free(u);
}

static const struct backend_ops uring_ops = {
    .name = "io_uring",
    .submit = uring_submit,
    .cancel = uring_cancel,
    .poll = uring_poll,
    .wake = uring_wake,
    .is_ready = uring_is_ready,
    .mono_ns = system_backend_mono_ns,
    .wall_ms = system_backend_wall_ms,
    .random = system_backend_random,
    .destroy = uring_destroy,
};

static void probe(struct uring *u)
{
    static const uint8_t opcodes[OP_KIND_COUNT] = {
        [OP_OPEN] = IORING_OP_OPENAT,     [OP_CLOSE] = IORING_OP_CLOSE,
        [OP_READ] = IORING_OP_READ,       [OP_WRITE] = IORING_OP_WRITE,
        [OP_SYNC] = IORING_OP_FSYNC,      [OP_STAT] = IORING_OP_STATX,
        [OP_TRUNCATE] = OPCODE_FTRUNCATE, [OP_ALLOCATE] = IORING_OP_FALLOCATE,
        [OP_RENAME] = IORING_OP_RENAMEAT, [OP_LINK] = IORING_OP_LINKAT,
        [OP_UNLINK] = IORING_OP_UNLINKAT, [OP_MKDIR] = IORING_OP_MKDIRAT,
        [OP_RMDIR] = IORING_OP_UNLINKAT,  [OP_ACCEPT] = IORING_OP_ACCEPT,
        [OP_CONNECT] = IORING_OP_CONNECT, [OP_RECV] = IORING_OP_RECV,
        [OP_SEND] = IORING_OP_SEND,       [OP_READABLE] = IORING_OP_POLL_ADD,
    };
    struct io_uring_probe *p = io_uring_get_probe_ring(&u->ring);
    for (int kind = 0; p && kind < OP_KIND_COUNT; kind++)
        u->is_native[kind] = opcodes[kind] && opcodes[kind] <= p->last_op &&
                             (p->ops[opcodes[kind]].flags & IO_URING_OP_SUPPORTED);
    u->has_messages = p && p->last_op >= IORING_OP_MSG_RING &&
                      p->ops[IORING_OP_MSG_RING].flags & IO_URING_OP_SUPPORTED && u->has_multishot;
    if (p)
        io_uring_free_probe(p);
}

// The best set of flags this kernel knows; -errno.
static int open_ring(unsigned entries, struct io_uring *ring)
{
    static const unsigned flags[] = {
        IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SUBMIT_ALL |
            IORING_SETUP_TASKRUN_FLAG,                                                   // 6.1
        IORING_SETUP_COOP_TASKRUN | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_TASKRUN_FLAG, // 5.19
        0,
    };
    int result = -EINVAL;
    for (size_t i = 0; i < countof(flags) && result == -EINVAL; i++) {
        struct io_uring_params params = {.flags = flags[i] | IORING_SETUP_CQSIZE,
                                         .cq_entries = entries * 4};
        result = io_uring_queue_init_params(entries, ring, &params);
    }
    return result;
}

static err refuse(struct uring *u, struct errmsg *e, const char *what, int32_t result)
{
    mem_free(u);
    return err_set(e, ERR_IO, "io_uring: %s: %s", what, system_text(result).text);
}

err backend_uring_create_without(unsigned entries, unsigned without, struct backend **out,
                                 struct errmsg *e)
{
    struct uring *u = mem_zalloc(sizeof *u);
    int result = open_ring(entries, &u->ring);
    if (result < 0)
        return refuse(u, e, "setup", result);
    const unsigned needed = IORING_FEAT_NODROP | IORING_FEAT_EXT_ARG | IORING_FEAT_SUBMIT_STABLE;
    u->has_multishot = // older than the flag
        u->ring.flags & IORING_SETUP_SINGLE_ISSUER && !(without & URING_WITHOUT_MULTISHOT);
    (void)io_uring_register_ring_fd(&u->ring); // else each call looks it up
    probe(u);
    if ((u->ring.features & needed) != needed || !u->is_native[OP_ACCEPT] ||
        !u->is_native[OP_CONNECT] || !u->is_native[OP_RECV] || !u->is_native[OP_SEND] ||
        !u->is_native[OP_READABLE] || !u->is_native[OP_READ]) {
        io_uring_queue_exit(&u->ring);
        return refuse(u, e, "this kernel's lacks what is needed", -ENOSYS);
    }
    u->wake_fd = eventfd(0, EFD_CLOEXEC);
    if (u->wake_fd < 0) {
        result = -errno;
        io_uring_queue_exit(&u->ring);
        return refuse(u, e, "eventfd", result);
    }
    u->backend.ops = &uring_ops;
    op_queue_init(&u->queued);
    list_init(&u->acceptors);
    u->has_messages = u->has_messages && !(without & URING_WITHOUT_MESSAGES);
    u->backend.lacks = "multishot accept and receive";
    if (u->has_multishot)
        u->backend.lacks = without & URING_WITHOUT_BUFFERS ? "provided buffers" : receivers_init(u);
    u->helpers = helper_client_create(&u->backend);
    pool_init(&u->sides, sizeof(union side));
    watch_wakes(u);
    *out = &u->backend;
    return ERR_OK;
}

err backend_uring_create(unsigned entries, struct backend **out, struct errmsg *e)
{
    return backend_uring_create_without(entries, 0, out, e);
}
