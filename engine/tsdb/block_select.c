// Finding series by matchers.
//
// A label stands in a series' set or in its tuple, never in both. A matcher that an absent label
// does not satisfy asks for the set or the tuple to be among those that have a matching value;
// any other one refuses the sets and tuples that have a value it does not match. Bitmaps over sets
// and over tuples hold what is left; only a matcher whose label is found on both sides needs a look
// at each pair of them.
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
    enum { LITERALS_MAX = 256 };
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
    // What is found leaves some at a time.
    struct block_hit *hits; // room for BLOCK_HITS_AT_ONCE
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
        if (!pair_is_left(s, set, tuples[i]))
            continue;
        s->hits[s->n++] = (struct block_hit){set, tuples[i], (uint32_t)(id + i)};
        if (s->n == BLOCK_HITS_AT_ONCE)
            hand_over(s);
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
    size_t since = 0; // the last question
    list->n = 0;
    for (uint32_t i = 0; i < held->items && s->code == ERR_OK; i++) {
        if (id > series_max || !series_parse(&c, s->tuples.n, series_max - id, list))
            return false;
        if (bitmap_has(&s->sets, held->first + i))
            add_hits(s, held->first + i, id, list->pairs, list->n);
        id += list->n;
        since += list->n;
        if (i % 256 == 255 || since > 256) {
            since = 0;
            fiber_yield_if_due();
        }
    }
    return s->code != ERR_OK || c.at == c.end;
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
        if (!scan_series(s, held, &list))
            code = block_chunk_corrupt(s->f, held, e);
        block_chunk_put(s->f, held);
        code = code == ERR_OK ? s->code : code;
        fiber_yield_if_due();
    }
    mem_free(list.pairs);
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
    for (size_t i = 0; i < ms_count && !s->is_empty; i++) {
        TRY(apply_matcher(s, &ms[i], e));
        fiber_yield_if_due();
    }
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
    struct selection s = {.f = f, .a = &scratch, .take = take, .arg = arg, .e = e};
    s.hits = arena_try(&scratch, BLOCK_HITS_AT_ONCE, sizeof *s.hits, _Alignof(struct block_hit));
    const err code =
        s.hits ? select_hits(&s, ms, ms_count, range, e) : err_set(e, ERR_LIMIT, too_much);
    mem_free(s.both);
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
