#include "engine/tsdb/posting.h"

#include <assert.h>
#include <string.h>

#include "engine/base/mem.h"

static const uint32_t IS_BITMAP = UINT32_MAX;

void posting_deinit(struct posting *p)
{
    if (p->capacity == IS_BITMAP)
        roaring_bitmap_free(p->bitmap);
    else if (p->capacity)
        mem_free(p->array);
    *p = (struct posting){0};
}

static uint32_t *items(struct posting *p)
{
    return p->capacity ? p->array : p->ids;
}

// How many of the sorted ids are below id.
static uint32_t rank(const uint32_t *ids, uint32_t n, uint32_t id)
{
    uint32_t at = n;
    while (at > 0 && ids[at - 1] >= id)
        at--;
    return at;
}

static void make_room(struct posting *p)
{
    const uint32_t capacity = p->capacity ? p->capacity * 2 : 4;
    if (capacity > POSTING_ARRAY_MAX) {
        roaring_bitmap_t *bitmap = roaring_bitmap_of_ptr(p->n, p->array);
        mem_free(p->array);
        p->bitmap = bitmap;
        p->capacity = IS_BITMAP;
    } else if (!p->capacity) {
        uint32_t *array = mem_alloc(capacity * sizeof *array);
        memcpy(array, p->ids, sizeof p->ids);
        p->array = array;
        p->capacity = capacity;
    } else {
        p->array = mem_realloc(p->array, capacity * sizeof *p->array);
        p->capacity = capacity;
    }
}

void posting_add(struct posting *p, uint32_t id)
{
    if (p->capacity != IS_BITMAP && p->n == (p->capacity ? p->capacity : POSTING_INLINE))
        make_room(p);
    if (p->capacity == IS_BITMAP) {
        roaring_bitmap_add(p->bitmap, id);
    } else {
        uint32_t *ids = items(p);
        const uint32_t at = rank(ids, p->n, id);
        assert(at == p->n || ids[at] != id);
        memmove(ids + at + 1, ids + at, (p->n - at) * sizeof *ids);
        ids[at] = id;
    }
    p->n++;
}

void posting_remove(struct posting *p, uint32_t id)
{
    assert(p->n > 0);
    p->n--;
    if (p->capacity == IS_BITMAP) {
        roaring_bitmap_remove(p->bitmap, id);
        return;
    }
    uint32_t *ids = items(p);
    const uint32_t at = rank(ids, p->n + 1, id);
    assert(at <= p->n && ids[at] == id);
    memmove(ids + at, ids + at + 1, (p->n - at) * sizeof *ids);
}

void posting_union(const struct posting *p, roaring_bitmap_t *out)
{
    if (p->capacity == IS_BITMAP)
        roaring_bitmap_or_inplace(out, p->bitmap);
    else
        roaring_bitmap_add_many(out, p->n, p->capacity ? p->array : p->ids);
}
