// Series that match with their labels, whole or as the file divides them: the lists of pairs of
// their sets and tuples, and of the dictionary what those name, are read once each.
#include <assert.h>

#include "engine/base/mem.h"
#include "engine/model/labels.h"
#include "engine/tsdb/block_bitmap.h"
#include "engine/tsdb/block_reader.h"
#include "engine/tsdb/block_symbols.h"
#include "io/fiber.h"

static const char too_much[] = "the query uses too much memory";

// Label pairs as they stand in encoded labels, by number.
struct texts {
    const struct block_file *f;
    struct bitmap marks;
    uint32_t *before; // marks before each word
    struct str *encoded;
    struct arena *a;
    uint32_t name; // of the pair walked last
    size_t n;
};

static size_t text_number(const struct texts *t, uint32_t pair)
{
    const uint64_t below = t->marks.words[pair / 64] & (((uint64_t)1 << (pair % 64)) - 1);
    return t->before[pair / 64] + (size_t)__builtin_popcountll(below);
}

static bool see_text(void *arg, uint32_t pair, struct str value)
{
    struct texts *t = arg;
    if (!bitmap_has(&t->marks, pair))
        return true;
    while (t->name + 1 < t->f->names.n && pair >= t->f->names.first[t->name + 1])
        t->name++;
    const struct str name = t->f->names.names[t->name];
    uint8_t *p = arena_try(t->a, name.n + value.n + 2 * (size_t)VARINT_MAX, 1, 1);
    if (!p)
        return false;
    uint8_t *at = p + varint_store(p, name.n);
    memcpy(at, name.p, name.n);
    at += name.n;
    at += varint_store(at, value.n);
    if (value.n)
        memcpy(at, value.p, value.n);
    at += value.n;
    t->encoded[t->n++] = (struct str){(const char *)p, (size_t)(at - p)};
    return true;
}

static err texts_load(struct block_file *f, struct texts *t, struct errmsg *e)
{
    const size_t words = t->marks.n / 64 + 1;
    size_t total = 0;
    t->before = arena_try(t->a, words, sizeof *t->before, _Alignof(uint32_t));
    if (!t->before)
        return err_set(e, ERR_LIMIT, too_much);
    for (size_t i = 0; i < words; i++) {
        t->before[i] = (uint32_t)total;
        total += (size_t)__builtin_popcountll(t->marks.words[i]);
        if (i % 4096 == 4095)
            fiber_yield_if_due();
    }
    t->encoded = arena_try(t->a, total, sizeof *t->encoded, _Alignof(struct str));
    if (!t->encoded)
        return err_set(e, ERR_LIMIT, too_much);
    // Only the chunks that hold a marked pair.
    const struct block_section_info *info = &f->footer.sections[BLOCK_PAIRS];
    for (uint32_t i = 0; i < info->chunks; i++) {
        const uint32_t first = f->tables[BLOCK_PAIRS].chunks[i].first;
        const uint32_t end = first + block_chunk_items(f, BLOCK_PAIRS, i);
        const uint32_t pair = bitmap_next(&t->marks, first, end);
        if (pair < end)
            TRY(block_pairs_walk(f, pair, end, e, t, see_text));
        fiber_yield_if_due();
    }
    if (t->n < total)
        return err_set(e, ERR_LIMIT, too_much);
    return ERR_OK;
}

// Sets or tuples of hits, with their lists.
struct side {
    uint32_t *items;
    size_t n;
    struct block_lists lists;
};

static err side_load(struct block_file *f, enum block_section section, const struct block_hit *hits,
                     size_t n, struct arena *a, struct texts *t, struct side *out, struct errmsg *e)
{
    out->items = block_hits_distinct(hits, n, section == BLOCK_TUPLES,
                                     f->footer.sections[section].items, a, &out->n);
    if (!out->items)
        return err_set(e, ERR_LIMIT, too_much);
    TRY(block_lists_load(f, section, out->items, out->n, a, &out->lists, e));
    for (size_t i = 0; out->n && i < out->lists.ends[out->n - 1]; i++) {
        bitmap_set_run(&t->marks, out->lists.pairs[i], 1);
        if (i % 4096 == 4095)
            fiber_yield_if_due();
    }
    return ERR_OK;
}

static size_t side_at(const struct side *s, uint32_t item)
{
    size_t low = 0, high = s->n;
    while (high - low > 1) {
        const size_t middle = low + (high - low) / 2;
        if (s->items[middle] <= item)
            low = middle;
        else
            high = middle;
    }
    assert(s->items[low] == item);
    return low;
}

struct building {
    struct block_file *f;
    struct texts texts;
    struct side sets, tuples;
    struct arena *a; // of the result
};

static const uint32_t *side_list(const struct side *s, uint32_t item, size_t *out_n)
{
    const size_t at = side_at(s, item), from = at ? s->lists.ends[at - 1] : 0;
    *out_n = s->lists.ends[at] - from;
    return s->lists.pairs + from;
}

// The labels of both lists, ascending by pair and so by name. A name that both have is corrupt.
static err build_labels(const struct building *b, const uint32_t *x, size_t x_n, const uint32_t *y,
                        size_t y_n, struct str *out, struct errmsg *e)
{
    const uint32_t *x_end = x + x_n, *y_end = y + y_n;
    size_t size = 0;
    for (const uint32_t *p = x; p < x_end; p++)
        size += b->texts.encoded[text_number(&b->texts, *p)].n;
    for (const uint32_t *p = y; p < y_end; p++)
        size += b->texts.encoded[text_number(&b->texts, *p)].n;
    char *bytes = arena_try(b->a, size, 1, 1), *at = bytes;
    if (!bytes)
        return err_set(e, ERR_LIMIT, too_much);
    while (x < x_end || y < y_end) {
        const uint32_t pair = y == y_end || (x < x_end && *x < *y) ? *x++ : *y++;
        const struct str text = b->texts.encoded[text_number(&b->texts, pair)];
        memcpy(at, text.p, text.n);
        at += text.n;
    }
    *out = (struct str){bytes, size};
    if (!labels_check(*out))
        return block_corrupt(b->f, b->f->footer.sections[BLOCK_SETS].table_offset, e,
                             "a series' labels are not in order");
    return ERR_OK;
}

static err build_whole(const struct building *b, const struct block_hit *hit, struct str *out,
                       struct errmsg *e)
{
    size_t x_n, y_n;
    const uint32_t *x = side_list(&b->sets, hit->set, &x_n);
    const uint32_t *y = side_list(&b->tuples, hit->tuple, &y_n);
    return build_labels(b, x, x_n, y, y_n, out, e);
}

static bool series_before(const void *arg, uint32_t a, uint32_t b)
{
    const struct block_series *series = arg, *x = &series[a], *y = &series[b];
    if (x->partition != y->partition)
        return x->partition < y->partition;
    const int order = str_cmp(labels_value(x->labels, LABEL_NAME), // not always the first label
                              labels_value(y->labels, LABEL_NAME));
    return order ? order < 0 : labels_cmp(x->labels, y->labels) < 0;
}

// Within a partition a file's series come nearly sorted: from this order little is left to do.
static void order_by_partition(const struct block_series *series, size_t n, uint32_t *order)
{
    uint32_t least = UINT32_MAX, most = 0;
    for (size_t i = 0; i < n; i++) {
        least = series[i].partition < least ? series[i].partition : least;
        most = series[i].partition > most ? series[i].partition : most;
        if (i % 4096 == 4095)
            fiber_yield_if_due();
    }
    enum { PARTITIONS = 1024 };
    const bool few = n && most - least < PARTITIONS;
    uint32_t *at = mem_alloc_array(PARTITIONS + 1, sizeof *at);
    memset(at, 0, (PARTITIONS + 1) * sizeof *at);
    for (size_t i = 0; i < n && few; i++) {
        at[series[i].partition - least + 1]++;
        if (i % 4096 == 4095)
            fiber_yield_if_due();
    }
    for (size_t i = 0; i < PARTITIONS; i++)
        at[i + 1] += at[i];
    for (size_t i = 0; i < n; i++) {
        order[few ? at[series[i].partition - least]++ : i] = (uint32_t)i;
        if (i % 4096 == 4095)
            fiber_yield_if_due();
    }
    mem_free(at);
}

static err sort_series(struct block_series *from, size_t n, struct arena *scratch,
                       struct block_series *to, struct errmsg *e)
{
    uint32_t *order = arena_try(scratch, n, sizeof *order, _Alignof(uint32_t));
    if (!order)
        return err_set(e, ERR_LIMIT, too_much);
    order_by_partition(from, n, order);
    block_sort(order, n, from, series_before);
    for (size_t i = 0; i < n; i++) {
        to[i] = from[order[i]];
        if (i % 1024 == 1023)
            fiber_yield_if_due();
    }
    return ERR_OK;
}

// What both ways of building need: lists and texts of all that hits name.
static err building_load(struct building *b, const struct block_hit *hits, size_t n,
                         struct arena *scratch, struct errmsg *e)
{
    b->texts = (struct texts){.f = b->f, .a = scratch};
    if (!bitmap_init(&b->texts.marks, scratch, b->f->footer.sections[BLOCK_PAIRS].items, false))
        return err_set(e, ERR_LIMIT, too_much);
    TRY(block_partitions_load(b->f, e));
    TRY(side_load(b->f, BLOCK_SETS, hits, n, scratch, &b->texts, &b->sets, e));
    TRY(side_load(b->f, BLOCK_TUPLES, hits, n, scratch, &b->texts, &b->tuples, e));
    return texts_load(b->f, &b->texts, e);
}

// Their labels and partitions, in the order of hits.
static err build_each(struct building *b, const struct block_hit *hits, size_t n,
                      struct arena *scratch, struct block_series *out, struct errmsg *e)
{
    TRY(building_load(b, hits, n, scratch, e));
    for (size_t i = 0; i < n; i++) {
        out[i].id = hits[i].id;
        out[i].partition = b->f->tuple_partitions[hits[i].tuple];
        TRY(build_whole(b, &hits[i], &out[i].labels, e));
        if (i % 64 == 63)
            fiber_yield_if_due();
    }
    return ERR_OK;
}

static err build_series(struct building *b, const struct block_hit *hits, size_t n,
                        struct arena *scratch, struct block_series *out, struct errmsg *e)
{
    struct block_series *series =
        arena_try(scratch, n, sizeof *series, _Alignof(struct block_series));
    if (!series)
        return err_set(e, ERR_LIMIT, too_much);
    TRY(build_each(b, hits, n, scratch, series, e));
    return sort_series(series, n, scratch, out, e);
}

err block_file_select(struct block_file *f, const struct matcher *ms, size_t ms_count,
                      struct block_range range, size_t max, struct arena *a,
                      struct block_series **out, size_t *out_n, struct errmsg *e)
{
    struct arena scratch;
    struct block_hit *hits;
    size_t n;
    arena_init_beside(&scratch, a);
    struct building b = {.f = f, .a = a};
    struct block_series *series = NULL;
    err code = block_hits(f, ms, ms_count, range, max, &scratch, &hits, &n, e);
    if (code == ERR_OK && n) {
        series = arena_try(a, n, sizeof *series, _Alignof(struct block_series));
        code = series ? build_series(&b, hits, n, &scratch, series, e)
                      : err_set(e, ERR_LIMIT, too_much);
    }
    if (code == ERR_OK) {
        *out = series;
        *out_n = n;
    }
    arena_deinit(&scratch);
    return code;
}

struct listing {
    struct block_file *f;
    struct arena scratch;
    struct block_series *series; // room for BLOCK_HITS_AT_ONCE
    void *arg;
    block_some_fn *take;
};

static err list_hits(void *arg, const struct block_hit *hits, size_t n, struct errmsg *e)
{
    struct listing *l = arg;
    struct building b = {.f = l->f, .a = &l->scratch};
    arena_reset(&l->scratch);
    TRY(build_each(&b, hits, n, &l->scratch, l->series, e));
    return l->take(l->arg, l->series, n, e);
}

err block_file_each(struct block_file *f, const struct matcher *ms, size_t ms_count,
                    struct block_range range, const struct arena *beside, void *arg,
                    struct errmsg *e, block_some_fn *take)
{
    struct listing l = {.f = f, .arg = arg, .take = take};
    struct arena room;
    arena_init_beside(&room, beside);
    arena_init_beside(&l.scratch, beside);
    l.series =
        arena_try(&room, BLOCK_HITS_AT_ONCE, sizeof *l.series, _Alignof(struct block_series));
    const err code = l.series ? block_hits_each(f, ms, ms_count, range, beside, &l, e, list_hits)
                              : err_set(e, ERR_LIMIT, too_much);
    arena_deinit(&l.scratch);
    arena_deinit(&room);
    return code;
}

static err build_side(const struct building *b, const struct side *s, struct arena *scratch,
                      struct str **out, struct errmsg *e)
{
    struct str *texts = arena_array(scratch, s->n, struct str);
    if (!texts)
        return err_set(e, ERR_LIMIT, too_much);
    for (size_t i = 0; i < s->n; i++) {
        size_t n;
        const uint32_t *pairs = side_list(s, s->items[i], &n);
        TRY(build_labels(b, pairs, n, pairs, 0, &texts[i], e));
        if (i % 64 == 63)
            fiber_yield_if_due();
    }
    *out = texts;
    return ERR_OK;
}

static err build_keys(struct building *b, const struct block_hit *hits, size_t n,
                      struct arena *scratch, struct block_keyed *out, struct errmsg *e)
{
    struct str *sets, *tuples;
    TRY(building_load(b, hits, n, scratch, e));
    TRY(build_side(b, &b->sets, scratch, &sets, e));
    TRY(build_side(b, &b->tuples, scratch, &tuples, e));
    for (size_t i = 0; i < n; i++)
        out[i] = (struct block_keyed){{b->f->tuple_partitions[hits[i].tuple],
                                       tuples[side_at(&b->tuples, hits[i].tuple)],
                                       sets[side_at(&b->sets, hits[i].set)]},
                                      hits[i].id};
    return ERR_OK;
}

err block_select_keys(struct block_file *f, const struct matcher *ms, size_t ms_count,
                      struct block_range range, struct arena *a, struct block_keyed **out,
                      size_t *out_n, struct errmsg *e)
{
    struct arena scratch;
    struct block_hit *hits;
    size_t n;
    arena_init_beside(&scratch, a);
    struct building b = {.f = f, .a = a};
    struct block_keyed *keys = NULL;
    err code = block_hits(f, ms, ms_count, range, 0, &scratch, &hits, &n, e);
    if (code == ERR_OK) {
        keys = arena_array(a, n, struct block_keyed);
        code = keys ? build_keys(&b, hits, n, &scratch, keys, e) : err_set(e, ERR_LIMIT, too_much);
    }
    if (code == ERR_OK) {
        *out = keys;
        *out_n = n;
    }
    arena_deinit(&scratch);
    return code;
}
