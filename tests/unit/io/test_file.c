#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/base/mem.h"
#include "io/clock.h"
#include "io/file.h"
#include "tests/lib/findings.h"
#include "tests/lib/in_loop.h"

struct world {
    char dir[64];
    struct findings f;
};

static void on_each(fiber_fn *flow)
{
    for (unsigned backend = 0; backend < IN_LOOP_BACKENDS; backend++) {
        struct world w = {.dir = "/tmp/ferula-file-XXXXXX"};
        cr_assert_not_null(mkdtemp(w.dir));
        in_loop(backend, flow, &w);
        char command[128];
        snprintf(command, sizeof command, "rm -rf %s", w.dir);
        cr_assert_eq(system(command), 0);
        cr_assert_str_eq(w.f.text, "", "backend %u: %s", backend, w.f.text);
    }
}

struct text {
    char text[256];
};

static struct text in(const struct world *w, const char *name)
{
    struct text t;
    snprintf(t.text, sizeof t.text, "%s/%s", w->dir, name);
    return t;
}

static void reads_and_writes(void *arg)
{
    struct world *w = arg;
    struct findings *f = &w->f;
    enum { SIZE = 5 * 1000 * 1000 };
    struct file file;
    struct errmsg e = {""};
    char *bytes = mem_alloc(SIZE), *back = mem_alloc(SIZE);
    for (size_t i = 0; i < SIZE; i++)
        bytes[i] = (char)(i * 7 + i / 4096);
    const struct text path = in(w, "a/b/c/file");
    want(f, path_mkdir(in(w, "a/b/c").text, &e) == ERR_OK, "%s", e.text);
    want(f, path_mkdir(in(w, "a/b/c").text, &e) == ERR_OK, "%s", e.text);
    want(f, file_open(&file, path.text, FILE_WRITE | FILE_CREATE | FILE_EXCLUSIVE, &e) == ERR_OK,
         "%s", e.text);
    want(f, file_lock(&file, &e) == ERR_OK, "%s", e.text);
    want(f, file_write(&file, 100, bytes, SIZE, &e) == ERR_OK, "%s", e.text);
    want(f, file_read(&file, 100, back, SIZE, &e) == ERR_OK, "%s", e.text);
    want(f, !memcmp(bytes, back, SIZE));
    want(f, file_read(&file, 101, back, SIZE, &e) == ERR_CORRUPT && strstr(e.text, path.text), "%s",
         e.text);
    size_t n = 0;
    want(f, file_read_some(&file, SIZE, back, SIZE, &n, &e) == ERR_OK && n == 100, "%zu", n);
    int64_t size = 0;
    want(f, file_size(&file, &size, &e) == ERR_OK && size == SIZE + 100);
    want(f, file_sync(&file, true, &e) == ERR_OK && file_sync(&file, false, &e) == ERR_OK);
    want(f, file_truncate(&file, 10, &e) == ERR_OK && file_size(&file, &size, &e) == ERR_OK);
    want(f, size == 10);
    want(f, file_allocate(&file, 0, 8192, &e) == ERR_OK && file_size(&file, &size, &e) == ERR_OK);
    want(f, size == 8192);
    file_close(&file);
    file_close(&file);
    want(f, file.fd == -1);
    mem_free(bytes);
    mem_free(back);
}

Test(file, reads_and_writes)
{
    on_each(reads_and_writes);
}

static void says(struct findings *f, err got, err wanted, const struct errmsg *e, const char *text)
{
    want(f, got == wanted && strstr(e->text, text), "wanted %s with \"%s\", got %s: %s",
         err_name(wanted), text, err_name(got), e->text);
}

static void errors(void *arg)
{
    struct world *w = arg;
    struct findings *f = &w->f;
    struct file a, b;
    struct errmsg e = {""};
    struct buf buf = {0};
    const struct text path = in(w, "x"), none = in(w, "none/x");
    char wanted[400], longest[700];
    snprintf(wanted, sizeof wanted, "open %s: no such file or directory", none.text);
    says(f, file_open(&a, none.text, FILE_READ, &e), ERR_NOTFOUND, &e, wanted);
    want(f, a.fd == -1);
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    says(f, file_open(&a, longest, FILE_READ, &e), ERR_LIMIT, &e, "file name too long");
    want(f, file_open(&a, path.text, FILE_WRITE | FILE_CREATE, &e) == ERR_OK, "%s", e.text);
    want(f, file_open(&b, path.text, FILE_WRITE, &e) == ERR_OK, "%s", e.text);
    want(f, file_lock(&a, &e) == ERR_OK);
    says(f, file_lock(&b, &e), ERR_EXISTS, &e, path.text);
    file_close(&a);
    want(f, file_lock(&b, &e) == ERR_OK);
    file_close(&b);
    says(f, file_open(&a, path.text, FILE_WRITE | FILE_CREATE | FILE_EXCLUSIVE, &e), ERR_EXISTS, &e,
         "file exists");
    says(f, path_mkdir(in(w, "x/y").text, &e), ERR_IO, &e, "not a directory");
    says(f, path_mkdir(path.text, &e), ERR_IO, &e, "not a directory");
    says(f, path_unlink(none.text, &e), ERR_NOTFOUND, &e, none.text);
    says(f, path_rename(none.text, path.text, &e), ERR_NOTFOUND, &e, none.text);
    says(f, path_read(in(w, "").text, 10, &buf, &e), ERR_IO, &e, "is a directory");
    want(f, file_open(&a, "/dev/full", FILE_WRITE, &e) == ERR_OK, "%s", e.text);
    says(f, file_write(&a, 0, "x", 1, &e), ERR_LIMIT, &e,
         "write /dev/full: no space left on device");
    file_close(&a);
    want(f, file_open(&a, path.text, FILE_READ, &e) == ERR_OK);
    says(f, file_write(&a, 0, "x", 1, &e), ERR_IO, &e, "bad file descriptor");
    fiber_set_deadline(clock_mono_ns() - 1);
    says(f, file_read(&a, 0, wanted, 1, &e), ERR_TIMEOUT, &e, "context deadline exceeded");
    file_close(&a); // also past the deadline
    want(f, a.fd == -1);
    buf_deinit(&buf);
}

Test(file, errors)
{
    on_each(errors);
}

static void paths(void *arg)
{
    struct world *w = arg;
    struct findings *f = &w->f;
    struct errmsg e = {""};
    struct buf buf = {0};
    size_t count = 0;
    const struct text a = in(w, "a"), b = in(w, "b"), empty = in(w, "d");
    want(f, path_write_atomic(b.text, STR("first"), &e) == ERR_OK, "%s", e.text);
    want(f, path_write_atomic(b.text, STR("second!"), &e) == ERR_OK, "%s", e.text);
    want(f, path_write_atomic(a.text, (struct str){0}, &e) == ERR_OK, "%s", e.text);
    want(f, path_mkdir(empty.text, &e) == ERR_OK);
    buf_put_str(&buf, STR("x"));
    want(f, path_list(w->dir, &buf, &count, &e) == ERR_OK && count == 3, "%zu", count);
    want(f, buf.n == 7 && !memcmp(buf.p, "xa\0b\0d", 7));
    buf_reset(&buf);
    want(f, path_list(empty.text, &buf, &count, &e) == ERR_OK && count == 0 && buf.n == 0);
    want(f, path_read(b.text, 7, &buf, &e) == ERR_OK && str_eq(buf_str(&buf), STR("second!")));
    says(f, path_read(b.text, 6, &buf, &e), ERR_LIMIT, &e, "larger than 6 bytes");
    want(f, buf.n == 7, "the failed read left %zu", buf.n);
    want(f, path_read(a.text, 0, &buf, &e) == ERR_OK && buf.n == 7);
    want(f, path_link(b.text, in(w, "link").text, &e) == ERR_OK, "%s", e.text);
    want(f, path_rename(b.text, a.text, &e) == ERR_OK, "%s", e.text);
    struct op_stat st;
    want(f, path_stat(a.text, &st, &e) == ERR_OK && st.size == 7 && !st.is_dir);
    want(f, path_rmdir(empty.text, &e) == ERR_OK, "%s", e.text);
    want(f, path_sync_dir(w->dir, &e) == ERR_OK, "%s", e.text);
    struct op_space space;
    want(f, path_space(w->dir, &space, &e) == ERR_OK && space.total_bytes > 0, "%s", e.text);
    // Neither the file nor a rest of it when the folder is not there.
    says(f, path_write_atomic(in(w, "no/file").text, STR("x"), &e), ERR_NOTFOUND, &e, "no/file");
    // Large enough for several reads.
    struct buf large = {0};
    memset(buf_reserve(&large, 300000), 'z', 300000);
    large.n = 300000;
    want(f, path_write_atomic(a.text, buf_str(&large), &e) == ERR_OK, "%s", e.text);
    buf_reset(&buf);
    want(f,
         path_read(a.text, 300000, &buf, &e) == ERR_OK && str_eq(buf_str(&buf), buf_str(&large)));
    buf_deinit(&large);
    buf_deinit(&buf);
}

Test(file, paths)
{
    on_each(paths);
}
