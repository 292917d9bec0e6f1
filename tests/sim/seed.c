#include "tests/sim/seed.h"

#include <stdio.h>
#include <string.h>

#include "engine/base/mem.h"
#include "tests/sim/recycled.h"

static const int64_t MS = 1000 * 1000, SECOND = 1000 * 1000 * 1000;
static const int64_t never_ns = 3600 * 1000LL * 1000 * 1000; // a run that ends later hangs

struct seed {
    const struct seed_options *options;
    struct seed_result *result;
    struct world *world;
    struct program program;
    struct rng rng;
    int64_t next_trouble_ns, disk_full_ends_ns;
    double chance[FAULT_COUNT]; // of a run with faults
};

static void draw_chances(struct seed *s)
{
    static const struct {
        enum fault fault;
        double most;
    } rows[] = {
        {FAULT_SLOW, 0.02},           {FAULT_INTERRUPTED, 0.05}, {FAULT_SHORT_READ, 0.2},
        {FAULT_SHORT_WRITE, 0.2},     {FAULT_READ_EIO, 0.002},   {FAULT_WRITE_EIO, 0.01},
        {FAULT_SYNC_EIO, 0.001},      {FAULT_NAME_EIO, 0.005},   {FAULT_NO_SPACE, 0.005},
        {FAULT_NO_DESCRIPTORS, 0.01},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        const bool has = rng_below(&s->rng, 2) && s->options->defect == DEFECT_NONE;
        s->chance[rows[i].fault] = has ? rows[i].most * rng_double(&s->rng) : 0;
    }
    memcpy(s->world->faults.chance, s->chance, sizeof s->chance);
}

static bool has_defect(const struct seed *s, enum seed_defect defect)
{
    return s->options->defect == defect && !s->options->is_control;
}

static void draw_options(struct seed *s, struct program_options *o)
{
    struct rng *r = &s->rng;
    static const uint64_t sizes[] = {1000, 10000, 200000};
    const bool always = rng_below(r, 2);
    *o = (struct program_options){
        .wal_sync = always ? TSDB_WAL_SYNC_ALWAYS : TSDB_WAL_SYNC_INTERVAL,
        .sync_interval_ms = 100 + (int64_t)rng_below(r, 3000),
        .spill_ms = 5000 + (int64_t)rng_below(r, 60000),
        .spill_bytes = rng_below(r, 2) ? 1000 + rng_below(r, 100000) : 0,
        .seal_ms = 60000 + (int64_t)rng_below(r, 1200000),
        .retention_ms = rng_below(r, 3) ? 600000 + (int64_t)rng_below(r, 3600000) : 0,
        .segment_bytes = 100 + rng_below(r, sizes[rng_below(r, countof(sizes))]),
        .forms = s->options->seed / 2 % 2,
        .commit_piece = rng_below(r, 2) ? 1 + (uint32_t)rng_below(r, 100) : 0,
        .duration_ns = (600 + (int64_t)rng_below(r, 200)) * SECOND,
        .senders = 1 + (unsigned)rng_below(r, SENDERS_MAX),
        .rounds = 40 + rng_below(r, 160),
    };
    if (s->options->defect == DEFECT_NO_SYNC)
        o->wal_sync = has_defect(s, DEFECT_NO_SYNC) ? TSDB_WAL_SYNC_NONE : TSDB_WAL_SYNC_ALWAYS;
    if (s->options->defect == DEFECT_LOST_SYNCS)
        o->wal_sync = TSDB_WAL_SYNC_ALWAYS;
    if (has_defect(s, DEFECT_LONG_PIECE))
        o->holds_ns = 3 * MS;
    if (s->options->defect == DEFECT_OLD_RECORDS) { // what comes back must have been gone
        o->retention_ms = 60000;
        o->seal_ms = 30000;
        o->spill_ms = 5000;
        o->segment_bytes = 400;
        o->rounds = 400;
    }
}

// Clocks that jump, disks that are full for a while.
static void make_trouble(struct seed *s)
{
    struct world *w = s->world;
    if (w->disk->is_full && w->now_ns >= s->disk_full_ends_ns)
        w->disk->is_full = false;
    if (w->now_ns < s->next_trouble_ns)
        return;
    s->next_trouble_ns = w->now_ns + (int64_t)rng_below(&s->rng, 120) * SECOND;
    const uint64_t kind = rng_below(&s->rng, 4);
    if (kind == 0)
        world_step_wall(w, 1 + (int64_t)rng_below(&s->rng, 7200000));
    else if (kind == 1)
        world_step_wall(w, -1 - (int64_t)rng_below(&s->rng, 7200000));
    else if (kind == 2 && s->chance[FAULT_NO_SPACE] > 0) {
        w->disk->is_full = true;
        s->disk_full_ends_ns = w->now_ns + (int64_t)rng_below(&s->rng, 20000) * MS;
    }
}

static bool has_failed(const struct seed *s)
{
    return s->world->violation.count > 0;
}

static void turn(struct seed *s, int64_t until_ns)
{
    struct world *w = s->world;
    if (!world_turn(w, until_ns))
        world_violate(w, "nothing will ever happen again");
    if (w->now_ns > never_ns)
        world_violate(w, "the program hangs");
}

// Until the moment, and on through some turns of whatever is going on then.
static void run_until(struct seed *s, int64_t end_ns, uint64_t more_turns)
{
    const struct program *p = &s->program;
    while (!has_failed(s) && !p->is_fatal && !p->is_closed &&
           (s->world->now_ns < end_ns || more_turns-- > 0)) {
        turn(s, s->world->now_ns < end_ns ? end_ns : INT64_MAX);
        make_trouble(s);
    }
}

static void run_until_write(struct seed *s)
{
    const struct program *p = &s->program;
    for (int i = 0; i < 10000 && !world_is_writing(s->world); i++) {
        if (has_failed(s) || p->is_fatal || p->is_closed)
            break;
        turn(s, INT64_MAX);
    }
}

static void run_until_calm(struct seed *s, int64_t end_ns)
{
    while (!has_failed(s) && !s->program.is_closed && s->world->now_ns < end_ns)
        turn(s, end_ns);
}

static void start(struct seed *s, bool faults)
{
    s->world->faults.on = faults;
    s->world->disk->is_full = false;
    program_start(&s->program, 1 + (unsigned)rng_below(&s->rng, 3));
}

static void crash(struct seed *s, enum world_crash kind)
{
    if (s->options->verbose)
        fprintf(stderr, "%12.6f ---- %s\n", (double)s->world->now_ns / 1e9,
                kind == WORLD_KILL ? "killed" : "power lost");
    s->result->kills += kind == WORLD_KILL;
    s->result->power_losses += kind == WORLD_POWER_LOSS;
    s->world->disk->is_full = false;
    program_crash(&s->program, kind);
    if (s->options->defect == DEFECT_OLD_RECORDS) // replay would pass over what has expired
        s->program.options.retention_ms = 0;
    if (kind == WORLD_POWER_LOSS && has_defect(s, DEFECT_OLD_RECORDS))
        recycled_show_old_records(s->world->disk);
}

// A run that ends in a crash, at a moment of the seed's choice; one that died of a failed sync is
// started again.
static void run_to_crash(struct seed *s, enum world_crash kind)
{
    const int64_t end_ns = s->world->now_ns + (200 + (int64_t)rng_below(&s->rng, 150)) * SECOND;
    for (;;) {
        start(s, true);
        run_until(s, end_ns, rng_below(&s->rng, 200));
        if (rng_below(&s->rng, 2))
            run_until_write(s);
        if (has_failed(s))
            return;
        if (!s->program.is_fatal)
            break;
        s->result->fatal_syncs++;
        crash(s, rng_below(&s->rng, 4) ? WORLD_KILL : kind);
    }
    crash(s, kind);
}

static void finish(struct seed *s)
{
    struct program *p = &s->program;
    s->world->faults.on = s->world->disk->is_full = false;
    run_until_calm(s, s->world->now_ns + 5 * SECOND); // what waits for a better disk goes on
    program_stop(p);
    while (!has_failed(s) && !p->is_closed)
        turn(s, INT64_MAX);
    if (has_failed(s))
        return;
    for (int i = 0; i < 100 && !world_is_quiet(s->world); i++)
        turn(s, s->world->now_ns + 1);
    if (!world_is_quiet(s->world))
        world_violate(s->world, "something is in flight or open after the end");
    for (unsigned i = 0; i < p->shards_n; i++) {
        const struct loop_stats *stats = loop_stats(shard_loop(shards_at(p->shards, i)));
        if (stats->in_flight > 0 || stats->fibers_alive > 0)
            world_violate(s->world, "fibers are alive after the end");
    }
    if (!has_failed(s))
        program_free(p);
}

static void run_to_end(struct seed *s, int64_t end_ns, bool faults)
{
    start(s, faults);
    s->world->faults.chance[FAULT_SYNC_EIO] = 0; // it has no clean end
    run_until(s, end_ns, 0);
    finish(s);
}

// A run in which one operation fails; one that died of it is killed and started again.
static void run_with_one_fault(struct seed *s)
{
    memset(s->world->faults.chance, 0, sizeof s->chance);
    memset(s->chance, 0, sizeof s->chance);
    s->world->faults.only = s->options->only;
    s->world->faults.only_at = s->options->only_at;
    world_leaks_begin();
    start(s, true);
    run_until(s, s->world->now_ns + 60 * SECOND, 0);
    const bool no_sync = s->world->faults.counts[FAULT_SYNC_EIO] > 0; // then it has no clean end
    if (!has_failed(s) && (s->program.is_fatal || no_sync)) {
        s->result->fatal_syncs += s->program.is_fatal;
        crash(s, WORLD_KILL);
        start(s, false);
        run_until(s, s->world->now_ns + 5 * SECOND, 0);
    }
    world_leaks_end();
    if (!has_failed(s))
        finish(s);
    s->result->only_asked = s->world->faults.only_asked;
    if (has_failed(s))
        return;
    program_crash(&s->program, WORLD_POWER_LOSS);
    run_to_end(s, s->world->now_ns + 5 * SECOND, false);
}

static void draw_short(struct program_options *o)
{
    o->duration_ns = 50 * SECOND;
    o->spill_ms = 5000;
    o->spill_bytes = 0;
    o->seal_ms = 20000;
    o->retention_ms = 0;
    o->segment_bytes = 4000;
    o->rounds = 8;
    o->senders = 2;
}

static void run_all(struct seed *s)
{
    const bool power_first = s->options->seed % 2;
    const bool mixed = rng_below(&s->rng, 4) == 0;
    const enum world_crash first =
        power_first || s->options->defect ? WORLD_POWER_LOSS : WORLD_KILL;
    world_leaks_begin();
    run_to_crash(s, first);
    if (!has_failed(s))
        run_to_crash(s, mixed ? WORLD_POWER_LOSS - first : first);
    world_leaks_end();
    if (!has_failed(s))
        run_to_end(s, s->world->now_ns + 200 * SECOND, true);
    if (has_failed(s))
        return;
    program_crash(&s->program, WORLD_POWER_LOSS); // everything was stopped and closed
    run_to_end(s, s->world->now_ns + 10 * SECOND, false);
}

static void report(const struct seed *s)
{
    struct seed_result *r = s->result;
    const struct world *w = s->world;
    const struct program *p = &s->program;
    memcpy(r->violation, w->violation.text, sizeof r->violation);
    for (int i = 0; i < FAULT_COUNT; i++)
        r->faults[i] = w->faults.counts[i];
    r->samples_judged = p->truth.samples_judged;
    r->samples_gone = p->truth.samples_gone;
    r->batches = p->batches;
    r->commits = p->commits;
    for (size_t i = 0; i < SENDERS_MAX; i++)
        for (size_t k = 0; k < WORLD_SHARDS_MAX; k++)
            r->steady_commits += p->senders[i].rows[k].steady;
    r->commit_errors = p->commit_errors;
    r->queries = p->queries;
    r->query_errors = p->query_errors;
    r->opens = p->opens;
    r->open_errors = p->open_errors;
    r->files = p->spilled_files;
    r->deletions = p->deletions;
    r->merges = p->merges;
    r->divisions = p->divisions;
    r->segments = p->segments_max;
    r->turns = w->turns;
    r->simulated_ns = w->now_ns;
    r->turn_cpu_ns_max = w->turn_cpu_ns_max;
    r->pieces = w->pieces;
}

void seed_run(const struct seed_options *o, struct seed_result *out)
{
    *out = (struct seed_result){0};
    struct seed *s = mem_zalloc(sizeof *s);
    s->options = o;
    s->result = out;
    s->world = world_create(o->seed);
    s->world->verbose = o->verbose;
    s->world->watches_pieces = o->watches_pieces;
    rng_init(&s->rng, o->seed * 2 + 1);
    s->world->disk->loses_syncs = has_defect(s, DEFECT_LOST_SYNCS);
    s->world->disk->remembers = o->defect == DEFECT_OLD_RECORDS;
    s->world->calls_the_dead = has_defect(s, DEFECT_LATE_ENDS);
    struct program_options options;
    draw_options(s, &options);
    if (o->only_at)
        draw_short(&options);
    draw_chances(s);
    program_init(&s->program, s->world, &options, rng_u64(&s->rng));
    if (o->only_at)
        run_with_one_fault(s);
    else
        run_all(s);
    if (o->turn_cpu_ns_max && s->world->turn_cpu_ns_max > o->turn_cpu_ns_max)
        world_violate(s->world, "a turn took %lld ms of the machine's time",
                      (long long)(s->world->turn_cpu_ns_max / MS));
    report(s);
    if (has_failed(s))
        return; // a program in the middle of something
    program_deinit(&s->program);
    world_destroy(s->world);
    mem_free(s);
}
