#include "engine/remote/series_cache.h"

#include <assert.h>

#include "engine/base/mem.h"

enum { TABLE_MIN = 256 };

struct series_cache_entry {
    struct hash128 key;
    struct series_place place; // ref 0: free
};

void series_cache_init(struct series_cache *c, size_t max)
{
    assert(max > 0);
    *c = (struct series_cache){.max = max};
}

void series_cache_deinit(struct series_cache *c)
{
    mem_free(c->young.entries);
    mem_free(c->old.entries);
    *c = (struct series_cache){.max = c->max};
}

// The entry of key, or the free one where it belongs.
static struct series_cache_entry *slot_of(const struct series_cache_table *t, struct hash128 key)
{
    size_t at = key.lo & (t->size - 1);
    while (t->entries[at].place.ref && !hash128_eq(t->entries[at].key, key))
        at = (at + 1) & (t->size - 1);
    return &t->entries[at];
}

static void grow(struct series_cache_table *t)
{
    const struct series_cache_table old = *t;
    t->size = old.size ? old.size * 2 : TABLE_MIN;
    t->entries = mem_zalloc(t->size * sizeof *t->entries);
    for (size_t i = 0; i < old.size; i++)
        if (old.entries[i].place.ref)
            *slot_of(t, old.entries[i].key) = old.entries[i];
    mem_free(old.entries);
}

void series_cache_put(struct series_cache *c, struct hash128 key, const struct series_place *place)
{
    assert(place->ref);
    if (c->young.n >= c->max) {
        mem_free(c->old.entries);
        c->old = c->young;
        c->young = (struct series_cache_table){0};
    }
    if (2 * (c->young.n + 1) > c->young.size)
        grow(&c->young);
    struct series_cache_entry *entry = slot_of(&c->young, key);
    c->young.n += entry->place.ref == 0;
    *entry = (struct series_cache_entry){key, *place};
}

bool series_cache_get(struct series_cache *c, struct hash128 key, struct series_place *out)
{
    const struct series_cache_entry *entry = c->young.size ? slot_of(&c->young, key) : NULL;
    if (entry && entry->place.ref) {
        *out = entry->place;
        return true;
    }
    entry = c->old.size ? slot_of(&c->old, key) : NULL;
    if (!entry || !entry->place.ref)
        return false;
    *out = entry->place;
    series_cache_put(c, key, out);
    return true;
}
