// Series arrive metric by metric. Their columns are encoded at once and wait until the metric is
// complete; then they are sorted and go out in groups. What is kept until the end: label texts,
// sets, tuples, four bytes a series, and the time columns.
#include <assert.h>

#include "engine/base/hash.h"
#include "engine/base/mem.h"
#include "engine/base/util.h"
#include "engine/model/histogram.h"
#include "engine/model/labels.h"
#include "engine/tsdb/block_index.h"
#include "engine/tsdb/block_recent.h"
#include "engine/tsdb/column.h"
#include "engine/tsdb/column_fit.h"
#include "engine/tsdb/histogram_column.h"
#include "io/fiber.h"
#include "io/fiber_memory.h"

enum {
    GROUP_BYTES = 32 * 1024,
    GROUP_PARTS = 256,
    TIMES_BYTES = 16 * 1024,
    LAYOUTS_BYTES = 16 * 1024,
    NOTES_BYTES = 64 * 1024,
    BESIDE_BYTES = 64 // columns that take less are told by themselves
};

static const uint32_t NUMBER_NONE = UINT32_MAX;

struct part {
    uint32_t time, size, layout;
    size_t at; // in waiting.columns
    int64_t start;
    uint8_t flags;
    struct block_place other; // of BLOCK_PART_BESIDE
};

struct pending { // a series of the present metric
    uint32_t set, tuple;
    size_t parts_at, parts_n;
};

struct times { // of each time column
    size_t at; // in time_bytes
    uint32_t size, n;
    uint32_t number; // in the file; NUMBER_NONE: nothing that was written has it yet
};

struct block_writer {
    struct block_sink sink;
    struct block_index index;
    struct block_summary summary;
    bool finished, started;
    char path[sizeof((struct file *)0)->path];

    struct { // of a chunk
        enum note_kind kind;
        struct buf raw;
        size_t n;
        int64_t min_t, max_t; // of all exemplars
        bool has_times;
    } notes;

    struct { // the present metric
        struct arena text;
        struct str name;
        struct str *sets;
        size_t sets_n, sets_capacity;
        struct block_table by_set;
        uint32_t *set_rank;
        struct pending *series;
        size_t series_n, series_capacity;
        struct part *parts;
        size_t parts_n, parts_capacity;
        struct buf columns;
    } waiting;

    struct { // the group being filled
        size_t series, parts;
        uint32_t time; // of the part before
        int64_t start; // of the part before that has one
        struct buf directory, columns, all;
    } group;

    struct block_recent recent; // columns

    struct times *times;
    size_t times_n, times_capacity;
    uint32_t *time_order; // by number in the file: that of the first use, as the file is sorted
    size_t time_order_n, time_order_capacity;
    struct buf time_bytes;
    struct block_table by_time;

    struct arena layouts_text; // of histograms
    struct str *layouts;
    size_t layouts_n, layouts_capacity;
    struct block_table by_layout;
};

err block_writer_create(const char *path, uint32_t tenant, uint32_t tier, struct block_writer **out,
                        struct errmsg *e)
{
    struct block_writer *w = mem_zalloc(sizeof *w);
    if (strlen(path) >= sizeof w->path) {
        mem_free(w);
        return err_set(e, ERR_INVALID, "%s: the path is too long", path);
    }
    memcpy(w->path, path, strlen(path) + 1);
    err code = block_sink_open(&w->sink, path, tenant, tier, e);
    if (code != ERR_OK) {
        mem_free(w);
        return code;
    }
    block_index_init(&w->index);
    arena_init(&w->waiting.text, 0);
    arena_init(&w->layouts_text, 0);
    w->summary = (struct block_summary){.min_t = INT64_MAX,
                                        .max_t = INT64_MIN,
                                        .partition_min = UINT32_MAX,
                                        .tenant = tenant,
                                        .tier = tier};
    *out = w;
    return ERR_OK;
}

void block_writer_destroy(struct block_writer *w)
{
    if (!w)
        return;
    block_sink_deinit(&w->sink);
    if (!w->finished)
        (void)path_unlink(w->path, NULL);
    block_index_deinit(&w->index);
    arena_deinit(&w->waiting.text);
    mem_free(w->waiting.sets);
    block_table_deinit(&w->waiting.by_set);
    mem_free(w->waiting.series);
    mem_free(w->waiting.parts);
    buf_deinit(&w->waiting.columns);
    buf_deinit(&w->group.directory);
    buf_deinit(&w->group.columns);
    buf_deinit(&w->group.all);
    buf_deinit(&w->notes.raw);
    block_recent_deinit(&w->recent);
    mem_free(w->times);
    mem_free(w->time_order);
    buf_deinit(&w->time_bytes);
    block_table_deinit(&w->by_time);
    arena_deinit(&w->layouts_text);
    mem_free(w->layouts);
    block_table_deinit(&w->by_layout);
    mem_free(w);
}

// ---- a series

// The number of these times: equal ones are stored once.
static uint32_t time_number(struct block_writer *w, const int64_t *t, size_t n)
{
    const uint64_t hash = hash64(t, n * sizeof *t, 0);
    int64_t other[COLUMN_MAX];
    size_t walk = 0;
    uint32_t id;
    while (block_table_find(&w->by_time, hash, &walk, &id)) {
        const struct times *known = &w->times[id];
        if (known->n != n)
            continue;
        const bool good = column_decode_times((const uint8_t *)w->time_bytes.p + known->at,
                                              known->size, n, other);
        assert(good);
        if (memcmp(t, other, n * sizeof *t) == 0)
            return id;
    }
    struct times fresh = {.at = w->time_bytes.n, .n = (uint32_t)n, .number = NUMBER_NONE};
    char *room = fiber_buf_reserve(&w->time_bytes, COLUMN_BYTES_MAX);
    fresh.size = (uint32_t)column_encode_times(t, n, (uint8_t *)room);
    w->time_bytes.n += fresh.size;
    w->times = fiber_grow(w->times, &w->times_capacity, w->times_n + 1, sizeof fresh);
    w->times[w->times_n] = fresh;
    block_table_add(&w->by_time, hash, (uint32_t)w->times_n);
    return (uint32_t)w->times_n++;
}

static uint32_t layout_number(struct block_writer *w, struct str layout)
{
    const uint64_t hash = hash64(layout.p, layout.n, 0);
    size_t walk = 0;
    uint32_t id;
    while (block_table_find(&w->by_layout, hash, &walk, &id))
        if (str_eq(w->layouts[id], layout))
            return id;
    w->layouts = fiber_grow(w->layouts, &w->layouts_capacity, w->layouts_n + 1, sizeof *w->layouts);
    w->layouts[w->layouts_n] = arena_str(&w->layouts_text, layout);
    block_table_add(&w->by_layout, hash, (uint32_t)w->layouts_n);
    return (uint32_t)w->layouts_n++;
}

static void add_values(struct block_writer *w, const double *v, size_t n)
{
    uint64_t bits[COLUMN_MAX];
    memcpy(bits, v, n * sizeof *bits);
    uint8_t *room = (uint8_t *)fiber_buf_reserve(&w->waiting.columns, COLUMN_BYTES_MAX);
    w->waiting.columns.n += column_encode_values(bits, n, room);
}

static void add_starts(struct block_writer *w, const int64_t *starts, size_t n, struct part *part)
{
    bool same = true;
    for (size_t i = 1; i < n && same; i++)
        same = starts[i] == starts[0];
    part->start = starts[0];
    if (same) {
        part->flags |= starts[0] ? BLOCK_PART_START : 0;
        return;
    }
    uint8_t column[COLUMN_BYTES_MAX];
    const size_t size = column_encode_times(starts, n, column);
    part->flags |= BLOCK_PART_STARTS;
    buf_put_varint(&w->waiting.columns, size);
    buf_put(&w->waiting.columns, column, size);
}

// How many samples from the first on are of one kind, and may be one part.
static size_t part_length(const struct column *c, size_t from)
{
    const size_t most = c->n - from < COLUMN_MAX ? c->n - from : COLUMN_MAX;
    size_t n = 1;
    if (!c->histograms)
        return most;
    const struct str *h = c->histograms + from;
    if (!h[0].p) {
        while (n < most && !h[n].p)
            n++;
        return n;
    }
    const struct str layout = histogram_layout(h[0]);
    const size_t max = histogram_column_max(layout);
    while (n < most && n < max && h[n].p && str_eq(histogram_layout(h[n]), layout))
        n++;
    return n;
}

static void add_part(struct block_writer *w, const struct column *c, size_t from, size_t n)
{
    struct part part = {.time = time_number(w, c->t + from, n), .at = w->waiting.columns.n};
    if (c->starts)
        add_starts(w, c->starts + from, n, &part);
    if (c->histograms && c->histograms[from].p) {
        part.flags |= BLOCK_PART_HISTOGRAMS;
        part.layout = layout_number(w, histogram_layout(c->histograms[from]));
        histogram_column_encode(c->histograms + from, n, &w->waiting.columns);
    } else {
        add_values(w, c->v + from, n);
    }
    part.size = (uint32_t)(w->waiting.columns.n - part.at);
    w->waiting.parts = fiber_grow(w->waiting.parts, &w->waiting.parts_capacity,
                                  w->waiting.parts_n + 1, sizeof part);
    w->waiting.parts[w->waiting.parts_n++] = part;
}

static uint32_t set_number(struct block_writer *w, struct str local)
{
    const uint64_t hash = hash64(local.p, local.n, 0);
    size_t walk = 0;
    uint32_t id;
    while (block_table_find(&w->waiting.by_set, hash, &walk, &id))
        if (str_eq(w->waiting.sets[id], local))
            return id;
    w->waiting.sets = fiber_grow(w->waiting.sets, &w->waiting.sets_capacity, w->waiting.sets_n + 1,
                                 sizeof *w->waiting.sets);
    w->waiting.sets[w->waiting.sets_n] = arena_str(&w->waiting.text, local);
    block_table_add(&w->waiting.by_set, hash, (uint32_t)w->waiting.sets_n);
    return (uint32_t)w->waiting.sets_n++;
}

static err metric_flush(struct block_writer *w, struct errmsg *e);

static err check_series(struct block_writer *w, const struct block_key *key, struct str name,
                        const int64_t *t, size_t n, struct errmsg *e)
{
    if (n == 0)
        return err_set(e, ERR_INVALID, "%s: a series without samples", w->path);
    for (size_t i = 1; i < n; i++)
        if (t[i] <= t[i - 1])
            return err_set(e, ERR_INVALID, "%s: times of a series must ascend", w->path);
    if (!labels_check(key->tuple) || !labels_check(key->local))
        return err_set(e, ERR_INVALID, "%s: a series with malformed labels", w->path);
    if (w->started && str_cmp(name, w->waiting.name) < 0)
        return err_set(e, ERR_INVALID, "%s: metric \"%.*s\" after \"%.*s\"", w->path, STR_ARG(name),
                       STR_ARG(w->waiting.name));
    return ERR_OK;
}

static void add_partition(struct block_writer *w, uint32_t partition)
{
    struct block_summary *s = &w->summary;
    s->partition_min = partition < s->partition_min ? partition : s->partition_min;
    s->partition_max = partition > s->partition_max ? partition : s->partition_max;
}

err block_writer_add(struct block_writer *w, const struct block_key *key,
                     const struct column *samples, struct errmsg *e)
{
    const int64_t *t = samples->t;
    const size_t n = samples->n;
    assert(!w->finished);
    const struct str name = labels_value(key->local, LABEL_NAME);
    TRY(check_series(w, key, name, t, n, e));
    if (!w->started || !str_eq(name, w->waiting.name)) {
        TRY(metric_flush(w, e));
        w->waiting.name = arena_str(&w->waiting.text, name);
        w->started = true;
    }
    struct pending p = {.set = set_number(w, key->local), .parts_at = w->waiting.parts_n};
    p.tuple = block_index_tuple(&w->index, key->partition, key->tuple);
    for (size_t i = 0, part; i < n; i += part) {
        part = part_length(samples, i);
        add_part(w, samples, i, part);
        fiber_yield_if_due();
    }
    p.parts_n = w->waiting.parts_n - p.parts_at;
    w->waiting.series = fiber_grow(w->waiting.series, &w->waiting.series_capacity,
                                   w->waiting.series_n + 1, sizeof p);
    w->waiting.series[w->waiting.series_n++] = p;
    struct block_summary *s = &w->summary;
    s->series++;
    s->samples += n;
    s->min_t = t[0] < s->min_t ? t[0] : s->min_t;
    s->max_t = t[n - 1] > s->max_t ? t[n - 1] : s->max_t;
    add_partition(w, key->partition);
    return ERR_OK;
}

// ---- a group

static err group_flush(struct block_writer *w, struct errmsg *e)
{
    struct buf *all = &w->group.all;
    if (w->group.directory.n > UINT32_MAX)
        return err_set(e, ERR_LIMIT, "%s: too many samples in one series", w->path);
    buf_reset(all);
    buf_put_le32(all, (uint32_t)w->group.directory.n);
    buf_put_str(all, buf_str(&w->group.directory));
    buf_put_str(all, buf_str(&w->group.columns));
    const size_t series = w->group.series;
    w->group.series = w->group.parts = 0;
    w->group.time = 0;
    w->group.start = 0;
    buf_reset(&w->group.directory);
    buf_reset(&w->group.columns);
    return block_sink_put(&w->sink, BLOCK_COLUMNS, series, buf_str(all), false, e);
}

// The labels of a bucket of a classic histogram without its bound; 0: it is none.
static uint64_t family_of(const struct block_writer *w, const struct pending *p)
{
    uint64_t hash = 1 + p->tuple;
    struct label label;
    struct str bound;
    if (!labels_get(w->waiting.sets[p->set], STR("le"), &bound))
        return 0;
    for (struct labels_iter i = labels_iter(w->waiting.sets[p->set]); labels_next(&i, &label);)
        if (!str_eq(label.name, STR("le")))
            hash = hash64(label.value.p, label.value.n, hash64(label.name.p, label.name.n, hash));
    return hash;
}

// Tells the part's column beside the other, if that saves an eighth.
static bool tell_beside(struct block_writer *w, struct part *part, const struct block_place *place,
                        struct str other)
{
    double values[COLUMN_MAX + COLUMN_PAD];
    uint64_t bits[COLUMN_MAX];
    uint8_t *column = (uint8_t *)w->waiting.columns.p + part->at;
    const size_t n = w->times[part->time].n;
    const bool good = column_decode_values(column, part->size, n, values);
    assert(good);
    memcpy(bits, values, n * sizeof *bits);
    const size_t size = column_encode_beside(bits, n, (const uint8_t *)other.p, other.n,
                                             part->size - part->size / 8 - 8, column);
    if (!size)
        return false;
    part->size = (uint32_t)size;
    part->flags |= BLOCK_PART_BESIDE;
    part->other = *place;
    return true;
}

// Looks for a column that moves as the part's does, then for that of the bucket before; the part's
// may serve others when it is told by itself.
static void look_beside(struct block_writer *w, uint64_t family, struct part *part)
{
    const uint8_t *column = (const uint8_t *)w->waiting.columns.p + part->at;
    struct block_place place;
    struct str other;
    if (part->flags & (BLOCK_PART_HISTOGRAMS | BLOCK_PART_STARTS) || part->size < BESIDE_BYTES)
        return;
    const size_t stream = column_stream(column, part->size);
    if (!stream)
        return;
    const uint32_t n = w->times[part->time].n;
    const uint64_t hashes[] = {
        hash64(column + stream, part->size - stream, n << 3 | (column[0] & COLUMN_HEAD_FORM)),
        hash64(&family, sizeof family, part->time)};
    const size_t hashes_n = family ? 2 : 1;
    for (size_t i = 0; i < hashes_n; i++)
        if (block_recent_find(&w->recent, hashes[i], &place, &other) &&
            tell_beside(w, part, &place, other))
            return;
    place = (struct block_place){(uint32_t)w->sink.sections[BLOCK_COLUMNS].n,
                                 (uint32_t)w->group.columns.n, part->size};
    block_recent_add(&w->recent, hashes, hashes_n, &place,
                     str_make((const char *)column, part->size));
}

static void put_place(struct block_writer *w, const struct block_place *other)
{
    buf_put_varint(&w->group.directory, w->sink.sections[BLOCK_COLUMNS].n - other->chunk);
    buf_put_varint(&w->group.directory, other->at);
    buf_put_varint(&w->group.directory, other->size);
}

static uint32_t file_time(struct block_writer *w, uint32_t time)
{
    struct times *t = &w->times[time];
    if (t->number == NUMBER_NONE) {
        w->time_order = fiber_grow(w->time_order, &w->time_order_capacity, w->time_order_n + 1,
                                   sizeof *w->time_order);
        w->time_order[w->time_order_n] = time;
        t->number = (uint32_t)w->time_order_n++;
    }
    return t->number;
}

static void group_add_part(struct block_writer *w, const struct part *part)
{
    const uint32_t time = file_time(w, part->time);
    const int64_t jump = (int64_t)time - (int64_t)w->group.time - 1;
    struct buf *directory = &w->group.directory;
    buf_put_varint(directory, zigzag(jump) << 1 | (part->flags != 0));
    if (part->flags)
        buf_put_char(directory, (char)part->flags);
    if (part->flags & BLOCK_PART_HISTOGRAMS)
        buf_put_varint(directory, part->layout);
    if (part->flags & BLOCK_PART_START) {
        buf_put_varint(directory,
                       zigzag((int64_t)((uint64_t)part->start - (uint64_t)w->group.start)));
        w->group.start = part->start;
    }
    if (part->flags & BLOCK_PART_BESIDE)
        put_place(w, &part->other);
    buf_put_varint(directory, part->size);
    w->group.time = time;
    buf_put(&w->group.columns, w->waiting.columns.p + part->at, part->size);
    w->group.parts++;
}

static err group_add(struct block_writer *w, const struct pending *p, struct errmsg *e)
{
    const uint64_t family = family_of(w, p);
    buf_put_varint(&w->group.directory, p->parts_n);
    for (size_t i = 0; i < p->parts_n; i++) {
        look_beside(w, family, &w->waiting.parts[p->parts_at + i]);
        group_add_part(w, &w->waiting.parts[p->parts_at + i]);
        fiber_yield_if_due();
    }
    w->group.series++;
    if (w->group.columns.n < GROUP_BYTES && w->group.parts < GROUP_PARTS)
        return ERR_OK;
    return group_flush(w, e);
}

// ---- a metric

static bool set_before(const void *arg, uint32_t a, uint32_t b)
{
    const struct block_writer *w = arg;
    return labels_cmp(w->waiting.sets[a], w->waiting.sets[b]) < 0;
}

static bool series_before(const void *arg, uint32_t a, uint32_t b)
{
    const struct block_writer *w = arg;
    const struct pending *x = &w->waiting.series[a], *y = &w->waiting.series[b];
    if (x->set != y->set)
        return w->waiting.set_rank[x->set] < w->waiting.set_rank[y->set];
    return x->tuple != y->tuple && block_index_tuple_before(&w->index, x->tuple, y->tuple);
}

static void breathe(size_t i) // in loops of cheap steps
{
    if (i % 4096 == 4095)
        fiber_yield_if_due();
}

static uint32_t *counted(size_t n)
{
    uint32_t *items = mem_alloc_array(n, sizeof *items);
    for (size_t i = 0; i < n; i++) {
        items[i] = (uint32_t)i;
        breathe(i);
    }
    return items;
}

static err metric_emit(struct block_writer *w, const uint32_t *order, struct errmsg *e)
{
    const struct pending *last = NULL;
    for (size_t i = 0; i < w->waiting.series_n; i++) {
        const struct pending *p = &w->waiting.series[order[i]];
        if (last && last->set == p->set && last->tuple == p->tuple)
            return err_set(e, ERR_INVALID, "%s: a series of metric \"%.*s\" twice", w->path,
                           STR_ARG(w->waiting.name));
        if (!last || last->set != p->set)
            block_index_add_set(&w->index, w->waiting.sets[p->set]);
        block_index_add_series(&w->index, p->tuple);
        TRY(group_add(w, p, e));
        last = p;
    }
    return ERR_OK;
}

static err metric_flush(struct block_writer *w, struct errmsg *e)
{
    uint32_t *sets = counted(w->waiting.sets_n), *series = counted(w->waiting.series_n);
    w->waiting.set_rank = counted(w->waiting.sets_n);
    block_sort(sets, w->waiting.sets_n, w, set_before);
    for (size_t i = 0; i < w->waiting.sets_n; i++) {
        w->waiting.set_rank[sets[i]] = (uint32_t)i;
        breathe(i);
    }
    block_sort(series, w->waiting.series_n, w, series_before);
    err code = metric_emit(w, series, e);
    mem_free(sets);
    mem_free(series);
    mem_free(w->waiting.set_rank);
    w->waiting.set_rank = NULL;
    w->waiting.sets_n = w->waiting.series_n = w->waiting.parts_n = 0;
    buf_reset(&w->waiting.columns);
    block_table_reset(&w->waiting.by_set);
    arena_reset(&w->waiting.text);
    return code;
}

static err write_times(struct block_writer *w, struct errmsg *e)
{
    struct buf raw = {0};
    size_t items = 0;
    err code = ERR_OK;
    assert(w->time_order_n == w->times_n);
    for (size_t i = 0; i < w->times_n && code == ERR_OK; i++) {
        const struct times *t = &w->times[w->time_order[i]];
        buf_put_varint(&raw, t->n);
        buf_put_varint(&raw, t->size);
        buf_put(&raw, w->time_bytes.p + t->at, t->size);
        items++;
        if (raw.n < TIMES_BYTES && i + 1 < w->times_n)
            continue;
        code = block_sink_put(&w->sink, BLOCK_TIMES, items, buf_str(&raw), false, e);
        buf_reset(&raw);
        items = 0;
    }
    buf_deinit(&raw);
    return code;
}

static err write_layouts(struct block_writer *w, struct errmsg *e)
{
    struct buf raw = {0};
    size_t items = 0;
    err code = ERR_OK;
    for (size_t i = 0; i < w->layouts_n && code == ERR_OK; i++) {
        buf_put_varint(&raw, w->layouts[i].n);
        buf_put_str(&raw, w->layouts[i]);
        items++;
        if (raw.n < LAYOUTS_BYTES && i + 1 < w->layouts_n)
            continue;
        code = block_sink_put(&w->sink, BLOCK_LAYOUTS, items, buf_str(&raw), true, e);
        buf_reset(&raw);
        items = 0;
    }
    buf_deinit(&raw);
    return code;
}

static void note_time(struct block_writer *w, struct str note)
{
    uint32_t partition;
    struct tsdb_exemplar x;
    const bool good = note_get_exemplar(note, &partition, &x);
    assert(good);
    w->notes.min_t = w->notes.has_times && w->notes.min_t < x.t_ms ? w->notes.min_t : x.t_ms;
    w->notes.max_t = w->notes.has_times && w->notes.max_t > x.t_ms ? w->notes.max_t : x.t_ms;
    w->notes.has_times = true;
}

static err write_note_times(struct block_writer *w, struct errmsg *e)
{
    uint8_t times[2 * VARINT_MAX];
    if (!w->notes.has_times)
        return ERR_OK;
    size_t n = varint_store(times, zigzag(w->notes.min_t));
    n += varint_store(times + n, zigzag(w->notes.max_t));
    return block_sink_put(&w->sink, BLOCK_EXEMPLAR_TIMES, 1, str_make((const char *)times, n),
                          false, e);
}

static err notes_flush(struct block_writer *w, struct errmsg *e)
{
    const enum block_section section =
        w->notes.kind == NOTE_EXEMPLARS ? BLOCK_EXEMPLARS : BLOCK_METADATA;
    TRY(block_sink_put(&w->sink, section, w->notes.n, buf_str(&w->notes.raw), true, e));
    buf_reset(&w->notes.raw);
    w->notes.n = 0;
    return ERR_OK;
}

err block_writer_add_note(struct block_writer *w, enum note_kind kind, struct str note,
                          struct errmsg *e)
{
    assert(!w->finished && kind >= w->notes.kind);
    if (kind != w->notes.kind || w->notes.raw.n >= NOTES_BYTES)
        TRY(notes_flush(w, e));
    add_partition(w, note_partition(note)); // whoever has it must look into this file
    if (kind == NOTE_EXEMPLARS)
        note_time(w, note);
    w->summary.notes++;
    w->notes.kind = kind;
    w->notes.n++;
    buf_put_varint(&w->notes.raw, note.n);
    buf_put_str(&w->notes.raw, note);
    return ERR_OK;
}

err block_writer_finish(struct block_writer *w, struct block_summary *out, struct errmsg *e)
{
    assert(!w->finished);
    TRY(metric_flush(w, e));
    TRY(group_flush(w, e));
    TRY(write_times(w, e));
    TRY(write_layouts(w, e));
    TRY(notes_flush(w, e));
    TRY(write_note_times(w, e));
    TRY(block_index_write(&w->index, &w->sink, e));
    if (w->summary.partition_min > w->summary.partition_max)
        w->summary.partition_min = 0;
    TRY(block_sink_finish(&w->sink, &w->summary, e));
    w->finished = true;
    *out = w->summary;
    return ERR_OK;
}
