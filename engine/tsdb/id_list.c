#include "engine/tsdb/id_list.h"

#include <assert.h>

#include "engine/base/mem.h"

void id_list_deinit(struct id_list *l)
{
    for (size_t i = 0; i < l->chunks_n; i++)
        mem_free(l->chunks[i]);
    mem_free(l->chunks);
    *l = (struct id_list){0};
}

static void grow(struct id_list *l)
{
    if (l->chunks_n == 1 && l->first_capacity < ID_LIST_CHUNK) {
        const size_t more = l->first_capacity * 2;
        l->first_capacity = more < ID_LIST_CHUNK ? more : ID_LIST_CHUNK;
        l->chunks[0] = mem_realloc(l->chunks[0], l->first_capacity * sizeof **l->chunks);
        return;
    }
    if (l->chunks_n == 0)
        l->first_capacity = 4;
    const size_t capacity = l->chunks_n == 0 ? l->first_capacity : ID_LIST_CHUNK;
    l->chunks = mem_grow(l->chunks, &l->chunks_capacity, l->chunks_n + 1, sizeof *l->chunks);
    l->chunks[l->chunks_n++] = mem_alloc_array(capacity, sizeof **l->chunks);
}

void id_list_push(struct id_list *l, uint32_t id)
{
    const size_t room = l->chunks_n < 2 ? l->first_capacity : l->chunks_n * ID_LIST_CHUNK;
    if (l->n == room)
        grow(l);
    *id_list_at(l, l->n++) = id;
}

uint32_t id_list_pop(struct id_list *l)
{
    assert(l->n > 0);
    return *id_list_at(l, --l->n);
}
