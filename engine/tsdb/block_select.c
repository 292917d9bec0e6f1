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
#include "engine/tsdb/block_reader.h"
#include "engine/tsdb/block_symbols.h"
#include "io/fiber.h"

static const char too_much[] = "the query uses too much memory";

struct bitmap {
    uint64_t *words;
    size_t n;    // bits
    bool is_any; // some bit was set by bitmap_set_run
};

static bool bitmap_init(struct bitmap *b, struct arena *a, size_t n, bool full)
{
    const size_t words = n / 64 + 1;
    b->words = arena_try(a, words, sizeof *b->words, _Alignof(uint64_t));
    b->n = n;
    b->is_any = false;
    if (b->words)
        memset(b->words, full ? 0xff : 0, words * sizeof *b->words);
    return b->words;
}

static void bitmap_clear(struct bitmap *b)
{
    memset(b->words, 0, (b->n / 64 + 1) * sizeof *b->words);
    b->is_any = false;
}

static bool bitmap_has(const struct bitmap *b, uint32_t i)
{
    return b->words[i / 64] >> (i % 64) & 1;
}

// The first mark at or behind from; end: there is none before it.
static uint32_t next_mark(const struct bitmap *marks, uint32_t from, uint32_t end)
{
    while (from < end) {
        const uint64_t word = marks->words[from / 64] >> (from % 64);
        if (word) {
            const uint32_t at = from + (uint32_t)__builtin_ctzll(word);
            return at < end ? at : end;
        }
        from = (from / 64 + 1) * 64;
    }
    return end;
}

static void bitmap_set_run(struct bitmap *b, size_t from, size_t length)
{
    b->is_any = true;
    for (size_t i = from; i < from + length;) {
        if (i % 64 == 0 && from + length - i >= 64) {
            b->words[i / 64] = UINT64_MAX;
            i += 64;
        } else {
            b->words[i / 64] |= (uint64_t)1 << (i % 64);
            i++;
        }
    }
}

static void bitmap_keep(struct bitmap *b, const struct bitmap *other, bool negated)
{
    for (size_t i = 0; i <= b->n / 64; i++)
        b->words[i] &= negated ? ~other->words[i] : other->words[i];
}

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
    return next_mark(&s->sets, first, first + items) < first + items;
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

// ---- label names and values

struct marking {
    struct bitmap marks; // over names, or over the pairs of one name
    uint32_t from;
    struct arena *a;
    struct str *out;
    size_t n;
};

// The distinct sets, or tuples, of hits, ascending.
static uint32_t *distinct(const struct block_hit *hits, size_t n, bool tuples, size_t limit,
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
        uint32_t *items =
            distinct(hits, n, side == 1, f->footer.sections[sides[side]].items, a, &count);
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

// ---- select: hits with their labels

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
        const uint32_t pair = next_mark(&t->marks, first, end);
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
    out->items =
        distinct(hits, n, section == BLOCK_TUPLES, f->footer.sections[section].items, a, &out->n);
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

static err build_series(struct building *b, const struct block_hit *hits, size_t n,
                        struct arena *scratch, struct block_series *out, struct errmsg *e)
{
    struct block_series *series =
        arena_try(scratch, n, sizeof *series, _Alignof(struct block_series));
    if (!series)
        return err_set(e, ERR_LIMIT, too_much);
    TRY(building_load(b, hits, n, scratch, e));
    for (size_t i = 0; i < n; i++) {
        series[i].id = hits[i].id;
        series[i].partition = b->f->tuple_partitions[hits[i].tuple];
        TRY(build_whole(b, &hits[i], &series[i].labels, e));
        if (i % 64 == 63)
            fiber_yield_if_due();
    }
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
