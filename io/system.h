// The system, asked at once: for the backends of the real world, and for helper threads.
#ifndef IO_SYSTEM_H
#define IO_SYSTEM_H

#include <sys/socket.h>

#include "engine/base/err.h"
#include "io/backend.h"

int64_t system_mono_ns(void);
int64_t system_wall_ms(void);
int64_t system_thread_cpu_ns(void); // of the calling thread
void system_random(void *p, size_t n);
// The same, as backends of the real world have them.
int64_t system_backend_mono_ns(struct backend *b);
int64_t system_backend_wall_ms(struct backend *b);
void system_backend_random(struct backend *b, void *p, size_t n);

// Carries op out on the calling thread, which may block; the result, below 0: -errno. Not for
// OP_ACCEPT, OP_CONNECT, OP_RECV, OP_SEND, OP_READABLE: those wait for a peer.
int32_t system_run(struct op *op);

// Bytes of the system's form of an address.
socklen_t address_to_system(const struct address *a, struct sockaddr_storage *out);
void address_from_system(const struct sockaddr_storage *in, struct address *out);
// A TCP socket of a's family, or -errno. flags: SOCK_NONBLOCK or 0.
int32_t system_socket(const struct address *a, int flags);
// What every connection gets: no delay of small segments, keepalive after 15 s as in Go.
void system_tune_connection(int fd);

// -errno as "connection refused": the system's text as Go spells it.
struct system_text {
    char text[128];
};
struct system_text system_text(int32_t result);
// The code of -errno, and "what path: text" as the message. what as in Go's errors: "open".
err system_error(struct errmsg *e, int32_t result, const char *what, const char *path);

#endif
