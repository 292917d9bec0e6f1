#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "engine/base/mem.h"
#include "tests/sim/world_state.h"

enum { FD_FIRST = 3 };
static const uint64_t DISK_BYTES = 1ull << 40;

// ---- descriptors

struct descriptor *world_fd(struct world *w, int fd)
{
    if (fd < FD_FIRST || fd >= WORLD_FDS_MAX || w->fds[fd].kind == DESCRIPTOR_FREE)
        return NULL;
    return &w->fds[fd];
}

bool world_op_has_fd(const struct op *op)
{
    switch ((enum op_kind)op->kind) {
    case OP_CLOSE:
    case OP_READ:
    case OP_WRITE:
    case OP_SYNC:
    case OP_TRUNCATE:
    case OP_ALLOCATE:
    case OP_LOCK:
    case OP_ACCEPT:
    case OP_RECV:
    case OP_SEND:
    case OP_READABLE:
    case OP_SHUTDOWN:
        return true;
    case OP_STAT:
        return !op->path;
    case OP_NONE:
    case OP_OPEN:
    case OP_RENAME:
    case OP_LINK:
    case OP_UNLINK:
    case OP_MKDIR:
    case OP_RMDIR:
    case OP_LIST:
    case OP_SPACE:
    case OP_LISTEN:
    case OP_CONNECT:
    case OP_RESOLVE:
    case OP_WORK:
    case OP_KIND_COUNT:
        return false;
    }
    return false;
}

static int32_t add_fd(struct world *w, struct descriptor d)
{
    for (int fd = FD_FIRST; fd < WORLD_FDS_MAX; fd++) {
        if (w->fds[fd].kind == DESCRIPTOR_FREE) {
            w->fds[fd] = d;
            w->fds_open++;
            return fd;
        }
    }
    return -EMFILE;
}

void world_close_fd(struct world *w, int fd)
{
    struct descriptor *d = world_fd(w, fd);
    if (d->kind == DESCRIPTOR_INODE) {
        if (d->inode->locked_by == d)
            d->inode->locked_by = NULL;
        inode_unref(w->disk, d->inode);
    } else {
        network_close(&w->network, d->sock, w->now_ns);
    }
    *d = (struct descriptor){0};
    w->fds_open--;
}

static struct inode *inode_of(struct world *w, const struct op *op)
{
    const struct descriptor *d = world_fd(w, op->fd);
    return d ? d->inode : NULL;
}

// ---- files

static int32_t run_open(struct world *w, struct flight *f, int64_t *again)
{
    (void)again;
    struct inode *inode;
    if (faults_strike(&w->faults, FAULT_NO_DESCRIPTORS))
        return -EMFILE;
    if (faults_strike(&w->faults, FAULT_NAME_EIO))
        return -EIO;
    const int32_t result = disk_open(w->disk, f->op->path, f->op->flags, &inode);
    if (result < 0)
        return result;
    return add_fd(w, (struct descriptor){.kind = DESCRIPTOR_INODE, .inode = inode});
}

static int32_t run_close(struct world *w, struct flight *f, int64_t *again)
{
    (void)again;
    const struct descriptor *d = world_fd(w, f->op->fd);
    if (!d)
        return -EBADF;
    if (d->in_flight > 1)
        world_violate(w, "descriptor %d was closed while an operation used it", f->op->fd);
    world_close_fd(w, f->op->fd);
    return 0;
}

static int32_t run_read(struct world *w, struct flight *f, int64_t *again)
{
    (void)again;
    const struct op *op = f->op;
    const struct inode *inode = inode_of(w, op);
    if (!inode || inode->is_dir)
        return inode ? -EISDIR : -EBADF;
    if (faults_strike(&w->faults, FAULT_READ_EIO))
        return -EIO;
    size_t n = op->n;
    if (n > 1 && faults_strike(&w->faults, FAULT_SHORT_READ))
        n = faults_part(&w->faults, n);
    return (int32_t)content_read(&inode->now, op->offset, op->buf, n);
}

static bool is_space_needed(const struct inode *inode, int64_t end)
{
    return end > inode->now.size;
}

static int32_t run_write(struct world *w, struct flight *f, int64_t *again)
{
    (void)again;
    const struct op *op = f->op;
    struct inode *inode = inode_of(w, op);
    if (!inode)
        return -EBADF;
    if (w->disk->is_full && is_space_needed(inode, op->offset + (int64_t)op->n)) {
        faults_note(&w->faults, FAULT_NO_SPACE);
        return -ENOSPC;
    }
    if (faults_strike(&w->faults, FAULT_NO_SPACE))
        return -ENOSPC;
    if (faults_strike(&w->faults, FAULT_WRITE_EIO)) {
        if (op->n > 1 && rng_below(&w->rng, 2)) // a part of it was written all the same
            (void)inode_write(w->disk, inode, op->offset, op->buf, faults_part(&w->faults, op->n));
        return -EIO;
    }
    size_t n = op->n;
    if (n > 1 && faults_strike(&w->faults, FAULT_SHORT_WRITE))
        n = faults_part(&w->faults, n);
    inode->mtime_ms = world_wall_ms(w);
    return inode_write(w->disk, inode, op->offset, op->buf, n);
}

static int32_t run_sync(struct world *w, struct flight *f, int64_t *again)
{
    (void)again;
    struct inode *inode = inode_of(w, f->op);
    if (!inode)
        return -EBADF;
    if (faults_strike(&w->faults, FAULT_SYNC_EIO)) {
        if (rng_below(&w->rng, 2))
            inode_sync_failed(w->disk, inode, f->changes_made);
        return -EIO;
    }
    inode_sync(w->disk, inode, f->changes_made);
    return 0;
}

static int32_t run_stat(struct world *w, struct flight *f, int64_t *again)
{
    (void)again;
    struct op *op = f->op;
    if (op->path)
        return faults_strike(&w->faults, FAULT_NAME_EIO) ? -EIO
                                                         : disk_stat(w->disk, op->path, &op->stat);
    const struct inode *inode = inode_of(w, op);
    if (!inode)
        return -EBADF;
    inode_stat(inode, &op->stat);
    return 0;
}

static int32_t run_truncate(struct world *w, struct flight *f, int64_t *again)
{
    (void)again;
    struct inode *inode = inode_of(w, f->op);
    if (!inode)
        return -EBADF;
    if (faults_strike(&w->faults, FAULT_WRITE_EIO))
        return -EIO;
    return inode_resize(w->disk, inode, f->op->offset);
}

static int32_t run_allocate(struct world *w, struct flight *f, int64_t *again)
{
    (void)again;
    const struct op *op = f->op;
    struct inode *inode = inode_of(w, op);
    if (!inode)
        return -EBADF;
    const int64_t end = op->offset + (int64_t)op->n;
    if (!is_space_needed(inode, end))
        return 0;
    if (w->disk->is_full)
        faults_note(&w->faults, FAULT_NO_SPACE);
    if (w->disk->is_full || faults_strike(&w->faults, FAULT_NO_SPACE))
        return -ENOSPC;
    return inode_resize(w->disk, inode, end);
}

static int32_t run_lock(struct world *w, struct flight *f, int64_t *again)
{
    (void)again;
    const struct descriptor *d = world_fd(w, f->op->fd);
    if (!d || !d->inode)
        return -EBADF;
    if (d->inode->locked_by && d->inode->locked_by != d)
        return -EWOULDBLOCK;
    d->inode->locked_by = d;
    return 0;
}

// ---- names

static int32_t run_name(struct world *w, struct flight *f, int64_t *again)
{
    (void)again;
    const struct op *op = f->op;
    if (faults_strike(&w->faults, FAULT_NAME_EIO))
        return -EIO;
    switch ((int)op->kind) {
    case OP_RENAME:
        return disk_rename(w->disk, op->path, op->path2);
    case OP_LINK:
        return disk_link(w->disk, op->path, op->path2);
    case OP_UNLINK:
        return disk_unlink(w->disk, op->path);
    case OP_MKDIR:
        return disk_mkdir(w->disk, op->path);
    default:
        return disk_rmdir(w->disk, op->path);
    }
}

static int32_t run_list(struct world *w, struct flight *f, int64_t *again)
{
    (void)again;
    struct buf names = {0};
    size_t count = 0;
    if (faults_strike(&w->faults, FAULT_NAME_EIO))
        return -EIO;
    const int32_t result = disk_list(w->disk, f->op->path, &names, &count);
    if (result < 0)
        return result;
    buf_reserve(&names, 1);
    f->op->names.bytes = names.p; // given away
    f->op->names.count = count;
    return 0;
}

static int32_t run_space(struct world *w, struct flight *f, int64_t *again)
{
    (void)again;
    const uint64_t free_bytes = w->disk->is_full ? 0 : DISK_BYTES - disk_used_bytes(w->disk);
    f->op->space = (struct op_space){.free_bytes = free_bytes, .total_bytes = DISK_BYTES};
    return 0;
}

// ---- sockets and the rest

static struct sock *sock_of(struct world *w, const struct op *op)
{
    const struct descriptor *d = world_fd(w, op->fd);
    return d ? d->sock : NULL;
}

static int32_t sock_fd(struct world *w, struct sock *s)
{
    const int32_t fd = add_fd(w, (struct descriptor){.kind = DESCRIPTOR_SOCK, .sock = s});
    if (fd < 0)
        network_close(&w->network, s, w->now_ns);
    return fd;
}

static int32_t run_listen(struct world *w, struct flight *f, int64_t *again)
{
    (void)again;
    struct sock *s;
    const int32_t result = network_listen(&w->network, &f->op->address, &s);
    return result < 0 ? result : sock_fd(w, s);
}

static int32_t run_connect(struct world *w, struct flight *f, int64_t *again)
{
    struct sock *s;
    if (faults_strike(&w->faults, FAULT_NO_DESCRIPTORS))
        return -EMFILE;
    const int32_t result = network_connect(&w->network, &f->op->address, w->now_ns, &s);
    if (result == NETWORK_WAIT)
        *again =
            w->network.partition_ends_ns > w->now_ns ? w->network.partition_ends_ns : INT64_MAX;
    return result < 0 ? result : sock_fd(w, s);
}

static int32_t run_accept(struct world *w, struct flight *f, int64_t *again)
{
    (void)again;
    struct sock *listener = sock_of(w, f->op), *s;
    if (!listener || !listener->is_listener)
        return -EINVAL;
    if (!list_is_empty(&listener->backlog) && faults_strike(&w->faults, FAULT_NO_DESCRIPTORS))
        return -EMFILE;
    const int32_t result = network_accept(listener, &s);
    if (result < 0)
        return result;
    f->op->address = s->remote;
    return sock_fd(w, s);
}

static int32_t run_transfer(struct world *w, struct flight *f, int64_t *again)
{
    const struct op *op = f->op;
    struct sock *s = sock_of(w, op);
    if (!s)
        return -EBADF;
    if (op->kind == OP_RECV)
        return network_recv(&w->network, s, op->buf, op->n, w->now_ns, again);
    if (op->kind == OP_SEND)
        return network_send(&w->network, s, op->buf, op->n, w->now_ns);
    if (op->kind == OP_READABLE)
        return network_readable(&w->network, s, w->now_ns, again);
    network_shutdown(&w->network, s, op->flags & OP_SHUTDOWN_WRITE, w->now_ns);
    return 0;
}

static int32_t run_resolve(struct world *w, struct flight *f, int64_t *again)
{
    (void)again;
    return network_resolve(&w->network, f->op->path, f->op->buf, f->op->n);
}

static int32_t run_work(struct world *w, struct flight *f, int64_t *again)
{
    (void)w, (void)again;
    f->op->result = 0;
    f->op->work(f->op);
    return f->op->result;
}

typedef int32_t run_fn(struct world *w, struct flight *f, int64_t *again);

static run_fn *const runs[OP_KIND_COUNT] = {
    [OP_OPEN] = run_open,         [OP_CLOSE] = run_close,       [OP_READ] = run_read,
    [OP_WRITE] = run_write,       [OP_SYNC] = run_sync,         [OP_STAT] = run_stat,
    [OP_TRUNCATE] = run_truncate, [OP_ALLOCATE] = run_allocate, [OP_RENAME] = run_name,
    [OP_LINK] = run_name,         [OP_UNLINK] = run_name,       [OP_MKDIR] = run_name,
    [OP_RMDIR] = run_name,        [OP_LIST] = run_list,         [OP_LOCK] = run_lock,
    [OP_SPACE] = run_space,       [OP_LISTEN] = run_listen,     [OP_ACCEPT] = run_accept,
    [OP_CONNECT] = run_connect,   [OP_RECV] = run_transfer,     [OP_SEND] = run_transfer,
    [OP_READABLE] = run_transfer, [OP_SHUTDOWN] = run_transfer, [OP_RESOLVE] = run_resolve,
    [OP_WORK] = run_work,
};

static bool may_be_interrupted(const struct op *op)
{
    return op->kind == OP_READ || op->kind == OP_WRITE || op->kind == OP_RECV ||
           op->kind == OP_SEND || op->kind == OP_OPEN;
}

int32_t world_execute(struct world *w, struct flight *f, int64_t *out_again_ns)
{
    const struct op *op = f->op;
    assert(op->kind < OP_KIND_COUNT && runs[op->kind]);
    if (may_be_interrupted(op) && faults_strike(&w->faults, FAULT_INTERRUPTED))
        return -EINTR;
    return runs[op->kind](w, f, out_again_ns);
}

// Files only: nobody is left to see anything else.
void world_cut(struct world *w, const struct flight *f)
{
    const struct op *op = &f->as_submitted;
    if (op->kind != OP_WRITE)
        return;
    struct inode *inode = inode_of(w, op);
    const uint64_t fate = rng_below(&w->rng, 3);
    if (!inode || op->n == 0 || fate == 0 || !op->buf) {
        faults_note(&w->faults, FAULT_LOST_WRITE);
    } else if (fate == 1 && op->n > 1) {
        faults_note(&w->faults, FAULT_CUT_WRITE);
        (void)inode_write(w->disk, inode, op->offset, op->buf, faults_part(&w->faults, op->n));
    } else {
        (void)inode_write(w->disk, inode, op->offset, op->buf, op->n);
    }
}
