#include "engine/tsdb/block_index.h"

#include <assert.h>

#include "engine/base/hash.h"
#include "engine/base/mem.h"
#include "engine/model/labels.h"
#include "io/fiber.h"
#include "io/fiber_memory.h"

enum { CHUNK_BYTES = 16 * 1024 };

void block_index_init(struct block_index *ix)
{
    *ix = (struct block_index){0};
    block_symbols_init(&ix->symbols);
}

void block_index_deinit(struct block_index *ix)
{
    block_symbols_deinit(&ix->symbols);
    mem_free(ix->set_pairs);
    mem_free(ix->tuple_pairs);
    mem_free(ix->sets);
    mem_free(ix->series);
    mem_free(ix->tuples);
    block_table_deinit(&ix->by_tuple);
}

static void add_pairs(struct block_index *ix, struct str labels, uint32_t **pairs, size_t *n,
                      size_t *capacity)
{
    struct label label;
    for (struct labels_iter i = labels_iter(labels); labels_next(&i, &label);) {
        *pairs = fiber_grow(*pairs, capacity, *n + 1, sizeof **pairs);
        (*pairs)[(*n)++] = block_symbols_pair(&ix->symbols, label.name, label.value);
    }
}

uint32_t block_index_tuple(struct block_index *ix, uint32_t partition, struct str labels)
{
    const uint64_t hash = hash64(labels.p, labels.n, partition);
    size_t walk = 0;
    uint32_t id;
    while (block_table_find(&ix->by_tuple, hash, &walk, &id))
        if (ix->tuples[id].partition == partition && str_eq(ix->tuples[id].labels, labels))
            return id;
    struct block_tuple t = {.partition = partition, .pairs_at = ix->tuple_pairs_n};
    t.labels = arena_str(&ix->symbols.text, labels);
    add_pairs(ix, labels, &ix->tuple_pairs, &ix->tuple_pairs_n, &ix->tuple_pairs_capacity);
    t.pairs_n = ix->tuple_pairs_n - t.pairs_at;
    ix->tuples = fiber_grow(ix->tuples, &ix->tuples_capacity, ix->tuples_n + 1, sizeof t);
    ix->tuples[ix->tuples_n] = t;
    block_table_add(&ix->by_tuple, hash, (uint32_t)ix->tuples_n);
    return (uint32_t)ix->tuples_n++;
}

bool block_index_tuple_before(const struct block_index *ix, uint32_t a, uint32_t b)
{
    const struct block_tuple *x = &ix->tuples[a], *y = &ix->tuples[b];
    if (x->partition != y->partition)
        return x->partition < y->partition;
    return labels_cmp(x->labels, y->labels) < 0;
}

void block_index_add_set(struct block_index *ix, struct str labels)
{
    add_pairs(ix, labels, &ix->set_pairs, &ix->set_pairs_n, &ix->set_pairs_capacity);
    ix->sets = fiber_grow(ix->sets, &ix->sets_capacity, ix->sets_n + 1, sizeof *ix->sets);
    ix->sets[ix->sets_n++] = (struct block_set){ix->set_pairs_n, ix->series_n};
}

void block_index_add_series(struct block_index *ix, uint32_t tuple)
{
    assert(ix->sets_n > 0);
    ix->series = fiber_grow(ix->series, &ix->series_capacity, ix->series_n + 1, sizeof *ix->series);
    ix->series[ix->series_n++] = tuple;
    ix->sets[ix->sets_n - 1].series_end = ix->series_n;
}

// ---- writing

// A section while its chunks fill.
struct stream {
    struct block_sink *sink;
    enum block_section section;
    struct buf raw;
    size_t items;
    bool begins; // the next item is a chunk's first
};

static err stream_flush(struct stream *s, struct errmsg *e)
{
    err code = block_sink_put(s->sink, s->section, s->items, buf_str(&s->raw), true, e);
    buf_reset(&s->raw);
    s->items = 0;
    s->begins = true;
    return code;
}

static err stream_item_done(struct stream *s, struct errmsg *e)
{
    s->items++;
    s->begins = false;
    if (s->items % 256 == 0)
        fiber_yield_if_due();
    return s->raw.n < CHUNK_BYTES ? ERR_OK : stream_flush(s, e);
}

static void yield_each(size_t i) // in loops of cheap steps
{
    if (i % 4096 == 4095)
        fiber_yield_if_due();
}

// How the numbers of arrival map to the file's, and the way back.
struct order {
    uint32_t *items, *rank;
};

static struct order order_make(size_t n, const void *arg, block_before_fn *before)
{
    struct order o = {mem_alloc_array(n, sizeof *o.items), mem_alloc_array(n, sizeof *o.rank)};
    for (size_t i = 0; i < n; i++) {
        o.items[i] = (uint32_t)i;
        yield_each(i);
    }
    block_sort(o.items, n, arg, before);
    for (size_t i = 0; i < n; i++) {
        o.rank[o.items[i]] = (uint32_t)i;
        yield_each(i);
    }
    return o;
}

static void order_deinit(struct order *o)
{
    mem_free(o->items);
    mem_free(o->rank);
}

struct writing {
    struct block_index *ix;
    struct block_sink *sink;
    struct order names, pairs, tuples;
};

static bool name_before(const void *arg, uint32_t a, uint32_t b)
{
    const struct writing *w = arg;
    return str_cmp(w->ix->symbols.names[a], w->ix->symbols.names[b]) < 0;
}

static bool pair_before(const void *arg, uint32_t a, uint32_t b)
{
    const struct writing *w = arg;
    const struct block_pair *x = &w->ix->symbols.pairs[a], *y = &w->ix->symbols.pairs[b];
    if (x->name != y->name)
        return w->names.rank[x->name] < w->names.rank[y->name];
    return str_cmp(x->value, y->value) < 0;
}

static bool tuple_before(const void *arg, uint32_t a, uint32_t b)
{
    return block_index_tuple_before(((const struct writing *)arg)->ix, a, b);
}

static err write_names(const struct writing *w, struct stream *s, struct errmsg *e)
{
    const struct block_symbols *symbols = &w->ix->symbols;
    for (size_t i = 0, pair = 0; i < symbols->names_n; i++) {
        const struct str name = symbols->names[w->names.items[i]];
        const size_t first = pair;
        while (pair < symbols->pairs_n &&
               symbols->pairs[w->pairs.items[pair]].name == w->names.items[i])
            yield_each(pair++);
        buf_put_varint(&s->raw, name.n);
        buf_put_str(&s->raw, name);
        buf_put_varint(&s->raw, pair - first);
        TRY(stream_item_done(s, e));
    }
    return stream_flush(s, e);
}

static err write_pairs(const struct writing *w, struct stream *s, struct errmsg *e)
{
    const struct block_pair *last = NULL;
    for (size_t i = 0; i < w->ix->symbols.pairs_n; i++) {
        const struct block_pair *pair = &w->ix->symbols.pairs[w->pairs.items[i]];
        size_t shared = 0;
        if (!s->begins && last->name == pair->name)
            while (shared < last->value.n && shared < pair->value.n &&
                   last->value.p[shared] == pair->value.p[shared])
                shared++;
        buf_put_varint(&s->raw, shared);
        buf_put_varint(&s->raw, pair->value.n - shared);
        buf_put_str(&s->raw, str_from(pair->value, shared));
        last = pair;
        TRY(stream_item_done(s, e));
    }
    return stream_flush(s, e);
}

// Labels ascend by name, so the numbers of their pairs ascend too.
static void put_pairs(const struct writing *w, struct buf *raw, const uint32_t *pairs, size_t n)
{
    uint32_t last = 0;
    buf_put_varint(raw, n);
    for (size_t i = 0; i < n; i++) {
        const uint32_t rank = w->pairs.rank[pairs[i]];
        assert(i == 0 || rank > last);
        buf_put_varint(raw, rank - last);
        last = rank;
    }
}

static err write_sets(const struct writing *w, struct stream *s, struct errmsg *e)
{
    size_t from = 0;
    for (size_t i = 0; i < w->ix->sets_n; i++) {
        const size_t end = w->ix->sets[i].pairs_end;
        put_pairs(w, &s->raw, w->ix->set_pairs + from, end - from);
        from = end;
        TRY(stream_item_done(s, e));
    }
    return stream_flush(s, e);
}

static err write_tuples(const struct writing *w, struct stream *s, struct errmsg *e)
{
    uint32_t partition = 0;
    for (size_t i = 0; i < w->ix->tuples_n; i++) {
        const struct block_tuple *t = &w->ix->tuples[w->tuples.items[i]];
        buf_put_varint(&s->raw, t->partition - (s->begins ? 0 : partition));
        // Where no tuple has pairs there is no array to point into.
        const uint32_t *pairs = t->pairs_n ? w->ix->tuple_pairs + t->pairs_at : NULL;
        put_pairs(w, &s->raw, pairs, t->pairs_n);
        partition = t->partition;
        TRY(stream_item_done(s, e));
    }
    return stream_flush(s, e);
}

static void put_series(const struct writing *w, struct buf *raw, size_t from, size_t end)
{
    uint32_t last = 0;
    buf_put_varint(raw, end - from);
    for (size_t i = from; i < end; i++) {
        const uint32_t rank = w->tuples.rank[w->ix->series[i]];
        assert(i == from || rank > last);
        buf_put_varint(raw, rank - last);
        last = rank;
        yield_each(i);
    }
}

static err write_series(const struct writing *w, struct stream *s, struct errmsg *e)
{
    const uint32_t *series = w->ix->series;
    size_t from = 0, last_from = 0, last_n = 0;
    for (size_t i = 0; i < w->ix->sets_n; i++) {
        const size_t end = w->ix->sets[i].series_end, n = end - from;
        if (s->begins)
            buf_put_varint(&s->raw, from);
        if (!s->begins && n == last_n &&
            memcmp(series + from, series + last_from, n * sizeof *series) == 0)
            buf_put_varint(&s->raw, 0);
        else
            put_series(w, &s->raw, from, end);
        last_from = from;
        last_n = n;
        from = end;
        TRY(stream_item_done(s, e));
    }
    return stream_flush(s, e);
}

// ---- postings

// Which items have each pair: of pair p, items[ends[p-1], ends[p]).
struct inverse {
    size_t *ends;
    uint32_t *items;
};

static struct inverse inverse_make(size_t pairs_n, size_t total)
{
    struct inverse v = {mem_alloc_array(pairs_n + 1, sizeof *v.ends),
                        mem_alloc_array(total, sizeof *v.items)};
    fiber_fill(v.ends, 0, (pairs_n + 1) * sizeof *v.ends);
    return v;
}

static void inverse_deinit(struct inverse *v)
{
    mem_free(v->ends);
    mem_free(v->items);
}

// After all pairs were counted in ends[rank].
static void inverse_sum(struct inverse *v, size_t pairs_n)
{
    size_t total = 0;
    for (size_t i = 0; i <= pairs_n; i++) {
        const size_t count = v->ends[i];
        v->ends[i] = total; // where the next goes; in the end where the pair's items end
        total += count;
        yield_each(i);
    }
}

static struct inverse inverse_of_sets(const struct writing *w)
{
    const struct block_index *ix = w->ix;
    struct inverse v = inverse_make(ix->symbols.pairs_n, ix->set_pairs_n);
    for (size_t i = 0; i < ix->set_pairs_n; i++) {
        v.ends[w->pairs.rank[ix->set_pairs[i]]]++;
        yield_each(i);
    }
    inverse_sum(&v, ix->symbols.pairs_n);
    for (size_t set = 0, i = 0; set < ix->sets_n; set++) {
        for (; i < ix->sets[set].pairs_end; i++)
            v.items[v.ends[w->pairs.rank[ix->set_pairs[i]]]++] = (uint32_t)set;
        yield_each(set);
    }
    return v;
}

static struct inverse inverse_of_tuples(const struct writing *w)
{
    const struct block_index *ix = w->ix;
    struct inverse v = inverse_make(ix->symbols.pairs_n, ix->tuple_pairs_n);
    for (size_t i = 0; i < ix->tuple_pairs_n; i++) {
        v.ends[w->pairs.rank[ix->tuple_pairs[i]]]++;
        yield_each(i);
    }
    inverse_sum(&v, ix->symbols.pairs_n);
    for (size_t rank = 0; rank < ix->tuples_n; rank++) {
        const struct block_tuple *t = &ix->tuples[w->tuples.items[rank]];
        for (size_t i = t->pairs_at; i < t->pairs_at + t->pairs_n; i++)
            v.items[v.ends[w->pairs.rank[ix->tuple_pairs[i]]]++] = (uint32_t)rank;
        yield_each(rank);
    }
    return v;
}

static void put_runs(struct buf *raw, const uint32_t *items, size_t n)
{
    size_t runs = 0;
    for (size_t i = 0; i < n; i++) {
        runs += i == 0 || items[i] != items[i - 1] + 1;
        yield_each(i);
    }
    buf_put_varint(raw, runs);
    uint32_t end = 0;
    for (size_t i = 0; i < n;) {
        size_t length = 1;
        while (i + length < n && items[i + length] == items[i] + length)
            yield_each(i + length++);
        const uint64_t gap = items[i] - end;
        buf_put_varint(raw, gap * 2 + (length > 1));
        if (length > 1)
            buf_put_varint(raw, length - 2);
        end = items[i] + (uint32_t)length;
        i += length;
    }
}

static err write_postings(const struct writing *w, struct stream *s, struct errmsg *e)
{
    struct inverse sets = inverse_of_sets(w), tuples = inverse_of_tuples(w);
    err code = ERR_OK;
    for (size_t i = 0, set = 0, tuple = 0; i < w->ix->symbols.pairs_n && code == ERR_OK; i++) {
        put_runs(&s->raw, sets.items + set, sets.ends[i] - set);
        put_runs(&s->raw, tuples.items + tuple, tuples.ends[i] - tuple);
        set = sets.ends[i];
        tuple = tuples.ends[i];
        code = stream_item_done(s, e);
    }
    inverse_deinit(&sets);
    inverse_deinit(&tuples);
    return code == ERR_OK ? stream_flush(s, e) : code;
}

err block_index_write(struct block_index *ix, struct block_sink *sink, struct errmsg *e)
{
    static const struct {
        enum block_section section;
        err (*write)(const struct writing *, struct stream *, struct errmsg *);
    } steps[] = {
        {BLOCK_NAMES, write_names},   {BLOCK_PAIRS, write_pairs},
        {BLOCK_SETS, write_sets},     {BLOCK_TUPLES, write_tuples},
        {BLOCK_SERIES, write_series}, {BLOCK_POSTINGS, write_postings},
    };
    struct writing w = {.ix = ix, .sink = sink};
    w.names = order_make(ix->symbols.names_n, &w, name_before);
    w.pairs = order_make(ix->symbols.pairs_n, &w, pair_before);
    w.tuples = order_make(ix->tuples_n, &w, tuple_before);
    struct stream s = {.sink = sink};
    err code = ERR_OK;
    for (size_t i = 0; i < countof(steps) && code == ERR_OK; i++) {
        s.section = steps[i].section;
        s.begins = true;
        code = steps[i].write(&w, &s, e);
    }
    buf_deinit(&s.raw);
    order_deinit(&w.names);
    order_deinit(&w.pairs);
    order_deinit(&w.tuples);
    return code;
}
