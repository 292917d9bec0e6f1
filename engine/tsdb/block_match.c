#include "engine/tsdb/block_match.h"

#include <stdlib.h>

#include "engine/base/mem.h"
#include "io/fiber.h"

enum { LITERALS_MAX = 256, ANSWER_TRIED_MIN = 256, ANSWER_TEXT_MAX = 4096 };

struct block_answer { // which values of a name an expression matches
    struct list recent;
    uint32_t name;
    size_t pattern_n, bytes;
    uint64_t words[]; // then the pattern
};

static size_t words_of(const struct block_file *f, uint32_t name)
{
    return (f->names.first[name + 1] - f->names.first[name]) / 64 + 1;
}

static struct str pattern_of(const struct block_file *f, const struct block_answer *a)
{
    return str_make((const char *)(a->words + words_of(f, a->name)), a->pattern_n);
}

static void forget(struct block_file *f, struct block_answer *a)
{
    list_remove(&a->recent);
    f->answers_bytes -= a->bytes;
    mem_free(a);
}

void block_answers_drop(struct block_file *f)
{
    while (!list_is_empty(&f->answers))
        forget(f, container_of(f->answers.next, struct block_answer, recent));
}

static const struct block_answer *find_answer(struct block_file *f, uint32_t name,
                                              struct str pattern)
{
    for (struct list *at = f->answers.next; at != &f->answers; at = at->next) {
        struct block_answer *a = container_of(at, struct block_answer, recent);
        if (a->name != name || !str_eq(pattern_of(f, a), pattern))
            continue;
        list_remove(&a->recent);
        list_push(&f->answers, &a->recent);
        return a;
    }
    return NULL;
}

static void keep_answer(struct block_file *f, uint32_t name, struct str pattern,
                        const struct bitmap *bits)
{
    const size_t words = words_of(f, name);
    const size_t bytes = sizeof(struct block_answer) + words * sizeof *bits->words + pattern.n;
    if (pattern.n > ANSWER_TEXT_MAX || bytes > f->cache_bytes / 2 || find_answer(f, name, pattern))
        return;
    while (f->answers_bytes + bytes > f->cache_bytes / 2)
        forget(f, container_of(f->answers.next, struct block_answer, recent));
    struct block_answer *a = mem_alloc(bytes);
    a->name = name;
    a->pattern_n = pattern.n;
    a->bytes = bytes;
    memcpy(a->words, bits->words, words * sizeof *a->words);
    memcpy(a->words + words, pattern.p, pattern.n);
    list_push(&f->answers, &a->recent);
    f->answers_bytes += bytes;
}

// ---- what is to be done

static bool is_regex(const struct matcher *m)
{
    return m->kind == MATCHER_RE || m->kind == MATCHER_NRE;
}

static bool is_list(const struct matcher *m)
{
    struct str literals[LITERALS_MAX];
    return !is_regex(m) || regex_literals(m->regex, literals, LITERALS_MAX);
}

// The least text above all that begin with prefix, in room for as many bytes; n 0: there is none.
static struct str behind_prefix(struct str prefix, char *room)
{
    memcpy(room, prefix.p, prefix.n);
    while (prefix.n && (unsigned char)room[prefix.n - 1] == 0xff)
        prefix.n--;
    if (prefix.n)
        room[prefix.n - 1]++;
    return str_make(room, prefix.n);
}

// The pairs whose values begin as all that matches does.
static err find_range(struct block_match *x, struct block_file *f, struct errmsg *e)
{
    const struct str prefix = regex_prefix(x->m->regex);
    if (!prefix.n)
        return ERR_OK;
    TRY(block_pairs_lower_bound(f, x->name, prefix, &x->from, e));
    char *room = mem_alloc(prefix.n);
    const struct str behind = behind_prefix(prefix, room);
    const err code = behind.n ? block_pairs_lower_bound(f, x->name, behind, &x->to, e) : ERR_OK;
    mem_free(room);
    return code;
}

err block_match_init(struct block_match *x, struct block_file *f, const struct matcher *m,
                     uint32_t name, struct errmsg *e)
{
    const uint32_t first = f->names.first[name], end = f->names.first[name + 1];
    const bool is_positive = m->kind == MATCHER_EQ || m->kind == MATCHER_RE;
    *x = (struct block_match){.m = m, .name = name, .from = first, .to = first};
    x->takes_absent = matcher_matches_empty(m);
    x->is_inverse = is_positive == x->takes_absent;
    if (!is_list(m)) {
        x->to = end;
        TRY(find_range(x, f, e));
        x->cost = find_answer(f, name, m->value) ? 0 : x->to - x->from;
    }
    if (x->is_inverse)
        x->cost += end - first;
    return ERR_OK;
}

// ---- doing it

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

static err add_literal(const struct block_match *x, struct block_file *f, struct str value,
                       struct bitmap *out, struct errmsg *e)
{
    struct exact exact = {.value = value};
    const uint32_t first = f->names.first[x->name], end = f->names.first[x->name + 1];
    uint32_t pair;
    TRY(block_pairs_lower_bound(f, x->name, value, &pair, e));
    TRY(block_pairs_walk(f, pair, end > pair ? pair + 1 : pair, e, &exact, exact_value));
    if (exact.is_equal)
        bitmap_set_run(out, pair - first, 1);
    return ERR_OK;
}

static int by_bytes(const void *a, const void *b)
{
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

static err add_listed(const struct block_match *x, struct block_file *f, struct bitmap *out,
                      struct errmsg *e)
{
    struct str literals[LITERALS_MAX];
    if (!is_regex(x->m))
        return add_literal(x, f, x->m->value, out, e);
    const size_t n = regex_literals(x->m->regex, literals, LITERALS_MAX);
    qsort(literals, n, sizeof *literals, by_bytes); // neighbours stand in one chunk
    for (size_t i = 0; i < n; i++)
        TRY(add_literal(x, f, literals[i], out, e));
    return ERR_OK;
}

struct trial {
    const struct matcher *m;
    uint32_t first;             // of the name
    const struct bitmap *among; // or NULL
    uint32_t stop;              // nothing is asked for from here on, counted from the first
    struct bitmap *out;
};

static bool try_value(void *arg, uint32_t pair, struct str value)
{
    struct trial *t = arg;
    const uint32_t i = pair - t->first;
    if (t->among && !bitmap_has(t->among, i))
        return true;
    if (regex_matches(t->m->regex, value))
        bitmap_set_run(t->out, i, 1);
    return !t->among || bitmap_next(t->among, i + 1, t->stop) < t->stop;
}

// Some of the values, chunk by chunk.
static err try_some(const struct block_match *x, struct block_file *f, struct trial *t,
                    struct errmsg *e)
{
    TRY(block_table_load(f, BLOCK_PAIRS, e));
    const uint32_t to = x->to - t->first;
    uint32_t at = bitmap_next(t->among, x->from - t->first, to);
    while (at < to) {
        const uint32_t chunk = block_chunk_of(f, BLOCK_PAIRS, t->first + at);
        const uint32_t end = f->tables[BLOCK_PAIRS].chunks[chunk].first +
                             block_chunk_items(f, BLOCK_PAIRS, chunk) - t->first;
        t->stop = end < to ? end : to;
        TRY(block_pairs_walk(f, t->first + at, t->first + t->stop, e, t, try_value));
        at = bitmap_next(t->among, t->stop, to);
    }
    return ERR_OK;
}

static void invert(struct bitmap *b)
{
    for (size_t i = 0; i < b->n / 64; i++)
        b->words[i] = ~b->words[i];
    if (b->n % 64)
        b->words[b->n / 64] ^= ((uint64_t)1 << (b->n % 64)) - 1;
}

err block_match_run(const struct block_match *x, struct block_file *f, const struct bitmap *among,
                    struct bitmap *out, struct errmsg *e)
{
    const uint32_t first = f->names.first[x->name];
    const struct block_answer *known;
    if (x->from == x->to && is_list(x->m)) {
        TRY(add_listed(x, f, out, e));
    } else if ((known = find_answer(f, x->name, x->m->value))) {
        memcpy(out->words, known->words, words_of(f, x->name) * sizeof *out->words);
    } else {
        struct trial t = {x->m, first, among, 0, out};
        TRY(among ? try_some(x, f, &t, e) : block_pairs_walk(f, x->from, x->to, e, &t, try_value));
        if (!among && x->to - x->from >= ANSWER_TRIED_MIN)
            keep_answer(f, x->name, x->m->value, out);
    }
    if (x->is_inverse)
        invert(out);
    if (among)
        bitmap_keep(out, among, false);
    return ERR_OK;
}
