#include "engine/remote/series_cache.h"

#include <assert.h>
#include <string.h>

#include "engine/base/mem.h"

enum { SLOTS_MIN = 256, PROBES_AHEAD = 4, MOVED_AT_ONCE = 4, CLEARED_AT_ONCE = 32 };

void series_cache_init(struct series_cache *c, size_t max)
{
    assert(max > 0 && max < UINT32_MAX);
    *c = (struct series_cache){.max = max};
}

static void table_deinit(struct series_cache_table *t)
{
    for (size_t i = 0; i < t->n; i += SERIES_CACHE_BLOCK)
        mem_free(t->blocks[i / SERIES_CACHE_BLOCK]);
    mem_free(t->blocks);
    mem_free(t->slots);
    mem_free(t->before);
    mem_free(t->next);
}

void series_cache_deinit(struct series_cache *c)
{
    table_deinit(&c->young);
    table_deinit(&c->old);
    *c = (struct series_cache){.max = c->max};
}

static uint64_t slot_of(struct hash128 key, size_t index)
{
    return (key.hi & ~(uint64_t)UINT32_MAX) | (uint32_t)(index + 1);
}

// The slot of key, or the free one where it belongs.
static uint64_t *find_slot(const struct series_cache_table *t, uint64_t *slots, size_t size,
                           struct hash128 key)
{
    const size_t mask = size - 1;
    for (size_t at = key.lo & mask;; at = (at + 1) & mask) {
        const uint64_t slot = slots[at];
        if (!slot || ((slot ^ key.hi) >> 32 == 0 &&
                      hash128_eq(series_cache_entry_at(t, (uint32_t)slot - 1)->key, key)))
            return &slots[at];
    }
}

// SERIES_CACHE_NONE: it is not there.
static uint64_t find_index(const struct series_cache_table *t, struct hash128 key)
{
    uint64_t slot = t->slots_size ? *find_slot(t, t->slots, t->slots_size, key) : 0;
    if (!slot && t->before)
        slot = *find_slot(t, t->before, t->before_size, key);
    return slot ? (uint32_t)slot - 1 : SERIES_CACHE_NONE;
}

static void put_slot(struct series_cache_table *t, struct hash128 key, size_t index)
{
    *find_slot(t, t->slots, t->slots_size, key) = slot_of(key, index);
}

static void move_some(struct series_cache_table *t, size_t n)
{
    for (; n > 0 && t->moved < t->moving; n--, t->moved++)
        put_slot(t, series_cache_entry_at(t, t->moved)->key, t->moved);
    if (t->moved == t->moving) {
        mem_free(t->before);
        t->before = NULL;
    }
}

static size_t next_size(const struct series_cache_table *t)
{
    return t->slots_size ? 2 * t->slots_size : SLOTS_MIN;
}

// The slots to come are cleared by n: megabytes at once, whose pages the system clears, take long.
static void clear_some(struct series_cache_table *t, size_t n)
{
    const size_t size = next_size(t);
    if (!t->next) {
        t->next = mem_alloc_array(size, sizeof *t->next);
        t->cleared = 0;
    }
    n = n < size - t->cleared ? n : size - t->cleared;
    memset(t->next + t->cleared, 0, n * sizeof *t->next);
    t->cleared += n;
}

// One entry moved a put would do to have moved all before the next slots are too few.
static void grow_slots(struct series_cache_table *t)
{
    assert(!t->before);
    clear_some(t, SIZE_MAX); // nothing is left to do, but for the smallest
    t->before = t->slots;
    t->before_size = t->slots_size;
    t->moving = t->n;
    t->moved = 0;
    t->slots_size = next_size(t);
    t->slots = t->next;
    t->next = NULL;
}

void series_cache_age(struct series_cache *c)
{
    table_deinit(&c->old);
    c->old = c->young;
    c->young = (struct series_cache_table){.first = c->old.first + c->old.n};
}

void series_cache_put(struct series_cache *c, struct hash128 key, const struct series_place *place)
{
    assert(place->ref);
    struct series_cache_table *t = &c->young;
    const uint64_t index = find_index(t, key);
    if (index != SERIES_CACHE_NONE) {
        series_cache_entry_at(t, index)->place = *place;
        return;
    }
    if (t->n >= c->max)
        series_cache_age(c);
    const size_t block = t->n / SERIES_CACHE_BLOCK;
    if (t->n % SERIES_CACHE_BLOCK == 0) {
        t->blocks = mem_grow(t->blocks, &t->blocks_capacity, block + 1, sizeof *t->blocks);
        t->blocks[block] = mem_alloc_array(SERIES_CACHE_BLOCK, sizeof **t->blocks);
    }
    if (4 * (t->n + 1) > 3 * t->slots_size)
        grow_slots(t);
    *series_cache_entry_at(t, t->n) = (struct series_cache_entry){key, *place};
    put_slot(t, key, t->n++);
    if (t->before)
        move_some(t, MOVED_AT_ONCE);
    else if (2 * t->n > t->slots_size && 4 * c->max > 3 * t->slots_size)
        clear_some(t, CLEARED_AT_ONCE);
}

void series_cache_prefetch(const struct series_cache *c, struct hash128 key)
{
    if (c->young.slots_size)
        __builtin_prefetch(&c->young.slots[key.lo & (c->young.slots_size - 1)]);
}

void series_cache_prefetch_entry(const struct series_cache *c, struct hash128 key)
{
    const struct series_cache_table *t = &c->young;
    for (size_t i = 0; i < PROBES_AHEAD && t->slots_size; i++) {
        const uint64_t slot = t->slots[(key.lo + i) & (t->slots_size - 1)];
        if (!slot || (slot ^ key.hi) >> 32)
            continue;
        __builtin_prefetch(series_cache_entry_at(t, (uint32_t)slot - 1));
        return;
    }
}

uint64_t series_cache_find(struct series_cache *c, struct hash128 key, struct series_place *out)
{
    uint64_t index = find_index(&c->young, key);
    if (index != SERIES_CACHE_NONE) {
        *out = series_cache_entry_at(&c->young, index)->place;
        return c->young.first + index;
    }
    index = find_index(&c->old, key);
    if (index == SERIES_CACHE_NONE)
        return SERIES_CACHE_NONE;
    const uint64_t number = c->old.first + index;
    *out = series_cache_entry_at(&c->old, index)->place;
    series_cache_put(c, key, out);
    return number;
}

void series_cache_use(struct series_cache *c, uint64_t number)
{
    if (number - c->young.first < c->young.n)
        return;
    const struct series_cache_entry *entry = series_cache_at(c, number);
    if (!entry || find_index(&c->young, entry->key) != SERIES_CACHE_NONE)
        return;
    const struct series_cache_entry copy = *entry; // the put may drop the older table
    series_cache_put(c, copy.key, &copy.place);
}
