// Finding series by matchers.
//
// A label stands in a series' set or in its tuple, never in both. A matcher that an absent label
// does not satisfy asks for the set or the tuple to be among those that have a matching value;
// any other one refuses the sets and tuples that have a value it does not match. Bitmaps over sets
// and over tuples hold what is left; only a matcher whose label is found on both sides needs a look
// at each pair of them.
#include <stdlib.h>

#include "engine/base/mem.h"
#include "engine/tsdb/block_match.h"
#include "io/fiber.h"

static const char too_much[] = "the query uses too much memory";

// ---- postings

// Suspends.
static bool runs_parse(struct block_cursor *c, struct bitmap *out, size_t limit)
{
    const uint64_t runs = block_number(c);
    uint64_t at = 0;
    for (uint64_t i = 0; i < runs && !c->failed; i++) {
        const uint64_t gap = block_number(c);
        const uint64_t length = gap & 1 ? (uint64_t)block_number_below(c, limit) + 2 : 1;
        if (gap / 2 >= limit - at || length > limit - at - gap / 2)
            return false;
        at += gap / 2;
        if (out)
            bitmap_set_run(out, at, length);
        at += length;
        if (i % 4096 == 4095)
            fiber_yield_if_due();
    }
    return !c->failed;
}

// The postings of a chunk's pairs whose bits are set, counted from first, from *at on and below
// end.
static bool postings_parse(const struct block_file *f, const struct block_held *held,
                           uint32_t first, const struct bitmap *pairs, uint32_t *at, uint32_t end,
                           struct bitmap *sets, struct bitmap *tuples)
{
    struct block_cursor c = block_chunk_cursor(held);
    for (uint32_t i = 0; i < held->items && *at < end; i++) {
        const bool wanted = first + *at == held->first + i;
        if (!runs_parse(&c, wanted ? sets : NULL, f->footer.sections[BLOCK_SETS].items) ||
            !runs_parse(&c, wanted ? tuples : NULL, f->footer.sections[BLOCK_TUPLES].items))
            return false;
        if (wanted)
            *at = bitmap_next(pairs, *at + 1, end);
        if (i % 4096 == 4095)
            fiber_yield_if_due();
    }
    return true;
}

// Of the pairs of a name whose bits are set.
static err read_postings(struct block_file *f, uint32_t name, const struct bitmap *pairs,
                         struct bitmap *sets, struct bitmap *tuples, struct errmsg *e)
{
    const uint32_t first = f->names.first[name], end = f->names.first[name + 1] - first;
    TRY(block_table_load(f, BLOCK_POSTINGS, e));
    for (uint32_t at = bitmap_next(pairs, 0, end); at < end;) {
        struct block_held *held;
        const uint32_t index = block_chunk_of(f, BLOCK_POSTINGS, first + at);
        TRY(block_chunk_get(f, BLOCK_POSTINGS, index, &held, e));
        err code = postings_parse(f, held, first, pairs, &at, end, sets, tuples)
                       ? ERR_OK
                       : block_chunk_corrupt(f, held, e);
        block_chunk_put(f, held);
        TRY(code);
        fiber_yield_if_due();
    }
    return ERR_OK;
}

// ---- a selection

struct both { // a matcher with values on both sides: one of them must have it
    struct bitmap sets, tuples;
};

struct selection {
    struct block_file *f;
    struct arena *a;      // scratch
    struct arena matcher; // likewise, of one matcher
    struct bitmap sets, tuples;
    struct both *both;
    size_t both_n, both_capacity;
    struct both spare; // of the matcher before, to be used again; words NULL: none
    bool is_empty;
    // What is found leaves some at a time.
    struct block_hit *hits; // room for BLOCK_HITS_AT_ONCE
    struct tombstones *tombstones;
    struct hidden all; // times of the file
    size_t n;
    block_hits_fn *take;
    void *arg;
    err code; // take's
    struct errmsg *e;
};

// Two cleared bitmaps: there may be as many matchers as a query has room for.
static bool take_bitmaps(struct selection *s, struct bitmap *out_sets, struct bitmap *out_tuples)
{
    if (!s->spare.sets.words)
        return bitmap_init(out_sets, s->a, s->sets.n, false) &&
               bitmap_init(out_tuples, s->a, s->tuples.n, false);
    *out_sets = s->spare.sets;
    *out_tuples = s->spare.tuples;
    s->spare = (struct both){0};
    bitmap_clear(out_sets);
    bitmap_clear(out_tuples);
    return true;
}

static void breathe_at(size_t i)
{
    if (i % 4096 == 4095)
        fiber_yield_if_due();
}

static err no_room(struct errmsg *e)
{
    return err_set(e, ERR_LIMIT, too_much);
}

// The values of the name that the sets or tuples left on one side have, as bits.
static err mark_values(struct selection *s, uint32_t name, enum block_section section,
                       const struct bitmap *left, struct bitmap *out, struct errmsg *e)
{
    const uint32_t first = s->f->names.first[name], end = s->f->names.first[name + 1];
    const size_t n = bitmap_count(left);
    uint32_t *items = arena_try(&s->matcher, n, sizeof *items, _Alignof(uint32_t)), at = 0;
    struct block_lists lists;
    if (!items)
        return no_room(e);
    for (size_t i = 0; i < n; i++) {
        items[i] = at = bitmap_next(left, i ? at + 1 : 0, (uint32_t)left->n);
        breathe_at(i);
    }
    TRY(block_lists_load(s->f, section, items, n, &s->matcher, &lists, e));
    for (size_t i = 0; n && i < lists.ends[n - 1]; i++) {
        if (lists.pairs[i] >= first && lists.pairs[i] < end)
            bitmap_set_run(out, lists.pairs[i] - first, 1);
        breathe_at(i);
    }
    return ERR_OK;
}

// The values to look at, where few sets and tuples are left; else *out stays NULL.
static err find_among(struct selection *s, const struct block_match *x, struct bitmap *room,
                      struct bitmap **out, struct errmsg *e)
{
    enum { DEAR = 8 }; // to load a list against trying a value
    const uint32_t values = s->f->names.first[x->name + 1] - s->f->names.first[x->name];
    if (x->cost < 256 || (bitmap_count(&s->sets) + bitmap_count(&s->tuples)) * DEAR > x->cost)
        return ERR_OK;
    if (!bitmap_init(room, &s->matcher, values, false))
        return no_room(e);
    TRY(mark_values(s, x->name, BLOCK_SETS, &s->sets, room, e));
    TRY(mark_values(s, x->name, BLOCK_TUPLES, &s->tuples, room, e));
    *out = room;
    return ERR_OK;
}

static void keep_matching(struct selection *s, const struct block_match *x,
                          const struct bitmap *sets, const struct bitmap *tuples)
{
    if (x->takes_absent) {
        bitmap_keep(&s->sets, sets, true);
        bitmap_keep(&s->tuples, tuples, true);
    } else if (!tuples->is_any) {
        bitmap_keep(&s->sets, sets, false);
        s->is_empty |= !sets->is_any;
    } else if (!sets->is_any) {
        bitmap_keep(&s->tuples, tuples, false);
    } else {
        s->both = mem_grow(s->both, &s->both_capacity, s->both_n + 1, sizeof *s->both);
        s->both[s->both_n++] = (struct both){*sets, *tuples};
        return;
    }
    s->spare = (struct both){*sets, *tuples};
}

static err apply_match(struct selection *s, const struct block_match *x, struct errmsg *e)
{
    struct bitmap sets, tuples, values, room, *among = NULL;
    arena_reset(&s->matcher);
    TRY(find_among(s, x, &room, &among, e));
    const uint32_t n = s->f->names.first[x->name + 1] - s->f->names.first[x->name];
    if (!take_bitmaps(s, &sets, &tuples) || !bitmap_init(&values, &s->matcher, n, false))
        return no_room(e);
    TRY(block_match_run(x, s->f, among, &values, e));
    TRY(read_postings(s->f, x->name, &values, &sets, &tuples, e));
    keep_matching(s, x, &sets, &tuples);
    return ERR_OK;
}

static int by_cost(const void *a, const void *b)
{
    const struct block_match *x = a, *y = b;
    return (x->cost > y->cost) - (x->cost < y->cost);
}

// What costs little comes first: it may leave few that the others must look at.
static err apply_matchers(struct selection *s, const struct matcher *ms, size_t ms_count,
                          struct errmsg *e)
{
    struct block_match *xs = arena_try(s->a, ms_count, sizeof *xs, _Alignof(struct block_match));
    size_t n = 0;
    if (!xs)
        return no_room(e);
    for (size_t i = 0; i < ms_count && !s->is_empty; i++) {
        uint32_t name;
        if (block_name_find(s->f, ms[i].name, &name))
            TRY(block_match_init(&xs[n++], s->f, &ms[i], name, e));
        else
            s->is_empty |= !matcher_matches_empty(&ms[i]);
        fiber_yield_if_due();
    }
    if (n)
        qsort(xs, n, sizeof *xs, by_cost);
    for (size_t i = 0; i < n && !s->is_empty; i++) {
        TRY(apply_match(s, &xs[i], e));
        fiber_yield_if_due();
    }
    return ERR_OK;
}

static err apply_range(struct selection *s, struct block_range range, struct errmsg *e)
{
    const struct block_summary *summary = block_file_summary(s->f);
    if (range.begin <= summary->partition_min && range.end > summary->partition_max)
        return ERR_OK;
    TRY(block_partitions_load(s->f, e));
    for (uint32_t i = 0; i < s->tuples.n; i++)
        if (s->f->tuple_partitions[i] < range.begin || s->f->tuple_partitions[i] >= range.end)
            s->tuples.words[i / 64] &= ~((uint64_t)1 << (i % 64));
    return ERR_OK;
}

static bool pair_is_left(const struct selection *s, uint32_t set, uint32_t tuple)
{
    if (!bitmap_has(&s->tuples, tuple))
        return false;
    for (size_t i = 0; i < s->both_n; i++)
        if (!bitmap_has(&s->both[i].sets, set) && !bitmap_has(&s->both[i].tuples, tuple))
            return false;
    return true;
}

static void hand_over(struct selection *s)
{
    const size_t n = s->n;
    s->n = 0;
    if (n)
        s->code = s->take(s->arg, s->hits, n, s->e);
}

static void add_hits(struct selection *s, uint32_t set, uint64_t id, const uint32_t *tuples,
                     size_t n)
{
    for (size_t i = 0; i < n && s->code == ERR_OK; i++) {
        breathe_at(i);
        if (!pair_is_left(s, set, tuples[i]))
            continue;
        if (s->tombstones && tombstones_hide(s->tombstones, (uint32_t)(id + i), s->all))
            continue;
        s->hits[s->n++] = (struct block_hit){set, tuples[i], (uint32_t)(id + i)};
        if (s->n == BLOCK_HITS_AT_ONCE)
            hand_over(s);
    }
}

struct tuple_list {
    uint32_t *tuples; // ascending; charged to the selection's arena
    size_t n, capacity;
};

// n gaps; nearly all are one byte. Suspends.
static bool tuples_parse(struct block_cursor *c, uint64_t n, uint64_t tuples_max, uint32_t *out)
{
    uint64_t tuple = 0;
    for (uint64_t i = 0; i < n; i++) {
        uint64_t gap;
        if (c->at < c->end && *c->at < 0x80)
            gap = *c->at++;
        else
            gap = block_number_below(c, tuples_max);
        tuple += gap;
        if ((gap == 0 && i > 0) || tuple >= tuples_max)
            return false;
        out[i] = (uint32_t)tuple;
        breathe_at(i);
    }
    return !c->failed;
}

// The tuples of a set into list, unless they are the same as before.
static err series_parse(struct selection *s, struct block_cursor *c, uint64_t series_left,
                        struct tuple_list *list)
{
    const uint64_t n = block_number(c);
    if (n == 0)
        return list->n > 0 && list->n <= series_left && !c->failed ? ERR_OK : ERR_CORRUPT;
    if (n > series_left || n > (size_t)(c->end - c->at))
        return ERR_CORRUPT;
    if (n > list->capacity) {
        uint32_t *tuples =
            arena_mem_grow(s->a, list->tuples, &list->capacity, n, sizeof *list->tuples);
        if (!tuples)
            return ERR_LIMIT;
        list->tuples = tuples;
    }
    list->n = n;
    return tuples_parse(c, n, s->tuples.n, list->tuples) ? ERR_OK : ERR_CORRUPT;
}

// ERR_CORRUPT, ERR_LIMIT without words; what take() returned is in s->code.
static err scan_series(struct selection *s, const struct block_held *held, struct tuple_list *list)
{
    const uint64_t series_max = block_file_summary(s->f)->series;
    struct block_cursor c = block_chunk_cursor(held);
    uint64_t id = block_number(&c);
    size_t since = 0; // the last question
    list->n = 0;
    for (uint32_t i = 0; i < held->items && s->code == ERR_OK; i++) {
        if (id > series_max)
            return ERR_CORRUPT;
        TRY(series_parse(s, &c, series_max - id, list));
        if (bitmap_has(&s->sets, held->first + i))
            add_hits(s, held->first + i, id, list->tuples, list->n);
        id += list->n;
        since += list->n;
        if (i % 256 == 255 || since > 256) {
            since = 0;
            fiber_yield_if_due();
        }
    }
    return s->code != ERR_OK || c.at == c.end ? ERR_OK : ERR_CORRUPT;
}

static bool has_any_set(const struct selection *s, uint32_t chunk)
{
    const uint32_t first = s->f->tables[BLOCK_SERIES].chunks[chunk].first;
    const uint32_t items = block_chunk_items(s->f, BLOCK_SERIES, chunk);
    return bitmap_next(&s->sets, first, first + items) < first + items;
}

static err scan_all(struct selection *s, struct errmsg *e)
{
    struct tuple_list list = {0};
    err code = block_table_load(s->f, BLOCK_SERIES, e);
    const uint32_t chunks = s->f->footer.sections[BLOCK_SERIES].chunks;
    for (uint32_t i = 0; i < chunks && code == ERR_OK; i++) {
        struct block_held *held;
        if (!has_any_set(s, i)) {
            if (i % 64 == 63)
                fiber_yield_if_due();
            continue;
        }
        code = block_chunk_get(s->f, BLOCK_SERIES, i, &held, e);
        if (code != ERR_OK)
            break;
        code = scan_series(s, held, &list);
        if (code == ERR_CORRUPT)
            code = block_chunk_corrupt(s->f, held, e);
        else if (code == ERR_LIMIT)
            code = no_room(e);
        block_chunk_put(s->f, held);
        code = code == ERR_OK ? s->code : code;
        fiber_yield_if_due();
    }
    arena_mem_free(s->a, list.tuples, list.capacity, sizeof *list.tuples);
    if (code == ERR_OK)
        hand_over(s);
    return code == ERR_OK ? s->code : code;
}

static err select_hits(struct selection *s, const struct matcher *ms, size_t ms_count,
                       struct block_range range, struct errmsg *e)
{
    const struct block_section_info *sections = s->f->footer.sections;
    if (sections[BLOCK_SERIES].items != sections[BLOCK_SETS].items)
        return block_corrupt(s->f, sections[BLOCK_SERIES].table_offset, e,
                             "sets and series disagree");
    TRY(block_names_load(s->f, e));
    if (!bitmap_init(&s->sets, s->a, sections[BLOCK_SETS].items, true) ||
        !bitmap_init(&s->tuples, s->a, sections[BLOCK_TUPLES].items, true))
        return err_set(e, ERR_LIMIT, too_much);
    TRY(apply_matchers(s, ms, ms_count, e));
    if (s->is_empty || range.begin >= range.end)
        return ERR_OK;
    TRY(apply_range(s, range, e));
    return scan_all(s, e);
}

err block_hits_each(struct block_file *f, const struct matcher *ms, size_t ms_count,
                    struct block_range range, const struct arena *beside, void *arg,
                    struct errmsg *e, block_hits_fn *take)
{
    struct arena scratch;
    arena_init_beside(&scratch, beside);
    const struct block_summary *summary = &f->footer.summary;
    struct selection s = {.f = f,
                          .a = &scratch,
                          .tombstones = tombstones_ref(f->tombstones),
                          .all = {summary->min_t, summary->max_t},
                          .take = take,
                          .arg = arg,
                          .e = e};
    arena_init_beside(&s.matcher, beside);
    s.hits = arena_try(&scratch, BLOCK_HITS_AT_ONCE, sizeof *s.hits, _Alignof(struct block_hit));
    const err code =
        s.hits ? select_hits(&s, ms, ms_count, range, e) : err_set(e, ERR_LIMIT, too_much);
    tombstones_unref(s.tombstones);
    mem_free(s.both);
    arena_deinit(&s.matcher);
    arena_deinit(&scratch);
    return code;
}

struct hits_part {
    struct hits_part *next;
    size_t n;
    struct block_hit hits[];
};

struct all_hits {
    struct arena parts;
    struct hits_part *first, **last;
    size_t n, max;
};

static err keep_hits(void *arg, const struct block_hit *hits, size_t n, struct errmsg *e)
{
    struct all_hits *all = arg;
    if (all->max && all->n + n > all->max)
        return err_set(e, ERR_LIMIT, "more than %zu series match", all->max);
    struct hits_part *part =
        arena_try(&all->parts, 1, sizeof *part + n * sizeof *hits, _Alignof(struct hits_part));
    if (!part)
        return err_set(e, ERR_LIMIT, too_much);
    part->next = NULL;
    part->n = n;
    memcpy(part->hits, hits, n * sizeof *hits);
    *all->last = part;
    all->last = &part->next;
    all->n += n;
    return ERR_OK;
}

err block_hits(struct block_file *f, const struct matcher *ms, size_t ms_count,
               struct block_range range, size_t max, struct arena *a, struct block_hit **out,
               size_t *out_n, struct errmsg *e)
{
    struct all_hits all = {.max = max, .last = &all.first};
    arena_init_beside(&all.parts, a);
    err code = block_hits_each(f, ms, ms_count, range, a, &all, e, keep_hits);
    if (code == ERR_OK) {
        struct block_hit *hits = arena_try(a, all.n, sizeof *hits, _Alignof(struct block_hit));
        code = hits ? ERR_OK : err_set(e, ERR_LIMIT, too_much);
        size_t at = 0;
        for (const struct hits_part *part = all.first; hits && part; part = part->next) {
            memcpy(hits + at, part->hits, part->n * sizeof *hits);
            at += part->n;
            fiber_yield_if_due();
        }
        if (hits) {
            *out = hits;
            *out_n = all.n;
        }
    }
    arena_deinit(&all.parts);
    return code;
}

uint32_t *block_hits_distinct(const struct block_hit *hits, size_t n, bool tuples, size_t limit,
                              struct arena *a, size_t *out_n)
{
    struct bitmap seen;
    size_t count = 0, at = 0;
    if (!bitmap_init(&seen, a, limit, false))
        return NULL;
    for (size_t i = 0; i < n; i++) {
        bitmap_set_run(&seen, tuples ? hits[i].tuple : hits[i].set, 1);
        if (i % 4096 == 4095)
            fiber_yield_if_due();
    }
    for (size_t i = 0; i <= limit / 64; i++)
        count += (size_t)__builtin_popcountll(seen.words[i]);
    uint32_t *items = arena_try(a, count, sizeof *items, _Alignof(uint32_t));
    for (size_t i = 0; items && i <= limit / 64; i++) {
        for (uint64_t word = seen.words[i]; word; word &= word - 1)
            items[at++] = (uint32_t)(i * 64 + (size_t)__builtin_ctzll(word));
        if (i % 256 == 255)
            fiber_yield_if_due();
    }
    *out_n = count;
    return items;
}
