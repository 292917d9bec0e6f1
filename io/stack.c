#include "io/stack.h"

#include <assert.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#include "engine/base/mem.h"
#include "io/fiber.h"

enum {
    SLAB_STACKS = 64,
    KEPT_RESIDENT = 512,        // stacks beyond it give their pages back while unused
    ADVICE_GUARD_INSTALL = 102, // MADV_GUARD_INSTALL, Linux 6.13: guards without a mapping each
    SANITIZED_STACK_FACTOR = 4, // instrumented frames are that much larger
};

struct stack_slab {
    struct stack_slab *next;
    size_t size;
    char *map;
};

// Present only under AddressSanitizer and ThreadSanitizer.
extern void __asan_init(void) __attribute__((weak));
extern void __tsan_init(void) __attribute__((weak));

static size_t page_bytes(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

size_t stack_bytes(void)
{
    return __asan_init || __tsan_init ? (size_t)FIBER_STACK_BYTES * SANITIZED_STACK_FACTOR
                                      : FIBER_STACK_BYTES;
}

// The last word of a stack: no page is touched that its user had not touched.
static void **link_of(void *bottom)
{
    return (void **)(void *)((char *)bottom + stack_bytes() - sizeof(void *));
}

static bool slab_add(struct stack_pool *pool)
{
    const size_t size = (stack_bytes() + page_bytes()) * SLAB_STACKS;
    char *map = mmap(NULL, size, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (map == MAP_FAILED)
        return false;
    (void)madvise(map, size, MADV_NOHUGEPAGE); // refused by kernels without huge pages
    struct stack_slab *slab = mem_alloc(sizeof *slab);
    *slab = (struct stack_slab){.next = pool->slabs, .size = size, .map = map};
    pool->slabs = slab;
    pool->at = map;
    pool->end = map + size;
    return true;
}

void *stack_take(struct stack_pool *pool)
{
    const size_t size = stack_bytes(), guard = page_bytes();
    if (pool->free) {
        void *bottom = pool->free;
        mem_unpoison(bottom, size); // what the last fiber's frames left
        pool->free = *link_of(bottom);
        pool->free_count--;
        return bottom;
    }
    if (pool->at == pool->end && !slab_add(pool))
        return NULL;
    if (madvise(pool->at, guard, ADVICE_GUARD_INSTALL) && mprotect(pool->at, guard, PROT_NONE))
        return NULL; // vm.max_map_count
    void *bottom = pool->at + guard;
    pool->at += guard + size;
    return bottom;
}

void stack_give(struct stack_pool *pool, void *bottom)
{
    const size_t size = stack_bytes();
    mem_unpoison(bottom, size);
    if (pool->free_count >= KEPT_RESIDENT)
        (void)madvise(bottom, size - page_bytes(), MADV_DONTNEED);
    *link_of(bottom) = pool->free;
    pool->free = bottom;
    pool->free_count++;
}

void stack_pool_deinit(struct stack_pool *pool)
{
    for (struct stack_slab *slab = pool->slabs, *next; slab; slab = next) {
        next = slab->next;
        mem_unpoison(slab->map, slab->size);
        munmap(slab->map, slab->size);
        mem_free(slab);
    }
    *pool = (struct stack_pool){0};
}
