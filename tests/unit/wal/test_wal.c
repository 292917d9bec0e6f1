#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/base/mem.h"
#include "engine/base/util.h"
#include "engine/tsdb/wal.h"
#include "engine/tsdb/wal_replay.h"
#include "io/clock.h"
#include "io/file.h"
#include "simd/simd.h"
#include "tests/unit/wal/wal_faults.h"
#include "tests/unit/wal/wal_traffic.h"

enum { SNAPSHOTS_MAX = 6, TEXT = 512, COMMITS_MAX = 4000, MS = 1000 * 1000 };

enum state { PENDING, ACKED, REFUSED };

struct commit {
    size_t from, n; // of the samples sent
    uint64_t seq;
    enum state state;
};

// The folder as a killed process would have left it.
struct snapshot {
    size_t commits, acked; // handed over; of these acknowledged
    struct wal_mark mark;
};

struct run {
    uint64_t seed;
    enum wal_sync sync;
    uint64_t segment_bytes;
    size_t commits_wanted;
    bool truncate;
    faults_judge_fn *judge;
    // What happens.
    char dir[TEXT];
    struct wal *wal;
    struct traffic traffic;
    struct commit commits[COMMITS_MAX];
    size_t commits_count, acked, refused_at_once;
    struct snapshot snapshots[SNAPSHOTS_MAX];
    size_t snapshots_count, senders;
    struct wal_mark mark;
    int fatal;
    uint64_t judged; // operations
    bool heal;       // the judge lets everything pass
    struct wal_stats stats;
    err close_code;
    char failure[1024];
};

static void fail(struct run *run, const char *what)
{
    if (!run->failure[0])
        snprintf(run->failure, sizeof run->failure, "%s", what);
}

static void shell(const char *command)
{
    if (system(command) != 0)
        abort();
}

static void note_fatal(void *arg, const char *reason)
{
    struct run *run = arg;
    run->fatal++;
    if (!strstr(reason, "sync"))
        fail(run, reason);
}

static void take_snapshot(struct run *run)
{
    char command[4 * TEXT];
    if (run->snapshots_count == SNAPSHOTS_MAX)
        return;
    const size_t i = run->snapshots_count++;
    run->snapshots[i] = (struct snapshot){run->commits_count, run->acked, run->mark};
    snprintf(command, sizeof command, "mkdir %s/copy%zu; cp %s/*.wal %s/copy%zu 2>/dev/null; true",
             run->dir, i, run->dir, run->dir, i);
    shell(command);
}

// ---- flows

static void commit_row(struct run *run)
{
    struct traffic *t = &run->traffic;
    struct wal_row row;
    struct errmsg e;
    struct commit *c = &run->commits[run->commits_count];
    if (traffic_row(t, &row))
        wal_forget(run->wal, row.cohort);
    if (wal_append(run->wal, &row, 1, &c->seq, &e) != ERR_OK) {
        run->refused_at_once++;
        (void)fiber_sleep_ns(2 * MS);
        return;
    }
    c->from = t->sent.n;
    c->n = row.n;
    run->commits_count++;
    traffic_keep(t, &row, c->seq);
    const err code = wal_wait(run->wal, c->seq, &e);
    c->state = code == ERR_OK ? ACKED : REFUSED;
    if (code == ERR_OK && run->acked < (size_t)(c - run->commits) + 1)
        run->acked = (size_t)(c - run->commits) + 1;
    if (code != ERR_OK && code != (run->fatal ? ERR_IO : ERR_LIMIT))
        fail(run, e.text);
}

static void sender(void *arg)
{
    struct run *run = arg;
    struct rng rng;
    rng_init(&rng, run->seed + run->senders);
    run->senders++;
    const int64_t end_ns = clock_mono_ns() + 20000ll * MS;
    while (run->commits_count < run->commits_wanted && !run->fatal && clock_mono_ns() < end_ns) {
        commit_row(run);
        if (rng_below(&rng, 20) == 0)
            (void)fiber_sleep_ns((int64_t)rng_below(&rng, MS));
        if (rng_below(&rng, run->commits_wanted / 4) == 0)
            take_snapshot(run);
    }
    run->senders--;
}

static void truncate_some(struct run *run)
{
    struct errmsg e;
    if (run->acked < 60)
        return;
    const uint64_t low = run->commits[run->acked - 50].seq;
    run->mark = wal_mark_at(run->wal, low);
    wal_reader_advance(run->wal, WAL_READER_SEALING, low);
    if (wal_truncate(run->wal, &e) != ERR_OK)
        fail(run, e.text);
}

static void run_flow(void *arg)
{
    struct run *run = arg;
    struct errmsg e;
    const struct wal_options options = {
        .dir = run->dir,
        .stream = {.epoch = 5, .shard = 2},
        .sync = run->sync,
        .sync_interval_ms = 3,
        .segment_bytes = run->segment_bytes,
        .source = traffic_source(&run->traffic),
        .fatal = note_fatal,
        .fatal_arg = run,
    };
    run->mark = (struct wal_mark){.stream = options.stream};
    if (wal_open(&options, &run->wal, &e) != ERR_OK) {
        fail(run, e.text);
        return;
    }
    for (int i = 0; i < 5; i++)
        fiber_start_always(LOOP_RECEIVE, sender, run, NULL);
    do {
        (void)fiber_sleep_ns(2 * MS);
        if (run->truncate)
            truncate_some(run);
    } while (run->senders > 0);
    run->heal = true;
    if (run->truncate && (run->fatal || wal_flush(run->wal, &e) == ERR_OK))
        truncate_some(run);
    wal_stats(run->wal, &run->stats);
    run->close_code = wal_close(run->wal, &e);
}

static void run_it(struct run *run)
{
    snprintf(run->dir, TEXT, "/tmp/ferula-wal-XXXXXX");
    if (!mkdtemp(run->dir))
        abort();
    traffic_init(&run->traffic, run->seed);
    faults_loop(run->judge, run, run_flow, run);
}

static void clean_up(struct run *run)
{
    char command[TEXT + 20];
    snprintf(command, sizeof command, "rm -rf %s", run->dir);
    shell(command);
    traffic_deinit(&run->traffic);
    mem_free(run);
}

// ---- replay

struct replay {
    char dir[TEXT];
    struct wal_mark mark;
    struct traffic_receiver got;
    struct wal_replay_progress progress;
    err code;
    struct errmsg e;
};

static void replay_flow(void *arg)
{
    struct replay *r = arg;
    r->code = wal_replay_stream(r->dir, &r->mark, &traffic_ops, &r->got, &r->progress, &r->e);
}

static void replay(struct replay *r)
{
    faults_loop(NULL, NULL, replay_flow, r);
    cr_assert_eq(r->code, ERR_OK, "%s", r->e.text);
}

// What was sent in the first commits at or above the mark and not refused; out_acked: up to and
// with the commit acked - 1.
static struct traffic_list wanted(const struct run *run, size_t commits, size_t acked,
                                  uint64_t mark, size_t *out_acked)
{
    struct traffic_list l = {0};
    *out_acked = 0;
    for (size_t i = 0; i < commits; i++) {
        const struct commit *c = &run->commits[i];
        if (c->state == REFUSED || c->seq < mark)
            continue;
        for (size_t k = c->from; k < c->from + c->n; k++) {
            l.items = mem_grow(l.items, &l.capacity, l.n + 1, sizeof *l.items);
            l.items[l.n++] = run->traffic.sent.items[k];
        }
        if (i < acked)
            *out_acked = l.n;
    }
    return l;
}

static void check_folder(const struct run *run, const char *sub, const struct snapshot *s,
                         bool whole)
{
    struct replay *r = mem_zalloc(sizeof *r);
    snprintf(r->dir, TEXT, "%.400s%s", run->dir, sub);
    r->mark = s->mark;
    replay(r);
    size_t acked;
    struct traffic_list want = wanted(run, s->commits, s->acked, s->mark.seq, &acked);
    cr_assert_eq(r->got.corruptions, 0, "%s", sub);
    cr_assert_eq(r->progress.rows_skipped, 0);
    cr_assert(traffic_equal(&want, 0, &r->got.list), "%s, seed %lu", sub, run->seed);
    cr_assert_leq(r->got.list.n, want.n, "%s: %zu, sent %zu", sub, r->got.list.n, want.n);
    if (run->sync != WAL_SYNC_NONE)
        cr_assert_geq(r->got.list.n, acked, "%s", sub);
    if (whole)
        cr_assert_eq(r->got.list.n, want.n, "%s: %zu of %zu, seed %lu", sub, r->got.list.n, want.n,
                     run->seed);
    traffic_list_deinit(&want);
    traffic_list_deinit(&r->got.list);
    mem_free(r);
}

static void check_all(struct run *run)
{
    cr_assert_str_empty(run->failure, "%s", run->failure);
    for (size_t i = 0; i < run->snapshots_count; i++) {
        char sub[32];
        snprintf(sub, sizeof sub, "/copy%zu", i);
        check_folder(run, sub, &run->snapshots[i], false);
    }
    const struct snapshot end = {run->commits_count, run->acked, run->mark};
    check_folder(run, "", &end, true);
}

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
        struct run *run = mem_zalloc(sizeof *run);
        run->seed = i + 1;
        run->commits_wanted = 1200;
        run->sync = plans[i].sync;
        run->segment_bytes = plans[i].segment_bytes;
        run->truncate = plans[i].truncate;
        run_it(run);
        check_all(run);
        cr_assert_eq(run->close_code, ERR_OK);
        cr_assert_eq(run->fatal, 0);
        cr_assert_eq(run->acked, 1200);
        cr_assert_gt(run->snapshots_count, 0);
        if (run->segment_bytes > 0)
            cr_assert_gt(run->stats.segment, 3);
        if (run->truncate) // files come and go
            cr_assert_lt(run->stats.segments, run->stats.segment);
        clean_up(run);
    }
}
