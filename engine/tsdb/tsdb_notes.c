// Exemplars and metadata of a part: taken, written to files, found again.
//
// What is taken goes to the log and to memory in one step, a slice at a time. A spill writes what
// came since the last one to its newest file; queries ask memory and files. Metadata is all in
// memory: it comes back from the files when the part is opened.
#include "engine/tsdb/tsdb_notes.h"

#include <assert.h>

#include "engine/base/bits.h"
#include "engine/base/hash.h"
#include "engine/base/mem.h"
#include "engine/base/utf8.h"
#include "engine/model/labels.h"
#include "engine/tsdb/block_notes.h"
#include "engine/tsdb/block_symbols.h"
#include "engine/tsdb/part_notes.h"

enum { SLICE = 64, WALK = 256, EXEMPLARS_USUAL = 100000 };

static uint32_t family_partition(const struct tsdb *db, struct str family)
{
    return (uint32_t)(hash64(family.p, family.n, tsdb_hash_seed(db)) % TSDB_PARTITIONS);
}

unsigned tsdb_family_owner(const struct tsdb *db, struct str family)
{
    return tsdb_owner(db, family_partition(db, family));
}

static uint32_t share_of(const struct part *p, uint32_t max)
{
    return max / p->db->parts_n + (max % p->db->parts_n > 0);
}

// What is in no file yet stays, whatever is configured: it was acknowledged.
static void fit_exemplars(struct part *p)
{
    struct exemplars *x = &p->exemplars;
    const bool waits = x->seq > p->exemplars_written;
    exemplars_set_max(x, waits && x->n > p->exemplars.wanted ? x->n : p->exemplars.wanted);
    x->is_off = p->exemplars.wanted == 0;
}

void tsdb_set_exemplars(struct tsdb *db, uint32_t max)
{
    struct part *p = tsdb_part(db);
    p->exemplars.wanted = share_of(p, max);
    fit_exemplars(p);
}

void part_notes_init(struct part *p)
{
    p->exemplars.seed = p->families.seed = tsdb_hash_seed(p->db);
    p->exemplars.wanted = share_of(p, p->db->options.exemplars_max);
    fit_exemplars(p);
}

void part_notes_deinit(struct part *p)
{
    exemplars_deinit(&p->exemplars);
    families_deinit(&p->families);
}

// ---- taking

// Notes on their way into the log.
struct notes {
    struct buf bytes;
    size_t ends[SLICE];
    size_t n;
};

static void notes_end(struct notes *notes)
{
    notes->ends[notes->n++] = notes->bytes.n;
}

// Without a log they are good as they are.
static err notes_log(struct part *p, enum wal_record_type type, struct notes *notes,
                     uint64_t *out_seq, struct errmsg *e)
{
    struct str list[SLICE];
    size_t from = 0;
    for (size_t i = 0; i < notes->n; from = notes->ends[i++])
        list[i] = str_make(notes->bytes.p + from, notes->ends[i] - from);
    const size_t n = notes->n;
    notes->n = 0;
    if (n == 0 || !p->wal)
        return ERR_OK;
    return wal_append_notes(p->wal, type, list, n, out_seq, e);
}

static bool is_too_long(struct str labels)
{
    size_t runes = 0;
    struct label label;
    for (struct labels_iter i = labels_iter(labels); labels_next(&i, &label);)
        runes += utf8_count(label.name) + utf8_count(label.value);
    return runes > TSDB_EXEMPLAR_RUNES;
}

static err add_slice(struct part *p, const struct tsdb_exemplar *x, size_t n, uint8_t *outcomes,
                     struct notes *notes, uint64_t *seq, struct errmsg *e)
{
    buf_reset(&notes->bytes);
    for (size_t i = 0; i < n; i++) {
        outcomes[i] = (uint8_t)(is_too_long(x[i].labels) ? TSDB_EXEMPLAR_TOO_LONG
                                                         : exemplars_judge(&p->exemplars, &x[i]));
        if (outcomes[i] != TSDB_EXEMPLAR_KEPT)
            continue;
        note_put_exemplar(&notes->bytes, tsdb_partition(p->db, x[i].series), &x[i]);
        notes_end(notes);
    }
    TRY(notes_log(p, WAL_RECORD_EXEMPLARS, notes, seq, e));
    for (size_t i = 0; i < n; i++) { // again, as those before it in this slice count too
        if (outcomes[i] != TSDB_EXEMPLAR_KEPT)
            continue;
        outcomes[i] = (uint8_t)exemplars_add(&p->exemplars, &x[i]);
        if (outcomes[i] == TSDB_EXEMPLAR_OUT_OF_ORDER)
            outcomes[i] = TSDB_EXEMPLAR_OVERTAKEN;
    }
    return ERR_OK;
}

static void breathe(void)
{
    if (fiber_self())
        fiber_yield_if_due();
}

err tsdb_add_exemplars(struct tsdb *db, const struct tsdb_exemplar *x, size_t n, uint8_t *outcomes,
                       struct errmsg *e)
{
    struct part *p = tsdb_part(db);
    struct notes *notes = mem_zalloc(sizeof *notes);
    uint64_t seq = 0;
    err code = part_wait_for_ready(p, e);
    for (size_t i = 0; i < n && code == ERR_OK; i += SLICE) {
        code = add_slice(p, x + i, n - i < SLICE ? n - i : SLICE, outcomes + i, notes, &seq, e);
        breathe();
    }
    buf_deinit(&notes->bytes);
    mem_free(notes);
    return code != ERR_OK || seq == 0 ? code : wal_wait(p->wal, seq, e);
}

err tsdb_add_metadata(struct tsdb *db, const struct tsdb_metadata *m, size_t n, size_t *out_n,
                      struct errmsg *e)
{
    struct part *p = tsdb_part(db);
    const uint64_t run = db->catalogue ? catalogue_info(db->catalogue)->epoch : 0;
    struct notes *notes = mem_zalloc(sizeof *notes);
    uint64_t seq = 0;
    *out_n = 0;
    err code = part_wait_for_ready(p, e);
    for (size_t i = 0; i < n && code == ERR_OK; i++) {
        const bool fits = m[i].family.n + m[i].help.n + m[i].unit.n <= TSDB_METADATA_BYTES_MAX;
        const enum families_outcome outcome =
            fits ? families_put(&p->families, run, &m[i]) : FAMILIES_FULL;
        *out_n += outcome != FAMILIES_FULL;
        if (outcome == FAMILIES_CHANGED) {
            note_put_metadata(&notes->bytes, family_partition(db, m[i].family), run, &m[i]);
            notes_end(notes);
        }
        if (notes->n == SLICE || i + 1 == n) {
            code = notes_log(p, WAL_RECORD_METADATA, notes, &seq, e);
            buf_reset(&notes->bytes);
            breathe();
        }
    }
    buf_deinit(&notes->bytes);
    mem_free(notes);
    return code != ERR_OK || seq == 0 ? code : wal_wait(p->wal, seq, e);
}

struct each {
    tsdb_metadata_fn *see;
    void *arg;
};

static void see_one(void *arg, uint64_t run, const struct tsdb_metadata *m)
{
    (void)run;
    const struct each *each = arg;
    each->see(each->arg, m);
}

void tsdb_each_metadata(struct tsdb *db, tsdb_metadata_fn *see, void *arg)
{
    const struct part *p = tsdb_part(db);
    struct each each = {see, arg};
    size_t at = 0;
    do
        at = families_walk(&p->families, at, WALK, 0, see_one, &each);
    while (at && (breathe(), true));
}

// ---- from any shard

struct spread { // what one owner gets
    struct tsdb *db;
    const struct tsdb_exemplar *exemplars; // or
    const struct tsdb_metadata *metadata;
    size_t n, taken;
    uint8_t *outcomes;
    err code;
    struct errmsg e;
};

static void keep_spread(void *arg)
{
    struct spread *s = arg;
    s->code = s->exemplars ? tsdb_add_exemplars(s->db, s->exemplars, s->n, s->outcomes, &s->e)
                           : tsdb_add_metadata(s->db, s->metadata, s->n, &s->taken, &s->e);
}

// n items in the order of their owners.
struct order {
    struct spread *spreads; // by owner, with their n
    size_t *places;         // of each item, where it was
};

static struct order by_owner(struct tsdb *db, const unsigned *owners, size_t n)
{
    struct order o = {mem_zalloc(db->parts_n * sizeof *o.spreads),
                      mem_alloc_array(n, sizeof *o.places)};
    size_t at = 0;
    for (unsigned owner = 0; owner < db->parts_n; owner++) {
        const size_t first = at;
        for (size_t i = 0; i < n; i++)
            if (owners[i] == owner)
                o.places[at++] = i;
        o.spreads[owner] = (struct spread){.db = db, .n = at - first};
    }
    return o;
}

static void order_free(const struct order *o)
{
    mem_free(o->spreads);
    mem_free(o->places);
}

static err ask_owners(struct tsdb *db, enum loop_class class, struct spread *spreads,
                      struct errmsg *e)
{
    uint64_t where[(SHARD_MAX + 63) / 64] = {0};
    for (unsigned i = 0; i < db->parts_n; i++)
        if (spreads[i].n)
            where[i / 64] |= 1ull << i % 64;
    if (db->shards)
        shard_call_all(class, keep_spread, spreads, sizeof *spreads, where);
    else if (spreads[0].n)
        keep_spread(spreads);
    for (unsigned i = 0; i < db->parts_n; i++)
        if (spreads[i].code != ERR_OK)
            return err_set(e, spreads[i].code, "%s", spreads[i].e.text);
    return ERR_OK;
}

err tsdb_keep_exemplars(struct tsdb *db, enum loop_class class, const struct tsdb_exemplar *x,
                        size_t n, uint8_t *outcomes, struct errmsg *e)
{
    struct tsdb_exemplar *sorted = mem_alloc_array(n, sizeof *sorted);
    unsigned *owners = mem_alloc_array(n, sizeof *owners);
    uint8_t *answers = mem_zalloc(n);
    for (size_t i = 0; i < n; i++)
        owners[i] = tsdb_owner(db, tsdb_partition(db, x[i].series));
    const struct order o = by_owner(db, owners, n);
    for (size_t k = 0; k < n; k++)
        sorted[k] = x[o.places[k]];
    for (size_t i = 0, at = 0; i < db->parts_n; at += o.spreads[i++].n) {
        o.spreads[i].exemplars = sorted + at;
        o.spreads[i].outcomes = answers + at;
    }
    const err code = ask_owners(db, class, o.spreads, e);
    for (size_t k = 0; k < n; k++)
        outcomes[o.places[k]] = answers[k];
    order_free(&o);
    mem_free(sorted);
    mem_free(owners);
    mem_free(answers);
    return code;
}

err tsdb_keep_metadata(struct tsdb *db, enum loop_class class, const struct tsdb_metadata *m,
                       size_t n, size_t *out_n, struct errmsg *e)
{
    struct tsdb_metadata *sorted = mem_alloc_array(n, sizeof *sorted);
    unsigned *owners = mem_alloc_array(n, sizeof *owners);
    for (size_t i = 0; i < n; i++)
        owners[i] = tsdb_family_owner(db, m[i].family);
    const struct order o = by_owner(db, owners, n);
    for (size_t k = 0; k < n; k++)
        sorted[k] = m[o.places[k]];
    for (size_t i = 0, at = 0; i < db->parts_n; at += o.spreads[i++].n)
        o.spreads[i].metadata = sorted + at;
    const err code = ask_owners(db, class, o.spreads, e);
    *out_n = 0;
    for (size_t i = 0; i < db->parts_n; i++)
        *out_n += o.spreads[i].taken;
    order_free(&o);
    mem_free(sorted);
    mem_free(owners);
    return code;
}

// ---- replay, on the owner

unsigned part_note_owner(const struct tsdb *db, struct str note)
{
    return tsdb_owner(db, note_partition(note));
}

// An earlier run may have been allowed more, or this one none: until they are in a file there is
// room for as many as a run takes unless it is told otherwise.
static void replay_exemplar(struct part *p, const struct tsdb_exemplar *x)
{
    const uint32_t room = share_of(p, EXEMPLARS_USUAL);
    if (p->exemplars.max < room)
        exemplars_set_max(&p->exemplars, room);
    p->exemplars.is_off = false;
    (void)exemplars_add(&p->exemplars, x);
    p->exemplars.is_off = p->exemplars.wanted == 0;
}

void part_replay_note(struct part *p, enum note_kind kind, struct str note)
{
    uint32_t partition;
    uint64_t run;
    struct tsdb_exemplar x;
    struct tsdb_metadata m;
    if (kind == NOTE_EXEMPLARS && note_get_exemplar(note, &partition, &x))
        replay_exemplar(p, &x);
    if (kind == NOTE_METADATA && note_get_metadata(note, &partition, &run, &m))
        (void)families_put(&p->families, run, &m);
}

err part_load_metadata(struct part *p, struct errmsg *e)
{
    for (size_t i = 0; i < p->files_n; i++) {
        struct block_notes walk = block_notes_of(p->files[i].file, NOTE_METADATA);
        struct str note;
        err code;
        while ((code = block_notes_next(&walk, &note, e)) == ERR_OK && note.p) {
            const uint32_t partition = note_partition(note);
            if (partition >= p->partition_begin && partition < p->partition_end)
                part_replay_note(p, NOTE_METADATA, note);
        }
        block_notes_done(&walk);
        TRY(code);
    }
    p->metadata_written = p->families.seq;
    return ERR_OK;
}

// ---- spill

static void collect(struct part_notes *s, enum note_kind kind, struct buf *note)
{
    s->kind[kind].notes = mem_grow(s->kind[kind].notes, &s->kind[kind].capacity,
                                   s->kind[kind].n + 1, sizeof *s->kind[kind].notes);
    s->kind[kind].notes[s->kind[kind].n++] = arena_str(&s->arena, buf_str(note));
}

static void collect_exemplar(void *arg, const struct tsdb_exemplar *x)
{
    struct part_notes *s = arg;
    buf_reset(&s->one);
    note_put_exemplar(&s->one, tsdb_partition(s->part->db, x->series), x);
    collect(s, NOTE_EXEMPLARS, &s->one);
}

static void collect_metadata(void *arg, uint64_t run, const struct tsdb_metadata *m)
{
    struct part_notes *s = arg;
    buf_reset(&s->one);
    note_put_metadata(&s->one, family_partition(s->part->db, m->family), run, m);
    collect(s, NOTE_METADATA, &s->one);
}

void part_notes_begin(struct part_notes *s, struct part *p)
{
    *s = (struct part_notes){
        .part = p, .exemplars_seq = p->exemplars.seq, .metadata_seq = p->families.seq};
    arena_init(&s->arena, 0);
    size_t at = 0;
    do {
        at = exemplars_walk(&p->exemplars, at, WALK, p->exemplars_written, collect_exemplar, s);
        breathe();
    } while (at);
    do {
        at = families_walk(&p->families, at, WALK, p->metadata_written, collect_metadata, s);
        breathe();
    } while (at);
}

struct by_note {
    const struct str *notes;
    enum note_kind kind;
};

static bool note_before(const void *arg, uint32_t a, uint32_t b)
{
    const struct by_note *by = arg;
    return note_cmp(by->kind, by->notes[a], by->notes[b]) < 0;
}

bool part_notes_is_empty(const struct part_notes *s)
{
    return s->kind[NOTE_EXEMPLARS].n + s->kind[NOTE_METADATA].n == 0;
}

err part_notes_write(struct part_notes *s, struct block_writer *w, struct errmsg *e)
{
    err code = ERR_OK;
    for (enum note_kind kind = NOTE_EXEMPLARS; kind <= NOTE_METADATA; kind++) {
        const struct by_note by = {s->kind[kind].notes, kind};
        const size_t n = s->kind[kind].n;
        uint32_t *order = mem_alloc_array(n, sizeof *order);
        for (size_t i = 0; i < n; i++)
            order[i] = (uint32_t)i;
        block_sort(order, n, &by, note_before);
        for (size_t i = 0; i < n && code == ERR_OK; i++) {
            code = block_writer_add_note(w, kind, by.notes[order[i]], e);
            breathe();
        }
        mem_free(order);
    }
    return code;
}

void part_notes_end(struct part_notes *s, bool written)
{
    if (written) {
        s->part->exemplars_written = s->exemplars_seq;
        s->part->metadata_written = s->metadata_seq;
        fit_exemplars(s->part);
    }
    for (enum note_kind kind = NOTE_EXEMPLARS; kind <= NOTE_METADATA; kind++)
        mem_free(s->kind[kind].notes);
    arena_deinit(&s->arena);
    buf_deinit(&s->one);
}

// ---- select

struct select {
    const struct tsdb_matchers *sets;
    size_t sets_n;
    int64_t mint, maxt;
    struct arena *arena;
    struct tsdb_exemplar *found;
    size_t n, capacity;
    struct str series; // the last one that matched
};

static bool is_full(const struct arena *a)
{
    return a->limit_bytes && a->used_bytes > a->limit_bytes;
}

static bool matches(struct select *s, struct str series)
{
    for (size_t i = 0; i < s->sets_n; i++)
        if (matchers_match(s->sets[i].ms, s->sets[i].n, series))
            return true;
    return false;
}

static void look(void *arg, const struct tsdb_exemplar *x)
{
    struct select *s = arg;
    if (x->t_ms < s->mint || x->t_ms > s->maxt)
        return;
    if (!s->series.p || !str_eq(s->series, x->series)) {
        if (!matches(s, x->series))
            return;
        s->series = arena_str(s->arena, x->series);
    }
    s->found = mem_grow(s->found, &s->capacity, s->n + 1, sizeof *s->found);
    s->found[s->n++] = (struct tsdb_exemplar){s->series, arena_str(s->arena, x->labels), x->t_ms,
                                              x->bits, x->untimed};
}

static err look_into(struct select *s, const struct part *p, struct block_file *f, struct errmsg *e)
{
    int64_t min, max;
    TRY(block_exemplar_times(f, &min, &max, e));
    if (min > s->maxt || max < s->mint)
        return ERR_OK;
    struct block_notes walk = block_notes_of(f, NOTE_EXEMPLARS);
    struct str note;
    err code;
    while ((code = block_notes_next(&walk, &note, e)) == ERR_OK && note.p) {
        uint32_t partition;
        struct tsdb_exemplar x;
        if (note_get_exemplar(note, &partition, &x) && partition >= p->partition_begin &&
            partition < p->partition_end)
            look(s, &x);
        breathe();
        if (is_full(s->arena))
            break;
    }
    block_notes_done(&walk);
    return code;
}

static err look_into_files(struct select *s, const struct part *p, struct errmsg *e)
{
    const size_t n = p->files_n;
    struct block_file **files = mem_alloc_array(n, sizeof *files);
    err code = ERR_OK;
    for (size_t i = 0; i < n; i++)
        files[i] = block_file_ref(p->files[i].file);
    for (size_t i = 0; i < n; i++) {
        if (code == ERR_OK)
            code = look_into(s, p, files[i], e);
        block_file_unref(files[i]);
    }
    mem_free(files);
    return code;
}

static int found_cmp(const struct tsdb_exemplar *a, const struct tsdb_exemplar *b)
{
    const int order = labels_cmp(a->series, b->series);
    if (order)
        return order;
    if (a->t_ms != b->t_ms)
        return a->t_ms < b->t_ms ? -1 : 1;
    const double x = double_from_bits(a->bits), y = double_from_bits(b->bits);
    if (x < y || x > y)
        return x < y ? -1 : 1;
    return str_cmp(a->labels, b->labels);
}

static bool found_before(const void *arg, uint32_t a, uint32_t b)
{
    const struct tsdb_exemplar *found = arg;
    return found_cmp(&found[a], &found[b]) < 0;
}

// What memory and files both have is there twice.
static void sort_found(struct select *s, struct tsdb_exemplar **out, size_t *out_n)
{
    uint32_t *order = mem_alloc_array(s->n, sizeof *order);
    for (size_t i = 0; i < s->n; i++)
        order[i] = (uint32_t)i;
    block_sort(order, s->n, s->found, found_before);
    struct tsdb_exemplar *sorted = arena_array(s->arena, s->n, struct tsdb_exemplar);
    *out = sorted;
    *out_n = 0;
    for (size_t i = 0; sorted && i < s->n; i++) {
        const struct tsdb_exemplar *x = &s->found[order[i]];
        if (*out_n == 0 || found_cmp(&sorted[*out_n - 1], x) != 0)
            sorted[(*out_n)++] = *x;
        breathe();
    }
    mem_free(order);
}

err tsdb_select_exemplars(struct tsdb *db, const struct tsdb_matchers *sets, size_t sets_n,
                          int64_t mint, int64_t maxt, struct arena *a, struct tsdb_exemplar **out,
                          size_t *out_n, struct errmsg *e)
{
    struct part *p = tsdb_part(db);
    struct select s = {.sets = sets, .sets_n = sets_n, .mint = mint, .maxt = maxt, .arena = a};
    // Files first: what a spill writes meanwhile stays in memory.
    err code = look_into_files(&s, p, e);
    size_t at = 0;
    do {
        at = exemplars_walk(&p->exemplars, at, WALK, 0, look, &s);
        breathe();
    } while (at && code == ERR_OK);
    if (code == ERR_OK)
        sort_found(&s, out, out_n);
    mem_free(s.found);
    if (code == ERR_OK && is_full(a))
        code = err_set(e, ERR_LIMIT, "the query needs more memory than it may use");
    return code;
}
