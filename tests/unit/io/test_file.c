#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "io/file.h"
#include "tests/lib/in_loop.h"

static void use_files(void *arg)
{
    char *dir = arg;
    struct file f;
    char path[600], got[16] = "";
    struct errmsg e = {""};
    snprintf(path, sizeof path, "%s/a/b", dir);
    if (path_mkdir(path, &e) != ERR_OK)
        abort();
    snprintf(path, sizeof path, "%s/a/b/f", dir);
    if (file_open(&f, path, FILE_WRITE | FILE_CREATE, &e) != ERR_OK)
        abort();
    if (file_write(&f, 0, "hello", 5, &e) != ERR_OK || file_read(&f, 0, got, 5, &e) != ERR_OK)
        abort();
    file_close(&f);
    snprintf(dir, 512, "%s", got);
}

Test(file, works)
{
    char dir[512] = "/tmp/ferula-test-XXXXXX";
    cr_assert_not_null(mkdtemp(dir));
    in_loop(IN_LOOP_URING, use_files, dir);
    cr_assert_str_eq(dir, "hello");
}
