// Label names and values of the series of a block file that match.
#include "engine/tsdb/block_bitmap.h"
#include "engine/tsdb/block_reader.h"
#include "io/fiber.h"

static const char too_much[] = "the query uses too much memory";

// Marks every pair that hits have, over all pairs of the file.
static err mark_pairs(struct block_file *f, const struct block_hit *hits, size_t n, struct arena *a,
                      struct bitmap *pairs, struct errmsg *e)
{
    static const enum block_section sides[] = {BLOCK_SETS, BLOCK_TUPLES};
    if (!bitmap_init(pairs, a, f->footer.sections[BLOCK_PAIRS].items, false))
        return err_set(e, ERR_LIMIT, too_much);
    for (unsigned side = 0; side < 2; side++) {
        struct block_lists lists;
        size_t count;
        uint32_t *items = block_hits_distinct(hits, n, side == 1,
                                              f->footer.sections[sides[side]].items, a, &count);
        if (!items)
            return err_set(e, ERR_LIMIT, too_much);
        TRY(block_lists_load(f, sides[side], items, count, a, &lists, e));
        for (size_t i = 0; count && i < lists.ends[count - 1]; i++)
            bitmap_set_run(pairs, lists.pairs[i], 1);
    }
    return ERR_OK;
}

static bool covers(const struct block_file *f, struct block_range range)
{
    return range.begin <= f->footer.summary.partition_min &&
           range.end > f->footer.summary.partition_max;
}

// Marks the pairs that matching series have; all when nothing restricts them.
static err mark_matching(struct block_file *f, const struct matcher *ms, size_t ms_count,
                         struct block_range range, struct arena *a, struct bitmap *pairs,
                         struct errmsg *e)
{
    struct block_hit *hits;
    size_t n;
    TRY(block_names_load(f, e));
    if (ms_count == 0 && covers(f, range))
        return bitmap_init(pairs, a, f->footer.sections[BLOCK_PAIRS].items, true)
                   ? ERR_OK
                   : err_set(e, ERR_LIMIT, too_much);
    TRY(block_hits(f, ms, ms_count, range, 0, a, &hits, &n, e));
    return mark_pairs(f, hits, n, a, pairs, e);
}

static err names_of(struct block_file *f, const struct bitmap *pairs, struct arena *a,
                    struct str **out, size_t *out_n, struct errmsg *e)
{
    struct str *names = arena_array(a, f->names.n, struct str);
    size_t n = 0;
    if (!names)
        return err_set(e, ERR_LIMIT, too_much);
    for (uint32_t i = 0; i < f->names.n; i++) {
        uint32_t pair = f->names.first[i];
        while (pair < f->names.first[i + 1] && !bitmap_has(pairs, pair))
            pair++;
        if (pair < f->names.first[i + 1])
            names[n++] = arena_str(a, f->names.names[i]);
        fiber_yield_if_due();
    }
    *out = names;
    *out_n = n;
    return ERR_OK;
}

err block_file_label_names(struct block_file *f, const struct matcher *ms, size_t ms_count,
                           struct block_range range, struct arena *a, struct str **out,
                           size_t *out_n, struct errmsg *e)
{
    struct arena scratch;
    struct bitmap pairs;
    arena_init_beside(&scratch, a);
    err code = mark_matching(f, ms, ms_count, range, &scratch, &pairs, e);
    if (code == ERR_OK)
        code = names_of(f, &pairs, a, out, out_n, e);
    arena_deinit(&scratch);
    return code;
}

struct values {
    const struct bitmap *pairs;
    struct arena *a;
    struct str *out;
    size_t n, capacity;
};

static bool see_value(void *arg, uint32_t pair, struct str value)
{
    struct values *v = arg;
    if (!bitmap_has(v->pairs, pair))
        return true;
    char *copy = arena_try(v->a, value.n, 1, 1);
    if (!copy || v->n == v->capacity)
        return false;
    if (value.n)
        memcpy(copy, value.p, value.n);
    v->out[v->n++] = (struct str){copy, value.n};
    return true;
}

static err values_of(struct block_file *f, uint32_t name, const struct bitmap *pairs,
                     struct arena *a, struct str **out, size_t *out_n, struct errmsg *e)
{
    const uint32_t from = f->names.first[name], end = f->names.first[name + 1];
    struct values v = {.pairs = pairs, .a = a};
    for (uint32_t i = from; i < end; i++)
        v.capacity += bitmap_has(pairs, i);
    v.out = arena_array(a, v.capacity, struct str);
    if (!v.out)
        return err_set(e, ERR_LIMIT, too_much);
    TRY(block_pairs_walk(f, from, end, e, &v, see_value));
    if (v.n < v.capacity)
        return err_set(e, ERR_LIMIT, too_much);
    *out = v.out;
    *out_n = v.n;
    return ERR_OK;
}

err block_file_label_values(struct block_file *f, struct str name, const struct matcher *ms,
                            size_t ms_count, struct block_range range, struct arena *a,
                            struct str **out, size_t *out_n, struct errmsg *e)
{
    struct arena scratch;
    struct bitmap pairs;
    uint32_t number;
    TRY(block_names_load(f, e));
    if (!block_name_find(f, name, &number)) {
        *out = NULL;
        *out_n = 0;
        return ERR_OK;
    }
    arena_init_beside(&scratch, a);
    err code = mark_matching(f, ms, ms_count, range, &scratch, &pairs, e);
    if (code == ERR_OK)
        code = values_of(f, number, &pairs, a, out, out_n, e);
    arena_deinit(&scratch);
    return code;
}
