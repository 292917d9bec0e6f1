// Files and folders. All of it suspends; errno becomes ERR_IO with the path and the system's text,
// but a missing file is ERR_NOTFOUND, one that is there ERR_EXISTS, and a full disk ERR_LIMIT.
#ifndef IO_FILE_H
#define IO_FILE_H

#include "engine/base/buf.h"
#include "engine/base/err.h"
#include "io/op.h"

struct file {
    int fd; // -1: not open
    char path[512];
};

enum {
    FILE_READ = 0,
    FILE_WRITE = 1,     // and read
    FILE_CREATE = 2,    // if missing
    FILE_EXCLUSIVE = 4, // must be missing
    FILE_TRUNCATE = 8,
    FILE_APPEND = 16, // every write goes to the end, whatever offset it names
};

err file_open(struct file *f, const char *path, int flags, struct errmsg *e); // Suspends.
void file_close(struct file *f); // Suspends. A closed or zeroed-to-(-1) file is accepted.
// All n bytes or an error; ERR_CORRUPT when the file ends before them. Suspends.
err file_read(struct file *f, int64_t offset, void *p, size_t n, struct errmsg *e);
// Up to n bytes; fewer only at the file's end. Suspends.
err file_read_some(struct file *f, int64_t offset, void *p, size_t n, size_t *out_n,
                   struct errmsg *e);
// All n bytes. After an error any part of them may have been written. Suspends.
err file_write(struct file *f, int64_t offset, const void *p, size_t n, struct errmsg *e);
// fdatasync (data_only) or fsync. A failure must be treated as fatal: see the WAL. Suspends.
err file_sync(struct file *f, bool data_only, struct errmsg *e);
err file_truncate(struct file *f, int64_t size, struct errmsg *e);              // Suspends.
err file_allocate(struct file *f, int64_t offset, int64_t n, struct errmsg *e); // Suspends.
err file_size(struct file *f, int64_t *out, struct errmsg *e);                  // Suspends.
// Exclusive, until closed. ERR_EXISTS when another process has it. Suspends.
err file_lock(struct file *f, struct errmsg *e);

err path_stat(const char *path, struct op_stat *out, struct errmsg *e); // Suspends.
err path_rename(const char *from, const char *to, struct errmsg *e);    // Suspends.
err path_link(const char *from, const char *to, struct errmsg *e);      // Suspends.
err path_unlink(const char *path, struct errmsg *e);                    // Suspends.
err path_mkdir(const char *path, struct errmsg *e); // with its parents; there: fine. Suspends.
err path_rmdir(const char *path, struct errmsg *e); // Suspends.
err path_space(const char *path, struct op_space *out, struct errmsg *e); // Suspends.
// Makes renames, new files and removals in a folder durable. Suspends.
err path_sync_dir(const char *path, struct errmsg *e);
// Names in a folder, sorted, each ended by a NUL, appended to out. Suspends.
err path_list(const char *path, struct buf *out, size_t *out_count, struct errmsg *e);
// The whole file, at most max bytes (ERR_LIMIT), appended to out. Suspends.
err path_read(const char *path, size_t max, struct buf *out, struct errmsg *e);
// Replaces path in one step: temporary file, sync, rename, sync of the folder. Suspends.
err path_write_atomic(const char *path, struct str content, struct errmsg *e);

#endif
