#include "io/mapped.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "io/file.h"

err mapped_create(const char *path, size_t size, void **out, struct errmsg *e)
{
    struct file f;
    TRY(file_open(&f, path, FILE_WRITE | FILE_CREATE | FILE_TRUNCATE, e));
    err code = file_truncate(&f, (int64_t)size, e);
    if (!code)
        code = file_allocate(&f, 0, (int64_t)size, e);
    if (!code) {
        void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, f.fd, 0);
        if (p == MAP_FAILED)
            code = err_set(e, ERR_IO, "map %s: %s", path, strerror(errno));
        else
            *out = p;
    }
    file_close(&f);
    return code;
}

void mapped_destroy(void *map, size_t size)
{
    munmap(map, size);
}
