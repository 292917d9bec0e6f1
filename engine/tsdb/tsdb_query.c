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
#include "engine/tsdb/tsdb_part.h"
#include "io/fiber.h"

enum { IN_MEMORY = UINT32_MAX, READ_CHUNK = 32 };

struct piece {     // of a series
    uint32_t file; // index among the pin's, or IN_MEMORY
    uint64_t id;   // in that file, or the reference
};

struct pin { // of a storage_set
    struct part *part;
    struct head_snapshot snapshot;
    int64_t complete_t;
    struct block_file **files; // by generation
    size_t files_n;
    const struct piece *pieces; // in the set's arena
    const uint32_t *firsts;     // of each series, and one more
};

static err no_memory(struct errmsg *e)
{
    return err_set(e, ERR_LIMIT, "the query needs more memory than it may use");
}

static int64_t files_maxt(const struct pin *pin, int64_t maxt)
{
    return pin->complete_t == INT64_MIN || maxt < pin->complete_t ? maxt : pin->complete_t - 1;
}

static void pin_init(struct pin *pin, struct part *p, int64_t mint, int64_t maxt)
{
    *pin = (struct pin){.part = p, .complete_t = p->head.complete_t};
    head_snapshot_begin(&p->head, &pin->snapshot);
    const int64_t until = files_maxt(pin, maxt);
    if (!p->files_n || mint >= until)
        return;
    pin->files = mem_alloc_array(p->files_n, sizeof *pin->files);
    for (size_t i = 0; i < p->files_n; i++) {
        const struct catalogue_file *f = &p->files[i].info;
        if (f->max_t_ms > mint && f->min_t_ms <= until)
            pin->files[pin->files_n++] = block_file_ref(p->files[i].file);
    }
}

static void pin_deinit(struct pin *pin)
{
    head_snapshot_end(&pin->snapshot);
    for (size_t i = 0; i < pin->files_n; i++)
        block_file_unref(pin->files[i]);
    mem_free(pin->files);
}

// ---- select

// In a loop over i; tests ask without a fiber.
static void breathe_at(size_t i)
{
    if (i % 512 == 511 && fiber_self())
        fiber_yield_if_due();
}

struct item {
    struct str metric, labels;
    uint32_t partition;
    struct piece piece;
};

struct items {
    struct item *list;
    uint32_t *order; // by partition, metric, labels, file
    size_t n, capacity;
};

// Room for n more: at once, because a copy of many takes long.
static void reserve_items(struct items *items, size_t n)
{
    if (items->n + n > items->capacity)
        items->list = mem_grow(items->list, &items->capacity, items->n + n, sizeof *items->list);
}

static void add_item(struct items *items, struct str labels, uint32_t partition, struct piece piece)
{
    items->list[items->n++] =
        (struct item){labels_value(labels, LABEL_NAME), labels, partition, piece};
    breathe_at(items->n);
}

static bool item_before(const void *arg, uint32_t a, uint32_t b)
{
    const struct item *items = arg, *x = &items[a], *y = &items[b];
    if (x->partition != y->partition)
        return x->partition < y->partition;
    int order = str_cmp(x->metric, y->metric);
    order = order ? order : labels_cmp(x->labels, y->labels);
    return order ? order < 0 : x->piece.file < y->piece.file;
}

static err ended(struct errmsg *e)
{
    return err_set(e, fiber_status(), "ended while series were selected");
}

static err sort_items(struct items *items, struct errmsg *e)
{
    items->order = mem_alloc_array(items->n, sizeof *items->order);
    for (size_t i = 0; i < items->n; i++) {
        items->order[i] = (uint32_t)i;
        breathe_at(i);
    }
    return block_sort_in_time(items->order, items->n, items->list, item_before) ? ERR_OK : ended(e);
}

static err find_items(const struct pin *pin, const struct matcher *ms, size_t ms_count,
                      int64_t mint, int64_t maxt, size_t max, struct arena *a, struct items *items,
                      struct errmsg *e)
{
    struct part *p = pin->part;
    struct head_found *found;
    size_t n;
    TRY(head_select(&p->head, ms, ms_count, mint, maxt, max, a, &found, &n, e));
    reserve_items(items, n);
    for (size_t i = 0; i < n; i++)
        add_item(items, found[i].labels, found[i].partition,
                 (struct piece){IN_MEMORY, found[i].ref});
    const struct block_range range = {p->partition_begin, p->partition_end};
    for (size_t k = 0; k < pin->files_n; k++) {
        struct block_series *series;
        TRY(block_file_select(pin->files[k], ms, ms_count, range, max, a, &series, &n, e));
        reserve_items(items, n);
        for (size_t i = 0; i < n; i++)
            add_item(items, series[i].labels, series[i].partition,
                     (struct piece){(uint32_t)k, series[i].id});
    }
    return ERR_OK;
}

// Pieces of one series stand together, by file: they become one series of the set.
static err make_set(struct pin *pin, const struct items *items, size_t max, struct arena *a,
                    struct storage_set *out, struct errmsg *e)
{
    struct storage_series *series =
        arena_try(a, items->n, sizeof *series, _Alignof(struct storage_series));
    struct piece *pieces = arena_try(a, items->n, sizeof *pieces, _Alignof(struct piece));
    uint32_t *firsts = arena_try(a, items->n + 1, sizeof *firsts, _Alignof(uint32_t));
    if (!series || !pieces || !firsts)
        return no_memory(e);
    size_t n = 0;
    for (size_t i = 0; i < items->n; i++) {
        const struct item *item = &items->list[items->order[i]];
        pieces[i] = item->piece;
        breathe_at(i);
        if (n && series[n - 1].partition == item->partition &&
            str_eq(series[n - 1].labels, item->labels))
            continue;
        firsts[n] = (uint32_t)i;
        series[n] = (struct storage_series){
            .labels = item->labels, .partition = item->partition, .handle = n};
        n++;
    }
    firsts[n] = (uint32_t)items->n;
    if (max && n > max)
        return err_set(e, ERR_LIMIT, "the selector matches more than %zu series", max);
    pin->pieces = pieces;
    pin->firsts = firsts;
    *out = (struct storage_set){series, n, pin};
    return ERR_OK;
}

static err db_select(void *self, const struct matcher *ms, size_t ms_count, int64_t mint,
                     int64_t maxt, size_t max, struct arena *a, struct storage_set *out,
                     struct errmsg *e)
{
    struct part *p = tsdb_part(self);
    struct pin *pin = mem_alloc(sizeof *pin);
    struct items items = {0};
    pin_init(pin, p, mint, maxt);
    err result = find_items(pin, ms, ms_count, mint, maxt, max, a, &items, e);
    if (result == ERR_OK)
        result = sort_items(&items, e);
    if (result == ERR_OK)
        result = make_set(pin, &items, max, a, out, e);
    mem_free(items.list);
    mem_free(items.order);
    if (result != ERR_OK) {
        pin_deinit(pin);
        mem_free(pin);
    }
    return result;
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
    return samples_init(s, j->arena, parts, parts_n, times) ? ERR_OK : no_memory(e);
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
        return no_memory(e);
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
};

static err read_file(const struct reading *r, size_t file, struct errmsg *e)
{
    const struct pin *pin = r->pin;
    uint32_t *ids = mem_alloc_array(r->n, sizeof *ids);
    uint32_t *places = mem_alloc_array(r->n, sizeof *places);
    struct column *got = mem_alloc_array(r->n, sizeof *got);
    size_t n = 0;
    for (size_t i = 0; i < r->n; i++) {
        const size_t k = r->series[i].handle;
        for (uint32_t at = pin->firsts[k]; at < pin->firsts[k + 1]; at++) {
            if (pin->pieces[at].file == file) {
                ids[n] = (uint32_t)pin->pieces[at].id;
                places[n++] = (uint32_t)i;
            }
        }
    }
    err result = ERR_OK;
    if (n)
        result = block_file_read(pin->files[file], ids, n, r->mint, files_maxt(pin, r->maxt),
                                 r->arena, got, e);
    for (size_t i = 0; i < n && result == ERR_OK; i++)
        r->columns[file * r->n + places[i]] = got[i];
    mem_free(ids);
    mem_free(places);
    mem_free(got);
    return result;
}

static err read_memory(const struct reading *r, struct errmsg *e)
{
    const struct pin *pin = r->pin;
    struct head_reader reader;
    TRY(head_reader_init(&reader, &pin->part->head, pin->snapshot.seq, r->mint, r->maxt, r->n,
                         r->arena, e));
    struct column *columns = r->columns + pin->files_n * r->n;
    for (size_t i = 0; i < r->n; i++) {
        const size_t k = r->series[i].handle;
        const struct piece *last = &pin->pieces[pin->firsts[k + 1] - 1];
        if (last->file == IN_MEMORY)
            TRY(head_reader_read(&reader, last->id, &columns[i], e));
        if (pin->part->wal && i % READ_CHUNK == READ_CHUNK - 1)
            fiber_yield_if_due();
    }
    return ERR_OK;
}

static err join_all(const struct reading *r, struct column *out, struct errmsg *e)
{
    const size_t parts = r->pin->files_n + 1;
    struct joiner joiner = {.arena = r->arena, .mask = 255};
    while (joiner.mask < r->n)
        joiner.mask = joiner.mask * 2 + 1;
    joiner.made = arena_array(r->arena, joiner.mask + 1, struct joined);
    struct column *mine = arena_array(r->arena, 2 * parts, struct column);
    if (!joiner.made || !mine)
        return no_memory(e);
    for (size_t i = 0; i < r->n; i++) {
        for (size_t k = 0; k < parts; k++)
            mine[k] = r->columns[k * r->n + i];
        TRY(join(&joiner, mine, parts, mine + parts, &out[i], e));
        if (i % READ_CHUNK == READ_CHUNK - 1)
            fiber_yield_if_due();
    }
    return ERR_OK;
}

static err db_read(void *self, const struct storage_set *set, const struct storage_series *series,
                   size_t n, int64_t mint, int64_t maxt, struct arena *a, struct column *out,
                   struct errmsg *e)
{
    (void)self;
    const struct pin *pin = set->pin;
    struct reading r = {pin, series, n, mint, maxt, a, out};
    memset(out, 0, n * sizeof *out);
    if (!pin->files_n)
        return read_memory(&r, e);
    r.columns = mem_zalloc((pin->files_n + 1) * n * sizeof *r.columns);
    err result = ERR_OK;
    for (size_t file = 0; file < pin->files_n && result == ERR_OK; file++)
        result = read_file(&r, file, e);
    if (result == ERR_OK)
        result = read_memory(&r, e);
    if (result == ERR_OK)
        result = join_all(&r, out, e);
    mem_free(r.columns);
    return result;
}

// ---- presence

// A file that lies within the range has a sample there of each series it has, and so has memory of
// one whose newest sample does.
static bool is_surely_present(const struct pin *pin, size_t handle, int64_t mint, int64_t maxt)
{
    for (uint32_t i = pin->firsts[handle]; i < pin->firsts[handle + 1]; i++) {
        const struct piece *piece = &pin->pieces[i];
        if (piece->file == IN_MEMORY) {
            const struct head_series *s = head_resolve(&pin->part->head, piece->id);
            if (s && s->last_t > mint && s->last_t <= maxt)
                return true;
        } else {
            const struct block_summary *b = block_file_summary(pin->files[piece->file]);
            if (b->min_t > mint && b->max_t <= maxt)
                return true;
        }
    }
    return false;
}

// The others are read, some at a time: only what lies in the range is decoded.
static err db_present(void *self, const struct storage_set *set,
                      const struct storage_series *series, size_t n, int64_t mint, int64_t maxt,
                      size_t bytes_max, bool *out, struct errmsg *e)
{
    enum { AT_ONCE = 64 };
    struct storage_series asked[AT_ONCE];
    struct column columns[AT_ONCE];
    size_t at[AT_ONCE], asked_n = 0;
    struct arena scratch;
    err code = ERR_OK;
    arena_init(&scratch, bytes_max);
    for (size_t i = 0; i < n && code == ERR_OK; i++) {
        out[i] = is_surely_present(set->pin, series[i].handle, mint, maxt);
        breathe_at(i);
        if (!out[i]) {
            at[asked_n] = i;
            asked[asked_n++] = series[i];
        }
        if (asked_n < AT_ONCE && (i + 1 < n || !asked_n))
            continue;
        code = db_read(self, set, asked, asked_n, mint, maxt, &scratch, columns, e);
        for (size_t k = 0; k < asked_n && code == ERR_OK; k++)
            out[at[k]] = columns[k].n > 0;
        asked_n = 0;
        arena_reset(&scratch);
    }
    arena_deinit(&scratch);
    return code;
}

// ---- names and values

static bool text_before(const void *arg, uint32_t a, uint32_t b)
{
    const struct str *texts = arg;
    return str_cmp(texts[a], texts[b]) < 0;
}

struct texts {
    struct str *list;
    size_t n, capacity;
};

static void add_texts(struct texts *t, const struct str *more, size_t n)
{
    t->list = mem_grow(t->list, &t->capacity, t->n + n, sizeof *t->list);
    if (n)
        memcpy(t->list + t->n, more, n * sizeof *more);
    t->n += n;
}

static err find_texts(const struct pin *pin, const struct str *name, const struct matcher *ms,
                      size_t ms_count, int64_t mint, int64_t maxt, struct arena *a,
                      struct texts *texts, struct errmsg *e)
{
    struct part *p = pin->part;
    const struct block_range range = {p->partition_begin, p->partition_end};
    struct str *some;
    size_t n;
    TRY(head_label_texts(&p->head, name, ms, ms_count, mint, maxt, a, &some, &n, e));
    add_texts(texts, some, n);
    for (size_t k = 0; k < pin->files_n; k++) {
        struct block_file *f = pin->files[k];
        if (name)
            TRY(block_file_label_values(f, *name, ms, ms_count, range, a, &some, &n, e));
        else
            TRY(block_file_label_names(f, ms, ms_count, range, a, &some, &n, e));
        add_texts(texts, some, n);
    }
    return ERR_OK;
}

// Sorted, each once.
static err unite_texts(const struct texts *texts, struct arena *a, struct str **out, size_t *out_n,
                       struct errmsg *e)
{
    struct str *all = arena_try(a, texts->n, sizeof *all, _Alignof(struct str));
    if (!all)
        return no_memory(e);
    uint32_t *order = mem_alloc_array(texts->n, sizeof *order);
    for (size_t i = 0; i < texts->n; i++)
        order[i] = (uint32_t)i;
    block_sort(order, texts->n, texts->list, text_before);
    size_t n = 0;
    for (size_t i = 0; i < texts->n; i++) {
        const struct str text = texts->list[order[i]];
        if (!n || !str_eq(all[n - 1], text))
            all[n++] = text;
        breathe_at(i);
    }
    mem_free(order);
    *out = all;
    *out_n = n;
    return ERR_OK;
}

static err label_texts(struct tsdb *db, const struct str *name, const struct matcher *ms,
                       size_t ms_count, int64_t mint, int64_t maxt, struct arena *a,
                       struct str **out, size_t *out_n, struct errmsg *e)
{
    struct pin pin;
    struct texts texts = {0};
    pin_init(&pin, tsdb_part(db), mint, maxt);
    err result = find_texts(&pin, name, ms, ms_count, mint, maxt, a, &texts, e);
    if (result == ERR_OK)
        result = unite_texts(&texts, a, out, out_n, e);
    mem_free(texts.list);
    pin_deinit(&pin);
    return result;
}

static err db_label_names(void *self, const struct matcher *ms, size_t ms_count, int64_t mint,
                          int64_t maxt, struct arena *a, struct str **out, size_t *out_n,
                          struct errmsg *e)
{
    return label_texts(self, NULL, ms, ms_count, mint, maxt, a, out, out_n, e);
}

static err db_label_values(void *self, struct str name, const struct matcher *ms, size_t ms_count,
                           int64_t mint, int64_t maxt, struct arena *a, struct str **out,
                           size_t *out_n, struct errmsg *e)
{
    return label_texts(self, &name, ms, ms_count, mint, maxt, a, out, out_n, e);
}

const struct storage_ops tsdb_storage_ops = {
    .select = db_select,
    .read = db_read,
    .present = db_present,
    .release = db_release,
    .label_names = db_label_names,
    .label_values = db_label_values,
};
