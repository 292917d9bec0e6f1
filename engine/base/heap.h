// An intrusive binary min-heap by a 64-bit key: timers, merges. A node is in one heap at a time.
#ifndef ENGINE_BASE_HEAP_H
#define ENGINE_BASE_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HEAP_NOWHERE SIZE_MAX

struct heap_node {
    int64_t key;
    size_t at; // HEAP_NOWHERE: in no heap
};

struct heap { // zeroed is empty
    struct heap_node **nodes;
    size_t n, capacity;
};

static inline void heap_node_init(struct heap_node *node)
{
    node->at = HEAP_NOWHERE;
}

static inline bool heap_node_is_in(const struct heap_node *node)
{
    return node->at != HEAP_NOWHERE;
}

static inline struct heap_node *heap_min(const struct heap *h) // NULL when empty
{
    return h->n ? h->nodes[0] : NULL;
}

void heap_deinit(struct heap *h); // the nodes are the caller's
void heap_insert(struct heap *h, struct heap_node *node, int64_t key);
void heap_remove(struct heap *h, struct heap_node *node);
struct heap_node *heap_pop(struct heap *h); // NULL when empty

#endif
