#include "engine/tsdb/id_table.h"

#include <assert.h>
#include <string.h>

#include "engine/base/bits.h"
#include "engine/base/mem.h"

// A slot holds id + 1, so that zeroed memory is empty; GONE marks a removed id of the old slots,
// whose probe chains must stay whole.
struct id_slot {
    uint32_t id_plus_1, tag;
};
static const uint32_t GONE = UINT32_MAX;

enum { CAPACITY_MIN = 64, MOVES = 16, ZEROED = 64 };

void id_table_deinit(struct id_table *t)
{
    mem_free(t->slots);
    mem_free(t->old);
    mem_free(t->next);
    *t = (struct id_table){0};
}

static uint32_t tag_of(uint64_t hash)
{
    return (uint32_t)(hash ^ (hash >> 32));
}

struct id_probe id_table_probe(const struct id_table *t, uint64_t hash)
{
    const uint32_t tag = tag_of(hash);
    return (struct id_probe){.tag = tag, .at = tag & t->mask};
}

uint32_t id_table_next(const struct id_table *t, struct id_probe *p)
{
    if (!p->in_old) {
        for (; t->slots && t->slots[p->at].id_plus_1; p->at = (p->at + 1) & t->mask) {
            if (t->slots[p->at].tag == p->tag) {
                const uint32_t id = t->slots[p->at].id_plus_1 - 1;
                p->at = (p->at + 1) & t->mask;
                return id;
            }
        }
        p->in_old = true;
        p->at = p->tag & t->old_mask;
    }
    for (; t->old && t->old[p->at].id_plus_1; p->at = (p->at + 1) & t->old_mask) {
        if (t->old[p->at].tag == p->tag && t->old[p->at].id_plus_1 != GONE) {
            const uint32_t id = t->old[p->at].id_plus_1 - 1;
            p->at = (p->at + 1) & t->old_mask;
            return id;
        }
    }
    return ID_TABLE_NONE;
}

static void put(struct id_slot *slots, size_t mask, struct id_slot slot)
{
    size_t at = slot.tag & mask;
    while (slots[at].id_plus_1)
        at = (at + 1) & mask;
    slots[at] = slot;
}

// Copies some old slots; they also stay where they are until the last one is copied.
static void move_some(struct id_table *t)
{
    if (!t->old)
        return;
    for (size_t i = 0; i < MOVES && t->old_moved <= t->old_mask; i++) {
        const struct id_slot slot = t->old[t->old_moved++];
        if (slot.id_plus_1 && slot.id_plus_1 != GONE) {
            put(t->slots, t->mask, slot);
            t->used++;
        }
    }
    if (t->old_moved > t->old_mask) {
        mem_free(t->old);
        t->old = NULL;
        t->old_mask = 0;
    }
}

// From five eighths on, until three quarters, where the table grows.
static void prepare_next(struct id_table *t)
{
    const size_t capacity = t->slots ? (t->mask + 1) * 2 : CAPACITY_MIN;
    if (t->slots && t->used * 8 < (t->mask + 1) * 5)
        return;
    if (!t->next)
        t->next = mem_alloc_array(capacity, sizeof *t->next);
    const size_t left = capacity - t->next_zeroed, n = left < ZEROED ? left : ZEROED;
    memset(t->next + t->next_zeroed, 0, n * sizeof *t->next);
    t->next_zeroed += n;
}

static void grow(struct id_table *t)
{
    const size_t capacity = t->slots ? (t->mask + 1) * 2 : CAPACITY_MIN;
    assert(!t->old); // 16 moves an insertion end long before the next growth
    while (!t->next || t->next_zeroed < capacity) // after removals; of the first ones
        prepare_next(t);
    t->old = t->slots;
    t->old_mask = t->slots ? t->mask : 0;
    t->old_moved = 0;
    t->slots = t->next;
    t->mask = capacity - 1;
    t->used = 0;
    t->next = NULL;
    t->next_zeroed = 0;
    move_some(t);
}

void id_table_insert(struct id_table *t, uint64_t hash, uint32_t id)
{
    assert(id < ID_TABLE_NONE);
    move_some(t);
    if (!t->slots || (t->used + 1) * 4 > (t->mask + 1) * 3)
        grow(t);
    else
        prepare_next(t);
    put(t->slots, t->mask, (struct id_slot){id + 1, tag_of(hash)});
    t->used++;
    t->n++;
}

// Closes the hole at `at` by moving back what would not be found across it.
static void shift_back(struct id_slot *slots, size_t mask, size_t at)
{
    size_t hole = at;
    for (size_t i = (at + 1) & mask; slots[i].id_plus_1; i = (i + 1) & mask) {
        const size_t home = slots[i].tag & mask;
        if (((i - home) & mask) >= ((i - hole) & mask)) {
            slots[hole] = slots[i];
            hole = i;
        }
    }
    slots[hole] = (struct id_slot){0};
}

void id_table_remove(struct id_table *t, uint64_t hash, uint32_t id)
{
    const uint32_t tag = tag_of(hash);
    bool found = false;
    for (size_t i = tag & t->mask; t->slots && t->slots[i].id_plus_1; i = (i + 1) & t->mask) {
        if (t->slots[i].id_plus_1 == id + 1) {
            shift_back(t->slots, t->mask, i);
            t->used--;
            found = true;
            break;
        }
    }
    for (size_t i = tag & t->old_mask; t->old && t->old[i].id_plus_1; i = (i + 1) & t->old_mask) {
        if (t->old[i].id_plus_1 == id + 1) {
            t->old[i].id_plus_1 = GONE;
            found = true;
            break;
        }
    }
    assert(found && t->n > 0);
    t->n--;
}

size_t id_table_bytes(const struct id_table *t)
{
    return sizeof(struct id_slot) *
           ((t->slots ? t->mask + 1 : 0) + (t->old ? t->old_mask + 1 : 0) + t->next_zeroed);
}
