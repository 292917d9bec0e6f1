// Label names and values of the series of a block file that match.
#include "engine/tsdb/block_bitmap.h"
#include "engine/tsdb/block_reader.h"
#include "io/fiber.h"

static const char too_much[] = "the query uses too much memory";

struct marking { // of the pairs that hits have
    struct block_file *f;
    struct bitmap *pairs;
    struct arena scratch;
};

static err mark_pairs(void *arg, const struct block_hit *hits, size_t n, struct errmsg *e)
{
    static const enum block_section sides[] = {BLOCK_SETS, BLOCK_TUPLES};
    struct marking *m = arg;
    for (unsigned side = 0; side < 2; side++) {
        struct block_lists lists;
        size_t count;
        uint32_t *items = block_hits_distinct(
            hits, n, side == 1, m->f->footer.sections[sides[side]].items, &m->scratch, &count);
        if (!items)
            return err_set(e, ERR_LIMIT, too_much);
        TRY(block_lists_load(m->f, sides[side], items, count, &m->scratch, &lists, e));
        for (size_t i = 0; count && i < lists.ends[count - 1]; i++)
            bitmap_set_run(m->pairs, lists.pairs[i], 1);
        arena_reset(&m->scratch);
        fiber_yield_if_due();
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
    struct marking m = {.f = f, .pairs = pairs};
    TRY(block_names_load(f, e));
    const bool all = ms_count == 0 && covers(f, range) && !f->tombstones;
    if (!bitmap_init(pairs, a, f->footer.sections[BLOCK_PAIRS].items, all))
        return err_set(e, ERR_LIMIT, too_much);
    if (all)
        return ERR_OK;
    arena_init_beside(&m.scratch, a);
    const err code = block_hits_each(f, ms, ms_count, range, a, &m, e, mark_pairs);
    arena_deinit(&m.scratch);
    return code;
}

err block_file_label_names(struct block_file *f, const struct matcher *ms, size_t ms_count,
                           struct block_range range, struct least *out, struct errmsg *e)
{
    struct arena scratch;
    struct bitmap pairs;
    arena_init_beside(&scratch, &out->list);
    err code = mark_matching(f, ms, ms_count, range, &scratch, &pairs, e);
    for (uint32_t i = 0; i < f->names.n && code == ERR_OK; i++) {
        const uint32_t end = f->names.first[i + 1];
        if (bitmap_next(&pairs, f->names.first[i], end) < end)
            code = least_add(out, f->names.names[i], e);
        fiber_yield_if_due();
    }
    arena_deinit(&scratch);
    return code;
}

struct values {
    const struct bitmap *pairs;
    struct least *out;
    err code;
    struct errmsg *e;
};

static bool see_value(void *arg, uint32_t pair, struct str value)
{
    struct values *v = arg;
    if (!bitmap_has(v->pairs, pair))
        return true;
    if (v->out->greatest.p && str_cmp(value, v->out->greatest) >= 0)
        return false; // sorted: none that follows is wanted
    v->code = least_add(v->out, value, v->e);
    return v->code == ERR_OK;
}

err block_file_label_values(struct block_file *f, struct str name, const struct matcher *ms,
                            size_t ms_count, struct block_range range, struct least *out,
                            struct errmsg *e)
{
    struct arena scratch;
    struct bitmap pairs;
    uint32_t number;
    TRY(block_names_load(f, e));
    if (!block_name_find(f, name, &number))
        return ERR_OK;
    arena_init_beside(&scratch, &out->list);
    struct values v = {.pairs = &pairs, .out = out, .e = e};
    uint32_t from = f->names.first[number];
    err code = mark_matching(f, ms, ms_count, range, &scratch, &pairs, e);
    if (code == ERR_OK && out->after.p)
        code = block_pairs_lower_bound(f, number, out->after, &from, e);
    if (code == ERR_OK)
        code = block_pairs_walk(f, from, f->names.first[number + 1], e, &v, see_value);
    arena_deinit(&scratch);
    return code == ERR_OK ? v.code : code;
}
