// Files are immutable and the log is a log: what of them is deleted the catalogue says, in one
// change for all shards. Of a file it says which series hide which times (tombstones.h), of a log
// the matchers and a place: replay deletes again when it comes there. Memory forgets the samples.
//
// Meanwhile the parts are held: none writes, merges, divides or drops a file or releases memory,
// so that what is looked at is all there is. Commits go on: what comes after the place that was
// noted stays.
#include "engine/tsdb/tsdb_delete.h"

#include <assert.h>

#include "engine/base/mem.h"
#include "engine/tsdb/block_reader.h"
#include "engine/tsdb/head_erase.h"
#include "engine/tsdb/matchers_bytes.h"
#include "engine/tsdb/part_files.h"

enum { READ_AT_ONCE = 64 };

struct found_file { // of one part: series that hide all of their samples, or those of the times
    uint64_t id;
    struct block_file *file;
    struct hidden whole, range;
    roaring_bitmap_t *all, *some;
};

struct deleting {
    struct tsdb *db;
    const struct matcher *ms;
    size_t ms_count;
    int64_t min_t_ms, max_t_ms;
    struct part_deleting *parts;
    // For all of them, once everything was found.
    struct catalogue_tombstones *tombstones; // ascending by id
    size_t tombstones_n;
    struct buf matchers, bytes;
    err result;
    struct errmsg e;
};

struct part_deleting {
    struct deleting *all;
    struct part *part;
    uint64_t seq, log_seq; // what was brought before goes
    bool in_memory;        // memory has some of it
    struct found_file *files;
    size_t n, capacity;
    bool is_changed; // the catalogue is: it is to be done
    err result;
    struct errmsg e;
};

// ---- what there is

static bool note_found(struct head *h, const struct head_series *s, uint32_t id, void *arg)
{
    (void)h, (void)s, (void)id;
    struct part_deleting *d = arg;
    d->in_memory = true;
    return false;
}

static err find_in_memory(struct part_deleting *d, const struct arena *a, struct errmsg *e)
{
    const struct deleting *all = d->all;
    struct head *h = &d->part->head;
    const int64_t mint = all->min_t_ms == INT64_MIN ? INT64_MIN : all->min_t_ms - 1;
    h->selects++;
    const err code = head_each(h, all->ms, all->ms_count, mint, all->max_t_ms, a, e, note_found, d);
    h->selects--;
    return code;
}

struct looking { // into a file that has other times, too
    struct found_file *found;
    struct arena scratch;
};

// Whether a series has samples in the times, and others.
static void sort_in(struct found_file *f, uint32_t id, const struct column *c)
{
    size_t in = 0;
    for (size_t i = 0; i < c->n; i++)
        in += c->t[i] >= f->range.mint && c->t[i] <= f->range.maxt;
    if (in)
        roaring_bitmap_add(in == c->n ? f->all : f->some, id);
}

static err look_into(void *arg, const struct block_hit *hits, size_t n, struct errmsg *e)
{
    struct looking *l = arg;
    struct column columns[READ_AT_ONCE];
    uint32_t ids[READ_AT_ONCE];
    for (size_t at = 0, some; at < n; at += some) {
        some = n - at < READ_AT_ONCE ? n - at : READ_AT_ONCE;
        for (size_t i = 0; i < some; i++)
            ids[i] = hits[at + i].id;
        TRY(block_file_read(l->found->file, ids, some, INT64_MIN, INT64_MAX, &l->scratch, columns,
                            e));
        for (size_t i = 0; i < some; i++) {
            sort_in(l->found, ids[i], &columns[i]);
            fiber_yield_if_due();
        }
        arena_reset(&l->scratch);
    }
    return ERR_OK;
}

static err take_all(void *arg, const struct block_hit *hits, size_t n, struct errmsg *e)
{
    (void)e;
    struct looking *l = arg;
    for (size_t i = 0; i < n; i++) {
        roaring_bitmap_add(l->found->all, hits[i].id);
        if (i % 256 == 255)
            fiber_yield_if_due();
    }
    return ERR_OK;
}

static err find_in_file(struct part_deleting *d, const struct part_file *file, struct errmsg *e)
{
    const struct deleting *all = d->all;
    const struct block_range range = {d->part->partition_begin, d->part->partition_end};
    const struct block_summary *sum = block_file_summary(file->file);
    if (sum->max_t < all->min_t_ms || sum->min_t > all->max_t_ms)
        return ERR_OK; // also where it has notes alone
    d->files = mem_grow(d->files, &d->capacity, d->n + 1, sizeof *d->files);
    struct found_file *f = &d->files[d->n++];
    *f = (struct found_file){.id = file->info.id,
                             .file = file->file,
                             .whole = {sum->min_t, sum->max_t},
                             .range = {sum->min_t, sum->max_t},
                             .all = roaring_bitmap_create(),
                             .some = roaring_bitmap_create()};
    if (all->min_t_ms > f->range.mint)
        f->range.mint = all->min_t_ms;
    if (all->max_t_ms < f->range.maxt)
        f->range.maxt = all->max_t_ms;
    const bool is_whole = f->range.mint == f->whole.mint && f->range.maxt == f->whole.maxt;
    struct looking l = {.found = f};
    struct arena beside;
    arena_init(&beside, 0);
    arena_init(&l.scratch, 0);
    const err code = block_hits_each(file->file, all->ms, all->ms_count, range, &beside, &l, e,
                                     is_whole ? take_all : look_into);
    arena_deinit(&l.scratch);
    arena_deinit(&beside);
    return code;
}

static void find(void *arg) // on each shard
{
    struct part_deleting *d = arg;
    struct part *p = d->part;
    struct arena a;
    while (p->in_pieces || p->undoing) {
        part_wait_for_pieces(p);
        part_wait_for_undo(p);
    }
    d->seq = p->head.seq;
    d->log_seq = wal_next_seq(p->wal);
    arena_init(&a, 0);
    d->result = find_in_memory(d, &a, &d->e);
    for (size_t i = 0; i < p->files_n && d->result == ERR_OK; i++)
        d->result = find_in_file(d, &p->files[i], &d->e);
    arena_deinit(&a);
}

// ---- what the catalogue is to say

static const struct catalogue_file *file_of(const struct catalogue *c, uint64_t id)
{
    size_t n;
    const struct catalogue_file *files = catalogue_files(c, &n);
    for (size_t i = 0; i < n; i++)
        if (files[i].id == id)
            return &files[i];
    return NULL;
}

static struct tombstones *add_found(struct tombstones *t, const roaring_bitmap_t *ids,
                                    struct hidden range)
{
    if (roaring_bitmap_is_empty(ids))
        return t;
    struct tombstones *more = tombstones_add(t, ids, range);
    tombstones_unref(t);
    return more;
}

// Appends the file's tombstones to all->bytes, with what each part found in it.
static err unite(struct deleting *all, const struct part_deleting *parts, uint64_t id,
                 bool *out_any, struct errmsg *e)
{
    const struct catalogue *c = all->db->catalogue;
    const struct str old = catalogue_tombstones(c, id);
    struct tombstones *t = old.n ? tombstones_parse(old, file_of(c, id)->series) : NULL;
    if (old.n && !t)
        return err_set(e, ERR_CORRUPT, "catalogue: damaged tombstones of file %llu",
                       (unsigned long long)id);
    *out_any = false;
    for (unsigned i = 0; i < all->db->parts_n; i++) {
        for (size_t k = 0; k < parts[i].n; k++) {
            const struct found_file *f = &parts[i].files[k];
            if (f->id != id)
                continue;
            *out_any |= !roaring_bitmap_is_empty(f->all) || !roaring_bitmap_is_empty(f->some);
            t = add_found(t, f->all, f->whole);
            t = add_found(t, f->some, f->range);
        }
    }
    if (*out_any)
        tombstones_put(t, &all->bytes);
    tombstones_unref(t);
    return ERR_OK;
}

// Of all files; bytes are where all->bytes has them in the end.
static err unite_all(struct deleting *all, const struct part_deleting *parts, struct errmsg *e)
{
    size_t n;
    const struct catalogue_file *files = catalogue_files(all->db->catalogue, &n);
    size_t *ends = mem_alloc_array(n + 1, sizeof *ends);
    err code = ERR_OK;
    all->tombstones = mem_alloc_array(n, sizeof *all->tombstones);
    for (size_t i = 0; i < n && code == ERR_OK; i++) {
        bool any;
        code = unite(all, parts, files[i].id, &any, e);
        ends[all->tombstones_n] = all->bytes.n;
        if (code == ERR_OK && any)
            all->tombstones[all->tombstones_n++].id = files[i].id;
        fiber_yield_if_due();
    }
    for (size_t i = 0, begin = 0; i < all->tombstones_n; begin = ends[i++])
        all->tombstones[i].bytes = str_make(all->bytes.p + begin, ends[i] - begin);
    mem_free(ends);
    return code;
}

static size_t log_deletions(const struct deleting *all, const struct part_deleting *parts,
                            struct catalogue_deletion *out)
{
    size_t n = 0;
    for (unsigned i = 0; i < all->db->parts_n; i++) {
        const struct part *p = parts[i].part;
        if (parts[i].in_memory || all->db->old_streams)
            out[n++] = (struct catalogue_deletion){
                .stream = {catalogue_info(all->db->catalogue)->epoch, p->index},
                .seq = parts[i].log_seq,
                .min_t_ms = all->min_t_ms,
                .max_t_ms = all->max_t_ms,
                .partition_begin = p->partition_begin,
                .partition_end = p->partition_end,
                .matchers = buf_str(&all->matchers),
            };
    }
    return n;
}

static err change(struct deleting *all, struct errmsg *e)
{
    const struct part_deleting *parts = all->parts;
    struct catalogue_deletion deletions[SHARD_MAX];
    matchers_put(all->ms, all->ms_count, &all->matchers);
    TRY(unite_all(all, parts, e));
    const struct catalogue_change change = {
        .tombstones = all->tombstones,
        .tombstones_count = all->tombstones_n,
        .deletions = deletions,
        .deletions_count = log_deletions(all, parts, deletions),
    };
    if (!change.tombstones_count && !change.deletions_count)
        return ERR_OK;
    return tsdb_change(all->db, &change, e);
}

static void change_at_home(void *arg)
{
    struct deleting *all = arg;
    all->result = change(all, &all->e);
}

// ---- doing it

static void hide(struct part *p, const struct catalogue_tombstones *t)
{
    for (size_t i = 0; i < p->files_n; i++) {
        if (p->files[i].info.id != t->id)
            continue;
        struct tombstones *made = tombstones_parse(t->bytes, p->files[i].info.series);
        assert(made);
        block_file_set_tombstones(p->files[i].file, made);
    }
}

static void erase(struct part_deleting *d)
{
    const struct deleting *all = d->all;
    struct part *p = d->part;
    const struct head_erasure what = {.ms = all->ms,
                                      .ms_count = all->ms_count,
                                      .min_t_ms = all->min_t_ms,
                                      .max_t_ms = all->max_t_ms,
                                      .partition_begin = p->partition_begin,
                                      .partition_end = p->partition_end,
                                      .seq = d->seq};
    struct arena limits;
    for (size_t i = 0; i < all->tombstones_n; i++) {
        hide(p, &all->tombstones[i]);
        fiber_yield_if_due();
    }
    arena_init(&limits, 0);
    d->result = head_erase(&p->head, &what, &limits, &d->e);
    arena_deinit(&limits);
}

static void finish(void *arg) // on each shard
{
    struct part_deleting *d = arg;
    if (d->is_changed)
        erase(d);
    for (size_t i = 0; i < d->n; i++) {
        roaring_bitmap_free(d->files[i].all);
        roaring_bitmap_free(d->files[i].some);
    }
    mem_free(d->files);
    d->part->held = d->part->files_held = false;
}

// Merging may take long: spills go on until it has ended.
static void hold_files(void *arg) // on each shard
{
    struct part_deleting *d = arg;
    d->part = tsdb_part(d->all->db);
    d->part->files_held = true;
    while (d->part->tending)
        (void)!waiters_wait(&d->part->changed);
}

static void hold(void *arg) // likewise
{
    struct part_deleting *d = arg;
    d->part->held = true;
    while (d->part->working)
        (void)!waiters_wait(&d->part->changed);
}

static err call_all(const struct deleting *all, fiber_fn *fn, struct part_deleting *parts,
                    struct errmsg *e)
{
    if (all->db->shards)
        shard_call_all(fiber_class(), fn, parts, sizeof *parts, NULL);
    else
        fn(parts);
    for (unsigned i = 0; i < all->db->parts_n; i++)
        if (parts[i].result != ERR_OK)
            return err_set(e, parts[i].result, "%s", parts[i].e.text);
    return ERR_OK;
}

// ---- one after the other

static void begin_at_home(void *db_)
{
    struct tsdb *db = db_;
    while (db->deleting)
        (void)!waiters_wait(&db->deleted);
    db->deleting = true;
}

static void end_at_home(void *db_)
{
    struct tsdb *db = db_;
    db->deleting = false;
    waiters_wake_one(&db->deleted);
}

static void delete_from_all(struct deleting *all)
{
    struct tsdb *db = all->db;
    struct part_deleting *parts = mem_zalloc(db->parts_n * sizeof *parts);
    for (unsigned i = 0; i < db->parts_n; i++)
        parts[i].all = all;
    all->parts = parts;
    (void)!call_all(all, hold_files, parts, NULL);
    (void)!call_all(all, hold, parts, NULL);
    all->result = call_all(all, find, parts, &all->e);
    if (all->result == ERR_OK)
        tsdb_at_home(db, change_at_home, all);
    for (unsigned i = 0; i < db->parts_n; i++) {
        parts[i].is_changed = all->result == ERR_OK;
        parts[i].result = ERR_OK;
    }
    struct errmsg e;
    const err result = call_all(all, finish, parts, &e);
    if (all->result == ERR_OK && result != ERR_OK)
        all->result = err_set(&all->e, result, "%s", e.text);
    mem_free(parts);
}

static err delete_from_memory(struct tsdb *db, const struct deleting *d, struct errmsg *e)
{
    struct head *h = &db->parts[0]->head;
    const struct head_erasure what = {.ms = d->ms,
                                      .ms_count = d->ms_count,
                                      .min_t_ms = d->min_t_ms,
                                      .max_t_ms = d->max_t_ms,
                                      .partition_end = TSDB_PARTITIONS,
                                      .seq = h->seq};
    struct arena limits;
    arena_init(&limits, 0);
    const err code = head_erase(h, &what, &limits, e);
    arena_deinit(&limits);
    return code;
}

err tsdb_delete(struct tsdb *db, const struct matcher *ms, size_t ms_count, int64_t min_t_ms,
                int64_t max_t_ms, struct errmsg *e)
{
    struct deleting d = {
        .db = db, .ms = ms, .ms_count = ms_count, .min_t_ms = min_t_ms, .max_t_ms = max_t_ms};
    if (min_t_ms > max_t_ms)
        return ERR_OK;
    if (!db->catalogue)
        return delete_from_memory(db, &d, e);
    TRY(part_wait_for_ready(tsdb_part(db), e));
    fiber_shield_begin();
    tsdb_at_home(db, begin_at_home, db);
    delete_from_all(&d);
    tsdb_at_home(db, end_at_home, db);
    fiber_shield_end();
    mem_free(d.tombstones);
    buf_deinit(&d.matchers);
    buf_deinit(&d.bytes);
    return d.result == ERR_OK ? ERR_OK : err_set(e, d.result, "%s", d.e.text);
}

// ---- the room

err tsdb_clean_tombstones(struct tsdb *db, struct errmsg *e)
{
    return db->catalogue ? tsdb_ask_parts(db, part_ask_clean, e) : ERR_OK;
}
