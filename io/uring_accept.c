// A listening socket on which an accept was asked for has an acceptor: one entry that goes on
// accepting, so that a burst of connections costs one entry in all. Connections that come while no
// op asks wait in it, few of them; closing the socket ends it first.
#include <assert.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/mem.h"
#include "io/system.h"
#include "io/uring_state.h"

enum { ACCEPTED_MAX = 64 };

struct acceptor {
    struct list link;
    int fd;
    bool is_armed;          // its entry is in the ring
    struct op_queue asking; // OP_ACCEPTs
    struct op *closing;     // OP_CLOSE of fd, which waits until the entry has ended
    int *accepted;          // that no op asked for; at ACCEPTED_MAX the entry is ended
    size_t accepted_count, accepted_capacity;
};

static struct acceptor *acceptor_of(struct uring *u, int fd) // NULL: there is none
{
    for (struct list *l = u->acceptors.next; l != &u->acceptors; l = l->next)
        if (container_of(l, struct acceptor, link)->fd == fd)
            return container_of(l, struct acceptor, link);
    return NULL;
}

static uint64_t tag_of(const struct acceptor *a)
{
    static_assert(_Alignof(struct acceptor) > ACCEPTOR_BIT && _Alignof(struct op) > ACCEPTOR_BIT,
                  "the bit is free");
    return (uintptr_t)a | ACCEPTOR_BIT;
}

static void arm_acceptor(struct uring *u, struct acceptor *a)
{
    struct io_uring_sqe *sqe = uring_take_sqe(u);
    io_uring_prep_multishot_accept(sqe, a->fd, NULL, NULL, SOCK_CLOEXEC);
    io_uring_sqe_set_data64(sqe, tag_of(a));
    a->is_armed = true;
    u->in_ring++;
}

static void disarm_acceptor(struct uring *u, struct acceptor *a)
{
    struct io_uring_sqe *sqe = uring_take_sqe(u);
    io_uring_prep_cancel64(sqe, tag_of(a), 0);
    io_uring_sqe_set_data64(sqe, TAG_IGNORED);
}

static void give_connection(struct uring *u, struct op *op, int fd)
{
    struct sockaddr_storage storage = {0};
    socklen_t size = sizeof storage;
    if (getpeername(fd, (struct sockaddr *)&storage, &size) < 0)
        storage.ss_family = AF_UNSPEC; // gone already: its first read will say so
    address_from_system(&storage, &op->address);
    system_tune_connection(fd);
    uring_end(u, op, fd);
}

void acceptor_ask(struct uring *u, struct op *op)
{
    struct acceptor *a = acceptor_of(u, op->fd);
    if (!a) {
        a = mem_zalloc(sizeof *a);
        a->fd = op->fd;
        op_queue_init(&a->asking);
        list_push(&u->acceptors, &a->link);
    }
    if (a->accepted_count > 0) {
        const int fd = a->accepted[0];
        memmove(a->accepted, a->accepted + 1, --a->accepted_count * sizeof *a->accepted);
        give_connection(u, op, fd);
        return;
    }
    op->backend[1] = PLACE_ACCEPTOR;
    op_queue_push(&a->asking, op);
    if (!a->is_armed)
        arm_acceptor(u, a);
}

static void free_acceptor(struct uring *u, struct acceptor *a)
{
    assert(!a->asking.first); // closed while an accept waits
    for (size_t i = 0; i < a->accepted_count; i++)
        close(a->accepted[i]); // as if it had still been in the listener's queue
    list_remove(&a->link);
    if (a->closing) {
        uring_queue(u, a->closing);
    }
    mem_free(a->accepted);
    mem_free(a);
}

void acceptor_cancel(struct uring *u, struct op *op)
{
    op_queue_remove(&acceptor_of(u, op->fd)->asking, op);
    uring_end(u, op, -ECANCELED);
}

bool acceptor_end(struct uring *u, struct op *op)
{
    struct acceptor *a = acceptor_of(u, op->fd);
    if (!a)
        return false;
    op->backend[1] = PLACE_ACCEPTOR;
    a->closing = op;
    if (a->is_armed)
        disarm_acceptor(u, a);
    else
        free_acceptor(u, a);
    return true;
}

void acceptor_says(struct uring *u, struct acceptor *a, int32_t result, bool more)
{
    if (!more) {
        a->is_armed = false;
        u->in_ring--;
    }
    struct op *op = a->closing ? NULL : op_queue_pop(&a->asking);
    if (result >= 0 && op) {
        give_connection(u, op, result);
    } else if (result >= 0) {
        a->accepted = mem_grow(a->accepted, &a->accepted_capacity, a->accepted_count + 1,
                               sizeof *a->accepted);
        a->accepted[a->accepted_count++] = result;
        if (a->accepted_count == ACCEPTED_MAX && more && !a->closing)
            disarm_acceptor(u, a);
    } else if (op && result != -ECANCELED) {
        uring_end(u, op, result);
    } else if (op) { // it was ended for want of somebody who asks, and now there is one
        op_queue_push(&a->asking, op);
    }
    if (a->is_armed)
        return;
    if (a->closing)
        free_acceptor(u, a);
    else if (a->asking.first)
        arm_acceptor(u, a);
}
