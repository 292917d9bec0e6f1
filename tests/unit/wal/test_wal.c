#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>

#include "engine/base/rng.h"
#include "engine/base/util.h"
#include "simd/simd.h"
#include "tests/unit/wal/wal_run.h"

static const struct {
    enum wal_sync sync;
    uint64_t segment_bytes;
    bool truncate;
} plans[] = {
    {WAL_SYNC_ALWAYS, 0, false},    {WAL_SYNC_INTERVAL, 0, false},   {WAL_SYNC_NONE, 0, false},
    {WAL_SYNC_ALWAYS, 1024, false}, {WAL_SYNC_INTERVAL, 1024, true}, {WAL_SYNC_NONE, 3000, true},
    {WAL_SYNC_ALWAYS, 3000, true},
};

Test(wal, what_was_acknowledged_survives_a_kill)
{
    simd_init(SIMD_ALL);
    for (size_t i = 0; i < countof(plans); i++) {
        struct run *run = run_create(i + 1);
        run->snapshots_max = RUN_SNAPSHOTS_MAX;
        run->commits_wanted = 1200;
        run->sync = plans[i].sync;
        run->segment_bytes = plans[i].segment_bytes;
        run->truncate = plans[i].truncate;
        faults_loop(NULL, NULL, run_flow, run);
        run_check_all(run);
        cr_assert_eq(run->close_code, ERR_OK);
        cr_assert_eq(run->fatal, 0);
        cr_assert_eq(run->acked, 1200);
        cr_assert_gt(run->snapshots_count, 0);
        if (run->segment_bytes > 0)
            cr_assert_gt(run->stats.segment, 3);
        if (run->truncate) // files come and go
            cr_assert_lt(run->stats.segments, run->stats.segment);
        run_destroy(run);
    }
}

// ---- faults

struct judge {
    struct rng rng;
    int failures_left, short_left;
    bool spare_next_write; // after a cut that failed, the overwriting of the tail works
    int seen[OP_KIND_COUNT], failed[OP_KIND_COUNT];
};

// A disk that is full or broken now and then, and writes less than it is told.
static int32_t judge_disk(void *arg, struct op *op)
{
    static const int32_t errors[] = {-ENOSPC, -EIO, -EDQUOT};
    struct judge *j = arg;
    if (op->kind == OP_WRITE && j->spare_next_write) {
        j->spare_next_write = false;
        return 0;
    }
    if (op->kind == OP_WRITE && op->n > 1 && j->short_left > 0 && rng_below(&j->rng, 10) == 0) {
        j->short_left--;
        op->n = 1 + rng_below(&j->rng, op->n - 1);
        return 0;
    }
    const bool may_fail = op->kind == OP_WRITE || op->kind == OP_ALLOCATE ||
                          op->kind == OP_TRUNCATE || op->kind == OP_OPEN;
    // How operations of several flows follow each other is the machine's: each kind fails on a
    // count of its own, so that whatever the order, each does.
    const int every = op->kind == OP_ALLOCATE ? 7 : 40;
    if (!may_fail || j->failures_left == 0 || ++j->seen[op->kind] % every != 0)
        return 0;
    j->failures_left--;
    j->failed[op->kind]++;
    j->spare_next_write = op->kind == OP_TRUNCATE;
    return errors[rng_below(&j->rng, countof(errors))];
}

enum { RUNS = 6 };

static void run_many(void *arg)
{
    struct run **runs = arg;
    for (size_t i = 0; i < RUNS; i++)
        fiber_start_always(LOOP_RECEIVE, run_flow, runs[i], NULL);
}

// What was refused never comes back, what was acknowledged does; and it goes on by itself.
Test(wal, a_bad_disk_refuses_and_recovers)
{
    simd_init(SIMD_ALL);
    struct run *runs[RUNS];
    struct judge j = {.failures_left = 12, .short_left = 200};
    rng_init(&j.rng, 77);
    for (size_t i = 0; i < RUNS; i++) {
        runs[i] = run_create(i + 50);
        runs[i]->commits_wanted = 1500;
        runs[i]->sync = i % 2 ? WAL_SYNC_ALWAYS : WAL_SYNC_INTERVAL;
        runs[i]->segment_bytes = i < 3 ? 2000 : 0;
        runs[i]->truncate = i == 2;
    }
    faults_loop(judge_disk, &j, run_many, runs);
    size_t refused = 0;
    for (size_t i = 0; i < RUNS; i++) {
        run_check_all(runs[i]);
        cr_assert_eq(runs[i]->commits_count, 1500);
        refused += runs[i]->refused;
        run_destroy(runs[i]);
    }
    cr_assert_eq(j.failures_left, 0);
    cr_assert_gt(refused, 0);
    cr_assert(j.failed[OP_WRITE] && j.failed[OP_ALLOCATE], "%d %d", j.failed[OP_WRITE],
              j.failed[OP_ALLOCATE]);
}

static int32_t judge_sync(void *arg, struct op *op)
{
    struct judge *j = arg;
    return op->kind == OP_SYNC && --j->failures_left == 0 ? -EIO : 0;
}

Test(wal, a_failed_sync_is_fatal)
{
    simd_init(SIMD_ALL);
    int fatal = 0;
    for (int n = 1; n < 40; n += 5) {
        struct judge j = {.failures_left = n};
        struct run *run = run_create((uint64_t)n);
        run->commits_wanted = 1500;
        run->sync = n % 2 ? WAL_SYNC_ALWAYS : WAL_SYNC_INTERVAL;
        run->segment_bytes = n % 3 ? 2000 : 0;
        faults_loop(judge_sync, &j, run_flow, run);
        if (run->fatal == 0) { // the folder's, when a segment begins: that one is given up
            cr_assert(run->refused > 0 || j.failures_left > 0);
            run_check_all(run);
            run_destroy(run);
            continue;
        }
        fatal++;
        cr_assert_eq(run->close_code, ERR_IO);
        // What was acknowledged is there: the system was not shut down.
        struct run_replay *r = run_replay(run, "", &run->mark);
        size_t acked;
        for (size_t i = 0; i < run->commits_count; i++)
            run->commits[i].state = RUN_PENDING;
        struct traffic_list want = run_wanted(run, run->commits_count, run->acked, 0, &acked);
        cr_assert(traffic_equal(&want, 0, &r->got.list));
        cr_assert_geq(r->got.list.n, acked);
        traffic_list_deinit(&want);
        run_replay_destroy(r);
        run_destroy(run);
    }
    cr_assert_gt(fatal, 0); // how many syncs there are depends on the disk
}

Test(wal, a_full_queue_refuses)
{
    simd_init(SIMD_ALL);
    struct run *run = run_create(3);
    run->commits_wanted = 300;
    run->sync = WAL_SYNC_ALWAYS;
    run->queue_bytes = 1;
    faults_loop(NULL, NULL, run_flow, run);
    run_check_all(run);
    cr_assert_gt(run->refused_at_once, 0);
    cr_assert_eq(run->refused, 0);
    run_destroy(run);
}

// ---- damage

enum { FILES_MAX = 64, BYTES_MAX = 1 << 20 };

static struct buf load(const char *path)
{
    struct buf b = {0};
    FILE *f = fopen(path, "rb");
    cr_assert_not_null(f);
    b.n = fread(buf_reserve(&b, BYTES_MAX), 1, BYTES_MAX, f);
    fclose(f);
    return b;
}

static void save(const char *path, const char *p, size_t n)
{
    FILE *f = fopen(path, "wb");
    cr_assert_not_null(f);
    cr_assert_eq(fwrite(p, 1, n, f), n);
    fclose(f);
}

static struct run *run_segments(uint64_t seed)
{
    struct run *run = run_create(seed);
    run->commits_wanted = 600;
    run->sync = WAL_SYNC_ALWAYS;
    run->segment_bytes = 2000;
    faults_loop(NULL, NULL, run_flow, run);
    run_check_all(run);
    cr_assert_gt(run->stats.segment, 4);
    return run;
}

// Replays the damaged folder: nothing is invented, and nothing is lost in silence, unless may_end.
static bool check_damage(const struct run *run, bool may_end, const char *what, size_t where)
{
    size_t acked;
    struct run_replay *r = run_replay(run, "", &run->mark);
    struct traffic_list want = run_wanted(run, run->commits_count, run->acked, 0, &acked);
    cr_assert(traffic_is_subsequence(&want, &r->got.list), "%s at %zu", what, where);
    if (may_end)
        cr_assert(traffic_equal(&want, 0, &r->got.list), "%s at %zu", what, where);
    else
        cr_assert(r->got.corruptions > 0 || r->got.list.n == want.n, "%s at %zu: %zu of %zu", what,
                  where, r->got.list.n, want.n);
    const bool reported = r->got.corruptions > 0;
    traffic_list_deinit(&want);
    run_replay_destroy(r);
    return reported;
}

Test(wal, a_flipped_bit_is_reported)
{
    simd_init(SIMD_ALL);
    struct rng rng;
    rng_init(&rng, 5);
    size_t reported = 0;
    for (uint64_t seed = 21; seed < 24; seed++) {
        struct run *run = run_segments(seed);
        for (int i = 0; i < 40; i++) {
            char path[RUN_TEXT];
            wal_segment_path(run->dir, &run->mark.stream, 1 + rng_below(&rng, run->stats.segment),
                             path, sizeof path);
            struct buf bytes = load(path);
            const size_t at = rng_below(&rng, bytes.n);
            const char flip = (char)(1u << rng_below(&rng, 8));
            bytes.p[at] ^= flip;
            save(path, bytes.p, bytes.n);
            reported += check_damage(run, false, path, at);
            bytes.p[at] ^= flip;
            save(path, bytes.p, bytes.n);
            buf_deinit(&bytes);
        }
        cr_assert_not(check_damage(run, false, "repaired", 0));
        run_destroy(run);
    }
    cr_assert_gt(reported, 100);
}

// A segment in the middle that is cut, gone, or another one's (taken for reuse, never written) is
// damage; the last one cut short is what a crash leaves.
Test(wal, missing_parts)
{
    simd_init(SIMD_ALL);
    struct run *run = run_segments(31);
    char path[RUN_TEXT], other[RUN_TEXT];
    const uint64_t last = run->stats.segment;
    for (uint64_t number = 1; number <= last; number++) {
        wal_segment_path(run->dir, &run->mark.stream, number, path, sizeof path);
        struct buf bytes = load(path);
        for (size_t n = 0; n < bytes.n; n += bytes.n / 7 + 1) {
            save(path, bytes.p, n);
            const bool reported = check_damage(run, number == last, path, n);
            cr_assert_eq(reported, number != last, "%s cut at %zu", path, n);
        }
        wal_segment_path(run->dir, &run->mark.stream, number == 1 ? 2 : 1, other, sizeof other);
        struct buf wrong = load(other);
        save(path, wrong.p, wrong.n);
        cr_assert_eq(check_damage(run, number == last, "reused", number), number != last);
        if (number > 1 && number < last) {
            cr_assert_eq(remove(path), 0);
            cr_assert(check_damage(run, false, "removed", number));
        }
        save(path, bytes.p, bytes.n);
        buf_deinit(&wrong);
        buf_deinit(&bytes);
    }
    cr_assert_not(check_damage(run, false, "repaired", 0));
    run_destroy(run);
}
