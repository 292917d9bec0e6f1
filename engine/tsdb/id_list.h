// A list of numbers that may become a million, one at a time: it stands in chunks, so that growing
// copies little. A zeroed list is empty.
#ifndef ENGINE_TSDB_ID_LIST_H
#define ENGINE_TSDB_ID_LIST_H

#include <stddef.h>
#include <stdint.h>

enum { ID_LIST_CHUNK = 4096 };

struct id_list {
    uint32_t **chunks; // all but the first have ID_LIST_CHUNK, which that grows to
    size_t n;
    size_t chunks_n, chunks_capacity, first_capacity;
};

void id_list_deinit(struct id_list *l);
void id_list_push(struct id_list *l, uint32_t id);
uint32_t id_list_pop(struct id_list *l); // it is not empty

static inline uint32_t *id_list_at(const struct id_list *l, size_t i)
{
    return &l->chunks[i / ID_LIST_CHUNK][i % ID_LIST_CHUNK];
}

#endif
