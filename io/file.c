#include "io/file.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/mem.h"
#include "io/clock.h"
#include "io/fiber.h"
#include "io/system.h"

enum { FILE_MODE = 0644, DIR_MODE = 0755, CHUNK_BYTES = 64 * 1024 };

// As fiber_await(), again when the system was interrupted by something that does not concern us.
static int32_t await(struct op *op)
{
    int32_t result;
    do
        result = fiber_await(op);
    while (result == -EINTR || result == -EAGAIN);
    return result;
}

static err keep_path(struct file *f, const char *path, struct errmsg *e)
{
    const size_t size = strlen(path) + 1;
    if (size > sizeof f->path)
        return err_set(e, ERR_LIMIT, "open %s: file name too long", path);
    memcpy(f->path, path, size);
    return ERR_OK;
}

err file_open(struct file *f, const char *path, int flags, struct errmsg *e)
{
    f->fd = -1;
    TRY(keep_path(f, path, e));
    struct op op = {.kind = OP_OPEN, .path = path, .mode = FILE_MODE};
    op.flags = (flags & FILE_WRITE ? O_RDWR : O_RDONLY) | (flags & FILE_CREATE ? O_CREAT : 0) |
               (flags & FILE_EXCLUSIVE ? O_CREAT | O_EXCL : 0) |
               (flags & FILE_TRUNCATE ? O_TRUNC : 0) | (flags & FILE_APPEND ? O_APPEND : 0);
    const int32_t fd = await(&op);
    if (fd < 0)
        return system_error(e, fd, "open", path);
    f->fd = fd;
    return ERR_OK;
}

void file_close(struct file *f)
{
    if (f->fd < 0)
        return;
    struct op op = {.kind = OP_CLOSE, .fd = f->fd};
    fiber_shield_begin();
    (void)fiber_await(&op); // the descriptor is gone whatever close() says
    fiber_shield_end();
    f->fd = -1;
}

err file_read_some(struct file *f, int64_t offset, void *p, size_t n, size_t *out_n,
                   struct errmsg *e)
{
    size_t got = 0;
    while (got < n) {
        struct op op = {.kind = OP_READ,
                        .fd = f->fd,
                        .buf = (char *)p + got,
                        .n = n - got,
                        .offset = offset + (int64_t)got};
        const int32_t result = await(&op);
        if (result < 0)
            return system_error(e, result, "read", f->path);
        if (result == 0)
            break;
        got += (size_t)result;
    }
    *out_n = got;
    return ERR_OK;
}

err file_read(struct file *f, int64_t offset, void *p, size_t n, struct errmsg *e)
{
    size_t got = 0;
    TRY(file_read_some(f, offset, p, n, &got, e));
    if (got < n)
        return err_set(e, ERR_CORRUPT, "read %s: ends at %lld, before %lld", f->path,
                       (long long)offset + (long long)got, (long long)offset + (long long)n);
    return ERR_OK;
}

err file_write(struct file *f, int64_t offset, const void *p, size_t n, struct errmsg *e)
{
    for (size_t done = 0; done < n;) {
        struct op op = {.kind = OP_WRITE,
                        .fd = f->fd,
                        .buf = (char *)p + done,
                        .n = n - done,
                        .offset = offset + (int64_t)done};
        const int32_t result = await(&op);
        if (result < 0)
            return system_error(e, result, "write", f->path);
        if (result == 0)
            return system_error(e, -ENOSPC, "write", f->path);
        done += (size_t)result;
    }
    return ERR_OK;
}

static err simple(struct op *op, const char *what, const char *path, struct errmsg *e)
{
    const int32_t result = await(op);
    return result < 0 ? system_error(e, result, what, path) : ERR_OK;
}

err file_sync(struct file *f, bool data_only, struct errmsg *e)
{
    struct op op = {.kind = OP_SYNC, .fd = f->fd, .flags = data_only ? OP_SYNC_DATA : 0};
    return simple(&op, "sync", f->path, e);
}

err file_truncate(struct file *f, int64_t size, struct errmsg *e)
{
    struct op op = {.kind = OP_TRUNCATE, .fd = f->fd, .offset = size};
    return simple(&op, "truncate", f->path, e);
}

err file_allocate(struct file *f, int64_t offset, int64_t n, struct errmsg *e)
{
    assert(n > 0);
    struct op op = {.kind = OP_ALLOCATE, .fd = f->fd, .offset = offset, .n = (size_t)n};
    return simple(&op, "allocate", f->path, e);
}

err file_size(struct file *f, int64_t *out, struct errmsg *e)
{
    struct op op = {.kind = OP_STAT, .fd = f->fd};
    TRY(simple(&op, "stat", f->path, e));
    *out = op.stat.size;
    return ERR_OK;
}

err file_lock(struct file *f, struct errmsg *e)
{
    struct op op = {.kind = OP_LOCK, .fd = f->fd};
    const int32_t result = fiber_await(&op);
    return result < 0 ? system_error(e, result, "lock", f->path) : ERR_OK;
}

err path_stat(const char *path, struct op_stat *out, struct errmsg *e)
{
    struct op op = {.kind = OP_STAT, .path = path};
    TRY(simple(&op, "stat", path, e));
    *out = op.stat;
    return ERR_OK;
}

err path_rename(const char *from, const char *to, struct errmsg *e)
{
    struct op op = {.kind = OP_RENAME, .path = from, .path2 = to};
    return simple(&op, "rename", from, e);
}

err path_link(const char *from, const char *to, struct errmsg *e)
{
    struct op op = {.kind = OP_LINK, .path = from, .path2 = to};
    return simple(&op, "link", from, e);
}

err path_unlink(const char *path, struct errmsg *e)
{
    struct op op = {.kind = OP_UNLINK, .path = path};
    return simple(&op, "remove", path, e);
}

static err make_one_dir(const char *path, struct errmsg *e)
{
    struct op op = {.kind = OP_MKDIR, .path = path, .mode = DIR_MODE};
    const int32_t result = await(&op);
    if (result != -EEXIST)
        return result < 0 ? system_error(e, result, "mkdir", path) : ERR_OK;
    struct op_stat st;
    TRY(path_stat(path, &st, e));
    return st.is_dir ? ERR_OK : system_error(e, -ENOTDIR, "mkdir", path);
}

err path_mkdir(const char *path, struct errmsg *e)
{
    struct file f;
    TRY(keep_path(&f, path, e));
    for (char *p = f.path + 1; *p; p++) {
        if (*p != '/')
            continue;
        *p = '\0';
        TRY(make_one_dir(f.path, e));
        *p = '/';
    }
    return make_one_dir(path, e);
}

err path_rmdir(const char *path, struct errmsg *e)
{
    struct op op = {.kind = OP_RMDIR, .path = path};
    return simple(&op, "remove", path, e);
}

err path_space(const char *path, struct op_space *out, struct errmsg *e)
{
    struct op op = {.kind = OP_SPACE, .path = path};
    TRY(simple(&op, "statfs", path, e));
    *out = op.space;
    return ERR_OK;
}

err path_sync_dir(const char *path, struct errmsg *e)
{
    struct file f;
    TRY(keep_path(&f, path, e));
    struct op op = {.kind = OP_OPEN, .path = path, .flags = O_RDONLY | O_DIRECTORY};
    f.fd = await(&op);
    if (f.fd < 0)
        return system_error(e, f.fd, "open", path);
    const err code = file_sync(&f, false, e);
    file_close(&f);
    return code;
}

err path_list(const char *path, struct buf *out, size_t *out_count, struct errmsg *e)
{
    struct op op = {.kind = OP_LIST, .path = path};
    TRY(simple(&op, "readdir", path, e));
    const char *end = op.names.bytes;
    for (size_t i = 0; i < op.names.count; i++)
        end += strlen(end) + 1;
    buf_put(out, op.names.bytes, (size_t)(end - op.names.bytes));
    *out_count = op.names.count;
    mem_free(op.names.bytes);
    return ERR_OK;
}

err path_read(const char *path, size_t max, struct buf *out, struct errmsg *e)
{
    struct file f;
    TRY(file_open(&f, path, FILE_READ, e));
    const size_t before = out->n;
    err code;
    size_t got = 0;
    do {
        const size_t have = out->n - before;
        const size_t ask = max - have < CHUNK_BYTES ? max - have + 1 : CHUNK_BYTES;
        char *to = buf_reserve(out, ask);
        code = file_read_some(&f, (int64_t)have, to, ask, &got, e);
        if (code != ERR_OK)
            break;
        out->n += got;
        if (out->n - before > max)
            code = err_set(e, ERR_LIMIT, "read %s: larger than %zu bytes", path, max);
        else if (got < ask)
            break;
    } while (code == ERR_OK);
    file_close(&f);
    if (code != ERR_OK)
        out->n = before;
    return code;
}

static err write_all(const char *path, struct str content, struct errmsg *e)
{
    struct file f;
    TRY(file_open(&f, path, FILE_WRITE | FILE_CREATE | FILE_TRUNCATE, e));
    err code = file_write(&f, 0, content.p, content.n, e);
    if (code == ERR_OK)
        code = file_sync(&f, false, e);
    file_close(&f);
    return code;
}

err path_write_atomic(const char *path, struct str content, struct errmsg *e)
{
    struct file dir, temporary;
    TRY(keep_path(&dir, path, e));
    const int n = snprintf(temporary.path, sizeof temporary.path, "%s.tmp", path);
    if (n < 0 || (size_t)n >= sizeof temporary.path)
        return err_set(e, ERR_LIMIT, "open %s.tmp: file name too long", path);
    char *slash = strrchr(dir.path, '/');
    if (slash)
        slash[slash == dir.path] = '\0';
    err code = write_all(temporary.path, content, e);
    if (code == ERR_OK)
        code = path_rename(temporary.path, path, e);
    if (code != ERR_OK) {
        fiber_shield_begin();
        (void)path_unlink(temporary.path, NULL);
        fiber_shield_end();
        return code;
    }
    return path_sync_dir(slash ? dir.path : ".", e);
}
