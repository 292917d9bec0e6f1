#include "engine/base/pool.h"

#include <assert.h>
#include <stdint.h>

#include "engine/base/mem.h"

enum { SLAB_BYTES = 64 * 1024, ALIGN = 16 };

struct slab {
    struct slab *next;
    size_t size;
    _Alignas(ALIGN) char bytes[];
};

struct vacant {
    struct vacant *next;
};

void pool_init(struct pool *p, size_t size)
{
    const size_t at_least = size < sizeof(struct vacant) ? sizeof(struct vacant) : size;
    *p = (struct pool){.size = (at_least + ALIGN - 1) & ~(size_t)(ALIGN - 1)};
}

void pool_deinit(struct pool *p)
{
    for (struct slab *slab = p->slabs, *next; slab; slab = next) {
        next = slab->next;
        mem_unpoison(slab->bytes, slab->size - sizeof *slab);
        mem_free(slab);
    }
    *p = (struct pool){.size = p->size};
}

void *pool_alloc(struct pool *p)
{
    assert(p->size);
    p->live++;
    if (p->free) {
        struct vacant *object = p->free;
        mem_unpoison(object, p->size);
        p->free = object->next;
        return object;
    }
    if ((size_t)(p->end - p->at) < p->size) {
        const size_t many = sizeof(struct slab) + 8 * p->size;
        const size_t size = many > SLAB_BYTES ? many : SLAB_BYTES;
        struct slab *slab = mem_alloc_aligned(ALIGN, size);
        *slab = (struct slab){.next = p->slabs, .size = size};
        p->slabs = slab;
        p->at = slab->bytes;
        p->end = (char *)slab + size;
        mem_poison(p->at, (size_t)(p->end - p->at));
    }
    void *object = p->at;
    p->at += p->size;
    mem_unpoison(object, p->size);
    return object;
}

void pool_free(struct pool *p, void *object)
{
    assert(object && p->live > 0);
    p->live--;
    struct vacant *vacant = object;
    vacant->next = p->free;
    p->free = vacant;
    mem_poison(object, p->size);
}
