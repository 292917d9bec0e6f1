#include "engine/tsdb/pair_order.h"

#include <assert.h>
#include <string.h>

#include "engine/base/mem.h"
#include "engine/tsdb/label_store.h"

enum { FIRST_CAPACITY = 4, MERGED_MAX = PAIR_LEAF_MAX * 3 / 4, AHEAD = 8 };

struct pair_leaf {
    uint32_t n, capacity;
    uint32_t ids[];
};

void pair_order_deinit(struct pair_order *o)
{
    for (size_t i = 0; i < o->leaves_n; i++)
        mem_free(o->leaves[i]);
    mem_free(o->leaves);
    *o = (struct pair_order){0};
}

static struct str value_of(const struct label_store *s, uint32_t pair)
{
    return label_pair_value(label_pair_at(s, pair));
}

// The first pair whose value is not below value; behind the last of the last leaf: there is none.
static void lower_bound(const struct pair_order *o, const struct label_store *s, struct str value,
                        size_t *out_leaf, size_t *out_at)
{
    size_t low = 0, high = o->leaves_n; // the last leaf that begins below value is in [low, high)
    while (high - low > 1) {
        const size_t middle = low + (high - low) / 2;
        if (str_cmp(value_of(s, o->leaves[middle]->ids[0]), value) < 0)
            low = middle;
        else
            high = middle;
    }
    *out_leaf = low;
    *out_at = 0;
    if (!o->leaves_n)
        return;
    const struct pair_leaf *leaf = o->leaves[low];
    size_t from = 0, end = leaf->n;
    while (from < end) {
        const size_t middle = from + (end - from) / 2;
        if (str_cmp(value_of(s, leaf->ids[middle]), value) < 0)
            from = middle + 1;
        else
            end = middle;
    }
    *out_at = from;
    if (from == leaf->n && low + 1 < o->leaves_n) {
        *out_leaf = low + 1;
        *out_at = 0;
    }
}

static struct pair_leaf *make_leaf(uint32_t capacity)
{
    struct pair_leaf *leaf = mem_alloc(sizeof *leaf + capacity * sizeof *leaf->ids);
    leaf->n = 0;
    leaf->capacity = capacity;
    return leaf;
}

static void insert_leaf(struct pair_order *o, size_t at, struct pair_leaf *leaf)
{
    o->leaves = mem_grow(o->leaves, &o->capacity, o->leaves_n + 1, sizeof *o->leaves);
    memmove(o->leaves + at + 1, o->leaves + at, (o->leaves_n - at) * sizeof *o->leaves);
    o->leaves[at] = leaf;
    o->leaves_n++;
}

// Room in leaf *leaf for one more at *at. What is added in order leaves full leaves behind.
static void make_room(struct pair_order *o, size_t *leaf, size_t *at)
{
    struct pair_leaf *full = o->leaves[*leaf];
    if (full->capacity < PAIR_LEAF_MAX) {
        full->capacity *= 2;
        o->leaves[*leaf] = mem_realloc(full, sizeof *full + full->capacity * sizeof *full->ids);
        return;
    }
    const uint32_t keep = *at == full->n ? full->n : full->n / 2;
    struct pair_leaf *next = make_leaf(PAIR_LEAF_MAX);
    next->n = full->n - keep;
    memcpy(next->ids, full->ids + keep, next->n * sizeof *next->ids);
    full->n = keep;
    insert_leaf(o, *leaf + 1, next);
    if (*at > keep || *at == full->capacity) {
        *leaf += 1;
        *at -= keep;
    }
}

void pair_order_add(struct pair_order *o, const struct label_store *s, uint32_t pair)
{
    size_t at_leaf, at;
    if (!o->leaves_n)
        insert_leaf(o, 0, make_leaf(FIRST_CAPACITY));
    lower_bound(o, s, value_of(s, pair), &at_leaf, &at);
    if (at == 0 && at_leaf > 0) { // at the end of the leaf before it is as well
        at_leaf--;
        at = o->leaves[at_leaf]->n;
    }
    if (o->leaves[at_leaf]->n == o->leaves[at_leaf]->capacity)
        make_room(o, &at_leaf, &at);
    struct pair_leaf *leaf = o->leaves[at_leaf];
    memmove(leaf->ids + at + 1, leaf->ids + at, (leaf->n - at) * sizeof *leaf->ids);
    leaf->ids[at] = pair;
    leaf->n++;
    o->n++;
    o->version++;
}

static void drop_leaf(struct pair_order *o, size_t at)
{
    mem_free(o->leaves[at]);
    o->leaves_n--;
    memmove(o->leaves + at, o->leaves + at + 1, (o->leaves_n - at) * sizeof *o->leaves);
}

static bool take_next_leaf(struct pair_order *o, size_t at)
{
    if (at + 1 >= o->leaves_n || o->leaves[at]->n + o->leaves[at + 1]->n > MERGED_MAX)
        return false;
    struct pair_leaf *leaf = o->leaves[at], *next = o->leaves[at + 1];
    if (leaf->capacity < PAIR_LEAF_MAX)
        return false;
    memcpy(leaf->ids + leaf->n, next->ids, next->n * sizeof *next->ids);
    leaf->n += next->n;
    drop_leaf(o, at + 1);
    return true;
}

void pair_order_remove(struct pair_order *o, const struct label_store *s, uint32_t pair)
{
    size_t at_leaf, at;
    lower_bound(o, s, value_of(s, pair), &at_leaf, &at);
    struct pair_leaf *leaf = o->leaves[at_leaf];
    assert(at < leaf->n && leaf->ids[at] == pair);
    leaf->n--;
    memmove(leaf->ids + at, leaf->ids + at + 1, (leaf->n - at) * sizeof *leaf->ids);
    o->n--;
    o->version++;
    if (leaf->n == 0)
        drop_leaf(o, at_leaf);
    else if (!take_next_leaf(o, at_leaf) && at_leaf > 0)
        take_next_leaf(o, at_leaf - 1);
}

// ---- walks

void pair_walk_begin(struct pair_walk *w, const struct label_store *s, uint32_t name,
                     struct str prefix, struct str from)
{
    *w = (struct pair_walk){.order = &s->names[name].pairs,
                            .store = s,
                            .prefix = prefix,
                            .last = LABEL_NONE,
                            .version = s->names[name].pairs.version};
    lower_bound(w->order, s, str_cmp(from, prefix) > 0 ? from : prefix, &w->leaf, &w->at);
}

// Behind the last, wherever that is now.
static void find_again(struct pair_walk *w)
{
    w->version = w->order->version;
    if (w->last == LABEL_NONE)
        return;
    lower_bound(w->order, w->store, value_of(w->store, w->last), &w->leaf, &w->at);
    assert(w->order->leaves[w->leaf]->ids[w->at] == w->last);
    w->at++;
}

// What the next steps look at is far apart: it is asked for early.
static void ask_early(const struct pair_walk *w, const struct pair_leaf *leaf)
{
    if (w->at + 2 * AHEAD < leaf->n)
        __builtin_prefetch(label_pair_at(w->store, leaf->ids[w->at + 2 * AHEAD]));
    if (w->at + AHEAD < leaf->n)
        __builtin_prefetch(label_pair_at(w->store, leaf->ids[w->at + AHEAD])->value);
}

uint32_t pair_walk_next(struct pair_walk *w)
{
    if (w->version != w->order->version)
        find_again(w);
    if (w->leaf < w->order->leaves_n && w->at == w->order->leaves[w->leaf]->n) {
        w->leaf++;
        w->at = 0;
    }
    if (w->leaf >= w->order->leaves_n)
        return LABEL_NONE;
    const struct pair_leaf *leaf = w->order->leaves[w->leaf];
    const uint32_t pair = leaf->ids[w->at];
    if (w->prefix.n && !str_has_prefix(value_of(w->store, pair), w->prefix))
        return LABEL_NONE;
    ask_early(w, leaf);
    w->at++;
    w->last = pair;
    return pair;
}

// Where what begins with prefix ends: the first value above all of them, if there is any.
static void prefix_end(const struct pair_order *o, const struct label_store *s, struct str prefix,
                       size_t leaf, size_t *out_leaf, size_t *out_at)
{
    size_t low = leaf, high = o->leaves_n; // the last leaf that begins with prefix, or leaf
    while (high - low > 1) {
        const size_t middle = low + (high - low) / 2;
        if (str_has_prefix(value_of(s, o->leaves[middle]->ids[0]), prefix))
            low = middle;
        else
            high = middle;
    }
    *out_leaf = low;
    size_t from = 0, end = o->leaves[low]->n;
    while (from < end) {
        const size_t middle = from + (end - from) / 2;
        const struct str value = value_of(s, o->leaves[low]->ids[middle]);
        if (str_has_prefix(value, prefix) || str_cmp(value, prefix) < 0)
            from = middle + 1;
        else
            end = middle;
    }
    *out_at = from;
}

size_t pair_order_count(const struct label_store *s, uint32_t name, struct str prefix)
{
    const struct pair_order *o = &s->names[name].pairs;
    size_t leaf, at, end_leaf, end_at;
    if (!prefix.n || !o->n)
        return o->n;
    lower_bound(o, s, prefix, &leaf, &at);
    prefix_end(o, s, prefix, leaf, &end_leaf, &end_at);
    if (end_leaf == leaf)
        return end_at > at ? end_at - at : 0;
    return o->leaves[leaf]->n - at + end_at + (end_leaf - leaf - 1) * (o->n / o->leaves_n);
}
