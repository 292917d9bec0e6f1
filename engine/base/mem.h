// The heap: jemalloc in product builds, malloc under sanitizers. Running out of memory is a crash
// with a message: a shard half alive is worse than a restart. Limits are counted above, not here.
//
// Arenas and pools (arena.h, pool.h) stand on this; code outside engine/base and io/ asks them.
#ifndef ENGINE_BASE_MEM_H
#define ENGINE_BASE_MEM_H

#include <stddef.h>

// Never NULL; mem_alloc(0) is a valid pointer. Freed by mem_free() on the shard that allocated.
void *mem_alloc(size_t size) __attribute__((malloc, returns_nonnull));
void *mem_zalloc(size_t size) __attribute__((malloc, returns_nonnull));
void *mem_realloc(void *p, size_t size) __attribute__((returns_nonnull));
// align is a power of two.
void *mem_alloc_aligned(size_t align, size_t size) __attribute__((malloc, returns_nonnull));
void mem_free(void *p); // NULL is accepted

// count * size, a crash when that overflows: the product of numbers that were bounded before.
void *mem_alloc_array(size_t count, size_t size) __attribute__((malloc, returns_nonnull));
// Grows an array of *capacity items to hold at least need: by half, so that a loop of pushes is
// linear. Returns the new array and sets *capacity.
void *mem_grow(void *p, size_t *capacity, size_t need, size_t size)
    __attribute__((returns_nonnull));

// Gives the calling thread a jemalloc arena of its own, so that its frees touch no other's.
void mem_thread_init(void);
// Bytes the allocator holds for live objects, in the whole process; 0 where it cannot say.
size_t mem_live_bytes(void);
// Gives free pages back to the system.
void mem_trim(void);

// Marks bytes that nobody may touch, for AddressSanitizer; without it they do nothing.
void mem_poison(const void *p, size_t size);
void mem_unpoison(const void *p, size_t size);

#endif
