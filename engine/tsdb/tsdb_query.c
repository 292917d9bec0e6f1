// Answers from files and memory together.
//
// A select pins the commits seen so far, the files there are and how far back memory is complete:
// what memory holds completely is not asked of files. A series is the union of its pieces: samples
// by time, of two with one time that of the lower generation, files before memory.
#include <assert.h>
#include <stdlib.h>

#include "engine/base/mem.h"
#include "engine/model/labels.h"
#include "engine/tsdb/block_symbols.h"
#include "engine/tsdb/samples.h"
#include "engine/tsdb/tsdb_pin.h"
#include "io/fiber.h"
#include "io/fiber_sort.h"

enum { READ_SAMPLES = 4096 };

err pin_no_memory(struct errmsg *e)
{
    return err_set(e, ERR_LIMIT, "the query needs more memory than it may use");
}

int64_t pin_files_maxt(const struct pin *pin, int64_t maxt)
{
    return pin->complete_t == INT64_MIN || maxt < pin->complete_t ? maxt : pin->complete_t - 1;
}

void pin_init(struct pin *pin, struct part *p, int64_t mint, int64_t maxt)
{
    *pin = (struct pin){.part = p, .complete_t = p->head.complete_t};
    head_snapshot_begin(&p->head, &pin->snapshot);
    const int64_t until = pin_files_maxt(pin, maxt);
    if (!p->files_n || mint >= until)
        return;
    pin->files = mem_alloc_array(p->files_n, sizeof *pin->files);
    for (size_t i = 0; i < p->files_n; i++) {
        const struct catalogue_file *f = &p->files[i].info;
        if (f->max_t_ms > mint && f->min_t_ms <= until)
            pin->files[pin->files_n++] = block_file_ref(p->files[i].file);
    }
}

void pin_deinit(struct pin *pin)
{
    head_snapshot_end(&pin->snapshot);
    for (size_t i = 0; i < pin->files_n; i++)
        block_file_unref(pin->files[i]);
    mem_free(pin->files);
}

// In a loop over i; tests ask without a fiber.
static void breathe_at(size_t i)
{
    if (i % 512 == 511 && fiber_self())
        fiber_yield_if_due();
}

static void db_release(void *self, struct storage_set *set)
{
    (void)self;
    struct pin *pin = set->pin;
    if (!pin)
        return;
    pin_deinit(pin);
    mem_free(pin);
    *set = (struct storage_set){0};
}

// ---- read

struct joined { // times of columns that were put together from the same times
    const int64_t *t;
    size_t n;
    size_t parts_n;
    const struct column *parts;
};

struct joiner {
    struct arena *arena;
    struct joined *made; // open addressing by the first part's times
    size_t mask, made_n;
};

static struct joined *find_joined(struct joiner *j, const struct column *parts, size_t n)
{
    size_t at = ((uintptr_t)parts[0].t >> 3) * 0x9e3779b97f4a7c15u >> 40 & j->mask;
    for (; j->made[at].t; at = (at + 1) & j->mask) {
        bool same = j->made[at].parts_n == n;
        for (size_t i = 0; i < n && same; i++)
            same = j->made[at].parts[i].t == parts[i].t && j->made[at].parts[i].n == parts[i].n;
        if (same)
            break;
    }
    return &j->made[at];
}

static err init_samples(struct joiner *j, struct samples *s, const struct column *parts,
                        size_t parts_n, bool times, struct errmsg *e)
{
    return samples_init(s, j->arena, parts, parts_n, times) ? ERR_OK : pin_no_memory(e);
}

// Parts that follow each other in time, joined; their times once for all series that share them.
static err concatenate(struct joiner *j, const struct column *parts, size_t parts_n,
                       struct column *out, struct errmsg *e)
{
    struct joined *made = find_joined(j, parts, parts_n);
    struct samples s;
    TRY(init_samples(j, &s, parts, parts_n, !made->t, e));
    for (size_t i = 0; i < parts_n; i++)
        samples_put(&s, &parts[i], 0, parts[i].n);
    *out = samples_column(&s);
    if (made->t) {
        out->t = made->t;
        return ERR_OK;
    }
    if (++j->made_n > j->mask / 2) { // full: others do without sharing
        j->made_n--;
        return ERR_OK;
    }
    struct column *copy = arena_array(j->arena, parts_n, struct column);
    if (!copy)
        return pin_no_memory(e);
    memcpy(copy, parts, parts_n * sizeof *copy);
    *made = (struct joined){s.t, s.n, parts_n, copy};
    return ERR_OK;
}

// Parts that overlap: of equal times the part that stands first wins.
static err interleave(struct joiner *j, struct column *parts, size_t parts_n, struct column *out,
                      struct errmsg *e)
{
    struct samples s;
    TRY(init_samples(j, &s, parts, parts_n, true, e));
    for (;;) {
        const struct column *next = NULL;
        for (size_t i = 0; i < parts_n; i++) {
            if (parts[i].n && (!next || parts[i].t[0] < next->t[0]))
                next = &parts[i];
        }
        if (!next)
            break;
        const int64_t t = next->t[0];
        samples_put(&s, next, 0, 1);
        for (size_t i = 0; i < parts_n; i++) {
            if (parts[i].n && parts[i].t[0] == t)
                column_skip(&parts[i], 1);
        }
    }
    *out = samples_column(&s);
    return ERR_OK;
}

static int compare_starts(const void *a, const void *b)
{
    const struct column *x = a, *y = b;
    return (x->t[0] > y->t[0]) - (x->t[0] < y->t[0]);
}

// parts: by precedence, some may be empty.
static err join(struct joiner *j, struct column *parts, size_t parts_n, struct column *scratch,
                struct column *out, struct errmsg *e)
{
    size_t used = 0;
    for (size_t i = 0; i < parts_n; i++) {
        if (parts[i].n)
            parts[used++] = parts[i];
    }
    if (used <= 1) {
        *out = used ? parts[0] : (struct column){0};
        return ERR_OK;
    }
    memcpy(scratch, parts, used * sizeof *scratch);
    qsort(scratch, used, sizeof *scratch, compare_starts);
    bool follow = true;
    for (size_t i = 1; i < used; i++)
        follow &= scratch[i - 1].t[scratch[i - 1].n - 1] < scratch[i].t[0];
    return follow ? concatenate(j, scratch, used, out, e) : interleave(j, parts, used, out, e);
}

struct reading { // of one call
    const struct pin *pin;
    const struct storage_series *series;
    size_t n;
    int64_t mint, maxt;
    struct arena *arena;
    struct column *columns; // n for each file, then n of memory
    uint32_t *ids, *places; // of one file
    struct column *got;
};

static err read_file(const struct reading *r, size_t file, struct errmsg *e)
{
    const struct pin *pin = r->pin;
    size_t n = 0;
    for (size_t i = 0; i < r->n; i++) {
        const size_t k = r->series[i].handle;
        r->columns[file * r->n + i] = (struct column){0};
        breathe_at(i);
        for (uint32_t at = pin->firsts[k]; at < pin->firsts[k + 1]; at++) {
            if (pin->pieces[at].file == file) {
                r->ids[n] = (uint32_t)pin->pieces[at].id;
                r->places[n++] = (uint32_t)i;
            }
        }
    }
    err result = ERR_OK;
    if (n)
        result = block_file_read(pin->files[file], r->ids, n, r->mint, pin_files_maxt(pin, r->maxt),
                                 r->arena, r->got, e);
    for (size_t i = 0; i < n && result == ERR_OK; i++) {
        r->columns[file * r->n + r->places[i]] = r->got[i];
        breathe_at(i);
    }
    return result;
}

static err read_memory(const struct reading *r, struct errmsg *e)
{
    const struct pin *pin = r->pin;
    struct head_reader reader;
    TRY(head_reader_init(&reader, &pin->part->head, pin->snapshot.seq, r->mint, r->maxt, r->n,
                         r->arena, e));
    struct column *columns = r->columns + pin->files_n * r->n;
    size_t read = 0; // since the last question
    for (size_t i = 0; i < r->n; i++) {
        columns[i] = (struct column){0};
        uint64_t ref = r->series[i].handle;
        if (pin->pieces) {
            const struct piece *last = &pin->pieces[pin->firsts[ref + 1] - 1];
            ref = last->file == PIECE_IN_MEMORY ? last->id : 0;
        }
        if (ref)
            TRY(head_reader_read(&reader, ref, &columns[i], e));
        if (pin->part->wal && (read += columns[i].n + 32) >= READ_SAMPLES) {
            fiber_yield_if_due();
            read = 0;
        }
    }
    return ERR_OK;
}

static err join_all(const struct reading *r, struct column *out, struct errmsg *e)
{
    const size_t parts = r->pin->files_n + 1;
    size_t joined = 0; // since the last question
    struct joiner joiner = {.arena = r->arena, .mask = 255};
    while (joiner.mask < r->n)
        joiner.mask = joiner.mask * 2 + 1;
    joiner.made = arena_array(r->arena, joiner.mask + 1, struct joined);
    struct column *mine = arena_array(r->arena, 2 * parts, struct column);
    if (!joiner.made || !mine)
        return pin_no_memory(e);
    for (size_t i = 0; i < r->n; i++) {
        for (size_t k = 0; k < parts; k++)
            mine[k] = r->columns[k * r->n + i];
        TRY(join(&joiner, mine, parts, mine + parts, &out[i], e));
        if ((joined += out[i].n + 32) >= READ_SAMPLES) {
            fiber_yield_if_due();
            joined = 0;
        }
    }
    return ERR_OK;
}

static err db_read(void *self, const struct storage_set *set, const struct storage_series *series,
                   size_t n, int64_t mint, int64_t maxt, struct arena *a, struct column *out,
                   struct errmsg *e)
{
    (void)self;
    const struct pin *pin = set->pin;
    struct reading r = {.pin = pin,
                        .series = series,
                        .n = n,
                        .mint = mint,
                        .maxt = maxt,
                        .arena = a,
                        .columns = out};
    memset(out, 0, n * sizeof *out);
    if (!pin->files_n)
        return read_memory(&r, e);
    struct arena scratch;
    arena_init_beside(&scratch, a);
    r.columns =
        arena_try(&scratch, (pin->files_n + 1) * n, sizeof *r.columns, _Alignof(struct column));
    r.got = arena_try(&scratch, n, sizeof *r.got, _Alignof(struct column));
    r.ids = arena_try(&scratch, n, sizeof *r.ids, _Alignof(uint32_t));
    r.places = arena_try(&scratch, n, sizeof *r.places, _Alignof(uint32_t));
    err result = r.columns && r.got && r.ids && r.places ? ERR_OK : pin_no_memory(e);
    for (size_t file = 0; file < pin->files_n && result == ERR_OK; file++)
        result = read_file(&r, file, e);
    if (result == ERR_OK)
        result = read_memory(&r, e);
    if (result == ERR_OK)
        result = join_all(&r, out, e);
    arena_deinit(&scratch);
    return result;
}

const struct storage_ops tsdb_storage_ops = {
    .select = tsdb_select,
    .read = db_read,
    .release = db_release,
    .label_names = tsdb_label_names,
    .label_values = tsdb_label_values,
    .series_labels = tsdb_series_labels_of,
};
