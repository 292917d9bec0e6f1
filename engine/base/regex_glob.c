#include "engine/base/regex_glob.h"

#include <assert.h>

#include "engine/base/hash.h"
#include "engine/base/util.h"

enum {
    DEPTH_MAX = 32,
    PARTS_MAX = 32,      // of one sequence; what follows is a rough gap
    GLOBS_MAX = 64,      // with gaps: they are tried one after the other
    PRODUCT_MAX = 4096,  // of sets
    BYTES_MAX = 4 << 20, // of a product's texts
    MEMBERS_MAX = 16,    // of a class
    WORK_MAX = 16 << 20, // bytes of all products; then nothing more is found out
};

struct list {
    struct regex_glob *items;
    size_t n;
};

struct maker {
    const struct regex_tree *tree;
    struct arena *a;
    bool is_one_line;
    size_t work;
};

static const struct regex_part rough_gap = {.is_gap = true, .is_rough = true};

static struct list make_list(struct maker *m, size_t n)
{
    return (struct list){arena_alloc(m->a, n * sizeof(struct regex_glob), _Alignof(void *)), n};
}

static struct list list_of(struct maker *m, struct regex_part part, size_t parts)
{
    struct list l = make_list(m, 1);
    l.items[0].parts = arena_alloc(m->a, sizeof part, _Alignof(struct regex_part));
    l.items[0].parts[0] = part;
    l.items[0].n = parts;
    return l;
}

static struct list nothing(struct maker *m)
{
    return list_of(m, rough_gap, 0);
}

static struct list anything(struct maker *m)
{
    return list_of(m, rough_gap, 1);
}

static struct list text_of(struct maker *m, struct str text)
{
    return list_of(m, (struct regex_part){.text = text}, 1);
}

static bool is_text(const struct regex_glob *g)
{
    return g->n == 0 || (g->n == 1 && !g->parts[0].is_gap);
}

static bool are_texts(struct list l)
{
    for (size_t i = 0; i < l.n; i++)
        if (!is_text(&l.items[i]))
            return false;
    return true;
}

// Many are only worth it as a set.
static struct list within_limits(struct maker *m, struct list l)
{
    return l.n > GLOBS_MAX && !are_texts(l) ? anything(m) : l;
}

// ---- one behind the other

static void append(struct maker *m, struct regex_glob *g, const struct regex_part *part)
{
    struct regex_part *last = g->n ? &g->parts[g->n - 1] : NULL;
    if (last && last->is_gap && part->is_gap) {
        // Two that want a character each would want two.
        last->is_rough |= part->is_rough || (last->at_least_one && part->at_least_one);
        last->at_least_one |= part->at_least_one;
        return;
    }
    if (last && g->n >= PARTS_MAX && last->is_gap) {
        last->is_rough = true;
        return;
    }
    if (last && !last->is_gap && !part->is_gap) {
        char *p = arena_alloc(m->a, last->text.n + part->text.n, 1);
        memcpy(p, last->text.p, last->text.n);
        memcpy(p + last->text.n, part->text.p, part->text.n);
        last->text = str_make(p, last->text.n + part->text.n);
        return;
    }
    g->parts[g->n++] = *part;
}

static struct regex_glob join(struct maker *m, const struct regex_glob *a,
                              const struct regex_glob *b)
{
    struct regex_glob g = {.n = a->n};
    g.parts = arena_alloc(m->a, (a->n + b->n) * sizeof *g.parts, _Alignof(struct regex_part));
    if (a->n)
        memcpy(g.parts, a->parts, a->n * sizeof *g.parts);
    for (size_t i = 0; i < b->n; i++)
        append(m, &g, &b->parts[i]);
    return g;
}

static size_t bytes_of(struct list l)
{
    size_t n = 0;
    for (size_t i = 0; i < l.n; i++)
        for (size_t k = 0; k < l.items[i].n; k++)
            n += l.items[i].parts[k].text.n + sizeof(struct regex_part);
    return n;
}

static struct list product(struct maker *m, struct list a, struct list b)
{
    if (a.n == 1 && a.items[0].n == 0)
        return b;
    if (b.n == 1 && b.items[0].n == 0)
        return a;
    const size_t bytes = a.n * bytes_of(b) + b.n * bytes_of(a);
    const bool is_small = (a.n == 1 || b.n == 1 || a.n * b.n <= PRODUCT_MAX) && bytes <= BYTES_MAX;
    m->work += is_small ? bytes : BYTES_MAX;
    if (m->work > WORK_MAX)
        return anything(m);
    if (!is_small)
        b = anything(m);
    if (!is_small && a.n > GLOBS_MAX)
        return b;
    struct list all = make_list(m, a.n * b.n);
    for (size_t i = 0; i < a.n; i++)
        for (size_t k = 0; k < b.n; k++)
            all.items[i * b.n + k] = join(m, &a.items[i], &b.items[k]);
    return within_limits(m, all);
}

// ---- nodes

static struct list expand(struct maker *m, uint32_t at, bool at_start, bool at_end, int depth);

static bool has_no_case(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] >= 0x80 || (s.p[i] >= 'a' && s.p[i] <= 'z') ||
            (s.p[i] >= 'A' && s.p[i] <= 'Z'))
            return false;
    return true;
}

static struct list expand_class(struct maker *m, const struct regex_node *node)
{
    const int members = __builtin_popcountll(node->ascii[0]) + __builtin_popcountll(node->ascii[1]);
    if (!node->is_ascii || members == 0 || members > MEMBERS_MAX)
        return anything(m);
    struct list l = make_list(m, (size_t)members);
    size_t n = 0;
    for (unsigned c = 0; c < 128; c++)
        if (node->ascii[c / 64] >> (c % 64) & 1) {
            const char byte = (char)c;
            l.items[n++] = text_of(m, arena_str(m->a, str_make(&byte, 1))).items[0];
        }
    return l;
}

static struct list expand_repeat(struct maker *m, const struct regex_node *node, int depth)
{
    const struct regex_node *sub = &m->tree->nodes[node->child];
    if (node->max == REGEX_INFINITE && node->min <= 1 &&
        (sub->op == REGEX_ANY || sub->op == REGEX_ANY_NOT_NL)) {
        m->is_one_line |= sub->op == REGEX_ANY_NOT_NL;
        return list_of(m, (struct regex_part){.is_gap = true, .at_least_one = node->min == 1}, 1);
    }
    if (node->max == REGEX_INFINITE || node->max > 4 || node->min != node->max) {
        if (node->min != 0 || node->max != 1)
            return anything(m);
        const struct list once = expand(m, node->child, false, false, depth);
        struct list l = make_list(m, once.n + 1);
        memcpy(l.items, once.items, once.n * sizeof *l.items);
        l.items[once.n] = nothing(m).items[0];
        return within_limits(m, l);
    }
    struct list l = nothing(m);
    for (int32_t i = 0; i < node->max; i++)
        l = product(m, l, expand(m, node->child, false, false, depth));
    return l;
}

static struct list expand_concat(struct maker *m, const struct regex_node *node, bool at_start,
                                 bool at_end, int depth)
{
    struct list l = nothing(m);
    for (uint32_t at = node->child; at; at = m->tree->nodes[at].next) {
        const struct regex_node *sub = &m->tree->nodes[at];
        l = product(m, l, expand(m, at, at_start, at_end && !sub->next, depth));
        at_start &= sub->op == REGEX_BEGIN_TEXT || sub->op == REGEX_EMPTY;
    }
    return l;
}

static struct list expand_alternate(struct maker *m, const struct regex_node *node, bool at_start,
                                    bool at_end, int depth)
{
    size_t n = 0, capacity = 16;
    struct list l = make_list(m, capacity);
    for (uint32_t at = node->child; at; at = m->tree->nodes[at].next) {
        const struct list one = expand(m, at, at_start, at_end, depth);
        if (n + one.n > capacity) {
            capacity = 2 * (n + one.n);
            const struct list more = make_list(m, capacity);
            memcpy(more.items, l.items, n * sizeof *l.items);
            l = more;
        }
        memcpy(l.items + n, one.items, one.n * sizeof *l.items);
        n += one.n;
    }
    l.n = n;
    return within_limits(m, l);
}

static struct list expand(struct maker *m, uint32_t at, bool at_start, bool at_end, int depth)
{
    const struct regex_node *node = &m->tree->nodes[at];
    const struct str text = str_make(node->n ? m->tree->text.p + node->at : NULL, node->n);
    if (depth == DEPTH_MAX)
        return anything(m);
    switch (node->op) {
    case REGEX_EMPTY:
        return nothing(m);
    case REGEX_LITERAL:
        return !node->fold || has_no_case(text) ? text_of(m, arena_str(m->a, text)) : anything(m);
    case REGEX_CLASS:
        return expand_class(m, node);
    case REGEX_BEGIN_TEXT:
        return at_start ? nothing(m) : anything(m);
    case REGEX_END_TEXT:
        return at_end ? nothing(m) : anything(m);
    case REGEX_CAPTURE:
        return expand(m, node->child, at_start, at_end, depth + 1);
    case REGEX_REPEAT:
        return expand_repeat(m, node, depth + 1);
    case REGEX_CONCAT:
        return expand_concat(m, node, at_start, at_end, depth + 1);
    case REGEX_ALTERNATE:
        return expand_alternate(m, node, at_start, at_end, depth + 1);
    case REGEX_ANY:
    case REGEX_ANY_NOT_NL:
    case REGEX_BEGIN_LINE:
    case REGEX_END_LINE:
    case REGEX_WORD:
    case REGEX_NOT_WORD:
    case REGEX_LEFT_PAREN:
    case REGEX_BAR:
        break;
    }
    return anything(m);
}

// ---- sets

static struct str text_at(const struct regex_globs *g, size_t at)
{
    return g->items[at].n ? g->items[at].parts[0].text : STR("");
}

// The slot of text: its own, or the free one where it would stand.
static size_t slot_of(const struct regex_globs *g, struct str text)
{
    size_t at = (size_t)hash64(text.p, text.n, 0) & g->slots_mask;
    while (g->slots[at] && !str_eq(text_at(g, g->slots[at] - 1), text))
        at = (at + 1) & g->slots_mask;
    return at;
}

static void make_set(struct regex_globs *g)
{
    size_t slots = 8;
    while (slots < 2 * g->n)
        slots *= 2;
    g->is_set = true;
    g->slots_mask = slots - 1;
    g->slots = arena_zalloc(&g->arena, slots * sizeof *g->slots, _Alignof(uint32_t));
    size_t n = 0;
    for (size_t i = 0; i < g->n; i++) {
        const size_t slot = slot_of(g, text_at(g, i));
        if (g->slots[slot])
            continue;
        g->items[n++] = g->items[i];
        g->slots[slot] = (uint32_t)n;
    }
    g->n = n;
}

// ---- making

static void finish(struct regex_globs *g, struct list l)
{
    g->is_exact = true;
    for (size_t i = 0; i < l.n; i++)
        for (size_t k = 0; k < l.items[i].n; k++)
            g->is_exact &= !l.items[i].parts[k].is_rough;
    // One that anything fits makes the others useless.
    for (size_t i = 0; i < l.n && !g->is_exact; i++)
        if (l.items[i].n == 1 && l.items[i].parts[0].is_gap && !l.items[i].parts[0].at_least_one)
            return;
    g->items = l.items;
    g->n = l.n;
    if (g->is_exact && are_texts(l))
        make_set(g);
}

void regex_globs_make(const struct regex_tree *t, struct regex_globs *out)
{
    *out = (struct regex_globs){0};
    arena_init(&out->arena, 0);
    struct maker m = {.tree = t, .a = &out->arena};
    const struct list l = expand(&m, t->root, true, true, 0);
    out->is_one_line = m.is_one_line;
    finish(out, l);
}

void regex_globs_of_list(struct str list, struct regex_globs *out)
{
    *out = (struct regex_globs){0};
    arena_init(&out->arena, 0);
    struct maker m = {.a = &out->arena};
    size_t n = 1;
    for (size_t i = 0; i < list.n; i++)
        n += list.p[i] == '|';
    list = arena_str(m.a, list);
    struct list l = make_list(&m, n);
    struct regex_part *parts = arena_alloc(m.a, n * sizeof *parts, _Alignof(struct regex_part));
    for (size_t i = 0, from = 0; i < n; i++) {
        const ptrdiff_t bar = str_find(list, '|', from);
        const size_t end = bar < 0 ? list.n : (size_t)bar;
        parts[i] = (struct regex_part){.text = str_make(list.p + from, end - from)};
        l.items[i] = (struct regex_glob){&parts[i], end > from};
        from = end + 1;
    }
    finish(out, l);
}

void regex_globs_deinit(struct regex_globs *g)
{
    arena_deinit(&g->arena);
    *g = (struct regex_globs){0};
}

// ---- asking

static bool fits(const struct regex_glob *g, struct str text)
{
    size_t first = 0, end = g->n;
    if (end && !g->parts[0].is_gap) {
        if (!str_has_prefix(text, g->parts[0].text))
            return false;
        text = str_from(text, g->parts[0].text.n);
        first = 1;
    }
    if (first == end)
        return text.n == 0;
    if (!g->parts[end - 1].is_gap) {
        if (!str_has_suffix(text, g->parts[end - 1].text))
            return false;
        text = str_until(text, text.n - g->parts[--end].text.n);
    }
    // Now gap, text, ..., gap: each text where it comes first leaves most for the rest.
    size_t least = g->parts[first++].at_least_one;
    for (; first < end; first += 2) {
        assert(!g->parts[first].is_gap && g->parts[first + 1].is_gap);
        const struct str what = g->parts[first].text;
        if (text.n < least + what.n)
            return false;
        const char *p = memmem(text.p + least, text.n - least, what.p, what.n);
        if (!p)
            return false;
        text = str_from(text, (size_t)(p - text.p) + what.n);
        least = g->parts[first + 1].at_least_one;
    }
    return text.n >= least;
}

bool regex_globs_fit(const struct regex_globs *g, struct str text)
{
    if (g->is_set)
        return g->slots[slot_of(g, text)] != 0;
    for (size_t i = 0; i < g->n; i++)
        if (fits(&g->items[i], text))
            return true;
    return false;
}

struct str regex_globs_prefix(const struct regex_globs *g)
{
    struct str prefix = {0};
    for (size_t i = 0; i < g->n; i++) {
        const struct regex_glob *one = &g->items[i];
        const struct str text =
            one->n && !one->parts[0].is_gap ? one->parts[0].text : (struct str){0};
        if (i == 0)
            prefix = text;
        size_t n = 0;
        while (n < prefix.n && n < text.n && prefix.p[n] == text.p[n])
            n++;
        prefix.n = n;
    }
    return prefix;
}
