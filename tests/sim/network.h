// A simulated network: connections between programs of one world, with delays, short transfers,
// resets and partitions. Results below 0 are -errno; NETWORK_WAIT: ask again when something has
// happened or at *out_again_ns.
#ifndef TESTS_SIM_NETWORK_H
#define TESTS_SIM_NETWORK_H

#include "engine/base/list.h"
#include "io/op.h"
#include "tests/sim/faults.h"

enum { NETWORK_WAIT = INT32_MIN, NETWORK_WINDOW_BYTES = 64 * 1024 };

struct packet; // bytes on their way, or the end of them

struct sock {
    struct list link;          // of the network, or of a listener's backlog
    bool is_listener, is_open; // is_open: a descriptor has it
    struct address local, remote;
    struct sock *peer;                     // NULL: gone, or not connected
    struct packet *packets, **packets_end; // to be received
    size_t queued_bytes;
    bool is_reset, has_sent_end, has_seen_end;
    struct list backlog; // of a listener: connected, not accepted
};

struct host { // a name that resolves
    struct list link;
    char name[64];
    struct address address;
};

struct network {
    struct faults *faults;
    struct list socks, hosts;
    uint16_t next_port;
    int64_t partition_ends_ns; // nothing arrives before
};

void network_init(struct network *n, struct faults *faults);
void network_deinit(struct network *n);
void network_crash(struct network *n); // every socket is gone
void network_add_host(struct network *n, const char *name, const struct address *address);

int32_t network_listen(struct network *n, struct address *a, struct sock **out);
int32_t network_accept(struct sock *listener, struct sock **out);
// Connected at the earliest at now_ns.
int32_t network_connect(struct network *n, const struct address *to, int64_t now_ns,
                        struct sock **out);
int32_t network_send(struct network *n, struct sock *s, const void *p, size_t size, int64_t now_ns);
int32_t network_recv(struct network *n, struct sock *s, void *p, size_t size, int64_t now_ns,
                     int64_t *out_again_ns);
int32_t network_readable(struct network *n, struct sock *s, int64_t now_ns, int64_t *out_again_ns);
void network_shutdown(struct network *n, struct sock *s, bool writes_only, int64_t now_ns);
void network_close(struct network *n, struct sock *s, int64_t now_ns);
int32_t network_resolve(struct network *n, const char *name, struct address *out, size_t max);

#endif
