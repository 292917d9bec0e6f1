#include <criterion/criterion.h>

#include "engine/base/mem.h"
#include "engine/base/rng.h"
#include "engine/base/util.h"
#include "engine/tsdb/catalogue_log.h"

static struct catalogue_file file_of(uint64_t id)
{
    return (struct catalogue_file){
        .id = id,
        .generation = id * 7,
        .kind = id % 2 ? CATALOGUE_SPILLED : CATALOGUE_SEALED,
        .level = (uint32_t)id % 5,
        .partition_min = (uint32_t)id % 100,
        .partition_max = (uint32_t)id % 100 + 50,
        .min_t_ms = -(int64_t)id,
        .max_t_ms = (int64_t)id * 1000,
        .size_bytes = id << 20,
        .series = id + 1,
        .samples = id * 100,
    };
}

static bool is_same(const struct catalogue_state *a, const struct catalogue_state *b)
{
    struct buf x = {0}, y = {0};
    catalogue_put_checkpoint(a, &x);
    catalogue_put_checkpoint(b, &y);
    const bool same = str_eq(buf_str(&x), buf_str(&y));
    buf_deinit(&x);
    buf_deinit(&y);
    return same;
}

static void make(struct catalogue_state *s)
{
    *s = (struct catalogue_state){
        .partitions = 256, .spread = 1, .hash_seed = 0xfeed, .epoch = 3, .next_id = 1, .seq = 9};
    buf_put_str(&s->placement_labels, STR("cluster,replica"));
}

enum { CHANGES = 60 };

// A log of random changes: where each record ends, and the state as it was then.
static void make_log(uint64_t seed, struct buf *log, size_t *ends, struct catalogue_state *s)
{
    struct rng rng;
    rng_init(&rng, seed);
    make(s);
    catalogue_put_checkpoint(s, log);
    ends[0] = log->n;
    for (size_t i = 1; i <= CHANGES; i++) {
        struct catalogue_file add[3];
        uint64_t remove[2];
        const struct wal_mark mark = {{rng_below(&rng, 3), (uint32_t)rng_below(&rng, 3)}, i, i * 5};
        struct catalogue_change c = {.add = add, .remove = remove, .marks = &mark};
        c.add_count = rng_below(&rng, 4);
        for (size_t k = 0; k < c.add_count; k++)
            add[k] = file_of(s->next_id++);
        c.remove_count = s->files_count > 4 ? rng_below(&rng, 3) : 0;
        for (size_t k = 0; k < c.remove_count; k++)
            remove[k] = s->files[k * 2].id;
        c.marks_count = rng_below(&rng, 2);
        c.streams_done = &mark.stream;
        c.streams_done_count = c.marks_count == 0;
        cr_assert_eq(catalogue_state_check(s, &c, NULL), ERR_OK);
        catalogue_put_change(s, &c, log);
        catalogue_state_apply(s, &c);
        s->seq++;
        ends[i] = log->n;
    }
}

Test(catalogue_log, comes_back)
{
    for (uint64_t seed = 1; seed < 20; seed++) {
        struct buf log = {0};
        size_t ends[CHANGES + 1], end;
        struct catalogue_state s, got = {0};
        struct errmsg e;
        make_log(seed, &log, ends, &s);
        const err code = catalogue_load(buf_str(&log), &got, &end, &e);
        cr_assert_eq(code, ERR_OK, "%s", e.text);
        cr_assert_eq(end, log.n);
        cr_assert(is_same(&s, &got));
        catalogue_state_deinit(&got);
        catalogue_state_deinit(&s);
        buf_deinit(&log);
    }
}

// Cut anywhere: all whole records hold, the rest is a tail; what cuts the checkpoint is damage.
Test(catalogue_log, every_length)
{
    struct buf log = {0};
    size_t ends[CHANGES + 1], records = 0;
    struct catalogue_state s;
    make_log(4, &log, ends, &s);
    for (size_t n = 0; n <= log.n; n++) {
        struct buf cut = {0};
        struct catalogue_state got = {0};
        size_t end = 0;
        buf_put(&cut, log.p, n);
        while (records < CHANGES && ends[records + 1] <= n)
            records++;
        const err code = catalogue_load(buf_str(&cut), &got, &end, NULL);
        if (n < ends[0]) {
            cr_assert_neq(code, ERR_OK, "at %zu", n);
        } else {
            cr_assert_eq(code, ERR_OK, "at %zu", n);
            cr_assert_eq(end, ends[records]);
            cr_assert_eq(got.seq, 9 + records);
        }
        catalogue_state_deinit(&got);
        buf_deinit(&cut);
    }
    catalogue_state_deinit(&s);
    buf_deinit(&log);
}

// A flipped bit is damage, except in the last record, which could be a cut write.
Test(catalogue_log, every_flipped_bit)
{
    struct buf log = {0};
    size_t ends[CHANGES + 1];
    struct catalogue_state s;
    make_log(5, &log, ends, &s);
    for (size_t i = 0; i < log.n; i++) {
        struct catalogue_state got = {0};
        size_t end = 0;
        log.p[i] ^= (char)(1u << i % 8);
        const err code = catalogue_load(buf_str(&log), &got, &end, NULL);
        if (i < ends[CHANGES - 1]) {
            cr_assert(code == ERR_CORRUPT || (code == ERR_INVALID && i < CATALOGUE_HEADER_BYTES),
                      "byte %zu: %s", i, err_name(code));
        } else {
            cr_assert_eq(code, ERR_OK);
            cr_assert_eq(end, ends[CHANGES - 1]);
        }
        log.p[i] ^= (char)(1u << i % 8);
        catalogue_state_deinit(&got);
    }
    catalogue_state_deinit(&s);
    buf_deinit(&log);
}

Test(catalogue_log, newer_formats_are_refused_by_name)
{
    struct buf log = {0};
    size_t ends[CHANGES + 1], end;
    struct catalogue_state s, got = {0};
    struct errmsg e;
    make_log(6, &log, ends, &s);
    log.p[8] = 5;
    cr_assert_eq(catalogue_load(buf_str(&log), &got, &end, &e), ERR_INVALID);
    cr_assert_str_eq(e.text, "data folder format 5 is newer than this program's 4");
    catalogue_state_deinit(&got);
    catalogue_state_deinit(&s);
    buf_deinit(&log);
}

Test(catalogue_log, changes_that_do_not_fit)
{
    struct catalogue_state s;
    make(&s);
    const struct catalogue_file one[] = {file_of(1), file_of(2)},
                                twice[] = {file_of(3), file_of(3)};
    const uint64_t ids[] = {1, 1}, unknown = 9;
    catalogue_state_apply(&s, &(struct catalogue_change){.add = one, .add_count = 2});
    struct catalogue_file backwards = file_of(8), tenant = file_of(8), kind = file_of(8);
    backwards.min_t_ms = backwards.max_t_ms + 1;
    tenant.tenant = 1;
    kind.kind = 3;
    const struct catalogue_change bad[] = {
        {.add = one, .add_count = 1},        {.add = twice, .add_count = 2},
        {.remove = ids, .remove_count = 2},  {.remove = &unknown, .remove_count = 1},
        {.add = &backwards, .add_count = 1}, {.add = &tenant, .add_count = 1},
        {.add = &kind, .add_count = 1},
    };
    for (size_t i = 0; i < countof(bad); i++)
        cr_assert_eq(catalogue_state_check(&s, &bad[i], NULL), ERR_INVALID, "row %zu", i);
    cr_assert_eq(catalogue_state_check(
                     &s, &(struct catalogue_change){.remove = ids, .remove_count = 1}, NULL),
                 ERR_OK);
    catalogue_state_deinit(&s);
}

// How many of files that end at 1000, 2000, ... go.
static size_t count_cut(const struct catalogue_file *files, size_t n, int64_t cut)
{
    size_t count = 0;
    for (size_t i = 0; i < n; i++)
        count += files[i].max_t_ms <= cut;
    return count;
}

Test(catalogue_log, retention_by_time)
{
    struct catalogue_file files[4] = {file_of(1), file_of(2), file_of(3), file_of(4)};
    static const struct {
        int64_t now_ms, retention_ms;
        size_t expired; // the oldest so many; file i ends at i * 1000
    } rows[] = {{10000, 0, 0},       {10000, 9001, 0}, {10000, 9000, 0},          {10000, 8999, 1},
                {10000, 7999, 2},    {10000, 1, 4},    {INT64_MIN, INT64_MAX, 0}, {0, INT64_MAX, 0},
                {INT64_MAX, 1000, 4}};
    for (size_t i = 0; i < countof(rows); i++)
        cr_assert_eq(
            count_cut(files, 4, catalogue_cut_by_age(rows[i].now_ms, rows[i].retention_ms)),
            rows[i].expired, "row %zu", i);
}

// Prometheus's BeyondSizeRetention: the log counts, the newest stay, what goes beyond goes with all
// that is older.
Test(catalogue_log, retention_by_size)
{
    struct catalogue_file files[4] = {file_of(3), file_of(1), file_of(4), file_of(2)};
    static const uint64_t sizes[] = {30, 10, 40, 20}; // of them
    static const struct {
        uint64_t beside, max;
        size_t gone;
    } rows[] = {{0, 100, 0}, {0, 99, 1},   {0, 90, 1},          {0, 89, 2},
                {0, 70, 2},  {0, 69, 3},   {0, 40, 3},          {0, 39, 4},
                {1, 100, 1}, {60, 100, 3}, {61, 100, 4},        {100, 99, 4},
                {7, 107, 0}, {0, 0, 4},    {UINT64_MAX, 50, 4}, {0, UINT64_MAX, 0}};
    for (size_t i = 0; i < 4; i++)
        files[i].size_bytes = sizes[i];
    for (size_t i = 0; i < countof(rows); i++)
        cr_assert_eq(
            count_cut(files, 4, catalogue_cut_by_size(files, 4, rows[i].beside, rows[i].max)),
            rows[i].gone, "row %zu", i);
    cr_assert_eq(catalogue_cut_by_size(NULL, 0, 100, 1), INT64_MIN);
}
