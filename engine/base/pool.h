// A pool of equal objects: allocation and release in a few instructions, memory kept for reuse.
#ifndef ENGINE_BASE_POOL_H
#define ENGINE_BASE_POOL_H

#include <stddef.h>

struct pool {
    size_t size; // of an object
    size_t live; // handed out
    void *free;  // a list through the objects' first word
    void *slabs; // likewise through the slabs'
    char *at, *end;
};

void pool_init(struct pool *p, size_t size);
void pool_deinit(struct pool *p);                                  // everything in it is gone
void *pool_alloc(struct pool *p) __attribute__((returns_nonnull)); // not zeroed
void pool_free(struct pool *p, void *object);

#endif
