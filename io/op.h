// Operations: the floor of all input and output of a shard.
//
// The caller embeds a struct op in its own state, fills what its kind needs and hands it to
// loop_submit(). From then on the loop owns it, until done() runs: from the loop, on the shard's
// thread, never from inside loop_submit(), exactly once, also after loop_cancel() (-ECANCELED).
//
// One of three backends carries operations out: ring_uring.c, ring_poll.c (where io_uring is
// forbidden) and tests/sim/world.c (in memory, from a seed). Nothing above knows which.
#ifndef IO_OP_H
#define IO_OP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct op;
typedef void op_done_fn(struct op *op);

enum op_kind {
    OP_NONE,
    // Files. result: see each; below 0: -errno.
    OP_OPEN,     // path, flags (O_*), mode -> fd
    OP_CLOSE,    // fd (file or socket)
    OP_READ,     // fd, buf, n, offset -> bytes, 0 at the end
    OP_WRITE,    // fd, buf, n, offset -> bytes, may be fewer than n
    OP_SYNC,     // fd, flags: OP_SYNC_DATA or 0
    OP_STAT,     // path, or NULL and fd -> 0 and stat
    OP_TRUNCATE, // fd, offset = new size
    OP_ALLOCATE, // fd, offset, n: bytes exist, read as zero, and have their blocks
    OP_RENAME,   // path, path2
    OP_LINK,     // path, path2: a hard link
    OP_UNLINK,   // path
    OP_MKDIR,    // path, mode
    OP_RMDIR,    // path
    OP_LIST,     // path -> 0 and names, sorted, each ended by a NUL; freed by the caller
    OP_LOCK,     // fd: exclusive, at once -> 0 or -EWOULDBLOCK; goes with the descriptor
    OP_SPACE,    // path -> 0 and space: bytes free and in all of its file system
    // Sockets.
    OP_LISTEN,   // address -> fd; address is updated with the port the system chose
    OP_ACCEPT,   // fd -> fd and address of the peer
    OP_CONNECT,  // address -> fd, connected
    OP_RECV,     // fd, buf, n -> bytes, 0: the peer is done
    OP_SEND,     // fd, buf, n, flags: OP_SEND_MORE or 0 -> bytes, may be fewer than n
    OP_READABLE, // fd -> 0 when a receive would not wait: an idle connection needs no buffer
    OP_SHUTDOWN, // fd, flags: OP_SHUTDOWN_WRITE, or 0: both ways; what is in flight there ends
    // The rest.
    OP_RESOLVE, // path = host name, n = addresses' capacity -> how many were written to buf
    OP_WORK,    // work(op) on a thread of the helper pool, which may set result; then done(op) here
    OP_KIND_COUNT
};

enum { OP_SYNC_DATA = 1, OP_SEND_MORE = 1, OP_SHUTDOWN_WRITE = 1 };

// An IP address and port, or a path. Ports are in host order.
struct address {
    uint8_t family; // ADDRESS_*
    uint16_t port;
    uint32_t scope; // of a link-local IPv6 address
    uint8_t ip[16]; // IPv4 in the first four
};
enum { ADDRESS_NONE, ADDRESS_IPV4, ADDRESS_IPV6 };

struct op_stat {
    int64_t size, mtime_ms;
    bool is_dir;
};

struct op_space {
    uint64_t free_bytes, total_bytes;
};

struct op {
    op_done_fn *done;
    int32_t result;
    uint8_t kind;   // enum op_kind
    bool in_flight; // the loop's
    bool finished;  // the loop's: done() comes in this turn
    int fd;
    int32_t flags;
    uint32_t mode;
    const char *path, *path2; // end in NUL; live until done()
    void *buf;
    size_t n;
    int64_t offset;
    union {
        struct address address;
        struct op_stat stat;
        struct op_space space;
        struct {
            char *bytes; // mem_free()
            size_t count;
        } names;
        void (*work)(struct op *op); // touches only what its owner left alone; may block
    };
    void *waiter; // fiber_await()'s
    // The backend's, while in flight.
    struct op *next, *prev;
    uint64_t backend[2];
};

#endif
