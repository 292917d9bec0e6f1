// Finding series by matchers.
//
// A label stands in a series' set or in its tuple, never in both. A matcher that an absent label
// does not satisfy asks for the set or the tuple to be among those that have a matching value;
// any other one refuses the sets and tuples that have a value it does not match. Bitmaps over sets
// and over tuples hold what is left; only a matcher whose label is found on both sides needs a look
// at each pair of them.
#include <assert.h>
#include <stdlib.h>

#include "engine/base/mem.h"
#include "engine/model/labels.h"
#include "engine/tsdb/block_bitmap.h"
#include "engine/tsdb/block_reader.h"
#include "io/fiber.h"

static const char too_much[] = "the query uses too much memory";

// ---- pairs of a matcher

struct pair_list {
    uint32_t *pairs; // ascending
    size_t n, capacity;
};

static void pair_list_add(struct pair_list *l, uint32_t pair)
{
    l->pairs = mem_grow(l->pairs, &l->capacity, l->n + 1, sizeof *l->pairs);
    l->pairs[l->n++] = pair;
}

struct scan {
    const struct matcher *m;
    bool wanted; // collect the values that match, or those that do not
    struct str prefix;
    struct pair_list *out;
};

static bool scan_value(void *arg, uint32_t pair, struct str value)
{
    struct scan *s = arg;
    if (!str_has_prefix(value, s->prefix))
        return false; // sorted: none follows
    if (matcher_matches(s->m, value) == s->wanted)
        pair_list_add(s->out, pair);
    return true;
}

struct exact {
    struct str value;
    bool is_equal;
};

static bool exact_value(void *arg, uint32_t pair, struct str value)
{
    struct exact *x = arg;
    (void)pair;
    x->is_equal = str_eq(value, x->value);
    return false;
}

static err add_literal(struct block_file *f, uint32_t name, struct str value, struct pair_list *out,
                       struct errmsg *e)
{
    struct exact x = {.value = value};
    uint32_t pair;
    TRY(block_pairs_lower_bound(f, name, value, &pair, e));
    TRY(block_pairs_walk(f, pair, f->names.first[name + 1] > pair ? pair + 1 : pair, e, &x,
                         exact_value));
    if (x.is_equal)
        pair_list_add(out, pair);
    return ERR_OK;
}

static int order_of_pairs(const void *a, const void *b)
{
    const uint32_t x = load_le32(a), y = load_le32(b);
    return (x > y) - (x < y);
}

// The values of the name that match (wanted) or do not. Whether the listed ones are those that
// equal the matcher's text, whatever its sign, decides about the short ways.
static err collect_pairs(struct block_file *f, const struct matcher *m, uint32_t name, bool wanted,
                         struct pair_list *out, struct errmsg *e)
{
    enum { LITERALS_MAX = 64 };
    const bool is_regex = m->kind == MATCHER_RE || m->kind == MATCHER_NRE;
    const bool is_positive = m->kind == MATCHER_EQ || m->kind == MATCHER_RE;
    const bool listed = is_positive == wanted;
    struct scan s = {m, wanted, {0}, out};
    uint32_t from = f->names.first[name];
    if (listed && !is_regex)
        return add_literal(f, name, m->value, out, e);
    if (listed) {
        struct str literals[LITERALS_MAX];
        const size_t n = regex_literals(m->regex, literals, LITERALS_MAX);
        for (size_t i = 0; i < n; i++)
            TRY(add_literal(f, name, literals[i], out, e));
        if (n) {
            if (out->n)
                qsort(out->pairs, out->n, sizeof *out->pairs, order_of_pairs);
            return ERR_OK;
        }
        s.prefix = regex_prefix(m->regex);
        TRY(block_pairs_lower_bound(f, name, s.prefix, &from, e));
    }
    return block_pairs_walk(f, from, f->names.first[name + 1], e, &s, scan_value);
}

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

static bool postings_parse(const struct block_file *f, const struct block_held *held,
                           const struct pair_list *l, size_t *done, struct bitmap *sets,
                           struct bitmap *tuples)
{
    struct block_cursor c = block_chunk_cursor(held);
    for (uint32_t i = 0; i < held->items && *done < l->n; i++) {
        const bool wanted = l->pairs[*done] == held->first + i;
        if (!runs_parse(&c, wanted ? sets : NULL, f->footer.sections[BLOCK_SETS].items) ||
            !runs_parse(&c, wanted ? tuples : NULL, f->footer.sections[BLOCK_TUPLES].items))
            return false;
        while (*done < l->n && l->pairs[*done] == held->first + i)
            ++*done;
    }
    return true;
}

static err read_postings(struct block_file *f, const struct pair_list *l, struct bitmap *sets,
                         struct bitmap *tuples, struct errmsg *e)
{
    TRY(block_table_load(f, BLOCK_POSTINGS, e));
    for (size_t done = 0; done < l->n;) {
        struct block_held *held;
        const uint32_t index = block_chunk_of(f, BLOCK_POSTINGS, l->pairs[done]);
        TRY(block_chunk_get(f, BLOCK_POSTINGS, index, &held, e));
        err code = postings_parse(f, held, l, &done, sets, tuples)
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
    struct arena *a; // scratch
    struct bitmap sets, tuples;
    struct both *both;
    size_t both_n, both_capacity;
    struct both spare; // of the matcher before, to be used again; words NULL: none
    bool is_empty;
    // what comes out
    struct block_hit *hits;
    size_t n, capacity, max;
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

static err apply_matcher(struct selection *s, const struct matcher *m, struct errmsg *e)
{
    const bool takes_absent = matcher_matches_empty(m);
    struct pair_list pairs = {0};
    struct bitmap sets, tuples;
    uint32_t name;
    if (!block_name_find(s->f, m->name, &name)) {
        s->is_empty |= !takes_absent;
        return ERR_OK;
    }
    if (!take_bitmaps(s, &sets, &tuples))
        return err_set(e, ERR_LIMIT, too_much);
    err code = collect_pairs(s->f, m, name, !takes_absent, &pairs, e);
    if (code == ERR_OK)
        code = read_postings(s->f, &pairs, &sets, &tuples, e);
    mem_free(pairs.pairs);
    TRY(code);
    if (takes_absent) {
        bitmap_keep(&s->sets, &sets, true);
        bitmap_keep(&s->tuples, &tuples, true);
    } else if (!tuples.is_any) {
        bitmap_keep(&s->sets, &sets, false);
        s->is_empty |= !sets.is_any;
    } else if (!sets.is_any) {
        bitmap_keep(&s->tuples, &tuples, false);
    } else {
        s->both = mem_grow(s->both, &s->both_capacity, s->both_n + 1, sizeof *s->both);
        s->both[s->both_n++] = (struct both){sets, tuples};
        return ERR_OK;
    }
    s->spare = (struct both){sets, tuples};
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

static void add_hits(struct selection *s, uint32_t set, uint64_t id, const uint32_t *tuples,
                     size_t n)
{
    for (size_t i = 0; i < n && s->n <= s->max; i++) {
        if (!pair_is_left(s, set, tuples[i]))
            continue;
        if (s->n == s->capacity) // many: room for all there are, instead of copies
            s->hits = mem_grow(s->hits, &s->capacity,
                               s->n < 4096 ? s->n + 1 : block_file_summary(s->f)->series + 1,
                               sizeof *s->hits);
        s->hits[s->n++] = (struct block_hit){set, tuples[i], (uint32_t)(id + i)};
    }
}

// The tuples of a set into list, unless they are the same as before.
static bool series_parse(struct block_cursor *c, uint64_t tuples_max, uint64_t series_left,
                         struct pair_list *list)
{
    const uint64_t n = block_number(c);
    if (n == 0)
        return list->n > 0 && list->n <= series_left && !c->failed;
    if (n > series_left || n > (size_t)(c->end - c->at))
        return false;
    uint64_t tuple = 0;
    list->n = 0;
    for (uint64_t i = 0; i < n && !c->failed; i++) {
        const uint64_t gap = block_number_below(c, tuples_max - tuple);
        if (i > 0 && gap == 0)
            return false;
        tuple += gap;
        pair_list_add(list, (uint32_t)tuple);
    }
    return !c->failed;
}

static bool scan_series(struct selection *s, const struct block_held *held, struct pair_list *list)
{
    const uint64_t series_max = block_file_summary(s->f)->series;
    struct block_cursor c = block_chunk_cursor(held);
    uint64_t id = block_number(&c);
    size_t yielded = s->n;
    list->n = 0;
    for (uint32_t i = 0; i < held->items; i++) {
        if (id > series_max || !series_parse(&c, s->tuples.n, series_max - id, list))
            return false;
        if (bitmap_has(&s->sets, held->first + i))
            add_hits(s, held->first + i, id, list->pairs, list->n);
        id += list->n;
        if (i % 256 == 255 || s->n - yielded > 256) {
            yielded = s->n;
            fiber_yield_if_due();
        }
    }
    return c.at == c.end;
}

static bool has_any_set(const struct selection *s, uint32_t chunk)
{
    const uint32_t first = s->f->tables[BLOCK_SERIES].chunks[chunk].first;
    const uint32_t items = block_chunk_items(s->f, BLOCK_SERIES, chunk);
    return bitmap_next(&s->sets, first, first + items) < first + items;
}

static err scan_all(struct selection *s, struct errmsg *e)
{
    struct pair_list list = {0};
    err code = block_table_load(s->f, BLOCK_SERIES, e);
    const uint32_t chunks = s->f->footer.sections[BLOCK_SERIES].chunks;
    for (uint32_t i = 0; i < chunks && code == ERR_OK && s->n <= s->max; i++) {
        struct block_held *held;
        if (!has_any_set(s, i)) {
            if (i % 64 == 63)
                fiber_yield_if_due();
            continue;
        }
        code = block_chunk_get(s->f, BLOCK_SERIES, i, &held, e);
        if (code != ERR_OK)
            break;
        if (!scan_series(s, held, &list))
            code = block_chunk_corrupt(s->f, held, e);
        block_chunk_put(s->f, held);
        fiber_yield_if_due();
    }
    mem_free(list.pairs);
    return code;
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
    for (size_t i = 0; i < ms_count && !s->is_empty; i++) {
        TRY(apply_matcher(s, &ms[i], e));
        fiber_yield_if_due();
    }
    if (s->is_empty || range.begin >= range.end)
        return ERR_OK;
    TRY(apply_range(s, range, e));
    return scan_all(s, e);
}

err block_hits(struct block_file *f, const struct matcher *ms, size_t ms_count,
               struct block_range range, size_t max, struct arena *a, struct block_hit **out,
               size_t *out_n, struct errmsg *e)
{
    struct arena scratch;
    arena_init_beside(&scratch, a);
    struct selection s = {.f = f, .a = &scratch, .max = max ? max : SIZE_MAX - 1};
    err code = select_hits(&s, ms, ms_count, range, e);
    if (code == ERR_OK && s.n > s.max)
        code = err_set(e, ERR_LIMIT, "more than %zu series match", max);
    struct block_hit *hits = NULL;
    if (code == ERR_OK) {
        hits = arena_try(a, s.n, sizeof *hits, _Alignof(struct block_hit));
        if (!hits)
            code = err_set(e, ERR_LIMIT, too_much);
        for (size_t at = 0, n; code == ERR_OK && at < s.n; at += n) {
            n = s.n - at < 4096 ? s.n - at : 4096;
            memcpy(hits + at, s.hits + at, n * sizeof *hits);
            fiber_yield_if_due();
        }
    }
    if (code == ERR_OK) {
        *out = hits;
        *out_n = s.n;
    }
    mem_free(s.hits);
    mem_free(s.both);
    arena_deinit(&scratch);
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
