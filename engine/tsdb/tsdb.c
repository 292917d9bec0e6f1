#include "engine/tsdb/tsdb.h"

#include <assert.h>

#include "engine/base/mem.h"
#include "engine/model/labels.h"
#include "engine/tsdb/part_files.h"
#include "engine/tsdb/part_notes.h"
#include "engine/tsdb/tombstones.h"
#include "engine/tsdb/tsdb_snapshot.h"

enum {
    MEMORY_SEED = 0x5eed,
    DEFAULT_SPILL_MS = 900000,
    DEFAULT_SPILL_BYTES = 128 << 20,
    DEFAULT_SEAL_MS = 7200000,
    COMMIT_PIECE = 1024,
    BREATH = 256,
};

struct part *tsdb_part(const struct tsdb *db)
{
    return db->parts[db->shards ? shard_index(shard_self()) : 0];
}

void tsdb_at_home(struct tsdb *db, fiber_fn *fn, void *arg)
{
    if (!db->shards || shard_self() == db->home)
        fn(arg);
    else
        shard_call(db->home, fiber_class(), fn, arg);
}

void tsdb_hold_catalogue(struct tsdb *db)
{
    fiber_shield_begin();
    while (db->catalogue_busy)
        (void)!waiters_wait(&db->catalogue_free);
    db->catalogue_busy = true;
}

void tsdb_let_catalogue_go(struct tsdb *db)
{
    db->catalogue_busy = false;
    waiters_wake_one(&db->catalogue_free);
    fiber_shield_end();
}

struct change_call {
    struct tsdb *db;
    const struct catalogue_change *change;
    struct errmsg *e;
    err result;
};

static void change_at_home(void *arg)
{
    struct change_call *call = arg;
    tsdb_hold_catalogue(call->db);
    call->result = catalogue_apply(call->db->catalogue, call->change, call->e);
    tsdb_let_catalogue_go(call->db);
}

struct asking {
    struct tsdb *db;
    part_ask_fn *ask;
    err result;
    struct errmsg e;
};

static void ask_part(void *arg) // on each shard
{
    struct asking *a = arg;
    a->result = a->ask(tsdb_part(a->db), &a->e);
}

err tsdb_ask_parts(struct tsdb *db, part_ask_fn *ask, struct errmsg *e)
{
    struct asking *all = mem_alloc_array(db->parts_n, sizeof *all);
    err code = ERR_OK;
    for (unsigned i = 0; i < db->parts_n; i++)
        all[i] = (struct asking){.db = db, .ask = ask};
    if (db->shards)
        shard_call_all(fiber_class(), ask_part, all, sizeof *all, NULL);
    else
        ask_part(all);
    for (unsigned i = 0; i < db->parts_n && code == ERR_OK; i++)
        if (all[i].result != ERR_OK)
            code = err_set(e, all[i].result, "%s", all[i].e.text);
    mem_free(all);
    return code;
}

err tsdb_change(struct tsdb *db, const struct catalogue_change *change, struct errmsg *e)
{
    struct change_call call = {db, change, e, ERR_OK};
    tsdb_at_home(db, change_at_home, &call);
    return call.result;
}

static void new_file_at_home(void *arg)
{
    struct tsdb_new_file *f = arg;
    f->id = catalogue_next_id(f->db->catalogue);
    f->result = catalogue_block_path(f->db->catalogue, f->id, f->path, sizeof f->path, &f->e);
}

err tsdb_new_file(struct tsdb_new_file *f, struct errmsg *e)
{
    tsdb_at_home(f->db, new_file_at_home, f);
    return f->result == ERR_OK ? ERR_OK : err_set(e, f->result, "%s", f->e.text);
}

bool tsdb_is_ready(const struct tsdb *db)
{
    return db->ready;
}

bool tsdb_is_behind(const struct tsdb *db)
{
    for (unsigned i = 0; i < db->parts_n; i++)
        if (db->parts[i]->is_behind)
            return true;
    return false;
}

err tsdb_start_result(const struct tsdb *db, struct errmsg *e)
{
    return db->start == ERR_OK ? ERR_OK : err_set(e, db->start, "%s", db->start_why.text);
}

void tsdb_replay_progress(const struct tsdb *db, struct tsdb_progress *out)
{
    *out = (struct tsdb_progress){.bytes_max = db->bytes_max,
                                  .bytes = db->replay_bytes,
                                  .rows = db->replay_rows,
                                  .samples = db->replay_samples};
}

uint64_t tsdb_hash_seed(const struct tsdb *db)
{
    return db->placement.seed;
}

uint32_t tsdb_partition(const struct tsdb *db, struct str labels)
{
    uint64_t job;
    return (uint32_t)(placement_key(&db->placement, labels, &job) % TSDB_PARTITIONS);
}

unsigned tsdb_owner(const struct tsdb *db, uint32_t partition)
{
    assert(partition < TSDB_PARTITIONS);
    return partition * db->parts_n / TSDB_PARTITIONS;
}

static_assert((int)TSDB_LABELS_BYTES_MAX <= (int)WAL_LABELS_BYTES_MAX, "the log takes them");

uint64_t tsdb_series(struct tsdb *db, struct str labels, struct hash128 hash, uint64_t source)
{
    struct part *p = tsdb_part(db);
    if (labels.n > TSDB_LABELS_BYTES_MAX) {
        p->makers.refusal = TSDB_REFUSED_LONG; // the log takes no larger ones
        return 0;
    }
    uint64_t ref = head_find(&p->head, hash);
    if (ref || !part_admits(p, labels))
        return ref;
    ref = head_make(&p->head, labels, hash, source);
    part_made_series(p, ref, labels);
    return ref;
}

struct str tsdb_series_labels(struct tsdb *db, uint64_t ref)
{
    struct head *h = &tsdb_part(db)->head;
    const struct head_series *s = head_resolve(h, ref);
    if (!s)
        return (struct str){0};
    buf_reset(&h->text);
    head_labels(h, s, &h->text);
    return buf_str(&h->text);
}

void part_tell_newest(struct part *p, int64_t t_ms)
{
    if (t_ms > p->newest_t)
        p->newest_t = t_ms;
}

int64_t tsdb_newest(const struct tsdb *db)
{
    int64_t newest = INT64_MIN;
    for (unsigned i = 0; i < db->parts_n; i++) {
        const int64_t t = db->parts[i]->newest_t;
        newest = t > newest ? t : newest;
    }
    return newest;
}

// Where nothing is, the first sample is the newest.
void tsdb_set_window(const struct tsdb *db, struct tsdb_commit *c)
{
    c->out_of_order_ms = tsdb_part(db)->out_of_order_ms;
    if ((c->window_ms <= 0 && !c->out_of_order_ms) || !c->n)
        return;
    int64_t newest = tsdb_newest(db);
    newest = newest == INT64_MIN ? c->samples[0].t_ms : newest;
    const bool is_longer = c->window_ms > 0 && c->out_of_order_ms > c->window_ms;
    c->min_t_ms = time_before(newest, is_longer ? c->out_of_order_ms : c->window_ms);
    c->late_t_ms = time_before(newest, c->out_of_order_ms);
}

err part_wait_for_ready(struct part *p, struct errmsg *e)
{
    while (!p->ready) {
        if (p->refused)
            return err_set(e, ERR_IO, "the log of the last run could not be read");
        const err code = waiters_wait(&p->changed);
        if (code != ERR_OK)
            return err_set(e, code, "the log of the last run is still being read");
    }
    return ERR_OK;
}

void tsdb_count_refusal(struct tsdb *db, enum tsdb_outcome outcome, bool is_histogram)
{
    head_count_refusal(&tsdb_part(db)->head, outcome, is_histogram);
}

static void count_end(struct tsdb *db, const struct tsdb_commit *c)
{
    if (c->kind == TSDB_COMMIT_STRICT && c->refused_at < c->n)
        tsdb_count_refusal(db, c->outcomes[c->refused_at],
                           c->histograms && c->histograms[c->refused_at].p);
}

static err commit(struct tsdb *db, struct tsdb_commit *c, struct errmsg *e)
{
    struct part *p = tsdb_part(db);
    if (!p->wal) {
        uint64_t seq;
        tsdb_set_window(db, c);
        TRY(head_commit(&p->head, c, NULL, NULL, &seq, e));
        head_publish(&p->head, seq);
        part_tell_newest(p, c->newest_t_ms);
        if (c->outcomes)
            count_end(db, c);
        return ERR_OK;
    }
    TRY(part_wait_for_ready(p, e));
    uint8_t *own = c->outcomes ? NULL : mem_alloc(c->n);
    if (own)
        c->outcomes = own;
    tsdb_set_window(db, c);
    const err result = part_commit(p, c, e);
    if (result == ERR_OK) {
        part_tell_newest(p, c->newest_t_ms);
        count_end(db, c);
    }
    if (own) {
        c->outcomes = NULL;
        mem_free(own);
    }
    return result;
}

err tsdb_commit(struct tsdb *db, struct tsdb_commit *c, struct errmsg *e)
{
    const err result = commit(db, c, e);
    if (result != ERR_OK && c->row)
        *c->row = 0;
    return result;
}

struct storage tsdb_storage(struct tsdb *db)
{
    return (struct storage){&tsdb_storage_ops, db};
}

static void file_stats(const struct part *p, struct tsdb_stats *out)
{
    out->retention_deletions = p->retention_deletions;
    out->size_deletions = p->size_deletions;
    out->wal_corruptions = p->corruptions;
    out->merges = p->merges;
    out->divisions = p->divisions;
    for (size_t i = 0; i < p->files_n; i++) {
        const struct catalogue_file *f = &p->files[i].info;
        if (f->min_t_ms < out->lowest_time_ms)
            out->lowest_time_ms = f->min_t_ms;
        if (tsdb_owner(p->db, f->partition_min) != p->index)
            continue; // counted where it begins
        out->files++;
        out->file_bytes += f->size_bytes;
        out->file_samples += f->samples;
    }
}

void tsdb_stats(struct tsdb *db, struct tsdb_stats *out)
{
    const struct part *p = tsdb_part(db);
    const struct head *h = &p->head;
    *out = h->stats;
    out->series = h->series_ids.n;
    out->blocks = h->blocks + h->series_ids.n;
    out->max_time_ms = h->newest;
    out->refused_max = p->makers.refused[TSDB_REFUSED_MAX];
    out->refused_memory = p->makers.refused[TSDB_REFUSED_MEMORY];
    out->min_time_ms = INT64_MAX;
    for (size_t i = 0; i < h->cohorts_n; i++) {
        if (h->may_yield && i % BREATH == BREATH - 1)
            fiber_yield_if_due();
        if (h->cohorts[i] && h->cohorts[i]->n && h->cohorts[i]->times[0] < out->min_time_ms)
            out->min_time_ms = h->cohorts[i]->times[0];
    }
    out->lowest_time_ms = out->min_time_ms;
    file_stats(p, out);
    if (!p->wal)
        return;
    struct wal_stats log;
    wal_stats(p->wal, &log);
    out->wal_bytes = log.bytes;
    out->wal_records = log.records;
    out->wal_syncs = log.syncs;
    out->wal_segment = log.segment;
}

void tsdb_set_retention(struct tsdb *db, const struct tsdb_retention *r)
{
    assert(r->time_ms >= 0);
    tsdb_part(db)->retention = *r;
    tsdb_part(db)->next_expiry = 0; // at once
    tsdb_part(db)->head.retention_ms = r->time_ms;
}

void tsdb_set_out_of_order(struct tsdb *db, int64_t window_ms)
{
    assert(window_ms >= 0);
    tsdb_part(db)->out_of_order_ms = window_ms;
}

int64_t tsdb_out_of_order(const struct tsdb *db)
{
    return tsdb_part(db)->out_of_order_ms;
}

static struct part *part_create(struct tsdb *db, unsigned index)
{
    struct part *p = mem_zalloc(sizeof *p);
    p->db = db;
    p->index = index;
    p->partition_begin = (index * TSDB_PARTITIONS + db->parts_n - 1) / db->parts_n;
    p->partition_end = ((index + 1) * TSDB_PARTITIONS + db->parts_n - 1) / db->parts_n;
    p->newest_t = p->mark_newest = INT64_MIN;
    p->retention = db->options.retention;
    p->commit_piece = db->options.commit_piece ? db->options.commit_piece : COMMIT_PIECE;
    head_init(&p->head, &db->placement, db->options.retention.time_ms);
    part_notes_init(p);
    waiters_init(&p->changed);
    return p;
}

static void part_destroy(struct part *p)
{
    if (!p)
        return;
    while (p->files_n)
        part_drop_file(p, p->files[0].info.id, false);
    mem_free(p->files);
    part_notes_deinit(p);
    arrivals_deinit(&p->arrivals);
    head_deinit(&p->head);
    mem_free(p);
}

static void describe_cohort(void *arg, uint32_t cohort, struct wal_cohort_info *out)
{
    const struct part *p = arg;
    const struct family *f = head_family_at(&p->head, p->head.cohorts[cohort]->family);
    *out = (struct wal_cohort_info){.partition = f->partition, .source = f->source};
}

static struct str describe_member(void *arg, uint32_t cohort, uint32_t member)
{
    struct part *p = arg;
    struct head *h = &p->head;
    const uint32_t id = h->cohorts[cohort]->members[member];
    if (id == MEMBER_GONE)
        return (struct str){0};
    buf_reset(&h->text);
    head_labels(h, head_series_at(h, id), &h->text);
    return buf_str(&h->text);
}

static void forget_cohort(void *arg, uint32_t cohort)
{
    struct part *p = arg;
    wal_forget(p->wal, cohort);
}

static err part_open_log(struct part *p, struct errmsg *e)
{
    static const enum wal_sync policies[] = {[TSDB_WAL_SYNC_ALWAYS] = WAL_SYNC_ALWAYS,
                                             [TSDB_WAL_SYNC_INTERVAL] = WAL_SYNC_INTERVAL,
                                             [TSDB_WAL_SYNC_NONE] = WAL_SYNC_NONE};
    const struct tsdb *db = p->db;
    const struct wal_options options = {
        .dir = catalogue_wal_dir(db->catalogue),
        .stream = {catalogue_info(db->catalogue)->epoch, p->index},
        .sync = policies[db->options.wal_sync],
        .sync_interval_ms = db->options.wal_sync_interval_ms,
        .segment_bytes = db->options.wal_segment_bytes,
        .source = {describe_cohort, describe_member, p},
        .log = db->options.log,
        .fatal = db->options.fatal,
        .fatal_arg = db->options.fatal_arg,
    };
    TRY(wal_open(&options, &p->wal, e));
    p->head.forget = forget_cohort;
    p->head.forget_arg = p;
    return ERR_OK;
}

struct part_call {
    struct tsdb *db;
    err result;
    struct errmsg e;
};

static err set_tombstones(const struct tsdb *db, const struct part_file *file, struct errmsg *e)
{
    const struct str bytes = catalogue_tombstones(db->catalogue, file->info.id);
    struct tombstones *t = bytes.n ? tombstones_parse(bytes, file->info.series) : NULL;
    if (bytes.n && !t)
        return err_set(e, ERR_CORRUPT, "%s/catalogue: damaged tombstones of %s",
                       catalogue_dir(db->catalogue), block_file_path(file->file));
    block_file_set_tombstones(file->file, t);
    return ERR_OK;
}

static err part_open(struct tsdb *db, unsigned index, struct errmsg *e)
{
    struct part *p = part_create(db, index);
    db->parts[index] = p;
    size_t n;
    const struct catalogue_file *files = catalogue_files(db->catalogue, &n);
    for (size_t i = 0; i < n; i++) {
        if (files[i].partition_max < p->partition_begin ||
            files[i].partition_min >= p->partition_end)
            continue;
        struct part_file file;
        TRY(part_open_file(p, &files[i], &file, e));
        part_put_file(p, file);
        TRY(set_tombstones(db, &file, e));
        if (files[i].max_t_ms >= p->head.complete_t)
            p->head.complete_t = files[i].max_t_ms + 1;
        part_tell_newest(p, files[i].max_t_ms);
    }
    TRY(part_load_metadata(p, e));
    p->head.may_yield = true;
    if (db->options.read_only)
        return ERR_OK;
    TRY(part_open_log(p, e));
    p->maintained = true;
    return fiber_start(LOOP_MERGE, part_maintain, p, &p->maintainer);
}

static void part_open_call(void *arg)
{
    struct part_call *call = arg;
    const unsigned index = call->db->shards ? shard_index(shard_self()) : 0;
    call->result = part_open(call->db, index, &call->e);
    if (call->result != ERR_OK && call->db->parts[index])
        call->db->parts[index]->maintained = false;
}

// The maintainer writes everything out; the log's segments are then of no use.
static void part_close_call(void *arg)
{
    struct part_call *call = arg;
    struct part *p = tsdb_part(call->db);
    call->result = ERR_OK;
    if (!p)
        return;
    p->closing = true;
    if (p->sleeping)
        fiber_cancel(p->maintainer);
    while (p->maintained)
        (void)!waiters_wait(&p->changed);
    call->result = p->closed;
    call->e = p->closed_why;
    if (p->wal) {
        struct errmsg e;
        const err result = wal_close(p->wal, call->result == ERR_OK ? &call->e : &e);
        call->result = call->result == ERR_OK ? result : call->result;
    }
    p->wal = NULL;
    if (!p->ready && call->result == ERR_OK)
        call->result = err_set(&call->e, ERR_CANCELED, "the log was not read to its end");
}

static void part_destroy_call(void *arg)
{
    struct part_call *call = arg;
    const unsigned index = call->db->shards ? shard_index(shard_self()) : 0;
    part_destroy(call->db->parts[index]);
    call->db->parts[index] = NULL;
}

// fn on every part's shard; the first error.
static err call_parts(struct tsdb *db, fiber_fn *fn, struct errmsg *e)
{
    struct part_call *calls = mem_alloc_array(db->parts_n, sizeof *calls);
    for (unsigned i = 0; i < db->parts_n; i++)
        calls[i] = (struct part_call){.db = db, .result = ERR_OK};
    if (db->shards)
        shard_call_all(LOOP_CONTROL, fn, calls, sizeof *calls, NULL);
    else
        fn(calls);
    err result = ERR_OK;
    for (unsigned i = 0; i < db->parts_n && result == ERR_OK; i++) {
        if (calls[i].result != ERR_OK)
            result = err_set(e, calls[i].result, "%s", calls[i].e.text);
    }
    mem_free(calls);
    return result;
}

static void db_free(struct tsdb *db)
{
    mem_free(db->streams);
    buf_deinit(&db->texts);
    mem_free(db);
}

static err open_memory(struct tsdb *db, struct errmsg *e)
{
    const struct str labels =
        db->options.placement_labels.n ? db->options.placement_labels : PLACEMENT_DEFAULT;
    buf_put_str(&db->texts, labels);
    TRY(placement_init(&db->placement, buf_str(&db->texts), MEMORY_SEED, e));
    db->parts_n = 1;
    db->parts[0] = part_create(db, 0);
    db->ready = db->parts[0]->ready = true;
    return ERR_OK;
}

static err list_streams(struct tsdb *db, struct errmsg *e)
{
    struct buf streams = {0};
    size_t n;
    err result = wal_replay_list(catalogue_wal_dir(db->catalogue), &streams, &n, e);
    if (result == ERR_NOTFOUND && db->options.read_only)
        result = ERR_OK; // a snapshot has none
    if (result == ERR_OK && n) {
        db->streams = mem_alloc_array(n, sizeof *db->streams);
        memcpy(db->streams, streams.p, n * sizeof *db->streams);
        db->streams_n = n;
        db->old_streams = true;
        for (size_t i = 0; i < n; i++) {
            db->segments_max += db->streams[i].segments;
            db->bytes_max += db->streams[i].bytes;
        }
    }
    buf_deinit(&streams);
    return result;
}

static err open_folder(struct tsdb *db, struct errmsg *e)
{
    const struct catalogue_options options = {
        .partitions = TSDB_PARTITIONS,
        .placement_labels = db->options.placement_labels,
        .read_only = db->options.read_only,
        .log = db->options.log,
    };
    TRY(catalogue_open(db->options.path, &options, &db->catalogue, e));
    const struct catalogue_info *info = catalogue_info(db->catalogue);
    if (info->partitions != TSDB_PARTITIONS)
        return err_set(e, ERR_INVALID, "%s has %u partitions, this program %d", db->options.path,
                       info->partitions, TSDB_PARTITIONS);
    buf_put_str(&db->texts, info->placement_labels);
    TRY(placement_init(&db->placement, buf_str(&db->texts), info->hash_seed, e));
    TRY(list_streams(db, e));
    if (!db->options.read_only)
        tsdb_sweep_snapshots(db);
    db->home = shard_self();
    db->shards = db->home ? shard_all() : NULL;
    db->parts_n = db->shards ? shards_count(db->shards) : 1;
    db->spills_left = db->parts_n;
    TRY(call_parts(db, part_open_call, e));
    return fiber_start(LOOP_CONTROL, tsdb_replay, db, NULL);
}

err tsdb_open(const struct tsdb_options *options, struct tsdb **out, struct errmsg *e)
{
    struct tsdb *db = mem_zalloc(sizeof *db);
    db->options = *options;
    if (!db->options.spill_ms)
        db->options.spill_ms = DEFAULT_SPILL_MS;
    if (!db->options.spill_bytes)
        db->options.spill_bytes = DEFAULT_SPILL_BYTES;
    if (!db->options.seal_ms)
        db->options.seal_ms = DEFAULT_SEAL_MS;
    db->log = (struct logger){"tsdb", options->log};
    db->pressure.series_left = INT64_MAX;
    waiters_init(&db->catalogue_free);
    waiters_init(&db->deleted);
    waiters_init(&db->replayed);
    const err result = options->path ? open_folder(db, e) : open_memory(db, e);
    if (result == ERR_OK) {
        db->options.path = NULL; // the caller's
        db->options.placement_labels = (struct str){0};
        *out = db;
        return ERR_OK;
    }
    if (db->parts_n) {
        (void)!call_parts(db, part_close_call, NULL);
        (void)!call_parts(db, part_destroy_call, NULL);
    }
    if (db->catalogue)
        catalogue_close(db->catalogue);
    db_free(db);
    return result;
}

err tsdb_close(struct tsdb *db, struct errmsg *e)
{
    if (!db)
        return ERR_OK;
    if (!db->catalogue) {
        part_destroy(db->parts[0]);
        db_free(db);
        return ERR_OK;
    }
    while (!db->ready && db->start == ERR_OK)
        (void)!waiters_wait(&db->replayed);
    err result = call_parts(db, part_close_call, e);
    if (db->start != ERR_OK)
        result = ERR_OK; // there was nothing to seal, and the logs stay
    else if (result == ERR_OK && !db->options.read_only)
        tsdb_streams_done(db, true);
    (void)!call_parts(db, part_destroy_call, NULL);
    catalogue_close(db->catalogue);
    db_free(db);
    return result;
}
