// Stacks of fibers: a guard page below each, carved from large mappings, kept for reuse.
#ifndef IO_STACK_H
#define IO_STACK_H

#include <stdbool.h>
#include <stddef.h>

struct stack_slab;

struct stack_pool { // zeroed is empty
    struct stack_slab *slabs;
    void *free; // bottoms, linked through the word at each one's top
    size_t free_count;
    char *at, *end; // what of the newest slab was never used
};

// The lowest usable byte of stack_bytes(); NULL when the system gives no more mappings.
void *stack_take(struct stack_pool *pool);
void stack_give(struct stack_pool *pool, void *bottom);
size_t stack_bytes(void);
void stack_pool_deinit(struct stack_pool *pool); // all must have been given back

#endif
