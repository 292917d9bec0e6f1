#include "engine/base/heap.h"

#include <assert.h>

#include "engine/base/mem.h"

static void put(struct heap *h, size_t at, struct heap_node *node)
{
    h->nodes[at] = node;
    node->at = at;
}

static void sift_up(struct heap *h, size_t at, struct heap_node *node)
{
    while (at > 0 && h->nodes[(at - 1) / 2]->key > node->key) {
        put(h, at, h->nodes[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    put(h, at, node);
}

static void sift_down(struct heap *h, size_t at, struct heap_node *node)
{
    for (size_t child; (child = 2 * at + 1) < h->n; at = child) {
        if (child + 1 < h->n && h->nodes[child + 1]->key < h->nodes[child]->key)
            child++;
        if (h->nodes[child]->key >= node->key)
            break;
        put(h, at, h->nodes[child]);
    }
    put(h, at, node);
}

void heap_deinit(struct heap *h)
{
    mem_free(h->nodes);
    *h = (struct heap){0};
}

void heap_insert(struct heap *h, struct heap_node *node, int64_t key)
{
    assert(!heap_node_is_in(node));
    h->nodes = mem_grow(h->nodes, &h->capacity, h->n + 1, sizeof *h->nodes);
    node->key = key;
    sift_up(h, h->n++, node);
}

void heap_remove(struct heap *h, struct heap_node *node)
{
    const size_t at = node->at;
    assert(at < h->n && h->nodes[at] == node);
    struct heap_node *last = h->nodes[--h->n];
    node->at = HEAP_NOWHERE;
    if (last == node)
        return;
    if (at > 0 && h->nodes[(at - 1) / 2]->key > last->key)
        sift_up(h, at, last);
    else
        sift_down(h, at, last);
}

struct heap_node *heap_pop(struct heap *h)
{
    struct heap_node *node = heap_min(h);
    if (node)
        heap_remove(h, node);
    return node;
}
