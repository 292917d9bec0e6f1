#include "io/system.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "engine/base/buf.h"
#include "engine/base/mem.h"

enum {
    BACKLOG = 4096, // of a listener; net.core.somaxconn lowers it
    TRANSFER_BYTES_MAX = 1 << 30,
    KEEPALIVE_SECONDS = 15,
};

int64_t system_mono_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000 + t.tv_nsec;
}

int64_t system_wall_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int64_t system_thread_cpu_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

void system_random(void *p, size_t n)
{
    char *at = p;
    while (n > 0) {
        const ssize_t got = getrandom(at, n, 0);
        assert(got > 0 || errno == EINTR);
        if (got > 0) {
            at += got;
            n -= (size_t)got;
        }
    }
}

int64_t system_backend_mono_ns(struct backend *b)
{
    (void)b;
    return system_mono_ns();
}

int64_t system_backend_wall_ms(struct backend *b)
{
    (void)b;
    return system_wall_ms();
}

void system_backend_random(struct backend *b, void *p, size_t n)
{
    (void)b;
    system_random(p, n);
}

static int32_t or_errno(int result)
{
    return result < 0 ? -errno : result;
}

static size_t transfer_size(const struct op *op)
{
    return op->n < TRANSFER_BYTES_MAX ? op->n : TRANSFER_BYTES_MAX;
}

static int32_t run_open(struct op *op)
{
    return or_errno(open(op->path, op->flags | O_CLOEXEC, op->mode));
}

static int32_t run_close(struct op *op)
{
    return or_errno(close(op->fd));
}

static int32_t run_read(struct op *op)
{
    return or_errno((int)pread(op->fd, op->buf, transfer_size(op), op->offset));
}

static int32_t run_write(struct op *op)
{
    return or_errno((int)pwrite(op->fd, op->buf, transfer_size(op), op->offset));
}

static int32_t run_sync(struct op *op)
{
    return or_errno(op->flags & OP_SYNC_DATA ? fdatasync(op->fd) : fsync(op->fd));
}

static int32_t run_stat(struct op *op)
{
    struct stat st;
    if ((op->path ? stat(op->path, &st) : fstat(op->fd, &st)) < 0)
        return -errno;
    op->stat = (struct op_stat){.size = st.st_size,
                                .mtime_ms = st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / 1000000,
                                .is_dir = S_ISDIR(st.st_mode)};
    return 0;
}

static int32_t run_truncate(struct op *op)
{
    return or_errno(ftruncate(op->fd, op->offset));
}

static int32_t run_allocate(struct op *op)
{
    return or_errno(fallocate(op->fd, 0, op->offset, (off_t)op->n));
}

static int32_t run_rename(struct op *op)
{
    return or_errno(rename(op->path, op->path2));
}

static int32_t run_link(struct op *op)
{
    return or_errno(link(op->path, op->path2));
}

static int32_t run_unlink(struct op *op)
{
    return or_errno(unlink(op->path));
}

static int32_t run_mkdir(struct op *op)
{
    return or_errno(mkdir(op->path, op->mode));
}

static int32_t run_rmdir(struct op *op)
{
    return or_errno(rmdir(op->path));
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

// Names ended by NULs, in b, to the same in order.
static char *sort_names(struct buf *b, size_t count)
{
    const char **names = mem_alloc_array(count, sizeof *names);
    const char *at = b->p;
    for (size_t i = 0; i < count; i++) {
        names[i] = at;
        at += strlen(at) + 1;
    }
    qsort(names, count, sizeof *names, compare_names);
    char *sorted = mem_alloc(b->n), *to = sorted;
    for (size_t i = 0; i < count; i++) {
        const size_t n = strlen(names[i]) + 1;
        memcpy(to, names[i], n);
        to += n;
    }
    mem_free(names);
    return sorted;
}

static int32_t run_list(struct op *op)
{
    DIR *dir = opendir(op->path);
    if (!dir)
        return -errno;
    struct buf b = {0};
    size_t count = 0;
    const struct dirent *entry;
    errno = 0;
    while ((entry = readdir(dir))) {
        if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..")) {
            buf_put(&b, entry->d_name, strlen(entry->d_name) + 1);
            count++;
        }
        errno = 0;
    }
    const int32_t result = -errno;
    closedir(dir);
    if (result == 0) {
        op->names.bytes = sort_names(&b, count);
        op->names.count = count;
    }
    buf_deinit(&b);
    return result;
}

static int32_t run_lock(struct op *op)
{
    return or_errno(flock(op->fd, LOCK_EX | LOCK_NB));
}

static int32_t run_space(struct op *op)
{
    struct statvfs v;
    if (statvfs(op->path, &v) < 0)
        return -errno;
    op->space = (struct op_space){.free_bytes = v.f_bavail * v.f_frsize,
                                  .total_bytes = v.f_blocks * v.f_frsize};
    return 0;
}

socklen_t address_to_system(const struct address *a, struct sockaddr_storage *out)
{
    memset(out, 0, sizeof *out);
    if (a->family == ADDRESS_IPV4) {
        struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(a->port)};
        memcpy(&in.sin_addr, a->ip, 4);
        memcpy(out, &in, sizeof in);
        return sizeof in;
    }
    assert(a->family == ADDRESS_IPV6);
    struct sockaddr_in6 in6 = {
        .sin6_family = AF_INET6, .sin6_port = htons(a->port), .sin6_scope_id = a->scope};
    memcpy(&in6.sin6_addr, a->ip, 16);
    memcpy(out, &in6, sizeof in6);
    return sizeof in6;
}

// An IPv4 peer of a socket that takes both is given as IPv4.
void address_from_system(const struct sockaddr_storage *in, struct address *out)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    *out = (struct address){0};
    if (in->ss_family == AF_INET) {
        struct sockaddr_in in4;
        memcpy(&in4, in, sizeof in4);
        out->family = ADDRESS_IPV4;
        out->port = ntohs(in4.sin_port);
        memcpy(out->ip, &in4.sin_addr, 4);
    } else if (in->ss_family == AF_INET6) {
        struct sockaddr_in6 in6;
        memcpy(&in6, in, sizeof in6);
        out->port = ntohs(in6.sin6_port);
        if (!memcmp(&in6.sin6_addr, mapped, sizeof mapped)) {
            out->family = ADDRESS_IPV4;
            memcpy(out->ip, in6.sin6_addr.s6_addr + sizeof mapped, 4);
        } else {
            out->family = ADDRESS_IPV6;
            out->scope = in6.sin6_scope_id;
            memcpy(out->ip, &in6.sin6_addr, 16);
        }
    }
}

int32_t system_socket(const struct address *a, int flags)
{
    const int family = a->family == ADDRESS_IPV4 ? AF_INET : AF_INET6;
    return or_errno(socket(family, SOCK_STREAM | SOCK_CLOEXEC | flags, 0));
}

void system_tune_connection(int fd)
{
    const int one = 1, seconds = KEEPALIVE_SECONDS;
    // None can fail on a TCP socket, and none is needed on another.
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &seconds, sizeof seconds);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &seconds, sizeof seconds);
}

static int32_t listen_at(const struct address *a, struct address *bound)
{
    const int32_t fd = system_socket(a, 0);
    if (fd < 0)
        return fd;
    const int one = 1, zero = 0;
    struct sockaddr_storage storage;
    const socklen_t size = address_to_system(a, &storage);
    socklen_t got = sizeof storage;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (a->family == ADDRESS_IPV6) // both families on the wildcard, as Go listens
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof zero);
    if (bind(fd, (const struct sockaddr *)&storage, size) < 0 || listen(fd, BACKLOG) < 0 ||
        getsockname(fd, (struct sockaddr *)&storage, &got) < 0) {
        const int32_t result = -errno;
        close(fd);
        return result;
    }
    address_from_system(&storage, bound);
    return fd;
}

static int32_t run_listen(struct op *op)
{
    struct address bound;
    const int32_t fd = listen_at(&op->address, &bound);
    if (fd >= 0)
        op->address = bound;
    return fd;
}

static int32_t run_shutdown(struct op *op)
{
    return or_errno(shutdown(op->fd, op->flags & OP_SHUTDOWN_WRITE ? SHUT_WR : SHUT_RDWR));
}

// ENOENT: no such host. ENODATA: the host has no address. EAGAIN: no server answered.
static int32_t resolve_errno(int code)
{
    switch (code) {
    case EAI_NONAME:
        return -ENOENT;
    case EAI_NODATA:
        return -ENODATA;
    case EAI_AGAIN:
        return -EAGAIN;
    case EAI_SYSTEM:
        return -errno;
    default:
        return -EIO;
    }
}

static int32_t run_resolve(struct op *op)
{
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *list = NULL;
    const int code = getaddrinfo(op->path, NULL, &hints, &list);
    if (code)
        return resolve_errno(code);
    struct address *out = op->buf;
    size_t n = 0;
    for (const struct addrinfo *a = list; a && n < op->n; a = a->ai_next) {
        struct sockaddr_storage storage = {0};
        assert(a->ai_addrlen <= sizeof storage);
        memcpy(&storage, a->ai_addr, a->ai_addrlen);
        address_from_system(&storage, &out[n]);
        n += out[n].family != ADDRESS_NONE;
    }
    freeaddrinfo(list);
    return n ? (int32_t)n : -ENODATA;
}

static int32_t run_work(struct op *op)
{
    op->result = 0;
    op->work(op);
    return op->result;
}

int32_t system_run(struct op *op)
{
    static int32_t (*const run[OP_KIND_COUNT])(struct op *) = {
        [OP_OPEN] = run_open,         [OP_CLOSE] = run_close,       [OP_READ] = run_read,
        [OP_WRITE] = run_write,       [OP_SYNC] = run_sync,         [OP_STAT] = run_stat,
        [OP_TRUNCATE] = run_truncate, [OP_ALLOCATE] = run_allocate, [OP_RENAME] = run_rename,
        [OP_LINK] = run_link,         [OP_UNLINK] = run_unlink,     [OP_MKDIR] = run_mkdir,
        [OP_RMDIR] = run_rmdir,       [OP_LIST] = run_list,         [OP_LOCK] = run_lock,
        [OP_SPACE] = run_space,       [OP_LISTEN] = run_listen,     [OP_SHUTDOWN] = run_shutdown,
        [OP_RESOLVE] = run_resolve,   [OP_WORK] = run_work,
    };
    assert(op->kind < OP_KIND_COUNT && run[op->kind]);
    return run[op->kind](op);
}

struct system_text system_text(int32_t result)
{
    struct system_text out;
    const char *text = strerrordesc_np(-result);
    if (text)
        snprintf(out.text, sizeof out.text, "%s", text);
    else
        snprintf(out.text, sizeof out.text, "errno %d", -result);
    if (out.text[0] >= 'A' && out.text[0] <= 'Z' && !(out.text[1] >= 'A' && out.text[1] <= 'Z'))
        out.text[0] = (char)(out.text[0] - 'A' + 'a');
    return out;
}

static err code_of(int32_t result)
{
    switch (-result) {
    case ENOENT:
        return ERR_NOTFOUND;
    case EEXIST:
    case EADDRINUSE:
    case EWOULDBLOCK: // of a lock
        return ERR_EXISTS;
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
    case EMFILE:
    case ENFILE:
        return ERR_LIMIT;
    case ECANCELED:
        return ERR_CANCELED;
    case ETIMEDOUT:
        return ERR_TIMEOUT;
    default:
        return ERR_IO;
    }
}

err system_error(struct errmsg *e, int32_t result, const char *what, const char *path)
{
    assert(result < 0);
    const err code = code_of(result);
    if (code == ERR_CANCELED)
        return err_set(e, code, "%s %s: context canceled", what, path);
    if (code == ERR_TIMEOUT)
        return err_set(e, code, "%s %s: context deadline exceeded", what, path);
    return err_set(e, code, "%s %s: %s", what, path, system_text(result).text);
}
