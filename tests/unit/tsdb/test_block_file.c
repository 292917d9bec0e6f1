#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/base/bits.h"
#include "engine/base/util.h"
#include "engine/model/labels.h"
#include "engine/tsdb/block_file.h"
#include "io/file.h"
#include "simd/simd.h"
#include "tests/lib/in_loop.h"
#include "tests/unit/tsdb/block_world.h"

enum { STEP = 15000 };

static void expect(struct block_world *w, err code, err want, const struct errmsg *e)
{
    if (code != want && !w->why[0])
        snprintf(w->why, sizeof w->why, "%s, want %s: %.900s", err_name(code), err_name(want),
                 code == ERR_OK ? "" : e->text);
}

static void run(fiber_fn *fn)
{
    const char *seed = getenv("SEED");
    simd_init(SIMD_ALL);
    for (int forms = 0; forms < 2; forms++) {
        struct block_world w;
        block_world_init(&w, seed ? strtoull(seed, NULL, 0) : 1);
        w.forms = forms;
        in_loop(IN_LOOP_URING, fn, &w);
        cr_expect_str_empty(w.why, "forms %d: %s", forms, w.why);
        block_world_deinit(&w);
    }
}

static void write_and_compare(struct block_world *w, int64_t span, size_t cache_bytes)
{
    struct block_summary summary, again;
    struct block_file *f = NULL;
    struct errmsg e = {""};
    char path[128];
    block_world_path(w, "one", path);
    block_world_fill(w, 1700000000000, span, STEP);
    block_world_remember(w, false);
    expect(w, block_world_write(w, "one", &summary, &e), ERR_OK, &e);
    expect(w, block_file_open(path, cache_bytes, &f, &e), ERR_OK, &e);
    if (!f)
        return;
    again = *block_file_summary(f);
    if (memcmp(&summary, &again, sizeof summary) != 0)
        snprintf(w->why, sizeof w->why, "the summary changed");
    if (!w->why[0])
        block_world_compare(w, f);
    if (block_file_memory(f) > cache_bytes + 300000 && !w->why[0])
        snprintf(w->why, sizeof w->why, "%zu bytes held", block_file_memory(f));
    block_file_unref(f);
}

static void two_hours(void *arg)
{
    write_and_compare(arg, 480 * STEP, BLOCK_CACHE_DEFAULT_BYTES);
}

static void no_cache(void *arg)
{
    write_and_compare(arg, 60 * STEP, 0);
}

static void many_parts(void *arg)
{
    write_and_compare(arg, 1500 * STEP, BLOCK_CACHE_DEFAULT_BYTES);
}

Test(block_file, answers_as_the_oracle)
{
    static fiber_fn *const flows[] = {two_hours, no_cache, many_parts};
    for (size_t i = 0; i < countof(flows); i++)
        run(flows[i]);
}

// A file of the buckets of a histogram and their count, which is as large as that of +Inf.
static void write_counts(void *arg)
{
    enum { N = 480, TARGETS = 20 };
    struct block_world *w = arg;
    struct block_summary summary = {0};
    struct errmsg e = {""};
    struct block_writer *writer = NULL;
    char path[128];
    uint64_t alone = 0;
    block_world_path(w, "counts", path);
    expect(w, block_writer_create(path, 0, 0, &writer, &e), ERR_OK, &e);
    for (unsigned metric = 0; metric < 3 && !w->why[0]; metric++)
        for (uint32_t target = 0; target < TARGETS; target++) {
            static const char *const names[] = {"h_bucket", "h_count", "h_created"};
            struct labels_builder tuple = {0}, local = {0};
            int64_t t[N];
            uint64_t bits[N];
            uint8_t column[COLUMN_BYTES_MAX];
            struct rng r;
            double v = 0;
            rng_init(&r, target);
            for (size_t i = 0; i < N; i++, v += (double)rng_below(&r, 4000)) {
                t[i] = (int64_t)i * STEP;
                bits[i] = bits_from_double(metric == 1 ? v : metric == 0 ? v + 3 : v * 512);
            }
            if (metric == 0)
                alone += column_encode_values(bits, N, column);
            labels_builder_set(&local, LABEL_NAME, str_from_c(names[metric]));
            labels_builder_set(&tuple, STR("instance"), arena_printf(&w->a, "%u", target));
            const struct block_key key = {target, labels_builder_finish(&tuple, &w->a),
                                          labels_builder_finish(&local, &w->a)};
            labels_builder_deinit(&tuple);
            labels_builder_deinit(&local);
            expect(w,
                   block_writer_add(writer, &key,
                                    &(struct column){.t = t, .v = (const double *)bits, .n = N},
                                    &e),
                   ERR_OK, &e);
        }
    expect(w, block_writer_finish(writer, &summary, &e), ERR_OK, &e);
    block_writer_destroy(writer);
    if (summary.bytes > alone + 3 * TARGETS * 20 + 2000 && !w->why[0])
        snprintf(w->why, sizeof w->why, "%llu bytes, a third of the columns has %llu",
                 (unsigned long long)summary.bytes, (unsigned long long)alone);
}

Test(block_file, what_moves_alike_is_kept_once)
{
    run(write_counts);
}

// Three flows with one file and no cache to speak of: a chunk that one of them looks at stays.
struct sharing {
    struct block_world *w;
    struct block_file *f;
};

static void compare_flow(void *arg)
{
    struct sharing *s = arg;
    if (!s->w->why[0])
        block_world_compare(s->w, s->f);
    block_file_unref(s->f);
}

static void share_file(void *arg)
{
    static struct sharing s; // the flows outlive this one
    struct block_summary summary;
    struct errmsg e = {""};
    char path[128];
    s.w = arg;
    block_world_path(s.w, "one", path);
    block_world_fill(s.w, 0, 20 * STEP, STEP);
    block_world_remember(s.w, false);
    expect(s.w, block_world_write(s.w, "one", &summary, &e), ERR_OK, &e);
    expect(s.w, block_file_open(path, 1000, &s.f, &e), ERR_OK, &e);
    for (int i = 0; i < 3 && s.f; i++) {
        block_file_ref(s.f);
        expect(s.w, fiber_start(LOOP_QUERY, compare_flow, &s, NULL), ERR_OK, &e);
    }
    block_file_unref(s.f);
}

Test(block_file, shared_by_flows)
{
    run(share_file);
}

static void empty_file(void *arg)
{
    struct block_world *w = arg;
    struct block_summary summary;
    struct block_file *f = NULL;
    struct errmsg e = {""};
    char path[128];
    block_world_path(w, "one", path);
    expect(w, block_world_write(w, "one", &summary, &e), ERR_OK, &e);
    expect(w, block_world_write(w, "one", &summary, &e), ERR_EXISTS, &e);
    expect(w, block_file_open(path, 0, &f, &e), ERR_OK, &e);
    struct arena a;
    struct block_series *series;
    size_t n = 1;
    arena_init(&a, 0);
    const struct matcher up = {MATCHER_EQ, STR("__name__"), STR("up"), NULL};
    for (size_t count = 0; count < 2 && f; count++) {
        expect(
            w,
            block_file_select(f, &up, count, (struct block_range){0, 256}, 0, &a, &series, &n, &e),
            ERR_OK, &e);
        if (n != 0)
            snprintf(w->why, sizeof w->why, "%zu series", n);
    }
    arena_deinit(&a);
    block_file_unref(f);
}

Test(block_file, empty)
{
    run(empty_file);
}

static err add(struct block_writer *writer, const struct block_key *key, size_t n, struct errmsg *e)
{
    static const int64_t times[] = {5, 6, 6};
    static const double values[] = {1, 2, 3};
    return block_writer_add(writer, key, &(struct column){.t = times, .v = values, .n = n}, e);
}

static void wrong_input(void *arg)
{
    struct block_world *w = arg;
    struct block_writer *writer;
    struct errmsg e = {""};
    char path[128];
    block_world_path(w, "wrong", path);
    const struct str up = STR("\x08__name__\x02up"), down = STR("\x08__name__\x04"
                                                                "down");
    const struct block_key key = {1, {0}, up}, earlier = {1, {0}, down};
    const struct block_key malformed = {1, {0}, STR("\x08__name__\x09up")};
    expect(w, block_writer_create(path, 0, 0, &writer, &e), ERR_OK, &e);
    expect(w, add(writer, &key, 0, &e), ERR_INVALID, &e);
    expect(w, add(writer, &key, 3, &e), ERR_INVALID, &e);
    expect(w, add(writer, &malformed, 2, &e), ERR_INVALID, &e);
    expect(w, add(writer, &key, 2, &e), ERR_OK, &e);
    expect(w, add(writer, &earlier, 2, &e), ERR_INVALID, &e);
    expect(w, add(writer, &key, 2, &e), ERR_OK, &e);
    struct block_summary summary;
    expect(w, block_writer_finish(writer, &summary, &e), ERR_INVALID, &e); // a series twice
    block_writer_destroy(writer);
    struct op_stat stat;
    expect(w, path_stat(path, &stat, &e), ERR_NOTFOUND, &e); // and nothing is left
}

Test(block_file, wrong_input_is_refused)
{
    run(wrong_input);
}

// Every byte of a file changed in turn (some of them): either that is noticed, with file and
// offset, or what is answered is what was written.
static void flip_bytes(void *arg)
{
    struct block_world *w = arg;
    struct block_summary summary;
    struct buf bytes = {0};
    struct errmsg e = {""};
    char path[128];
    size_t noticed = 0;
    block_world_path(w, "one", path);
    block_world_fill(w, 0, 40 * STEP, STEP);
    expect(w, block_world_write(w, "one", &summary, &e), ERR_OK, &e);
    expect(w, path_read(path, 1 << 24, &bytes, &e), ERR_OK, &e);
    for (size_t at = 0; at < bytes.n && !w->why[0]; at += 1 + bytes.n / 1000) {
        struct block_file *f = NULL;
        struct block_series *series;
        static struct column columns[2000]; // a fiber's stack is small
        static uint32_t ids[2000];
        size_t n;
        struct arena a;
        struct file file;
        arena_init(&a, 0);
        bytes.p[at] ^= 1;
        expect(w, file_open(&file, path, FILE_WRITE, &e), ERR_OK, &e);
        expect(w, file_write(&file, (int64_t)at, bytes.p + at, 1, &e), ERR_OK, &e);
        err code = block_file_open(path, 0, &f, &e);
        if (code == ERR_OK)
            code =
                block_file_select(f, NULL, 0, (struct block_range){2, 99}, 0, &a, &series, &n, &e);
        for (size_t i = 0; code == ERR_OK && i < n; i++)
            ids[i] = series[i].id;
        if (code == ERR_OK)
            code = block_file_read(f, ids, n, INT64_MIN, INT64_MAX, &a, columns, &e);
        if (code == ERR_CORRUPT && !strstr(e.text, "one: offset "))
            snprintf(w->why, sizeof w->why, "message: %.900s", e.text);
        else if (code != ERR_OK)
            expect(w, code, ERR_CORRUPT, &e);
        noticed += code == ERR_CORRUPT;
        block_file_unref(f);
        bytes.p[at] ^= 1;
        expect(w, file_write(&file, (int64_t)at, bytes.p + at, 1, &e), ERR_OK, &e);
        file_close(&file);
        arena_deinit(&a);
    }
    if (noticed < 700 && !w->why[0]) // the others lie in parts that the question does not need
        snprintf(w->why, sizeof w->why, "only %zu changes were noticed", noticed);
    buf_deinit(&bytes);
}

Test(block_file, changed_bytes_are_noticed)
{
    run(flip_bytes);
}

// Four files, neighbours overlapping by a third, each with its own division of labels; the first
// written wins where they disagree.
static void merge_files(void *arg)
{
    enum { FILES = 4, SPAN = 60 };
    struct block_world *w = arg;
    struct block_summary summary;
    struct block_file *files[FILES] = {NULL}, *f = NULL;
    struct errmsg e = {""};
    char path[128];
    const int64_t start = 1700000000000, drop = start + 10 * STEP;
    for (unsigned i = 0; i < FILES; i++) {
        const char name[] = {(char)('a' + i), 0};
        block_world_fill(w, start + i * (SPAN - SPAN / 3) * STEP, SPAN * STEP, STEP);
        block_world_divide(w, i);
        block_world_remember(w, true);
        expect(w, block_world_write(w, name, &summary, &e), ERR_OK, &e);
        block_world_path(w, name, path);
        expect(w, block_file_open(path, BLOCK_CACHE_DEFAULT_BYTES, &files[i], &e), ERR_OK, &e);
    }
    block_world_path(w, "merged", path);
    if (!w->why[0])
        expect(w,
               block_merge(files, FILES, (struct block_range){0, UINT32_MAX}, path, drop, &summary,
                           &e),
               ERR_OK, &e);
    block_world_forget(w, drop);
    expect(w, block_file_open(path, BLOCK_CACHE_DEFAULT_BYTES, &f, &e), ERR_OK, &e);
    if (!w->why[0])
        block_world_compare(w, f);
    block_file_unref(f);
    for (unsigned i = 0; i < FILES; i++)
        block_file_unref(files[i]);
}

Test(block_file, merged_answers_as_the_oracle)
{
    run(merge_files);
}
