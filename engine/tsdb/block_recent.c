#include "engine/tsdb/block_recent.h"

#include <assert.h>
#include <string.h>

#include "engine/base/mem.h"

enum { SLOTS = 1 << 12, RING_BYTES = 1 << 20 };

void block_recent_deinit(struct block_recent *r)
{
    mem_free(r->slots);
    mem_free(r->bytes);
}

bool block_recent_find(const struct block_recent *r, uint64_t hash, struct block_place *out,
                       struct str *out_column)
{
    const struct block_recent_slot *slot = r->slots ? &r->slots[hash % SLOTS] : NULL;
    if (!slot || !slot->place.size || slot->hash != hash || slot->begin + RING_BYTES < r->end)
        return false;
    *out = slot->place;
    *out_column = str_make(r->bytes + slot->begin % RING_BYTES, slot->place.size);
    return true;
}

void block_recent_add(struct block_recent *r, const uint64_t *hashes, size_t n,
                      const struct block_place *place, struct str column)
{
    assert(column.n && column.n == place->size && column.n <= RING_BYTES);
    if (!r->slots) {
        r->slots = mem_zalloc(SLOTS * sizeof *r->slots);
        r->bytes = mem_alloc(RING_BYTES);
    }
    const uint64_t left = RING_BYTES - r->end % RING_BYTES;
    const uint64_t begin = left < column.n ? r->end + left : r->end; // none goes around
    memcpy(r->bytes + begin % RING_BYTES, column.p, column.n);
    r->end = begin + column.n;
    for (size_t i = 0; i < n; i++)
        r->slots[hashes[i] % SLOTS] = (struct block_recent_slot){hashes[i], begin, *place};
}
