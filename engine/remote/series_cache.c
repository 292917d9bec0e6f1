#include "engine/remote/series_cache.h"

#include <assert.h>

#include "engine/base/mem.h"

enum { SLOTS_MIN = 256, PROBES_AHEAD = 4 };

void series_cache_init(struct series_cache *c, size_t max)
{
    assert(max > 0 && max < UINT32_MAX);
    *c = (struct series_cache){.max = max};
}

static void table_deinit(struct series_cache_table *t)
{
    mem_free(t->entries);
    mem_free(t->slots);
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
static uint64_t *find_slot(const struct series_cache_table *t, struct hash128 key)
{
    const size_t mask = t->slots_size - 1;
    for (size_t at = key.lo & mask;; at = (at + 1) & mask) {
        const uint64_t slot = t->slots[at];
        if (!slot ||
            ((slot ^ key.hi) >> 32 == 0 && hash128_eq(t->entries[(uint32_t)slot - 1].key, key)))
            return &t->slots[at];
    }
}

static struct series_cache_entry *find_entry(const struct series_cache_table *t, struct hash128 key)
{
    const uint64_t slot = t->slots_size ? *find_slot(t, key) : 0;
    return slot ? &t->entries[(uint32_t)slot - 1] : NULL;
}

static void grow_slots(struct series_cache_table *t)
{
    mem_free(t->slots);
    t->slots_size = t->slots_size ? 2 * t->slots_size : SLOTS_MIN;
    t->slots = mem_zalloc(t->slots_size * sizeof *t->slots);
    for (size_t i = 0; i < t->n; i++)
        *find_slot(t, t->entries[i].key) = slot_of(t->entries[i].key, i);
}

void series_cache_put(struct series_cache *c, struct hash128 key, const struct series_place *place)
{
    assert(place->ref);
    struct series_cache_table *t = &c->young;
    struct series_cache_entry *entry = find_entry(t, key);
    if (entry) {
        entry->place = *place;
        return;
    }
    if (t->n >= c->max) {
        table_deinit(&c->old);
        c->old = *t;
        *t = (struct series_cache_table){.first = t->first + t->n};
    }
    t->entries = mem_grow(t->entries, &t->capacity, t->n + 1, sizeof *t->entries);
    if (4 * (t->n + 1) > 3 * t->slots_size)
        grow_slots(t);
    *find_slot(t, key) = slot_of(key, t->n);
    t->entries[t->n++] = (struct series_cache_entry){key, *place};
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
        __builtin_prefetch(&t->entries[(uint32_t)slot - 1]);
        return;
    }
}

uint64_t series_cache_find(struct series_cache *c, struct hash128 key, struct series_place *out)
{
    const struct series_cache_entry *entry = find_entry(&c->young, key);
    if (entry) {
        *out = entry->place;
        return c->young.first + (uint64_t)(entry - c->young.entries);
    }
    entry = find_entry(&c->old, key);
    if (!entry)
        return SERIES_CACHE_NONE;
    const uint64_t number = c->old.first + (uint64_t)(entry - c->old.entries);
    *out = entry->place;
    series_cache_put(c, key, out);
    return number;
}

void series_cache_use(struct series_cache *c, uint64_t number)
{
    if (number - c->young.first < c->young.n)
        return;
    const struct series_cache_entry *entry = series_cache_at(c, number);
    if (!entry || find_entry(&c->young, entry->key))
        return;
    const struct series_cache_entry copy = *entry; // the put may drop the older table
    series_cache_put(c, copy.key, &copy.place);
}
