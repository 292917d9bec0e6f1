// Reading columns: the groups that hold the wanted series, neighbours in one read.
#include <assert.h>

#include "engine/base/mem.h"
#include "engine/base/util.h"
#include "engine/model/histogram.h"
#include "engine/model/value.h"
#include "engine/tsdb/block_reader.h"
#include "engine/tsdb/block_symbols.h"
#include "engine/tsdb/column.h"
#include "engine/tsdb/histogram_column.h"
#include "engine/tsdb/samples.h"
#include "io/fiber.h"

enum { READ_BYTES = 512 * 1024 }; // at most in one read, unless a group is larger

static const char too_much[] = "the query uses too much memory";

struct times { // of a time column that was asked for
    int64_t *t;
    size_t n;
};

struct reading {
    struct block_file *f;
    struct arena *a;
    int64_t mint, maxt;
    const uint32_t *ids;
    uint32_t *order; // indices of ids, ascending by id
    size_t n, done;
    struct column *out;
    // time columns by number, decoded once
    struct block_table by_time;
    uint32_t *time_numbers;
    struct times *times;
    size_t times_n, times_capacity, numbers_capacity;
    // the last chunk of time columns, pinned, and where in it those begin that were come by:
    // neighbours in the file have neighbouring times, but not always in that order
    struct block_held *held;
    uint32_t *begins; // one more: the next
    size_t begins_n, begins_capacity;
    // the last layout of histograms that was asked for; p NULL: none
    struct str layout;
    uint32_t layout_number;
    // the last chunk of columns that another one referred to; bytes NULL: none
    struct {
        uint8_t *bytes;
        uint32_t index;
    } other;
};

// ---- time columns

// Of a time column at the cursor; n is 0 where there is none.
static struct str take_times(struct block_cursor *at, uint32_t *out_n)
{
    *out_n = block_number_below(at, COLUMN_MAX + 1);
    const struct str column = block_bytes(at, block_number(at));
    *out_n = at->failed ? 0 : *out_n;
    return column;
}

// Time column number, whose chunk is held.
static bool seek_times(struct reading *r, uint32_t number, uint32_t *out_n, struct str *out_column)
{
    const struct block_cursor chunk = block_chunk_cursor(r->held);
    const size_t index = number - r->held->first;
    for (;;) {
        const size_t from = index < r->begins_n ? index : r->begins_n - 1;
        struct block_cursor at = {chunk.at + r->begins[from], chunk.end, false};
        *out_column = take_times(&at, out_n);
        if (from == index || at.failed)
            return *out_n > 0;
        r->begins[r->begins_n++] = (uint32_t)(at.at - chunk.at);
    }
}

// Whether they ascend strictly: without a branch, because most do.
static bool is_ascending(const int64_t *t, size_t n)
{
    uint64_t below = UINT64_MAX; // the highest bit: of all so far
    for (size_t k = 1; k < n; k++) {
        const uint64_t a = (uint64_t)t[k - 1], b = (uint64_t)t[k];
        below &= (a & ~b) | (~(a ^ b) & (a - b)); // the highest bit of a < b
    }
    return below >> 63;
}

static err decode_times(struct reading *r, uint32_t number, struct times *out, struct errmsg *e)
{
    struct str column;
    uint32_t n;
    if (!seek_times(r, number, &n, &column))
        return block_chunk_corrupt(r->f, r->held, e);
    int64_t *t = arena_try(r->a, n + COLUMN_PAD, sizeof *t, _Alignof(int64_t));
    if (!t)
        return err_set(e, ERR_LIMIT, too_much);
    if (!column_decode_times((const uint8_t *)column.p, column.n, n, t) || !is_ascending(t, n))
        return block_chunk_corrupt(r->f, r->held, e);
    *out = (struct times){t, n};
    return ERR_OK;
}

// Holds the chunk of time column number. Suspends.
static err hold_times(struct reading *r, uint32_t number, struct errmsg *e)
{
    struct block_held *held;
    TRY(block_table_load(r->f, BLOCK_TIMES, e));
    const uint32_t index = block_chunk_of(r->f, BLOCK_TIMES, number);
    if (r->held && r->held->index == index)
        return ERR_OK;
    TRY(block_chunk_get(r->f, BLOCK_TIMES, index, &held, e));
    if (r->held)
        block_chunk_put(r->f, r->held);
    r->held = held;
    r->begins = mem_grow(r->begins, &r->begins_capacity, held->items + 1, sizeof *r->begins);
    r->begins[0] = 0;
    r->begins_n = 1;
    return ERR_OK;
}

static err get_times(struct reading *r, uint32_t number, struct times *out, struct errmsg *e)
{
    const uint64_t hash = number * 0x9e3779b97f4a7c15u >> 20;
    size_t walk = 0;
    uint32_t id;
    while (block_table_find(&r->by_time, hash, &walk, &id))
        if (r->time_numbers[id] == number) {
            *out = r->times[id];
            return ERR_OK;
        }
    TRY(hold_times(r, number, e));
    TRY(decode_times(r, number, out, e));
    r->times = mem_grow(r->times, &r->times_capacity, r->times_n + 1, sizeof *r->times);
    r->time_numbers =
        mem_grow(r->time_numbers, &r->numbers_capacity, r->times_n + 1, sizeof *r->time_numbers);
    r->times[r->times_n] = *out;
    r->time_numbers[r->times_n] = number;
    block_table_add(&r->by_time, hash, (uint32_t)r->times_n++);
    return ERR_OK;
}

static void reading_deinit(struct reading *r)
{
    if (r->held)
        block_chunk_put(r->f, r->held);
    mem_free(r->times);
    mem_free(r->time_numbers);
    mem_free(r->begins);
    mem_free(r->other.bytes);
    block_table_deinit(&r->by_time);
}

// ---- a group

struct group {
    uint64_t offset; // in the file
    uint32_t index;  // of the chunk
    struct block_cursor directory;
    const uint8_t *first, *end; // of its columns
    const uint8_t *columns;     // of the next part
    uint32_t time;              // of the part before
    int64_t start;              // of the part before that has one
};

// Facts of earlier versions are passed over.
static bool group_open(struct group *g, const struct block_file *f, uint32_t index,
                       const uint8_t *p)
{
    const uint32_t version = f->footer.version;
    const struct block_chunk *c = &f->tables[BLOCK_COLUMNS].chunks[index];
    const size_t n = c->size;
    const size_t head = version < 3 ? 8 : 4;
    if (n < head)
        return false;
    const uint64_t directory = load_le32(p), facts = version < 3 ? load_le32(p + 4) : 0;
    if (directory + facts > n - head)
        return false;
    const uint8_t *first = p + head + directory + facts;
    *g = (struct group){
        .offset = c->offset, .index = index, .first = first, .columns = first, .end = p + n};
    g->directory = (struct block_cursor){p + head, p + head + directory, false};
    return true;
}

struct part {
    uint32_t time, layout;
    uint8_t flags; // BLOCK_PART_*
    int64_t start;
    struct { // of BLOCK_PART_BESIDE
        uint64_t back, at, size;
    } other;
    struct str column;
};

static void part_flags(const struct reading *r, struct group *g, struct part *out)
{
    const struct str flags = block_bytes(&g->directory, 1);
    out->flags = flags.p ? (uint8_t)flags.p[0] : 0;
    if (out->flags & BLOCK_PART_HISTOGRAMS)
        out->layout = block_number_below(&g->directory, r->f->footer.sections[BLOCK_LAYOUTS].items);
    if (out->flags & BLOCK_PART_START) {
        const int64_t more = unzigzag(block_number(&g->directory));
        out->start = g->start = (int64_t)((uint64_t)g->start + (uint64_t)more);
    }
    if (out->flags & BLOCK_PART_BESIDE) {
        out->other.back = block_number(&g->directory);
        out->other.at = block_number(&g->directory);
        out->other.size = block_number(&g->directory);
    }
    const unsigned known =
        BLOCK_PART_HISTOGRAMS | BLOCK_PART_START | BLOCK_PART_STARTS |
        (r->f->footer.version >= 3 && !(out->flags & BLOCK_PART_HISTOGRAMS) ? BLOCK_PART_BESIDE
                                                                            : 0);
    if (out->flags & ~known)
        g->directory.failed = true;
}

static bool group_part(const struct reading *r, struct group *g, struct part *out)
{
    const bool plain = r->f->footer.version == 1;
    const uint64_t first = block_number(&g->directory);
    const int64_t jump = unzigzag(plain ? first : first >> 1);
    *out = (struct part){0};
    if (!plain && first & 1)
        part_flags(r, g, out);
    const uint64_t size = block_number(&g->directory);
    const uint64_t time = (uint64_t)jump + g->time + 1;
    if (g->directory.failed || time >= r->f->footer.sections[BLOCK_TIMES].items ||
        size > (size_t)(g->end - g->columns))
        return false;
    g->time = (uint32_t)time;
    out->time = g->time;
    out->column = (struct str){(const char *)g->columns, size};
    g->columns += size;
    return true;
}

// ---- layouts of histograms

// In the arena, once for neighbours that share it. Suspends.
static err get_layout(struct reading *r, uint32_t number, struct str *out, struct errmsg *e)
{
    struct block_held *held;
    if (r->layout.p && r->layout_number == number) {
        *out = r->layout;
        return ERR_OK;
    }
    TRY(block_table_load(r->f, BLOCK_LAYOUTS, e));
    const uint32_t index = block_chunk_of(r->f, BLOCK_LAYOUTS, number);
    TRY(block_chunk_get(r->f, BLOCK_LAYOUTS, index, &held, e));
    struct block_cursor at = block_chunk_cursor(held);
    struct str layout = {0};
    for (uint32_t i = held->first; i <= number && !at.failed; i++)
        layout = block_bytes(&at, block_number(&at));
    err code = ERR_OK;
    if (at.failed || !histogram_column_max(layout))
        code = block_chunk_corrupt(r->f, held, e);
    else
        r->layout = arena_str(r->a, layout);
    block_chunk_put(r->f, held);
    r->layout_number = number;
    *out = r->layout;
    return code;
}

// ---- a part, within the range asked for

struct window { // of its times
    size_t n, from, end;
};

// Holds the bytes of chunk index of COLUMNS. Suspends.
static err hold_other(struct reading *r, uint32_t index, struct errmsg *e)
{
    const struct block_chunk *c = &r->f->tables[BLOCK_COLUMNS].chunks[index];
    if (r->other.bytes && r->other.index == index)
        return ERR_OK;
    mem_free(r->other.bytes);
    r->other.bytes = mem_alloc(c->size);
    r->other.index = index;
    err code = file_read(&r->f->file, (int64_t)c->offset, r->other.bytes, c->size, e);
    if (code == ERR_OK && block_chunk_crc(c->offset, r->other.bytes, c->size) != c->crc)
        code = block_corrupt(r->f, c->offset, e, "wrong checksum");
    if (code != ERR_OK) {
        mem_free(r->other.bytes);
        r->other.bytes = NULL;
    }
    return code;
}

// The column that the part's is told beside. Suspends.
static err other_column(struct reading *r, const struct group *g, const struct part *part,
                        struct str *out, struct errmsg *e)
{
    struct group there = *g;
    if (part->other.back > g->index)
        return block_corrupt(r->f, g->offset, e, "a column beside one before the first");
    const uint32_t index = g->index - (uint32_t)part->other.back;
    if (part->other.back) {
        TRY(hold_other(r, index, e));
        if (!group_open(&there, r->f, index, r->other.bytes))
            return block_corrupt(r->f, r->f->tables[BLOCK_COLUMNS].chunks[index].offset, e,
                                 "a malformed group");
    }
    const uint64_t room = (uint64_t)(there.end - there.first);
    if (part->other.at > room || part->other.size > room - part->other.at)
        return block_corrupt(r->f, g->offset, e, "a column beside one that is not there");
    *out = str_make((const char *)there.first + part->other.at, part->other.size);
    return ERR_OK;
}

static err read_values(struct reading *r, const struct group *g, const struct part *part,
                       struct str column, const struct window *w, const double **out,
                       struct errmsg *e)
{
    double values[COLUMN_MAX + COLUMN_PAD];
    const size_t n = w->end - w->from;
    const bool is_whole = n > w->n / 2; // then it is decoded where it is wanted
    const uint8_t *p = (const uint8_t *)column.p;
    struct str other = {0};
    if (part->flags & BLOCK_PART_BESIDE)
        TRY(other_column(r, g, part, &other, e));
    double *v = arena_try(r->a, is_whole ? w->n + COLUMN_PAD : n, sizeof *v, _Alignof(double));
    if (!v)
        return err_set(e, ERR_LIMIT, too_much);
    double *decoded = is_whole ? v : values;
    if (part->flags & BLOCK_PART_BESIDE
            ? !column_decode_beside(p, column.n, w->n, (const uint8_t *)other.p, other.n, decoded)
            : !column_decode_values(p, column.n, w->n, decoded))
        return block_corrupt(r->f, g->offset, e, "a malformed column");
    if (!is_whole)
        memcpy(v, values + w->from, n * sizeof *v);
    *out = is_whole ? v + w->from : v;
    return ERR_OK;
}

static err read_histograms(struct reading *r, const struct group *g, const struct part *part,
                           struct str column, const struct window *w, struct column *out,
                           struct errmsg *e)
{
    struct str layout;
    TRY(get_layout(r, part->layout, &layout, e));
    if (w->n > histogram_column_max(layout))
        return block_corrupt(r->f, g->offset, e, "too many histograms in a part");
    const size_t n = w->end - w->from;
    struct str *histograms = arena_array(r->a, n, struct str);
    double *v = arena_try(r->a, n, sizeof *v, _Alignof(double));
    if (!histograms || !v)
        return err_set(e, ERR_LIMIT, too_much);
    const err code =
        histogram_column_decode(column, layout, w->n, w->from, w->end, r->a, histograms);
    if (code == ERR_LIMIT)
        return err_set(e, ERR_LIMIT, too_much);
    if (code != ERR_OK)
        return block_corrupt(r->f, g->offset, e, "a malformed column of histograms");
    for (size_t i = 0; i < n; i++)
        v[i] = double_from_bits(VALUE_STALE_BITS);
    out->v = v;
    out->histograms = histograms;
    return ERR_OK;
}

// Takes the start timestamps off the column.
static err read_starts(struct reading *r, const struct group *g, const struct part *part,
                       const struct window *w, struct str *column, struct column *out,
                       struct errmsg *e)
{
    int64_t all[COLUMN_MAX + COLUMN_PAD];
    const size_t n = w->end - w->from;
    int64_t *starts = arena_try(r->a, n, sizeof *starts, _Alignof(int64_t));
    out->starts = starts;
    if (!starts)
        return err_set(e, ERR_LIMIT, too_much);
    for (size_t i = 0; i < n; i++)
        starts[i] = part->start;
    if (!(part->flags & BLOCK_PART_STARTS))
        return ERR_OK;
    const uint8_t *p = (const uint8_t *)column->p;
    struct block_cursor at = {p, p + column->n, false};
    const struct str own = block_bytes(&at, block_number(&at));
    if (at.failed || !column_decode_times((const uint8_t *)own.p, own.n, w->n, all))
        return block_corrupt(r->f, g->offset, e, "malformed start timestamps");
    memcpy(starts, all + w->from, n * sizeof *starts);
    *column = str_make((const char *)at.at, (size_t)(at.end - at.at));
    return ERR_OK;
}

static err read_part(struct reading *r, const struct group *g, const struct part *part,
                     struct column *out, struct errmsg *e)
{
    struct times times;
    TRY(get_times(r, part->time, &times, e));
    const struct window w = {times.n, times_above(times.t, times.n, r->mint),
                             times_above(times.t, times.n, r->maxt)};
    *out = (struct column){0};
    if (w.from >= w.end)
        return ERR_OK;
    struct str column = part->column;
    if (part->flags & (BLOCK_PART_START | BLOCK_PART_STARTS))
        TRY(read_starts(r, g, part, &w, &column, out, e));
    if (part->flags & BLOCK_PART_HISTOGRAMS) {
        TRY(read_histograms(r, g, part, column, &w, out, e));
    } else {
        const double *v = NULL;
        TRY(read_values(r, g, part, column, &w, &v, e));
        out->v = v;
    }
    out->t = times.t + w.from;
    out->n = w.end - w.from;
    return ERR_OK;
}

// Joins the pieces of a series with several parts.
static err join(struct reading *r, const struct group *g, const struct column *pieces, size_t count,
                struct column *out, struct errmsg *e)
{
    struct samples s;
    if (!samples_init(&s, r->a, pieces, count, true))
        return err_set(e, ERR_LIMIT, too_much);
    for (size_t i = 0; i < count; i++) {
        if (s.n && pieces[i].t[0] <= s.t[s.n - 1])
            return block_corrupt(r->f, g->offset, e, "parts of a series overlap");
        samples_put(&s, &pieces[i], 0, pieces[i].n);
    }
    *out = samples_column(&s);
    return ERR_OK;
}

static err read_series(struct reading *r, struct group *g, struct column *out, struct errmsg *e)
{
    const uint64_t parts = block_number(&g->directory);
    struct column *pieces = NULL;
    size_t n = 0, capacity = 0;
    err code = ERR_OK;
    for (uint64_t i = 0; i < parts && code == ERR_OK; i++) {
        struct part part;
        struct column piece = {0};
        if (!group_part(r, g, &part))
            code = block_corrupt(r->f, g->offset, e, "a malformed directory");
        else
            code = read_part(r, g, &part, &piece, e);
        if (code != ERR_OK || piece.n == 0)
            continue;
        pieces = mem_grow(pieces, &capacity, n + 1, sizeof *pieces);
        pieces[n++] = piece;
    }
    if (code == ERR_OK && n > 1)
        code = join(r, g, pieces, n, out, e);
    else if (code == ERR_OK)
        *out = n ? pieces[0] : (struct column){0};
    mem_free(pieces);
    return code;
}

static bool skip_series(struct reading *r, struct group *g)
{
    const uint64_t parts = block_number(&g->directory);
    struct part part;
    for (uint64_t i = 0; i < parts; i++)
        if (!group_part(r, g, &part))
            return false;
    return !g->directory.failed;
}

// All wanted series of a group whose bytes are here.
static err read_group(struct reading *r, uint32_t index, const uint8_t *p, struct errmsg *e)
{
    const struct block_chunk *c = &r->f->tables[BLOCK_COLUMNS].chunks[index];
    const uint32_t items = block_chunk_items(r->f, BLOCK_COLUMNS, index);
    struct group g;
    if (block_chunk_crc(c->offset, p, c->size) != c->crc)
        return block_corrupt(r->f, c->offset, e, "wrong checksum");
    if (!group_open(&g, r->f, index, p))
        return block_corrupt(r->f, c->offset, e, "a malformed group");
    for (uint32_t i = 0; i < items && r->done < r->n; i++) {
        const uint32_t id = c->first + i, place = r->order[r->done];
        if (i % 4 == 3)
            fiber_yield_if_due();
        if (r->ids[place] != id) {
            if (!skip_series(r, &g))
                return block_corrupt(r->f, c->offset, e, "a malformed directory");
            continue;
        }
        TRY(read_series(r, &g, &r->out[place], e));
        for (r->done++; r->done < r->n && r->ids[r->order[r->done]] == id; r->done++)
            r->out[r->order[r->done]] = r->out[place]; // asked for twice
    }
    return ERR_OK;
}

// Whether a wanted series, not yet read, lies in group index; at walks along the order.
static bool is_wanted(const struct reading *r, uint32_t index, size_t *at)
{
    const uint32_t first = r->f->tables[BLOCK_COLUMNS].chunks[index].first;
    const uint32_t end = first + block_chunk_items(r->f, BLOCK_COLUMNS, index);
    while (*at < r->n && r->ids[r->order[*at]] < first)
        ++*at;
    return *at < r->n && r->ids[r->order[*at]] < end;
}

static err read_all(struct reading *r, struct errmsg *e)
{
    const struct block_chunk *chunks = r->f->tables[BLOCK_COLUMNS].chunks;
    const uint32_t count = r->f->footer.sections[BLOCK_COLUMNS].chunks;
    while (r->done < r->n) {
        const uint32_t first = block_chunk_of(r->f, BLOCK_COLUMNS, r->ids[r->order[r->done]]);
        uint32_t end = first + 1;
        uint64_t size = chunks[first].size;
        size_t at = r->done;
        while (end < count && chunks[end].offset == chunks[first].offset + size &&
               size + chunks[end].size <= READ_BYTES && is_wanted(r, end, &at))
            size += chunks[end++].size;
        uint8_t *bytes = mem_alloc(size);
        err code = file_read(&r->f->file, (int64_t)chunks[first].offset, bytes, size, e);
        for (uint32_t i = first; i < end && code == ERR_OK; i++)
            code = read_group(r, i, bytes + (chunks[i].offset - chunks[first].offset), e);
        mem_free(bytes);
        TRY(code);
    }
    return ERR_OK;
}

static bool id_before(const void *arg, uint32_t a, uint32_t b)
{
    const uint32_t *ids = arg;
    return ids[a] < ids[b];
}

static err hide(const struct reading *r, struct tombstones *t, struct errmsg *e)
{
    err code = ERR_OK;
    for (size_t i = 0; i < r->n && code == ERR_OK; i++) {
        if (!tombstones_apply(t, r->ids[i], r->a, &r->out[i]))
            code = err_set(e, ERR_LIMIT, too_much);
        if (i % 64 == 63)
            fiber_yield_if_due();
    }
    return code;
}

err block_file_read(struct block_file *f, const uint32_t *ids, size_t n, int64_t mint, int64_t maxt,
                    struct arena *a, struct column *out, struct errmsg *e)
{
    struct reading r = {.f = f, .a = a, .mint = mint, .maxt = maxt, .ids = ids, .n = n, .out = out};
    if (n == 0)
        return ERR_OK;
    TRY(block_table_load(f, BLOCK_COLUMNS, e));
    r.order = mem_alloc_array(n, sizeof *r.order);
    for (size_t i = 0; i < n; i++) {
        assert(ids[i] < f->footer.summary.series);
        r.order[i] = (uint32_t)i;
        if (i % 4096 == 4095)
            fiber_yield_if_due();
    }
    block_sort(r.order, n, ids, id_before);
    struct tombstones *t = tombstones_ref(f->tombstones);
    err code = read_all(&r, e);
    if (code == ERR_OK && t)
        code = hide(&r, t, e);
    tombstones_unref(t);
    mem_free(r.order);
    reading_deinit(&r);
    return code;
}
