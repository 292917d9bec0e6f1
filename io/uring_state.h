// What the parts of the io_uring backend share: ring_uring.c, uring_accept.c, uring_receive.c.
#ifndef IO_URING_STATE_H
#define IO_URING_STATE_H

#include <liburing.h>
#include <stdbool.h>

#include "engine/base/list.h"
#include "engine/base/pool.h"
#include "io/backend.h"
#include "io/op_queue.h"

struct helper_client;

// user_data of an entry is its op, or an acceptor or a receiver with a bit set, or one of these.
enum { TAG_IGNORED, TAG_WAKE, TAG_MESSAGE, TAG_COUNT };
enum { ACCEPTOR_BIT = 1, RECEIVER_BIT = 2, TAG_BITS = ACCEPTOR_BIT | RECEIVER_BIT };

// op->backend[1]
enum place { PLACE_QUEUED = 1, PLACE_RING, PLACE_HELPER, PLACE_ACCEPTOR, PLACE_RECEIVER };

enum { BUFFER_BYTES = 4096, BUFFER_COUNT = 256, BUFFER_GROUP = 1 };

struct acceptor;
struct receiver;

// What a provided buffer holds while a receiver has it.
struct received {
    uint16_t next; // of the same receiver, by index
    uint32_t at, n;
};

struct uring {
    struct backend backend;
    struct io_uring ring;
    struct helper_client *helpers;
    struct op_queue queued; // not yet entries
    unsigned ended;         // ops, since the last poll began
    struct pool sides;
    size_t in_ring;
    struct list acceptors;
    bool has_multishot;    // accepts
    bool has_messages;     // between rings
    bool receives_at_once; // with provided buffers
    struct io_uring_buf_ring *buffer_ring;
    char *buffers;
    struct received *received;   // by buffer
    unsigned buffers_out;        // held by receivers
    struct receiver **receivers; // by descriptor; NULL: none
    size_t receivers_count;
    struct pool receiver_pool;
    int wake_fd;
    uint64_t wake_value;
    bool is_native[OP_KIND_COUNT];
};

// ring_uring.c
struct io_uring_sqe *uring_take_sqe(struct uring *u);
void uring_end(struct uring *u, struct op *op, int32_t result);
void uring_queue(struct uring *u, struct op *op); // becomes an entry with the next poll

// uring_accept.c
void acceptor_ask(struct uring *u, struct op *op);
void acceptor_cancel(struct uring *u, struct op *op); // which waits in one
// Whether op, which closes a socket, has to wait for its acceptor.
bool acceptor_end(struct uring *u, struct op *op);
void acceptor_says(struct uring *u, struct acceptor *a, int32_t result, bool more);

// uring_receive.c
// NULL: done. Otherwise what the system cannot do, and receives wait for sockets as they used to.
const char *receivers_init(struct uring *u);
void receivers_deinit(struct uring *u);
// Whether op, an OP_READABLE or OP_RECV, is a receiver's business; false: to be queued.
bool receiver_takes(struct uring *u, struct op *op);
void receiver_cancel(struct uring *u, struct op *op); // which waits in one
bool receiver_end(struct uring *u, struct op *op);    // as acceptor_end()
void receiver_says(struct uring *u, struct receiver *r, int32_t result, unsigned flags);

#endif
