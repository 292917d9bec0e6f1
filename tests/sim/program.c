#include "tests/sim/program.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/mem.h"
#include "engine/model/labels.h"
#include "engine/tsdb/fsck.h"
#include "io/clock.h"
#include "io/file.h"
#include "tests/lib/forms.h"

enum { OPEN_TRIES = 50, STARTS = 8 };
static const int64_t MS = 1000 * 1000;
// After the interval: the sync's own time, also when another one is under way.
static const int64_t sync_slack_ns = 2000 * MS;

static void write_log(void *cookie, const char *line, size_t n)
{
    struct program *p = cookie;
    if (n > 6 && memmem(line, n, "level=ERROR", 11))
        p->logged_errors++;
    if (p->world->verbose)
        fprintf(stderr, "%12.6f %.*s", (double)p->world->now_ns / 1e9, (int)n, line);
}

static int64_t log_wall_ms(void *cookie)
{
    struct program *p = cookie;
    return world_wall_ms(p->world);
}

// ---- traffic

// Every sender's series are its own.
static void mark_labels(struct traffic *t, unsigned sender)
{
    const struct str number = arena_printf(&t->arena, "%u", sender);
    struct labels_builder b = {0};
    struct traffic_sample *last = NULL;
    struct str before = {0};
    for (size_t i = 0; i < t->n; i++) {
        for (size_t k = 0; k < t->batches[i].n; k++) {
            struct traffic_sample *s =
                (struct traffic_sample *)(uintptr_t)&t->batches[i].samples[k];
            if (!last || s->labels.p != before.p) {
                before = s->labels;
                labels_builder_load(&b, s->labels);
                labels_builder_set(&b, STR("sender"), number);
                s->labels = labels_builder_finish(&b, &t->arena);
            } else {
                s->labels = last->labels;
            }
            last = s;
        }
    }
    labels_builder_deinit(&b);
}

struct part_batch { // of one owner
    struct sender *sender;
    const struct traffic_batch *batch;
    bool *todo; // of the batch's samples: neither kept nor refused
    unsigned shard;
    err result;
    struct errmsg e;
};

static int64_t durable_ns(const struct program *p, enum tsdb_outcome outcome)
{
    const int64_t now = p->world->now_ns;
    if (p->options.wal_sync != TSDB_WAL_SYNC_INTERVAL)
        return now;
    return outcome == TSDB_SAME ? INT64_MAX
                                : now + p->options.sync_interval_ms * MS + sync_slack_ns;
}

static size_t gather(struct part_batch *part, struct tsdb_sample *samples, size_t *places)
{
    struct tsdb *db = part->sender->program->db;
    size_t n = 0;
    for (size_t i = 0; i < part->batch->n; i++) {
        const struct traffic_sample *s = &part->batch->samples[i];
        if (i % 64 == 63)
            fiber_yield_if_due(); // what leaves the head meanwhile is looked up again
        if (!part->todo[i] || tsdb_owner(db, tsdb_partition(db, s->labels)) != part->shard)
            continue;
        const uint64_t ref = tsdb_series(db, s->labels, labels_hash(s->labels, tsdb_hash_seed(db)),
                                         part->batch->source);
        samples[n] = (struct tsdb_sample){ref, s->t_ms, s->bits};
        places[n++] = i;
    }
    return n;
}

static void note_outcomes(struct part_batch *part, const uint8_t *outcomes, const size_t *places,
                          size_t n)
{
    struct program *p = part->sender->program;
    const int64_t begin = world_judging_begin();
    const uint64_t commit = truth_commit(&p->truth);
    for (size_t i = 0; i < n; i++) {
        const struct traffic_sample *s = &part->batch->samples[places[i]];
        const enum tsdb_outcome outcome = outcomes[i];
        if (part->result == ERR_OK)
            truth_outcome(&p->truth, s->labels, s->t_ms, s->bits, outcome, durable_ns(p, outcome),
                          commit);
        else
            truth_failed(&p->truth, s->labels, s->t_ms, s->bits, part->result == ERR_LIMIT);
        part->todo[places[i]] = part->result != ERR_OK || outcome == TSDB_GONE;
    }
    world_judging_end(p->world, begin);
}

static void commit_part(void *arg)
{
    struct part_batch *part = arg;
    struct program *p = part->sender->program;
    const size_t most = part->batch->n;
    struct tsdb_sample *samples = mem_alloc_array(most, sizeof *samples);
    size_t *places = mem_alloc_array(most, sizeof *places);
    uint8_t *outcomes = mem_zalloc(most);
    const size_t n = gather(part, samples, places);
    if (n > 0) {
        const int64_t begin = world_judging_begin();
        for (size_t i = 0; i < n; i++) {
            const struct traffic_sample *s = &part->batch->samples[places[i]];
            truth_send(&p->truth, s->labels, s->t_ms, s->bits);
        }
        struct tsdb_commit c = {.samples = samples,
                                .n = n,
                                .outcomes = outcomes,
                                .late_ms = part->batch->late_ms,
                                .max_t_ms = INT64_MAX};
        struct arena forms;
        arena_init(&forms, 0);
        if (p->options.forms)
            form_commit(&c, &forms);
        sent_rows_say(&part->sender->rows[part->shard], part->batch->source, &c);
        world_judging_end(p->world, begin);
        part->result = tsdb_commit(p->db, &c, &part->e);
        const int64_t freeing = world_judging_begin();
        sent_rows_note(&part->sender->rows[part->shard]);
        arena_deinit(&forms);
        world_judging_end(p->world, freeing);
        p->commits++;
        note_outcomes(part, outcomes, places, n);
    }
    mem_free(samples);
    mem_free(places);
    mem_free(outcomes);
}

// False: something of it could not be kept.
static bool send_once(struct sender *s, const struct traffic_batch *b, bool *todo)
{
    struct program *p = s->program;
    struct part_batch parts[WORLD_SHARDS_MAX];
    for (unsigned i = 0; i < p->shards_n; i++)
        parts[i] = (struct part_batch){.sender = s, .batch = b, .todo = todo, .shard = i};
    shard_call_all(LOOP_RECEIVE, commit_part, parts, sizeof *parts, NULL);
    bool is_done = true;
    for (unsigned i = 0; i < p->shards_n; i++) {
        if (parts[i].result == ERR_OK)
            continue;
        is_done = false;
        p->commit_errors++;
        if (parts[i].result != ERR_LIMIT && parts[i].result != ERR_IO)
            world_violate(p->world, "commit: %s: %s", err_name(parts[i].result), parts[i].e.text);
    }
    for (size_t i = 0; i < b->n; i++)
        is_done = is_done && !todo[i];
    return is_done;
}

// Until it is kept, or given up; what a crash cut short is sent again afterwards.
static void send_batch(struct sender *s, const struct traffic_batch *b)
{
    struct program *p = s->program;
    bool *todo = mem_alloc(b->n + 1);
    memset(todo, true, b->n);
    const uint64_t patience = 1 + rng_below(&p->rng, 10);
    for (uint64_t i = 0; i < patience && !p->stopping; i++) {
        if (send_once(s, b, todo))
            break;
        (void)!fiber_sleep_ns((int64_t)rng_below(&p->rng, 2000) * MS);
    }
    p->batches++;
    mem_free(todo);
}

static void flow_ends(struct program *p)
{
    p->flows--;
}

static void run_sender(void *arg)
{
    struct sender *s = arg;
    struct program *p = s->program;
    const size_t n = s->traffic.n;
    const int64_t pause = p->options.duration_ns / (int64_t)(n + 1);
    while (!p->stopping && s->next < n) {
        (void)!fiber_sleep_ns(pause / 2 + (int64_t)rng_below(&p->rng, (uint64_t)pause));
        if (p->stopping)
            break;
        const size_t at = s->next;
        send_batch(s, &s->traffic.batches[at]);
        s->next = at + 1;
    }
    flow_ends(p);
}

static void hold_shard(int64_t ns)
{
    for (const int64_t end = world_judging_begin() + ns; world_judging_begin() < end;)
        continue;
}

static void run_queries(void *arg)
{
    struct program *p = arg;
    while (!p->stopping) {
        (void)!fiber_sleep_ns((int64_t)rng_below(&p->rng, 20000) * MS);
        hold_shard(p->options.holds_ns);
        if (!p->stopping)
            (void)program_check_some(p);
    }
    flow_ends(p);
}

// ---- the main flow

static void fatal(void *arg, const char *reason)
{
    struct program *p = arg;
    p->is_fatal = true;
    if (p->world->verbose)
        fprintf(stderr, "%12.6f fatal: %s\n", (double)p->world->now_ns / 1e9, reason);
}

static void forget_rows(struct program *p)
{
    for (size_t i = 0; i < SENDERS_MAX; i++)
        for (size_t k = 0; k < WORLD_SHARDS_MAX; k++)
            sent_rows_deinit(&p->senders[i].rows[k]);
}

// A start that fails is tried again, as who runs the program would; in the end without faults.
static bool open_database(struct program *p)
{
    forget_rows(p);
    const struct tsdb_options options = {
        .path = "data",
        .retention = {.time_ms = p->options.retention_ms},
        .wal_sync = p->options.wal_sync,
        .wal_sync_interval_ms = p->options.sync_interval_ms,
        .wal_segment_bytes = p->options.segment_bytes,
        .commit_piece = p->options.commit_piece,
        .spill_ms = p->options.spill_ms,
        .spill_bytes = p->options.spill_bytes,
        .seal_ms = p->options.seal_ms,
        .log = &p->log,
        .fatal = fatal,
        .fatal_arg = p,
    };
    const bool faults_on = p->world->faults.on;
    err result = ERR_IO;
    struct errmsg e;
    for (int i = 0; i < OPEN_TRIES && result != ERR_OK && !p->is_fatal; i++) {
        if (i == OPEN_TRIES / 2)
            p->world->faults.on = p->world->disk->is_full = false;
        result = tsdb_open(&options, &p->db, &e);
        p->opens++;
        if (result == ERR_OK)
            break;
        p->open_errors++;
        if (result != ERR_IO && result != ERR_LIMIT)
            break;
        (void)!fiber_sleep_ns(100 * MS);
    }
    p->world->faults.on = faults_on;
    if (result != ERR_OK && !p->is_fatal)
        world_violate(p->world, "open: %s: %s", err_name(result), e.text);
    return result == ERR_OK;
}

static void look_at_stats(void *arg)
{
    struct program *p = *(struct program **)arg;
    struct tsdb_stats s;
    tsdb_stats(p->db, &s);
    p->corruptions += s.wal_corruptions;
    p->spilled_files += s.files;
    p->deletions += s.retention_deletions;
    p->merges += s.merges;
    p->divisions += s.divisions;
    if (s.wal_segment > p->segments_max)
        p->segments_max = s.wal_segment;
}

static void look(struct program *p)
{
    struct program *all[WORLD_SHARDS_MAX];
    for (unsigned i = 0; i < p->shards_n; i++)
        all[i] = p;
    shard_call_all(LOOP_CONTROL, look_at_stats, all, sizeof *all, NULL);
}

// False: the logs could not be read. Nothing may be lost by that.
static bool is_started(struct program *p)
{
    struct errmsg e;
    err result = ERR_OK;
    while (!tsdb_is_ready(p->db) && !p->is_fatal && result == ERR_OK) {
        (void)!fiber_sleep_ns(10 * MS);
        result = tsdb_start_result(p->db, &e);
    }
    if (result == ERR_OK)
        return true;
    p->refused_starts++;
    if (result != ERR_IO && result != ERR_LIMIT)
        world_violate(p->world, "start: %s: %s", err_name(result), e.text);
    if (tsdb_close(p->db, &e) != ERR_OK)
        world_violate(p->world, "close after a refused start: %s", e.text);
    p->db = NULL;
    return false;
}

static bool start_database(struct program *p)
{
    const bool faults_on = p->world->faults.on;
    bool is_good = false;
    for (int i = 0; i < STARTS && !is_good; i++) {
        if (i == STARTS / 2)
            p->world->faults.on = p->world->disk->is_full = false;
        if (!open_database(p))
            break;
        is_good = is_started(p);
    }
    p->world->faults.on = faults_on;
    if (!is_good && !p->is_fatal)
        world_violate(p->world, "no start");
    return is_good;
}

static void recover(struct program *p)
{
    bool is_answered = false;
    for (int i = 0; i < OPEN_TRIES && !is_answered && !p->is_fatal; i++)
        is_answered = program_check_all(p);
    if (p->is_fatal)
        return;
    if (!is_answered)
        world_violate(p->world, "no answer after a start");
    const int64_t begin = world_judging_begin();
    truth_recovered(&p->truth, p->recovers_from_power_loss, p->world->now_ns);
    world_judging_end(p->world, begin);
    look(p);
    if (p->corruptions)
        world_violate(p->world, "damage reported where there was none");
}

static void start_flows(struct program *p)
{
    for (unsigned i = 0; i < p->options.senders; i++) {
        struct sender *s = &p->senders[i];
        s->post = (struct shard_post){.class = LOOP_RECEIVE, .fn = run_sender, .arg = s};
        shard_post(shards_at(p->shards, (unsigned)rng_below(&p->rng, p->shards_n)), &s->post);
        p->flows++;
    }
    p->query_post = (struct shard_post){.class = LOOP_QUERY, .fn = run_queries, .arg = p};
    shard_post(shards_at(p->shards, (unsigned)rng_below(&p->rng, p->shards_n)), &p->query_post);
    p->flows++;
}

static void close_database(struct program *p)
{
    struct errmsg e;
    (void)program_check_all(p);
    look(p);
    const err result = tsdb_close(p->db, &e);
    p->db = NULL;
    if (result != ERR_OK)
        world_violate(p->world, "close: %s: %s", err_name(result), e.text);
}

static void see_finding(void *arg, const struct fsck_finding *f)
{
    struct program *p = arg;
    if (f->severity == FSCK_DAMAGE)
        world_violate(p->world, "fsck: %s: offset %lld: %s; lost: %s", f->path,
                      (long long)f->offset, f->what, f->lost);
}

// Nothing damages the disk here: whatever stopped the last run, catalogue, files and log agree.
static void check_folder(struct program *p)
{
    static const struct fsck_ops ops = {see_finding, NULL};
    const bool faults_on = p->world->faults.on;
    struct fsck_counts counts;
    struct op_stat s;
    struct errmsg e;
    p->world->faults.on = false;
    if (path_stat("data/catalogue", &s, NULL) == ERR_OK &&
        fsck_folder("data", &ops, p, &counts, &e) != ERR_OK)
        world_violate(p->world, "fsck: %s", e.text);
    p->world->faults.on = faults_on;
}

static void run_program(void *arg)
{
    struct program *p = arg;
    if (shard_index(shard_self()) != 0)
        return;
    check_folder(p);
    if (start_database(p)) {
        recover(p);
        p->is_open = true;
        if (!p->is_fatal) {
            start_flows(p);
            while (!p->stopping || p->flows > 0)
                (void)!fiber_sleep_ns(100 * MS);
            close_database(p);
            if (!p->is_fatal)
                check_folder(p);
        }
    }
    p->is_closed = true;
}

// ---- from outside

void program_init(struct program *p, struct world *w, const struct program_options *o,
                  uint64_t seed)
{
    *p = (struct program){.world = w, .options = *o};
    rng_init(&p->rng, seed);
    truth_init(&p->truth, w, o->retention_ms);
    p->log = (struct log_sink){
        .level = LOG_LEVEL_INFO, .write = write_log, .wall_ms = log_wall_ms, .cookie = p};
    for (unsigned i = 0; i < o->senders; i++) {
        struct sender *s = &p->senders[i];
        s->program = p;
        s->shape = (enum traffic_shape)rng_below(&p->rng, TRAFFIC_SHAPE_COUNT);
        traffic_init(&s->traffic, s->shape, rng_u64(&p->rng), world_wall_ms(w), o->rounds);
        mark_labels(&s->traffic, i);
    }
}

void program_deinit(struct program *p)
{
    forget_rows(p);
    for (unsigned i = 0; i < p->options.senders; i++)
        traffic_deinit(&p->senders[i].traffic);
    truth_deinit(&p->truth);
}

void program_start(struct program *p, unsigned shards_n)
{
    struct backend *backends[WORLD_SHARDS_MAX];
    assert(shards_n <= WORLD_SHARDS_MAX);
    for (unsigned i = 0; i < shards_n; i++)
        backends[i] = world_backend_create(p->world);
    const struct shards_options options = {
        .count = shards_n,
        .loop = world_loop_options(p->world, 1000, rng_u64(&p->rng)),
        .log = &p->log,
        .sim_backends = backends,
    };
    p->shards_n = shards_n;
    p->stopping = p->is_open = p->is_closed = p->is_fatal = false;
    p->flows = 0;
    p->corruptions = 0;
    struct errmsg e;
    if (shards_create(&options, run_program, p, &p->shards, &e) != ERR_OK)
        world_violate(p->world, "shards: %s", e.text);
}

void program_stop(struct program *p)
{
    p->stopping = true;
}

void program_free(struct program *p)
{
    assert(p->is_closed);
    shards_destroy(p->shards);
    p->shards = NULL;
}

void program_crash(struct program *p, enum world_crash crash)
{
    p->recovers_from_power_loss = crash == WORLD_POWER_LOSS;
    truth_crashed(&p->truth, crash == WORLD_POWER_LOSS, p->world->now_ns);
    world_crash(p->world, crash);
    p->shards = NULL;
    p->db = NULL;
}
