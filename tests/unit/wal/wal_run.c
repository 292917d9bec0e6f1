#include "tests/unit/wal/wal_run.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/base/mem.h"
#include "io/clock.h"

static void fail(struct run *run, const char *what)
{
    if (!run->failure[0])
        snprintf(run->failure, sizeof run->failure, "%s", what);
}

void run_shell(const char *command)
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
    char command[4 * RUN_TEXT];
    if (run->snapshots_count == run->snapshots_max)
        return;
    const size_t i = run->snapshots_count++;
    run->snapshots[i] = (struct run_snapshot){run->commits_count, run->acked, run->mark};
    snprintf(command, sizeof command, "mkdir %s/copy%zu; cp %s/*.wal %s/copy%zu 2>/dev/null; true",
             run->dir, i, run->dir, run->dir, i);
    run_shell(command);
}

// ---- flows

static void commit_row(struct run *run)
{
    struct traffic *t = &run->traffic;
    struct wal_row row;
    struct errmsg e;
    struct run_commit *c = &run->commits[run->commits_count];
    if (traffic_row(t, &row))
        wal_forget(run->wal, row.cohort);
    if (wal_append(run->wal, &row, 1, &c->seq, &e) != ERR_OK) {
        run->refused_at_once++;
        (void)fiber_sleep_ns(2 * RUN_MS);
        return;
    }
    c->from = t->sent.n;
    c->n = row.n;
    run->commits_count++;
    traffic_keep(t, &row, c->seq);
    const err code = wal_wait(run->wal, c->seq, &e);
    c->state = code == ERR_OK ? RUN_ACKED : RUN_REFUSED;
    run->refused += code != ERR_OK;
    if (code == ERR_OK && run->acked < (size_t)(c - run->commits) + 1)
        run->acked = (size_t)(c - run->commits) + 1;
    if (code != ERR_OK && code != (run->fatal ? ERR_IO : ERR_LIMIT))
        fail(run, e.text);
}

static void sender(void *arg)
{
    struct run *run = arg;
    struct rng rng;
    rng_init(&rng, run->seed + run->started++);
    const int64_t end_ns = clock_mono_ns() + 20000ll * RUN_MS;
    while (run->commits_count < run->commits_wanted && !run->fatal && clock_mono_ns() < end_ns) {
        commit_row(run);
        if (rng_below(&rng, 20) == 0)
            (void)fiber_sleep_ns((int64_t)rng_below(&rng, RUN_MS));
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

void run_flow(void *arg)
{
    struct run *run = arg;
    struct errmsg e;
    const struct wal_options options = {
        .dir = run->dir,
        .stream = {.epoch = 5, .shard = 2},
        .sync = run->sync,
        .sync_interval_ms = 3,
        .segment_bytes = run->segment_bytes,
        .queue_bytes = run->queue_bytes,
        .source = traffic_source(&run->traffic),
        .fatal = note_fatal,
        .fatal_arg = run,
    };
    run->mark = (struct wal_mark){.stream = options.stream};
    if (wal_open(&options, &run->wal, &e) != ERR_OK) {
        fail(run, e.text);
        return;
    }
    run->senders = 5; // also those that have not run yet
    for (size_t i = 0; i < run->senders; i++)
        fiber_start_always(LOOP_RECEIVE, sender, run, NULL);
    do {
        (void)fiber_sleep_ns(2 * RUN_MS);
        if (run->truncate)
            truncate_some(run);
    } while (run->senders > 0);
    if (run->truncate && (run->fatal || wal_flush(run->wal, &e) == ERR_OK))
        truncate_some(run);
    wal_stats(run->wal, &run->stats);
    run->close_code = wal_close(run->wal, &e);
    run->ended = true;
}

struct run *run_create(uint64_t seed)
{
    struct run *run = mem_zalloc(sizeof *run);
    run->seed = seed;
    snprintf(run->dir, RUN_TEXT, "/tmp/ferula-wal-XXXXXX");
    if (!mkdtemp(run->dir))
        abort();
    traffic_init(&run->traffic, seed);
    return run;
}

void run_destroy(struct run *run)
{
    char command[RUN_TEXT + 20];
    snprintf(command, sizeof command, "rm -rf %s", run->dir);
    run_shell(command);
    traffic_deinit(&run->traffic);
    mem_free(run);
}

// ---- replay

static void replay_flow(void *arg)
{
    struct run_replay *r = arg;
    r->code = wal_replay_stream(r->dir, &r->mark, &traffic_ops, &r->got, &r->progress, &r->e);
}

struct run_replay *run_replay(const struct run *run, const char *sub, const struct wal_mark *mark)
{
    struct run_replay *r = mem_zalloc(sizeof *r);
    snprintf(r->dir, RUN_TEXT, "%.400s%s", run->dir, sub);
    r->mark = *mark;
    faults_loop(NULL, NULL, replay_flow, r);
    cr_assert_eq(r->code, ERR_OK, "%s", r->e.text);
    return r;
}

void run_replay_destroy(struct run_replay *r)
{
    traffic_list_deinit(&r->got.list);
    mem_free(r);
}

struct traffic_list run_wanted(const struct run *run, size_t commits, size_t acked, uint64_t mark,
                               size_t *out_acked)
{
    struct traffic_list l = {0};
    *out_acked = 0;
    for (size_t i = 0; i < commits; i++) {
        const struct run_commit *c = &run->commits[i];
        if (c->state == RUN_REFUSED || c->seq < mark)
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

static void check_folder(const struct run *run, const char *sub, const struct run_snapshot *s,
                         bool whole)
{
    struct run_replay *r = run_replay(run, sub, &s->mark);
    size_t acked;
    struct traffic_list want = run_wanted(run, s->commits, s->acked, s->mark.seq, &acked);
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
    run_replay_destroy(r);
}

void run_check_all(struct run *run)
{
    cr_assert(run->ended);
    cr_assert_str_empty(run->failure, "%s", run->failure);
    for (size_t i = 0; i < run->snapshots_count; i++) {
        char sub[32];
        snprintf(sub, sizeof sub, "/copy%zu", i);
        check_folder(run, sub, &run->snapshots[i], false);
    }
    const struct run_snapshot end = {run->commits_count, run->acked, run->mark};
    check_folder(run, "", &end, true);
}
