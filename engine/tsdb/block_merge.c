// Merging files: one metric name at a time, since that is the order all of them have. The series of
// a name are matched by their labels, however each file divides them, and merged in batches: the
// columns of a batch are read from each file at once, so that no group is read over and over.
#include <assert.h>

#include "engine/base/hash.h"
#include "engine/base/mem.h"
#include "engine/base/util.h"
#include "engine/model/labels.h"
#include "engine/tsdb/block_notes.h"
#include "engine/tsdb/block_reader.h"
#include "engine/tsdb/block_symbols.h"
#include "engine/tsdb/samples.h"
#include "io/fiber.h"

enum { BATCH_BYTES = 8 * 1024 * 1024, BATCH_SERIES_MAX = 1024 };

struct merging {
    struct block_file *const *files;
    size_t files_n;
    struct block_range range;
    struct block_writer *w;
    int64_t drop_t;
    struct arena names, text, columns; // of all; of one name; of one batch
    // of the present name
    struct block_key *merged;
    size_t merged_n, merged_capacity;
    uint32_t *ids; // of each merged series in each file, ID_NONE: not there
    size_t ids_capacity;
    struct block_table by_labels;
    struct arena one; // of the present series
};

static const uint32_t ID_NONE = UINT32_MAX;

// ---- matching the series of a name

// The same for the same labels, however they are divided.
static uint64_t key_hash(const struct block_key *key)
{
    const struct str halves[] = {key->tuple, key->local};
    uint64_t sum = 0;
    for (size_t i = 0; i < countof(halves); i++) {
        struct label label;
        for (struct labels_iter it = labels_iter(halves[i]); labels_next(&it, &label);)
            sum += hash64(label.value.p, label.value.n, hash64(label.name.p, label.name.n, 0));
    }
    return sum;
}

static bool key_has_all(const struct block_key *key, struct str labels)
{
    struct label label;
    for (struct labels_iter i = labels_iter(labels); labels_next(&i, &label);) {
        struct str value;
        if (!labels_get(key->tuple, label.name, &value) &&
            !labels_get(key->local, label.name, &value))
            return false;
        if (!str_eq(value, label.value))
            return false;
    }
    return true;
}

static bool key_eq(const struct block_key *a, const struct block_key *b)
{
    if (a->partition != b->partition)
        return false;
    if (str_eq(a->tuple, b->tuple) && str_eq(a->local, b->local))
        return true;
    return labels_count(a->tuple) + labels_count(a->local) ==
               labels_count(b->tuple) + labels_count(b->local) &&
           key_has_all(a, b->tuple) && key_has_all(a, b->local);
}

static uint32_t *merged_ids(struct merging *m, size_t merged)
{
    return m->ids + merged * m->files_n;
}

static void add_merged(struct merging *m, const struct block_key *key, uint64_t hash)
{
    m->merged = mem_grow(m->merged, &m->merged_capacity, m->merged_n + 1, sizeof *m->merged);
    m->ids = mem_grow(m->ids, &m->ids_capacity, (m->merged_n + 1) * m->files_n, sizeof *m->ids);
    m->merged[m->merged_n] = *key;
    for (size_t i = 0; i < m->files_n; i++)
        merged_ids(m, m->merged_n)[i] = ID_NONE;
    block_table_add(&m->by_labels, hash, (uint32_t)m->merged_n++);
}

static size_t find_merged(struct merging *m, const struct block_key *key)
{
    const uint64_t hash = key_hash(key);
    size_t walk = 0;
    uint32_t id;
    while (block_table_find(&m->by_labels, hash, &walk, &id))
        if (key_eq(&m->merged[id], key))
            return id;
    add_merged(m, key, hash);
    return m->merged_n - 1;
}

static err collect_name(struct merging *m, struct str name, struct errmsg *e)
{
    const struct matcher by_name = {MATCHER_EQ, LABEL_NAME, name, NULL};
    m->merged_n = 0;
    block_table_reset(&m->by_labels);
    arena_reset(&m->text);
    for (size_t i = 0; i < m->files_n; i++) {
        struct block_keyed *keys;
        size_t n;
        TRY(block_select_keys(m->files[i], &by_name, 1, m->range, &m->text, &keys, &n, e));
        for (size_t k = 0; k < n; k++) {
            uint32_t *id = &merged_ids(m, find_merged(m, &keys[k].key))[i];
            if (*id != ID_NONE)
                return block_corrupt(m->files[i], 0, e, "a series twice");
            *id = keys[k].id;
            if (k % 64 == 63)
                fiber_yield_if_due();
        }
    }
    return ERR_OK;
}

// ---- merging the samples of a series

// The column whose next sample is the earliest, the first of those with equal times; their copies
// are passed over. Runs of one column are copied together.
static struct column merge_columns(struct merging *m, struct column *columns, size_t n)
{
    struct samples s;
    arena_reset(&m->one);
    const bool there = samples_init(&s, &m->one, columns, n, true);
    assert(there); // the arena has no limit
    for (;;) {
        struct column *best = NULL;
        int64_t limit = INT64_MAX; // where another column goes on
        for (size_t i = 0; i < n; i++) {
            struct column *c = &columns[i];
            while (c->n && s.n && c->t[0] <= s.t[s.n - 1]) // a copy
                column_skip(c, 1);
            if (c->n == 0)
                continue;
            if (!best || c->t[0] < best->t[0]) {
                limit = best ? best->t[0] : INT64_MAX;
                best = c;
            } else if (c->t[0] < limit) {
                limit = c->t[0];
            }
        }
        if (!best)
            return samples_column(&s);
        size_t run = 1;
        while (run < best->n && best->t[run] < limit)
            run++;
        samples_put(&s, best, 0, run);
        column_skip(best, run);
    }
}

static err merge_batch(struct merging *m, size_t first, size_t count, struct errmsg *e)
{
    arena_reset(&m->columns);
    struct column *columns = arena_array(&m->columns, count * m->files_n, struct column);
    struct column *some = arena_array(&m->columns, count, struct column);
    uint32_t *ids = arena_array(&m->columns, count, uint32_t);
    for (size_t f = 0; f < m->files_n; f++) {
        size_t n = 0;
        for (size_t i = 0; i < count; i++)
            if (merged_ids(m, first + i)[f] != ID_NONE)
                ids[n++] = merged_ids(m, first + i)[f];
        TRY(block_file_read(m->files[f], ids, n, m->drop_t, INT64_MAX, &m->columns, some, e));
        n = 0;
        for (size_t i = 0; i < count; i++)
            if (merged_ids(m, first + i)[f] != ID_NONE)
                columns[i * m->files_n + f] = some[n++];
    }
    for (size_t i = 0; i < count; i++) {
        const struct column all = merge_columns(m, columns + i * m->files_n, m->files_n);
        if (all.n)
            TRY(block_writer_add(m->w, &m->merged[first + i], &all, e));
        fiber_yield_if_due();
    }
    return ERR_OK;
}

// So many series that their samples are about BATCH_BYTES.
static size_t batch_size(const struct merging *m)
{
    uint64_t per_series = 1;
    for (size_t i = 0; i < m->files_n; i++) {
        const struct block_summary *s = block_file_summary(m->files[i]);
        per_series += s->series ? s->samples / s->series : 0;
    }
    const uint64_t n = BATCH_BYTES / (per_series * sizeof(double));
    return n < 1 ? 1 : n > BATCH_SERIES_MAX ? BATCH_SERIES_MAX : n;
}

// ---- names

static err merge_name(struct merging *m, struct str name, struct errmsg *e)
{
    const size_t batch = batch_size(m);
    TRY(collect_name(m, name, e));
    for (size_t i = 0; i < m->merged_n; i += batch)
        TRY(merge_batch(m, i, m->merged_n - i < batch ? m->merged_n - i : batch, e));
    return ERR_OK;
}

static err merge_names(struct merging *m, struct errmsg *e)
{
    struct least names;
    arena_reset(&m->one);
    least_init(&names, &m->one, 0, false);
    err code = merge_name(m, (struct str){0}, e); // series without a name come first
    for (size_t i = 0; i < m->files_n && code == ERR_OK; i++)
        code = block_file_label_values(m->files[i], LABEL_NAME, NULL, 0, m->range, &names, e);
    if (code == ERR_OK)
        code = least_finish(&names, e);
    for (size_t i = 0; i < names.n && code == ERR_OK; i++)
        code = merge_name(m, names.items[i], e);
    least_deinit(&names);
    return code;
}

err block_merge(struct block_file *const *files, size_t n, struct block_range range,
                const char *path, int64_t drop_t, struct block_summary *out, struct errmsg *e)
{
    struct merging m = {.files = files, .files_n = n, .range = range, .drop_t = drop_t};
    const struct block_summary *first = n ? block_file_summary(files[0]) : NULL;
    TRY(block_writer_create(path, first ? first->tenant : 0, first ? first->tier : 0, &m.w, e));
    arena_init(&m.text, 0);
    arena_init(&m.columns, 0);
    arena_init(&m.one, 0);
    err code = merge_names(&m, e);
    if (code == ERR_OK)
        code = block_notes_merge(files, n, range, drop_t, m.w, e);
    if (code == ERR_OK)
        code = block_writer_finish(m.w, out, e);
    block_writer_destroy(m.w);
    mem_free(m.merged);
    mem_free(m.ids);
    block_table_deinit(&m.by_labels);
    arena_deinit(&m.text);
    arena_deinit(&m.columns);
    arena_deinit(&m.one);
    return code;
}
