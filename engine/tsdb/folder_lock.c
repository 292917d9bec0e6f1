#include "engine/tsdb/folder_lock.h"

#include <stdio.h>

#include "engine/base/number.h"
#include "io/process.h"

enum { PID_TEXT_MAX = 32 };

// What the holder wrote; empty: it has not yet.
static struct str holder(struct file *lock, char text[static PID_TEXT_MAX])
{
    size_t n = 0;
    if (file_read_some(lock, 0, text, PID_TEXT_MAX, &n, NULL) != ERR_OK)
        n = 0;
    const struct str pid = str_trim(str_make(text, n));
    uint64_t number;
    return number_parse_u64(pid, &number) == ERR_OK ? pid : (struct str){0};
}

static err write_pid(struct file *lock, struct errmsg *e)
{
    char text[PID_TEXT_MAX];
    const int n = snprintf(text, sizeof text, "%d\n", process_pid());
    TRY(file_truncate(lock, 0, e));
    return file_write(lock, 0, text, (size_t)n, e);
}

err folder_lock(struct file *lock, const char *dir, struct errmsg *e)
{
    char path[sizeof lock->path], text[PID_TEXT_MAX];
    if ((size_t)snprintf(path, sizeof path, "%s/lock", dir) >= sizeof path)
        return err_set(e, ERR_LIMIT, "%s: file name too long", dir);
    TRY(file_open(lock, path, FILE_WRITE | FILE_CREATE, e));
    err code = file_lock(lock, e);
    if (code == ERR_EXISTS) {
        const struct str pid = holder(lock, text);
        code = err_set(e, ERR_EXISTS,
                       "data folder %s is in use by %s%.*s: end it, or name another folder with "
                       "--storage.tsdb.path",
                       dir, pid.n ? "process " : "another process", STR_ARG(pid));
    } else if (code == ERR_OK) {
        code = write_pid(lock, e);
    }
    if (code != ERR_OK)
        file_close(lock);
    return code;
}

bool folder_is_held(const char *dir, char out[static FOLDER_HOLDER_MAX])
{
    struct file lock;
    char path[sizeof lock.path], text[PID_TEXT_MAX];
    out[0] = '\0';
    if ((size_t)snprintf(path, sizeof path, "%s/lock", dir) >= sizeof path ||
        file_open(&lock, path, FILE_READ, NULL) != ERR_OK)
        return false;
    const bool is_held = file_lock(&lock, NULL) == ERR_EXISTS;
    if (is_held)
        snprintf(out, FOLDER_HOLDER_MAX, "%.*s", STR_ARG(holder(&lock, text)));
    file_close(&lock);
    return is_held;
}

void folder_unlock(struct file *lock)
{
    file_close(lock);
}
