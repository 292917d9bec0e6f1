// A socket that waits for bytes without a buffer of its own, as an idle connection does
// (OP_READABLE), has a receiver: an entry that goes on receiving and takes a buffer of the shard's
// group only when bytes are there. So one trip to the kernel waits and receives, the next request
// needs no entry at all, and idle connections have no memory. What came is kept until somebody
// asks, and copied.
//
// Where bodies come that are received in place, the entry receives once and takes one buffer: one
// that went on would fill many of them with what then is copied again (see README.md). When the
// group is used up, sockets wait without a buffer, as they do where the system has no such groups.
#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "engine/base/mem.h"
#include "io/uring_state.h"

enum { NONE = 0xffff, HELD_MAX = 4 };

struct receiver {
    int fd;
    bool has_bodies;      // larger reads were asked for: received in place, so one buffer at a time
    bool is_armed;        // its entry is in the ring
    bool is_ending;       // and was told to end
    bool has_end;         // the peer's end or an error comes behind what is held
    int32_t end;          // 0 or -errno
    uint16_t first, last; // buffers that are held; NONE: none
    uint16_t held_count;
    struct op_queue asking;
    struct op *closing; // OP_CLOSE of fd, which waits until the entry has ended
};

static_assert(_Alignof(struct receiver) > TAG_BITS, "the bits are free");

static void give_back(struct uring *u, unsigned buffer)
{
    io_uring_buf_ring_add(u->buffer_ring, u->buffers + (size_t)buffer * BUFFER_BYTES, BUFFER_BYTES,
                          (unsigned short)buffer, io_uring_buf_ring_mask(BUFFER_COUNT), 0);
    io_uring_buf_ring_advance(u->buffer_ring, 1);
}

const char *receivers_init(struct uring *u)
{
    const size_t ring_bytes = BUFFER_COUNT * sizeof(struct io_uring_buf);
    pool_init(&u->receiver_pool, sizeof(struct receiver));
    void *ring = mmap(NULL, ring_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (ring == MAP_FAILED)
        return "provided buffers (memory)";
    struct io_uring_buf_reg reg = {
        .ring_addr = (uintptr_t)ring, .ring_entries = BUFFER_COUNT, .bgid = BUFFER_GROUP};
    const int result = io_uring_register_buf_ring(&u->ring, &reg, 0);
    if (result < 0) {
        munmap(ring, ring_bytes);
        return "provided buffers";
    }
    u->buffer_ring = ring;
    u->buffers = mem_alloc_aligned(BUFFER_BYTES, (size_t)BUFFER_COUNT * BUFFER_BYTES);
    u->received = mem_alloc_array(BUFFER_COUNT, sizeof *u->received);
    io_uring_buf_ring_init(u->buffer_ring);
    for (unsigned i = 0; i < BUFFER_COUNT; i++)
        give_back(u, i);
    u->receives_at_once = true;
    return NULL;
}

void receivers_deinit(struct uring *u)
{
    for (size_t i = 0; i < u->receivers_count; i++)
        assert(!u->receivers[i]);
    mem_free(u->receivers);
    if (u->buffer_ring) {
        io_uring_unregister_buf_ring(&u->ring, BUFFER_GROUP);
        munmap(u->buffer_ring, BUFFER_COUNT * sizeof(struct io_uring_buf));
    }
    mem_free(u->buffers);
    mem_free(u->received);
    pool_deinit(&u->receiver_pool);
}

static struct receiver *receiver_of(const struct uring *u, int fd) // NULL: there is none
{
    return (size_t)fd < u->receivers_count ? u->receivers[fd] : NULL;
}

static struct receiver *receiver_new(struct uring *u, int fd)
{
    const size_t before = u->receivers_count;
    if ((size_t)fd >= before) {
        u->receivers =
            mem_grow(u->receivers, &u->receivers_count, (size_t)fd + 1, sizeof *u->receivers);
        memset(u->receivers + before, 0, (u->receivers_count - before) * sizeof *u->receivers);
    }
    struct receiver *r = pool_alloc(&u->receiver_pool);
    *r = (struct receiver){.fd = fd, .first = NONE};
    op_queue_init(&r->asking);
    return u->receivers[fd] = r;
}

static uint64_t tag_of(const struct receiver *r)
{
    return (uintptr_t)r | RECEIVER_BIT;
}

static void arm(struct uring *u, struct receiver *r)
{
    struct io_uring_sqe *sqe = uring_take_sqe(u);
    if (r->has_bodies)
        io_uring_prep_recv(sqe, r->fd, NULL, 0, 0);
    else
        io_uring_prep_recv_multishot(sqe, r->fd, NULL, 0, 0);
    sqe->flags |= IOSQE_BUFFER_SELECT;
    sqe->buf_group = BUFFER_GROUP;
    io_uring_sqe_set_data64(sqe, tag_of(r));
    r->is_armed = true;
    u->in_ring++;
}

static void disarm(struct uring *u, struct receiver *r)
{
    if (r->is_ending)
        return;
    struct io_uring_sqe *sqe = uring_take_sqe(u);
    io_uring_prep_cancel64(sqe, tag_of(r), 0);
    io_uring_sqe_set_data64(sqe, TAG_IGNORED);
    r->is_ending = true;
}

static void drop_first(struct uring *u, struct receiver *r)
{
    const unsigned buffer = r->first;
    r->first = u->received[buffer].next;
    u->buffers_out--;
    r->held_count--;
    give_back(u, buffer);
}

static void hold(struct uring *u, struct receiver *r, uint16_t buffer, uint32_t n)
{
    u->received[buffer] = (struct received){.next = NONE, .n = n};
    if (r->first == NONE)
        r->first = buffer;
    else
        u->received[r->last].next = buffer;
    r->last = buffer;
    r->held_count++;
    u->buffers_out++;
}

static int32_t take_bytes(struct uring *u, struct receiver *r, char *p, size_t n)
{
    size_t done = 0;
    while (r->first != NONE && done < n) {
        struct received *from = &u->received[r->first];
        const size_t part = n - done < from->n - from->at ? n - done : from->n - from->at;
        memcpy(p + done, u->buffers + (size_t)r->first * BUFFER_BYTES + from->at, part);
        done += part;
        from->at += (uint32_t)part;
        if (from->at == from->n)
            drop_first(u, r);
    }
    return (int32_t)done;
}

// Ends op, which asks for what is there.
static void answer(struct uring *u, struct receiver *r, struct op *op)
{
    if (op->kind == OP_READABLE) {
        uring_end(u, op, 0);
    } else if (r->first != NONE) {
        uring_end(u, op, take_bytes(u, r, op->buf, op->n));
    } else {
        r->has_end = false; // who asks again is told by the socket
        uring_end(u, op, r->end);
    }
}

static bool has_something(const struct receiver *r)
{
    return r->first != NONE || r->has_end;
}

bool receiver_takes(struct uring *u, struct op *op)
{
    struct receiver *r = receiver_of(u, op->fd);
    if (op->kind == OP_READABLE && !r && u->receives_at_once)
        r = receiver_new(u, op->fd);
    if (!r)
        return false;
    r->has_bodies |= op->kind == OP_RECV && op->n > BUFFER_BYTES;
    if (!r->asking.first && has_something(r)) {
        answer(u, r, op);
        return true;
    }
    if (!r->is_armed) {
        if (op->kind == OP_RECV || u->buffers_out >= BUFFER_COUNT / 2)
            return false;
        arm(u, r);
    }
    if (op->kind == OP_RECV && op->n > BUFFER_BYTES)
        disarm(u, r);
    op->backend[1] = PLACE_RECEIVER;
    op_queue_push(&r->asking, op);
    return true;
}

void receiver_cancel(struct uring *u, struct op *op)
{
    op_queue_remove(&receiver_of(u, op->fd)->asking, op);
    uring_end(u, op, -ECANCELED);
}

static void receiver_free(struct uring *u, struct receiver *r)
{
    assert(!r->asking.first); // closed while something waits there
    while (r->first != NONE)
        drop_first(u, r);
    u->receivers[r->fd] = NULL;
    if (r->closing)
        uring_queue(u, r->closing);
    pool_free(&u->receiver_pool, r);
}

bool receiver_end(struct uring *u, struct op *op)
{
    struct receiver *r = receiver_of(u, op->fd);
    if (!r)
        return false;
    op->backend[1] = PLACE_RECEIVER;
    r->closing = op;
    if (r->is_armed)
        disarm(u, r);
    else
        receiver_free(u, r);
    return true;
}

void receiver_says(struct uring *u, struct receiver *r, int32_t result, unsigned flags)
{
    if (!(flags & IORING_CQE_F_MORE)) {
        r->is_armed = r->is_ending = false;
        u->in_ring--;
    }
    if (flags & IORING_CQE_F_BUFFER && result <= 0)
        give_back(u, flags >> IORING_CQE_BUFFER_SHIFT);
    if (result > 0) {
        hold(u, r, (uint16_t)(flags >> IORING_CQE_BUFFER_SHIFT), (uint32_t)result);
    } else if (result != -ECANCELED && result != -ENOBUFS) {
        r->has_end = true;
        r->end = result;
    }
    if (r->closing) {
        if (!r->is_armed)
            receiver_free(u, r);
        return;
    }
    while (r->asking.first && has_something(r))
        answer(u, r, op_queue_pop(&r->asking));
    if (r->is_armed && r->held_count >= HELD_MAX)
        disarm(u, r); // nobody asks: the rest waits in the socket
    if (!r->is_armed) // no buffer, or it was told to end: they wait by themselves
        for (struct op *op; (op = op_queue_pop(&r->asking));)
            uring_queue(u, op);
}
