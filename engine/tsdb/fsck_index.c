// Whether a file's index agrees with itself: each part of it follows from others, and is compared
// with what they give. Readers do not: a forged file with right checksums could name series
// wrongly. Memory: four bytes for each label pair of each set and tuple, eight for each series.
#include <stdio.h>

#include "engine/base/mem.h"
#include "engine/model/labels.h"
#include "engine/tsdb/block_reader.h"
#include "engine/tsdb/fsck_state.h"
#include "io/fiber.h"

struct lists { // of sets, or tuples
    uint32_t n;
    struct block_lists pairs;
};

struct index {
    struct fsck *k;
    struct block_file *f;
    const char *path;
    struct arena arena;
    uint32_t pairs_n;
    uint32_t *names; // of each pair the number of its name
    struct lists sets, tuples;
    uint64_t series;
    bool is_told; // one finding of a kind is enough
};

static void disagree(struct index *ix, enum block_section section, const char *what, uint64_t item)
{
    fsck_say(ix->k, FSCK_DAMAGE, ix->path, (int64_t)ix->f->footer.sections[section].table_offset,
             "queries may find wrong series", "%s, at item %llu of the index that ends here", what,
             (unsigned long long)item);
}

static const uint32_t *list_at(const struct lists *l, uint32_t item, size_t *out_n)
{
    const size_t from = item ? l->pairs.ends[item - 1] : 0;
    *out_n = l->pairs.ends[item] - from;
    return l->pairs.pairs + from;
}

// ---- names and values

struct ordered {
    struct index *ix;
    struct buf last;
    uint32_t name, bad;
    bool is_bad;
};

static bool see_pair(void *arg, uint32_t pair, struct str value)
{
    struct ordered *o = arg;
    const uint32_t name = o->ix->names[pair];
    if (pair && o->name == name && str_cmp(buf_str(&o->last), value) >= 0 && !o->is_bad) {
        o->is_bad = true;
        o->bad = pair;
    }
    o->name = name;
    buf_reset(&o->last);
    buf_put_str(&o->last, value);
    return true;
}

static err check_pairs(struct index *ix, struct errmsg *e)
{
    const struct block_names *const names = &ix->f->names;
    TRY(block_names_load(ix->f, e));
    ix->names = arena_array(&ix->arena, ix->pairs_n + 1, uint32_t);
    for (uint32_t i = 0; i < names->n; i++) {
        if (i && str_cmp(names->names[i - 1], names->names[i]) >= 0)
            disagree(ix, BLOCK_NAMES, "label names do not ascend", i);
        for (uint32_t pair = names->first[i]; pair < names->first[i + 1]; pair++)
            ix->names[pair] = i;
    }
    struct ordered o = {.ix = ix};
    const err code = block_pairs_walk(ix->f, 0, ix->pairs_n, e, &o, see_pair);
    buf_deinit(&o.last);
    if (o.is_bad)
        disagree(ix, BLOCK_PAIRS, "values of a label name do not ascend", o.bad);
    return code;
}

// ---- sets and tuples

static err load_lists(struct index *ix, enum block_section section, struct lists *out,
                      struct errmsg *e)
{
    out->n = ix->f->footer.sections[section].items;
    uint32_t *items = arena_array(&ix->arena, out->n + 1, uint32_t);
    for (uint32_t i = 0; i < out->n; i++)
        items[i] = i;
    TRY(block_table_load(ix->f, section, e));
    return block_lists_load(ix->f, section, items, out->n, &ix->arena, &out->pairs, e);
}

static int compare_lists(const struct lists *l, uint32_t a, uint32_t b)
{
    size_t x_n, y_n;
    const uint32_t *x = list_at(l, a, &x_n), *y = list_at(l, b, &y_n);
    for (size_t i = 0; i < x_n && i < y_n; i++)
        if (x[i] != y[i])
            return x[i] < y[i] ? -1 : 1;
    return (x_n > y_n) - (x_n < y_n);
}

// The metric name of a set: the number of its pair, and one; 0: it has none.
static uint64_t metric_of(const struct index *ix, uint32_t set, uint32_t name, bool has_name)
{
    size_t n;
    const uint32_t *pairs = list_at(&ix->sets, set, &n);
    for (size_t i = 0; i < n && has_name; i++)
        if (ix->names[pairs[i]] == name)
            return (uint64_t)pairs[i] + 1;
    return 0;
}

static void check_order(struct index *ix)
{
    uint32_t name = 0;
    const bool has_name = block_name_find(ix->f, LABEL_NAME, &name);
    for (uint32_t i = 1; i < ix->sets.n; i++) {
        const uint64_t a = metric_of(ix, i - 1, name, has_name);
        const uint64_t b = metric_of(ix, i, name, has_name);
        if (a > b || (a == b && compare_lists(&ix->sets, i - 1, i) >= 0)) {
            disagree(ix, BLOCK_SETS, "label sets are out of order", i);
            break;
        }
    }
    for (uint32_t i = 1; i < ix->tuples.n; i++) {
        const uint32_t *const p = ix->f->tuple_partitions;
        if (p[i - 1] > p[i] || (p[i - 1] == p[i] && compare_lists(&ix->tuples, i - 1, i) >= 0)) {
            disagree(ix, BLOCK_TUPLES, "label tuples are out of order", i);
            break;
        }
    }
}

// ---- series

static bool have_no_name_in_common(const struct index *ix, uint32_t set, uint32_t tuple)
{
    size_t x_n, y_n;
    const uint32_t *x = list_at(&ix->sets, set, &x_n), *y = list_at(&ix->tuples, tuple, &y_n);
    for (size_t i = 0, k = 0; i < x_n && k < y_n;) {
        const uint32_t a = ix->names[x[i]], b = ix->names[y[k]];
        if (a == b)
            return false;
        if (a < b)
            i++;
        else
            k++;
    }
    return true;
}

struct tuple_list { // of a set
    uint32_t *items;
    size_t n, capacity;
};

// The next set's tuples. False: it makes no sense.
static bool take_tuples(const struct index *ix, struct block_cursor *c, struct tuple_list *l)
{
    const uint64_t n = block_number(c);
    if (!n)
        return l->n > 0;
    l->n = 0;
    uint64_t tuple = 0;
    for (uint64_t i = 0; i < n && !c->failed; i++) {
        const uint64_t gap = block_number_below(c, (uint64_t)ix->tuples.n - tuple);
        if (i && !gap)
            return false;
        tuple += gap;
        l->items = mem_grow(l->items, &l->capacity, l->n + 1, sizeof *l->items);
        l->items[l->n++] = (uint32_t)tuple;
    }
    return !c->failed;
}

static void check_series_chunk(struct index *ix, const struct block_held *held)
{
    struct block_cursor c = block_chunk_cursor(held);
    struct tuple_list l = {0};
    bool is_good = block_number(&c) == ix->series;
    for (uint32_t set = held->first; is_good && set < held->first + held->items; set++) {
        is_good = take_tuples(ix, &c, &l);
        for (size_t i = 0; is_good && i < l.n; i++)
            if (!have_no_name_in_common(ix, set, l.items[i]))
                disagree(ix, BLOCK_SERIES, "a series has a label twice", ix->series + i);
        ix->series += l.n;
    }
    mem_free(l.items);
    if (!is_good || c.at != c.end)
        disagree(ix, BLOCK_SERIES, "malformed series", held->first);
}

static err check_series(struct index *ix, struct errmsg *e)
{
    if (ix->f->footer.sections[BLOCK_SERIES].items != ix->sets.n) {
        disagree(ix, BLOCK_SERIES, "not as many lists of series as label sets", ix->sets.n);
        return ERR_OK;
    }
    TRY(block_table_load(ix->f, BLOCK_SERIES, e));
    for (uint32_t i = 0; i < ix->f->footer.sections[BLOCK_SERIES].chunks; i++) {
        struct block_held *held;
        TRY(block_chunk_get(ix->f, BLOCK_SERIES, i, &held, e));
        check_series_chunk(ix, held);
        block_chunk_put(ix->f, held);
        fiber_yield_if_due();
    }
    if (ix->series != ix->f->footer.summary.series)
        disagree(ix, BLOCK_SERIES, "not as many series as columns", ix->series);
    return ERR_OK;
}

// Their labels as queries get them, and whether their partition is the one that labels give.
static err see_series(void *arg, const struct block_series *series, size_t n, struct errmsg *e)
{
    struct index *ix = arg;
    (void)e;
    for (size_t i = 0; i < n && !ix->is_told; i++) {
        ix->is_told = !fsck_is_home(ix->k, series[i].labels, series[i].partition);
        if (ix->is_told)
            fsck_say(ix->k, FSCK_DAMAGE, ix->path, -1, "queries do not find it",
                     "series %u, perhaps others, stands in partition %u, which is not its own",
                     series[i].id, series[i].partition);
    }
    return ERR_OK;
}

// ---- postings

// Which sets or tuples have each pair: of pair p items[ends[p - 1], ends[p]).
static uint32_t *invert(struct index *ix, const struct lists *l, size_t **out_ends)
{
    const size_t total = l->n ? l->pairs.ends[l->n - 1] : 0;
    size_t *ends =
        arena_zalloc(&ix->arena, ((size_t)ix->pairs_n + 2) * sizeof *ends, _Alignof(size_t));
    uint32_t *items = arena_array(&ix->arena, total + 1, uint32_t);
    for (size_t i = 0; i < total; i++)
        ends[l->pairs.pairs[i] + 2]++;
    for (size_t i = 2; i < (size_t)ix->pairs_n + 2; i++)
        ends[i] += ends[i - 1];
    for (uint32_t item = 0; item < l->n; item++) {
        size_t n;
        const uint32_t *pairs = list_at(l, item, &n);
        for (size_t i = 0; i < n; i++)
            items[ends[pairs[i] + 1]++] = item;
    }
    *out_ends = ends;
    return items;
}

static bool list_is(struct block_cursor *c, const uint32_t *items, size_t n)
{
    const uint64_t runs = block_number(c);
    uint64_t at = 0, end = 0;
    for (uint64_t i = 0; i < runs && !c->failed; i++) {
        const uint64_t gap = block_number(c);
        const uint64_t length = gap & 1 ? block_number(c) + 2 : 1;
        if (c->failed || length > n - at || gap >> 1 > UINT32_MAX)
            return false;
        end += gap >> 1;
        for (uint64_t k = 0; k < length; k++)
            if (items[at++] != end++)
                return false;
    }
    return !c->failed && at == n;
}

static err check_postings(struct index *ix, struct errmsg *e)
{
    size_t *ends[2];
    const uint32_t *const items[2] = {invert(ix, &ix->sets, &ends[0]),
                                      invert(ix, &ix->tuples, &ends[1])};
    bool is_good = true;
    TRY(block_table_load(ix->f, BLOCK_POSTINGS, e));
    for (uint32_t i = 0; i < ix->f->footer.sections[BLOCK_POSTINGS].chunks && is_good; i++) {
        struct block_held *held;
        TRY(block_chunk_get(ix->f, BLOCK_POSTINGS, i, &held, e));
        struct block_cursor c = block_chunk_cursor(held);
        for (uint32_t pair = held->first; is_good && pair < held->first + held->items; pair++) {
            for (unsigned side = 0; side < 2; side++)
                is_good = is_good && list_is(&c, items[side] + ends[side][pair],
                                             ends[side][pair + 1] - ends[side][pair]);
            if (!is_good)
                disagree(ix, BLOCK_POSTINGS, "postings are not what sets and tuples say", pair);
        }
        block_chunk_put(ix->f, held);
        fiber_yield_if_due();
    }
    return ERR_OK;
}

static err check_all(struct index *ix, struct errmsg *e)
{
    TRY(check_pairs(ix, e));
    TRY(block_partitions_load(ix->f, e));
    TRY(load_lists(ix, BLOCK_SETS, &ix->sets, e));
    TRY(load_lists(ix, BLOCK_TUPLES, &ix->tuples, e));
    check_order(ix);
    TRY(check_series(ix, e));
    TRY(check_postings(ix, e));
    return block_file_each(ix->f, NULL, 0, (struct block_range){0, UINT32_MAX}, &ix->arena, ix, e,
                           see_series);
}

void fsck_index(struct fsck *k, struct block_file *f, const char *path)
{
    struct index ix = {
        .k = k, .f = f, .path = path, .pairs_n = f->footer.sections[BLOCK_PAIRS].items};
    struct errmsg e;
    if (f->footer.summary.series == 0)
        return; // of notes alone
    arena_init(&ix.arena, 0);
    if (check_all(&ix, &e) != ERR_OK)
        fsck_say_error(k, path, "queries of this file may fail", &e);
    arena_deinit(&ix.arena);
}
