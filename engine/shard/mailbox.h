// One direction of a pair of shards: a bounded ring of pointers with one writer and one reader.
#ifndef ENGINE_SHARD_MAILBOX_H
#define ENGINE_SHARD_MAILBOX_H

#include <assert.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "engine/base/util.h"

enum { MAILBOX_SLOTS = 256 };

struct mailbox {                             // zeroed is empty; aligned to a cache line
    _Alignas(CACHE_LINE) atomic_size_t head; // the reader's: next to take
    _Alignas(CACHE_LINE) atomic_size_t tail; // the writer's: next to fill
    _Alignas(CACHE_LINE) void *slots[MAILBOX_SLOTS];
};

// By the writer. Room is the writer's to know: see the credits in shard.c.
static inline void mailbox_put(struct mailbox *m, void *message)
{
    const size_t tail = atomic_load_explicit(&m->tail, memory_order_relaxed);
    assert(tail - atomic_load_explicit(&m->head, memory_order_acquire) < MAILBOX_SLOTS);
    m->slots[tail % MAILBOX_SLOTS] = message;
    atomic_store_explicit(&m->tail, tail + 1, memory_order_release);
}

// By the reader. NULL: empty.
static inline void *mailbox_take(struct mailbox *m)
{
    const size_t head = atomic_load_explicit(&m->head, memory_order_relaxed);
    if (head == atomic_load_explicit(&m->tail, memory_order_acquire))
        return NULL;
    void *message = m->slots[head % MAILBOX_SLOTS];
    atomic_store_explicit(&m->head, head + 1, memory_order_release);
    return message;
}

// By either: whether nothing waits there.
static inline bool mailbox_is_empty(const struct mailbox *m)
{
    return atomic_load_explicit(&m->head, memory_order_relaxed) ==
           atomic_load_explicit(&m->tail, memory_order_relaxed);
}

#endif
