// The lists of status/tsdb: which names, labels and pairs have most series and values.
#include "engine/server/cardinality.h"

#include "engine/base/hash.h"
#include "engine/base/mem.h"
#include "engine/model/labels.h"
#include "engine/server/fan.h"
#include "engine/server/server.h"
#include "io/fiber_sort.h"

enum { LENGTHS = 2 }; // bytes that Prometheus holds for a label's lengths

struct counter {
    struct str key; // p NULL: free
    uint64_t n;
};

struct counters { // open addressing; a power of two
    struct counter *items;
    size_t size, n;
};

struct cardinality {
    struct arena arena;
    struct counters lists[CARDINALITY_LISTS];
};

static struct counter *slot_of(const struct counters *c, struct str key)
{
    size_t at = hash64(key.p, key.n, 0) & (c->size - 1);
    while (c->items[at].key.p && !str_eq(c->items[at].key, key))
        at = (at + 1) & (c->size - 1);
    return &c->items[at];
}

// The counter of key, new ones 0 and with a copy of it. Suspends.
static struct counter *counter_of(struct cardinality *k, enum cardinality_list list, struct str key)
{
    struct counters *c = &k->lists[list];
    if (2 * (c->n + 1) > c->size) {
        const struct counters old = *c;
        c->size = old.size ? 2 * old.size : 256;
        c->items = mem_zalloc(c->size * sizeof *c->items);
        for (size_t i = 0; i < old.size; i++) {
            if (old.items[i].key.p)
                *slot_of(c, old.items[i].key) = old.items[i];
            if (i % 1024 == 1023)
                fiber_yield_if_due();
        }
        mem_free(old.items);
    }
    struct counter *item = slot_of(c, key);
    if (!item->key.p) {
        item->key = arena_str(&k->arena, key);
        c->n++;
    }
    return item;
}

static void count_series(struct cardinality *k, struct str labels, struct buf *pair) // Suspends.
{
    struct label label;
    for (struct labels_iter i = labels_iter(labels); labels_next(&i, &label);) {
        buf_reset(pair);
        buf_put_str(pair, label.name);
        buf_put_char(pair, '=');
        buf_put_str(pair, label.value);
        struct counter *of_pair = counter_of(k, CARDINALITY_PAIRS, buf_str(pair));
        if (of_pair->n++ == 0)
            counter_of(k, CARDINALITY_VALUES, label.name)->n++;
        counter_of(k, CARDINALITY_BYTES, label.name)->n += label.name.n + label.value.n + LENGTHS;
        if (str_eq(label.name, LABEL_NAME))
            counter_of(k, CARDINALITY_NAMES, label.value)->n++;
    }
}

err cardinality_gather(struct server *s, struct cardinality **out, struct errmsg *e)
{
    const struct matcher named = {.kind = MATCHER_NE, .name = LABEL_NAME};
    const struct fan_selector all = {&named, 1};
    const struct fan_question q = {.kind = FAN_SERIES,
                                   .storage = s->storage,
                                   .selectors = &all,
                                   .selectors_count = 1,
                                   .mint = INT64_MIN,
                                   .maxt = INT64_MAX};
    struct arena arena;
    struct str *items;
    size_t n;
    arena_init(&arena, (size_t)s->flags.query_max_bytes);
    const err code = fan_ask(&q, &arena, &items, &n, e);
    if (!code) {
        struct cardinality *k = mem_zalloc(sizeof *k);
        struct buf pair = {0};
        arena_init(&k->arena, 0);
        for (size_t i = 0; i < n; i++) {
            count_series(k, items[i], &pair);
            fiber_yield_if_due();
        }
        buf_deinit(&pair);
        *out = k;
    }
    arena_deinit(&arena);
    return code;
}

uint64_t cardinality_pairs(const struct cardinality *k)
{
    return k->lists[CARDINALITY_PAIRS].n;
}

void cardinality_destroy(struct cardinality *k)
{
    if (!k)
        return;
    for (size_t i = 0; i < CARDINALITY_LISTS; i++)
        mem_free(k->lists[i].items);
    arena_deinit(&k->arena);
    mem_free(k);
}

// The largest first, then by name.
static int compare(const void *a, const void *b, const void *arg)
{
    const struct counter *x = a, *y = b;
    (void)arg;
    return x->n != y->n ? (x->n < y->n) - (x->n > y->n) : str_cmp(x->key, y->key);
}

void cardinality_put(const struct cardinality *k, enum cardinality_list list, size_t limit,
                     struct json *j)
{
    const struct counters *c = &k->lists[list];
    struct counter *sorted = mem_alloc_array(c->n, sizeof *sorted);
    size_t n = 0;
    for (size_t i = 0; i < c->size; i++) {
        if (c->items[i].key.p)
            sorted[n++] = c->items[i];
        if (i % 1024 == 1023)
            fiber_yield_if_due();
    }
    fiber_sort(sorted, n, sizeof *sorted, NULL, compare);
    json_array_begin(j);
    for (size_t i = 0; i < n && i < limit; i++) {
        json_object_begin(j);
        json_key(j, "name");
        json_str(j, sorted[i].key);
        json_key(j, "value");
        json_u64(j, sorted[i].n);
        json_object_end(j);
    }
    json_array_end(j);
    mem_free(sorted);
}
