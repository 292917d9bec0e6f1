#include "engine/tsdb/block_symbols.h"

#include <assert.h>

#include "engine/base/bits.h"
#include "engine/base/hash.h"
#include "engine/base/mem.h"
#include "io/fiber.h"
#include "io/fiber_memory.h"
#include "io/fiber_sort.h"

static const uint32_t NO_ID = UINT32_MAX; // all bits: tables are filled with bytes

void block_table_deinit(struct block_table *t)
{
    mem_free(t->hashes);
    mem_free(t->ids);
}

void block_table_reset(struct block_table *t)
{
    if (t->n)
        fiber_fill(t->ids, 0xff, t->capacity * sizeof *t->ids);
    t->n = 0;
}

bool block_table_find(const struct block_table *t, uint64_t hash, size_t *walk, uint32_t *out_id)
{
    for (; *walk < t->capacity; ++*walk) {
        const size_t at = (hash + *walk) & (t->capacity - 1);
        if (t->ids[at] == NO_ID)
            return false;
        if (t->hashes[at] == hash) {
            ++*walk;
            *out_id = t->ids[at];
            return true;
        }
    }
    return false;
}

static void place(struct block_table *t, uint64_t hash, uint32_t id)
{
    size_t at = hash & (t->capacity - 1);
    while (t->ids[at] != NO_ID)
        at = (at + 1) & (t->capacity - 1);
    t->hashes[at] = hash;
    t->ids[at] = id;
}

static void grow(struct block_table *t)
{
    const struct block_table old = *t;
    t->capacity = old.capacity ? old.capacity * 2 : 64;
    t->hashes = mem_alloc_array(t->capacity, sizeof *t->hashes);
    t->ids = mem_alloc_array(t->capacity, sizeof *t->ids);
    fiber_fill(t->ids, 0xff, t->capacity * sizeof *t->ids);
    for (size_t i = 0; i < old.capacity; i++) {
        if (old.ids[i] != NO_ID)
            place(t, old.hashes[i], old.ids[i]);
        if (i % 4096 == 4095)
            fiber_yield_if_due();
    }
    mem_free(old.hashes);
    mem_free(old.ids);
}

void block_table_add(struct block_table *t, uint64_t hash, uint32_t id)
{
    assert(id != NO_ID);
    if ((t->n + 1) * 4 > t->capacity * 3)
        grow(t);
    place(t, hash, id);
    t->n++;
}

void block_symbols_init(struct block_symbols *s)
{
    *s = (struct block_symbols){0};
    arena_init(&s->text, 0);
}

void block_symbols_deinit(struct block_symbols *s)
{
    arena_deinit(&s->text);
    mem_free(s->names);
    mem_free(s->pairs);
    block_table_deinit(&s->by_name);
    block_table_deinit(&s->by_pair);
}

static uint32_t name_number(struct block_symbols *s, struct str name)
{
    const uint64_t hash = hash64(name.p, name.n, 0);
    size_t walk = 0;
    uint32_t id;
    while (block_table_find(&s->by_name, hash, &walk, &id))
        if (str_eq(s->names[id], name))
            return id;
    s->names = fiber_grow(s->names, &s->names_capacity, s->names_n + 1, sizeof *s->names);
    s->names[s->names_n] = arena_str(&s->text, name);
    block_table_add(&s->by_name, hash, (uint32_t)s->names_n);
    return (uint32_t)s->names_n++;
}

uint32_t block_symbols_pair(struct block_symbols *s, struct str name, struct str value)
{
    const uint32_t number = name_number(s, name);
    const uint64_t hash = hash64(value.p, value.n, number + 1);
    size_t walk = 0;
    uint32_t id;
    while (block_table_find(&s->by_pair, hash, &walk, &id))
        if (s->pairs[id].name == number && str_eq(s->pairs[id].value, value))
            return id;
    s->pairs = fiber_grow(s->pairs, &s->pairs_capacity, s->pairs_n + 1, sizeof *s->pairs);
    s->pairs[s->pairs_n] = (struct block_pair){number, arena_str(&s->text, value)};
    block_table_add(&s->by_pair, hash, (uint32_t)s->pairs_n);
    return (uint32_t)s->pairs_n++;
}

struct ordering {
    const void *arg;
    block_before_fn *before;
};

static int compare_numbers(const void *a, const void *b, const void *arg)
{
    const struct ordering *o = arg;
    return o->before(o->arg, *(const uint32_t *)a, *(const uint32_t *)b) ? -1 : 0;
}

void block_sort(uint32_t *items, size_t n, const void *arg, block_before_fn *before)
{
    const struct ordering o = {arg, before};
    fiber_sort(items, n, sizeof *items, &o, compare_numbers);
}

bool block_sort_in_time(uint32_t *items, size_t n, const void *arg, block_before_fn *before)
{
    const struct ordering o = {arg, before};
    struct arena room;
    arena_init(&room, 0);
    const err code = fiber_sort_within(&room, items, n, sizeof *items, &o, compare_numbers);
    arena_deinit(&room);
    return code == ERR_OK;
}
