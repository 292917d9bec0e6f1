// The order of a name's values against a sorted list, while values come and go.
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/base/rng.h"
#include "engine/tsdb/label_store.h"

enum { VALUES = 4000, VALUE_MAX = 8, STEPS = 12000 };

struct value {
    char text[VALUE_MAX];
    size_t n;
    uint32_t pair; // LABEL_NONE: not there
};

static int by_bytes(const void *a, const void *b)
{
    const struct value *x = a, *y = b;
    return str_cmp(str_make(x->text, x->n), str_make(y->text, y->n));
}

static struct str text_of(const struct value *v)
{
    return str_make(v->text, v->n);
}

// Different ones, sorted. Few letters, some at the ends of what a byte may be.
static size_t make_values(struct rng *r, struct value *out)
{
    static const char letters[] = {'\0', 'a', 'b', '\x7f', '\xff'};
    size_t n = 0;
    for (size_t i = 0; i < VALUES; i++) {
        out[i] = (struct value){.n = 1 + (size_t)rng_below(r, VALUE_MAX - 1), .pair = LABEL_NONE};
        for (size_t k = 0; k < out[i].n; k++)
            out[i].text[k] = letters[rng_below(r, sizeof letters)];
    }
    qsort(out, VALUES, sizeof *out, by_bytes);
    for (size_t i = 0; i < VALUES; i++)
        if (n == 0 || by_bytes(&out[n - 1], &out[i]) != 0)
            out[n++] = out[i];
    return n;
}

// The values that are there, with the prefix, not below from: walked, and others come between.
static void check_walk(struct label_store *s, uint32_t name, struct value *values, size_t n,
                       struct str prefix, struct str from, struct rng *r)
{
    struct pair_walk walk;
    size_t at = 0, there = 0;
    for (size_t i = 0; i < n; i++)
        there += values[i].pair != LABEL_NONE && str_has_prefix(text_of(&values[i]), prefix);
    const size_t count = pair_order_count(s, name, prefix);
    if (there < PAIR_LEAF_MAX / 4 && n > 0)
        cr_assert(there == 0 ? count == 0 : count <= 4 * PAIR_LEAF_MAX, "%zu for %zu", count,
                  there);
    if (!prefix.n)
        cr_assert_eq(count, there);
    pair_walk_begin(&walk, s, name, prefix, from);
    for (uint32_t pair; (pair = pair_walk_next(&walk)) != LABEL_NONE;) {
        const struct str value = label_pair_value(label_pair_at(s, pair));
        while (at < n &&
               (values[at].pair == LABEL_NONE || !str_has_prefix(text_of(&values[at]), prefix) ||
                str_cmp(text_of(&values[at]), from) < 0))
            at++;
        cr_assert(at < n);
        cr_assert_eq(values[at].pair, pair);
        cr_assert(str_eq(text_of(&values[at]), value));
        at++;
        if (rng_below(r, 50) == 0) {
            struct value *other = &values[rng_below(r, n)];
            if (other->pair == LABEL_NONE)
                other->pair = label_store_pair(s, name, text_of(other));
            else if (other->pair != pair && other >= values + at) {
                label_store_trim_pair(s, other->pair);
                other->pair = LABEL_NONE;
            }
        }
    }
    for (; at < n; at++)
        cr_assert(values[at].pair == LABEL_NONE || !str_has_prefix(text_of(&values[at]), prefix) ||
                  str_cmp(text_of(&values[at]), from) < 0);
}

static void run(uint64_t seed, unsigned order)
{
    static struct value values[VALUES];
    struct label_store s;
    struct rng r;
    rng_init(&r, seed);
    label_store_init(&s, seed);
    const uint32_t name = label_store_name(&s, STR("name"));
    const size_t n = make_values(&r, values);
    check_walk(&s, name, values, 0, STR(""), STR(""), &r);
    for (size_t i = 0; i < n && order < 2; i++) { // ascending, descending
        struct value *v = &values[order ? n - 1 - i : i];
        v->pair = label_store_pair(&s, name, text_of(v));
    }
    for (size_t step = 0; step < STEPS; step++) {
        struct value *v = &values[rng_below(&r, n)];
        const bool wanted = rng_below(&r, STEPS) > step; // fewer and fewer
        if (wanted && v->pair == LABEL_NONE) {
            v->pair = label_store_pair(&s, name, text_of(v));
        } else if (!wanted && v->pair != LABEL_NONE) {
            label_store_trim_pair(&s, v->pair);
            v->pair = LABEL_NONE;
        }
        if (step % 200)
            continue;
        const struct value *one = &values[rng_below(&r, n)], *two = &values[rng_below(&r, n)];
        check_walk(&s, name, values, n, str_until(text_of(one), rng_below(&r, one->n + 1)),
                   rng_below(&r, 2) ? text_of(two) : STR(""), &r);
        check_walk(&s, name, values, n, STR(""), STR(""), &r);
    }
    for (size_t i = 0; i < n; i++)
        if (values[i].pair != LABEL_NONE)
            label_store_trim_pair(&s, values[i].pair);
    cr_assert_eq(s.names[name].pairs.n, 0);
    cr_assert_eq(s.names[name].pairs.leaves_n, 0);
    label_store_deinit(&s);
}

Test(pair_order, walks)
{
    for (unsigned i = 0; i < 6; i++)
        run(1 + i, i % 3);
}
